//! `cargo xtask test`: every test there is, with a count per group.
//!
//! A group that runs no test fails: a runner that silently finds nothing looks exactly like one that passes.

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
}

impl Checker {
    /// What its configuration and its test are called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Loom => "loom",
            Self::Shuttle => "shuttle",
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
    /// Adds the summary that libtest prints per program, or that of the kills, if `line` is one.
    fn add(&mut self, line: &str) {
        if let Some(kills) = line.strip_suffix(" kills, no violation") {
            self.passed += kills.parse::<u64>().unwrap_or(0);
        }
        let Some(rest) = line.trim().strip_prefix("test result: ") else { return };
        let numbers = rest.split(['.', ';']).filter_map(|part| part.trim().split_once(' '));
        for (number, what) in numbers {
            let Ok(number) = number.parse::<u64>() else { continue };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

/// What is printed about a group at the end.
struct Row {
    name: &'static str,
    counts: Counts,
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
    let mut counts = Counts::default();
    let status = shell::tee(&mut (group.command)(target), |line| counts.add(line))?;
    let verdict = match (status.success(), counts.passed) {
        (false, _) => Err("failed"),
        (true, 0) => Err("ran no test"),
        (true, _) => Ok(()),
    };
    Ok(Row { name: group.name, counts, took: begun.elapsed(), verdict })
}

fn print_table(rows: &[Row]) {
    println!("\n{:<22} {:>7} {:>7} {:>8} {:>8}", "group", "passed", "failed", "ignored", "seconds");
    let mut all = 0;
    for Row { name, counts, took, verdict } in rows {
        let Counts { passed, failed, ignored } = counts;
        let took = took.as_secs();
        let verdict = verdict.err().unwrap_or("ok");
        println!("{name:<22} {passed:>7} {failed:>7} {ignored:>8} {took:>8}  {verdict}");
        all += passed;
    }
    println!("{:<22} {all:>7}", "all");
}

#[cfg(test)]
mod tests {
    use super::Counts;

    #[test]
    fn summaries_add_up_and_other_lines_do_not_count() {
        let mut counts = Counts::default();
        counts.add("running 3 tests");
        counts.add("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.0s");
        counts
            .add("test result: FAILED. 2 passed; 4 failed; 0 ignored; 0 measured; 9 filtered out");
        counts.add("test 7 passed; ... ok");
        counts.add("30 kills, no violation");
        assert_eq!(counts, Counts { passed: 35, failed: 4, ignored: 1 });
    }
}
