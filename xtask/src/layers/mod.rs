//! `cargo xtask layers`: the arrows between the crates, and what the text of each layer may contain.

mod arrows;
mod source;
mod text;

use crate::shell::{self, Outcome};

/// Prints every finding; fails if one of them is more than a warning.
pub(crate) fn run() -> Outcome {
    let files = source::read(&shell::root())?;
    let mut findings = arrows::check(&shell::metadata()?, &files);
    findings.extend(text::check(&files));
    for warning in text::long_files(&files) {
        println!("warning: {warning}");
    }
    for finding in &findings {
        println!("error: {finding}");
    }
    match findings.len() {
        0 => {
            println!("layers: {} files, every rule holds", files.len());
            Ok(())
        }
        n => Err(format!("{n} findings; ARCHITECTURE.md has the rules")),
    }
}
