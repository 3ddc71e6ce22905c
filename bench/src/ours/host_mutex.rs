//! Our mutex in host: with the full owner record, the same with the watcher on, and without the record.

use super::space::unique_name;
use crate::stage::Stage;
use crate::sync::host_mutex;
use antiphon::Space;
use antiphon::error::LockError;
use antiphon::space::Mutex;

macro_rules! host_mutex {
    ($type:ident, $name:expr, $watch:literal, $open:ident) => {
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
                Self { mutex: space.$open("m", 0_u64).expect("a mutex"), _space: space }
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

host_mutex!(HostMutex, crate::marks::OURS, false, mutex);
host_mutex!(HostMutexWatched, "antiphon, watcher", true, mutex);
host_mutex!(HostMutexBare, "antiphon, owner word", false, mutex_without_record);
