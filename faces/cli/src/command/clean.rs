//! `antiphon clean`: clear away what the dead left.

use std::io;

use antiphon::inspect::list_spaces;
use serde::Serialize;

use crate::args::Format;
use crate::exit::{Failure, Outcome};
use crate::output::{Answer, Text, give};

pub(super) fn run(dry_run: bool, format: Format) -> Result<Outcome, Failure> {
    // Whether there is a place that may be looked into at all.
    list_spaces()?;
    let spaces = antiphon::inspect::clean(dry_run);
    give(&Cleaned { dry_run, spaces }, format)?;
    Ok(Outcome::Done)
}

#[derive(Serialize)]
struct Cleaned {
    dry_run: bool,
    spaces: Vec<String>,
}

impl Answer for Cleaned {
    fn tell(&self, text: &mut Text) -> io::Result<()> {
        let did = if self.dry_run { "would remove" } else { "removed" };
        if self.spaces.is_empty() {
            return text.line("Nothing was left by the dead.");
        }
        self.spaces.iter().try_for_each(|space| text.line(format_args!("{did} {space}")))
    }
}
