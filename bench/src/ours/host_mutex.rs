//! Our mutex in host: with the full owner record, the same with the watcher on, and the owner word alone.

use super::bare::{self, Bare};
use super::space::unique_name;
use crate::stage::Stage;
use crate::sync::host_mutex;
use antiphon::Space;
use antiphon::error::LockError;
use antiphon::space::Mutex;
use antiphon_core::sync::RawMutex;

macro_rules! host_mutex {
    ($type:ident, $name:expr, $watch:literal) => {
        pub struct $type {
            mutex: Mutex<u64>,
            _space: Space,
        }

        impl host_mutex::HostMutex for $type {
            const NAME: &'static str = $name;

            fn prepare(_: &Stage) -> String {
                unique_name()
            }

            fn attach(_: &Stage, name: &str) -> Self {
                let space = Space::builder(name).watch($watch).open().expect("a space");
                Self { mutex: space.mutex("m", 0_u64).expect("a mutex"), _space: space }
            }

            #[inline]
            fn with(&self, change: impl FnOnce(&mut u64)) {
                match self.mutex.lock() {
                    Ok(mut guard) => change(&mut guard),
                    Err(LockError::OwnerDied(mut guard, _)) => {
                        guard.repair();
                        change(&mut guard);
                    }
                    Err(_) => panic!("not left by the dead, and nevertheless an error"),
                }
            }
        }
    };
}

host_mutex!(HostMutex, crate::marks::OURS, false);
host_mutex!(HostMutexWatched, "antiphon, watcher", true);

/// The word and the value, without a record of who holds it since when and where.
pub struct HostMutexBare {
    at: *mut u8,
    wait: Bare,
}

/// Where the value stands.
const VALUE: usize = 64;

impl HostMutexBare {
    #[inline]
    fn raw(&self) -> &RawMutex {
        // SAFETY: the start of a stage's area, zero at first, which is a free mutex; used as nothing else.
        unsafe { &*self.at.cast() }
    }
}

impl host_mutex::HostMutex for HostMutexBare {
    const NAME: &'static str = "antiphon, owner word";

    fn prepare(_: &Stage) -> String {
        String::new()
    }

    fn attach(stage: &Stage, _: &str) -> Self {
        Self { at: stage.area(), wait: bare::participant() }
    }

    #[inline]
    fn with(&self, change: impl FnOnce(&mut u64)) {
        let raw = self.raw();
        assert!(raw.lock(&self.wait, None).is_ok(), "nobody else is this participant");
        // SAFETY: inside the area, aligned, zero at first, and the lock makes it ours.
        change(unsafe { &mut *self.at.add(VALUE).cast::<u64>() });
        raw.unlock(&self.wait, 0);
    }
}
