//! Where to listen and to connect.

use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::socket::AddressError;

/// Where to listen and to connect: a TCP port, a path, or an abstract name.
///
/// ```
/// use antiphon::socket::Address;
///
/// assert_eq!("tcp:localhost:4711".parse(), Ok(Address::tcp("localhost:4711")));
/// assert_eq!("unix:/run/shop".parse(), Ok(Address::unix("/run/shop")));
/// assert_eq!("abstract:shop".parse(), Ok(Address::abstract_name("shop")));
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Address {
    /// A host (name or number) and a port, as `host:port`. Port 0 when listening: one that is free.
    Tcp(String),
    /// The path of a unix socket.
    Unix(PathBuf),
    /// The name of a unix socket without a file: gone with its listener, and open to every user of the machine, so that
    /// it wants a key.
    Abstract(Vec<u8>),
}

impl Address {
    /// A TCP port, as `host:port`.
    pub fn tcp(host_and_port: impl Into<String>) -> Self {
        Self::Tcp(host_and_port.into())
    }

    /// The path of a unix socket. One that begins with a zero byte is an [abstract name](Self::abstract_name), as in Python.
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        match path.as_os_str().as_bytes() {
            [0, name @ ..] => Self::Abstract(name.to_vec()),
            _ => Self::Unix(path),
        }
    }

    /// An abstract name, without the zero byte in front that Python writes.
    pub fn abstract_name(name: impl Into<Vec<u8>>) -> Self {
        Self::Abstract(name.into())
    }

    /// The name of a unix socket as the kernel writes it.
    pub(super) fn unix_name(path: Option<&Path>, name: Option<&[u8]>) -> OsString {
        match (path, name) {
            (Some(path), _) => path.as_os_str().to_owned(),
            (None, name) => {
                let zero = [0].iter().chain(name.unwrap_or_default()).copied();
                OsString::from_vec(zero.collect())
            }
        }
    }

    /// The address that the kernel names; `None` for a socket without one.
    pub(super) fn of_unix(address: &net::SocketAddr) -> Option<Self> {
        let path = address.as_pathname().map(Self::unix);
        path.or_else(|| address.as_abstract_name().map(Self::abstract_name))
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address.to_string())
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        match text.split_once(':') {
            Some(("tcp", rest)) if rest.contains(':') => Ok(Self::tcp(rest)),
            Some(("unix", rest)) if !rest.is_empty() => Ok(Self::unix(rest)),
            Some(("abstract", rest)) if !rest.is_empty() => Ok(Self::abstract_name(rest)),
            _ => Err(AddressError),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp:{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Abstract(name) => write!(f, "abstract:{}", name.escape_ascii()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        for address in ["tcp:[::1]:80", "tcp:localhost:0", "unix:/a/b:c", "abstract:shop"] {
            assert_eq!(address.parse::<Address>().unwrap().to_string(), address);
        }
        for wrong in ["", "tcp:", "tcp:80", "unix:", "abstract:", "/run/x", "udp:a:1"] {
            assert_eq!(wrong.parse::<Address>(), Err(AddressError), "{wrong}");
        }
        assert_eq!(Address::unix("\0shop"), Address::abstract_name("shop"));
    }
}
