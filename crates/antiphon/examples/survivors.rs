//! A process is killed in the middle of a change; the next one learns of it and repairs what it left.
//!
//! `cargo run --example survivors -p antiphon`

use std::error::Error;
use std::thread;
use std::time::Duration;

use antiphon::error::LockError;
use antiphon::space::{Event, Mutex};
use antiphon::{Space, process};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// The two together are always 100.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Accounts {
    alice: i64,
    bob: i64,
}

fn open() -> (Mutex<Accounts>, Event) {
    let space = Space::builder("host:example-survivors").label("banker").open().unwrap();
    let accounts = space.mutex("accounts", Accounts { alice: 100, bob: 0 }).unwrap();
    (accounts, space.event("half-way").unwrap())
}

/// Runs in a child process, which does not live to see its end.
fn transfer(amount: i64) {
    let (accounts, half_way) = open();
    let mut accounts = accounts.lock().unwrap();
    accounts.alice -= amount;
    half_way.set();
    thread::sleep(Duration::from_secs(3600));
    accounts.bob += amount;
}

fn main() -> Result<(), Box<dyn Error>> {
    process::init();
    let (accounts, half_way) = open();
    let child = process::spawn(transfer, 30)?;
    half_way.wait_timeout(Duration::from_secs(60))?;
    child.kill()?;
    println!("{}", child.join().unwrap_err());

    let guard = match accounts.lock() {
        Ok(guard) => guard,
        Err(LockError::OwnerDied(mut guard, death)) => {
            println!("{death}");
            println!("found alice {} bob {}", guard.alice, guard.bob);
            guard.bob = 100 - guard.alice;
            guard.repair();
            guard
        }
        Err(error) => return Err(error.to_string().into()),
    };
    println!("now   alice {} bob {}", guard.alice, guard.bob);
    Ok(())
}
