//! A queue of capacity zero: the one who gives and the one who takes meet.
//!
//! Whoever comes first waits in line with an [`Offer`], which holds the item or the place for it. Whoever comes second takes the
//! oldest offer out of the other line, serves it under the lock, and then wakes its owner. An owner that gives up takes its
//! offer out of the line under the same lock; if it is not there any more, it has been served after all.

use std::collections::VecDeque;
use std::sync::Arc;

use antiphon_core::comm::{Patience, RingError};
use antiphon_core::sync::RawEvent;
use antiphon_sys::threads::Threads;

use crate::sync::{Mutex, MutexGuard};

pub(super) struct Meeting<T> {
    lobby: Mutex<Lobby<T>>,
}

struct Lobby<T> {
    givers: VecDeque<Arc<Offer<T>>>,
    takers: VecDeque<Arc<Offer<T>>>,
    /// One side is gone for good.
    ended: bool,
}

/// One who waits.
struct Offer<T> {
    /// What a giver gives, until it is taken; what a taker has got.
    item: Mutex<Option<T>>,
    /// Not in line any more.
    served: RawEvent,
}

impl<T> Offer<T> {
    fn new(item: Option<T>) -> Arc<Self> {
        Arc::new(Self { item: Mutex::new(item), served: RawEvent::new() })
    }
}

/// Nobody panics while it is locked, and nobody locks it twice.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|error| error.into_guard().expect("it is not locked twice"))
}

impl<T> Meeting<T> {
    pub(super) fn new() -> Self {
        let lobby = Lobby { givers: VecDeque::new(), takers: VecDeque::new(), ended: false };
        Self { lobby: Mutex::new(lobby) }
    }

    pub(super) fn push(&self, item: T, patience: Patience) -> Result<(), (RingError, T)> {
        let mut lobby = locked(&self.lobby);
        if lobby.ended {
            return Err((RingError::ShutDown, item));
        }
        if let Some(taker) = lobby.takers.pop_front() {
            *locked(&taker.item) = Some(item);
            drop(lobby);
            taker.served.set(&Threads);
            return Ok(());
        }
        let Patience::Until(deadline) = patience else { return Err((RingError::Full, item)) };
        let offer = Offer::new(Some(item));
        lobby.givers.push_back(offer.clone());
        drop(lobby);
        let error = offer.served.wait(&Threads, deadline).err();
        let in_line = error.is_some() && leave(&mut locked(&self.lobby).givers, &offer);
        match locked(&offer.item).take() {
            None => Ok(()),
            Some(item) if in_line => Err((RingError::TimedOut, item)),
            Some(item) => Err((RingError::ShutDown, item)),
        }
    }

    pub(super) fn pop(&self, patience: Patience) -> Result<T, RingError> {
        let mut lobby = locked(&self.lobby);
        if let Some(giver) = lobby.givers.pop_front() {
            let item = locked(&giver.item).take();
            drop(lobby);
            giver.served.set(&Threads);
            return Ok(item.expect("it is in line until it is served"));
        }
        if lobby.ended {
            return Err(RingError::ShutDown);
        }
        let Patience::Until(deadline) = patience else { return Err(RingError::Empty) };
        let offer = Offer::new(None);
        lobby.takers.push_back(offer.clone());
        drop(lobby);
        let error = offer.served.wait(&Threads, deadline).err();
        let in_line = error.is_some() && leave(&mut locked(&self.lobby).takers, &offer);
        match locked(&offer.item).take() {
            Some(item) => Ok(item),
            None if in_line => Err(RingError::TimedOut),
            None => Err(RingError::ShutDown),
        }
    }

    /// One side is gone: whoever waits is told, with its item if it has one.
    pub(super) fn end(&self) {
        let mut lobby = locked(&self.lobby);
        lobby.ended = true;
        let (givers, takers) =
            (std::mem::take(&mut lobby.givers), std::mem::take(&mut lobby.takers));
        drop(lobby);
        givers.iter().chain(&takers).for_each(|offer| offer.served.set(&Threads));
    }
}

/// Takes an offer out of its line. False: it has been served.
fn leave<T>(line: &mut VecDeque<Arc<Offer<T>>>, offer: &Arc<Offer<T>>) -> bool {
    let before = line.len();
    line.retain(|other| !Arc::ptr_eq(other, offer));
    line.len() < before
}
