//! A parent and a child that talk, until the child is killed: the parent is told, with everything the child had said.
//!
//! ```sh
//! cargo run -p antiphon --example pipe
//! ```

use antiphon::error::pipe::RecvError;
use antiphon::space::Connection;
use antiphon::{Space, process};

/// Counts for as long as it is asked to.
fn count(end: Connection) {
    let mut n = 0u64;
    while let Ok(step) = end.recv_value::<u64>() {
        n += step;
        end.send_value(&n).expect("the parent lives");
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    process::init();
    let space = Space::anonymous()?;
    let (ours, theirs) = space.pipe("count", 4096)?;
    let child = process::spawn(count, theirs)?;
    for step in 1..=3u64 {
        ours.send_value(&step)?;
        println!("{}", ours.recv_value::<u64>()?);
    }
    child.kill()?;
    assert_eq!(ours.recv(), Err(RecvError::Closed));
    println!("{}", ours.recv().unwrap_err());
    Ok(())
}
