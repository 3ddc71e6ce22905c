//! Waiting for a token, and bringing one.

use antiphon::error::LockError;
use antiphon::space::{Condvar, Mutex, MutexGuard};

use super::super::{Act, Ward};
use super::keep;

type Locked<'a> = Result<MutexGuard<'a, u64>, LockError<MutexGuard<'a, u64>>>;

fn guard(locked: Locked<'_>) -> MutexGuard<'_, u64> {
    locked.unwrap_or_else(|error| {
        let mut guard = error.into_guard().expect("it is not ours");
        guard.repair();
        guard
    })
}

#[derive(Clone, Copy)]
struct Tokens {
    tokens: &'static Mutex<u64>,
    brought: &'static Condvar,
}

impl Tokens {
    fn take(self) {
        let mut tokens = guard(self.tokens.lock());
        while *tokens == 0 {
            tokens = guard(self.brought.wait(tokens));
        }
        *tokens -= 1;
    }

    fn bring(self) {
        *guard(self.tokens.lock()) += 1;
        self.brought.notify_one();
    }

    fn clear(self) {
        *guard(self.tokens.lock()) = 0;
    }
}

/// A survivor sleeps: it must get a token that is there, whoever died with its notification.
fn check(ward: &Ward, all: Tokens) -> Result<u32, String> {
    let left = {
        let locked = all.tokens.lock_timeout(ward.patience.get());
        match locked {
            Ok(tokens) => *tokens,
            Err(error) => match error.into_guard() {
                Some(mut guard) => {
                    guard.repair();
                    *guard
                }
                None => return Err("hang: the mutex stays locked".to_owned()),
            },
        }
    };
    if left == 0 && !ward.helper_ended() {
        all.bring();
    }
    if ward.has_helper() {
        ward.helped()?;
    }
    all.clear();
    Ok(0)
}

pub(super) fn acts(ward: &Ward) -> Vec<Act> {
    let tokens = keep(ward.space.mutex("tokens", 0_u64).expect("a mutex"));
    let brought = keep(ward.space.condvar("brought").expect("a condvar"));
    let all = Tokens { tokens, brought };
    let checked = || {
        let ward = ward.clone();
        move |_| check(&ward, all)
    };
    let helper = || {
        let ward = ward.clone();
        move || {
            ward.help(|| {
                all.take();
                0
            });
        }
    };
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| all.take());
        while !thread.is_finished() {
            all.bring();
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    });
    all.clear();
    vec![
        Act::new("condvar: wait asleep", move |_| all.take(), checked()).nudge(move || {
            all.bring();
            true
        }),
        Act::new("condvar: notify with a sleeper", move |_| all.bring(), checked())
            .meanwhile(helper()),
        Act::new("condvar: wait beside a sleeper", move |_| all.take(), checked())
            .prepare(helper())
            .nudge(move || {
                // Whom it wakes is the kernel's choice; the other sleeps on, so all are told if this was not enough.
                all.bring();
                all.bring();
                true
            }),
    ]
}
