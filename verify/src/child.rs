//! Children of this process: forked, killed, waited for, and never left behind.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::watchdog;

/// What a child exits with when its body panics, as Rust programs do.
pub const PANICKED: i32 = 101;

/// How a child ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// By itself, with this code.
    Exited(i32),
    /// By this signal.
    Killed(i32),
}

/// A forked child. Killed and waited for when dropped, and killed by the kernel when its parent dies.
#[derive(Debug)]
pub struct Child {
    pid: libc::pid_t,
    ended: bool,
}

impl Child {
    /// Runs `body` in a child, which exits with its result; [`PANICKED`] if it panics.
    ///
    /// # Panics
    /// When the system has no room for a process.
    pub fn fork(body: impl FnOnce() -> i32) -> Self {
        let parent = std::process::id();
        // SAFETY: the C library makes its own locks usable in the child, and what the child runs uses no lock of ours that
        // another thread may have held.
        match unsafe { libc::fork() } {
            -1 => panic!("fork: {}", io::Error::last_os_error()),
            0 => {
                // SAFETY: it only says what shall happen when the parent dies.
                unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
                let orphan = std::os::unix::process::parent_id() != parent;
                let code = if orphan {
                    0
                } else {
                    catch_unwind(AssertUnwindSafe(body)).unwrap_or(PANICKED)
                };
                // SAFETY: ends the child without its parent's exit handlers.
                unsafe { libc::_exit(code) }
            }
            pid => Self { pid, ended: false },
        }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: i32) {
        if !self.ended {
            // SAFETY: the child has not been waited for, so the number is its own.
            unsafe { libc::kill(self.pid, signal) };
        }
    }

    /// Stops it where it is, as Ctrl-Z does, and waits until it has. False: it has ended instead.
    pub fn stop(&self) -> bool {
        self.signal(libc::SIGSTOP);
        // SAFETY: all zero is a valid siginfo to be written to.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // An end is only looked at, not taken: it is `wait`'s.
        let what = libc::WSTOPPED | libc::WEXITED | libc::WNOWAIT;
        // SAFETY: `info` is writable, the child is ours and has not been waited for.
        while unsafe { libc::waitid(libc::P_PID, self.pid as u32, &mut info, what) } != 0 {}
        info.si_code == libc::CLD_STOPPED
    }

    /// Lets it go on after [`stop`](Self::stop).
    pub fn resume(&self) {
        self.signal(libc::SIGCONT);
    }

    /// Kills it as `kill -9` does, and waits until the kernel has closed its files.
    pub fn kill(&mut self) -> End {
        self.signal(libc::SIGKILL);
        self.wait()
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> End {
        self.poll(0).expect("a wait without WNOHANG brings news")
    }

    /// Its end, if it has ended.
    pub fn ended(&mut self) -> Option<End> {
        self.poll(libc::WNOHANG)
    }

    /// Waits for its end; `None` when the watchdog's patience runs out first.
    pub fn wait_patiently(&mut self) -> Option<End> {
        let mut end = None;
        watchdog::until(|| {
            end = self.ended();
            end.is_some()
        });
        end
    }

    fn poll(&mut self, options: i32) -> Option<End> {
        let mut status = 0;
        loop {
            // SAFETY: `status` is writable; the child is ours and has not been waited for.
            match unsafe { libc::waitpid(self.pid, &mut status, options) } {
                0 => return None,
                -1 if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
                -1 => panic!("waitpid: {}", io::Error::last_os_error()),
                _ if libc::WIFEXITED(status) => {
                    self.ended = true;
                    return Some(End::Exited(libc::WEXITSTATUS(status)));
                }
                _ if libc::WIFSIGNALED(status) => {
                    self.ended = true;
                    return Some(End::Killed(libc::WTERMSIG(status)));
                }
                // Stopped or continued, for a tracer: not an end.
                _ if options & libc::WNOHANG != 0 => return None,
                _ => {}
            }
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.ended {
            self.kill();
        }
    }
}
