//! antiphon beside its peers: `antiphon-bench sync|queue [--quick]`.

mod child;
mod clock;
mod comm;
mod cpu;
mod machine;
mod marks;
mod options;
mod ours;
mod peers;
mod placement;
mod plan;
mod record;
mod report;
mod runner;
mod scene;
mod stage;
mod stats;
mod steps;
mod sync;
mod timing;

use options::{Half, Options};
use std::process::ExitCode;

fn main() -> ExitCode {
    // A party that fails says so in one line; the conductor reports the cell as failed.
    std::panic::set_hook(Box::new(|why| eprintln!("a party: {why}")));
    match Options::parse().map_err(Into::into).and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("antiphon-bench: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Box<dyn std::error::Error>> {
    let machine = machine::Machine::look(cpu::raise_priority());
    cpu::pin(0);
    cpu::calibrate();
    let cells = match options.half {
        Half::Sync => sync::cells(),
        Half::Queue => comm::cells(),
    };
    let runs = runner::run(&cells, options.effort, &options.only);
    let marks = match options.half {
        Half::Sync => marks::sync(&runs),
        Half::Queue => marks::queue(&runs),
    };
    let report = report::Report {
        title: options.half.title().to_owned(),
        date: options.date.clone(),
        quick: options.effort.quick,
        rounds: options.effort.rounds,
        machine: &machine,
        marks: &marks,
        runs: &runs,
    };
    let written = report.write(&options.folder, &options.stem())?;
    for mark in &marks {
        println!("{:<13}{}: {}", mark.verdict.to_string(), mark.work, mark.bar);
        for check in &mark.checks {
            println!("{:<13}    {}", "", check.words());
        }
    }
    println!("written: {}.{{md,json,svg}}", written.display());
    Ok(())
}
