//! Who died, holding what, since when, where.

use std::fmt;
use std::time::Duration;

/// The end of an owner while it held something, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Death {
    /// How it ended.
    pub cause: Cause,
    /// What it called itself, or the name of its program; empty if that is no longer known.
    pub who: String,
    /// Its process id, in its own pid namespace; 0 if unknown.
    pub pid: u32,
    /// The thread that held, 0 if unknown.
    pub thread: u32,
    /// Where in the source it acquired, as `file:line`.
    pub site: Option<String>,
    /// How long it had held at least when its end was noticed; `None` when nobody had to wait for it.
    pub held: Option<Duration>,
}

pub use antiphon_place::Cause;

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = if self.who.is_empty() { "its owner" } else { &self.who };
        write!(f, "{who}")?;
        if self.pid != 0 {
            write!(f, " (pid {}, thread {})", self.pid, self.thread)?;
        }
        f.write_str(match self.cause {
            Cause::Died => " died holding it",
            Cause::LeftHolding => " left holding it",
            Cause::Panicked => " panicked holding it",
        })?;
        if let Some(held) = self.held {
            write!(f, " for at least {held:.1?}")?;
        }
        if let Some(site) = &self.site {
            write!(f, ", acquired at {site}")?;
        }
        Ok(())
    }
}
