//! What an object is doing, seen from outside: who holds it, who waits for it, what its words say.
//!
//! Only loads, so a read-only mapping is enough; and every answer may be stale before it is returned.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use antiphon_core::comm::pipe::{self, End};
use antiphon_core::comm::service::{CallSlot, RawService};
use antiphon_core::comm::slots::Shape;
use antiphon_core::comm::store::UNIT;
use antiphon_core::comm::topic::{RawTopic, Seat};
use antiphon_core::comm::{Jobs, RawDict, RawList, RawPipe, RawRing, RawStock};
use antiphon_core::owner::Owner;
use antiphon_core::sync::{
    RawBarrier, RawEvent, RawLatch, RawMutex, RawOnce, RawReentrantMutex, RawRwLock, RawSemaphore,
    RawWaitGroup,
};
use antiphon_place::{Counter, Kind, ObjectInfo, Record, SpaceInfo};
use antiphon_sys::clock;

use super::comm::memory::RawMemory;
use super::comm::service::{MAX_CALLS, SLOTS};
use super::comm::side::BOOKS;
use super::comm::topic::{MAX_SUBSCRIBERS, SEATS};
use super::ends::ITEMS;
use super::entry::{BEHIND, Line};
use crate::death::Death;

/// What an object is doing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Activity {
    /// Those who hold it: the owner, the readers, those who have permits, the parties of a barrier.
    pub holders: Vec<Party>,
    /// Those who wait, as far as the object's table has room for them.
    pub waiters: Vec<Party>,
    /// What its words say, by the word for it.
    pub facts: Vec<(&'static str, Fact)>,
    /// What was counted, by the word for it.
    pub counters: Vec<(&'static str, u64)>,
    /// The last death of an owner, and how long ago it was noticed.
    pub last_death: Option<(Death, Duration)>,
}

/// What a word of an object says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fact {
    /// So many.
    Count(u64),
    /// Yes or no.
    Flag(bool),
}

/// One who holds or waits.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Party {
    /// What its process calls itself, or the name of its program; empty if that is no longer known.
    pub who: String,
    /// Its process id in its own pid namespace; 0 if unknown.
    pub pid: u32,
    /// Whether its process lives.
    pub alive: bool,
    /// Its thread; 0 if that is not recorded.
    pub thread: u32,
    /// Where in the source, as `file:line`.
    pub site: Option<String>,
    /// For how long at least; `None` when nobody had to wait for it.
    pub lasted: Option<Duration>,
    /// How much longer it is going to wait, if not for ever.
    pub left: Option<Duration>,
    /// How often it holds, or how many permits it has.
    pub count: u64,
}

/// Looks at what `object` of `space` is doing.
pub fn activity(space: &SpaceInfo, object: &ObjectInfo) -> Activity {
    let look = Look { space, object, now: clock::now() };
    let (holders, facts) = look.state();
    Activity {
        holders,
        waiters: look.waiters(),
        facts,
        counters: look.counters(),
        last_death: look.last_death(),
    }
}

/// Owners and facts of an object.
type State = (Vec<Party>, Vec<(&'static str, Fact)>);

struct Look<'a> {
    space: &'a SpaceInfo,
    object: &'a ObjectInfo,
    now: u64,
}

impl Look<'_> {
    fn state(&self) -> State {
        let state = match self.object.kind {
            Kind::Mutex => self.mutex(),
            Kind::ReentrantMutex => self.reentrant_mutex(),
            Kind::RwLock => self.rwlock(),
            Kind::Semaphore => self.semaphore(),
            Kind::Event => self.event(),
            Kind::Barrier => self.barrier(),
            Kind::Once | Kind::OnceValue => self.once(),
            Kind::WaitGroup => self.wait_group(),
            Kind::Latch => self.latch(),
            Kind::Queue | Kind::ByteQueue => self.queue(),
            Kind::JobQueue => self.job_queue(),
            Kind::Memory => self.memory(),
            Kind::Dict => self.dict(),
            Kind::List => self.list(),
            Kind::PriorityQueue | Kind::LifoQueue => self.stock(),
            Kind::LoanQueue => self.loans(),
            Kind::Topic => self.topic(),
            Kind::Service => self.service(),
            Kind::Pipe => self.pipe(),
            Kind::Condvar => None,
        };
        // A segment that is too short for its kind says nothing.
        state.unwrap_or_default()
    }

    fn mutex(&self) -> Option<State> {
        let line = self.object.body::<Line<RawMutex>>(0)?;
        let holders = self.owner(line.raw.owner(), &line.record, 1);
        let mut facts = lock_facts(&line.record, line.raw.is_inconsistent());
        if self.object.params[0] != 0 {
            // Without a record nobody counts.
            facts.remove(0);
        }
        Some((holders, facts))
    }

    fn reentrant_mutex(&self) -> Option<State> {
        let line = self.object.body::<Line<RawReentrantMutex>>(0)?;
        let mutex = line.raw.mutex();
        let holders = self.owner(mutex.owner(), &line.record, line.raw.depth().max(1).into());
        Some((holders, lock_facts(&line.record, mutex.is_inconsistent())))
    }

    fn rwlock(&self) -> Option<State> {
        let line = self.object.body::<Line<RawRwLock>>(0)?;
        let mut facts = lock_facts(&line.record, line.raw.is_inconsistent());
        let writer = line.raw.writer();
        let mut holders = self.owner(writer, &line.record, 1);
        let readers = self.each(|owner, slot| {
            let word = self.object.body::<AtomicU64>(BEHIND + slot * 8)?.load(Relaxed);
            (word >> 32 == u64::from(owner.get())).then_some(word & u64::from(u32::MAX))
        });
        let reads = readers.iter().map(|reader| reader.count).sum();
        holders.extend(readers);
        facts.push(("readers", Fact::Count(reads)));
        facts.push(("written", Fact::Flag(writer.is_some())));
        Some((holders, facts))
    }

    fn semaphore(&self) -> Option<State> {
        let line = self.object.body::<Line<RawSemaphore>>(0)?;
        let holders =
            self.each(|owner, slot| Some(line.raw.peek_held_by(owner, self.words_through(slot)?)));
        let [permits, bound, ..] = self.object.params;
        let mut facts = vec![("available", Fact::Count(line.raw.available()))];
        facts.push(("permits", Fact::Count(permits)));
        facts.push(("bounded", Fact::Flag(bound == permits)));
        facts.push(("signal", Fact::Flag(line.raw.is_signal())));
        Some((holders, facts))
    }

    fn event(&self) -> Option<State> {
        let line = self.object.body::<Line<RawEvent>>(0)?;
        Some((Vec::new(), vec![("set", Fact::Flag(line.raw.is_set()))]))
    }

    fn barrier(&self) -> Option<State> {
        let line = self.object.body::<Line<RawBarrier>>(0)?;
        let holders = self.each(|owner, slot| {
            let word = self.object.body::<AtomicU32>(BEHIND + slot * 4)?.load(Relaxed);
            Some(u64::from(word == owner.get()))
        });
        let facts = vec![
            ("parties", Fact::Count(self.object.params[0])),
            ("arrived", Fact::Count(line.raw.waiting().into())),
            ("broken", Fact::Flag(line.raw.is_broken())),
        ];
        Some((holders, facts))
    }

    fn once(&self) -> Option<State> {
        let line = self.object.body::<Line<RawOnce>>(0)?;
        let holders = self.owner(line.raw.owner(), &line.record, 1);
        Some((holders, vec![("done", Fact::Flag(line.raw.is_done()))]))
    }

    fn wait_group(&self) -> Option<State> {
        let line = self.object.body::<Line<RawWaitGroup>>(0)?;
        let holders = self.each(|owner, slot| {
            Some(RawWaitGroup::peek(self.object.body::<AtomicU64>(BEHIND + slot * 8)?, owner))
        });
        let shares = holders.iter().map(|holder| holder.count).sum();
        let facts =
            vec![("shares", Fact::Count(shares)), ("begun", Fact::Flag(line.raw.has_begun()))];
        Some((holders, facts))
    }

    fn latch(&self) -> Option<State> {
        let line = self.object.body::<Line<RawLatch>>(0)?;
        let facts = vec![
            ("count", Fact::Count(line.raw.count().into())),
            ("counted from", Fact::Count(self.object.params[0])),
        ];
        Some((Vec::new(), facts))
    }

    fn job_queue(&self) -> Option<State> {
        let (_, mut facts) = self.queue()?;
        let ring = self.object.body::<RawRing>(0)?;
        let shape = Shape::new(u32::try_from(self.object.params[0]).ok()?)?;
        let words = self.object.body::<AtomicU64>(ITEMS)?;
        self.object.body::<AtomicU64>(ITEMS + (shape.cells() as usize - 1) * 8)?;
        // SAFETY: the first and the last word are inside the mapping that `object` keeps, so all are; the cells are not looked at.
        let jobs =
            unsafe { Jobs::<u8>::new(ring, NonNull::dangling(), NonNull::from(words), shape) };
        let (leased, returned) = jobs.standing();
        facts.push(("leased", Fact::Count(leased.into())));
        facts.push(("given back", Fact::Count(returned.into())));
        Some((Vec::new(), facts))
    }

    fn queue(&self) -> Option<State> {
        let ring = self.object.body::<RawRing>(0)?;
        let [capacity, bytes, ..] = self.object.params;
        let (put, taken) = ring.passed();
        let mut facts = vec![
            ("items", Fact::Count(ring.len().into())),
            ("capacity", Fact::Count(capacity)),
            ("high water", Fact::Count(ring.high_water().into())),
            ("put", Fact::Count(put)),
            ("taken", Fact::Count(taken)),
            ("shut down", Fact::Flag(ring.is_shut_down())),
        ];
        if self.object.kind == Kind::ByteQueue {
            facts.push(("capacity in bytes", Fact::Count(bytes)));
        }
        Some((Vec::new(), facts))
    }

    fn memory(&self) -> Option<State> {
        if self.object.params[0] == 0 {
            // With a lock: an array.
            let line = self.object.body::<Line<RawMutex>>(0)?;
            let holders = self.owner(line.raw.owner(), &line.record, 1);
            let [_, values, items, _] = self.object.params;
            let mut facts = vec![("values", Fact::Count(values.max(items)))];
            facts.extend(lock_facts(&line.record, line.raw.is_inconsistent()));
            return Some((holders, facts));
        }
        let line = self.object.body::<Line<RawMemory>>(0)?;
        let holders = self.each(|owner, slot| {
            let word = self.object.body::<AtomicU64>(BEHIND + slot * 8)?.load(Relaxed);
            (word >> 32 == u64::from(owner.get())).then_some(word & u64::from(u32::MAX))
        });
        let facts = vec![
            ("bytes", Fact::Count(line.raw.len())),
            ("most bytes", Fact::Count(self.object.params[0])),
            ("attached", Fact::Count(holders.len() as u64)),
        ];
        Some((holders, facts))
    }

    /// Who has an end, and what is to be received at each.
    fn pipe(&self) -> Option<State> {
        let raw = self.object.body::<RawPipe>(0)?;
        let [bytes, two_way, ..] = self.object.params;
        let mut holders = Vec::new();
        let mut open = [0; 2];
        for (info, _) in &self.space.participants {
            // An owner's low 10 bits are its slot.
            let slot = (info.owner.get() & 1023) as usize;
            let books = self.object.body::<[AtomicU64; 2]>(BOOKS + slot * 16)?;
            for (book, open) in books.iter().zip(&mut open) {
                if let Some((owner, count)) = pipe::held(book.load(Relaxed))
                    && owner == info.owner
                {
                    *open += count;
                    holders.push(Party { count, ..self.party(owner) });
                }
            }
        }
        let facts = vec![
            ("messages to the first end", Fact::Count(raw.ring(End::First).len().into())),
            ("messages to the second end", Fact::Count(raw.ring(End::Second).len().into())),
            ("first end open", Fact::Count(open[0])),
            ("second end open", Fact::Count(open[1])),
            ("ended", Fact::Flag(raw.has_ended())),
            ("two-way", Fact::Flag(two_way != 0)),
            ("capacity in bytes", Fact::Count(bytes)),
        ];
        Some((holders, facts))
    }

    fn dict(&self) -> Option<State> {
        let line = self.object.body::<Line<RawDict>>(0)?;
        let (raw, mutex) = (&line.raw, line.raw.mutex());
        let holders = self.owner(mutex.owner(), &line.record, 1);
        let facts = self.room_facts(raw.len(), raw.used(), &line.record, mutex.is_inconsistent());
        Some((holders, facts))
    }

    fn list(&self) -> Option<State> {
        let line = self.object.body::<Line<RawList>>(0)?;
        let (raw, mutex) = (&line.raw, line.raw.mutex());
        let holders = self.owner(mutex.owner(), &line.record, 1);
        let facts = self.room_facts(raw.len(), raw.used(), &line.record, mutex.is_inconsistent());
        Some((holders, facts))
    }

    fn room_facts(
        &self,
        len: u32,
        used: u32,
        record: &Record,
        inconsistent: bool,
    ) -> Vec<(&'static str, Fact)> {
        let mut facts = vec![
            ("items", Fact::Count(len.into())),
            ("bytes used", Fact::Count(u64::from(used) * UNIT as u64)),
            ("capacity in bytes", Fact::Count(self.object.params[0])),
        ];
        facts.extend(lock_facts(record, inconsistent));
        facts
    }

    fn stock(&self) -> Option<State> {
        let stock = self.object.body::<RawStock>(0)?;
        let [capacity, longest, ..] = self.object.params;
        let mut facts = vec![
            ("items", Fact::Count(stock.len().into())),
            ("capacity", Fact::Count(capacity)),
            ("shut down", Fact::Flag(stock.is_shut_down())),
        ];
        if longest != 0 {
            facts.push(("longest message in bytes", Fact::Count(longest)));
        }
        Some((Vec::new(), facts))
    }

    fn loans(&self) -> Option<State> {
        let ring = self.object.body::<RawRing>(0)?;
        let [blocks, block, ..] = self.object.params;
        let facts = vec![
            ("items", Fact::Count(ring.len().into())),
            ("blocks", Fact::Count(blocks)),
            ("bytes of a block", Fact::Count(block)),
            ("shut down", Fact::Flag(ring.is_shut_down())),
        ];
        Some((Vec::new(), facts))
    }

    fn topic(&self) -> Option<State> {
        let raw = self.object.body::<RawTopic>(0)?;
        let (mut holders, mut missed, mut behind) = (Vec::new(), 0, 0);
        for seat in 0..MAX_SUBSCRIBERS {
            let seat = self.object.body::<Seat>(SEATS + seat * size_of::<Seat>())?;
            let Some((owner, blocks, cursor, lost)) = seat.look() else { continue };
            missed += lost;
            let party = self.party(owner);
            if blocks && party.alive {
                behind = raw.published().saturating_sub(cursor).max(behind);
            }
            holders.push(party);
        }
        let [capacity, longest, ..] = self.object.params;
        let facts = vec![
            ("published", Fact::Count(raw.published())),
            ("subscribers", Fact::Count(holders.len() as u64)),
            ("behind", Fact::Count(behind)),
            ("missed", Fact::Count(missed)),
            ("capacity", Fact::Count(capacity)),
            ("longest message", Fact::Count(longest)),
        ];
        Some((holders, facts))
    }

    fn service(&self) -> Option<State> {
        let raw = self.object.body::<RawService>(0)?;
        let [calls, ..] = self.object.params;
        let (mut holders, mut answering) = (Vec::new(), 0);
        for slot in 0..calls.min(u64::from(MAX_CALLS)) as usize {
            let slot = self.object.body::<CallSlot>(SLOTS + slot * size_of::<CallSlot>())?;
            let Some((owner, is_worker)) = slot.look() else { continue };
            answering += u64::from(is_worker);
            holders.push(self.party(owner));
        }
        let facts = vec![
            ("calls", Fact::Count(holders.len() as u64)),
            ("being answered", Fact::Count(answering)),
            ("waiting", Fact::Count(raw.waiting().into())),
            ("most calls", Fact::Count(calls)),
            ("shut down", Fact::Flag(raw.is_shut_down())),
        ];
        Some((holders, facts))
    }

    /// The words per participant behind the first line, up to and with that of `slot`.
    fn words_through(&self, slot: usize) -> Option<&[AtomicU64]> {
        let first = self.object.body::<AtomicU64>(BEHIND)?;
        self.object.body::<AtomicU64>(BEHIND + slot * 8)?;
        // SAFETY: the first and the last of them are inside the mapping that `object` keeps, so all are.
        Some(unsafe { std::slice::from_raw_parts(first, slot + 1) })
    }

    /// The participants of which `count` says that they hold it.
    fn each(&self, count: impl Fn(Owner, usize) -> Option<u64>) -> Vec<Party> {
        let mut parties = Vec::new();
        for (info, _) in &self.space.participants {
            // An owner's low 10 bits are its slot.
            let slot = (info.owner.get() & 1023) as usize;
            let count = count(info.owner, slot).unwrap_or(0);
            if count > 0 {
                parties.push(Party { count, ..self.party(info.owner) });
            }
        }
        parties
    }

    fn owner(&self, owner: Option<Owner>, record: &Record, count: u64) -> Vec<Party> {
        let described = |owner| Party {
            thread: record.thread(),
            site: self.space.site(record.site()),
            lasted: record.since().map(|since| self.ago(since)),
            count,
            ..self.party(owner)
        };
        owner.map(described).into_iter().collect()
    }

    fn waiters(&self) -> Vec<Party> {
        let described = |waiter: &antiphon_place::WaiterInfo| Party {
            thread: waiter.thread,
            site: self.space.site(waiter.site),
            lasted: Some(self.ago(waiter.since)),
            left: waiter.until.map(|until| Duration::from_nanos(until.saturating_sub(self.now))),
            ..self.party(waiter.owner)
        };
        // The dead wait for nothing; their lines stay until somebody needs the room.
        self.object.waiters.iter().map(described).filter(|waiter| waiter.alive).collect()
    }

    fn party(&self, owner: Owner) -> Party {
        let (who, pid) = self.name(owner);
        let alive = self.space.is_alive(owner);
        Party { who, pid, alive, thread: 0, site: None, lasted: None, left: None, count: 1 }
    }

    fn name(&self, owner: Owner) -> (String, u32) {
        let info = self.space.owner(owner);
        info.map_or_else(Default::default, |info| {
            (if info.label.is_empty() { info.program } else { info.label }, info.pid)
        })
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        let counters = [
            ("contended", Counter::Contended),
            ("timeouts", Counter::Timeouts),
            ("deaths", Counter::Deaths),
            ("repairs", Counter::Repairs),
        ];
        counters.into_iter().map(|(name, counter)| (name, self.object.counter(counter))).collect()
    }

    fn last_death(&self) -> Option<(Death, Duration)> {
        let death = self.object.last_death?;
        let (who, pid) = death.owner.map_or_else(Default::default, |owner| self.name(owner));
        let described = Death {
            cause: death.cause,
            who,
            pid,
            thread: death.thread,
            site: self.space.site(death.site),
            held: death.since.map(|at| Duration::from_nanos(death.noticed.saturating_sub(at))),
        };
        Some((described, self.ago(death.noticed)))
    }

    fn ago(&self, at: u64) -> Duration {
        Duration::from_nanos(self.now.saturating_sub(at))
    }
}

fn lock_facts(record: &Record, inconsistent: bool) -> Vec<(&'static str, Fact)> {
    vec![("acquired", Fact::Count(record.token())), ("awaits repair", Fact::Flag(inconsistent))]
}
