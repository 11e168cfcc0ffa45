"""The error of numerical differentiation against its step: truncation to the right, rounding to the left (S1 §10)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gyaku.base.errors import ArgumentError, UnknownNameError
from gyaku.check.case import Case
from gyaku.check.numeric import moved

Array = Any
STEPS = np.logspace(0, -13, 53)


class Curve(NamedTuple):
    """Relative errors of differences for one element of one array; ``backward``: that of the gradient from backward."""

    title: str
    name: str
    place: tuple[int, ...]
    h: Array
    forward: Array
    central: Array
    backward: float

    @property
    def best(self) -> tuple[float, float]:
        """The step at which the central difference is best, and its error there."""
        i = int(np.argmin(self.central))
        return float(self.h[i]), float(self.central[i])


def measured(c: Case, title: str, name: str | None = None, place: tuple[int, ...] | None = None) -> Curve:
    """Return the curve of one element (the one with the largest gradient, unless given).

    The error is measured against the extrapolated derivative, which is right to about 1e-11.
    Raises ``UnknownNameError`` for an array that gets no gradient, ``ArgumentError`` for an element out of range
    or a layer whose forward does not run.
    """
    if not hasattr(c, "jac"):
        raise ArgumentError("curve", "a layer whose forward runs and gives finite numbers", title)
    name = name or c.names[0]
    if name not in c.names:
        raise UnknownNameError("curve", name, c.names, what="array")
    exact = c.numerical(name)
    place = (
        tuple(int(i) for i in np.unravel_index(int(np.abs(exact).argmax()), exact.shape)) if place is None else place
    )
    if len(place) != exact.ndim or any(not -n <= i < n for i, n in zip(place, exact.shape)):
        raise ArgumentError("curve", f"an element of {name} {exact.shape}", str(place))
    one, two = zip(*[_errors(c, name, place, float(h), float(exact[place])) for h in STEPS])
    g = c.gradient(name)
    off = abs(float(g[place]) / float(exact[place]) - 1) if g is not None and g.shape == exact.shape else float("nan")
    return Curve(title, name, place, STEPS, np.array(one), np.array(two), off)


def _errors(c: Case, name: str, place: tuple[int, ...], h: float, exact: float) -> tuple[float, float]:
    """Return the relative errors of the one-sided and the central difference with step ``h``."""

    def value(by: float) -> float:
        return float(c.dout.reshape(-1) @ moved(c.flat, c.arrays, name, place, by))

    middle, up, down = value(0.0), value(h), value(-h)
    scale = abs(exact) or 1.0
    return abs((up - middle) / h - exact) / scale, abs((up - down) / (2 * h) - exact) / scale
