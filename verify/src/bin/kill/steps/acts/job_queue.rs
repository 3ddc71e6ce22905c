//! Taking under a lease, acknowledging, giving back, and taking over what another victim had taken.

use std::mem;
use std::rc::Rc;

use antiphon::error::{TryGetError, TryPutError};
use antiphon::space::JobQueue;

use super::super::{Act, Ward};
use super::keep;
use crate::scenes::Item;

/// Whose items are which: those that were there, and a victim's.
const OURS: u32 = 1;
const THEIRS: u32 = 2;
/// What cells hold that nobody should read any more.
const POISON: u32 = 0xEEEE_EEEE;

const CAPACITY: u32 = 5;

/// What was in the queue before, and what may be there afterwards.
struct Case {
    queue: &'static JobQueue<Item>,
    /// Items of ours before.
    there: u32,
    /// Items that a victim puts, or acknowledges all at once.
    puts: u32,
    acks: u32,
}

impl Case {
    /// The next item, taken and acknowledged: whose it is, its number, and how often it was taken.
    fn next(&self) -> Result<Option<(u32, u32, u32)>, String> {
        match self.queue.try_take() {
            Ok(lease) if lease.is_whole() => {
                let found = (lease.maker, lease.number, lease.attempts());
                lease.ack().map_err(|error| error.to_string())?;
                Ok(Some(found))
            }
            Ok(lease) => Err(format!("torn: {lease:?}")),
            Err(TryGetError::Empty) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Three laps of poison through every cell, and none of it may stay.
    fn poison(&self) -> Result<(), String> {
        for _ in 0..3 {
            for number in 0..CAPACITY {
                match self.queue.try_put(Item::new(POISON, number)) {
                    Ok(()) => {}
                    Err(TryPutError::Full(_)) => {
                        return Err(format!("capacity: only {number} of {CAPACITY} items fit"));
                    }
                    Err(error) => return Err(error.to_string()),
                }
            }
            for number in 0..CAPACITY {
                let found = self.next()?;
                if found != Some((POISON, number, 1)) {
                    return Err(format!("{found:?} where poison {number} was put"));
                }
            }
        }
        Ok(())
    }

    fn prepare(&self) {
        self.poison().expect("it was checked");
        for number in 0..self.there {
            self.queue.put(Item::new(OURS, number)).expect("it is open");
        }
    }

    fn take(&self) {
        let mut items = Vec::new();
        let run = self.queue.take_many(&mut items, self.acks as usize).expect("it is open");
        run.ack().expect("it is ours");
    }

    fn check(&self, deaths: u32) -> Result<u32, String> {
        let mut found = Vec::new();
        while let Some(item) = self.next()? {
            found.push(item);
            if found.len() > 3 * CAPACITY as usize {
                return Err(format!("twice: more than was put: {found:?}"));
            }
        }
        if let Some(often) = found.iter().find(|(.., attempts)| *attempts > deaths + 2) {
            return Err(format!("{often:?}: taken more often than anybody tried"));
        }
        let ours = found.iter().filter(|(maker, ..)| *maker == OURS).count() as u32;
        let gone = self.there.saturating_sub(ours);
        if gone > deaths * self.acks {
            return Err(format!("lost: {found:?} of {} there", self.there));
        }
        let theirs = found.len() as u32 - ours;
        let expected =
            (gone..self.there).map(|number| (OURS, number)).chain((0..theirs).map(|_| (THEIRS, 0)));
        if theirs > deaths * self.puts
            || !found.iter().map(|(maker, number, _)| (*maker, *number)).eq(expected)
        {
            return Err(format!("out of order, doubled or unknown: {found:?}"));
        }
        self.poison()?;
        Ok(if self.puts > 0 { theirs } else { gone })
    }
}

pub(super) fn acts(ward: &Ward) -> Vec<Act> {
    let queue = keep(ward.space.job_queue::<Item>("jobs", CAPACITY).expect("a queue"));
    let case = |there, puts, acks| Rc::new(Case { queue, there, puts, acks });
    let act = |name: &str, case: &Rc<Case>, acts: fn(&Case)| {
        let [prepares, does, checks] = [(); 3].map(|()| case.clone());
        Act::new(
            format!("job queue: {name}"),
            move |_| acts(&does),
            move |deaths| checks.check(deaths),
        )
        .prepare(move || prepares.prepare())
    };
    let one = case(3, 0, 1);
    let three = case(4, 0, 3);
    let none = case(3, 0, 0);
    let put = case(2, 1, 0);
    let heir = case(3, 0, 1);
    one.queue.put(Item::new(OURS, 0)).expect("it is open");
    one.take();
    let (inherits, dies) = (heir.clone(), ward.clone());
    vec![
        act("take and ack", &one, Case::take).twice(),
        act("take three and ack", &three, Case::take).twice(),
        act("take and give back", &none, |case| drop(case.queue.take())).twice(),
        act("put", &put, |case| case.queue.put(Item::new(THEIRS, 0)).expect("it is open")).twice(),
        act("take over and ack", &heir, Case::take).varies().prepare(move || {
            inherits.prepare();
            dies.perish(|| mem::forget(inherits.queue.take()));
        }),
    ]
}
