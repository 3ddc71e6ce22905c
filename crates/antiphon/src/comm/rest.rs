//! A vector whose items are on their way elsewhere.

use std::ptr;

/// A vector of which the first items have moved elsewhere. Dropping this closes the gap.
pub(super) struct Rest<'a, T> {
    items: &'a mut Vec<T>,
    /// The vector's length, which is 0 meanwhile, so that no item is dropped twice.
    len: usize,
    done: usize,
}

impl<'a, T> Rest<'a, T> {
    pub(super) fn of(items: &'a mut Vec<T>) -> Self {
        let len = items.len();
        // SAFETY: shorter than before.
        unsafe { items.set_len(0) };
        Self { items, len, done: 0 }
    }

    /// The first that has not moved.
    pub(super) fn start(&self) -> *const T {
        // SAFETY: at most `len`, within the vector's memory.
        unsafe { self.items.as_ptr().add(self.done) }
    }

    pub(super) fn len(&self) -> usize {
        self.len - self.done
    }

    /// The first `n` of the rest have moved.
    pub(super) fn moved(&mut self, n: usize) {
        self.done += n;
    }
}

impl<T> Drop for Rest<'_, T> {
    fn drop(&mut self) {
        let (from, n) = (self.start(), self.len());
        // SAFETY: the last `n` items are still ours, and move to the front; the two ranges may overlap.
        unsafe {
            ptr::copy(from, self.items.as_mut_ptr(), n);
            self.items.set_len(n);
        }
    }
}
