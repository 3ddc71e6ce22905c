//! A worker: takes paths from the queue, counts the words in those files, and sends their tables to the merger.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use antiphon::space::Shutdown;
use serde::{Deserialize, Serialize};

use super::count::Counter;
use super::job::Job;
use super::message::messages;

/// Bytes that are read at once.
const PIECE: usize = 256 * 1024;

/// What a worker is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Task {
    pub(super) job: Job,
    pub(super) worker: u32,
}

/// Counts files until there are no more, and waits for the others.
pub(super) fn work(task: Task) -> Result<(), String> {
    let job = task.job.join()?;
    let mut buffer = vec![0; PIECE];
    let mut path = Vec::new();
    while job.paths.get_into(&mut path).is_ok() && !job.is_stopped() {
        let path = Path::new(OsStr::from_bytes(&path));
        match count(&job, path, &mut buffer) {
            Ok(counter) => send(&job, task.worker, counter),
            Err(error) => job.complain(&path.display().to_string(), &error.to_string()),
        }
    }
    // The last to come tells the merger that nothing more does. A broken barrier means that everybody stops.
    let _ = job.counted.wait_with(|| job.messages.shutdown(Shutdown::Drain));
    Ok(())
}

fn count(job: &Job, path: &Path, buffer: &mut [u8]) -> io::Result<Counter> {
    let _permit = job.open_files.acquire();
    let mut file = File::open(path)?;
    let mut counter = Counter::default();
    while !job.is_stopped() {
        match file.read(buffer) {
            Ok(0) => break,
            Ok(read) => {
                counter.feed(&buffer[..read]);
                job.totals().bytes += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(counter)
}

fn send(job: &Job, worker: u32, counter: Counter) {
    let (table, words) = counter.finish();
    let sent = messages(worker, table).all(|message| job.tell(&message));
    if sent {
        let mut totals = job.totals();
        totals.files += 1;
        totals.words += words;
    }
}
