//! Who takes part besides the body itself: threads or processes.

use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use antiphon::Space;
use antiphon::process::{self, Child};
use antiphon_verify::scratch::Scratch;
use antiphon_verify::watchdog;
use serde::{Deserialize, Serialize};

/// How the message of a panic begins that belongs to a body.
pub(crate) const ON_PURPOSE: &str = "on purpose";
/// Long enough for another to have come, if it may come.
pub(crate) const A_WHILE: Duration = Duration::from_millis(20);

/// What a member does: a plain function, since it may have to run in another process.
type Duty = fn(Job) -> u64;

/// What a member is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    address: String,
    pub(crate) argument: u64,
}

impl Job {
    pub(crate) fn space(&self) -> Space {
        Space::open(&self.address).expect("the space")
    }
}

/// Those whom a body can send.
pub(crate) struct Crew<'a> {
    host: bool,
    scratch: &'a Scratch,
    address: String,
}

impl<'a> Crew<'a> {
    pub(crate) fn new(host: bool, scratch: &'a Scratch) -> Self {
        let address = if host { "host:stage" } else { "threads:stage" };
        Self { host, scratch, address: address.to_owned() }
    }

    /// The scope, as an address begins.
    pub(crate) fn scope(&self) -> &'static str {
        if self.host { "host" } else { "threads" }
    }

    /// What the space is opened by.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn directory(&self) -> &Path {
        self.scratch.path()
    }

    pub(crate) fn space(&self) -> Space {
        Space::open(&self.address).expect("the space")
    }

    /// Sends a thread or a process that opens the space for itself.
    pub(crate) fn send(&self, duty: Duty, argument: u64) -> Member {
        let job = Job { address: self.address.clone(), argument };
        if self.host {
            Member::Process(process::spawn(duty, job).expect("a process"))
        } else {
            Member::Thread(thread::spawn(move || duty(job)))
        }
    }

    pub(crate) fn send_many(
        &self,
        duty: Duty,
        arguments: impl Iterator<Item = u64>,
    ) -> Vec<Member> {
        arguments.map(|argument| self.send(duty, argument)).collect()
    }
}

/// A member at work.
pub(crate) enum Member {
    Thread(JoinHandle<u64>),
    Process(Child<u64>),
}

impl Member {
    /// What it returned.
    pub(crate) fn join(self) -> u64 {
        match self {
            Self::Thread(thread) => thread.join().expect("a member does not panic"),
            Self::Process(child) => child.join().expect("a member returns"),
        }
    }

    /// Waits for its return.
    pub(crate) fn finish(self) {
        self.join();
    }

    /// Waits for one that kills itself.
    pub(crate) fn bury(self) {
        match self {
            Self::Thread(_) => unreachable!("threads do not die alone"),
            Self::Process(child) => drop(child.join().expect_err("it dies")),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        match self {
            Self::Thread(_) => std::process::id(),
            Self::Process(child) => child.pid(),
        }
    }

    pub(crate) fn signal(&self, signal: i32) {
        // SAFETY: a child that has not been waited for has its number still.
        unsafe { libc::kill(self.pid() as i32, signal) };
    }
}

/// Ends this process as `kill -9` does.
pub(crate) fn die() -> ! {
    // SAFETY: it ends this process.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    unreachable!("it is dead")
}

/// Waits until something is so.
pub(crate) fn until(what: impl FnMut() -> bool) {
    assert!(watchdog::until(what), "it never is");
}
