//! Running other programs, and where things are.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// What a chore returns: nothing, or what went wrong and what to do about it.
pub(crate) type Outcome = Result<(), String>;

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("xtask lies in the root of the repository").to_path_buf()
}

/// A cargo command that runs in the root of the repository.
pub(crate) fn cargo() -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// The toolchain with the sanitizers.
const NIGHTLY: &str = "nightly";
/// Sanitizers ask for a target by its name, so that build scripts and macros go without.
pub(crate) const TARGET: &str = "x86_64-unknown-linux-gnu";

/// A command of the nightly toolchain, which `rustup` has.
pub(crate) fn nightly_cargo() -> Command {
    let mut command = Command::new("rustup");
    command
        .current_dir(root())
        .args(["run", NIGHTLY, "cargo"])
        // cargo and rustc of the toolchain that runs this would win over the one asked for.
        .env_remove("CARGO")
        .env_remove("RUSTC");
    command
}

/// Whether there is such a toolchain.
pub(crate) fn has_nightly() -> bool {
    let output = nightly_cargo().arg("--version").output();
    output.is_ok_and(|output| output.status.success())
}

/// What `cargo metadata` says about the workspace, without its dependencies.
pub(crate) fn metadata() -> Result<serde_json::Value, String> {
    let arguments = ["metadata", "--format-version=1", "--no-deps"];
    let output = cargo().args(arguments).output().map_err(|e| format!("cargo metadata: {e}"))?;
    if !output.status.success() {
        return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr)));
    }
    serde_json::from_slice(&output.stdout).map_err(|e| format!("cargo metadata: {e}"))
}

/// Where builds go, as cargo is configured.
pub(crate) fn target_directory() -> Result<PathBuf, String> {
    let metadata = metadata()?;
    let directory = metadata["target_directory"].as_str();
    directory.map(PathBuf::from).ok_or_else(|| "cargo metadata names no target directory".into())
}

/// Runs a command that must succeed, and leaves it our terminal.
pub(crate) fn call(command: &mut Command) -> Outcome {
    let name = describe(command);
    let status = command.status().map_err(|e| format!("cannot start {name}: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("{name}: {status}")) }
}

/// Runs a command, shows its standard output line by line and hands each line to `look`.
pub(crate) fn tee(command: &mut Command, mut look: impl FnMut(&str)) -> Result<ExitStatus, String> {
    let name = describe(command);
    let mut child =
        command.stdout(Stdio::piped()).spawn().map_err(|e| format!("cannot start {name}: {e}"))?;
    let lines = BufReader::new(child.stdout.take().expect("standard output is piped"));
    for line in lines.split(b'\n') {
        let line = line.map_err(|e| format!("cannot read from {name}: {e}"))?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        look(&line);
    }
    child.wait().map_err(|e| format!("cannot wait for {name}: {e}"))
}

/// Like [`tee`], and hands each line of standard error to `listen`, from another thread.
pub(crate) fn tee_both(
    command: &mut Command,
    look: impl FnMut(&str),
    mut listen: impl FnMut(&str) + Send,
) -> Result<ExitStatus, String> {
    let (reader, writer) = std::io::pipe().map_err(|e| format!("no pipe: {e}"))?;
    command.stderr(writer);
    thread::scope(|scope| {
        scope.spawn(move || {
            for line in BufReader::new(reader).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line);
                eprintln!("{line}");
                listen(&line);
            }
        });
        let status = tee(command, look);
        // Our own end of the pipe would keep the other thread waiting.
        command.stderr(Stdio::inherit());
        status
    })
}

/// What a command with a time limit came to.
pub(crate) struct Ended {
    /// `None`: the limit was reached, and the program was stopped.
    pub(crate) status: Option<ExitStatus>,
    /// Both output streams, standard output first.
    pub(crate) output: String,
}

/// Runs a command for at most `limit`.
pub(crate) fn run_for(command: &mut Command, limit: Duration) -> Result<Ended, String> {
    let name = describe(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("cannot start {name}: {e}"))?;
    let stdout = drain(child.stdout.take().expect("standard output is piped"));
    let stderr = drain(child.stderr.take().expect("standard error is piped"));
    let end = Instant::now() + limit;
    let status = loop {
        match child.try_wait().map_err(|e| format!("cannot wait for {name}: {e}"))? {
            Some(status) => break Some(status),
            None if Instant::now() < end => thread::sleep(Duration::from_millis(20)),
            None => {
                // Both may fail only when it has just ended by itself.
                let _ = child.kill();
                let _ = child.wait();
                break None;
            }
        }
    };
    let text = |reader: thread::JoinHandle<Vec<u8>>| {
        String::from_utf8_lossy(&reader.join().unwrap_or_default()).into_owned()
    };
    Ok(Ended { status, output: text(stdout) + &text(stderr) })
}

/// Reads a stream to its end beside the program, which would otherwise block on a full pipe.
fn drain(mut stream: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // A broken pipe ends the text early, which the reader of the text can see.
        let _ = stream.read_to_end(&mut bytes);
        bytes
    })
}

/// The command as one would type it.
pub(crate) fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
