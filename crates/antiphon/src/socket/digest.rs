//! Proofs that somebody knows the key, in both dialects of CPython.
//!
//! | dialect | challenge | answer |
//! |---|---|---|
//! | up to 3.11 | 20 random bytes | their HMAC-MD5, 16 bytes |
//! | since 3.12 | `{sha256}` and 40 random bytes | `{sha256}` and the HMAC-SHA-256 of the challenge with its prefix |
//!
//! An older peer answers any challenge with HMAC-MD5, over all of it. Since the prefix is part of what is signed, nobody
//! on the way can have a newer peer use a weaker digest than it was asked for.

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha2::{Sha256, Sha384};

/// Bytes of a challenge by which CPython recognizes peers of version 3.11 and before.
const OLD_CHALLENGE: usize = 20;
const OLD_ANSWER: usize = 16;

/// How a peer proves that it knows the key: HMAC with one of these.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Digest {
    /// MD5, the only one that CPython knows up to 3.11. HMAC with it is not known to be broken.
    Md5,
    /// SHA-256, which CPython asks for since 3.12.
    #[default]
    Sha256,
    /// SHA-384. (CPython knows two more, of SHA-3, which none of its own functions ask for.)
    Sha384,
}

use Digest as D;

impl Digest {
    const ALL: [(Self, &str); 3] = [(D::Md5, "md5"), (D::Sha256, "sha256"), (D::Sha384, "sha384")];

    /// Its name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(digest, _)| *digest == self).map_or("", |(_, name)| name)
    }

    /// The HMAC of `message`.
    fn sign(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        match self {
            D::Md5 => mac::<Hmac<Md5>>(key, message).finalize().into_bytes().to_vec(),
            D::Sha256 => mac::<Hmac<Sha256>>(key, message).finalize().into_bytes().to_vec(),
            D::Sha384 => mac::<Hmac<Sha384>>(key, message).finalize().into_bytes().to_vec(),
        }
    }

    /// Whether `code` is the HMAC of `message`, compared in constant time.
    fn verify(self, key: &[u8], message: &[u8], code: &[u8]) -> bool {
        let verdict = match self {
            D::Md5 => mac::<Hmac<Md5>>(key, message).verify_slice(code),
            D::Sha256 => mac::<Hmac<Sha256>>(key, message).verify_slice(code),
            D::Sha384 => mac::<Hmac<Sha384>>(key, message).verify_slice(code),
        };
        verdict.is_ok()
    }
}

fn mac<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> M {
    let mut mac = M::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    mac
}

/// The digest that `message` names in front, and the rest.
fn split(message: &[u8]) -> Option<(Digest, &[u8])> {
    let rest = message.strip_prefix(b"{")?;
    Digest::ALL.into_iter().find_map(|(digest, name)| {
        Some((digest, rest.strip_prefix(name.as_bytes())?.strip_prefix(b"}")?))
    })
}

fn prefixed(digest: Digest, bytes: &[u8]) -> Vec<u8> {
    [b"{", digest.name().as_bytes(), b"}", bytes].concat()
}

/// A challenge that asks for `digest`, made of `random` bytes.
pub(super) fn challenge(digest: Digest, random: &[u8; 40]) -> Vec<u8> {
    prefixed(digest, random)
}

/// The answer to a challenge, and the digest that it uses. None: it asks for a digest that we do not know.
pub(super) fn answer(key: &[u8], challenge: &[u8]) -> Option<(Digest, Vec<u8>)> {
    if challenge.len() == OLD_CHALLENGE {
        return Some((D::Md5, D::Md5.sign(key, challenge)));
    }
    let (digest, _) = split(challenge)?;
    Some((digest, prefixed(digest, &digest.sign(key, challenge))))
}

/// The digest of an answer to a challenge of ours, if it is right.
pub(super) fn check(key: &[u8], challenge: &[u8], answer: &[u8]) -> Option<Digest> {
    let (digest, code) = match answer.len() {
        OLD_ANSWER => (D::Md5, answer),
        _ => split(answer)?,
    };
    digest.verify(key, challenge, code).then_some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_right_for_its_key_and_challenge_only() {
        for (digest, name) in Digest::ALL {
            let ours = challenge(digest, &[7; 40]);
            assert!(ours.starts_with(format!("{{{name}}}").as_bytes()));
            let (used, answer) = answer(b"key", &ours).unwrap();
            assert_eq!((used, check(b"key", &ours, &answer)), (digest, Some(digest)));
            assert_eq!(check(b"kez", &ours, &answer), None);
            assert_eq!(check(b"key", &challenge(digest, &[8; 40]), &answer), None);
            let mut bent = answer.clone();
            *bent.last_mut().unwrap() ^= 1;
            assert_eq!(check(b"key", &ours, &bent), None);
            assert_eq!(check(b"key", &ours, &answer[..answer.len() - 1]), None);
        }
    }

    #[test]
    fn the_old_dialect_has_no_prefix() {
        let (digest, old) = answer(b"key", &[1; 20]).unwrap();
        assert_eq!((digest, old.len()), (D::Md5, 16));
        // From RFC 2202, test case 2.
        let code = D::Md5.sign(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(code[..4], [0x75, 0x0c, 0x78, 0x3e]);
        let code = D::Sha256.sign(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(code[..4], [0x5b, 0xdc, 0xc1, 0x46]);
    }

    #[test]
    fn unknown_digests_are_no_answer() {
        for challenge in [&b"{sha1}xxxxxxxxxxxxxxxxxxxxxxxx"[..], b"{sha256", b"", &[b'x'; 40]] {
            assert_eq!(answer(b"key", challenge), None);
        }
    }
}
