"""Whole epochs of shuffled mini-batches: as many steps in one call of machine code as fit into about 0.1 s."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gyaku.backend.random import Generator
from gyaku.base.errors import ArgumentError
from gyaku.core.tensor import Tensor

CHUNK = 0.1  # seconds that one call of machine code may take: between two of them Python looks up
ROWS = 2**18  # row numbers that lie ready at a time, where epochs are short


def checked(batch_size: int, epochs: int) -> None:
    """Refuse numbers below 1."""
    for name, value in (("batch_size", batch_size), ("epochs", epochs)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ArgumentError("epochs", f"{name} of at least 1", repr(value))


@dataclass
class Training:
    """What does not change from epoch to epoch.

    ``run(rows, step)`` runs the first of some steps, as many as fit into ``CHUNK``, and returns their number and the
    function's results, stacked; ``step`` is the number of the first. ``alone()`` says whether nothing but the order of
    the rows is drawn from the generator; ``orders(generator, n, epochs)`` draws it.
    """

    run: Callable[[Any, int], tuple[int, Any]]
    alone: Callable[[], bool]
    orders: Callable[[Generator, int, int], Any]
    n: int
    batch_size: int
    drop_last: bool
    generator: Generator | None
    step: int = 0  # steps done

    def epochs(self, count: int, on_epoch: Callable[[int, Any], Any] | None) -> list[Any]:
        """Run ``count`` epochs and return their means; True from ``on_epoch`` ends training."""
        found: list[Any] = []
        while len(found) < count:
            some = 1 if on_epoch is not None else min(count - len(found), self._together())
            found += self._run(some)
            if on_epoch is not None and on_epoch(len(found), found[-1]) is True:
                break
        return found

    def _together(self) -> int:
        """Return how many epochs may share a call: one, where Python has something to do between two."""
        whole = self.n // self.batch_size
        rest = self.n % self.batch_size and not self.drop_last
        return 1 if rest or not whole or not self.alone() else max(1, ROWS // self.n)

    def _run(self, epochs: int) -> list[Any]:
        """Run some epochs; where training ends early, the generator is left as after the epoch it ended in."""
        g, began = self.generator, self.step
        before = None if g is None else g.get_state()
        orders = np.tile(np.arange(self.n), (epochs, 1)) if g is None else self.orders(g, self.n, epochs)
        try:
            return self._ordered(orders)
        except BaseException:
            if g is not None and before is not None and epochs > 1:
                ended = (self.step - began) // (self.n // self.batch_size)
                g.set_state(before)
                self.orders(g, self.n, min(ended + 1, epochs))
            raise

    def _ordered(self, orders: Any) -> list[Any]:
        """Run the epochs whose rows are the lines of ``orders``: all whole batches, then the smaller rest."""
        size, epochs = self.batch_size, len(orders)
        whole = self.n // size * size
        parts = []
        if whole:
            rows = np.ascontiguousarray(orders[:, :whole]).reshape(-1, size)
            parts.append((size, self._steps(rows, epochs)))
        if whole < self.n and not self.drop_last:
            parts.append((self.n - whole, self._steps(orders[:, whole:], epochs)))
        return [mean(parts, k) for k in range(epochs)]

    def _steps(self, rows: Any, epochs: int) -> Any:
        """Run a step for each line of ``rows`` and return the sums of its scalar results by epoch."""
        done, found = 0, []
        while done < len(rows):
            steps, results = self.run(rows[done:], self.step)
            found.append(results)
            self.step += steps
            done += steps
        return summed(found, epochs)


def summed(results: list[Any], epochs: int) -> Any:
    """Return (sums by epoch, steps an epoch) of each scalar of the function's results, given in pieces; else None.

    However the steps were cut into pieces, the bits are the same.
    """
    first = results[0]
    if isinstance(first, (tuple, list)):
        return tuple([summed([r[k] for r in results], epochs) for k in range(len(first))])
    if isinstance(first, dict):
        return {k: summed([r[k] for r in results], epochs) for k in first}
    arrays = [r._array if isinstance(r, Tensor) else r for r in results]
    if not (isinstance(arrays[0], np.ndarray) and arrays[0].ndim == 1):
        return None
    joined = np.concatenate(arrays) if len(arrays) > 1 else arrays[0]
    by_epoch = joined.astype(np.float64).reshape(epochs, -1)
    return Sums(by_epoch.sum(axis=1).tolist(), by_epoch.shape[1])


@dataclass(frozen=True)
class Sums:
    """The sum of a scalar over the steps of each epoch."""

    by_epoch: list[float]
    steps: int


def mean(parts: list[tuple[int, Any]], epoch: int) -> Any:
    """Return an epoch's means over samples from sums by size of batch, in the structure of the function's result."""
    first = parts[0][1] if parts else None
    if isinstance(first, tuple):
        return tuple([mean([(b, t[k]) for b, t in parts], epoch) for k in range(len(first))])
    if isinstance(first, dict):
        return {k: mean([(b, t[k]) for b, t in parts], epoch) for k in first}
    if first is None or any(t is None for _, t in parts):
        return None
    return sum(b * t.by_epoch[epoch] for b, t in parts) / sum(b * t.steps for b, t in parts)
