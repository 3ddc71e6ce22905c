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
