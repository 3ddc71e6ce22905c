//! Our pipes between processes, one way each, as the other links are.

use super::space::{open, unique_name};
use crate::comm::link::Link;
use antiphon::Space;
use antiphon::space::{Connection, PipeEnd};

/// An end, with room for what it receives.
pub struct End {
    connection: Connection,
    room: Vec<u8>,
    _space: Space,
}

/// Messages of any length.
pub struct Pipe;

impl Pipe {
    fn end(name: &str, end: PipeEnd) -> End {
        let space = open(name);
        let connection = space.one_way_pipe_end("p", 1 << 16, end).expect("a pipe");
        End { connection, room: Vec::new(), _space: space }
    }
}

impl Link for Pipe {
    const NAME: &'static str = "antiphon pipe";
    type Wires = String;
    type Tx = End;
    type Rx = End;

    fn wires(_: usize) -> String {
        unique_name()
    }

    fn tx(wires: &String) -> End {
        Self::end(wires, PipeEnd::Second)
    }

    fn rx(wires: &String) -> End {
        Self::end(wires, PipeEnd::First)
    }

    #[inline]
    fn send(tx: &mut End, bytes: &[u8]) {
        tx.connection.send(bytes).unwrap();
    }

    #[inline]
    fn recv(rx: &mut End, show: impl FnOnce(&[u8])) {
        rx.connection.recv_into(&mut rx.room).unwrap();
        show(&rx.room);
    }
}
