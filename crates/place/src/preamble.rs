//! How every segment begins: what it is, in which version, how long.

use std::mem::offset_of;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::layout::{FORMAT_VERSION, Fnv};

/// First bytes of every segment.
const MAGIC: [u8; 8] = *b"ANTIPHON";

/// The first bytes of the part of a segment that never changes. That part ends with a [`checksum`] of all of it.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct Preamble {
    magic: [u8; 8],
    version: u32,
    /// 0 for a control segment, else the number of a [`Kind`](crate::Kind).
    pub(crate) kind: u32,
    /// Bytes of the file.
    pub(crate) total: u64,
}

const _: () = {
    assert!(size_of::<Preamble>() == 24);
    assert!(offset_of!(Preamble, magic) == 0);
    assert!(offset_of!(Preamble, version) == 8);
    assert!(offset_of!(Preamble, kind) == 12);
    assert!(offset_of!(Preamble, total) == 16);
};

impl Preamble {
    pub(crate) fn new(kind: u32, total: u64) -> Self {
        Self { magic: MAGIC, version: FORMAT_VERSION, kind, total }
    }

    /// Does a file of `length` bytes begin like a segment of ours, whose checksum is as good as `sum_is_right` says? Says why
    /// not.
    pub(crate) fn check(&self, sum_is_right: bool, length: u64) -> Result<(), &'static str> {
        if self.magic != MAGIC {
            return Err("it does not begin with antiphon's mark");
        }
        if self.version != FORMAT_VERSION {
            return Err("it was written by another version of antiphon");
        }
        if !sum_is_right {
            return Err("its header is damaged");
        }
        if self.total != length {
            return Err("its length is not what its header says");
        }
        Ok(())
    }
}

/// The checksum of a fixed part, of which it is the last field.
pub(crate) fn checksum<T: IntoBytes + Immutable>(fixed: &T) -> u64 {
    let mut hash = Fnv::new();
    hash.write(&fixed.as_bytes()[..size_of::<T>() - size_of::<u64>()]);
    hash.0
}
