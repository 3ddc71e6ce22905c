//! `cargo xtask tsan`: the tests between threads under ThreadSanitizer.
//!
//! The sanitizer knows one process only, so it sees the algorithms where their words lie in plain memory. It is part of
//! nightly toolchains; without one there is nothing to run, and that is said.

use crate::shell::{self, Outcome};
use std::process::Command;

const TOOLCHAIN: &str = "nightly";
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Crates whose tests run between threads.
const PACKAGES: &[&str] = &["antiphon-sys", "antiphon"];

/// Runs the tests of [`PACKAGES`] with every memory access watched.
pub(crate) fn run() -> Outcome {
    if !prepare() {
        println!("skipped: ThreadSanitizer needs `rustup toolchain install {TOOLCHAIN}`");
        return Ok(());
    }
    let mut passed = 0;
    let mut command = Command::new("rustup");
    command
        .current_dir(shell::root())
        .args(["run", TOOLCHAIN, "cargo", "test", "--lib", "--tests", "--target", TARGET])
        // The standard library as it comes is not watched, so its own synchronization would be taken for races.
        .arg("-Zbuild-std")
        .args(PACKAGES.iter().flat_map(|package| ["--package", package]))
        .arg("--target-dir")
        .arg(shell::target_directory()?.join("tsan"))
        // cargo and rustc of the toolchain that runs this would win over the one asked for.
        .env_remove("CARGO")
        .env_remove("RUSTC")
        .env("RUSTFLAGS", "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer");
    let status = shell::tee(&mut command, |line| {
        passed += u64::from(line.starts_with("test ") && line.ends_with(" ... ok"));
    })?;
    println!("ThreadSanitizer: {passed} tests passed");
    match (status.success(), passed) {
        (true, 0) => Err("no test ran".into()),
        (true, _) => Ok(()),
        (false, _) => Err("a test failed under ThreadSanitizer".into()),
    }
}

/// Whether there is a nightly toolchain with the sources of the standard library, which are fetched when missing.
fn prepare() -> bool {
    let mut command = Command::new("rustup");
    command.args(["component", "add", "rust-src", "--toolchain", TOOLCHAIN]);
    command.output().is_ok_and(|output| output.status.success())
}
