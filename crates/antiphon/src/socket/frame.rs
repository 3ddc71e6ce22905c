//! How messages follow one another in a stream: a length, then that many bytes.
//!
//! | first | then | then |
//! |---|---|---|
//! | `0 ..= 0x7fff_ffff`, as a signed number of four bytes | that many bytes | |
//! | `-1` | a length of eight bytes | that many bytes |
//!
//! All numbers with their most significant byte first. Nothing here reads or writes: who does asks [`Partial::want`] where
//! the next bytes belong, which are never those of the message after.

use super::stream::RECEIVE_STEP;

/// The longest message whose length is written in four bytes.
const SHORT: u64 = i32::MAX as u64;
const MARK: i32 = -1;

/// What stands before a message.
#[derive(Clone, Copy)]
pub(super) struct Header {
    bytes: [u8; 12],
    len: usize,
}

impl Header {
    pub(super) fn of(message: u64) -> Self {
        let mut bytes = [0; 12];
        let len = if message <= SHORT {
            bytes[..4].copy_from_slice(&(message as u32).to_be_bytes());
            4
        } else {
            bytes[..4].copy_from_slice(&MARK.to_be_bytes());
            bytes[4..].copy_from_slice(&message.to_be_bytes());
            12
        };
        Self { bytes, len }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// What is wrong with the beginning of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FrameError {
    /// So many bytes are more than the limit.
    TooLarge(u64),
    /// No length: this is another protocol, or the stream is out of step.
    Garbage(i32),
}

/// A message on its way in.
#[derive(Debug)]
pub(super) struct Partial {
    limit: u64,
    stage: Stage,
    /// What has come of the present stage: of the length, or of the message.
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Short,
    Long,
    Body(u64),
    Whole,
}

impl Partial {
    /// No message longer than `limit` bytes.
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, stage: Stage::Short, bytes: Vec::new() }
    }

    /// Where the next bytes belong, and how many of them at most, for which there is room. None: the message is whole.
    pub(super) fn want(&mut self) -> Option<(&mut Vec<u8>, usize)> {
        let whole = match self.stage {
            Stage::Short => 4,
            Stage::Long => 8,
            Stage::Body(len) => len,
            Stage::Whole => return None,
        };
        let have = self.bytes.len();
        let missing = usize::try_from(whole - have as u64).unwrap_or(usize::MAX);
        if self.bytes.capacity() == have {
            // As the bytes arrive, so that announcing them costs the peer what it costs us.
            self.bytes.reserve_exact(missing.min(have.max(RECEIVE_STEP)));
        }
        let room = self.bytes.capacity() - have;
        Some((&mut self.bytes, missing.min(room)))
    }

    /// Bytes have been added where [`want`](Self::want) said: understands them.
    pub(super) fn advance(&mut self) -> Result<(), FrameError> {
        match self.stage {
            Stage::Short => {
                let Ok(bytes) = <[u8; 4]>::try_from(&self.bytes[..]) else { return Ok(()) };
                self.bytes.clear();
                match i32::from_be_bytes(bytes) {
                    MARK => self.stage = Stage::Long,
                    len @ 0.. => self.begin(len as u64)?,
                    len => return Err(FrameError::Garbage(len)),
                }
            }
            Stage::Long => {
                let Ok(bytes) = <[u8; 8]>::try_from(&self.bytes[..]) else { return Ok(()) };
                self.bytes.clear();
                self.begin(u64::from_be_bytes(bytes))?;
            }
            Stage::Body(len) if self.bytes.len() as u64 == len => self.stage = Stage::Whole,
            Stage::Body(_) | Stage::Whole => {}
        }
        Ok(())
    }

    fn begin(&mut self, len: u64) -> Result<(), FrameError> {
        if len > self.limit || usize::try_from(len).is_err() {
            return Err(FrameError::TooLarge(len));
        }
        self.stage = if len == 0 { Stage::Whole } else { Stage::Body(len) };
        Ok(())
    }

    /// Whether nothing of a message has come.
    pub(super) fn is_idle(&self) -> bool {
        self.stage == Stage::Short && self.bytes.is_empty()
    }

    /// The message, if it is whole; the next one begins.
    pub(super) fn take(&mut self) -> Option<Vec<u8>> {
        if self.stage != Stage::Whole {
            return None;
        }
        self.stage = Stage::Short;
        Some(std::mem::take(&mut self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look random (xorshift64*, Vigna 2016).
    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % bound
        }
    }

    /// Everything that `stream` has to say when it arrives in pieces of up to `piece` bytes, and how much of it was read.
    fn read(
        stream: &[u8],
        limit: u64,
        mut piece: impl FnMut() -> usize,
    ) -> (Vec<Vec<u8>>, Result<usize, FrameError>) {
        let (mut partial, mut messages, mut at) = (Partial::new(limit), Vec::new(), 0);
        loop {
            while let Some(message) = partial.take() {
                messages.push(message);
            }
            if at == stream.len() {
                return (messages, Ok(at));
            }
            let (bytes, most) = partial.want().unwrap();
            assert!(most > 0 && bytes.capacity() - bytes.len() >= most);
            let end = stream.len().min(at + most.min(piece()));
            bytes.extend_from_slice(&stream[at..end]);
            at = end;
            if let Err(error) = partial.advance() {
                return (messages, Err(error));
            }
        }
    }

    #[test]
    fn messages_survive_every_cut() {
        let mut random = Random(0x5eed);
        for _ in 0..400 {
            let messages: Vec<Vec<u8>> = (0..random.below(6))
                .map(|_| (0..random.below(300)).map(|_| random.below(256) as u8).collect())
                .collect();
            let mut stream = Vec::new();
            for message in &messages {
                // Either form of the length is understood for any length.
                if random.below(4) == 0 {
                    stream.extend_from_slice(&MARK.to_be_bytes());
                    stream.extend_from_slice(&(message.len() as u64).to_be_bytes());
                } else {
                    stream.extend_from_slice(Header::of(message.len() as u64).as_bytes());
                }
                stream.extend_from_slice(message);
            }
            let most = 1 + random.below(40);
            let (got, end) = read(&stream, 300, || 1 + random.below(most) as usize);
            assert_eq!((got, end), (messages, Ok(stream.len())));
        }
    }

    #[test]
    fn rubbish_never_does_more_than_end_in_an_error() {
        let mut random = Random(0xbad);
        for _ in 0..20_000 {
            // Small numbers, so that lengths are plausible now and then.
            let stream: Vec<u8> = (0..random.below(64))
                .map(|_| match random.below(3) {
                    0 => 0,
                    1 => 0xff,
                    _ => random.below(256) as u8,
                })
                .collect();
            let pieces: Vec<_> = (0..2).map(|_| 1 + random.below(9) as usize).collect();
            let of = |n: usize| read(&stream, 40, || pieces[n]);
            let (a, b) = (of(0), of(1));
            assert_eq!(a, b, "how it was cut makes a difference");
            assert!(a.0.iter().all(|message| message.len() <= 40));
        }
    }

    #[test]
    fn an_announcement_takes_no_memory() {
        let mut partial = Partial::new(u64::MAX);
        for bytes in [&MARK.to_be_bytes()[..], &(1_u64 << 40).to_be_bytes()[..]] {
            partial.want().unwrap().0.extend_from_slice(bytes);
            partial.advance().unwrap();
        }
        let (bytes, most) = partial.want().unwrap();
        assert!(bytes.capacity() <= 2 * RECEIVE_STEP && most <= bytes.capacity());
    }

    #[test]
    fn lengths_are_written_as_cpython_writes_them() {
        assert_eq!(Header::of(5).as_bytes(), [0, 0, 0, 5]);
        assert_eq!(Header::of(SHORT).as_bytes(), [0x7f, 0xff, 0xff, 0xff]);
        let long = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0x80, 0, 0, 0];
        assert_eq!(Header::of(SHORT + 1).as_bytes(), long);
        assert_eq!(read(&[0x80, 0, 0, 0], 9, || 4).1, Err(FrameError::Garbage(i32::MIN)));
        assert_eq!(read(&[0, 0, 0, 10], 9, || 4).1, Err(FrameError::TooLarge(10)));
    }
}
