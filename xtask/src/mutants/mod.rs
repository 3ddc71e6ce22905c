//! `cargo xtask mutants`: faults planted in the shipped algorithms, each of which a model must catch.
//!
//! A model that never failed proves nothing. `verify/mutants.toml` lists the faults; each is applied alone, to a copy of
//! the shipped source, and the models it names must then fail. A fault that no longer fits the source is an error too.

mod list;
mod tree;
mod trial;

use crate::shell::{self, Outcome};
use list::Mutant;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};
use tree::Tree;
use trial::Verdict;

/// Options of `cargo xtask mutants`.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Plant only the faults whose name contains this.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Faults tried at the same time; as many as there are processors when not given.
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
}

/// Runs the models on the source as it is, then on every fault; fails unless the first pass and all others fail.
pub(crate) fn run(options: &Options) -> Outcome {
    let mut mutants = list::read(&shell::root().join("verify/mutants.toml"))?;
    if let Some(only) = &options.only {
        mutants.retain(|mutant| mutant.name.contains(only.as_str()));
    }
    if mutants.is_empty() {
        return Err("no fault has that name".into());
    }
    let tree = Tree::plant(&shell::target_directory()?.join("mutants"))?;
    baseline(&tree, &mutants)?;
    println!("{:<40} {:<12} {:>7}  by", "fault", "verdict", "seconds");
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let verdicts = try_all(&tree, options.jobs.unwrap_or(processors), &mutants)?;
    let good = verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Caught(_))).count();
    println!("{good} of {} faults caught", mutants.len());
    if good == mutants.len() { Ok(()) } else { Err("a fault was not caught".into()) }
}

/// The models that the faults name exist and pass on the source as it is.
fn baseline(tree: &Tree, mutants: &[Mutant]) -> Outcome {
    let program = tree.build().map_err(|e| format!("the source as it is: {e}"))?;
    let tests = trial::names(&program)?;
    if let Some(mutant) = mutants.iter().find(|m| !tests.iter().any(|test| m.wants(test))) {
        return Err(format!("{}: no model is called {:?}", mutant.name, mutant.test));
    }
    let mut named: Vec<&str> = mutants.iter().map(|mutant| mutant.test.as_str()).collect();
    named.sort_unstable();
    named.dedup();
    match trial::judge(&program, &named)? {
        Verdict::Survived => Ok(()),
        verdict => Err(format!("the source as it is: {verdict}")),
    }
}

/// Tries the faults, `jobs` at a time, and prints a row for each. Builds take turns, models run side by side.
fn try_all(tree: &Tree, jobs: usize, mutants: &[Mutant]) -> Result<Vec<Verdict>, String> {
    let next = AtomicUsize::new(0);
    let tree = Mutex::new(tree);
    let verdicts = Mutex::new(Vec::new());
    let work = || -> Outcome {
        while let Some(mutant) = mutants.get(next.fetch_add(1, Relaxed)) {
            let built = tree.lock().expect("no build panics").build_with(mutant);
            let begun = Instant::now();
            let verdict = trial::run(built, mutant)?;
            let mut verdicts = verdicts.lock().expect("no row panics");
            print_row(mutant, &verdict, begun.elapsed());
            verdicts.push(verdict);
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs.max(1)).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            worker.join().map_err(|_| "a trial panicked")??;
        }
        Ok::<_, String>(())
    })?;
    Ok(verdicts.into_inner().expect("no row panics"))
}

fn print_row(mutant: &Mutant, verdict: &Verdict, took: Duration) {
    let by = match verdict {
        Verdict::Caught(by) => by.clone(),
        other => format!("{other}; {}", mutant.why),
    };
    println!("{:<40} {:<12} {:>7.1}  {by}", mutant.name, verdict.word(), took.as_secs_f32());
}
