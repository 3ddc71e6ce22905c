//! Sleeping on a word until it changes, and waking those who sleep.
//!
//! The kernel compares the word and falls asleep in one step, so a change made before the sleep is never missed; a wake is
//! only a hint to look again.

use std::ptr;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use antiphon_core::wait::{Deadline, Wake};

use crate::clock::timespec;
use crate::error::last;

/// Who may sleep on a word: the kernel finds the sleepers of a private word faster.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Visibility {
    /// Threads of this process only.
    Private,
    /// Every process that maps the word.
    Shared,
}

impl Visibility {
    const fn flag(self) -> libc::c_int {
        match self {
            Self::Private => libc::FUTEX_PRIVATE_FLAG,
            Self::Shared => 0,
        }
    }
}

/// Sleeps while `word` holds `expected`, until woken or the deadline (on [`clock::now`](crate::clock::now)'s clock). May
/// return [`Wake::Woken`] for no reason.
pub fn wait(
    word: &AtomicU32,
    expected: u32,
    deadline: Option<Deadline>,
    visibility: Visibility,
) -> Wake {
    let until = deadline.map(|deadline| timespec(deadline.0));
    let until = until.as_ref().map_or(ptr::null(), ptr::from_ref);
    // With a bitset the kernel takes the timeout as a point on CLOCK_MONOTONIC, not as a duration.
    let operation = libc::FUTEX_WAIT_BITSET | visibility.flag();
    // SAFETY: `word` and `until` (null or a local) are valid for the whole call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            operation,
            expected,
            until,
            ptr::null::<u32>(),
            libc::FUTEX_BITSET_MATCH_ANY,
        )
    };
    reason(result)
}

/// One entry of `futex_waitv`'s vector.
#[repr(C)]
struct Waiter {
    expected: u64,
    address: u64,
    flags: u32,
    reserved: u32,
}

const _: () = assert!(size_of::<Waiter>() == 24);

/// The word is 32 bits wide (`FUTEX2_SIZE_U32` of linux/futex.h).
const SIZE_U32: u32 = 0x02;
/// It is private (`FUTEX2_PRIVATE`).
const PRIVATE: u32 = 128;
/// The most words of one sleep (`FUTEX_WAITV_MAX`).
pub const MOST_WORDS: usize = 128;

impl Waiter {
    fn new(word: *const AtomicU32, expected: u32) -> Self {
        let address = word.addr() as u64;
        Self { expected: u64::from(expected), address, flags: SIZE_U32, reserved: 0 }
    }
}

/// Words to sleep on together.
#[derive(Default)]
pub struct Words(Vec<Waiter>);

impl Words {
    /// No words.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Takes them all out.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Adds a word that shall hold `expected`, unless there are [`MOST_WORDS`]. A pointer, since nothing here reads it.
    pub fn add(&mut self, word: *const AtomicU32, expected: u32, visibility: Visibility) {
        if self.0.len() < MOST_WORDS {
            let mut waiter = Waiter::new(word, expected);
            if visibility == Visibility::Private {
                waiter.flags |= PRIVATE;
            }
            self.0.push(waiter);
        }
    }

    /// Sleeps while each word holds what it shall, until one is woken or the deadline. A word that is not mapped ends it at
    /// once. A kernel without `futex_waitv` only waits: the caller asks [`has_waitv`] and passes a deadline near enough.
    pub fn sleep(&self, deadline: Deadline) -> Wake {
        if !has_waitv() {
            let nobody = AtomicU32::new(0);
            return wait(&nobody, 0, Some(deadline), Visibility::Private);
        }
        reason(waitv(&self.0, Some(deadline)))
    }
}

impl std::fmt::Debug for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Words").field("len", &self.0.len()).finish()
    }
}

/// A word to sleep on, and what it must hold.
pub type Sleep<'a> = (&'a AtomicU32, u32);

/// Sleeps while each of these words, all shared, holds what stands beside it; at most 3. `Ok` tells which one was woken, and the last of
/// them if several were. Who passes more than one has asked [`has_waitv`].
pub fn wait_any(sleeps: &[Sleep<'_>], deadline: Option<Deadline>) -> Result<usize, Wake> {
    let mut waiters = [const { Waiter { expected: 0, address: 0, flags: 0, reserved: 0 } }; 3];
    let waiters = &mut waiters[..sleeps.len()];
    for (waiter, (word, expected)) in waiters.iter_mut().zip(sleeps) {
        *waiter = Waiter::new(*word, *expected);
    }
    let result = waitv(waiters, deadline);
    usize::try_from(result).map_err(|_| reason(result))
}

/// Wakes at most `count` sleepers of `word` and says how many it woke. A pointer, since the word may be gone: waking a
/// foreign or unmapped word wakes nobody or, harmlessly, somebody for no reason.
pub fn wake(word: *const AtomicU32, count: u32, visibility: Visibility) -> u32 {
    let operation = libc::FUTEX_WAKE | visibility.flag();
    let count = count.min(i32::MAX as u32);
    // SAFETY: FUTEX_WAKE takes the address as a name and neither reads nor writes there.
    let woken = unsafe { libc::syscall(libc::SYS_futex, word.addr(), operation, count) };
    u32::try_from(woken).unwrap_or(0)
}

const UNKNOWN: u8 = 0;
const PRESENT: u8 = 1;
const ABSENT: u8 = 2;
static WAITV: AtomicU8 = AtomicU8::new(UNKNOWN);

/// Whether [`wait_any`] watches both words: the kernel has `futex_waitv` (5.16 and later) and no filter forbids it.
#[inline]
#[must_use]
pub fn has_waitv() -> bool {
    // Relaxed: the answer is all there is, and everybody finds the same.
    match WAITV.load(Ordering::Relaxed) {
        UNKNOWN => probe(),
        known => known == PRESENT,
    }
}

/// Behaves from now on as on a kernel without `futex_waitv`, so that tests reach the other path.
pub fn forgo_waitv() {
    WAITV.store(ABSENT, Ordering::Relaxed);
}

#[cold]
fn probe() -> bool {
    // Nothing to wait for is an invalid argument where the call exists; a seccomp filter says EPERM, an old kernel ENOSYS.
    let present = waitv(&[], None) == -1 && !matches!(last(), libc::ENOSYS | libc::EPERM);
    let found = if present { PRESENT } else { ABSENT };
    // Not over an answer that `forgo_waitv` put there meanwhile.
    match WAITV.compare_exchange(UNKNOWN, found, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => present,
        Err(known) => known == PRESENT,
    }
}

fn waitv(waiters: &[Waiter], deadline: Option<Deadline>) -> libc::c_long {
    let until = deadline.map(|deadline| timespec(deadline.0));
    let until = until.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: the vector, the words it points to and `until` are valid for the whole call.
    unsafe {
        libc::syscall(
            libc::SYS_futex_waitv,
            waiters.as_ptr(),
            waiters.len(),
            0,
            until,
            libc::CLOCK_MONOTONIC,
        )
    }
}

/// What the kernel's answer means to a waiter, who looks again in every case but the first two.
fn reason(result: libc::c_long) -> Wake {
    if result == -1 {
        match last() {
            libc::ETIMEDOUT => return Wake::TimedOut,
            libc::EINTR => return Wake::Interrupted,
            // EAGAIN: the word has changed. EFAULT: it is not mapped any more, and whoever looks will see that.
            _ => {}
        }
    }
    Wake::Woken
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::SeqCst;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::clock::deadline_after;

    /// A wait that does not end by itself ends here, and the test fails.
    fn watchdog() -> Option<Deadline> {
        Some(deadline_after(Duration::from_secs(30)))
    }

    #[test]
    fn a_changed_word_does_not_sleep() {
        let word = AtomicU32::new(1);
        for visibility in [Visibility::Private, Visibility::Shared] {
            assert_eq!(wait(&word, 0, watchdog(), visibility), Wake::Woken);
        }
    }

    #[test]
    fn a_deadline_ends_the_sleep() {
        let word = AtomicU32::new(0);
        for visibility in [Visibility::Private, Visibility::Shared] {
            let deadline = deadline_after(Duration::from_millis(5));
            let mut reason = Wake::Interrupted;
            while reason != Wake::TimedOut {
                reason = wait(&word, 0, Some(deadline), visibility);
            }
            assert!(crate::clock::now() >= deadline.0);
        }
        assert_eq!(wait(&word, 0, Some(Deadline(0)), Visibility::Private), Wake::TimedOut);
    }

    #[test]
    fn a_wake_ends_the_sleep_and_is_counted() {
        for visibility in [Visibility::Private, Visibility::Shared] {
            let word = AtomicU32::new(0);
            thread::scope(|scope| {
                let sleeper = scope.spawn(|| wait(&word, 0, watchdog(), visibility));
                while wake(&word, 1, visibility) == 0 {
                    thread::yield_now();
                }
                assert_eq!(sleeper.join().unwrap(), Wake::Woken);
            });
            assert_eq!(wake(&word, u32::MAX, visibility), 0);
        }
    }

    #[test]
    fn waking_unmapped_memory_is_harmless() {
        assert_eq!(wake(ptr::without_provenance(64), 1, Visibility::Shared), 0);
        assert_eq!(wake(ptr::without_provenance(64), 1, Visibility::Private), 0);
    }

    #[test]
    fn any_word_wakes() {
        if !has_waitv() {
            return;
        }
        let words = [AtomicU32::new(7), AtomicU32::new(8), AtomicU32::new(9)];
        let sleep = |expected: [u32; 3], deadline| {
            let sleeps: [Sleep<'_>; 3] = std::array::from_fn(|i| (&words[i], expected[i]));
            wait_any(&sleeps, deadline)
        };
        assert_eq!(sleep([6, 8, 9], watchdog()), Err(Wake::Woken));
        assert_eq!(sleep([7, 8, 8], watchdog()), Err(Wake::Woken));
        for (i, word) in words.iter().enumerate() {
            thread::scope(|scope| {
                let sleeper = scope.spawn(|| sleep([7, 8, 9], watchdog()));
                while wake(word, 1, Visibility::Shared) == 0 {
                    thread::yield_now();
                }
                assert_eq!(sleeper.join().unwrap(), Ok(i));
            });
        }
        let soon = Some(deadline_after(Duration::from_millis(5)));
        assert_eq!(sleep([7, 8, 9], soon), Err(Wake::TimedOut));
    }

    #[test]
    fn any_of_many_words_wakes() {
        if !has_waitv() {
            return;
        }
        let all: Vec<AtomicU32> = (0..MOST_WORDS as u32 + 9).map(AtomicU32::new).collect();
        let mut words = Words::new();
        for (i, word) in all.iter().enumerate() {
            let visibility = if i % 2 == 0 { Visibility::Private } else { Visibility::Shared };
            words.add(word, i as u32, visibility);
        }
        for (i, visibility) in [(0, Visibility::Private), (101, Visibility::Shared)] {
            thread::scope(|scope| {
                let sleeper = scope.spawn(|| words.sleep(watchdog().unwrap()));
                while wake(&all[i], 1, visibility) == 0 {
                    thread::yield_now();
                }
                assert_eq!(sleeper.join().unwrap(), Wake::Woken);
            });
        }
        assert_eq!(words.sleep(deadline_after(Duration::from_millis(5))), Wake::TimedOut);
        all[7].store(1, SeqCst);
        assert_eq!(words.sleep(watchdog().unwrap()), Wake::Woken);
    }

    #[test]
    fn a_change_between_the_look_and_the_sleep_is_seen() {
        let word = AtomicU32::new(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                for turn in 1..=1000 {
                    word.store(turn, SeqCst);
                    wake(&word, 1, Visibility::Private);
                }
            });
            loop {
                let seen = word.load(SeqCst);
                if seen == 1000 {
                    break;
                }
                assert_eq!(wait(&word, seen, watchdog(), Visibility::Private), Wake::Woken);
            }
        });
    }
}
