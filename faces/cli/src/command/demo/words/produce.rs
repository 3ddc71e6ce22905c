//! A producer: walks files and folders, and puts the paths of files into the queue.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use walkdir::{DirEntry, WalkDir};

use super::job::{Found, Job};

/// Paths that travel together.
const BATCH: usize = 32;

/// What a producer is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Task {
    job: Job,
    /// Paths need not be UTF-8.
    roots: Vec<Vec<u8>>,
}

impl Task {
    pub(super) fn new(job: &Job) -> Self {
        Self { job: job.clone(), roots: Vec::new() }
    }

    pub(super) fn add(&mut self, root: PathBuf) {
        self.roots.push(root.into_os_string().into_vec());
    }
}

/// Walks all that the task names.
pub(super) fn produce(task: Task) -> Result<(), String> {
    let job = task.job.join()?;
    let mut batch = Batch { job: &job, paths: Vec::new(), bytes: 0 };
    for root in task.roots {
        let root = PathBuf::from(OsString::from_vec(root));
        for entry in WalkDir::new(&root).sort_by_file_name() {
            if job.is_stopped() {
                return Ok(());
            }
            match entry.map_err(said).and_then(|entry| Ok(size(&entry)?.map(|size| (entry, size))))
            {
                Ok(Some((entry, size))) => batch.add(entry, size),
                Ok(None) => {}
                Err((path, why)) => job.complain(&path, &why),
            }
        }
    }
    batch.send();
    Ok(())
}

/// Which path, and what is wrong with it.
type Complaint = (String, String);

/// The size of a file, nothing for what is none. A path that the user named must be something to count.
fn size(entry: &DirEntry) -> Result<Option<u64>, Complaint> {
    let complaint = |why: String| (entry.path().display().to_string(), why);
    let named = entry.depth() == 0;
    let metadata = if named {
        fs::metadata(entry.path()).map_err(|error| complaint(error.to_string()))?
    } else if entry.file_type().is_file() {
        entry.metadata().map_err(said)?
    } else {
        return Ok(None);
    };
    if metadata.is_file() {
        Ok(Some(metadata.len()))
    } else if named && !metadata.is_dir() {
        Err(complaint("it is neither a file nor a folder".to_owned()))
    } else {
        Ok(None)
    }
}

fn said(error: walkdir::Error) -> Complaint {
    let path = error.path().map(|path| path.display().to_string()).unwrap_or_default();
    let why = error.io_error().map_or_else(|| error.to_string(), ToString::to_string);
    (path, why)
}

/// Paths on their way into the queue.
struct Batch<'a> {
    job: &'a Job,
    paths: Vec<Vec<u8>>,
    bytes: u64,
}

impl Batch<'_> {
    fn add(&mut self, entry: DirEntry, size: u64) {
        self.paths.push(entry.path().as_os_str().as_bytes().to_vec());
        self.bytes += size;
        if self.paths.len() == BATCH {
            self.send();
        }
    }

    fn send(&mut self) {
        let mut totals = self.job.totals();
        let first = totals.found;
        totals.found += self.paths.len() as u64;
        totals.found_bytes += self.bytes;
        drop(totals);
        self.bytes = 0;
        let mut found = Vec::with_capacity(self.paths.len());
        for (file, path) in (first..).zip(self.paths.drain(..)) {
            match Found::new(file, &path) {
                Some(file) => found.push(file),
                None => self.job.complain(&String::from_utf8_lossy(&path), "its path is too long"),
            }
        }
        // A queue that is shut down means that everybody stops, which the walk looks for by itself.
        let _ = self.job.paths.put_many(&found);
    }
}
