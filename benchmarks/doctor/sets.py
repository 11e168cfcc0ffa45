"""The data sets of the doctor's proof, each drawn anew for a seed: ready for training, nothing wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gyaku.data import digits as embedded
from gyaku.data import synthetic

Array = NDArray[Any]
Part = tuple[Array, Array]


class Set(NamedTuple):
    """A data set in three parts; ``outputs``: units of the last layer; ``good``: a score that training reaches."""

    name: str
    train: Part
    dev: Part
    test: Part
    outputs: int
    good: float  # accuracy on dev; for a regression the share of the variance explained

    @property
    def inputs(self) -> int:
        return int(self.train[0].shape[1])

    @property
    def regression(self) -> bool:
        return self.train[1].dtype.kind == "f"


def _parts(name: str, x: Array, t: Array, outputs: int, good: float, seed: int, sizes: tuple[int, int]) -> Set:
    order = np.random.default_rng(seed + 1000).permutation(len(x))
    a, b, c = np.split(order, [sizes[0], sizes[0] + sizes[1]])
    mean, std = x[a].mean(axis=0), x[a].std(axis=0)
    x = ((x - mean) / np.where(std > 1e-6, std, 1.0)).astype(np.float32)
    if t.dtype.kind == "f":
        t = ((t - t[a].mean(axis=0)) / t[a].std(axis=0)).astype(np.float32)
    return Set(name, (x[a], t[a]), (x[b], t[b]), (x[c], t[c]), outputs, good)


def digits(seed: int) -> Set:
    """The embedded handwritten digits, 64 pixels, 10 classes."""
    x, t = embedded()
    return _parts("digits", x.reshape(len(x), -1) / 16.0, t, 10, 0.92, seed, (1000, 400))


def table(seed: int) -> Set:
    """Ten columns, three classes with noise in them: no network answers more than about nine in ten right."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(1500, 10))
    W = np.random.default_rng(5).normal(size=(10, 3))
    score = x @ W + 1.5 * np.stack([x[:, 0] * x[:, 1], x[:, 2] ** 2 - 1, -x[:, 3] * x[:, 4]], axis=1)
    t = (score + 0.4 * rng.gumbel(size=score.shape)).argmax(axis=1)
    return _parts("table", x, t, 3, 0.8, seed, (900, 300))


def moons(seed: int) -> Set:
    """Two interleaved half circles."""
    x, t = synthetic.moons(1000, noise=0.15, seed=seed)
    return _parts("moons", x, t, 2, 0.94, seed, (600, 200))


def spirals(seed: int) -> Set:
    """Three arms of a spiral."""
    x, t = synthetic.spirals(1300, noise=0.03, seed=seed)
    return _parts("spirals", x, t, 3, 0.92, seed, (800, 250))


def curve(seed: int) -> Set:
    """A regression: six columns, a smooth function of five of them, a little noise."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, size=(1300, 6))
    y = np.sin(np.pi * x[:, 0] * x[:, 1]) + 2 * (x[:, 2] - 0.2) ** 2 + x[:, 3] + 0.5 * x[:, 4]
    return _parts("curve", x, (y + 0.1 * rng.normal(size=len(y)))[:, None], 1, 0.85, seed, (800, 250))


SETS: dict[str, Callable[[int], Set]] = {f.__name__: f for f in (digits, table, moons, spirals, curve)}
