//! Whole messages over unix and TCP sockets, with peers that prove that they know a key (feature `socket`).
//!
//! For those who share no memory: other machines, other users, and Python programs, since the bytes on the wire are those of
//! CPython's `multiprocessing.connection`: `Listener`, `Client`, `send_bytes` and `recv_bytes` at the other end just work,
//! of every version since 3.3. Within one machine a [space](crate::space) is many times faster.
//!
//! ```
//! use antiphon::socket::{Address, Options};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let options = Options::new().key(b"open sesame");
//! let listener = options.bind(&"tcp:127.0.0.1:0".parse()?)?;
//! let address = listener.address().clone();
//!
//! std::thread::scope(|scope| {
//!     scope.spawn(|| {
//!         let server = listener.accept().unwrap();
//!         let question = server.recv().unwrap();
//!         server.send(&[b"you said: ", &question[..]].concat()).unwrap();
//!     });
//!     let client = options.connect(&address)?;
//!     client.send(b"hello")?;
//!     assert_eq!(client.recv()?, b"you said: hello");
//!     Ok(())
//! })
//! # }
//! ```
//! ```text
//! >>> from multiprocessing.connection import Client
//! >>> with Client(("127.0.0.1", 4711), authkey=b"open sesame") as c:
//! ...     c.send_bytes(b"hello"); c.recv_bytes()
//! b'you said: hello'
//! ```
//!
//! # What a bad peer can do
//! - **Nothing without the key**, if there is one: it is not accepted, and reads nothing but a challenge. Each side challenges
//!   the other, so a client knows its server too. The messages after that are neither encrypted nor signed: over a network that others
//!   can read or change, use a tunnel.
//! - **Speak slowly or rubbish while it connects**: [`Listener::accept`] talks with all newcomers at once, drops each
//!   that is wrong or not done [in time](Options::handshake_timeout), and returns those that are right. Nobody waits for another.
//! - **Announce a huge message**: more than [`Options::max_message`] (256 MiB unless set) is an error before a byte of it
//!   is read, and memory is taken as the bytes arrive.
//! - **Stop in the middle of a message**: a wait with a deadline ends, and a later one goes on where it stopped;
//!   [`Options::message_timeout`] gives up on such a peer for good.
//!
//! # Messages
//! Bytes, of any length, also none. Python's `send` and `recv` exchange pickles: use `send_bytes` and `recv_bytes` there.
//! On the wire a message is its length (four bytes, or -1 and eight bytes above 2 GiB, most significant first) and its bytes.

mod address;
mod connection;
mod digest;
mod frame;
mod handshake;
mod listener;
mod newcomer;
mod options;
mod stream;

pub use address::Address;
pub use connection::Connection;
pub use digest::Digest;
pub use listener::{Incoming, Listener, Refusal};
pub use options::Options;
