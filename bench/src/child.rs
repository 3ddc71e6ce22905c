//! Child processes that cannot outlive us, cannot hang us, and are killed by their pid only.

use crate::clock::now;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A forked child. Killed and reaped when dropped.
pub struct Child {
    pid: libc::pid_t,
    end: Option<OwnedFd>,
    status: Option<i32>,
}

impl Child {
    /// Runs `body` in a forked child and ends the child with it. The caller must have one thread only.
    pub fn fork(body: impl FnOnce()) -> Self {
        // SAFETY: the bench's conductor has one thread, so the child may do anything its parent could.
        match unsafe { libc::fork() } {
            -1 => panic!("fork: {}", std::io::Error::last_os_error()),
            0 => {
                // SAFETY: plain system calls. `_exit` leaves the parent's buffers and exit handlers alone.
                unsafe {
                    libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                    let ok = catch_unwind(AssertUnwindSafe(body)).is_ok();
                    libc::_exit(if ok { 0 } else { 101 });
                }
            }
            pid => {
                // SAFETY: plain system call; a descriptor that it returns is ours alone.
                let end = unsafe {
                    let fd = libc::syscall(libc::SYS_pidfd_open, pid, 0) as i32;
                    (fd >= 0).then(|| OwnedFd::from_raw_fd(fd))
                };
                Self { pid, end, status: None }
            }
        }
    }

    pub fn pid(&self) -> libc::pid_t {
        self.pid
    }

    pub fn kill(&self) {
        if self.status.is_none() {
            // SAFETY: the pid is our unreaped child's, so nobody else's.
            unsafe { libc::kill(self.pid, libc::SIGKILL) };
        }
    }

    /// Whether it has ended already, badly or well.
    pub fn has_ended(&mut self) -> bool {
        if self.status.is_some() {
            return true;
        }
        let mut status = 0;
        // SAFETY: `status` is a valid place; the pid is our child's.
        if unsafe { libc::waitpid(self.pid, &mut status, libc::WNOHANG) } == self.pid {
            self.status = Some(status);
        }
        self.status.is_some()
    }

    /// How it ended, in words.
    pub fn verdict(&self) -> String {
        match self.status {
            None => "running".into(),
            Some(s) if libc::WIFSIGNALED(s) => format!("signal {}", libc::WTERMSIG(s)),
            Some(s) => format!("exit {}", libc::WEXITSTATUS(s)),
        }
    }

    fn still(&mut self) -> Option<&mut Self> {
        (!self.has_ended()).then_some(self)
    }

    fn poll(&self) -> Option<libc::pollfd> {
        let fd = self.end.as_ref()?.as_raw_fd();
        Some(libc::pollfd { fd, events: libc::POLLIN, revents: 0 })
    }

    /// Ended, and neither well nor by our kill.
    pub fn has_failed(&self) -> bool {
        let killed = |s| libc::WIFSIGNALED(s) && libc::WTERMSIG(s) == libc::SIGKILL;
        self.status.is_some_and(|s| s != 0 && !killed(s))
    }

    fn reap(&mut self) -> i32 {
        *self.status.get_or_insert_with(|| {
            let mut status = 0;
            // SAFETY: as in `has_ended`.
            unsafe { libc::waitpid(self.pid, &mut status, 0) };
            status
        })
    }
}

/// Waits until all have ended. False: one failed, or the deadline passed. Sleeps in between, so as not to disturb them.
pub fn wait_all(children: &mut [Child], deadline: u64) -> bool {
    loop {
        let running: Vec<&mut Child> = children.iter_mut().filter_map(Child::still).collect();
        let mut polls: Vec<libc::pollfd> = running.iter().filter_map(|c| c.poll()).collect();
        if running.is_empty() {
            return !children.iter().any(Child::has_failed);
        }
        let left = deadline.saturating_sub(now()) / 1_000_000;
        if children.iter().any(Child::has_failed) || left == 0 {
            return false;
        }
        // Without descriptors (an old kernel), look every 10 ms.
        let most = if polls.is_empty() { 10 } else { left as i32 };
        // SAFETY: as many valid entries as said.
        unsafe { libc::poll(polls.as_mut_ptr(), polls.len() as libc::nfds_t, most) };
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
        self.reap();
    }
}
