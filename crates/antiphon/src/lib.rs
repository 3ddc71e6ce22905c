//! Synchronization and communication that work the same between threads and between processes, and survive `kill -9`.

pub mod comm;
pub mod death;
pub mod error;
pub mod process;
pub mod space;
pub mod sync;

pub use death::{Cause, Death};
pub use space::Space;

/// Looking at spaces and objects from outside: no attaching, nobody paused.
pub mod inspect {
    pub use crate::space::inspect::{Activity, Fact, Party, activity};
    pub use antiphon_place::{
        Counter, Kind, ObjectInfo, ParticipantInfo, Record, SpaceInfo, WaiterInfo, base_directory,
        clean, inspect_object, inspect_space, list_spaces, remove_object, remove_space,
    };
}
