"""CD and PCD of Bernoulli hidden units as one function of arrays: machine code where llvmlite is there, else NumPy.

The formulas are those of ``energy.units``. Random numbers are arguments, so both ways draw the same. A call takes some
batches at once, with the uniforms of just these: memory stays bounded, and Ctrl-C is heard between calls.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gyaku.backend.namespace import namespace_of
from gyaku.backend.random import Generator
from gyaku.compiler import compile as compiled
from gyaku.core.tensor import Tensor, new_tensor
from gyaku.energy.units import Units
from gyaku.energy.values import move

if TYPE_CHECKING:
    from gyaku.energy.rbm import RBM
    from gyaku.energy.rbm_train import Options

Array = NDArray[Any]
_TOGETHER = 2**22  # numbers of data and uniforms in one call, about: 16 MB


def can_step(machine: RBM, options: Options) -> bool:
    """Return whether this file's function can train the machine: see its first line, and CD-1 of any visible units."""
    drawn = machine.visible.kind == "bernoulli" or (options.rule == "cd" and options.k == 1)
    return options.rule in ("cd", "pcd") and machine.hidden.kind == "bernoulli" and drawn


class Stepper:
    """The function with the machine's arrays, its momentum, its chains and its mean activity bound to it."""

    def __init__(self, machine: RBM, options: Options, chains: Array, activity: Array) -> None:
        self.machine, self.options = machine, options
        self.chains, self.activity = new_tensor(chains), new_tensor(activity)
        self.count = len(chains) if options.rule == "pcd" else 0
        function = _function(machine, options, self.chains, self.activity)
        self._compiled = importlib.util.find_spec("llvmlite") is not None
        self._run: Any = compiled(function) if self._compiled else function

    def epoch(self, x: Array, batches: list[Array], generator: Generator, on_batch: Callable[[int], Any]) -> float:
        """Update with every batch of rows, in order, and return the sum of the batches' errors times their rows."""
        total, start = 0.0, 0
        while start < len(batches):
            alike = self._alike(batches, start, x.shape[1])
            total += self._several(x, batches[start : start + alike], generator)
            start += alike
            on_batch(alike)
        return total

    def _alike(self, batches: list[Array], start: int, width: int) -> int:
        """Return how many batches of one size go into a call."""
        size = len(batches[start])
        each = size * width + sum(int(np.prod(s)) for s in self._shapes(size))
        most = max(1, _TOGETHER // each)
        run = 0
        while run < most and start + run < len(batches) and len(batches[start + run]) == size:
            run += 1
        return run

    def _shapes(self, size: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the shapes of one update's uniforms: for hidden and for visible draws."""
        n, k = self.count or size, self.options.k
        visible = k if self.count else k - 1
        return (k, n, self.machine.hidden.size), (visible, n, self.machine.visible.size)

    def _several(self, x: Array, batches: list[Array], generator: Generator) -> float:
        n, size = len(batches), len(batches[0])
        data = x[np.concatenate(batches)].reshape(n, size, -1)
        draws = [generator.uniform((n, *shape), self.machine.dtype) for shape in self._shapes(size)]
        if self._compiled:
            errors = self._run.steps(data, *draws, rows=np.arange(n)[:, None])
            return float(np.asarray(errors).sum()) * size
        errors = [self._run(*(new_tensor(a[i : i + 1]) for a in (data, *draws)))._array for i in range(n)]
        return float(np.sum(errors)) * size


def _function(machine: RBM, options: Options, chains: Tensor, activity: Tensor) -> Callable[..., Tensor]:
    """Return the update as a function of (1, N, D) data and uniforms (1, k, ...), which assigns all state."""
    visible, hidden, k, persistent = machine.visible, machine.hidden, options.k, options.rule == "pcd"
    params = [new_tensor(a) for a in machine.arrays().values()]
    speeds = [new_tensor(np.zeros_like(p._array)) for p in params]
    hyper = (options.lr, options.momentum, options.weight_decay)
    sparse = None if options.sparsity is None else (options.sparsity, options.sparsity_cost)

    def step(data: Tensor, hiddens: Tensor, visibles: Tensor) -> Tensor:
        v, uh, uv = (t._array[0] for t in (data, hiddens, visibles))
        xp = namespace_of(v)
        w, b, c = (p._array for p in params)
        h = hidden.mean(xp, c + v @ w)
        begin = hidden.mean(xp, c + chains._array @ w) if persistent else h
        last, answer, first = _walk(xp, (w, b, c), (visible, hidden), begin, uh, uv, persistent, k)
        n, m = v.shape[0], last.shape[0]
        direction = [
            v.T @ h / n - last.T @ answer / m,
            xp.sum(v, axis=0) / n - xp.sum(last, axis=0) / m,
            xp.sum(h, axis=0) / n - xp.sum(answer, axis=0) / m,
        ]
        if sparse is not None:
            pull = _pull(xp, activity._array, h, sparse)
            direction[0] = direction[0] + xp.outer(xp.sum(v, axis=0) / n, pull)
            direction[2] = direction[2] + pull
        shown = visible.mean(xp, b + h @ w.T) if persistent else first
        error = xp.sum((v - shown) * (v - shown)) / (n * v.shape[1])
        if persistent:
            chains._array[...] = last
        for p, s, g in zip(params, speeds, direction):
            move(p._array, s._array, g, *hyper)
        return new_tensor(error)

    return step


def _walk(
    xp: Any, wbc: tuple[Any, Any, Any], units: tuple[Units, Units], h: Any, uh: Any, uv: Any, drawn: bool, k: int
) -> tuple[Any, Any, Any]:
    """Return visible units and hidden means after k sweeps, and the visible means of the first.

    Hidden units are drawn. Visible ones are, too, but for the last of CD: there the means stand (Hinton 2010, 3).
    """
    (w, b, c), (visible, hidden) = wbc, units
    first = None
    for i in range(k):
        v = visible.mean(xp, b + xp.astype(uh[i] < h, uh.dtype) @ w.T)
        first = v if first is None else first
        if drawn or i < k - 1:
            v = xp.astype(uv[i] < v, uv.dtype)
        h = hidden.mean(xp, c + v @ w)
    return v, h, first


def _pull(xp: Any, activity: Any, h: Any, sparse: tuple[float, float]) -> Any:
    """Move the mean activity q a tenth towards the batch's, and return cost times (target - q)."""
    target, cost = sparse
    q = 0.9 * activity + 0.1 * (xp.sum(h, axis=0) / h.shape[0])
    activity[...] = q
    return cost * (target - q)
