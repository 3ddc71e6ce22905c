//! Bytes that nobody can guess.

use std::io;

use crate::error::{check_size, retry};

/// Fills `bytes` from the kernel's generator.
///
/// # Errors
/// Those of `getrandom`; none on a system that has booted.
pub fn fill(mut bytes: &mut [u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let got = retry(|| {
            // SAFETY: the kernel writes within `bytes` only.
            check_size(unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) })
        })?;
        bytes = &mut bytes[got..];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn two_draws_differ() {
        let (mut a, mut b) = ([0; 32], [0; 32]);
        super::fill(&mut a).unwrap();
        super::fill(&mut b).unwrap();
        assert_ne!(a, b);
    }
}
