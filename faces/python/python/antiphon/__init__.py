"""Synchronization that drops in for the standard library's, made of the same parts as the Rust library antiphon.

>>> from antiphon import threading
>>> lock = threading.Lock()
>>> with lock:
...     lock.locked()
True
"""

import os as _os

from . import _antiphon

_os.register_at_fork(after_in_child=_antiphon._after_fork_in_child)

__all__ = ["threading"]


def __getattr__(name):
    if name == "threading":
        from importlib import import_module

        return import_module("antiphon.threading")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
