//! Our spaces: a name for each scene, and a space with many objects in it.

use crate::clock::now;
use antiphon::Space;
use antiphon::space::Mutex;

/// The address of a space that no other scene uses. It goes when its last user has gone.
pub fn unique_name() -> String {
    format!("host:bench-{}-{}", std::process::id(), now())
}

/// Opens the space of a scene.
pub fn open(name: &str) -> Space {
    Space::open(name).expect("a space")
}

/// A space that holds many mutexes, as one process sees it.
pub struct Crowd {
    space: Space,
    mutexes: Vec<Mutex<u64>>,
}

impl Crowd {
    pub fn enter(name: &str) -> Self {
        Self { space: open(name), mutexes: Vec::new() }
    }

    /// Opens the nth mutex, creating it if need be, and keeps it open.
    pub fn open(&mut self, n: usize) {
        let mutex = self.space.mutex(&format!("object-{n}"), 0_u64).expect("a mutex");
        self.mutexes.push(mutex);
    }

    /// Locks and unlocks the mutex that was opened last.
    pub fn lock_one(&self) {
        let mutex = self.mutexes.last().expect("one was opened");
        *mutex.lock().expect("nobody died") += 1;
    }
}
