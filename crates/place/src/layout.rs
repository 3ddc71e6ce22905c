//! How types are recognised across programs, and the version of the format.

use std::any::type_name as full_name;

/// Raised whenever any byte of the format changes its meaning.
pub const FORMAT_VERSION: u32 = 1;

/// A type's name without the paths of its modules: `[demo::Order; 4]` is `[Order; 4]`. Two programs that declare the same type in
/// different modules agree on it.
pub fn type_name<T: ?Sized>() -> String {
    let mut short = String::new();
    let mut word = 0; // where the current identifier begins in `short`
    for c in full_name::<T>().chars() {
        short.push(c);
        if short.ends_with("::") {
            short.truncate(word);
        } else if !(c.is_alphanumeric() || c == '_' || c == ':') {
            word = short.len();
        }
    }
    short
}

/// What must agree for two programs to share a value of type `T`: its short name, size and alignment.
pub fn type_layout<T>() -> u64 {
    let mut hash = Fnv::new();
    hash.write(type_name::<T>().as_bytes());
    hash.write(&(size_of::<T>() as u64).to_le_bytes());
    hash.write(&(align_of::<T>() as u64).to_le_bytes());
    hash.0
}

/// What must agree for two programs to exchange messages: the short name of what they encode.
pub fn message_layout(type_name: &str) -> u64 {
    let mut hash = Fnv::new();
    hash.write(b"message ");
    hash.write(type_name.as_bytes());
    hash.0
}

/// This boot's id: memory does not outlive a boot, but `ANTIPHON_DIR` may be on a disk.
pub(crate) fn boot() -> [u8; 16] {
    antiphon_sys::process::boot_id().unwrap_or_default().to_le_bytes()
}

/// FNV-1a, 64 bits (Fowler, Noll, Vo): a fingerprint that is the same in every build, unlike std's hasher.
pub(crate) struct Fnv(pub(crate) u64);

impl Fnv {
    pub(crate) fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

/// A string cut to `N` bytes at a character boundary and padded with zeros.
pub(crate) fn fixed<const N: usize>(text: &str) -> [u8; N] {
    let mut end = text.len().min(N);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut bytes = [0; N];
    bytes[..end].copy_from_slice(&text.as_bytes()[..end]);
    bytes
}

/// The string in a zero-padded field, whatever bytes are there.
pub(crate) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Order;

    #[test]
    fn short_names() {
        assert_eq!(type_name::<u64>(), "u64");
        assert_eq!(type_name::<Order>(), "Order");
        assert_eq!(type_name::<[Order; 4]>(), "[Order; 4]");
        assert_eq!(type_name::<Option<Vec<Order>>>(), "Option<Vec<Order>>");
    }

    #[test]
    fn layouts_differ() {
        assert_ne!(type_layout::<u64>(), type_layout::<i64>());
        assert_ne!(type_layout::<u64>(), type_layout::<[u32; 2]>());
    }

    #[test]
    fn fixed_text_keeps_characters_whole() {
        assert_eq!(text(&fixed::<4>("abcé")), "abc");
        assert_eq!(text(&fixed::<8>("abcé")), "abcé");
    }
}
