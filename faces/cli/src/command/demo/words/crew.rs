//! All who were started, and those who take the places of the killed.

use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use antiphon::process::{Child, TryJoinError};
use antiphon::space::Shutdown;

use super::job::Job;
use super::{produce, work};
use crate::args::Scope;
use crate::command::demo::member::Member;

/// More producers would wait for the same disk.
const MOST_PRODUCERS: usize = 4;
/// Between two kills by the same supervisor, in milliseconds.
const PAUSE: u64 = 20;

type End = Result<(), String>;

/// Producers and workers.
pub(super) struct Crew {
    scope: Scope,
    producers: Vec<Member<End>>,
    workers: Vec<Member<End>>,
}

impl Crew {
    pub(super) fn start(
        scope: Scope,
        job: &Job,
        workers: u32,
        paths: Vec<PathBuf>,
    ) -> Result<Self, String> {
        let count = paths.len().min(MOST_PRODUCERS);
        let mut tasks: Vec<_> = (0..count).map(|_| produce::Task::new(job)).collect();
        for (i, path) in paths.into_iter().enumerate() {
            tasks[i % count].add(path);
        }
        let producer = |(i, task)| {
            Member::start(scope, &format!("producer {}", i + 1), produce::produce, task)
        };
        let worker = |number| worker(scope, job, number);
        Ok(Self {
            scope,
            workers: (1..=workers).map(worker).collect::<Result<_, _>>()?,
            producers: tasks.into_iter().enumerate().map(producer).collect::<Result<_, _>>()?,
        })
    }

    /// Waits for everybody, and for those who take the places of the killed. When all producers are done, no more paths come.
    pub(super) fn attend(self, failures: &Failures<'_>, kills: &Kills) {
        let scope = self.scope;
        thread::scope(|threads| {
            for (number, worker) in (1..).zip(self.workers) {
                threads.spawn(move || {
                    failures.note(match worker {
                        Member::Process(child) => {
                            supervise(failures.job, scope, number, child, kills)
                        }
                        thread @ Member::Thread(_) => thread.join(),
                    });
                });
            }
            for producer in self.producers {
                failures.note(producer.join());
            }
            failures.job.paths.shutdown(Shutdown::Drain);
        });
    }
}

fn worker(scope: Scope, job: &Job, number: u32) -> Result<Member<End>, String> {
    let task = work::Task { job: job.clone(), worker: number };
    Member::start(scope, &format!("worker {number}"), work::work, task)
}

/// Workers that are to be killed while they count a file.
pub(super) struct Kills {
    left: AtomicU32,
    done: AtomicU32,
}

impl Kills {
    pub(super) fn new(count: u32) -> Self {
        Self { left: AtomicU32::new(count), done: AtomicU32::new(0) }
    }

    /// How many were killed while they counted a file.
    pub(super) fn done(&self) -> u32 {
        self.done.load(Relaxed)
    }

    fn claim(&self) -> bool {
        self.left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    fn give_back(&self) {
        self.left.fetch_add(1, Relaxed);
    }
}

/// Waits for a worker; meanwhile kills it, as long as kills are left, whenever chance has it and it is at a file.
fn supervise(
    job: &Job,
    scope: Scope,
    number: u32,
    mut child: Child<End>,
    kills: &Kills,
) -> Result<End, String> {
    for turn in 0_u64.. {
        if kills.left.load(Relaxed) == 0 {
            break;
        }
        let pause = 1 + RandomState::new().hash_one((number, turn)) % PAUSE;
        child = match child.join_timeout(Duration::from_millis(pause)) {
            Err(TryJoinError::Running(child)) => child,
            Ok(end) => return Ok(end),
            Err(error) => return Err(error.to_string()),
        };
        if !job.is_at_a_file(number) || !kills.claim() {
            continue;
        }
        child.kill().map_err(|error| error.to_string())?;
        if let Ok(end) = child.join() {
            // It was done before the signal came.
            kills.give_back();
            return Ok(end);
        }
        // The dead do not change what they have noted.
        match job.is_at_a_file(number) {
            true => drop(kills.done.fetch_add(1, Relaxed)),
            false => kills.give_back(),
        }
        job.note_file(number, None);
        let Member::Process(next) = worker(scope, job, number)? else {
            unreachable!("only processes are supervised")
        };
        child = next;
        // It may have died where the others meet, after its last file.
        if job.counted.is_broken() && !job.is_stopped() {
            job.counted.reset();
        }
    }
    child.join().map_err(|error| error.to_string())
}

/// What went wrong with members. An answer without what one of them had in hand would be wrong, so all stop.
pub(super) struct Failures<'a> {
    pub(super) job: &'a Job,
    said: Mutex<Vec<String>>,
}

impl<'a> Failures<'a> {
    pub(super) fn of(job: &'a Job) -> Self {
        Self { job, said: Mutex::default() }
    }

    fn note(&self, end: Result<End, String>) {
        // Who ends oddly after everybody was told to stop has only been quick.
        if let Err(failure) = end.flatten()
            && !self.job.is_stopped()
        {
            self.said.lock().expect("nobody panics here").push(failure);
            self.job.stop();
        }
    }

    pub(super) fn first(self) -> Option<String> {
        self.said.into_inner().expect("nobody panics here").into_iter().next()
    }
}
