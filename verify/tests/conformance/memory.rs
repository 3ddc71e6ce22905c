//! What memory in a space promises, and arrays with their lock.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};

use antiphon::error::{LockError, MemoryError, SpaceError};

use crate::crew::{Crew, Job, die, until};

const LEN: usize = 1 << 16;

pub(crate) fn what_is_written_is_read(crew: &Crew<'_>) {
    fn reverse(job: Job) -> u64 {
        let memory = job.space().memory("memory", LEN).unwrap();
        let mut bytes = vec![0; 1000];
        memory.read(3, &mut bytes).unwrap();
        bytes.reverse();
        memory.write(3, &bytes).unwrap();
        memory.load::<u32>(2000).unwrap().into()
    }
    let memory = crew.space().memory("memory", LEN).unwrap();
    assert_eq!((memory.len(), memory.most()), (LEN, LEN));
    let mut bytes: Vec<u8> = (0..1000).map(|n| (n % 251) as u8).collect();
    memory.write(3, &bytes).unwrap();
    memory.store(2000, &0xdead_beef_u32).unwrap();
    assert_eq!(crew.send(reverse, 0).join(), 0xdead_beef);
    bytes.reverse();
    // At every alignment, and not a byte beside it.
    for (from, to) in [(0, 1000), (1, 999), (5, 13), (7, 8), (9, 9)] {
        let mut seen = vec![0; to - from];
        memory.read(3 + from, &mut seen).unwrap();
        assert_eq!(seen, bytes[from..to]);
    }
    assert_eq!((memory.load::<[u8; 3]>(0).unwrap(), memory.load::<u8>(1003).unwrap()), ([0; 3], 0));
    for (offset, len) in [(LEN, 1), (LEN - 3, 4), (usize::MAX, 1), (1, usize::MAX)] {
        let error = memory.atomics::<AtomicU8>(offset, len).unwrap_err();
        assert!(matches!(error, MemoryError::OutOfBounds { there: LEN, .. }), "{error}");
    }
    assert!(matches!(memory.atomic::<AtomicU32>(2), Err(MemoryError::Misaligned { .. })));
    assert!(matches!(crew.space().memory("memory", LEN * 2), Err(SpaceError::Mismatch { .. })));
}

pub(crate) fn atomics_are_shared(crew: &Crew<'_>) {
    fn add(job: Job) -> u64 {
        let memory = job.space().memory("memory", LEN).unwrap();
        for word in memory.atomics::<AtomicU64>(64, 10).unwrap() {
            for _ in 0..100 {
                word.fetch_add(job.argument, Relaxed);
            }
        }
        0
    }
    let memory = crew.space().memory("memory", LEN).unwrap();
    for member in crew.send_many(add, 1..4) {
        member.finish();
    }
    assert!(memory.atomics::<AtomicU64>(64, 10).unwrap().iter().all(|w| w.load(Relaxed) == 600));
}

pub(crate) fn it_grows(crew: &Crew<'_>) {
    fn grow(job: Job) -> u64 {
        let memory = job.space().growing_memory("memory", 10, 1 << 30).unwrap();
        memory.grow(1 << 20).unwrap();
        memory.write((1 << 20) - 4, b"last").unwrap();
        memory.len() as u64
    }
    let memory = crew.space().growing_memory("memory", 4096, 1 << 30).unwrap();
    memory.write(0, b"first").unwrap();
    // SAFETY: nobody writes these bytes any more.
    let old = unsafe { memory.slice(0, 5).unwrap() };
    assert!(memory.write(4096, b"x").is_err());
    assert_eq!(crew.send(grow, 0).join(), 1 << 20);
    assert_eq!(memory.len(), 1 << 20, "everybody sees it");
    assert_eq!(memory.load::<[u8; 4]>((1 << 20) - 4).unwrap(), *b"last");
    assert_eq!(memory.load::<[u8; 4]>(1 << 19).unwrap(), [0; 4]);
    assert_eq!(old, b"first", "old views stay");
    memory.grow(100).unwrap();
    assert_eq!(memory.len(), 1 << 20, "it never shrinks");
    let error = memory.grow((1 << 30) + 1).unwrap_err();
    assert!(matches!(error, SpaceError::BadParameter { .. }), "{error}");
}

pub(crate) fn an_array_has_its_lock(crew: &Crew<'_>) {
    fn add(job: Job) -> u64 {
        let array = job.space().array::<u64>("array", 100).unwrap();
        for _ in 0..100 {
            array.lock().unwrap().iter_mut().for_each(|value| *value += 1);
        }
        0
    }
    let array = crew.space().array::<u64>("array", 100).unwrap();
    for member in crew.send_many(add, 0..3) {
        member.finish();
    }
    assert_eq!(*array.lock().unwrap(), [300; 100]);
    assert!(matches!(crew.space().array::<u64>("array", 99), Err(SpaceError::Mismatch { .. })));
    assert!(matches!(crew.space().array::<i64>("array", 100), Err(SpaceError::Mismatch { .. })));
    assert!(matches!(crew.space().memory("array", 800), Err(SpaceError::Mismatch { .. })));
    assert!(matches!(crew.space().array::<u64>("none", 0), Err(SpaceError::BadParameter { .. })));
}

pub(crate) fn nobodys_exit_takes_it(crew: &Crew<'_>) {
    fn write(job: Job) -> u64 {
        let memory = job.space().memory("memory", LEN).unwrap();
        memory.store(0, &job.argument).unwrap();
        if job.argument == 2 {
            die();
        }
        memory.attached() as u64
    }
    let space = crew.space();
    let memory = space.memory("memory", LEN).unwrap();
    assert_eq!(memory.attached(), 1);
    assert_eq!(crew.send(write, 1).join(), 2);
    assert_eq!((memory.load::<u64>(0).unwrap(), memory.attached()), (1, 1));
    crew.send(write, 2).bury();
    until(|| memory.attached() == 1);
    assert_eq!(memory.load::<u64>(0).unwrap(), 2);
    // Nor does the end of its name.
    space.remove("memory").unwrap();
    memory.store(0, &3_u64).unwrap();
    let again = memory.clone();
    drop(memory);
    assert_eq!(again.load::<u64>(0).unwrap(), 3);
    assert_eq!(again.attached(), 1);
}

pub(crate) fn no_room_is_told_with_the_numbers(crew: &Crew<'_>) {
    let space = crew.space();
    let error = space.memory("memory", 1 << 44).unwrap_err();
    let SpaceError::NoRoom { path, size, available, limit } = &error else { panic!("{error:?}") };
    assert!(path.ends_with("stage/memory") && *size >= 1 << 44 && available <= limit);
    let text = error.to_string();
    assert!(text.contains(&size.to_string()) && text.contains(&limit.to_string()), "{text}");
    assert!(!space.contains("memory"));
    let memory = space.growing_memory("memory", 4096, 1 << 44).unwrap();
    assert!(matches!(memory.grow(1 << 43), Err(SpaceError::NoRoom { .. })));
    assert_eq!(memory.len(), 4096);
    memory.write(0, b"goes on").unwrap();
}

pub(crate) fn a_death_with_an_array_is_told(crew: &Crew<'_>) {
    fn die_in_it(job: Job) -> u64 {
        let array = job.space().array::<u32>("array", 3).unwrap();
        let mut guard = array.lock().unwrap();
        guard[0] = 8;
        die()
    }
    let array = crew.space().array::<u32>("array", 3).unwrap();
    crew.send(die_in_it, 0).bury();
    match array.lock() {
        Err(LockError::OwnerDied(mut guard, _)) => {
            assert_eq!(*guard, [8, 0, 0]);
            guard.repair();
        }
        other => panic!("{other:?}"),
    }
    assert!(array.lock().is_ok());
}
