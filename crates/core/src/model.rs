//! A futex, and deaths, for the model checkers.
//!
//! [`Kernel`] stands for the operating system of one execution: a queue of sleepers per word, the set of owners that are
//! gone, and the epoch. [`Model`] is one party's view of it and implements [`Wait`].
//!
//! - A wake wakes exactly the sleepers of that word that went to sleep first, so that a lost or stolen wake shows as a
//!   deadlock (a stand-in by `yield_now` hides them and explodes, tokio-rs/loom#306).
//! - There are no clocks: a sleep with a deadline that would have to wait times out at once.
//! - A victim ([`Kernel::victim`]) dies just before its k-th step, a step being an access to an atomic of
//!   [`primitive`](crate::primitive), a call to sleep, the return from it, or a wake. Its closure is unwound, then it is
//!   declared gone as a kernel would do: the verdict first, then the epoch, then everybody is woken.
//!
//! The queue's lock orders more than a kernel promises (it is sequentially consistent under either checker), so orderings
//! show their faults on those paths that do not sleep.

extern crate std;

use std::any::Any;
use std::boxed::Box;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::vec::Vec;

#[cfg(loom)]
use loom as checker;
#[cfg(shuttle)]
use shuttle as checker;

use checker::sync::atomic::{AtomicU32, Ordering};
use checker::sync::{Condvar, Mutex};
use checker::thread::{self, ThreadId};

use crate::owner::Owner;
use crate::wait::{Deadline, Wait, Wake, Word};

/// The operating system of one execution. Clones are the same kernel.
#[derive(Clone, Debug)]
pub struct Kernel {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Without deaths nobody looks at `gone` and `epoch`, which spares the checker most of its branches.
    mortal: bool,
    gone: AtomicU32,
    epoch: AtomicU32,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    /// The same as `Shared::epoch`, which changes under this lock only.
    epoch: u32,
    /// In the order in which they fell asleep.
    sleepers: Vec<Arc<Sleeper>>,
    /// How often somebody has fallen asleep.
    sleeps: u32,
}

#[derive(Debug)]
struct Sleeper {
    word: usize,
    bell: Condvar,
}

impl Kernel {
    /// A kernel on which nobody ever dies.
    #[must_use]
    pub fn new() -> Self {
        Self::with(false)
    }

    /// A kernel on which owners may be declared gone.
    #[must_use]
    pub fn mortal() -> Self {
        Self::with(true)
    }

    fn with(mortal: bool) -> Self {
        Self {
            shared: Arc::new(Shared {
                mortal,
                gone: AtomicU32::new(0),
                epoch: AtomicU32::new(0),
                queue: Mutex::new(Queue::default()),
            }),
        }
    }

    /// The view of thread `n`, 1 to 7: meeting itself as an owner is a deadlock.
    #[must_use]
    pub fn thread(&self, n: u32) -> Model<true> {
        assert!((1..8).contains(&n));
        self.model(n)
    }

    /// The view of the first participant at `index`, 0 to 7.
    #[must_use]
    pub fn participant(&self, index: u32) -> Model<false> {
        self.participant_of(index, 1)
    }

    /// The view of the participant at `index`, 0 to 7, of `generation`, 1 to 3.
    #[must_use]
    pub fn participant_of(&self, index: u32, generation: u32) -> Model<false> {
        assert!(index < 8 && (1..4).contains(&generation));
        self.model(index | generation << 10)
    }

    fn model<const OWNER_IS_THREAD: bool>(&self, id: u32) -> Model<OWNER_IS_THREAD> {
        Model { kernel: self.clone(), me: Owner::new(id).expect("a nonzero id") }
    }

    /// How often somebody has fallen asleep so far: a model without any says little about wakes.
    #[must_use]
    pub fn sleeps(&self) -> u32 {
        self.shared.queue.lock().unwrap().sleeps
    }

    /// Declares `owner` gone, advances the epoch and wakes everybody. Three steps, as in life.
    pub fn declare_gone(&self, owner: Owner) {
        assert!(self.shared.mortal, "nobody dies on this kernel");
        self.shared.gone.fetch_or(bit(owner), Ordering::AcqRel);
        let mut queue = self.shared.queue.lock().unwrap();
        queue.epoch = self.shared.epoch.fetch_add(1, Ordering::AcqRel) + 1;
        for sleeper in queue.sleepers.drain(..) {
            sleeper.bell.notify_one();
        }
    }

    /// Runs `life` on the current thread as `owner`, who dies just before step `step` (counted from 0). `None`: it died,
    /// and has been declared gone. One victim per thread.
    pub fn victim<T>(&self, owner: Owner, step: u32, life: impl FnOnce() -> T) -> Option<T> {
        let thread = thread::current().id();
        VICTIMS.with_borrow_mut(|victims| victims.push(Victim { thread, left: Some(step) }));
        let outcome = catch_unwind(AssertUnwindSafe(life));
        VICTIMS.with_borrow_mut(|victims| victims.retain(|victim| victim.thread != thread));
        match outcome {
            Ok(value) => Some(value),
            Err(reason) if is_death(&*reason) => {
                self.declare_gone(owner);
                None
            }
            Err(reason) => resume_unwind(reason),
        }
    }
}

impl Default for Kernel {
    fn default() -> Self {
        Self::new()
    }
}

/// One party's view of a [`Kernel`].
#[derive(Clone, Debug)]
pub struct Model<const OWNER_IS_THREAD: bool> {
    kernel: Kernel,
    me: Owner,
}

impl<const OWNER_IS_THREAD: bool> Wait for Model<OWNER_IS_THREAD> {
    const OWNER_IS_THREAD: bool = OWNER_IS_THREAD;

    fn me(&self) -> Owner {
        self.me
    }

    fn is_gone(&self, owner: Owner) -> bool {
        let shared = &self.kernel.shared;
        // A read-modify-write reads the latest value, as a system call would. Acquire pairs with `declare_gone`.
        shared.mortal && shared.gone.fetch_or(0, Ordering::Acquire) & bit(owner) != 0
    }

    fn epoch(&self) -> u32 {
        let shared = &self.kernel.shared;
        if shared.mortal { shared.epoch.fetch_or(0, Ordering::Acquire) } else { 0 }
    }

    fn wait(&self, word: &Word, expected: u32, epoch: u32, deadline: Option<Deadline>) -> Wake {
        if step() {
            return Wake::Woken;
        }
        let mut queue = self.kernel.shared.queue.lock().unwrap();
        // Under the queue's lock, as a kernel does: a waker that changed the word before this read takes the lock
        // after us and finds us, or took it before us, and then we see its change.
        if word.latest() == expected && queue.epoch == epoch {
            if deadline.is_some() {
                return Wake::TimedOut;
            }
            let me = Arc::new(Sleeper { word: address(word), bell: Condvar::new() });
            queue.sleepers.push(me.clone());
            queue.sleeps += 1;
            while queue.sleepers.iter().any(|sleeper| Arc::ptr_eq(sleeper, &me)) {
                queue = me.bell.wait(queue).unwrap();
            }
        }
        drop(queue);
        step();
        Wake::Woken
    }

    fn wake(&self, word: *const Word, count: u32) {
        if step() {
            return;
        }
        let mut queue = self.kernel.shared.queue.lock().unwrap();
        for _ in 0..count {
            let Some(first) = queue.sleepers.iter().position(|s| s.word == address(word)) else {
                break;
            };
            queue.sleepers.remove(first).bell.notify_one();
        }
    }

    fn spin(&self, _: u32) -> bool {
        false
    }
}

fn address(word: *const Word) -> usize {
    word as usize
}

fn bit(owner: Owner) -> u32 {
    let id = owner.get();
    1 << ((id & 7) + 8 * (id >> 10))
}

/// What a victim's closure is unwound with.
struct Death;

struct Victim {
    thread: ThreadId,
    /// Steps until it dies. `None`: it has died.
    left: Option<u32>,
}

std::thread_local! {
    /// A checker runs all threads of an execution on one thread of the system, and other models on others.
    static VICTIMS: RefCell<Vec<Victim>> = const { RefCell::new(Vec::new()) };
}

fn is_death(reason: &(dyn Any + Send)) -> bool {
    reason.is::<Death>()
}

/// A point at which a victim may die. True on its way out: what its destructors do then must reach nobody, since one that is
/// killed runs none.
pub(crate) fn step() -> bool {
    let (dies, dead) = VICTIMS.with_borrow_mut(|victims| {
        if victims.is_empty() {
            return (false, false);
        }
        let thread = thread::current().id();
        let Some(victim) = victims.iter_mut().find(|victim| victim.thread == thread) else {
            return (false, false);
        };
        match victim.left {
            Some(0) => {
                victim.left = None;
                (true, false)
            }
            Some(left) => {
                victim.left = Some(left - 1);
                (false, false)
            }
            None => (false, true),
        }
    });
    if dies {
        resume_unwind(Box::new(Death));
    }
    dead
}
