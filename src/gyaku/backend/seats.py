"""Seats: processes that train on the same cores at the same time share them out among themselves.

Every process has a row of a small table, a file in the user's private cache that all of them map: until when it
expects to be busy, and on how many threads at most. Each works out the same shares from it. A row runs out by itself,
so that a process that ends, sleeps or is killed is missed by nobody. Without such a file everyone has all cores.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gyaku.backend.threads import cores
from gyaku.base.files import private_folder, user_cache

_ROWS = 64  # processes that are seen by others
_LOOK = 0.05  # seconds between two looks at the others
_GRACE = 0.05  # seconds between two steps in which a process stays seated
_AHEAD = 1.0  # seconds that a call may take beyond three times the last one's: a killed process sits no longer
_LONGEST = 60.0  # seconds: who is said to be busy for longer wrote that before the clock began anew
_TOUCH = 0.02  # seconds between two marks of calls that are only counted


class Seat:
    """This process's place among those that train.

    Around work: ``share = take(threads)``, then ``leave()``; ``share`` is how many of ``threads`` it should use now.
    ``folder`` is where the table lies (None: the user's cache).
    """

    def __init__(
        self, folder: Path | None = None, count: int | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._folder, self._count, self._clock = folder, count, clock
        self.forget()

    def forget(self) -> None:
        """Begin as a process that has not sat down yet: after a fork, the child must not use its parent's row."""
        self._lock = threading.Lock()
        self._table: Table | None = None
        self._opened, self._cores = False, 1
        self._who, self._row = secrets.randbits(63) | 1, -1
        self._busy = self._most = 0  # work under way; threads that were wanted since the last look
        self._next = self._began = self._took = 0.0  # time of the next look, of the last beginning; seconds it took
        self._asked = self._share = 0
        self._counted = 0, 0.0  # ticks of a counter, and when

    def take(self, threads: int) -> int:
        """Say that work on up to ``threads`` threads begins; return how many it should use."""
        now = self._clock()
        with self._lock:
            self._busy += 1
            self._began = now
            share = self._shared(threads if threads > self._busy else self._busy, now)
            if self._row >= 0:
                self._until[self._row] = now + _AHEAD + 3 * self._took
            return share if share < threads else threads

    def leave(self) -> None:
        """Say that it has ended."""
        now = self._clock()
        with self._lock:
            self._busy -= 1
            self._took = now - self._began
            if self._busy == 0 and self._row >= 0:
                self._until[self._row] = now + _GRACE

    @contextlib.contextmanager
    def taken(self, threads: int) -> Iterator[int]:
        """Take, give the share, and leave."""
        share = self.take(threads)
        try:
            yield share
        finally:
            self.leave()

    def share(self, threads: int) -> int:
        """Return how many of ``threads`` this process should use."""
        with self._lock:
            return min(threads, self._shared(threads, self._clock()))

    def count(self, ticks: int) -> int:
        """Note that short calls on one thread are made, of which each moves a counter, now at ``ticks``.

        Returns by how much it may move until this has to be noted again: that saves a look at the clock each time.
        """
        with self.taken(1):
            now, (before, then) = self._clock(), self._counted
            self._counted = ticks, now
        moved = max(1, ticks - before)
        return min(4 * moved, int(moved * _TOUCH / max(now - then, 1e-9)))

    def _shared(self, threads: int, now: float) -> int:
        if threads > self._most:
            self._most = threads
        if now >= self._next or self._most > self._asked:
            self._look(now)
        return self._share

    def _look(self, now: float) -> None:
        """See who else is busy, say what this process wants, and work out its share."""
        self._next, self._asked, self._most = now + _LOOK, self._most, 1
        if not self._opened:
            self._opened, self._table, self._cores = True, _table(self._folder), self._count or cores()
        table = self._table
        if table is None:
            self._share = self._asked
            return
        others = table.busy(now)
        if self._row < 0 or table.who[self._row] != self._who:
            self._row, self._until = table.free(others), table.until
            self._next = now + _LOOK / 5  # did another process take the same row at the same time?
        others.pop(self._row, None)
        if self._row >= 0:
            table.who[self._row], table.wants[self._row] = self._who, self._asked
        mine = (self._asked, self._row if self._row >= 0 else _ROWS)
        self._share = fair_share(mine, [(wants, row) for row, wants in others.items()], self._cores)


def fair_share(mine: tuple[int, int], others: list[tuple[int, int]], count: int) -> int:
    """Return how many of ``count`` cores go to ``mine``, one of the (threads wanted, row) of processes; at least one.

    Who wants less than an equal part gets it, and the others share what is left.

    >>> [fair_share(who, [w for w in ((8, 0), (8, 1), (1, 2)) if w != who], 8) for who in ((8, 0), (8, 1), (1, 2))]
    [3, 4, 1]
    """
    left, all_of_them = count, sorted([mine, *others])
    for k, who in enumerate(all_of_them):
        part = max(1, min(who[0], left // (len(all_of_them) - k)))
        if who == mine:
            return part
        left -= part
    raise AssertionError("mine is among them")


class Table:
    """The rows, mapped: tokens of processes, times until when they are busy, threads they want."""

    def __init__(self, memory: Any) -> None:
        cells = memoryview(memory)
        who, until, wants = (cells[k * 8 * _ROWS : (k + 1) * 8 * _ROWS] for k in range(3))
        self.who, self.until, self.wants = who.cast("Q"), until.cast("d"), wants.cast("Q")

    def busy(self, now: float) -> dict[int, int]:
        """Return, by row, the threads that those want who are busy."""
        return {k: int(self.wants[k]) for k, end in enumerate(self.until) if now < end < now + _LONGEST}

    def free(self, busy: dict[int, int]) -> int:
        """Return a row that nobody sits on; -1 where there is none."""
        return next((k for k in range(_ROWS) if k not in busy), -1)


def _table(folder: Path | None) -> Table | None:
    """Return the table of those who may run on the same cores of the same machine; None where it cannot be had."""
    where = private_folder(user_cache() / "seats" if folder is None else folder)
    if where is None:
        return None
    which = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else "all"
    name = hashlib.sha256(f"{socket.gethostname()} {which}".encode()).hexdigest()[:24]
    try:
        with open(where / name, "a+b") as file:
            missing = 3 * 8 * _ROWS - os.fstat(file.fileno()).st_size
            if missing > 0:  # written, not left as a hole: on a full disk this fails, and nothing later
                file.write(bytes(missing))
                file.flush()
            return Table(mmap.mmap(file.fileno(), 3 * 8 * _ROWS))
    except (OSError, ValueError):
        return None


seat = Seat()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=seat.forget)
