//! What travels to the merger: a file's table, in as many messages as it takes.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::count::Table;

/// Bytes of a message, without what frames it.
pub(super) const LIMIT: usize = 64 * 1024;
/// More than a message's frame, names of fields included, and more than a count with the head of its word.
const FRAME: usize = 256;
const ENTRY: usize = 16;
/// The most bytes of a message.
pub(super) const LONGEST: usize = LIMIT + FRAME;

/// One counting of one file. A file is counted again when whoever counted it died.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) struct Count {
    /// Another number for every file.
    pub(super) file: u64,
    /// Another number each time.
    pub(super) attempt: u32,
}

/// A message to the merger.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Message {
    /// A part of a table.
    Counts { count: Count, counts: Vec<(String, u64)> },
    /// The beginning of a word too long for one message; the first word of this count's next message goes on with it.
    Beginning { count: Count, text: String },
    /// There is no more of it: so many words and bytes.
    Done { count: Count, words: u64, bytes: u64 },
    /// Something could not be read: a file that was found, or a path on the way to some.
    Unreadable { count: Option<Count>, path: String, why: String },
}

impl Message {
    /// A complaint that fits.
    pub(super) fn unreadable(count: Option<Count>, path: &str, why: &str) -> Self {
        let shorten = |text: &str| text.chars().take(LIMIT / 16).collect();
        Self::Unreadable { count, path: shorten(path), why: shorten(why) }
    }
}

/// Cuts a table into messages.
pub(super) fn messages(count: Count, table: Table) -> impl Iterator<Item = Message> {
    let mut entries = table.into_iter();
    let mut next = entries.next();
    std::iter::from_fn(move || {
        let mut counts = Vec::new();
        let mut room = LIMIT;
        while let Some((mut word, times)) = next.take() {
            let size = word.len() + ENTRY;
            if size <= room {
                room -= size;
                counts.push((word, times));
                next = entries.next();
            } else if counts.is_empty() {
                // Too long for any message. The rest of it begins the next.
                next = Some((word.split_off(boundary(&word)), times));
                return Some(Message::Beginning { count, text: word });
            } else {
                next = Some((word, times));
                break;
            }
        }
        (!counts.is_empty()).then_some(Message::Counts { count, counts })
    })
}

/// The last place before the limit where a word may be cut.
fn boundary(word: &str) -> usize {
    (0..=LIMIT).rev().find(|at| word.is_char_boundary(*at)).unwrap_or(0)
}

/// Puts tables together again.
///
/// Merging is idempotent: a table counts when all of it has come, and the first whole table of a file is the only one that does.
#[derive(Debug, Default)]
pub(super) struct Merger {
    pub(super) table: Table,
    /// Files that were counted more than once.
    pub(super) again: u64,
    /// Tables that have begun.
    begun: HashMap<Count, Begun>,
    /// Files that have been merged.
    merged: HashSet<u64>,
}

#[derive(Debug, Default)]
struct Begun {
    table: Table,
    /// The beginning of a word.
    word: String,
}

/// What a message came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// A part of something.
    Part,
    /// A file is in the table: so many words and bytes.
    Merged { words: u64, bytes: u64 },
    /// What could not be read, and why.
    Complaint { path: String, why: String },
}

impl Merger {
    pub(super) fn take(&mut self, message: Message) -> Taken {
        match message {
            Message::Unreadable { count, path, why } => {
                if count.is_none_or(|count| self.is_first(count)) {
                    return Taken::Complaint { path, why };
                }
            }
            Message::Beginning { count, text } => {
                self.begun.entry(count).or_default().word.push_str(&text);
            }
            Message::Counts { count, mut counts } => {
                let begun = self.begun.entry(count).or_default();
                if let Some((rest, _)) = counts.first_mut() {
                    let mut word = std::mem::take(&mut begun.word);
                    word.push_str(rest);
                    *rest = word;
                }
                for (word, times) in counts {
                    *begun.table.entry(word).or_default() += times;
                }
            }
            Message::Done { count, words, bytes } => {
                let begun = self.begun.remove(&count).unwrap_or_default();
                if self.is_first(count) {
                    for (word, times) in begun.table {
                        *self.table.entry(word).or_default() += times;
                    }
                    return Taken::Merged { words, bytes };
                }
            }
        }
        Taken::Part
    }

    fn is_first(&mut self, count: Count) -> bool {
        self.again += u64::from(count.attempt > 1);
        self.merged.insert(count.file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn count(file: u64, attempt: u32) -> Count {
        Count { file, attempt }
    }

    const fn done(count: Count) -> Message {
        Message::Done { count, words: 1, bytes: 2 }
    }

    const MERGED: Taken = Taken::Merged { words: 1, bytes: 2 };

    fn there_and_back(table: &Table) -> Table {
        let mut merger = Merger::default();
        for message in messages(count(3, 1), table.clone()) {
            let bytes = serde_json::to_vec(&message).unwrap().len();
            assert!(bytes <= LONGEST, "{bytes}");
            assert_eq!(merger.take(message), Taken::Part);
        }
        assert!(merger.table.is_empty(), "nothing counts before all is there");
        assert_eq!(merger.take(done(count(3, 1))), MERGED);
        assert!(merger.begun.is_empty());
        merger.table
    }

    #[test]
    fn an_empty_table_needs_no_message() {
        assert_eq!(messages(count(0, 1), Table::new()).count(), 0);
    }

    #[test]
    fn a_table_arrives_whole() {
        let table: Table = (0..50_000).map(|n| (format!("word{n}"), n + 1)).collect();
        assert!(messages(count(0, 1), table.clone()).count() > 10);
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
    fn counts_do_not_mix() {
        let long = |c: &str| Table::from([(c.repeat(LIMIT * 2), 1)]);
        let (mut a, mut b) = (messages(count(1, 1), long("a")), messages(count(2, 1), long("b")));
        let mut merger = Merger::default();
        while let (Some(a), Some(b)) = (a.next(), b.next()) {
            assert_eq!(merger.take(a), Taken::Part);
            assert_eq!(merger.take(b), Taken::Part);
        }
        merger.take(done(count(1, 1)));
        merger.take(done(count(2, 1)));
        assert_eq!(merger.table.len(), 2);
        assert!(merger.table.keys().all(|word| word.len() == LIMIT * 2));
    }

    #[test]
    fn a_file_counts_once_however_often_it_comes() {
        let table: Table = (0..20_000).map(|n| (format!("word{n}"), 1)).collect();
        let mut merger = Merger::default();
        // The first who counts it dies half way, the second dies after all of it, and the third is too late.
        messages(count(7, 1), table.clone()).take(2).for_each(|m| drop(merger.take(m)));
        for attempt in [2, 3] {
            messages(count(7, attempt), table.clone()).for_each(|m| drop(merger.take(m)));
            let taken = merger.take(done(count(7, attempt)));
            assert_eq!(taken == MERGED, attempt == 2);
        }
        assert_eq!(merger.table, table);
    }
}
