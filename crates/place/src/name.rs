//! The rule for names of spaces and objects: they become file names.

use crate::error::Error;

/// Longest name, in bytes.
pub(crate) const MAX_NAME: usize = 100;

/// Checks a name: 1 to 100 of `A-Z a-z 0-9 . _ -`, not beginning with a dot.
///
/// # Errors
/// [`Error::BadName`] with the rule it breaks.
pub fn check_name(name: &str) -> Result<(), Error> {
    let bad = |why| Err(Error::BadName { name: name.to_owned(), why });
    if name.is_empty() {
        return bad("it is empty");
    }
    if name.len() > MAX_NAME {
        return bad("it is longer than 100 bytes");
    }
    if name.starts_with('.') {
        return bad("it begins with a dot");
    }
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')) {
        return bad("only letters, digits, '.', '_' and '-' are allowed");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "orders.2026-11", "A_b-c", &"x".repeat(100)] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", ".control", "a/b", "a b", "é", "a\0", &"x".repeat(101)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
