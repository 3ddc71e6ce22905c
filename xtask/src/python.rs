//! `cargo xtask python`: builds the wheel, installs it into environments of its own, and runs the tests of the Python package.

use crate::shell::{self, Outcome};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The newest version that is tested, beside the one that `python3` is.
const NEWEST: &str = "3.13";
/// What the tests need, and what builds the wheel.
const TOOLS: [&str; 2] = ["maturin>=1.9,<2", "pytest>=8,<10"];

/// Builds, installs and tests, with every interpreter that is there.
pub(crate) fn run() -> Outcome {
    let home = shell::target_directory()?.join("python");
    let interpreters = interpreters()?;
    let first = Environment::make(&home, &interpreters[0])?;
    let wheel = first.build_wheel(&home)?;
    for interpreter in &interpreters {
        let environment = Environment::make(&home, interpreter)?;
        environment.pip([
            OsStr::new("--force-reinstall"),
            OsStr::new("--no-deps"),
            wheel.as_os_str(),
        ])?;
        println!("--> {}", interpreter.version);
        // From elsewhere, so that the installed package is what is found.
        let tests = shell::root().join("faces/python/tests");
        let mut pytest = Command::new(environment.program("python"));
        pytest.args(["-m", "pytest", "-q", "-p", "no:cacheprovider"]).arg(tests).current_dir(&home);
        shell::call(&mut pytest)?;
    }
    Ok(())
}

/// An interpreter, and what it says it is.
struct Interpreter {
    program: PathBuf,
    version: String,
}

impl Interpreter {
    /// The interpreter at `program`, if it runs.
    fn at(program: impl Into<PathBuf>) -> Option<Self> {
        let program = program.into();
        let said = Command::new(&program)
            .args(["-c", "import platform; print(platform.python_version())"])
            .stderr(Stdio::null())
            .output()
            .ok()?;
        let version = String::from_utf8(said.stdout).ok()?.trim().to_owned();
        (said.status.success() && !version.is_empty()).then_some(Self { program, version })
    }
}

/// The one that `python3` is, and the newest if that is another.
fn interpreters() -> Result<Vec<Interpreter>, String> {
    let default =
        Interpreter::at("python3").ok_or("there is no python3: install Python 3.11 or newer")?;
    let newest = if default.version.starts_with(NEWEST) { None } else { newest() };
    if newest.is_none() && !default.version.starts_with(NEWEST) {
        println!("skipped: the tests with Python {NEWEST}, which is not installed");
    }
    Ok([default].into_iter().chain(newest).collect())
}

/// On the path, or where pyenv keeps those that are not.
fn newest() -> Option<Interpreter> {
    let name = format!("python{NEWEST}");
    let root = std::env::var_os("PYENV_ROOT").map(PathBuf::from);
    let root = root.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".pyenv")))?;
    let kept = std::fs::read_dir(root.join("versions")).into_iter().flatten().flatten();
    let kept = kept.filter(|entry| entry.file_name().to_string_lossy().starts_with(NEWEST));
    let kept = kept.map(|entry| entry.path().join("bin").join(&name));
    std::iter::once(PathBuf::from(&name)).chain(kept).find_map(Interpreter::at)
}

/// A virtual environment.
struct Environment(PathBuf);

impl Environment {
    /// Makes it unless it is there, with all tools.
    fn make(home: &Path, interpreter: &Interpreter) -> Result<Self, String> {
        let environment = Self(home.join(&interpreter.version));
        if !environment.program("pytest").exists() {
            let mut venv = Command::new(&interpreter.program);
            shell::call(venv.args(["-m", "venv", "--clear"]).arg(&environment.0))?;
            environment.pip(TOOLS)?;
        }
        Ok(environment)
    }

    fn program(&self, name: &str) -> PathBuf {
        self.0.join("bin").join(name)
    }

    fn pip(&self, what: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Outcome {
        let mut pip = Command::new(self.program("python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(what);
        shell::call(&mut pip)
    }

    /// One wheel serves every version.
    fn build_wheel(&self, home: &Path) -> Result<PathBuf, String> {
        let wheels = home.join("wheels");
        let _ = std::fs::remove_dir_all(&wheels);
        let mut maturin = Command::new(self.program("maturin"));
        maturin.args(["build", "--quiet", "--release", "--manifest-path"]);
        maturin.arg(shell::root().join("faces/python/Cargo.toml")).arg("--out").arg(&wheels);
        maturin.arg("--interpreter").arg(self.program("python"));
        shell::call(&mut maturin)?;
        let built = std::fs::read_dir(&wheels).map_err(|error| error.to_string())?;
        let wheel = built.flatten().map(|entry| entry.path()).next();
        wheel.ok_or_else(|| "maturin has built no wheel".to_owned())
    }
}
