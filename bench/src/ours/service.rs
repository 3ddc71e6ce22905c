//! Our service between processes.

use super::space::{open, unique_name};
use crate::comm::service::Server;
use antiphon::Space;
use antiphon::space::ByteService;

pub struct Service;

impl Service {
    fn end(name: &str) -> (ByteService, Space) {
        let space = open(name);
        (space.byte_service("s", 16, 8).expect("a service"), space)
    }
}

impl Server for Service {
    const NAME: &'static str = crate::marks::OURS;
    type Wires = String;
    type Caller = (ByteService, Space);
    type Worker = (ByteService, Space);

    fn wires() -> String {
        unique_name()
    }

    fn caller(wires: &String) -> Self::Caller {
        Self::end(wires)
    }

    fn worker(wires: &String) -> Self::Worker {
        Self::end(wires)
    }

    #[inline]
    fn call(caller: &mut Self::Caller, n: u64) -> u64 {
        let reply = caller.0.call(&n.to_ne_bytes()).unwrap();
        u64::from_ne_bytes(reply.try_into().expect("eight bytes"))
    }

    #[inline]
    fn serve(worker: &mut Self::Worker) {
        let request = worker.0.take().unwrap();
        let n = u64::from_ne_bytes(request.bytes().try_into().expect("eight bytes"));
        request.reply(&(n + 1).to_ne_bytes()).unwrap();
    }
}
