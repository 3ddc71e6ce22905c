//! Runs the plan: row by row, in each row round by round, in each round every subject once (A, B, C, A, B, C, ...).

use crate::placement;
use crate::plan::{Cell, Effort};
use crate::record::Book;
use std::time::Instant;

/// Runs every cell whose row contains `only`. A subject that failed twice in a row is not tried again.
pub fn run(cells: &[Cell], effort: Effort, only: &[String]) -> Book {
    let mut book = Book::default();
    let mut rows: Vec<&str> = Vec::new();
    for cell in cells {
        let wanted = only.is_empty() || only.iter().any(|o| cell.row.contains(o.as_str()));
        if wanted && !rows.contains(&cell.row.as_str()) {
            rows.push(&cell.row);
        }
    }
    for row in rows {
        let subjects: Vec<&Cell> = cells.iter().filter(|c| c.row == row).collect();
        let begun = Instant::now();
        for round in 0..effort.rounds {
            for cell in &subjects {
                if round < cell.rounds && failures(&book, cell) < 2 {
                    run_once(&mut book, cell, round, effort);
                }
            }
        }
        eprintln!("{row}: {} subjects in {:.1} s", subjects.len(), begun.elapsed().as_secs_f64());
    }
    book
}

fn failures(book: &Book, cell: &Cell) -> usize {
    book.get(&cell.row, cell.subject).map_or(0, |s| s.failures.len())
}

fn run_once(book: &mut Book, cell: &Cell, round: usize, effort: Effort) {
    let line = placement::line_round_trip().unwrap_or(0.0);
    match (cell.run)(effort) {
        Ok(figures) => book.add(&cell.row, cell.subject, round, line, &figures),
        Err(why) => {
            eprintln!("{} / {}: {why}", cell.row, cell.subject);
            book.fail(&cell.row, cell.subject, why);
        }
    }
}
