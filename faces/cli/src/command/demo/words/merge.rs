//! The merger: puts the tables of all files together.

use antiphon::error::{GetError, MessageError};
use indicatif::ProgressBar;

use super::job::Job;
use super::message::{Merger, Taken};
use crate::exit::complain;

/// Messages that are taken at once.
const BATCH: usize = 64;

/// Merges until no more tables come. What could not be read is said at once.
pub(super) fn merge(job: &Job, bar: &ProgressBar) -> Result<Merger, String> {
    let mut merger = Merger::default();
    while let Ok(batch) = job.messages.get_many(BATCH) {
        for message in batch {
            let message = message.map_err(|error: MessageError<GetError>| {
                job.stop();
                error.to_string()
            })?;
            match merger.take(message) {
                Taken::Part => {}
                Taken::Merged { words, bytes } => {
                    let mut totals = job.totals();
                    totals.files += 1;
                    totals.words += words;
                    totals.bytes += bytes;
                }
                Taken::Complaint { path, why } => {
                    job.totals().unreadable += 1;
                    bar.suspend(|| complain(&format!("{path}: {why}")));
                }
            }
        }
    }
    Ok(merger)
}
