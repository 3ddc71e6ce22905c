//! Aligned columns.

use std::io;

use super::{Text, printable};

/// What stands where there is nothing to say.
pub(crate) const NOTHING: &str = "-";

/// Rows under headings. Columns that hold numbers are aligned right.
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

struct Column {
    heading: &'static str,
    right: bool,
}

impl Table {
    /// A table with these headings; `>` before one aligns its column right.
    pub(crate) fn new(headings: &[&'static str]) -> Self {
        let column = |heading: &&'static str| match heading.strip_prefix('>') {
            Some(heading) => Column { heading, right: true },
            None => Column { heading, right: false },
        };
        Self { columns: headings.iter().map(column).collect(), rows: Vec::new() }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        assert_eq!(N, self.columns.len(), "a row has as many cells as the table has columns");
        self.rows.push(cells.iter().map(|cell| printable(cell)).collect());
    }

    /// The same without the columns in which nothing stands, but for the first.
    pub(crate) fn without_empty(mut self) -> Self {
        for i in (1..self.columns.len()).rev() {
            if self.rows.iter().all(|row| row[i] == NOTHING) {
                self.columns.remove(i);
                self.rows.iter_mut().for_each(|row| drop(row.remove(i)));
            }
        }
        self
    }

    pub(crate) fn tell(&self, text: &mut Text) -> io::Result<()> {
        let mut lines = self.lines();
        text.heading(lines.next().unwrap_or_default())?;
        lines.try_for_each(|line| text.line(line))
    }

    fn lines(&self) -> impl Iterator<Item = String> {
        let headings = self.columns.iter().map(|column| column.heading.to_owned()).collect();
        std::iter::once(headings).chain(self.rows.iter().cloned()).map(|cells| self.line(&cells))
    }

    fn line(&self, cells: &[String]) -> String {
        let mut line = String::new();
        for (i, (cell, column)) in cells.iter().zip(&self.columns).enumerate() {
            let width = self.width(i);
            let gap = if i == 0 { "" } else { "  " };
            line += gap;
            line +=
                &if column.right { format!("{cell:>width$}") } else { format!("{cell:<width$}") };
        }
        line.truncate(line.trim_end().len());
        line
    }

    fn width(&self, i: usize) -> usize {
        let cells = self.rows.iter().map(|row| row[i].chars().count());
        cells.max().unwrap_or(0).max(self.columns[i].heading.chars().count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_end_without_blanks() {
        let mut table = Table::new(&["NAME", ">SIZE", "NOTE"]);
        table.row(["long-name".into(), "1".into(), String::new()]);
        table.row(["é".into(), "12345".into(), "x\x1b[0m".into()]);
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(
            lines,
            ["NAME        SIZE  NOTE", "long-name      1", "é          12345  x\u{fffd}[0m"]
        );
    }

    #[test]
    fn columns_that_say_nothing_go() {
        let mut table = Table::new(&["A", "B", "C"]);
        table.row(["-".into(), "-".into(), "1".into()]);
        table.row(["-".into(), "-".into(), "-".into()]);
        let lines: Vec<_> = table.without_empty().lines().collect();
        assert_eq!(lines, ["A  C", "-  1", "-  -"]);
    }
}
