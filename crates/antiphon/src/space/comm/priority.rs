//! What can be a priority in shared memory.

use antiphon_place::type_name;

/// A number that says how soon a value of a [`PriorityQueue`](super::PriorityQueue) comes out: the smallest first.
///
/// Floats are ordered as [`f64::total_cmp`] does: negative zero comes before zero, and what is not a number at either end.
/// Implemented for these numbers only.
pub trait Priority: sealed::Priority + Copy + Send + Sync + 'static {}

impl<P: sealed::Priority + Copy + Send + Sync + 'static> Priority for P {}

mod sealed {
    /// A number of 64 bits that is ordered as the priorities are.
    pub trait Priority {
        fn key(self) -> u64;
        fn of_key(key: u64) -> Self;
    }
}

impl sealed::Priority for u64 {
    #[inline]
    fn key(self) -> u64 {
        self
    }

    #[inline]
    fn of_key(key: u64) -> Self {
        key
    }
}

/// The bit that makes a number negative.
const SIGN: u64 = 1 << 63;

impl sealed::Priority for i64 {
    #[inline]
    fn key(self) -> u64 {
        self as u64 ^ SIGN
    }

    #[inline]
    fn of_key(key: u64) -> Self {
        (key ^ SIGN) as Self
    }
}

impl sealed::Priority for f64 {
    #[inline]
    fn key(self) -> u64 {
        // Of negative numbers the larger is the one whose bits are smaller.
        let bits = self.to_bits();
        if bits & SIGN == 0 { bits | SIGN } else { !bits }
    }

    #[inline]
    fn of_key(key: u64) -> Self {
        Self::from_bits(if key & SIGN == 0 { !key } else { key ^ SIGN })
    }
}

#[inline]
pub(super) fn key<P: Priority>(priority: P) -> u64 {
    priority.key()
}

#[inline]
pub(super) fn of_key<P: Priority>(key: u64) -> P {
    P::of_key(key)
}

/// The name of the items of a queue.
pub(super) fn pair_name<P: Priority>(of: &str) -> String {
    format!("({}, {of})", type_name::<P>())
}

#[cfg(test)]
mod tests {
    use super::{key, of_key};

    #[test]
    fn keys_are_ordered_as_the_numbers_are() {
        let floats = [
            f64::NEG_INFINITY,
            -1.5,
            -f64::MIN_POSITIVE,
            -0.0,
            0.0,
            1e-300,
            2.0,
            f64::INFINITY,
            f64::NAN,
        ];
        assert!(floats.is_sorted_by(|a, b| key(*a) < key(*b)));
        let integers = [i64::MIN, -1, 0, 1, i64::MAX];
        assert!(integers.is_sorted_by(|a, b| key(*a) < key(*b)));
    }

    #[test]
    fn a_key_says_its_number() {
        for number in [0.0, -0.0, 1.5, -1.5, f64::INFINITY, f64::MIN] {
            assert_eq!(of_key::<f64>(key(number)).to_bits(), number.to_bits());
        }
        for number in [i64::MIN, -7, 0, 7, i64::MAX] {
            assert_eq!(of_key::<i64>(key(number)), number);
        }
    }
}
