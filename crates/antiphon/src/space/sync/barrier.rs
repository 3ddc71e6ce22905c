//! A barrier in a space.

use std::fmt;
use std::panic::Location;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use antiphon_core::owner::Owner;
use antiphon_core::sync::RawBarrier;
use antiphon_core::sync::barrier::{Arrival, BarrierError as RawError, Token};
use antiphon_core::wait::{Deadline, Wait, Wake, Word};
use antiphon_place::{Error, Kind, Spec};
use antiphon_sys::clock;

use crate::error::BarrierError;
use crate::space::Space;
use crate::space::entry::{BEHIND, Entry, Line, Noted, param, spec};
use crate::space::handle::{Openable, handle};
use crate::sync::BarrierWaitResult;

/// A place where a number of parties wait for each other, again and again.
///
/// Breaks, for all who wait and all who come before a [`reset`](Self::reset), when a party gives up waiting or calls
/// [`abort`](Self::abort), and when a process that has come to this barrier before ends without [`leave`](Self::leave).
/// What parties did before they arrive happens before the return of all.
#[derive(Clone)]
pub struct Barrier {
    entry: Entry,
    line: NonNull<Line<RawBarrier>>,
    words: NonNull<[AtomicU32]>,
    parties: u32,
}

// SAFETY: the line and the parties are made of atomics in memory that `entry` keeps.
unsafe impl Send for Barrier {}
// SAFETY: as above.
unsafe impl Sync for Barrier {}

impl Space {
    /// Opens the barrier `name`, creating it for so many parties if need be.
    ///
    /// # Errors
    /// As [`mutex`](Self::mutex); also [`Error::Mismatch`] when it was created for another number of parties, and
    /// [`Error::BadParameter`] for none or too many.
    ///
    /// ```
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let phase = space.barrier("phase", 2)?;
    /// std::thread::scope(|s| {
    ///     let other = s.spawn(|| phase.wait().unwrap());
    ///     let (mine, its) = (phase.wait().unwrap(), other.join().unwrap());
    ///     assert_eq!(mine.index() + its.index(), 1); // 0 and 1
    ///     assert!(mine.is_leader() != its.is_leader());
    /// });
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    #[track_caller]
    pub fn barrier(&self, name: &str, parties: u32) -> Result<Barrier, Error> {
        self.open_object(name, [parties.into(), 0, 0, 0], Location::caller(), |_| {})
    }
}

impl Openable for Barrier {
    fn spec(space: &Space, params: [u64; 4]) -> Result<Spec, Error> {
        let parties = params[0];
        if !(1..=RawBarrier::MAX.into()).contains(&parties) {
            return Err(Error::BadParameter {
                what: "the number of parties",
                rule: format!("1 to {}", RawBarrier::MAX),
                found: parties.to_string(),
            });
        }
        let params = param("number of parties", parties);
        Ok(spec::<()>(Kind::Barrier, params, BEHIND + space.slots() * 8))
    }

    fn attach(entry: Entry) -> Self {
        // SAFETY: the spec has put a line there.
        let line = unsafe { entry.at(0) };
        let words = entry.words();
        // The same memory seen as half as wide words; it is never used otherwise.
        let words = NonNull::slice_from_raw_parts(words.cast(), words.len());
        let parties = entry.object.params()[0] as u32;
        Self { entry, line, words, parties }
    }

    fn entry(&self) -> &Entry {
        &self.entry
    }
}

handle!(Barrier);

impl Barrier {
    fn raw(&self) -> &RawBarrier {
        // SAFETY: it points into the object that `entry` keeps.
        unsafe { &self.line.as_ref().raw }
    }

    fn words(&self) -> &[AtomicU32] {
        // SAFETY: inside the object that `entry` keeps; atomics may be any bytes.
        unsafe { self.words.as_ref() }
    }

    /// Arrives and waits for the others. What is returned says how many had arrived before, and who was the last.
    ///
    /// # Errors
    /// [`BarrierError::Broken`].
    #[track_caller]
    pub fn wait(&self) -> Result<BarrierWaitResult, BarrierError> {
        self.arrive(Location::caller(), || None, || {})
    }

    /// The same; the last to arrive runs `action` before the others go on. If it panics, the barrier is broken.
    ///
    /// # Errors
    /// [`BarrierError::Broken`].
    #[track_caller]
    pub fn wait_with(&self, action: impl FnOnce()) -> Result<BarrierWaitResult, BarrierError> {
        self.arrive(Location::caller(), || None, action)
    }

    /// Waits no longer than `timeout`; giving up breaks the barrier.
    ///
    /// # Errors
    /// [`BarrierError`].
    #[track_caller]
    pub fn wait_timeout(&self, timeout: Duration) -> Result<BarrierWaitResult, BarrierError> {
        self.arrive(Location::caller(), || Some(clock::deadline_after(timeout)), || {})
    }

    /// Waits no longer than until `deadline`; giving up breaks the barrier.
    ///
    /// # Errors
    /// [`BarrierError`].
    #[track_caller]
    pub fn wait_deadline(&self, deadline: Instant) -> Result<BarrierWaitResult, BarrierError> {
        self.arrive(Location::caller(), || Some(clock::deadline_at(deadline)), || {})
    }

    fn arrive(
        &self,
        caller: &'static Location<'static>,
        deadline: impl FnOnce() -> Option<Deadline>,
        action: impl FnOnce(),
    ) -> Result<BarrierWaitResult, BarrierError> {
        let deadline = deadline();
        let noted = Together(self.entry.noted(caller, deadline, None));
        match self.raw().arrive(self.parties, self.words(), &noted, deadline) {
            Ok(Arrival::Passed(index)) => Ok(BarrierWaitResult::new(index, self.parties)),
            Ok(Arrival::Last(token)) => {
                let index = token.index();
                let mut duty = Duty { barrier: self, token: Some(token) };
                action();
                if let Some(token) = duty.token.take() {
                    self.raw().finish(token, &noted).map_err(|_| BarrierError::Broken)?;
                }
                Ok(BarrierWaitResult::new(index, self.parties))
            }
            Err(RawError::TimedOut) => {
                Err(BarrierError::TimedOut(self.entry.timeout(&noted.0, None)))
            }
            Err(RawError::Broken | RawError::Interrupted) => Err(BarrierError::Broken),
        }
    }

    /// Breaks it, for example because the caller will not come.
    pub fn abort(&self) {
        self.raw().abort(&self.entry.wait());
    }

    /// Makes it new: who waits gets [`BarrierError::Broken`], who comes later waits for a full crowd.
    pub fn reset(&self) {
        self.raw().reset(self.words(), &self.entry.wait());
    }

    /// Says that this process will not come any more, so that its end breaks nothing.
    pub fn leave(&self) {
        self.raw().leave(self.words(), &self.entry.wait());
    }

    /// Whether it is broken.
    pub fn is_broken(&self) -> bool {
        self.raw().is_broken()
    }

    /// How many parties it is for.
    pub fn parties(&self) -> u32 {
        self.parties
    }

    /// How many wait now. Stale as soon as it is returned.
    pub fn waiting(&self) -> u32 {
        self.raw().waiting()
    }

    /// The name it was opened by.
    pub fn name(&self) -> &str {
        self.entry.object.name()
    }
}

/// A wait whose looks at all parties are one look at all participants, which those who wait share: otherwise each party would
/// ask the kernel about each.
struct Together<'a>(Noted<'a>);

/// How long a look is good for all, in nanoseconds. Who dies in the meantime is noticed by the next, or by the sleepers.
const SHARED: u64 = 1_000_000;

impl Wait for Together<'_> {
    const OWNER_IS_THREAD: bool = false;

    fn me(&self) -> Owner {
        self.0.me()
    }

    fn is_gone(&self, owner: Owner) -> bool {
        let registration = self.0.registration();
        registration.look(clock::now(), SHARED);
        registration.is_known_gone(owner)
    }

    fn epoch(&self) -> u32 {
        self.0.epoch()
    }

    fn wait(&self, word: &Word, expected: u32, epoch: u32, deadline: Option<Deadline>) -> Wake {
        self.0.wait(word, expected, epoch, deadline)
    }

    fn wake(&self, word: *const Word, count: u32) {
        self.0.wake(word, count);
    }

    fn spin(&self, turn: u32) -> bool {
        self.0.spin(turn)
    }

    fn linger(&self, turn: u32) -> bool {
        self.0.linger(turn)
    }

    fn gather(&self, parties: u32, turn: u32) -> bool {
        self.0.gather(parties, turn)
    }
}

/// The last one's duty, which fails when the action unwinds.
struct Duty<'a> {
    barrier: &'a Barrier,
    token: Option<Token>,
}

impl Drop for Duty<'_> {
    fn drop(&mut self) {
        if let Some(token) = self.token.take() {
            self.barrier.raw().fail(token, &self.barrier.entry.wait());
        }
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier")
            .field("name", &self.name())
            .field("parties", &self.parties)
            .field("waiting", &self.waiting())
            .field("broken", &self.is_broken())
            .finish()
    }
}
