//! Where the bytes of antiphon's primitives live: mapped segments, the directory that names them, the participants who
//! share them, and what a death leaves behind.
//!
//! A *space* is a directory with one control segment (participants, the death epoch, call sites) and one segment per
//! object. This layer turns bytes into references, names them, and reclaims them; it never waits for another
//! participant's progress and holds no algorithm. `docs/segment-format.md` has the format byte by byte.

mod control;
mod control_file;
mod directory;
mod error;
mod forked;
mod header;
mod inspect;
mod layout;
mod name;
mod objects;
mod participant;
mod preamble;
mod private;
mod record;
mod segment;
mod site;
mod sweep;
mod waiters;

pub use control::{Control, MAX_PARTICIPANTS, ParticipantInfo};
pub use directory::{Directory, Lifetime};
pub use error::Error;
pub use header::{Header, Kind, Spec};
pub use inspect::{ObjectInfo, SpaceInfo, inspect_object, inspect_space};
pub use layout::{FORMAT_VERSION, message_layout, type_layout, type_name};
pub use name::check_name;
pub use participant::Registration;
pub use private::{base_directory, check_space_name};
pub use record::{Cause, Counter, Death, Record, Statistics};
pub use segment::{Object, Storage};
pub use site::SiteId;
pub use sweep::{clean, list_spaces, remove_object, remove_space};
pub use waiters::{WaiterInfo, Waiters, Waiting};
