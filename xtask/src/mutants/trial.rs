//! One trial: run the models that matter, and judge.

use super::list::Mutant;
use super::tree::Unbuilt;
use crate::shell;
use crate::test::Checker;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A model, and how long it took on the source as it is.
pub(super) struct Model {
    pub(super) checker: Checker,
    pub(super) name: String,
    pub(super) took: Duration,
}

/// What became of a fault.
pub(super) enum Verdict {
    /// A model failed, with this message.
    Caught(String),
    /// Every model passed.
    Survived,
    /// A model failed only because it explored less than it should, which says nothing about the fault.
    FloorOnly,
    /// A model took longer than the limit. A fault that makes it run on has not been caught: the model needs a bound, or the
    /// fault another form.
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
            Self::OutOfTime => write!(f, "a model did not end in time"),
            Self::Uncompiled(reason) => write!(f, "it does not compile: {reason}"),
            Self::Unapplied(reason) => write!(f, "{reason}"),
        }
    }
}

/// Runs the models of `mutant`, in the program built with it, until one catches it.
pub(super) fn run(
    built: Result<PathBuf, Unbuilt>,
    mutant: &Mutant,
    models: &[Model],
    limit: Duration,
) -> Result<Verdict, String> {
    let program = match built {
        Ok(program) => program,
        Err(Unbuilt::Unapplied(reason)) => return Ok(Verdict::Unapplied(reason)),
        Err(Unbuilt::Uncompiled(reason)) => return Ok(Verdict::Uncompiled(reason)),
    };
    let mut worst = Verdict::Survived;
    for model in models.iter().filter(|model| mutant.wants(model.checker, &model.name)) {
        match judge(&program, &model.name, limit)? {
            Verdict::Survived => {}
            Verdict::Caught(reason) => {
                return Ok(Verdict::Caught(format!("{}: {reason}", model.name)));
            }
            other => worst = other,
        }
    }
    Ok(worst)
}

/// The names of all models.
pub(super) fn names(program: &Path) -> Result<Vec<String>, String> {
    let mut command = Command::new(program);
    command.args(["--list", "--format=terse"]);
    let ended = shell::run_for(&mut command, Duration::from_secs(10))?;
    let names = ended.output.lines().filter_map(|line| line.strip_suffix(": test"));
    Ok(names.map(str::to_owned).collect())
}

/// Runs one model.
pub(super) fn judge(program: &Path, model: &str, limit: Duration) -> Result<Verdict, String> {
    let mut command = Command::new(program);
    command.args(["--exact", model, "--test-threads=1"]).env("RUST_BACKTRACE", "0");
    let ended = shell::run_for(&mut command, limit)?;
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
