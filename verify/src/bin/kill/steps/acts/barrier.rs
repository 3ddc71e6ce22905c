//! Two parties at a barrier, of which one dies.

use antiphon::error::BarrierError;
use antiphon::space::Barrier;

use super::super::victim::is_asleep;
use super::super::{Act, Ward};
use super::keep;

/// What a helper says of its wait.
const PASSED: i32 = 0;
const BROKEN: i32 = 1;

fn arrive(barrier: &Barrier) -> i32 {
    match barrier.wait() {
        Ok(_) => PASSED,
        Err(_) => BROKEN,
    }
}

/// The barrier must not keep its survivor: either the phase ended, or it breaks, or another party completes it since the dead
/// was never one. Afterwards it must work again.
fn check(ward: &Ward, barrier: &'static Barrier) -> Result<u32, String> {
    if ward.has_helper() {
        let ended = antiphon_verify::watchdog::within(ward.patience.get(), || {
            ward.helper_ended() || ward.helper_pid().is_some_and(is_asleep)
        });
        if !ended {
            return Err("hang: a party neither ends nor sleeps".to_owned());
        }
        ward.look();
        if !ward.helper_ended() {
            // It may be on its way out of a broken barrier; if not, it waits for a party that never came.
            match barrier.wait_timeout(ward.patience.get()) {
                Ok(_) | Err(BarrierError::Broken) => {}
                Err(error) => return Err(format!("hang: {error}")),
            }
        }
        ward.helped()?;
    }
    barrier.reset();
    ward.help(|| arrive(barrier));
    let passed = barrier.wait_timeout(ward.patience.get());
    let helper = ward.helped()?;
    match (passed, helper) {
        (Ok(_), PASSED) => Ok(0),
        (passed, helper) => Err(format!("after reset(): {passed:?} here, {helper} there")),
    }
}

pub(super) fn acts(ward: &Ward) -> Vec<Act> {
    let barrier = keep(ward.space.barrier("barrier", 2).expect("a barrier"));
    let checked = || {
        let ward = ward.clone();
        move |_| check(&ward, barrier)
    };
    let helper = || {
        let ward = ward.clone();
        move || ward.help(|| arrive(barrier))
    };
    let act = move |_| {
        let _ = arrive(barrier);
    };
    ward.help(|| arrive(barrier));
    act(0);
    let _ = ward.helped();
    let come = {
        let ward = ward.clone();
        move || {
            ward.start(|| arrive(barrier));
            true
        }
    };
    let [one, another] = [(); 2].map(|()| ward.clone());
    // A party that has left without saying so, as every helper before, would break it.
    let renew = move || barrier.reset();
    vec![
        Act::new("barrier: wait, first to come", act, checked()).prepare(renew).nudge(come),
        Act::new("barrier: wait, last to come", act, checked()).prepare(renew).meanwhile(helper()),
        Act::new("barrier: wait after a party's death", act, checked())
            .varies()
            .prepare(move || die_waiting(&one, barrier)),
        Act::new("barrier: reset", move |_| barrier.reset(), checked())
            .prepare(move || die_waiting(&another, barrier)),
        Act::new("barrier: abort with a sleeper", move |_| barrier.abort(), checked())
            .prepare(renew)
            .meanwhile(helper()),
    ]
}

/// Leaves the barrier with a party that died in it.
fn die_waiting(ward: &Ward, barrier: &'static Barrier) {
    barrier.reset();
    ward.help(|| arrive(barrier));
    ward.kill_helper();
}
