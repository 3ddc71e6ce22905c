//! Messages over sockets between two Rust ends. What CPython has to say about it is in `socket_python.rs`.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use antiphon::error::socket::{
    ConnectError, HandshakeError, RecvError, TimedAcceptError, TimedRecvError, TimedSendError,
    TryRecvError, TrySendError,
};
use antiphon::socket::{Address, Connection, Digest, Listener, Options};

const SHORT: Duration = Duration::from_millis(20);
/// Nothing here takes that long; a test that would hang fails.
const LONG: Duration = Duration::from_secs(60);

fn scratch(name: &str) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Relaxed);
    std::env::temp_dir().join(format!("antiphon-socket-{}-{number}-{name}", std::process::id()))
}

fn addresses() -> Vec<Address> {
    let path = scratch("file");
    let name = path.to_str().unwrap().to_owned();
    vec![Address::tcp("127.0.0.1:0"), Address::unix(path), Address::abstract_name(name)]
}

fn meet(listener: &Listener, options: &Options) -> (Connection, Connection) {
    thread::scope(|s| {
        let client = s.spawn(|| options.connect_timeout(listener.address(), LONG).unwrap());
        let server = listener.accept_timeout(LONG).unwrap();
        (server, client.join().unwrap())
    })
}

fn pair(options: &Options) -> (Connection, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (options.wrap(ours), theirs)
}

fn receive(connection: &Connection) -> Result<Vec<u8>, TimedRecvError> {
    connection.recv_timeout(LONG)
}

#[test]
fn every_kind_of_address_and_digest_carries_messages_both_ways() {
    let plain = Options::new();
    let keyed = [Digest::Md5, Digest::Sha256, Digest::Sha384]
        .map(|digest| Options::new().key(b"secret").digest(digest));
    for options in [&[plain][..], &keyed].concat() {
        for address in addresses() {
            let listener = options.bind(&address).unwrap();
            let (server, client) = meet(&listener, &options);
            thread::scope(|s| {
                s.spawn(|| {
                    for len in [0, 1, 4, 65_536, 3 << 20] {
                        client.send(&vec![len as u8; len]).unwrap();
                    }
                    assert_eq!(receive(&client).unwrap(), b"bye");
                });
                for len in [0, 1, 4, 65_536, 3 << 20] {
                    assert!(receive(&server).unwrap() == vec![len as u8; len]);
                }
                server.send(b"bye").unwrap();
            });
            drop(client);
            for _ in 0..2 {
                assert!(matches!(server.recv(), Err(RecvError::Closed)));
            }
        }
    }
}

#[test]
fn a_wrong_key_gets_nobody_in_on_either_side() {
    let [right, wrong, none] =
        [Options::new().key("right"), Options::new().key("wrong"), Options::new()];
    let listener = right.bind(&Address::tcp("localhost:0")).unwrap();
    thread::scope(|s| {
        s.spawn(|| {
            let refused = wrong.connect_timeout(listener.address(), LONG).unwrap_err();
            assert!(matches!(refused, ConnectError::Handshake(HandshakeError::Refused)));
            // Without a key there is no handshake; what comes is a challenge, and then the end.
            let outsider = none.connect_timeout(listener.address(), LONG).unwrap();
            assert!(receive(&outsider).unwrap().starts_with(b"#CHALLENGE#"));
            outsider.send(b"let me in").unwrap();
            assert_eq!(receive(&outsider).unwrap(), b"#FAILURE#");
            assert!(matches!(outsider.recv(), Err(RecvError::Closed)));
            right.connect_timeout(listener.address(), LONG).unwrap()
        });
        let peer = listener.accept_timeout(LONG).unwrap();
        assert_eq!(listener.refused(), 2);
        let refusal = listener.last_refusal().unwrap();
        assert!(matches!(refusal.why, HandshakeError::WrongKey));
        assert!(listener.last_refusal().is_none());
        assert!(matches!(peer.peer(), Some(Address::Tcp(_))));
    });

    // A listener that knows no key welcomes everybody, and is found out when it is to prove that it does.
    let impostor = std::net::TcpListener::bind("localhost:0").unwrap();
    let address = impostor.local_addr().unwrap().into();
    thread::scope(|s| {
        s.spawn(|| {
            let peer = none.wrap(impostor.accept().unwrap().0);
            peer.send(&[b"#CHALLENGE#", &[b'x'; 20][..]].concat()).unwrap();
            assert_eq!(receive(&peer).unwrap().len(), 16);
            peer.send(b"#WELCOME#").unwrap();
            assert!(receive(&peer).unwrap().starts_with(b"#CHALLENGE#{sha256}"));
            peer.send(&[0; 16]).unwrap();
        });
        let found_out = right.connect_timeout(&address, LONG).unwrap_err();
        assert!(matches!(found_out, ConnectError::Handshake(HandshakeError::WrongKey)));
    });
}

#[test]
fn bad_peers_cost_the_good_ones_nothing() {
    let options = Options::new().key("key").handshake_timeout(LONG).newcomers(40);
    let listener = options.bind(&Address::tcp("127.0.0.1:0")).unwrap();
    let Address::Tcp(port) = listener.address().clone() else { panic!() };
    let connect = || TcpStream::connect(&port).unwrap();
    let silent: Vec<_> = (0..25).map(|_| connect()).collect();
    let mut slow = connect();
    slow.write_all(&[0, 0]).unwrap();
    let rubbish = ["GET / HTTP/1.1\r\n\r\n", "\u{1}", "\0\0\0\u{ff}", "\0\0\0\0"];
    let loud: Vec<_> = rubbish
        .iter()
        .map(|text| {
            let mut stream = connect();
            stream.write_all(text.as_bytes()).unwrap();
            stream
        })
        .collect();
    // Announces more than a handshake ever says; and one who goes at once.
    connect().write_all(&[0x7f, 0xff, 0xff, 0xff]).unwrap();
    drop(connect());

    let (server, client) = meet(&listener, &options);
    client.send(b"hello").unwrap();
    assert_eq!(receive(&server).unwrap(), b"hello");

    // More of them than there is room for push out the oldest, and still do no harm.
    let more: Vec<_> = (0..60).map(|_| connect()).collect();
    let (server, client) = meet(&listener, &options);
    client.send(b"hello again").unwrap();
    assert_eq!(receive(&server).unwrap(), b"hello again");
    assert!(listener.refused() >= 40);
    drop((silent, slow, loud, more));
}

#[test]
fn a_silent_newcomer_is_dropped_in_time() {
    let options = Options::new().key("key").handshake_timeout(SHORT);
    let listener = options.bind(&Address::unix(scratch("silent"))).unwrap();
    let Address::Unix(path) = listener.address() else { panic!() };
    let mut silent: Vec<_> = (0..5).map(|_| UnixStream::connect(path).unwrap()).collect();
    let begun = Instant::now();
    while listener.refused() < 5 {
        assert!(begun.elapsed() < LONG);
        let nobody = listener.accept_timeout(SHORT);
        assert!(matches!(nobody, Err(TimedAcceptError::TimedOut(_))));
    }
    assert!(matches!(listener.last_refusal().unwrap().why, HandshakeError::TooSlow));
    let mut heard = Vec::new();
    silent[0].read_to_end(&mut heard).unwrap();
    assert!(heard[4..].starts_with(b"#CHALLENGE#"));
}

#[test]
fn a_client_gives_up_on_a_silent_listener() {
    let silent = std::net::TcpListener::bind("localhost:0").unwrap();
    let address = silent.local_addr().unwrap().into();
    let options = Options::new().key("key").handshake_timeout(SHORT);
    let slow = options.connect(&address).unwrap_err();
    assert!(matches!(slow, ConnectError::Handshake(HandshakeError::TooSlow)));
    let options = options.handshake_timeout(LONG);
    let slow = options.connect_deadline(&address, Instant::now() + SHORT).unwrap_err();
    assert!(matches!(slow, ConnectError::TimedOut(_)), "{slow}");
}

#[test]
fn messages_that_are_too_long_or_none_end_the_connection() {
    let options = Options::new().max_message(100);
    let (ours, mut theirs) = pair(&options);
    theirs.write_all(&[0, 0, 0, 100]).unwrap();
    theirs.write_all(&[7; 100]).unwrap();
    theirs.write_all(&[0, 0, 0, 101]).unwrap();
    assert_eq!(receive(&ours).unwrap(), [7; 100]);
    for _ in 0..2 {
        let error = ours.recv().unwrap_err();
        assert!(matches!(error, RecvError::TooLarge { size: 101, limit: 100 }));
    }
    // The peer notices.
    assert!(theirs.write_all(&[0; 9]).is_err());
    assert!(ours.send(b"x").is_err());

    let (ours, mut theirs) = pair(&options);
    theirs.write_all(&[0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0]).unwrap();
    assert!(matches!(ours.recv(), Err(RecvError::TooLarge { .. })));

    let (ours, mut theirs) = pair(&options);
    theirs.write_all(b"\xffETCH").unwrap();
    assert!(ours.poll_timeout(LONG));
    assert!(matches!(ours.recv(), Err(RecvError::Garbage)));

    // The long form of a length that would have fitted the short one.
    let (ours, mut theirs) = pair(&options);
    theirs.write_all(b"\xff\xff\xff\xff\0\0\0\0\0\0\0\x02hi").unwrap();
    assert_eq!(receive(&ours).unwrap(), b"hi");
}

#[test]
fn a_peer_that_ends_within_a_message_is_told_from_one_that_ends_after() {
    for (bytes, cut) in [(&b""[..], false), (b"\0\0", true), (b"\0\0\0\x05hel", true)] {
        let (ours, mut theirs) = pair(&Options::new());
        theirs.write_all(bytes).unwrap();
        theirs.shutdown(Shutdown::Write).unwrap();
        assert!(ours.poll_timeout(LONG));
        let error = ours.recv().unwrap_err();
        assert_eq!(matches!(error, RecvError::Cut), cut, "{error}");
        assert_eq!(matches!(error, RecvError::Closed), !cut, "{error}");
        // Half closed: the other half works.
        ours.send(b"still here").unwrap();
        let mut heard = [0; 14];
        theirs.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"\0\0\0\x0astill here");
    }
}

#[test]
fn a_wait_that_gives_up_keeps_what_has_come() {
    let (ours, mut theirs) = pair(&Options::new());
    for part in [&b"\0\0"[..], b"\0\x06", b"abc"] {
        theirs.write_all(part).unwrap();
        assert!(matches!(ours.try_recv(), Err(TryRecvError::Empty)));
        assert!(matches!(ours.recv_timeout(SHORT), Err(TimedRecvError::TimedOut(_))));
        assert!(!ours.poll());
    }
    theirs.write_all(b"def\0\0\0").unwrap();
    assert!(ours.poll_deadline(Instant::now() + LONG));
    assert_eq!(ours.try_recv().unwrap(), b"abcdef");
    assert!(matches!(ours.try_recv(), Err(TryRecvError::Empty)));
}

#[test]
fn a_peer_that_stops_within_a_message_is_given_up() {
    let (ours, mut theirs) = pair(&Options::new().message_timeout(SHORT));
    // Between messages there is no hurry.
    assert!(matches!(ours.recv_timeout(4 * SHORT), Err(TimedRecvError::TimedOut(_))));
    theirs.write_all(b"\0\0\0\x02hi\0\0\0\x02").unwrap();
    assert_eq!(receive(&ours).unwrap(), b"hi");
    assert!(matches!(ours.recv(), Err(RecvError::Stalled)));
    assert!(theirs.write_all(b"late").is_err());
}

#[test]
fn a_send_that_gives_up_sends_all_or_nothing() {
    let (a, b) = UnixStream::pair().unwrap();
    let (a, b) = (Options::new().wrap(a), Options::new().wrap(b));
    let large = vec![1; 4 << 20];
    let part = a.send_timeout(&large, SHORT);
    assert!(matches!(part, Err(TimedSendError::Unfinished(_))));
    assert!(matches!(a.send_timeout(b"x", SHORT), Err(TimedSendError::TimedOut(_))));
    assert!(matches!(a.try_send(b"y"), Err(TrySendError::Full)));
    assert!(matches!(a.try_flush(), Err(TrySendError::Unfinished)));
    let late = a.flush_deadline(Instant::now() + SHORT);
    assert!(matches!(late, Err(TimedSendError::Unfinished(_))));
    thread::scope(|s| {
        s.spawn(|| a.send(b"next").unwrap());
        assert!(receive(&b).unwrap() == large);
        assert_eq!(receive(&b).unwrap(), b"next");
    });
    assert!(matches!(b.try_recv(), Err(TryRecvError::Empty)));
}

#[test]
fn threads_share_a_connection_and_messages_stay_whole() {
    let (a, b) = UnixStream::pair().unwrap();
    let (a, b) = (&Options::new().wrap(a), &Options::new().wrap(b));
    let mut got: Vec<Vec<u8>> = thread::scope(|s| {
        for n in 0..4u8 {
            s.spawn(move || {
                for len in 0..200 {
                    a.send(&vec![n; len * 97]).unwrap();
                }
            });
        }
        let getters: Vec<_> = (0..2)
            .map(|_| s.spawn(|| (0..400).map(|_| receive(b).unwrap()).collect::<Vec<_>>()))
            .collect();
        getters.into_iter().flat_map(|getter| getter.join().unwrap()).collect()
    });
    got.sort();
    let mut expected: Vec<Vec<u8>> =
        (0..4u8).flat_map(|n| (0..200).map(move |len| vec![n; len * 97])).collect();
    expected.sort();
    assert!(got == expected);
}

#[test]
fn threads_share_a_listener() {
    let options = Options::new().key("key");
    let listener = options.bind(&Address::tcp("localhost:0")).unwrap();
    thread::scope(|s| {
        for _ in 0..3 {
            s.spawn(|| {
                let peer = listener.accept_timeout(LONG).unwrap();
                let message = receive(&peer).unwrap();
                peer.send(&message).unwrap();
            });
        }
        for n in 0..3u8 {
            let (options, listener) = (&options, &listener);
            s.spawn(move || {
                let peer = options.connect_timeout(listener.address(), LONG).unwrap();
                peer.send(&[n]).unwrap();
                assert_eq!(receive(&peer).unwrap(), [n]);
            });
        }
    });
}

#[test]
fn a_listener_removes_its_own_file_and_no_other() {
    let path = scratch("own");
    let address = Address::unix(&path);
    drop(Options::new().bind(&address).unwrap());
    assert!(!path.exists());

    let listener = Options::new().bind(&address).unwrap();
    let taken = Options::new().replace_dead(true).bind(&address).unwrap_err();
    assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse);
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "somebody else's").unwrap();
    drop(listener);
    assert!(path.exists());
    assert!(Options::new().replace_dead(true).bind(&address).is_err());
    std::fs::remove_file(&path).unwrap();

    // std's leaves the file behind, as one who was killed does.
    drop(UnixListener::bind(&path).unwrap());
    assert!(Options::new().bind(&address).is_err());
    drop(Options::new().replace_dead(true).bind(&address).unwrap());
    assert!(!path.exists());
}

#[test]
fn connecting_waits_for_a_full_listener_until_the_deadline() {
    let options = Options::new().backlog(0);
    let listener =
        options.bind(&Address::abstract_name(scratch("full").to_str().unwrap())).unwrap();
    let mut waiting = Vec::new();
    let error = loop {
        match options.connect_timeout(listener.address(), SHORT) {
            Ok(connection) => waiting.push(connection),
            Err(error) => break error,
        }
        assert!(waiting.len() < 9);
    };
    assert!(matches!(error, ConnectError::TimedOut(_)), "{error}");
    assert!(listener.try_accept().is_ok());
}
