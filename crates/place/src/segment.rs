//! Bytes that hold an object: a mapped file, an unnamed file, or the heap.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::ptr::NonNull;

use antiphon_sys::memory::{self, Mapping};

use crate::error::Error;
use crate::header::{Described, Fixed, Header, Kind};
use crate::private::no_room;

/// Memory that stays where it is for as long as this value lives.
#[derive(Debug)]
pub enum Storage {
    /// A mapping shared with other processes.
    Mapped(Mapping),
    /// Zeroed heap memory of this process.
    Heap(Heap),
}

/// Zeroed heap memory, aligned for any header.
#[derive(Debug)]
pub struct Heap {
    base: NonNull<u8>,
    layout: Layout,
}

// SAFETY: the memory is only reached through atomics or under the primitives that live in it.
unsafe impl Send for Heap {}
// SAFETY: as above.
unsafe impl Sync for Heap {}

impl Heap {
    /// `None`: there is not that much.
    pub(crate) fn new(len: usize) -> Option<Self> {
        let layout = Layout::from_size_align(len.max(1), 128).ok()?;
        // SAFETY: the layout's size is not zero.
        let base = unsafe { alloc_zeroed(layout) };
        Some(Self { base: NonNull::new(base)?, layout })
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout.
        unsafe { dealloc(self.base.as_ptr(), self.layout) };
    }
}

impl Storage {
    pub(crate) fn base(&self) -> NonNull<u8> {
        match self {
            Self::Mapped(mapping) => mapping.base(),
            Self::Heap(heap) => heap.base,
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Mapped(mapping) => mapping.len(),
            Self::Heap(heap) => heap.layout.size(),
        }
    }
}

/// An object's segment, checked and mapped.
#[derive(Debug)]
pub struct Object {
    storage: Storage,
    fixed: Fixed,
    kind: Kind,
    name: String,
    file: Kept,
}

/// What becomes of an object's file once it is mapped.
#[derive(Debug)]
pub(crate) enum Kept {
    /// Nothing is left to do with it.
    No,
    /// It has no name, and the object's handles carry it.
    ForHandles(OwnedFd),
    /// More of it may be reserved.
    ForGrowth(OwnedFd),
}

impl Object {
    /// `storage` must hold a checked header of `fixed` at its start and be as long as that says.
    pub(crate) fn new(storage: Storage, fixed: Fixed, kind: Kind, name: &str, file: Kept) -> Self {
        debug_assert!(storage.len() >= size_of::<Header>());
        Self { storage, fixed, kind, name: name.to_owned(), file }
    }

    /// The live part of the header.
    pub fn header(&self) -> &Header {
        // SAFETY: the storage begins with a header (checked at creation), is aligned to a page or to 128, and everything
        // in a header may be any bytes.
        unsafe { self.storage.base().cast().as_ref() }
    }

    /// The bytes behind the header, aligned to 128.
    pub fn body(&self) -> NonNull<u8> {
        // SAFETY: the header is inside the storage.
        unsafe { self.storage.base().add(size_of::<Header>()) }
    }

    /// How many bytes that are.
    pub fn body_len(&self) -> usize {
        self.storage.len() - size_of::<Header>()
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its name, empty when it has none.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Capacity and the like, as fixed at creation; see [`Spec::params`](crate::Spec).
    pub fn params(&self) -> [u64; 4] {
        self.describe().params
    }

    /// The descriptor of an anonymous object's file.
    pub fn file(&self) -> Option<BorrowedFd<'_>> {
        match &self.file {
            Kept::ForHandles(file) => Some(file.as_fd()),
            Kept::No | Kept::ForGrowth(_) => None,
        }
    }

    /// Puts memory behind the first `len` bytes of the body, so that touching them cannot fail. What is reserved stays so.
    ///
    /// # Errors
    /// [`Error::NoRoom`], [`Error::System`].
    pub fn reserve(&self, len: usize) -> Result<(), Error> {
        match &self.file {
            Kept::ForHandles(file) | Kept::ForGrowth(file) => {
                let len = size_of::<Header>() + len.min(self.body_len());
                memory::reserve(file, len as u64).map_err(|e| no_room(e, Path::new(&self.name)))
            }
            // The heap, of which the kernel hands out pages as they are touched.
            Kept::No => Ok(()),
        }
    }

    pub(crate) fn fixed(&self) -> &Fixed {
        &self.fixed
    }

    pub(crate) fn describe(&self) -> Described {
        self.fixed.describe()
    }
}
