"""The programs that everybody meets first, with one import changed."""

import subprocess
import sys

COUNTER = """
from antiphon import threading

counter = 0
lock = threading.Lock()

def increment():
    global counter
    with lock:
        counter += 1

threads = [threading.Thread(target=increment) for _ in range(100)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("Counter:", counter)
"""

HANDOVER = """
from antiphon import threading

items, changed = [], threading.Condition()

def produce():
    for n in [*range(10), None]:
        with changed:
            items.append(n)
            changed.notify()

def consume():
    while True:
        with changed:
            changed.wait_for(lambda: items)
            item = items.pop(0)
        if item is None:
            break
        print("Consumed:", item)

threads = [threading.Thread(target=target) for target in (produce, consume)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def run(program):
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_counter():
    assert run(COUNTER) == "Counter: 100\n"


def test_producer_and_consumer():
    assert run(HANDOVER) == "".join(f"Consumed: {n}\n" for n in range(10))
