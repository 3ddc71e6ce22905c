//! The one door to atomics and cells: `core`'s in a normal build, a model checker's under `cfg(loom)` and `cfg(shuttle)`.
//!
//! loom explores every execution of a small model, with all that weak orderings allow; shuttle takes random walks through
//! large ones, in which every access is sequentially consistent. Both build the algorithms from the same source.
//!
//! loom 0.7 orders a thread's own load before its compare-exchange in a way that hides races with other threads' loads
//! (tokio-rs/loom issues 166 and 392), so it would explore a single execution of most of our algorithms. The shim below makes every
//! access touch a companion atomic with a read-modify-write first, which restores the branch points.
//! loom also takes `SeqCst` for `AcqRel` in accesses, but models fences: the shim puts a fence between any two accesses of a
//! thread that ask for `SeqCst`, and none for a single one, which orders nothing.
//!
//! Of shuttle's atomics only the choice of the next thread is used: the shim wraps `core`'s, so that words keep their layout.
//! Under either checker, every access is a point at which a victim of `model` may die, and the dead see and change copies only.

#[cfg(not(any(loom, shuttle)))]
pub use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

#[cfg(shuttle)]
pub use core::sync::atomic::{Ordering, fence};
#[cfg(loom)]
pub use loom::sync::atomic::{Ordering, fence};
#[cfg(any(loom, shuttle))]
pub use shim::{AtomicU32, AtomicU64};

/// Declares a constructor `const` where the atomics allow it (everywhere but under loom).
macro_rules! constructor {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),*) -> Self $body:block) => {
        #[cfg(not(loom))]
        $(#[$meta])*
        #[must_use]
        $vis const fn $name($($arg: $ty),*) -> Self $body
        #[cfg(loom)]
        $(#[$meta])*
        #[must_use]
        $vis fn $name($($arg: $ty),*) -> Self $body
    };
}
pub(crate) use constructor;

#[cfg(any(loom, shuttle))]
mod shim {
    use super::Ordering;

    macro_rules! shimmed {
        ($name:ident, $int:ty) => {
            #[allow(missing_docs)]
            impl $name {
                pub fn load(&self, order: Ordering) -> $int {
                    self.access(order, false, |a| a.load(order))
                }
                pub fn store(&self, value: $int, order: Ordering) {
                    self.access(order, true, |a| a.store(value, order));
                }
                pub fn swap(&self, value: $int, order: Ordering) -> $int {
                    self.access(order, true, |a| a.swap(value, order))
                }
                pub fn compare_exchange(
                    &self,
                    current: $int,
                    new: $int,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$int, $int> {
                    self.access(success, true, |a| {
                        a.compare_exchange(current, new, success, failure)
                    })
                }
                pub fn compare_exchange_weak(
                    &self,
                    current: $int,
                    new: $int,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$int, $int> {
                    self.compare_exchange(current, new, success, failure)
                }
                pub fn fetch_add(&self, value: $int, order: Ordering) -> $int {
                    self.access(order, true, |a| a.fetch_add(value, order))
                }
                pub fn fetch_sub(&self, value: $int, order: Ordering) -> $int {
                    self.access(order, true, |a| a.fetch_sub(value, order))
                }
                pub fn fetch_or(&self, value: $int, order: Ordering) -> $int {
                    self.access(order, true, |a| a.fetch_or(value, order))
                }
                pub fn fetch_and(&self, value: $int, order: Ordering) -> $int {
                    self.access(order, true, |a| a.fetch_and(value, order))
                }
                pub fn fetch_xor(&self, value: $int, order: Ordering) -> $int {
                    self.access(order, true, |a| a.fetch_xor(value, order))
                }
                pub fn fetch_max(&self, value: $int, order: Ordering) -> $int {
                    self.access(order, true, |a| a.fetch_max(value, order))
                }
            }

            impl Default for $name {
                fn default() -> Self {
                    Self::new(0)
                }
            }
        };
    }
    shimmed!(AtomicU32, u32);
    shimmed!(AtomicU64, u64);

    #[cfg(loom)]
    pub use companion::{AtomicU32, AtomicU64};
    #[cfg(shuttle)]
    pub use turns::{AtomicU32, AtomicU64};

    impl AtomicU32 {
        /// The newest value, as a system call would read it. Not a step.
        pub(crate) fn latest(&self) -> u32 {
            self.inner.fetch_or(0, Ordering::Relaxed)
        }
    }

    #[cfg(shuttle)]
    mod turns {
        use core::sync::atomic;

        use super::Ordering;

        macro_rules! wrapped {
            ($name:ident, $int:ty) => {
                /// An atomic before whose every access another thread may run.
                #[derive(Debug)]
                #[repr(transparent)]
                pub struct $name {
                    pub(super) inner: atomic::$name,
                }

                impl $name {
                    /// An atomic that holds `value`.
                    pub const fn new(value: $int) -> Self {
                        Self { inner: atomic::$name::new(value) }
                    }

                    pub(super) fn access<T>(
                        &self,
                        _order: Ordering,
                        _writes: bool,
                        access: impl FnOnce(&atomic::$name) -> T,
                    ) -> T {
                        if crate::model::step() {
                            return access(&atomic::$name::new(self.inner.load(Ordering::Relaxed)));
                        }
                        // The checker's way to let it choose who runs next is an access to one of its own.
                        let _ =
                            shuttle::sync::atomic::AtomicBool::new(false).load(Ordering::SeqCst);
                        access(&self.inner)
                    }
                }
            };
        }
        wrapped!(AtomicU32, u32);
        wrapped!(AtomicU64, u64);
    }

    #[cfg(loom)]
    mod companion {
        extern crate std;

        use core::cell::Cell;

        use loom::sync::atomic::{self, AtomicUsize, fence};

        use super::Ordering;

        macro_rules! accompanied {
            ($name:ident, $int:ty) => {
                /// An atomic whose every access first touches a companion. See the module's documentation.
                #[derive(Debug)]
                pub struct $name {
                    pub(super) inner: atomic::$name,
                    companion: AtomicUsize,
                }

                impl $name {
                    /// An atomic that holds `value`.
                    pub fn new(value: $int) -> Self {
                        Self { inner: atomic::$name::new(value), companion: AtomicUsize::new(0) }
                    }

                    /// One access, which may be a write if `writes`.
                    pub(super) fn access<T>(
                        &self,
                        order: Ordering,
                        writes: bool,
                        access: impl FnOnce(&atomic::$name) -> T,
                    ) -> T {
                        if crate::model::step() {
                            return access(&atomic::$name::new(self.inner.load(Ordering::Relaxed)));
                        }
                        self.companion.fetch_add(1, Ordering::Relaxed);
                        order_access(order == Ordering::SeqCst, writes);
                        access(&self.inner)
                    }
                }
            };
        }
        accompanied!(AtomicU32, u32);
        accompanied!(AtomicU64, u64);

        loom::thread_local! {
            /// This thread's last access that asked for `SeqCst` is not yet followed by a fence.
            static UNFENCED: Cell<bool> = Cell::new(false);
        }

        /// Puts a fence between two accesses that ask for `SeqCst`: before the second one, but at the latest before a write that
        /// does not, so that such a write is not ordered with what follows it.
        fn order_access(sequential: bool, writes: bool) {
            UNFENCED.with(|unfenced| {
                if unfenced.get() && (sequential || writes) {
                    fence(Ordering::SeqCst);
                    unfenced.set(false);
                }
                if sequential {
                    unfenced.set(true);
                }
            });
        }
    }
}
