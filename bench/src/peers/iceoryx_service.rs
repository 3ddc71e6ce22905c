//! iceoryx2's request-response, polling.

use super::iceoryx::{Name, node, retry, unique};
use crate::comm::service::Server;
use iceoryx2::port::client::Client;
use iceoryx2::port::server::Server as Port;
use iceoryx2::prelude::*;
use std::hint::spin_loop;

pub struct RequestResponse;

macro_rules! open {
    ($node:expr, $name:expr) => {{
        let open = || {
            $node
                .service_builder(&$name.as_str().try_into().expect("a name"))
                .request_response::<u64, u64>()
                .open_or_create()
        };
        retry(open).expect("a service")
    }};
}

impl Server for RequestResponse {
    const NAME: &'static str = "iceoryx2, polling";
    type Wires = Name;
    type Caller = (Client<ipc::Service, u64, (), u64, ()>, Node<ipc::Service>);
    type Worker = (Port<ipc::Service, u64, (), u64, ()>, Node<ipc::Service>);

    fn wires() -> Name {
        unique()
    }

    fn caller(wires: &Name) -> Self::Caller {
        let node = node();
        let service = open!(node, wires);
        (service.client_builder().create().expect("a client"), node)
    }

    fn worker(wires: &Name) -> Self::Worker {
        let node = node();
        let service = open!(node, wires);
        (service.server_builder().create().expect("a server"), node)
    }

    #[inline]
    fn call(caller: &mut Self::Caller, n: u64) -> u64 {
        let request = caller.0.loan_uninit().expect("a request").write_payload(n);
        let pending = request.send().expect("a call");
        loop {
            if let Some(response) = pending.receive().expect("the server has gone") {
                return *response;
            }
            spin_loop();
        }
    }

    #[inline]
    fn serve(worker: &mut Self::Worker) {
        loop {
            if let Some(request) = worker.0.receive().expect("the client has gone") {
                let n = *request;
                let response = request.loan_uninit().expect("a response").write_payload(n + 1);
                response.send().expect("an answer");
                return;
            }
            spin_loop();
        }
    }
}
