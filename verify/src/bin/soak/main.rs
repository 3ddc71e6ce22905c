//! Everything at once, for a long time, with deaths: memory, files and latency must not grow.
//!
//! ```text
//! soak --minutes 30 [--seed S] [--watch] [--out DIRECTORY]
//! ```
//! *Residents* live from the first minute to the last and *mayflies* are killed at random instants; all of them do a bit of
//! everything in one space. Every few seconds a sample is taken of what the residents and the space cost. After the first
//! sixth, in which caches and tables fill, a line is laid through the samples: a slope that rises beyond the noise fails.

mod crew;
mod plot;
mod record;
mod sample;
mod trades;
mod trend;

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use antiphon::Space;
use antiphon_verify::child::Child;
use antiphon_verify::random::Random;
use antiphon_verify::scratch::Scratch;
use antiphon_verify::shared::Shared;
use clap::Parser;

use crew::Crew;
use record::Record;
use sample::{Sample, Sampler};

/// Everything at once, for a long time, with deaths.
#[derive(Parser, Debug)]
#[command(name = "soak")]
struct Arguments {
    /// For how long.
    #[arg(long, value_name = "N", default_value_t = 30.0)]
    minutes: f64,
    /// What the choice of victims, instants and work depends on.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Let one resident watch for deaths, so that all notice them at once.
    #[arg(long)]
    watch: bool,
    /// Where to write the samples (soak.csv) and the plot (soak.svg).
    #[arg(long, value_name = "DIRECTORY")]
    out: Option<PathBuf>,
}

/// Samples of a run.
const SAMPLES: u32 = 180;
/// The longest time between two kills, in microseconds.
const BETWEEN_KILLS: u64 = 60_000;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let scratch = Scratch::new();
    // SAFETY: this process has one thread.
    unsafe { scratch.enter() };
    let record = Shared::<Record>::new();
    let space = Space::builder("host:soak").participants(64).open().expect("a space");
    // The space is the residents', who were there before and will be there after every mayfly.
    let mut crew = Crew::hire(&space, &record, arguments.seed, arguments.watch);
    let samples = run(&arguments, &mut crew, &scratch, &record);
    let ended = crew.dismiss(&record);
    drop(space);
    sweep(&record);
    let left = scratch.names();
    if !left.is_empty() {
        record.fault(&format!("{left:?} is left behind"));
    }
    let trends = trend::trends(&samples);
    trend::print(&trends);
    if let Some(directory) = &arguments.out {
        sample::write_csv(&samples, &directory.join("soak.csv")).expect("room for the samples");
        plot::draw(&samples, &trends, &directory.join("soak.svg")).expect("room for the plot");
    }
    println!();
    for (trade, name) in trades::NAMES.iter().enumerate() {
        println!("{name:<40} {:>10} turns", record.turns_of(trade));
    }
    let (faults, growing) = (record.faults(), trends.iter().filter(|t| t.grows()).count());
    println!(
        "\n{} kills, {} turns of {} trades, {} faults, {growing} of {} measures grow",
        record.kills(),
        record.turns(),
        trades::NAMES.len(),
        faults,
        trends.len()
    );
    if ended && faults == 0 && growing == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Kills and samples until the time is over.
fn run(
    arguments: &Arguments,
    crew: &mut Crew<'_>,
    scratch: &Scratch,
    record: &Record,
) -> Vec<Sample> {
    let mut random = Random::new(arguments.seed);
    let whole = Duration::from_secs_f64(arguments.minutes * 60.0);
    let period = whole / SAMPLES;
    let began = Instant::now();
    let mut sampler = Sampler::new(scratch, crew.residents());
    let (mut samples, terminal) = (Vec::new(), io::stderr().is_terminal());
    while began.elapsed() < whole {
        let next = period * (samples.len() as u32 + 1);
        while began.elapsed() < next {
            std::thread::sleep(Duration::from_micros(random.below(BETWEEN_KILLS)));
            crew.kill_one(&mut random, record);
        }
        if !crew.all_go_on(record) {
            record.fault("a resident hangs");
            break;
        }
        samples.push(sampler.take(began.elapsed(), record));
        if terminal {
            eprint!("\r{} kills, {} faults ", record.kills(), record.faults());
        }
    }
    if terminal {
        eprintln!();
    }
    samples
}

/// What the dead left is removed by the next who opens any space.
fn sweep(record: &Record) {
    let mut child = Child::fork(|| i32::from(Space::open("host:broom").is_err()));
    if child.wait() != antiphon_verify::child::End::Exited(0) {
        record.fault("the next open of a space fails");
    }
}
