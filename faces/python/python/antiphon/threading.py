"""Drops in for the standard library's threading: its locks are antiphon's, everything else is its own.

>>> from antiphon import threading
>>> counter, lock = 0, threading.Lock()
>>> def increment():
...     global counter
...     with lock:
...         counter += 1
>>> threads = [threading.Thread(target=increment) for _ in range(100)]
>>> for thread in threads: thread.start()
>>> for thread in threads: thread.join()
>>> counter
100
"""

import sys as _sys
import threading as _threading
from types import ModuleType as _ModuleType

from ._antiphon import (
    Barrier,
    BoundedSemaphore,
    Condition,
    Event,
    Lock,
    RLock,
    Semaphore,
)

_OURS = frozenset({"Barrier", "BoundedSemaphore", "Condition", "Event", "Lock", "RLock", "Semaphore"})

__all__ = list(_threading.__all__)


class _Module(_ModuleType):
    """What is not ours is looked up, and set, where the standard library's threads see it."""

    def __getattr__(self, name):
        return getattr(_threading, name)

    def __setattr__(self, name, value):
        if name in _OURS or name.startswith("__"):
            super().__setattr__(name, value)
        else:
            setattr(_threading, name, value)

    def __dir__(self):
        return sorted(set(dir(_threading)) | _OURS)


_sys.modules[__name__].__class__ = _Module
