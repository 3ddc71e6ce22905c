//! What the kernel has: a pipe and a unix stream socket. Messages of known length, one call each.

use crate::comm::link::Link;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::unix::net;

macro_rules! stream {
    ($type:ident, $name:literal, $tx:ty, $rx:ty, $make:path) => {
        pub struct $type;

        impl Link for $type {
            const NAME: &'static str = $name;
            type Wires = ($tx, $rx, usize);
            type Tx = $tx;
            type Rx = ($rx, Vec<u8>);

            fn wires(bytes: usize) -> Self::Wires {
                let (a, b) = $make().expect("a pair of descriptors");
                (a, b, bytes)
            }

            fn tx(wires: &Self::Wires) -> $tx {
                wires.0.try_clone().expect("a descriptor")
            }

            fn rx(wires: &Self::Wires) -> Self::Rx {
                (wires.1.try_clone().expect("a descriptor"), vec![0; wires.2])
            }

            fn send(tx: &mut $tx, bytes: &[u8]) {
                tx.write_all(bytes).expect("the other end has gone");
            }

            fn recv((rx, message): &mut Self::Rx, show: impl FnOnce(&[u8])) {
                rx.read_exact(message).expect("the other end has gone");
                show(message);
            }
        }
    };
}

fn pipe() -> std::io::Result<(PipeWriter, PipeReader)> {
    std::io::pipe().map(|(reader, writer)| (writer, reader))
}

stream!(Pipe, "pipe", PipeWriter, PipeReader, pipe);
stream!(UnixStream, "unix stream", net::UnixStream, net::UnixStream, net::UnixStream::pair);
