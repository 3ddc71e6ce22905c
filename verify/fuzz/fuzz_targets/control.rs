//! A control segment full of nonsense: opening the space must be an error or must work, whatever the bytes are.
//!
//! The input is edits of a good segment, three bytes of place and eight of content each. If the last byte is odd the checksum of the header is
//! made right again, so that the fields behind it are looked at.
#![no_main]

use std::fs;
use std::sync::OnceLock;

use antiphon::Space;
use antiphon::space::Lifetime;
use antiphon_verify::scratch::Scratch;
use libfuzzer_sys::fuzz_target;

/// Bytes of the header that never change; the last eight are their checksum.
const FIXED: usize = 88;

struct Stage {
    scratch: Scratch,
    /// A good segment.
    good: Vec<u8>,
}

fn stage() -> &'static Stage {
    static STAGE: OnceLock<Stage> = OnceLock::new();
    STAGE.get_or_init(|| {
        let scratch = Scratch::new();
        // SAFETY: the fuzzer's other threads do not look at the environment.
        unsafe { scratch.enter() };
        let space = Space::builder("host:fuzz").participants(4).lifetime(Lifetime::Kept).open();
        drop(space.expect("a space"));
        let good = fs::read(scratch.path().join("fuzz/.control")).expect("its control segment");
        Stage { scratch, good }
    })
}

/// FNV-1a, as in the header.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fuzz_target!(|data: &[u8]| {
    let Stage { scratch, good } = stage();
    let mut bytes = good.clone();
    for edit in data.chunks_exact(11) {
        let at = usize::from(edit[0]) | usize::from(edit[1]) << 8 | usize::from(edit[2]) << 16;
        let at = at % bytes.len();
        let until = (at + 8).min(bytes.len());
        bytes[at..until].copy_from_slice(&edit[3..3 + until - at]);
    }
    if data.last().is_some_and(|last| last & 1 == 1) {
        let sum = checksum(&bytes[..FIXED - 8]);
        bytes[FIXED - 8..FIXED].copy_from_slice(&sum.to_le_bytes());
    }
    let path = scratch.path().join("fuzz");
    let _ = fs::create_dir(&path);
    let _ = fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o700));
    fs::write(path.join(".control"), &bytes).expect("room");
    let _ = fs::set_permissions(
        path.join(".control"),
        std::os::unix::fs::PermissionsExt::from_mode(0o600),
    );
    if let Ok(space) = Space::open("host:fuzz") {
        space.participants();
        if let Ok(mutex) = space.mutex("mutex", 0_u64) {
            drop(mutex.try_lock());
        }
        if let Ok(permits) = space.semaphore("permits", 2) {
            drop(permits.try_acquire());
        }
        let _ = format!("{:?}", antiphon::inspect::inspect_space("fuzz"));
    }
});
