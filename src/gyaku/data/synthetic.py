"""Made-up data whose right answer is known: XOR, moons, circles, spirals, noisy curves.

Every function is ``(n, *, noise, seed) -> (x, t)``: x (n, D) float64, t (n,) int64 classes or float64 values; the same
arguments give the same bits. ``noise`` is a standard deviation in the units of x (of t for curves).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyaku.backend.random import Generator
from gyaku.base.errors import ArgumentError, UnknownNameError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CURVES: dict[str, Callable[[Any], Any]] = {
    "sin": lambda x: np.sin(2.0 * np.pi * x),
    "cos": lambda x: np.cos(2.0 * np.pi * x),
    "square": lambda x: x * x,
    "cubic": lambda x: x * x * x - 0.5 * x,
    "step": lambda x: np.where(x >= 0.0, 1.0, 0.0),
    "sinc": lambda x: np.sinc(4.0 * x),
}


def xor(n: int = 400, *, noise: float = 0.2, seed: int = 0) -> tuple[Floats, Ints]:
    """Four clouds around (±1, ±1); the class is 1 where the two signs differ. No straight line separates them.

    >>> x, t = xor(4, noise=0.0)
    >>> x.tolist(), t.tolist()
    ([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]], [0, 1, 1, 0])
    """
    corner = np.arange(_checked("xor", n, noise)) % 4
    x = np.stack([2.0 * (corner // 2) - 1.0, 2.0 * (corner % 2) - 1.0], axis=1)
    return _noisy("xor", x, noise, seed), (corner // 2) ^ (corner % 2)


def moons(n: int = 400, *, noise: float = 0.1, seed: int = 0) -> tuple[Floats, Ints]:
    """Two interleaved half circles of radius 1: class 0 around (0, 0), class 1 turned over, around (1, 0.5)."""
    t = np.arange(_checked("moons", n, noise)) % 2
    angle = np.pi * Generator(seed).split("moons").uniform((n,))
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    lower = np.stack([1.0 - np.cos(angle), 0.5 - np.sin(angle)], axis=1)
    return _noisy("moons", np.where(t[:, None] == 0, upper, lower), noise, seed), t


def circles(n: int = 400, *, noise: float = 0.08, seed: int = 0, factor: float = 0.5) -> tuple[Floats, Ints]:
    """Two circles around the origin: class 0 of radius 1, class 1 of radius ``factor``."""
    t = np.arange(_checked("circles", n, noise)) % 2
    angle = 2.0 * np.pi * Generator(seed).split("circles").uniform((n,))
    radius = np.where(t == 0, 1.0, factor)
    return _noisy("circles", radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1), noise, seed), t


def spirals(
    n: int = 600, *, noise: float = 0.05, seed: int = 0, classes: int = 3, turns: float = 0.75
) -> tuple[Floats, Ints]:
    """Return ``classes`` arms that wind ``turns`` times around the origin, radius 0.1 to 1."""
    if classes < 2:
        raise ArgumentError("spirals", "at least 2 classes", str(classes))
    t = np.arange(_checked("spirals", n, noise)) % classes
    radius = 0.1 + 0.9 * Generator(seed).split("spirals").uniform((n,))
    angle = 2.0 * np.pi * (turns * radius + t / classes)
    return _noisy("spirals", radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1), noise, seed), t


def noisy_curve(n: int = 200, *, noise: float = 0.1, seed: int = 0, curve: str = "sin") -> tuple[Floats, Floats]:
    """Return x (n, 1) uniform in [-1, 1) and t (n,) = f(x) + noise, with f one of ``CURVES`` (sin, cos, square, ...).

    Raises ``UnknownNameError`` for another curve.
    """
    if curve not in CURVES:
        raise UnknownNameError("noisy_curve", curve, CURVES, what="curve")
    stream = Generator(seed).split("curve")
    x = 2.0 * stream.uniform((_checked("noisy_curve", n, noise), 1)) - 1.0
    return x, CURVES[curve](x[:, 0]) + noise * stream.normal((n,))


def _checked(where: str, n: int, noise: float) -> int:
    if n < 1 or not 0.0 <= noise < np.inf:
        raise ArgumentError(where, "n >= 1 and noise >= 0", f"n={n}, noise={noise}")
    return int(n)


def _noisy(name: str, x: Floats, noise: float, seed: int) -> Floats:
    return x + noise * Generator(seed).split(name + " noise").normal(x.shape) if noise else x
