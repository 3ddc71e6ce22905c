//! How the threads of one process wait for each other: scope `threads`.

use std::cell::Cell;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use antiphon_core::owner::Owner;
use antiphon_core::wait::{Deadline, Wait, Wake, Word};

use crate::{clock, fence, rolls, thread};

/// The outside of the primitives that threads of one process share. It holds nothing, so a primitive needs no room for it.
///
/// A thread is never gone: one that ended with a lock held is reported by those who wait, and not robbed. So there are no
/// deaths to confirm, and the epoch stands still. Signals do not end a wait.
#[derive(Clone, Copy, Default, Debug)]
pub struct Threads;

/// [`Threads`] whose waits end with [`Wake::Interrupted`] when a signal handler has run.
#[derive(Clone, Copy, Default, Debug)]
pub struct Interruptible;

/// [`Threads`] on behalf of a task, which may move from thread to thread while it holds something: what it locks has
/// [`TASK`] for an owner, and meeting that is no deadlock.
#[derive(Clone, Copy, Default, Debug)]
pub struct Tasks;

/// The owner of what tasks hold. No thread has it: their numbers have at most 22 bits.
pub const TASK: Owner = Owner::new(1 << 29).expect("at most 30 bits");

impl Wait for Tasks {
    const OWNER_IS_THREAD: bool = true;

    #[inline]
    fn me(&self) -> Owner {
        TASK
    }

    #[inline]
    fn is_self(&self, _owner: Owner) -> bool {
        false
    }

    #[inline]
    fn is_gone(&self, owner: Owner) -> bool {
        Threads.is_gone(owner)
    }

    #[inline]
    fn epoch(&self) -> u32 {
        Threads.epoch()
    }

    fn wait(&self, word: &Word, expected: u32, epoch: u32, deadline: Option<Deadline>) -> Wake {
        Threads.wait(word, expected, epoch, deadline)
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

    #[inline]
    fn fence_lightly(&self) {
        fence::lightly();
    }

    fn fence_heavily(&self) {
        fence::heavily();
    }
}

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
        match rolls::sleep(word, expected, deadline) {
            // The caller looks again and comes back with the same deadline.
            Wake::Interrupted => Wake::Woken,
            reason => reason,
        }
    }

    fn wake(&self, word: *const Word, count: u32) {
        rolls::wake(word, count);
    }

    fn spin(&self, turn: u32) -> bool {
        spin(turn)
    }

    fn linger(&self, turn: u32) -> bool {
        linger(turn)
    }

    fn gather(&self, parties: u32, turn: u32) -> bool {
        gather(parties, turn)
    }

    #[inline]
    fn fence_lightly(&self) {
        fence::lightly();
    }

    fn fence_heavily(&self) {
        fence::heavily();
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
        rolls::sleep(word, expected, deadline)
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

    fn gather(&self, parties: u32, turn: u32) -> bool {
        gather(parties, turn)
    }

    #[inline]
    fn fence_lightly(&self) {
        fence::lightly();
    }

    fn fence_heavily(&self) {
        fence::heavily();
    }
}

/// How long to spin before sleeping for a lock, in nanoseconds: about 150 pauses where a pause takes 29 ns.
const SPIN: u64 = 4_500;

/// Pauses of a spin's longest turn; the first turns are 4, 8 and 16. Each look takes the lock's line away from whoever is about to
/// release it: with turns of 1 to 16 pauses, two threads that did nothing but lock and unlock were half as fast, and with
/// turns of a single one a third.
const LONGEST_SPIN: u32 = 32;

/// How long before sleeping for a counterpart, in nanoseconds: what a wake takes to reach another processor. Anything
/// shorter, and two parties that have both slept once never meet awake again.
const LINGER: u64 = 45_000;

/// Pauses of a linger's longest turn.
const LONGEST: u32 = 16;

/// So many turns of a linger are one pause each: a counterpart that is awake answers within them, and waiting is over as soon as it
/// has. Longer turns would make every answer as late as the end of a turn.
const FINE: u32 = 24;

/// How often a party yields for the others when not all have a processor. With four parties on two processors, 8 and 16 kept all
/// awake and made a barrier 30 times as fast as sleeping at once; one was as slow as that.
const GATHER: u32 = 16;

/// From this turn on, a lingerer yields instead: whoever it waits for may need its processor. With two producers and a
/// consumer on two processors, that made a ring three times as fast. A yield to nobody takes about as long as two turns.
const YIELD_FROM: u32 = FINE + 5;

/// Before sleeping for a lock: see [`Wait::spin`].
#[inline]
pub fn spin(turn: u32) -> bool {
    turn < turns().0 && pause((4 << turn.min(3)).min(LONGEST_SPIN))
}

/// After so many lingers in vain, a thread makes only every so-manieth: whoever it waits for is slow, or needs its processor.
const IN_VAIN: u32 = 8;

thread_local! {
    /// How this thread's lingers went.
    static LINGERS: Cell<Lingers> = const { Cell::new(Lingers { under_way: false, in_vain: 0, left_out: 0 }) };
}

#[derive(Clone, Copy)]
struct Lingers {
    /// The last one has not run out (yet): if another begins, it was a success.
    under_way: bool,
    /// How many have run out since the last success.
    in_vain: u32,
    /// How many were left out since the last that was made.
    left_out: u32,
}

/// Before sleeping for a counterpart: see [`Wait::linger`].
///
/// Adapts to the thread's luck, but never gives up for good: one of two parties that have both slept must be awake when
/// the other answers for the two to meet awake again.
#[inline]
pub fn linger(turn: u32) -> bool {
    let most = turns().1;
    if turn > 0 && turn < most {
        return match turn {
            ..FINE => pause(1),
            FINE..YIELD_FROM => pause(LONGEST),
            _ => give_way(),
        };
    }
    begin_or_end(turn == 0 && most > 0) && pause(1)
}

#[cold]
fn begin_or_end(begin: bool) -> bool {
    // While the thread ends there is no memory of its luck, and no hurry.
    let Ok(mut lingers) = LINGERS.try_with(Cell::get) else { return false };
    if lingers.under_way {
        lingers.in_vain = if begin { 0 } else { lingers.in_vain + 1 };
    }
    lingers.under_way = begin && (lingers.in_vain < IN_VAIN || lingers.left_out >= IN_VAIN);
    lingers.left_out = if lingers.under_way { 0 } else { lingers.left_out + u32::from(begin) };
    let _ = LINGERS.try_with(|cell| cell.set(lingers));
    lingers.under_way
}

#[cold]
fn give_way() -> bool {
    std::thread::yield_now();
    true
}

fn pause(pauses: u32) -> bool {
    for _ in 0..pauses {
        spin_loop();
    }
    true
}

/// How many turns a spin and a linger have. Found out once, since a pause takes 9 ns on one processor and 40 on another.
#[inline]
fn turns() -> (u32, u32) {
    static TURNS: AtomicU64 = AtomicU64::new(0);
    match TURNS.load(Ordering::Relaxed) {
        0 => {
            let (spin, linger) = measure();
            // The top bit tells "none" from "not yet known".
            TURNS.store(1 << 63 | u64::from(linger) << 32 | u64::from(spin), Ordering::Relaxed);
            (spin, linger)
        }
        known => (known as u32, (known >> 32) as u32 & !(1 << 31)),
    }
}

#[cold]
fn measure() -> (u32, u32) {
    // On a single processor, whoever we wait for runs only when we do not.
    if processors() == 1 {
        return (0, 0);
    }
    const PAUSES: u64 = 32;
    // The shortest of a few: we may be interrupted.
    let shortest = (0..4).map(|_| {
        let began = clock::now();
        (0..PAUSES).for_each(|_| spin_loop());
        clock::now() - began
    });
    let pause = (shortest.min().unwrap_or(0) / PAUSES).clamp(1, 500);
    let turns = |budget: u64, longest: u32| (budget / pause / u64::from(longest)) as u32;
    let lingers = turns(LINGER, LONGEST) + FINE;
    (turns(SPIN, LONGEST_SPIN) + 3, lingers - lingers.saturating_sub(YIELD_FROM) / 2)
}

/// Before sleeping until so many have come: see [`Wait::gather`].
pub fn gather(parties: u32, turn: u32) -> bool {
    static PROCESSORS: AtomicU32 = AtomicU32::new(0);
    let known = match PROCESSORS.load(Ordering::Relaxed) {
        0 => {
            let found = processors();
            PROCESSORS.store(found, Ordering::Relaxed);
            found
        }
        known => known,
    };
    if parties <= known { linger(turn) } else { turn < GATHER && give_way() }
}

/// How many processors the machine has. Not how many this thread may use: a thread that is bound to one may wait for one that
/// is bound to another.
fn processors() -> u32 {
    // SAFETY: takes a number.
    let online = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) };
    u32::try_from(online).unwrap_or(1).max(1)
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
