//! Synchronization and communication that work the same between threads and between processes, and survive `kill -9`.
//!
//! The two halves have the same names and methods: [`sync`] and [`comm`] for the threads of one process, [`space`] for processes
//! (or threads) that share objects by name. Whoever dies holding something, at whatever instruction, stops nobody: the next
//! one is told who it was, and goes on.
//!
//! # When not to use it
//! - Between threads, std's locks and channels do, unless you want timeouts, an error instead of a deadlock with yourself,
//!   poison that can be healed, a semaphore, an event, or a queue with several consumers.
//! - Processes that want to exchange bytes and know each other by a pipe or a socket need no shared memory.
//! - Processes of different users, or that do not trust each other's writes: who can open a space can write into it.
//! - Between machines: there are only messages over sockets (the feature `socket`). Anywhere but Linux: it is not there.
//!
//! # Hello, world
//! A hundred threads add 1 to a counter.
//! ```
//! use antiphon::sync::Mutex;
//!
//! static COUNTER: Mutex<u64> = Mutex::new(0);
//!
//! std::thread::scope(|scope| {
//!     for _ in 0..100 {
//!         scope.spawn(|| *COUNTER.lock().unwrap() += 1);
//!     }
//! });
//! assert_eq!(*COUNTER.lock().unwrap(), 100);
//! ```
//!
//! # Sharing with processes
//! A [`Space`] is where processes find objects: `host:shop` is the same place for every process of the same user on this machine.
//! Whoever comes first creates an object, and everybody who opens it by name shares it. It is gone with its last user.
//! ```
//! # let dir = std::env::temp_dir().join(format!("antiphon-doc-{}", std::process::id()));
//! # // SAFETY: this program has one thread.
//! # unsafe { std::env::set_var("ANTIPHON_DIR", &dir) };
//! use antiphon::Space;
//!
//! let shop = Space::open("host:shop")?;
//! let stock = shop.mutex("stock", 10u64)?; // 10 if nobody has opened it before
//! *stock.lock().unwrap() -= 1;
//! assert_eq!(*stock.lock().unwrap(), 9);
//! # drop((shop, stock));
//! # std::fs::remove_dir(dir).unwrap();
//! # Ok::<(), antiphon::error::SpaceError>(())
//! ```
//! What is shared so is [plain data](space::Plain): numbers, arrays, and `#[repr(C)]` structs that derive zerocopy's `FromBytes`,
//! `IntoBytes` and `Immutable`. Anything that serde can write travels as a message, see below.
//!
//! # Starting processes
//! [`process::spawn`] is `std::thread::spawn` for processes: a function of this program runs in a child, with an argument and a
//! result. Objects of a space can be (part of) the argument.
//! ```standalone_crate
//! use antiphon::{Space, process, space::Mutex};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     process::init(); // in a child, this runs the function and ends there
//!
//!     let counter = Space::anonymous()?.mutex("counter", 0u64)?;
//!     let children = (0..4)
//!         .map(|_| process::spawn(|c: Mutex<u64>| *c.lock().unwrap() += 1, counter.clone()))
//!         .collect::<Result<Vec<_>, _>>()?;
//!     for child in children {
//!         child.join()?;
//!     }
//!     assert_eq!(*counter.lock().unwrap(), 4);
//!     Ok(())
//! }
//! ```
//!
//! # When a process dies
//! The next one to lock gets the lock, and [`OwnerDied`](error::LockError::OwnerDied) with the guard inside: the value may be
//! half changed. It looks, repairs, and says so; until somebody does, everyone is told.
//! ```standalone_crate
//! use antiphon::error::LockError;
//! use antiphon::{Space, process, space::Mutex};
//!
//! fn change(pair: Mutex<[u32; 2]>) {
//!     let mut guard = pair.lock().unwrap();
//!     guard[0] = 8;
//!     std::process::exit(1); // the guard is never dropped
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     process::init();
//!     let pair = Space::anonymous()?.mutex("equal-numbers", [7u32, 7])?;
//!     let child = process::spawn(change, pair.clone())?;
//!     assert!(child.join().is_err());
//!
//!     match pair.lock() {
//!         Err(LockError::OwnerDied(mut guard, death)) => {
//!             println!("{death}"); // … (pid 4711, thread 4711) died holding it, acquired at …
//!             assert_eq!(*guard, [8, 7]);
//!             guard[1] = guard[0];
//!             guard.repair();
//!         }
//!         other => panic!("{other:?}"),
//!     }
//!     assert_eq!(*pair.lock().unwrap(), [8, 8]);
//!     Ok(())
//! }
//! ```
//! Permits of a semaphore come back, readers are let go, a barrier breaks for the others, an unfinished once is done by the next,
//! and queues just go on: what was committed is there, what was not never happened. Who sleeps notices within 100 ms; with
//! [`Space::watch`] in one process of the space, in about a millisecond.
//!
//! # Queues
//! Bounded, first in first out, any number of producers and consumers. Between threads items are any `T`; in a space they are
//! plain data ([`space::Queue`]), bytes ([`space::ByteQueue`]) or whatever serde can write ([`space::MessageQueue`]).
//! ```
//! use antiphon::comm::{Queue, Shutdown};
//!
//! let queue = Queue::bounded(4);
//! std::thread::scope(|scope| {
//!     scope.spawn(|| {
//!         for n in 0..10 {
//!             queue.put(n).unwrap(); // waits while there are four
//!         }
//!         queue.shutdown(Shutdown::Drain);
//!     });
//!     assert_eq!(queue.iter().sum::<u64>(), 45); // until it is shut down and empty
//! });
//! ```
//! ```
//! use antiphon::Space;
//!
//! let space = Space::open("threads:kitchen")?;
//! let orders = space.message_queue::<(String, u32)>("orders", 100, 1 << 16)?;
//! orders.put(&("tea".to_owned(), 2))?;
//! assert_eq!(orders.get()?, ("tea".to_owned(), 2));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How long to wait
//! Everything that waits has the same forms: plain, `try_` (never waits), `_timeout` (a [`Duration`](std::time::Duration)) and
//! `_deadline` (an [`Instant`](std::time::Instant)). A wait that gives up has taken nothing, and says who was in the way.
//! ```
//! use std::time::Duration;
//! use antiphon::error::TimedLockError;
//! use antiphon::sync::Mutex;
//!
//! let mutex = Mutex::new(());
//! let guard = mutex.lock().unwrap();
//! std::thread::scope(|scope| {
//!     scope.spawn(|| {
//!         assert!(mutex.try_lock().is_err());
//!         match mutex.lock_timeout(Duration::from_millis(10)) {
//!             // timed out after 10.1ms waiting for a mutex, held by thread 4711
//!             Err(TimedLockError::TimedOut(timeout)) => assert!(timeout.holder.is_some()),
//!             other => panic!("{other:?}"),
//!         }
//!     });
//! });
//! # drop(guard);
//! ```
//!
//! # Errors
//! Each operation has one small type, in [`error`]. `Poisoned` and `OwnerDied` carry the guard, since the lock *is* held;
//! a put that fails gives the item back; locking what the same thread holds is an error at once, not a deadlock.
//! ```
//! use antiphon::error::{LockError, TryPutError};
//! use antiphon::{comm::Queue, sync::Mutex};
//!
//! let mutex = Mutex::new(1);
//! let guard = mutex.lock().unwrap();
//! assert!(matches!(mutex.lock(), Err(LockError::WouldDeadlock)));
//! # drop(guard);
//!
//! let queue = Queue::bounded(1);
//! queue.put("first").unwrap();
//! assert!(matches!(queue.try_put("second"), Err(TryPutError::Full("second"))));
//! ```
//!
//! # What is where
//! | module | has |
//! |---|---|
//! | [`sync`] | mutex, reentrant mutex, rwlock, condvar, semaphores, event, barrier, once, latch, wait group, once lock; for threads, any value |
//! | [`comm`] | queues in three orders, and channels; for threads, any item |
//! | [`space`] | the same for processes, found by name or sent as handles; also job queues, loan queues, pipes, topics, services, dicts, lists, memory |
//! | [`wait`] | waiting in async code, and for the first of several |
//! | [`process`] | functions in child processes |
//! | `socket` (with the feature `socket`) | whole messages over unix and TCP sockets, as Python's `multiprocessing.connection` speaks them |
//! | [`error`], [`death`] | what can go wrong; who died holding what |
//! | [`inspect`] | looking at spaces from outside, as the `antiphon` command does |

pub mod comm;
pub mod death;
pub mod error;
#[cfg(doctest)]
mod pages;
pub mod process;
#[cfg(feature = "socket")]
pub mod socket;
pub mod space;
pub mod sync;
pub mod wait;

pub use death::{Cause, Death};
pub use space::Space;

/// Looking at spaces and objects from outside: no attaching, nobody paused.
pub mod inspect {
    pub use crate::space::inspect::{Activity, Fact, Party, activity};
    pub use antiphon_place::{
        Counter, Kind, ObjectInfo, ParticipantInfo, Record, SpaceInfo, WaiterInfo, base_directory,
        clean, inspect_object, inspect_space, list_spaces, remove_object, remove_space,
    };
}
