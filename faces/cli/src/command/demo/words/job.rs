//! What all members of a job share.

use std::os::unix::process::parent_id;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Weak};
use std::time::Duration;
use std::{process, thread};

use antiphon::Space;
use antiphon::error::{LockError, SpaceError};
use antiphon::space::{
    Barrier, Event, JobQueue, Latch, Memory, MessageQueue, Mutex, MutexGuard, Semaphore, Shutdown,
};
use serde::{Deserialize, Serialize};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::message::{LONGEST, Message};
use crate::args::{MAX_WORKERS, Scope};

/// Files that are open at once.
const OPEN_FILES: u64 = 16;
/// Files that are found but not yet counted.
const FILES: u32 = 512;
/// Messages on their way to the merger.
const MESSAGES: u32 = 256;
/// How often a process looks whether whoever started it is still there.
const LOOK: Duration = Duration::from_millis(250);

/// Numbers for all to see.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct Totals {
    /// Files that producers have found, and their bytes.
    pub(super) found: u64,
    pub(super) found_bytes: u64,
    /// Files that were counted, their bytes and their words.
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) words: u64,
    /// Paths that could not be read.
    pub(super) unreadable: u64,
}

/// A file that was found.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct Found {
    /// Another number for every file.
    pub(super) file: u64,
    len: u64,
    path: [u8; LONGEST_PATH],
}

/// What the system opens by its whole path is hardly longer.
const LONGEST_PATH: usize = 4096 - 16;

impl Found {
    /// Nothing when the path is too long.
    pub(super) fn new(file: u64, path: &[u8]) -> Option<Self> {
        let mut found = Self { file, len: path.len() as u64, path: [0; LONGEST_PATH] };
        found.path.get_mut(..path.len())?.copy_from_slice(path);
        Some(found)
    }

    pub(super) fn path(&self) -> &[u8] {
        let len = usize::try_from(self.len).unwrap_or(usize::MAX);
        &self.path[..len.min(LONGEST_PATH)]
    }
}

/// The objects of a job. Sent to another process, they arrive as the same objects.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Job {
    /// From the producers to the workers.
    pub(super) paths: JobQueue<Found>,
    /// From the workers (and, when something cannot be read, the producers) to the merger.
    pub(super) messages: MessageQueue<Message>,
    pub(super) totals: Mutex<Totals>,
    pub(super) open_files: Semaphore,
    /// Where workers meet when all files are counted.
    pub(super) counted: Barrier,
    /// Opened when the merger is done.
    pub(super) merged: Latch,
    /// Set when everybody is to stop.
    pub(super) stop: Event,
    /// A word for every worker: the file that it counts.
    at: Memory,
    /// The process that started the others.
    leader: u32,
}

impl Job {
    /// A job for so many workers, in a space of its own, which goes with the last who uses it.
    pub(super) fn new(scope: Scope, workers: u32) -> Result<Self, SpaceError> {
        let leader = process::id();
        let space = Space::builder(&scope.address(&format!("words-{leader}")))
            // Members, their leader, and a few who come to look.
            .participants(2 * MAX_WORKERS)
            .label("words")
            .open()?;
        Ok(Self {
            paths: space.job_queue("paths", FILES)?,
            messages: space.message_queue("messages", MESSAGES, 16 * LONGEST as u64)?,
            totals: space.mutex("totals", Totals::default())?,
            open_files: space.semaphore("open-files", OPEN_FILES)?,
            counted: space.barrier("counted", workers)?,
            merged: space.latch("merged", 1)?,
            stop: space.event("stop")?,
            at: space.memory("at", (workers as usize + 1) * size_of::<AtomicU64>())?,
            leader,
        })
    }

    /// Takes part: a process of its own from now on stops the job when it is asked to end, or loses its leader.
    pub(super) fn join(self) -> Result<Arc<Self>, String> {
        let job = Arc::new(self);
        if process::id() != job.leader {
            job.stop_at_signals().map_err(|error| error.to_string())?;
            let (job, leader) = (Arc::downgrade(&job), job.leader);
            thread::spawn(move || stop_when_orphaned(&job, leader));
        }
        Ok(job)
    }

    /// From now on, Ctrl-C and the like stop the job instead of this process.
    pub(super) fn stop_at_signals(self: &Arc<Self>) -> Result<(), ctrlc::Error> {
        // A handler is for ever; it must not keep the space open.
        let job = Arc::downgrade(self);
        ctrlc::set_handler(move || {
            if let Some(job) = job.upgrade() {
                job.stop();
            }
        })
    }

    /// Stops everybody.
    pub(super) fn stop(&self) {
        self.stop.set();
        self.paths.shutdown(Shutdown::Immediate);
        self.messages.shutdown(Shutdown::Immediate);
        self.counted.abort();
    }

    /// Whether everybody is to stop.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.is_set()
    }

    /// The totals, locked.
    pub(super) fn totals(&self) -> MutexGuard<'_, Totals> {
        match self.totals.lock() {
            Ok(totals) => totals,
            // Somebody died, so the job is going to fail; until then, numbers that are nearly right will do.
            Err(LockError::OwnerDied(mut totals, _) | LockError::Poisoned(mut totals)) => {
                totals.repair();
                totals
            }
            Err(LockError::WouldDeadlock) => unreachable!("nobody keeps the totals locked"),
        }
    }

    /// Notes the file that a worker counts. From the time it has taken it until it gives it back or says that it is done.
    pub(super) fn note_file(&self, worker: u32, file: Option<u64>) {
        self.at(worker).store(file.map_or(0, |file| file + 1), SeqCst);
    }

    /// Whether a worker counts a file.
    pub(super) fn is_at_a_file(&self, worker: u32) -> bool {
        self.at(worker).load(SeqCst) != 0
    }

    fn at(&self, worker: u32) -> &AtomicU64 {
        let offset = worker as usize * size_of::<AtomicU64>();
        self.at.atomic(offset).expect("there is a word for every worker")
    }

    /// Tells the merger; in vain when it has gone.
    pub(super) fn tell(&self, message: &Message) -> bool {
        self.messages.put(message).is_ok()
    }

    /// Tells the merger what could not be read.
    pub(super) fn complain(&self, path: &str, why: &str) {
        self.tell(&Message::unreadable(None, path, why));
    }
}

fn stop_when_orphaned(job: &Weak<Job>, leader: u32) {
    while parent_id() == leader {
        thread::sleep(LOOK);
        if job.strong_count() == 0 {
            return;
        }
    }
    if let Some(job) = job.upgrade() {
        job.stop();
    }
}
