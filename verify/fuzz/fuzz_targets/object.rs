//! An object full of nonsense: using it must be an error or must work, and must end, whatever the bytes are.
//!
//! The first byte of the input chooses the object. The rest is edits of its bytes behind the part that is checked when it is
//! opened, each of which is followed by operations that do not wait.
#![no_main]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;
use std::time::Duration;

use antiphon::Space;
use antiphon::space::Lifetime;
use antiphon_verify::scratch::Scratch;
use libfuzzer_sys::fuzz_target;

/// A `try_` waits for the few instructions for which somebody has an end of a queue, and nonsense may say that somebody
/// alive has it for ever. With a deadline that ends, too.
const NO_TIME: Duration = Duration::ZERO;
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
        let open = || {
            let builder = Space::builder("host:fuzz").participants(7).lifetime(Lifetime::Kept);
            builder.open().expect("a space")
        };
        for _ in 0..2000 {
            drop(open());
        }
        Stage { space: open(), scratch }
    })
}

/// Uses an object that may be anything by now.
fn operate(space: &Space, kind: u8) {
    match usize::from(kind) % NAMES.len() {
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
            let _ = queue.put_timeout([1; 3], NO_TIME);
            let _ = queue.get_timeout(NO_TIME);
            let _ = queue.put_timeout([2; 3], NO_TIME);
            let _ = queue.get_timeout(NO_TIME);
            queue.len();
        }
        7 => {
            let Ok(dict) = space.byte_dict("dict", 1 << 12) else { return };
            let Ok(mut guard) = dict.lock_timeout(NO_TIME) else { return };
            let _ = guard.insert(b"key", &[7; 40]);
            let _ = guard.get(b"key");
            let _ = guard.entries();
            let _ = guard.remove(b"key");
            let _ = guard.insert(b"other", &[8; 300]);
        }
        8 => {
            let Ok(list) = space.byte_list("list", 1 << 12) else { return };
            let Ok(mut guard) = list.lock_timeout(NO_TIME) else { return };
            let _ = guard.push(&[7; 40]);
            let _ = guard.insert(0, &[8; 300]);
            let _ = guard.items();
            let _ = guard.remove(0);
            let _ = guard.set(1, b"other");
            guard.clear();
        }
        9 => {
            let Ok(memory) = space.memory("memory", 1 << 12) else { return };
            let _ = memory.write(5, &[7; 40]);
            let _ = memory.load::<u64>(4);
            memory.attached();
        }
        10 => {
            let Ok((a, b)) = space.pipe("pipe", 512) else { return };
            let _ = a.try_send(b"hello");
            let _ = (b.poll(), b.try_recv());
            let _ = b.try_send(&[7; 100]);
            let _ = (a.len(), a.try_recv());
        }
        _ => {
            let Ok(queue) = space.byte_queue("bytes", 5, 512) else { return };
            let _ = queue.put_timeout(b"hello", NO_TIME);
            let _ = queue.get_timeout(NO_TIME);
            let _ = queue.put_timeout(&[7; 100], NO_TIME);
            let _ = queue.get_timeout(NO_TIME);
            queue.len();
        }
    }
}

const NAMES: [&str; 12] = [
    "mutex",
    "reentrant",
    "rwlock",
    "semaphore",
    "event",
    "barrier",
    "queue",
    "dict",
    "list",
    "memory",
    "pipe",
    "bytes",
];

fuzz_target!(|data: &[u8]| {
    let Stage { scratch, space } = stage();
    let Some((&kind, edits)) = data.split_first() else { return };
    let name = NAMES[usize::from(kind) % NAMES.len()];
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
