"""The step of ``fit`` as machine code: many batches of one epoch in one call, in eager's order, with eager's masks."""

from __future__ import annotations

import importlib.util
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from gyaku.backend.devices import CPU
from gyaku.base.errors import TraceError
from gyaku.base.forks import opened_in_child
from gyaku.compiler import Compiled
from gyaku.core.mode import state

if TYPE_CHECKING:
    from gyaku.train.loop import Loop

Array = NDArray[Any]
CALL = 0.1  # seconds of one call: between two of them Ctrl-C is heard and the progress bar moves
TOO_FEW = "the steps are too few to pay for compiling"
SHORT = 200  # steps of a training that is over before tracing and compiling (0.2 to 3 s) would pay
MOST = 2**26  # bytes of augmented samples made for one call

# Tracing, and training by definition by run, use the default generator of the process: one network at a time.
turn = opened_in_child(threading.RLock())


class Step(Compiled):
    """A compiled step that traces in turn with others, and keeps the reason of a fallback for ``fit`` to say."""

    def _bind(self, args: Any, kwargs: Any) -> Any:
        with turn:
            return super()._bind(args, kwargs)

    def _say(self, reason: str) -> None:
        self.fallback_reason = reason


class Fallback(Exception):
    """The step cannot be machine code; the text says why."""


class CompiledStep:
    """Forward, loss, backward, clipping and the optimizer's step of a loop as one program for each size of batch.

    ``threads`` as in ``gyaku.compile``. Raises ``Fallback`` where there is no machine code to be had.
    """

    def __init__(self, loop: Loop, threads: int | None) -> None:
        reason = obstacle(loop)
        if reason:
            raise Fallback(reason)
        self.data = loop.data
        self.function, self.keep, self.threads = _function(loop), loop.sees_each, threads
        self.programs: dict[int, Step] = {}  # by size of batch: each stays bound to the memory of the network
        self.took: dict[int, float] = {}  # seconds a step, by size of batch
        self.sample = loop.data.x[:1].nbytes

    @property
    def traces(self) -> int:
        """How often the step was traced."""
        return sum(step.traces for step in self.programs.values())

    @property
    def reason(self) -> str:
        """Why steps run eagerly although they were traced, if they do."""
        return next((s.fallback_reason for s in self.programs.values() if s.fallback_reason), "")

    def count(self, batch: int) -> int:
        """Return how many batches from ``batch`` on one call takes, by what the last ones took; the first is alone."""
        size = self.data.size_of(batch)
        if size not in self.took:
            return 1
        fit = max(1, int(CALL / self.took[size]))
        if self.data.augment is not None:
            fit = min(fit, max(1, MOST // (self.sample * size)))
        return min(fit, self.data.alike(batch))

    def run(self, epoch: int, batch: int, steps: int, hyper: dict[tuple[int, str], Array]) -> tuple[Array, Array]:
        """Train on some batches of one size and return losses and scores, one a step. Raises ``Fallback``."""
        started, size = time.perf_counter(), self.data.size_of(batch)
        x, t, rows = self.data.take_many(epoch, batch, steps)
        if size not in self.programs:
            self.programs[size] = Step(self.function, keep_gradients=self.keep, runner="cpu", threads=self.threads)
        try:
            found = self.programs[size].steps(x, t, rows=rows, hyper=hyper, rng=self.data.states(epoch, batch, steps))
        except TraceError as error:
            raise Fallback(str(error)) from error
        self.took[size] = min((time.perf_counter() - started) / steps, self.took.get(size, 0.01))
        return found[0]._array, found[1]._array


def obstacle(loop: Loop) -> str:
    """Return why a loop is not to be compiled, as far as that is known before its first step."""
    if loop.compile is not None and not loop.compile:
        return "it was asked for"
    if loop.compile is None and loop.epochs * loop.batches < SHORT:
        return TOO_FEW
    if loop.data.on != CPU:
        return f"the model is on {loop.data.on}"
    if importlib.util.find_spec("llvmlite") is None:
        return "llvmlite is not installed (pip install 'gyaku[compile]')"
    return "the operations are being observed" if state.observers else ""


def _function(loop: Loop) -> Any:
    """Return the step as a function of inputs and targets that holds nothing but what it trains with."""
    model, optimizer, objective, clip_norm = loop.model, loop.optimizer, loop.objective, loop.clip_norm
    objective.place(loop.data.on)

    def step(x: Any, t: Any) -> Any:
        optimizer.zero_grad()
        y = model(x)
        loss = objective.loss(y, t)
        loss.backward()
        if clip_norm is not None:
            from gyaku.nn.utils import clip_grad_norm_

            clip_grad_norm_(model.parameters(), clip_norm)
        optimizer.step()
        return loss, objective.scored(y.detach(), t)

    return step


@contextmanager
def told(tell: Any) -> Iterator[None]:
    """Call ``tell(True)`` when this thread begins to compile machine code inside the block, ``tell(False)`` after."""
    from gyaku.compiler import machine

    before, machine.watch.tell = machine.watch.tell, tell
    try:
        yield
    finally:
        machine.watch.tell = before
