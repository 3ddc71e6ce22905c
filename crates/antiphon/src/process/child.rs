//! A running child, and the end of it.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{ChildStderr, ChildStdin, ChildStdout, ExitStatus};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use antiphon_core::wait::Deadline;
use antiphon_sys::clock;
use antiphon_sys::process::PidFd;
use antiphon_sys::spawn::{kill, reap, try_reap};
use serde::de::DeserializeOwned;

use super::error::{Identity, JoinError, TryJoinError};
use super::task::{self, Report};

/// A child process that computes an `R`. Dropping it lets the child go on by itself.
///
/// Its descriptor ([`AsFd`]) becomes readable when the child has ended.
#[must_use = "a child that is not joined gives no result"]
pub struct Child<R> {
    /// `None` only while this is being taken apart.
    inner: Option<Inner>,
    result: PhantomData<fn() -> R>,
}

struct Inner {
    identity: Identity,
    handle: PidFd,
    report: OwnedFd,
    /// Our ends of the child's standard streams.
    streams: [Option<OwnedFd>; 3],
}

impl<R> Child<R> {
    /// The child that was just started. One that cannot be watched is killed.
    pub(super) fn new(
        identity: Identity,
        report: OwnedFd,
        streams: [Option<OwnedFd>; 3],
    ) -> io::Result<Self> {
        // It has not been reaped, so the number is still its own.
        match PidFd::open(identity.pid) {
            Ok(handle) => {
                let inner = Inner { identity, handle, report, streams };
                Ok(Self { inner: Some(inner), result: PhantomData })
            }
            Err(error) => {
                // Kernels before 5.3, or no descriptor is left.
                let _ = kill(identity.pid);
                abandon(identity.pid);
                Err(error)
            }
        }
    }

    fn inner(&self) -> &Inner {
        self.inner.as_ref().unwrap_or_else(|| unreachable!("a child that was taken apart"))
    }

    fn inner_mut(&mut self) -> &mut Inner {
        self.inner.as_mut().unwrap_or_else(|| unreachable!("a child that was taken apart"))
    }

    /// The child's process number, its own until it is joined.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.identity().pid
    }

    /// Number and label, as errors name the child.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.inner().identity
    }

    /// Whether it has not ended. A stopped process is alive.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.inner().handle.is_alive()
    }

    /// Ends the child at once (`SIGKILL`). It must still be joined; one that has ended by itself stays so.
    ///
    /// # Errors
    /// When the system forbids it.
    pub fn kill(&self) -> io::Result<()> {
        ended_is_fine(self.inner().handle.kill())
    }

    /// Asks the child to end (`SIGTERM`).
    ///
    /// # Errors
    /// As [`kill`](Self::kill).
    pub fn terminate(&self) -> io::Result<()> {
        ended_is_fine(self.inner().handle.terminate())
    }

    /// Sends any signal.
    ///
    /// # Errors
    /// When there is no such signal, or as [`kill`](Self::kill).
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        ended_is_fine(self.inner().handle.signal(signal))
    }

    /// What the child reads, if that is [piped](super::Stdio::Piped) and was not taken before.
    pub fn stdin(&mut self) -> Option<ChildStdin> {
        self.inner_mut().streams[0].take().map(From::from)
    }

    /// What the child prints, if that is piped and was not taken before. Read it before you join: a child whose pipe is full
    /// waits for its reader.
    pub fn stdout(&mut self) -> Option<ChildStdout> {
        self.inner_mut().streams[1].take().map(From::from)
    }

    /// What the child complains about, likewise.
    pub fn stderr(&mut self) -> Option<ChildStderr> {
        self.inner_mut().streams[2].take().map(From::from)
    }
}

impl<R: DeserializeOwned> Child<R> {
    /// Waits until the child has ended, and returns what the function returned.
    ///
    /// Everything that the function did happens before this returns.
    ///
    /// # Errors
    /// [`JoinError`] says how a child without a result came to its end.
    pub fn join(mut self) -> Result<R, JoinError> {
        // A child that reads until the end would wait for us.
        drop(self.stdin());
        match self.join_until(None) {
            Ok(result) => Ok(result),
            Err(TryJoinError::Failed(error)) => Err(error),
            Err(TryJoinError::Running(child)) => unreachable!("{child:?} after an endless wait"),
        }
    }

    /// The same if it has ended, and otherwise gives the child back.
    ///
    /// # Errors
    /// [`TryJoinError::Running`] with the child, or as [`join`](Self::join).
    pub fn try_join(self) -> Result<R, TryJoinError<R>> {
        self.join_until(Some(Deadline(0)))
    }

    /// Waits for at most `timeout`, and then gives the child back.
    ///
    /// # Errors
    /// As [`try_join`](Self::try_join).
    pub fn join_timeout(self, timeout: Duration) -> Result<R, TryJoinError<R>> {
        self.join_until(Some(clock::deadline_after(timeout)))
    }

    /// Waits until `deadline`, and then gives the child back.
    ///
    /// # Errors
    /// As [`try_join`](Self::try_join).
    pub fn join_deadline(self, deadline: Instant) -> Result<R, TryJoinError<R>> {
        self.join_until(Some(clock::deadline_at(deadline)))
    }

    fn join_until(mut self, deadline: Option<Deadline>) -> Result<R, TryJoinError<R>> {
        let ended = loop {
            match self.inner().handle.wait(deadline) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                ended => break ended,
            }
        };
        if matches!(ended, Ok(false)) {
            return Err(TryJoinError::Running(self));
        }
        let Some(Inner { identity: child, report, .. }) = self.inner.take() else {
            unreachable!("a child joined twice")
        };
        let status = ended.and_then(|_| reap(child.pid));
        result_of(Report::read(report), status, child).map_err(TryJoinError::from)
    }
}

/// What the report and the exit together mean.
fn result_of<R: DeserializeOwned>(
    report: io::Result<Option<Report>>,
    status: io::Result<ExitStatus>,
    child: Identity,
) -> Result<R, JoinError> {
    let bytes = match (report, status) {
        // What the function did counts, even where somebody else has reaped the child.
        (Ok(Some(Report::Returned(bytes))), _) => bytes,
        (Ok(Some(Report::Panicked { message, location })), _) => {
            return Err(JoinError::Panicked { child, message, location });
        }
        (Ok(Some(Report::Value(reason))), _) => return Err(JoinError::Value { child, reason }),
        (Err(source), _) | (_, Err(source)) => return Err(JoinError::System { child, source }),
        (Ok(Some(Report::Started)), Ok(status)) => return Err(JoinError::Ended { child, status }),
        (Ok(None), Ok(status)) => return Err(JoinError::NotStarted { child, status }),
    };
    task::decode(&bytes).map_err(|error| {
        let reason = format!("the result cannot be read: {error}");
        JoinError::Value { child, reason }
    })
}

/// A signal to a child that has ended has nothing left to do.
fn ended_is_fine(sent: io::Result<()>) -> io::Result<()> {
    match sent {
        Err(error) if error.raw_os_error() == Some(NO_SUCH_PROCESS) => Ok(()),
        sent => sent,
    }
}

/// `ESRCH`, the same on every Linux.
const NO_SUCH_PROCESS: i32 = 3;

/// Children that nobody will join: reaped once they have ended, or the kernel would remember them for ever.
static ABANDONED: Mutex<Vec<u32>> = Mutex::new(Vec::new());

fn abandon(pid: u32) {
    ABANDONED.lock().unwrap_or_else(PoisonError::into_inner).push(pid);
    reap_abandoned();
}

/// Lets go of abandoned children that have ended.
pub(super) fn reap_abandoned() {
    let mut abandoned = ABANDONED.lock().unwrap_or_else(PoisonError::into_inner);
    abandoned.retain(|&pid| matches!(try_reap(pid), Ok(None)));
}

impl<R> Drop for Child<R> {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take() {
            abandon(inner.identity.pid);
        }
    }
}

impl<R> AsFd for Child<R> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner().handle.as_fd()
    }
}

impl<R> fmt::Debug for Child<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let identity = self.inner.as_ref().map(|inner| &inner.identity);
        f.debug_struct("Child").field("identity", &identity).finish_non_exhaustive()
    }
}
