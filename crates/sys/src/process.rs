//! This process, and others: who they are, and when they end.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::PathBuf;
use std::ptr;

use antiphon_core::wait::Deadline;

use crate::directory::c_string;
use crate::error::{check, retry};
use crate::poll;

/// This process's number. Asked of the kernel, so it is right in a forked child.
#[must_use]
pub fn id() -> u32 {
    // SAFETY: takes no arguments and cannot fail.
    unsafe { libc::getpid() as u32 }
}

/// The user on whose behalf this process acts (the effective one).
#[must_use]
pub fn user() -> u32 {
    // SAFETY: takes no arguments and cannot fail.
    unsafe { libc::geteuid() }
}

/// When the process `pid` started, in clock ticks since the machine did. With the pid it names a process that has ended as well
/// as one that lives: no later process has both.
///
/// # Errors
/// [`io::ErrorKind::NotFound`] when there is no such process (that this process may see).
pub fn start_time(pid: u32) -> io::Result<u64> {
    let line = fs::read(format!("/proc/{pid}/stat"))?;
    start_time_of(&line).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The 22nd field of a line of `/proc/<pid>/stat`. The second is the program's name in parentheses, and may itself contain
/// spaces and parentheses.
fn start_time_of(line: &[u8]) -> Option<u64> {
    let end = line.iter().rposition(|&byte| byte == b')')?;
    let rest = str::from_utf8(&line[end + 1..]).ok()?;
    rest.split_ascii_whitespace().nth(22 - 3)?.parse().ok()
}

/// What the process `pid` calls itself: the name that `top` shows, at most 15 bytes.
///
/// # Errors
/// As [`start_time`].
pub fn name(pid: u32) -> io::Result<String> {
    let name = fs::read(format!("/proc/{pid}/comm"))?;
    Ok(String::from_utf8_lossy(name.trim_ascii_end()).into_owned())
}

/// Sets what this thread calls itself; of the first thread, that is the process's [`name`]. Cut after 15 bytes.
///
/// # Errors
/// When `name` contains a zero byte.
pub fn set_name(name: &str) -> io::Result<()> {
    let name = c_string(name)?;
    // SAFETY: the name ends in a zero byte, and the kernel reads no more than 16 bytes of it.
    check(unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) }).map(drop)
}

/// The file that the process `pid` executes.
///
/// # Errors
/// As [`start_time`], and [`io::ErrorKind::PermissionDenied`] for another user's process.
pub fn executable(pid: u32) -> io::Result<PathBuf> {
    fs::read_link(format!("/proc/{pid}/exe"))
}

/// A number that the machine drew when it started: what is written with another one is from before.
///
/// # Errors
/// When `/proc` is not mounted.
pub fn boot_id() -> io::Result<u128> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    u128::from_str_radix(&digits, 16).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// Which pid namespace this process is in: a pid means the same process only to those in the same one.
///
/// # Errors
/// When `/proc` is not mounted.
pub fn pid_namespace() -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    Ok(fs::metadata("/proc/self/ns/pid")?.ino())
}

/// Whether this process has rights that its caller has not (set-user-id and its like), so that what the caller put into the
/// environment must not be believed.
#[must_use]
pub fn is_privileged() -> bool {
    // SAFETY: takes a number.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// A process, held by a descriptor: it stays the same process when it has ended and its number is another's.
#[derive(Debug)]
pub struct PidFd {
    fd: OwnedFd,
}

impl PidFd {
    /// The process that has the number `pid` now. For a child that has not been waited for, that is the child.
    ///
    /// # Errors
    /// When there is none, or the kernel is older than 5.3.
    pub fn open(pid: u32) -> io::Result<Self> {
        // SAFETY: takes two numbers; the descriptor that comes back is nobody else's and closed on exec.
        unsafe {
            let fd = libc::syscall(libc::SYS_pidfd_open, pid, 0);
            check(fd as libc::c_int).map(|fd| Self { fd: OwnedFd::from_raw_fd(fd) })
        }
    }

    /// Waits until the process has ended. False: the deadline has passed.
    ///
    /// # Errors
    /// [`io::ErrorKind::Interrupted`] when a signal handler has run.
    pub fn wait(&self, deadline: Option<Deadline>) -> io::Result<bool> {
        poll::readable([self.fd.as_fd()], deadline).map(|[ended]| ended)
    }

    /// Whether the process has not ended. A stopped process is alive.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !retry(|| self.wait(Some(Deadline(0)))).unwrap_or(true)
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When the process has ended, or is another user's.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        let fd = self.fd.as_raw_fd();
        // SAFETY: the descriptor is open, and no details of the signal are passed.
        let sent = unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                fd,
                signal,
                ptr::null::<libc::siginfo_t>(),
                0,
            )
        };
        check(sent as libc::c_int).map(drop)
    }

    /// Ends the process at once: `SIGKILL`.
    ///
    /// # Errors
    /// As [`signal`](Self::signal).
    pub fn kill(&self) -> io::Result<()> {
        self.signal(libc::SIGKILL)
    }

    /// Asks the process to end: `SIGTERM`.
    ///
    /// # Errors
    /// As [`signal`](Self::signal).
    pub fn terminate(&self) -> io::Result<()> {
        self.signal(libc::SIGTERM)
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::*;
    use crate::clock::deadline_after;

    #[test]
    fn a_program_may_be_called_anything() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20";
        for name in ["sh", "a b", ") S 1", "((", ""] {
            let line = format!("77 ({name}) {rest}");
            assert_eq!(start_time_of(line.as_bytes()), Some(4242), "{line}");
        }
        for line in ["", "77 (sh", "77 (sh) S 1 2", ")"] {
            assert_eq!(start_time_of(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn this_process_knows_itself() {
        assert_eq!(id(), std::process::id());
        assert_eq!(start_time(id()).unwrap(), start_time(id()).unwrap());
        assert!(!name(id()).unwrap().is_empty());
        assert!(!is_privileged());
        set_name("a name that is rather long").unwrap();
        // SAFETY: takes no arguments.
        let thread = unsafe { libc::gettid() };
        let own = fs::read_to_string(format!("/proc/self/task/{thread}/comm")).unwrap();
        assert_eq!(own, "a name that is \n");
        assert!(set_name("a\0b").is_err());
        assert_eq!(executable(id()).unwrap(), std::env::current_exe().unwrap());
        assert_eq!(boot_id().unwrap(), boot_id().unwrap());
        assert_ne!(boot_id().unwrap(), 0);
        assert_ne!(pid_namespace().unwrap(), 0);
        assert_eq!(start_time(u32::MAX).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn the_end_of_a_process_is_noticed() {
        let _alone = crate::alone::alone();
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let process = PidFd::open(child.id()).unwrap();
        assert!(process.is_alive());
        let soon = deadline_after(Duration::from_millis(5));
        assert!(!retry(|| process.wait(Some(soon))).unwrap());
        process.signal(libc::SIGSTOP).unwrap();
        assert!(process.is_alive());
        process.kill().unwrap();
        let watchdog = deadline_after(Duration::from_secs(30));
        assert!(retry(|| process.wait(Some(watchdog))).unwrap());
        assert!(!process.is_alive());
        child.wait().unwrap();
        assert!(process.kill().is_err());
    }
}
