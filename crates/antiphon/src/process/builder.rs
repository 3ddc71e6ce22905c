//! The parent's side: from a function and its argument to a running child.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use antiphon_sys::{descriptor, image, process::PidFd};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::descriptor::collect;
use super::error::{Identity, SpawnError};
use super::start::{self, Runner};
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
    clear: bool,
    variables: Vec<(OsString, Option<OsString>)>,
    stdin: Option<Stdio>,
    stdout: Option<Stdio>,
    stderr: Option<Stdio>,
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
        self.variables.push((name.as_ref().to_owned(), Some(value.as_ref().to_owned())));
        self
    }

    /// Takes a variable from the child's environment.
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.variables.push((name.as_ref().to_owned(), None));
        self
    }

    /// Begins with an empty environment.
    pub fn env_clear(mut self) -> Self {
        self.variables.clear();
        self.clear = true;
        self
    }

    /// What the child reads from; see [`Stdio`].
    pub fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.stdin = Some(stdin.into());
        self
    }

    /// What the child prints to; with [`Stdio::piped`], [`Child::stdout`] has the other end.
    pub fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.stdout = Some(stdout.into());
        self
    }

    /// What the child complains to.
    pub fn stderr(mut self, stderr: impl Into<Stdio>) -> Self {
        self.stderr = Some(stderr.into());
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
        // A duplicate has another number, and the child's was written above.
        let kept = report.try_clone()?;
        let label = self.label.clone();
        let mut process = self.command(task, report, passed)?.spawn()?;
        let pid = process.id();
        // It is our child and not waited for, so the number is still its own.
        let handle = match PidFd::open(pid) {
            Ok(handle) => handle,
            Err(error) => {
                // Kernels before 5.3. Nobody could wait for it with a timeout.
                let _ = process.kill();
                let _ = process.wait();
                return Err(error.into());
            }
        };
        child::reap_abandoned();
        Ok(Child::new(process, handle, kept, Identity { pid, label }))
    }

    /// The command that starts this program with the task, and with the descriptors it speaks of open under the same numbers.
    fn command(self, task: OwnedFd, report: OwnedFd, passed: Vec<OwnedFd>) -> io::Result<Command> {
        // The file that this process executes, whatever has become of its path.
        let mut command = Command::new("/proc/self/exe");
        if let Some(name) = env::args_os().next() {
            command.arg0(name);
        }
        command.args(self.arguments);
        if self.clear {
            command.env_clear();
        }
        for (name, value) in self.variables {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.env(VARIABLE, Task::name(&task)?);
        self.stdin.map(|stdin| command.stdin(stdin));
        self.stdout.map(|stdout| command.stdout(stdout));
        self.stderr.map(|stderr| command.stderr(stderr));
        let mut inherited = passed;
        inherited.extend([task, report]);
        let leave_open =
            move || inherited.iter().try_for_each(|fd| descriptor::set_inherited(fd, true));
        // SAFETY: between fork and exec it makes one system call for each descriptor and nothing else; the flags it
        // changes are the child's own.
        unsafe { command.pre_exec(leave_open) };
        Ok(command)
    }
}
