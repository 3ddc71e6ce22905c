//! `cargo xtask tsan`: the algorithms between threads, on the heap, under ThreadSanitizer.
//!
//! The sanitizer knows one process only, so it sees the algorithms where their words lie in plain memory. What says that it sees
//! anything are the faults of `verify/mutants.toml` with `checker = "tsan"`: each must be reported, and the source as it is must
//! not. Nothing is suppressed. The sanitizer is part of nightly toolchains; without one there is nothing to run, and that is said.

use crate::mutants::list::{self, Mutant};
use crate::mutants::tree::{Tree, Unbuilt};
use crate::shell::{self, Ended, Outcome};
use crate::test::Checker;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// What the tests are made of.
const CRATES: &[&str] = &["crates/core", "crates/sys", "crates/place", "crates/antiphon"];

/// No run takes so long.
const LIMIT: Duration = Duration::from_secs(300);

/// How a report begins.
const REPORT: &str = "WARNING: ThreadSanitizer";

/// Runs the tests, and then the ones that are meant to fail with each fault.
pub(crate) fn run() -> Outcome {
    if !shell::has_nightly() {
        println!("SKIPPED: ThreadSanitizer needs `rustup toolchain install nightly`");
        return Ok(());
    }
    let mut faults = list::read()?;
    faults.retain(|mutant| mutant.checker == Checker::Tsan);
    let tree = Tree::plant(&shell::target_directory()?.join("tsan"), CRATES)?;
    let program = tree.build(Checker::Tsan).map_err(|e| format!("the source as it is: {e}"))?;
    let passed = watch(&program)?;
    let mut missed = 0;
    for fault in &faults {
        let verdict = plant(&tree, fault)?;
        println!("{:<40} {verdict}", fault.name);
        missed += u32::from(verdict != REPORTED);
    }
    println!("ThreadSanitizer: {passed} tests passed, no report; {} faults planted", faults.len());
    match (faults.len(), missed) {
        (0, _) => Err("no fault was planted, so nothing says that races are seen".into()),
        (_, 0) => Ok(()),
        (_, missed) => Err(format!("{missed} faults were not reported")),
    }
}

/// Builds the tests of the tree at `source`.
pub(crate) fn tests(folder: &Path, source: &Path) -> Command {
    let mut command = shell::nightly_cargo();
    command
        .current_dir(source)
        .args(["test", "--package", "antiphon", "--test", Checker::Tsan.name()])
        .args(["--target", shell::TARGET, "--target-dir"])
        .arg(folder.join("builds"))
        .env("CARGO_INCREMENTAL", "1")
        // The standard library is not watched. The tests do without its threads, and nothing else of it orders anything.
        .env("RUSTFLAGS", "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer");
    command
}

/// The source as it is: how many tests passed.
fn watch(program: &Path) -> Result<usize, String> {
    let Ended { status, output } = shell::run_for(&mut watched(program), LIMIT)?;
    print!("{output}");
    let passed =
        output.lines().filter(|l| l.starts_with("test ") && l.ends_with(" ... ok")).count();
    match status {
        None => Err("a test hangs under ThreadSanitizer".into()),
        Some(_) if output.contains(REPORT) => Err("ThreadSanitizer reports a race".into()),
        Some(status) if !status.success() => Err(format!("the tests failed: {status}")),
        Some(_) if passed == 0 => Err("no test ran".into()),
        Some(_) => Ok(passed),
    }
}

const REPORTED: &str = "reported";

/// What became of a fault.
fn plant(tree: &Tree, fault: &Mutant) -> Result<&'static str, String> {
    let program = match tree.build_with(fault) {
        Ok(program) => program,
        Err(Unbuilt::Unapplied(reason)) => return Err(format!("{}: {reason}", fault.name)),
        Err(Unbuilt::Uncompiled(reason)) => return Err(format!("{}: {reason}", fault.name)),
    };
    let mut command = watched(&program);
    command.arg(&fault.test).env("TSAN_OPTIONS", "halt_on_error=1");
    let Ended { status, output } = shell::run_for(&mut command, LIMIT)?;
    Ok(match status {
        _ if output.contains(REPORT) => REPORTED,
        None => "OUT OF TIME",
        Some(status) if status.success() => "MISSED",
        Some(_) => "FAILED WITHOUT A REPORT",
    })
}

fn watched(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_remove("TSAN_OPTIONS");
    command
}
