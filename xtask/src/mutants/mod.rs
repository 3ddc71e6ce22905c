//! `cargo xtask mutants`: faults planted in the shipped algorithms, each of which a model must catch.
//!
//! A model that never failed proves nothing. `verify/mutants.toml` lists the faults; each is applied alone, to a copy of
//! the shipped source, and the models it names must then fail. A fault that no longer fits the source is an error too.

pub(crate) mod list;
pub(crate) mod tree;
mod trial;

use crate::shell::{self, Outcome};
use crate::test::Checker;
use list::Mutant;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};
use tree::Tree;
use trial::{Model, Verdict};

/// Options of `cargo xtask mutants`.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Plant only the faults whose name contains this.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Plant only so many of the faults, spread evenly over the list.
    #[arg(long, value_name = "N")]
    sample: Option<usize>,
    /// Faults tried at the same time; as many as there are processors when not given.
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// The longest that a model may take; longer ones are not asked.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    limit: u64,
}

/// Runs the models on the source as it is, then on every fault; fails unless the first pass and all others fail.
pub(crate) fn run(options: &Options) -> Outcome {
    let mut mutants = list::read()?;
    mutants.retain(|mutant| mutant.checker != Checker::Tsan);
    if let Some(only) = &options.only {
        mutants.retain(|mutant| mutant.name.contains(only.as_str()));
    }
    if let Some(sample) = options.sample {
        let all = mutants.len();
        let mut numbers = 0..all;
        mutants
            .retain(|_| numbers.next().is_some_and(|i| i * sample / all != (i + 1) * sample / all));
    }
    if mutants.is_empty() {
        return Err("no fault has that name".into());
    }
    let jobs =
        options.jobs.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
    let limit = Duration::from_secs(options.limit);
    let tree = Tree::plant(&shell::target_directory()?.join("mutants"), &["crates/core"])?;
    let models = baseline(&tree, &mutants, jobs, limit)?;

    println!("{:<40} {:<12} {:>7}  by", "fault", "verdict", "seconds");
    let tree = Mutex::new(tree);
    let verdicts = side_by_side(&mutants, jobs, |mutant| {
        // Builds take turns, models run side by side.
        let built = tree.lock().expect("no build panics").build_with(mutant);
        let begun = Instant::now();
        let verdict = trial::run(built, mutant, &models, limit)?;
        print_row(mutant, &verdict, begun.elapsed());
        Ok(verdict)
    })?;
    let good = verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Caught(_))).count();
    println!("{good} of {} faults caught", mutants.len());
    if good == mutants.len() { Ok(()) } else { Err("a fault was not caught".into()) }
}

/// The models that the faults name, the quickest first. All of them pass on the source as it is.
fn baseline(
    tree: &Tree,
    mutants: &[Mutant],
    jobs: usize,
    limit: Duration,
) -> Result<Vec<Model>, String> {
    let mut named = Vec::new();
    for checker in [Checker::Loom, Checker::Shuttle] {
        if mutants.iter().any(|mutant| mutant.checker == checker) {
            let program = tree.build(checker).map_err(|e| format!("the source as it is: {e}"))?;
            let names = trial::names(&program)?.into_iter();
            let names = names.filter(|name| mutants.iter().any(|m| m.wants(checker, name)));
            named.extend(names.map(|name| (checker, program.clone(), name)));
        }
    }
    let mut models = side_by_side(&named, jobs, |(checker, program, name)| {
        let begun = Instant::now();
        let verdict = trial::judge(program, name, limit)?;
        Ok((Model { checker: *checker, name: name.clone(), took: begun.elapsed() }, verdict))
    })?;
    for (model, verdict) in &models {
        match verdict {
            Verdict::Survived => {}
            Verdict::OutOfTime => println!("not asked, too slow: {}", model.name),
            failed => return Err(format!("{} on the source as it is: {failed}", model.name)),
        }
    }
    models.retain(|(_, verdict)| matches!(verdict, Verdict::Survived));
    let mut models: Vec<Model> = models.into_iter().map(|(model, _)| model).collect();
    models.sort_by_key(|model| model.took);
    let wants = |mutant: &Mutant, model: &Model| mutant.wants(model.checker, &model.name);
    let is_asked = |mutant: &&Mutant| models.iter().any(|model| wants(mutant, model));
    match mutants.iter().find(|mutant| !is_asked(mutant)) {
        Some(mutant) => Err(format!("{}: no model is called {:?}", mutant.name, mutant.test)),
        None => Ok(models),
    }
}

/// `work` on each item, on so many threads. The results come in any order.
fn side_by_side<T: Sync, R: Send>(
    items: &[T],
    jobs: usize,
    work: impl Fn(&T) -> Result<R, String> + Sync,
) -> Result<Vec<R>, String> {
    let next = AtomicUsize::new(0);
    let one = || {
        let mut results = Vec::new();
        while let Some(item) = items.get(next.fetch_add(1, Relaxed)) {
            results.push(work(item)?);
        }
        Ok::<_, String>(results)
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs.max(1)).map(|_| scope.spawn(one)).collect();
        let mut results = Vec::new();
        for worker in workers {
            results.extend(worker.join().map_err(|_| "a trial panicked")??);
        }
        Ok(results)
    })
}

fn print_row(mutant: &Mutant, verdict: &Verdict, took: Duration) {
    let by = match verdict {
        Verdict::Caught(by) => by.clone(),
        other => format!("{other}; {}", mutant.why),
    };
    println!("{:<40} {:<12} {:>7.1}  {by}", mutant.name, verdict.word(), took.as_secs_f32());
}
