//! The header of an object's segment: what it is, fixed at creation, and what it says about itself since.

use std::mem::offset_of;

use antiphon_core::owner::Owner;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::error::Error;
use crate::layout::{fixed, text};
use crate::preamble::{Preamble, checksum};
use crate::record::Statistics;
use crate::waiters::Waiters;

/// What an object is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
#[allow(missing_docs)]
pub enum Kind {
    Mutex = 1,
    ReentrantMutex = 2,
    RwLock = 3,
    Semaphore = 4,
    Condvar = 5,
    Event = 6,
    Barrier = 7,
    Once = 8,
    Latch = 9,
    Queue = 10,
    ByteQueue = 11,
    PriorityQueue = 12,
    LifoQueue = 13,
    JobQueue = 14,
    LoanQueue = 15,
    Pipe = 16,
    Memory = 17,
    Dict = 18,
    List = 19,
    Topic = 20,
    Service = 21,
    WaitGroup = 23,
    OnceValue = 24,
}

impl Kind {
    const ALL: &[(Self, &'static str)] = &[
        (Self::Mutex, "mutex"),
        (Self::ReentrantMutex, "reentrant mutex"),
        (Self::RwLock, "rwlock"),
        (Self::Semaphore, "semaphore"),
        (Self::Condvar, "condvar"),
        (Self::Event, "event"),
        (Self::Barrier, "barrier"),
        (Self::Once, "once"),
        (Self::Latch, "latch"),
        (Self::Queue, "queue"),
        (Self::ByteQueue, "byte queue"),
        (Self::PriorityQueue, "priority queue"),
        (Self::LifoQueue, "lifo queue"),
        (Self::JobQueue, "job queue"),
        (Self::LoanQueue, "loan queue"),
        (Self::Memory, "memory"),
        (Self::Dict, "dict"),
        (Self::List, "list"),
        (Self::Topic, "topic"),
        (Self::Service, "service"),
        (Self::WaitGroup, "wait group"),
        (Self::OnceValue, "once-written value"),
        (Self::Pipe, "pipe"),
    ];

    /// The kind with that number.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.iter().find(|(kind, _)| *kind as u32 == number).map(|(kind, _)| *kind)
    }

    /// The word for it.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("unknown", |(_, name)| name)
    }
}

/// What an object must be: given by whoever opens it, compared with what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Its kind.
    pub kind: Kind,
    /// Name of the value's or the items' type, empty where there is none.
    pub type_name: String,
    /// Fingerprint of that type, see [`type_layout`](crate::type_layout).
    pub type_layout: u64,
    /// What else is fixed at creation (capacity, parties, ...), with the word for it and whether openers must agree.
    pub params: [(&'static str, u64); 4],
    /// Bytes behind the header.
    pub body_len: usize,
}

/// The part of a header that never changes: copied once, checked, and from then on only the copy is believed.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct Fixed {
    preamble: Preamble,
    type_layout: u64,
    params: [u64; 4],
    space: [u8; 16],
    participants: u32,
    creator: u32,
    creator_pid: u32,
    _reserved: u32,
    created: u64,
    creator_label: [u8; 32],
    type_name: [u8; 64],
    site: [u8; 64],
    checksum: u64,
}

const _: () = {
    assert!(size_of::<Fixed>() == 272);
    assert!(offset_of!(Fixed, preamble) == 0);
    assert!(offset_of!(Fixed, type_layout) == 24);
    assert!(offset_of!(Fixed, params) == 32);
    assert!(offset_of!(Fixed, space) == 64);
    assert!(offset_of!(Fixed, participants) == 80);
    assert!(offset_of!(Fixed, creator) == 84);
    assert!(offset_of!(Fixed, creator_pid) == 88);
    assert!(offset_of!(Fixed, created) == 96);
    assert!(offset_of!(Fixed, creator_label) == 104);
    assert!(offset_of!(Fixed, type_name) == 136);
    assert!(offset_of!(Fixed, site) == 200);
    assert!(offset_of!(Fixed, checksum) == 264);
};

/// Who creates an object, where and when.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) space: [u8; 16],
    pub(crate) participants: u32,
    pub(crate) creator: Owner,
    pub(crate) pid: u32,
    pub(crate) label: String,
    pub(crate) site: String,
    pub(crate) wall: u64,
    /// Bytes of the body with memory behind them from the beginning.
    pub(crate) reserved: usize,
}

impl Fixed {
    pub(crate) fn new(spec: &Spec, origin: &Origin) -> Self {
        let mut this = Self {
            preamble: Preamble::new(spec.kind as u32, spec.total() as u64),
            type_layout: spec.type_layout,
            params: spec.params.map(|(_, value)| value),
            space: origin.space,
            participants: origin.participants,
            creator: origin.creator.get(),
            creator_pid: origin.pid,
            _reserved: 0,
            created: origin.wall,
            creator_label: fixed(&origin.label),
            type_name: fixed(&spec.type_name),
            site: fixed(&origin.site),
            checksum: 0,
        };
        this.checksum = checksum(&this);
        this
    }

    /// Is this the header of a segment of `length` bytes of ours? Says why not.
    pub(crate) fn check(&self, length: u64) -> Result<Kind, &'static str> {
        self.preamble.check(self.checksum == checksum(self), length)?;
        Kind::from_number(self.preamble.kind).ok_or("its kind is unknown")
    }

    /// Is it what `spec` asks for?
    pub(crate) fn matches(&self, name: &str, spec: &Spec) -> Result<(), Error> {
        let mismatch = |what, wanted: String, found: String| {
            Err(Error::Mismatch { name: name.to_owned(), what, wanted, found })
        };
        if self.preamble.kind != spec.kind as u32 {
            let found = Kind::from_number(self.preamble.kind).map_or("unknown", Kind::name);
            return mismatch("kind", spec.kind.name().to_owned(), found.to_owned());
        }
        if self.type_layout != spec.type_layout {
            return mismatch("type", spec.type_name.clone(), text(&self.type_name));
        }
        for ((what, wanted), found) in spec.params.iter().zip(self.params) {
            if *wanted != found {
                return mismatch(what, wanted.to_string(), found.to_string());
            }
        }
        if self.preamble.total != spec.total() as u64 {
            return mismatch("size", spec.total().to_string(), self.preamble.total.to_string());
        }
        Ok(())
    }

    pub(crate) fn space(&self) -> [u8; 16] {
        self.space
    }

    pub(crate) fn describe(&self) -> Described {
        Described {
            type_name: text(&self.type_name),
            params: self.params,
            created: self.created,
            creator: Owner::of_word(self.creator),
            creator_pid: self.creator_pid,
            creator_label: text(&self.creator_label),
            site: text(&self.site),
        }
    }
}

/// The fixed part in words.
#[derive(Clone, Debug)]
pub(crate) struct Described {
    pub(crate) type_name: String,
    pub(crate) params: [u64; 4],
    pub(crate) created: u64,
    pub(crate) creator: Option<Owner>,
    pub(crate) creator_pid: u32,
    pub(crate) creator_label: String,
    pub(crate) site: String,
}

impl Spec {
    /// Bytes of the whole segment.
    pub(crate) fn total(&self) -> usize {
        size_of::<Header>() + self.body_len.next_multiple_of(64)
    }
}

/// The header of an object. All but the fixed part is live.
#[derive(Debug)]
#[repr(C, align(128))]
pub struct Header {
    fixed: [u8; size_of::<Fixed>()],
    /// Counters and histograms.
    pub statistics: Statistics,
    /// Who waits.
    pub waiters: Waiters,
}

const _: () = {
    assert!(size_of::<Header>() == 1280);
    assert!(size_of::<Header>().is_multiple_of(128));
    assert!(offset_of!(Header, fixed) == 0);
    assert!(offset_of!(Header, statistics) == 272);
    assert!(offset_of!(Header, waiters) == 656);
};
