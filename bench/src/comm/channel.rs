//! Queues between threads, bounded to 1024: producers by consumers, 8 and 64 bytes, one by one and in batches; and the
//! round trip of a message through two of them.

use crate::clock::now;
use crate::plan::{Cell, Figures};
use crate::scene::{Failure, Scene};
use crate::stage::Party;
use crate::{ours, peers, stats, timing};
use std::hint::black_box;
use std::sync::Mutex;

/// Items that a queue holds at most.
pub const BOUND: usize = 1024;
/// Items in a batch.
pub const BATCH: usize = 32;
/// The ways to share a queue: producers, consumers.
pub const SHAPES: [(usize, usize); 3] = [(1, 1), (2, 1), (2, 2)];
/// The row of round trips.
pub const RTT: &str = "queue.threads.rtt";

/// What is sent: a number, alone or with padding.
pub trait Message: Copy + Send + Unpin + 'static {
    const BYTES: usize;
    fn of(n: u64) -> Self;
    fn number(self) -> u64;
}

impl Message for u64 {
    const BYTES: usize = 8;

    fn of(n: u64) -> Self {
        n
    }

    fn number(self) -> u64 {
        self
    }
}

impl Message for [u64; 8] {
    const BYTES: usize = 64;

    fn of(n: u64) -> Self {
        [n; 8]
    }

    fn number(self) -> u64 {
        self[0]
    }
}

/// The sending and the receiving ends of one queue.
pub type Bounded<Tx, Rx> = (Vec<Tx>, Vec<Rx>);

/// A bounded queue between threads.
pub trait Channel<T>: 'static {
    const NAME: &'static str;
    type Tx: Send;
    type Rx: Send;
    /// So many sending and receiving ends of one queue; `None` if it cannot have them.
    fn bounded(tx: usize, rx: usize) -> Option<Bounded<Self::Tx, Self::Rx>>;
    fn send(tx: &Self::Tx, item: T);
    fn recv(rx: &Self::Rx) -> T;
}

/// A queue that takes and gives several items at once.
pub trait Batched<T>: Channel<T> {
    const BATCHED: &'static str;
    /// Sends all items, and leaves the vector empty.
    fn send_all(tx: &Self::Tx, items: &mut Vec<T>);
    /// Receives at least one item and at most so many, behind those that are there.
    fn recv_some(rx: &Self::Rx, items: &mut Vec<T>, most: usize);
}

/// The row of a shape and size.
pub fn row((tx, rx): (usize, usize), bytes: usize) -> String {
    format!("queue.threads.{tx}x{rx}.{bytes}")
}

pub fn cells() -> Vec<Cell> {
    let mut cells = of_size::<u64>();
    cells.extend(of_size::<[u64; 8]>());
    use peers::channel::{Crossbeam, Crossfire, Flume, Kanal, Std};
    cells.extend([
        rtt::<ours::channel::Queue>(),
        rtt::<Std>(),
        rtt::<Crossbeam>(),
        rtt::<Flume>(),
        rtt::<Kanal>(),
        rtt::<Crossfire>(),
    ]);
    cells
}

fn of_size<T: Message>() -> Vec<Cell> {
    use peers::channel::{Crossbeam, Crossfire, Flume, Kanal, Std};
    let mut cells = Vec::new();
    for shape in SHAPES {
        cells.push(single::<T, ours::channel::Queue>(shape));
        cells.push(batched::<T, ours::channel::Queue>(shape));
        if shape.1 == 1 {
            cells.push(single::<T, Std>(shape));
        }
        cells.push(single::<T, Crossbeam>(shape));
        cells.push(single::<T, Flume>(shape));
        cells.push(single::<T, Kanal>(shape));
        cells.push(single::<T, Crossfire>(shape));
    }
    cells
}

fn single<T: Message, C: Channel<T>>(shape: (usize, usize)) -> Cell {
    single_as::<T, C>(&row(shape, T::BYTES), shape)
}

/// One by one, in the row of that name.
pub fn single_as<T: Message, C: Channel<T>>(row: &str, shape: (usize, usize)) -> Cell {
    Cell::new(row, C::NAME, move |effort| {
        let times = effort.times(2_000_000);
        let send = |tx: &C::Tx, count| (0..count).for_each(|n| C::send(tx, T::of(n)));
        let recv = |rx: &C::Rx, count| (0..count).map(|_| C::recv(rx).number()).sum();
        flow::<T, C>(shape, times, send, recv)
    })
}

fn batched<T: Message, C: Batched<T>>(shape: (usize, usize)) -> Cell {
    batched_as::<T, C>(&row(shape, T::BYTES), shape)
}

/// In batches, in the row of that name.
pub fn batched_as<T: Message, C: Batched<T>>(row: &str, shape: (usize, usize)) -> Cell {
    Cell::new(row, C::BATCHED, move |effort| {
        let times = effort.times(8_000_000);
        flow::<T, C>(shape, times, send_batches::<T, C>, recv_batches::<T, C>)
    })
}

fn send_batches<T: Message, C: Batched<T>>(tx: &C::Tx, count: u64) {
    let mut items = Vec::with_capacity(BATCH);
    let mut n = 0;
    while n < count {
        items.extend((n..count.min(n + BATCH as u64)).map(T::of));
        n += items.len() as u64;
        C::send_all(tx, &mut items);
    }
}

fn recv_batches<T: Message, C: Batched<T>>(rx: &C::Rx, count: u64) -> u64 {
    let mut items = Vec::with_capacity(BATCH);
    let (mut n, mut sum) = (0, 0);
    while n < count {
        C::recv_some(rx, &mut items, BATCH.min((count - n) as usize));
        n += items.len() as u64;
        sum += items.drain(..).map(T::number).sum::<u64>();
    }
    sum
}

/// Moves `times` messages through one queue, and checks that none was lost or doubled.
pub fn flow<T: Message, C: Channel<T>>(
    (txs, rxs): (usize, usize),
    times: u64,
    send: impl Fn(&C::Tx, u64) + Sync,
    recv: impl Fn(&C::Rx, u64) -> u64 + Sync,
) -> Result<Figures, Failure> {
    // Divisible, so that every party knows how many are its own.
    let times = times.next_multiple_of((txs * rxs * BATCH) as u64);
    let make = || {
        let (tx, rx) = C::bounded(txs, rxs)?;
        Some((hand_out(tx), hand_out(rx)))
    };
    // Producers on one processor, consumers on the other: parties alternate, and so do the roles.
    let answers = Scene::new(2 * txs.max(rxs)).threads(make, |party, ends| {
        let Some((tx, rx)) = ends else { panic!("no such shape") };
        let (role, nth) = (party.index % 2, party.index / 2);
        let (share, sum) = match role {
            0 if nth < txs => timed(party, || {
                send(&take(tx, nth), times / txs as u64);
                0
            }),
            1 if nth < rxs => timed(party, || recv(&take(rx, nth), times / rxs as u64)),
            _ => timed(party, || 0),
        };
        vec![share.0, share.1, sum as f64]
    })?;
    let per_tx = times / txs as u64;
    let expected = txs as f64 * (per_tx * (per_tx - 1) / 2) as f64;
    let sum: f64 = answers.iter().map(|a| a[2]).sum();
    if sum != expected {
        return Err(format!("messages were lost or doubled: sum {sum}, not {expected}"));
    }
    Ok(Figures::from([("Mmsg/s", times as f64 * 1e3 / timing::span(&answers))]))
}

/// Starts with the others, and answers when it began and ended, with the result.
fn timed(party: &Party, body: impl FnOnce() -> u64) -> ((f64, f64), u64) {
    party.start();
    let start = now() as f64;
    let result = black_box(body());
    ((start, now() as f64), result)
}

/// Ends of a queue that each party takes for itself.
type Ends<E> = Vec<Mutex<Option<E>>>;

fn hand_out<E>(ends: Vec<E>) -> Ends<E> {
    ends.into_iter().map(|end| Mutex::new(Some(end))).collect()
}

fn take<E>(ends: &Ends<E>, nth: usize) -> E {
    ends[nth].lock().unwrap().take().expect("an end is taken once")
}

fn rtt<C: Channel<u64>>() -> Cell {
    Cell::new(RTT, C::NAME, |effort| {
        let times = effort.times(20_000);
        let make = || {
            [C::bounded(1, 1), C::bounded(1, 1)].map(|pair| {
                let (tx, rx) = pair.expect("one by one");
                (hand_out(tx), hand_out(rx))
            })
        };
        let answers = Scene::new(2).threads(make, |party, lanes| {
            let tx = take(&lanes[party.index].0, 0);
            let rx = take(&lanes[1 - party.index].1, 0);
            party.start();
            if party.index == 1 {
                (0..times).for_each(|_| C::send(&tx, C::recv(&rx)));
                return Vec::new();
            }
            trips(times, |n| {
                C::send(&tx, n);
                C::recv(&rx);
            })
        })?;
        Ok(Figures::from([("p50 us", answers[0][0]), ("p99 us", answers[0][1])]))
    })
}

/// Times every trip; answers p50 and p99 in microseconds.
pub fn trips(times: u64, mut trip: impl FnMut(u64)) -> Vec<f64> {
    let us: Vec<f64> = (0..times)
        .map(|n| {
            let start = now();
            trip(n);
            (now() - start) as f64 / 1e3
        })
        .collect();
    vec![stats::percentile(&us, 0.5), stats::percentile(&us, 0.99)]
}
