//! Workers come to one once after the other; one of them runs it.

use std::sync::atomic::Ordering::SeqCst;

use antiphon::Space;

use crate::ledger::{Fault, Ledger, State};
use crate::scene::{Fallen, Operation, Post};

pub(crate) struct Scene;

/// At most as many as the ledger has accounts for.
const ONCES: u64 = 1000;

impl crate::scene::Scene for Scene {
    fn name(&self) -> &'static str {
        "once"
    }

    fn operations(&self) -> &'static [Operation] {
        &[
            Operation { name: "call_once", states: &[State::Entering], workers: &[0, 1, 2] },
            Operation { name: "its function", states: &[State::Entering], workers: &[0, 1, 2] },
        ]
    }

    fn workers(&self) -> usize {
        3
    }

    fn work(&self, space: &Space, post: &mut Post<'_>) {
        let current = &post.ledger.words[0];
        post.ledger.makers_used.store(ONCES, SeqCst);
        while !post.stopping() {
            let number = current.load(SeqCst);
            let account = &post.ledger.makers[number as usize];
            let once = space.once(&format!("once-{number}")).expect("a once");
            post.enter(0);
            once.call_once(|death| {
                post.enter(1);
                post.come_in(death.is_some(), "once");
                account.begun.fetch_add(1, SeqCst);
                post.linger();
                account.done.fetch_add(1, SeqCst);
                post.go_out("once");
                post.enter(0);
            })
            .expect("no deadlock");
            if account.done.load(SeqCst) == 0 {
                post.fault(Fault::Lost, "once: called, and never run");
            }
            post.outside();
            if number + 1 < ONCES {
                let _ = current.compare_exchange(number, number + 1, SeqCst, SeqCst);
            }
        }
    }

    fn check(&self, _: &Space, ledger: &Ledger, fallen: &[Fallen]) {
        let runs: u32 = ledger.makers.iter().map(|a| a.done.load(SeqCst).saturating_sub(1)).sum();
        // One who dies between its function's last step and the note that it is done is replaced by another.
        if runs as usize > fallen.len() {
            ledger.fault(Fault::Twice, &format!("once: {runs} ran again"));
        }
    }
}
