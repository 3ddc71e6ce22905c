//! Those who do the work: threads or processes that run the same function.

use std::thread::{self, JoinHandle};

use antiphon::process::{self, Child};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::args::Scope;

/// One that runs a function and returns its result.
pub(super) enum Member<R> {
    Thread(JoinHandle<R>),
    Process(Child<R>),
}

impl<R: Serialize + DeserializeOwned + Send + 'static> Member<R> {
    /// Starts `role` with `argument` in a thread or in a process.
    pub(super) fn start<A>(
        scope: Scope,
        label: &str,
        role: fn(A) -> R,
        argument: A,
    ) -> Result<Self, String>
    where
        A: Serialize + DeserializeOwned + Send + 'static,
    {
        match scope {
            Scope::Threads => thread::Builder::new()
                .name(label.to_owned())
                .spawn(move || role(argument))
                .map(Self::Thread)
                .map_err(|error| format!("the thread {label} cannot be started: {error}")),
            Scope::Host => process::Builder::new()
                .label(label)
                .spawn(role, argument)
                .map(Self::Process)
                .map_err(|error| error.to_string()),
        }
    }

    /// Waits for its result.
    pub(super) fn join(self) -> Result<R, String> {
        match self {
            Self::Thread(thread) => {
                let name = thread.thread().name().unwrap_or_default().to_owned();
                thread.join().map_err(|_| format!("the thread {name} panicked"))
            }
            Self::Process(process) => process.join().map_err(|error| error.to_string()),
        }
    }
}
