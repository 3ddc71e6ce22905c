//! A process is killed while it holds the lock, and the next one goes on.

use std::thread;
use std::time::Duration;

use antiphon::error::{LockError, TimedLockError};
use antiphon::space::{Event, Mutex};
use antiphon::{Space, process};

use crate::exit::Failure;
use crate::output::Text;

/// Coins in two purses: 100 together, whenever the lock is free.
type Purses = [u64; 2];

const PURSES: Purses = [100, 0];
const COINS: u64 = 30;
/// How long the next one waits before it asks who is in the way.
const PATIENCE: Duration = Duration::from_millis(100);
/// Longer than anything here takes, should our killer be killed itself.
const NAP: Duration = Duration::from_secs(30);

pub(super) fn run(space: &Space, text: &mut Text) -> Result<(), Failure> {
    let purses = space.mutex("purses", PURSES)?;
    let halfway = space.event("halfway")?;
    let mover = process::Builder::new()
        .label("mover")
        .spawn(move_coins, (purses.clone(), halfway.clone()))
        .map_err(|error| error.to_string())?;
    halfway.wait_timeout(NAP).map_err(|error| error.to_string())?;
    text.line(format_args!(
        "Process {} moves {COINS} coins from one purse to another, under a lock.",
        mover.pid()
    ))?;
    if let Err(TimedLockError::TimedOut(timeout)) = purses.lock_timeout(PATIENCE) {
        text.line(format_args!("Who is next asks what takes so long: {timeout}."))?;
    }
    mover.kill().map_err(|error| format!("the process cannot be killed: {error}"))?;
    text.line("The process is killed halfway.")?;
    match purses.lock() {
        Err(LockError::OwnerDied(mut purses, death)) => {
            text.line(format_args!("Who is next gets the lock, and is told: {death}."))?;
            let coins: u64 = purses.iter().sum();
            text.line(format_args!("It finds {coins} coins where 100 must be, and repairs that."))?;
            *purses = PURSES;
            purses.repair();
        }
        Ok(_) => return Err("the lock was free though its holder was killed".to_owned().into()),
        Err(error) => return Err(error.to_string().into()),
    }
    let purses = purses.lock().map_err(|error| error.to_string())?;
    let coins: u64 = purses.iter().sum();
    text.line(format_args!("Everybody goes on: {coins} coins."))?;
    // How it ended is known; this buries it.
    let _ = mover.join();
    Ok(())
}

/// What the victim does, as far as it gets.
fn move_coins((purses, halfway): (Mutex<Purses>, Event)) -> Result<(), String> {
    let mut purses = purses.lock().map_err(|error| error.to_string())?;
    purses[0] -= COINS;
    halfway.set();
    thread::sleep(NAP);
    purses[1] += COINS;
    Ok(())
}
