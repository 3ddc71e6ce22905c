//! The ring of bytes beside a model, and under scribbled words.
#![cfg(not(loom))]

use std::collections::VecDeque;
use std::ptr::NonNull;

use antiphon_core::comm::bytes::{Bytes, Shape, UNIT};
use antiphon_core::comm::{Patience, RawRing, RingError};
use antiphon_core::owner::Owner;
use antiphon_core::wait::{Deadline, Wait, Wake, Word};

/// A party that is alone, and so never waits.
struct Alone;

impl Wait for Alone {
    const OWNER_IS_THREAD: bool = true;

    fn me(&self) -> Owner {
        Owner::new(1).unwrap()
    }

    fn is_gone(&self, _: Owner) -> bool {
        true
    }

    fn epoch(&self) -> u32 {
        0
    }

    fn wait(&self, _: &Word, _: u32, _: u32, _: Option<Deadline>) -> Wake {
        panic!("nobody would wake us");
    }

    fn wake(&self, _: *const Word, _: u32) {}

    fn spin(&self, _: u32) -> bool {
        false
    }
}

/// Numbers that look random (xorshift64*, Vigna 2016).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() >> 33) as usize % n
    }
}

const CANARY: u64 = 0xC0FF_EE00_C0FF_EE00;
const MARGIN: usize = 64;

/// A ring with its words and buffer between canaries.
struct Queue {
    words: Box<RawRing>,
    buffer: Vec<u64>,
    shape: Shape,
}

impl Queue {
    fn new(items: u32, bytes: u64, longest: u64) -> Self {
        let shape = Shape::new(items, bytes, longest).unwrap();
        let units = shape.storage() as usize / UNIT;
        Self { words: Box::new(RawRing::new()), buffer: vec![CANARY; units + 2 * MARGIN], shape }
    }

    fn ring(&mut self) -> Bytes<'_> {
        let start = NonNull::new(self.buffer[MARGIN..].as_mut_ptr()).unwrap();
        // SAFETY: the buffer is as long as the shape says, and borrowed for as long as the view.
        unsafe { Bytes::new(&self.words, start, self.shape) }
    }

    fn is_intact(&self) -> bool {
        let end = self.buffer.len() - MARGIN;
        self.buffer[..MARGIN].iter().chain(&self.buffer[end..]).all(|word| *word == CANARY)
    }
}

fn put(ring: &Bytes<'_>, message: &[u8]) -> Result<(), RingError> {
    ring.push_slice(&Alone, Patience::Try, message)
}

fn get(ring: &Bytes<'_>) -> Result<Vec<u8>, RingError> {
    // SAFETY: the ring lends that many bytes.
    ring.pop(&Alone, Patience::Try, |from, len| unsafe {
        std::slice::from_raw_parts(from, len).to_vec()
    })
}

#[test]
fn it_behaves_like_a_bounded_list() {
    let (items, bytes, longest) = (11, 1000, 300);
    let mut queue = Queue::new(items, bytes, longest);
    let mut model = VecDeque::<Vec<u8>>::new();
    let mut dice = Dice(1);
    let ring = queue.ring();
    let footprint = |message: &Vec<u8>| Shape::footprint(message.len() as u64);
    for _ in 0..200_000 {
        let used: u64 = model.iter().map(footprint).sum();
        let message = vec![dice.next() as u8; dice.below(longest as usize + 10)];
        match dice.below(4) {
            0 => {
                let expected = if message.len() > longest as usize {
                    Err(RingError::TooLarge)
                } else if model.len() == items as usize || used + footprint(&message) > bytes {
                    Err(RingError::Full)
                } else {
                    model.push_back(message.clone());
                    Ok(())
                };
                assert_eq!(put(&ring, &message), expected);
            }
            1 => assert_eq!(get(&ring), model.pop_front().ok_or(RingError::Empty)),
            2 => {
                let batch: Vec<_> = (0..dice.below(6))
                    .map(|_| vec![dice.next() as u8; dice.below(longest as usize + 2)])
                    .collect();
                let put = ring.push_many(&Alone, Patience::Try, &batch).unwrap_or(0);
                model.extend(batch.iter().take(put).cloned());
                let fits = model.iter().map(footprint).sum::<u64>() <= bytes
                    && model.len() <= items as usize;
                assert!(fits);
                if let Some(next) = batch.get(put) {
                    let used: u64 = model.iter().map(footprint).sum();
                    assert!(
                        next.len() > longest as usize
                            || model.len() == items as usize
                            || used + footprint(next) > bytes,
                        "the batch stopped too early"
                    );
                }
            }
            _ => {
                let most = dice.below(5);
                let mut got = Vec::new();
                // SAFETY: the ring lends that many bytes.
                let count = ring.pop_many(&Alone, Patience::Try, most, |from, len| unsafe {
                    got.push(std::slice::from_raw_parts(from, len).to_vec());
                });
                let expected: Vec<_> = model.drain(..most.min(model.len())).collect();
                assert_eq!(got, expected);
                assert_eq!(count.unwrap_or(0), expected.len());
            }
        }
        assert_eq!(ring.ring().len() as usize, model.len());
    }
    assert!(queue.is_intact());
}

#[test]
fn the_longest_record_always_fits_an_empty_ring() {
    let longest = 1000 - 8;
    let mut queue = Queue::new(5, 1000, longest);
    let ring = queue.ring();
    for i in 0..1000 {
        let short = vec![1; i % 50];
        put(&ring, &short).unwrap();
        assert_eq!(get(&ring), Ok(short));
        let long = vec![2; longest as usize];
        put(&ring, &long).unwrap();
        assert_eq!(put(&ring, &[]), Err(RingError::Full));
        assert_eq!(get(&ring), Ok(long));
    }
    assert!(queue.is_intact());
}

#[test]
fn impossible_shapes_are_refused() {
    assert_eq!(Shape::new(0, 100, 10), None);
    assert_eq!(Shape::new(1, 100, 93), None, "its header would not fit");
    assert_eq!(Shape::new(1, u64::MAX, 1), None);
    assert_eq!(Shape::new(1, 100, u64::MAX), None);
    assert_eq!(Shape::new(u32::MAX, 100, 1), None);
    assert!(Shape::new(1, 8, 0).is_some());
}

#[test]
fn scribbled_words_do_no_harm() {
    let mut dice = Dice(7);
    let mut outcomes = [0_u32; 2];
    for _ in 0..200_000 {
        let mut queue = Queue::new(9, 400, 100);
        {
            let ring = queue.ring();
            for _ in 0..dice.below(5) {
                let _ = put(&ring, &vec![3; dice.below(80)]);
                if dice.below(2) == 0 {
                    let _ = get(&ring);
                }
            }
        }
        let units = queue.shape.storage() as usize / UNIT;
        for _ in 0..1 + dice.below(3) {
            let value = match dice.below(3) {
                0 => dice.next(),
                1 => dice.next() >> 60 | (dice.next() >> 60) << 32,
                _ => dice.next() >> (32 + dice.below(30)),
            };
            if dice.below(2) == 0 {
                queue.buffer[MARGIN + dice.below(units)] = value;
            } else {
                let words: *mut RawRing = &mut *queue.words;
                let at = dice.below(size_of::<RawRing>() / 8);
                // SAFETY: within the words, which are atomics and so valid for any bits; nobody else looks.
                unsafe { words.cast::<u64>().add(at).write(value) };
            }
        }
        let ring = queue.ring();
        for _ in 0..6 {
            let messages = [vec![4; dice.below(101)], vec![5; dice.below(101)]];
            let results = [
                put(&ring, &messages[0]),
                get(&ring).map(drop),
                ring.push_many(&Alone, Patience::Try, &messages).map(drop),
                ring.pop_many(&Alone, Patience::Try, 4, |_, len| assert!(len <= 100)).map(drop),
            ];
            for result in results {
                outcomes[usize::from(result == Err(RingError::Corrupt))] += 1;
            }
        }
        assert!(queue.is_intact());
    }
    assert!(outcomes.iter().all(|count| *count > 10_000), "both ends are met: {outcomes:?}");
}
