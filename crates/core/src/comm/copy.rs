//! Copying between private memory and a ring, without a trap.

use core::ptr::copy_nonoverlapping;

/// The longest copy that is not affected: beyond it C libraries switch to the string instruction.
const SHORT: usize = 2048;
/// The memory of a page apart looks alike to the processor's check of loads against earlier stores.
const PAGE: usize = 4096;
/// How far ahead in its page a destination must be to be out of the way of its source.
const AHEAD: usize = 64;

/// Copies `len` bytes, like [`copy_nonoverlapping`].
///
/// `memcpy` of more than 2 KiB is up to ten times slower when the destination lies 1 to 63 bytes ahead of the source modulo the page
/// size: x86 string copies run into a false dependence. A page-aligned ring with an eight-byte header and an allocator
/// with a sixteen-byte one meet there all the time, so such copies go in short pieces.
///
/// # Safety
/// As [`copy_nonoverlapping`].
#[inline]
pub unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    if len > SHORT && collides(from as usize, to as usize) {
        // SAFETY: the caller's promise.
        unsafe { copy_in_pieces(from, to, len) }
    } else {
        // SAFETY: the caller's promise.
        unsafe { copy_nonoverlapping(from, to, len) }
    }
}

/// Copies `n` items, like [`copy_nonoverlapping`].
///
/// Items of a few words are copied one by one, in the pieces in which they were written just before: `memcpy` loads more at a time than
/// the processor can forward from stores that wait for a line of the ring, and so waits for that line, too.
///
/// # Safety
/// As [`copy_nonoverlapping`].
#[inline]
pub unsafe fn copy_items<T>(from: *const T, to: *mut T, n: usize) {
    if !cfg!(target_arch = "x86_64") || !(16..=256).contains(&size_of::<T>()) {
        // SAFETY: the caller's promise.
        return unsafe { copy_nonoverlapping(from, to, n) };
    }
    for i in 0..n {
        // SAFETY: the caller's promise.
        unsafe { copy_nonoverlapping(from.add(i), to.add(i), 1) };
        keep_apart();
    }
}

/// Keeps the compiler from making one `memcpy` of a loop.
#[inline]
fn keep_apart() {
    #[cfg(not(miri))]
    // SAFETY: no instruction.
    unsafe {
        core::arch::asm!("", options(nostack, preserves_flags));
    }
}

fn collides(from: usize, to: usize) -> bool {
    (1..AHEAD).contains(&(to.wrapping_sub(from) % PAGE))
}

/// # Safety
/// As [`copy_nonoverlapping`].
#[cold]
unsafe fn copy_in_pieces(from: *const u8, to: *mut u8, len: usize) {
    let mut done = 0;
    while done < len {
        let piece = SHORT.min(len - done);
        // SAFETY: within the ranges that the caller promised, since done + piece <= len.
        unsafe { copy_nonoverlapping(from.add(done), to.add(done), piece) };
        done += piece;
    }
}
