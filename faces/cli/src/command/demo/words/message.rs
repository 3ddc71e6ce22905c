//! What travels to the merger: a file's table, in as many messages as it takes.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::count::Table;

/// Bytes of a message, without what frames it.
pub(super) const LIMIT: usize = 64 * 1024;
/// More than a message's frame, names of fields included, and more than a count with the head of its word.
const FRAME: usize = 256;
const ENTRY: usize = 16;
/// The most bytes of a message.
pub(super) const LONGEST: usize = LIMIT + FRAME;

/// A message to the merger.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Message {
    /// A part of a table.
    Counts { worker: u32, counts: Vec<(String, u64)> },
    /// The beginning of a word too long for one message; the first word of this worker's next message goes on with it.
    Beginning { worker: u32, text: String },
    /// Something could not be read.
    Unreadable { path: String, why: String },
}

impl Message {
    /// A complaint that fits.
    pub(super) fn unreadable(path: &str, why: &str) -> Self {
        let shorten = |text: &str| text.chars().take(LIMIT / 16).collect();
        Self::Unreadable { path: shorten(path), why: shorten(why) }
    }
}

/// Cuts a table into messages.
pub(super) fn messages(worker: u32, table: Table) -> impl Iterator<Item = Message> {
    let mut entries = table.into_iter();
    let mut next = entries.next();
    std::iter::from_fn(move || {
        let mut counts = Vec::new();
        let mut room = LIMIT;
        while let Some((mut word, count)) = next.take() {
            let size = word.len() + ENTRY;
            if size <= room {
                room -= size;
                counts.push((word, count));
                next = entries.next();
            } else if counts.is_empty() {
                // Too long for any message. The rest of it begins the next.
                next = Some((word.split_off(boundary(&word)), count));
                return Some(Message::Beginning { worker, text: word });
            } else {
                next = Some((word, count));
                break;
            }
        }
        (!counts.is_empty()).then_some(Message::Counts { worker, counts })
    })
}

/// The last place before the limit where a word may be cut.
fn boundary(word: &str) -> usize {
    (0..=LIMIT).rev().find(|at| word.is_char_boundary(*at)).unwrap_or(0)
}

/// Puts tables together again.
#[derive(Debug, Default)]
pub(super) struct Merger {
    pub(super) table: Table,
    /// Beginnings of words, by worker.
    begun: HashMap<u32, String>,
}

impl Merger {
    /// Takes a message; gives it back if it is a complaint.
    pub(super) fn take(&mut self, message: Message) -> Option<(String, String)> {
        match message {
            Message::Unreadable { path, why } => return Some((path, why)),
            Message::Beginning { worker, text } => {
                self.begun.entry(worker).or_default().push_str(&text);
            }
            Message::Counts { worker, mut counts } => {
                if let Some(mut word) = self.begun.remove(&worker)
                    && let Some((rest, _)) = counts.first_mut()
                {
                    word.push_str(rest);
                    *rest = word;
                }
                for (word, count) in counts {
                    *self.table.entry(word).or_default() += count;
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(table: &Table) -> Table {
        let mut merger = Merger::default();
        for message in messages(3, table.clone()) {
            let bytes = serde_json::to_vec(&message).unwrap().len();
            assert!(bytes <= LONGEST, "{bytes}");
            assert_eq!(merger.take(message), None);
        }
        assert!(merger.begun.is_empty());
        merger.table
    }

    #[test]
    fn an_empty_table_needs_no_message() {
        assert_eq!(messages(0, Table::new()).count(), 0);
    }

    #[test]
    fn a_table_arrives_whole() {
        let table: Table = (0..50_000).map(|n| (format!("word{n}"), n + 1)).collect();
        assert!(messages(0, table.clone()).count() > 10);
        assert_eq!(there_and_back(&table), table);
    }

    #[test]
    fn words_of_any_length_arrive_whole() {
        for lengths in
            [&[LIMIT - ENTRY][..], &[LIMIT], &[LIMIT * 3 + 7], &[LIMIT - 1, LIMIT * 2, 1, 5]]
        {
            let word = |(i, n): (usize, &usize)| ("é".repeat(n / 2) + &"x".repeat(n % 2 + i), 7);
            let table: Table = lengths.iter().enumerate().map(word).collect();
            assert_eq!(there_and_back(&table), table);
        }
    }

    #[test]
    fn workers_do_not_mix() {
        let long = |c: &str| Table::from([(c.repeat(LIMIT * 2), 1)]);
        let (mut a, mut b) = (messages(1, long("a")), messages(2, long("b")));
        let mut merger = Merger::default();
        while let (Some(a), Some(b)) = (a.next(), b.next()) {
            assert_eq!(merger.take(a), None);
            assert_eq!(merger.take(b), None);
        }
        assert_eq!(merger.table.len(), 2);
        assert!(merger.table.keys().all(|word| word.len() == LIMIT * 2));
    }
}
