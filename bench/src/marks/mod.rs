//! The marks to reach, and whether they were. One [`Mark`] per row of the table, none left out.

mod queue;
mod sync;

pub use queue::marks as queue;
pub use sync::marks as sync;

use crate::record::Book;
use crate::report::markdown::number;
use serde::{Serialize, Serializer};
use std::fmt;

/// Our subject's name in every row.
pub const OURS: &str = "antiphon";

/// What became of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Verdict {
    Met,
    NotMeasured,
    Missed,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Met => "MET",
            Self::Missed => "MISSED",
            Self::NotMeasured => "NOT MEASURED",
        })
    }
}

/// On which side of its bar a value must be.
#[derive(Clone, Copy, Debug, Serialize)]
pub enum Bar {
    AtMost(f64),
    AtLeast(f64),
    /// Reported, never judged.
    Stated,
}

/// One comparison.
#[derive(Clone, Debug)]
pub struct Check {
    pub what: String,
    pub bar: Bar,
    /// The value to judge, or why there is none.
    pub value: Result<f64, String>,
    /// How the value came about.
    pub from: String,
}

impl Check {
    /// A value by itself.
    pub fn value(what: impl Into<String>, bar: Bar, value: Result<f64, String>) -> Self {
        Self { what: what.into(), bar, value, from: String::new() }
    }

    /// The ratio of our median to theirs over runs of one placement.
    pub fn ratio(
        book: &Book,
        what: impl Into<String>,
        bar: Bar,
        ours: (&str, &str),
        theirs: (&str, &str),
        metric: &str,
    ) -> Self {
        let pair = book.pair(ours, theirs, metric);
        let absent = || {
            let silent =
                [ours, theirs].into_iter().find(|s| book.median(s.0, s.1, metric).is_none());
            silent.map_or("no runs of the same placement".to_owned(), |(row, subject)| {
                format!("{subject}: {}", book.why_absent(row, subject))
            })
        };
        Self {
            what: what.into(),
            bar,
            value: pair.map(|p| p.ours / p.theirs).ok_or_else(absent),
            from: pair.map_or(String::new(), |p| {
                let (ours, theirs) = (number(p.ours), number(p.theirs));
                format!("{ours} / {theirs} {metric}, {}, {} runs", p.placement, p.runs)
            }),
        }
    }

    pub fn verdict(&self) -> Verdict {
        match (&self.value, self.bar) {
            (Err(_), _) => Verdict::NotMeasured,
            (Ok(v), Bar::AtMost(bar)) if *v > bar || v.is_nan() => Verdict::Missed,
            (Ok(v), Bar::AtLeast(bar)) if *v < bar || v.is_nan() => Verdict::Missed,
            _ => Verdict::Met,
        }
    }

    /// How many times better than the bar; below 1 is a miss. `None`: nothing to compare.
    pub fn margin(&self) -> Option<f64> {
        let value = *self.value.as_ref().ok()?;
        match self.bar {
            // A count of nothing has no ratio; half a unit keeps it on the scale.
            Bar::AtMost(bar) => {
                Some((bar + 0.5 * f64::from(bar == 0.0)) / value.max(0.5 * f64::from(bar == 0.0)))
            }
            Bar::AtLeast(bar) => Some(value / bar),
            Bar::Stated => None,
        }
    }

    /// One line of the table.
    pub fn words(&self) -> String {
        let bar = match self.bar {
            Bar::AtMost(bar) => format!(" (at most {})", number(bar)),
            Bar::AtLeast(bar) => format!(" (at least {})", number(bar)),
            Bar::Stated => String::new(),
        };
        let from = if self.from.is_empty() { String::new() } else { format!(" [{}]", self.from) };
        match (&self.value, self.bar) {
            (Err(why), _) => format!("{}{bar}: NOT MEASURED, {why}", self.what),
            (Ok(v), Bar::Stated) => format!("{}: {}{from}", self.what, number(*v)),
            (Ok(v), _) => format!("{}{bar}: {}, {}{from}", self.what, number(*v), self.verdict()),
        }
    }
}

impl Serialize for Check {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut check = serializer.serialize_struct("Check", 6)?;
        check.serialize_field("what", &self.what)?;
        check.serialize_field("bar", &self.bar)?;
        check.serialize_field("value", &self.value.as_ref().ok())?;
        check.serialize_field("why_not", &self.value.as_ref().err())?;
        check.serialize_field("from", &self.from)?;
        check.serialize_field("verdict", &self.verdict().to_string())?;
        check.end()
    }
}

/// One row of the table.
#[derive(Clone, Debug, Serialize)]
pub struct Mark {
    pub work: &'static str,
    pub bar: &'static str,
    /// Met only if every check is; missed if any is.
    pub verdict: Verdict,
    pub checks: Vec<Check>,
}

impl Mark {
    pub fn new(work: &'static str, bar: &'static str, checks: Vec<Check>) -> Self {
        let judged = checks.iter().filter(|c| !matches!(c.bar, Bar::Stated) || c.value.is_err());
        let verdict = judged.map(Check::verdict).max().unwrap_or(Verdict::NotMeasured);
        Self { work, bar, verdict, checks }
    }
}
