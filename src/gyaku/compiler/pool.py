"""The threads that run machine code together: started once, asleep between calls."""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

from gyaku.base.forks import opened_in_child

_lock = opened_in_child(threading.Lock())  # one program at a time uses the threads
_workers: list[_Worker] = []


class _Worker(threading.Thread):
    """A thread that waits for work. Daemonic: it never keeps the process alive.

    ``job`` is what it is to do and ``did`` what it did last: so it may be woken more often than needed, and asked
    again whether it is done. The locks are open once there may be something to look at.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True, name="gyaku-worker")
        self.go, self.done = threading.Lock(), threading.Lock()
        self.go.acquire()
        self.done.acquire()
        self.job: Callable[[], Any] | None = None
        self.did: Callable[[], Any] | None = None
        self.start()

    def run(self) -> None:
        """Work whenever woken."""
        while True:
            self.go.acquire()
            job = self.job
            if job is not None and job is not self.did:
                job()
                self.did = job
            _open(self.done)


def _open(lock: Any) -> None:
    with contextlib.suppress(RuntimeError):  # it is open
        lock.release()


def run_together(functions: Sequence[Any], finished: Any, *arguments: Any) -> None:
    """Call ``functions[t](*arguments)`` on thread t, the first here, and wait for all. ctypes lets go of the lock.

    The functions wait for one another, so once one has begun all must run. ``finished`` is a cell that the first sets
    to 1: an interrupt (Ctrl-C) that comes between two lines here is raised again after the run is complete.
    """
    with _lock:
        while len(_workers) < len(functions) - 1:
            _workers.append(_Worker())
        jobs = [(worker, functools.partial(f, *arguments)) for worker, f in zip(_workers, functions[1:])]
        finished[0] = 0
        try:
            _run(functions[0], jobs, finished, arguments)
        except BaseException:
            _insist(functions[0], jobs, finished, arguments)
            raise


def _insist(*run: Any) -> None:
    """Do what is left of a run, however often that is interrupted."""
    while True:
        try:
            return _run(*run)
        except BaseException:
            continue


def _run(first: Any, jobs: list[tuple[_Worker, Any]], finished: Any, arguments: Any) -> None:
    """Do what is left of a run: wake the others, run the first function, wait for the others."""
    for worker, job in jobs:
        worker.job = job
        _open(worker.go)
    if not finished[0]:
        first(*arguments)
    for worker, job in jobs:
        while worker.did is not job:
            worker.done.acquire()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_workers.clear)  # threads do not come along
