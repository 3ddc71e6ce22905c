//! One trial: run the models that matter, and judge.

use super::list::Mutant;
use super::tree::Unbuilt;
use crate::shell;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long the models of one fault may take. A fault that makes one run on for ever has not been caught: the model needs
/// a bound, or the fault another form.
const LIMIT: Duration = Duration::from_secs(240);

/// What became of a fault.
pub(super) enum Verdict {
    /// A model failed, with this message.
    Caught(String),
    /// Every model passed.
    Survived,
    /// A model failed only because it explored less than it should, which says nothing about the fault.
    FloorOnly,
    /// The models took longer than the limit.
    OutOfTime,
    /// The compiler refused.
    Uncompiled(String),
    /// It no longer fits the source.
    Unapplied(String),
}

impl Verdict {
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Caught(_) => "caught",
            Self::Survived => "SURVIVED",
            Self::FloorOnly => "FLOOR ONLY",
            Self::OutOfTime => "OUT OF TIME",
            Self::Uncompiled(_) => "UNCOMPILED",
            Self::Unapplied(_) => "UNAPPLIED",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Caught(reason) => write!(f, "a model failed: {reason}"),
            Self::Survived => write!(f, "every model passed"),
            Self::FloorOnly => write!(f, "a model explored too little"),
            Self::OutOfTime => write!(f, "no end after {} s", LIMIT.as_secs()),
            Self::Uncompiled(reason) => write!(f, "it does not compile: {reason}"),
            Self::Unapplied(reason) => write!(f, "{reason}"),
        }
    }
}

/// Runs the models of `mutant` in the program built with it.
pub(super) fn run(built: Result<PathBuf, Unbuilt>, mutant: &Mutant) -> Result<Verdict, String> {
    match built {
        Ok(program) => judge(&program, &[&mutant.test]),
        Err(Unbuilt::Unapplied(reason)) => Ok(Verdict::Unapplied(reason)),
        Err(Unbuilt::Uncompiled(reason)) => Ok(Verdict::Uncompiled(reason)),
    }
}

/// The names of all models.
pub(super) fn names(program: &Path) -> Result<Vec<String>, String> {
    let ended = shell::run_for(Command::new(program).args(["--list", "--format=terse"]), LIMIT)?;
    let names = ended.output.lines().filter_map(|line| line.strip_suffix(": test"));
    Ok(names.map(str::to_owned).collect())
}

/// Runs the models whose names contain one of `tests`.
pub(super) fn judge(program: &Path, tests: &[&str]) -> Result<Verdict, String> {
    let mut command = Command::new(program);
    command.args(tests).arg("--test-threads=1").env("RUST_BACKTRACE", "0");
    let ended = shell::run_for(&mut command, LIMIT * u32::try_from(tests.len()).unwrap_or(1))?;
    let Some(status) = ended.status else { return Ok(Verdict::OutOfTime) };
    if status.success() {
        return Ok(Verdict::Survived);
    }
    let reasons = reasons(&ended.output);
    Ok(match reasons.iter().find(|reason| !reason.contains("under the floor")) {
        Some(reason) => Verdict::Caught(shorten(reason)),
        None if reasons.is_empty() => Verdict::Caught(status.to_string()),
        None => Verdict::FloorOnly,
    })
}

/// The message of each panic: the line after the one that says where.
fn reasons(output: &str) -> Vec<&str> {
    let lines = output.lines();
    let panics = lines.clone().zip(lines.skip(1)).filter(|(line, _)| line.contains("panicked at"));
    panics.map(|(_, message)| message.trim()).collect()
}

fn shorten(reason: &str) -> String {
    reason.chars().take(70).collect()
}

#[cfg(test)]
mod tests {
    use super::reasons;

    #[test]
    fn the_line_after_a_panic_is_its_reason() {
        let output = "x\nthread 'a' panicked at b.rs:1:2:\ndeadlock; threads = []\nnote: y\n";
        assert_eq!(reasons(output), ["deadlock; threads = []"]);
    }
}
