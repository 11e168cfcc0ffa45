"""The threads that run machine code together: started once, asleep between calls."""

from __future__ import annotations

import functools
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
        while True:
            self.go.acquire()
            self.work()
            self.done.release()


def _nothing() -> None:
    """Do nothing."""


def run_together(functions: Sequence[Any], *arguments: Any) -> None:
    """Call ``functions[t](*arguments)`` on thread t, the first here, and wait for all. ctypes lets go of the lock."""
    with _lock:
        while len(_workers) < len(functions) - 1:
            _workers.append(_Worker())
        used = _workers[: len(functions) - 1]
        for worker, function in zip(used, functions[1:], strict=True):
            worker.work = functools.partial(function, *arguments)
            worker.go.release()
        functions[0](*arguments)
        for worker in used:
            worker.done.acquire()
