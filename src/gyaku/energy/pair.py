"""Two neighbouring layers trained as a restricted Boltzmann machine: the step of greedy training of deep models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyaku.backend.random import Generator
from gyaku.energy.values import Momentum, batches, bernoulli
from gyaku.ops.activation import sigmoid_of, softplus_of

Array = NDArray[Any]
RULES = ("cd", "pcd")
_CHAINS = 100
_JUDGED = 1000


class Pair:
    """Weights ``w`` (lower, upper) and biases ``b``, ``c``, changed in place by contrastive divergence.

    ``up`` and ``down`` say how often the input from below and from above counts: 1 for an RBM, 2 for a layer whose
    other neighbour is still missing (``DBM``). ``gaussian``: lower units are real, of deviation 1 around their means.
    ``rule`` ``cd`` starts the chains at the data, ``pcd`` goes on with 100 of its own (T. Tieleman, ICML 2008).
    """

    def __init__(
        self, w: Array, b: Array, c: Array, *, up: float = 1.0, down: float = 1.0, bias: bool = True,
        gaussian: bool = False, rule: str = "cd",
    ) -> None:  # fmt: skip
        self.w, self.b, self.c, self.up, self.down = w, b, c, up, down
        self.gaussian, self.persistent = gaussian, rule == "pcd"
        self.chains: Array | None = None
        self.ascent = Momentum([w, b, c] if bias else [w])

    def up_means(self, v: Array) -> Array:
        """Return the means of the upper layer."""
        return np.asarray(sigmoid_of(np, self.up * (v @ self.w) + self.c))

    def down_means(self, h: Array) -> Array:
        """Return the means of the lower layer."""
        pre = self.down * (h @ self.w.T) + self.b
        return np.asarray(pre if self.gaussian else sigmoid_of(np, pre))

    def gradient(self, v: Array, generator: Generator, k: int) -> tuple[list[Array], float]:
        """Return the direction of the rule with ``k`` Gibbs steps, and the squared error of one reconstruction.

        The upper layer is drawn. The lower one is given by its means under ``cd`` (G. Hinton, "A Practical Guide to
        Training RBMs", 3) and drawn under ``pcd``, whose chains must be samples of the model.
        """
        first = self.up_means(v)
        answer = self.down_means(bernoulli(first, generator))
        h = first
        if self.persistent:
            h = first[np.arange(_CHAINS) % len(first)] if self.chains is None else self.up_means(self.chains)
        for step in range(k):
            reuse = step == 0 and not self.persistent
            model = answer if reuse else self.down_means(bernoulli(h, generator))
            if self.persistent:
                model = self.chains = self._drawn(model, generator)
            h = self.up_means(model)
        pairs = v.T @ first / len(v) - model.T @ h / len(h)
        biases = [v.mean(0) - model.mean(0), first.mean(0) - h.mean(0)]
        return [pairs, *biases], float(np.square(v - answer).mean())

    def _drawn(self, means: Array, generator: Generator) -> Array:
        return means + generator.normal(means.shape, means.dtype) if self.gaussian else bernoulli(means, generator)

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

    def pseudo_likelihood(self, x: Array, generator: Generator) -> float | None:
        """Return an estimate of Σ_i log p(v_i | the others), mean over samples, in nats; None for Gaussian units.

        One unit a sample, drawn at random, stands for all (S. Marlin et al., AISTATS 2010); values between 0 and 1 are
        drawn first.
        """
        if self.gaussian:
            return None
        v = bernoulli(x[:_JUDGED], generator)
        rows, unit = np.arange(len(v)), generator.integers(0, v.shape[1], (len(v),))
        flipped = v.copy()
        flipped[rows, unit] = 1 - flipped[rows, unit]
        odds = log_weight(self.w, self.b, self.c, v) - log_weight(self.w, self.b, self.c, flipped)
        return float(-v.shape[1] * softplus_of(np, -odds).mean())


def log_weight(w: Array, b: Array, c: Array, v: Array) -> Array:
    """Return log Σ_h e^(v W h + b v + c h), (N,): minus the free energy of an RBM; log p(v) + log Z."""
    v, w, b, c = (a.astype(np.float64) for a in (v, w, b, c))
    return np.asarray(v @ b + softplus_of(np, v @ w + c).sum(1))


def first_biases(x: Array) -> Array:
    """Return log(p / (1 - p)) of the mean of each visible unit: the best independent units; p stays inside by 1/N."""
    p = np.clip(x.mean(0, dtype=np.float64), 1.0 / (len(x) + 1), 1.0 - 1.0 / (len(x) + 1))
    return np.asarray(np.log(p / (1.0 - p)), dtype=x.dtype)
