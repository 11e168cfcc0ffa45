"""Two neighbouring layers of a deep Boltzmann machine, trained alone: an RBM whose inputs may count twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyaku.backend.random import Generator
from gyaku.energy.values import Momentum, batches, bernoulli
from gyaku.ops.activation import sigmoid_of

Array = NDArray[Any]


class Pair:
    """Weights ``w`` (lower, upper) and biases ``b``, ``c``, changed in place by contrastive divergence.

    ``up`` and ``down`` say how often the input from below and from above counts: 2 for a layer whose other neighbour is
    still missing. That is no RBM (an RBM has one W for both ways), so it has its own conditionals.
    """

    def __init__(self, w: Array, b: Array, c: Array, *, up: float = 1.0, down: float = 1.0, bias: bool = True) -> None:
        self.w, self.b, self.c, self.up, self.down = w, b, c, up, down
        self.ascent = Momentum([w, b, c] if bias else [w])

    def up_means(self, v: Array) -> Array:
        """Return the means of the upper layer."""
        return np.asarray(sigmoid_of(np, self.up * (v @ self.w) + self.c))

    def down_means(self, h: Array) -> Array:
        """Return the means of the lower layer."""
        return np.asarray(sigmoid_of(np, self.down * (h @ self.w.T) + self.b))

    def gradient(self, v: Array, generator: Generator, k: int) -> tuple[list[Array], float]:
        """Return CD-k's direction by w, b and c, and the squared error of the first reconstruction.

        The upper layer is drawn, the lower one is given by its means (G. Hinton, "A Practical Guide to Training
        Restricted Boltzmann Machines", 3).
        """
        first = h = self.up_means(v)
        error = 0.0
        for step in range(k):
            model = self.down_means(bernoulli(h, generator))
            h = self.up_means(model)
            error = float(np.square(v - model).mean()) if step == 0 else error
        pairs = (v.T @ first - model.T @ h) / len(v)
        return [pairs, v.mean(0) - model.mean(0), first.mean(0) - h.mean(0)], error

    def epoch(
        self, x: Array, generator: Generator, *, batch_size: int, lr: float, k: int, momentum: float, decay: float,
        on_batch: Callable[[int], Any],
    ) -> float:  # fmt: skip
        """Train on all rows once and return the mean squared error of a unit's reconstruction."""
        total = 0.0
        for rows in batches(len(x), batch_size, generator):
            gradients, error = self.gradient(x[rows], generator, k)
            self.ascent.step(gradients[: len(self.ascent.arrays)], lr, momentum, decay)
            total += error * len(rows)
            on_batch(1)
        return total / len(x)
