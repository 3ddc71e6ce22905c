//! The progress bar: on a terminal only.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::job::Job;

/// How often it moves.
const TICK: Duration = Duration::from_millis(100);

/// A bar on standard error, invisible unless that is a terminal.
pub(super) fn bar() -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {bytes} of {total_bytes}, {msg}")
        .expect("the template is right");
    ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr()).with_style(style)
}

/// Moves the bar until the job is merged.
pub(super) fn follow(job: &Job, bar: &ProgressBar) {
    while job.merged.wait_timeout(TICK).is_err() {
        let totals = *job.totals();
        bar.set_length(totals.found_bytes.max(totals.bytes));
        bar.set_position(totals.bytes);
        bar.set_message(format!("{} of {} files", totals.files, totals.found));
    }
    bar.finish_and_clear();
}
