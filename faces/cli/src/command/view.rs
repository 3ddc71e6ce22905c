//! Spaces, objects and those who use them, as they are shown.

use std::time::Duration;

use antiphon::inspect::{
    Activity, Fact, Kind, ObjectInfo, ParticipantInfo, Party, SpaceInfo, activity,
};
use serde::{Serialize, Serializer};

/// An object with all that is known of it.
#[derive(Debug, Serialize)]
pub(super) struct ObjectView {
    pub(super) name: String,
    #[serde(serialize_with = "kind")]
    pub(super) kind: Kind,
    #[serde(rename = "type")]
    pub(super) type_name: Option<String>,
    pub(super) size_bytes: u64,
    pub(super) created_unix_ns: u64,
    pub(super) creator: Creator,
    pub(super) state: Facts,
    pub(super) holders: Vec<PartyView>,
    pub(super) waiters: Vec<PartyView>,
    pub(super) counters: Counters,
    pub(super) last_death: Option<DeathView>,
    /// Waits and holds by duration: bucket `i` counts those below 2^(i+8) nanoseconds.
    pub(super) waits: Vec<u32>,
    pub(super) holds: Vec<u32>,
}

/// Who created an object, and where.
#[derive(Debug, Serialize)]
pub(super) struct Creator {
    pub(super) who: String,
    pub(super) pid: u32,
    pub(super) site: Option<String>,
}

/// One who holds or waits.
#[derive(Debug, Serialize)]
pub(super) struct PartyView {
    pub(super) who: String,
    pub(super) pid: u32,
    pub(super) alive: bool,
    pub(super) thread: Option<u32>,
    pub(super) site: Option<String>,
    /// How long it has held or waited at least, if that is known.
    pub(super) for_ns: Option<u64>,
    /// How much longer it is going to wait, if not for ever.
    pub(super) left_ns: Option<u64>,
    pub(super) count: u64,
}

/// A death, in words and in parts.
#[derive(Debug, Serialize)]
pub(super) struct DeathView {
    pub(super) text: String,
    pub(super) cause: String,
    pub(super) who: String,
    pub(super) pid: u32,
    pub(super) thread: u32,
    pub(super) site: Option<String>,
    pub(super) held_ns: Option<u64>,
    pub(super) noticed_ns_ago: u64,
}

/// A process that takes part.
#[derive(Debug, Serialize)]
pub(super) struct ParticipantView {
    pub(super) who: String,
    pub(super) program: String,
    pub(super) pid: u32,
    pub(super) alive: bool,
    pub(super) attached_unix_ns: u64,
}

/// What an object's words say, under names that a program can use.
#[derive(Debug)]
pub(super) struct Facts(pub(super) Vec<(&'static str, Fact)>);

/// What was counted.
#[derive(Debug)]
pub(super) struct Counters(pub(super) Vec<(&'static str, u64)>);

impl ObjectView {
    pub(super) fn new(space: &SpaceInfo, object: &ObjectInfo) -> Self {
        let Activity { holders, waiters, facts, counters, last_death, .. } =
            activity(space, object);
        let (waits, holds) = object.histograms();
        Self {
            name: object.name.clone(),
            kind: object.kind,
            type_name: Some(object.type_name.clone())
                .filter(|name| !name.is_empty() && name != "()"),
            size_bytes: object.size,
            created_unix_ns: object.created,
            creator: Creator {
                who: object.creator_label.clone(),
                pid: object.creator_pid,
                site: Some(object.site.clone()).filter(|site| !site.is_empty()),
            },
            state: Facts(facts),
            holders: holders.into_iter().map(PartyView::from).collect(),
            waiters: waiters.into_iter().map(PartyView::from).collect(),
            counters: Counters(counters),
            last_death: last_death.map(|(death, ago)| DeathView {
                text: death.to_string(),
                cause: format!("{:?}", death.cause),
                who: death.who,
                pid: death.pid,
                thread: death.thread,
                site: death.site,
                held_ns: death.held.map(nanoseconds),
                noticed_ns_ago: nanoseconds(ago),
            }),
            waits: waits.to_vec(),
            holds: holds.to_vec(),
        }
    }

    /// How it is, in a few words.
    pub(super) fn summary(&self) -> String {
        let state = &self.state;
        let either =
            |fact, yes: &str, no: &str| if state.flag(fact) { yes.into() } else { no.into() };
        let summary = match self.kind {
            Kind::Mutex | Kind::ReentrantMutex if self.holders.is_empty() => "free".into(),
            Kind::Mutex | Kind::ReentrantMutex => "held".into(),
            Kind::RwLock => match state.count("readers") {
                0 => either("written", "written", "free"),
                1 => "1 reader".into(),
                n => format!("{n} readers"),
            },
            Kind::Semaphore => {
                format!("{} of {} available", state.count("available"), state.count("permits"))
            }
            Kind::Event => either("set", "set", "clear"),
            Kind::Barrier if state.flag("broken") => "broken".into(),
            Kind::Barrier => {
                format!("{} of {} arrived", state.count("arrived"), state.count("parties"))
            }
            Kind::Once => either("done", "done", "not done"),
            Kind::OnceValue => either("done", "written", "not written"),
            Kind::WaitGroup => format!("{} shares", state.count("shares")),
            Kind::Latch => format!("{} to go", state.count("count")),
            Kind::Queue | Kind::ByteQueue | Kind::PriorityQueue | Kind::LifoQueue => {
                let shut = either("shut down", ", shut down", "");
                format!("{} of {}{shut}", state.count("items"), state.count("capacity"))
            }
            Kind::Memory if state.count("most bytes") == 0 => {
                format!("{} values", state.count("values"))
            }
            Kind::Memory => {
                format!("{} of {} bytes", state.count("bytes"), state.count("most bytes"))
            }
            Kind::Dict | Kind::List => {
                let [items, used, most] =
                    ["items", "bytes used", "capacity in bytes"].map(|fact| state.count(fact));
                format!("{items} items in {used} of {most} bytes")
            }
            Kind::JobQueue => {
                let shut = either("shut down", ", shut down", "");
                let (items, leased) = (state.count("items"), state.count("leased"));
                format!("{items} of {}, {leased} leased{shut}", state.count("capacity"))
            }
            Kind::LoanQueue => {
                let shut = either("shut down", ", shut down", "");
                format!("{} in {} blocks{shut}", state.count("items"), state.count("blocks"))
            }
            Kind::Topic => {
                let missed = match state.count("missed") {
                    0 => String::new(),
                    n => format!(", {n} missed"),
                };
                let (published, readers) = (state.count("published"), state.count("subscribers"));
                format!("{published} published, {readers} subscribers{missed}")
            }
            Kind::Service => {
                let shut = either("shut down", ", shut down", "");
                let (calls, answering) = (state.count("calls"), state.count("being answered"));
                format!("{calls} calls, {answering} being answered{shut}")
            }
            Kind::Pipe => {
                let messages = state.count("messages to the first end")
                    + state.count("messages to the second end");
                format!("{messages} messages{}", either("ended", ", ended", ""))
            }
            Kind::Condvar => "-".into(),
        };
        if state.flag("awaits repair") { format!("{summary}, awaits repair") } else { summary }
    }
}

impl PartyView {
    /// `shop (4711)`.
    pub(super) fn name(&self) -> String {
        let who = if self.who.is_empty() { "unknown" } else { &self.who };
        let dead = if self.alive { "" } else { ", dead" };
        format!("{who} ({}{dead})", self.pid)
    }
}

impl From<Party> for PartyView {
    fn from(party: Party) -> Self {
        Self {
            who: party.who,
            pid: party.pid,
            alive: party.alive,
            thread: Some(party.thread).filter(|thread| *thread != 0),
            site: party.site,
            for_ns: party.lasted.map(nanoseconds),
            left_ns: party.left.map(nanoseconds),
            count: party.count,
        }
    }
}

impl ParticipantView {
    pub(super) fn new((info, alive): &(ParticipantInfo, bool)) -> Self {
        let label = if info.label.is_empty() { &info.program } else { &info.label };
        Self {
            who: label.clone(),
            program: info.program.clone(),
            pid: info.pid,
            alive: *alive,
            attached_unix_ns: info.attached,
        }
    }
}

impl Facts {
    fn count(&self, name: &str) -> u64 {
        match self.get(name) {
            Some(Fact::Count(n)) => n,
            _ => 0,
        }
    }

    fn flag(&self, name: &str) -> bool {
        self.get(name) == Some(Fact::Flag(true))
    }

    fn get(&self, name: &str) -> Option<Fact> {
        self.0.iter().find(|(fact, _)| *fact == name).map(|(_, value)| *value)
    }
}

impl Serialize for Facts {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(name, fact)| {
            let value = match fact {
                Fact::Count(n) => serde_json::Value::from(*n),
                Fact::Flag(yes) => serde_json::Value::from(*yes),
            };
            (field(name), value)
        }))
    }
}

impl Serialize for Counters {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(name, n)| (field(name), n)))
    }
}

/// The name of a field, from words.
fn field(name: &str) -> String {
    name.replace(' ', "_")
}

fn kind<S: Serializer>(kind: &Kind, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(kind.name())
}

fn nanoseconds(d: Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)
}
