//! What every object of a space has in common: memory, identity, and what is noted about it when somebody has to wait.

use std::cell::{Cell, RefCell};
use std::panic::Location;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use antiphon_core::owner::Owner;
use antiphon_core::wait::{Deadline, Wait, Wake, Word};
use antiphon_place::{
    Cause, Counter, Error, Kind, Object, Record, Registration, SiteId, Spec, WaiterInfo, Waiting,
    type_layout, type_name,
};
use antiphon_sys::{clock, thread};

use super::handle::Openable;
use super::inner::{Inner, Space};
use super::plain::Plain;
use super::wait::SpaceWait;
use crate::death::Death;
use crate::error::{Holder, Timeout};

/// An object, opened. The raw primitive is at the start of its body.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) space: Arc<Inner>,
    pub(super) object: Arc<Object>,
}

/// The first line of a body: who holds it, and the words of the primitive.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub(super) struct Line<R> {
    pub(super) record: Record,
    pub(super) raw: R,
}

/// Where what follows the first line begins.
pub(super) const BEHIND: usize = 64;

const _: () = {
    assert!(size_of::<Line<[u64; 4]>>() == BEHIND);
    assert!(std::mem::offset_of!(Line<[u64; 4]>, record) == 0);
    assert!(std::mem::offset_of!(Line<[u64; 4]>, raw) == 32);
};

/// The parameters of an object that has none.
pub(super) const NO_PARAMS: [(&str, u64); 4] = [("parameter", 0); 4];

/// One parameter that openers must agree on.
pub(super) fn param(what: &'static str, value: u64) -> [(&'static str, u64); 4] {
    [(what, value), NO_PARAMS[1], NO_PARAMS[2], NO_PARAMS[3]]
}

/// A spec for an object whose value, if any, is a `T`.
pub(super) fn spec<T: Plain>(
    kind: Kind,
    params: [(&'static str, u64); 4],
    body_len: usize,
) -> Spec {
    Spec { kind, type_name: type_name::<T>(), type_layout: type_layout::<T>(), params, body_len }
}

impl Space {
    /// Opens or creates the object; `init` fills the zeroed body of a new one.
    pub(super) fn open_object<O: Openable>(
        &self,
        name: &str,
        params: [u64; 4],
        caller: &'static Location<'static>,
        init: impl FnOnce(NonNull<u8>),
    ) -> Result<O, Error> {
        let spec = O::spec(self, params)?;
        let registration = &self.inner.registration;
        let site = format!("{}:{}", caller.file(), caller.line());
        let object = self.inner.directory.object(registration, name, &spec, site, init)?;
        Ok(O::attach(Entry { space: self.inner.clone(), object }))
    }

    /// Opens or creates an object of which only the first `reserved` bytes have memory behind them from the beginning.
    pub(super) fn open_growing(
        &self,
        name: &str,
        spec: &Spec,
        reserved: usize,
        caller: &'static Location<'static>,
        init: impl FnOnce(NonNull<u8>),
    ) -> Result<Entry, Error> {
        let Inner { directory, registration, .. } = &*self.inner;
        let site = format!("{}:{}", caller.file(), caller.line());
        let object = directory.growing_object(registration, name, spec, reserved, site, init)?;
        Ok(Entry { space: self.inner.clone(), object })
    }

    /// How many words per participant an array needs.
    pub(super) fn slots(&self) -> usize {
        self.inner.registration.participants() as usize
    }
}

impl Entry {
    #[inline]
    pub(super) fn wait(&self) -> SpaceWait<'_> {
        SpaceWait::new(&self.space.registration)
    }

    /// The body at `offset` as a `T`.
    ///
    /// # Safety
    /// The object's spec must have put a `T` there, which must be valid for any bytes and synchronize itself.
    pub(super) unsafe fn at<T>(&self, offset: usize) -> NonNull<T> {
        assert!(offset + size_of::<T>() <= self.object.body_len());
        assert!(offset.is_multiple_of(align_of::<T>()) && align_of::<T>() <= 128);
        // SAFETY: inside the body, by the assertion above.
        unsafe { self.object.body().add(offset).cast() }
    }

    /// The words per participant behind the first line, valid for as long as the entry is.
    pub(super) fn words(&self) -> NonNull<[AtomicU64]> {
        let len = self.space.registration.participants() as usize;
        assert!(BEHIND + len * size_of::<AtomicU64>() <= self.object.body_len());
        // SAFETY: inside the body by the assertion above.
        let first = unsafe { self.object.body().add(BEHIND) };
        NonNull::slice_from_raw_parts(first.cast(), len)
    }

    #[inline]
    pub(super) fn site(&self, caller: &'static Location<'static>) -> SiteId {
        self.space.registration.site(caller)
    }

    /// Notes that this thread has acquired what `record` stands beside. Returns the fencing token.
    #[inline]
    pub(super) fn begin(&self, record: &Record, site: SiteId) -> u64 {
        record.begin(self.wait().me(), thread::token(), site)
    }

    /// Does this thread hold what `record` stands beside, whose word names `owner`?
    #[inline]
    pub(super) fn is_mine(&self, owner: Option<Owner>, record: &Record) -> bool {
        let me = self.wait().me();
        owner == Some(me) && record.is_held_by(me, thread::token())
    }

    /// What it is, for messages.
    pub(super) fn what(&self) -> String {
        format!("{} \"{}\"", self.object.kind().name(), self.object.name())
    }

    /// A wait that is noted for those who look, should it come to a sleep: who waits, where, since when. With the `record`
    /// of a lock, also since when at least its holder holds it.
    #[inline]
    pub(super) fn noted<'a>(
        &'a self,
        caller: impl Into<Caller>,
        deadline: Option<Deadline>,
        record: Option<&'a Record>,
    ) -> Noted<'a> {
        Noted {
            entry: self,
            caller: caller.into(),
            deadline,
            record,
            called: Cell::new(0),
            began: Cell::new(0),
            line: RefCell::new(None),
        }
    }

    /// Notes for how long the holder with this fencing token, who lets go just now, has held the object, if anybody waited
    /// for it. To be called when the word says that somebody may sleep.
    pub(super) fn note_held(&self, record: &Record, token: u64) {
        if let Some(since) = record.since_of(token) {
            self.object.header().statistics.held(clock::now().saturating_sub(since));
        }
    }

    /// The error of a wait that reached its deadline.
    pub(super) fn timeout(&self, noted: &Noted<'_>, holder: Option<(Owner, &Record)>) -> Timeout {
        self.object.header().statistics.count(Counter::Timeouts);
        let holder = holder.map(|(owner, record)| self.holder(owner, record));
        Timeout::new(self.what(), noted.waited()).held_by(holder)
    }

    fn holder(&self, owner: Owner, record: &Record) -> Holder {
        let (who, pid) = self.name(owner);
        Holder {
            who,
            pid,
            thread: record.thread(),
            site: self.space.registration.resolve(record.site()),
            held: record.since().map(since),
        }
    }

    /// What an owner calls itself, and its process id.
    fn name(&self, owner: Owner) -> (String, u32) {
        let info = self.space.registration.info(owner);
        info.map_or_else(Default::default, |info| {
            let pid = info.pid;
            (info.called(), pid)
        })
    }

    /// Notes that `gone` ended while it held the object, and says what is known. To be called before the record is
    /// overwritten by the next holder.
    pub(super) fn bury(
        &self,
        gone: Owner,
        record: Option<&Record>,
        cause: Option<Cause>,
    ) -> Box<Death> {
        let registration = &self.space.registration;
        let left = registration.has_left(gone);
        let cause = cause.unwrap_or(if left { Cause::LeftHolding } else { Cause::Died });
        let death = antiphon_place::Death {
            owner: Some(gone),
            thread: record.map_or(0, Record::thread),
            site: record.map_or(SiteId(0), Record::site),
            since: record.and_then(Record::since),
            cause,
            noticed: clock::now(),
        };
        self.object.header().statistics.record_death(&death);
        self.describe(&death)
    }

    /// The death that has left a value inconsistent under a word that names nobody. If whoever found it died before noting it,
    /// it is noted now: `record` still names the dead holder, who has not ended.
    pub(super) fn left_by(&self, record: &Record) -> Option<Box<Death>> {
        let registration = &self.space.registration;
        let noted = self.object.header().statistics.last_death().and_then(|death| death.owner);
        match record.owner() {
            Some(owner) if noted != Some(owner) && registration.is_gone(owner) => {
                Some(self.bury(owner, Some(record), None))
            }
            _ => self.last_death(),
        }
    }

    /// The last death that this object has seen.
    pub(super) fn last_death(&self) -> Option<Box<Death>> {
        self.object.header().statistics.last_death().map(|death| self.describe(&death))
    }

    fn describe(&self, death: &antiphon_place::Death) -> Box<Death> {
        let (who, pid) = death.owner.map_or_else(Default::default, |owner| self.name(owner));
        Box::new(Death {
            cause: death.cause,
            who,
            pid,
            thread: death.thread,
            site: self.space.registration.resolve(death.site),
            held: death.since.map(|at| Duration::from_nanos(death.noticed.saturating_sub(at))),
        })
    }
}

/// Where a wait was called from: looked up when it comes to a sleep, or before if its number was needed anyhow.
#[derive(Clone, Copy)]
pub(super) enum Caller {
    At(&'static Location<'static>),
    Known(SiteId),
}

impl From<&'static Location<'static>> for Caller {
    fn from(location: &'static Location<'static>) -> Self {
        Self::At(location)
    }
}

impl From<SiteId> for Caller {
    fn from(site: SiteId) -> Self {
        Self::Known(site)
    }
}

/// See [`Entry::noted`]. Tables are touched when it comes to a sleep, and not before; the clock, too, unless there is a
/// deadline: then it is read when the wait begins, before any spinning.
pub(super) struct Noted<'a> {
    entry: &'a Entry,
    caller: Caller,
    deadline: Option<Deadline>,
    record: Option<&'a Record>,
    /// When the caller found that it must wait, if there is a deadline; 0 if it has not had to.
    called: Cell<u64>,
    /// When the first sleep began; 0 if there was none.
    began: Cell<u64>,
    line: RefCell<Option<Waiting<'a>>>,
}

impl Noted<'_> {
    pub(super) fn registration(&self) -> &Registration {
        &self.entry.space.registration
    }

    /// How long the caller has waited, from the first spin.
    fn waited(&self) -> Duration {
        match self.called.get() {
            0 => Duration::ZERO,
            called => since(called),
        }
    }

    #[cold]
    fn note_called(&self) {
        if self.deadline.is_some() && self.called.get() == 0 {
            self.called.set(clock::now());
        }
    }

    /// The caller has the lock: if it slept for it, its own holding began now.
    pub(super) fn note_acquired(&self) {
        if self.began.get() != 0
            && let Some(record) = self.record
        {
            record.note_since(clock::now());
        }
    }

    #[cold]
    fn end(&self) {
        let slept = since(self.began.get()).as_nanos() as u64;
        self.entry.object.header().statistics.waited(slept);
    }

    #[cold]
    fn begin(&self) {
        let (header, registration) = (self.entry.object.header(), &self.entry.space.registration);
        let now = clock::now();
        self.began.set(now);
        if self.called.get() == 0 {
            self.called.set(now);
        }
        header.statistics.count(Counter::Contended);
        if let Some(record) = self.record {
            record.note_since(now);
        }
        let info = WaiterInfo {
            owner: registration.me(),
            thread: thread::token(),
            site: match self.caller {
                Caller::At(location) => self.entry.site(location),
                Caller::Known(site) => site,
            },
            since: now,
            until: self.deadline.map(|d| d.0),
        };
        // Those not yet noticed keep their lines until somebody looks for the dead: a full table must not cost a system
        // call a line.
        let line = header.waiters.enter(info, |owner| registration.is_known_gone(owner));
        self.line.replace(Some(line));
    }
}

impl Wait for Noted<'_> {
    const OWNER_IS_THREAD: bool = SpaceWait::OWNER_IS_THREAD;

    #[inline]
    fn me(&self) -> Owner {
        self.entry.wait().me()
    }

    fn is_gone(&self, owner: Owner) -> bool {
        self.entry.wait().is_gone(owner)
    }

    fn epoch(&self) -> u32 {
        self.entry.wait().epoch()
    }

    fn wait(&self, word: &Word, expected: u32, epoch: u32, deadline: Option<Deadline>) -> Wake {
        if self.began.get() == 0 {
            self.begin();
        }
        self.entry.wait().wait(word, expected, epoch, deadline)
    }

    fn wake(&self, word: *const Word, count: u32) {
        self.entry.wait().wake(word, count);
    }

    #[inline]
    fn spin(&self, turn: u32) -> bool {
        if turn == 0 {
            self.note_called();
        }
        self.entry.wait().spin(turn)
    }

    #[inline]
    fn linger(&self, turn: u32) -> bool {
        if turn == 0 {
            self.note_called();
        }
        self.entry.wait().linger(turn)
    }

    fn gather(&self, parties: u32, turn: u32) -> bool {
        if turn == 0 {
            self.note_called();
        }
        self.entry.wait().gather(parties, turn)
    }
}

impl Drop for Noted<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.began.get() != 0 {
            self.end();
        }
    }
}

/// The time that has passed since a monotonic instant.
fn since(at: u64) -> Duration {
    Duration::from_nanos(clock::now().saturating_sub(at))
}
