//! Waits that end: nothing in a proof may hang in silence.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How long something may take before it counts as a hang. Generous, since other work may share the machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `done`, looking ever more rarely. False when [`PATIENCE`] has run out.
pub fn until(done: impl FnMut() -> bool) -> bool {
    within(PATIENCE, done)
}

/// As [`until`], with another patience.
pub fn within(patience: Duration, mut done: impl FnMut() -> bool) -> bool {
    let began = Instant::now();
    let mut pause = Duration::from_micros(2);
    loop {
        if done() {
            return true;
        }
        if began.elapsed() > patience {
            return false;
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(1));
    }
}

/// Ends the process with a message unless it is dropped in time.
#[derive(Debug)]
pub struct Watchdog {
    /// Its end is what the other side waits for.
    _leash: mpsc::Sender<()>,
}

impl Watchdog {
    /// Watches over `what` for so long.
    #[must_use]
    pub fn start(what: impl Into<String>, patience: Duration) -> Self {
        let (leash, end) = mpsc::channel();
        let what = what.into();
        thread::spawn(move || {
            if end.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout) {
                eprintln!("{what} hangs");
                std::process::abort();
            }
        });
        Self { _leash: leash }
    }
}
