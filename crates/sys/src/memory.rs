//! Memory that several processes see: reserving it, mapping it, and memory without a name.

use std::error::Error;
use std::ffi::CStr;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};

use crate::descriptor::Access;
use crate::directory;
use crate::error::{check, retry};

/// A file's bytes in this process's address space, shared with everybody who maps them. Unmapped when dropped.
///
/// It hands out an address and a length, never a reference: others change the bytes at any time. That the file is as long
/// as the mapping is for the caller to see to ([`reserve`], seals), or touching what is missing ends the process with SIGBUS.
#[derive(Debug)]
pub struct Mapping {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping is the process's, not a thread's; whoever touches the bytes answers for how.
unsafe impl Send for Mapping {}
// SAFETY: as above; the struct itself never changes.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `len` bytes of the file.
    ///
    /// # Errors
    /// Those of `mmap`: `len` is zero, `fd` is not a file open for `access`, there is no room.
    pub fn new(fd: impl AsFd, len: usize, access: Access) -> io::Result<Self> {
        let protection = match access {
            Access::Read => libc::PROT_READ,
            Access::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
        };
        let fd = fd.as_fd().as_raw_fd();
        // SAFETY: the kernel picks the address, so nothing that exists is replaced.
        let base = unsafe { libc::mmap(ptr::null_mut(), len, protection, libc::MAP_SHARED, fd, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Self { base, len })
    }

    /// Where the mapping starts: a multiple of the page size, valid until it is dropped.
    #[inline]
    #[must_use]
    pub fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// How many bytes were mapped.
    #[inline]
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "the kernel refuses empty mappings")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Keeps the pages from a forked child, which would otherwise see and change them.
    ///
    /// # Errors
    /// Those of `madvise`.
    pub fn keep_from_children(&self) -> io::Result<()> {
        // SAFETY: the range is this mapping; the advice concerns children only.
        check(unsafe { libc::madvise(self.base.as_ptr().cast(), self.len, libc::MADV_DONTFORK) })
            .map(drop)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range was mapped by `new` and is unmapped only here. It can fail only for a range that is none.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

/// Why memory could not be reserved.
#[derive(Debug)]
pub enum ReserveError {
    /// There is not that much left, so nothing was reserved.
    Full {
        /// The bytes asked for.
        wanted: u64,
        /// The bytes left.
        available: u64,
        /// The bytes there are in all: the size of the file system, or of the machine's memory.
        limit: u64,
    },
    /// The system call failed for another reason.
    System(io::Error),
}

impl fmt::Display for ReserveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { wanted, available, limit } => write!(
                f,
                "cannot reserve {wanted} bytes of shared memory: {available} of {limit} bytes are left"
            ),
            Self::System(error) => write!(f, "cannot reserve shared memory: {error}"),
        }
    }
}

impl Error for ReserveError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Full { .. } => None,
            Self::System(error) => Some(error),
        }
    }
}

impl From<ReserveError> for io::Error {
    fn from(error: ReserveError) -> Self {
        match error {
            ReserveError::Full { .. } => Self::new(io::ErrorKind::StorageFull, error),
            ReserveError::System(error) => error,
        }
    }
}

/// Makes the file at least `len` bytes long, with memory behind every byte, so that touching none of them can fail. New
/// bytes are zero.
///
/// # Errors
/// [`ReserveError::Full`] with the numbers when the file system has no room, or for files without a name when the machine
/// has less memory than that in all.
pub fn reserve(fd: impl AsFd, len: u64) -> Result<(), ReserveError> {
    let fd = fd.as_fd();
    let room = directory::space(fd).map_err(ReserveError::System)?;
    if room.limit == 0 {
        // A memfd has no file system to be full. Without this check the kernel would hand out memory until it has to kill.
        let (available, limit) = machine_memory();
        if len > limit {
            return Err(ReserveError::Full { wanted: len, available, limit });
        }
    }
    let Ok(size) = libc::off_t::try_from(len) else {
        return Err(ReserveError::System(io::Error::from_raw_os_error(libc::EFBIG)));
    };
    let error = loop {
        // SAFETY: the descriptor is open; the call touches nothing else of ours.
        match unsafe { libc::posix_fallocate(fd.as_raw_fd(), 0, size) } {
            0 => return Ok(()),
            libc::EINTR => {}
            error => break error,
        }
    };
    if error == libc::ENOSPC {
        // Asked again: others took and gave back since.
        let room = directory::space(fd).map_err(ReserveError::System)?;
        return Err(ReserveError::Full {
            wanted: len,
            available: room.available,
            limit: room.limit,
        });
    }
    Err(ReserveError::System(io::Error::from_raw_os_error(error)))
}

/// Makes the file `len` bytes long without memory behind what is new: that is for [`reserve`] to get, before it is touched.
///
/// # Errors
/// Those of `ftruncate`.
pub fn set_length(fd: impl AsFd, len: u64) -> io::Result<()> {
    let len = len.try_into().map_err(|_| io::Error::from_raw_os_error(libc::EFBIG))?;
    // SAFETY: the descriptor is open, and the other argument is a number.
    retry(|| check(unsafe { libc::ftruncate(fd.as_fd().as_raw_fd(), len) })).map(drop)
}

/// Free and total bytes of memory and swap.
fn machine_memory() -> (u64, u64) {
    // SAFETY: a zeroed `sysinfo` is a valid value of that plain struct, and writable. The call cannot fail then.
    let info = unsafe {
        let mut info: libc::sysinfo = std::mem::zeroed();
        libc::sysinfo(&mut info);
        info
    };
    let unit = u64::from(info.mem_unit);
    ((info.freeram + info.freeswap) * unit, (info.totalram + info.totalswap) * unit)
}

/// A file without a name, in memory, of `len` reserved bytes, closed on exec; gone when its last descriptor and mapping are. `name`
/// is for people who read `/proc`. With `seal`, nobody can ever change its length, so a peer that has a descriptor cannot
/// take the memory from under a mapping.
///
/// # Errors
/// As [`reserve`], and those of `memfd_create`.
pub fn memfd(name: &CStr, len: u64, seal: bool) -> Result<OwnedFd, ReserveError> {
    let file = create(name).map_err(ReserveError::System)?;
    if len > 0 {
        reserve(&file, len)?;
    }
    if seal {
        seal_size(&file).map_err(ReserveError::System)?;
    }
    Ok(file)
}

fn create(name: &CStr) -> io::Result<OwnedFd> {
    let base = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // SAFETY: the name ends in a zero byte; the descriptor that comes back is nobody else's.
    let attempt = |flags| unsafe {
        check(libc::memfd_create(name.as_ptr(), flags)).map(|fd| OwnedFd::from_raw_fd(fd))
    };
    match attempt(base | libc::MFD_NOEXEC_SEAL) {
        // Kernels before 6.3 do not know the flag.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => attempt(base),
        result => result,
    }
}

const SIZE_SEALS: libc::c_int = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;

/// Fixes a memfd's length for ever.
///
/// # Errors
/// When `fd` is not a memfd that may be sealed.
pub fn seal_size(fd: impl AsFd) -> io::Result<()> {
    // SAFETY: the descriptor is open, and F_ADD_SEALS takes a number.
    check(unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_ADD_SEALS, SIZE_SEALS) }).map(drop)
}

/// Whether the file's length is fixed for ever.
#[must_use]
pub fn is_size_sealed(fd: impl AsFd) -> bool {
    const WANTED: libc::c_int = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW;
    // SAFETY: the descriptor is open.
    let seals = unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_GET_SEALS) };
    seals != -1 && seals & WANTED == WANTED
}

/// The size of a page: the unit of mapping and protection.
#[must_use]
pub fn page_size() -> usize {
    // SAFETY: takes a number, and this name always has a value.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as usize }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

    use antiphon_core::wait::Wake;

    use super::*;
    use crate::clock::deadline_after;
    use crate::descriptor::reopen;
    use crate::futex::{self, Visibility};

    fn word(mapping: &Mapping) -> &AtomicU32 {
        // SAFETY: the mapping is at least a page, page-aligned, and outlives the reference.
        unsafe { mapping.base().cast().as_ref() }
    }

    #[test]
    fn two_mappings_are_one_memory_at_two_addresses() {
        let file = memfd(c"memory-test", 4096, true).unwrap();
        let a = Mapping::new(&file, 4096, Access::ReadWrite).unwrap();
        let b = Mapping::new(&file, 4096, Access::ReadWrite).unwrap();
        let reader =
            Mapping::new(reopen(&file, Access::Read).unwrap(), 4096, Access::Read).unwrap();
        drop(file);
        assert_ne!(a.base(), b.base());
        assert_eq!((a.len(), word(&a).load(SeqCst)), (4096, 0));
        word(&a).store(7, SeqCst);
        assert_eq!((word(&b).load(SeqCst), word(&reader).load(SeqCst)), (7, 7));
        // A shared futex is the memory, not the address.
        let deadline = Some(deadline_after(std::time::Duration::from_secs(30)));
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(|| futex::wait(word(&a), 7, deadline, Visibility::Shared));
            while futex::wake(word(&b), 1, Visibility::Shared) == 0 {
                std::thread::yield_now();
            }
            assert_eq!(sleeper.join().unwrap(), Wake::Woken);
        });
    }

    #[test]
    fn a_sealed_file_keeps_its_length() {
        let file = memfd(c"memory-test", 8192, true).unwrap();
        assert!(is_size_sealed(&file));
        for len in [0, 4096, 16384] {
            // SAFETY: the descriptor is open.
            let result = unsafe { libc::ftruncate(file.as_raw_fd(), len) };
            assert_eq!((result, crate::error::last()), (-1, libc::EPERM));
        }
        assert_eq!(directory::stat(&file).unwrap().size, 8192);
        assert!(!is_size_sealed(memfd(c"memory-test", 1, false).unwrap()));
    }

    #[test]
    fn more_than_the_machine_has_is_refused_with_numbers() {
        let error = memfd(c"memory-test", 1 << 55, true).unwrap_err();
        let ReserveError::Full { wanted, available, limit } = &error else { panic!("{error}") };
        assert_eq!(*wanted, 1 << 55);
        assert!(available <= limit && *limit > 0);
        let message = error.to_string();
        assert!(message.contains(&limit.to_string()), "{message}");
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn a_full_file_system_is_refused_with_numbers() {
        let Ok(directory) = directory::Directory::open("/dev/shm") else { return };
        let file = directory.create_unnamed(0o600).unwrap();
        let limit = directory::space(&directory).unwrap().limit;
        if limit == 0 {
            return;
        }
        let error = reserve(&file, limit + 4096).unwrap_err();
        assert!(matches!(error, ReserveError::Full { .. }), "{error}");
        reserve(&file, 4096).unwrap();
        assert_eq!(directory::stat(&file).unwrap().size, 4096);
    }

    #[test]
    fn an_empty_mapping_is_an_error() {
        let file = memfd(c"memory-test", 4096, true).unwrap();
        assert!(Mapping::new(&file, 0, Access::Read).is_err());
        assert!(page_size().is_power_of_two());
    }
}
