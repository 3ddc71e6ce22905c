//! The marks of the communication half.

use super::Bar::{AtLeast, AtMost, Stated};
use super::{Bar, Check, Mark, OURS, number};
use crate::comm::channel::{RTT, SHAPES, row};
use crate::comm::link::{ASLEEP, ASLEEP_SAME_CPU, AWAKE, LARGE, PIPE, SMALL};
use crate::comm::loan::{SIZES, flow_row, trip_row};
use crate::comm::stock::{self, LIFO, PRIORITY};
use crate::comm::{pair, service, topic};
use crate::record::Book;
use crate::stats;

const OURS_BATCHED: &str = "antiphon, batches of 32";
const BYTES: &str = "antiphon bytes";
const BYTES_BATCHED: &str = "antiphon bytes, batches of 32";
const ICEORYX: &str = "iceoryx2, polling";
const RATE: &str = "Mmsg/s";
const PEERS: [&str; 5] =
    ["kanal", "crossfire mpmc", "crossbeam-channel", "flume", "std sync_channel"];

/// Every row of the table, in its order.
pub fn marks(book: &Book) -> Vec<Mark> {
    vec![
        threads(book),
        threads_awake(book),
        host_plain(book),
        host_bytes(book),
        host_round_trips(book),
        host_large(book),
        stock_threads(book),
        stock_host(book),
        loans(book),
        host_pipe(book),
        pairs(book),
        topics(book),
        services(book),
    ]
}

fn cells() -> Vec<String> {
    [8, 64].into_iter().flat_map(|bytes| SHAPES.map(|shape| row(shape, bytes))).collect()
}

/// The ratios of ours to another subject, over the cells that both have.
fn ratios(book: &Book, ours: &str, theirs: &str) -> Vec<(String, f64)> {
    let ratio = |cell: String| {
        let pair = book.pair((&cell, ours), (&cell, theirs), RATE)?;
        Some((cell, pair.ours / pair.theirs))
    };
    cells().into_iter().filter_map(ratio).collect()
}

fn list(ratios: &[(String, f64)]) -> String {
    let one = |(cell, ratio): &(String, f64)| {
        format!("{} {}", cell.trim_start_matches("queue.threads."), number(*ratio))
    };
    ratios.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// A check on the ratios over several cells.
fn over_cells(
    what: String,
    bar: Bar,
    ratios: &[(String, f64)],
    summary: impl Fn(&[f64]) -> f64,
) -> Check {
    let values: Vec<f64> = ratios.iter().map(|(_, ratio)| *ratio).collect();
    let value = if values.is_empty() { Err("no cell".to_owned()) } else { Ok(summary(&values)) };
    Check { from: list(ratios), ..Check::value(what, bar, value) }
}

fn threads(book: &Book) -> Mark {
    let mut checks: Vec<Check> = PEERS
        .iter()
        .map(|peer| {
            let what = format!("queue in threads, geometric mean, {OURS} / {peer}");
            over_cells(what, AtLeast(1.0), &ratios(book, OURS, peer), stats::geometric_mean)
        })
        .collect();
    for cell in cells() {
        let best = PEERS
            .iter()
            .filter_map(|peer| Some((*peer, book.median(&cell, peer, RATE)?)))
            .max_by(|a, b| a.1.total_cmp(&b.1));
        let Some((best, _)) = best else { continue };
        let what = format!("{cell}, {OURS} / {best} (the best)");
        checks.push(Check::ratio(book, what, AtLeast(0.7), (&cell, OURS), (&cell, best), RATE));
    }
    let batches = ratios(book, OURS_BATCHED, OURS);
    let what = "batches of 32 / single, lowest cell".to_owned();
    checks.push(over_cells(what, AtLeast(3.0), &batches, stats::min));
    Mark::new(
        "Queue in threads, bounded 1024: 1:1, 2:1, 2:2, 8 B and 64 B",
        "geometric mean >= that of each of kanal, crossfire mpmc, crossbeam, flume, std; no cell below 0.7x the best; \
         batches of 32 >= 3x single",
        checks,
    )
}

fn ratio(book: &Book, bar: Bar, row: &str, ours: &str, theirs: &str, metric: &str) -> Check {
    let what = format!("{row} {metric}, {ours} / {theirs}");
    Check::ratio(book, what, bar, (row, ours), (row, theirs), metric)
}

fn threads_awake(book: &Book) -> Mark {
    Mark::new(
        "the same, round trip awake",
        "<= crossbeam-channel's",
        vec![ratio(book, AtMost(1.0), RTT, OURS, "crossbeam-channel", "p50 us")],
    )
}

/// A rate that counts only with the processors near.
fn near(book: &Book, what: &str, bar: Bar, subject: &str) -> Check {
    let value = book.median_at(SMALL, subject, RATE, "near").ok_or_else(|| {
        if book.median(SMALL, subject, RATE).is_some() {
            "no run with the vCPUs near".to_owned()
        } else {
            format!("{subject}: {}", book.why_absent(SMALL, subject))
        }
    });
    Check::value(format!("{what}, M messages/s, near"), bar, value)
}

fn host_plain(book: &Book) -> Mark {
    Mark::new(
        "Queue in host, plain data 64 B, 1:1, one by one / batches of 32",
        ">= 8x iceoryx2 polling / >= 100 M messages a second, vCPUs near",
        vec![
            ratio(book, AtLeast(8.0), SMALL, OURS, ICEORYX, RATE),
            near(book, "host queue, plain, batches of 32", AtLeast(100.0), OURS_BATCHED),
        ],
    )
}

fn host_bytes(book: &Book) -> Mark {
    Mark::new(
        "Queue in host, messages of any length at 64 B, one by one / batches of 32",
        ">= 5x iceoryx2 polling / >= 40 M",
        vec![
            ratio(book, AtLeast(5.0), SMALL, BYTES, ICEORYX, RATE),
            near(book, "host queue, bytes, batches of 32", AtLeast(40.0), BYTES_BATCHED),
            ratio(book, Stated, SMALL, BYTES, "iceoryx2 slices, polling", RATE),
        ],
    )
}

fn host_round_trips(book: &Book) -> Mark {
    let mut checks = Vec::new();
    for ours in [OURS, BYTES] {
        checks.push(ratio(book, AtMost(0.5), AWAKE, ours, ICEORYX, "p50 us"));
        for row in [ASLEEP, ASLEEP_SAME_CPU] {
            checks.push(ratio(book, AtMost(1.1), row, ours, "raw futex", "p50 us"));
        }
    }
    Mark::new(
        "the same, 8 B round trip awake / asleep",
        "<= 0.5x iceoryx2 polling / <= 1.1x a raw futex ping-pong",
        checks,
    )
}

fn host_large(book: &Book) -> Mark {
    Mark::new(
        "Queue in host, 1 MiB copied",
        ">= 2x a unix stream socket",
        vec![ratio(book, AtLeast(2.0), LARGE, BYTES, "unix stream", "GB/s")],
    )
}

/// The orders, with what one would write with the standard library.
const STOCKS: [(&str, &str); 2] = [(LIFO, "std Mutex<Vec>"), (PRIORITY, "std Mutex<BinaryHeap>")];

fn stock_threads(book: &Book) -> Mark {
    let mut checks = Vec::new();
    for (order, std) in STOCKS {
        for shape in stock::SHAPES {
            checks.push(ratio(book, AtLeast(1.0), &stock::row(order, shape), OURS, std, RATE));
        }
    }
    Mark::new(
        "Priority queue and LIFO in threads, bounded 1024",
        ">= a mutex around std's BinaryHeap / Vec",
        checks,
    )
}

fn stock_host(book: &Book) -> Mark {
    let check = |(order, std)| {
        let (ours, theirs) = (stock::host_row(order), stock::row(order, (1, 1)));
        let what = format!("{ours}, {OURS} / {std} between threads");
        Check::ratio(book, what, AtLeast(0.4), (&ours, OURS), (&theirs, std), RATE)
    };
    Mark::new(
        "Priority queue and LIFO in host, kill-proof, 1:1",
        ">= 0.4x a mutex around std's BinaryHeap / Vec between threads",
        STOCKS.map(check).into(),
    )
}

fn loans(book: &Book) -> Mark {
    let mut checks = Vec::new();
    for (_, size) in SIZES {
        checks.push(ratio(book, AtLeast(1.0), &flow_row(size), OURS, ICEORYX, RATE));
        checks.push(ratio(book, AtMost(0.6), &trip_row(size), OURS, ICEORYX, "p50 us"));
    }
    Mark::new(
        "Zero copy in host, 1 MiB and 4 KiB, every byte written and read",
        "messages/s >= iceoryx2 polling, round trip <= 0.6x of its",
        checks,
    )
}

fn host_pipe(book: &Book) -> Mark {
    let to = |peer| ratio(book, AtMost(0.05), PIPE, "antiphon pipe", peer, "p50 us");
    Mark::new(
        "Pipe in host, 8 B round trip awake",
        "<= 1/20 of a unix stream socket's, <= 1/20 of ipc-channel's",
        vec![to("unix stream"), to("ipc-channel")],
    )
}

fn pairs(book: &Book) -> Mark {
    const RTRB: &str = "rtrb, polling";
    const RTRB_BATCHED: &str = "rtrb, polling, batches of 32";
    let mut checks: Vec<Check> = [8, 64]
        .map(|bytes| ratio(book, AtLeast(1.0), &pair::row(bytes), OURS, "crossfire spsc", RATE))
        .into();
    checks.push(ratio(book, AtLeast(0.8), &pair::row(64), OURS, RTRB, RATE));
    for bytes in [8, 64] {
        let row = pair::row(bytes);
        checks.push(ratio(book, AtLeast(0.8), &row, OURS_BATCHED, RTRB_BATCHED, RATE));
    }
    Mark::new(
        "Channel 1:1 in threads, one producer and one consumer handle",
        ">= crossfire spsc; >= 0.8x rtrb at 64 B and in batches",
        checks,
    )
}

fn topics(book: &Book) -> Mark {
    Mark::new(
        "Topic 1 -> 1, host, 64 B",
        ">= 3x iceoryx2 pub/sub",
        vec![ratio(book, AtLeast(3.0), topic::ONE, OURS, ICEORYX, RATE)],
    )
}

fn services(book: &Book) -> Mark {
    Mark::new(
        "Service call, host, awake",
        "<= 0.6x iceoryx2 request-response",
        vec![ratio(book, AtMost(0.6), service::AWAKE, OURS, ICEORYX, "p50 us")],
    )
}
