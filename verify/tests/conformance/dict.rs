//! What a dict promises.

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use antiphon::error::{AccessError, TimedAccessError, TryAccessError, UpdateError};
use antiphon::space::Dict;
use antiphon_verify::random::Random;

use crate::crew::{Crew, Job, die};

const BYTES: u64 = 1 << 14;

fn open(job: &Job) -> Dict<u64, Vec<u64>> {
    job.space().dict("dict", BYTES).unwrap()
}

pub(crate) fn it_is_what_a_map_is(crew: &Crew<'_>) {
    let dict = crew.space().byte_dict("dict", BYTES).unwrap();
    let mut model = BTreeMap::new();
    let mut random = Random::new(7);
    for round in 0..3000 {
        let key = format!("key-{}", random.below(40)).into_bytes();
        match random.below(8) {
            0..=4 => {
                let value = vec![round as u8; random.below(200) as usize];
                let old = model.insert(key.clone(), value.clone());
                assert_eq!(dict.insert(&key, &value).unwrap(), old.is_some());
            }
            5 => assert_eq!(dict.remove(&key).unwrap(), model.remove(&key)),
            6 if round % 100 == 0 => {
                dict.clear().unwrap();
                model.clear();
            }
            _ => assert_eq!(dict.get(&key).unwrap(), model.get(&key).cloned()),
        }
        assert_eq!(dict.len(), model.len());
    }
    let mut entries = dict.entries().unwrap();
    entries.sort();
    assert!(entries.into_iter().eq(model.clone()));
    let mut entries: Vec<_> = dict.iter().map(Result::unwrap).collect();
    entries.sort();
    assert!(entries.into_iter().eq(model));
    dict.clear().unwrap();
    assert_eq!((dict.len(), dict.used()), (0, 0), "nothing is lost");
}

pub(crate) fn updates_exclude_each_other(crew: &Crew<'_>) {
    fn add(job: Job) -> u64 {
        let dict = open(&job);
        for n in 0..100 {
            dict.update(&(n % 5), |old| {
                let mut all = old.unwrap_or_default();
                all.push(job.argument);
                Some(all)
            })
            .unwrap();
        }
        0
    }
    let dict = crew.space().dict::<u64, Vec<u64>>("dict", BYTES).unwrap();
    for member in crew.send_many(add, 1..4) {
        member.finish();
    }
    assert_eq!(dict.len(), 5);
    for n in 0..5 {
        let mut all = dict.get(&n).unwrap().unwrap();
        all.sort_unstable();
        assert_eq!(all, [vec![1; 20], vec![2; 20], vec![3; 20]].concat());
    }
    dict.update(&0, |_| None).unwrap();
    assert!(!dict.contains(&0).unwrap());
}

pub(crate) fn a_full_one_says_so(crew: &Crew<'_>) {
    let dict = crew.space().dict::<u64, Vec<u64>>("dict", 1024).unwrap();
    let full = (0..).find_map(|n| dict.insert(&n, &vec![n; 10]).err()).unwrap();
    let UpdateError::Full { needed, used, capacity } = &full else { panic!("{full:?}") };
    assert!(used + needed > *capacity && *capacity == 1024, "{full}");
    assert!(full.to_string().contains("1024"), "{full}");
    let there = dict.len() as u64;
    assert_eq!(dict.get(&there).unwrap(), None, "nothing has changed");
    // What is taken away makes room again, in whatever order.
    for n in 0..there {
        assert_eq!(dict.remove(&n).unwrap(), Some(vec![n; 10]));
    }
    assert_eq!(dict.as_bytes().used(), 0);
    dict.insert(&0, &vec![1; 900]).unwrap();
    assert!(matches!(dict.insert(&0, &vec![1; 901]), Err(UpdateError::Full { .. })));
    assert_eq!(dict.get(&0).unwrap(), Some(vec![1; 900]));
}

pub(crate) fn its_lock_is_one(crew: &Crew<'_>) {
    fn try_it(job: Job) -> u64 {
        let dict = open(&job);
        let blocked = matches!(dict.try_lock(), Err(TryAccessError::WouldBlock));
        let late = match dict.lock_timeout(Duration::from_millis(5)) {
            Err(TimedAccessError::TimedOut(timeout)) => timeout.holder.is_some(),
            _ => false,
        };
        u64::from(blocked) + u64::from(late)
    }
    let dict = crew.space().dict::<u64, Vec<u64>>("dict", BYTES).unwrap();
    let mut guard = dict.lock().unwrap();
    guard.insert(&1, &vec![1]).unwrap();
    assert_eq!(crew.send(try_it, 0).join(), 2);
    assert!(matches!(dict.get(&1), Err(AccessError::WouldDeadlock)));
    drop(guard);
    assert_eq!(crew.send(try_it, 0).join(), 0);
    assert_eq!(dict.get(&1).unwrap(), Some(vec![1]));
}

pub(crate) fn a_death_in_an_update_changes_nothing(crew: &Crew<'_>) {
    fn die_in_it(job: Job) -> u64 {
        let _ = open(&job).update(&1, |_| die());
        0
    }
    let dict = crew.space().dict::<u64, Vec<u64>>("dict", BYTES).unwrap();
    dict.insert(&1, &vec![1, 2, 3]).unwrap();
    for _ in 0..3 {
        crew.send(die_in_it, 0).bury();
        assert_eq!(dict.get(&1).unwrap(), Some(vec![1, 2, 3]));
    }
    dict.remove(&1).unwrap();
    assert_eq!(dict.as_bytes().used(), 0);
}

pub(crate) fn nonsense_is_an_error(crew: &Crew<'_>) {
    let dict = crew.space().byte_dict("dict", 1 << 12).unwrap();
    let path = crew.directory().join("stage/dict");
    let file = std::fs::File::options().write(true).open(path).unwrap();
    let length = file.metadata().unwrap().len();
    let mut random = Random::new(11);
    let mut errors = 0;
    for _ in 0..300 {
        dict.insert(b"key", b"value").ok();
        for _ in 0..200 {
            // Anywhere behind the lock and its record, so that it is not for ever somebody else's.
            let at = 1280 + 40 + random.below(length - 1280 - 48) / 8 * 8;
            let word =
                if random.below(2) == 0 { random.below(200) } else { u64::MAX >> random.below(64) };
            file.write_all_at(&word.to_le_bytes(), at).unwrap();
        }
        let results = [
            dict.get(b"key").map(drop).is_err(),
            dict.remove(b"key").map(drop).is_err(),
            dict.entries().map(drop).is_err(),
            dict.insert(b"other", &[7; 300]).map(drop).is_err(),
            dict.clear().is_err(),
        ];
        errors += results.iter().filter(|error| **error).count();
    }
    assert!(errors > 0, "there was something to complain about");
}
