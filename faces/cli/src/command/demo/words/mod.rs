//! `antiphon demo words`: a real job. Producers walk folders and put paths into a queue; workers take them, count, and send
//! each file's table to the merger; the totals are a shared value under a mutex; a semaphore bounds open files; a barrier
//! ends the counting; an event stops everybody. Members are threads or processes: nothing else differs.

mod count;
mod crew;
mod job;
mod merge;
mod message;
mod produce;
mod progress;
mod report;
mod work;

use std::sync::Arc;
use std::thread;
use std::time::Instant;

use crate::args::{Scope, Words};
use crate::exit::{Failure, Outcome};
use crew::{Crew, Failures, Kills};
use job::Job;

pub(super) fn run(options: Words) -> Result<Outcome, Failure> {
    let began = Instant::now();
    let Words { paths, scope, workers, kill } = options;
    if kill.is_some() && scope == Scope::Threads {
        return Err("a thread cannot be killed alone: --kill needs --scope host".to_owned().into());
    }
    let workers = workers.unwrap_or_else(processors);
    let job = Arc::new(Job::new(scope, workers)?);
    job.stop_at_signals().map_err(|error| error.to_string())?;

    let crew = Crew::start(scope, &job, workers, paths).inspect_err(|_| job.stop())?;
    let bar = progress::bar();
    let (failures, kills) = (Failures::of(&job), Kills::new(kill.unwrap_or(0)));
    let merged = thread::scope(|threads| {
        threads.spawn(|| progress::follow(&job, &bar));
        threads.spawn(|| crew.attend(&failures, &kills));
        let merged = merge::merge(&job, &bar);
        job.merged.count_down(1);
        merged
    })?;
    if let Some(failure) = failures.first() {
        return Err(failure.into());
    }
    if job.is_stopped() {
        return Ok(Outcome::Stopped);
    }
    let totals = *job.totals();
    let table = merged.table;
    if table.values().sum::<u64>() != totals.words {
        return Err("the tables do not add up to the totals".to_owned().into());
    }
    report::tell(&table, &totals, (scope, workers), began.elapsed())?;
    if kill.is_some() {
        report::tell_kills(kills.done(), merged.again)?;
    }
    Ok(if totals.unreadable > 0 { Outcome::Partly } else { Outcome::Done })
}

fn processors() -> u32 {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    u32::try_from(processors).unwrap_or(u32::MAX).min(crate::args::MAX_WORKERS)
}
