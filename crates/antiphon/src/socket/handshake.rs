//! Who has to say what until both sides have proved that they know the key.
//!
//! | | listener | client |
//! |---|---|---|
//! | 1 | `#CHALLENGE#` and a challenge | an answer to it |
//! | 2 | `#WELCOME#`, or `#FAILURE#` and goes | |
//! | 3 | an answer to it | `#CHALLENGE#` and a challenge |
//! | 4 | | `#WELCOME#`, or `#FAILURE#` and goes |
//!
//! Nothing here reads or writes. A listener answers no challenge before its own was answered, so it proves nothing to those
//! who do not know the key.

use std::io;
use std::sync::Arc;

use antiphon_sys::random;

use super::digest::{self, Digest};
use crate::error::socket::HandshakeError;

const CHALLENGE: &[u8] = b"#CHALLENGE#";
const WELCOME: &[u8] = b"#WELCOME#";
const FAILURE: &[u8] = b"#FAILURE#";
/// No message of a handshake is longer.
pub(super) const LONGEST: u64 = 256;

/// What is asked of a peer.
#[derive(Clone)]
pub(super) struct Demand {
    pub(super) key: Arc<[u8]>,
    pub(super) digest: Digest,
    pub(super) allow_md5: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    Listener,
    Client,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Await {
    Answer,
    Challenge,
    Verdict,
    Nothing,
}

/// A handshake on its way.
pub(super) struct Handshake {
    demand: Demand,
    role: Role,
    challenge: Vec<u8>,
    next: Await,
}

/// What is to be done next.
#[derive(Debug)]
pub(super) enum Step {
    /// Send this, and wait for an answer.
    Send(Vec<u8>),
    /// Wait for a message.
    Wait,
    /// Send this, if anything; then all is well.
    Done(Option<Vec<u8>>),
    /// Send this, if anything, and hang up.
    Refuse(Option<Vec<u8>>, HandshakeError),
}

impl Handshake {
    pub(super) fn new(demand: Demand, role: Role) -> io::Result<Self> {
        let mut bytes = [0; 40];
        random::fill(&mut bytes)?;
        let challenge = digest::challenge(demand.digest, &bytes);
        Ok(Self { demand, role, challenge, next: Await::Nothing })
    }

    /// The first step.
    pub(super) fn begin(&mut self) -> Step {
        match self.role {
            Role::Listener => self.deliver(),
            Role::Client => self.expect(Await::Challenge),
        }
    }

    /// What `message` leads to.
    pub(super) fn hear(&mut self, message: &[u8]) -> Step {
        match self.next {
            Await::Answer => self.judge(message),
            Await::Challenge => self.answer(message),
            Await::Verdict if message != WELCOME => Step::Refuse(None, HandshakeError::Refused),
            Await::Verdict if self.role == Role::Client => self.deliver(),
            Await::Verdict | Await::Nothing => self.done(None),
        }
    }

    fn deliver(&mut self) -> Step {
        self.next = Await::Answer;
        Step::Send([CHALLENGE, &self.challenge].concat())
    }

    fn judge(&mut self, answer: &[u8]) -> Step {
        match digest::check(&self.demand.key, &self.challenge, answer) {
            Some(Digest::Md5) if !self.demand.allow_md5 => {
                Step::Refuse(Some(FAILURE.to_vec()), HandshakeError::Md5)
            }
            Some(_) if self.role == Role::Client => self.done(Some(WELCOME.to_vec())),
            Some(_) => {
                self.next = Await::Challenge;
                Step::Send(WELCOME.to_vec())
            }
            None => Step::Refuse(Some(FAILURE.to_vec()), HandshakeError::WrongKey),
        }
    }

    fn answer(&mut self, message: &[u8]) -> Step {
        let answer = message
            .strip_prefix(CHALLENGE)
            .and_then(|challenge| digest::answer(&self.demand.key, challenge));
        match answer {
            Some((Digest::Md5, _)) if !self.demand.allow_md5 => {
                Step::Refuse(None, HandshakeError::Md5)
            }
            Some((_, answer)) => {
                self.next = Await::Verdict;
                Step::Send(answer)
            }
            None => Step::Refuse(None, HandshakeError::Protocol),
        }
    }

    fn expect(&mut self, next: Await) -> Step {
        self.next = next;
        Step::Wait
    }

    fn done(&mut self, last: Option<Vec<u8>>) -> Step {
        self.next = Await::Nothing;
        Step::Done(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(role: Role, key: &[u8], allow_md5: bool, digest: Digest) -> Handshake {
        Handshake::new(Demand { key: key.into(), digest, allow_md5 }, role).unwrap()
    }

    /// Lets both talk; how it ended for the listener and for the client. `None`: it heard no end.
    fn talk(
        mut listener: Handshake,
        mut client: Handshake,
    ) -> [Option<Result<(), HandshakeError>>; 2] {
        let mut ends = [None, None];
        let mut mail: Vec<(usize, Vec<u8>)> = Vec::new();
        let note = |who: usize, step: Step, ends: &mut [Option<_>; 2], mail: &mut Vec<_>| {
            let (message, end) = match step {
                Step::Send(message) => (Some(message), None),
                Step::Wait => (None, None),
                Step::Done(message) => (message, Some(Ok(()))),
                Step::Refuse(message, why) => (message, Some(Err(why))),
            };
            mail.extend(message.map(|message| (1 - who, message)));
            if end.is_some() {
                ends[who] = end;
            }
        };
        let step = listener.begin();
        note(0, step, &mut ends, &mut mail);
        let step = client.begin();
        note(1, step, &mut ends, &mut mail);
        while let Some((to, message)) = mail.pop() {
            assert!(message.len() as u64 <= LONGEST);
            let step = if to == 0 { listener.hear(&message) } else { client.hear(&message) };
            note(to, step, &mut ends, &mut mail);
        }
        ends
    }

    #[test]
    fn who_knows_the_key_is_let_in_and_who_does_not_is_told() {
        let of = |role, key: &[u8]| side(role, key, true, Digest::Sha256);
        let good = talk(of(Role::Listener, b"k"), of(Role::Client, b"k"));
        assert!(matches!(good, [Some(Ok(())), Some(Ok(()))]));
        let bad = talk(of(Role::Listener, b"k"), of(Role::Client, b"x"));
        assert!(matches!(
            bad,
            [Some(Err(HandshakeError::WrongKey)), Some(Err(HandshakeError::Refused))]
        ));
    }

    #[test]
    fn md5_is_refused_by_those_who_do_not_want_it() {
        let strict = |role| side(role, b"k", false, Digest::Sha256);
        let old = |role| side(role, b"k", true, Digest::Md5);
        let [listener, client] = talk(old(Role::Listener), strict(Role::Client));
        assert!(matches!((listener, client), (None, Some(Err(HandshakeError::Md5)))));
        let [listener, client] = talk(strict(Role::Listener), old(Role::Client));
        assert!(matches!((listener, client), (Some(Err(HandshakeError::Md5)), None)));
    }

    #[test]
    fn rubbish_is_refused() {
        let mut listener = side(Role::Listener, b"k", true, Digest::Sha256);
        assert!(matches!(listener.begin(), Step::Send(_)));
        let refused = listener.hear(b"GET / HTTP/1.1");
        assert!(matches!(refused, Step::Refuse(Some(_), HandshakeError::WrongKey)));
        let mut client = side(Role::Client, b"k", true, Digest::Sha256);
        assert!(matches!(client.begin(), Step::Wait));
        assert!(matches!(client.hear(b"220 smtp"), Step::Refuse(None, HandshakeError::Protocol)));
    }
}
