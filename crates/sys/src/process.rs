//! This process, and others: who they are, and when they end.

/// The user on whose behalf this process acts (the effective one).
#[must_use]
pub fn user() -> u32 {
    // SAFETY: takes no arguments and cannot fail.
    unsafe { libc::geteuid() }
}
