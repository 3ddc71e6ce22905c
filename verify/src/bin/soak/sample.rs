//! What a soak costs at one instant.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use antiphon_verify::scratch::Scratch;

use crate::crew::cost_of;
use crate::record::Record;

/// The measures, and whether more of it is worse (throughput is stated only).
pub(crate) const MEASURES: [(&str, bool); 8] = [
    ("private memory of the residents, MiB", true),
    ("open files of the residents", true),
    ("files of the spaces", true),
    ("memory of the spaces, MiB", true),
    ("turn of a resident, p50, us", true),
    ("turn of a resident, p99, us", true),
    ("thousand turns a second", false),
    ("kills a second", false),
];

/// All measures at one instant.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// Since the beginning, in minutes.
    pub(crate) at: f64,
    pub(crate) values: [f64; MEASURES.len()],
}

/// Takes samples.
pub(crate) struct Sampler<'a> {
    scratch: &'a Scratch,
    residents: Vec<i32>,
    /// When the last one was taken, and what was counted then.
    last: (Duration, u64, u64),
}

const MIB: f64 = 1024.0 * 1024.0;

impl<'a> Sampler<'a> {
    pub(crate) fn new(scratch: &'a Scratch, residents: Vec<i32>) -> Self {
        Self { scratch, residents, last: (Duration::ZERO, 0, 0) }
    }

    pub(crate) fn take(&mut self, now: Duration, record: &Record) -> Sample {
        let costs = self.residents.iter().filter_map(|pid| cost_of(*pid));
        let (memory, open) = costs.fold((0, 0), |(m, o), (memory, open)| (m + memory, o + open));
        let (files, bytes) = contents(self.scratch.path());
        let [p50, p99] = record.latencies();
        let (turns, kills) = (record.turns(), record.kills());
        let (then, turns_then, kills_then) = std::mem::replace(&mut self.last, (now, turns, kills));
        let seconds = (now - then).as_secs_f64();
        let values = [
            memory as f64 / MIB,
            open as f64,
            files as f64,
            bytes as f64 / MIB,
            p50 / 1e3,
            p99 / 1e3,
            (turns - turns_then) as f64 / seconds / 1e3,
            (kills - kills_then) as f64 / seconds,
        ];
        Sample { at: now.as_secs_f64() / 60.0, values }
    }
}

/// Files and bytes of memory in a directory and those in it. What vanishes meanwhile does not count.
fn contents(path: &Path) -> (u64, u64) {
    let (mut files, mut bytes) = (0, 0);
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        let Ok(data) = entry.metadata() else { continue };
        if data.is_dir() {
            let inside = contents(&entry.path());
            files += inside.0;
            bytes += inside.1;
        } else {
            files += 1;
            bytes += data.blocks() * 512;
        }
    }
    (files, bytes)
}

/// Writes the samples as a table.
pub(crate) fn write_csv(samples: &[Sample], path: &Path) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    let names: Vec<_> = MEASURES.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    writeln!(file, "minutes,{}", names.join(","))?;
    for sample in samples {
        let values: Vec<_> = sample.values.iter().map(|value| format!("{value:.3}")).collect();
        writeln!(file, "{:.3},{}", sample.at, values.join(","))?;
    }
    Ok(())
}
