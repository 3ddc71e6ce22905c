//! How the command ends: exit codes, and what is said on the way out.

use std::io;
use std::process::ExitCode;

use antiphon::error::SpaceError;

/// What the help says about exit codes.
pub(crate) const CODES: &str = "\
Exit codes:
    0  done
    1  failed; standard error says why
    2  the command line is wrong
    3  done but for what standard error names
  130  stopped, by Ctrl-C or by being told to end";

/// How a command ended that did not fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    Done,
    /// All but what has been named on standard error.
    Partly,
    Stopped,
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    Space(SpaceError),
    Output(io::Error),
    Other(String),
}

impl From<SpaceError> for Failure {
    fn from(error: SpaceError) -> Self {
        Self::Space(error)
    }
}

/// Where nothing else is said, what failed is writing the answer.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::Other(message)
    }
}

/// Says what went wrong, and gives the exit code.
pub(crate) fn code(result: Result<Outcome, Failure>) -> ExitCode {
    let message = match result {
        Ok(Outcome::Done) => return ExitCode::SUCCESS,
        Ok(Outcome::Partly) => return ExitCode::from(3),
        Ok(Outcome::Stopped) => return ExitCode::from(130),
        // Whoever read our output has seen enough.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            return ExitCode::SUCCESS;
        }
        Err(Failure::Output(error)) => format!("cannot write the answer: {error}"),
        Err(Failure::Space(error)) => error.to_string(),
        Err(Failure::Other(message)) => message,
    };
    complain(&message);
    ExitCode::FAILURE
}

/// Says something on standard error, if anybody listens.
pub(crate) fn complain(message: &str) {
    use io::Write;
    let _ = writeln!(io::stderr(), "antiphon: {}", crate::output::printable(message));
}
