//! Models of the service.

use std::ptr::NonNull;
use std::sync::Arc;

use antiphon_core::comm::service::{Call, CallError, CallSlot, RawService, Reply, Service, Shape};
use antiphon_core::comm::{Patience, RingError};
use antiphon_core::model::Kernel;
use antiphon_core::primitive::AtomicU64;
use antiphon_core::wait::{Deadline, Wait};
use loom::thread;

use crate::harness::{check_deaths_to, check_to};

const FOREVER: Patience = Patience::Until(None);

struct Desk {
    raw: RawService,
    slots: Vec<CallSlot>,
    entries: Box<[std::cell::UnsafeCell<u64>]>,
    words: Vec<AtomicU64>,
    shape: Shape,
}

// SAFETY: the entries are touched by the ring only, whose models watch such cells.
unsafe impl Sync for Desk {}
// SAFETY: as above.
unsafe impl Send for Desk {}

impl Desk {
    fn new(calls: u32) -> Arc<Self> {
        let shape = Shape::new(calls, 8, 8).unwrap();
        Arc::new(Self {
            raw: RawService::new(),
            slots: (0..calls).map(|_| CallSlot::new()).collect(),
            entries: (0..shape.entries()).map(|_| 0.into()).collect(),
            words: (0..shape.words()).map(|_| AtomicU64::new(0)).collect(),
            shape,
        })
    }

    fn view(&self) -> Service<'_> {
        let entries = NonNull::from(&*self.entries).cast();
        // SAFETY: as many as the shape says.
        unsafe { Service::new(&self.raw, &self.slots, entries, &self.words, self.shape) }
    }

    fn call<W: Wait>(&self, w: &W, number: u64) -> Result<Call, CallError> {
        self.view().call(w, FOREVER, &number.to_ne_bytes(), &mut 0)
    }

    fn fetch<W: Wait>(&self, call: &Call, w: &W, again: bool) -> Result<u64, CallError> {
        let mut number = 0;
        let mut read = |reply: Reply<'_>| number = number_of(&reply);
        self.view().fetch(call, w, FOREVER, again, &mut read).map(|()| number)
    }

    /// Answers one call with one more than was asked. Whether somebody waited for it.
    fn serve<W: Wait>(&self, w: &W) -> Result<bool, RingError> {
        let job = self.view().take(w, FOREVER)?;
        let number = number_of(&self.view().request(&job)) + 1;
        Ok(self.view().reply(&job, w, &number.to_ne_bytes()).unwrap())
    }

    /// A worker until the service is shut down.
    fn worker(self: &Arc<Self>, kernel: &Kernel, index: u32) -> thread::JoinHandle<()> {
        let (desk, w) = (self.clone(), kernel.participant(index));
        thread::spawn(move || while desk.serve(&w).is_ok() {})
    }

    /// Everything is over: all slots are free.
    fn is_idle(&self) -> bool {
        self.slots.iter().all(|slot| slot.look().is_none())
    }
}

fn number_of(bytes: &Reply<'_>) -> u64 {
    let mut number = [0; 8];
    bytes.copy_to(&mut number);
    u64::from_ne_bytes(number)
}

#[test]
fn a_call_is_answered() {
    check_to(2, "service, a call", 300, || {
        let kernel = Kernel::new();
        let desk = Desk::new(1);
        let worker = {
            let (desk, w) = (desk.clone(), kernel.participant(1));
            thread::spawn(move || desk.serve(&w))
        };
        let w = kernel.participant(0);
        let call = desk.call(&w, 7).unwrap();
        assert_eq!(desk.fetch(&call, &w, false), Ok(8));
        assert_eq!(worker.join().unwrap(), Ok(true));
        assert!(desk.is_idle());
    });
}

/// The second caller needs the first one's slot.
#[test]
fn replies_go_to_their_callers() {
    check_to(1, "service, two callers and a slot", 300, || {
        let kernel = Kernel::new();
        let desk = Desk::new(1);
        let callers = [10, 20].map(|number| {
            let (desk, w) = (desk.clone(), kernel.participant(number / 10));
            thread::spawn(move || {
                let call = desk.call(&w, number.into()).unwrap();
                assert_eq!(desk.fetch(&call, &w, false), Ok(u64::from(number) + 1));
            })
        });
        let w = kernel.participant(0);
        (0..2).for_each(|_| assert_eq!(desk.serve(&w), Ok(true)));
        callers.into_iter().for_each(|caller| caller.join().unwrap());
        assert!(desk.is_idle());
    });
}

#[test]
fn a_call_that_is_cancelled_leaves_no_trace() {
    check_to(2, "service, cancelled", 300, || {
        let kernel = Kernel::new();
        let desk = Desk::new(1);
        let w = kernel.participant(0);
        let first = desk.call(&w, 7).unwrap();
        let worker = desk.worker(&kernel, 1);
        desk.view().cancel(&w, &first);
        let second = desk.call(&w, 9).unwrap();
        assert_eq!(desk.fetch(&second, &w, false), Ok(10));
        desk.view().shut_down(&w).unwrap();
        worker.join().unwrap();
        assert!(desk.is_idle());
    });
}

#[test]
fn who_does_not_wait_is_told() {
    check_to(1, "service, without waiting", 1, || {
        let kernel = Kernel::new();
        let (desk, w) = (Desk::new(1), kernel.participant(0));
        let view = desk.view();
        assert_eq!(view.take(&w, Patience::Try).err(), Some(RingError::Empty));
        let call = desk.call(&w, 1).unwrap();
        let full = view.call(&w, Patience::Try, &[], &mut 0);
        assert_eq!(full.err(), Some(CallError::Full));
        let soon = Patience::Until(Some(Deadline(0)));
        assert_eq!(view.call(&w, soon, &[], &mut 0).err(), Some(CallError::TimedOut));
        let mut nothing = |_: Reply<'_>| panic!("a reply");
        let pending = view.fetch(&call, &w, Patience::Try, false, &mut nothing);
        assert_eq!(pending, Err(CallError::Pending));
        assert_eq!(view.fetch(&call, &w, soon, false, &mut nothing), Err(CallError::TimedOut));
        let job = view.take(&w, Patience::Try).unwrap();
        assert!(!view.is_abandoned(&job, &w));
        assert_eq!(view.reply(&job, &w, &[0; 9]), Err(CallError::TooLarge));
        view.decline(&job, &w);
        assert_eq!(view.fetch(&call, &w, FOREVER, false, &mut nothing), Err(CallError::Declined));
        assert!(desk.is_idle());

        let call = desk.call(&w, 1).unwrap();
        let job = view.take(&w, Patience::Try).unwrap();
        view.cancel(&w, &call);
        assert!(view.is_abandoned(&job, &w) && !desk.is_idle());
        assert_eq!(view.reply(&job, &w, &[]), Ok(false));
        assert!(desk.is_idle());

        let call = desk.call(&w, 1).unwrap();
        view.shut_down(&w).unwrap();
        assert_eq!(view.fetch(&call, &w, FOREVER, false, &mut nothing), Err(CallError::ShutDown));
        assert_eq!(desk.call(&w, 2).err(), Some(CallError::ShutDown));
        assert_eq!(view.take(&w, FOREVER).err(), Some(RingError::ShutDown));
    });
}

/// A worker dies at some step; the caller is told, or another worker answers.
fn a_worker_dies(again: bool, step: u32) -> bool {
    let kernel = Kernel::mortal();
    let desk = Desk::new(1);
    let caller = {
        let (desk, w) = (desk.clone(), kernel.participant(0));
        thread::spawn(move || {
            let call = desk.call(&w, 7).unwrap();
            let reply = desk.fetch(&call, &w, again);
            desk.view().shut_down(&w).unwrap();
            reply
        })
    };
    let w = kernel.participant(1);
    let lived = kernel.victim(w.me(), step, || desk.serve(&w));
    let next = kernel.participant(2);
    while desk.serve(&next).is_ok() {}
    match caller.join().unwrap() {
        Ok(number) => assert_eq!(number, 8),
        Err(error) => assert!(error == CallError::WorkerDied(w.me()) && lived.is_none() && !again),
    }
    assert!(desk.is_idle());
    lived.is_none()
}

#[test]
fn the_caller_of_a_dead_worker_is_told() {
    check_deaths_to(1, "service, death of a worker", 300, |step| a_worker_dies(false, step));
}

#[test]
fn the_request_of_a_dead_worker_is_given_to_another() {
    check_deaths_to(1, "service, redelivery", 300, |step| a_worker_dies(true, step));
}

#[test]
fn the_slot_of_a_dead_caller_is_free() {
    check_deaths_to(1, "service, death of a caller", 300, |step| {
        let kernel = Kernel::mortal();
        let desk = Desk::new(1);
        let worker = desk.worker(&kernel, 1);
        let w = kernel.participant(0);
        let lived = kernel.victim(w.me(), step, || {
            let call = desk.call(&w, 3).unwrap();
            desk.fetch(&call, &w, false).unwrap()
        });
        // The next one needs its slot.
        let w = kernel.participant(2);
        let call = desk.call(&w, 7).unwrap();
        assert_eq!(desk.fetch(&call, &w, false), Ok(8));
        desk.view().shut_down(&w).unwrap();
        worker.join().unwrap();
        lived.is_none()
    });
}
