//! Calls and answers: a slot per call, which names whose turn it is, and a ring of the slots that await a worker.
//!
//! | a slot's phase | owner | meaning |
//! |---|---|---|
//! | `FREE` | nobody | Fresh memory is a free slot. |
//! | `WRITING` | caller | It writes its request. |
//! | `REQUESTED` | caller | The request awaits a worker; an entry in the ring says so. |
//! | `TAKEN` | worker | The request is being answered. `caller` says who waits. |
//! | `ABANDONED` | worker | The same, and nobody waits any more: the worker frees the slot. |
//! | `REPLIED` | caller | The reply is there, for the caller to fetch. |
//! | `DECLINED` | caller | The worker has no reply. |
//!
//! The state has a number that grows whenever the slot changes hands between calls; an entry of the ring has it, too, so an
//! entry of a call that is over means nothing. A worker marks the slot as its own *before* it commits that the entry has left the ring.
//!
//! | `bell`, `vacancy` | meaning |
//! |---|---|
//! | `seq` | Nobody sleeps there. |
//! | `seq + ASLEEP` | The caller (one who wants a slot) may sleep: whoever replies (frees a slot) must advance `seq` and wake. |
//!
//! `README.md` has the argument.

use super::ring::{Patience, RawRing, RingError, Shutdown};
use super::slots::{Shape as RingShape, Slots};
use super::words;
use crate::owner::Owner;
use crate::pad::Padded;
use crate::primitive::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use crate::primitive::{AtomicU32, AtomicU64, constructor};
use crate::wait::{ALL, Deadline, Wait, Wake};
use core::ptr::NonNull;

const FREE: u64 = 0;
const WRITING: u64 = 1;
const REQUESTED: u64 = 2;
const TAKEN: u64 = 3;
const ABANDONED: u64 = 4;
const REPLIED: u64 = 5;
const DECLINED: u64 = 6;

/// Somebody may sleep on this word.
const ASLEEP: u32 = 1;
const BELL_STEP: u32 = 2;

/// A slot's state: owner in the low half, phase in the four bits above, number in the rest.
#[derive(Clone, Copy, PartialEq, Eq)]
struct State(u64);

impl State {
    fn new(number: u32, phase: u64, owner: u32) -> Self {
        Self(u64::from(number & NUMBERS) << 36 | phase << 32 | u64::from(owner))
    }
    fn phase(self) -> u64 {
        self.0 >> 32 & 15
    }
    fn number(self) -> u32 {
        (self.0 >> 36) as u32
    }
    fn owner(self) -> Option<Owner> {
        Owner::of_word(self.0 as u32)
    }
    /// The same call in another phase.
    fn with(self, phase: u64, owner: u32) -> Self {
        Self::new(self.number(), phase, owner)
    }
    /// Free for the next call.
    fn freed(self) -> Self {
        Self::new(self.number().wrapping_add(1), FREE, 0)
    }
}

/// Numbers of calls have 28 bits.
const NUMBERS: u32 = (1 << 28) - 1;

/// The words of a service, without slots. All-zero memory is a service that nobody has called.
#[derive(Debug, Default)]
#[repr(C)]
pub struct RawService {
    ring: RawRing,
    vacancy: Padded<AtomicU32>,
}

/// The words of one call. All-zero memory is a free slot.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct CallSlot {
    state: AtomicU64,
    caller: AtomicU32,
    bell: AtomicU32,
    request: AtomicU32,
    reply: AtomicU32,
}

#[cfg(not(any(loom, shuttle)))]
const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<RawService>() == 768);
    assert!(offset_of!(RawService, ring) == 0);
    assert!(offset_of!(RawService, vacancy) == 640);
    assert!(size_of::<CallSlot>() == 64);
    assert!(offset_of!(CallSlot, state) == 0);
    assert!(offset_of!(CallSlot, caller) == 8);
    assert!(offset_of!(CallSlot, bell) == 12);
    assert!(offset_of!(CallSlot, request) == 16);
    assert!(offset_of!(CallSlot, reply) == 20);
};

impl RawService {
    constructor! {
        /// A service that nobody has called.
        pub fn new() -> Self {
            Self { ring: RawRing::new(), vacancy: Padded(AtomicU32::new(0)) }
        }
    }

    /// How many requests await a worker, some of which may have been withdrawn.
    pub fn waiting(&self) -> u32 {
        self.ring.len()
    }

    /// Whether it takes no more calls.
    pub fn is_shut_down(&self) -> bool {
        self.ring.is_shut_down()
    }
}

impl CallSlot {
    constructor! {
        /// A free slot.
        pub fn new() -> Self {
            Self {
                state: AtomicU64::new(0),
                caller: AtomicU32::new(0),
                bell: AtomicU32::new(0),
                request: AtomicU32::new(0),
                reply: AtomicU32::new(0),
            }
        }
    }

    /// Who has it, and whether as a worker. For those who look.
    pub fn look(&self) -> Option<(Owner, bool)> {
        let s = State(self.state.load(Relaxed));
        let busy = s.phase() == TAKEN || s.phase() == ABANDONED;
        s.owner().map(|owner| (owner, busy))
    }
}

/// The dimensions of a service. A private copy: what a segment says is never read again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    calls: u32,
    request: u32,
    reply: u32,
    ring: RingShape,
}

impl Shape {
    /// Up to `calls` calls at a time, with requests and replies of up to so many bytes. `None`: no calls, or too large.
    #[must_use]
    pub const fn new(calls: u32, request: u32, reply: u32) -> Option<Self> {
        if calls == 0 || calls > 1 << 16 || request > 1 << 30 || reply > 1 << 30 {
            return None;
        }
        match RingShape::new(2 * calls) {
            Some(ring) => Some(Self { calls, request, reply, ring }),
            None => None,
        }
    }

    /// The most calls at a time.
    #[must_use]
    pub const fn calls(self) -> u32 {
        self.calls
    }

    /// The longest request.
    #[must_use]
    pub const fn request(self) -> u32 {
        self.request
    }

    /// The longest reply.
    #[must_use]
    pub const fn reply(self) -> u32 {
        self.reply
    }

    /// How many entries the ring has room for.
    #[must_use]
    pub const fn entries(self) -> u32 {
        self.ring.cells()
    }

    const fn words_each(self) -> u64 {
        words::words_for(self.request) as u64 + words::words_for(self.reply) as u64
    }

    /// How many words all requests and replies take.
    #[must_use]
    pub const fn words(self) -> u64 {
        self.words_each() * self.calls as u64
    }
}

/// Why a call came to nothing. The slot is free again, or will be when its worker is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CallError {
    /// All slots are taken, or the ring is full, and the caller does not wait.
    Full,
    /// There is no reply yet, and the caller does not wait.
    Pending,
    /// The deadline passed.
    TimedOut,
    /// A signal asks the caller to come back.
    Interrupted,
    /// The request is too long.
    TooLarge,
    /// The service takes no more calls.
    ShutDown,
    /// The worker that had taken the request died.
    WorkerDied(Owner),
    /// The worker had no reply.
    Declined,
    /// The words of the service contradict each other.
    Corrupt,
}

/// A call under way, of the one who made it.
#[derive(Debug)]
pub struct Call {
    index: u32,
    number: u32,
}

/// A request, of the worker that has taken it.
#[derive(Debug)]
pub struct Job {
    index: u32,
    number: u32,
}

/// A service, borrowed: its words, its slots, the entries of its ring, and the words of requests and replies.
#[derive(Clone, Copy, Debug)]
pub struct Service<'a> {
    raw: &'a RawService,
    slots: &'a [CallSlot],
    entries: NonNull<u64>,
    words: &'a [AtomicU64],
    shape: Shape,
}

impl<'a> Service<'a> {
    /// A view of a service. Everybody must give the same parts.
    ///
    /// # Safety
    /// - `entries` points to [`Shape::entries`] numbers, readable and writable, for `'a`, that only views of this service touch.
    ///
    /// # Panics
    /// If there are not as many slots and words as the shape says.
    #[inline]
    #[must_use]
    pub unsafe fn new(
        raw: &'a RawService,
        slots: &'a [CallSlot],
        entries: NonNull<u64>,
        words: &'a [AtomicU64],
        shape: Shape,
    ) -> Self {
        let fits = slots.len() == shape.calls as usize && words.len() as u64 >= shape.words();
        assert!(fits, "a service's parts are as its shape says");
        Self { raw, slots, entries, words, shape }
    }

    #[inline]
    fn ring(&self) -> Slots<'a, u64> {
        // SAFETY: as many as the shape says, by the contract of `new`; a number may be any bytes.
        unsafe { Slots::new(&self.raw.ring, self.entries, self.shape.ring) }
    }

    /// The words of a slot's request and of its reply.
    #[inline]
    fn areas(&self, index: u32) -> (&'a [AtomicU64], &'a [AtomicU64]) {
        let each = self.shape.words_each() as usize;
        let first = index as usize * each;
        self.words[first..first + each].split_at(words::words_for(self.shape.request) as usize)
    }

    /// Makes a call: takes a slot, writes the request, and puts it before the workers. `hint` is where the search for a slot
    /// begins, and where one was found.
    ///
    /// # Errors
    /// [`CallError`]: `Full`, `TimedOut`, `Interrupted`, `TooLarge`, `ShutDown`, `Corrupt`.
    pub fn call<W: Wait>(
        &self,
        w: &W,
        patience: Patience,
        request: &[u8],
        hint: &mut u32,
    ) -> Result<Call, CallError> {
        if request.len() > self.shape.request as usize {
            return Err(CallError::TooLarge);
        }
        let (index, s) = self.claim(w, patience, *hint)?;
        *hint = index;
        let slot = &self.slots[index as usize];
        slot.caller.store(w.me().get(), Relaxed);
        slot.request.store(request.len() as u32, Relaxed);
        words::store(self.areas(index).0, request);
        // Release publishes the request to the worker.
        slot.state.swap(s.with(REQUESTED, w.me().get()).0, Release);
        let call = Call { index, number: s.number() };
        if let Err(error) = self.enqueue(w, patience, &call) {
            self.cancel(w, &call);
            return Err(error);
        }
        Ok(call)
    }

    fn enqueue<W: Wait>(&self, w: &W, patience: Patience, call: &Call) -> Result<(), CallError> {
        let entry = u64::from(call.number) << 32 | u64::from(call.index);
        // SAFETY: the cell is ours until the commit.
        let pushed = self.ring().push(w, patience, |cell| unsafe { cell.write(entry) });
        pushed.map_err(|error| match error {
            RingError::Full => CallError::Full,
            RingError::TimedOut => CallError::TimedOut,
            RingError::Interrupted => CallError::Interrupted,
            RingError::ShutDown => CallError::ShutDown,
            _ => CallError::Corrupt,
        })
    }

    /// Takes a free slot, or one of a call whose parties are gone. It is `WRITING`, and the caller's.
    fn claim<W: Wait>(
        &self,
        w: &W,
        patience: Patience,
        hint: u32,
    ) -> Result<(u32, State), CallError> {
        let mut turn = 0;
        loop {
            // Before the verdicts on the owners, or a death in between would go unseen.
            let epoch = w.epoch();
            if let Some(found) = self.try_claim(w, hint) {
                return Ok(found);
            }
            if self.raw.is_shut_down() {
                return Err(CallError::ShutDown);
            }
            let Patience::Until(deadline) = patience else { return Err(CallError::Full) };
            if w.linger(turn) {
                turn += 1;
                continue;
            }
            // SeqCst pairs with `release`: it sees the announcement, or we see the free slot.
            let ticket = self.raw.vacancy.fetch_or(ASLEEP, SeqCst) | ASLEEP;
            if let Some(found) = self.try_claim(w, hint) {
                return Ok(found);
            }
            sleep(&self.raw.vacancy, ticket, epoch, w, deadline)?;
        }
    }

    fn try_claim<W: Wait>(&self, w: &W, hint: u32) -> Option<(u32, State)> {
        let calls = self.shape.calls;
        let all = (0..calls).map(|i| (hint % calls + i) % calls);
        // The dead are asked about only if nothing is free.
        for ask in [false, true] {
            for index in all.clone() {
                let slot = &self.slots[index as usize];
                // SeqCst as in `claim`; Acquire (in it) pairs with the Release of who freed it.
                let s = State(slot.state.load(SeqCst));
                let claimed = if s.phase() == FREE {
                    s.with(WRITING, w.me().get())
                } else if ask && self.is_left(slot, s, w) {
                    s.freed().with(WRITING, w.me().get())
                } else {
                    continue;
                };
                if slot.state.compare_exchange(s.0, claimed.0, Acquire, Relaxed).is_ok() {
                    return Some((index, claimed));
                }
            }
        }
        None
    }

    /// Whether all who have to do with the call are gone.
    fn is_left<W: Wait>(&self, slot: &CallSlot, s: State, w: &W) -> bool {
        let owner_gone = s.owner().is_none_or(|owner| w.is_gone(owner));
        // The caller of a request that is being answered decides what becomes of it, while it lives.
        let caller = Owner::of_word(slot.caller.load(Relaxed));
        owner_gone && (s.phase() != TAKEN || caller.is_none_or(|caller| w.is_gone(caller)))
    }

    /// Frees a slot that is in state `s`. False: it is in another.
    fn release<W: Wait>(&self, index: u32, s: State, w: &W) -> bool {
        let slot = &self.slots[index as usize];
        // Release (in SeqCst): done with the words. SeqCst pairs with `claim`.
        let freed = slot.state.compare_exchange(s.0, s.freed().0, SeqCst, Relaxed).is_ok();
        if freed && self.raw.vacancy.load(SeqCst) & ASLEEP != 0 {
            ring_bell(&self.raw.vacancy, w);
        }
        freed
    }

    /// Waits for the reply: calls `read` with its words and length, and ends the call. After `TimedOut`, `Interrupted` and `Pending` the
    /// call goes on. A request whose worker died is put before the workers again if `again`, else the call has failed.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn fetch<W: Wait>(
        &self,
        call: &Call,
        w: &W,
        patience: Patience,
        again: bool,
        reply: &mut impl FnMut(Reply<'_>),
    ) -> Result<(), CallError> {
        let slot = &self.slots[call.index as usize];
        let mut turn = 0;
        loop {
            // Before the verdict on the worker, or a death in between would go unseen.
            let epoch = w.epoch();
            // Acquire pairs with the Release in `finish`.
            let s = State(slot.state.load(Acquire));
            if s.number() != call.number {
                return Err(CallError::Corrupt);
            }
            match (s.phase(), s.owner()) {
                (REPLIED, _) => {
                    let len = slot.reply.load(Relaxed).min(self.shape.reply) as usize;
                    reply(Reply { words: self.areas(call.index).1, len });
                    self.release(call.index, s, w);
                    return Ok(());
                }
                (DECLINED, _) => {
                    self.release(call.index, s, w);
                    return Err(CallError::Declined);
                }
                (TAKEN, Some(worker)) if w.is_gone(worker) => {
                    self.redeliver(call, s, worker, again, w, patience)?;
                    continue;
                }
                (REQUESTED, _) if self.raw.is_shut_down() => {
                    if self.release(call.index, s, w) {
                        return Err(CallError::ShutDown);
                    }
                    continue;
                }
                (REQUESTED | TAKEN, _) => {}
                _ => return Err(CallError::Corrupt),
            }
            let Patience::Until(deadline) = patience else { return Err(CallError::Pending) };
            if w.linger(turn) {
                turn += 1;
                continue;
            }
            // SeqCst pairs with `finish`: it sees the announcement, or we see its reply. Acquire (in it) pairs with `ring_bell`.
            let ticket = slot.bell.fetch_or(ASLEEP, SeqCst) | ASLEEP;
            if slot.state.load(SeqCst) != s.0 || self.raw.is_shut_down() && s.phase() == REQUESTED {
                continue;
            }
            sleep(&slot.bell, ticket, epoch, w, deadline)?;
            turn = 0;
        }
    }

    /// The worker of a call in state `s` has died.
    #[cold]
    fn redeliver<W: Wait>(
        &self,
        call: &Call,
        s: State,
        worker: Owner,
        again: bool,
        w: &W,
        patience: Patience,
    ) -> Result<(), CallError> {
        let slot = &self.slots[call.index as usize];
        if !again {
            // Failure: it had replied before it died.
            let over = self.release(call.index, s, w);
            return if over { Err(CallError::WorkerDied(worker)) } else { Ok(()) };
        }
        let next = s.with(REQUESTED, w.me().get());
        // Acquire and Release hand the request on; the caller's own words need neither.
        if slot.state.compare_exchange(s.0, next.0, AcqRel, Relaxed).is_ok()
            && let Err(error) = self.enqueue(w, patience, call)
        {
            self.cancel(w, call);
            return Err(error);
        }
        Ok(())
    }

    /// Ends a call without its reply. A worker that has taken it may go on, and nobody will fetch what it replies.
    pub fn cancel<W: Wait>(&self, w: &W, call: &Call) {
        let slot = &self.slots[call.index as usize];
        loop {
            let s = State(slot.state.load(Acquire));
            if s.number() != call.number {
                return;
            }
            let done = match (s.phase(), s.owner()) {
                (TAKEN, Some(worker)) if !w.is_gone(worker) => {
                    let left = s.with(ABANDONED, worker.get());
                    slot.state.compare_exchange(s.0, left.0, AcqRel, Relaxed).is_ok()
                }
                (REQUESTED | TAKEN | REPLIED | DECLINED, _) => self.release(call.index, s, w),
                _ => true,
            };
            if done {
                return;
            }
        }
    }

    /// Takes the oldest request, for the caller to answer.
    ///
    /// # Errors
    /// [`RingError`]: `Empty`, `TimedOut`, `Interrupted`, `ShutDown`, `Corrupt`.
    pub fn take<W: Wait>(&self, w: &W, patience: Patience) -> Result<Job, RingError> {
        loop {
            // Marked before the commit: a worker that dies in between leaves the mark, by which the caller notices.
            let job = self.ring().pop(w, patience, |cell| {
                // SAFETY: a committed cell holds an entry, which is a number whatever its bytes.
                self.mark(unsafe { cell.read() }, w)
            })?;
            if let Some(job) = job {
                return Ok(job);
            }
            // The entry of a call that is over, or was taken by another.
        }
    }

    fn mark<W: Wait>(&self, entry: u64, w: &W) -> Option<Job> {
        let (number, index) = ((entry >> 32) as u32 & NUMBERS, entry as u32);
        let slot = self.slots.get(index as usize)?;
        let s = State(slot.state.load(Relaxed));
        if s.number() != number || s.phase() != REQUESTED {
            return None;
        }
        let taken = s.with(TAKEN, w.me().get());
        // Acquire pairs with the Release in `call`.
        slot.state.compare_exchange(s.0, taken.0, Acquire, Relaxed).ok()?;
        Some(Job { index, number })
    }

    /// The request of a job.
    #[must_use]
    pub fn request(&self, job: &Job) -> Reply<'a> {
        let slot = &self.slots[job.index as usize];
        let len = slot.request.load(Relaxed).min(self.shape.request) as usize;
        Reply { words: self.areas(job.index).0, len }
    }

    /// Whether nobody waits for the reply any more.
    #[must_use]
    pub fn is_abandoned<W: Wait>(&self, job: &Job, w: &W) -> bool {
        let slot = &self.slots[job.index as usize];
        let caller = Owner::of_word(slot.caller.load(Relaxed));
        State(slot.state.load(Relaxed)) != self.taken(job, w)
            || caller.is_none_or(|caller| w.is_gone(caller))
    }

    fn taken<W: Wait>(&self, job: &Job, w: &W) -> State {
        State::new(job.number, TAKEN, w.me().get())
    }

    /// Answers a request. False: nobody waits any more.
    ///
    /// # Errors
    /// [`CallError::TooLarge`]; the job is not done.
    pub fn reply<W: Wait>(&self, job: &Job, w: &W, reply: &[u8]) -> Result<bool, CallError> {
        if reply.len() > self.shape.reply as usize {
            return Err(CallError::TooLarge);
        }
        let slot = &self.slots[job.index as usize];
        slot.reply.store(reply.len() as u32, Relaxed);
        words::store(self.areas(job.index).1, reply);
        Ok(self.finish(job, w, REPLIED))
    }

    /// Ends a job without a reply.
    pub fn decline<W: Wait>(&self, job: &Job, w: &W) {
        self.finish(job, w, DECLINED);
    }

    fn finish<W: Wait>(&self, job: &Job, w: &W, phase: u64) -> bool {
        let slot = &self.slots[job.index as usize];
        let taken = self.taken(job, w);
        let done = taken.with(phase, slot.caller.load(Relaxed));
        // Release (in SeqCst) publishes the reply. SeqCst pairs with `fetch`.
        if slot.state.compare_exchange(taken.0, done.0, SeqCst, Relaxed).is_ok() {
            if slot.bell.load(SeqCst) & ASLEEP != 0 {
                ring_bell(&slot.bell, w);
            }
            return true;
        }
        // Abandoned: then the slot is ours to free.
        self.release(job.index, taken.with(ABANDONED, w.me().get()), w);
        false
    }

    /// Ends the service: calls that no worker has taken fail, and workers get no more. Repeating it is harmless.
    ///
    /// # Errors
    /// [`RingError::Interrupted`], while waiting for a lock: repeat it.
    pub fn shut_down<W: Wait>(&self, w: &W) -> Result<(), RingError> {
        self.raw.ring.shut_down(w, Shutdown::Immediate)?;
        for bell in self.slots.iter().map(|slot| &slot.bell).chain([&*self.raw.vacancy]) {
            // Release: whoever announces itself after this sees the end.
            bell.fetch_add(BELL_STEP, Release);
            w.wake(bell, ALL);
        }
        Ok(())
    }
}

/// The bytes of a request or a reply where they lie.
#[derive(Debug)]
pub struct Reply<'a> {
    words: &'a [AtomicU64],
    len: usize,
}

impl Reply<'_> {
    /// How many bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Copies as much as there is room for.
    pub fn copy_to(&self, to: &mut [u8]) {
        let len = self.len.min(to.len());
        words::load(self.words, &mut to[..len]);
    }
}

fn sleep<W: Wait>(
    bell: &AtomicU32,
    ticket: u32,
    epoch: u32,
    w: &W,
    deadline: Option<Deadline>,
) -> Result<(), CallError> {
    match w.wait(bell, ticket, epoch, deadline) {
        Wake::Woken => Ok(()),
        // All sleepers are woken together, so leaving loses no wake.
        Wake::TimedOut => Err(CallError::TimedOut),
        Wake::Interrupted => Err(CallError::Interrupted),
    }
}

#[cold]
fn ring_bell<W: Wait>(bell: &AtomicU32, w: &W) {
    let mut s = bell.load(Relaxed);
    while s & ASLEEP != 0 {
        match bell.compare_exchange(s, (s & !ASLEEP).wrapping_add(BELL_STEP), Release, Relaxed) {
            Ok(_) => return w.wake(bell, ALL),
            Err(seen) => s = seen,
        }
    }
}
