//! A worker: takes paths from the queue, counts the words in those files, and sends their tables to the merger.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use antiphon::space::Shutdown;
use serde::{Deserialize, Serialize};

use super::count::Counter;
use super::job::Job;
use super::message::{Count, Message, messages};

/// Bytes that are read at once.
const PIECE: usize = 256 * 1024;
/// Before one meets the others again.
const AGAIN: Duration = Duration::from_millis(2);

/// What a worker is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Task {
    pub(super) job: Job,
    pub(super) worker: u32,
}

/// Counts files until there are no more, and waits for the others.
///
/// A file is taken under a lease, and the lease ends when all of its table is on its way. So whoever dies in between takes nothing along:
/// another one counts the file again.
pub(super) fn work(task: Task) -> Result<(), String> {
    let job = task.job.join()?;
    let mut buffer = vec![0; PIECE];
    while let Ok(found) = job.paths.take()
        && !job.is_stopped()
    {
        job.note_file(task.worker, Some(found.file));
        let count = Count { file: found.file, attempt: found.attempts() };
        let path = Path::new(OsStr::from_bytes(found.path()));
        let told = match read(&job, path, &mut buffer) {
            Ok((counter, bytes)) => send(&job, count, counter, bytes),
            Err(error) => {
                let path = path.display().to_string();
                job.tell(&Message::unreadable(Some(count), &path, &error.to_string()))
            }
        };
        job.note_file(task.worker, None);
        if !told {
            break;
        }
        found.ack().map_err(|error| error.to_string())?;
    }
    // The last to come tells the merger that nothing more does.
    while job.counted.wait_with(|| job.messages.shutdown(Shutdown::Drain)).is_err() {
        // Broken: everybody stops, or somebody was killed who had come already. Then another one comes.
        if job.is_stopped() {
            break;
        }
        thread::sleep(AGAIN);
    }
    Ok(())
}

fn read(job: &Job, path: &Path, buffer: &mut [u8]) -> io::Result<(Counter, u64)> {
    let _permit = job.open_files.acquire();
    let mut file = File::open(path)?;
    let (mut counter, mut bytes) = (Counter::default(), 0);
    while !job.is_stopped() {
        match file.read(buffer) {
            Ok(0) => break,
            Ok(read) => {
                counter.feed(&buffer[..read]);
                bytes += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok((counter, bytes))
}

/// False when the merger has gone.
fn send(job: &Job, count: Count, counter: Counter, bytes: u64) -> bool {
    let (table, words) = counter.finish();
    messages(count, table).all(|message| job.tell(&message))
        && job.tell(&Message::Done { count, words, bytes })
}
