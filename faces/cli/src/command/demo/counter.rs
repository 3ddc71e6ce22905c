//! A hundred, each of which adds 1 to a counter under a lock.

use antiphon::Space;
use antiphon::space::Mutex;

use super::member::Member;
use crate::args::Scope;
use crate::exit::Failure;
use crate::output::Text;

pub(super) const MEMBERS: usize = 100;

pub(super) fn run(space: &Space, scope: Scope, text: &mut Text) -> Result<(), Failure> {
    let counter = space.mutex("counter", 0_u64)?;
    let start = |n| Member::start(scope, &format!("adder {n}"), add_one, counter.clone());
    let members = (1..=MEMBERS).map(start).collect::<Result<Vec<_>, _>>()?;
    for member in members {
        member.join()??;
    }
    let counter = counter.lock().map_err(|error| error.to_string())?;
    text.line(format_args!("Counter: {}", *counter))?;
    Ok(())
}

/// What each of them does.
fn add_one(counter: Mutex<u64>) -> Result<(), String> {
    *counter.lock().map_err(|error| error.to_string())? += 1;
    Ok(())
}
