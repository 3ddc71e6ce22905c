//! The command line.

use crate::plan::Effort;
use lexopt::prelude::*;
use std::path::{Path, PathBuf};

const USAGE: &str = "usage: antiphon-bench sync|queue [--quick] [--rounds N] [--only ROW]... [--name NAME]
  --quick      run everything once, briefly: shows that it works, measures nothing; writes beside the build
  --rounds N   interleaved rounds (11; 1 with --quick)
  --only ROW   only rows whose name contains ROW; the others are reported as not measured
  --name NAME  name of the results (the date)";

/// Which half of the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    Sync,
    Queue,
}

impl Half {
    pub fn title(self) -> &'static str {
        match self {
            Self::Sync => "Synchronization",
            Self::Queue => "Queues",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Queue => "queue",
        }
    }
}

/// What to run, and where the results go.
#[derive(Debug)]
pub struct Options {
    pub half: Half,
    pub effort: Effort,
    pub only: Vec<String>,
    pub folder: PathBuf,
    pub date: String,
    name: Option<String>,
}

impl Options {
    pub fn parse() -> Result<Self, lexopt::Error> {
        let (mut half, mut quick, mut rounds, mut only, mut name) =
            (None, false, None, vec![], None);
        let mut parser = lexopt::Parser::from_env();
        while let Some(arg) = parser.next()? {
            match arg {
                Value(word) if half.is_none() && word == "sync" => half = Some(Half::Sync),
                Value(word) if half.is_none() && word == "queue" => half = Some(Half::Queue),
                Long("quick") => quick = true,
                Long("rounds") => rounds = Some(parser.value()?.parse()?),
                Long("only") => only.push(parser.value()?.string()?),
                Long("name") => name = Some(parser.value()?.string()?),
                Long("help") | Short('h') => {
                    println!("{USAGE}");
                    std::process::exit(0);
                }
                other => return Err(other.unexpected()),
            }
        }
        let half = half.ok_or(USAGE)?;
        let rounds = rounds.unwrap_or(if quick { 1 } else { 11 });
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = here.join(if quick { "target/quick" } else { "results" });
        let effort = Effort { quick, rounds };
        Ok(Self { half, effort, only, folder, date: today(), name })
    }

    /// The name of the result files, without extension.
    pub fn stem(&self) -> String {
        format!("{}-{}", self.half.word(), self.name.as_deref().unwrap_or(&self.date))
    }
}

/// The date in UTC, as `2026-01-31`.
fn today() -> String {
    // SAFETY: all zero is a valid `tm`; both calls get valid places.
    unsafe {
        let now = libc::time(std::ptr::null_mut());
        let mut tm: libc::tm = std::mem::zeroed();
        libc::gmtime_r(&now, &mut tm);
        format!("{:04}-{:02}-{:02}", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday)
    }
}
