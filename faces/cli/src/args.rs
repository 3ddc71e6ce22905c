//! The command line: one definition holds name, help and parser of each option.

use std::path::PathBuf;

use clap::{Args as Group, Parser, Subcommand, ValueEnum};

use crate::address::{Address, ObjectAddress};
use crate::exit::CODES;

/// Locks, queues and more that threads and processes share, and that survive kill -9.
#[derive(Debug, Parser)]
#[command(name = "antiphon", version, after_help = CODES, max_term_width = 100)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run small programs that show what antiphon does
    ///
    /// Without a program: a counter under a lock, a producer and a consumer, each in threads and in processes, and a
    /// process that is killed while it holds a lock. Leaves nothing behind.
    Demo(Demo),
    /// List spaces, or what is in one
    Ls {
        /// The space; all of them if left out
        #[arg(value_name = "SPACE")]
        space: Option<Address>,
        #[command(flatten)]
        format: Format,
    },
    /// Show one object: who holds it, who waits for it, what it counted, who died
    Show {
        /// The object
        #[arg(value_name = "SPACE/NAME")]
        object: ObjectAddress,
        #[command(flatten)]
        format: Format,
    },
    /// Remove a space or an object; those who use it go on with what they have open
    Rm {
        /// The space, or the object in it
        #[arg(value_name = "SPACE[/NAME]")]
        address: Address,
        #[command(flatten)]
        format: Format,
    },
    /// Remove the spaces in which nobody lives any more
    ///
    /// Opening any space does the same on the way. Spaces that are kept until removed stay.
    Clean {
        /// Only say what would be removed
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        format: Format,
    },
}

/// How to answer.
#[derive(Clone, Copy, Debug, Group)]
pub(crate) struct Format {
    /// Answer in JSON, whose "schema" changes when a field changes its meaning
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Group)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Demo {
    #[command(subcommand)]
    pub(crate) program: Option<Program>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Program {
    /// Count the words in files, with several workers
    ///
    /// Counts every regular file under the paths, hidden ones too; links are followed only where they are a path themselves.
    /// A word is a run of letters and digits as Unicode has them, as long as it gets, in lower case. What is not
    /// UTF-8 separates words. Files that cannot be read are named, and the others are counted.
    Words(Words),
}

#[derive(Debug, Group)]
pub(crate) struct Words {
    /// Files and folders
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
    /// Whether the workers are threads of this process or processes of this host
    #[arg(long, value_enum, default_value_t = Scope::Host)]
    pub(crate) scope: Scope,
    /// How many workers count; as many as there are processors unless told
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_WORKERS)))]
    pub(crate) workers: Option<u32>,
    /// Kill so many workers on the way, each while it counts a file; others take their places
    #[arg(long, value_name = "K")]
    pub(crate) kill: Option<u32>,
}

/// A space is created for that many processes and a few more.
pub(crate) const MAX_WORKERS: u32 = 256;

/// How far things reach.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Scope {
    /// Threads of this process
    Threads,
    /// Processes of this host
    Host,
}

impl Scope {
    /// The address of a space of that scope.
    pub(crate) fn address(self, name: &str) -> String {
        match self {
            Self::Threads => format!("threads:{name}"),
            Self::Host => format!("host:{name}"),
        }
    }

    /// What the workers are.
    pub(crate) fn members(self) -> &'static str {
        match self {
            Self::Threads => "threads",
            Self::Host => "processes",
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definitions_agree_with_each_other() {
        Args::command().debug_assert();
    }

    #[test]
    fn workers_have_bounds() {
        let parse =
            |n: &str| Args::try_parse_from(["antiphon", "demo", "words", ".", "--workers", n]);
        assert!(parse("1").is_ok() && parse("256").is_ok());
        assert!(parse("0").is_err() && parse("257").is_err() && parse("-1").is_err());
    }
}
