"""How many threads a program gets: as many as suit its size, and one while the cores are busy with something else.

Threads that wait for one another lose more than they gain when another process takes their core. The results do not
depend on the number: every row of every kernel is computed by one thread, in one order (tested).
"""

from __future__ import annotations

import time

from gyaku.backend.threads import available_threads
from gyaku.compiler.convolution import CONVOLUTIONS
from gyaku.compiler.convolution import flops as convolution_flops
from gyaku.compiler.fuse import CORRELATIONS, VIEWS
from gyaku.compiler.program import Program

_WORTH_A_THREAD = 60e-6  # seconds of work that pay for a second thread's barriers
_SLOW = 1.3  # times what one thread should need: threads that take longer may be held up
_PROBE = 4  # steps by which a choice is judged
_MOST = 256  # steps before it is judged again
_KEEP = 0.25  # seconds on one thread before more are tried again


def work_of(program: Program) -> float:
    """Return about how many seconds one thread needs for a step, from FLOPs and bytes."""
    flops = bytes_moved = 0
    for e in program.equations:
        if e.op == "matmul":
            flops += 2 * e.output.size * e.vars[0].shape[-1]
        elif e.op in CORRELATIONS or e.op in CONVOLUTIONS:
            flops += convolution_flops(e)
        elif e.op not in VIEWS:
            flops += e.output.size
            bytes_moved += e.output.nbytes // 4
    return flops / 200e9 + bytes_moved / 30e9


def sensible_threads(program: Program) -> int:
    """Return how many threads suit a program on free cores."""
    return max(1, min(available_threads(), int(work_of(program) / _WORTH_A_THREAD)))


class Pace:
    """Chooses between ``most`` threads and one by what the last steps took."""

    def __init__(self, most: int, work: float) -> None:
        self.most, self.work, self.now, self.until = most, work, most, 0.0
        self.single = self.joint = float("inf")  # seconds a step on one thread and on most, when last looked at
        self.slow = -1  # how often in a row the threads were slow; the first look is of cold caches
        self.steps = _PROBE  # how many to run before the next look

    def threads(self) -> int:
        """Return how many threads the next steps get."""
        if self.now == 1 and self.single < float("inf") and time.perf_counter() > self.until:
            self._choose(self.most)  # the cores may be free again
        return self.now

    def took(self, threads: int, seconds: float) -> None:
        """Take note of some steps: seconds a step."""
        self.steps = min(4 * self.steps, _MOST)
        if threads == 1:
            self.single = seconds
            self._choose(1 if seconds < self.joint else self.most)
            return
        self.joint = seconds
        self.slow = self.slow + 1 if seconds > _SLOW * self.work or self.slow < 0 else 0
        if self.slow > 1 and seconds > self.single * 0.95 or self.slow > 2 and self.single == float("inf"):
            self._choose(1)

    def _choose(self, threads: int) -> None:
        if threads != self.now:
            self.now, self.steps, self.slow = threads, _PROBE, 0
        if threads == 1:
            self.until = time.perf_counter() + _KEEP
