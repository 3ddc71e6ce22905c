//! Taking permits and giving them back.

use std::cell::RefCell;
use std::rc::Rc;

use antiphon::space::{Permit, Semaphore};

use super::super::{Act, Ward};
use super::keep;

pub(in super::super) const PERMITS: u64 = 3;

/// Takes all permits and gives them back.
pub(in super::super) fn check(permits: &Semaphore) -> Result<u32, String> {
    let Some(all) = permits.try_acquire_many(PERMITS) else {
        return Err(format!("lost: {} of {PERMITS} permits", permits.available()));
    };
    if permits.try_acquire().is_some() {
        return Err(format!("twice: more than {PERMITS} permits"));
    }
    drop(all);
    match permits.available() {
        PERMITS => Ok(0),
        other => Err(format!("{other} of {PERMITS} permits after they were given back")),
    }
}

thread_local! {
    static TAKEN: RefCell<Option<Permit<'static>>> = const { RefCell::new(None) };
}

pub(super) fn acts(ward: &Ward) -> Vec<Act> {
    let plain = keep(ward.space.semaphore("semaphore", PERMITS).expect("a semaphore"));
    let bounded = keep(ward.space.bounded_semaphore("bounded", PERMITS).expect("a semaphore"));
    let mut acts = of("semaphore", plain, ward);
    acts.extend(of("bounded semaphore", bounded, ward));
    acts
}

fn of(name: &str, permits: &'static Semaphore, ward: &Ward) -> Vec<Act> {
    let held = Rc::new(RefCell::new(None));
    let [holds, let_go] = [(); 2].map(|()| held.clone());
    let checked = || {
        let (ward, held) = (ward.clone(), held.clone());
        move |_| {
            held.borrow_mut().take();
            if ward.has_helper() {
                ward.helped()?;
            }
            check(permits)
        }
    };
    let helper = |n: u64| {
        let ward = ward.clone();
        move || {
            ward.help(|| {
                drop(permits.acquire_many(n));
                0
            });
        }
    };
    let dead = ward.clone();
    let acquire = move |n: u64| move |_| drop(permits.acquire_many(n));
    acquire(1)(0);
    let take_all = move || TAKEN.with(|t| *t.borrow_mut() = Some(permits.acquire_many(PERMITS)));
    let release = |_| TAKEN.with(|taken| drop(taken.borrow_mut().take()));
    vec![
        Act::new(format!("{name}: acquire, release"), acquire(1), checked()).twice(),
        Act::new(format!("{name}: acquire two, release"), acquire(2), checked()).twice(),
        Act::new(format!("{name}: acquire asleep"), acquire(1), checked())
            .prepare(move || *holds.borrow_mut() = Some(permits.acquire_many(PERMITS)))
            .nudge(move || let_go.borrow_mut().take().is_some()),
        Act::new(format!("{name}: release with a sleeper"), release, checked())
            .before(take_all)
            .meanwhile(helper(1)),
        Act::new(format!("{name}: release, two wanted"), release, checked())
            .before(take_all)
            .meanwhile(helper(2)),
        Act::new(format!("{name}: recover, release"), acquire(PERMITS), checked())
            .varies()
            .prepare(move || dead.perish(|| permits.acquire_many(2).forget()))
            .twice(),
    ]
}
