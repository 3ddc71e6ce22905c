//! Models of the dict.

use std::sync::Arc;

use antiphon_core::comm::dict::{Dict, RawDict};
use antiphon_core::comm::store::{Store, UNIT_WORDS};
use antiphon_core::model::Kernel;
use antiphon_core::primitive::{AtomicU32, AtomicU64, Ordering::Relaxed};
use antiphon_core::sync::Claim;
use antiphon_core::wait::Wait;
use loom::thread;

use crate::harness::{check, check_deaths};

const UNITS: usize = 5;

/// Few units and one bucket, so that everything is beside everything else.
struct World {
    raw: RawDict,
    buckets: [AtomicU32; 1],
    map: [AtomicU64; 1],
    words: [AtomicU64; UNITS * UNIT_WORDS],
}

type Value = [u8; 8];

fn value(n: u8) -> Value {
    [n; 8]
}

impl World {
    /// `a` and `c` are in it, each with value 1.
    fn new() -> Arc<Self> {
        let world = Arc::new(Self {
            raw: RawDict::new(),
            buckets: [AtomicU32::new(0)],
            map: [AtomicU64::new(0)],
            words: std::array::from_fn(|_| AtomicU64::new(0)),
        });
        let dict = world.dict(Claim::Clean);
        dict.put(None, b"a", &value(1)).unwrap();
        dict.put(None, b"c", &value(1)).unwrap();
        world
    }

    fn store(&self) -> Store<'_> {
        Store::new(&self.map, &self.words)
    }

    fn dict(&self, claim: Claim) -> Dict<'_> {
        Dict::enter(&self.raw, &self.buckets, self.store(), claim).unwrap()
    }

    fn with<W: Wait, T>(&self, w: &W, act: impl FnOnce(&Dict<'_>) -> T) -> T {
        let claim = self.raw.mutex().lock(w, None).unwrap();
        let dict = self.dict(claim);
        let result = act(&dict);
        dict.leave(w);
        result
    }

    fn put<W: Wait>(&self, w: &W, key: &[u8], n: u8) {
        self.with(w, |dict| {
            let found = dict.find(key).unwrap();
            dict.put(found, key, &value(n)).unwrap();
        });
    }

    fn remove<W: Wait>(&self, w: &W, key: &[u8]) {
        self.with(w, |dict| {
            if let Some(found) = dict.find(key).unwrap() {
                dict.remove(found);
            }
        });
    }

    fn get<W: Wait>(&self, w: &W, key: &[u8]) -> Option<Value> {
        self.with(w, |dict| read(dict, key))
    }

    /// Everything that follows from the links is what follows from them.
    fn audit<W: Wait>(&self, w: &W) {
        self.with(w, |dict| {
            let (mut taken, mut len, mut used) = (0, 0, 0);
            let mut next = dict.first(0).unwrap();
            while let Some(entry) = next {
                for unit in entry.link() - 1..entry.link() - 1 + self.store().footprint(entry) {
                    assert_eq!(taken >> unit & 1, 0, "two entries in one unit");
                    taken |= 1 << unit;
                    used += 1;
                }
                len += 1;
                next = dict.after(entry).unwrap();
            }
            assert_eq!(self.map[0].load(Relaxed), taken, "units lost or given away twice");
            assert_eq!((self.raw.len(), self.raw.used()), (len, used));
        });
    }
}

fn read(dict: &Dict<'_>, key: &[u8]) -> Option<Value> {
    let mut value = Value::default();
    let found = dict.find(key).unwrap()?;
    assert_eq!(found.entry().second_len(), value.len());
    dict.store().read_second(found.entry(), &mut value);
    assert!(value.iter().all(|byte| *byte == value[0]), "torn: {value:?}");
    Some(value)
}

#[test]
fn writers_exclude_each_other() {
    check("dict, two writers", 10, || {
        let kernel = Kernel::new();
        let world = World::new();
        let other = {
            let (world, w) = (world.clone(), kernel.participant(1));
            thread::spawn(move || {
                world.put(&w, b"b", 2);
                world.remove(&w, b"c");
            })
        };
        let w = kernel.participant(0);
        world.put(&w, b"a", 3);
        other.join().unwrap();
        let found: [_; 3] = [b"a", b"b", b"c"].map(|key| world.get(&w, key));
        assert_eq!(found, [Some(value(3)), Some(value(2)), None]);
        world.audit(&w);
    });
}

/// The victim does `act` and dies at a step, while another puts `b`. `states` are those in which `a` and `c` may be.
fn survives(
    step: u32,
    act: impl Fn(&World, &dyn Fn() -> antiphon_core::model::Model<false>) + 'static,
    states: &[[Option<u8>; 2]],
) -> bool {
    let kernel = Kernel::mortal();
    let world = World::new();
    let other = {
        let (world, w) = (world.clone(), kernel.participant(1));
        thread::spawn(move || world.put(&w, b"b", 2))
    };
    let w = kernel.participant(0);
    let lived = kernel.victim(w.me(), step, || act(&world, &|| w.clone()));
    other.join().unwrap();
    let w = kernel.participant(2);
    assert_eq!(world.get(&w, b"b"), Some(value(2)));
    let found = [b"a", b"c"].map(|key| world.get(&w, key).map(|value| value[0]));
    assert!(states.contains(&found), "{found:?}");
    if lived.is_some() {
        assert_eq!(found, *states.last().unwrap());
    }
    world.audit(&w);
    lived.is_none()
}

#[test]
fn a_death_in_replacing_leaves_old_or_new() {
    check_deaths("dict, a death in replacing", 100, |step| {
        let states = [[Some(1), Some(1)], [Some(3), Some(1)]];
        survives(step, |world, w| world.put(&w(), b"a", 3), &states)
    });
}

#[test]
fn a_death_in_removing_leaves_it_or_not() {
    check_deaths("dict, a death in removing", 100, |step| {
        let states = [[Some(1), Some(1)], [None, Some(1)]];
        survives(step, |world, w| world.remove(&w(), b"a"), &states)
    });
}

#[test]
fn a_death_in_recovery_is_recovered() {
    check_deaths("dict, a death of the heir", 100, |step| {
        let kernel = Kernel::mortal();
        let world = World::new();
        // One who died when it had taken units and committed, and given nothing back.
        let dead = kernel.participant(3);
        let claim = world.raw.mutex().lock(&dead, None).unwrap();
        let dict = world.dict(claim);
        let word = u64::from(world.buckets[0].load(Relaxed)) | 7 << 32;
        dict.store().put(0, word, b"x", &value(9)).unwrap();
        kernel.declare_gone(dead.me());
        let other = {
            let (world, w) = (world.clone(), kernel.participant(1));
            thread::spawn(move || world.put(&w, b"b", 2))
        };
        let w = kernel.participant(0);
        let lived = kernel.victim(w.me(), step, || world.put(&w, b"a", 3));
        other.join().unwrap();
        let w = kernel.participant(2);
        assert!([Some(value(1)), Some(value(3))].contains(&world.get(&w, b"a")));
        assert_eq!((world.get(&w, b"b"), world.get(&w, b"x")), (Some(value(2)), None));
        world.audit(&w);
        lived.is_none()
    });
}
