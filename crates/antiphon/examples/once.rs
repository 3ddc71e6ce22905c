//! Four processes need the same thing prepared; one of them does it, the others wait for it.
//!
//! `cargo run --example once -p antiphon`

use std::error::Error;
use std::thread;
use std::time::Duration;

use antiphon::{Space, process};

/// Runs in a child process. Returns whether it did the preparing.
fn work(worker: u32) -> bool {
    let space = Space::open("host:example-once").unwrap();
    let prepared = space.once("prepared").unwrap();
    let table = space.mutex("table", [0u32; 8]).unwrap();
    let mut did_it = false;
    prepared
        .call_once(|death| {
            if let Some(death) = death {
                println!("worker {worker} begins again: {death}");
            }
            println!("worker {worker} prepares the table");
            thread::sleep(Duration::from_millis(100));
            *table.lock().unwrap() = [1, 1, 2, 3, 5, 8, 13, 21];
            did_it = true;
        })
        .unwrap();
    println!("worker {worker} reads {:?}", *table.lock().unwrap());
    did_it
}

fn main() -> Result<(), Box<dyn Error>> {
    process::init();
    // Keeps the space until all children are through.
    let _space = Space::open("host:example-once")?;
    let workers = (1..=4).map(|n| process::spawn(work, n)).collect::<Result<Vec<_>, _>>()?;
    let mut times = 0;
    for worker in workers {
        times += u32::from(worker.join()?);
    }
    println!("prepared {times} time");
    assert_eq!(times, 1);
    Ok(())
}
