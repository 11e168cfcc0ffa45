"""How many threads a program gets: as many as suit its size, and one while the cores are busy with something else.

Threads that wait for one another lose more than they gain when another process takes their core. The results do not
depend on the number: every row of every kernel is computed by one thread, in one order (tested).
"""

from __future__ import annotations

import time

from gyaku.backend.threads import available_threads
from gyaku.compiler.fuse import VIEWS
from gyaku.compiler.program import Program

_WORTH_A_THREAD = 60e-6  # seconds of work that pay for a second thread's barriers
_SLOW = 1.3  # times what one thread should need: then one thread is tried
_KEEP = 1.0  # seconds before the choice is looked at again


def work_of(program: Program) -> float:
    """Return about how many seconds one thread needs for a step, from FLOPs and bytes."""
    flops = bytes_moved = 0
    for e in program.equations:
        if e.op == "matmul":
            flops += 2 * e.output.size * e.vars[0].shape[-1]
        elif e.op not in VIEWS:
            flops += e.output.size
            bytes_moved += e.output.nbytes // 4
    return flops / 200e9 + bytes_moved / 30e9


def sensible_threads(program: Program) -> int:
    """Return how many threads suit a program on free cores."""
    return max(1, min(available_threads(), int(work_of(program) / _WORTH_A_THREAD)))


class Pace:
    """Chooses between ``most`` threads and one by what the last calls took."""

    def __init__(self, most: int, work: float) -> None:
        self.most, self.work, self.now, self.until = most, work, most, 0.0
        self.single = float("inf")  # seconds a step on one thread, when last tried
        self.joint = 0.0

    def threads(self) -> int:
        """Return how many threads the next call gets."""
        if self.now == 1 and self.single < float("inf") and time.perf_counter() > self.until:
            self.now = self.most  # the cores may be free again
        return self.now

    def took(self, threads: int, seconds: float) -> None:
        """Take note of a call: seconds a step."""
        if threads == 1:
            self.single = seconds
            self.now = 1 if seconds < self.joint else self.most
            self.until = time.perf_counter() + _KEEP
        elif seconds > _SLOW * self.work and time.perf_counter() > self.until:
            self.joint = seconds
            if seconds > self.single:
                self.now, self.until = 1, time.perf_counter() + _KEEP
            elif self.single == float("inf"):
                self.now = 1  # once, to know
