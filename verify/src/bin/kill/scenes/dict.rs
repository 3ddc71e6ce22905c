//! Workers count under the keys of a dict, or at the places of a list, and put things there and take them away.

use std::sync::atomic::Ordering::SeqCst;

use antiphon::Space;
use antiphon::space::{Dict, List};

use super::mutex::count;
use crate::ledger::{Fault, Ledger, State};
use crate::scene::{Fallen, Operation, Post};

pub(crate) struct DictScene;
pub(crate) struct ListScene;

/// Two halves that are always the same.
type Counted = (u64, u64);

const BYTES: u64 = 1 << 12;
const COUNTERS: u64 = 4;
const OPERATIONS: &[Operation] = &[
    Operation { name: "update", states: State::INSIDE, workers: &[0, 1, 2, 3] },
    Operation { name: "put and take", states: &[State::Entering], workers: &[0, 1, 2, 3] },
];

fn dict(space: &Space) -> Dict<u64, Counted> {
    space.dict("dict", BYTES).expect("a dict")
}

fn list(space: &Space) -> List<Counted> {
    space.list("list", BYTES).expect("a list")
}

/// One more, in the midst of the update.
fn more(post: &Post<'_>, (first, second): Counted) -> Counted {
    if first != second {
        post.fault(Fault::Torn, &format!("{first} and {second}"));
    }
    post.hold();
    (first + 1, first + 1)
}

/// The update has returned.
fn done(post: &mut Post<'_>) {
    post.ledger.done.fetch_add(1, SeqCst);
    post.leave();
    post.outside();
    post.dawdle();
}

impl crate::scene::Scene for DictScene {
    fn name(&self) -> &'static str {
        "dict"
    }

    fn operations(&self) -> &'static [Operation] {
        OPERATIONS
    }

    fn workers(&self) -> usize {
        4
    }

    fn work(&self, space: &Space, post: &mut Post<'_>) {
        let dict = dict(space);
        while !post.stopping() {
            let key = post.random.below(COUNTERS);
            if post.random.below(3) == 0 {
                post.enter(1);
                let churn = 100 + post.random.below(8);
                let put = dict.insert(&churn, &(churn, churn));
                if let Err(error) = put.and(dict.remove(&churn).map_err(Into::into)) {
                    post.fault(Fault::Other, &format!("dict: {error}"));
                }
                post.outside();
                continue;
            }
            post.enter(0);
            let updated = dict.update(&key, |old| Some(more(post, old.unwrap_or_default())));
            match updated {
                Ok(()) => done(post),
                Err(error) => {
                    post.fault(Fault::Other, &format!("dict: {error}"));
                    post.outside();
                }
            }
        }
    }

    fn check(&self, space: &Space, ledger: &Ledger, fallen: &[Fallen]) {
        let dict = dict(space);
        let entries = match dict.entries() {
            Ok(entries) => entries,
            Err(error) => return ledger.fault(Fault::Hang, &format!("dict: at the end: {error}")),
        };
        if entries.len() != dict.len() || entries.iter().any(|(_, (a, b))| a != b) {
            ledger.fault(Fault::Torn, &format!("dict: {entries:?}, which are {}", dict.len()));
        }
        let counted = entries.iter().filter(|(key, _)| *key < COUNTERS);
        count(ledger, counted.map(|(_, (n, _))| n).sum(), fallen);
        if dict.clear().is_err() || dict.as_bytes().used() != 0 {
            let used = dict.as_bytes().used();
            ledger.fault(Fault::Lost, &format!("dict: {used} bytes that nothing is in"));
        }
    }
}

impl crate::scene::Scene for ListScene {
    fn name(&self) -> &'static str {
        "list"
    }

    fn operations(&self) -> &'static [Operation] {
        OPERATIONS
    }

    fn workers(&self) -> usize {
        4
    }

    fn work(&self, space: &Space, post: &mut Post<'_>) {
        let list = list(space);
        while let (Ok(guard), true) = (list.lock(), list.len() < COUNTERS as usize) {
            // Whoever comes first lays down the counters; one who dies at it leaves some.
            let mut guard = guard;
            if guard.len() < COUNTERS as usize {
                guard.push(&(0, 0)).expect("room");
            }
        }
        while !post.stopping() {
            let index = post.random.below(COUNTERS) as usize;
            if post.random.below(3) == 0 {
                post.enter(1);
                let place = COUNTERS as usize;
                let put = list.insert(place, &(0, 0)).or_else(|_| list.push(&(0, 0)));
                if let Err(error) = put.and(list.remove(place).map_err(Into::into)) {
                    post.fault(Fault::Other, &format!("list: {error}"));
                }
                post.outside();
                continue;
            }
            post.enter(0);
            match list.update(index, |old| more(post, old)) {
                Ok(()) => done(post),
                Err(error) => {
                    post.fault(Fault::Other, &format!("list: {error}"));
                    post.outside();
                }
            }
        }
    }

    fn check(&self, space: &Space, ledger: &Ledger, fallen: &[Fallen]) {
        let list = list(space);
        let items = match list.items() {
            Ok(items) => items,
            Err(error) => return ledger.fault(Fault::Hang, &format!("list: at the end: {error}")),
        };
        if items.iter().any(|(a, b)| a != b) {
            ledger.fault(Fault::Torn, &format!("list: {items:?}"));
        }
        count(ledger, items.iter().map(|(n, _)| n).sum(), fallen);
        while let Ok(Some(_)) = list.remove(0) {}
        let used = list.as_bytes().used();
        if used != 0 {
            ledger.fault(Fault::Lost, &format!("list: {used} bytes that nothing is in"));
        }
    }
}
