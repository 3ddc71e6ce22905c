//! The space itself: one membership per process and address, however often it is opened.

use std::collections::HashMap;
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use antiphon_place::{
    Directory, Error, ParticipantInfo, Registration, base_directory, check_name, check_space_name,
};
use antiphon_sys::fork::{Still, still};

use super::builder::Builder;
use super::watch::Watcher;

/// A place where objects live that several threads or processes share. Cheap to clone; the process takes part until the
/// last clone and the last object opened through one are dropped.
#[derive(Clone)]
pub struct Space {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) directory: Directory,
    pub(super) registration: Box<Registration>,
    pub(super) address: String,
    watcher: Mutex<Option<Watcher>>,
}

/// The spaces that this process has open, by address (and directory, which `ANTIPHON_DIR` may change).
type Open = HashMap<(PathBuf, String), Weak<Inner>>;

/// Locks the list. A child that is forked meanwhile would find it locked for ever, so a fork waits.
fn open_spaces() -> (Still, MutexGuard<'static, Open>) {
    static OPEN: OnceLock<Mutex<Open>> = OnceLock::new();
    let still = still();
    (still, OPEN.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner))
}

fn key(address: &str) -> (PathBuf, String) {
    (base_directory(), address.to_owned())
}

/// What a process calls itself unless told: its label as a child, or nothing (then its program's name is shown).
pub(super) fn usual_label() -> &'static str {
    crate::process::label().unwrap_or_default()
}

/// What stands for an address where there is none: it tells one such space from another, and opens nothing.
fn anonymous_address(directory: &Directory) -> String {
    format!("anonymous:{:032x}", u128::from_be_bytes(directory.id()))
}

impl Space {
    /// Opens `host:NAME` or `threads:NAME` with the usual settings, creating it if need be.
    ///
    /// # Errors
    /// As [`Builder::open`].
    ///
    /// ```
    /// let space = antiphon::Space::open("threads:example")?;
    /// assert_eq!(space.address(), "threads:example");
    /// # Ok::<(), antiphon::error::SpaceError>(())
    /// ```
    pub fn open(address: &str) -> Result<Self, Error> {
        Self::builder(address).open()
    }

    /// Settings to open a space with.
    pub fn builder(address: &str) -> Builder {
        Builder::new(address)
    }

    /// Makes a space without a name: it leaves nothing behind, whatever happens. A child process
    /// reaches its objects when they are part of its [argument](crate::process::spawn).
    ///
    /// # Errors
    /// [`Error::NoRoom`], [`Error::System`].
    pub fn anonymous() -> Result<Self, Error> {
        let _still = still();
        let (directory, registration) = Directory::anonymous(256, usual_label())?;
        let address = anonymous_address(&directory);
        let space = Self::new(address, directory, registration);
        let (_still, mut open) = open_spaces();
        space.remember(&mut open);
        Ok(space)
    }

    /// The nameless space with this address, whose control segment is `file`.
    pub(super) fn attach_anonymous(address: &str, file: OwnedFd) -> Result<Self, Error> {
        let (_still, mut open) = open_spaces();
        if let Some(inner) = open.get(&key(address)).and_then(Weak::upgrade) {
            return Ok(Self { inner });
        }
        let (directory, registration) = Directory::attach_anonymous(file, usual_label())?;
        let address = anonymous_address(&directory);
        let space = Self::new(address, directory, registration);
        space.remember(&mut open);
        Ok(space)
    }

    fn remember(&self, open: &mut Open) {
        open.retain(|_, inner| inner.strong_count() > 0);
        open.insert(key(&self.inner.address), Arc::downgrade(&self.inner));
    }

    fn new(address: String, directory: Directory, registration: Box<Registration>) -> Self {
        let watcher = Mutex::default();
        Self { inner: Arc::new(Inner { directory, registration, address, watcher }) }
    }

    pub(super) fn open_with(options: Builder) -> Result<Self, Error> {
        let Some((scope, name)) = options.address.split_once(':') else {
            return Err(Error::BadScope { address: options.address });
        };
        if !matches!(scope, "host" | "threads") {
            return Err(Error::BadScope { address: options.address });
        }
        if scope == "host" {
            check_space_name(name)?
        } else {
            check_name(name)?
        }
        let (still, mut open) = open_spaces();
        let space = match open.get(&key(&options.address)).and_then(Weak::upgrade) {
            Some(inner) => Self { inner },
            None => {
                let (directory, registration) = if scope == "host" {
                    Directory::open(name, options.participants, options.lifetime, &options.label)?
                } else {
                    Directory::heap()
                };
                let space = Self::new(options.address, directory, registration);
                space.remember(&mut open);
                space
            }
        };
        drop(open);
        drop(still);
        if options.watch {
            space.watch()?;
        }
        Ok(space)
    }

    /// The address it was opened by. That of an anonymous space opens nothing.
    pub fn address(&self) -> &str {
        &self.inner.address
    }

    /// The processes that take part now.
    pub fn participants(&self) -> Vec<ParticipantInfo> {
        self.inner.registration.look_now();
        self.inner.registration.list()
    }

    /// Starts a thread that notices deaths within about a millisecond on behalf of everybody in the space, instead of up to 100 ms.
    /// One such process in a space is enough. Does nothing in scope `threads`, or when it runs already. A forked child has none
    /// until it asks for one.
    ///
    /// The kernel closes a dead process's descriptor of the control segment; the thread sleeps until it says so (inotify),
    /// and costs nothing meanwhile.
    ///
    /// # Errors
    /// [`Error::System`] when the kernel has no more watches or threads.
    pub fn watch(&self) -> Result<(), Error> {
        let _still = still();
        let mut watcher = self.inner.watcher.lock().unwrap_or_else(PoisonError::into_inner);
        if !watcher.as_ref().is_some_and(Watcher::is_ours) {
            // What a forked child has inherited tells its news to the parent.
            *watcher = None;
            *watcher = Watcher::start(&self.inner)?;
        }
        Ok(())
    }

    /// Takes an object's name away; those who use it go on with it, later openers get a new one.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::BadName`], [`Error::System`].
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        self.inner.directory.remove(name)
    }

    /// Is there an object of that name?
    pub fn contains(&self, name: &str) -> bool {
        self.inner.directory.contains(name)
    }
}

impl fmt::Debug for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Space").field("address", &self.inner.address).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The watcher first: it looks through our registration.
        drop(self.watcher.get_mut().unwrap_or_else(PoisonError::into_inner).take());
        self.directory.leave(&self.registration);
    }
}
