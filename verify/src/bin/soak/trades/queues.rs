//! Queues whose items notice when they are not whole.

use std::time::Duration;

use antiphon::Space;
use antiphon::error::{MessageError, TimedGetError, TimedPutError};
use antiphon::space::{ByteQueue, JobQueue, MessageQueue, Queue};
use antiphon_verify::random::{Random, mix};

use super::{Trade, words};

const CAPACITY: u32 = 64;
/// As many put as get, so a queue may be full or empty for a moment.
const SHORT: Duration = Duration::from_micros(500);
const LONGEST: u64 = 3000;

/// Items of eight words.
pub(super) struct Plain(Queue<[u64; 8]>);

impl Plain {
    pub(super) fn open(space: &Space) -> Self {
        Self(space.queue("queue", CAPACITY).expect("a queue"))
    }
}

impl Trade for Plain {
    fn turn(&mut self, _: &Space, random: &mut Random) -> Result<(), String> {
        if random.one_in(2) {
            let seed = random.draw();
            return match self.0.put_timeout(words(seed), SHORT) {
                Ok(()) | Err(TimedPutError::TimedOut(..)) => Ok(()),
                Err(error) => Err(error.to_string()),
            };
        }
        match self.0.get_timeout(SHORT) {
            Ok(item) if item == words(item[0]) => Ok(()),
            Ok(item) => Err(format!("torn: {item:x?}")),
            Err(TimedGetError::TimedOut(_)) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Messages of any length.
pub(super) struct Bytes(ByteQueue);

impl Bytes {
    pub(super) fn open(space: &Space) -> Self {
        Self(space.byte_queue("bytes", CAPACITY, 64 << 10).expect("a byte queue"))
    }
}

impl Trade for Bytes {
    fn turn(&mut self, _: &Space, random: &mut Random) -> Result<(), String> {
        if random.one_in(2) {
            let message = message(random.draw());
            return match self.0.put_timeout(&message, SHORT) {
                Ok(()) | Err(TimedPutError::TimedOut(..)) => Ok(()),
                Err(error) => Err(error.to_string()),
            };
        }
        match self.0.get_timeout(SHORT) {
            Ok(got) if is_whole(&got) => Ok(()),
            Ok(got) => Err(format!("{} torn bytes", got.len())),
            Err(TimedGetError::TimedOut(_)) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// A seed, and as many bytes as it says.
fn message(seed: u64) -> Vec<u8> {
    let length = mix(seed) % LONGEST;
    let mut message = seed.to_le_bytes().to_vec();
    message.extend((0..length).map(|i| mix(seed.wrapping_add(i)) as u8));
    message
}

fn is_whole(got: &[u8]) -> bool {
    let seed = got.first_chunk().map(|seed| u64::from_le_bytes(*seed));
    seed.is_some_and(|seed| got == message(seed))
}

/// Values that serde writes.
pub(super) struct Messages(MessageQueue<(u64, String, Vec<u32>)>);

impl Messages {
    pub(super) fn open(space: &Space) -> Self {
        Self(space.message_queue("messages", CAPACITY, 64 << 10).expect("a message queue"))
    }
}

impl Trade for Messages {
    fn turn(&mut self, _: &Space, random: &mut Random) -> Result<(), String> {
        if random.one_in(2) {
            return match self.0.put_timeout(&value(random.draw()), SHORT) {
                Ok(()) | Err(MessageError::Queue(TimedPutError::TimedOut(..))) => Ok(()),
                Err(error) => Err(error.to_string()),
            };
        }
        match self.0.get_timeout(SHORT) {
            Ok(got) if got == value(got.0) => Ok(()),
            Ok(got) => Err(format!("torn: {got:?}")),
            Err(MessageError::Queue(TimedGetError::TimedOut(_))) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn value(seed: u64) -> (u64, String, Vec<u32>) {
    let numbers = (0..mix(seed) % 50).map(|i| mix(seed.wrapping_add(i)) as u32);
    (seed, format!("{seed:x}"), numbers.collect())
}

/// Values under leases: most are acknowledged, some given back, and those of the dead come back.
pub(super) struct Jobs(JobQueue<[u64; 8]>);

impl Jobs {
    pub(super) fn open(space: &Space) -> Self {
        let dead = space.queue("dead letters", CAPACITY).expect("a queue");
        Self(space.job_queue("jobs", CAPACITY).expect("a job queue").with_dead_letters(&dead, 20))
    }
}

impl Trade for Jobs {
    fn turn(&mut self, _: &Space, random: &mut Random) -> Result<(), String> {
        if random.one_in(2) {
            return match self.0.put_timeout(words(random.draw()), SHORT) {
                Ok(()) | Err(TimedPutError::TimedOut(..)) => Ok(()),
                Err(error) => Err(error.to_string()),
            };
        }
        let job = match self.0.take_timeout(SHORT) {
            Ok(job) => job,
            Err(TimedGetError::TimedOut(_)) => return Ok(()),
            Err(error) => return Err(error.to_string()),
        };
        if *job != words(job[0]) {
            return Err(format!("torn: {:x?}", *job));
        }
        if random.one_in(16) {
            job.nack();
            return Ok(());
        }
        job.ack().map(drop).map_err(|error| error.to_string())
    }
}
