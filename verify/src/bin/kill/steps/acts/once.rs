//! Running something once.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use antiphon::space::Once;

use super::super::{Act, Ward};
use super::keep;

/// A new once for every victim, since one is used up.
#[derive(Clone)]
struct Current {
    once: Rc<Cell<Option<&'static Once>>>,
    number: Rc<Cell<u64>>,
    ward: Ward,
}

impl Current {
    fn renew(&self) {
        let number = self.number.get() + 1;
        self.number.set(number);
        let _ = self.ward.space.remove(&format!("once-{}", number - 1));
        let once = self.ward.space.once(&format!("once-{number}")).expect("a once");
        self.once.set(Some(keep(once)));
        self.ward.notes.words[0].store(0, SeqCst);
        self.ward.notes.words[1].store(0, SeqCst);
    }

    fn once(&self) -> &'static Once {
        self.once.get().expect("it was renewed")
    }

    fn call(&self) {
        let runs = &self.ward.notes.words[0];
        let run = |_: Option<&antiphon::Death>| {
            runs.fetch_add(1, SeqCst);
        };
        self.once().call_once(run).expect("no deadlock");
    }

    fn check(&self, deaths: u32) -> Result<u32, String> {
        self.ward.notes.words[1].store(1, SeqCst);
        let done = self.once().is_completed();
        if self.ward.has_helper() {
            self.ward.helped()?;
        }
        let pid = antiphon_verify::child::Child::fork(|| {
            self.call();
            0
        })
        .wait_patiently();
        if pid.is_none() {
            return Err("hang: nobody runs it again".to_owned());
        }
        match self.ward.notes.words[0].load(SeqCst) {
            0 => Err("lost: it is completed and was never run".to_owned()),
            runs if runs > 1 + u64::from(deaths) => Err(format!("twice: it ran {runs} times")),
            _ if !self.once().is_completed() => Err("it is not completed".to_owned()),
            _ => Ok(u32::from(done)),
        }
    }
}

pub(super) fn acts(ward: &Ward) -> Vec<Act> {
    let current = Current { once: Rc::default(), number: Rc::default(), ward: ward.clone() };
    current.renew();
    current.call();
    let [a, b, c, d, e, f, g, h, i, go] = std::array::from_fn(|_| current.clone());
    vec![
        Act::new("once: call", move |_| a.call(), move |deaths| b.check(deaths))
            .prepare(move || c.renew())
            .twice(),
        Act::new(
            "once: call after a caller's death",
            move |_| d.call(),
            move |deaths| e.check(deaths + 1),
        )
        .varies()
        .prepare(move || {
            f.renew();
            f.ward.perish(|| {
                let _ = f.once().call_once(|_| {
                    f.ward.notes.words[0].fetch_add(1, SeqCst);
                    // SAFETY: it ends this process.
                    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
                });
            });
        }),
        Act::new(
            "once: wait asleep for a caller",
            move |_| g.call(),
            move |deaths| h.check(deaths),
        )
        .prepare(move || {
            i.renew();
            i.ward.help(|| {
                let run = |_: Option<&antiphon::Death>| {
                    i.ward.notes.words[0].fetch_add(1, SeqCst);
                    while i.ward.notes.words[1].load(SeqCst) == 0 {
                        std::thread::sleep(Duration::from_micros(100));
                    }
                };
                i32::from(i.once().call_once(run).is_err())
            });
        })
        .nudge(move || {
            go.ward.notes.words[1].store(1, SeqCst);
            true
        }),
    ]
}
