//! What the command does: one file per subcommand.

mod clean;
mod demo;
mod ls;
mod rm;
mod show;
mod view;

use crate::args::Command;
use crate::exit::{Failure, Outcome};

/// Does what was asked for.
pub(crate) fn run(command: Command) -> Result<Outcome, Failure> {
    match command {
        Command::Demo(options) => demo::run(options),
        Command::Ls { space, format } => ls::run(space, format),
        Command::Show { object, format } => show::run(&object, format),
        Command::Rm { address, format } => rm::run(&address, format),
        Command::Clean { dry_run, format } => clean::run(dry_run, format),
    }
}
