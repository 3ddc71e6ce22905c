//! Models of the semaphore.

use std::cell::RefCell;
use std::sync::Arc;

use antiphon_core::model::{Kernel, Model};
use antiphon_core::owner::Owner;
use antiphon_core::primitive::AtomicU64;
use antiphon_core::sync::semaphore::{Overflow, RawSemaphore};
use antiphon_core::wait::{Deadline, Wait, WaitError, Wake, Word};
use loom::thread;

use crate::harness::{Watched, check, check_deaths, check_deaths_to, check_to};

struct Pool {
    semaphore: RawSemaphore,
    held: Vec<AtomicU64>,
    value: Watched,
}

impl Pool {
    /// Permits that belong to their takers, with books for so many participants.
    fn tracked(permits: u64, books: usize) -> Arc<Self> {
        Arc::new(Self {
            semaphore: RawSemaphore::new(permits),
            held: (0..books).map(|_| AtomicU64::new(0)).collect(),
            value: Watched::new(0),
        })
    }

    fn signal(permits: u64) -> Arc<Self> {
        Arc::new(Self {
            semaphore: RawSemaphore::signal(permits),
            held: Vec::new(),
            value: Watched::new(0),
        })
    }

    fn acquire<W: Wait>(&self, n: u64, w: &W) {
        self.semaphore.acquire(n, &self.held, w, None).unwrap();
    }

    fn try_acquire<W: Wait>(&self, n: u64, w: &W) -> bool {
        self.semaphore.try_acquire(n, &self.held, w)
    }

    fn release<W: Wait>(&self, n: u64, w: &W) {
        self.semaphore.release(n, u64::MAX, &self.held, w).unwrap();
    }

    /// With a single permit: nobody else is between the two.
    fn bump<W: Wait>(&self, w: &W) {
        self.acquire(1, w);
        self.value.bump();
        self.release(1, w);
    }
}

/// One permit is a mutex, and everybody who sleeps is woken.
fn excludes<W: Wait + Send + 'static>(pool: &Arc<Pool>, parties: Vec<W>, rounds: usize) {
    let count = parties.len();
    let threads: Vec<_> = parties
        .into_iter()
        .map(|w| {
            let pool = pool.clone();
            thread::spawn(move || (0..rounds).for_each(|_| pool.bump(&w)))
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(pool.value.get(), count * rounds);
    assert_eq!(pool.semaphore.available(), 1);
}

#[test]
fn two_threads_share_a_permit() {
    check_to(3, "semaphore, one permit, two threads", 100, || {
        let kernel = Kernel::new();
        excludes(&Pool::signal(1), vec![kernel.thread(1), kernel.thread(2)], 1);
    });
}

#[test]
fn three_threads_share_a_permit() {
    check_to(1, "semaphore, one permit, three threads", 50, || {
        let kernel = Kernel::new();
        excludes(&Pool::signal(1), (1..4).map(|n| kernel.thread(n)).collect(), 1);
    });
}

#[test]
fn two_participants_share_a_permit() {
    check_to(3, "semaphore, one permit, two participants", 100, || {
        let kernel = Kernel::new();
        let pool = Pool::tracked(1, 2);
        let parties = vec![kernel.participant(0), kernel.participant(1)];
        let owners = [parties[0].me(), parties[1].me()];
        excludes(&pool, parties, 1);
        assert!(!pool.semaphore.is_signal());
        for owner in owners {
            assert_eq!(pool.semaphore.held_by(owner, &pool.held), 0);
        }
    });
}

/// `wanted` threads each want so many permits of none; one thread releases them in `portions`.
fn hands_out(wanted: &[u64], portions: &[u64]) {
    let kernel = Kernel::new();
    let pool = Pool::signal(0);
    let takers: Vec<_> = wanted
        .iter()
        .zip(2..)
        .map(|(&n, id)| {
            let (pool, w) = (pool.clone(), kernel.thread(id));
            thread::spawn(move || pool.acquire(n, &w))
        })
        .collect();
    let w = kernel.thread(1);
    for &n in portions {
        pool.release(n, &w);
    }
    for taker in takers {
        taker.join().unwrap();
    }
    let left = portions.iter().sum::<u64>() - wanted.iter().sum::<u64>();
    assert_eq!(pool.semaphore.available(), left);
}

#[test]
fn a_second_release_is_not_lost_on_a_second_sleeper() {
    check("semaphore, two sleepers, two releases", 5000, || hands_out(&[1, 1], &[1, 1]));
}

#[test]
fn a_release_of_two_reaches_two() {
    check("semaphore, two sleepers, one release", 500, || hands_out(&[1, 1], &[2]));
}

#[test]
fn many_at_once_are_collected() {
    check_to(3, "semaphore, two at once", 50, || hands_out(&[2], &[1, 1]));
}

#[test]
fn two_crowds_are_served() {
    check_to(1, "semaphore, two and two at once", 50, || hands_out(&[2, 2], &[2, 1, 1]));
}

/// One who wants more than there is must not swallow the wakes of those who can go.
fn small_ones_pass(singles: u32) {
    let kernel = Kernel::new();
    let pool = Pool::signal(0);
    let want = u64::from(singles) + 1;
    let big = {
        let (pool, w) = (pool.clone(), kernel.thread(2));
        thread::spawn(move || pool.acquire(want, &w))
    };
    let small: Vec<_> = (3..3 + singles)
        .map(|n| {
            let (pool, w) = (pool.clone(), kernel.thread(n));
            thread::spawn(move || pool.acquire(1, &w))
        })
        .collect();
    let w = kernel.thread(1);
    for _ in 0..singles {
        pool.release(1, &w);
    }
    for small in small {
        small.join().unwrap();
    }
    pool.release(want, &w);
    big.join().unwrap();
    assert_eq!(pool.semaphore.available(), 0);
}

#[test]
fn a_big_wish_does_not_swallow_a_wake() {
    check("semaphore, a big wish beside a small one", 500, || small_ones_pass(1));
}

#[test]
fn a_big_wish_does_not_hide_two_small_ones() {
    check_to(0, "semaphore, a big wish beside two small ones", 5000, || small_ones_pass(2));
}

/// Notes how many it was told to wake.
struct Noting {
    inner: Model<true>,
    woken: RefCell<Vec<u32>>,
}

impl Wait for Noting {
    const OWNER_IS_THREAD: bool = true;

    fn me(&self) -> Owner {
        self.inner.me()
    }

    fn is_gone(&self, owner: Owner) -> bool {
        self.inner.is_gone(owner)
    }

    fn epoch(&self) -> u32 {
        self.inner.epoch()
    }

    fn wait(&self, word: &Word, expected: u32, epoch: u32, deadline: Option<Deadline>) -> Wake {
        self.inner.wait(word, expected, epoch, deadline)
    }

    fn wake(&self, _: *const Word, count: u32) {
        self.woken.borrow_mut().push(count);
    }

    fn spin(&self, _: u32) -> bool {
        false
    }
}

#[test]
fn who_announces_itself_beside_permits_wakes_as_many() {
    check("semaphore, an announcement beside permits", 1, || {
        let pool = Pool::signal(2);
        let w = Noting { inner: Kernel::new().thread(1), woken: RefCell::default() };
        for _ in 0..2 {
            let wish = pool.semaphore.acquire(3, &[], &w, Some(Deadline(0)));
            assert_eq!(wish, Err(WaitError::TimedOut));
        }
        // Others may sleep whose wake was on its way to one of them only. Once is enough.
        assert_eq!(w.woken.take(), [2]);
    });
}

#[test]
fn a_timeout_takes_nothing_and_loses_no_wake() {
    check("semaphore, timeout among sleepers", 500, || {
        let kernel = Kernel::new();
        let pool = Pool::signal(0);
        let hasty = {
            let (pool, w) = (pool.clone(), kernel.thread(2));
            thread::spawn(move || {
                match pool.semaphore.acquire(1, &pool.held, &w, Some(Deadline(0))) {
                    Ok(()) => pool.release(1, &w),
                    Err(error) => assert_eq!(error, WaitError::TimedOut),
                }
            })
        };
        let sleeper = {
            let (pool, w) = (pool.clone(), kernel.thread(3));
            thread::spawn(move || pool.acquire(1, &w))
        };
        pool.release(1, &kernel.thread(1));
        hasty.join().unwrap();
        sleeper.join().unwrap();
        assert_eq!(pool.semaphore.available(), 0);
    });
}

#[test]
fn try_acquire_takes_what_is_there() {
    check_to(3, "semaphore, try_acquire", 50, || {
        let kernel = Kernel::new();
        let pool = Pool::tracked(1, 2);
        let other = {
            let (pool, w) = (pool.clone(), kernel.participant(1));
            thread::spawn(move || {
                let taken = pool.try_acquire(1, &w);
                if taken {
                    pool.value.bump();
                    pool.release(1, &w);
                }
                usize::from(taken)
            })
        };
        pool.bump(&kernel.participant(0));
        let taken = other.join().unwrap();
        assert_eq!(pool.value.get(), 1 + taken);
    });
}

/// One takes and gives back, and then again; another, of the participant at `index`, takes and keeps.
fn books_agree(index: u32) {
    let kernel = Kernel::new();
    let pool = Pool::tracked(2, 2);
    let other = {
        let (pool, w) = (pool.clone(), kernel.participant(index));
        thread::spawn(move || {
            pool.acquire(1, &w);
            w.me()
        })
    };
    let w = kernel.participant(0);
    for _ in 0..2 {
        pool.acquire(1, &w);
        pool.release(1, &w);
    }
    let keeper = other.join().unwrap();
    assert!(!pool.semaphore.is_signal());
    assert_eq!(pool.semaphore.available(), 1);
    assert_eq!(pool.semaphore.held_by(keeper, &pool.held), 1);
    assert_eq!(pool.semaphore.held_by(w.me(), &pool.held), u64::from(index == 0));
}

#[test]
fn books_of_one_participant_agree() {
    check("semaphore, two threads of a participant", 100, || books_agree(0));
}

#[test]
fn books_of_two_participants_agree() {
    check("semaphore, the books of two", 100, || books_agree(1));
}

#[test]
fn a_release_by_one_who_took_none_makes_a_signal() {
    check_to(3, "semaphore, a signal is born", 100, || {
        let kernel = Kernel::new();
        let pool = Pool::tracked(0, 3);
        let taker = {
            let (pool, w) = (pool.clone(), kernel.participant(1));
            thread::spawn(move || {
                pool.acquire(1, &w);
                pool.release(1, &w);
            })
        };
        pool.release(1, &kernel.participant(0));
        taker.join().unwrap();
        assert!(pool.semaphore.is_signal());
        assert_eq!(pool.semaphore.available(), 1);
        assert!(pool.try_acquire(1, &kernel.participant(2)));
        assert_eq!(pool.semaphore.held_by(kernel.participant(2).me(), &pool.held), 0);
    });
}

#[test]
fn bounds_hold() {
    check("semaphore, bounds", 1, || {
        let kernel = Kernel::new();
        let w = kernel.participant(0);
        let pool = Pool::tracked(2, 1);
        let release = |n| pool.semaphore.release(n, 2, &pool.held, &w);
        assert_eq!(release(1), Err(Overflow));
        assert!(!pool.semaphore.is_signal(), "an error changes nothing");
        pool.acquire(2, &w);
        assert!(!pool.try_acquire(1, &w));
        assert_eq!(release(3), Err(Overflow));
        assert_eq!(release(2), Ok(()));
        assert_eq!(release(0), Ok(()));
        assert_eq!(pool.semaphore.available(), 2);
        let most = RawSemaphore::signal(RawSemaphore::MAX_SIGNAL);
        assert_eq!(most.release(1, u64::MAX, &[], &w), Err(Overflow));
        assert_eq!(most.acquire(RawSemaphore::MAX_SIGNAL, &[], &w, None), Ok(()));
        assert_eq!(most.available(), 0);
    });
}

/// Whatever died, so many permits are there in the end and no more.
fn assert_left(pool: &Pool, kernel: &Kernel, permits: u64) {
    assert!(!pool.semaphore.is_signal());
    let last = kernel.participant(2);
    let before = pool.semaphore.held_by(last.me(), &pool.held);
    for _ in 0..permits {
        assert!(pool.try_acquire(1, &last), "a permit is lost");
    }
    assert!(!pool.try_acquire(1, &last), "a permit too many");
    assert_eq!(pool.semaphore.held_by(last.me(), &pool.held), before + permits);
}

/// There are as many permits as `others`, who each take one and keep it. The victim takes one and gives it back, and dies at
/// `step`.
fn survives(step: u32, others: u32) -> bool {
    let kernel = Kernel::mortal();
    let pool = Pool::tracked(others.into(), 3);
    let others: Vec<_> = (1..=others)
        .map(|index| {
            let (pool, w) = (pool.clone(), kernel.participant(index));
            thread::spawn(move || pool.acquire(1, &w))
        })
        .collect();
    let w = kernel.participant(0);
    let lived = kernel.victim(w.me(), step, || {
        // Not when the others have them all, for they keep them.
        if pool.try_acquire(1, &w) {
            pool.release(1, &w);
        }
    });
    for other in others {
        other.join().unwrap();
    }
    assert_left(&pool, &kernel, 0);
    lived.is_none()
}

#[test]
fn a_permit_of_the_dead_comes_back() {
    check_deaths("semaphore, a death beside one sleeper", 1000, |step| survives(step, 1));
}

#[test]
fn sleepers_survive_a_death() {
    check_deaths_to(0, "semaphore, a death beside two sleepers", 1000, |step| survives(step, 2));
}

#[test]
fn a_death_with_a_wake_passes_it_on() {
    check_deaths_to(0, "semaphore, a death of a woken sleeper", 300, |step| {
        let kernel = Kernel::mortal();
        let pool = Pool::signal(0);
        let other = {
            let (pool, w) = (pool.clone(), kernel.participant(1));
            thread::spawn(move || pool.acquire(1, &w))
        };
        let releaser = {
            let (pool, w) = (pool.clone(), kernel.participant(2));
            thread::spawn(move || {
                pool.release(1, &w);
                pool.release(1, &w);
            })
        };
        let w = kernel.participant(0);
        let lived = kernel.victim(w.me(), step, || pool.acquire(1, &w));
        other.join().unwrap();
        releaser.join().unwrap();
        lived.is_none()
    });
}

/// The dead holds the two permits there are. The heir, who has its place if `generation` is 2, takes one and dies at `step`; another
/// takes one.
fn inherits(step: u32, index: u32, generation: u32) -> bool {
    let kernel = Kernel::mortal();
    let pool = Pool::tracked(2, 4);
    let dead = kernel.participant_of(index, 1);
    pool.acquire(2, &dead);
    kernel.declare_gone(dead.me());
    let other = {
        let (pool, w) = (pool.clone(), kernel.participant(1));
        thread::spawn(move || pool.acquire(1, &w))
    };
    let w = kernel.participant_of(0, generation);
    let lived = kernel.victim(w.me(), step, || pool.acquire(1, &w));
    other.join().unwrap();
    assert_left(&pool, &kernel, if lived.is_some() { 0 } else { 1 });
    lived.is_none()
}

#[test]
fn a_death_in_recovery_is_recovered() {
    check_deaths_to(1, "semaphore, a death of the one who recovers", 1000, |step| {
        inherits(step, 3, 1)
    });
}

#[test]
fn a_successor_at_the_same_index_starts_with_nothing() {
    check_deaths_to(1, "semaphore, a place used again", 1000, |step| inherits(step, 0, 2));
}
