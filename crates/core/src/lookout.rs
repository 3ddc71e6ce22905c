//! Who keeps a lookout for the dead on behalf of all who sleep: a few seats, and a bench for the others.
//!
//! | a seat | meaning |
//! |---|---|
//! | `0` | Free. |
//! | `owner` | A sleeper of this owner has it, or had it when the owner died: who finds that it is gone takes the seat over. |
//!
//! | `bench` | meaning |
//! |---|---|
//! | `seq` | Nobody sleeps without a seat who has not been sent a wake. Fresh memory is such a bench. |
//! | `seq + OTHERS` | Somebody may: who leaves too few in the seats must advance `seq` and wake one. |
//!
//! What one does in a seat (wake up often, look, go by the rank of the seat) is the scope's business, as are the clocks. Here it is
//! only seen to that while anybody sleeps on the bench, enough seats are taken. `README.md` has the argument.

use crate::owner::Owner;
use crate::primitive::Ordering::{Relaxed, SeqCst};
use crate::primitive::{AtomicU32, constructor};
use crate::wait::Word;

const OTHERS: u32 = 1;
const STEP: u32 = 2;

/// The seats and the bench.
#[derive(Debug)]
#[repr(C)]
pub struct Lookout<const SEATS: usize> {
    seats: [AtomicU32; SEATS],
    bench: AtomicU32,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Lookout<3>>() == 16);

/// Where a sleeper is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Place {
    /// In this seat, which it must [`leave`](Lookout::leave).
    Seat(usize),
    /// On the bench: it sleeps while that holds this value, or [`rises`](Lookout::rise).
    Bench(u32),
}

impl<const SEATS: usize> Lookout<SEATS> {
    constructor! {
        /// Nobody is there.
        pub fn new() -> Self {
            #[cfg(not(loom))]
            let seats = [const { AtomicU32::new(0) }; SEATS];
            #[cfg(loom)]
            let seats = core::array::from_fn(|_| AtomicU32::new(0));
            Self { seats, bench: AtomicU32::new(0) }
        }
    }

    /// So many must be in the seats while anybody is on the bench. One seat may stay empty, for the one who just left it will
    /// often come back to sleep.
    const ENOUGH: usize = if SEATS > 1 { SEATS - 1 } else { 1 };

    /// Takes a seat that is free, or whose owner is gone, or else a place on the bench. An `heir` comes from the bench and may
    /// have been woken on behalf of all there.
    pub fn sit(&self, me: Owner, heir: bool, is_gone: impl Fn(Owner) -> bool) -> Place {
        if let Some(seat) = self.take(me, &is_gone) {
            if heir {
                // Whoever woke us cleared the bit for all.
                self.bench.fetch_or(OTHERS, Relaxed);
            }
            return Place::Seat(seat);
        }
        // SeqCst pairs with `leave`: either it sees OTHERS, or we see its seat free.
        let bench = self.bench.fetch_or(OTHERS, SeqCst) | OTHERS;
        self.take(me, &is_gone).map_or(Place::Bench(bench), Place::Seat)
    }

    fn take(&self, me: Owner, is_gone: &impl Fn(Owner) -> bool) -> Option<usize> {
        (0..SEATS).find(|seat| {
            let seat = &self.seats[*seat];
            // SeqCst: see `sit`.
            let s = seat.load(SeqCst);
            let is_taken = Owner::of_word(s).is_some_and(|owner| owner != me && !is_gone(owner));
            !is_taken && seat.compare_exchange(s, me.get(), Relaxed, Relaxed).is_ok()
        })
    }

    /// Gives a seat up. True: the caller owes a wake of one on the [`bench`](Self::bench).
    #[must_use]
    pub fn leave(&self, seat: usize, me: Owner) -> bool {
        // Not if it was taken over, from one who was thought to be gone. SeqCst: see `sit`.
        let _ = self.seats[seat].compare_exchange(me.get(), 0, SeqCst, Relaxed);
        // SeqCst: of two that leave together at least one sees both seats free.
        if self.seats.iter().filter(|seat| seat.load(SeqCst) != 0).count() >= Self::ENOUGH {
            return false;
        }
        let mut bench = self.bench.load(SeqCst);
        while bench & OTHERS != 0 {
            let next = (bench & !OTHERS).wrapping_add(STEP);
            match self.bench.compare_exchange(bench, next, Relaxed, Relaxed) {
                Ok(_) => return true,
                Err(now) => bench = now,
            }
        }
        false
    }

    /// Leaves a place on the bench, for good. True: the caller may have been woken to take a seat, and owes a wake of one on
    /// the [`bench`](Self::bench).
    #[must_use]
    pub fn rise(&self, expected: u32) -> bool {
        self.bench.load(Relaxed) != expected
    }

    /// The word that those without a seat sleep on.
    pub fn bench(&self) -> &Word {
        &self.bench
    }

    /// Forgets everybody, where nobody is: in a forked child.
    pub fn clear(&self) {
        for seat in &self.seats {
            seat.store(0, Relaxed);
        }
        self.bench.store(0, Relaxed);
    }
}

impl<const SEATS: usize> Default for Lookout<SEATS> {
    fn default() -> Self {
        Self::new()
    }
}
