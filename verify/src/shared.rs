//! Memory that a process shares with the children it forks: where they note what they did, outside of all that is tested.

use std::ops::Deref;
use std::ptr::{self, NonNull};

use zerocopy::FromZeros;

/// A `T`, zero at first, seen by this process and all that are forked from it. It ends with the last of them.
#[derive(Debug)]
pub struct Shared<T>(NonNull<T>);

// SAFETY: a shared reference to a `Sync` value is all that this gives.
unsafe impl<T: Sync> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Shared<T> {}

impl<T: FromZeros + Sync> Shared<T> {
    /// A new one.
    ///
    /// # Panics
    /// When there is no memory.
    #[must_use]
    pub fn new() -> Self {
        const { assert!(align_of::<T>() <= 4096) };
        let (read_write, kind) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: it asks for a new mapping anywhere.
        let base = unsafe { libc::mmap(ptr::null_mut(), size_of::<T>(), read_write, kind, -1, 0) };
        assert!(base != libc::MAP_FAILED, "no memory for {} bytes", size_of::<T>());
        Self(NonNull::new(base.cast()).expect("a mapping is not at zero"))
    }
}

impl<T: FromZeros + Sync> Default for Shared<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: the mapping is as long as a `T`, zero at first, which is valid, and lives as long as `self`.
        unsafe { self.0.as_ref() }
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // SAFETY: it is our mapping, and nobody refers to it any more in this process.
        unsafe { libc::munmap(self.0.as_ptr().cast(), size_of::<T>()) };
    }
}
