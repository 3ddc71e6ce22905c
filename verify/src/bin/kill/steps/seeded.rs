//! Faults planted by hand: what a wrong commit or a wrong recovery would leave in memory. Each must be reported.
//!
//! A fault is made by editing an object's bytes after somebody died, so that nothing in the library has to be wrong for
//! it. Where the words are is found by comparing the bytes before and after an operation.

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::time::Duration;

use antiphon_core::owner::OWNER_MASK;
use antiphon_verify::scratch::Scratch;

use super::acts::{keep, mutex, queue, rwlock, semaphore};
use super::{Ward, stay_here};
use crate::scenes::{Item, Pair};

type Found = Result<u32, String>;

/// An object's file.
struct Bytes(PathBuf);

impl Bytes {
    fn of(scratch: &Scratch, name: &str) -> Self {
        Self(scratch.path().join("steps").join(name))
    }

    /// The bytes as words. Objects are a multiple of them long.
    fn words(&self) -> Vec<u64> {
        let bytes = fs::read(&self.0).expect("an object");
        bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).collect()
    }

    fn write(&self, at: usize, word: u64) {
        let mut file = OpenOptions::new().write(true).open(&self.0).expect("an object");
        file.seek(SeekFrom::Start(at as u64 * 8)).expect("a place in it");
        file.write_all(&word.to_le_bytes()).expect("room, since it was there");
    }

    fn restore(&self, words: &[u64]) {
        fs::write(&self.0, words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>())
            .expect("room, since it was there");
    }

    /// Which words `act` changes, with what they were and became; and sets them back.
    fn changes(&self, act: impl FnOnce()) -> Vec<(usize, u64, u64)> {
        let before = self.words();
        act();
        let after = self.words();
        self.restore(&before);
        let pairs = before.into_iter().zip(after).enumerate();
        pairs.filter(|(_, (b, a))| b != a).map(|(at, (b, a))| (at, b, a)).collect()
    }

    /// Replaces the owner in every half word that names `from`.
    fn replace_owner(&self, from: u32, to: u32) {
        for (at, word) in self.words().into_iter().enumerate() {
            let halves = [word as u32, (word >> 32) as u32];
            let changed = halves.map(|half| match half & OWNER_MASK == from {
                true if to == 0 => 0,
                true => half & !OWNER_MASK | to,
                false => half,
            });
            if changed != halves {
                self.write(at, u64::from(changed[0]) | u64::from(changed[1]) << 32);
            }
        }
    }
}

/// Somebody dies in `body`; its identity.
fn perish(ward: &Ward, body: impl FnOnce()) -> u32 {
    let identity = &ward.notes.words[3];
    ward.perish(|| {
        let me = std::process::id();
        let list = ward.space.participants();
        let itself = list.into_iter().find(|p| p.pid == me).expect("it takes part");
        identity.store(itself.owner.get().into(), std::sync::atomic::Ordering::SeqCst);
        body();
    });
    identity.load(std::sync::atomic::Ordering::SeqCst) as u32
}

/// The identity of this process, who lives.
fn alive(ward: &Ward) -> u32 {
    let me = std::process::id();
    let list = ward.space.participants();
    list.into_iter().find(|p| p.pid == me).expect("it takes part").owner.get()
}

fn half_a_change(ward: &Ward, name: &str) -> (&'static antiphon::space::Mutex<Pair>, u32) {
    let mutex = keep(ward.space.mutex(name, Pair::ZERO).expect("a mutex"));
    let dead = perish(ward, || {
        let mut guard = mutex.lock().expect("it is new");
        guard.first += 1;
        std::mem::forget(guard);
    });
    (mutex, dead)
}

fn mutex_given_as_good(ward: &Ward, scratch: &Scratch) -> Found {
    let (mutex, dead) = half_a_change(ward, "a");
    Bytes::of(scratch, "a").replace_owner(dead, 0);
    mutex::check(ward, mutex)
}

fn mutex_never_given(ward: &Ward, scratch: &Scratch) -> Found {
    let (mutex, dead) = half_a_change(ward, "b");
    // One who lives and does not hold it.
    ward.help(|| {
        std::thread::sleep(Duration::from_secs(60));
        0
    });
    let list = ward.space.participants();
    let helper = list.iter().find(|p| Some(p.pid as i32) == ward.helper_pid());
    Bytes::of(scratch, "b").replace_owner(dead, helper.expect("it takes part").owner.get());
    let found = mutex::check(ward, mutex);
    ward.kill_helper();
    found
}

fn reader_never_let_go(ward: &Ward, scratch: &Scratch) -> Found {
    let lock = keep(ward.space.rwlock("c", Pair::ZERO).expect("a lock"));
    let dead = perish(ward, || std::mem::forget(lock.read()));
    Bytes::of(scratch, "c").replace_owner(dead, alive(ward));
    rwlock::check(ward, lock)
}

/// Permits available after two of them were taken by one who died, `more` too many.
fn permits(ward: &Ward, scratch: &Scratch, name: &str, more: i64) -> Found {
    const AVAILABLE: u32 = 2;
    let permits = keep(ward.space.semaphore(name, semaphore::PERMITS).expect("a semaphore"));
    perish(ward, || permits.acquire_many(2).forget());
    ward.look();
    semaphore::check(permits)?;
    let bytes = Bytes::of(scratch, name);
    let available = |word: u64| word >> AVAILABLE & 0xf_ffff;
    let changes = bytes.changes(|| permits.acquire_many(2).forget());
    let (at, word, _) = changes
        .into_iter()
        .find(|(_, b, a)| available(*b) == semaphore::PERMITS && available(*a) + 2 == available(*b))
        .expect("the word that counts them");
    bytes.write(at, word.wrapping_add_signed(more << AVAILABLE));
    semaphore::check(permits)
}

fn permits_lost(ward: &Ward, scratch: &Scratch) -> Found {
    permits(ward, scratch, "d", -2)
}

fn permits_doubled(ward: &Ward, scratch: &Scratch) -> Found {
    permits(ward, scratch, "e", 2)
}

/// Which of the words that a put changes are written: `(is it the item's, what it was, what it became)`.
type Choice = fn(bool, u64, u64) -> u64;

fn put<L: queue::Line>(line: &'static L, bytes: &Bytes, choice: Choice) -> Found {
    let case = queue::Case { queue: line, there: 1, puts: 1, gets: 0 };
    case.prepare();
    let changes = bytes.changes(|| case.act(0));
    // The item's words lie behind the cursors, and are many in a row: the last of what changed.
    let item = Item::new(queue::OURS + 1, 0).message().len().min(64) / 8;
    let cells = changes.len().saturating_sub(item - 2);
    for (number, (at, before, after)) in changes.into_iter().enumerate() {
        bytes.write(at, choice(number >= cells, before, after));
    }
    case.check(1)
}

fn plain(ward: &Ward, scratch: &Scratch, name: &str, choice: Choice) -> Found {
    let line = keep(ward.space.queue::<Item>(name, queue::CAPACITY).expect("a queue"));
    put(line, &Bytes::of(scratch, name), choice)
}

fn put_whole(ward: &Ward, scratch: &Scratch) -> Found {
    plain(ward, scratch, "f", |_, _, after| after).and_then(|put| match put {
        1 => Ok(1),
        _ => Err("a whole put has no effect".to_owned()),
    })
}

fn put_uncommitted(ward: &Ward, scratch: &Scratch) -> Found {
    plain(ward, scratch, "g", |item, before, after| if item { after } else { before })
}

fn cursor_before_bytes(ward: &Ward, scratch: &Scratch) -> Found {
    plain(ward, scratch, "h", |item, before, after| if item { before } else { after })
}

fn half_an_item(ward: &Ward, scratch: &Scratch) -> Found {
    plain(
        ward,
        scratch,
        "i",
        |item, before, after| {
            if item && after & 1 == 0 { before } else { after }
        },
    )
}

fn cursor_before_message(ward: &Ward, scratch: &Scratch) -> Found {
    let bytes = ward.space.byte_queue("j", queue::CAPACITY, queue::BYTES).expect("a queue");
    let choice: Choice = |item, before, after| if item { before } else { after };
    put(keep(bytes), &Bytes::of(scratch, "j"), choice)
}

fn cursor_too_far(ward: &Ward, scratch: &Scratch) -> Found {
    plain(ward, scratch, "k", |item, before, after| {
        if item { after } else { after.wrapping_add(after.wrapping_sub(before)) }
    })
}

/// What a scenario is called, whether it is a fault, and how it is made.
type Seed = (&'static str, bool, fn(&Ward, &Scratch) -> Found);

const SEEDS: &[Seed] = &[
    ("mutex: the dead owner cleared, the value not marked", true, mutex_given_as_good),
    ("mutex: the dead owner's lock kept", true, mutex_never_given),
    ("rwlock: the dead reader's count kept", true, reader_never_let_go),
    ("semaphore: the dead owner's permits lost", true, permits_lost),
    ("semaphore: the dead owner's permits returned twice", true, permits_doubled),
    ("queue: the cursor before the bytes", true, cursor_before_bytes),
    ("queue: some of the bytes after the cursor", true, half_an_item),
    ("queue: the cursor too far", true, cursor_too_far),
    ("byte queue: the cursor before the bytes", true, cursor_before_message),
    ("queue: a whole put (no fault)", false, put_whole),
    ("queue: the bytes without the cursor (no fault)", false, put_uncommitted),
];

/// Plants every fault. False if one of them is not reported, or something that is none is.
pub(crate) fn run() -> bool {
    let scratch = Scratch::new();
    // SAFETY: this process has one thread.
    unsafe { scratch.enter() };
    stay_here();
    let ward = Ward::new();
    ward.patience.set(Duration::from_secs(2));
    let mut wrong = 0;
    for (name, fault, plant) in SEEDS {
        let found = plant(&ward, &scratch);
        let right = found.is_err() == *fault;
        wrong += u32::from(!right);
        let verdict = if right { "as it should be" } else { "WRONG" };
        println!("{name:<55} {verdict}: {}", found.map_or_else(|e| e, |_| "nothing".to_owned()));
    }
    let faults = SEEDS.iter().filter(|(_, fault, _)| *fault).count();
    println!();
    println!("{faults} faults planted, {} scenarios in all, {wrong} judged wrongly", SEEDS.len());
    wrong == 0
}
