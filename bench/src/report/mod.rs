//! Writes what was measured: everything as JSON, the verdicts and medians as Markdown, the verdicts as a plot.

pub mod markdown;
mod plot;

use crate::machine::Machine;
use crate::marks::Mark;
use crate::record::Book;
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};

/// One invocation and its outcome.
#[derive(Serialize)]
pub struct Report<'a> {
    pub title: String,
    pub date: String,
    pub quick: bool,
    pub rounds: usize,
    pub machine: &'a Machine,
    pub marks: &'a [Mark],
    pub runs: &'a Book,
}

impl Report<'_> {
    /// Writes `<stem>.json`, `<stem>.md` and `<stem>.svg` into `folder`; returns their common path.
    pub fn write(&self, folder: &Path, stem: &str) -> Result<PathBuf, Box<dyn std::error::Error>> {
        fs::create_dir_all(folder)?;
        let base = folder.join(stem);
        fs::write(base.with_added("json"), serde_json::to_string_pretty(self)? + "\n")?;
        fs::write(base.with_added("md"), markdown::page(self, stem))?;
        plot::draw(self, &base.with_added("svg"))?;
        Ok(base)
    }
}

trait WithAdded {
    fn with_added(&self, extension: &str) -> PathBuf;
}

impl WithAdded for PathBuf {
    /// Adds an extension, keeping dots of the name.
    fn with_added(&self, extension: &str) -> PathBuf {
        let mut path = self.clone().into_os_string();
        path.push(".");
        path.push(extension);
        path.into()
    }
}
