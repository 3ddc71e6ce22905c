//! Counting down.

use std::cell::Cell;
use std::rc::Rc;

use antiphon::space::Latch;

use super::super::{Act, Ward};
use super::keep;

/// A new latch for every victim, since one is used up.
#[derive(Clone)]
struct Current {
    latch: Rc<Cell<Option<&'static Latch>>>,
    number: Rc<Cell<u64>>,
    ward: Ward,
}

const COUNT: u32 = 2;

impl Current {
    fn renew(&self) {
        let number = self.number.get() + 1;
        self.number.set(number);
        let _ = self.ward.space.remove(&format!("latch-{}", number - 1));
        let latch = self.ward.space.latch(&format!("latch-{number}"), COUNT).expect("a latch");
        self.latch.set(Some(keep(latch)));
    }

    fn latch(&self) -> &'static Latch {
        self.latch.get().expect("it was renewed")
    }

    fn pass(&self) {
        self.latch().wait();
    }

    fn check(&self) -> Result<u32, String> {
        let counted = COUNT - self.latch().count();
        self.latch().count_down(COUNT - counted);
        if self.ward.has_helper() {
            self.ward.helped()?;
        }
        match self.latch().wait_timeout(self.ward.patience.get()) {
            Ok(()) => Ok(u32::from(counted > 0)),
            Err(timeout) => Err(format!("hang: {timeout}")),
        }
    }
}

pub(super) fn acts(ward: &Ward) -> Vec<Act> {
    let current = Current { latch: Rc::default(), number: Rc::default(), ward: ward.clone() };
    current.renew();
    current.latch().count_down(COUNT);
    current.pass();
    let [a, b, c, d, e, f, g, h] = std::array::from_fn(|_| current.clone());
    vec![
        Act::new(
            "latch: count down with a sleeper",
            move |_| {
                a.latch().count_down(COUNT);
            },
            move |_| b.check(),
        )
        .prepare(move || c.renew())
        .meanwhile(move || {
            d.ward.help(|| {
                d.latch().wait();
                0
            });
        }),
        Act::new("latch: wait asleep", move |_| e.pass(), move |_| f.check())
            .prepare(move || g.renew())
            .nudge(move || {
                h.latch().count_down(COUNT);
                true
            }),
    ]
}
