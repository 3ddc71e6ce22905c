//! Waiting without sleeping: a roll of those who want to hear of a word's wakes.
//!
//! A *sleeper* is a thread in the kernel's queue, and a wake of one reaches one. A *watcher* is a place in memory with a
//! [`Waker`]: a task of an async executor, or a thread that waits for several things. Every wake of its word tells it, whatever the
//! wake's number, takes it off the roll, and counts it for nothing: so a watcher never consumes a wake, and one that is
//! dropped, or told and never looks again, takes nothing from anybody.
//!
//! | `watchers` | meaning |
//! |---|---|
//! | `n` | So many are on the roll. Written under the lock; may be read too high, never too low by who has changed a word that one of them watches. |
//!
//! | `sleepers` | meaning |
//! |---|---|
//! | `n` | At most so many threads sleep on the words of this roll: a wake that finds zero makes no system call. |
//!
//! A watcher enrols and *then* looks whether the word still holds what it expects; a waker changes the word and *then* looks at
//! the roll. Between the two steps of each stands a sequentially consistent fence, so one sees the other. A sleeper does the same, and
//! the kernel looks at the word.

use core::cell::UnsafeCell;
use core::fmt;
use core::marker::PhantomPinned;
use core::ptr;
use core::task::Waker;

use crate::primitive::Ordering::{Acquire, Relaxed, Release, SeqCst};
use crate::primitive::{AtomicU32, AtomicU64, constructor, fence};
use crate::sync::RawMutex;
use crate::wait::{Deadline, Wait, Wake, Word};

/// How many are told with the lock taken once.
const AT_ONCE: usize = 8;

/// A place on a [`Roll`].
///
/// Its owner alone calls [`Roll::enrol`] and [`Roll::leave`] with it; whoever tells takes it off.
pub struct Watcher {
    /// The address of the word it watches, 0 when it is on no roll.
    word: AtomicU64,
    /// Reached under the roll's lock while on it, by the owner while not.
    place: UnsafeCell<Place>,
    _pinned: PhantomPinned,
}

struct Place {
    before: *const Watcher,
    after: *const Watcher,
    /// When it enrolled, in enrolments of the roll.
    number: u64,
    /// The roll's era then.
    era: u32,
    waker: Option<Waker>,
}

/// Those who watch or sleep on some words.
pub struct Roll {
    lock: RawMutex,
    watchers: AtomicU32,
    sleepers: AtomicU32,
    /// How often the roll was forgotten.
    era: AtomicU32,
    /// Reached under the lock.
    list: UnsafeCell<List>,
}

struct List {
    first: *const Watcher,
    last: *const Watcher,
    number: u64,
}

// SAFETY: the pointers lead to watchers that stay where they are while they are on the roll, and are followed under its lock.
unsafe impl Send for Roll {}
// SAFETY: as above.
unsafe impl Sync for Roll {}
// SAFETY: the place is reached under the lock, or by the owner.
unsafe impl Send for Watcher {}
// SAFETY: as above; sharing a watcher allows no more than to ask whether it is on.
unsafe impl Sync for Watcher {}

impl Watcher {
    constructor! {
        /// A watcher that is on no roll.
        pub fn new() -> Self {
            Self {
                word: AtomicU64::new(0),
                place: UnsafeCell::new(Place {
                    before: ptr::null(),
                    after: ptr::null(),
                    number: 0,
                    era: 0,
                    waker: None,
                }),
                _pinned: PhantomPinned,
            }
        }
    }

    /// Whether it is on a roll: enrolled, and not told since.
    #[inline]
    pub fn is_on(&self) -> bool {
        // Acquire pairs with the Release in `take_off`: the other is done with us.
        self.word.load(Acquire) != 0
    }
}

impl Default for Watcher {
    fn default() -> Self {
        Self::new()
    }
}

impl Roll {
    constructor! {
        /// A roll with nobody on it.
        pub fn new() -> Self {
            Self {
                lock: RawMutex::new(),
                watchers: AtomicU32::new(0),
                sleepers: AtomicU32::new(0),
                era: AtomicU32::new(0),
                list: UnsafeCell::new(List { first: ptr::null(), last: ptr::null(), number: 0 }),
            }
        }
    }

    /// Sleeps as [`Wait::wait`] of `w`, and is known to [`wake`](Self::wake).
    pub fn sleep<W: Wait>(
        &self,
        w: &W,
        word: &Word,
        expected: u32,
        epoch: u32,
        deadline: Option<Deadline>,
    ) -> Wake {
        self.sleepers.fetch_add(1, Relaxed);
        // Pairs with the fence in `wake`: it finds us, or the kernel finds the word changed.
        fence(SeqCst);
        let wake = w.wait(word, expected, epoch, deadline);
        self.sleepers.fetch_sub(1, Relaxed);
        wake
    }

    /// Wakes up to `count` sleepers of `word` and tells all who watch it. To be called after the word has changed. `w` wakes
    /// sleepers and nobody else.
    pub fn wake<W: Wait>(&self, w: &W, word: *const Word, count: u32) {
        // Pairs with the fences in `sleep` and `enrol`: whoever is not seen here has seen the change, or will.
        fence(SeqCst);
        if self.sleepers.load(Relaxed) != 0 {
            w.wake(word, count);
        }
        if self.watchers.load(Relaxed) != 0 {
            self.tell(w, word);
        }
    }

    /// Puts `watcher` on the roll, unless the word has changed: then it returns false. Once on, the first wake of the word
    /// takes it off and wakes `waker`. It may be on the roll already, for this or for another word.
    ///
    /// # Safety
    /// - Until it is off the roll, `watcher` stays where it is, and is used with no other roll.
    /// - Nobody else enrols or leaves with it at the same time.
    pub unsafe fn enrol<W: Wait>(
        &self,
        w: &W,
        watcher: &Watcher,
        word: &Word,
        expected: u32,
        waker: &Waker,
    ) -> bool {
        // A waker is the caller's code, so it is copied and dropped outside the lock.
        let waker = Some(waker.clone());
        let address = ptr::from_ref(word) as u64;
        self.lock(w);
        let was_on = self.is_on(watcher);
        if was_on {
            self.unlink(watcher);
        }
        // SAFETY: under the lock.
        let (list, place) = unsafe { (&mut *self.list.get(), &mut *watcher.place.get()) };
        list.number += 1;
        place.number = list.number;
        place.era = self.era.load(Relaxed);
        place.before = list.last;
        place.after = ptr::null();
        let old = core::mem::replace(&mut place.waker, waker);
        if list.last.is_null() {
            list.first = watcher;
        } else {
            // SAFETY: what is on the roll is there, and this is the lock for it.
            unsafe { (*(*list.last).place.get()).after = watcher };
        }
        list.last = watcher;
        // Relaxed: only the owner asks, and only about the other direction.
        watcher.word.store(address, Relaxed);
        if !was_on {
            self.watchers.fetch_add(1, Relaxed);
        }
        self.unlock(w);
        drop(old);
        // Pairs with the fence in `wake`: it finds us, or we find the word changed.
        fence(SeqCst);
        if word.load(Relaxed) == expected {
            return true;
        }
        // SAFETY: the caller's promise.
        unsafe { self.leave(w, watcher) };
        false
    }

    /// Takes `watcher` off the roll, if it is on it.
    ///
    /// # Safety
    /// - Nobody else enrols or leaves with it at the same time, and it was used with no other roll since it was off one.
    pub unsafe fn leave<W: Wait>(&self, w: &W, watcher: &Watcher) {
        if !watcher.is_on() {
            return;
        }
        self.lock(w);
        // Told meanwhile: then its waker is gone already.
        let old = self.is_on(watcher).then(|| self.take_off(watcher)).flatten();
        // A watcher from before a fork is on no roll, whatever it says.
        watcher.word.store(0, Relaxed);
        self.unlock(w);
        drop(old);
    }

    /// Tells all who watched `word` when this was called.
    #[cold]
    fn tell<W: Wait>(&self, w: &W, word: *const Word) {
        let address = word as u64;
        let mut until = None;
        loop {
            let mut told = [const { None::<Waker> }; AT_ONCE];
            let mut n = 0;
            self.lock(w);
            // SAFETY: under the lock.
            let list = unsafe { &*self.list.get() };
            // Those who come back at once, to watch again, are not told again.
            let until = *until.get_or_insert(list.number);
            let mut next = list.first;
            while n < AT_ONCE && !next.is_null() {
                // SAFETY: what is on the roll is there.
                let watcher = unsafe { &*next };
                // SAFETY: under the lock.
                let place = unsafe { &*watcher.place.get() };
                if place.number > until {
                    break;
                }
                next = place.after;
                if watcher.word.load(Relaxed) == address {
                    told[n] = self.take_off(watcher);
                    n += 1;
                }
            }
            self.unlock(w);
            told.into_iter().take(n).flatten().for_each(Waker::wake);
            if n < AT_ONCE {
                return;
            }
        }
    }

    /// Takes one that is on the roll off it. The last that the roll does with it.
    fn take_off(&self, watcher: &Watcher) -> Option<Waker> {
        self.unlink(watcher);
        // SAFETY: under the lock.
        let waker = unsafe { (*watcher.place.get()).waker.take() };
        self.watchers.fetch_sub(1, Relaxed);
        // Release pairs with the Acquire in `is_on`: from here on its owner may free it.
        watcher.word.store(0, Release);
        waker
    }

    /// Under the lock: whether `watcher` is on this roll, as it is now.
    fn is_on(&self, watcher: &Watcher) -> bool {
        // SAFETY: under the lock.
        let era = unsafe { (*watcher.place.get()).era };
        watcher.word.load(Relaxed) != 0 && era == self.era.load(Relaxed)
    }

    fn unlink(&self, watcher: &Watcher) {
        // SAFETY: under the lock; neighbours are on the roll, and so are there.
        unsafe {
            let (list, place) = (&mut *self.list.get(), &*watcher.place.get());
            match place.before.as_ref() {
                Some(before) => (*before.place.get()).after = place.after,
                None => list.first = place.after,
            }
            match place.after.as_ref() {
                Some(after) => (*after.place.get()).before = place.before,
                None => list.last = place.before,
            }
        }
    }

    /// Forgets all who watch or sleep, and a lock that is held: they are of another process. For a forked child, before anything else
    /// happens there.
    ///
    /// # Safety
    /// - The caller is the only thread.
    pub unsafe fn forget(&self) {
        // SAFETY: nobody else is there.
        let list = unsafe { &mut *self.list.get() };
        (list.first, list.last) = (ptr::null(), ptr::null());
        self.watchers.store(0, Relaxed);
        self.sleepers.store(0, Relaxed);
        self.era.fetch_add(1, Relaxed);
        self.lock.forget();
    }

    fn lock<W: Wait>(&self, w: &W) {
        // Nothing of the caller's runs under the lock, so nobody panics there and nobody comes here twice.
        while self.lock.lock(w, None).is_err() {}
    }

    fn unlock<W: Wait>(&self, w: &W) {
        self.lock.unlock(w, 0);
    }
}

impl Default for Roll {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").field("on", &self.is_on()).finish()
    }
}

impl fmt::Debug for Roll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Roll")
            .field("watchers", &self.watchers.load(Relaxed))
            .field("sleepers", &self.sleepers.load(Relaxed))
            .finish()
    }
}
