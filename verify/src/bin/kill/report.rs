//! The summary.

use std::sync::atomic::Ordering::Relaxed;

use crate::ledger::{Fault, Ledger, Place, State};
use crate::scene::Scene;

/// From how many kills on every state must have been hit.
const ENOUGH: u64 = 1000;

/// Prints the table and the verdict. False if anything was wrong.
pub(crate) fn print(scenes: &[Box<dyn Scene>], ledger: &Ledger, count: u64, seed: u64) -> bool {
    let [outside, entering, holding, leaving] = State::ALL.map(State::name);
    println!(
        "{:<18} {:<13} {outside:>8} {entering:>9} {holding:>8} {leaving:>8}",
        "kills by primitive", "operation"
    );
    let (mut outside, mut unhit) = (0, 0);
    for (number, scene) in scenes.iter().enumerate() {
        let hits = ledger.hits(number, Place::OUTSIDE);
        outside += hits;
        unhit += u32::from(hits == 0);
        for (operation, what) in scene.operations().iter().enumerate() {
            let cell = |state: State| {
                if !what.states.contains(&state) {
                    return ("-".to_owned(), false);
                }
                let hits = ledger.hits(number, Place { operation, state });
                (hits.to_string(), hits == 0)
            };
            let cells = [State::Entering, State::Holding, State::Leaving].map(cell);
            unhit += cells.iter().filter(|(_, unhit)| *unhit).count() as u32;
            let [entering, holding, leaving] = cells.map(|(text, _)| text);
            let (name, outside) =
                if operation == 0 { (scene.name(), hits.to_string()) } else { ("", String::new()) };
            println!(
                "{name:<18} {:<13} {outside:>8} {entering:>9} {holding:>8} {leaving:>8}",
                what.name
            );
        }
    }
    let kills = ledger.kills.load(Relaxed);
    let inside = kills - outside;
    println!();
    println!("{:<18} {kills} (seed {seed}), {inside} inside an operation", "kills");
    println!("{:<18} {}", "spaces killed", ledger.massacres.load(Relaxed));
    println!("{:<18} {}", "operations done", ledger.operations.load(Relaxed));
    println!("{:<18} {}", "items got", ledger.items.load(Relaxed));
    for (fault, name) in Fault::ALL {
        println!("{name:<18} {}", ledger.faults(fault));
    }
    println!("{:<18} {unhit}", "states never hit");
    let mut good = ledger.all_faults() == 0;
    if count >= ENOUGH {
        good &= unhit == 0 && inside * 2 >= kills;
    }
    println!();
    match good {
        true => println!("{kills} kills, no violation"),
        false => println!("{kills} kills: NOT what was promised, see above"),
    }
    good
}
