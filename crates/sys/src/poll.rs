//! Sleeping until one of several descriptors has something to say.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use antiphon_core::wait::Deadline;

use crate::clock::{timespec, until};
use crate::error::check;

/// Waits until a read from one of `fds` would not wait (data, the end of it, or an error), and says which. All false: the
/// deadline has passed.
///
/// # Errors
/// [`io::ErrorKind::Interrupted`] when a signal handler has run.
pub fn readable<const N: usize>(
    fds: [BorrowedFd<'_>; N],
    deadline: Option<Deadline>,
) -> io::Result<[bool; N]> {
    let mut polled =
        fds.map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 });
    // The kernel takes a duration here. One that a signal cuts short is computed anew by the next call.
    let left = deadline.map(|deadline| timespec(until(deadline).as_nanos() as u64));
    let left = left.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: `polled` is writable, and `left` (null or a local) readable, for the whole call.
    check(unsafe { libc::ppoll(polled.as_mut_ptr(), N as libc::nfds_t, left, ptr::null()) })?;
    Ok(polled.map(|entry| entry.revents != 0))
}

/// What one waits for at a descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interest {
    /// A read would not wait.
    Read,
    /// A write would not wait.
    Write,
}

/// Waits until one of `fds` can do what is asked of it (or has an end or an error to report), and says which, in their order.
/// All false: the deadline has passed.
///
/// # Errors
/// [`io::ErrorKind::Interrupted`] when a signal handler has run.
pub fn ready(
    fds: &[(BorrowedFd<'_>, Interest)],
    deadline: Option<Deadline>,
) -> io::Result<Vec<bool>> {
    let entry = |&(fd, interest): &(BorrowedFd<'_>, Interest)| libc::pollfd {
        fd: fd.as_raw_fd(),
        events: match interest {
            Interest::Read => libc::POLLIN,
            Interest::Write => libc::POLLOUT,
        },
        revents: 0,
    };
    let mut polled: Vec<_> = fds.iter().map(entry).collect();
    let left = deadline.map(|deadline| timespec(until(deadline).as_nanos() as u64));
    let left = left.as_ref().map_or(ptr::null(), ptr::from_ref);
    let count = polled.len() as libc::nfds_t;
    // SAFETY: `polled` is writable, and `left` (null or a local) readable, for the whole call.
    check(unsafe { libc::ppoll(polled.as_mut_ptr(), count, left, ptr::null()) })?;
    Ok(polled.iter().map(|entry| entry.revents != 0).collect())
}
