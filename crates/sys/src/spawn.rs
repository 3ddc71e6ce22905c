//! Starting a program in a new process, with exactly the descriptors that it is to have.
//!
//! The standard library can do that only by a hook between `fork` and `exec`, and then really forks: with a gigabyte in use, the
//! copied page tables cost 55 ms. `posix_spawn` borrows the parent's memory until the `exec` instead.

use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::ptr;

use crate::error::{check, retry};

/// What one of the three standard streams of the new process is.
#[derive(Clone, Copy, Debug)]
pub enum Stream<'a> {
    /// The same as ours.
    Inherit,
    /// Nothing: reads end at once, writes vanish.
    Null,
    /// This open file.
    File(BorrowedFd<'a>),
}

/// A program to be started.
#[derive(Debug)]
pub struct Command<'a> {
    /// The file to execute.
    pub program: &'a CStr,
    /// All arguments, the first being the program's name for itself.
    pub arguments: &'a [CString],
    /// The whole environment, as `NAME=value`.
    pub environment: &'a [CString],
    /// Input, output and errors.
    pub streams: [Stream<'a>; 3],
    /// Descriptors that are closed on exec, but shall stay open for this program under their numbers.
    pub inherited: &'a [BorrowedFd<'a>],
}

impl Command<'_> {
    /// Starts the program, and returns the number of its process. It must be [reaped](reap). Signals start out as programs
    /// expect them: none blocked, `SIGPIPE` not ignored (as Rust programs do).
    ///
    /// # Errors
    /// When the file cannot be executed, or there is no room for a process.
    pub fn spawn(&self) -> io::Result<u32> {
        let mut actions = Actions::new()?;
        for (target, stream) in (0..).zip(self.streams) {
            match stream {
                Stream::Inherit => {}
                Stream::Null => actions.open_null(target)?,
                Stream::File(file) => actions.duplicate(file, target)?,
            }
        }
        for file in self.inherited {
            // Onto itself: this clears the flag that closes it, in the child alone.
            actions.duplicate(*file, file.as_raw_fd())?;
        }
        let attributes = Attributes::with_default_signals()?;
        let arguments = pointers(self.arguments);
        let environment = pointers(self.environment);
        let mut pid = 0;
        // SAFETY: the actions and attributes are initialized; both vectors end in a null pointer, and what they point to ends in a zero
        // byte; all live for the whole call, which changes none of them.
        succeed(unsafe {
            libc::posix_spawn(
                &mut pid,
                self.program.as_ptr(),
                &actions.0,
                &attributes.0,
                arguments.as_ptr(),
                environment.as_ptr(),
            )
        })?;
        Ok(pid as u32)
    }
}

/// Waits for the end of the child process `pid`, and lets the kernel forget it. To be called once: afterwards the number may be
/// another's.
///
/// # Errors
/// When it is not our child: never was, was reaped, or this process ignores `SIGCHLD`.
pub fn reap(pid: u32) -> io::Result<ExitStatus> {
    let mut status = 0;
    // SAFETY: `status` is writable.
    retry(|| check(unsafe { libc::waitpid(pid as libc::pid_t, &mut status, 0) }))?;
    Ok(ExitStatus::from_raw(status))
}

/// The same if the child has ended; `None` when it has not.
///
/// # Errors
/// As [`reap`].
pub fn try_reap(pid: u32) -> io::Result<Option<ExitStatus>> {
    let mut status = 0;
    // SAFETY: `status` is writable.
    let found = check(unsafe { libc::waitpid(pid as libc::pid_t, &mut status, libc::WNOHANG) })?;
    Ok((found != 0).then(|| ExitStatus::from_raw(status)))
}

/// Kills the child process `pid`, which has not been reaped, so that the number is still its own.
///
/// # Errors
/// When it is not our child.
pub fn kill(pid: u32) -> io::Result<()> {
    // SAFETY: takes two numbers.
    check(unsafe { libc::kill(pid as libc::pid_t, libc::SIGKILL) }).map(drop)
}

/// A vector of strings as C takes it.
fn pointers(strings: &[CString]) -> Vec<*mut libc::c_char> {
    let all = strings.iter().map(|string| string.as_ptr().cast_mut());
    all.chain([ptr::null_mut()]).collect()
}

/// What the child does to its descriptors.
struct Actions(libc::posix_spawn_file_actions_t);

impl Actions {
    fn new() -> io::Result<Self> {
        let mut actions = MaybeUninit::uninit();
        // SAFETY: on success the call has initialized what it is given.
        unsafe {
            succeed(libc::posix_spawn_file_actions_init(actions.as_mut_ptr()))?;
            Ok(Self(actions.assume_init()))
        }
    }

    fn duplicate(&mut self, file: BorrowedFd<'_>, target: libc::c_int) -> io::Result<()> {
        let file = file.as_raw_fd();
        // SAFETY: the actions are initialized; numbers are noted.
        succeed(unsafe { libc::posix_spawn_file_actions_adddup2(&mut self.0, file, target) })
    }

    fn open_null(&mut self, target: libc::c_int) -> io::Result<()> {
        let path = c"/dev/null".as_ptr();
        // SAFETY: the actions are initialized; the path is copied.
        succeed(unsafe {
            libc::posix_spawn_file_actions_addopen(&mut self.0, target, path, libc::O_RDWR, 0)
        })
    }
}

impl Drop for Actions {
    fn drop(&mut self) {
        // SAFETY: they were initialized, and are not used again.
        unsafe { libc::posix_spawn_file_actions_destroy(&mut self.0) };
    }
}

/// What the child starts with otherwise.
struct Attributes(libc::posix_spawnattr_t);

impl Attributes {
    fn with_default_signals() -> io::Result<Self> {
        let mut attributes = MaybeUninit::uninit();
        let mut signals = MaybeUninit::uninit();
        let flags = libc::POSIX_SPAWN_SETSIGDEF | libc::POSIX_SPAWN_SETSIGMASK;
        // SAFETY: each call initializes or reads what it is given, in this order.
        unsafe {
            succeed(libc::posix_spawnattr_init(attributes.as_mut_ptr()))?;
            let mut attributes = Self(attributes.assume_init());
            check(libc::sigemptyset(signals.as_mut_ptr()))?;
            let mut signals: libc::sigset_t = signals.assume_init();
            succeed(libc::posix_spawnattr_setsigmask(&mut attributes.0, &signals))?;
            check(libc::sigaddset(&mut signals, libc::SIGPIPE))?;
            succeed(libc::posix_spawnattr_setsigdefault(&mut attributes.0, &signals))?;
            succeed(libc::posix_spawnattr_setflags(&mut attributes.0, flags as libc::c_short))?;
            Ok(attributes)
        }
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: they were initialized, and are not used again.
        unsafe { libc::posix_spawnattr_destroy(&mut self.0) };
    }
}

/// The result of a call that returns the error itself.
fn succeed(error: libc::c_int) -> io::Result<()> {
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsFd;

    use super::*;
    use crate::alone::alone;

    fn shell(
        script: &str,
        streams: [Stream<'_>; 3],
        inherited: &[BorrowedFd<'_>],
    ) -> io::Result<u32> {
        let arguments = ["sh", "-c", script].map(|text| CString::new(text).unwrap());
        let environment = [c"GREETING=hello".to_owned()];
        Command {
            program: c"/bin/sh",
            arguments: &arguments,
            environment: &environment,
            streams,
            inherited,
        }
        .spawn()
    }

    #[test]
    fn streams_and_descriptors_are_what_was_asked_for() {
        let _alone = alone();
        let (mut reader, writer) = io::pipe().unwrap();
        let (mut extra, number) = io::pipe().unwrap();
        let script = format!("cat; echo $GREETING; echo more >&{}", number.as_raw_fd());
        let streams = [Stream::Null, Stream::File(writer.as_fd()), Stream::Inherit];
        let pid = shell(&script, streams, &[number.as_fd()]).unwrap();
        drop((writer, number));
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        extra.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello\nmore\n");
        assert!(reap(pid).unwrap().success());
        assert!(reap(pid).is_err());
    }

    #[test]
    fn a_descriptor_that_is_not_named_stays_here() {
        let _alone = alone();
        let (_reader, writer) = io::pipe().unwrap();
        let script = format!("[ ! -e /proc/self/fd/{} ]", writer.as_raw_fd());
        let pid = shell(&script, [Stream::Inherit; 3], &[]).unwrap();
        assert!(reap(pid).unwrap().success());
    }

    #[test]
    fn the_end_is_told_as_it_was() {
        let _alone = alone();
        let streams = [Stream::Inherit; 3];
        assert_eq!(reap(shell("exit 3", streams, &[]).unwrap()).unwrap().code(), Some(3));
        let pid = shell("kill -KILL $$", streams, &[]).unwrap();
        assert_eq!(reap(pid).unwrap().signal(), Some(libc::SIGKILL));
        let pid = shell("exec sleep 1000", streams, &[]).unwrap();
        assert_eq!(try_reap(pid).unwrap(), None);
        kill(pid).unwrap();
        while try_reap(pid).unwrap().is_none() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn what_cannot_be_executed_is_an_error() {
        let _alone = alone();
        let nothing = Command {
            program: c"/nonexistent",
            arguments: &[],
            environment: &[],
            streams: [Stream::Inherit; 3],
            inherited: &[],
        };
        assert_eq!(nothing.spawn().unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
