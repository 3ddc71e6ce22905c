//! A place of one's own for the spaces of a test.

use std::fs;
use std::path::{Path, PathBuf};

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A directory in memory that `ANTIPHON_DIR` may name; removed when dropped by the process that made it.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    pid: u32,
}

impl Scratch {
    /// A new, empty directory that only this user may enter.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let pid = std::process::id();
        let name = format!("/dev/shm/antiphon-verify-{pid}-{}", NEXT.fetch_add(1, Relaxed));
        let path = PathBuf::from(name);
        let _ = fs::remove_dir_all(&path);
        std::os::unix::fs::DirBuilderExt::mode(&mut fs::DirBuilder::new(), 0o700)
            .create(&path)
            .expect("a directory in /dev/shm");
        Self { path, pid }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes it the place of all spaces that this process and its children open from now on.
    ///
    /// # Safety
    /// No other thread of this process may read or write the environment meanwhile.
    pub unsafe fn enter(&self) {
        // SAFETY: the caller's promise.
        unsafe { std::env::set_var("ANTIPHON_DIR", &self.path) };
    }

    /// The names in it.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.pid == std::process::id() {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
