//! The child's side: from the start of the program to the function, and from its result to the end.

use std::any::Any;
use std::cell::RefCell;
use std::env;
use std::io;
use std::mem;
use std::os::fd::{FromRawFd, OwnedFd};
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use antiphon_sys::{descriptor, image, process as system};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::descriptor::adopt;
use super::task::{self, Report, Task, VARIABLE};

/// Runs one function with an encoded argument; [`run`] for its types.
pub(super) type Runner = fn(usize, &[u8]) -> Report;

static INITIALIZED: AtomicBool = AtomicBool::new(false);
static LABEL: OnceLock<String> = OnceLock::new();

/// What a child leaves with after a panic, as every Rust program does.
const EXIT_PANICKED: i32 = 101;
/// What a child leaves with when it cannot do its task at all.
const EXIT_UNFIT: i32 = 102;

/// Makes this program one that can start children: in a child that [`spawn`](super::spawn) started, runs the function and never returns;
/// elsewhere returns at once. To be the first statement of `main`; what stands before it runs in every child as well.
///
/// The child exits as the program does at the end of `main`: other threads of it end with it.
pub fn init() {
    if INITIALIZED.swap(true, Ordering::AcqRel) {
        return;
    }
    // Whoever calls a privileged program may not choose what it runs.
    if system::is_privileged() {
        return;
    }
    let Some(number) = env::var(VARIABLE).ok().and_then(|name| Task::find(&name)) else { return };
    // SAFETY: it is the very file that the parent left open for its child, and only the first call of `init` gets here.
    let file = unsafe { OwnedFd::from_raw_fd(number) };
    match Task::read(file).and_then(become_child) {
        Ok(code) => process::exit(code),
        Err(error) => {
            eprintln!("antiphon: this child process cannot do its task: {error}");
            process::exit(EXIT_UNFIT)
        }
    }
}

/// What this process was called by the [`Builder`](super::Builder) that started it.
#[must_use]
pub fn label() -> Option<&'static str> {
    LABEL.get().map(String::as_str)
}

/// Whether [`init`] has been called.
pub(super) fn is_initialized() -> bool {
    INITIALIZED.load(Ordering::Acquire)
}

/// Does the task, and says with which code to exit.
fn become_child(task: Task) -> io::Result<i32> {
    if task.program != task::program()? {
        return Err(io::Error::other("it was started by another program"));
    }
    // SAFETY: the parent made the report and the others for this child alone, and named each once.
    let report = unsafe {
        adopt(&task.inherited)?;
        OwnedFd::from_raw_fd(task.report)
    };
    descriptor::set_inherited(&report, false)?;
    let Some(runner) = image::address_of(task.runner) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    // For `ps`, `top` and our reports, which would say "exe", after the path it was started by; not worth failing for.
    let _ = system::set_name(task.label.as_ref().unwrap_or(&program_name()));
    if let Some(label) = &task.label {
        LABEL.get_or_init(|| label.clone());
    }
    // SAFETY: the same program wrote the offset of a `Runner`.
    let runner = unsafe { mem::transmute::<*const (), Runner>(runner) };
    Report::Started.write(&report)?;
    note_panics();
    let outcome = runner(task.function, &task.argument);
    let code = if matches!(outcome, Report::Returned(_)) { 0 } else { EXIT_PANICKED };
    outcome.write(&report).or_else(|error| {
        Report::Value(format!("the result cannot be written: {error}")).write(&report)
    })?;
    Ok(code)
}

/// What the program was called when it was started, without the directories.
fn program_name() -> String {
    let path = env::args_os().next().map(PathBuf::from).unwrap_or_default();
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Decodes the argument, calls the function and encodes the result.
pub(super) fn run<A, R>(function: usize, argument: &[u8]) -> Report
where
    A: Serialize + DeserializeOwned,
    R: Serialize + DeserializeOwned,
{
    let call = || {
        let function = image::address_of(function).ok_or("the function is not there")?;
        // SAFETY: the same program wrote the offset of a function of this type, beside that of this very runner.
        let function = unsafe { mem::transmute::<*const (), fn(A) -> R>(function) };
        let argument = task::decode(argument)
            .map_err(|error| format!("the argument cannot be read: {error}"))?;
        task::encode(&function(argument))
            .map_err(|error| format!("the result cannot be written: {error}"))
    };
    // Unwinding: whatever it leaves half done, this process ends.
    match panic::catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(result)) => Report::Returned(result),
        Ok(Err(reason)) => Report::Value(reason),
        Err(payload) => Report::Panicked { message: message_of(&*payload), location: PLACE.take() },
    }
}

thread_local! {
    /// Where this thread panicked last.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Notes the place of each panic, and says what is said anyhow.
fn note_panics() {
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        PLACE.set(panic.location().map(ToString::to_string));
        previous(panic);
    }));
}

fn message_of(payload: &(dyn Any + Send)) -> String {
    if let Some(message) = payload.downcast_ref::<&str>() {
        (*message).to_owned()
    } else if let Some(message) = payload.downcast_ref::<String>() {
        message.clone()
    } else {
        "a value that is not a text".to_owned()
    }
}
