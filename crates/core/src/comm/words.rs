//! Bytes in atomic words: what may be read while another writes it is torn at worst.

use crate::primitive::AtomicU64;
use crate::primitive::Ordering::Relaxed;

/// How many words so many bytes take.
pub(super) const fn words_for(bytes: u32) -> u32 {
    bytes.div_ceil(8)
}

/// Writes `bytes` into the first words. The caller publishes them.
///
/// # Panics
/// If there are too few words.
#[inline]
pub(super) fn store(words: &[AtomicU64], bytes: &[u8]) {
    let (whole, rest) = bytes.as_chunks::<8>();
    let (first, last) = words.split_at(whole.len());
    for (bytes, word) in whole.iter().zip(first) {
        word.store(u64::from_ne_bytes(*bytes), Relaxed);
    }
    if !rest.is_empty() {
        let mut end = [0; 8];
        end[..rest.len()].copy_from_slice(rest);
        last[0].store(u64::from_ne_bytes(end), Relaxed);
    }
}

/// Fills `bytes` from the first words.
///
/// # Panics
/// If there are too few words.
#[inline]
pub(super) fn load(words: &[AtomicU64], bytes: &mut [u8]) {
    let (whole, rest) = bytes.as_chunks_mut::<8>();
    let (first, last) = words.split_at(whole.len());
    for (bytes, word) in whole.iter_mut().zip(first) {
        *bytes = word.load(Relaxed).to_ne_bytes();
    }
    if !rest.is_empty() {
        let end = last[0].load(Relaxed).to_ne_bytes();
        rest.copy_from_slice(&end[..rest.len()]);
    }
}
