//! News that a file was opened or closed, by anybody: a death noticed without the victim's help.
//!
//! Whoever takes part in something keeps a file open. When it dies, the kernel closes the file and tells every watcher in
//! the same moment, a little *before* it releases the byte locks taken through that file. So after news of a close the lock
//! may have to be probed more than once.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use antiphon_core::wait::Deadline;

use crate::descriptor::path_of;
use crate::directory::c_string;
use crate::error::{check, check_size, retry};
use crate::poll;

/// A queue of news about any number of files.
///
/// A machine allows its user few of these (128 by default), so a process should have one for all it watches. In a forked
/// child, drop it and make another: parent and child would take the news from each other.
#[derive(Debug)]
pub struct Watch {
    queue: OwnedFd,
    stop: OwnedFd,
}

/// Which of the watched files; from [`Watch::add`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FileId(libc::c_int);

/// What happened to a file since the last look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct News {
    /// The file; `None` when there was too much news to keep, so that it may be any.
    pub file: Option<FileId>,
    /// Somebody opened it.
    pub opened: bool,
    /// An open file description of it was closed, by its owner or by its owner's death.
    pub closed: bool,
}

/// Why [`Watch::wait`] returned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// There was news, and the caller has been told.
    News,
    /// The deadline has passed.
    TimedOut,
    /// Somebody called [`Watch::stop`].
    Stopped,
}

impl Watch {
    /// A queue that watches nothing yet.
    ///
    /// # Errors
    /// When this user has no more queues or descriptors.
    pub fn new() -> io::Result<Self> {
        // SAFETY: both take numbers; the descriptors that come back are nobody else's.
        unsafe {
            let queue = check(libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC))?;
            let queue = OwnedFd::from_raw_fd(queue);
            let stop = check(libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC))?;
            Ok(Self { queue, stop: OwnedFd::from_raw_fd(stop) })
        }
    }

    /// Watches the file behind `fd`, named or not, until the queue is dropped. The descriptor may be closed (which is
    /// news, like any close); a file that was added before is the same file. Needs `/proc`.
    ///
    /// # Errors
    /// When this user has no more watches.
    pub fn add(&self, fd: impl AsFd) -> io::Result<FileId> {
        let path = c_string(path_of(fd))?;
        let what = libc::IN_OPEN | libc::IN_CLOSE;
        // SAFETY: the queue is open, and the path ends in a zero byte.
        check(unsafe { libc::inotify_add_watch(self.queue.as_raw_fd(), path.as_ptr(), what) })
            .map(FileId)
    }

    /// Stops watching one file.
    ///
    /// # Errors
    /// When the file is not watched (any more).
    pub fn remove(&self, file: FileId) -> io::Result<()> {
        // SAFETY: the queue is open, and the other argument is a number.
        check(unsafe { libc::inotify_rm_watch(self.queue.as_raw_fd(), file.0) }).map(drop)
    }

    /// Sleeps until there is news, and tells it one by one. Signals do not end the wait.
    ///
    /// # Errors
    /// Those of `poll` and `read`; none is expected.
    pub fn wait(
        &self,
        deadline: Option<Deadline>,
        mut tell: impl FnMut(News),
    ) -> io::Result<Outcome> {
        loop {
            let fds = [self.stop.as_fd(), self.queue.as_fd()];
            match retry(|| poll::readable(fds, deadline))? {
                [true, _] => return Ok(Outcome::Stopped),
                [false, false] => return Ok(Outcome::TimedOut),
                // None after all: another thread was faster.
                [false, true] if !self.read(&mut tell)? => {}
                [false, true] => return Ok(Outcome::News),
            }
        }
    }

    /// Ends every [`wait`](Self::wait) of this queue, now and later, from any thread.
    pub fn stop(&self) {
        let one = 1_u64;
        // SAFETY: the descriptor is open, and eight readable bytes are passed. It fails only when the count is full, and the
        // queue has long been stopped then.
        unsafe { libc::write(self.stop.as_raw_fd(), (&raw const one).cast(), size_of::<u64>()) };
    }

    /// Takes what is in the queue. False: nothing was.
    fn read(&self, tell: &mut impl FnMut(News)) -> io::Result<bool> {
        /// The kernel's record, followed by `len` bytes of a name (none, for files watched by themselves).
        const HEAD: usize = size_of::<libc::inotify_event>();
        let mut buffer = [0_u8; 4096];
        let queue = self.queue.as_raw_fd();
        let length = match retry(|| {
            // SAFETY: the descriptor is open, and the buffer is writable.
            check_size(unsafe { libc::read(queue, buffer.as_mut_ptr().cast(), buffer.len()) })
        }) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            length => length?,
        };
        let mut rest = &buffer[..length];
        while rest.len() >= HEAD {
            // SAFETY: there are that many bytes, and any bytes are a valid record.
            let event = unsafe { rest.as_ptr().cast::<libc::inotify_event>().read_unaligned() };
            if let Some(news) = News::of(&event) {
                tell(news);
            }
            rest = rest.get(HEAD + event.len as usize..).unwrap_or_default();
        }
        Ok(true)
    }
}

impl News {
    fn of(event: &libc::inotify_event) -> Option<Self> {
        if event.mask & libc::IN_Q_OVERFLOW != 0 {
            return Some(Self { file: None, opened: true, closed: true });
        }
        let opened = event.mask & libc::IN_OPEN != 0;
        let closed = event.mask & libc::IN_CLOSE != 0;
        // What remains says that the watch itself has ended.
        (opened || closed).then_some(Self { file: Some(FileId(event.wd)), opened, closed })
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::BorrowedFd;
    use std::time::Duration;

    use super::*;
    use crate::clock::{deadline_after, now};
    use crate::descriptor::{Access, byte_is_locked, lock_byte, reopen};
    use crate::directory::Directory;
    use crate::memory::memfd;
    use crate::process::PidFd;

    const BYTE: u64 = (1 << 62) + 5;

    fn watchdog() -> Option<Deadline> {
        Some(deadline_after(Duration::from_secs(30)))
    }

    /// Forks a child that opens the file, locks the byte and sleeps for ever.
    fn victim(file: BorrowedFd<'_>) -> u32 {
        let path = c_string(path_of(file)).unwrap();
        let (ready, tell) = std::io::pipe().unwrap();
        // SAFETY: the child makes system calls only.
        unsafe {
            let child = libc::fork();
            assert!(child >= 0);
            if child == 0 {
                let fd = libc::open(path.as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
                let locked = fd >= 0 && lock_byte(BorrowedFd::borrow_raw(fd), BYTE).is_ok();
                if !locked {
                    libc::_exit(1);
                }
                libc::write(tell.as_raw_fd(), b"x".as_ptr().cast(), 1);
                loop {
                    libc::pause();
                }
            }
            drop(tell);
            std::io::Read::read_exact(&mut &ready, &mut [0]).unwrap();
            child as u32
        }
    }

    fn reap(child: u32) {
        // SAFETY: the child is ours, and its status is not asked for.
        unsafe { libc::waitpid(child as i32, std::ptr::null_mut(), 0) };
    }

    /// Kills a participant and says how long it took to hear of it, and how often the byte was probed until it was free.
    fn kill_and_notice(file: BorrowedFd<'_>) -> (u64, u32) {
        let watch = Watch::new().unwrap();
        let child = victim(file);
        let id = watch.add(file).unwrap();
        assert!(byte_is_locked(file, BYTE).unwrap());
        let killed = now();
        PidFd::open(child).unwrap().kill().unwrap();
        let mut closed = false;
        while !closed {
            let outcome = watch.wait(watchdog(), |news| {
                assert_eq!(news.file, Some(id));
                closed |= news.closed;
            });
            assert_eq!(outcome.unwrap(), Outcome::News);
        }
        let noticed = now() - killed;
        let mut probes = 1;
        while byte_is_locked(file, BYTE).unwrap() {
            probes += 1;
            std::thread::yield_now();
        }
        reap(child);
        (noticed, probes)
    }

    fn measure(file: BorrowedFd<'_>) {
        let mut runs: Vec<_> = (0..20).map(|_| kill_and_notice(file)).collect();
        runs.sort_unstable();
        let probes = runs.iter().map(|run| run.1).max().unwrap();
        let [median, worst] = [runs[10].0 / 1000, runs[19].0 / 1000];
        println!(
            "kill to notice: median {median} us, worst {worst} us; probes until free: {probes}"
        );
    }

    #[test]
    fn a_killed_process_is_noticed_and_its_byte_is_free() {
        let _alone = crate::alone::alone();
        let directory = Directory::open(std::env::temp_dir()).unwrap();
        measure(directory.create_unnamed(0o600).unwrap().as_fd());
    }

    #[test]
    fn a_file_without_a_name_is_watched_as_well() {
        let _alone = crate::alone::alone();
        measure(memfd(c"watch-test", 64, true).unwrap().as_fd());
    }

    #[test]
    fn news_says_which_file_and_what() {
        let _alone = crate::alone::alone();
        let [a, b] = [(); 2].map(|()| memfd(c"watch-test", 1, false).unwrap());
        let watch = Watch::new().unwrap();
        let [id_a, id_b] = [&a, &b].map(|file| watch.add(file).unwrap());
        assert_ne!(id_a, id_b);
        assert_eq!(watch.add(&a).unwrap(), id_a);
        assert_eq!(watch.wait(Some(Deadline(0)), |_| panic!()).unwrap(), Outcome::TimedOut);
        drop(reopen(&b, Access::Read).unwrap());
        let mut heard = Vec::new();
        while heard.len() < 2 {
            assert_eq!(watch.wait(watchdog(), |news| heard.push(news)).unwrap(), Outcome::News);
        }
        let file = Some(id_b);
        let opened = News { file, opened: true, closed: false };
        assert_eq!(heard, [opened, News { file, opened: false, closed: true }]);
        watch.remove(id_b).unwrap();
        drop(reopen(&b, Access::Read).unwrap());
        // Only the end of the watch is in the queue, which is no news to anybody.
        let soon = Some(deadline_after(Duration::from_millis(5)));
        watch.wait(soon, |news| panic!("{news:?}")).unwrap();
    }

    #[test]
    fn a_watch_can_be_stopped() {
        let watch = Watch::new().unwrap();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| watch.wait(watchdog(), |_| ()));
            watch.stop();
            assert_eq!(waiter.join().unwrap().unwrap(), Outcome::Stopped);
        });
        assert_eq!(watch.wait(None, |_| ()).unwrap(), Outcome::Stopped);
    }
}
