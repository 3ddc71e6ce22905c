//! The parent's side: from a function and its argument to a running child.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStringExt;

use antiphon_sys::image;
use antiphon_sys::spawn::Command;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::descriptor::collect;
use super::error::{Identity, SpawnError};
use super::start::{self, Runner};
use super::stdio::{Ends, Stdio};
use super::task::{self, Report, Task, VARIABLE};
use super::{Child, child};

/// Runs `function` with `argument` in a new process of this program.
///
/// # Errors
/// When [`init`](super::init) has not been called, the argument cannot be written, or the system has no room for a process.
///
/// # Examples
/// ```no_run
/// use antiphon::process;
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     process::init();
///     let child = process::spawn(|name: String| format!("hello, {name}"), "world".to_owned())?;
///     assert_eq!(child.join()?, "hello, world");
///     Ok(())
/// }
/// ```
pub fn spawn<A, R>(function: fn(A) -> R, argument: A) -> Result<Child<R>, SpawnError>
where
    A: Serialize + DeserializeOwned,
    R: Serialize + DeserializeOwned,
{
    Builder::new().spawn(function, argument)
}

/// How a child is to be started.
///
/// Without more, it has this process's environment and standard streams, and no arguments.
/// ```no_run
/// use antiphon::process;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// process::init();
/// let child = process::Builder::new()
///     .label("worker 3")
///     .env("RUST_LOG", "debug")
///     .spawn(|()| process::label().map(str::to_owned), ())?;
/// assert_eq!(child.join()?.as_deref(), Some("worker 3"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
#[must_use = "a builder starts nothing before `spawn`"]
pub struct Builder {
    label: Option<String>,
    arguments: Vec<OsString>,
    environment: Environment,
    stdin: Stdio,
    stdout: Stdio,
    stderr: Stdio,
}

impl Builder {
    /// A child like this process.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the child: for error messages, for [`label`](super::label) in the child, and (its first 15 bytes) for `ps` and `top`.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Adds an argument of the program, for those who read them: what stands before [`init`](super::init), or the
    /// function.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments of the program.
    pub fn args<I, S>(mut self, arguments: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Sets a variable of the child's environment.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.set(name.as_ref().to_owned(), Some(value.as_ref().to_owned()));
        self
    }

    /// Takes a variable from the child's environment.
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.environment.set(name.as_ref().to_owned(), None);
        self
    }

    /// Begins with an empty environment.
    pub fn env_clear(mut self) -> Self {
        self.environment = Environment { clear: true, changes: BTreeMap::new() };
        self
    }

    /// What the child reads from; see [`Stdio`].
    pub fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.stdin = stdin.into();
        self
    }

    /// What the child prints to; with [`Stdio::Piped`], [`Child::stdout`] has the other end.
    pub fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.stdout = stdout.into();
        self
    }

    /// What the child complains to.
    pub fn stderr(mut self, stderr: impl Into<Stdio>) -> Self {
        self.stderr = stderr.into();
        self
    }

    /// Starts the child; see [`spawn`].
    ///
    /// # Errors
    /// As [`spawn`].
    pub fn spawn<A, R>(self, function: fn(A) -> R, argument: A) -> Result<Child<R>, SpawnError>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        if !start::is_initialized() {
            return Err(SpawnError::NotInitialized);
        }
        let runner: Runner = start::run::<A, R>;
        let offset = |code| image::offset_of(code).ok_or(SpawnError::ForeignFunction);
        let (runner, function) = (offset(runner as *const ())?, offset(function as *const ())?);
        let (argument, passed) = collect(|| task::encode(&argument));
        let argument = argument.map_err(SpawnError::Argument)?;
        let report = Report::file()?;
        let task = Task {
            program: task::program()?,
            runner,
            function,
            report: report.as_raw_fd(),
            inherited: passed.iter().map(AsRawFd::as_raw_fd).collect(),
            label: self.label.clone(),
            argument,
        };
        let task = task.write()?;
        let streams = [
            Ends::of_input(self.stdin)?,
            Ends::of_output(self.stdout)?,
            Ends::of_output(self.stderr)?,
        ];
        let mut inherited: Vec<_> = passed.iter().map(AsFd::as_fd).collect();
        inherited.extend([task.as_fd(), report.as_fd()]);
        let mut environment = self.environment;
        environment.set(VARIABLE.into(), Some(Task::name(&task)?.into()));
        let name = env::args_os().next().unwrap_or_default();
        let arguments = [name].into_iter().chain(self.arguments);
        let pid = Command {
            // The file that this process executes, whatever has become of its path.
            program: c"/proc/self/exe",
            arguments: &arguments.map(c_string).collect::<io::Result<Vec<_>>>()?,
            environment: &environment.lines().map(c_string).collect::<io::Result<Vec<_>>>()?,
            streams: [streams[0].stream(), streams[1].stream(), streams[2].stream()],
            inherited: &inherited,
        }
        .spawn()?;
        child::reap_abandoned();
        let identity = Identity { pid, label: self.label };
        Ok(Child::new(identity, report, streams.map(|stream| stream.ours))?)
    }
}

/// The environment of the child, as changes to this process's.
#[derive(Debug, Default)]
struct Environment {
    clear: bool,
    changes: BTreeMap<OsString, Option<OsString>>,
}

impl Environment {
    fn set(&mut self, name: OsString, value: Option<OsString>) {
        self.changes.insert(name, value);
    }

    /// As `NAME=value`.
    fn lines(self) -> impl Iterator<Item = OsString> {
        let ours: BTreeMap<_, _> =
            if self.clear { BTreeMap::new() } else { env::vars_os().collect() };
        let mut all: BTreeMap<_, _> =
            ours.into_iter().map(|(name, value)| (name, Some(value))).collect();
        all.extend(self.changes);
        all.into_iter().filter_map(|(mut line, value)| {
            line.push("=");
            line.push(value?);
            Some(line)
        })
    }
}

fn c_string(text: OsString) -> io::Result<CString> {
    Ok(CString::new(text.into_vec())?)
}
