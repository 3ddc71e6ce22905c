//! `antiphon show`: one object, who uses it, and what has happened to it.

use std::io;
use std::time::Duration;

use antiphon::inspect::{Fact, inspect_object, inspect_space};
use serde::Serialize;

use super::view::{ObjectView, PartyView};
use crate::address::ObjectAddress;
use crate::args::Format;
use crate::exit::{Failure, Outcome};
use crate::output::{Answer, NOTHING, Table, Text, bytes, duration, give, since_wall};

pub(super) fn run(address: &ObjectAddress, format: Format) -> Result<Outcome, Failure> {
    let space = inspect_space(&address.space)?;
    let object = inspect_object(&address.space, &address.object)?;
    let object = ObjectView::new(&space, &object);
    give(&Shown { space: address.space.clone(), object }, format)?;
    Ok(Outcome::Done)
}

#[derive(Serialize)]
struct Shown {
    space: String,
    object: ObjectView,
}

impl Answer for Shown {
    fn tell(&self, text: &mut Text) -> io::Result<()> {
        let object = &self.object;
        let of = object.type_name.as_ref().map_or(String::new(), |name| format!(" of {name}"));
        let (space, name, kind) = (&self.space, &object.name, object.kind.name());
        text.heading(format_args!("{space}/{name}: {kind}{of}, {}", object.summary()))?;
        text.gap()?;
        self.tell_parties(text, "Held by", "Nobody holds it.", &object.holders)?;
        self.tell_parties(text, "Waiting", "Nobody waits for it.", &object.waiters)?;
        text.gap()?;
        self.tell_facts(text)?;
        if let Some(death) = &object.last_death {
            let ago = duration(Duration::from_nanos(death.noticed_ns_ago));
            text.gap()?;
            text.heading(format_args!("Last death, noticed {ago} ago"))?;
            text.line(format_args!("  {}", death.text))?;
        }
        Ok(())
    }
}

impl Shown {
    fn tell_parties(
        &self,
        text: &mut Text,
        heading: &'static str,
        nobody: &str,
        parties: &[PartyView],
    ) -> io::Result<()> {
        if parties.is_empty() {
            return text.line(nobody);
        }
        let mut table =
            Table::new(&[heading, ">PID", ">THREAD", ">COUNT", ">FOR", ">UP TO", "WHERE"]);
        let counted = parties.iter().any(|party| party.count != 1);
        for party in parties {
            let time = |ns: Option<u64>| optional(ns.map(|ns| duration(Duration::from_nanos(ns))));
            table.row([
                format!("{}{}", party.who, if party.alive { "" } else { " (dead)" }),
                party.pid.to_string(),
                optional(party.thread.map(|thread| thread.to_string())),
                optional(Some(party.count).filter(|_| counted).map(|count| count.to_string())),
                time(party.for_ns),
                time(party.left_ns),
                optional(party.site.clone()),
            ]);
        }
        table.without_empty().tell(text)
    }

    fn tell_facts(&self, text: &mut Text) -> io::Result<()> {
        let object = &self.object;
        let mut facts: Vec<(&str, String)> = Vec::new();
        for (name, fact) in &object.state.0 {
            facts.push((
                name,
                match fact {
                    Fact::Count(n) => n.to_string(),
                    Fact::Flag(yes) => if *yes { "yes" } else { "no" }.to_owned(),
                },
            ));
        }
        facts.extend(object.counters.0.iter().map(|(name, n)| (*name, n.to_string())));
        facts.extend(spread(&object.waits).map(|said| ("waits", said)));
        facts.extend(spread(&object.holds).map(|said| ("contended holds", said)));
        facts.push(("size", bytes(object.size_bytes)));
        let creator = &object.creator;
        let age = duration(since_wall(object.created_unix_ns));
        facts.push(("created", format!("{age} ago by {} ({})", creator.who, creator.pid)));
        facts.extend(creator.site.clone().map(|site| ("created at", site)));
        let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in facts {
            text.line(format_args!("{name:<width$}  {value}"))?;
        }
        Ok(())
    }
}

fn optional(value: Option<String>) -> String {
    value.unwrap_or_else(|| NOTHING.to_owned())
}

/// The middle and the end of a histogram in words; nothing if nothing was counted.
fn spread(buckets: &[u32]) -> Option<String> {
    let count: u64 = buckets.iter().map(|n| u64::from(*n)).sum();
    let below = |share: u64| {
        let mut seen = 0;
        let bucket = buckets.iter().position(|n| {
            seen += u64::from(*n);
            seen * 100 >= count * share
        });
        duration(Duration::from_nanos(1 << (bucket.unwrap_or(0) + 8)))
    };
    (count > 0).then(|| format!("{count}; half below {}, 99 % below {}", below(50), below(99)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_in_words() {
        assert_eq!(spread(&[0; 32]), None);
        let mut buckets = [0; 32];
        (buckets[2], buckets[12]) = (99, 1);
        assert_eq!(spread(&buckets).unwrap(), "100; half below 1 us, 99 % below 1 us");
        buckets[12] = 2;
        assert_eq!(spread(&buckets).unwrap(), "101; half below 1 us, 99 % below 1 ms");
    }
}
