//! Transcripts: `Test::new().arg("ls").stdout("…").success()`.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use antiphon::process;
use serde_json::Value;
use tempfile::TempDir;

/// Nothing here takes that long; what does, hangs.
const WATCHDOG: Duration = Duration::from_secs(120);

/// A directory for spaces, and one for files. Every test has its own.
#[derive(Clone)]
pub(crate) struct Place(Arc<TempDir>);

impl Place {
    pub(crate) fn new() -> Self {
        let shm = Path::new("/dev/shm");
        Self(Arc::new(TempDir::with_prefix_in("antiphon-cli-", shm).expect("/dev/shm has room")))
    }

    /// Where spaces are.
    pub(crate) fn spaces(&self) -> PathBuf {
        self.0.path().join("spaces")
    }

    /// A place for files.
    pub(crate) fn files(&self) -> PathBuf {
        let files = self.0.path().join("files");
        std::fs::create_dir_all(&files).unwrap();
        files
    }

    /// A command in this place.
    pub(crate) fn test(&self) -> Test {
        Test { place: self.clone(), args: Vec::new(), checks: Vec::new() }
    }

    /// Nothing was left behind.
    pub(crate) fn assert_empty(&self) {
        let left: Vec<_> = std::fs::read_dir(self.spaces())
            .map(|entries| entries.map(|entry| entry.unwrap().file_name()).collect())
            .unwrap_or_default();
        assert!(left.is_empty(), "{left:?}");
    }
}

type Check = Box<dyn Fn(&Output)>;

/// A command, and what is expected of it.
pub(crate) struct Test {
    place: Place,
    args: Vec<std::ffi::OsString>,
    checks: Vec<Check>,
}

/// What a command said, and how it ended.
pub(crate) struct Output {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) status: ExitStatus,
}

impl Test {
    pub(crate) fn new() -> Self {
        Place::new().test()
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Several arguments at once, separated by blanks.
    pub(crate) fn args(self, args: &str) -> Self {
        args.split_whitespace().fold(self, Self::arg)
    }

    /// Standard output is exactly this; `DIR` stands for the directory of the spaces.
    pub(crate) fn stdout(mut self, expected: &str) -> Self {
        let expected = expected.replace("DIR", &self.place.spaces().display().to_string());
        self.checks.push(Box::new(move |output| assert_eq!(output.stdout, expected)));
        self
    }

    /// Standard output begins so.
    pub(crate) fn stdout_begins(mut self, expected: &str) -> Self {
        let expected = expected.to_owned();
        self.checks.push(Box::new(move |output| {
            let begin: String = output.stdout.chars().take(expected.chars().count()).collect();
            assert_eq!(begin, expected);
        }));
        self
    }

    /// Standard output has this line somewhere, blanks aside.
    pub(crate) fn stdout_line(mut self, expected: &str) -> Self {
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let expected = words(expected);
        self.checks.push(Box::new(move |output| {
            let found = output.stdout.lines().any(|line| words(line) == expected);
            assert!(found, "no line \"{expected}\" in\n{}", output.stdout);
        }));
        self
    }

    /// Standard error says this somewhere.
    pub(crate) fn stderr_has(mut self, expected: &str) -> Self {
        let expected = expected.replace("DIR", &self.place.spaces().display().to_string());
        self.checks.push(Box::new(move |output| {
            assert!(output.stderr.contains(&expected), "no \"{expected}\" in\n{}", output.stderr);
        }));
        self
    }

    /// It ends with 0 and no complaint.
    pub(crate) fn success(self) -> Output {
        let output = self.code(0);
        assert_eq!(output.stderr, "");
        output
    }

    /// It ends with this code.
    pub(crate) fn code(self, code: i32) -> Output {
        self.start().end(code)
    }

    /// It succeeds, and this is what it says to programs.
    pub(crate) fn json(self) -> Value {
        let value: Value = serde_json::from_str(&self.arg("--json").success().stdout).unwrap();
        assert_eq!(value["schema"], 1);
        value
    }

    /// Starts it, for tests that do something meanwhile.
    pub(crate) fn start(self) -> Running {
        let child = Command::new(env!("CARGO_BIN_EXE_antiphon"))
            .args(&self.args)
            .env("ANTIPHON_DIR", self.place.spaces())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Running { child, place: self.place, checks: self.checks }
    }
}

/// A command that has not ended.
pub(crate) struct Running {
    child: Child,
    place: Place,
    checks: Vec<Check>,
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end, which must be this.
    pub(crate) fn end(mut self, code: i32) -> Output {
        let output = self.output();
        let Output { stdout, stderr, status } = &output;
        assert_eq!(status.code(), Some(code), "{status}\n{stdout}\n{stderr}");
        self.checks.iter().for_each(|check| check(&output));
        output
    }

    /// Waits for its end, whatever that is.
    pub(crate) fn any_end(mut self) -> Output {
        self.output()
    }

    fn output(&mut self) -> Output {
        let read = |mut pipe: Box<dyn Read + Send>| {
            thread::spawn(move || {
                let mut text = Vec::new();
                pipe.read_to_end(&mut text).unwrap();
                String::from_utf8(text).unwrap()
            })
        };
        let stdout = read(Box::new(self.child.stdout.take().unwrap()));
        let stderr = read(Box::new(self.child.stderr.take().unwrap()));
        let status = eventually("the command ends", || self.child.try_wait().unwrap());
        Output { stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap(), status }
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Looks again and again until there is something.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + WATCHDOG;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Sends a signal by the command for that.
pub(crate) fn signal(name: &str, pid: u32) {
    let status = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status();
    assert!(status.unwrap().success());
}

/// Another process that uses spaces in the same place, until this is dropped or it is killed.
pub(crate) struct Neighbour(Option<process::Child<()>>);

impl Neighbour {
    /// Starts one that does this. It calls [`ready`] when it has made what is to be seen, and then does not end.
    pub(crate) fn start(place: &Place, label: &str, live: fn(())) -> Self {
        process::init();
        let mut child = process::Builder::new()
            .label(label)
            .args(["--exact", "child_entry", "--nocapture"])
            .env("ANTIPHON_DIR", place.spaces())
            .stdin(process::Stdio::Piped)
            .stdout(process::Stdio::Piped)
            .spawn(live, ())
            .unwrap();
        let lines = BufReader::new(child.stdout().unwrap()).lines();
        let started = lines.map_while(Result::ok).any(|line| line == READY);
        assert!(started, "the neighbour ended before it was ready");
        Self(Some(child))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.as_ref().unwrap().pid()
    }

    pub(crate) fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(child) = self.0.take() {
            child.kill().unwrap();
            assert!(child.join().is_err());
        }
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        self.end();
    }
}

const READY: &str = "the neighbour is ready";

/// Says that all is made, and lives on until killed, or until whoever started it is gone.
pub(crate) fn ready() -> ! {
    println!("{READY}");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    std::process::exit(1)
}
