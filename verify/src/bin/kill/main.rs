//! Kills processes that use a space, and checks that the others go on.
//!
//! ```text
//! kill --count 10000 [--seed S] [--only SCENE]   at random instants, over all primitives
//! kill --steps [--op NAME]                       at every instruction of each operation, by ptrace
//! kill --seeded                                  faults planted by hand: each must be reported
//! ```
//! What a victim was doing is read from memory that it shares with the one who kills it, outside of all that is tested.

mod ledger;
mod random;
mod report;
mod scene;
mod scenes;
mod stage;
mod steps;

use std::process::ExitCode;

use clap::Parser;

/// Kills processes that use a space, and checks that the others go on.
#[derive(Parser, Debug)]
#[command(name = "kill")]
struct Arguments {
    /// Kill so many processes at random instants, over all primitives.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    count: u64,
    /// What the choice of victims and instants depends on.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Only the scenes whose name contains this.
    #[arg(long, value_name = "SCENE")]
    only: Option<String>,
    /// Kill a process at every instruction of every operation.
    #[arg(long)]
    steps: bool,
    /// Plant faults, each of which must be reported.
    #[arg(long, conflicts_with = "steps")]
    seeded: bool,
    /// Only the acts whose name contains this.
    #[arg(long, value_name = "NAME", requires = "steps")]
    op: Option<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let good = if arguments.seeded {
        steps::seeded::run()
    } else if arguments.steps {
        steps::run(arguments.op.as_deref())
    } else {
        random::run(arguments.count, arguments.seed, arguments.only.as_deref())
    };
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
