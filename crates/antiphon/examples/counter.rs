//! The first program that everybody writes: many add to one counter, and nothing is lost.
//!
//! `cargo run --example counter -p antiphon`

use std::error::Error;
use std::thread;

use antiphon::{Space, process, space, sync};

const WORKERS: u32 = 4;
const EACH: u32 = 10_000;

/// Shared by the threads of this process.
static COUNTER: sync::Mutex<u64> = sync::Mutex::new(0);

/// Runs in a child process, to which the mutex was sent.
fn count(counter: space::Mutex<u64>) {
    for _ in 0..EACH {
        *counter.lock().unwrap() += 1;
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    // In a child process this runs `count`, and the child ends here.
    process::init();

    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                for _ in 0..EACH {
                    *COUNTER.lock().unwrap() += 1;
                }
            });
        }
    });
    println!("Counter of {WORKERS} threads:   {}", *COUNTER.lock().unwrap());

    // A space without a name: it leaves nothing behind, and its objects travel to children.
    let counter = Space::anonymous()?.mutex("counter", 0u64)?;
    let children = (0..WORKERS)
        .map(|_| process::spawn(count, counter.clone()))
        .collect::<Result<Vec<_>, _>>()?;
    for child in children {
        child.join()?;
    }
    println!("Counter of {WORKERS} processes: {}", *counter.lock().unwrap());
    Ok(())
}
