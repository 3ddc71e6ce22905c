//! Our queues between processes: of plain values, and of messages of any length.

use super::space::{open, unique_name};
use crate::comm::channel::BOUND;
use crate::comm::link::{BatchLink, Link};
use antiphon::Space;
use antiphon::space::{ByteQueue, Queue};

/// A queue as one end has it, with room for what it receives.
pub struct End<Q, B> {
    queue: Q,
    room: B,
    _space: Space,
}

/// Values of a length that is known when compiling.
pub struct Plain<const BYTES: usize>;

impl<const BYTES: usize> Plain<BYTES>
where
    [u8; BYTES]: antiphon::space::Plain,
{
    fn end(name: &str) -> <Self as Link>::Tx {
        let space = open(name);
        let queue = space.queue("q", BOUND as u32).expect("a queue");
        End { queue, room: Vec::new(), _space: space }
    }
}

impl<const BYTES: usize> Link for Plain<BYTES>
where
    [u8; BYTES]: antiphon::space::Plain,
{
    const NAME: &'static str = crate::marks::OURS;
    type Wires = String;
    type Tx = End<Queue<[u8; BYTES]>, Vec<[u8; BYTES]>>;
    type Rx = Self::Tx;

    fn wires(_: usize) -> String {
        unique_name()
    }

    fn tx(wires: &String) -> Self::Tx {
        Self::end(wires)
    }

    fn rx(wires: &String) -> Self::Rx {
        Self::end(wires)
    }

    #[inline]
    fn send(tx: &mut Self::Tx, bytes: &[u8]) {
        tx.queue.put(bytes.try_into().expect("the length")).unwrap();
    }

    #[inline]
    fn recv(rx: &mut Self::Rx, show: impl FnOnce(&[u8])) {
        show(&rx.queue.get().unwrap());
    }
}

impl<const BYTES: usize> BatchLink for Plain<BYTES>
where
    [u8; BYTES]: antiphon::space::Plain,
{
    const BATCHED: &'static str = "antiphon, batches of 32";

    #[inline]
    fn send_all(tx: &mut Self::Tx, bytes: &[u8], _: usize) {
        tx.queue.put_many(bytes.as_chunks().0).unwrap();
    }

    #[inline]
    fn recv_some(rx: &mut Self::Rx, most: usize, mut show: impl FnMut(&[u8])) {
        rx.room.clear();
        rx.queue.get_many_into(&mut rx.room, most).unwrap();
        rx.room.iter().for_each(|message| show(message));
    }
}

/// Messages of any length.
pub struct Bytes;

/// Room for one batch: the bytes, and the length of each message.
#[derive(Default)]
pub struct Room {
    bytes: Vec<u8>,
    lengths: Vec<usize>,
}

/// What a queue of large messages may hold.
const LARGE_BYTES: usize = 16 << 20;

impl Bytes {
    fn end((name, bytes): &(String, usize)) -> <Self as Link>::Tx {
        let space = open(name);
        // Room for as many messages as the others have, with their headers, or for a dozen large ones.
        let most = (BOUND * (bytes + 16)).clamp(64 << 10, LARGE_BYTES);
        let queue = space.byte_queue("q", BOUND as u32, most as u64).expect("a queue");
        End { queue, room: Room::default(), _space: space }
    }
}

impl Link for Bytes {
    const NAME: &'static str = "antiphon bytes";
    type Wires = (String, usize);
    type Tx = End<ByteQueue, Room>;
    type Rx = Self::Tx;

    fn wires(bytes: usize) -> Self::Wires {
        (unique_name(), bytes)
    }

    fn tx(wires: &Self::Wires) -> Self::Tx {
        Self::end(wires)
    }

    fn rx(wires: &Self::Wires) -> Self::Rx {
        Self::end(wires)
    }

    #[inline]
    fn send(tx: &mut Self::Tx, bytes: &[u8]) {
        tx.queue.put(bytes).unwrap();
    }

    #[inline]
    fn recv(rx: &mut Self::Rx, show: impl FnOnce(&[u8])) {
        rx.queue.get_into(&mut rx.room.bytes).unwrap();
        show(&rx.room.bytes);
    }
}

impl BatchLink for Bytes {
    const BATCHED: &'static str = "antiphon bytes, batches of 32";

    #[inline]
    fn send_all(tx: &mut Self::Tx, bytes: &[u8], each: usize) {
        // Slices, so that the length of a message is known only when it is sent.
        let messages: Vec<&[u8]> = bytes.chunks_exact(each).collect();
        tx.queue.put_many(&messages).unwrap();
    }

    #[inline]
    fn recv_some(rx: &mut Self::Rx, most: usize, mut show: impl FnMut(&[u8])) {
        let Room { bytes, lengths } = &mut rx.room;
        bytes.clear();
        lengths.clear();
        rx.queue.get_many_into(bytes, lengths, most).unwrap();
        let mut rest = &bytes[..];
        for length in lengths {
            let (message, behind) = rest.split_at(*length);
            show(message);
            rest = behind;
        }
    }
}
