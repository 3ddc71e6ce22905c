//! A producer puts numbers into a queue, a consumer takes them out until the end mark.

use std::io::{self, Write};
use std::time::Duration;

use antiphon::Space;
use antiphon::error::{MessageError, TimedPutError};
use antiphon::space::{MessageQueue, Shutdown};

use super::member::Member;
use crate::args::Scope;
use crate::exit::Failure;
use crate::output::Text;

/// Numbers, and then the end mark.
type Numbers = MessageQueue<Option<u32>>;

/// So few fit that the producer has to wait at times.
const CAPACITY: u32 = 4;
/// Nobody needs that long, so who waits longer has lost its partner.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn run(space: &Space, scope: Scope, text: &mut Text) -> Result<(), Failure> {
    let numbers: Numbers = space.message_queue("numbers", CAPACITY, 4096)?;
    // The consumer prints by itself.
    text.flush()?;
    let consumer = Member::start(scope, "consumer", consume, numbers.clone())?;
    let producer = Member::start(scope, "producer", produce, numbers)?;
    let (produced, consumed) = (producer.join(), consumer.join());
    produced??;
    consumed??;
    Ok(())
}

fn produce(numbers: Numbers) -> Result<(), String> {
    for item in (0..10).map(Some).chain([None]) {
        match numbers.put_timeout(&item, PATIENCE) {
            Ok(()) => {}
            Err(MessageError::Queue(TimedPutError::ShutDown(()))) => break,
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(())
}

fn consume(numbers: Numbers) -> Result<(), String> {
    while let Some(number) = numbers.get_timeout(PATIENCE).map_err(|error| error.to_string())? {
        if writeln!(io::stdout(), "Consumed: {number}").is_err() {
            // Nobody reads what we print, so nobody needs more. Whoever started us notices by itself.
            numbers.shutdown(Shutdown::Immediate);
            break;
        }
    }
    Ok(())
}
