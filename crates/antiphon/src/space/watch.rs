//! The optional watcher: a thread that notices deaths at once.

use std::io;
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use antiphon_place::{Error, Registration};
use antiphon_sys::clock::deadline_after;
use antiphon_sys::watch::{Outcome, Watch};

use super::inner::Inner;

/// The kernel tells of a closed file a little before it releases its locks, which are the truth: how long to look again
/// for a death that the news announced, and how often.
const SETTLE: [Duration; 5] = [
    Duration::from_micros(100),
    Duration::from_micros(300),
    Duration::from_millis(1),
    Duration::from_millis(3),
    Duration::from_millis(10),
];

/// The watcher's thread. Stopped and joined when dropped.
#[derive(Debug)]
pub(super) struct Watcher {
    /// In a box, since the thread knows where it is. Not shared with it: a forked child has the value without the thread, and
    /// must be able to close the descriptors in it.
    watch: Box<Watch>,
    thread: Option<JoinHandle<()>>,
    process: u32,
}

/// What the thread listens to and looks through: both outlive the thread, which `Watcher::drop` joins first.
struct Look(*const Watch, *const Registration);

// SAFETY: both may be used from any thread, and this one is joined before they are dropped.
unsafe impl Send for Look {}

impl Look {
    fn watch(&self) -> &Watch {
        // SAFETY: see `Look`.
        unsafe { &*self.0 }
    }

    fn look(&self) {
        // SAFETY: see `Look`.
        unsafe { (*self.1).look_now() }
    }
}

impl Watcher {
    /// Starts the thread; `None` when only threads share the space.
    pub(super) fn start(inner: &Inner) -> Result<Option<Self>, Error> {
        let Some(control) = inner.registration.descriptor() else { return Ok(None) };
        let refused = |source: io::Error| Error::System {
            doing: "watch",
            path: Path::new(&inner.address).to_owned(),
            source,
        };
        let watch = Box::new(Watch::new().map_err(refused)?);
        watch.add(control).map_err(refused)?;
        let look = Look(&raw const *watch, &raw const *inner.registration);
        let thread = thread::Builder::new()
            .name("antiphon-watch".to_owned())
            .spawn(move || run(&look))
            .map_err(refused)?;
        Ok(Some(Self { watch, thread: Some(thread), process: std::process::id() }))
    }

    /// Did this process start it, or has it inherited it from the one that forked it?
    pub(super) fn is_ours(&self) -> bool {
        self.process == std::process::id()
    }
}

/// Until stopped: sleep for news, then look until it has settled.
fn run(look: &Look) {
    let mut pauses = [].iter();
    let mut next = None;
    loop {
        let mut closed = false;
        match look.watch().wait(next, |news| closed |= news.closed) {
            Ok(Outcome::Stopped) | Err(_) => return,
            Ok(Outcome::News) if !closed => continue,
            // Each close is given all the time to settle.
            Ok(Outcome::News) => pauses = SETTLE.iter(),
            Ok(Outcome::TimedOut) => {}
        }
        look.look();
        next = pauses.next().map(|pause| deadline_after(*pause));
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        if !self.is_ours() {
            // A forked child has inherited the value but not the thread.
            std::mem::forget(self.thread.take());
            return;
        }
        self.watch.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
