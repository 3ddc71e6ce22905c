//! Taking turns at looking for the dead, while one sleeps.
//!
//! Of the threads of a process that sleep in a space, one is its delegate; of all delegates, three have a seat and wake up
//! every now and then to look, in the order of their rank. The others sleep on, until a seat is left to them.

use antiphon_core::lookout::{Lookout, Place};
use antiphon_core::owner::Owner;
use antiphon_core::wait::Word;
use antiphon_place::Registration;
use antiphon_sys::futex::{self, Visibility};
use antiphon_sys::thread;

const MILLISECOND: u64 = 1_000_000;

/// How long after the last look the one in this seat looks. When the first one has died the second is at it 15 ms later, and
/// when both have, the third.
const PERIODS: [u64; 3] = [50 * MILLISECOND, 65 * MILLISECOND, 80 * MILLISECOND];

/// How long those sleep who have no seat. They look, too, if nobody has: the last resort when all three in the seats died
/// together, or were stopped.
const BENCHED: u64 = 1000 * MILLISECOND;

/// A sleeper's part in the lookout of its space. What it has is left when it is dropped.
pub(super) struct Turn<'a> {
    space: &'a Registration,
    /// Who it is among the threads of this process, and among the participants.
    names: [Owner; 2],
    in_process: Option<Place>,
    in_space: Option<Place>,
    /// Since when it has what it has.
    since: u64,
}

impl<'a> Turn<'a> {
    pub(super) fn begin(space: &'a Registration, me: Owner, now: u64) -> Self {
        let names = [thread::owner(), me];
        let mut turn = Self { space, names, in_process: None, in_space: None, since: now };
        turn.sit(now);
        turn
    }

    /// Takes a better place, if there is one. To be called again after every sleep that goes on.
    pub(super) fn sit(&mut self, now: u64) {
        let [thread, me] = self.names;
        // A thread that sleeps lives.
        sit(&mut self.in_process, self.space.delegate(), thread, |_| false);
        let was = self.in_space;
        if matches!(self.in_process, Some(Place::Seat(_))) {
            sit(&mut self.in_space, self.space.lookout(), me, |owner| {
                self.space.is_known_gone(owner)
            });
        }
        if was != self.in_space {
            self.since = now;
        }
    }

    /// When to wake up for a look.
    pub(super) fn due(&self, now: u64) -> u64 {
        match self.in_space {
            // Not after a look in the future: then the segment lies.
            Some(Place::Seat(seat)) => {
                self.space.looked().min(now).max(self.since).saturating_add(PERIODS[seat])
            }
            _ => now.saturating_add(BENCHED),
        }
    }

    /// Looks, unless somebody has lately.
    pub(super) fn look(&self, now: u64) {
        let period = match self.in_space {
            Some(Place::Seat(seat)) => PERIODS[seat],
            _ => PERIODS[2],
        };
        self.space.look(now, period - period / 5);
    }

    /// The bench that it sleeps on besides.
    pub(super) fn bench(&self) -> Option<(&'a Word, u32)> {
        match (self.in_process, self.in_space) {
            (Some(Place::Bench(expected)), _) => Some((self.space.delegate().bench(), expected)),
            (_, Some(Place::Bench(expected))) => Some((self.space.lookout().bench(), expected)),
            _ => None,
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let [thread, me] = self.names;
        leave(self.in_space, self.space.lookout(), me);
        leave(self.in_process, self.space.delegate(), thread);
    }
}

fn sit<const SEATS: usize>(
    place: &mut Option<Place>,
    lookout: &Lookout<SEATS>,
    me: Owner,
    is_gone: impl Fn(Owner) -> bool,
) {
    if !matches!(place, Some(Place::Seat(_))) {
        *place = Some(lookout.sit(me, place.is_some(), is_gone));
    }
}

fn leave<const SEATS: usize>(place: Option<Place>, lookout: &Lookout<SEATS>, me: Owner) {
    let owes_a_wake = match place {
        None => false,
        Some(Place::Seat(seat)) => lookout.leave(seat, me),
        Some(Place::Bench(expected)) => lookout.rise(expected),
    };
    if owes_a_wake {
        // Also within a process: those who sleep on several words sleep on all of them as on shared ones.
        futex::wake(lookout.bench(), 1, Visibility::Shared);
    }
}
