//! ipc-channel, with bytes.

use crate::comm::link::Link;
use ipc_channel::ipc::{IpcBytesReceiver, IpcBytesSender, bytes_channel};
use std::cell::RefCell;

pub struct IpcChannel;

/// The receiver cannot be copied, so whoever receives takes it out of its own copy of the wires.
type Wires = (IpcBytesSender, RefCell<Option<IpcBytesReceiver>>);

impl Link for IpcChannel {
    const NAME: &'static str = "ipc-channel";
    type Wires = Wires;
    type Tx = IpcBytesSender;
    type Rx = IpcBytesReceiver;

    fn wires(_: usize) -> Wires {
        let (tx, rx) = bytes_channel().expect("a channel");
        (tx, RefCell::new(Some(rx)))
    }

    fn tx(wires: &Wires) -> IpcBytesSender {
        wires.0.clone()
    }

    fn rx(wires: &Wires) -> IpcBytesReceiver {
        wires.1.take().expect("one receiver")
    }

    fn send(tx: &mut IpcBytesSender, bytes: &[u8]) {
        tx.send(bytes).expect("the other end has gone");
    }

    fn recv(rx: &mut IpcBytesReceiver, show: impl FnOnce(&[u8])) {
        show(&rx.recv().expect("the other end has gone"));
    }
}
