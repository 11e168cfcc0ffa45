"""``gyaku.compile``: a function of tensors, in particular a whole training step, as a program that is run."""

from __future__ import annotations

import functools
import importlib.util
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gyaku.backend.random import Generator, default_generator
from gyaku.backend.tracing import tracing
from gyaku.base.errors import ArgumentError, ShapeError, TraceError
from gyaku.base.forks import opened_in_child
from gyaku.compiler import interpret
from gyaku.compiler import steps as many
from gyaku.compiler.arguments import Arguments
from gyaku.compiler.binding import Bound, Entry, SharedMemory, grads_of, ranges_of
from gyaku.compiler.epochs import CHUNK, Training, checked
from gyaku.compiler.found import Found, mode_key
from gyaku.compiler.passes import optimized
from gyaku.compiler.primitives import OutOfRange
from gyaku.compiler.program import Program
from gyaku.compiler.recorder import Live
from gyaku.compiler.trace import SideEffect, Trace, Traced
from gyaku.compiler.varying import Varying, joined
from gyaku.core.mode import state
from gyaku.core.tensor import new_tensor

RUNNERS = ("cpu", "interpret")
MANY = 8  # traces after which it is said that they are many


class Compiled:
    """A function that is traced once for each kind of call, and from then on run as a program.

    ``traces`` counts how often that happened; ``fallback_reason`` says why calls run eagerly, if they do.
    """

    def __init__(self, function: Callable[..., Any], *, keep_gradients: bool, runner: str, threads: int | None) -> None:
        functools.update_wrapper(self, function, updated=())
        self.function, self.keep_gradients, self.runner, self.threads = function, keep_gradients, runner, threads
        self.traces = 0
        self.fallback_reason = ""
        self._entries: dict[Any, list[Entry]] = {}
        self._last: Bound | None = None
        self._extra: list[Any] = []  # live tensors and generators that a trace met and no walk finds
        self._failures = 0
        self._wide = False
        self._never = False  # no call can be compiled
        self._eager = Entry(None)  # stands for such calls
        self._lacking: type[BaseException] = OutOfRange  # what the runner raises for what it cannot express
        self._lock = opened_in_child(threading.RLock())

    def __repr__(self) -> str:
        name = getattr(self.function, "__qualname__", type(self.function).__name__)
        how = f"runs eagerly: {self.fallback_reason}" if self.fallback_reason else f"runner={self.runner!r}"
        return f"<compiled {name}: traces={self.traces}, {how}>"

    def __get__(self, owner: Any, kind: Any = None) -> Any:
        """Bind as a method: each object gets its own compiled function."""
        if owner is None:
            return self
        name = f"_compiled_{id(self)}"
        bound = owner.__dict__.get(name)
        if bound is None:
            method = self.function.__get__(owner, kind)
            bound = Compiled(method, keep_gradients=self.keep_gradients, runner=self.runner, threads=self.threads)
            owner.__dict__[name] = bound
        return bound

    # -- calling --------------------------------------------------------------------------------------------------
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function's program on these arguments."""
        if tracing.recorder is not None or state.observers:
            return self.function(*args, **kwargs)
        if self._never:
            return self._eagerly(args, kwargs)
        with self._lock:
            last = self._last
            if last is not None and last.quick is not None and not kwargs:
                done = last.quick.run(args)
                if done is not None:
                    return done[0]
                last.stir()
            bound, taken = self._bound(args, kwargs)
            if bound.entry.reason:
                return self._eagerly(args, kwargs)
            try:
                result = bound.run(*taken)
                bound.settle()
                return result
            except OutOfRange:
                return self._outside(args, kwargs)
            except SharedMemory:
                return self._eagerly(args, kwargs)
            except self._lacking as lacking:
                self._give_up(bound, lacking)
                return self._eagerly(args, kwargs)

    def _give_up(self, bound: Bound, lacking: BaseException) -> None:
        """Leave this kind of call to eager code: machine code lacks something."""
        bound.entry.traced, bound.entry.reason = None, f"machine code lacks {lacking}"
        self._last = None
        self._say(bound.entry.reason)

    def _bound(self, args: Any, kwargs: Any) -> tuple[Bound, Any]:
        bound = self._last
        if bound is not None and bound.entry.traced is not None and bound.fits():
            taken = bound.takes(args, kwargs)
            if taken is not None:
                return bound, taken
        return self._bind(args, kwargs)

    def _eagerly(self, args: Any, kwargs: Any) -> Any:
        given = Arguments(args, kwargs)
        args, kwargs = given.call(given.numbers)
        return self.function(*args, **kwargs)

    def _outside(self, args: Any, kwargs: Any) -> Any:
        """Run eagerly a call whose labels are not those of the program: an error, or the label to be ignored."""
        result = self._eagerly(args, kwargs)
        if not self._wide:
            self._wide = True
            self._entries.clear()
            self._last = None
        return result

    # -- tracing --------------------------------------------------------------------------------------------------
    def _bind(self, args: Any, kwargs: Any) -> tuple[Bound, Any]:
        """Look at everything anew: find the entry that fits, or trace."""
        given = Arguments(args, kwargs)
        found = Found(self.function, *given.objects, *self._extra)
        tensors, key = self._separate(found, given)
        grads = grads_of([*found.tensors, *tensors])
        reason = found.refusal or self._refusal(found, tensors)
        entry = Entry(None, reason=reason) if reason else None
        entry = entry or next((e for e in self._entries.get(key, ()) if e.fits(grads, found, given.numbers)), None)
        if entry is None:
            entry, found, tensors = self._traced(given, found, tensors, key, grads)
        found.forget(_used(entry, found))
        try:
            bound = Bound(entry, found, given, tensors)
        except SharedMemory as shared:
            bound = Bound(Entry(None, reason=str(shared).rstrip(".")), found, given, tensors)
        self._say(bound.entry.reason)
        self._last = bound
        return bound, (tensors, given.numbers)

    def _separate(self, found: Found, given: Arguments) -> tuple[list[Any], Any]:
        """Return the arguments' tensors that the walk has not found, and the key of this kind of call."""
        also = tuple([found.index(t) for t in given.tensors])
        key = (mode_key(), tuple(given.key), also, tuple(found.key))
        return [t for t, k in zip(given.tensors, also) if k is None], key

    def _refusal(self, found: Found, tensors: list[Any]) -> str:
        if any(t._node is not None and not t._node.is_leaf for t in tensors) and state.grad:
            return "an argument is part of a graph"
        cells = {id(t._cell) for t in found.tensors}
        if any(id(t._cell) in cells for t in tensors):
            return "an argument shares memory with the function's own tensors"
        if any(g.counter >= 2**63 for g in found.generators):
            return "a random generator has drawn more than fits into 64 bits"
        return ""

    def _traced(self, given: Arguments, found: Found, tensors: list[Any], key: Any, grads: Any) -> Any:
        """Trace the function; return the entry, and the walk and the tensors it belongs to."""
        try:
            for _ in range(4):
                live = Live.look()
                trace = Trace(found, tensors, live, wide=self._wide, keep_gradients=self.keep_gradients)
                numbers = [trace.recorder.number(("number", k), v, f"number {k}") for k, v in enumerate(given.numbers)]
                args, kwargs = given.call(numbers)
                traced = self._run(trace, found, args, kwargs)
                unknown = [t for t in trace.recorder.unknown.values() if found.index(t) is None]
                if not unknown:
                    break
                self._extra += unknown
                found = Found(self.function, *given.objects, *self._extra)
                tensors, key = self._separate(found, given)
                grads = grads_of([*found.tensors, *tensors])
            entry = self._entry(traced, grads)
            self._failures = 0
        except SideEffect as change:
            self._failures += 1
            entry = Entry(None, reason=f"each call of the function must do the same, but {change}")
            if self._failures < 3:
                return entry, found, tensors  # the first call may only be building what later calls find
            self._never = True
        self._entries.setdefault(key, []).append(entry)
        return entry, found, tensors

    def _run(self, trace: Trace, found: Found, args: Any, kwargs: Any) -> Traced:
        try:
            return trace.run(self.function, args, kwargs)
        except SideEffect:
            raise
        except BaseException:
            found.forget(set())
            raise

    def _entry(self, traced: Traced, grads: Any) -> Entry:
        self.traces += 1
        if self.traces == MANY:
            warnings.warn(
                f"compile: expected few kinds of calls, got {MANY} of {self.function!r}. Hint: pass what changes as a "
                "tensor or a float, and keep shapes the same (drop_last=True).",
                stacklevel=6,
            )
        traced.program.check()
        before = traced.program
        if self.runner == "interpret":
            entry = Entry(traced, interpret.Executable(before), grads)
        else:
            executable, reason = self._machine_code(traced)
            entry = Entry(traced if executable is not None else None, executable, grads, reason)
            entry.contiguous = True
        entry.before = before
        return entry

    def _machine_code(self, traced: Traced) -> tuple[Any, str]:
        if importlib.util.find_spec("llvmlite") is None:
            self._never = True
            return None, "machine code needs the package 'llvmlite' (pip install 'gyaku[compile]')"
        from gyaku.compiler.cpu import Executable, Unsupported

        self._lacking = Unsupported
        if ranges_of(traced.program)[1]:
            return None, "the function computes indices by itself"
        traced.program = optimized(traced.program)
        try:
            return Executable(traced.program, self.threads), ""
        except Unsupported as lacking:
            return None, f"machine code lacks {lacking}"

    def _say(self, reason: str) -> None:
        said, self.fallback_reason = self.fallback_reason, reason
        if reason and reason != said:
            warnings.warn(f"compile: {self.function!r} runs eagerly: {reason}.", stacklevel=5)

    # -- many steps -----------------------------------------------------------------------------------------------
    def steps(self, *sources: Any, rows: Any, hyper: Mapping[Any, Any] | None = None, rng: Any = None) -> Any:
        """Run one step for each line of ``rows`` (steps, batch), all inside one call that lets other threads run.

        Step k is ``function(*(s[rows[k]] for s in sources))``. ``hyper`` gives hyper-parameters a value a step: of all
        groups that have them (``{"lr": array}``; ``{"betas": (steps, 2)}``), or of one (``{(1, "lr"): array}``).
        ``rng`` (steps, 3) is seed, stream and counter of the default generator before each step.
        Returns the function's results with a leading axis of steps.
        """
        arrays = many.plain_sources(sources)
        rows = many.checked_rows(rows, len(arrays[0]))
        if len(rows) == 0:
            raise ShapeError("steps", "at least one step", "none")
        with self._lock:
            return self._several(arrays, rows, lambda steps: hyper or {}, rng)[1]

    def _several(self, arrays: Any, rows: Any, hyper: Callable[[int], Any], rng: Any = None, limit: float = 0) -> Any:
        """Run the steps of ``rows``, or as many of the first as fit into ``limit`` seconds; return (number, results).

        ``hyper(n)`` gives the hyper-parameters of the first n steps.
        """
        first: Any = None  # what stands for the first step's batch
        if self._never:
            bound, found, entry = None, Found(self.function), self._eager
        else:
            first, bound = many.like_batch(arrays, rows[0]), self._last
            if bound is None or bound.entry.traced is None or not bound.alike(first):
                first = tuple([new_tensor(a[rows[0]]) for a in arrays])
                bound = self._bind(first, {})[0]
            found, entry = bound.found, bound.entry
        rows = rows[: int(limit / entry.each) or 1] if limit else rows
        groups = [g for o in found.optimizers for g in o.param_groups]
        began, varying = time.perf_counter(), Varying(hyper(len(rows)), len(rows), groups)
        results = self._run_several(bound, arrays, first, rows, varying, rng)
        if results is None:
            results = many.one_by_one(self, groups, arrays, rows, varying, rng)
        entry.took((time.perf_counter() - began) / len(rows))
        return len(rows), results

    def _run_several(self, bound: Bound | None, arrays: Any, first: Any, rows: Any, varying: Varying, rng: Any) -> Any:
        """Run the steps in one call of machine code; None where Python has to go from step to step."""
        if bound is None or not many.can_run_many(bound, arrays, rows) or not many.same_truths(bound, varying, rows):
            return None
        try:
            results = many.run_many(bound, arrays, first, rows, varying, rng)
        except self._lacking as lacking:
            self._give_up(bound, lacking)
            return None
        varying.put(bound.groups, -1)
        return results

    def epochs(
        self,
        *sources: Any,
        batch_size: int,
        epochs: int = 1,
        generator: Generator | None = None,
        drop_last: bool = False,
        shuffle: bool = True,
        on_epoch: Callable[[int, Any], Any] | None = None,
        hyper: Callable[[int], dict[Any, Any]] | None = None,
    ) -> list[Any]:
        """Run whole epochs of shuffled mini-batches and return the mean of the function's scalar results for each.

        The order of an epoch is ``generator.permutation(n)`` (the default generator's unless given). ``hyper(step)``
        gives hyper-parameters by step, from 0 on, as ``steps`` takes them. ``on_epoch(epoch, means)`` is called after
        each; True ends training. Machine code runs for at most about 0.1 s at a time, so Ctrl-C is heard.
        """
        checked(batch_size, epochs)
        arrays = many.plain_sources(sources)
        drawn_from = (generator or default_generator) if shuffle else None

        def run(rows: Any, step: int) -> Any:
            def values(steps: int) -> Any:
                return joined([hyper(step + k) for k in range(steps)]) if hyper is not None else {}

            with self._lock:
                return self._several(arrays, rows, values, limit=CHUNK)

        alone = functools.partial(self._leaves_alone, drawn_from)
        training = Training(run, alone, self._orders(), len(arrays[0]), batch_size, drop_last, drawn_from)
        return training.epochs(epochs, on_epoch)

    def _leaves_alone(self, generator: Generator | None) -> bool:
        """Return whether the program of the last call does not draw from ``generator``."""
        bound = self._last
        if bound is None or bound.entry.traced is None:
            return False
        return not any(g is generator for g, _ in bound.draws)

    def _orders(self) -> Callable[[Generator, int, int], Any]:
        """Return what draws the orders of the rows for some epochs."""
        if self.runner == "cpu" and ("llvmlite" in sys.modules or importlib.util.find_spec("llvmlite") is not None):
            from gyaku.compiler.shuffle import permutations

            return permutations
        return lambda generator, n, count: np.stack([generator.permutation(n) for _ in range(count)])

    # -- looking --------------------------------------------------------------------------------------------------
    def program(self, *args: Any, before: bool = False, **kwargs: Any) -> Program:
        """Return the program for these arguments, after the passes, or as it was traced (``before``)."""
        with self._lock:
            bound, _ = self._bound(args, kwargs)
        if bound.entry.traced is None:
            raise TraceError("program", "a function that can be compiled", bound.entry.reason)
        return bound.entry.before if before else optimized(bound.entry.before)

    def explain(self, *args: Any, **kwargs: Any) -> Any:
        """Return a table of the program for these arguments: what is fused, bytes, FLOPs and time of each part.

        With the interpreter the parts are the single equations, run once on copies.
        """
        if self.runner == "cpu":
            return self.program(*args, **kwargs).explain(self.threads)
        with self._lock:
            bound, taken = self._bound(args, kwargs)
            if bound.entry.traced is None:
                raise TraceError("explain", "a function that can be compiled", bound.entry.reason)
            return bound.entry.executable.explain(bound.fill(*taken))


def _used(entry: Entry, found: Found) -> set[int]:
    """Return the identities of the slots that a program reads."""
    if entry.traced is None:
        return set()
    sources = entry.traced.sources.values()
    kept = {id(found.tensors[s[1]]) for s in sources if s[0] == "tensor" and s[1] < len(found.tensors)}
    stepped = {id(found.tensors[k]) for k in entry.traced.stepped if k < len(found.tensors)}
    return kept | {id(c.tensor) for c in found.counts if id(c.parameter) in stepped}


def compile(
    function: Callable[..., Any] | None = None,
    *,
    keep_gradients: bool = False,
    runner: str = "cpu",
    threads: int | None = None,
) -> Any:
    """Return ``function`` compiled: traced at the first call, from then on run as one program (also a decorator).

    Any function of tensors, above all a training step with ``backward()``, ``optimizer.step()``, ``zero_grad()``. What
    it depends on is looked at in each call: new values are read afresh; another shape, flag or structure is traced
    again (``compiled.traces``); what cannot be compiled runs eagerly, the reason said once. A Python ``if`` on a traced
    value raises ``TraceError``. Results carry no graph; gradients that an optimizer step has used are let go unless
    ``keep_gradients``. ``print`` in the function prints at the trace only. ``step.program(x, t)`` is the program (print
    it), ``step.explain(x, t)`` times every kernel, ``step.epochs(x, t, batch_size=...)`` runs whole epochs.

    ``runner`` is "cpu" (machine code, needs llvmlite) or "interpret" (NumPy, eager's bits). Machine code agrees with
    eager to rounding: a sum takes in a product that nothing else reads (a b + c, rounded once), other sums add up in
    vectors, and results below the smallest normal number are 0. ``threads`` is for machine code (None: what suits the
    program, at most what ``set_num_threads`` says, and fewer while other processes of this user train on these cores,
    too; the bits do not depend on it).
    Raises ``ArgumentError`` for another runner, and for what is no function.

    >>> import gyaku as gy
    >>> w = gy.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = gy.optim.SGD([w], lr=0.25)
    >>> @gy.compile(runner="interpret")
    ... def step(x):
    ...     optimizer.zero_grad()
    ...     loss = ((w - x) ** 2).sum()
    ...     loss.backward()
    ...     optimizer.step()
    ...     return loss
    >>> [step(gy.zeros(2)).item() for _ in range(3)], step.traces
    ([5.0, 1.25, 0.3125], 1)
    """
    if runner not in RUNNERS:
        raise ArgumentError("compile", "runner 'cpu' or 'interpret'", repr(runner))
    if function is None:
        return functools.partial(compile, keep_gradients=keep_gradients, runner=runner, threads=threads)
    if not callable(function):
        raise ArgumentError("compile", "a function", type(function).__name__)
    return Compiled(function, keep_gradients=keep_gradients, runner=runner, threads=threads)
