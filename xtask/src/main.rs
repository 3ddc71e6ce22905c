//! The checks and chores of antiphon: `cargo xtask COMMAND`.

mod fuzz;
mod layers;
mod mutants;
mod programs;
mod python;
mod shell;
mod test;
mod tsan;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// The checks and chores of antiphon.
#[derive(Parser, Debug)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Run every test and print the count of each group.
    Test(test::Options),
    /// Check the arrows between the crates and what each layer may contain.
    Layers,
    /// Plant each fault of verify/mutants.toml and check that a model catches it.
    Mutants(mutants::Options),
    /// Kill processes that use a space: at random instants, or at each instruction.
    Kill(programs::Options),
    /// Use everything at once for half an hour, with deaths: nothing may grow.
    Soak(programs::Options),
    /// Measure antiphon beside its peers.
    Bench(programs::Options),
    /// Open and use segments that are full of nonsense.
    Fuzz(fuzz::Options),
    /// Build the wheel and run the tests of the Python package.
    Python,
    /// Run the algorithms between threads under ThreadSanitizer, as they are and with races planted.
    Tsan,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Test(options) => test::run(&options),
        Command::Layers => layers::run(),
        Command::Mutants(options) => mutants::run(&options),
        Command::Kill(options) => programs::kill(&options),
        Command::Soak(options) => programs::soak(&options),
        Command::Bench(options) => programs::bench(&options),
        Command::Fuzz(options) => fuzz::run(&options),
        Command::Python => python::run(),
        Command::Tsan => tsan::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("error: {reason}");
            ExitCode::FAILURE
        }
    }
}
