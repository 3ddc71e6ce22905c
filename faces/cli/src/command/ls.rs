//! `antiphon ls`: which spaces there are, and what is in one.

use std::io;

use antiphon::error::SpaceError;
use antiphon::inspect::{
    Counter, ObjectInfo, SpaceInfo, base_directory, inspect_object, inspect_space, list_spaces,
};
use serde::Serialize;

use super::view::{ObjectView, ParticipantView};
use crate::address::Address;
use crate::args::Format;
use crate::exit::{Failure, Outcome, complain};
use crate::output::{Answer, NOTHING, Table, Text, bytes, duration, give, since_wall};

pub(super) fn run(space: Option<Address>, format: Format) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::Done;
    let mut blemish = |error: SpaceError| {
        complain(&error.to_string());
        outcome = Outcome::Partly;
    };
    match space {
        None => give(&Spaces::look(&mut blemish)?, format)?,
        Some(Address { object: Some(_), .. }) => {
            return Err("ls takes a space; antiphon show SPACE/NAME shows one object"
                .to_owned()
                .into());
        }
        Some(Address { space, .. }) => give(&Content::look(&space, &mut blemish)?, format)?,
    }
    Ok(outcome)
}

#[derive(Serialize)]
struct Spaces {
    directory: String,
    spaces: Vec<SpaceLine>,
}

#[derive(Serialize)]
struct SpaceLine {
    name: String,
    objects: usize,
    processes: usize,
    /// Owners that died holding one of its objects.
    holders_died: u64,
    size_bytes: u64,
    kept: bool,
    created_unix_ns: u64,
}

#[derive(Serialize)]
struct Content {
    space: String,
    path: String,
    kept: bool,
    created_unix_ns: u64,
    processes: Vec<ParticipantView>,
    objects: Vec<ObjectView>,
}

impl Spaces {
    fn look(blemish: &mut impl FnMut(SpaceError)) -> Result<Self, SpaceError> {
        let mut spaces = Vec::new();
        for name in list_spaces()? {
            if let Some(space) = present(inspect_space(&name), blemish) {
                spaces.push(SpaceLine::new(&space, blemish));
            }
        }
        Ok(Self { directory: base_directory().display().to_string(), spaces })
    }
}

impl SpaceLine {
    fn new(space: &SpaceInfo, blemish: &mut impl FnMut(SpaceError)) -> Self {
        let objects = objects(space, blemish);
        Self {
            name: space.name.clone(),
            objects: objects.len(),
            processes: space.participants.iter().filter(|(_, alive)| *alive).count(),
            holders_died: objects.iter().map(|object| object.counter(Counter::Deaths)).sum(),
            size_bytes: objects.iter().map(|object| object.size).sum(),
            kept: space.kept,
            created_unix_ns: space.created,
        }
    }
}

impl Content {
    fn look(name: &str, blemish: &mut impl FnMut(SpaceError)) -> Result<Self, SpaceError> {
        let space = inspect_space(name)?;
        let objects = objects(&space, blemish);
        Ok(Self {
            space: name.to_owned(),
            path: base_directory().join(name).display().to_string(),
            kept: space.kept,
            created_unix_ns: space.created,
            processes: space.participants.iter().map(ParticipantView::new).collect(),
            objects: objects.iter().map(|object| ObjectView::new(&space, object)).collect(),
        })
    }
}

fn objects(space: &SpaceInfo, blemish: &mut impl FnMut(SpaceError)) -> Vec<ObjectInfo> {
    let look = |name: &String| present(inspect_object(&space.name, name), blemish);
    space.objects.iter().filter_map(look).collect()
}

/// What is there. What went away since it was listed is nobody's fault.
fn present<T>(found: Result<T, SpaceError>, blemish: &mut impl FnMut(SpaceError)) -> Option<T> {
    match found {
        Ok(found) => return Some(found),
        Err(SpaceError::NotFound { .. }) => {}
        Err(error) => blemish(error),
    }
    None
}

impl Answer for Spaces {
    fn tell(&self, text: &mut Text) -> io::Result<()> {
        if self.spaces.is_empty() {
            return text.line(format_args!("There are no spaces in {}.", self.directory));
        }
        let mut table = Table::new(&[
            "SPACE",
            ">OBJECTS",
            ">PROCESSES",
            ">DIED HOLDING",
            ">SIZE",
            ">AGE",
            "STAYS",
        ]);
        for space in &self.spaces {
            table.row([
                space.name.clone(),
                space.objects.to_string(),
                space.processes.to_string(),
                space.holders_died.to_string(),
                bytes(space.size_bytes),
                duration(since_wall(space.created_unix_ns)),
                stays(space.kept).to_owned(),
            ]);
        }
        table.tell(text)
    }
}

impl Answer for Content {
    fn tell(&self, text: &mut Text) -> io::Result<()> {
        let age = duration(since_wall(self.created_unix_ns));
        text.heading(format_args!("{}: {age} old, stays {}", self.space, stays(self.kept)))?;
        text.line(&self.path)?;
        text.gap()?;
        self.tell_objects(text)?;
        text.gap()?;
        self.tell_processes(text)
    }
}

impl Content {
    fn tell_objects(&self, text: &mut Text) -> io::Result<()> {
        if self.objects.is_empty() {
            return text.line("There is nothing in it.");
        }
        let mut table =
            Table::new(&["OBJECT", "KIND", "TYPE", "STATE", ">WAITING", ">SIZE", "HELD BY"]);
        for object in &self.objects {
            let mut holders: Vec<_> = object.holders.iter().take(2).map(|h| h.name()).collect();
            if object.holders.len() > holders.len() {
                holders.push(format!("{} more", object.holders.len() - holders.len()));
            }
            table.row([
                object.name.clone(),
                object.kind.name().to_owned(),
                object.type_name.clone().unwrap_or_else(|| NOTHING.to_owned()),
                object.summary(),
                object.waiters.len().to_string(),
                bytes(object.size_bytes),
                if holders.is_empty() { NOTHING.to_owned() } else { holders.join(", ") },
            ]);
        }
        table.tell(text)
    }

    fn tell_processes(&self, text: &mut Text) -> io::Result<()> {
        if self.processes.is_empty() {
            return text.line("No process takes part.");
        }
        let mut table = Table::new(&["PROCESS", ">PID", "STATE", ">HERE FOR"]);
        for process in &self.processes {
            table.row([
                process.who.clone(),
                process.pid.to_string(),
                if process.alive { "alive" } else { "dead" }.to_owned(),
                duration(since_wall(process.attached_unix_ns)),
            ]);
        }
        table.tell(text)
    }
}

fn stays(kept: bool) -> &'static str {
    if kept { "until removed" } else { "with its users" }
}
