"""Locks in a process that was forked: threads do not come along, so a lock that one of them held would never open.

What such a thread was changing stays as it was at that moment.
"""

from __future__ import annotations

import os
import weakref
from typing import Any, TypeVar

Lock = TypeVar("Lock")
_locks: weakref.WeakSet[Any] = weakref.WeakSet()


def opened_in_child(lock: Lock) -> Lock:
    """Return a lock of ``threading``, to be open in every process that is forked from this one."""
    _locks.add(lock)
    return lock


def _open_all() -> None:
    for lock in list(_locks):
        if not getattr(lock, "_is_owned", bool)():  # by the thread that forked, which opens it itself
            lock._at_fork_reinit()  # what the standard library calls for its own locks


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_open_all)
