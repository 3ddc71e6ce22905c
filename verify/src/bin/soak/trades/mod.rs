//! What the workers of a soak do: a trade per primitive.
//!
//! A turn takes a moment, waits with a timeout where it may have to wait for others, and says what must not be.

mod locks;
mod queues;
mod spaces;
mod stock;
mod stores;
mod talks;
mod waits;

use antiphon::Space;
use antiphon_verify::random::{Random, mix};

/// A use of one primitive.
pub(crate) trait Trade {
    /// Does a bit of it.
    fn turn(&mut self, space: &Space, random: &mut Random) -> Result<(), String>;
}

/// A seed, and what follows from it: an item that notices when it is not whole.
fn words<const N: usize>(seed: u64) -> [u64; N] {
    std::array::from_fn(|i| if i == 0 { seed } else { mix(seed.wrapping_add(i as u64)) })
}

macro_rules! trades {
    ($($name:literal => $trade:path,)*) => {
        /// What the trades are called, in the order of [`all`].
        pub(crate) const NAMES: &[&str] = &[$($name),*];

        /// Every trade, with its objects opened.
        pub(crate) fn all(space: &Space) -> Vec<Box<dyn Trade>> {
            vec![$(Box::new(<$trade>::open(space))),*]
        }
    };
}

trades! {
    "mutex" => locks::Mutexes,
    "reentrant mutex" => locks::Reentrant,
    "rwlock" => locks::RwLocks,
    "semaphore" => waits::Semaphores,
    "condvar" => waits::Condvars,
    "event" => waits::Events,
    "barrier" => waits::Barriers,
    "queue" => queues::Plain,
    "byte queue" => queues::Bytes,
    "message queue" => queues::Messages,
    "job queue" => queues::Jobs,
    "lifo queue" => stock::Lifo,
    "priority queue" => stock::Priorities,
    "loan queue" => stock::Loans,
    "dict" => stores::Dicts,
    "list" => stores::Lists,
    "topic" => talks::Topics,
    "service" => talks::Services,
    "objects" => spaces::Objects,
    "spaces" => spaces::Spaces,
}
