"""The threads that run machine code together: started once, asleep between calls."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

_lock = threading.Lock()  # one program at a time uses the threads
_workers: list[_Worker] = []


class _Worker(threading.Thread):
    """A thread that waits for work. Daemonic: it never keeps the process alive."""

    def __init__(self) -> None:
        super().__init__(daemon=True, name="gyaku-worker")
        self.go, self.done = threading.Semaphore(0), threading.Semaphore(0)
        self.work: Callable[[], Any] = _nothing
        self.start()

    def run(self) -> None:
        """Work whenever woken."""
        while True:
            self.go.acquire()
            self.work()
            self.done.release()


def _nothing() -> None:
    """Do nothing."""


def run_together(functions: Sequence[Any], finished: Any, *arguments: Any) -> None:
    """Call ``functions[t](*arguments)`` on thread t, the first here, and wait for all. ctypes lets go of the lock.

    The functions wait for one another, so once one has begun all must run. ``finished`` is a cell that the first sets
    to 1: an interrupt (Ctrl-C) that comes between two lines here is raised again after the run is complete.
    """
    with _lock:
        while len(_workers) < len(functions) - 1:
            _workers.append(_Worker())
        waiting = list(zip(_workers, functions[1:]))
        woken: list[_Worker] = []
        finished[0] = 0
        try:
            _run(functions[0], waiting, woken, finished, arguments)
        except BaseException:
            _run(functions[0], waiting, woken, finished, arguments)
            raise


def _run(first: Any, waiting: list[Any], woken: list[_Worker], finished: Any, arguments: Any) -> None:
    """Do what is left of a run: wake the others, run the first function, wait for the others."""
    while waiting:
        worker, function = waiting[-1]
        worker.work = functools.partial(function, *arguments)
        woken.append(worker)
        waiting.pop()
        worker.go.release()
    if not finished[0]:
        first(*arguments)
    while woken:
        woken[-1].done.acquire()
        woken.pop()


def _forget() -> None:
    """Begin anew in a process that was forked: threads do not come along, and a lock might never open."""
    global _lock
    _lock = threading.Lock()
    _workers.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
