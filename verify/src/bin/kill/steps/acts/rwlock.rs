//! Reading and writing a value of two words under a readers-writer lock.

use std::cell::RefCell;
use std::rc::Rc;

use antiphon::error::TimedLockError;
use antiphon::space::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::super::{Act, Ward};
use super::keep;
use crate::scenes::Pair;

type Written = RwLockWriteGuard<'static, Pair>;
type Read = RwLockReadGuard<'static, Pair>;

fn write(lock: &RwLock<Pair>) -> RwLockWriteGuard<'_, Pair> {
    lock.write().unwrap_or_else(|error| {
        let mut guard = error.into_guard().expect("it is not ours");
        guard.second = guard.first;
        guard.repair();
        guard
    })
}

fn read(lock: &RwLock<Pair>) -> RwLockReadGuard<'_, Pair> {
    lock.read().unwrap_or_else(|error| error.into_guard().expect("it is not ours"))
}

fn change(lock: &RwLock<Pair>) {
    let mut guard = write(lock);
    guard.first += 1;
    guard.second += 1;
}

/// Reads and writes it, checks the value, says how often it was changed, and sets it to zero.
pub(in super::super) fn check(ward: &Ward, lock: &RwLock<Pair>) -> Result<u32, String> {
    match lock.read_timeout(ward.patience.get()) {
        Ok(guard) if guard.is_whole() => {}
        Ok(guard) => return Err(format!("torn: read as good: {:?}", *guard)),
        Err(TimedLockError::TimedOut(timeout)) => return Err(format!("hang: {timeout}")),
        Err(_) => {}
    }
    let mut guard = match lock.write_timeout(ward.patience.get()) {
        Ok(guard) if guard.is_whole() => guard,
        Ok(guard) => return Err(format!("torn: handed over as good: {:?}", *guard)),
        Err(TimedLockError::TimedOut(timeout)) => return Err(format!("hang: {timeout}")),
        Err(error) => {
            let guard = error.into_guard().ok_or("it is said to be ours")?;
            if !guard.is_half_done() {
                return Err(format!("torn: {:?}", *guard));
            }
            guard
        }
    };
    let effect = guard.first;
    *guard = Pair::ZERO;
    guard.repair();
    drop(guard);
    match lock.try_write() {
        Ok(_) => Ok(effect as u32),
        Err(error) => Err(format!("not free after it was unlocked: {error}")),
    }
}

thread_local! {
    static WRITING: RefCell<Option<Written>> = const { RefCell::new(None) };
    static READING: RefCell<Option<Read>> = const { RefCell::new(None) };
}

/// What the one who kills holds until it lets go.
#[derive(Clone, Default)]
struct Held(Rc<RefCell<(Option<Written>, Option<Read>)>>);

impl Held {
    fn let_go(&self) -> bool {
        let mut held = self.0.borrow_mut();
        held.0.take().is_some() | held.1.take().is_some()
    }
}

pub(super) fn acts(ward: &Ward) -> Vec<Act> {
    let lock = keep(ward.space.rwlock("rwlock", Pair::ZERO).expect("a lock"));
    change(lock);
    drop(read(lock));
    let _ = check(ward, lock);
    let held = Held::default();
    let checked = || {
        let (ward, held) = (ward.clone(), held.clone());
        move |_| {
            held.let_go();
            if ward.has_helper() {
                ward.helped()?;
            }
            check(&ward, lock)
        }
    };
    let nudge = || {
        let held = held.clone();
        move || held.let_go()
    };
    let helper = |body: fn(&RwLock<Pair>)| {
        let ward = ward.clone();
        move || {
            ward.help(|| {
                body(lock);
                0
            });
        }
    };
    let (reads, writes) = (held.clone(), held.clone());
    let [read_and_perish, write_and_perish, write_and_perish_again] =
        [(); 3].map(|()| ward.clone());
    let perish_writing = move |ward: &Ward| {
        ward.perish(|| {
            let mut guard = write(lock);
            guard.first += 1;
            std::mem::forget(guard);
        });
    };
    vec![
        Act::new("rwlock: read, unlock", move |_| drop(read(lock)), checked()).twice(),
        Act::new("rwlock: write, change, unlock", move |_| change(lock), checked()).twice(),
        Act::new("rwlock: write, downgrade", move |_| drop(write(lock).downgrade()), checked())
            .twice(),
        Act::new("rwlock: read asleep", move |_| drop(read(lock)), checked())
            .prepare(move || writes.0.borrow_mut().0 = Some(write(lock)))
            .nudge(nudge()),
        Act::new("rwlock: write asleep", move |_| change(lock), checked())
            .prepare(move || reads.0.borrow_mut().1 = Some(read(lock)))
            .nudge(nudge()),
        Act::new(
            "rwlock: unlock with a sleeping writer",
            |_| READING.with(|guard| drop(guard.borrow_mut().take())),
            checked(),
        )
        .before(move || READING.with(|guard| *guard.borrow_mut() = Some(read(lock))))
        .meanwhile(helper(change)),
        Act::new(
            "rwlock: unlock with a sleeping reader",
            |_| WRITING.with(|guard| drop(guard.borrow_mut().take())),
            checked(),
        )
        .before(move || WRITING.with(|guard| *guard.borrow_mut() = Some(write(lock))))
        .meanwhile(helper(|lock| drop(read(lock)))),
        Act::new("rwlock: write after a reader's death", move |_| change(lock), checked())
            .varies()
            .prepare(move || read_and_perish.perish(|| std::mem::forget(read(lock)))),
        Act::new("rwlock: read after a writer's death", move |_| drop(read(lock)), checked())
            .varies()
            .prepare(move || perish_writing(&write_and_perish)),
        Act::new("rwlock: write after a writer's death", move |_| change(lock), checked())
            .varies()
            .prepare(move || perish_writing(&write_and_perish_again)),
    ]
}
