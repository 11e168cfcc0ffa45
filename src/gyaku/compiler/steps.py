"""Many steps in one call: batches gathered from whole arrays, hyper-parameters and random states that vary by step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from gyaku.backend.random import Generator, default_generator
from gyaku.base.errors import ArgumentError, DtypeError, ShapeError
from gyaku.compiler.binding import Bound
from gyaku.compiler.primitives import within
from gyaku.core.tensor import Tensor, new_tensor

CHUNK = 0.1  # seconds that one call of machine code may take: between two of them Python looks up


def plain_sources(sources: tuple[Any, ...]) -> list[Any]:
    """Return arrays in C order for tensors or arrays, all of one length."""
    arrays = [np.ascontiguousarray(s._array if isinstance(s, Tensor) else s) for s in sources]
    if not arrays or len({len(a) for a in arrays}) != 1:
        raise ShapeError("steps", "arrays of one length", " and ".join(str(a.shape) for a in arrays) or "none")
    return arrays


def checked_rows(rows: Any, n: int) -> Any:
    """Return the rows of each step, (steps, batch), as int64; refuse rows that do not exist."""
    given = np.asarray(rows)
    if given.size and given.dtype.kind not in "iu":
        raise DtypeError("steps", "rows as whole numbers", str(given.dtype))
    found = np.ascontiguousarray(given, dtype=np.int64)
    if found.ndim != 2 or (found.size and not within(found, 0, n)):
        raise ShapeError("steps", f"rows (steps, batch) of 0..{n - 1}", f"an array of shape {found.shape}")
    return found


def run_many(bound: Bound, arrays: list[Any], rows: Any, hyper: dict[str, Any], states: Any) -> Any:
    """Run one step for each line of ``rows`` and return the function's results, each with a leading axis of steps."""
    steps, tensors = len(rows), [new_tensor(a[rows[0]]) for a in arrays]
    inputs = list(bound.fill(tensors, ()))
    gathered = {i: (arrays[k], rows) for i, k in bound.args}
    varying: dict[int, Any] = {}
    for i, source in bound.hypers:
        if len(source) == 4 and source[3] in hyper:
            varying[i] = np.ascontiguousarray(hyper[source[3]], dtype=np.float64)
    sources = bound.traced.sources
    for i, v in enumerate(bound.traced.program.inputs):
        if sources[v][0] == "rng":
            varying[i] = random_states(bound, sources[v][1], steps, states)
    results = bound.entry.executable.run_steps(inputs, varying, gathered, steps)
    for g, blocks in zip(bound.found.generators, bound.traced.drawn):
        if g is default_generator and states is not None and blocks:  # its state is now that behind the last step
            g.seed, g.stream, g.counter = (int(v) for v in states[-1])
            g.counter -= blocks * (steps - 1)
    bound.after(tensors, steps, [r[-1] for r in results])
    return bound.result(bound.traced.result, tensors, results)


def random_states(bound: Bound, k: int, steps: int, states: Any) -> Any:
    """Return (seed, stream, counter) of a generator for each step: the given ones, or one draw after the other."""
    g: Generator = bound.found.generators[k]
    if states is not None and g is default_generator:
        return np.ascontiguousarray(states, dtype=np.uint64)
    found = np.empty((steps, 3), np.uint64)
    found[:, 0], found[:, 1] = g.seed, g.stream
    found[:, 2] = np.uint64(g.counter) + np.arange(steps, dtype=np.uint64) * np.uint64(bound.traced.drawn[k])
    return found


def can_run_many(bound: Bound, arrays: list[Any], rows: Any) -> bool:
    """Return whether many steps may go into one call: nothing that Python has to carry from step to step."""
    if bound.entry.traced is None or bound.traced.hypers or bound.gradients or len(rows) == 0:
        return False
    if any(k >= bound.count for k in bound.traced.written) or not bound.straight():
        return False
    place = dict(bound.args)
    for i, low, high, also in bound.ranges:
        source = arrays[place[i]] if i in place else bound.arrays[i]
        if not within(source, low, high, also) and not within(source[rows], low, high, also):
            return False
    return True


def one_by_one(
    call: Callable[..., Any], groups: list[Any], arrays: list[Any], rows: Any, hyper: Any, states: Any
) -> Any:
    """Run the steps one call after the other and stack the results."""
    results = []
    for k, row in enumerate(rows):
        for group in groups:
            group.update({name: float(values[k]) for name, values in hyper.items() if name in group})
        if states is not None:
            default_generator.set_state(dict(zip(("seed", "stream", "counter"), map(int, states[k]))))
        results.append(call(*[new_tensor(a[row]) for a in arrays]))
    return stacked(results)


def stacked(results: list[Any]) -> Any:
    """Return results of equal structure with their tensors and numbers stacked."""
    first = results[0]
    if isinstance(first, Tensor):
        return new_tensor(np.stack([r._array for r in results]))
    if isinstance(first, (tuple, list)):
        parts = [stacked([r[k] for r in results]) for k in range(len(first))]
        return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
    if isinstance(first, dict):
        return {k: stacked([r[k] for r in results]) for k in first}
    return np.array(results) if isinstance(first, (int, float)) else first


class Mean:
    """The mean of a function's scalar results over the samples of an epoch."""

    def __init__(self) -> None:
        self.sums: Any = None
        self.n = 0

    def add(self, results: Any, batch: int) -> None:
        """Add the results of some steps of one batch size."""
        sums = summed(results, batch)
        self.sums = sums if self.sums is None else added(self.sums, sums)
        self.n += batch * first_length(results)

    def value(self) -> Any:
        """Return the means, in the structure of the result; None where a result is no scalar."""
        return divided(self.sums, self.n)


def summed(results: Any, batch: int) -> Any:
    """Return batch times the sum over the steps of each scalar."""
    if isinstance(results, (tuple, list)):
        return tuple([summed(r, batch) for r in results])
    if isinstance(results, dict):
        return {k: summed(r, batch) for k, r in results.items()}
    array = results._array if isinstance(results, Tensor) else results
    one = isinstance(array, np.ndarray) and array.ndim == 1
    return float(array.sum(dtype=np.float64)) * batch if one else None


def first_length(results: Any) -> int:
    """Return the number of steps that results were stacked from."""
    if isinstance(results, dict):
        results = tuple(results.values())
    if isinstance(results, (tuple, list)):
        return max((first_length(r) for r in results), default=0)
    return len(results) if isinstance(results, (Tensor, np.ndarray)) and results.ndim else 0


def added(a: Any, b: Any) -> Any:
    """Return two sums of one structure, added."""
    if isinstance(a, tuple):
        return tuple([added(x, y) for x, y in zip(a, b)])
    if isinstance(a, dict):
        return {k: added(a[k], b[k]) for k in a}
    return None if a is None or b is None else a + b


def divided(a: Any, n: int) -> Any:
    """Return sums divided by a number of samples."""
    if isinstance(a, tuple):
        return tuple([divided(x, n) for x in a])
    if isinstance(a, dict):
        return {k: divided(x, n) for k, x in a.items()}
    return None if a is None or not n else a / n


def batches_of(order: Any, batch_size: int, drop_last: bool) -> Iterator[Any]:
    """Yield rows (steps, batch): all whole batches, then the smaller rest."""
    whole = len(order) // batch_size * batch_size
    if whole:
        yield order[:whole].reshape(-1, batch_size)
    if whole < len(order) and not drop_last:
        yield order[None, whole:]


class Pace:
    """How many steps fit into one call, from how long the last ones took."""

    def __init__(self) -> None:
        self.each: dict[int, float] = {}

    def steps(self, batch: int) -> int:
        """Return the number of steps of the next call; the first one is alone."""
        return max(1, int(CHUNK / self.each[batch])) if batch in self.each else 1

    def run(self, work: Callable[[], Any], batch: int, steps: int) -> Any:
        """Carry out some steps and remember what one took (not the first, which compiles)."""
        start = time.perf_counter()
        result = work()
        took = (time.perf_counter() - start) / steps
        self.each[batch] = min(took, self.each.get(batch, 0.01))
        return result


def checked_epochs(batch_size: int, epochs: int) -> None:
    """Refuse numbers below 1."""
    for name, value in (("batch_size", batch_size), ("epochs", epochs)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ArgumentError("epochs", f"{name} of at least 1", repr(value))
