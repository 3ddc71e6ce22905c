//! Queues between processes, one producer and one consumer: 64-byte messages one by one and in batches, 8-byte round trips awake and
//! asleep, and 1 MiB messages copied in and out.

use super::channel::{BATCH, trips};
use crate::clock::{now, sleep_us};
use crate::plan::{Cell, Effort, Figures};
use crate::scene::{Failure, Scene};
use crate::{ours, peers, timing};
use std::sync::atomic::Ordering::{Acquire, Release};

/// 64-byte messages.
pub const SMALL: &str = "queue.host.64";
/// Round trips of 8 bytes.
pub const AWAKE: &str = "queue.host.rtt.awake";
pub const ASLEEP: &str = "queue.host.rtt.asleep";
pub const ASLEEP_SAME_CPU: &str = "queue.host.rtt.asleep.same-cpu";
/// The same of pipes, beside what programs use for that.
pub const PIPE: &str = "pipe.host.rtt.awake";
/// Messages of 1 MiB.
pub const LARGE: &str = "queue.host.1MiB";

const MIB: usize = 1 << 20;
/// Longer than anybody spins before sleeping.
const PAUSE_US: u64 = 300;

/// A one-way queue between two processes.
pub trait Link: 'static {
    const NAME: &'static str;
    /// What is made before the fork. Must leave no thread behind and open no space.
    type Wires;
    type Tx;
    type Rx;
    /// For messages of up to so many bytes.
    fn wires(bytes: usize) -> Self::Wires;
    fn tx(wires: &Self::Wires) -> Self::Tx;
    fn rx(wires: &Self::Wires) -> Self::Rx;
    fn send(tx: &mut Self::Tx, bytes: &[u8]);
    /// Receives one message and shows it.
    fn recv(rx: &mut Self::Rx, show: impl FnOnce(&[u8]));
}

/// A link that takes and gives several messages at once.
pub trait BatchLink: Link {
    const BATCHED: &'static str;
    /// Sends messages that lie one after the other.
    fn send_all(tx: &mut Self::Tx, bytes: &[u8], each: usize);
    /// Receives at least one message and at most so many, and shows each.
    fn recv_some(rx: &mut Self::Rx, most: usize, show: impl FnMut(&[u8]));
}

pub fn cells() -> Vec<Cell> {
    use ours::link::{Bytes, Plain};
    use peers::futex_link::FutexLink;
    use peers::iceoryx::{Fixed, Slice};
    use peers::ipc::IpcChannel;
    use peers::stream::{Pipe, UnixStream};
    vec![
        small::<Plain<64>>(2_000_000),
        small_batched::<Plain<64>>(20_000_000),
        small::<Bytes>(2_000_000),
        small_batched::<Bytes>(10_000_000),
        small::<Fixed<64>>(500_000),
        small::<Slice>(500_000),
        small::<UnixStream>(200_000),
        small::<Pipe>(200_000),
        small::<IpcChannel>(150_000),
        awake::<Plain<8>>(AWAKE),
        awake::<Bytes>(AWAKE),
        awake::<Fixed<8>>(AWAKE),
        awake::<ours::pipe::Pipe>(PIPE),
        awake::<UnixStream>(PIPE),
        awake::<IpcChannel>(PIPE),
        asleep::<Plain<8>>(ASLEEP),
        asleep::<Bytes>(ASLEEP),
        asleep::<ours::pipe::Pipe>(ASLEEP),
        asleep::<FutexLink>(ASLEEP),
        asleep::<UnixStream>(ASLEEP),
        asleep::<Pipe>(ASLEEP),
        asleep::<IpcChannel>(ASLEEP),
        asleep::<Plain<8>>(ASLEEP_SAME_CPU),
        asleep::<Bytes>(ASLEEP_SAME_CPU),
        asleep::<FutexLink>(ASLEEP_SAME_CPU),
        asleep::<UnixStream>(ASLEEP_SAME_CPU),
        asleep::<Pipe>(ASLEEP_SAME_CPU),
        large::<Bytes>(),
        large::<UnixStream>(),
        large::<Slice>(),
        large::<Pipe>(),
        large::<IpcChannel>(),
    ]
}

/// Numbers a message, so that the other end can tell a lost or torn one.
fn stamp(bytes: &mut [u8], n: u64) {
    let last = bytes.len() - 8;
    bytes[..8].copy_from_slice(&n.to_ne_bytes());
    bytes[last..].copy_from_slice(&n.to_ne_bytes());
}

fn check(bytes: &[u8], n: u64) {
    let last = bytes.len() - 8;
    let [first, last] = [&bytes[..8], &bytes[last..]]
        .map(|part| u64::from_ne_bytes(part.try_into().expect("eight bytes")));
    assert!(first == n && last == n, "lost or torn: {first} and {last} instead of {n}");
}

fn small<L: Link>(times: u64) -> Cell {
    Cell::new(SMALL, L::NAME, move |effort| flow::<L>(effort.times(times), 64))
}

fn large<L: Link>() -> Cell {
    Cell::new(LARGE, L::NAME, |effort| flow::<L>(effort.times(1_000), MIB))
}

pub(super) fn flow<L: Link>(times: u64, bytes: usize) -> Result<Figures, Failure> {
    let send = |tx: &mut L::Tx| {
        let mut message = vec![0_u8; bytes];
        for n in 0..times {
            stamp(&mut message, n);
            L::send(tx, &message);
        }
    };
    let recv = |rx: &mut L::Rx| (0..times).for_each(|n| L::recv(rx, |message| check(message, n)));
    one_way::<L>(times, bytes, send, recv)
}

fn small_batched<L: BatchLink>(times: u64) -> Cell {
    const EACH: usize = 64;
    Cell::new(SMALL, L::BATCHED, move |effort| {
        let times = effort.times(times).next_multiple_of(BATCH as u64);
        let send = |tx: &mut L::Tx| {
            let mut batch = vec![0_u8; EACH * BATCH];
            for first in (0..times).step_by(BATCH) {
                batch.chunks_exact_mut(EACH).zip(first..).for_each(|(item, n)| stamp(item, n));
                L::send_all(tx, &batch, EACH);
            }
        };
        let recv = |rx: &mut L::Rx| {
            let mut n = 0;
            while n < times {
                L::recv_some(rx, BATCH, |message| {
                    check(message, n);
                    n += 1;
                });
            }
        };
        one_way::<L>(times, EACH, send, recv)
    })
}

/// Party 0 sends, party 1 receives; from the start of both to the end of the receiver.
fn one_way<L: Link>(
    times: u64,
    bytes: usize,
    send: impl Fn(&mut L::Tx),
    recv: impl Fn(&mut L::Rx),
) -> Result<Figures, Failure> {
    let wires = L::wires(bytes);
    let answers = Scene::new(2).processes(|party| {
        let end = party.stage.mark(0);
        if party.index == 1 {
            let mut rx = L::rx(&wires);
            party.start();
            let start = now();
            recv(&mut rx);
            let ended = now();
            end.store(1, Release);
            return vec![start as f64, ended as f64];
        }
        let mut tx = L::tx(&wires);
        party.start();
        let start = now() as f64;
        send(&mut tx);
        // What is in flight may end with its sender (iceoryx2): stay until the other end has it all.
        while end.load(Acquire) == 0 {
            sleep_us(100);
        }
        vec![start, start]
    })?;
    Ok(speed(times, bytes, timing::span(&answers)))
}

fn speed(times: u64, bytes: usize, ns: f64) -> Figures {
    Figures::from([("Mmsg/s", times as f64 * 1e3 / ns), ("GB/s", times as f64 * bytes as f64 / ns)])
}

fn awake<L: Link>(row: &'static str) -> Cell {
    Cell::new(row, L::NAME, |effort| round_trips::<L>(&Scene::new(2), effort, 20_000, 0))
}

fn asleep<L: Link>(row: &'static str) -> Cell {
    Cell::new(row, L::NAME, move |effort: Effort| {
        let scene = Scene::new(2);
        let scene = if row == ASLEEP_SAME_CPU { scene.same_cpu() } else { scene };
        round_trips::<L>(&scene, effort, 500, PAUSE_US)
    })
}

/// Party 0 sends and waits for the answer; before each, it leaves the other one waiting for `pause_us`.
fn round_trips<L: Link>(
    scene: &Scene,
    effort: Effort,
    times: u64,
    pause_us: u64,
) -> Result<Figures, Failure> {
    let times = effort.times(times);
    let wires = [L::wires(8), L::wires(8)];
    let answers = scene.processes(|party| {
        // The receiving end first: a publisher finds the subscribers that are there.
        let mut rx = L::rx(&wires[1 - party.index]);
        let mut tx = L::tx(&wires[party.index]);
        let mut message = [0_u8; 8];
        party.start();
        if party.index == 1 {
            for _ in 0..times {
                L::recv(&mut rx, |bytes| message.copy_from_slice(bytes));
                L::send(&mut tx, &message);
            }
            while party.stage.mark(0).load(Acquire) == 0 {
                sleep_us(100);
            }
            return Vec::new();
        }
        let mut us = Vec::with_capacity(times as usize);
        for n in 0..times {
            if pause_us > 0 {
                sleep_us(pause_us);
            }
            us.extend(
                trips(1, |_| {
                    L::send(&mut tx, &n.to_ne_bytes());
                    L::recv(&mut rx, |bytes| message.copy_from_slice(bytes));
                })
                .first(),
            );
            assert_eq!(message, n.to_ne_bytes(), "the answer is another one's");
        }
        party.stage.mark(0).store(1, Release);
        vec![crate::stats::percentile(&us, 0.5), crate::stats::percentile(&us, 0.99)]
    })?;
    Ok(Figures::from([("p50 us", answers[0][0]), ("p99 us", answers[0][1])]))
}
