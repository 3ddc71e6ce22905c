//! Processes: run a function of this program in a child process, with an argument and a result.
//!
//! It is `std::thread::spawn` for processes. The child is the same program started anew, so nothing is shared but what
//! is passed: any value that `serde` can write, and [descriptors](Descriptor) of open files. The function is a plain `fn` or a closure that
//! captures nothing.
//!
//! # Two processes
//! [`init`] is the first statement of `main`: in a child it runs the function and never returns, elsewhere it
//! does nothing. What stands before it runs in every child too.
//! ```no_run
//! use antiphon::process;
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     process::init();
//!     let child = process::spawn(|numbers: Vec<u64>| numbers.iter().sum::<u64>(), vec![1, 2, 3])?;
//!     assert_eq!(child.join()?, 6);
//!     Ok(())
//! }
//! ```
//!
//! # What a child may come to
//! A child that panics, is killed or leaves early is an error of [`join`](Child::join) that says which. No child makes
//! its parent wait for ever, at whatever moment it dies.
//! ```no_run
//! # use antiphon::process::{self, JoinError};
//! # use std::time::Duration;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # process::init();
//! let child = process::spawn(|()| std::thread::sleep(Duration::from_secs(1000)), ())?;
//! // A join that gives up gives the child back.
//! let child = match child.join_timeout(Duration::from_millis(10)) {
//!     Err(process::TryJoinError::Running(child)) => child,
//!     ended => panic!("{ended:?}"),
//! };
//! child.kill()?;
//! let error = child.join().unwrap_err();
//! assert!(matches!(error, JoinError::Ended { .. }));
//! println!("{error}"); // child process 4711 ended without a result: signal: 9 (SIGKILL)
//! # Ok(())
//! # }
//! ```
//!
//! # More than the function
//! A [`Builder`] sets the child's label, arguments, environment and standard streams.
//!
//! # In tests
//! A test binary has a `main` that is not yours. Either declare it with `harness = false`, or write one test that calls
//! [`init`] and have the child run exactly that:
//! ```no_run
//! # use antiphon::process;
//! #[test]
//! fn child_entry() {
//!     process::init();
//! }
//!
//! #[test]
//! fn three_is_three() {
//!     process::init();
//!     let child = process::Builder::new()
//!         .args(["--exact", "child_entry", "--nocapture"])
//!         .spawn(|x: u32| x, 3)
//!         .unwrap();
//!     assert_eq!(child.join().unwrap(), 3);
//! }
//! ```

mod builder;
mod child;
mod descriptor;
mod error;
mod start;
mod stdio;
mod task;

pub use builder::{Builder, spawn};
pub use child::Child;
pub use descriptor::{Descriptor, inherit, inherited};
pub use error::{Identity, JoinError, SpawnError, TryJoinError};
pub use start::{init, label};
pub use stdio::Stdio;
