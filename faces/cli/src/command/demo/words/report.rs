//! What a job came to.

use std::io;
use std::time::Duration;

use super::count::Table as Counts;
use super::job::Totals;
use crate::args::Scope;
use crate::output::{Table, Text, bytes, duration};

/// How many words are shown, and how long.
const TOP: usize = 10;
const WIDTH: usize = 40;

pub(super) fn tell(
    counts: &Counts,
    totals: &Totals,
    (scope, workers): (Scope, u32),
    took: Duration,
) -> io::Result<()> {
    let mut text = Text::stdout();
    let top = top(counts);
    if !top.is_empty() {
        let mut table = Table::new(&[">COUNT", "WORD"]);
        for (word, count) in top {
            table.row([count.to_string(), shorten(word)]);
        }
        table.tell(&mut text)?;
        text.gap()?;
    }
    let Totals { words, files, unreadable, .. } = *totals;
    let different = counts.len();
    text.line(format_args!("{words} words in all, {different} different, in {files} files"))?;
    if unreadable > 0 {
        text.line(format_args!("{unreadable} could not be read"))?;
    }
    let seconds = took.as_secs_f64().max(1e-9);
    let rate = |n: u64| (n as f64 / seconds) as u64;
    text.line(format_args!(
        "{} in {} by {} {}: {}/s, {} words/s",
        bytes(totals.bytes),
        duration(took),
        workers,
        scope.members(),
        bytes(rate(totals.bytes)),
        rate(words),
    ))?;
    text.flush()
}

/// What the deaths came to.
pub(super) fn tell_kills(killed: u32, again: u64) -> io::Result<()> {
    let mut text = Text::stdout();
    text.line(format_args!(
        "{killed} workers were killed while they counted a file; {again} files were counted again"
    ))?;
    text.flush()
}

/// The most frequent words; of those as frequent, the first in the order of their characters.
fn top(counts: &Counts) -> Vec<(&str, u64)> {
    let mut words: Vec<_> = counts.iter().map(|(word, count)| (word.as_str(), *count)).collect();
    let order = |a: &(&str, u64), b: &(&str, u64)| b.1.cmp(&a.1).then(a.0.cmp(b.0));
    if words.len() > TOP {
        words.select_nth_unstable_by(TOP, order);
        words.truncate(TOP);
    }
    words.sort_unstable_by(order);
    words
}

fn shorten(word: &str) -> String {
    match word.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", &word[..end]),
        None => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_the_same_every_time() {
        let counts: Counts = ('a'..='z').map(|c| (c.to_string(), u64::from(c > 'x'))).collect();
        let words: Vec<_> = top(&counts).into_iter().map(|(word, _)| word).collect();
        assert_eq!(words, ["y", "z", "a", "b", "c", "d", "e", "f", "g", "h"]);
        assert_eq!(top(&Counts::from([("a".into(), 1)])), [("a", 1)]);
    }

    #[test]
    fn long_words_are_cut() {
        assert_eq!(shorten("word"), "word");
        assert_eq!(shorten(&"é".repeat(50)).chars().count(), 41);
    }
}
