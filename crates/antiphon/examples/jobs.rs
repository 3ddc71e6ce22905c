//! A parent hands out jobs, worker processes do them and send back answers.
//!
//! `cargo run --example jobs -p antiphon`

use std::error::Error;
use std::thread;
use std::time::Duration;

use antiphon::space::{MessageQueue, Shutdown};
use antiphon::{Space, process};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Job {
    number: u32,
    text: String,
}

#[derive(Serialize, Deserialize)]
struct Answer {
    number: u32,
    words: usize,
    worker: u32,
}

/// Everybody opens the same two queues; whoever comes first creates them.
fn queues() -> (MessageQueue<Job>, MessageQueue<Answer>) {
    let space = Space::open("host:example-jobs").unwrap();
    let answers = space.message_queue("answers", 100, 1 << 16).unwrap();
    (space.message_queue("jobs", 4, 1 << 16).unwrap(), answers)
}

/// Runs in a child process, until the queue is shut down and empty.
fn work(worker: u32) {
    let (jobs, answers) = queues();
    while let Ok(Job { number, text }) = jobs.get() {
        thread::sleep(Duration::from_millis(20)); // hard work
        let words = text.split_whitespace().count();
        answers.put(&Answer { number, words, worker }).unwrap();
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    process::init();
    let (jobs, answers) = queues();
    let workers = (1..=3).map(|n| process::spawn(work, n)).collect::<Result<Vec<_>, _>>()?;
    for number in 1..=9 {
        // Waits while four jobs are queued.
        jobs.put(&Job { number, text: "la ".repeat(number as usize) })?;
    }
    jobs.shutdown(Shutdown::Drain);
    for _ in 1..=9 {
        let Answer { number, words, worker } = answers.get()?;
        println!("job {number}: {words} words, says worker {worker}");
    }
    workers.into_iter().try_for_each(|worker| worker.join())?;
    Ok(())
}
