//! `antiphon demo words`: a real job. Producers walk folders and put paths into a queue; workers take them, count, and send
//! each file's table to the merger; the totals are a shared value under a mutex; a semaphore bounds open files; a barrier
//! ends the counting; an event stops everybody. Members are threads or processes: nothing else differs.

mod count;
mod job;
mod merge;
mod message;
mod produce;
mod progress;
mod report;
mod work;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use antiphon::space::Shutdown;

use super::member::Member;
use crate::args::{Scope, Words};
use crate::exit::{Failure, Outcome};
use job::Job;

/// More producers would wait for the same disk.
const MOST_PRODUCERS: usize = 4;

pub(super) fn run(options: Words) -> Result<Outcome, Failure> {
    let began = Instant::now();
    let Words { paths, scope, workers } = options;
    let workers = workers.unwrap_or_else(processors);
    let job = Arc::new(Job::new(scope, workers)?);
    job.stop_at_signals().map_err(|error| error.to_string())?;

    let crew = Crew::start(scope, &job, workers, paths).inspect_err(|_| job.stop())?;
    let bar = progress::bar();
    let failures = Failures { job: &job, said: Mutex::default() };
    let table = thread::scope(|threads| {
        threads.spawn(|| progress::follow(&job, &bar));
        threads.spawn(|| crew.attend(&failures));
        let table = merge::merge(&job, &bar);
        job.merged.count_down(1);
        table
    })?;
    if let Some(failure) = failures.first() {
        return Err(failure.into());
    }
    if job.is_stopped() {
        return Ok(Outcome::Stopped);
    }
    let totals = *job.totals();
    if table.values().sum::<u64>() != totals.words {
        return Err("the tables do not add up to the totals".to_owned().into());
    }
    report::tell(&table, &totals, (scope, workers), began.elapsed())?;
    Ok(if totals.unreadable > 0 { Outcome::Partly } else { Outcome::Done })
}

fn processors() -> u32 {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    u32::try_from(processors).unwrap_or(u32::MAX).min(crate::args::MAX_WORKERS)
}

/// All who were started.
struct Crew {
    producers: Vec<Member<Result<(), String>>>,
    workers: Vec<Member<Result<(), String>>>,
}

impl Crew {
    fn start(scope: Scope, job: &Job, workers: u32, paths: Vec<PathBuf>) -> Result<Self, String> {
        let count = paths.len().min(MOST_PRODUCERS);
        let mut tasks: Vec<_> = (0..count).map(|_| produce::Task::new(job)).collect();
        for (i, path) in paths.into_iter().enumerate() {
            tasks[i % count].add(path);
        }
        let producer = |(i, task)| {
            Member::start(scope, &format!("producer {}", i + 1), produce::produce, task)
        };
        let worker = |worker| {
            let task = work::Task { job: job.clone(), worker };
            Member::start(scope, &format!("worker {worker}"), work::work, task)
        };
        Ok(Self {
            workers: (1..=workers).map(worker).collect::<Result<_, _>>()?,
            producers: tasks.into_iter().enumerate().map(producer).collect::<Result<_, _>>()?,
        })
    }

    /// Waits for everybody. When all producers are done, no more paths come.
    fn attend(self, failures: &Failures<'_>) {
        thread::scope(|threads| {
            for worker in self.workers {
                threads.spawn(|| failures.note(worker.join()));
            }
            for producer in self.producers {
                failures.note(producer.join());
            }
            failures.job.paths.shutdown(Shutdown::Drain);
        });
    }
}

/// What went wrong with members. An answer without what one of them had in hand would be wrong, so all stop.
struct Failures<'a> {
    job: &'a Job,
    said: Mutex<Vec<String>>,
}

impl Failures<'_> {
    fn note(&self, end: Result<Result<(), String>, String>) {
        // Who ends oddly after everybody was told to stop has only been quick.
        if let Err(failure) = end.flatten()
            && !self.job.is_stopped()
        {
            self.said.lock().expect("nobody panics here").push(failure);
            self.job.stop();
        }
    }

    fn first(self) -> Option<String> {
        self.said.into_inner().expect("nobody panics here").into_iter().next()
    }
}
