//! Text for people: bold headings on a terminal, plain everywhere else.

use std::env;
use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use super::printable;

/// Standard output, with what a terminal adds.
pub(crate) struct Text {
    out: BufWriter<Stdout>,
    styled: bool,
}

impl Text {
    pub(crate) fn stdout() -> Self {
        let out = io::stdout();
        let plain = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || env::var_os("TERM").is_none_or(|term| term == "dumb");
        let styled = out.is_terminal() && !plain;
        Self { out: BufWriter::new(out), styled }
    }

    /// A line that names what follows.
    pub(crate) fn heading(&mut self, line: impl Display) -> io::Result<()> {
        let line = printable(&line.to_string());
        if self.styled {
            writeln!(self.out, "\x1b[1m{line}\x1b[0m")
        } else {
            writeln!(self.out, "{line}")
        }
    }

    pub(crate) fn line(&mut self, line: impl Display) -> io::Result<()> {
        writeln!(self.out, "{}", printable(&line.to_string()))
    }

    pub(crate) fn gap(&mut self) -> io::Result<()> {
        writeln!(self.out)
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
