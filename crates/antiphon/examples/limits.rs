//! Six processes, of which no more than two at a time may do the expensive part.
//!
//! `cargo run --example limits -p antiphon`

use std::error::Error;
use std::thread;
use std::time::Duration;

use antiphon::{Space, process};

/// Runs in a child process. Returns how many were at work when it was, itself included.
fn work(worker: u32) -> u32 {
    let space = Space::open("host:example-limits").unwrap();
    let limit = space.bounded_semaphore("downloads", 2).unwrap();
    let running = space.mutex("running", 0u32).unwrap();

    // Comes back when it is dropped, and also when this process is killed.
    let _permit = limit.acquire();
    let now = {
        let mut running = running.lock().unwrap();
        *running += 1;
        *running
    };
    println!("worker {worker} works, {now} at it");
    thread::sleep(Duration::from_millis(50));
    *running.lock().unwrap() -= 1;
    now
}

fn main() -> Result<(), Box<dyn Error>> {
    process::init();
    // Keeps the space until all children are through.
    let space = Space::open("host:example-limits")?;
    let workers = (1..=6).map(|n| process::spawn(work, n)).collect::<Result<Vec<_>, _>>()?;
    let mut most = 0;
    for worker in workers {
        most = most.max(worker.join()?);
    }
    println!("never more than {most} at a time");
    assert!(most <= 2);
    assert_eq!(space.bounded_semaphore("downloads", 2)?.available(), 2);
    Ok(())
}
