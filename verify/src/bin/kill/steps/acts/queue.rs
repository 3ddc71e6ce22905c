//! Putting items and getting them, one by one and many at once, plain items and messages of bytes.

use std::rc::Rc;

use antiphon::error::{TryGetError, TryPutError};
use antiphon::space::{ByteQueue, LoanQueue, PriorityQueue, Queue};

use super::super::{Act, Ward};
use super::keep;
use super::line::BLOCK;
use crate::scenes::Item;

/// Whose items are which: those that were there, and the victims'.
pub(in super::super) const OURS: u32 = 1;
const THEIRS: u32 = 2;
/// What cells hold that nobody should read any more.
const POISON: u32 = 0xEEEE_EEEE;

pub(in super::super) const CAPACITY: u32 = 5;
/// So many that it is the items which fill a byte queue.
pub(in super::super) const BYTES: u64 = 4096;

/// The longest message of an item.
const LONGEST: u32 = 256;

/// A queue of any storage and order.
pub(in super::super) trait Line: 'static {
    /// Whether what was put last comes first.
    const LIFO: bool = false;
    fn put(&self, items: &[Item]);
    fn try_put(&self, item: Item) -> bool;
    fn get(&self, most: usize) -> Vec<Option<Item>>;
    /// The next item if there is one; an item that is not whole is an error.
    fn try_get(&self) -> Result<Option<Item>, String>;
    fn len(&self) -> usize;
    /// Writes into all memory that is free.
    fn scribble(&self) {}
}

impl Line for Queue<Item> {
    fn put(&self, items: &[Item]) {
        match items {
            [item] => Queue::put(self, *item).expect("it is open"),
            items => self.put_many(items).expect("it is open"),
        }
    }

    fn try_put(&self, item: Item) -> bool {
        match Queue::try_put(self, item) {
            Ok(()) => true,
            Err(TryPutError::Full(_)) => false,
            Err(error) => panic!("{error:?}"),
        }
    }

    fn get(&self, most: usize) -> Vec<Option<Item>> {
        let whole = |item: Item| item.is_whole().then_some(item);
        if most == 1 {
            return vec![whole(Queue::get(self).expect("it is open"))];
        }
        self.get_many(most).expect("it is open").into_iter().map(whole).collect()
    }

    fn try_get(&self) -> Result<Option<Item>, String> {
        match Queue::try_get(self) {
            Ok(item) if item.is_whole() => Ok(Some(item)),
            Ok(item) => Err(format!("torn: {item:?}")),
            Err(TryGetError::Empty) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    fn len(&self) -> usize {
        Queue::len(self)
    }
}

impl Line for ByteQueue {
    fn put(&self, items: &[Item]) {
        match items {
            [item] => ByteQueue::put(self, &item.message()).expect("it is open"),
            items => {
                let messages: Vec<_> = items.iter().map(Item::message).collect();
                self.put_many(&messages).expect("it is open");
            }
        }
    }

    fn try_put(&self, item: Item) -> bool {
        match ByteQueue::try_put(self, &item.message()) {
            Ok(()) => true,
            Err(TryPutError::Full(())) => false,
            Err(error) => panic!("{error:?}"),
        }
    }

    fn get(&self, most: usize) -> Vec<Option<Item>> {
        let whole = |message: Vec<u8>| Item::of_message(&message);
        if most == 1 {
            return vec![whole(ByteQueue::get(self).expect("it is open"))];
        }
        self.get_many(most).expect("it is open").into_iter().map(whole).collect()
    }

    fn try_get(&self) -> Result<Option<Item>, String> {
        match ByteQueue::try_get(self) {
            Ok(message) => match Item::of_message(&message) {
                Some(item) => Ok(Some(item)),
                None => Err(format!("torn: a message of {} bytes", message.len())),
            },
            Err(TryGetError::Empty) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    fn len(&self) -> usize {
        ByteQueue::len(self)
    }
}

/// What was in the queue before, what a victim does, and what may be there afterwards.
pub(in super::super) struct Case<L: Line> {
    pub(in super::super) queue: &'static L,
    /// Items of ours before.
    pub(in super::super) there: u32,
    /// Items that a victim puts.
    pub(in super::super) puts: u32,
    /// Items that a victim gets.
    pub(in super::super) gets: u32,
}

impl<L: Line> Case<L> {
    /// Three laps of poison through every cell, and none of it may stay.
    fn poison(&self) -> Result<(), String> {
        for _ in 0..3 {
            let mut put = 0;
            while put < CAPACITY && self.queue.try_put(Item::new(POISON, put)) {
                put += 1;
            }
            if put < CAPACITY {
                return Err(format!("capacity: only {put} of {CAPACITY} items fit"));
            }
            for turn in 0..put {
                let number = if L::LIFO { put - 1 - turn } else { turn };
                match self.queue.try_get()? {
                    Some(item) if item.maker == POISON && item.number == number => {}
                    other => return Err(format!("{other:?} where poison {number} was put")),
                }
            }
            if let Some(item) = self.queue.try_get()? {
                return Err(format!("{item:?} after the last"));
            }
        }
        Ok(())
    }

    pub(in super::super) fn prepare(&self) {
        self.poison().expect("it was checked");
        for number in 0..self.there {
            self.queue.put(&[Item::new(OURS, number)]);
        }
    }

    pub(in super::super) fn act(&self, victim: u32) {
        if self.puts > 0 {
            let items: Vec<_> =
                (0..self.puts).map(|number| Item::new(THEIRS + victim, number)).collect();
            self.queue.put(&items);
        } else {
            self.queue.get(self.gets as usize);
        }
    }

    /// Everything that is there must be a rest of what was there, then what each victim put, in order.
    pub(in super::super) fn check(&self, deaths: u32) -> Result<u32, String> {
        self.queue.scribble();
        let mut found = Vec::new();
        while let Some(item) = self.queue.try_get()? {
            found.push((item.maker, item.number));
            if found.len() > 3 * CAPACITY as usize {
                return Err(format!("twice: more than was put: {found:?}"));
            }
        }
        if L::LIFO {
            found.reverse();
        }
        let ours = found.iter().take_while(|(maker, _)| *maker == OURS).count() as u32;
        let taken = self.there.saturating_sub(ours);
        if taken > deaths * self.gets {
            return Err(format!("lost: {found:?} of {} there", self.there));
        }
        let left = if L::LIFO { 0..self.there - taken } else { taken..self.there };
        let mut expected: Vec<_> = left.map(|number| (OURS, number)).collect();
        let mut put = 0;
        for victim in 0..deaths {
            let theirs = found.iter().filter(|(maker, _)| *maker == THEIRS + victim).count() as u32;
            expected.extend((0..theirs).map(|number| (THEIRS + victim, number)));
            put += theirs;
        }
        if found != expected {
            return Err(format!("out of order, doubled or unknown: {found:?}"));
        }
        self.poison()?;
        Ok(if self.puts > 0 { put } else { taken })
    }
}

/// The acts of one storage.
fn of<L: Line>(name: &str, queue: &'static L, ward: &Ward) -> Vec<Act> {
    let case = |what: &str, there: u32, puts: u32, gets: u32| {
        let case = Rc::new(Case { queue, there, puts, gets });
        let [prepares, acts, checks] = [(); 3].map(|()| case.clone());
        Act::new(
            format!("{name}: {what}"),
            move |victim| acts.act(victim),
            move |deaths| checks.check(deaths),
        )
        .prepare(move || prepares.prepare())
    };
    queue.put(&[Item::new(OURS, 0), Item::new(OURS, 1)]);
    queue.get(2);
    queue.put(&[Item::new(OURS, 0)]);
    queue.get(1);
    vec![
        case("put", 1, 1, 0).twice(),
        case("get", 3, 0, 1).twice(),
        case("put three at once", 0, 3, 0).twice(),
        case("get three at once", 4, 0, 3).twice(),
    ]
    .into_iter()
    .chain(with_sleepers(name, queue, ward))
    .collect()
}

/// Acts of which one end sleeps: victims that sleep, and survivors that sleep while a victim is at work.
fn with_sleepers<L: Line>(name: &str, queue: &'static L, ward: &Ward) -> Vec<Act> {
    let full = move || {
        let mut number = 0;
        while queue.try_put(Item::new(OURS, number)) {
            number += 1;
        }
    };
    let empty = move || {
        while let Ok(Some(_)) = queue.try_get() {}
    };
    // What is left is somebody's item whole and in its turn, and nobody hangs; exact accounts are the other acts'.
    let account = move || {
        let mut last = None;
        while let Some(item) = queue.try_get()? {
            let early = |last| if L::LIFO { last <= item.number } else { last >= item.number };
            if item.maker == OURS && last.is_some_and(early) {
                return Err(format!("out of order: {item:?}"));
            }
            if item.maker == OURS {
                last = Some(item.number);
            }
        }
        let case = Case { queue, there: 0, puts: 0, gets: 0 };
        case.poison()
    };
    let (full_a, full_b, empty_a, empty_b) = (full, full, empty, empty);
    let [getter, puts, putter, gets] = [(); 4].map(|()| ward.clone());
    vec![
        Act::new(
            format!("{name}: put asleep"),
            move |_| queue.put(&[Item::new(THEIRS, 0)]),
            move |_| account().map(|()| 0),
        )
        .prepare(full_a)
        .nudge(move || matches!(queue.try_get(), Ok(Some(_)))),
        Act::new(
            format!("{name}: get asleep"),
            move |_| drop(queue.get(1)),
            move |_| account().map(|()| 0),
        )
        .prepare(empty_a)
        .nudge(move || queue.try_put(Item::new(OURS, 0))),
        Act::new(
            format!("{name}: put with a sleeping getter"),
            move |_| queue.put(&[Item::new(THEIRS, 0)]),
            move |_| {
                // An item that is there is the helper's; if there is none, the next one is.
                if queue.len() == 0 && !puts.helper_ended() {
                    queue.put(&[Item::new(OURS, 0)]);
                }
                puts.helped()?;
                account().map(|()| 0)
            },
        )
        .prepare(empty_b)
        .meanwhile(move || {
            getter.help(|| match queue.get(1)[..] {
                [Some(_)] => 0,
                _ => 7,
            });
        }),
        Act::new(
            format!("{name}: get with a sleeping putter"),
            move |_| drop(queue.get(1)),
            move |_| {
                // Room that is there is the helper's; if there is none, the next is.
                if queue.len() == CAPACITY as usize && !gets.helper_ended() {
                    queue.try_get()?;
                }
                gets.helped()?;
                account().map(|()| 0)
            },
        )
        .prepare(full_b)
        .meanwhile(move || {
            putter.help(|| {
                queue.put(&[Item::new(OURS, 1000)]);
                0
            });
        }),
    ]
}

pub(super) fn acts(ward: &Ward) -> Vec<Act> {
    let plain = keep(ward.space.queue::<Item>("queue", CAPACITY).expect("a queue"));
    let bytes = keep(ward.space.byte_queue("bytes", CAPACITY, BYTES).expect("a queue"));
    let mut acts = of("queue", plain, ward);
    acts.extend(of("byte queue", bytes, ward));
    let lifo = keep(ward.space.lifo_queue::<Item>("lifo", CAPACITY).expect("a queue"));
    acts.extend(of("lifo queue", lifo, ward));
    let byte_lifo = ward.space.byte_lifo_queue("byte-lifo", CAPACITY, LONGEST).expect("a queue");
    acts.extend(of("byte lifo queue", keep(byte_lifo), ward));
    let priority = ward.space.priority_queue("priority", CAPACITY).expect("a queue");
    acts.extend(of::<PriorityQueue<i64, Item>>("priority queue", keep(priority), ward));
    let loans = keep(ward.space.loan_queue("loans", CAPACITY, BLOCK).expect("a queue"));
    acts.extend(of("loan queue", loans, ward));
    acts.extend(with_loans(loans, ward));
    acts
}

/// Acts that leave blocks to be freed, and that free them.
fn with_loans(queue: &'static LoanQueue, ward: &Ward) -> Vec<Act> {
    let case = Rc::new(Case { queue, there: 2, puts: 0, gets: 0 });
    let [prepares, checks] = [(); 2].map(|()| case.clone());
    let [prepares_too, checks_too] = [(); 2].map(|()| case.clone());
    let dies = ward.clone();
    vec![
        Act::new(
            "loan queue: reserve three blocks and drop them",
            move |_| drop(queue.reserve(3 * BLOCK as usize)),
            move |deaths| checks.check(deaths),
        )
        .prepare(move || prepares.prepare())
        .twice(),
        // Two messages are there, somebody who is gone has two blocks, and one is free.
        Act::new(
            "loan queue: take back what the dead had",
            move |_| drop(queue.reserve(3 * BLOCK as usize)),
            move |deaths| checks_too.check(deaths),
        )
        .varies()
        .prepare(move || {
            prepares_too.prepare();
            dies.perish(|| std::mem::forget(queue.reserve(2 * BLOCK as usize)));
            dies.look();
        })
        .twice(),
    ]
}
