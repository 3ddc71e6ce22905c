//! Models of the list.

use std::sync::Arc;

use antiphon_core::comm::list::{List, RawList};
use antiphon_core::comm::store::{Store, UNIT_WORDS};
use antiphon_core::model::{Kernel, Model};
use antiphon_core::primitive::{AtomicU32, AtomicU64, Ordering::Relaxed};
use antiphon_core::sync::Claim;
use antiphon_core::wait::Wait;
use loom::thread;

use crate::harness::{check, check_deaths};

const UNITS: usize = 5;

struct World {
    raw: RawList,
    slots: [[AtomicU32; UNITS]; 2],
    map: [AtomicU64; 1],
    words: [AtomicU64; UNITS * UNIT_WORDS],
}

impl World {
    /// 1 and 2 are in it.
    fn new() -> Arc<Self> {
        let world = Arc::new(Self {
            raw: RawList::new(),
            slots: std::array::from_fn(|_| std::array::from_fn(|_| AtomicU32::new(0))),
            map: [AtomicU64::new(0)],
            words: std::array::from_fn(|_| AtomicU64::new(0)),
        });
        let list = world.list(Claim::Clean);
        list.push(&[1; 8]).unwrap();
        list.push(&[2; 8]).unwrap();
        world
    }

    fn list(&self, claim: Claim) -> List<'_> {
        let store = Store::new(&self.map, &self.words);
        List::enter(&self.raw, [&self.slots[0], &self.slots[1]], store, claim).unwrap()
    }

    fn with<W: Wait, T>(&self, w: &W, act: impl FnOnce(&List<'_>) -> T) -> T {
        let claim = self.raw.mutex().lock(w, None).unwrap();
        let list = self.list(claim);
        let result = act(&list);
        list.leave(w);
        result
    }

    /// The items, once everything that follows from root and slots is found to be what follows from them.
    fn audit<W: Wait>(&self, w: &W) -> Vec<u8> {
        self.with(w, |list| {
            let (mut taken, mut used, mut items) = (0, 0, Vec::new());
            for i in 0..list.len() {
                let (item, mut bytes) = (list.item(i).unwrap(), [0; 8]);
                assert_eq!(item.second_len(), 8);
                list.store().read_second(item, &mut bytes);
                assert!(bytes.iter().all(|byte| *byte == bytes[0]), "torn: {bytes:?}");
                items.push(bytes[0]);
                let unit = item.link() - 1;
                assert_eq!(taken >> unit & 1, 0, "two items in one unit");
                taken |= 1 << unit;
                used += list.store().footprint(item);
            }
            assert_eq!(self.map[0].load(Relaxed), taken, "units lost or given away twice");
            assert_eq!(self.raw.used(), used);
            items
        })
    }
}

#[test]
fn writers_exclude_each_other() {
    check("list, two writers", 10, || {
        let kernel = Kernel::new();
        let world = World::new();
        let other = {
            let (world, w) = (world.clone(), kernel.participant(1));
            thread::spawn(move || {
                world.with(&w, |list| list.push(&[3; 8]).unwrap());
                world.with(&w, |list| list.remove(1).unwrap());
            })
        };
        let w = kernel.participant(0);
        world.with(&w, |list| list.insert(0, &[4; 8]).unwrap());
        other.join().unwrap();
        let found = world.audit(&w);
        assert!(found == [4, 1, 3] || found == [4, 2, 3], "{found:?}");
    });
}

/// The victim does `act` and dies at a step, while another reads. The list is then one of `states`, the last if the victim
/// lived.
fn survives(step: u32, act: fn(&List<'_>), states: &[&[u8]]) -> bool {
    let kernel = Kernel::mortal();
    let world = World::new();
    let other = {
        let (world, w) = (world.clone(), kernel.participant(1));
        thread::spawn(move || world.audit(&w))
    };
    let w: Model<false> = kernel.participant(0);
    let lived = kernel.victim(w.me(), step, || world.with(&w, act));
    assert!(states.contains(&&*other.join().unwrap()));
    let found = world.audit(&kernel.participant(2));
    assert!(states.contains(&&*found), "{found:?}");
    if lived.is_some() {
        assert_eq!(found, *states.last().unwrap());
    }
    lived.is_none()
}

#[test]
fn a_death_in_pushing_leaves_it_or_not() {
    check_deaths("list, a death in pushing", 100, |step| {
        survives(step, |list| list.push(&[3; 8]).unwrap(), &[&[1, 2], &[1, 2, 3]])
    });
}

#[test]
fn a_death_in_replacing_leaves_old_or_new() {
    check_deaths("list, a death in replacing", 100, |step| {
        survives(step, |list| list.set(0, &[3; 8]).unwrap(), &[&[1, 2], &[3, 2]])
    });
}

#[test]
fn a_death_in_inserting_leaves_it_or_not() {
    check_deaths("list, a death in inserting", 100, |step| {
        survives(step, |list| list.insert(0, &[3; 8]).unwrap(), &[&[1, 2], &[3, 1, 2]])
    });
}

#[test]
fn a_death_in_removing_leaves_it_or_not() {
    check_deaths("list, a death in removing", 100, |step| {
        survives(step, |list| list.remove(0).unwrap(), &[&[1, 2], &[2]])
    });
}

#[test]
fn a_death_in_recovery_is_recovered() {
    check_deaths("list, a death of the heir", 100, |step| {
        let kernel = Kernel::mortal();
        let world = World::new();
        // One who died when it had taken units, and committed nothing.
        let dead = kernel.participant(3);
        let claim = world.raw.mutex().lock(&dead, None).unwrap();
        world.list(claim).store().put(0, 0, &[], &[9; 8]).unwrap();
        kernel.declare_gone(dead.me());
        let other = {
            let (world, w) = (world.clone(), kernel.participant(1));
            thread::spawn(move || world.with(&w, |list| list.push(&[4; 8]).unwrap()))
        };
        let w = kernel.participant(0);
        let lived =
            kernel.victim(w.me(), step, || world.with(&w, |list| list.set(0, &[3; 8]).unwrap()));
        other.join().unwrap();
        let found = world.audit(&kernel.participant(2));
        assert!(found == [1, 2, 4] || found == [3, 2, 4], "{found:?}");
        lived.is_none()
    });
}
