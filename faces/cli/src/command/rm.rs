//! `antiphon rm`: take a space or an object away.

use std::io;

use antiphon::inspect::{inspect_space, remove_object, remove_space};
use serde::Serialize;

use crate::address::Address;
use crate::args::Format;
use crate::exit::{Failure, Outcome};
use crate::output::{Answer, Text, give};

pub(super) fn run(address: &Address, format: Format) -> Result<Outcome, Failure> {
    // A damaged space can be removed too: nobody is known to use it.
    let users = inspect_space(&address.space)
        .map(|space| space.participants.iter().filter(|(_, alive)| *alive).count())
        .unwrap_or(0);
    match &address.object {
        Some(object) => remove_object(&address.space, object)?,
        None => remove_space(&address.space)?,
    }
    give(&Removed { removed: address.to_string(), users_of_space: users }, format)?;
    Ok(Outcome::Done)
}

#[derive(Serialize)]
struct Removed {
    removed: String,
    users_of_space: usize,
}

impl Answer for Removed {
    fn tell(&self, text: &mut Text) -> io::Result<()> {
        let Self { removed, users_of_space } = self;
        match users_of_space {
            0 => text.line(format_args!("removed {removed}")),
            1 => text.line(format_args!(
                "removed {removed}; 1 process uses the space and goes on with what it has open"
            )),
            n => text.line(format_args!(
                "removed {removed}; {n} processes use the space and go on with what they have open"
            )),
        }
    }
}
