"""Seats: processes that train on the same cores at the same time share them out among themselves.

Every process has a row of a small table, a file in the user's private cache: until when it expects to be busy, and on
how many threads at most. Each works out the same shares from it. A row runs out by itself, so that a process that
ends, sleeps or is killed is missed by nobody. Without such a file everyone has all cores. The file is read and written
a few times a second, not mapped: somebody who cuts a mapped file off kills who maps it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gyaku.backend.threads import core_numbers, cores
from gyaku.base.files import private_folder, user_cache

_ROWS = 64  # processes that are seen by others
_ROW = struct.Struct("<QdQ")  # a random number that stands for the process, until when it is busy, threads it wants
_LOOK = 0.05  # seconds between two looks at the others
_SPAN = 0.1  # seconds for which a process that takes short steps says at each look that it is busy
_GRACE = 0.05  # seconds after long work in which it stays seated
_AHEAD = 1.0  # seconds that long work may take beyond three times what is expected: a killed process sits no longer
_LONGEST = 300.0  # seconds: who is said to be busy for longer wrote that before the clock began anew
_TOUCH = 0.02  # seconds between two notes of calls that are only counted


class Seat:
    """This process's place among those that train.

    Work stands in ``with taken(threads) as share``, where ``share`` is how many of ``threads`` it should use now.
    ``folder`` is where the table lies (None: the user's cache).
    """

    def __init__(
        self, folder: Path | None = None, count: int | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._folder, self._count, self._clock = folder, count, clock
        self.forget()

    def forget(self) -> None:
        """Begin as a process that has not sat down yet: after a fork, the child must not use its parent's row."""
        self._lock = threading.RLock()  # a signal's handler may run a step in the middle of ours
        self._path: Path | None = None
        self._sought, self._cores = False, 1
        self._who, self._row = secrets.randbits(63) | 1, -1
        self._busy: dict[int, float] = {}  # until when work is expected to last, by thread of Python
        self._until = 0.0  # until when we said to be busy
        self._next, self._most, self._asked = 0.0, 0, 0  # the next look; threads wanted since the last, and then
        self._share = 0
        self._counted = 0.0  # when short calls were counted last

    def take(self, threads: int, seconds: float | None = None) -> tuple[int, bool]:
        """Say that work on up to ``threads`` threads begins; return how many it should use, and what to give ``leave``.

        ``seconds`` is about what it takes (None: nobody knows).
        """
        now, me = self._clock(), threading.get_ident()
        with self._lock:
            long = seconds is None or seconds >= _LOOK
            until = now + (min(_AHEAD + 3 * (seconds or 0.0), _LONGEST) if long else _SPAN)
            before = self._busy.get(me, 0.0)  # of work that this is inside of, or that an interrupt left behind
            self._busy[me] = max(until, before)
            if long and until > self._until:
                self._next = now  # others must know before it begins
            return min(threads, self._shared(max(threads, len(self._busy)), now)), before <= now

    def leave(self, outermost: bool = True) -> None:
        """Say that it has ended."""
        now, me = self._clock(), threading.get_ident()
        with self._lock:
            if outermost:
                self._busy.pop(me, None)
                if self._until > now + _SPAN and not self._busy:
                    self._stand(now + _GRACE)

    @contextlib.contextmanager
    def taken(self, threads: int, seconds: float | None = None) -> Iterator[int]:
        """Take, give the share, and leave."""
        share, outermost = self.take(threads, seconds)
        try:
            yield share
        finally:
            self.leave(outermost)

    def share(self, threads: int) -> int:
        """Return how many of ``threads`` this process should use."""
        with self._lock:
            return min(threads, self._shared(threads, self._clock()))

    def count(self, calls: int) -> int:
        """Note that about ``calls`` short calls on one thread were made since this was noted last.

        Returns after how many to note it again: counting them saves a look at the clock each time.
        """
        with self.taken(1, 0.0):
            now, then = self._clock(), self._counted
            self._counted = now
        return max(1, min(4 * calls, int(calls * _TOUCH / max(now - then, 1e-9))))

    def _shared(self, threads: int, now: float) -> int:
        self._most = max(self._most, threads)
        if now >= self._next or self._most > self._asked:
            self._look(now)
        return self._share

    def _look(self, now: float) -> None:
        """See who else is busy, say until when we are and what we want, and work out our share."""
        self._next, self._asked, self._most = now + _LOOK, self._most, 1
        if not self._sought:
            self._sought, self._path, self._cores = True, _place(self._folder), self._count or cores()
        self._share = self._asked  # alone, a process has what it was told to use
        self._busy = {k: end for k, end in self._busy.items() if end > now}
        self._until = max(self._busy.values(), default=now + _SPAN)
        if self._path is not None:
            with contextlib.suppress(OSError), _opened(self._path) as file:
                self._share = self._seated(file, now)

    def _seated(self, file: Any, now: float) -> int:
        """Write our row, take one if need be, and return our share."""
        rows = _rows(file)
        busy = {k: wants for k, (_, end, wants) in enumerate(rows) if now < end <= now + _LONGEST}
        if self._row < 0 or rows[self._row][0] != self._who:
            self._row = next((k for k in range(_ROWS) if k not in busy), -1)
            self._next = now + _LOOK / 5  # did another process take the same row at the same time?
        busy.pop(self._row, None)
        if self._row >= 0:
            _write(file, self._row, (self._who, self._until, self._asked))
        mine = (self._asked, self._row if self._row >= 0 else _ROWS)
        others = [(wants, row) for row, wants in busy.items()]
        return fair_share(mine, others, self._cores) if others else self._asked

    def _stand(self, until: float) -> None:
        """Say that we are busy for a moment only, unless another took our row while we seemed idle."""
        self._until, self._next = until, 0.0  # what comes next is told anew
        if self._path is not None and self._row >= 0:
            with contextlib.suppress(OSError), _opened(self._path) as file:
                if _rows(file)[self._row][0] == self._who:
                    _write(file, self._row, (self._who, until, self._asked))


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


def _place(folder: Path | None) -> Path | None:
    """Return the table of those who may run on the same cores of the same machine; None where it cannot be had."""
    name = hashlib.sha256(f"{socket.gethostname()} {_boot()} {core_numbers()}".encode()).hexdigest()[:24]
    try:
        where = private_folder(user_cache() / "seats" if folder is None else folder)
    except RuntimeError:  # a user without a home
        return None
    return None if where is None else where / name


def _boot() -> str:
    """Return what stands for the time since the system was started, where it tells: clocks begin anew then."""
    with contextlib.suppress(OSError), open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read()
    return ""


def _opened(path: Path) -> Any:
    """Return the table, open, made where it is missing. Raises ``OSError``."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except FileNotFoundError:  # somebody removed the whole cache
        private_folder(path.parent)
        raise
    return os.fdopen(descriptor, "r+b", buffering=0)


def _rows(file: Any) -> list[tuple[int, float, int]]:
    """Return all rows of an open table; what a file lacks is zeros."""
    content = file.read(_ROWS * _ROW.size)
    return list(_ROW.iter_unpack(content.ljust(_ROWS * _ROW.size, b"\0")))


def _write(file: Any, row: int, values: tuple[int, float, int]) -> None:
    file.seek(row * _ROW.size)
    file.write(_ROW.pack(*values))


seat = Seat()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=seat.forget)
