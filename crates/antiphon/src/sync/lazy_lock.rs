//! A value that is made when it is first looked at.

use std::fmt;
use std::ops::Deref;

use super::mutex::Mutex;
use super::once_lock::OnceLock;

/// A value that is made by the first thread that looks at it.
///
/// ```
/// use antiphon::sync::LazyLock;
///
/// static SQUARES: LazyLock<Vec<u64>> = LazyLock::new(|| (0..10).map(|n| n * n).collect());
/// assert_eq!(SQUARES[3], 9);
/// ```
pub struct LazyLock<T, F = fn() -> T> {
    cell: OnceLock<T>,
    make: Mutex<Option<F>>,
}

impl<T, F: FnOnce() -> T> LazyLock<T, F> {
    /// What `make` makes, later.
    ///
    /// ```
    /// let lazy = antiphon::sync::LazyLock::new(|| 7);
    /// assert_eq!(*lazy, 7);
    /// ```
    pub const fn new(make: F) -> Self {
        Self { cell: OnceLock::new(), make: Mutex::new(Some(make)) }
    }

    /// The value, made now if need be.
    ///
    /// # Panics
    /// If making it panics, now or earlier, or looks at the value itself.
    ///
    /// ```
    /// let lazy = antiphon::sync::LazyLock::new(|| 7);
    /// assert_eq!(antiphon::sync::LazyLock::force(&lazy), &7);
    /// ```
    #[inline]
    pub fn force(this: &Self) -> &T {
        let make = || {
            let make = this.make.try_lock().ok().and_then(|mut make| make.take());
            make.expect("making the value has panicked before")()
        };
        this.cell.get_or_init(make).expect("making the value looks at the value")
    }
}

impl<T, F: FnOnce() -> T> Deref for LazyLock<T, F> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        Self::force(self)
    }
}

impl<T: Default> Default for LazyLock<T> {
    fn default() -> Self {
        Self::new(T::default)
    }
}

impl<T: fmt::Debug, F> fmt::Debug for LazyLock<T, F> {
    /// Prints `None` rather than making the value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LazyLock").field(&self.cell.get()).finish()
    }
}
