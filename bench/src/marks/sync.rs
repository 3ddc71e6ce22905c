//! The marks of the synchronization half.

use super::Bar::{AtLeast, AtMost, Stated};
use super::{Check, Mark, OURS};
use crate::record::Book;
use crate::sync::growth::SLEEPERS;
use crate::sync::host_mutex::IN_THREADS;
use crate::sync::objects::OBJECTS;

/// Our host mutex with the owner word alone.
const BARE: &str = "antiphon, owner word";
/// Ours with the watcher on.
const WATCHED: &str = "antiphon, watcher";
/// What compare-exchange and swap cost where the marks in nanoseconds were set.
const REFERENCE_NS: f64 = 5.2;
/// "Flat": no size costs more than so many times a smaller one.
const FLAT: f64 = 1.5;

/// Every row of the table, in its order.
pub fn marks(book: &Book) -> Vec<Mark> {
    vec![
        mutex_uncontended(book),
        mutex_contended(book),
        rwlock(book),
        rounds(book),
        host_uncontended(book),
        host_paced(book),
        host_pairs(book),
        kill(book),
        wakes(book),
        objects(book),
        counts(book),
    ]
}

fn median(book: &Book, row: &str, subject: &str, metric: &str) -> Result<f64, String> {
    book.median(row, subject, metric)
        .ok_or_else(|| format!("{subject}: {}", book.why_absent(row, subject)))
}

/// Ours divided by theirs on one row.
fn beside(book: &Book, what: &str, bar: super::Bar, row: &str, peer: &str, metric: &str) -> Check {
    Check::ratio(book, format!("{what}, {OURS} / {peer}"), bar, (row, OURS), (row, peer), metric)
}

/// How many more we have than another.
fn more(book: &Book, what: &str, bar: super::Bar, row: &str, peer: &str, metric: &str) -> Check {
    let ours = median(book, row, OURS, metric);
    let theirs = median(book, row, peer, metric);
    let from = match (&ours, &theirs) {
        (Ok(a), Ok(b)) => format!("{a} and {b}"),
        _ => String::new(),
    };
    let value = ours.and_then(|a| theirs.map(|b| a - b));
    Check { from, ..Check::value(what, bar, value) }
}

fn mutex_uncontended(book: &Book) -> Mark {
    let row = "counts.mutex.threads";
    Mark::new(
        "Mutex in threads, uncontended",
        "same atomic and system-call counts as std, at most 8 instructions more, <= 1.1x its time",
        vec![
            more(book, "mutex, atomics more than std", AtMost(0.0), row, "std", "atomics"),
            more(book, "mutex, system calls more than std", AtMost(0.0), row, "std", "syscalls"),
            more(
                book,
                "mutex, instructions more than std",
                AtMost(8.0),
                row,
                "std",
                "instructions",
            ),
            beside(book, "mutex alone, ns", AtMost(1.1), "mutex.threads.uncontended", "std", "ns"),
        ],
    )
}

fn mutex_contended(book: &Book) -> Mark {
    let mut checks = Vec::new();
    for threads in [2, 4] {
        let row = format!("mutex.threads.{threads}.paced");
        let what = format!("mutex, {threads} threads paced");
        checks.push(beside(book, &what, AtLeast(0.95), &row, "parking_lot", "Mops/s"));
        let fairness = median(book, &row, OURS, "fairness");
        checks.push(Check::value(format!("{what}, max/min"), AtMost(1.2), fairness));
        let row = format!("mutex.threads.{threads}.tight");
        let what = format!("mutex, {threads} threads tight");
        checks.push(beside(book, &what, Stated, &row, "parking_lot", "Mops/s"));
    }
    Mark::new(
        "Mutex in threads, 2 and 4 threads, paced (tight is reported)",
        ">= 0.95x parking_lot's rate, fairness (max/min) <= 1.2",
        checks,
    )
}

fn rwlock(book: &Book) -> Mark {
    let readers = "rwlock.threads.2.readers";
    Mark::new(
        "RwLock read, uncontended / two readers",
        "<= std's time / >= parking_lot's rate",
        vec![
            beside(book, "rwlock read alone, ns", AtMost(1.0), "rwlock.threads.read", "std", "ns"),
            beside(book, "rwlock, 2 readers", AtLeast(1.0), readers, "parking_lot", "Mops/s"),
        ],
    )
}

fn rounds(book: &Book) -> Mark {
    let no_slower: &[(&str, &str, &str, &[&str])] = &[
        ("condvar ping-pong", "condvar.threads.ping-pong", "us", &["std", "parking_lot"]),
        ("barrier round of 2", "barrier.threads.2", "us", &["std"]),
        ("barrier round of 4", "barrier.threads.4", "us", &["std"]),
        ("semaphore pair", "semaphore.threads.pair", "ns", &["tokio"]),
        (
            "event alone",
            "event.threads.set-wait-clear",
            "ns",
            &["std mutex+condvar", "parking_lot mutex+condvar", "tokio Notify"],
        ),
        (
            "event ping-pong",
            "event.threads.ping-pong",
            "us",
            &["std mutex+condvar", "parking_lot mutex+condvar", "tokio Notify"],
        ),
    ];
    let checks = no_slower.iter().flat_map(|&(what, row, metric, peers)| {
        peers.iter().map(move |peer| beside(book, what, AtMost(1.0), row, peer, metric))
    });
    Mark::new(
        "Condvar ping-pong, Barrier round, Semaphore pair, Event",
        "no slower than std, parking_lot, tokio where they have it",
        checks.collect(),
    )
}

fn host_uncontended(book: &Book) -> Mark {
    let row = "mutex.host.uncontended";
    let ratio = |what: &str, bar, subject| {
        let what = format!("{what} / ours in threads");
        Check::ratio(book, what, bar, (row, subject), (row, IN_THREADS), "ns")
    };
    Mark::new(
        "Mutex in host that survives its owner, uncontended",
        "<= 1.4x ours in threads with the full owner record, <= 1.15x with the owner word alone \
         (pthread robust is 2.3-4.5x)",
        vec![
            ratio("host mutex, full record", AtMost(1.4), OURS),
            ratio("host mutex, owner word alone", AtMost(1.15), BARE),
            ratio("pthread robust", Stated, "pthread robust"),
        ],
    )
}

fn host_paced(book: &Book) -> Mark {
    let plain = "futex, 3 states";
    Mark::new(
        "the same, 2 processes paced",
        ">= a plain 3-state futex lock in shared memory",
        vec![
            beside(
                book,
                "host mutex, 2 paced",
                AtLeast(1.0),
                "mutex.host.2.paced",
                plain,
                "Mops/s",
            ),
            beside(book, "host mutex, 2 tight", Stated, "mutex.host.2.tight", plain, "Mops/s"),
        ],
    )
}

fn host_pairs(book: &Book) -> Mark {
    let scaled = |what: &str, row: &str, ns: f64| {
        let what = format!("{what}, ours / CAS+swap");
        Check::ratio(book, what, AtMost(ns / REFERENCE_NS), (row, OURS), (row, "CAS+swap"), "ns")
    };
    Mark::new(
        "Semaphore / RwLock read pair in host",
        "<= 20 ns / <= 15 ns where CAS+swap is 5.2 ns",
        vec![
            scaled("host semaphore pair", "semaphore.host.pair", 20.0),
            scaled("host rwlock read pair", "rwlock.host.read", 15.0),
        ],
    )
}

fn kill(book: &Book) -> Mark {
    let mut checks = Vec::new();
    for sleepers in [1, 4] {
        let row = format!("kill.holder.{sleepers}");
        let p99 = |subject| median(book, &row, subject, "p99 us").map(|us| us / 1e3);
        let p50 = |subject| median(book, &row, subject, "p50 us").map(|us| us / 1e3);
        let what = format!("kill, {sleepers} sleeping");
        checks.push(Check::value(format!("{what}, p99 ms"), AtMost(100.0), p99(OURS)));
        checks.push(Check::value(format!("{what}, p50 ms"), Stated, p50(OURS)));
        checks.push(Check::value(format!("{what}, watcher, p99 ms"), AtMost(5.0), p99(WATCHED)));
        checks.push(Check::value(format!("{what}, watcher, p50 ms"), Stated, p50(WATCHED)));
    }
    Mark::new(
        "kill of the holder until a sleeper owns the lock",
        "p99 <= 100 ms with no thread of ours; p99 <= 5 ms with the watcher on",
        checks,
    )
}

/// How much dearer the operation gets from any size to any larger one, at worst.
fn flat(what: &str, costs: Vec<Result<f64, String>>) -> Check {
    let costs: Result<Vec<f64>, String> = costs.into_iter().collect();
    let from = costs.as_ref().map_or(String::new(), |c| {
        c.iter().map(|v| super::number(*v)).collect::<Vec<_>>().join(", ")
    });
    let value = costs.map(|c| {
        let cheapest_so_far = c.iter().scan(f64::INFINITY, |low, v| {
            *low = low.min(*v);
            Some(v / *low)
        });
        cheapest_so_far.fold(1.0, f64::max)
    });
    Check { from, ..Check::value(format!("{what}, worst growth"), AtMost(FLAT), value) }
}

fn wakes(book: &Book) -> Mark {
    let mut checks = Vec::new();
    for place in ["threads", "host"] {
        let costs = SLEEPERS
            .iter()
            .map(|n| median(book, &format!("growth.wake.{place}.{n}"), OURS, "us"))
            .collect();
        checks.push(flat(&format!("wake one of 1..64 in {place}"), costs));
    }
    let idle = |subject| median(book, "growth.idle.64", subject, "us/s");
    checks.push(Check::value("idle cost of 64 sleeping processes, us/s", Stated, idle(OURS)));
    Mark::new(
        "cost as it grows: 1 to 64 waiting threads or processes (operations that wake one)",
        "flat per operation; idle cost of 64 sleepers stated",
        checks,
    )
}

fn objects(book: &Book) -> Mark {
    let costs =
        |metric| OBJECTS.map(|n| median(book, &format!("growth.objects.{n}"), OURS, metric));
    let dearest = |metric| {
        let all: Result<Vec<f64>, String> = costs(metric).into_iter().collect();
        all.map(|c| crate::stats::max(&c))
    };
    Mark::new(
        "cost as it grows: 1 to 10,000 objects in a space",
        "flat per operation; open <= 100 us",
        vec![
            flat("open of one of 1..10,000", costs("open us").into()),
            Check::value("open, dearest, us", AtMost(100.0), dearest("open us")),
            Check::value("create, dearest, us", Stated, dearest("create us")),
            flat("lock of one of 1..10,000", costs("lock ns").into()),
        ],
    )
}

fn counts(book: &Book) -> Mark {
    let count = |what: &str, bar, row: &str, subject: &str, metric: &str| {
        let what = format!("{what}, {metric}");
        Check::value(what, bar, median(book, row, subject, metric))
    };
    let mut checks = Vec::new();
    for (what, row, atomics) in [
        ("mutex", "counts.mutex.threads", AtMost(2.0)),
        ("rwlock read", "counts.rwlock.threads.read", AtMost(2.0)),
        ("host mutex", "counts.mutex.host", AtMost(2.0)),
        ("host rwlock read", "counts.rwlock.host.read", AtMost(2.0)),
        ("semaphore", "counts.semaphore.threads", Stated),
        ("event set-wait-clear", "counts.event.threads", Stated),
        ("host semaphore", "counts.semaphore.host", Stated),
    ] {
        checks.push(count(what, AtMost(0.0), row, OURS, "syscalls"));
        checks.push(count(what, atomics, row, OURS, "atomics"));
        checks.push(count(what, Stated, row, OURS, "instructions"));
    }
    let bytes = median(book, "memory.mutex.threads", OURS, "bytes");
    checks.push(Check::value("mutex, bytes beside its value", AtMost(8.0), bytes));
    Mark::new(
        "uncontended paths; memory",
        "no system call; mutex and rwlock read one atomic read-modify-write each way, the others publish their count; \
         a mutex in threads at most 8 bytes beside its value",
        checks,
    )
}
