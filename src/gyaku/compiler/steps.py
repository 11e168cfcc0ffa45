"""Many steps in one call: batches gathered from whole arrays, hyper-parameters and random states that vary by step."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from gyaku.backend.random import Generator, default_generator
from gyaku.base.errors import DtypeError, ShapeError
from gyaku.compiler.binding import Bound, number_at
from gyaku.compiler.primitives import within
from gyaku.compiler.varying import Varying
from gyaku.core.tensor import Tensor, new_tensor


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


def like_batch(arrays: list[Any], row: Any) -> tuple[Tensor, ...]:
    """Return tensors of the shape and dtype of a batch, without gathering its rows where that can be."""
    return tuple([new_tensor(a[: len(row)] if len(row) <= len(a) else a[row]) for a in arrays])


class Gathered:
    """The tensors of a batch, gathered when one is asked for."""

    def __init__(self, arrays: list[Any], row: Any) -> None:
        self.arrays, self.row = arrays, row

    def __getitem__(self, k: int) -> Tensor:
        return new_tensor(self.arrays[k][self.row])


def run_many(bound: Bound, arrays: list[Any], tensors: Any, rows: Any, hyper: Varying, states: Any) -> Any:
    """Run one step for each line of ``rows`` and return the function's results, each with a leading axis of steps.

    ``tensors`` are like the first step's batch.
    """
    steps = len(rows)
    inputs = list(bound.fill(tensors, ()))
    gathered = {i: (arrays[k], rows) for i, k in bound.args}
    varying: dict[int, Any] = {}  # by number of the input: one value a step
    for i, source in bound.hypers if hyper.given else ():
        values = hyper.values(bound.group(source), source[3:])
        if values is not None:
            varying[i] = values
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
    return bound.result(bound.traced.result, Gathered(arrays, rows[0]), results)


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


def same_truths(bound: Bound, hyper: Varying, rows: Any) -> bool:
    """Return whether the program asked nothing of a hyper-parameter that the steps would answer otherwise."""
    conditions = bound.traced.conditions
    if conditions is None:
        return True
    if any(s[0] == "counter" for s in conditions.sources):
        return False
    if not hyper.given:
        return True
    moving = {s: hyper.values(bound.group(s), s[3:]) for s in conditions.sources if s[0] == "hyper"}
    moving = {s: values for s, values in moving.items() if values is not None}

    def number(k: int, s: Any) -> float:
        return float(moving[s][k]) if s in moving else number_at(s, bound.found, ())

    return all(conditions.hold(functools.partial(number, k)) for k in range(len(rows) if moving else 0))


def one_by_one(
    call: Callable[..., Any], groups: list[Any], arrays: list[Any], rows: Any, hyper: Varying, states: Any
) -> Any:
    """Run the steps one call after the other and stack the results."""
    results = []
    for k, row in enumerate(rows):
        hyper.put(groups, k)
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
