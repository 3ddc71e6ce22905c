//! Descriptors: the byte locks that say who lives, and ways to hand a file to another process.
//!
//! A byte lock here belongs to the *open file description*: what one `open` made, with all its duplicates. The kernel
//! releases it when the last of them is closed, so at the latest when the process has died and its memory is gone; nobody
//! has to cooperate, and unlike the older kind of lock it does not vanish when some library reads and closes the same file.
//!
//! Two consequences that callers must know:
//! - One's own lock never conflicts, so one's own byte always looks free: never probe it.
//! - A duplicate (from `dup`, `fork` or another process that was sent the descriptor) shares the lock and keeps it. Who
//!   wants a lock of its own calls [`reopen`]; a forked child closes what it inherited.

use std::io::{self, Write};
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use crate::error::{check, check_size, retry};

/// Takes the lock on the byte at `offset`, which need not exist. False: another open file description holds it.
///
/// # Errors
/// When `fd` is not a file open for writing, or the kernel is out of locks.
pub fn lock_byte(fd: impl AsFd, offset: u64) -> io::Result<bool> {
    match control(fd.as_fd(), libc::F_OFD_SETLK, &mut request(libc::F_WRLCK, offset)?) {
        Ok(()) => Ok(true),
        Err(error) if is_conflict(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Waits for the lock on the byte at `offset` and takes it.
///
/// # Errors
/// As [`lock_byte`], and [`io::ErrorKind::Interrupted`] when a signal handler has run.
pub fn wait_byte(fd: impl AsFd, offset: u64) -> io::Result<()> {
    control(fd.as_fd(), libc::F_OFD_SETLKW, &mut request(libc::F_WRLCK, offset)?)
}

/// Releases the byte at `offset`; one that is not locked stays so.
///
/// # Errors
/// When `fd` is not a file.
pub fn unlock_byte(fd: impl AsFd, offset: u64) -> io::Result<()> {
    control(fd.as_fd(), libc::F_OFD_SETLK, &mut request(libc::F_UNLCK, offset)?)
}

/// Whether *another* open file description holds the byte at `offset`. Never true of a lock of one's own.
///
/// # Errors
/// When `fd` is not a file.
pub fn byte_is_locked(fd: impl AsFd, offset: u64) -> io::Result<bool> {
    let mut lock = request(libc::F_WRLCK, offset)?;
    control(fd.as_fd(), libc::F_OFD_GETLK, &mut lock)?;
    Ok(lock.l_type != libc::F_UNLCK as libc::c_short)
}

/// The request for one byte. `l_pid` stays zero, as these locks demand.
fn request(kind: libc::c_int, offset: u64) -> io::Result<libc::flock> {
    // SAFETY: a zeroed `flock` is a valid value of that plain struct.
    let mut lock: libc::flock = unsafe { mem::zeroed() };
    lock.l_type = kind as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock.l_start = offset.try_into().map_err(|_| io::Error::from_raw_os_error(libc::EOVERFLOW))?;
    lock.l_len = 1;
    Ok(lock)
}

fn control(fd: BorrowedFd<'_>, command: libc::c_int, lock: &mut libc::flock) -> io::Result<()> {
    // SAFETY: the descriptor is open, and `lock` is readable and writable for the whole call.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), command, ptr::from_mut(lock)) }).map(drop)
}

fn is_conflict(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES))
}

/// What may be done through a descriptor or a mapping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Look only.
    Read,
    /// Look and change.
    ReadWrite,
}

impl Access {
    pub(crate) const fn open_flag(self) -> libc::c_int {
        match self {
            Self::Read => libc::O_RDONLY,
            Self::ReadWrite => libc::O_RDWR,
        }
    }
}

/// The path under which the kernel shows this process its own descriptor.
#[must_use]
pub fn path_of(fd: impl AsFd) -> String {
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}

/// Opens the file behind `fd` once more: a new open file description, with locks and a position of its own. Works for
/// files without a name too, and needs `/proc`.
///
/// # Errors
/// When the file's mode forbids `access`, or `/proc` is not mounted.
pub fn reopen(fd: impl AsFd, access: Access) -> io::Result<OwnedFd> {
    // Not on the heap: a forked child, which must not allocate, reopens what it inherited.
    let mut path = [0; 32];
    write!(&mut path[..31], "/proc/self/fd/{}", fd.as_fd().as_raw_fd())?;
    let flags = access.open_flag() | libc::O_CLOEXEC;
    // SAFETY: the path ends in a zero byte; the descriptor that comes back is nobody else's.
    unsafe { check(libc::open(path.as_ptr().cast(), flags)).map(|fd| OwnedFd::from_raw_fd(fd)) }
}

/// Whether `fd` stays open in a program that this process executes.
///
/// # Errors
/// When the descriptor is not open.
pub fn set_inherited(fd: impl AsFd, inherited: bool) -> io::Result<()> {
    let flags = if inherited { 0 } else { libc::FD_CLOEXEC };
    // SAFETY: the descriptor is open, and F_SETFD takes a number.
    check(unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_SETFD, flags) }).map(drop)
}

/// The most descriptors that the kernel takes in one message (`SCM_MAX_FD`).
pub const MAX_SENT: usize = 253;

/// Sends `bytes`, at least one, with duplicates of `fds` over a unix socket, and says how many bytes went.
///
/// # Errors
/// Those of `sendmsg`; [`io::ErrorKind::InvalidInput`] for no bytes or more than [`MAX_SENT`] descriptors. A closed peer is
/// an error and no signal.
pub fn send(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    if bytes.is_empty() || fds.len() > MAX_SENT {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut control = control_buffer(fds.len());
    let mut message = message(&mut part);
    if !fds.is_empty() {
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = control_len(fds.len());
        // SAFETY: the buffer is aligned for the header and holds it with all descriptors (`control_len`).
        unsafe {
            let header = libc::CMSG_FIRSTHDR(&message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(size_of_val(fds) as u32) as usize;
            // A borrowed descriptor is its number (`repr(transparent)`).
            let target = libc::CMSG_DATA(header);
            ptr::copy_nonoverlapping(fds.as_ptr().cast::<u8>(), target, size_of_val(fds));
        }
    }
    let socket = socket.as_fd().as_raw_fd();
    // SAFETY: everything that `message` points to lives until the call returns.
    retry(|| check_size(unsafe { libc::sendmsg(socket, &message, libc::MSG_NOSIGNAL) }))
}

/// Receives into `bytes` from a unix socket, and the descriptors that came along, all closed on exec. Zero bytes: the peer has
/// closed.
///
/// # Errors
/// Those of `recvmsg`; [`io::ErrorKind::InvalidData`] when more than `most` descriptors came (all are closed then).
pub fn receive(
    socket: impl AsFd,
    bytes: &mut [u8],
    most: usize,
) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let mut control = control_buffer(most.min(MAX_SENT));
    let mut message = message(&mut part);
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = control_len(most.min(MAX_SENT));
    let socket = socket.as_fd().as_raw_fd();
    let length = retry(|| {
        // SAFETY: everything that `message` points to lives until the call returns.
        check_size(unsafe { libc::recvmsg(socket, &mut message, libc::MSG_CMSG_CLOEXEC) })
    })?;
    let mut fds = Vec::new();
    // SAFETY: the kernel has filled in the headers, and the macros stay within `msg_controllen`; each descriptor is new and
    // nobody else's.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(&message);
        while !header.is_null() {
            if (*header).cmsg_level == libc::SOL_SOCKET && (*header).cmsg_type == libc::SCM_RIGHTS {
                let size = (*header).cmsg_len - libc::CMSG_LEN(0) as usize;
                let first = libc::CMSG_DATA(header).cast::<libc::c_int>();
                for i in 0..size / size_of::<libc::c_int>() {
                    fds.push(OwnedFd::from_raw_fd(first.add(i).read_unaligned()));
                }
            }
            header = libc::CMSG_NXTHDR(&message, header);
        }
    }
    if message.msg_flags & libc::MSG_CTRUNC != 0 {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("the peer sent more than the {most} descriptors that were expected"),
        ));
    }
    Ok((length, fds))
}

/// A message of one part and nothing else.
fn message(part: &mut libc::iovec) -> libc::msghdr {
    // SAFETY: a zeroed `msghdr` is a valid value of that plain struct.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_iov = part;
    message.msg_iovlen = 1;
    message
}

/// Room for the control message of `count` descriptors, in words so that it is aligned for its header.
fn control_buffer(count: usize) -> Vec<u64> {
    vec![0; control_len(count).div_ceil(size_of::<u64>())]
}

fn control_len(count: usize) -> usize {
    // SAFETY: arithmetic only.
    unsafe { libc::CMSG_SPACE((count * size_of::<libc::c_int>()) as u32) as usize }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::memory::memfd;

    const FAR: u64 = 1 << 62;

    fn file() -> OwnedFd {
        memfd(c"descriptor-test", 64, false).unwrap()
    }

    #[test]
    fn a_far_byte_can_be_locked_and_is_seen_by_others_only() {
        let _alone = crate::alone::alone();
        let mine = file();
        let other = reopen(&mine, Access::ReadWrite).unwrap();
        let looker = reopen(&mine, Access::Read).unwrap();
        assert!(!byte_is_locked(&other, FAR).unwrap());
        assert!(lock_byte(&mine, FAR).unwrap());
        assert!(lock_byte(&mine, FAR).unwrap(), "one's own lock never conflicts");
        assert!(!byte_is_locked(&mine, FAR).unwrap(), "nor is it seen");
        assert!(byte_is_locked(&other, FAR).unwrap());
        assert!(byte_is_locked(&looker, FAR).unwrap());
        assert!(!byte_is_locked(&other, FAR + 1).unwrap());
        assert!(!lock_byte(&other, FAR).unwrap());
        unlock_byte(&mine, FAR).unwrap();
        assert!(lock_byte(&other, FAR).unwrap());
        assert!(byte_is_locked(&mine, FAR).unwrap());
    }

    #[test]
    fn a_duplicate_keeps_the_lock_and_the_last_close_ends_it() {
        let _alone = crate::alone::alone();
        let mine = file();
        let other = reopen(&mine, Access::ReadWrite).unwrap();
        assert!(lock_byte(&mine, FAR).unwrap());
        let duplicate = mine.try_clone().unwrap();
        drop(mine);
        assert!(byte_is_locked(&other, FAR).unwrap());
        drop(duplicate);
        assert!(!byte_is_locked(&other, FAR).unwrap());
    }

    #[test]
    fn waiting_for_a_byte_ends_when_it_is_free() {
        let _alone = crate::alone::alone();
        let mine = file();
        let other = reopen(&mine, Access::ReadWrite).unwrap();
        assert!(lock_byte(&mine, FAR).unwrap());
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| retry(|| wait_byte(&other, FAR)));
            unlock_byte(&mine, FAR).unwrap();
            waiter.join().unwrap().unwrap();
        });
        assert!(byte_is_locked(&mine, FAR).unwrap());
    }

    #[test]
    fn an_offset_that_no_file_has_is_an_error() {
        assert!(lock_byte(file(), u64::MAX).is_err());
    }

    #[test]
    fn descriptors_travel() {
        let _alone = crate::alone::alone();
        let (left, right) = UnixStream::pair().unwrap();
        let (a, b) = (file(), file());
        assert_eq!(send(&left, b"hello", &[a.as_fd(), b.as_fd()]).unwrap(), 5);
        let mut bytes = [0; 16];
        let (length, fds) = receive(&right, &mut bytes, 4).unwrap();
        assert_eq!(&bytes[..length], b"hello");
        assert_eq!(fds.len(), 2);
        let inode = |fd: &OwnedFd| crate::directory::stat(fd).unwrap().inode;
        assert_eq!([inode(&fds[0]), inode(&fds[1])], [inode(&a), inode(&b)]);
        // What came shares the sender's open file description; a lock of one's own needs a new one.
        assert!(lock_byte(&a, 0).unwrap());
        assert!(!byte_is_locked(&fds[0], 0).unwrap());
        assert!(byte_is_locked(reopen(&fds[0], Access::Read).unwrap(), 0).unwrap());

        assert_eq!(send(&left, b"x", &[]).unwrap(), 1);
        assert_eq!(receive(&right, &mut bytes, 4).unwrap().1.len(), 0);
        send(&left, b"x", &[a.as_fd(), b.as_fd(), a.as_fd()]).unwrap();
        let error = receive(&right, &mut bytes, 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        drop(left);
        assert_eq!(receive(&right, &mut bytes, 1).unwrap().0, 0);
        assert_eq!(send(&right, b"x", &[]).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn inheritance_is_a_flag() {
        let file = file();
        let flags = || {
            // SAFETY: the descriptor is open.
            unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFD) }
        };
        assert_eq!(flags(), libc::FD_CLOEXEC);
        set_inherited(&file, true).unwrap();
        assert_eq!(flags(), 0);
        set_inherited(&file, false).unwrap();
        assert_eq!(flags(), libc::FD_CLOEXEC);
    }
}
