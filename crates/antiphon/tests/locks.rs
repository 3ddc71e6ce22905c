//! The locks, the condition, the once and the latch of threads, under several threads.

use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::process::abort;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use antiphon::error::{LockError, TimedLockError, TryLockError, WouldDeadlock};
use antiphon::sync::{
    Condvar, Latch, Mutex, MutexGuard, Once, RwLock, RwLockReadGuard, RwLockWriteGuard,
};

const SHORT: Duration = Duration::from_millis(5);

/// Runs a test that would otherwise hang when a wake is lost.
fn guarded(test: impl FnOnce()) {
    let (done, watch) = mpsc::channel::<()>();
    thread::scope(|s| {
        s.spawn(move || {
            if watch.recv_timeout(Duration::from_secs(60)) == Err(RecvTimeoutError::Timeout) {
                eprintln!("nobody has moved for a minute");
                abort();
            }
        });
        let outcome = catch_unwind(AssertUnwindSafe(test));
        drop(done);
        if let Err(reason) = outcome {
            std::panic::resume_unwind(reason);
        }
    });
}

#[test]
fn what_may_cross_threads_is_what_may_with_std() {
    fn send<T: Send>() {}
    fn sync<T: Sync>() {}
    fn unwind<T: UnwindSafe + RefUnwindSafe>() {}
    send::<Mutex<std::cell::Cell<u8>>>();
    sync::<Mutex<std::cell::Cell<u8>>>();
    sync::<MutexGuard<'_, u8>>();
    send::<RwLock<u8>>();
    sync::<RwLock<u8>>();
    sync::<RwLockReadGuard<'_, u8>>();
    sync::<RwLockWriteGuard<'_, u8>>();
    unwind::<Mutex<std::cell::Cell<u8>>>();
    unwind::<RwLock<std::cell::Cell<u8>>>();
    unwind::<(Condvar, Once, Latch)>();
}

#[test]
fn a_mutex_is_as_small_as_it_can_be() {
    assert_eq!(size_of::<Mutex<u32>>(), 8);
    assert_eq!(size_of::<Mutex<u64>>(), 16);
    assert_eq!((size_of::<Condvar>(), size_of::<Once>(), size_of::<Latch>()), (4, 4, 4));
}

#[test]
fn a_mutex_excludes() {
    guarded(|| {
        let mutex = Mutex::new(0u64);
        thread::scope(|s| {
            for n in 0..4 {
                let mutex = &mutex;
                s.spawn(move || {
                    for i in 0..20_000 {
                        let mut guard = match (n + i) % 3 {
                            0 => mutex.lock().unwrap(),
                            1 => mutex.lock_timeout(Duration::from_secs(50)).unwrap(),
                            _ => match mutex.try_lock() {
                                Ok(guard) => guard,
                                Err(TryLockError::WouldBlock) => mutex.lock().unwrap(),
                                Err(error) => panic!("{error}"),
                            },
                        };
                        *guard += 1;
                    }
                });
            }
        });
        assert_eq!(mutex.into_inner(), 80_000);
    });
}

#[test]
fn a_timeout_says_who_holds_and_takes_nothing() {
    guarded(|| {
        let mutex = Mutex::new(0);
        let guard = mutex.lock().unwrap();
        thread::scope(|s| {
            s.spawn(|| {
                let Err(TimedLockError::TimedOut(timeout)) = mutex.lock_timeout(SHORT) else {
                    panic!("it is held");
                };
                assert!(timeout.waited >= SHORT);
                assert_eq!(timeout.holder.as_ref().unwrap().pid, std::process::id());
                assert!(timeout.to_string().contains("a mutex"), "{timeout}");
                assert!(matches!(
                    mutex.lock_deadline(Instant::now()),
                    Err(TimedLockError::TimedOut(_))
                ));
            });
        });
        assert!(matches!(mutex.lock_timeout(SHORT), Err(TimedLockError::WouldDeadlock)));
        assert!(matches!(mutex.lock(), Err(LockError::WouldDeadlock)));
        assert!(matches!(mutex.try_lock(), Err(TryLockError::WouldBlock)));
        drop(guard);
        assert!(!mutex.is_locked());
    });
}

#[test]
fn poison_is_told_until_it_is_healed() {
    let mutex = Mutex::new(vec![1, 2]);
    let spoil = || {
        catch_unwind(|| {
            let _guard = mutex.lock();
            panic!("on purpose");
        })
        .unwrap_err();
    };
    spoil();
    assert!(mutex.is_poisoned());
    for _ in 0..2 {
        let Err(TryLockError::Poisoned(guard)) = mutex.try_lock() else { panic!() };
        assert!(guard.needs_repair());
    }
    let Err(TimedLockError::Poisoned(mut guard)) = mutex.lock_timeout(SHORT) else { panic!() };
    guard.repair();
    assert!(!guard.needs_repair());
    drop(guard);
    assert_eq!(mutex.lock().unwrap().len(), 2);
    // A lock that is taken and released while its thread unwinds spoils nothing.
    struct Locks<'a>(&'a Mutex<Vec<i32>>);
    impl Drop for Locks<'_> {
        fn drop(&mut self) {
            self.0.lock().unwrap().push(3);
        }
    }
    catch_unwind(|| {
        let _locks = Locks(&mutex);
        panic!("on purpose");
    })
    .unwrap_err();
    assert_eq!(*mutex.lock().unwrap(), [1, 2, 3]);
}

#[test]
fn debug_never_waits() {
    let mutex = Mutex::new(5);
    assert_eq!(format!("{mutex:?}"), "Mutex { value: 5, poisoned: false }");
    let guard = mutex.lock().unwrap();
    assert_eq!(format!("{mutex:?}"), "Mutex { value: <locked>, poisoned: false }");
    assert_eq!(format!("{guard:?} {guard}"), "5 5");
    let lock = RwLock::new(5);
    let _reader = lock.read().unwrap();
    assert_eq!(format!("{lock:?}"), "RwLock { value: 5, poisoned: false }");
    drop(_reader);
    let _writer = lock.write().unwrap();
    assert_eq!(format!("{lock:?}"), "RwLock { value: <locked>, poisoned: false }");
}

#[test]
fn readers_never_see_half_a_change() {
    guarded(|| {
        let lock = RwLock::new((0u64, 0u64));
        thread::scope(|s| {
            for _ in 0..2 {
                s.spawn(|| {
                    for i in 0..10_000 {
                        let mut guard = match i % 2 {
                            0 => lock.write().unwrap(),
                            _ => lock.write_timeout(Duration::from_secs(50)).unwrap(),
                        };
                        guard.0 += 1;
                        guard.1 += 1;
                        if i % 7 == 0 {
                            let seen = *guard;
                            let reader = guard.downgrade();
                            assert_eq!(*reader, seen);
                        }
                    }
                });
                s.spawn(|| {
                    for i in 0..10_000 {
                        let guard = match i % 3 {
                            0 => lock.read().unwrap(),
                            1 => lock.read_timeout(Duration::from_secs(50)).unwrap(),
                            _ => match lock.try_read() {
                                Ok(guard) => guard,
                                Err(_) => lock.read().unwrap(),
                            },
                        };
                        assert_eq!(guard.0, guard.1);
                    }
                });
            }
        });
        assert_eq!(lock.into_inner(), (20_000, 20_000));
    });
}

#[test]
fn a_writer_gets_in_while_readers_keep_coming() {
    guarded(|| {
        let lock = RwLock::new(false);
        thread::scope(|s| {
            for _ in 0..3 {
                s.spawn(|| while !*lock.read().unwrap() {});
            }
            s.spawn(|| *lock.write().unwrap() = true);
        });
    });
}

#[test]
fn a_writer_that_gives_up_leaves_the_lock_to_the_readers() {
    guarded(|| {
        let lock = RwLock::new(());
        let reader = lock.read().unwrap();
        let Err(TimedLockError::TimedOut(timeout)) = lock.write_timeout(SHORT) else { panic!() };
        assert!(timeout.to_string().contains("readers: 1"), "{timeout}");
        assert!(lock.try_write().is_err());
        drop(lock.read().unwrap());
        drop(reader);
        drop(lock.write().unwrap());
    });
}

#[test]
fn a_panic_while_writing_poisons_and_while_reading_does_not() {
    let lock = RwLock::new(0);
    catch_unwind(|| {
        let _reader = lock.read();
        panic!("on purpose");
    })
    .unwrap_err();
    assert!(lock.read().is_ok());
    catch_unwind(|| {
        let _writer = lock.write();
        panic!("on purpose");
    })
    .unwrap_err();
    assert!(matches!(lock.read(), Err(LockError::Poisoned(_))));
    assert!(matches!(lock.try_read(), Err(TryLockError::Poisoned(_))));
    assert!(matches!(lock.try_write(), Err(TryLockError::Poisoned(_))));
    let Err(LockError::Poisoned(mut writer)) = lock.write() else { panic!() };
    writer.repair();
    drop(writer.downgrade());
    assert!(lock.read().is_ok() && !lock.is_poisoned());
}

#[test]
fn two_threads_play_ping_pong() {
    guarded(|| {
        const ROUNDS: u32 = 5_000;
        let (ball, moved) = (Mutex::new(0u32), Condvar::new());
        thread::scope(|s| {
            for side in 0..2 {
                let (ball, moved) = (&ball, &moved);
                s.spawn(move || {
                    for _ in 0..ROUNDS {
                        let theirs = |ball: &mut u32| *ball % 2 != side;
                        let mut guard = moved.wait_while(ball.lock().unwrap(), theirs).unwrap();
                        *guard += 1;
                        drop(guard);
                        moved.notify_one();
                    }
                });
            }
        });
        assert_eq!(*ball.lock().unwrap(), 2 * ROUNDS);
    });
}

#[test]
fn no_notification_is_lost_among_many() {
    guarded(|| {
        let (tokens, laid) = (Mutex::new(0u32), Condvar::new());
        thread::scope(|s| {
            for _ in 0..6 {
                s.spawn(|| {
                    for _ in 0..500 {
                        let mut guard =
                            laid.wait_while(tokens.lock().unwrap(), |n| *n == 0).unwrap();
                        *guard -= 1;
                    }
                });
            }
            for n in [1, 2, 3] {
                let (tokens, laid) = (&tokens, &laid);
                s.spawn(move || {
                    for _ in 0..1000 / n {
                        *tokens.lock().unwrap() += n;
                        laid.notify(n);
                    }
                    *tokens.lock().unwrap() += 1000 % n;
                    laid.notify_all();
                });
            }
        });
        assert_eq!(tokens.into_inner(), 0);
    });
}

#[test]
fn a_wait_ends_in_time() {
    guarded(|| {
        let (nothing, never) = (Mutex::new(()), Condvar::new());
        let started = Instant::now();
        let (guard, met) =
            never.wait_while_timeout(nothing.lock().unwrap(), SHORT, |()| true).unwrap();
        assert!(!met && started.elapsed() >= SHORT);
        let (_guard, met) = never.wait_while_deadline(guard, Instant::now(), |()| false).unwrap();
        assert!(met);
    });
}

#[test]
fn a_wait_tells_of_poison() {
    guarded(|| {
        let (mutex, condvar) = (Mutex::new(false), Condvar::new());
        thread::scope(|s| {
            let guard = mutex.lock().unwrap();
            s.spawn(|| {
                let spoil = catch_unwind(|| {
                    *mutex.lock().unwrap() = true;
                    let _guard = mutex.lock().unwrap();
                    panic!("on purpose");
                });
                assert!(spoil.is_err());
                condvar.notify_all();
            });
            let mut outcome = Ok(guard);
            while let Ok(guard) = outcome {
                outcome = condvar.wait(guard);
            }
            assert!(matches!(&outcome, Err(LockError::Poisoned(value)) if **value));
        });
    });
}

#[test]
fn a_panic_leaves_the_deed_to_the_next() {
    guarded(|| {
        let (once, runs) = (Once::new(), AtomicU32::new(0));
        thread::scope(|s| {
            for n in 0..6 {
                let (once, runs) = (&once, &runs);
                s.spawn(move || {
                    let outcome = catch_unwind(AssertUnwindSafe(|| {
                        once.call_once(|death| {
                            assert!(death.is_none());
                            assert!(n % 2 == 0, "on purpose");
                            runs.fetch_add(1, SeqCst);
                        })
                    }));
                    assert!(outcome.is_err() || once.is_completed());
                });
            }
        });
        once.call_once(|_| {
            runs.fetch_add(1, SeqCst);
        })
        .unwrap();
        assert_eq!(runs.load(SeqCst), 1);
    });
}

#[test]
fn a_deed_within_itself_is_an_error() {
    let once = Once::new();
    let within = || once.call_once(|_| ());
    let mut inner = Ok(());
    once.call_once(|_| inner = within()).unwrap();
    assert_eq!(inner, Err(WouldDeadlock));
}

#[test]
fn a_latch_holds_all_back_until_it_opens() {
    guarded(|| {
        let (latch, before) = (Latch::new(4), AtomicU32::new(0));
        thread::scope(|s| {
            for _ in 0..3 {
                s.spawn(|| {
                    latch.wait();
                    assert_eq!(before.load(SeqCst), 2);
                });
            }
            assert!(latch.wait_timeout(SHORT).unwrap_err().to_string().contains("4 left"));
            for _ in 0..2 {
                s.spawn(|| {
                    before.fetch_add(1, SeqCst);
                    latch.count_down(2);
                });
            }
        });
        assert!(latch.is_open());
    });
}
