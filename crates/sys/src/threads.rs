//! How the threads of one process wait for each other: scope `threads`.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicU32, Ordering};

use antiphon_core::owner::Owner;
use antiphon_core::wait::{Deadline, Wait, Wake, Word};

use crate::futex::{self, Visibility};
use crate::thread;

/// The outside of the primitives that threads of one process share. It holds nothing, so a primitive needs no room for it.
///
/// A thread is never gone: one that ended with a lock held is reported by those who wait, and not robbed. So there are no
/// deaths to confirm, and the epoch stands still. Signals do not end a wait.
#[derive(Clone, Copy, Default, Debug)]
pub struct Threads;

/// [`Threads`] whose waits end with [`Wake::Interrupted`] when a signal handler has run.
#[derive(Clone, Copy, Default, Debug)]
pub struct Interruptible;

impl Wait for Threads {
    const OWNER_IS_THREAD: bool = true;

    #[inline]
    fn me(&self) -> Owner {
        thread::owner()
    }

    #[inline]
    fn is_gone(&self, _owner: Owner) -> bool {
        false
    }

    #[inline]
    fn epoch(&self) -> u32 {
        0
    }

    fn wait(&self, word: &Word, expected: u32, _epoch: u32, deadline: Option<Deadline>) -> Wake {
        match futex::wait(word, expected, deadline, Visibility::Private) {
            // The caller looks again and comes back with the same deadline.
            Wake::Interrupted => Wake::Woken,
            reason => reason,
        }
    }

    fn wake(&self, word: *const Word, count: u32) {
        futex::wake(word, count, Visibility::Private);
    }

    fn spin(&self, turn: u32) -> bool {
        spin(turn)
    }

    fn linger(&self, turn: u32) -> bool {
        linger(turn)
    }
}

impl Wait for Interruptible {
    const OWNER_IS_THREAD: bool = true;

    #[inline]
    fn me(&self) -> Owner {
        Threads.me()
    }

    #[inline]
    fn is_gone(&self, owner: Owner) -> bool {
        Threads.is_gone(owner)
    }

    #[inline]
    fn epoch(&self) -> u32 {
        Threads.epoch()
    }

    fn wait(&self, word: &Word, expected: u32, _epoch: u32, deadline: Option<Deadline>) -> Wake {
        futex::wait(word, expected, deadline, Visibility::Private)
    }

    fn wake(&self, word: *const Word, count: u32) {
        Threads.wake(word, count);
    }

    fn spin(&self, turn: u32) -> bool {
        spin(turn)
    }

    fn linger(&self, turn: u32) -> bool {
        linger(turn)
    }
}

/// Turns before sleeping for a lock: 1 + 2 + 4 + 8 and then 16 pauses each make about a hundred (3 us), which was the best of the
/// lengths measured for short critical sections.
const SPIN_TURNS: u32 = 9;

/// Turns before sleeping for a counterpart: about 1200 pauses (35 us), which is what a wake takes to reach another
/// processor. Anything shorter, and two parties that have both slept once never meet awake again.
const LINGER_TURNS: u32 = 78;

/// Before sleeping for a lock: see [`Wait::spin`].
#[inline]
pub fn spin(turn: u32) -> bool {
    turn < SPIN_TURNS && pause(turn)
}

/// Before sleeping for a counterpart: see [`Wait::linger`].
#[inline]
pub fn linger(turn: u32) -> bool {
    turn < LINGER_TURNS && pause(turn)
}

fn pause(turn: u32) -> bool {
    // On a single processor, whoever we wait for runs only when we do not.
    if !several_processors() {
        return false;
    }
    for _ in 0..1 << turn.min(4) {
        spin_loop();
    }
    true
}

/// Whether this process may run on more than one processor; found out once, since it is only a hint.
pub fn several_processors() -> bool {
    static PROCESSORS: AtomicU32 = AtomicU32::new(0);
    let known = PROCESSORS.load(Ordering::Relaxed);
    if known != 0 {
        return known > 1;
    }
    let found = std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
    PROCESSORS.store(found, Ordering::Relaxed);
    found > 1
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::sync::atomic::Ordering::SeqCst;
    use std::time::Duration;

    use antiphon_core::sync::mutex::RawMutex;
    use antiphon_core::wait::WaitError;

    use super::*;
    use crate::clock::deadline_after;

    #[test]
    fn a_raw_mutex_excludes() {
        static MUTEX: RawMutex = RawMutex::new();
        static mut COUNT: u64 = 0;
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        let _ = MUTEX.lock(&Threads, None).unwrap();
                        // SAFETY: the mutex is held.
                        unsafe { COUNT += 1 };
                        MUTEX.unlock(&Threads, 0);
                    }
                });
            }
        });
        // SAFETY: the threads have ended.
        assert_eq!(unsafe { COUNT }, 40_000);
    }

    #[test]
    fn relocking_is_an_error_and_a_deadline_ends_a_wait() {
        let mutex = RawMutex::new();
        let _ = mutex.lock(&Threads, None).unwrap();
        assert_eq!(mutex.lock(&Threads, None), Err(WaitError::WouldDeadlock));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let soon = Some(deadline_after(Duration::from_millis(5)));
                assert_eq!(mutex.lock(&Threads, soon), Err(WaitError::TimedOut));
            });
        });
        mutex.unlock(&Threads, 0);
    }

    #[test]
    fn spinning_ends() {
        assert!((0..).any(|turn| !spin(turn)));
        assert!((0..).any(|turn| !linger(turn)));
    }

    /// Sends this thread signals until it says that it has seen one.
    fn under_signals(body: impl FnOnce()) {
        extern "C" fn ignore(_: libc::c_int) {}
        // SAFETY: a zeroed `sigaction` is valid, and the handler does nothing.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = ignore as *const () as usize;
            assert_eq!(libc::sigaction(libc::SIGUSR2, &action, std::ptr::null_mut()), 0);
        }
        let done = AtomicBool::new(false);
        // SAFETY: takes no arguments.
        let target = unsafe { libc::pthread_self() };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(SeqCst) {
                    // SAFETY: the target outlives this scope.
                    unsafe { libc::pthread_kill(target, libc::SIGUSR2) };
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
            body();
            done.store(true, SeqCst);
        });
    }

    #[test]
    fn a_signal_interrupts_only_those_who_ask() {
        let word = Word::new(0);
        under_signals(|| {
            let watchdog = Some(deadline_after(Duration::from_secs(30)));
            assert_eq!(Interruptible.wait(&word, 0, 0, watchdog), Wake::Interrupted);
            assert_eq!(Threads.wait(&word, 0, 0, watchdog), Wake::Woken);
        });
    }
}
