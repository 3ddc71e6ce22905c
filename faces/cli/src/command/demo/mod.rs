//! `antiphon demo`: small programs that show what antiphon does.

mod counter;
mod member;
mod owner_death;
mod pipeline;
mod words;

use antiphon::Space;
use antiphon::error::SpaceError;

use crate::args::{Demo, Program, Scope};
use crate::exit::{Failure, Outcome};
use crate::output::Text;

pub(super) fn run(demo: Demo) -> Result<Outcome, Failure> {
    match demo.program {
        None => tour(&mut Text::stdout()),
        Some(Program::Words(options)) => words::run(options),
    }
}

/// Everybody's first programs, with threads and with processes, and what happens when one of those is killed.
fn tour(text: &mut Text) -> Result<Outcome, Failure> {
    for scope in [Scope::Threads, Scope::Host] {
        let members = scope.members();
        text.heading(format_args!(
            "{} {members}, each of which adds 1 to a counter under a lock",
            counter::MEMBERS
        ))?;
        counter::run(&space(scope)?, scope, text)?;
        text.gap()?;
    }
    for scope in [Scope::Threads, Scope::Host] {
        let members = scope.members();
        text.heading(format_args!(
            "A producer and a consumer, two {members}, and a queue between them"
        ))?;
        pipeline::run(&space(scope)?, scope, text)?;
        text.gap()?;
    }
    text.heading("A process that is killed while it holds the lock")?;
    owner_death::run(&space(Scope::Host)?, text)?;
    text.flush()?;
    Ok(Outcome::Done)
}

/// A space for one program, which nothing is left of, whatever happens.
fn space(scope: Scope) -> Result<Space, SpaceError> {
    match scope {
        Scope::Threads => Space::open("threads:demo"),
        Scope::Host => Space::anonymous(),
    }
}
