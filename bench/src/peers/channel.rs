//! Other people's bounded queues between threads.

use crate::comm::channel::{BOUND, Bounded, Channel};

macro_rules! channel {
    ($type:ident, $name:literal, $tx:ty, $rx:ty, $bounded:path) => {
        pub struct $type;

        impl<T: Send + Unpin + 'static> Channel<T> for $type {
            const NAME: &'static str = $name;
            type Tx = $tx;
            type Rx = $rx;

            fn bounded(tx: usize, rx: usize) -> Option<Bounded<$tx, $rx>> {
                let (sender, receiver) = $bounded(BOUND);
                Some((vec![sender; tx], vec![receiver; rx]))
            }

            #[inline]
            fn send(tx: &$tx, item: T) {
                assert!(tx.send(item).is_ok(), "the other end has gone");
            }

            #[inline]
            fn recv(rx: &$rx) -> T {
                rx.recv().expect("the other end has gone")
            }
        }
    };
}

channel!(
    Crossbeam,
    "crossbeam-channel",
    crossbeam_channel::Sender<T>,
    crossbeam_channel::Receiver<T>,
    crossbeam_channel::bounded
);
channel!(Flume, "flume", flume::Sender<T>, flume::Receiver<T>, flume::bounded);
channel!(Kanal, "kanal", kanal::Sender<T>, kanal::Receiver<T>, kanal::bounded);
channel!(
    Crossfire,
    "crossfire mpmc",
    crossfire::MTx<crossfire::mpmc::Array<T>>,
    crossfire::MRx<crossfire::mpmc::Array<T>>,
    crossfire::mpmc::bounded_blocking
);

pub struct Std;

impl<T: Send + 'static> Channel<T> for Std {
    const NAME: &'static str = "std sync_channel";
    type Tx = std::sync::mpsc::SyncSender<T>;
    type Rx = std::sync::mpsc::Receiver<T>;

    fn bounded(tx: usize, rx: usize) -> Option<Bounded<Self::Tx, Self::Rx>> {
        let (sender, receiver) = std::sync::mpsc::sync_channel(BOUND);
        (rx == 1).then(|| (vec![sender; tx], vec![receiver]))
    }

    #[inline]
    fn send(tx: &Self::Tx, item: T) {
        assert!(tx.send(item).is_ok(), "the other end has gone");
    }

    #[inline]
    fn recv(rx: &Self::Rx) -> T {
        rx.recv().expect("the other end has gone")
    }
}
