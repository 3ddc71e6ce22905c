//! What was measured: every run, never only its summary.

use crate::placement;
use crate::plan::Figures;
use crate::stats;
use serde::Serialize;
use std::collections::BTreeMap;

/// One run of one cell.
#[derive(Debug, Serialize)]
pub struct Run {
    pub round: usize,
    /// The cache-line round trip measured just before, and its word.
    pub line_ns: f64,
    pub placement: &'static str,
    pub figures: BTreeMap<String, f64>,
}

/// All runs of one cell.
#[derive(Debug, Serialize)]
pub struct Series {
    pub row: String,
    pub subject: String,
    pub runs: Vec<Run>,
    pub failures: Vec<String>,
}

/// Everything that one invocation measured, in the order of measuring.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Book {
    pub series: Vec<Series>,
}

/// The medians of two cells over runs of the same placement.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    pub ours: f64,
    pub theirs: f64,
    pub placement: &'static str,
    /// Runs behind the smaller of the two medians' samples.
    pub runs: usize,
}

impl Book {
    pub fn add(&mut self, row: &str, subject: &str, round: usize, line_ns: f64, figures: &Figures) {
        let figures = figures.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect();
        let placement = placement::name(line_ns);
        self.at(row, subject).runs.push(Run { round, line_ns, placement, figures });
    }

    pub fn fail(&mut self, row: &str, subject: &str, why: String) {
        self.at(row, subject).failures.push(why);
    }

    fn at(&mut self, row: &str, subject: &str) -> &mut Series {
        let found = self.series.iter().position(|s| s.row == row && s.subject == subject);
        let index = found.unwrap_or_else(|| {
            self.series.push(Series {
                row: row.to_owned(),
                subject: subject.to_owned(),
                runs: Vec::new(),
                failures: Vec::new(),
            });
            self.series.len() - 1
        });
        &mut self.series[index]
    }

    pub fn get(&self, row: &str, subject: &str) -> Option<&Series> {
        self.series.iter().find(|s| s.row == row && s.subject == subject)
    }

    /// Why a cell has no figures.
    pub fn why_absent(&self, row: &str, subject: &str) -> String {
        match self.get(row, subject) {
            None => format!("no cell {row} / {subject}"),
            Some(s) => s.failures.first().cloned().unwrap_or_else(|| "no such figure".into()),
        }
    }

    /// The median of a metric over the runs of the placement that most runs had.
    pub fn median(&self, row: &str, subject: &str, metric: &str) -> Option<f64> {
        let series = self.get(row, subject)?;
        let (near, far) = (series.values(metric, "near"), series.values(metric, "far"));
        let most = if far.len() > near.len() { far } else { near };
        (!most.is_empty()).then(|| stats::median(&most))
    }

    /// The median over runs of one placement only.
    pub fn median_at(
        &self,
        row: &str,
        subject: &str,
        metric: &str,
        placement: &str,
    ) -> Option<f64> {
        let values = self.get(row, subject)?.values(metric, placement);
        (!values.is_empty()).then(|| stats::median(&values))
    }

    /// The medians of two cells, over the placement of which both have most runs.
    pub fn pair(
        &self,
        (row_a, a): (&str, &str),
        (row_b, b): (&str, &str),
        metric: &str,
    ) -> Option<Pair> {
        let (a, b) = (self.get(row_a, a)?, self.get(row_b, b)?);
        let at = |placement: &'static str| {
            let (ours, theirs) = (a.values(metric, placement), b.values(metric, placement));
            Pair {
                ours: stats::median(&ours),
                theirs: stats::median(&theirs),
                placement,
                runs: ours.len().min(theirs.len()),
            }
        };
        let (near, far) = (at("near"), at("far"));
        let best = if far.runs > near.runs { far } else { near };
        (best.runs > 0).then_some(best)
    }
}

impl Series {
    /// All values of a metric in runs of one placement.
    pub fn values(&self, metric: &str, placement: &str) -> Vec<f64> {
        let runs = self.runs.iter().filter(|run| run.placement == placement);
        runs.filter_map(|run| run.figures.get(metric).copied()).collect()
    }

    /// The metrics of this cell.
    pub fn metrics(&self) -> Vec<&str> {
        let mut names: Vec<&str> =
            self.runs.iter().flat_map(|r| r.figures.keys().map(String::as_str)).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}
