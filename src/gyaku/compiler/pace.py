"""How many threads a program gets: as many as suit its size and its process's share, or one while that is faster.

Threads that wait for one another lose more than they gain when another process takes their core, or when two of them
share one core's arithmetic, and only a measurement tells. The results do not depend on the number: every row of every
kernel is computed by one thread, in one order (tested).
"""

from __future__ import annotations

import math

from gyaku.backend.threads import available_threads
from gyaku.compiler.convolution import CONVOLUTIONS
from gyaku.compiler.convolution import flops as convolution_flops
from gyaku.compiler.fuse import CORRELATIONS, VIEWS
from gyaku.compiler.program import Program

_WORTH_A_THREAD = 60e-6  # seconds of work that pay for a second thread's barriers
_WARM = 4  # steps that fill the caches after a change, and are not judged
_LOOK = 8e-3  # seconds that a look takes at least: waking the other threads takes a tenth of a millisecond
_STEPS = 3  # steps that a look takes at least: one may be held up by chance
_BETTER = 0.97  # times the seconds of the others that pay for a change
_HOPELESS = 2.0  # times the seconds of the others at which a trial ends early
_KEEP = (10, 160)  # times a trial's length to run before the next: after a change, and after many that changed nothing
_SHORTEST = 1e-2  # seconds that a trial counts for at least
_BLIND = 0.1  # seconds to run without a look at who else trains


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
    """Chooses between ``most`` threads and one: looks at what a step takes, tries the other, keeps the better.

    Where there is nothing to choose (``most`` = 1, or not ``free``) it only counts the steps of a call.
    """

    def __init__(self, most: int, free: bool = True) -> None:
        self._fixed = most == 1 or not free
        self.most, self.now = most, most
        self.steps = _WARM  # how many to run before the next report
        self._warm = True  # the caches are being filled
        self._trial = False  # whether the present choice is being tried against the other
        self._other = float("inf")  # seconds a step of the other, when last looked at
        self._best, self._spent, self._tried = float("inf"), 0.0, 0.0  # of this look, and of this trial
        self._seen = 0  # steps of this look
        self._left, self._times = 0, _KEEP[0]  # steps to run until the next trial

    def threads(self) -> int:
        """Return how many threads the next steps get."""
        return self.now

    def rest(self) -> None:
        """Note that time passed without steps: if one thread was better then, the next trial is due at once."""
        if self.now < self.most:
            self._left, self._times = 0, _KEEP[0]

    def took(self, steps: int, seconds: float) -> None:
        """Take note of what some steps took, all on the threads that were asked for."""
        each = seconds / steps
        if self._fixed:
            self.steps = max(1, int(_BLIND / each))
            return
        if self._trial:
            self._tried += seconds
        if self._warm:
            self._warm = False
            if self._trial and each > _HOPELESS * self._other:
                self._judge(each)
        elif self._left > 0:
            self._left -= steps
        else:
            self._look(each, steps, seconds)
        if self._warm:
            self.steps = max(1, min(_WARM, int(_LOOK / each)))
        else:
            ahead = self._left if self._left > 0 else math.ceil((_LOOK - self._spent) / each)
            self.steps = max(1, min(ahead, int(_BLIND / each)))

    def _look(self, each: float, steps: int, seconds: float) -> None:
        self._best, self._spent, self._seen = min(self._best, each), self._spent + seconds, self._seen + steps
        if self._spent < _LOOK or self._seen < _STEPS:
            return
        best, self._best, self._spent, self._seen = self._best, float("inf"), 0.0, 0
        if self._trial:
            self._judge(best)
        else:
            self._change(best)
            self._trial, self._tried = True, 0.0

    def _judge(self, each: float) -> None:
        """End a trial of the present choice."""
        self._trial, kept = False, each
        if each < _BETTER * self._other:
            self._times = _KEEP[0]
        else:
            kept = self._other
            self._change(each)
            self._times = min(2 * self._times, _KEEP[1])
        self._left = math.ceil(self._times * max(self._tried, _SHORTEST) / kept)

    def _change(self, each: float) -> None:
        self._other, self._warm = each, True
        self.now = 1 if self.now == self.most else self.most
