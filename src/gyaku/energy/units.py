"""The units of one side of a Boltzmann machine, given their total input a: means, draws, and the sum over their states.

Every kind has p(s | a) ~ e^(a s - base(s)), so the machine's formulas know nothing of kinds:

| kind | states | base | mean | log Σ_s e^(a s - base(s)) |
|---|---|---|---|---|
| Bernoulli | 0, 1 | 0 | sigmoid(a) | Σ log(1 + e^a) |
| Softmax | one 1 in each group | 0 | softmax(a) | Σ_groups log Σ e^a |
| Gaussian, variance 1 | real numbers | s²/2 | a | Σ (a²/2 + log(2π)/2) |
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyaku.backend.random import Generator
from gyaku.base.errors import ArgumentError
from gyaku.energy.values import bernoulli
from gyaku.ops.activation import log_softmax_of, sigmoid_of, softmax_of, softplus_of

Array = NDArray[Any]
_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


def states(n: int, start: int = 0, stop: int | None = None) -> Array:
    """Return all 2^n states of n binary units, or those of some numbers, in the order of counting; float64.

    >>> states(2).tolist()
    [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
    """
    numbers = np.arange(start, 2**n if stop is None else stop)
    return (numbers[:, None] >> np.arange(n) & 1).astype(np.float64)


class Units:
    """``size`` units of one kind. Arrays are (N, size); formulas are in array language."""

    kind = ""
    binary = True  # whether data of these units lie in [0, 1]
    parts: tuple[Units, ...] = ()

    def __init__(self, size: int) -> None:
        self.size = size

    def mean(self, xp: Any, a: Any) -> Any:
        """Return E[s | a]."""
        raise NotImplementedError

    def draw(self, mean: Array, generator: Generator) -> Array:
        """Return draws of s from their mean, in its dtype."""
        raise NotImplementedError

    def log_sum(self, xp: Any, a: Any) -> Any:
        """Return log Σ_s e^(a s - base(s)), (N,); an integral where s is real."""
        raise NotImplementedError

    def base(self, xp: Any, s: Any) -> Any:
        """Return base(s), (N,), or 0."""
        return 0

    def first_biases(self, x: Array) -> Array:
        """Return the biases under which independent units have the means of the rows ``x``."""
        raise NotImplementedError

    @property
    def count(self) -> float:
        """The number of states; infinity where s is real."""
        raise NotImplementedError

    def states(self, start: int, stop: int) -> Array:
        """Return states number ``start`` to ``stop``, float64."""
        raise NotImplementedError


class Bernoulli(Units):
    """Units that are 0 or 1; their data may be any value in [0, 1], a probability."""

    kind = "bernoulli"

    def mean(self, xp: Any, a: Any) -> Any:
        """Return E[s | a]."""
        return sigmoid_of(xp, a)

    def draw(self, mean: Array, generator: Generator) -> Array:
        """Return draws of s from their mean."""
        return bernoulli(mean, generator)

    def log_sum(self, xp: Any, a: Any) -> Any:
        """Return log Σ_s e^(a s - base(s)), (N,)."""
        return xp.sum(softplus_of(xp, a), axis=-1)

    def first_biases(self, x: Array) -> Array:
        """Return log(p / (1 - p)) of the mean of each unit; p stays inside (0, 1) by 1/N."""
        p = np.clip(x.mean(0, dtype=np.float64), 1.0 / (len(x) + 1), 1.0 - 1.0 / (len(x) + 1))
        return np.asarray(np.log(p / (1.0 - p)), dtype=x.dtype)

    @property
    def count(self) -> float:
        """The number of states."""
        return 2.0**self.size

    def states(self, start: int, stop: int) -> Array:
        """Return states number ``start`` to ``stop``."""
        return states(self.size, start, stop)


class Softmax(Units):
    """``groups`` equal groups of units, in each of which exactly one is 1."""

    kind = "softmax"

    def __init__(self, size: int, groups: int = 1) -> None:
        super().__init__(size)
        if groups < 1 or size % groups:
            raise ArgumentError("softmax units", "groups that divide the units", f"{groups} groups of {size} units")
        self.groups = groups

    def _grouped(self, xp: Any, a: Any) -> Any:
        return xp.reshape(a, (*a.shape[:-1], self.groups, self.size // self.groups))

    def mean(self, xp: Any, a: Any) -> Any:
        """Return E[s | a]."""
        return xp.reshape(softmax_of(xp, self._grouped(xp, a), -1), a.shape)

    def draw(self, mean: Array, generator: Generator) -> Array:
        """Return one-hot groups: the first unit at which the sum of the probabilities passes a uniform number."""
        p = np.cumsum(self._grouped(np, mean), axis=-1, dtype=np.float64)
        u = generator.uniform(p.shape[:-1])[..., None] * p[..., -1:]
        chosen = (u >= p[..., :-1]).sum(-1)
        return np.eye(p.shape[-1], dtype=mean.dtype)[chosen].reshape(mean.shape)

    def log_sum(self, xp: Any, a: Any) -> Any:
        """Return log Σ_s e^(a s - base(s)), (N,)."""
        grouped = self._grouped(xp, a)
        first = grouped[..., 0]  # log Σ e^a = a_0 - log softmax(a)_0
        return xp.sum(first - log_softmax_of(xp, grouped, -1)[..., 0], axis=-1)

    def first_biases(self, x: Array) -> Array:
        """Return the biases under which independent units have the means of ``x``."""
        return np.asarray(np.log(x.mean(0, dtype=np.float64) + 1.0 / (len(x) + 1)), dtype=x.dtype)

    @property
    def count(self) -> float:
        """The number of states."""
        return float(self.size // self.groups) ** self.groups

    def states(self, start: int, stop: int) -> Array:
        """Return states number ``start`` to ``stop``."""
        n = self.size // self.groups
        digits = np.arange(start, stop)[:, None] // n ** np.arange(self.groups) % n
        return np.eye(n)[digits].reshape(stop - start, self.size)


class Gaussian(Units):
    """Real units of variance 1 around their input. Standardise data to mean 0 and deviation 1 first."""

    kind = "gaussian"
    binary = False

    def mean(self, xp: Any, a: Any) -> Any:
        """Return E[s | a]."""
        return a

    def draw(self, mean: Array, generator: Generator) -> Array:
        """Return draws of s from their mean."""
        return mean + generator.normal(mean.shape, mean.dtype)

    def log_sum(self, xp: Any, a: Any) -> Any:
        """Return log Σ_s e^(a s - base(s)), (N,)."""
        return xp.sum(0.5 * a * a + _HALF_LOG_2PI, axis=-1)

    def base(self, xp: Any, s: Any) -> Any:
        """Return base(s), (N,)."""
        return 0.5 * xp.sum(s * s, axis=-1)

    def first_biases(self, x: Array) -> Array:
        """Return the biases under which independent units have the means of ``x``."""
        return np.asarray(x.mean(0, dtype=np.float64), dtype=x.dtype)

    @property
    def count(self) -> float:
        """The number of states."""
        return math.inf


class Joined(Units):
    """Kinds side by side, such as pixels and the softmax group of a label."""

    def __init__(self, parts: Sequence[Units]) -> None:
        super().__init__(sum(p.size for p in parts))
        self.parts = tuple(parts)
        ends = np.cumsum([p.size for p in parts]).tolist()
        self.slices = [slice(end - p.size, end) for p, end in zip(parts, ends, strict=True)]
        self.kind = "+".join(p.kind for p in parts)
        self.binary = all(p.binary for p in parts)

    def _each(self, s: Any) -> list[tuple[Units, Any]]:
        return [(p, s[..., cut]) for p, cut in zip(self.parts, self.slices, strict=True)]

    def mean(self, xp: Any, a: Any) -> Any:
        """Return E[s | a]."""
        return xp.concatenate([p.mean(xp, x) for p, x in self._each(a)], axis=-1)

    def draw(self, mean: Array, generator: Generator) -> Array:
        """Return draws of s from their mean."""
        return np.concatenate([p.draw(m, generator) for p, m in self._each(mean)], axis=-1)

    def log_sum(self, xp: Any, a: Any) -> Any:
        """Return log Σ_s e^(a s - base(s)), (N,)."""
        return sum(p.log_sum(xp, x) for p, x in self._each(a))

    def base(self, xp: Any, s: Any) -> Any:
        """Return base(s), (N,)."""
        return sum(p.base(xp, x) for p, x in self._each(s))

    def first_biases(self, x: Array) -> Array:
        """Return the biases under which independent units have the means of ``x``."""
        return np.concatenate([p.first_biases(part) for p, part in self._each(x)])

    @property
    def count(self) -> float:
        """The number of states."""
        return math.prod(p.count for p in self.parts)

    def states(self, start: int, stop: int) -> Array:
        """Return states number ``start`` to ``stop``."""
        numbers, columns = np.arange(start, stop), []
        for p in self.parts:
            n = int(p.count)
            columns.append(p.states(0, n)[numbers % n])
            numbers = numbers // n
        return np.concatenate(columns, axis=1)


KINDS: dict[str, type[Units]] = {"bernoulli": Bernoulli, "softmax": Softmax, "gaussian": Gaussian}
