//! Does a measure grow? A straight line through its samples, and how sure that line is.

use crate::sample::{MEASURES, Sample};

/// The share of a run that is left out: caches and tables fill.
const WARM_UP: f64 = 1.0 / 6.0;
/// Growth over the whole run below this share of the mean is none that anybody would notice.
const NEGLIGIBLE: f64 = 0.05;
/// Slopes are noise up to so many standard errors. Samples that follow each other are alike, so three would be too few.
const ERRORS: f64 = 6.0;

/// The line through the samples of a measure.
#[derive(Clone, Debug)]
pub(crate) struct Trend {
    pub(crate) measure: usize,
    pub(crate) mean: f64,
    /// Per minute.
    pub(crate) slope: f64,
    error: f64,
    pub(crate) from: f64,
    pub(crate) to: f64,
}

impl Trend {
    fn of(measure: usize, samples: &[Sample]) -> Self {
        let n = samples.len() as f64;
        let value = |sample: &Sample| sample.values[measure];
        let mean = samples.iter().map(value).sum::<f64>() / n;
        let middle = samples.iter().map(|s| s.at).sum::<f64>() / n;
        let spread: f64 = samples.iter().map(|s| (s.at - middle).powi(2)).sum();
        let together: f64 = samples.iter().map(|s| (s.at - middle) * (value(s) - mean)).sum();
        let slope = together / spread;
        let off = |s: &Sample| value(s) - mean - slope * (s.at - middle);
        let rest: f64 = samples.iter().map(|s| off(s).powi(2)).sum();
        let error = (rest / (n - 2.0) / spread).sqrt();
        let (from, to) = (samples[0].at, samples[samples.len() - 1].at);
        Self { measure, mean, slope, error, from, to }
    }

    /// How much the line rises from its beginning to its end.
    fn rise(&self) -> f64 {
        self.slope * (self.to - self.from)
    }

    /// The line at an instant.
    pub(crate) fn at(&self, minute: f64) -> f64 {
        self.mean + self.slope * (minute - (self.from + self.to) / 2.0)
    }

    /// Is it worse at the end than at the beginning, beyond what noise explains?
    pub(crate) fn grows(&self) -> bool {
        let (_, matters) = MEASURES[self.measure];
        matters && self.slope > ERRORS * self.error && self.rise() > NEGLIGIBLE * self.mean
    }
}

/// The trends of all measures, without the beginning.
pub(crate) fn trends(samples: &[Sample]) -> Vec<Trend> {
    let Some(last) = samples.last() else { return Vec::new() };
    let first = samples.partition_point(|sample| sample.at < last.at * WARM_UP);
    let rest = &samples[first..];
    if rest.len() < 3 {
        return Vec::new();
    }
    (0..MEASURES.len()).map(|measure| Trend::of(measure, rest)).collect()
}

pub(crate) fn print(trends: &[Trend]) {
    println!("{:<40} {:>10} {:>12} {:>10}  verdict", "measure", "mean", "rise in all", "+-");
    for trend in trends {
        let (name, matters) = MEASURES[trend.measure];
        let verdict = match (matters, trend.grows()) {
            (false, _) => "stated",
            (true, false) => "does not grow",
            (true, true) => "GROWS",
        };
        let noise = trend.error * (trend.to - trend.from);
        println!("{name:<40} {:>10.2} {:>12.3} {noise:>10.3}  {verdict}", trend.mean, trend.rise());
    }
}
