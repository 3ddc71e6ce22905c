"""What antiphon.threading promises beyond what CPython's own tests ask."""

import _thread
import os
import signal
import threading as standard
import time

import pytest

from antiphon import threading

OURS = ["Barrier", "BoundedSemaphore", "Condition", "Event", "Lock", "RLock", "Semaphore"]


def test_every_name_is_there():
    assert set(threading.__all__) == set(standard.__all__)
    for name in threading.__all__:
        assert (getattr(threading, name) is getattr(standard, name)) == (name not in OURS)


def test_what_is_set_is_seen_by_the_threads():
    seen = []
    old = threading.excepthook
    threading.excepthook = seen.append
    try:
        thread = threading.Thread(target=lambda: 1 / 0)
        thread.start()
        thread.join(60)
    finally:
        threading.excepthook = old
    assert seen[0].exc_type is ZeroDivisionError
    assert standard.excepthook is old


def interrupt_soon():
    standard.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()


@pytest.mark.parametrize("timeout", [None, 60])
@pytest.mark.parametrize("kind", OURS)
def test_ctrl_c_ends_a_wait_and_loses_nothing(kind, timeout):
    made = getattr(threading, kind)(*{"Barrier": (2,), "Semaphore": (0,)}.get(kind, ()))
    if kind in ("Lock", "RLock", "BoundedSemaphore"):
        # Somebody else has it.
        holder = threading.Thread(target=made.acquire)
        holder.start()
        holder.join()
    keywords = {} if timeout is None else {"timeout": timeout}
    interrupt_soon()
    with pytest.raises(KeyboardInterrupt):
        if kind == "Condition":
            with made:
                made.wait(**keywords)
        elif hasattr(made, "acquire"):
            made.acquire(**keywords)
        else:
            made.wait(**keywords)
    if kind == "Barrier":
        assert made.broken
    elif kind in ("Lock", "BoundedSemaphore"):
        made.release()
        assert made.acquire(False)
    elif kind == "Condition":
        assert made.acquire(False)


def test_a_handler_that_returns_does_not_end_a_wait():
    caught = []
    old = signal.signal(signal.SIGUSR1, lambda *_: caught.append(True))
    try:
        lock = threading.Lock()
        lock.acquire()
        standard.Timer(0.05, lambda: os.kill(os.getpid(), signal.SIGUSR1)).start()
        standard.Timer(0.3, lock.release).start()
        assert lock.acquire(timeout=60)
        assert caught == [True]
    finally:
        signal.signal(signal.SIGUSR1, old)


def test_notify_ends_just_so_many_waits():
    condition, woken = threading.Condition(), []
    waiting = threading.Semaphore(0)

    def wait(n):
        with condition:
            waiting.release()
            if condition.wait(60):
                woken.append(n)

    threads = [threading.Thread(target=wait, args=(n,)) for n in range(5)]
    for thread in threads:
        thread.start()
    for _ in threads:
        waiting.acquire()
    with condition:
        condition.notify(2)
    deadline = time.monotonic() + 60
    while len(woken) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)
    assert len(woken) == 2
    with condition:
        condition.notify_all()
    for thread in threads:
        thread.join(60)
    assert sorted(woken) == list(range(5))


def test_a_forked_child_goes_on():
    lock, event = threading.Lock(), threading.Event()
    with lock:
        pid = os.fork()
        if pid == 0:
            # Plain thread locks behave as the standard library's: what the parent held is held.
            good = lock.locked() and not lock.acquire(timeout=0.05)
            lock._at_fork_reinit()
            good = good and lock.acquire(False) and not event.wait(0.05)
            os._exit(not good)
        assert os.waitpid(pid, 0)[1] == 0


def test_our_rlock_is_right_in_the_standard_condition():
    condition = standard.Condition(threading.RLock())
    with condition, condition:
        standard.Timer(0.05, lambda: [condition.acquire(), condition.notify(), condition.release()]).start()
        assert condition.wait(60)


def test_a_semaphore_counts_beyond_machine_words_of_small_size():
    semaphore = threading.Semaphore(10**9)
    semaphore.release(5)
    assert repr(semaphore).endswith(f"value={10**9 + 5}>")
    with pytest.raises(ValueError):
        threading.Semaphore(2**62)


def test_locks_can_be_weakly_referenced_and_collected():
    import gc
    import weakref

    for kind in OURS:
        made = getattr(threading, kind)(*{"Barrier": (2,)}.get(kind, ()))
        reference = weakref.ref(made)
        del made
        gc.collect()
        assert reference() is None


def test_foreign_threads_leave_no_thread_objects():
    rlock, done = threading.RLock(), threading.Event()
    before = len(standard._active)

    def visit():
        with rlock:
            pass
        done.set()

    _thread.start_new_thread(visit, ())
    assert done.wait(60)
    assert len(standard._active) == before
