//! An object full of nonsense: using it must be an error or must work, and must end, whatever the bytes are.
//!
//! The first byte of the input chooses the object. The rest is edits of its bytes behind the part that is checked when it is
//! opened, each of which is followed by operations that do not wait.
#![no_main]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

use antiphon::Space;
use antiphon_verify::scratch::Scratch;
use libfuzzer_sys::fuzz_target;

/// Where the part of an object's header ends that is copied and checked once.
const FIXED: u64 = 272;

struct Stage {
    scratch: Scratch,
    space: Space,
}

fn stage() -> &'static Stage {
    static STAGE: OnceLock<Stage> = OnceLock::new();
    STAGE.get_or_init(|| {
        let scratch = Scratch::new();
        // SAFETY: the fuzzer's other threads do not look at the environment.
        unsafe { scratch.enter() };
        // An identity that no small number is: what names this process as the owner of a lock is waited for, rightly.
        let open = || Space::builder("host:fuzz").participants(7).open().expect("a space");
        let keeper = antiphon_verify::child::Child::fork(|| {
            let _space = open();
            loop {
                std::thread::sleep(std::time::Duration::from_secs(1));
            }
        });
        std::mem::forget(keeper);
        std::thread::sleep(std::time::Duration::from_millis(100));
        for _ in 0..2000 {
            drop(open());
        }
        Stage { space: open(), scratch }
    })
}

/// Uses an object that may be anything by now.
fn operate(space: &Space, kind: u8) {
    match kind % 8 {
        0 => {
            let Ok(mutex) = space.mutex("mutex", 0_u64) else { return };
            drop(mutex.try_lock());
        }
        1 => {
            let Ok(mutex) = space.reentrant_mutex("reentrant", 0_u64) else { return };
            drop(mutex.try_lock());
        }
        2 => {
            let Ok(lock) = space.rwlock("rwlock", 0_u64) else { return };
            drop(lock.try_read());
            drop(lock.try_write());
        }
        3 => {
            let Ok(permits) = space.semaphore("semaphore", 3) else { return };
            drop(permits.try_acquire_many(2));
            let _ = permits.release(1);
            permits.available();
        }
        4 => {
            let Ok(event) = space.event("event") else { return };
            event.set();
            event.clear();
            let Ok(condvar) = space.condvar("condvar") else { return };
            condvar.notify_all();
        }
        5 => {
            let Ok(barrier) = space.barrier("barrier", 2) else { return };
            barrier.waiting();
            barrier.abort();
            barrier.reset();
            barrier.leave();
        }
        6 => {
            let Ok(queue) = space.queue::<[u64; 3]>("queue", 5) else { return };
            let _ = queue.try_put([1; 3]);
            let _ = queue.try_get();
            let _ = queue.try_put_many(&[[2; 3]; 4]);
            let _ = queue.try_get_many(4);
            queue.len();
        }
        _ => {
            let Ok(queue) = space.byte_queue("bytes", 5, 512) else { return };
            let _ = queue.try_put(b"hello");
            let _ = queue.try_get();
            let _ = queue.try_put(&[7; 100]);
            let _ = queue.try_get();
            queue.len();
        }
    }
}

const NAMES: [&str; 8] =
    ["mutex", "reentrant", "rwlock", "semaphore", "event", "barrier", "queue", "bytes"];

fuzz_target!(|data: &[u8]| {
    let Stage { scratch, space } = stage();
    let Some((&kind, edits)) = data.split_first() else { return };
    let name = NAMES[usize::from(kind % 8)];
    operate(space, kind);
    let path = scratch.path().join("fuzz").join(name);
    let Ok(file) = File::options().write(true).open(&path) else { return };
    let length = file.metadata().expect("it is open").len();
    for edit in edits.chunks_exact(10) {
        let at = FIXED + u64::from(u16::from_le_bytes([edit[0], edit[1]])) % (length - FIXED);
        let bytes = &edit[2..10.min(2 + (length - at) as usize)];
        file.write_all_at(bytes, at).expect("inside the file");
        operate(space, kind);
    }
    let _ = format!("{:?}", antiphon::inspect::inspect_object("fuzz", name));
    let _ = space.remove(name);
});
