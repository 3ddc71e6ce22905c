//! A copy of our crates that faults may be planted in.

use super::list::Mutant;
use crate::shell;
use crate::test::{self, Checker};
use crate::tsan;
use std::fs;
use std::path::{Path, PathBuf};

/// A workspace of its own with a few of our crates in it, its own builds, and the programs built so far.
///
/// The builds share no folder with those of the repository: cargo names a crate by its path inside a workspace, so it would take
/// the program of a faulty copy for one of the shipped source.
pub(crate) struct Tree {
    folder: PathBuf,
}

impl Tree {
    /// Copies these crates below `folder`. Only the builds of dependencies stay there from run to run.
    pub(crate) fn plant(folder: &Path, crates: &[&str]) -> Result<Self, String> {
        let tree = Self { folder: folder.to_path_buf() };
        for old in [tree.source(), tree.programs()] {
            if old.exists() {
                fs::remove_dir_all(&old).map_err(|e| format!("{}: {e}", old.display()))?;
            }
        }
        for path in crates.iter().chain(&["Cargo.lock"]) {
            copy(&shell::root().join(path), &tree.source().join(path))?;
        }
        write(&tree.source().join("Cargo.toml"), &manifest(crates)?)?;
        Ok(tree)
    }

    fn source(&self) -> PathBuf {
        self.folder.join("source")
    }

    fn programs(&self) -> PathBuf {
        self.folder.join("programs")
    }

    /// Builds the models of the source as it is, and returns the program.
    pub(crate) fn build(&self, checker: Checker) -> Result<PathBuf, String> {
        let built = cargo_build(checker, &self.folder, &self.source())?;
        let program = self.programs().join(checker.name());
        copy(&built, &program)?;
        Ok(program)
    }

    /// Builds the models with `mutant` in the source, and takes it out again.
    pub(crate) fn build_with(&self, mutant: &Mutant) -> Result<PathBuf, Unbuilt> {
        let path = self.source().join(&mutant.file);
        let original = fs::read_to_string(&path)
            .map_err(|e| Unbuilt::Unapplied(format!("{}: {e}", mutant.file)))?;
        let faulty = mutant.apply(&original).map_err(Unbuilt::Unapplied)?;
        let program = self.programs().join(&mutant.name);
        let built = write(&path, &faulty)
            .and_then(|()| cargo_build(mutant.checker, &self.folder, &self.source()))
            .and_then(|built| copy(&built, &program));
        write(&path, &original).map_err(Unbuilt::Uncompiled)?;
        built.map(|()| program).map_err(Unbuilt::Uncompiled)
    }
}

/// Why there is no program with a fault in it.
pub(crate) enum Unbuilt {
    /// The fault does not fit the source.
    Unapplied(String),
    /// The compiler refused, for this reason.
    Uncompiled(String),
}

fn cargo_build(checker: Checker, folder: &Path, source: &Path) -> Result<PathBuf, String> {
    let mut command = match checker {
        Checker::Loom | Checker::Shuttle => test::models(checker, folder, source),
        Checker::Tsan => tsan::tests(folder, source),
    };
    let output = command
        .args(["--no-run", "--message-format=json-render-diagnostics"])
        .output()
        .map_err(|e| format!("cannot start cargo: {e}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let messages = String::from_utf8_lossy(&output.stdout).into_owned();
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == checker.name())
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .ok_or_else(|| format!("cargo built no program called {}", checker.name()))
}

/// The workspace's manifest, reduced to these crates.
fn manifest(crates: &[&str]) -> Result<String, String> {
    let text = fs::read_to_string(shell::root().join("Cargo.toml"));
    let text = text.map_err(|e| format!("Cargo.toml: {e}"))?;
    let mut manifest: toml::Table =
        toml::from_str(&text).map_err(|e| format!("Cargo.toml: {e}"))?;
    let workspace = manifest.get_mut("workspace").and_then(toml::Value::as_table_mut);
    let workspace = workspace.ok_or("Cargo.toml: no workspace")?;
    workspace.remove("exclude");
    workspace.remove("default-members");
    workspace.insert("members".into(), crates.to_vec().into());
    toml::to_string(&manifest).map_err(|e| format!("Cargo.toml: {e}"))
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let fail = |e| format!("cannot copy {}: {e}", from.display());
    if !from.is_dir() {
        make_parent(to)?;
        return fs::copy(from, to).map(|_| ()).map_err(fail);
    }
    for entry in fs::read_dir(from).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    make_parent(path)?;
    fs::write(path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))
}

fn make_parent(path: &Path) -> Result<(), String> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).map_err(|e| format!("cannot make {}: {e}", parent.display()))
}
