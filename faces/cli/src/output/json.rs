//! Answers for programs.

use std::io::{self, Write};

use serde::Serialize;

/// Changes when a field changes its meaning or goes; new fields do not change it.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Envelope<'a, T> {
    schema: u32,
    #[serde(flatten)]
    answer: &'a T,
}

/// Writes one line per field, and a line end.
pub(super) fn write<T: Serialize>(answer: &T, mut to: impl Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut to, &Envelope { schema: SCHEMA, answer })
        .map_err(io::Error::from)?;
    writeln!(to)
}
