"""Annealed importance sampling: log Z of two connected sides of units, with its uncertainty.

Chains start from independent units (all weights 0, the biases kept), whose log Z is known, and walk while the weights
grow to their values; what a chain gains on its way is an unbiased weight. Source: R. Neal, "Annealed Importance
Sampling" (2001); R. Salakhutdinov, I. Murray, "On the Quantitative Analysis of Deep Belief Networks" (ICML 2008).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyaku.backend.random import Generator
from gyaku.base.errors import ArgumentError, DivergedError
from gyaku.energy.bipartite import Kinds
from gyaku.energy.units import Bernoulli

Array = NDArray[Any]


@dataclass(frozen=True)
class LogZ:
    """An estimate of log Z in nats, its standard error, and the chains' log weights (chains,), unbiased in Z."""

    log_z: float
    error: float
    weights: Array

    @property
    def interval(self) -> tuple[float, float]:
        """log Z three standard errors of Z below and above; -inf where the error is larger than Z itself."""
        share = 3.0 * self.error
        return self.log_z + (math.log1p(-share) if share < 1 else -math.inf), self.log_z + math.log1p(share)


def annealed_log_z(
    w: Array,
    b: Array,
    c: Array,
    *,
    chains: int = 100,
    steps: int = 10_000,
    kinds: Kinds | None = None,
    seed: int = 0,
    on_step: Callable[[int], Any] = lambda n: None,
) -> LogZ:
    """Estimate log Z of p(e, o) ~ e^(e W o + b e + c o - base) by ``chains`` annealed over ``steps`` growing weights.

    ``kinds``: the units of both sides; Bernoulli units where it is left out. ``on_step(1)`` is called after each step.
    The error is that of the mean weight, relative (so that of log Z). Raises ``ArgumentError`` for fewer than 2 chains
    or 1 step, ``DivergedError`` for parameters that are not finite.
    """
    if chains < 2 or steps < 1:
        raise ArgumentError("annealed log Z", "chains >= 2 and steps >= 1", f"{chains} and {steps}")
    if not all(np.isfinite(a).all() for a in (w, b, c)):
        raise DivergedError("annealed log Z", "finite weights", "NaN or infinity", hint="lower the learning rate")
    generator, back = Generator(seed).split("annealing"), np.ascontiguousarray(w.T)
    even, odd = kinds or (Bernoulli(len(b)), Bernoulli(len(c)))
    states = even.draw(even.mean(np, np.broadcast_to(b, (chains, len(b)))), generator)
    gained = np.zeros(chains)
    for step in range(1, steps + 1):
        share = np.asarray(step / steps, dtype=w.dtype)
        before = np.asarray((step - 1) / steps, dtype=w.dtype)
        pull = states @ w
        gained += odd.log_sum(np, c + share * pull) - odd.log_sum(np, c + before * pull)
        if step < steps:
            others = odd.draw(odd.mean(np, c + share * pull), generator)
            states = even.draw(even.mean(np, b + share * (others @ back)), generator)
        on_step(1)
    start = sum(float(u.log_sum(np, a.astype(np.float64))) for u, a in ((even, b), (odd, c)))
    top = gained.max()
    scaled = np.exp(gained - top)
    mean = scaled.mean()
    error = float(scaled.std(ddof=1) / (mean * math.sqrt(chains)))
    return LogZ(start + float(top + np.log(mean)), error, start + gained)
