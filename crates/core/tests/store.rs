//! Blocks in a store: kept, freed, recovered, and nonsense.
#![cfg(not(loom))]

use antiphon_core::comm::store::{Corrupt, Full, Store, UNIT, UNIT_WORDS};
use antiphon_core::primitive::AtomicU64;
use antiphon_core::primitive::Ordering::Relaxed;

fn words(n: usize) -> Vec<AtomicU64> {
    (0..n).map(|_| AtomicU64::new(0)).collect()
}

#[test]
fn blocks_keep_what_is_put_into_them() {
    let (map, memory) = (words(2), words(100 * UNIT_WORDS));
    let store = Store::new(&map, &memory);
    let mut blocks = Vec::new();
    for n in 0..20_u8 {
        let (first, second) = ([n; 9], vec![n + 1; usize::from(n)]);
        blocks.push(store.put(0, n.into(), &first, &second).unwrap());
    }
    for (n, block) in (0_u8..).zip(&blocks) {
        let found = store.block(block.link()).unwrap();
        assert_eq!(found, *block);
        assert!(store.first_is(found, &[n; 9]) && !store.first_is(found, &[n; 8]));
        let mut second = vec![0; found.second_len()];
        store.read_second(found, &mut second);
        assert_eq!(second, vec![n + 1; usize::from(n)]);
    }
}

#[test]
fn freed_units_come_together_again() {
    let (map, memory) = (words(2), words(70 * UNIT_WORDS));
    let store = Store::new(&map, &memory);
    let one = |len| store.put(0, 0, &[], &vec![7; len]);
    let blocks: Vec<_> = (0..70).map(|_| one(16).unwrap()).collect();
    assert_eq!(one(1), Err(Full));
    for block in &blocks[10..20] {
        store.free(*block);
    }
    assert_eq!(one(10 * UNIT - 16 + 1), Err(Full));
    let whole = one(10 * UNIT - 16).unwrap();
    assert_eq!(whole.link(), 11);
    assert_eq!(one(71 * UNIT), Err(Full));
    // Over the border of a word of the map.
    store.free(blocks[63]);
    store.free(blocks[64]);
    assert_eq!(one(UNIT).unwrap().link(), 64);
}

#[test]
fn a_recovery_marks_what_links_lead_to_and_ends() {
    let (map, memory) = (words(1), words(64 * UNIT_WORDS));
    let store = Store::new(&map, &memory);
    let (a, b) = (store.put(0, 0, b"a", b"a").unwrap(), store.put(0, 0, b"b", b"b").unwrap());
    map[0].store(u64::MAX, Relaxed);
    store.forget();
    assert_eq!((store.mark(a), store.mark(b), store.mark(a)), (Ok(()), Ok(()), Err(Corrupt)));
    assert_eq!(map[0].load(Relaxed), 0b11);
}

#[test]
fn what_does_not_fit_is_corrupt() {
    let (map, memory) = (words(1), words(8 * UNIT_WORDS));
    let store = Store::new(&map, &memory);
    for link in [0, 9, u32::MAX] {
        assert_eq!(store.block(link), Err(Corrupt));
    }
    for lengths in [u64::MAX, 1 << 32 << 20, 8 * UNIT as u64] {
        memory[1].store(lengths, Relaxed);
        assert_eq!(store.block(1), Err(Corrupt));
    }
    memory[7 * UNIT_WORDS + 1].store(17, Relaxed);
    assert_eq!(store.block(8), Err(Corrupt));
    memory[7 * UNIT_WORDS + 1].store(16, Relaxed);
    assert_eq!(store.block(8).unwrap().first_len(), 16);
}
