//! Which values may live in a space.

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Values that are nothing but their bytes: every bit pattern is valid, there is no padding and no pointer inside.
///
/// Implemented for whatever derives zerocopy's [`FromBytes`], [`IntoBytes`] and [`Immutable`]: integers, floats, arrays and
/// `#[repr(C)]` structs of those. `bool`, `char` and enums are not plain, since other processes could store a byte that is
/// none of theirs: use integers.
pub trait Plain: FromBytes + IntoBytes + Immutable + Send + 'static {}

impl<T: FromBytes + IntoBytes + Immutable + Send + 'static> Plain for T {}
