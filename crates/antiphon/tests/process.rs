//! Children of this very program: so its `main` is ours, and calls [`process::init`] first.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::panic::{self, AssertUnwindSafe};
use std::process::{Command, ExitCode};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use antiphon::process::{
    self, Builder, Child, Descriptor, JoinError, SpawnError, Stdio, TryJoinError,
};
use serde::ser::Error;
use serde::{Deserialize, Serialize, Serializer};

/// Makes a child leave before it comes to `init`.
const LEAVE_EARLY: &str = "ANTIPHON_TEST_LEAVE_EARLY";

fn main() -> ExitCode {
    if std::env::var_os(LEAVE_EARLY).is_some() {
        return ExitCode::from(7);
    }
    let too_early = process::spawn(|()| (), ());
    process::init();
    assert!(matches!(too_early, Err(SpawnError::NotInitialized)));
    if std::env::args().any(|argument| argument == "--say-hello") {
        println!("hello from main");
        return ExitCode::SUCCESS;
    }

    let filter: Vec<_> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let (mut passed, mut failed, mut filtered) = (0, 0, 0);
    for (name, test) in TESTS {
        if !filter.is_empty() && !filter.iter().any(|part| name.contains(part.as_str())) {
            filtered += 1;
            continue;
        }
        let _watchdog = Watchdog::start(name);
        let outcome = panic::catch_unwind(AssertUnwindSafe(test));
        println!("test {name} ... {}", if outcome.is_ok() { "ok" } else { "FAILED" });
        if outcome.is_ok() { passed += 1 } else { failed += 1 }
    }
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {verdict}. {passed} passed; {failed} failed; 0 ignored; 0 measured; {filtered} filtered out"
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Ends a test that hangs, with its name.
struct Watchdog(
    #[expect(dead_code, reason = "its end is what the other side waits for")] mpsc::Sender<()>,
);

impl Watchdog {
    fn start(name: &'static str) -> Self {
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            if receiver.recv_timeout(Duration::from_secs(120))
                == Err(mpsc::RecvTimeoutError::Timeout)
            {
                eprintln!("test {name} hangs");
                std::process::abort();
            }
        });
        Self(sender)
    }
}

macro_rules! tests {
    ($($name:ident)*) => { &[$((stringify!($name), $name)),*] };
}

const TESTS: &[(&str, fn())] = tests! {
    a_result_comes_back
    big_values_go_both_ways
    a_panic_is_told_with_its_place
    a_death_is_told_with_its_signal
    leaving_early_is_told
    a_join_that_gives_up_gives_the_child_back
    a_stopped_child_is_alive
    what_cannot_be_written_is_an_error_here
    a_child_is_started_as_it_was_described
    a_descriptor_travels_and_nothing_else_does
    descriptors_of_children_started_at_once_do_not_mix
    a_child_has_children
    a_program_started_by_a_child_is_no_child
    an_abandoned_child_is_not_left_as_a_zombie
    no_moment_of_death_hangs_the_parent
    nothing_is_left_open
};

fn nap(_: ()) {
    thread::sleep(Duration::from_secs(1000));
}

fn a_result_comes_back() {
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    enum Shape {
        Point,
        Named { name: String, sides: Option<u128> },
    }
    let child = process::spawn(|numbers: Vec<i64>| numbers.iter().sum::<i64>(), vec![1, 2, -4]);
    assert_eq!(child.unwrap().join().unwrap(), -1);
    let shapes = || vec![Shape::Point, Shape::Named { name: "ö".into(), sides: Some(u128::MAX) }];
    let child = process::spawn(|shapes: Vec<Shape>| shapes, shapes()).unwrap();
    assert_eq!(child.join().unwrap(), shapes());
    fn generic<T: Default>(_: ()) -> T {
        T::default()
    }
    assert_eq!(process::spawn(generic::<u8>, ()).unwrap().join().unwrap(), 0);
    assert_eq!(process::spawn(generic::<String>, ()).unwrap().join().unwrap(), "");
}

fn big_values_go_both_ways() {
    let text = "antiphon".repeat(2_000_000);
    let child = process::spawn(|text: String| text + "!", text.clone()).unwrap();
    assert_eq!(child.join().unwrap(), text + "!");
}

fn a_panic_is_told_with_its_place() {
    let quiet = || Builder::new().stderr(Stdio::Null);
    let child = quiet().label("singer").spawn(|()| -> u32 { panic!("out of tune") }, ()).unwrap();
    let pid = child.pid();
    let error = child.join().unwrap_err();
    let text = error.to_string();
    let JoinError::Panicked { child, message, location } = error else { panic!("{text}") };
    assert_eq!((child.pid, child.label.as_deref()), (pid, Some("singer")));
    assert_eq!(message, "out of tune");
    assert!(location.unwrap().contains("process.rs:"));
    assert!(text.starts_with(&format!("child process `singer` ({pid}) panicked at ")), "{text}");
    let child = quiet().spawn(|n: u32| -> u32 { panic!("{n} is too much") }, 3).unwrap();
    assert!(child.join().unwrap_err().to_string().ends_with(": 3 is too much"));
}

fn a_death_is_told_with_its_signal() {
    let child = process::spawn(nap, ()).unwrap();
    assert!(child.is_alive());
    child.kill().unwrap();
    let error = child.join().unwrap_err().to_string();
    assert!(error.contains("SIGKILL"), "{error}");
    let child = process::spawn(nap, ()).unwrap();
    child.terminate().unwrap();
    let error = child.join().unwrap_err().to_string();
    assert!(error.contains("SIGTERM"), "{error}");
}

fn leaving_early_is_told() {
    let child = process::spawn(|()| -> u32 { std::process::exit(3) }, ()).unwrap();
    let error = child.join().unwrap_err();
    let JoinError::Ended { status, .. } = error else { panic!("{error}") };
    assert_eq!(status.code(), Some(3));
    let child = Builder::new().env(LEAVE_EARLY, "").spawn(|()| (), ()).unwrap();
    let error = child.join().unwrap_err();
    assert!(error.to_string().contains("process::init()"), "{error}");
    let JoinError::NotStarted { status, .. } = error else { panic!("{error}") };
    assert_eq!(status.code(), Some(7));
}

fn a_join_that_gives_up_gives_the_child_back() {
    let running = |result: Result<(), TryJoinError<()>>| match result {
        Err(TryJoinError::Running(child)) => child,
        other => panic!("{other:?}"),
    };
    let child = process::spawn(nap, ()).unwrap();
    let child = running(child.try_join());
    let child = running(child.join_timeout(Duration::from_millis(5)));
    let child = running(child.join_deadline(Instant::now() + Duration::from_millis(5)));
    let child = running(child.join_deadline(Instant::now()));
    child.kill().unwrap();
    let ended = child.join_timeout(Duration::MAX).unwrap_err();
    assert!(matches!(ended, TryJoinError::Failed(JoinError::Ended { .. })));
    assert!(ended.into_running().is_none());
    let mut child = process::spawn(|()| 5_u32, ()).unwrap();
    let result = loop {
        match child.try_join() {
            Ok(result) => break result,
            Err(error) => child = error.into_running().unwrap(),
        }
    };
    assert_eq!(result, 5);
}

fn a_stopped_child_is_alive() {
    let child = process::spawn(nap, ()).unwrap();
    child.signal(19).unwrap();
    let child = child.join_timeout(Duration::from_millis(20)).unwrap_err().into_running().unwrap();
    assert!(child.is_alive());
    child.kill().unwrap();
    child.join().unwrap_err();
}

/// Neither writes nor reads.
#[derive(Debug)]
struct Mute;

impl Serialize for Mute {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("it says nothing"))
    }
}

impl<'de> Deserialize<'de> for Mute {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        <()>::deserialize(from)?;
        Ok(Self)
    }
}

fn what_cannot_be_written_is_an_error_here() {
    let error = process::spawn(|_: Mute| (), Mute).unwrap_err();
    assert!(
        matches!(&error, SpawnError::Argument(why) if why.contains("it says nothing")),
        "{error}"
    );
    let error = process::spawn(|()| Mute, ()).unwrap().join().unwrap_err();
    assert!(error.to_string().contains("it says nothing"), "{error}");
    assert!(matches!(error, JoinError::Value { .. }));
    let (reader, _writer) = std::io::pipe().unwrap();
    let back = |fd: Descriptor| fd;
    let child = process::spawn(back, Descriptor::from(OwnedFd::from(reader))).unwrap();
    let error = child.join().unwrap_err();
    assert!(error.to_string().contains("only in the argument"), "{error}");
}

fn a_child_is_started_as_it_was_described() {
    type Seen = (Option<String>, Vec<String>, Option<String>, Option<String>, String);
    let look = |variable: String| -> Seen {
        let mut line = String::new();
        std::io::stdin().read_to_string(&mut line).unwrap();
        println!("out: {line}");
        eprintln!("err: {line}");
        (
            process::label().map(str::to_owned),
            std::env::args().skip(1).collect(),
            std::env::var(variable).ok(),
            std::env::var("HOME").ok(),
            fs::read_to_string("/proc/self/comm").unwrap(),
        )
    };
    let mut child = Builder::new()
        .label("the third of the workers")
        .arg("-x")
        .args(["y", "z"])
        .env_clear()
        .env("ANTIPHON_TEST_A", "1")
        .stdin(Stdio::Piped)
        .stdout(Stdio::Piped)
        .stderr(Stdio::Piped)
        .spawn(look, "ANTIPHON_TEST_A".to_owned())
        .unwrap();
    child.stdin().unwrap().write_all(b"hello").unwrap();
    assert!(child.stdin().is_none());
    let mut text = String::new();
    child.stdout().unwrap().read_to_string(&mut text).unwrap();
    child.stderr().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "out: hello\nerr: hello\n");
    let (label, arguments, variable, home, name) = child.join().unwrap();
    assert_eq!(label.as_deref(), Some("the third of the workers"));
    assert_eq!(arguments, ["-x", "y", "z"]);
    assert_eq!((variable.as_deref(), home), (Some("1"), None));
    assert_eq!(name, "the third of th\n");
    assert_eq!(process::label(), None);
}

/// The descriptors open in this process, without the one that looks.
fn open_descriptors() -> Vec<i32> {
    let listed = fs::read_dir("/proc/self/fd").unwrap();
    let mut all: Vec<i32> =
        listed.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect();
    all.sort_unstable();
    let open = |fd: &i32| fs::read_link(format!("/proc/self/fd/{fd}")).is_ok();
    all.retain(open);
    all
}

fn send_and_list(writer: Descriptor) -> usize {
    let mut writer = std::io::PipeWriter::from(writer.into_fd());
    writer.write_all(std::process::id().to_string().as_bytes()).unwrap();
    open_descriptors().len()
}

/// How many descriptors a child has that is given none: its standard streams, the report, and what whoever started this test left
/// open for everybody.
fn least() -> usize {
    process::spawn(|()| open_descriptors().len(), ()).unwrap().join().unwrap()
}

/// A child that writes its number into a pipe, and the other end.
fn writer() -> (Child<usize>, std::io::PipeReader) {
    let (reader, writer) = std::io::pipe().unwrap();
    let writer = Descriptor::from(OwnedFd::from(writer));
    (process::spawn(send_and_list, writer).unwrap(), reader)
}

fn a_descriptor_travels_and_nothing_else_does() {
    let least = least();
    let _others: Vec<_> = (0..20).map(|_| std::io::pipe().unwrap()).collect();
    let (child, mut reader) = writer();
    let mut text = String::new();
    // It ends because nobody else has the other end, not even this process.
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, child.pid().to_string());
    assert_eq!(child.join().unwrap(), least + 1);
    assert!(process::inherit(&reader).is_err());
    assert!(process::inherited(3).is_err());
}

fn descriptors_of_children_started_at_once_do_not_mix() {
    let least = least();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(move || {
                for _ in 0..10 {
                    let (child, mut reader) = writer();
                    let mut text = String::new();
                    reader.read_to_string(&mut text).unwrap();
                    assert_eq!(text, child.pid().to_string());
                    assert_eq!(child.join().unwrap(), least + 1);
                }
            });
        }
    });
}

fn factorial(n: u64) -> u64 {
    if n == 0 { 1 } else { n * process::spawn(factorial, n - 1).unwrap().join().unwrap() }
}

fn a_child_has_children() {
    assert_eq!(process::spawn(factorial, 5).unwrap().join().unwrap(), 120);
}

fn a_program_started_by_a_child_is_no_child() {
    let run = |()| {
        let output = Command::new("/proc/self/exe").arg("--say-hello").output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(process::spawn(run, ()).unwrap().join().unwrap(), "hello from main\n");
}

fn an_abandoned_child_is_not_left_as_a_zombie() {
    let child = process::spawn(nap, ()).unwrap();
    let path = format!("/proc/{}", child.pid());
    child.kill().unwrap();
    drop(child);
    while fs::exists(&path).unwrap() {
        process::spawn(|()| (), ()).unwrap().join().unwrap();
    }
}

fn no_moment_of_death_hangs_the_parent() {
    let mut results = 0;
    for round in 0..200 {
        let child = process::spawn(|text: String| text + "!", "x".repeat(10_000)).unwrap();
        thread::sleep(Duration::from_micros(round * 15));
        child.kill().unwrap();
        match child.join() {
            Ok(text) => {
                assert_eq!(text.len(), 10_001);
                results += 1;
            }
            Err(JoinError::Ended { .. } | JoinError::NotStarted { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    println!("  killed 200 children, {results} of them after their result");
}

fn nothing_is_left_open() {
    let before = open_descriptors();
    for _ in 0..10 {
        assert_eq!(process::spawn(|x: u32| x, 1).unwrap().join().unwrap(), 1);
        process::spawn(|_: Mute| (), Mute).unwrap_err();
        let child = process::spawn(nap, ()).unwrap();
        child.kill().unwrap();
        child.join().unwrap_err();
    }
    assert_eq!(open_descriptors(), before);
}
