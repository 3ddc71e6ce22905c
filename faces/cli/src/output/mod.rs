//! How answers are shown: as text for people, or as JSON for programs.

mod human;
mod json;
mod table;
mod text;

pub(crate) use human::{bytes, duration, printable, since_wall};
pub(crate) use table::{NOTHING, Table};
pub(crate) use text::Text;

use std::io;

use serde::Serialize;

use crate::args::Format;

/// An answer.
pub(crate) trait Answer: Serialize {
    /// Says it to a person.
    fn tell(&self, text: &mut Text) -> io::Result<()>;
}

/// Gives the answer on standard output.
pub(crate) fn give(answer: &impl Answer, format: Format) -> io::Result<()> {
    if format.json {
        return json::write(answer, io::stdout().lock());
    }
    let mut text = Text::stdout();
    answer.tell(&mut text)?;
    text.flush()
}
