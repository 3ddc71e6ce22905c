//! How a system call says no.

/// The number of the last system call's error.
pub(crate) fn last() -> libc::c_int {
    // SAFETY: the returned pointer is this thread's errno, always valid.
    unsafe { *libc::__errno_location() }
}
