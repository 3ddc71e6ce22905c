//! Messages over sockets with CPython's `multiprocessing.connection` at the other end, in both roles.
//!
//! Each interpreter of 3.8 to 3.13 that is found takes part, as `python3.N` on the path or below `~/.pyenv/versions`. One
//! of 3.11 or before and one of 3.12 or later make both dialects; what is missing is said.

use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use antiphon::error::socket::{ConnectError, HandshakeError, RecvError, TimedAcceptError};
use antiphon::socket::{Address, Connection, Digest, Options};

const LONG: Duration = Duration::from_secs(60);
/// Around the sizes where CPython changes how it writes.
const SIZES: [usize; 6] = [0, 1, 255, 16_384, 16_385, 1 << 20];

/// What the scripts have in common: sys.argv is what to do, the address and the key.
const COMMON: &str = r#"
import os, struct, sys
from multiprocessing import AuthenticationError, reduction
from multiprocessing.connection import Client, Listener

kind, address, key = sys.argv[1:4]
if kind == "tcp":
    host, port = address.rsplit(":", 1)
    address = (host, int(port))
elif kind == "abstract":
    address = "\0" + address
key = key.encode() or None

def echo(c):
    while True:
        try:
            c.send_bytes(c.recv_bytes()[::-1])
        except EOFError:
            return
"#;

/// Connects and answers each message with the same backwards.
const CLIENT: &str = r#"
try:
    with Client(address, authkey=key) as c:
        echo(c)
except AuthenticationError:
    sys.exit(3)
"#;

/// Listens, says where, and answers each message of each peer with the same backwards.
const LISTENER: &str = r#"
with Listener(address, authkey=key) as listener:
    print(listener.address[1] if kind == "tcp" else "there", flush=True)
    while True:
        try:
            with listener.accept() as c:
                echo(c)
        except AuthenticationError:
            print("refused", flush=True)
"#;

/// Connects; writes the long form of a length; receives an open file and sends one.
const ODDITIES: &str = r#"
with Client(address, authkey=key) as c:
    c._send(struct.pack("!iQ", -1, 5) + b"hello")
    with os.fdopen(reduction.recv_handle(c), "w") as f:
        f.write("from python")
    r, w = os.pipe()
    os.write(w, b"through python")
    os.close(w)
    reduction.send_handle(c, r, None)
    c.recv_bytes()
"#;

#[derive(Clone)]
struct Python {
    path: PathBuf,
    minor: u32,
}

/// The interpreters of this machine; says which there are not.
fn pythons() -> Vec<Python> {
    let mut found = Vec::new();
    let home = PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".pyenv/versions");
    let installed: Vec<_> = std::fs::read_dir(home).into_iter().flatten().flatten().collect();
    for minor in 8..=13 {
        let name = format!("python3.{minor}");
        let below = installed.iter().map(|version| version.path().join("bin").join(&name));
        let works = |path: &PathBuf| {
            let script = format!(
                "import sys, multiprocessing.connection\nassert sys.version_info[1] == {minor}"
            );
            let run = Command::new(path).args(["-c", &script]).stderr(Stdio::null()).status();
            run.is_ok_and(|status| status.success())
        };
        match below.chain([PathBuf::from(&name)]).find(works) {
            Some(path) => found.push(Python { path, minor }),
            None => eprintln!("skipped: there is no {name}"),
        }
    }
    found
}

impl Python {
    /// One of the older and one of the newer dialect, or less if there is less.
    fn one_of_each() -> Vec<Self> {
        let all = pythons();
        let old = all.iter().rfind(|python| python.minor <= 11);
        let new = all.iter().rfind(|python| python.minor >= 12);
        if old.is_none() || new.is_none() {
            eprintln!(
                "skipped in part: only {} of 2 dialects of CPython are here",
                all.len().min(1)
            );
        }
        old.into_iter().chain(new).cloned().collect()
    }

    fn run(&self, script: &str, address: &Address, key: &str) -> Running {
        let (kind, address) = match address {
            Address::Tcp(address) => ("tcp", address.clone()),
            Address::Unix(path) => ("unix", path.to_str().unwrap().to_owned()),
            Address::Abstract(name) => ("abstract", String::from_utf8(name.clone()).unwrap()),
            other => panic!("{other}"),
        };
        let mut child = Command::new(&self.path)
            .args(["-c", &format!("{COMMON}{script}"), kind, &address, key])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Running { child, lines }
    }
}

/// A Python that ends with its test.
struct Running {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Running {
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    fn exit_code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn addresses(name: &str) -> [Address; 3] {
    let name = format!("antiphon-python-{}-{name}", std::process::id());
    let path = std::env::temp_dir().join(&name);
    [Address::tcp("127.0.0.1:0"), Address::unix(path), Address::abstract_name(name)]
}

fn talk(peer: &Connection) {
    for size in SIZES {
        let message: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
        peer.send(&message).unwrap();
        let mut answer = peer.recv_timeout(LONG).unwrap();
        answer.reverse();
        assert!(answer == message, "{size} bytes");
    }
}

/// Waits for a Python to listen, and says where.
fn listening(python: &mut Running, address: Address) -> Address {
    let said = python.line();
    assert!(!said.is_empty(), "the interpreter has ended");
    match address {
        Address::Tcp(_) => Address::tcp(format!("127.0.0.1:{said}")),
        other => other,
    }
}

#[test]
fn every_python_talks_to_us_as_client_and_as_listener() {
    for python in pythons() {
        for (n, key) in ["", "a key"].into_iter().enumerate() {
            let options = if key.is_empty() { Options::new() } else { Options::new().key(key) };
            for address in addresses(&format!("{}-{n}", python.minor)) {
                let listener = options.bind(&address).unwrap();
                let mut client = python.run(CLIENT, listener.address(), key);
                let peer = listener.accept_timeout(LONG).unwrap();
                talk(&peer);
                drop(peer);
                assert_eq!(client.exit_code(), Some(0));
                drop(listener);

                let mut server = python.run(LISTENER, &address, key);
                let address = listening(&mut server, address);
                for _ in 0..2 {
                    talk(&options.connect_timeout(&address, LONG).unwrap());
                }
                drop(server);
                if let Address::Unix(path) = address {
                    // A Python that is killed leaves it.
                    std::fs::remove_file(path).unwrap();
                }
            }
        }
    }
}

#[test]
fn a_wrong_key_is_refused_by_either_side() {
    let [address, ..] = addresses("wrong");
    for python in Python::one_of_each() {
        let (right, wrong) = (Options::new().key("right"), Options::new().key("wrong"));
        let listener = right.bind(&address).unwrap();
        let mut client = python.run(CLIENT, listener.address(), "wrong");
        let nobody = loop {
            match listener.accept_timeout(Duration::from_millis(20)) {
                Err(TimedAcceptError::TimedOut(_)) if listener.refused() == 0 => {}
                other => break other,
            }
        };
        assert!(matches!(nobody, Err(TimedAcceptError::TimedOut(_))));
        assert!(matches!(listener.last_refusal().unwrap().why, HandshakeError::WrongKey));
        assert_eq!(client.exit_code(), Some(3));

        let mut server = python.run(LISTENER, &address, "right");
        let address = listening(&mut server, address.clone());
        let refused = wrong.connect_timeout(&address, LONG).unwrap_err();
        assert!(matches!(refused, ConnectError::Handshake(HandshakeError::Refused)), "{refused}");
        assert_eq!(server.line(), "refused");
        talk(&right.connect_timeout(&address, LONG).unwrap());
    }
}

#[test]
fn who_allows_no_md5_talks_to_newer_pythons_only() {
    let [address, ..] = addresses("md5");
    for python in Python::one_of_each() {
        let is_old = python.minor <= 11;
        let options = Options::new().key("key").digest(Digest::Sha384).allow_md5(false);
        let listener = options.bind(&address).unwrap();
        let mut client = python.run(CLIENT, listener.address(), "key");
        let outcome = loop {
            match listener.accept_timeout(Duration::from_millis(20)) {
                Err(TimedAcceptError::TimedOut(_)) if listener.refused() == 0 => {}
                other => break other,
            }
        };
        assert_eq!(outcome.is_err(), is_old);
        if let Ok(peer) = outcome {
            talk(&peer);
        } else {
            assert!(matches!(listener.last_refusal().unwrap().why, HandshakeError::Md5));
        }
        assert_eq!(client.exit_code(), Some(if is_old { 3 } else { 0 }));

        let mut server = python.run(LISTENER, &address, "key");
        let address = listening(&mut server, address.clone());
        match options.connect_timeout(&address, LONG) {
            Ok(peer) => assert!(!is_old && peer.send(b"x").is_ok()),
            Err(ConnectError::Handshake(HandshakeError::Md5)) => assert!(is_old),
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn long_lengths_and_open_files_are_understood() {
    let [_, address, _] = addresses("odd");
    for python in Python::one_of_each() {
        let options = Options::new().key("key");
        let listener = options.bind(&address).unwrap();
        let mut client = python.run(ODDITIES, listener.address(), "key");
        let peer = listener.accept_timeout(LONG).unwrap();
        assert_eq!(peer.recv_timeout(LONG).unwrap(), b"hello");
        let (mut reader, writer) = std::io::pipe().unwrap();
        peer.send_fd(&writer).unwrap();
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "from python");
        let fd: OwnedFd = peer.recv_fd_timeout(LONG).unwrap();
        let mut text = String::new();
        std::fs::File::from(fd).read_to_string(&mut text).unwrap();
        assert_eq!(text, "through python");
        peer.send(b"bye").unwrap();
        assert!(matches!(peer.recv(), Err(RecvError::Closed)));
        assert_eq!(client.exit_code(), Some(0));
    }
}
