//! The control segment of a space: its participants, the death epoch, the call sites.

use std::mem::offset_of;
use std::sync::atomic::{
    AtomicU32, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
};

use antiphon_core::bell::Bell;
use antiphon_core::lookout::Lookout;
use antiphon_core::owner::Owner;
use antiphon_core::pad::Padded;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::layout::{fixed, text};
use crate::preamble::{Preamble, checksum};
use crate::site::{SiteId, Sites};

/// Most participants that a space can be created for: an index has 10 bits and the last is never given.
pub const MAX_PARTICIPANTS: u32 = 1023;

const INDEX_BITS: u32 = 10;
const INDEX_MASK: u32 = (1 << INDEX_BITS) - 1;
const GENERATION_MASK: u32 = (1 << 20) - 1;

/// Kind number of a control segment; objects' kinds are above.
const CONTROL: u32 = 0;

/// The part of a control segment that never changes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct ControlFixed {
    preamble: Preamble,
    participants: u32,
    kept: u32,
    boot: [u8; 16],
    pub(crate) space: [u8; 16],
    created: u64,
    creator_pid: u32,
    _reserved: u32,
    checksum: u64,
}

const _: () = {
    assert!(size_of::<ControlFixed>() == 88);
    assert!(offset_of!(ControlFixed, preamble) == 0);
    assert!(offset_of!(ControlFixed, participants) == 24);
    assert!(offset_of!(ControlFixed, kept) == 28);
    assert!(offset_of!(ControlFixed, boot) == 32);
    assert!(offset_of!(ControlFixed, space) == 48);
    assert!(offset_of!(ControlFixed, created) == 64);
    assert!(offset_of!(ControlFixed, creator_pid) == 72);
    assert!(offset_of!(ControlFixed, checksum) == 80);
};

impl ControlFixed {
    pub(crate) fn new(participants: u32, kept: bool, boot: [u8; 16], space: [u8; 16]) -> Self {
        let mut this = Self {
            preamble: Preamble::new(CONTROL, Control::size(participants) as u64),
            participants,
            kept: u32::from(kept),
            boot,
            space,
            created: antiphon_sys::clock::wall(),
            creator_pid: std::process::id(),
            _reserved: 0,
            checksum: 0,
        };
        this.checksum = checksum(&this);
        this
    }

    /// Is this the control segment of a space, `length` bytes long? Says why not.
    pub(crate) fn check(&self, length: u64) -> Result<(), &'static str> {
        self.preamble.check(self.checksum == checksum(self), length)?;
        if self.preamble.kind != CONTROL || !(1..=MAX_PARTICIPANTS).contains(&self.participants) {
            return Err("it is not a control segment");
        }
        if self.preamble.total != Control::size(self.participants) as u64 {
            return Err("its length is not what its header says");
        }
        Ok(())
    }

    pub(crate) fn participants(&self) -> u32 {
        self.participants
    }

    pub(crate) fn kept(&self) -> bool {
        self.kept != 0
    }

    pub(crate) fn boot(&self) -> [u8; 16] {
        self.boot
    }

    pub(crate) fn created(&self) -> u64 {
        self.created
    }
}

/// How those who sleep take turns at looking for the dead.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Looks {
    /// When somebody last looked, in monotonic nanoseconds.
    pub(crate) last: AtomicU64,
    /// Who does.
    pub(crate) lookout: Lookout<3>,
}

const _: () = {
    assert!(size_of::<Looks>() == 24);
    assert!(offset_of!(Looks, last) == 0);
    assert!(offset_of!(Looks, lookout) == 8);
};

/// What concerns all who wait in the space.
#[derive(Debug)]
#[repr(C)]
struct Alarm {
    /// Deaths confirmed so far: every sleeper watches it.
    epoch: AtomicU32,
    /// Rung at every wake that somebody might hear of who does not sleep on the word itself.
    bell: Bell,
}

/// The live part of a control segment, followed by its participants.
#[derive(Debug)]
#[repr(C)]
pub struct Control {
    fixed: [u8; 128],
    alarm: Padded<Alarm>,
    /// How the sleepers take turns at looking for the dead.
    looks: Padded<Looks>,
    /// Where the search for a free slot begins.
    next: Padded<AtomicU32>,
    sites: Sites,
}

const _: () = {
    assert!(size_of::<Control>() == 98944);
    assert!(offset_of!(Control, alarm) == 128);
    assert!(offset_of!(Alarm, epoch) == 0);
    assert!(offset_of!(Alarm, bell) == 4);
    assert!(offset_of!(Control, looks) == 256);
    assert!(offset_of!(Control, next) == 384);
    assert!(offset_of!(Control, sites) == 512);
};

/// A participant's line.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct Participant {
    /// `generation << 2 | state`.
    state: AtomicU32,
    pid: AtomicU32,
    start: AtomicU64,
    attached: AtomicU64,
    died: AtomicU64,
    label: [AtomicU64; 4],
    program: [AtomicU64; 4],
}

const _: () = {
    assert!(size_of::<Participant>() == 128);
    assert!(offset_of!(Participant, state) == 0);
    assert!(offset_of!(Participant, pid) == 4);
    assert!(offset_of!(Participant, start) == 8);
    assert!(offset_of!(Participant, attached) == 16);
    assert!(offset_of!(Participant, died) == 24);
    assert!(offset_of!(Participant, label) == 32);
    assert!(offset_of!(Participant, program) == 64);
};

/// What a participant slot is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(crate) enum State {
    Free = 0,
    Alive = 1,
    Dead = 2,
    /// On its way from alive to free; there until its byte is unlocked, like one alive.
    Leaving = 3,
}

impl State {
    /// Does the byte decide whether this participant is there?
    pub(crate) fn is_there(self) -> bool {
        matches!(self, Self::Alive | Self::Leaving)
    }
}

/// A participant as shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParticipantInfo {
    /// Its identity in ownership words.
    pub owner: Owner,
    /// Its process id in its own pid namespace.
    pub pid: u32,
    /// What it calls itself.
    pub label: String,
    /// Its program.
    pub program: String,
    /// When it attached, in wall-clock nanoseconds.
    pub attached: u64,
    /// When its death was noticed, in monotonic nanoseconds.
    pub died: Option<u64>,
}

impl ParticipantInfo {
    /// What to call it: its label, or else its program.
    pub fn called(self) -> String {
        if self.label.is_empty() { self.program } else { self.label }
    }
}

/// The slot of an owner id.
#[inline]
pub(crate) fn index(owner: Owner) -> u32 {
    owner.get() & INDEX_MASK
}

/// The generation of an owner id.
#[inline]
pub(crate) fn generation(owner: Owner) -> u32 {
    owner.get() >> INDEX_BITS
}

/// The owner id of a slot's generation; generations are 1 to 2^20 - 1.
pub(crate) fn owner(index: u32, generation: u32) -> Owner {
    Owner::new((index & INDEX_MASK) | (generation & GENERATION_MASK).max(1) << INDEX_BITS)
        .unwrap_or_else(orphan)
}

/// An id that no slot ever has: whoever carries it counts as gone.
pub(crate) const fn orphan() -> Owner {
    Owner::new(INDEX_MASK | 1 << INDEX_BITS).expect("not zero")
}

/// The generation after this one.
pub(crate) fn following(generation: u32) -> u32 {
    ((generation + 1) & GENERATION_MASK).max(1)
}

impl Control {
    /// Bytes of a control segment for so many participants.
    pub(crate) const fn size(participants: u32) -> usize {
        size_of::<Self>() + participants as usize * size_of::<Participant>()
    }

    /// The epoch word, to sleep on.
    #[inline]
    pub(crate) fn epoch(&self) -> &AtomicU32 {
        &self.alarm.epoch
    }

    #[inline]
    pub(crate) fn bell(&self) -> &Bell {
        &self.alarm.bell
    }

    pub(crate) fn looks(&self) -> &Looks {
        &self.looks
    }

    pub(crate) fn next(&self) -> &AtomicU32 {
        &self.next
    }

    pub(crate) fn sites(&self) -> &Sites {
        &self.sites
    }

    /// The text of a call site.
    pub fn site(&self, site: SiteId) -> Option<String> {
        self.sites.resolve(site)
    }
}

impl Participant {
    #[inline]
    pub(crate) fn state(&self) -> (u32, State) {
        decode(self.state.load(Acquire))
    }

    pub(crate) fn publish(&self, generation: u32, state: State) {
        // Publishes the line written before to whoever reads the state.
        self.state.store(generation << 2 | state as u32, Release);
    }

    /// Alive to dead, or leaving to free, unless somebody was faster.
    pub(crate) fn bury(&self, generation: u32, now: u64) {
        self.died.store(now, Relaxed);
        for (from, to) in [(State::Alive, State::Dead), (State::Leaving, State::Free)] {
            let [from, to] = [from, to].map(|state| generation << 2 | state as u32);
            if self.state.compare_exchange(from, to, Release, Relaxed).is_ok() {
                return;
            }
        }
    }

    pub(crate) fn write(&self, pid: u32, start: u64, wall: u64, label: &str, program: &str) {
        self.pid.store(pid, Relaxed);
        self.start.store(start, Relaxed);
        self.attached.store(wall, Relaxed);
        self.died.store(0, Relaxed);
        write_text(&self.label, label);
        write_text(&self.program, program);
    }

    /// The number of a process that did not know it when its line was written.
    pub(crate) fn set_pid(&self, pid: u32) {
        self.pid.store(pid, Relaxed);
    }

    /// A forked child takes over what its parent said, under its own pid.
    pub(crate) fn write_forked(&self, parent: &Self, pid: u32, wall: u64) {
        self.pid.store(pid, Relaxed);
        self.start.store(0, Relaxed);
        self.attached.store(wall, Relaxed);
        self.died.store(0, Relaxed);
        for (to, from) in self.label.iter().zip(&parent.label) {
            to.store(from.load(Relaxed), Relaxed);
        }
        for (to, from) in self.program.iter().zip(&parent.program) {
            to.store(from.load(Relaxed), Relaxed);
        }
    }

    pub(crate) fn describe(&self, index: u32) -> ParticipantInfo {
        let (generation, state) = self.state();
        ParticipantInfo {
            owner: owner(index, generation),
            pid: self.pid.load(Relaxed),
            label: read_text(&self.label),
            program: read_text(&self.program),
            attached: self.attached.load(Relaxed),
            // One who was late to bury the line's last owner may have left a time in the line of a living one.
            died: (state == State::Dead).then(|| self.died.load(Relaxed)),
        }
    }
}

fn decode(word: u32) -> (u32, State) {
    let state = match word & 3 {
        1 => State::Alive,
        2 => State::Dead,
        3 => State::Leaving,
        _ => State::Free,
    };
    (word >> 2 & GENERATION_MASK, state)
}

fn write_text(words: &[AtomicU64; 4], s: &str) {
    for (word, chunk) in words.iter().zip(fixed::<32>(s).as_chunks::<8>().0) {
        word.store(u64::from_le_bytes(*chunk), Relaxed);
    }
}

fn read_text(words: &[AtomicU64; 4]) -> String {
    let read: [u64; 4] = std::array::from_fn(|i| words[i].load(Relaxed));
    text(read.map(u64::to_le_bytes).as_flattened())
}
