//! Our semaphores as gates: a permit taken is kept, and whoever gives has none, so nothing returns by itself.

use super::space::{open, unique_name};
use crate::stage::Stage;
use crate::sync::growth;
use antiphon::space;
use antiphon::{Space, sync};

pub struct Gate(sync::Semaphore);

impl growth::Gate for Gate {
    const NAME: &'static str = crate::marks::OURS;

    fn give(&self) {
        self.0.release(1).expect("room for a permit");
    }

    fn take(&self) {
        self.0.acquire().forget();
    }
}

impl growth::ThreadGate for Gate {
    fn new() -> Self {
        Self(sync::Semaphore::new(0))
    }
}

pub struct HostGate {
    semaphore: space::Semaphore,
    _space: Space,
}

impl growth::Gate for HostGate {
    const NAME: &'static str = crate::marks::OURS;

    fn give(&self) {
        self.semaphore.release(1).expect("room for a permit");
    }

    fn take(&self) {
        self.semaphore.acquire().forget();
    }
}

impl growth::HostGate for HostGate {
    fn prepare(_: &Stage) -> String {
        unique_name()
    }

    fn attach(_: &Stage, name: &str) -> Self {
        let space = open(name);
        Self { semaphore: space.semaphore("gate", 0).expect("a semaphore"), _space: space }
    }
}
