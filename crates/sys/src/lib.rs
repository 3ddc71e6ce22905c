//! The kernel as antiphon uses it: futexes, clocks, memory, processes, descriptors. Linux only.
//!
//! | question | file |
//! |---|---|
//! | How does one sleep and wake? | [`futex`], [`threads`] for the scope of one process, and [`rolls`] for waiting without sleeping |
//! | Who pays for the order of a write and a look? | [`fence`] |
//! | What time is it? | [`clock`] |
//! | Who am I? | [`thread`], [`process`], [`fork`] for what changes in a child, [`spawn`] for new programs |
//! | Where do bytes live that others see? | [`memory`], [`directory`], and [`image`] for functions |
//! | How do bytes go to another program? | [`socket`], [`descriptor`] for open files, [`poll`] to wait for them |
//! | What can nobody guess? | [`random`] |
//! | Who is alive? | [`descriptor`] (byte locks), [`watch`] (news that a file was closed), [`process`] (pidfd) |
//!
//! Nothing here knows a primitive: the callers decide what a word, a byte or a file means.

pub mod clock;
pub mod descriptor;
pub mod directory;
pub mod fence;
pub mod fork;
pub mod futex;
pub mod image;
pub mod memory;
pub mod poll;
pub mod process;
pub mod random;
pub mod rolls;
pub mod socket;
pub mod spawn;
pub mod thread;
pub mod threads;
pub mod watch;

#[cfg(test)]
mod alone;
mod error;
mod stat;
