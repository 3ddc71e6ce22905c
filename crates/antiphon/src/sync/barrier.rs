//! A barrier between threads.

use std::fmt;
use std::time::{Duration, Instant};

use antiphon_core::sync::RawBarrier;
use antiphon_core::sync::barrier::{Arrival, BarrierError as RawError, Token};
use antiphon_core::wait::Deadline;
use antiphon_sys::clock;
use antiphon_sys::threads::Threads;

use crate::error::{BarrierError, Timeout};

/// A place where a number of threads wait for each other, again and again.
///
/// Breaks, for all who wait and all who come before a [`reset`](Self::reset), when a thread gives up waiting, calls
/// [`abort`](Self::abort), or panics in the action. A thread that never comes is waited for. What the threads did
/// before they arrived happens before the action, and that before the return of all.
///
/// ```
/// use antiphon::sync::Barrier;
///
/// let barrier = Barrier::new(3);
/// std::thread::scope(|s| {
///     let threads: Vec<_> = (0..3).map(|_| s.spawn(|| barrier.wait().unwrap())).collect();
///     let results = threads.into_iter().map(|thread| thread.join().unwrap());
///     assert_eq!(results.filter(|result| result.is_leader()).count(), 1);
/// });
/// ```
pub struct Barrier {
    raw: RawBarrier,
    parties: u32,
}

/// How the calling thread passed a [`Barrier`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BarrierWaitResult {
    index: u32,
    leader: bool,
}

impl BarrierWaitResult {
    pub(crate) fn new(index: u32, parties: u32) -> Self {
        Self { index, leader: index + 1 == parties }
    }

    /// How many had arrived before: 0 to parties - 1, each once a phase.
    ///
    /// ```
    /// assert_eq!(antiphon::sync::Barrier::new(1).wait()?.index(), 0);
    /// # Ok::<(), antiphon::error::BarrierError>(())
    /// ```
    #[must_use]
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Whether it was the last to arrive, which ran the action.
    ///
    /// ```
    /// assert!(antiphon::sync::Barrier::new(1).wait()?.is_leader());
    /// # Ok::<(), antiphon::error::BarrierError>(())
    /// ```
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.leader
    }
}

impl Barrier {
    /// The most parties.
    pub const MAX_PARTIES: u32 = RawBarrier::MAX;

    /// A barrier for so many threads.
    ///
    /// # Panics
    /// When they are none, or more than [`MAX_PARTIES`](Self::MAX_PARTIES).
    ///
    /// ```
    /// assert_eq!(antiphon::sync::Barrier::new(4).parties(), 4);
    /// ```
    #[must_use]
    pub const fn new(parties: u32) -> Self {
        assert!(
            1 <= parties && parties <= Self::MAX_PARTIES,
            "a barrier is for 1 to 65535 parties"
        );
        Self { raw: RawBarrier::new(), parties }
    }

    /// Arrives and waits for the others.
    ///
    /// # Errors
    /// [`BarrierError::Broken`].
    ///
    /// ```
    /// let barrier = antiphon::sync::Barrier::new(2);
    /// std::thread::scope(|s| {
    ///     let other = s.spawn(|| barrier.wait().unwrap().index());
    ///     let mine = barrier.wait().unwrap().index();
    ///     assert_eq!(mine + other.join().unwrap(), 1); // 0 and 1
    /// });
    /// ```
    #[inline]
    pub fn wait(&self) -> Result<BarrierWaitResult, BarrierError> {
        self.arrive(|| None, || {})
    }

    /// The same; the last to arrive runs `action` before any goes on. If it panics, the barrier is broken.
    ///
    /// # Errors
    /// [`BarrierError::Broken`].
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU32, Ordering};
    ///
    /// let (barrier, phases) = (antiphon::sync::Barrier::new(2), AtomicU32::new(0));
    /// let pass = || {
    ///     barrier.wait_with(|| drop(phases.fetch_add(1, Ordering::Relaxed))).unwrap();
    ///     assert_eq!(phases.load(Ordering::Relaxed), 1);
    /// };
    /// std::thread::scope(|s| {
    ///     s.spawn(pass);
    ///     pass();
    /// });
    /// ```
    #[inline]
    pub fn wait_with(&self, action: impl FnOnce()) -> Result<BarrierWaitResult, BarrierError> {
        self.arrive(|| None, action)
    }

    /// Waits no longer than `timeout`; giving up breaks the barrier.
    ///
    /// # Errors
    /// [`BarrierError`].
    ///
    /// ```
    /// use antiphon::error::BarrierError;
    /// use std::time::Duration;
    ///
    /// let barrier = antiphon::sync::Barrier::new(2);
    /// let alone = barrier.wait_timeout(Duration::from_millis(1));
    /// assert!(matches!(alone, Err(BarrierError::TimedOut(_))));
    /// assert!(matches!(barrier.wait(), Err(BarrierError::Broken)));
    /// ```
    pub fn wait_timeout(&self, timeout: Duration) -> Result<BarrierWaitResult, BarrierError> {
        self.arrive(|| Some(clock::deadline_after(timeout)), || {})
    }

    /// Waits no longer than until `deadline`; giving up breaks the barrier.
    ///
    /// # Errors
    /// [`BarrierError`].
    ///
    /// ```
    /// let barrier = antiphon::sync::Barrier::new(2);
    /// assert!(barrier.wait_deadline(std::time::Instant::now()).is_err());
    /// ```
    pub fn wait_deadline(&self, deadline: Instant) -> Result<BarrierWaitResult, BarrierError> {
        self.arrive(|| Some(clock::deadline_at(deadline)), || {})
    }

    fn arrive(
        &self,
        deadline: impl FnOnce() -> Option<Deadline>,
        action: impl FnOnce(),
    ) -> Result<BarrierWaitResult, BarrierError> {
        let deadline = deadline();
        let start = deadline.is_some().then(Instant::now);
        match self.raw.arrive(self.parties, &[], &Threads, deadline) {
            Ok(Arrival::Passed(index)) => Ok(BarrierWaitResult::new(index, self.parties)),
            Ok(Arrival::Last(token)) => {
                let index = token.index();
                let mut duty = Duty { barrier: self, token: Some(token) };
                action();
                duty.finish()?;
                Ok(BarrierWaitResult::new(index, self.parties))
            }
            Err(RawError::TimedOut) => {
                let waited = start.map_or(Duration::ZERO, |start| start.elapsed());
                Err(BarrierError::TimedOut(Timeout::new("the others at a barrier", waited)))
            }
            Err(RawError::Broken | RawError::Interrupted) => Err(BarrierError::Broken),
        }
    }

    /// Breaks it, for example because the caller will not come.
    ///
    /// ```
    /// let barrier = antiphon::sync::Barrier::new(2);
    /// std::thread::scope(|s| {
    ///     let other = s.spawn(|| barrier.wait());
    ///     barrier.abort();
    ///     assert!(other.join().unwrap().is_err());
    /// });
    /// ```
    pub fn abort(&self) {
        self.raw.abort(&Threads);
    }

    /// Makes it new: who waits gets [`BarrierError::Broken`], who comes later waits for a full crowd.
    ///
    /// ```
    /// let barrier = antiphon::sync::Barrier::new(1);
    /// barrier.abort();
    /// barrier.reset();
    /// assert!(barrier.wait().is_ok());
    /// ```
    pub fn reset(&self) {
        self.raw.reset(&[], &Threads);
    }

    /// Whether it is broken. Stale as soon as it is returned.
    ///
    /// ```
    /// let barrier = antiphon::sync::Barrier::new(2);
    /// barrier.abort();
    /// assert!(barrier.is_broken());
    /// ```
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.raw.is_broken()
    }

    /// How many parties it is for.
    ///
    /// ```
    /// assert_eq!(antiphon::sync::Barrier::new(2).parties(), 2);
    /// ```
    #[must_use]
    pub const fn parties(&self) -> u32 {
        self.parties
    }

    /// How many have arrived and wait. Stale as soon as it is returned.
    ///
    /// ```
    /// assert_eq!(antiphon::sync::Barrier::new(2).waiting(), 0);
    /// ```
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.raw.waiting()
    }
}

/// What the last to arrive owes the others: dropped unfinished, as when the action unwinds, it breaks the barrier.
struct Duty<'a> {
    barrier: &'a Barrier,
    token: Option<Token>,
}

impl Duty<'_> {
    fn finish(&mut self) -> Result<(), BarrierError> {
        let finished = self.token.take().map(|token| self.barrier.raw.finish(token, &Threads));
        if finished == Some(Ok(())) { Ok(()) } else { Err(BarrierError::Broken) }
    }
}

impl Drop for Duty<'_> {
    fn drop(&mut self) {
        if let Some(token) = self.token.take() {
            self.barrier.raw.fail(token, &Threads);
        }
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier")
            .field("parties", &self.parties)
            .field("waiting", &self.waiting())
            .field("broken", &self.is_broken())
            .finish()
    }
}
