//! A process is killed while it holds the lock, and the next one goes on.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use antiphon::error::{LockError, TimedLockError, Timeout};
use antiphon::space::{Event, Mutex};
use antiphon::{Death, Space, process};

use crate::exit::Failure;
use crate::output::{Text, duration};

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
        "Process {} takes {COINS} coins from one purse, to put them into another, under a lock.",
        mover.pid()
    ))?;
    if let Err(TimedLockError::TimedOut(Timeout { holder: Some(holder), .. })) =
        purses.lock_timeout(PATIENCE)
    {
        let held = duration(holder.held.unwrap_or_default());
        text.line(format_args!(
            "Who waits no longer than {} is told who is in the way: {}, for {held} at least.",
            duration(PATIENCE),
            holder.who
        ))?;
    }
    mover.kill().map_err(|error| format!("the process cannot be killed: {error}"))?;
    let killed = Instant::now();
    match purses.lock() {
        Err(LockError::OwnerDied(mut purses, death)) => {
            let after = duration(killed.elapsed());
            text.line(format_args!("It is killed halfway. The next has the lock {after} later:"))?;
            tell(&death, text)?;
            let coins: u64 = purses.iter().sum();
            text.line(format_args!("It finds {coins} coins where 100 must be, and repairs that."))?;
            *purses = PURSES;
            purses.repair();
        }
        Ok(_) => return Err("the lock was free though its holder was killed".to_owned().into()),
        Err(error) => return Err(error.to_string().into()),
    }
    let purses = purses.lock().map_err(|error| error.to_string())?;
    text.line(format_args!("Everybody goes on. Coins: {}", purses.iter().sum::<u64>()))?;
    // How it ended is known; this buries it.
    let _ = mover.join();
    Ok(())
}

/// Who died, since when it held the lock, and where.
fn tell(death: &Death, text: &mut Text) -> io::Result<()> {
    let Death { who, pid, thread, .. } = death;
    text.line(format_args!("    who died      {who} (pid {pid}, thread {thread})"))?;
    if let Some(held) = death.held {
        text.line(format_args!("    held for      {} at least", duration(held)))?;
    }
    if let Some(site) = &death.site {
        text.line(format_args!("    acquired at   {site}"))?;
    }
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
