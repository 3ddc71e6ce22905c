//! Processes that work in step: nobody begins a phase before all have ended the last one.
//!
//! `cargo run --example phases -p antiphon`

use std::error::Error;
use std::thread;
use std::time::Duration;

use antiphon::{Space, process};

const PARTIES: u32 = 3;
const PHASES: u32 = 3;

/// Runs in a child process.
fn work(party: u32) {
    let space = Space::open("host:example-phases").unwrap();
    let barrier = space.barrier("phase-ends", PARTIES).unwrap();
    for phase in 1..=PHASES {
        thread::sleep(Duration::from_millis(u64::from(party) * 20));
        println!("phase {phase}: party {party} is done");
        // The last to arrive runs the action, then all go on.
        barrier.wait_with(|| println!("phase {phase}: complete, says party {party}")).unwrap();
    }
    // From here on this process's end, however it comes, breaks nothing.
    barrier.leave();
}

fn main() -> Result<(), Box<dyn Error>> {
    process::init();
    // Keeps the space until all children are through.
    let _space = Space::open("host:example-phases")?;
    let parties = (1..=PARTIES).map(|n| process::spawn(work, n)).collect::<Result<Vec<_>, _>>()?;
    for party in parties {
        party.join()?;
    }
    Ok(())
}
