//! The merger: puts the tables of all files together.

use antiphon::error::{GetError, MessageError};
use indicatif::ProgressBar;

use super::count::Table;
use super::job::Job;
use super::message::Merger;
use crate::exit::complain;

/// Messages that are taken at once.
const BATCH: usize = 64;

/// Merges until no more tables come. What could not be read is said at once.
pub(super) fn merge(job: &Job, bar: &ProgressBar) -> Result<Table, String> {
    let mut merger = Merger::default();
    while let Ok(batch) = job.messages.get_many(BATCH) {
        for message in batch {
            let message = message.map_err(|error: MessageError<GetError>| {
                job.stop();
                error.to_string()
            })?;
            if let Some((path, why)) = merger.take(message) {
                bar.suspend(|| complain(&format!("{path}: {why}")));
            }
        }
    }
    Ok(merger.table)
}
