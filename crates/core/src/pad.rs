//! Keeps words that different parties write on different cache lines.

use core::ops::{Deref, DerefMut};

/// Aligns `T` to 128 bytes: x86-64 prefetches lines in adjacent pairs, so 64 bytes would still share traffic
/// (Intel 64 and IA-32 Optimization Reference Manual, "Spatial Prefetcher").
#[derive(Debug, Default, Clone, Copy)]
#[repr(C, align(128))]
pub struct Padded<T>(pub T);

impl<T> Deref for Padded<T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Padded<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}
