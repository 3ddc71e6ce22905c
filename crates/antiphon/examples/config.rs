//! Settings that one process changes and many read, each time as a whole.
//!
//! `cargo run --example config -p antiphon`

use std::error::Error;
use std::thread;
use std::time::Duration;

use antiphon::space::RwLock;
use antiphon::{Space, process};
use zerocopy::{FromBytes, Immutable, IntoBytes};

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Config {
    version: u32,
    workers: u32,
    rate: f64,
}

const FIRST: Config = Config { version: 1, workers: 4, rate: 10.0 };
const LAST_VERSION: u32 = 3;

fn config() -> RwLock<Config> {
    Space::open("host:example-config").unwrap().rwlock("config", FIRST).unwrap()
}

/// Runs in a child process: prints each version that it comes to see.
fn follow(reader: u32) {
    let config = config();
    let mut seen = 0;
    while seen < LAST_VERSION {
        let now = *config.read().unwrap();
        if now.version != seen {
            seen = now.version;
            println!("reader {reader}: version {seen}, {} workers at {}/s", now.workers, now.rate);
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    process::init();
    let config = config();
    let readers = (1..=3).map(|n| process::spawn(follow, n)).collect::<Result<Vec<_>, _>>()?;
    while config.read().unwrap().version < LAST_VERSION {
        thread::sleep(Duration::from_millis(100));
        let mut config = config.write().unwrap();
        config.version += 1;
        config.workers *= 2;
        config.rate /= 2.0;
        println!("writer: version {}", config.version);
    }
    for reader in readers {
        reader.join()?;
    }
    Ok(())
}
