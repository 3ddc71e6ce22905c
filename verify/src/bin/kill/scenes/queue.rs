//! Two producers and two consumers of a queue: every item is accounted for.

use std::collections::HashMap;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::Duration;

use antiphon::Space;
use antiphon::error::{GetError, PutError, TimedGetError, TimedPutError, TryGetError, TryPutError};
use antiphon::space::{ByteQueue, LifoQueue, LoanQueue, PriorityQueue, Queue, Shutdown};
use antiphon_verify::random::mix;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::ledger::{Fault, ITEMS, Ledger, MAKERS, State};
use crate::scene::{Fallen, Operation, Post};

/// Which queue.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Plain,
    Bytes,
    Lifo,
    Priority,
    Loans,
}

/// A queue of plain items or of bytes, one by one or many at once.
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    pub(crate) which: Which,
    pub(crate) batch: usize,
}

const PUT: usize = 0;
const GET: usize = 1;
const CAPACITY: u32 = 40;
/// Items that a byte queue holds at most; their bytes may fill it earlier.
const MESSAGES: u32 = 32;
const BYTES: u64 = 2048;
const SOON: Duration = Duration::from_micros(300);

/// An item that says who made it, and notices when it is not whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct Item {
    pub(crate) maker: u32,
    pub(crate) number: u32,
    rest: [u64; 6],
    sum: u64,
}

impl Item {
    pub(crate) fn new(maker: u32, number: u32) -> Self {
        let seed = u64::from(maker) << 32 | u64::from(number);
        let rest = std::array::from_fn(|i| mix(seed.wrapping_add(i as u64)));
        Self { maker, number, rest, sum: mix(!seed) }
    }

    pub(crate) fn is_whole(&self) -> bool {
        *self == Self::new(self.maker, self.number)
    }

    /// A number by which the items of a maker come out in their order.
    pub(crate) fn priority(&self) -> u64 {
        u64::from(self.number) << 32 | u64::from(self.maker)
    }

    /// As a message of a length of its own.
    pub(crate) fn message(&self) -> Vec<u8> {
        let words = self.rest[0] as usize % 20;
        let mut message = self.as_bytes().to_vec();
        for i in 0..words {
            message.extend_from_slice(&mix(self.sum.wrapping_add(i as u64)).to_le_bytes());
        }
        message.truncate(message.len() - self.rest[1] as usize % 8);
        message
    }

    pub(crate) fn of_message(message: &[u8]) -> Option<Self> {
        // Only the end of its last word may be cut off, so what counts is read from its beginning.
        let (maker, number) = (message.get(..4)?, message.get(4..8)?);
        let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("four bytes"));
        let item = Self::new(word(maker), word(number));
        (item.message() == message).then_some(item)
    }
}

/// Any of the queues, with the few methods that the scene needs.
enum Handle {
    Plain(Queue<Item>),
    Bytes(ByteQueue),
    Lifo(LifoQueue<Item>),
    Priority(PriorityQueue<u64, Item>),
    Loans(LoanQueue),
}

/// How many were put or got; `None`: the queue is shut down.
type Done<T> = Option<T>;

/// Puts one item in the form that `$form` chooses, or all of them at once; says how many, and whether the queue is open.
macro_rules! put {
    ($queue:ident, $items:expr, $form:expr) => {
        match (&$items[..], $form) {
            ([item], 0) => match $queue.try_put(item.clone()) {
                Ok(()) => (1, true),
                Err(TryPutError::Full(_)) => (0, true),
                Err(TryPutError::ShutDown(_)) => (0, false),
                Err(error) => panic!("{error:?}"),
            },
            ([item], 1) => match $queue.put_timeout(item.clone(), SOON) {
                Ok(()) => (1, true),
                Err(TimedPutError::TimedOut(..)) => (0, true),
                Err(TimedPutError::ShutDown(_)) => (0, false),
                Err(error) => panic!("{error:?}"),
            },
            ([item], _) => match $queue.put(item.clone()) {
                Ok(()) => (1, true),
                Err(PutError::ShutDown(_)) => (0, false),
                Err(error) => panic!("{error:?}"),
            },
            (items, _) => match $queue.put_many(items) {
                Ok(()) => (items.len(), true),
                Err(PutError::ShutDown(put)) => (put, false),
                Err(error) => panic!("{error:?}"),
            },
        }
    };
}

/// Gets one item in the form that `$form` chooses, or up to `$most`; `$whole` turns it into an item if it is whole.
macro_rules! get {
    ($queue:ident, $most:expr, $form:expr, $whole:expr) => {
        if $most > 1 {
            match $queue.get_many($most) {
                Ok(items) => Some(items.into_iter().map($whole).collect()),
                Err(GetError::ShutDown) => None,
                Err(error) => panic!("{error:?}"),
            }
        } else {
            one(
                $form,
                || $queue.get().map($whole),
                || $queue.try_get().map($whole),
                || $queue.get_timeout(SOON).map($whole),
            )
        }
    };
}

/// The queue in the handle.
macro_rules! queue {
    ($handle:expr, $queue:ident => $body:expr) => {
        match $handle {
            Handle::Plain($queue) => $body,
            Handle::Bytes($queue) => $body,
            Handle::Lifo($queue) => $body,
            Handle::Priority($queue) => $body,
            Handle::Loans($queue) => $body,
        }
    };
}

impl Handle {
    /// Puts them all and says how many it put, in the form that `form` chooses.
    fn put(&self, items: &[Item], form: u64) -> (usize, bool) {
        match self {
            Self::Plain(queue) => put!(queue, items, form),
            Self::Lifo(queue) => put!(queue, items, form),
            Self::Priority(queue) => {
                let pairs: Vec<_> = items.iter().map(|item| (item.priority(), *item)).collect();
                put!(queue, pairs, form)
            }
            Self::Bytes(queue) => {
                let messages: Vec<_> = items.iter().map(Item::message).collect();
                let messages: Vec<_> = messages.iter().map(Vec::as_slice).collect();
                put!(queue, messages, form)
            }
            Self::Loans(queue) => lend(queue, &items[0].message(), form),
        }
    }

    /// Gets one item or up to `most`; an item that is not whole is `None`.
    fn get(&self, most: usize, form: u64) -> Done<Vec<Option<Item>>> {
        let whole = |item: Item| item.is_whole().then_some(item);
        match self {
            Self::Plain(queue) => get!(queue, most, form, whole),
            Self::Lifo(queue) => get!(queue, most, form, whole),
            Self::Priority(queue) => {
                get!(queue, most, form, |(priority, item)| {
                    whole(item).filter(|item| item.priority() == priority)
                })
            }
            Self::Bytes(queue) => {
                get!(queue, most, form, |message: Vec<u8>| Item::of_message(&message))
            }
            Self::Loans(queue) => one(
                form,
                || queue.get().map(|view| Item::of_message(&view)),
                || queue.try_get().map(|view| Item::of_message(&view)),
                || queue.get_timeout(SOON).map(|view| Item::of_message(&view)),
            ),
        }
    }

    fn shutdown(&self) {
        queue!(self, queue => queue.shutdown(Shutdown::Drain));
    }

    fn len(&self) -> usize {
        queue!(self, queue => queue.len())
    }
}

/// Puts a message without a copy, through memory that is poisoned first: whoever else has it sees that.
fn lend(queue: &LoanQueue, message: &[u8], form: u64) -> (usize, bool) {
    let loan = match form {
        0 => queue.try_reserve(message.len()),
        1 => queue.reserve_timeout(message.len(), SOON).map_err(|error| match error {
            TimedPutError::TimedOut(..) => TryPutError::Full(()),
            TimedPutError::ShutDown(()) => TryPutError::ShutDown(()),
            error => panic!("{error:?}"),
        }),
        _ => queue.reserve(message.len()).map_err(|error| match error {
            PutError::ShutDown(()) => TryPutError::ShutDown(()),
            error => panic!("{error:?}"),
        }),
    };
    let mut loan = match loan {
        Ok(loan) => loan,
        Err(TryPutError::Full(())) => return (0, true),
        Err(TryPutError::ShutDown(())) => return (0, false),
        Err(error) => panic!("{error:?}"),
    };
    loan.fill(0xEE);
    loan.copy_from_slice(message);
    match loan.commit() {
        Ok(()) => (1, true),
        Err(PutError::ShutDown(_)) => (0, false),
        Err(error) => panic!("{error:?}"),
    }
}

/// One item in the form that `form` chooses; none if that may not wait long.
fn one<T>(
    form: u64,
    get: impl FnOnce() -> Result<T, GetError>,
    try_get: impl FnOnce() -> Result<T, TryGetError>,
    get_soon: impl FnOnce() -> Result<T, TimedGetError>,
) -> Done<Vec<T>> {
    match form {
        0 => match try_get() {
            Ok(item) => Some(vec![item]),
            Err(TryGetError::Empty) => Some(Vec::new()),
            Err(TryGetError::ShutDown) => None,
            Err(error) => panic!("{error:?}"),
        },
        1 => match get_soon() {
            Ok(item) => Some(vec![item]),
            Err(TimedGetError::TimedOut(_)) => Some(Vec::new()),
            Err(TimedGetError::ShutDown) => None,
            Err(error) => panic!("{error:?}"),
        },
        _ => match get() {
            Ok(item) => Some(vec![item]),
            Err(GetError::ShutDown) => None,
            Err(error) => panic!("{error:?}"),
        },
    }
}

impl Scene {
    fn open(&self, space: &Space) -> Handle {
        match self.which {
            Which::Plain => space.queue("queue", CAPACITY).map(Handle::Plain),
            Which::Bytes => space.byte_queue("queue", MESSAGES, BYTES).map(Handle::Bytes),
            Which::Lifo => space.lifo_queue("queue", CAPACITY).map(Handle::Lifo),
            Which::Loans => space.loan_queue("queue", MESSAGES, 64).map(Handle::Loans),
            Which::Priority => space.priority_queue("queue", CAPACITY).map(Handle::Priority),
        }
        .expect("a queue")
    }

    fn produce(&self, queue: &Handle, post: &mut Post<'_>) {
        loop {
            let maker = post.ledger.makers_used.fetch_add(1, SeqCst);
            let Some(account) = post.ledger.makers.get(maker as usize) else { return idle(post) };
            // Not more than the ledger has room for.
            std::thread::sleep(Duration::from_millis(2));
            let mut number = 0;
            while number + self.batch <= ITEMS {
                let count = 1 + post.random.below(self.batch as u64) as usize;
                let items: Vec<_> =
                    (number..number + count).map(|i| Item::new(maker as u32, i as u32)).collect();
                let form = post.random.below(8);
                account.begun.store((number + count) as u32, SeqCst);
                post.enter(PUT);
                let (put, open) = queue.put(&items, form);
                number += put;
                account.done.store(number as u32, SeqCst);
                account.begun.store(number as u32, SeqCst);
                post.outside();
                if !open {
                    return;
                }
            }
        }
    }

    fn consume(&self, queue: &Handle, post: &mut Post<'_>) {
        let mut next = HashMap::new();
        loop {
            let form = post.random.below(8);
            post.enter(GET);
            let Some(items) = queue.get(self.batch, form) else { return };
            post.hold();
            post.ledger.items.fetch_add(items.len() as u64, Relaxed);
            for item in items {
                let Some(item) = item else {
                    post.fault(Fault::Torn, "an item is not whole");
                    continue;
                };
                let account = &post.ledger.makers[item.maker as usize];
                if account.got[item.number as usize].fetch_add(1, SeqCst) != 0 {
                    post.fault(Fault::Twice, &format!("{item:?}"));
                }
                if item.number >= account.begun.load(SeqCst) {
                    post.fault(Fault::Other, &format!("{item:?} was never put"));
                }
                let next = next.entry(item.maker).or_insert(0);
                // Of one maker's items that are there, the earlier ones come first, in all queues but one.
                if item.number < *next && self.which != Which::Lifo {
                    post.fault(Fault::Disorder, &format!("{item:?} after {next}"));
                }
                *next = item.number + 1;
            }
            post.outside();
        }
    }
}

/// Every maker's number is used up.
pub(super) fn idle(post: &Post<'_>) {
    post.ledger.exhausted.store(1, SeqCst);
    while !post.stopping() {
        std::thread::sleep(Duration::from_micros(100));
        post.outside();
    }
}

impl crate::scene::Scene for Scene {
    fn name(&self) -> &'static str {
        self.name
    }

    fn operations(&self) -> &'static [Operation] {
        if self.batch > 1 {
            &[
                Operation { name: "put_many", states: &[State::Entering], workers: &[0, 1] },
                Operation {
                    name: "get_many",
                    states: &[State::Entering, State::Holding],
                    workers: &[2, 3],
                },
            ]
        } else {
            &[
                Operation { name: "put", states: &[State::Entering], workers: &[0, 1] },
                Operation {
                    name: "get",
                    states: &[State::Entering, State::Holding],
                    workers: &[2, 3],
                },
            ]
        }
    }

    fn workers(&self) -> usize {
        4
    }

    fn work(&self, space: &Space, post: &mut Post<'_>) {
        let queue = self.open(space);
        if post.index < 2 { self.produce(&queue, post) } else { self.consume(&queue, post) }
    }

    fn release(&self, space: &Space) {
        self.open(space).shutdown();
    }

    fn check(&self, space: &Space, ledger: &Ledger, fallen: &[Fallen]) {
        let queue = self.open(space);
        if let Handle::Loans(queue) = &queue {
            let free = queue.free();
            if queue.is_empty() && free != queue.blocks() {
                ledger.fault(Fault::Lost, &format!("{}: only {free} free blocks", self.name));
            }
        }
        let left = queue.len();
        if left != 0 {
            ledger.fault(Fault::Lost, &format!("{}: {left} items nobody can get", self.name));
        }
        let takers = fallen.iter().filter(|f| f.place.operation == GET).count();
        // What a get has taken ends with the one who took it, at whatever moment after that it dies.
        let mut excuse = takers * self.batch;
        let used = (ledger.makers_used.load(SeqCst) as usize).min(MAKERS);
        for (maker, account) in ledger.makers.iter().take(used).enumerate() {
            let done = account.done.load(SeqCst) as usize;
            let missing = (0..done).filter(|i| account.got[*i].load(SeqCst) == 0).count();
            if missing > excuse {
                let what = format!("{}: {missing} of {done} of maker {maker}", self.name);
                ledger.fault(Fault::Lost, &what);
            }
            excuse = excuse.saturating_sub(missing);
            // Of those that were not finished, the first few may have been put.
            let more = account.got[done..].iter().map(|got| got.load(SeqCst));
            if !more.clone().skip_while(|got| *got != 0).all(|got| got == 0) && takers == 0 {
                ledger.fault(Fault::Disorder, &format!("{}: a batch with a hole", self.name));
            }
        }
    }
}
