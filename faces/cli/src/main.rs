//! `antiphon`: try what antiphon does, and see what it shares.

mod address;
mod args;
mod command;
mod exit;
mod output;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    antiphon::process::init();
    exit::code(command::run(args::Args::parse().command))
}
