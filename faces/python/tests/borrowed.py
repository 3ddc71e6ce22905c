"""Runs one of CPython's own test classes with our types in place of the standard library's.

python borrowed.py KIND [EXCEPTED...]: the classes come from the interpreter's `test` package, and their code stays there.
"""

import sys
import unittest
from test import lock_tests

from antiphon import threading as ours

KINDS = {
    "Lock": (lock_tests.LockTests, "locktype", ours.Lock),
    "RLock": (lock_tests.RLockTests, "locktype", ours.RLock),
    "Event": (lock_tests.EventTests, "eventtype", ours.Event),
    "Condition": (lock_tests.ConditionTests, "condtype", ours.Condition),
    "ConditionAsRLock": (lock_tests.RLockTests, "locktype", ours.Condition),
    "Semaphore": (lock_tests.SemaphoreTests, "semtype", ours.Semaphore),
    "BoundedSemaphore": (lock_tests.BoundedSemaphoreTests, "semtype", ours.BoundedSemaphore),
    "Barrier": (lock_tests.BarrierTests, "barriertype", ours.Barrier),
}


def main(kind, excepted):
    base, attribute, replacement = KINDS[kind]
    case = type(f"Our{kind}Tests", (base,), {attribute: staticmethod(replacement)})
    names = unittest.defaultTestLoader.getTestCaseNames(case)
    chosen = [case(name) for name in names if name not in excepted]
    result = unittest.TextTestRunner().run(unittest.TestSuite(chosen))
    print(f"ran {result.testsRun} skipped {len(result.skipped)} left out {len(names) - len(chosen)}")
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
