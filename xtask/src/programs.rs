//! `cargo xtask kill` and `cargo xtask bench`: programs that are built for speed and run with what the user says.

use crate::shell::{self, Outcome};
use std::process::Command;

/// What to hand on to the program.
#[derive(clap::Args, Debug)]
#[command(disable_help_flag = true)]
pub(crate) struct Options {
    /// For the program; `--help` says what it understands.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
    arguments: Vec<String>,
}

/// Kills processes that use a space, and checks that the others go on.
pub(crate) fn kill(options: &Options) -> Outcome {
    shell::call(kill_command().args(&options.arguments))
}

/// The command of [`kill`] without arguments.
pub(crate) fn kill_command() -> Command {
    verifier("kill")
}

/// Uses everything at once for a long time, with deaths, and checks that nothing grows.
pub(crate) fn soak(options: &Options) -> Outcome {
    shell::call(verifier("soak").args(&options.arguments))
}

fn verifier(name: &str) -> Command {
    let mut command = shell::cargo();
    command.args(["run", "--quiet", "--release", "--package", "antiphon-verify"]);
    command.args(["--bin", name, "--"]);
    command
}

/// Measures antiphon beside its peers. A workspace of its own, so that the peers stay out of ours.
pub(crate) fn bench(options: &Options) -> Outcome {
    let mut command = shell::cargo();
    command.args(["run", "--quiet", "--release", "--manifest-path", "bench/Cargo.toml", "--"]);
    shell::call(command.args(&options.arguments))
}
