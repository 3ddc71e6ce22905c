//! `cargo xtask fuzz`: segments full of nonsense, opened and used, for so many minutes.
//!
//! The flags are those that libFuzzer needs; nothing has to be installed but a nightly toolchain. What was found to be
//! interesting is kept in `verify/fuzz/corpus`, and what failed in `verify/fuzz/artifacts`.

use crate::shell::{self, Outcome};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Coverage that libFuzzer reads, and a sanitizer that sees every access out of bounds.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Zsanitizer=address -Ccodegen-units=1";

/// After so many seconds, one input hangs. Most take less than a millisecond.
const HANG: u64 = 20;

/// Options of `cargo xtask fuzz`.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// How long, all targets together.
    #[arg(long, value_name = "N", default_value_t = 4)]
    minutes: u64,
    /// Only the targets whose name contains this.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
}

/// Builds all targets and runs one after the other; fails at the first finding.
pub(crate) fn run(options: &Options) -> Outcome {
    let folder = shell::root().join("verify/fuzz");
    let mut names = targets(&folder)?;
    names.retain(|name| options.only.as_ref().is_none_or(|part| name.contains(part.as_str())));
    if names.is_empty() {
        return Err("no target has that name".into());
    }
    let built = shell::target_directory()?.join("fuzz");
    shell::call(
        shell::nightly_cargo()
            .args(["build", "--release", "--target", shell::TARGET])
            .arg("--manifest-path")
            .arg(folder.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(&built)
            .env("RUSTFLAGS", FLAGS),
    )?;
    // No time at all would mean for ever.
    let seconds = (options.minutes * 60 / names.len() as u64).max(1);
    for name in &names {
        println!("==> {name}, {seconds} s");
        let corpus = folder.join("corpus").join(name);
        let artifacts = folder.join("artifacts").join(name);
        for made in [&corpus, &artifacts] {
            fs::create_dir_all(made).map_err(|e| format!("{}: {e}", made.display()))?;
        }
        shell::call(
            Command::new(built.join(shell::TARGET).join("release").join(name))
                .arg(&corpus)
                .arg(format!("-max_total_time={seconds}"))
                .arg(format!("-timeout={HANG}"))
                .arg(format!("-artifact_prefix={}/", artifacts.display()))
                .arg("-print_final_stats=1"),
        )?;
    }
    Ok(())
}

/// The names of all targets.
fn targets(folder: &Path) -> Result<Vec<String>, String> {
    let sources = folder.join("fuzz_targets");
    let fail = |e| format!("{}: {e}", sources.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(&sources).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        if path.extension().is_some_and(|kind| kind == "rs") {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}
