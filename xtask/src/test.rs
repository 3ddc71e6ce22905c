//! `cargo xtask test`: every test there is, with a count per group.
//!
//! A group that runs no test fails, and so does a program of tests that does not say how many it ran: a runner that silently
//! finds nothing looks exactly like one that passes.

use crate::programs;
use crate::shell::{self, Outcome};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Options of `cargo xtask test`.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Run only the groups whose name contains this.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
}

/// A set of tests with one runner.
struct Group {
    name: &'static str,
    command: fn(&Path) -> Command,
}

/// Every group. To add one, add a line.
const GROUPS: &[Group] = &[
    Group { name: "unit and integration", command: ordinary },
    Group { name: "documentation", command: documentation },
    Group { name: "loom models", command: shipped_models },
    Group { name: "shuttle walks", command: shipped_walks },
    Group { name: "Python", command: python },
    Group { name: "kills", command: kills },
];

/// Lib, bin, example and integration tests, the conformance bodies among them.
fn ordinary(_target: &Path) -> Command {
    let mut command = shell::cargo();
    command.args(["test", "--workspace", "--all-targets", "--no-fail-fast"]);
    command
}

fn documentation(_target: &Path) -> Command {
    let mut command = shell::cargo();
    command.args(["test", "--workspace", "--doc"]);
    command
}

/// The wheel, in environments of its own.
fn python(_target: &Path) -> Command {
    let mut command = shell::cargo();
    command.args(["run", "--quiet", "--package", "xtask", "--", "python"]);
    command
}

/// A short run: each kill that everybody else survived counts.
fn kills(_target: &Path) -> Command {
    let mut command = programs::kill_command();
    command.args(["--count", "300"]);
    command
}

/// With what each model has to say: how many executions it explored.
fn shipped_models(target: &Path) -> Command {
    let mut command = models(Checker::Loom, target, &shell::root());
    command.args(["--", "--show-output"]);
    command
}

/// The same of the random walks.
fn shipped_walks(target: &Path) -> Command {
    let mut command = models(Checker::Shuttle, target, &shell::root());
    command.args(["--", "--show-output"]);
    command
}

/// What runs the models of the algorithms.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Checker {
    /// Explores small scenes.
    #[default]
    Loom,
    /// Walks through large ones.
    Shuttle,
    /// Watches threads on the heap: `cargo xtask tsan`.
    Tsan,
}

impl Checker {
    /// What its test is called, and the configuration of a model checker.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Loom => "loom",
            Self::Shuttle => "shuttle",
            Self::Tsan => "heap",
        }
    }
}

/// The models of every algorithm in the tree at `tree`, built beside `target` so that the ordinary build stays warm.
pub(crate) fn models(checker: Checker, target: &Path, tree: &Path) -> Command {
    let name = checker.name();
    let mut command = shell::cargo();
    command
        .current_dir(tree)
        .args(["test", "--release", "--package", "antiphon-core", "--test", name])
        .arg("--target-dir")
        .arg(target.join(name))
        .env("RUSTFLAGS", format!("--cfg {name}"))
        // A model explores for seconds and is built often: quick builds, and arithmetic that is checked.
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "none")
        .env("CARGO_INCREMENTAL", "1")
        .env("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "true")
        .env("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "true");
    command
}

/// How the tests of a group ended.
#[derive(Default, Clone, Copy, PartialEq, Eq, Debug)]
struct Counts {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Counts {
    /// What `line` says if it is the summary that libtest prints per program, or that of the kills.
    fn read(line: &str) -> Option<Self> {
        let mut counts = Self::default();
        if let Some(kills) = line.strip_suffix(" kills, no violation") {
            counts.passed = kills.parse().ok()?;
            return Some(counts);
        }
        let Some(rest) = line.trim().strip_prefix("test result: ") else {
            return Self::read_pytest(line);
        };
        let numbers = rest.split(['.', ';']).filter_map(|part| part.trim().split_once(' '));
        for (number, what) in numbers {
            let Ok(number) = number.parse::<u64>() else { continue };
            match what {
                "passed" => counts.passed = number,
                "failed" => counts.failed = number,
                "ignored" => counts.ignored = number,
                _ => {}
            }
        }
        Some(counts)
    }

    /// What pytest says at the end, such as `1 failed, 32 passed, 2 skipped in 5.68s`.
    fn read_pytest(line: &str) -> Option<Self> {
        let (said, took) = line.trim_matches(['=', ' ']).rsplit_once(" in ")?;
        took.split('s').next()?.parse::<f64>().ok()?;
        let mut counts = Self::default();
        for part in said.split(", ") {
            let (number, what) = part.split_once(' ')?;
            let number: u64 = number.parse().ok()?;
            match what {
                "passed" => counts.passed = number,
                "failed" | "error" | "errors" => counts.failed += number,
                "skipped" => counts.ignored = number,
                _ => {}
            }
        }
        Some(counts)
    }

    fn plus(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            ignored: self.ignored + other.ignored,
        }
    }
}

/// The program that cargo says it runs next, as `crate: source`.
fn program(line: &str) -> Option<String> {
    let (source, file) = line.trim().strip_prefix("Running ")?.split_once(" (")?;
    let file = Path::new(file.strip_suffix(')')?).file_name()?.to_str()?;
    let (name, _hash) = file.rsplit_once('-')?;
    Some(format!("{name}: {}", source.trim_start_matches("unittests ")))
}

/// What is printed about a group at the end.
struct Row {
    name: &'static str,
    counts: Counts,
    /// Those of each program, where there are several and each says how many tests it ran.
    programs: Vec<(String, Counts)>,
    took: Duration,
    verdict: Result<(), &'static str>,
}

/// Runs every group and prints the table; fails if one of them failed or ran nothing.
pub(crate) fn run(options: &Options) -> Outcome {
    let target = shell::target_directory()?;
    let wanted = |group: &&Group| {
        options.only.as_ref().is_none_or(|part| group.name.contains(part.as_str()))
    };
    let mut rows = Vec::new();
    for group in GROUPS.iter().filter(wanted) {
        rows.push(run_group(group, &target)?);
    }
    print_table(&rows);
    if rows.is_empty() {
        return Err("no group has that name".into());
    }
    match rows.iter().filter(|row| row.verdict.is_err()).count() {
        0 => Ok(()),
        bad => Err(format!("{bad} of {} groups did not pass", rows.len())),
    }
}

fn run_group(group: &Group, target: &Path) -> Result<Row, String> {
    println!("==> {}", group.name);
    let begun = Instant::now();
    let (mut summaries, mut names) = (Vec::new(), Vec::new());
    let status = shell::tee_both(
        &mut (group.command)(target),
        |line| summaries.extend(Counts::read(line)),
        |line| names.extend(program(line)),
    )?;
    let counts = summaries.iter().fold(Counts::default(), |sum, one| sum.plus(*one));
    let verdict = match (status.success(), counts.passed) {
        (false, _) => Err("failed"),
        (true, 0) => Err("ran no test"),
        (true, _) if summaries.len() < names.len() => Err("a program does not say what it ran"),
        (true, _) => Ok(()),
    };
    let programs = if names.len() == summaries.len() { names } else { Vec::new() };
    let programs = programs.into_iter().zip(summaries).collect();
    Ok(Row { name: group.name, counts, programs, took: begun.elapsed(), verdict })
}

fn print_table(rows: &[Row]) {
    println!("\n{:<22} {:>7} {:>7} {:>8} {:>8}", "group", "passed", "failed", "ignored", "seconds");
    let mut all = 0;
    for Row { name, counts, programs, took, verdict } in rows {
        let Counts { passed, failed, ignored } = counts;
        let took = took.as_secs();
        let verdict = verdict.err().unwrap_or("ok");
        println!("{name:<22} {passed:>7} {failed:>7} {ignored:>8} {took:>8}  {verdict}");
        for (program, Counts { passed, failed, ignored }) in programs {
            if passed + failed + ignored > 0 {
                println!("{:<22} {passed:>7} {failed:>7} {ignored:>8} {:>8}  {program}", "", "");
            }
        }
        all += passed;
    }
    println!("{:<22} {all:>7}", "all");
}

#[cfg(test)]
mod tests {
    use super::{Counts, program};

    #[test]
    fn summaries_add_up_and_other_lines_do_not_count() {
        let lines = [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.0s",
            "test result: FAILED. 2 passed; 4 failed; 0 ignored; 0 measured; 9 filtered out",
            "test 7 passed; ... ok",
            "30 kills, no violation",
            "1 failed, 32 passed, 2 skipped in 5.68s",
            "2 of them came in 5 turns",
        ];
        let sum = lines.iter().filter_map(|line| Counts::read(line));
        let sum = sum.fold(Counts::default(), Counts::plus);
        assert_eq!(sum, Counts { passed: 67, failed: 5, ignored: 3 });
    }

    #[test]
    fn a_program_has_a_name() {
        let line =
            "     Running unittests src/lib.rs (target/debug/deps/antiphon_core-0123456789abcdef)";
        assert_eq!(program(line).as_deref(), Some("antiphon_core: src/lib.rs"));
        let line = "     Running tests/queue.rs (target/debug/deps/queue-0123456789abcdef)";
        assert_eq!(program(line).as_deref(), Some("queue: tests/queue.rs"));
        assert_eq!(program("     Running `target/debug/kill --count 300`"), None);
    }
}
