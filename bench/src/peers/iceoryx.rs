//! iceoryx2's publish-subscribe, polling, without loss: a full subscriber holds the publisher up.

use crate::clock::{now, sleep_us};
use crate::comm::channel::BOUND;
use crate::comm::link::Link;
use crate::comm::loan::Lender;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;
use std::hint::spin_loop;

pub(super) type Name = String;

/// A name that nothing else has, so that a run that was killed leaves nothing to the next.
pub(super) fn unique() -> Name {
    format!("antiphon-bench/{}/{}", std::process::id(), now())
}

pub(super) fn node() -> Node<ipc::Service> {
    set_log_level(LogLevel::Fatal);
    NodeBuilder::new().create().expect("a node")
}

pub(super) fn retry<T, E>(open: impl Fn() -> Result<T, E>) -> Result<T, E> {
    (0..100)
        .find_map(|_| {
            let opened = open().ok();
            if opened.is_none() {
                sleep_us(10_000);
            }
            opened
        })
        .map_or_else(open, Ok)
}

/// Ports stay valid while the service does, and the service while the node does.
pub struct Port<P> {
    port: P,
    _node: Node<ipc::Service>,
}

macro_rules! open {
    ($node:expr, $name:expr, $payload:ty, $bound:expr) => {{
        let open = || {
            $node
                .service_builder(&$name.as_str().try_into().expect("a name"))
                .publish_subscribe::<$payload>()
                .enable_safe_overflow(false)
                .subscriber_max_buffer_size($bound)
                .max_publishers(1)
                .max_subscribers(1)
                .open_or_create()
        };
        // Both ends open at once, and one may see the other's half-made service.
        retry(open).expect("a service")
    }};
}

/// Waits for a sample, polling.
macro_rules! poll {
    ($rx:expr) => {
        loop {
            match $rx.port.receive().expect("the other end has gone") {
                Some(sample) => break sample,
                None => spin_loop(),
            }
        }
    };
}

/// Messages of a length that is known when compiling.
pub struct Fixed<const BYTES: usize>;

impl<const BYTES: usize> Link for Fixed<BYTES> {
    const NAME: &'static str = "iceoryx2, polling";
    type Wires = Name;
    type Tx = Port<Publisher<ipc::Service, [u8; BYTES], ()>>;
    type Rx = Port<Subscriber<ipc::Service, [u8; BYTES], ()>>;

    fn wires(_: usize) -> Name {
        unique()
    }

    fn tx(wires: &Name) -> Self::Tx {
        let node = node();
        let service = open!(node, wires, [u8; BYTES], BOUND);
        let port = service
            .publisher_builder()
            .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
            .create()
            .expect("a publisher");
        Port { port, _node: node }
    }

    fn rx(wires: &Name) -> Self::Rx {
        let node = node();
        let service = open!(node, wires, [u8; BYTES], BOUND);
        let port = service.subscriber_builder().create().expect("a subscriber");
        Port { port, _node: node }
    }

    #[inline]
    fn send(tx: &mut Self::Tx, bytes: &[u8]) {
        // Nobody is reached until the publisher has seen the subscriber.
        let mut reached = 0;
        while reached == 0 {
            let sample = tx.port.loan_uninit().expect("a sample");
            let sample = sample.write_payload(bytes.try_into().expect("the length"));
            reached = sample.send().expect("the other end has gone");
        }
    }

    #[inline]
    fn recv(rx: &mut Self::Rx, show: impl FnOnce(&[u8])) {
        show(poll!(rx).payload());
    }
}

/// Messages of any length, copied in, and read in place.
pub struct Slice;

impl Link for Slice {
    const NAME: &'static str = "iceoryx2 slices, polling";
    type Wires = (Name, usize);
    type Tx = Port<Publisher<ipc::Service, [u8], ()>>;
    type Rx = Port<Subscriber<ipc::Service, [u8], ()>>;

    fn wires(bytes: usize) -> (Name, usize) {
        (unique(), bytes)
    }

    fn tx((name, bytes): &(Name, usize)) -> Self::Tx {
        let node = node();
        let service = open!(node, name, [u8], buffer(*bytes));
        let port = service
            .publisher_builder()
            .initial_max_slice_len(*bytes)
            .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
            .create()
            .expect("a publisher");
        Port { port, _node: node }
    }

    fn rx((name, bytes): &(Name, usize)) -> Self::Rx {
        let node = node();
        let service = open!(node, name, [u8], buffer(*bytes));
        let port = service.subscriber_builder().create().expect("a subscriber");
        Port { port, _node: node }
    }

    #[inline]
    fn send(tx: &mut Self::Tx, bytes: &[u8]) {
        let mut reached = 0;
        while reached == 0 {
            let sample = tx.port.loan_slice_uninit(bytes.len()).expect("a sample");
            reached = sample.write_from_slice(bytes).send().expect("the other end has gone");
        }
    }

    #[inline]
    fn recv(rx: &mut Self::Rx, show: impl FnOnce(&[u8])) {
        show(poll!(rx).payload());
    }
}

/// As many messages as a queue holds, but no more than 8 MiB of large ones.
fn buffer(bytes: usize) -> usize {
    ((8 << 20) / bytes).clamp(2, BOUND)
}

impl Lender for Slice {
    const NAME: &'static str = "iceoryx2, polling";
    type Wires = (Name, usize);
    type Tx = <Self as Link>::Tx;
    type Rx = <Self as Link>::Rx;

    fn wires(bytes: usize) -> (Name, usize) {
        <Self as Link>::wires(bytes)
    }

    fn tx(wires: &(Name, usize)) -> <Self as Link>::Tx {
        <Self as Link>::tx(wires)
    }

    fn rx(wires: &(Name, usize)) -> <Self as Link>::Rx {
        <Self as Link>::rx(wires)
    }

    #[inline]
    fn send(tx: &mut <Self as Link>::Tx, bytes: usize, fill: impl Fn(&mut [u8])) {
        let mut reached = 0;
        while reached == 0 {
            let mut sample = tx.port.loan_slice_uninit(bytes).expect("a sample");
            let payload = sample.payload_mut();
            // SAFETY: bytes that are about to be written, seen as bytes; nothing reads them before.
            fill(unsafe { std::slice::from_raw_parts_mut(payload.as_mut_ptr().cast(), bytes) });
            // SAFETY: every byte has been written.
            let sample = unsafe { sample.assume_init() };
            reached = sample.send().expect("the other end has gone");
        }
    }

    #[inline]
    fn recv(rx: &mut <Self as Link>::Rx, show: impl FnOnce(&[u8])) {
        <Self as Link>::recv(rx, show);
    }
}
