//! Broadcasts, and questions with answers.

use std::time::Duration;

use antiphon::Space;
use antiphon::error::{CallError, PublishError, ReceiveError, TimedGetError};
use antiphon::space::{ByteService, Policy, Subscriber, Topic};
use antiphon_verify::random::Random;

use super::{Trade, words};

const SHORT: Duration = Duration::from_micros(500);

/// Published by all, and received by those who have not died since they subscribed.
pub(super) struct Topics {
    topic: Topic<[u64; 4]>,
    subscriber: Subscriber<[u64; 4]>,
}

impl Topics {
    pub(super) fn open(space: &Space) -> Self {
        let topic = space.topic("topic", 64).expect("a topic");
        let subscriber = topic.subscribe(Policy::DropOldest, 4).expect("room for a subscriber");
        Self { topic, subscriber }
    }
}

impl Trade for Topics {
    fn turn(&mut self, _: &Space, random: &mut Random) -> Result<(), String> {
        if random.one_in(32) {
            let policy = if random.one_in(2) { Policy::LatestOnly } else { Policy::DropOldest };
            self.subscriber = self.topic.subscribe(policy, 4).map_err(|error| error.to_string())?;
        }
        if random.one_in(2) {
            return match self.topic.publish_timeout(&words(random.draw()), SHORT) {
                Ok(()) | Err(PublishError::TimedOut(_)) => Ok(()),
                Err(error) => Err(error.to_string()),
            };
        }
        match self.subscriber.receive_timeout(SHORT) {
            Ok(message) if message == words(message[0]) => Ok(()),
            Ok(message) => Err(format!("torn: {message:x?}")),
            Err(ReceiveError::TimedOut(_)) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Everybody asks, and everybody answers; some who were asked give no answer.
pub(super) struct Services(ByteService);

impl Services {
    pub(super) fn open(space: &Space) -> Self {
        Self(space.byte_service("service", 16, 64).expect("a service"))
    }

    fn answer(&self, random: &mut Random) -> Result<(), String> {
        let request = match self.0.take_timeout(SHORT) {
            Ok(request) => request,
            Err(TimedGetError::TimedOut(_)) => return Ok(()),
            Err(error) => return Err(error.to_string()),
        };
        if random.one_in(8) {
            return Ok(());
        }
        let reply = reply(request.bytes());
        request.reply(&reply).map(drop).map_err(|error| error.to_string())
    }
}

fn reply(request: &[u8]) -> Vec<u8> {
    request.iter().rev().copied().collect()
}

impl Trade for Services {
    fn turn(&mut self, _: &Space, random: &mut Random) -> Result<(), String> {
        if random.one_in(2) {
            return self.answer(random);
        }
        let request = random.draw().to_le_bytes();
        match self.0.call_timeout(&request, SHORT) {
            Ok(answer) if answer == reply(&request) => Ok(()),
            Ok(answer) => Err(format!("{answer:x?} is no answer to {request:x?}")),
            Err(CallError::TimedOut(_) | CallError::WorkerDied(_) | CallError::Declined) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}
