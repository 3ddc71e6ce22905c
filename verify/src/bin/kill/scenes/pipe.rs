//! Two pairs of a sender and a receiver. When one of a pair dies, the other is told, or goes on with the one who comes in its place;
//! after the end of a pipe, a pair goes on with the next.

use std::collections::HashMap;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::Duration;

use antiphon::Space;
use antiphon::error::pipe::{
    RecvError, SendError, TimedRecvError, TimedSendError, TryRecvError, TrySendError,
};
use antiphon::space::{Connection, PipeEnd};

use super::Item;
use super::queue::idle;
use crate::ledger::{Fault, ITEMS, Ledger, MAKERS, State};
use crate::scene::{Fallen, Operation, Post};

pub(crate) struct Scene;

const SEND: usize = 0;
const RECV: usize = 1;
const PAIRS: usize = 2;
const BYTES: u64 = 2048;
/// No more than that are in a pipe when its receiver dies.
const INSIDE: usize = BYTES as usize / size_of::<Item>() + 1;
const SOON: Duration = Duration::from_micros(300);

/// How an operation ended: with something, with nothing, or with the end of the pipe.
enum Outcome<T> {
    Done(T),
    Nothing,
    Ended,
}
use Outcome::{Done, Ended, Nothing};

fn send(end: &Connection, message: &[u8], form: u64) -> Outcome<()> {
    match form {
        0 => match end.try_send(message) {
            Ok(()) => Done(()),
            Err(TrySendError::Full) => Nothing,
            Err(TrySendError::Send(SendError::Closed)) => Ended,
            Err(error) => panic!("{error}"),
        },
        1 => match end.send_timeout(message, SOON) {
            Ok(()) => Done(()),
            Err(TimedSendError::TimedOut(_)) => Nothing,
            Err(TimedSendError::Send(SendError::Closed)) => Ended,
            Err(error) => panic!("{error}"),
        },
        _ => match end.send(message) {
            Ok(()) => Done(()),
            Err(SendError::Closed) => Ended,
            Err(error) => panic!("{error}"),
        },
    }
}

fn recv(end: &Connection, form: u64) -> Outcome<Vec<u8>> {
    match form {
        0 => match end.try_recv() {
            Ok(message) => Done(message),
            Err(TryRecvError::Empty) => Nothing,
            Err(TryRecvError::Recv(RecvError::Closed)) => Ended,
            Err(error) => panic!("{error}"),
        },
        1 => match end.recv_timeout(SOON) {
            Ok(message) => Done(message),
            Err(TimedRecvError::TimedOut(_)) => Nothing,
            Err(TimedRecvError::Recv(RecvError::Closed)) => Ended,
            Err(error) => panic!("{error}"),
        },
        2 if !end.poll_timeout(SOON) => Nothing,
        _ => match end.recv() {
            Ok(message) => Done(message),
            Err(RecvError::Closed) => Ended,
            Err(error) => panic!("{error}"),
        },
    }
}

/// The pipe that a pair is at: its number, and the end.
fn open(space: &Space, ledger: &Ledger, pair: usize, end: PipeEnd) -> (u64, Connection) {
    let number = ledger.words[pair].load(SeqCst);
    let name = format!("pipe-{pair}-{number}");
    (number, space.one_way_pipe_end(&name, BYTES, end).expect("a pipe"))
}

/// The pair goes on with the next one; whoever of the two sees the end first says so.
fn go_on(ledger: &Ledger, pair: usize, number: u64) {
    let _ = ledger.words[pair].compare_exchange(number, number + 1, SeqCst, SeqCst);
}

impl Scene {
    fn produce(&self, space: &Space, post: &mut Post<'_>) {
        let pair = post.index;
        let (mut at, mut end) = open(space, post.ledger, pair, PipeEnd::Second);
        while !post.stopping() {
            let maker = post.ledger.makers_used.fetch_add(1, SeqCst);
            let Some(account) = post.ledger.makers.get(maker as usize) else { return idle(post) };
            // Not more than the ledger has room for.
            std::thread::sleep(Duration::from_millis(2));
            let mut number = 0;
            while number < ITEMS && !post.stopping() {
                let message = Item::new(maker as u32, number as u32).message();
                let form = post.random.below(8);
                account.begun.store(number as u32 + 1, SeqCst);
                post.enter(SEND);
                let outcome = send(&end, &message, form);
                if matches!(outcome, Done(())) {
                    number += 1;
                    account.done.store(number as u32, SeqCst);
                }
                if matches!(outcome, Ended) {
                    go_on(post.ledger, pair, at);
                    (at, end) = open(space, post.ledger, pair, PipeEnd::Second);
                }
                post.outside();
            }
        }
    }

    fn consume(&self, space: &Space, post: &mut Post<'_>) {
        let pair = post.index - PAIRS;
        let (mut at, mut end) = open(space, post.ledger, pair, PipeEnd::First);
        let mut next = HashMap::new();
        loop {
            let form = post.random.below(8);
            post.enter(RECV);
            match recv(&end, form) {
                Done(message) => {
                    post.hold();
                    post.ledger.items.fetch_add(1, Relaxed);
                    note(post, &message, &mut next);
                }
                Nothing => {}
                Ended if post.stopping() => return,
                Ended => {
                    go_on(post.ledger, pair, at);
                    (at, end) = open(space, post.ledger, pair, PipeEnd::First);
                }
            }
            post.outside();
        }
    }
}

fn note(post: &Post<'_>, message: &[u8], next: &mut HashMap<u32, u32>) {
    let Some(item) = Item::of_message(message) else {
        return post.fault(Fault::Torn, "a message is not whole");
    };
    let account = &post.ledger.makers[item.maker as usize];
    if account.got[item.number as usize].fetch_add(1, SeqCst) != 0 {
        post.fault(Fault::Twice, &format!("{item:?}"));
    }
    if item.number >= account.begun.load(SeqCst) {
        post.fault(Fault::Other, &format!("{item:?} was never sent"));
    }
    let next = next.entry(item.maker).or_insert(0);
    if item.number < *next {
        post.fault(Fault::Disorder, &format!("{item:?} after {next}"));
    }
    *next = item.number + 1;
}

impl crate::scene::Scene for Scene {
    fn name(&self) -> &'static str {
        "pipe"
    }

    fn operations(&self) -> &'static [Operation] {
        &[
            Operation { name: "send", states: &[State::Entering], workers: &[0, 1] },
            Operation {
                name: "recv",
                states: &[State::Entering, State::Holding],
                workers: &[2, 3],
            },
        ]
    }

    fn workers(&self) -> usize {
        2 * PAIRS
    }

    fn work(&self, space: &Space, post: &mut Post<'_>) {
        if post.index < PAIRS { self.produce(space, post) } else { self.consume(space, post) }
    }

    /// A receiver may wait for a sender that was killed before it came.
    fn release(&self, space: &Space) {
        for pair in 0..PAIRS {
            for number in (0..).take_while(|n| space.contains(&format!("pipe-{pair}-{n}"))) {
                let name = format!("pipe-{pair}-{number}");
                drop(space.one_way_pipe_end(&name, BYTES, PipeEnd::Second));
            }
        }
    }

    fn check(&self, _: &Space, ledger: &Ledger, fallen: &[Fallen]) {
        // With a receiver ends what it has taken, and what it had yet to take; and one that has just returned from a receive is
        // nowhere.
        let mut excuse = fallen.len() * INSIDE;
        let used = (ledger.makers_used.load(SeqCst) as usize).min(MAKERS);
        for (maker, account) in ledger.makers.iter().take(used).enumerate() {
            let done = account.done.load(SeqCst) as usize;
            let missing = (0..done).filter(|i| account.got[*i].load(SeqCst) == 0).count();
            if missing > excuse {
                ledger.fault(Fault::Lost, &format!("{missing} of {done} of maker {maker}"));
            }
            excuse = excuse.saturating_sub(missing);
        }
    }
}
