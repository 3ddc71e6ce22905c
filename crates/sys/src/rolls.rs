//! Who sleeps on, or watches, the words of this process: one [`Roll`] per group of addresses.
//!
//! What the kernel has for threads asleep on private words, for tasks as well. It tells a waker whether a system call is
//! needed at all, so a wake of nobody costs a fence.

use std::fmt;
use std::pin::Pin;
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::task::Waker;

use antiphon_core::owner::Owner;
use antiphon_core::pad::Padded;
use antiphon_core::wait::{Deadline, Wait, Wake, Word};
use antiphon_core::watch::{Roll, Watcher};

use crate::futex::{self, Visibility};
use crate::{fork, thread, threads};

/// So many groups: two words that are waited for at the same time rarely share one.
const ROLLS: usize = 256;

static TABLE: [Padded<Roll>; ROLLS] = [const { Padded(Roll::new()) }; ROLLS];

/// The roll of a word.
#[inline]
fn roll(word: *const Word) -> &'static Roll {
    // Fibonacci hashing: the high bits of the product depend on all bits of the address.
    let mixed = (word.addr() as u64 >> 2).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    &TABLE[(mixed >> (64 - ROLLS.ilog2())) as usize]
}

/// Sleeps on a word of this process. A signal handler that has run ends it.
pub(crate) fn sleep(word: &Word, expected: u32, deadline: Option<Deadline>) -> Wake {
    roll(word).sleep(&Kernel, word, expected, 0, deadline)
}

/// Wakes up to `count` sleepers of a word of this process, and tells all who watch it.
#[inline]
pub(crate) fn wake(word: *const Word, count: u32) {
    roll(word).wake(&Kernel, word, count);
}

/// The kernel's queues alone.
struct Kernel;

impl Wait for Kernel {
    const OWNER_IS_THREAD: bool = true;

    fn me(&self) -> Owner {
        thread::owner()
    }

    fn is_gone(&self, _: Owner) -> bool {
        false
    }

    fn epoch(&self) -> u32 {
        0
    }

    fn wait(&self, word: &Word, expected: u32, _: u32, deadline: Option<Deadline>) -> Wake {
        futex::wait(word, expected, deadline, Visibility::Private)
    }

    fn wake(&self, word: *const Word, count: u32) {
        futex::wake(word, count, Visibility::Private);
    }

    fn spin(&self, turn: u32) -> bool {
        threads::spin(turn)
    }
}

/// A place from which one word of this process is watched at a time.
#[derive(Default)]
pub struct Watch {
    watcher: Watcher,
    /// The roll that it is on, or was on last.
    roll: AtomicPtr<Roll>,
}

impl Watch {
    /// A watch that is not kept.
    #[must_use]
    pub const fn new() -> Self {
        Self { watcher: Watcher::new(), roll: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Watches `word`, unless it does not hold `expected` any more: then this returns false. The first wake of the word ends the
    /// watch and wakes `waker`. One watch watches one word: the last that it was given.
    ///
    /// To be called by its owner only, as [`stop`](Self::stop) is: one thread at a time.
    pub fn start(self: Pin<&Self>, word: &Word, expected: u32, waker: &Waker) -> bool {
        static ON_FORK: Once = Once::new();
        ON_FORK.call_once(|| {
            // Without it a child would wait for locks that threads of its parent hold.
            fork::on_fork(&AT_FORK).expect("a process has room for a fork handler");
        });
        let roll = roll(word);
        if !ptr::eq(self.roll.load(Ordering::Relaxed), roll) {
            self.stop();
            self.roll.store(ptr::from_ref(roll).cast_mut(), Ordering::Relaxed);
        }
        // SAFETY: it is pinned, and left before it is dropped; it is off any other roll.
        unsafe { roll.enrol(&Kernel, &self.get_ref().watcher, word, expected, waker) }
    }

    /// Whether nobody has told since it was started.
    #[inline]
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.watcher.is_on()
    }

    /// Ends the watch.
    #[inline]
    pub fn stop(&self) {
        if self.watcher.is_on() {
            self.leave();
        }
    }

    #[cold]
    fn leave(&self) {
        // SAFETY: whatever is stored there came from a static in `start`.
        let roll = unsafe { &*self.roll.load(Ordering::Relaxed) };
        // SAFETY: this is the roll that it is on.
        unsafe { roll.leave(&Kernel, &self.watcher) };
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("on", &self.is_on()).finish()
    }
}

static AT_FORK: fork::Handlers =
    fork::Handlers { before: || (), in_parent: || (), in_child: forget };

/// In a forked child nobody sleeps, and those who watch are tasks of its parent.
fn forget() {
    for roll in &TABLE {
        // SAFETY: a forked child has one thread.
        unsafe { roll.forget() };
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    use std::task::Wake as _;

    use super::*;

    struct Count(AtomicU32);

    impl std::task::Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    fn counter() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count(AtomicU32::new(0)));
        (count.clone(), count.into())
    }

    #[test]
    fn a_wake_tells_all_who_watch_its_word_and_nobody_else() {
        let words = [Word::new(0), Word::new(0)];
        let (count, waker) = counter();
        let watches: Vec<_> = (0..20).map(|_| Box::pin(Watch::new())).collect();
        for (i, watch) in watches.iter().enumerate() {
            assert!(watch.as_ref().start(&words[i % 2], 0, &waker));
        }
        wake(&words[0], 1);
        assert_eq!(count.0.load(SeqCst), 10);
        assert!(watches.iter().enumerate().all(|(i, watch)| watch.is_on() == (i % 2 == 1)));
        wake(&words[0], 1);
        assert_eq!(count.0.load(SeqCst), 10);
        drop(watches);
        wake(&words[1], 1);
        assert_eq!(count.0.load(SeqCst), 10, "those who have gone are told nothing");
    }

    #[test]
    fn a_changed_word_is_not_watched_and_a_new_one_replaces_it() {
        let words = [Word::new(1), Word::new(2)];
        let (count, waker) = counter();
        let watch = pin!(Watch::new());
        let watch = watch.as_ref();
        assert!(!watch.start(&words[0], 0, &waker));
        assert!(!watch.is_on());
        assert!(watch.start(&words[0], 1, &waker));
        assert!(watch.start(&words[1], 2, &waker));
        wake(&words[0], u32::MAX);
        assert_eq!(count.0.load(SeqCst), 0);
        wake(&words[1], 1);
        assert_eq!(count.0.load(SeqCst), 1);
        count.clone().wake();
    }

    /// A waker that watches again as soon as it is woken.
    struct Eager {
        word: Word,
        watch: std::sync::Mutex<Pin<Box<Watch>>>,
        told: AtomicU32,
    }

    impl std::task::Wake for Eager {
        fn wake(self: Arc<Self>) {
            self.told.fetch_add(1, SeqCst);
            let waker = self.clone().into();
            self.watch.lock().unwrap().as_ref().start(&self.word, 0, &waker);
        }
    }

    #[test]
    fn who_watches_again_at_once_is_told_once() {
        let eager = Arc::new(Eager {
            word: Word::new(0),
            watch: std::sync::Mutex::new(Box::pin(Watch::new())),
            told: AtomicU32::new(0),
        });
        eager.clone().wake();
        wake(&eager.word, 1);
        assert_eq!(eager.told.load(SeqCst), 2);
        eager.watch.lock().unwrap().stop();
    }

    #[test]
    fn a_forked_child_forgets() {
        let _alone = crate::alone::alone();
        let word = Word::new(0);
        let (_, waker) = counter();
        let watch = pin!(Watch::new());
        let watch = watch.as_ref();
        assert!(watch.start(&word, 0, &waker));
        // SAFETY: the child allocates nothing and ends at once.
        let child = unsafe { libc::fork() };
        assert!(child >= 0);
        if child == 0 {
            watch.stop();
            let stopped = !watch.is_on() && watch.start(&word, 0, &waker);
            watch.stop();
            // SAFETY: fit for a forked child.
            unsafe { libc::_exit(if stopped { 0 } else { 1 }) };
        }
        let mut status = -1;
        // SAFETY: `status` is writable, and the child is ours.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        assert_eq!(status, 0);
        assert!(watch.is_on());
    }
}
