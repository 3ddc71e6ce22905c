//! From text to a table of words.

use std::collections::HashMap;
use std::str;

/// How often each word occurs.
pub(super) type Table = HashMap<String, u64>;

/// Counts the words of a text that comes in pieces, cut anywhere.
///
/// A word is a run of alphanumeric characters, as long as it gets, in lower case. What is not UTF-8 separates words.
#[derive(Debug, Default)]
pub(super) struct Counter {
    table: Table,
    words: u64,
    /// The word that has begun.
    word: String,
    /// The bytes that have begun a character.
    cut: Vec<u8>,
}

impl Counter {
    /// The next piece.
    pub(super) fn feed(&mut self, mut piece: &[u8]) {
        while let Some(lead) = self.cut.first()
            && !piece.is_empty()
        {
            let missing = length(*lead) - self.cut.len();
            let (end, rest) = piece.split_at(missing.min(piece.len()));
            let joined = [&*std::mem::take(&mut self.cut), end].concat();
            self.text(&joined);
            piece = rest;
        }
        self.text(piece);
    }

    /// The table, and the number of words in it.
    pub(super) fn finish(mut self) -> (Table, u64) {
        // A character that never came to its end was none.
        self.end_word();
        (self.table, self.words)
    }

    fn text(&mut self, bytes: &[u8]) {
        for chunk in bytes.utf8_chunks() {
            self.characters(chunk.valid());
            let bad = chunk.invalid();
            let ends_here = bad.as_ptr_range().end == bytes.as_ptr_range().end;
            let is_cut = str::from_utf8(bad).is_err_and(|error| error.error_len().is_none());
            if ends_here && is_cut {
                self.cut = bad.to_vec();
            } else if !bad.is_empty() {
                self.end_word();
            }
        }
    }

    fn characters(&mut self, text: &str) {
        for (i, part) in text.split(|c: char| !c.is_alphanumeric()).enumerate() {
            if i > 0 {
                self.end_word();
            }
            self.word.push_str(part);
        }
    }

    fn end_word(&mut self) {
        if self.word.is_empty() {
            return;
        }
        if self.word.is_ascii() {
            self.word.make_ascii_lowercase();
        } else {
            self.word = self.word.to_lowercase();
        }
        self.words += 1;
        match self.table.get_mut(&self.word) {
            Some(count) => *count += 1,
            None => {
                self.table.insert(self.word.clone(), 1);
            }
        }
        self.word.clear();
    }
}

/// Bytes of a character that begins with this one.
fn length(lead: u8) -> usize {
    match lead {
        0xf0.. => 4,
        0xe0.. => 3,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXTS: [&[u8]; 9] = [
        b"",
        b"...",
        b"One two, TWO; three three THREE",
        "Straße STRASSE ΌΣΟΣ 東京 x²y naïve NAÏVE İstanbul".as_bytes(),
        b"bad\xffbytes \xe6\x9d\xb1\xe4\xba cut \xf0\x9f\x8e",
        b"\xe6\x9d",
        b"\x80\x80word\x80",
        b"a\xc3b\xc3\xa9c",
        b"1st 2nd 1ST under_score don't",
    ];

    /// The same, in the plainest way.
    fn plainly(text: &[u8]) -> Table {
        let mut table = Table::new();
        let text = String::from_utf8_lossy(text);
        for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            *table.entry(word.to_lowercase()).or_default() += 1;
        }
        table
    }

    #[test]
    fn it_counts_as_the_plain_way_does_however_the_text_is_cut() {
        for text in TEXTS {
            let expected = plainly(text);
            for size in 1..=text.len().max(1) {
                let mut counter = Counter::default();
                text.chunks(size).for_each(|piece| counter.feed(piece));
                let (table, words) = counter.finish();
                assert_eq!(table, expected, "{text:?} in pieces of {size}");
                assert_eq!(words, expected.values().sum::<u64>());
            }
        }
    }

    #[test]
    fn words_are_runs_of_letters_and_digits() {
        let mut counter = Counter::default();
        counter.feed("Don't 1st_Ähre x\u{301}".as_bytes());
        let mut words: Vec<_> = counter.finish().0.into_keys().collect();
        words.sort();
        assert_eq!(words, ["1st", "don", "t", "x", "ähre"]);
    }
}
