//! Other people's mutexes between threads.

use crate::sync::mutex::Mutex;

macro_rules! mutex {
    ($type:ident, $name:literal, $inner:ty, |$lock:ident| $guard:expr) => {
        pub struct $type($inner);

        impl Mutex for $type {
            const NAME: &'static str = $name;

            fn new() -> Self {
                Self(<$inner>::new(0))
            }

            #[inline]
            fn with(&self, change: impl FnOnce(&mut u64)) {
                let $lock = &self.0;
                change(&mut $guard);
            }
        }
    };
}

mutex!(Std, "std", std::sync::Mutex<u64>, |m| m.lock().unwrap());
mutex!(ParkingLot, "parking_lot", parking_lot::Mutex<u64>, |m| m.lock());
mutex!(Usync, "usync", usync::Mutex<u64>, |m| m.lock());
