//! Named groups of bits in a 64-bit word.

/// Some neighbouring bits of a word, read and written as a number.
#[derive(Clone, Copy)]
pub(crate) struct Field {
    shift: u32,
    bits: u32,
}

impl Field {
    /// The `bits` bits from bit `shift` up.
    pub(crate) const fn new(shift: u32, bits: u32) -> Self {
        assert!(bits < 64 && shift + bits <= 64);
        Self { shift, bits }
    }

    /// The `bits` bits above this field.
    pub(crate) const fn then(self, bits: u32) -> Self {
        Self::new(self.end(), bits)
    }

    /// The number of the bit above this field.
    pub(crate) const fn end(self) -> u32 {
        self.shift + self.bits
    }

    /// The largest number it holds.
    pub(crate) const fn max(self) -> u64 {
        (1 << self.bits) - 1
    }

    /// Its number in `word`.
    #[inline]
    pub(crate) const fn get(self, word: u64) -> u64 {
        (word >> self.shift) & self.max()
    }

    /// A word with `value`, cut to size, in this field and zero elsewhere.
    #[inline]
    pub(crate) const fn of(self, value: u64) -> u64 {
        (value & self.max()) << self.shift
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Field;

    #[test]
    fn fields_stand_beside_each_other() {
        const LOW: Field = Field::new(0, 10);
        const HIGH: Field = LOW.then(54);
        let word = LOW.of(1023) | HIGH.of(5);
        assert_eq!((LOW.get(word), HIGH.get(word)), (1023, 5));
        assert_eq!(LOW.of(1024), 0, "cut, never spilled");
        assert_eq!(HIGH.end(), 64);
    }
}
