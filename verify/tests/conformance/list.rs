//! What a list promises.

use std::os::unix::fs::FileExt;

use antiphon::error::{AccessError, UpdateError};
use antiphon::space::{Item, List};
use antiphon_verify::random::Random;

use crate::crew::{Crew, Job, die};

const BYTES: u64 = 1 << 14;

fn open(job: &Job) -> List<String> {
    job.space().list("list", BYTES).unwrap()
}

pub(crate) fn it_is_what_a_vector_is(crew: &Crew<'_>) {
    let list = crew.space().byte_list("list", BYTES).unwrap();
    let (mut model, mut random) = (Vec::<Vec<u8>>::new(), Random::new(5));
    for round in 0..3000 {
        let item = vec![round as u8; random.below(100) as usize];
        let at = random.below(model.len() as u64 + 1) as usize;
        match random.below(8) {
            0 | 1 if model.len() < 60 => {
                list.push(&item).unwrap();
                model.push(item);
            }
            2 | 3 if model.len() < 60 => {
                list.insert(at, &item).unwrap();
                model.insert(at, item);
            }
            4 => assert_eq!(list.pop().unwrap(), model.pop()),
            5 => {
                let removed = (at < model.len()).then(|| model.remove(at));
                assert_eq!(list.remove(at).unwrap(), removed);
            }
            6 if at < model.len() => {
                list.set(at, &item).unwrap();
                model[at] = item;
            }
            _ => assert_eq!(list.get(at).unwrap().as_ref(), model.get(at)),
        }
        assert_eq!(list.len(), model.len());
    }
    assert_eq!(list.items().unwrap(), model);
    list.clear().unwrap();
    assert_eq!((list.len(), list.used()), (0, 0), "nothing is lost");
}

pub(crate) fn what_all_push_is_there_once(crew: &Crew<'_>) {
    fn push(job: Job) -> u64 {
        let list = open(&job);
        for n in 0..50 {
            list.push(&format!("{}-{n}", job.argument)).unwrap();
        }
        0
    }
    let list = crew.space().list::<String>("list", BYTES).unwrap();
    for member in crew.send_many(push, 0..3) {
        member.finish();
    }
    let items = list.items().unwrap();
    assert_eq!(items.len(), 150);
    for member in 0..3 {
        let own = items.iter().filter(|item| item.starts_with(&format!("{member}-")));
        assert!(own.eq((0..50).map(|n| format!("{member}-{n}")).collect::<Vec<_>>().iter()));
    }
}

pub(crate) fn a_full_one_says_so(crew: &Crew<'_>) {
    let list = crew.space().byte_list("list", 256).unwrap();
    for _ in 0..8 {
        list.push(&[1; 16]).unwrap();
    }
    assert!(matches!(list.push(&[1]), Err(UpdateError::Full { needed: 32, used: 256, .. })));
    assert!(matches!(list.insert(0, &[1]), Err(UpdateError::Full { .. })));
    assert!(matches!(list.set(8, &[1]), Err(UpdateError::OutOfRange { index: 8, len: 8 })));
    assert_eq!(list.items().unwrap(), vec![vec![1; 16]; 8], "nothing has changed");
    assert_eq!(list.remove(3).unwrap(), Some(vec![1; 16]));
    list.insert(0, &[2]).unwrap();
    assert_eq!(list.get(0).unwrap(), Some(vec![2]));
}

pub(crate) fn items_are_replaced_where_they_lie(crew: &Crew<'_>) {
    fn change(job: Job) -> u64 {
        let list = job.space().shareable_list("items", &initial()).unwrap();
        list.set(0, &Item::Int(-5)).unwrap();
        list.set(1, &Item::Str("longer: é".to_owned())).unwrap();
        list.set(3, &Item::None).unwrap();
        0
    }
    fn initial() -> [Item; 4] {
        let text = Item::Str("sixteen bytes it".to_owned());
        [Item::None, text, Item::Bytes(vec![7; 3]), Item::Bool(true)]
    }
    let list = crew.space().shareable_list("items", &initial()).unwrap();
    assert_eq!(list.items().unwrap(), initial());
    crew.send(change, 0).finish();
    let expected =
        [Item::Int(-5), Item::Str("longer: é".to_owned()), Item::Bytes(vec![7; 3]), Item::None];
    assert_eq!(list.items().unwrap(), expected);
    // Over and over, also back to the longest.
    for _ in 0..3 {
        list.set(1, &Item::Float(0.5)).unwrap();
        list.set(1, &initial()[1]).unwrap();
    }
    let error = list.set(1, &Item::Bytes(vec![0; 17])).unwrap_err();
    assert!(matches!(error, UpdateError::Full { needed: 17, capacity: 16, .. }), "{error}");
    assert_eq!(list.get(1).unwrap(), Some(initial()[1].clone()));
    assert_eq!(list.get(4).unwrap(), None);
}

pub(crate) fn a_death_in_an_update_changes_nothing(crew: &Crew<'_>) {
    fn die_in_it(job: Job) -> u64 {
        let _ = open(&job).update(0, |_| die());
        0
    }
    let list = crew.space().list::<String>("list", BYTES).unwrap();
    list.push(&"here".to_owned()).unwrap();
    for _ in 0..3 {
        crew.send(die_in_it, 0).bury();
        assert_eq!(list.items().unwrap(), ["here"]);
    }
    assert_eq!(list.pop().unwrap().as_deref(), Some("here"));
    assert_eq!(list.as_bytes().used(), 0);
}

pub(crate) fn nonsense_is_an_error(crew: &Crew<'_>) {
    let list = crew.space().byte_list("list", 1 << 12).unwrap();
    let path = crew.directory().join("stage/list");
    let file = std::fs::File::options().write(true).open(path).unwrap();
    let length = file.metadata().unwrap().len();
    let mut random = Random::new(13);
    let mut corrupt = 0;
    for _ in 0..300 {
        list.push(b"item").ok();
        for _ in 0..100 {
            let at = 1280 + 40 + random.below(length - 1280 - 48) / 8 * 8;
            let word =
                if random.below(2) == 0 { random.below(9) } else { u64::MAX >> random.below(64) };
            file.write_all_at(&word.to_le_bytes(), at).unwrap();
        }
        corrupt += u32::from(list.get(0) == Err(AccessError::Corrupt));
        corrupt += u32::from(list.items() == Err(AccessError::Corrupt));
        list.insert(0, &[7; 300]).ok();
        list.remove(0).ok();
        list.set(1, &[1; 30]).ok();
        list.clear().ok();
    }
    assert!(corrupt > 0, "there was something to complain about");
}
