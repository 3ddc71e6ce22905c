//! Watching words of spaces that other processes share, from a task or a select.
//!
//! No roll reaches other processes. Whoever waits here listens to the [bells](antiphon_core::bell) of its spaces, and looks at its words when one
//! has rung: a select does so itself, tasks have one thread per process that does it for them, from the first that has to wait until a
//! second after the last.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::task::Waker;
use std::thread;

use antiphon_core::wait::{Deadline, Wait, Word};
use antiphon_place::Registration;
use antiphon_sys::clock;
use antiphon_sys::fork;
use antiphon_sys::futex::{MOST_WORDS, Visibility, Words, has_waitv};
use antiphon_sys::threads::Threads;

use crate::space::wait::{FRESH, SLICE};

/// How long to sleep at most when the kernel cannot watch all words, in nanoseconds.
const SHORT: u64 = 1_000_000;
/// How many slices the thread stays after its last task.
const STAY: u32 = 20;

/// A word of a space, as an algorithm would have slept on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watched {
    word: *const Word,
    expected: u32,
    epoch: u32,
    space: *const Registration,
}

// SAFETY: the word and the space are made of atomics; who holds this sees to it that they are there.
unsafe impl Send for Watched {}

impl Watched {
    pub(super) fn new(space: &Registration, word: &Word, expected: u32, epoch: u32) -> Self {
        Self { word, expected, epoch, space }
    }

    /// Whether a sleep on it would have ended.
    ///
    /// # Safety
    /// - The word and the space are there.
    pub(super) unsafe fn has_changed(&self) -> bool {
        // SAFETY: the caller's promise.
        let (word, space) = unsafe { (&*self.word, &*self.space) };
        // Relaxed: the fence in `arm` orders it; whoever attempts then looks for itself.
        word.load(Ordering::Relaxed) != self.expected || space.epoch() != self.epoch
    }
}

/// The spaces that one listens to, and what it sleeps on meanwhile.
#[derive(Debug)]
pub(super) struct Listener {
    spaces: Vec<*const Registration>,
    words: Words,
}

// SAFETY: as for `Watched`.
unsafe impl Send for Listener {}

impl Listener {
    pub(super) const fn new() -> Self {
        Self { spaces: Vec::new(), words: Words::new() }
    }

    /// Listens to the spaces of `all`; what has not changed when it is looked at now will ring. `own` is a word of this process that also
    /// ends the sleep.
    ///
    /// # Safety
    /// - The spaces are there.
    pub(super) unsafe fn arm(
        &mut self,
        all: impl Iterator<Item = Watched>,
        own: &Word,
        expected: u32,
    ) {
        self.spaces.clear();
        self.words.clear();
        self.words.add(own, expected, Visibility::Private);
        for watched in all {
            if self.spaces.contains(&watched.space) {
                continue;
            }
            self.spaces.push(watched.space);
            // SAFETY: the caller's promise.
            let space = unsafe { &*watched.space };
            let heard = space.bell().arm();
            self.words.add(space.bell().word(), heard, Visibility::Shared);
            self.words.add(space.epoch_word(), space.epoch(), Visibility::Shared);
        }
    }

    /// Sleeps until something has rung, until the deadline or the end of a slice.
    pub(super) fn sleep(&self, deadline: Option<Deadline>) {
        let is_watched = has_waitv() && 2 * self.spaces.len() < MOST_WORDS;
        let slice = if is_watched { SLICE } else { SHORT };
        let end = Deadline(clock::now().saturating_add(slice));
        self.words.sleep(deadline.map_or(end, |deadline| deadline.min(end)));
    }

    /// Looks for the dead, unless somebody has of late.
    ///
    /// # Safety
    /// - The spaces are there.
    pub(super) unsafe fn look(&self) {
        let now = clock::now();
        for space in &self.spaces {
            // SAFETY: the caller's promise.
            unsafe { &**space }.look(now, FRESH);
        }
    }
}

/// The tasks of this process that wait for words of spaces.
struct Tasks {
    places: Vec<Place>,
    free: Vec<u32>,
    waiting: usize,
    /// The thread is there.
    served: bool,
    /// The spaces that it listens to, by address. One that took the address of another which is gone is heard at the end of a slice.
    heard: Vec<*const Registration>,
    /// The process that all this belongs to.
    process: u32,
}

struct Place {
    /// Tells one user of the place from the next.
    serial: u32,
    task: Option<(Watched, Waker)>,
}

// SAFETY: as for `Watched`.
unsafe impl Send for Tasks {}

static TASKS: Mutex<Tasks> = Mutex::new(Tasks {
    places: Vec::new(),
    free: Vec::new(),
    waiting: 0,
    served: false,
    heard: Vec::new(),
    process: 0,
});
/// Changes when the thread has to look for other spaces.
static NEWS: Word = Word::new(0);
/// How many forks lie between the first process and this one.
static PROCESS: AtomicU32 = AtomicU32::new(1);
static AT_FORK: fork::Handlers = fork::Handlers { before: || (), in_parent: || (), in_child };

fn in_child() {
    PROCESS.fetch_add(1, Ordering::Relaxed);
}

/// The tasks, locked so that no fork finds them locked by a thread that is not there.
fn tasks() -> (MutexGuard<'static, Tasks>, fork::Still) {
    static ON_FORK: Once = Once::new();
    ON_FORK.call_once(|| {
        // Without it a child would believe that its parent's thread serves it.
        fork::on_fork(&AT_FORK).expect("a process has room for a fork handler");
    });
    let still = fork::still();
    let mut tasks = TASKS.lock().unwrap_or_else(PoisonError::into_inner);
    let process = PROCESS.load(Ordering::Relaxed);
    if tasks.process != process {
        // What is there belongs to the parent's tasks. Their wakers are neither woken nor dropped here.
        std::mem::forget(std::mem::take(&mut tasks.places));
        tasks.free.clear();
        tasks.heard.clear();
        (tasks.waiting, tasks.served, tasks.process) = (0, false, process);
    }
    (tasks, still)
}

/// The place of one task. 0 is none.
#[derive(Debug, Default)]
pub(super) struct Ticket(u64, u32);

impl Ticket {
    /// Has `watched` watched on behalf of a task. False: it has changed.
    ///
    /// # Safety
    /// - The word and the space are there until this ticket is given up or dropped.
    pub(super) unsafe fn start(&mut self, watched: Watched, waker: &Waker) -> bool {
        let (waker, waker_of_last_resort) = (waker.clone(), waker);
        let (mut tasks, still) = tasks();
        let old = tasks.take(self);
        // Not by assignment, which would drop what was here with the lock taken.
        let ticket = tasks.put(watched, waker);
        std::mem::forget(std::mem::replace(self, ticket));
        let serve = !std::mem::replace(&mut tasks.served, true);
        let tell = !tasks.heard.contains(&watched.space);
        drop(tasks);
        drop(still);
        drop(old);
        if serve {
            if thread::Builder::new().name("antiphon-wait".to_owned()).spawn(serve_tasks).is_err() {
                // Better a task that polls than one that waits for ever; the next to come tries again.
                self::tasks().0.served = false;
                waker_of_last_resort.wake_by_ref();
                return true;
            }
        } else if tell {
            NEWS.fetch_add(1, Ordering::Release);
            Threads.wake(&NEWS, 1);
        }
        // Pairs with the fence of who changes the word and then looks at the bell, which the thread has armed or will arm before it looks.
        std::sync::atomic::fence(Ordering::SeqCst);
        // SAFETY: the caller's promise.
        if unsafe { watched.has_changed() } {
            self.stop();
            return false;
        }
        true
    }

    pub(super) fn is_on(&self) -> bool {
        if self.0 == 0 {
            return false;
        }
        let (tasks, _still) = tasks();
        tasks.find(self).is_some()
    }

    /// Is watched no more.
    #[inline]
    pub(super) fn stop(&mut self) {
        if self.0 != 0 {
            self.give_up();
        }
    }

    #[cold]
    fn give_up(&mut self) {
        let (mut tasks, still) = tasks();
        let old = tasks.take(self);
        drop(tasks);
        drop(still);
        drop(old);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Tasks {
    fn put(&mut self, watched: Watched, waker: Waker) -> Ticket {
        self.waiting += 1;
        let i = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place { serial: 0, task: None });
            self.places.len() as u32 - 1
        });
        let place = &mut self.places[i as usize];
        place.serial = place.serial.wrapping_add(1);
        place.task = Some((watched, waker));
        Ticket(u64::from(place.serial) << 32 | u64::from(i + 1), self.process)
    }

    fn find(&self, ticket: &Ticket) -> Option<usize> {
        let i = (ticket.0 as u32).checked_sub(1)? as usize;
        let place = self.places.get(i).filter(|_| ticket.1 == self.process)?;
        (place.task.is_some() && place.serial == (ticket.0 >> 32) as u32).then_some(i)
    }

    fn take(&mut self, ticket: &mut Ticket) -> Option<Waker> {
        let found = self.find(ticket);
        ticket.0 = 0;
        self.take_at(found?)
    }

    fn take_at(&mut self, i: usize) -> Option<Waker> {
        let (_, waker) = self.places[i].task.take()?;
        self.waiting -= 1;
        self.free.push(i as u32);
        Some(waker)
    }

    fn watched(&self) -> impl Iterator<Item = Watched> + '_ {
        self.places.iter().filter_map(|place| place.task.as_ref().map(|task| task.0))
    }
}

/// The thread that listens for all tasks.
///
/// Repeatedly: listen to all bells; look at all words; wake whom they concern; sleep.
fn serve_tasks() {
    let process = PROCESS.load(Ordering::Relaxed);
    let (mut listener, mut told) = (Listener::new(), Vec::new());
    let mut idle = 0;
    loop {
        // Acquire pairs with the Release in `start`: what is not found below has changed this.
        let news = NEWS.load(Ordering::Acquire);
        let (mut tasks, still) = tasks();
        idle = if tasks.waiting == 0 { idle + 1 } else { 0 };
        if idle > STAY || tasks.process != process {
            tasks.served = false;
            return;
        }
        // SAFETY: who waits keeps its space, and gives its place up under this lock before that ends.
        unsafe { listener.arm(tasks.watched(), &NEWS, news) };
        tasks.heard.clone_from(&listener.spaces);
        for i in 0..tasks.places.len() {
            // SAFETY: as above.
            let has_changed = |task: &(Watched, Waker)| unsafe { task.0.has_changed() };
            if tasks.places[i].task.as_ref().is_some_and(has_changed) {
                told.extend(tasks.take_at(i));
            }
        }
        // SAFETY: as above.
        unsafe { listener.look() };
        drop(tasks);
        drop(still);
        told.drain(..).for_each(Waker::wake);
        listener.sleep(None);
    }
}
