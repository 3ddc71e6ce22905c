//! The peers, one group a file, each behind the trait of the scene it plays in.

pub mod channel;
pub mod futex;
pub mod futex_link;
pub mod gate;
pub mod host_mutex;
pub mod host_pairs;
pub mod iceoryx;
pub mod iceoryx_service;
pub mod ipc;
pub mod mutex;
pub mod pair;
pub mod rounds;
pub mod rwlock;
pub mod semaphore;
pub mod stock;
pub mod stream;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// The lightest way to wait for a future on a thread: no runtime to enter, one waker per thread.
pub fn block_on<F: Future>(future: F) -> F::Output {
    thread_local! {
        static WAKER: Waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    }
    let mut future = pin!(future);
    WAKER.with(|waker| {
        let mut context = Context::from_waker(waker);
        loop {
            match future.as_mut().poll(&mut context) {
                Poll::Ready(value) => return value,
                Poll::Pending => std::thread::park(),
            }
        }
    })
}
