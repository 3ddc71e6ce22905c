//! Calls and answers in a space.

use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use antiphon_core::comm::service::{self as raw, Call, CallSlot, Job, RawService, Reply, Shape};
use antiphon_core::comm::{Patience, RingError};
use antiphon_core::owner::Owner;
use antiphon_core::wait::{Deadline, Wait};
use antiphon_place::{Error, Kind, Spec, message_layout, type_name};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{CallError, GetError, ServiceError, TimedGetError, TryGetError};
use crate::space::Space;
use crate::space::ends::{self, FOREVER};
use crate::space::entry::{Entry, Noted, param};
use crate::space::handle::{Openable, handle};

/// The most calls at a time.
pub(in crate::space) const MAX_CALLS: u32 = 1 << 16;
/// Where the slots begin: behind the words.
pub(in crate::space) const SLOTS: usize = size_of::<RawService>();

/// Requests and replies, which are bytes, between any number of callers and workers.
///
/// Each request is taken by one worker, and its reply goes to exactly the call that asked. A worker that dies is noticed by its
/// callers, who are [told](CallError::WorkerDied), or have the request [given to another](Self::retrying). A caller that
/// dies or gives up disturbs nobody: its request is skipped, or its reply thrown away. Calling happens before the taking of the request,
/// replying before the return of the call.
pub struct ByteService {
    entry: Entry,
    raw: NonNull<RawService>,
    slots: NonNull<[CallSlot]>,
    entries: NonNull<u64>,
    words: NonNull<[AtomicU64]>,
    shape: Shape,
    again: bool,
    /// Which slot was free last. A hint.
    hint: AtomicU32,
}

// SAFETY: it is made of atomics, and a ring, in memory that `entry` keeps.
unsafe impl Send for ByteService {}
// SAFETY: as above.
unsafe impl Sync for ByteService {}

impl Clone for ByteService {
    fn clone(&self) -> Self {
        let hint = AtomicU32::new(self.hint.load(Relaxed));
        Self { entry: self.entry.clone(), hint, ..*self }
    }
}

impl Space {
    /// Opens the service `name`, creating it if need be: for up to `calls` calls at a time, with requests and replies of up to `bytes`.
    ///
    /// # Errors
    /// As [`mutex`](Self::mutex); also [`Error::Mismatch`] when it was created otherwise, and [`Error::BadParameter`] for no calls or more
    /// than 2^16, or more than 1 GiB.
    ///
    /// ```
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let echo = space.byte_service("echo", 8, 100)?;
    /// std::thread::scope(|s| {
    ///     let worker = echo.clone();
    ///     s.spawn(move || worker.serve(|request| request.to_ascii_uppercase()));
    ///     assert_eq!(echo.call(b"hello").unwrap(), b"HELLO");
    ///     echo.shutdown();
    /// });
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    #[track_caller]
    pub fn byte_service(&self, name: &str, calls: u32, bytes: u32) -> Result<ByteService, Error> {
        self.open_object(name, [calls.into(), bytes.into(), 0, 0], Location::caller(), |_| {})
    }

    /// Opens the service `name` of requests `Q` and replies `A`, which travel as MessagePack of up to `bytes`.
    ///
    /// # Errors
    /// As [`byte_service`](Self::byte_service).
    ///
    /// ```
    /// let space = antiphon::Space::open("threads:doc")?;
    /// let lengths = space.service::<String, usize>("lengths", 8, 100)?;
    /// std::thread::scope(|s| {
    ///     let worker = lengths.clone();
    ///     s.spawn(move || worker.serve(|word| word.len()));
    ///     assert_eq!(lengths.call(&"antiphon".to_owned()), Ok(8));
    ///     lengths.as_bytes().shutdown();
    /// });
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    #[track_caller]
    pub fn service<Q, A>(&self, name: &str, calls: u32, bytes: u32) -> Result<Service<Q, A>, Error>
    where
        Q: Serialize + DeserializeOwned,
        A: Serialize + DeserializeOwned,
    {
        self.open_object(name, [calls.into(), bytes.into(), 0, 0], Location::caller(), |_| {})
    }
}

/// The shape of a service with these parameters, if there is one.
fn shape([calls, bytes, ..]: [u64; 4]) -> Option<Shape> {
    let bytes = u32::try_from(bytes).ok()?;
    Shape::new(u32::try_from(calls).ok()?, bytes, bytes)
}

/// Where the entries and the words of a service begin, and where it ends.
fn layout(shape: Shape) -> Option<(usize, usize, usize)> {
    let entries = SLOTS + shape.calls() as usize * size_of::<CallSlot>();
    let words = entries + shape.entries() as usize * size_of::<u64>();
    let end = usize::try_from(shape.words()).ok()?.checked_mul(8)?.checked_add(words)?;
    Some((entries, words, end))
}

impl ByteService {
    fn spec_for(type_name: String, params: [u64; 4]) -> Result<Spec, Error> {
        let [calls, bytes, ..] = params;
        let bad = || Error::BadParameter {
            what: "the size of a service",
            rule: format!("1 to {MAX_CALLS} calls of up to 1 GiB"),
            found: format!("{calls} calls of up to {bytes} bytes"),
        };
        let (.., body_len) = shape(params).and_then(layout).ok_or_else(bad)?;
        let mut params = param("number of calls", calls);
        params[1] = ("longest request or reply", bytes);
        let type_layout = message_layout(&type_name);
        Ok(Spec { kind: Kind::Service, type_name, type_layout, params, body_len })
    }
}

impl Openable for ByteService {
    fn spec(_: &Space, params: [u64; 4]) -> Result<Spec, Error> {
        Self::spec_for(String::new(), params)
    }

    fn attach(entry: Entry) -> Self {
        let shape = shape(entry.object.params()).expect("the spec was checked");
        let (entries, words, end) = layout(shape).expect("the spec was checked");
        assert!(end <= entry.object.body_len());
        // SAFETY: the spec has put them there; atomics and numbers may be any bytes. Fresh memory is a service without calls.
        let (raw, slots, entries) = unsafe { (entry.at(0), entry.at(SLOTS), entry.at(entries)) };
        // SAFETY: inside the body by the assertion above, though there may be no words at all.
        let first = unsafe { entry.object.body().add(words) }.cast();
        let slots = NonNull::slice_from_raw_parts(slots, shape.calls() as usize);
        let words = NonNull::slice_from_raw_parts(first, shape.words() as usize);
        Self { entry, raw, slots, entries, words, shape, again: false, hint: AtomicU32::new(0) }
    }

    fn entry(&self) -> &Entry {
        &self.entry
    }
}

handle!(ByteService);

impl ByteService {
    #[inline]
    fn view(&self) -> raw::Service<'_> {
        // SAFETY: all lie in the object that `entry` keeps, by the assertion in `attach`; the entries are touched by this view only.
        unsafe {
            let (raw, slots, words) = (self.raw.as_ref(), self.slots.as_ref(), self.words.as_ref());
            raw::Service::new(raw, slots, self.entries, words, self.shape)
        }
    }

    fn noted(&self, caller: &'static Location<'static>, patience: Patience) -> Noted<'_> {
        self.entry.noted(caller, deadline_of(patience), None)
    }

    /// The same service, whose calls are given to another worker when the one that had taken them dies. What such a worker had
    /// done by then is done again.
    #[must_use]
    pub fn retrying(mut self) -> Self {
        self.again = true;
        self
    }

    /// Calls: sends `request` and waits for the reply as long as it takes.
    ///
    /// # Errors
    /// [`CallError`].
    #[track_caller]
    pub fn call(&self, request: &[u8]) -> Result<Vec<u8>, CallError> {
        self.call_until(request, Location::caller(), FOREVER)
    }

    /// Calls, waiting for the reply no longer than `timeout`. Then the call is cancelled.
    ///
    /// # Errors
    /// [`CallError`].
    #[track_caller]
    pub fn call_timeout(&self, request: &[u8], timeout: Duration) -> Result<Vec<u8>, CallError> {
        let patience = Patience::Until(Some(ends::within(timeout)));
        self.call_until(request, Location::caller(), patience)
    }

    /// Calls, waiting for the reply no longer than until `deadline`. Then the call is cancelled.
    ///
    /// # Errors
    /// [`CallError`].
    #[track_caller]
    pub fn call_deadline(&self, request: &[u8], deadline: Instant) -> Result<Vec<u8>, CallError> {
        let patience = Patience::Until(Some(ends::at(deadline)));
        self.call_until(request, Location::caller(), patience)
    }

    fn call_until(
        &self,
        request: &[u8],
        caller: &'static Location<'static>,
        patience: Patience,
    ) -> Result<Vec<u8>, CallError> {
        self.begin_until(request, caller, patience)?.fetch(caller, patience)
    }

    /// Sends `request`, and leaves the waiting for later. Waits for room as long as it takes.
    ///
    /// # Errors
    /// [`CallError`].
    #[track_caller]
    pub fn begin(&self, request: &[u8]) -> Result<Pending<'_>, CallError> {
        self.begin_until(request, Location::caller(), FOREVER)
    }

    /// Sends `request` if there is room, and leaves the waiting for later.
    ///
    /// # Errors
    /// [`CallError`].
    #[track_caller]
    pub fn try_begin(&self, request: &[u8]) -> Result<Pending<'_>, CallError> {
        self.begin_until(request, Location::caller(), Patience::Try)
    }

    fn begin_until(
        &self,
        request: &[u8],
        caller: &'static Location<'static>,
        patience: Patience,
    ) -> Result<Pending<'_>, CallError> {
        let noted = self.noted(caller, patience);
        let before = self.hint.load(Relaxed);
        let mut hint = before;
        let call = self.view().call(&noted, patience, request, &mut hint);
        if hint != before {
            self.hint.store(hint, Relaxed);
        }
        let call = call.map_err(|error| self.failed(error, &noted))?;
        Ok(Pending { service: self, call, owner: noted.me(), over: false })
    }

    fn failed(&self, error: raw::CallError, noted: &Noted<'_>) -> CallError {
        match error {
            raw::CallError::Full => CallError::Full,
            raw::CallError::Pending => CallError::Pending,
            raw::CallError::TimedOut => {
                CallError::TimedOut(Box::new(self.entry.timeout(noted, None)))
            }
            raw::CallError::TooLarge => CallError::TooLarge { longest: self.longest() },
            raw::CallError::ShutDown => CallError::ShutDown,
            raw::CallError::WorkerDied(worker) => {
                CallError::WorkerDied(self.entry.bury(worker, None, None))
            }
            raw::CallError::Declined => CallError::Declined,
            raw::CallError::Interrupted | raw::CallError::Corrupt => CallError::Corrupt,
        }
    }

    /// Takes the oldest request, waiting for one as long as it takes.
    ///
    /// # Errors
    /// [`GetError`].
    #[track_caller]
    pub fn take(&self) -> Result<Request<'_>, GetError> {
        self.take_until(&self.noted(Location::caller(), FOREVER), FOREVER).map_err(ends::get)
    }

    /// Takes the oldest request if there is one.
    ///
    /// # Errors
    /// [`TryGetError`].
    #[track_caller]
    pub fn try_take(&self) -> Result<Request<'_>, TryGetError> {
        let noted = self.noted(Location::caller(), Patience::Try);
        self.take_until(&noted, Patience::Try).map_err(ends::try_get)
    }

    /// Takes the oldest request, waiting for one no longer than `timeout`.
    ///
    /// # Errors
    /// [`TimedGetError`].
    #[track_caller]
    pub fn take_timeout(&self, timeout: Duration) -> Result<Request<'_>, TimedGetError> {
        self.take_by(Location::caller(), ends::within(timeout))
    }

    /// Takes the oldest request, waiting for one no longer than until `deadline`.
    ///
    /// # Errors
    /// [`TimedGetError`].
    #[track_caller]
    pub fn take_deadline(&self, deadline: Instant) -> Result<Request<'_>, TimedGetError> {
        self.take_by(Location::caller(), ends::at(deadline))
    }

    fn take_by(
        &self,
        caller: &'static Location<'static>,
        deadline: Deadline,
    ) -> Result<Request<'_>, TimedGetError> {
        let patience = Patience::Until(Some(deadline));
        let noted = self.noted(caller, patience);
        self.take_until(&noted, patience).map_err(|error| {
            crate::comm::outcome::timed_get(error, || self.entry.timeout(&noted, None))
        })
    }

    fn take_until(&self, noted: &Noted<'_>, patience: Patience) -> Result<Request<'_>, RingError> {
        let job = self.view().take(noted, patience)?;
        let bytes = copied(self.view().request(&job));
        Ok(Request { service: self, job, bytes, owner: noted.me(), over: false })
    }

    /// Answers requests until the service is shut down. If `answer` panics, or its reply is too long, the caller is told that there is no reply.
    #[track_caller]
    pub fn serve(&self, mut answer: impl FnMut(&[u8]) -> Vec<u8>) {
        while let Ok(request) = self.take() {
            let reply = answer(request.bytes());
            let _ = request.reply(&reply);
        }
    }

    /// Ends the service: calls that no worker has taken fail, workers get no more requests, and what is being answered is
    /// answered. Wakes all who wait. May be repeated.
    pub fn shutdown(&self) {
        let done = self.view().shut_down(&self.entry.wait());
        debug_assert!(done.is_ok(), "only a signal could interrupt this, and none does");
    }

    /// Whether it was shut down.
    pub fn is_shut_down(&self) -> bool {
        // SAFETY: as in `view`.
        unsafe { self.raw.as_ref() }.is_shut_down()
    }

    /// The length of the longest request or reply.
    pub fn longest(&self) -> usize {
        self.shape.request() as usize
    }

    /// The most calls at a time.
    pub fn capacity(&self) -> usize {
        self.shape.calls() as usize
    }

    /// The name it was opened by.
    pub fn name(&self) -> &str {
        self.entry.object.name()
    }
}

fn deadline_of(patience: Patience) -> Option<Deadline> {
    match patience {
        Patience::Try => None,
        Patience::Until(deadline) => deadline,
    }
}

fn copied(bytes: Reply<'_>) -> Vec<u8> {
    let mut copy = vec![0; bytes.len()];
    bytes.copy_to(&mut copy);
    copy
}

/// A call under way. Dropping it cancels the call: nobody takes the request any more, or its reply is thrown away.
#[must_use = "dropping it cancels the call"]
pub struct Pending<'a> {
    service: &'a ByteService,
    call: Call,
    owner: Owner,
    /// There is nothing to cancel.
    over: bool,
}

impl Pending<'_> {
    /// Waits for the reply as long as it takes.
    ///
    /// # Errors
    /// [`CallError`].
    #[track_caller]
    pub fn wait(mut self) -> Result<Vec<u8>, CallError> {
        self.fetch(Location::caller(), FOREVER)
    }

    /// The reply, if it is there. After [`CallError::Pending`] the call goes on.
    ///
    /// # Errors
    /// [`CallError`].
    #[track_caller]
    pub fn try_wait(&mut self) -> Result<Vec<u8>, CallError> {
        self.fetch(Location::caller(), Patience::Try)
    }

    /// Waits for the reply no longer than `timeout`. After [`CallError::TimedOut`] the call goes on.
    ///
    /// # Errors
    /// [`CallError`].
    #[track_caller]
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<Vec<u8>, CallError> {
        self.fetch(Location::caller(), Patience::Until(Some(ends::within(timeout))))
    }

    /// Waits for the reply no longer than until `deadline`. After [`CallError::TimedOut`] the call goes on.
    ///
    /// # Errors
    /// [`CallError`].
    #[track_caller]
    pub fn wait_deadline(&mut self, deadline: Instant) -> Result<Vec<u8>, CallError> {
        self.fetch(Location::caller(), Patience::Until(Some(ends::at(deadline))))
    }

    fn fetch(
        &mut self,
        caller: &'static Location<'static>,
        patience: Patience,
    ) -> Result<Vec<u8>, CallError> {
        // In a forked child the call is its parent's.
        if self.over || !self.service.entry.wait().is(self.owner) {
            return Err(CallError::Corrupt);
        }
        let service = self.service;
        let noted = service.noted(caller, patience);
        let mut bytes = Vec::new();
        let mut read = |reply: Reply<'_>| bytes = copied(reply);
        let fetched = service.view().fetch(&self.call, &noted, patience, service.again, &mut read);
        let goes_on = matches!(fetched, Err(raw::CallError::Pending | raw::CallError::TimedOut));
        self.over = !goes_on;
        fetched.map(|()| bytes).map_err(|error| service.failed(error, &noted))
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        let wait = self.service.entry.wait();
        if !self.over && wait.is(self.owner) {
            self.service.view().cancel(&wait, &self.call);
        }
    }
}

/// A request that this worker has taken. Dropping it without a reply tells the caller so.
#[must_use = "dropping it declines the request"]
pub struct Request<'a> {
    service: &'a ByteService,
    job: Job,
    bytes: Vec<u8>,
    owner: Owner,
    over: bool,
}

impl Request<'_> {
    /// What was asked.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether nobody waits for the reply any more: the caller has given up, or died.
    pub fn is_abandoned(&self) -> bool {
        self.service.view().is_abandoned(&self.job, &self.service.entry.wait())
    }

    /// Sends the reply. Whether somebody still waited for it.
    ///
    /// # Errors
    /// [`CallError::TooLarge`]; the caller is told that there is no reply.
    pub fn reply(mut self, reply: &[u8]) -> Result<bool, CallError> {
        let wait = self.service.entry.wait();
        // In a forked child the request is its parent's.
        if !wait.is(self.owner) {
            return Ok(false);
        }
        let waited = self.service.view().reply(&self.job, &wait, reply);
        let waited = waited.map_err(|_| CallError::TooLarge { longest: self.service.longest() })?;
        self.over = true;
        Ok(waited)
    }
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        let wait = self.service.entry.wait();
        if !self.over && wait.is(self.owner) {
            self.service.view().decline(&self.job, &wait);
        }
    }
}

/// Requests `Q` and replies `A`, as MessagePack. See [`ByteService`].
pub struct Service<Q, A> {
    bytes: ByteService,
    _types: PhantomData<fn(Q) -> A>,
}

impl<Q, A> Clone for Service<Q, A> {
    fn clone(&self) -> Self {
        Self { bytes: self.bytes.clone(), _types: PhantomData }
    }
}

impl<Q, A> Openable for Service<Q, A> {
    fn spec(_: &Space, params: [u64; 4]) -> Result<Spec, Error> {
        ByteService::spec_for(format!("{} -> {}", type_name::<Q>(), type_name::<A>()), params)
    }

    fn attach(entry: Entry) -> Self {
        Self { bytes: ByteService::attach(entry), _types: PhantomData }
    }

    fn entry(&self) -> &Entry {
        &self.bytes.entry
    }
}

impl<Q, A> serde::Serialize for Service<Q, A> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        crate::space::handle::serialize(self, serializer)
    }
}

impl<'de, Q, A> serde::Deserialize<'de> for Service<Q, A> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::space::handle::deserialize(deserializer)
    }
}

impl<Q, A> Service<Q, A>
where
    Q: Serialize + DeserializeOwned,
    A: Serialize + DeserializeOwned,
{
    /// Calls: sends `request` and waits for the reply as long as it takes.
    ///
    /// # Errors
    /// [`ServiceError`].
    #[track_caller]
    pub fn call(&self, request: &Q) -> Result<A, ServiceError> {
        decode(&self.bytes.call(&encode(request)?)?)
    }

    /// Calls, waiting for the reply no longer than `timeout`. Then the call is cancelled.
    ///
    /// # Errors
    /// [`ServiceError`].
    #[track_caller]
    pub fn call_timeout(&self, request: &Q, timeout: Duration) -> Result<A, ServiceError> {
        decode(&self.bytes.call_timeout(&encode(request)?, timeout)?)
    }

    /// Calls, waiting for the reply no longer than until `deadline`. Then the call is cancelled.
    ///
    /// # Errors
    /// [`ServiceError`].
    #[track_caller]
    pub fn call_deadline(&self, request: &Q, deadline: Instant) -> Result<A, ServiceError> {
        decode(&self.bytes.call_deadline(&encode(request)?, deadline)?)
    }

    /// Sends `request`, and leaves the waiting for later.
    ///
    /// # Errors
    /// [`ServiceError`].
    #[track_caller]
    pub fn begin(&self, request: &Q) -> Result<PendingReply<'_, A>, ServiceError> {
        let pending = self.bytes.begin(&encode(request)?)?;
        Ok(PendingReply { pending, _reply: PhantomData })
    }

    /// Answers requests until the service is shut down. The caller of a request that is not a `Q`, or whose reply does not
    /// fit, is told that there is no reply.
    #[track_caller]
    pub fn serve(&self, mut answer: impl FnMut(Q) -> A) {
        while let Ok(request) = self.bytes.take() {
            let Ok(question) = rmp_serde::from_slice(request.bytes()) else { continue };
            if let Ok(reply) = rmp_serde::to_vec_named(&answer(question)) {
                let _ = request.reply(&reply);
            }
        }
    }
}

impl<Q, A> Service<Q, A> {
    /// The same service as bytes.
    pub fn as_bytes(&self) -> &ByteService {
        &self.bytes
    }

    /// As [`ByteService::retrying`].
    #[must_use]
    pub fn retrying(self) -> Self {
        Self { bytes: self.bytes.retrying(), _types: PhantomData }
    }
}

fn encode<T: Serialize>(item: &T) -> Result<Vec<u8>, ServiceError> {
    rmp_serde::to_vec_named(item).map_err(|why| ServiceError::Encode(why.to_string()))
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ServiceError> {
    rmp_serde::from_slice(bytes).map_err(|why| ServiceError::Decode(why.to_string()))
}

/// A call of a [`Service`] under way. Dropping it cancels the call.
#[must_use = "dropping it cancels the call"]
pub struct PendingReply<'a, A> {
    pending: Pending<'a>,
    _reply: PhantomData<fn() -> A>,
}

impl<A: DeserializeOwned> PendingReply<'_, A> {
    /// Waits for the reply as long as it takes.
    ///
    /// # Errors
    /// [`ServiceError`].
    #[track_caller]
    pub fn wait(self) -> Result<A, ServiceError> {
        decode(&self.pending.wait()?)
    }

    /// Waits for the reply no longer than `timeout`. After [`CallError::TimedOut`] the call goes on.
    ///
    /// # Errors
    /// [`ServiceError`].
    #[track_caller]
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<A, ServiceError> {
        decode(&self.pending.wait_timeout(timeout)?)
    }
}

impl fmt::Debug for ByteService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteService")
            .field("name", &self.name())
            .field("is_shut_down", &self.is_shut_down())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Pending<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("service", self.service).finish_non_exhaustive()
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl<Q, A> fmt::Debug for Service<Q, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Service").field(&self.bytes).finish()
    }
}

impl<A> fmt::Debug for PendingReply<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PendingReply").field(&self.pending).finish()
    }
}
