//! The queue of values, on a ring of cells.

use antiphon::comm::{Queue, Shutdown};

use crate::crew::{Plain, ROUNDS, crew};

/// An item on the heap: whoever gets it reads what the one that put it has written.
fn item(value: usize) -> Box<[usize; 2]> {
    Box::new([value, !value])
}

fn open(item: &[usize; 2]) -> u64 {
    assert_eq!(item[0], !item[1]);
    item[0] as u64
}

/// Two put, two get until the end; nothing is lost on the way.
fn hand_over(put: impl Fn(&Queue<Box<[usize; 2]>>) + Sync, most: usize) {
    let queue = Queue::bounded(8);
    let sums: [Plain; 2] = Default::default();
    crew(3, |n| match n {
        0 => {
            crew(2, |_| put(&queue));
            queue.shutdown(Shutdown::Drain);
        }
        n => {
            while let Ok(items) = queue.get_many(most) {
                let sum: u64 = items.iter().map(|item| open(item)).sum();
                sums[n - 1].set(sums[n - 1].get() + sum);
            }
        }
    });
    let expected = (ROUNDS * (ROUNDS - 1)) as u64;
    assert_eq!(sums[0].get() + sums[1].get(), expected);
}

pub(crate) fn items_are_handed_over() {
    hand_over(|queue| (0..ROUNDS).for_each(|value| queue.put(item(value)).unwrap()), 1);
}

pub(crate) fn batches_are_handed_over() {
    hand_over(
        |queue| {
            for from in (0..ROUNDS).step_by(10) {
                queue.put_many((from..from + 10).map(item)).unwrap();
            }
        },
        5,
    );
}
