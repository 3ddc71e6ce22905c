//! Asking for lines of a ring before they are needed.
//!
//! A line that the far end has touched takes a hundred nanoseconds to come over, and a batch needs dozens. The lines of the *next*
//! batch are asked for while the lock is still held, and arrive while the caller is busy with this one. Asking is a hint: it
//! reads nothing, changes nothing, and any address will do.

/// How much is asked for at once at most, in bytes.
const MOST: usize = 4096;
/// What comes over at once.
const LINE: usize = 64;

/// Asks for lines that will be written.
#[inline]
pub(super) fn to_write<T>(from: *const T, len: usize) {
    for line in (0..len.min(MOST)).step_by(LINE) {
        own(from.cast::<u8>().wrapping_add(line));
    }
}

/// Asks for lines that will be read.
#[inline]
pub(super) fn to_read<T>(from: *const T, len: usize) {
    for line in (0..len.min(MOST)).step_by(LINE) {
        fetch(from.cast::<u8>().wrapping_add(line));
    }
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline]
fn own(line: *const u8) {
    // SAFETY: PREFETCHW is a hint that never faults; a processor without it takes it for a no-op. The intrinsic would become
    // a prefetch for reading, since the baseline of the target does not promise it.
    unsafe {
        core::arch::asm!("prefetchw [{}]", in(reg) line, options(nostack, preserves_flags, readonly));
    }
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline]
fn fetch(line: *const u8) {
    use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a hint that never faults.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(line.cast()) }
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
fn own(_: *const u8) {}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
fn fetch(_: *const u8) {}
