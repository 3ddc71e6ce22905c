//! The list of faults.

use crate::shell;
use crate::test::Checker;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs;

/// One fault.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mutant {
    /// Primitive and fault, as in `mutex-unlock-relaxed`.
    pub(crate) name: String,
    /// From the root of the repository; below `crates/core/src`.
    pub(crate) file: String,
    /// Text that occurs exactly once in the file.
    pub(super) find: String,
    /// What stands there instead.
    pub(super) replace: String,
    /// How the names of the models begin that must catch it.
    pub(crate) test: String,
    /// Whose models (or tests) these are; loom's when it does not say.
    #[serde(default)]
    pub(crate) checker: Checker,
    /// What goes wrong.
    pub(crate) why: String,
}

impl Mutant {
    /// Whether the model called `test` of that checker is one that must catch this fault.
    pub(super) fn wants(&self, checker: Checker, test: &str) -> bool {
        checker == self.checker && test.starts_with(&self.test)
    }

    /// `source` with the fault in it.
    pub(super) fn apply(&self, source: &str) -> Result<String, String> {
        if self.find == self.replace {
            return Err("changes nothing".into());
        }
        match source.matches(&self.find).count() {
            1 => Ok(source.replacen(&self.find, &self.replace, 1)),
            n => Err(format!("its text occurs {n} times in {}", self.file)),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    mutant: Vec<Mutant>,
}

/// Reads the list; names in it are unique.
pub(crate) fn read() -> Result<Vec<Mutant>, String> {
    let path = shell::root().join("verify/mutants.toml");
    let fail = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    let text = fs::read_to_string(&path).map_err(|e| fail(&e))?;
    let document: Document = toml::from_str(&text).map_err(|e| fail(&e))?;
    let mut names = BTreeSet::new();
    for mutant in &document.mutant {
        if !names.insert(mutant.name.as_str()) {
            return Err(fail(&format!("two faults are called {}", mutant.name)));
        }
        if !mutant.file.starts_with("crates/core/src/") {
            return Err(fail(&format!("{}: the models see crates/core only", mutant.name)));
        }
    }
    Ok(document.mutant)
}

#[cfg(test)]
mod tests {
    use super::Mutant;
    use crate::test::Checker;

    #[test]
    fn a_fault_fits_exactly_one_place() {
        let mutant = Mutant {
            name: "x".into(),
            file: "crates/core/src/x.rs".into(),
            find: "Release".into(),
            replace: "Relaxed".into(),
            test: "x".into(),
            checker: Checker::Loom,
            why: "y".into(),
        };
        assert_eq!(mutant.apply("store(Release)"), Ok("store(Relaxed)".into()));
        assert!(mutant.apply("store(Acquire)").is_err());
        assert!(mutant.apply("Release Release").is_err());
    }
}
