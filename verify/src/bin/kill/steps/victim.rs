//! A victim that is stopped at every instruction.

use std::fs;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use antiphon_verify::child::Child;
use antiphon_verify::watchdog;

/// Where a victim is in its act.
const BEFORE: u32 = 0;
const AT_IT: u32 = 1;
const DONE: u32 = 2;

/// What one step came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// It stands before its next instruction.
    Stopped,
    /// It sleeps in a system call, until somebody wakes it.
    Asleep,
    /// The act is over.
    Over,
}

/// A traced child, stopped before the first instruction of its act.
#[derive(Debug)]
pub(crate) struct Victim<'a> {
    child: Child,
    mark: &'a AtomicU32,
    asleep: bool,
}

/// After so long without a stop one looks whether the victim sleeps.
const GLANCE: Duration = Duration::from_micros(200);

impl<'a> Victim<'a> {
    /// Forks it; `before` runs at full speed, `act` in steps.
    pub(crate) fn new(mark: &'a AtomicU32, before: &dyn Fn(), act: &dyn Fn()) -> Self {
        mark.store(BEFORE, SeqCst);
        let child = Child::fork(|| {
            before();
            // SAFETY: it asks to be traced by its parent, and stops until that one goes on.
            unsafe {
                libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0);
                libc::raise(libc::SIGSTOP);
            }
            mark.store(AT_IT, SeqCst);
            act();
            mark.store(DONE, SeqCst);
            0
        });
        let mut victim = Self { child, mark, asleep: false };
        assert!(watchdog::until(|| victim.has_stopped()), "a victim does not stop");
        while mark.load(SeqCst) == BEFORE {
            assert_eq!(victim.step(), Step::Stopped, "a victim before its act");
        }
        victim
    }

    /// Lets it execute one instruction, or begin one that sleeps.
    pub(crate) fn step(&mut self) -> Step {
        if self.asleep {
            return self.settle();
        }
        if self.mark.load(SeqCst) == DONE {
            return Step::Over;
        }
        // SAFETY: the child is ours, traced and stopped.
        let error = unsafe { libc::ptrace(libc::PTRACE_SINGLESTEP, self.child.pid(), 0, 0) };
        assert!(error == 0, "ptrace: {}", io::Error::last_os_error());
        self.settle()
    }

    /// Waits for the stop after a step, or until it is clear that none comes soon.
    pub(crate) fn settle(&mut self) -> Step {
        let began = Instant::now();
        loop {
            if self.has_stopped() {
                self.asleep = false;
                return if self.mark.load(SeqCst) == DONE { Step::Over } else { Step::Stopped };
            }
            if began.elapsed() > GLANCE && is_asleep(self.child.pid()) {
                self.asleep = true;
                return Step::Asleep;
            }
            assert!(began.elapsed() < watchdog::PATIENCE, "a victim neither stops nor sleeps");
        }
    }

    /// Waits until it has been woken and stands at an instruction again. False: it sleeps on.
    pub(crate) fn wakes(&mut self) -> bool {
        let woken = watchdog::until(|| self.has_stopped());
        self.asleep = !woken;
        woken
    }

    pub(crate) fn kill(mut self) {
        self.child.kill();
    }

    fn has_stopped(&self) -> bool {
        let mut status = 0;
        // SAFETY: `status` is writable, the child is ours.
        let pid = unsafe { libc::waitpid(self.child.pid(), &mut status, libc::WNOHANG) };
        assert!(pid >= 0, "waitpid: {}", io::Error::last_os_error());
        assert!(pid == 0 || libc::WIFSTOPPED(status), "a victim ended by itself: {status:#x}");
        pid != 0
    }
}

/// Does the process sleep in the kernel?
pub(crate) fn is_asleep(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('S'))
}
