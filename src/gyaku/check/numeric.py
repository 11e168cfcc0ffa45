"""Numerical derivatives: central differences, extrapolated to step zero, and what can spoil them (S1 §10)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Array = Any
Arrays = dict[str, Any]
Forward = Callable[[Arrays], Any]  # all arrays by name -> y, flat

STEP = 1e-3  # the largest of three steps (h, h/2, h/4): the extrapolated error is about h⁶ f⁽⁷⁾ / 5000
COARSE = 0.06  # where forward rounds to float32
_NOISE = 1e-11  # relative rounding of a forward in float64 is about 1e-16, in float32 1e-7


class Jacobian(NamedTuple):
    """``values`` (y.size, a.size), the estimated error of each, and for each element whether it lies at a kink."""

    values: Array
    error: Array
    kink: Array


def jacobian(
    f: Forward, arrays: Arrays, name: str, picks: Any = None, step: float = STEP, coarse: bool = False
) -> Jacobian:
    """Return dy/da for the elements of the array ``name``, each by six values of ``f`` (Richardson, three steps).

    ``picks`` are the positions of the elements (in the flat array), all if None.
    """
    a = arrays[name]
    middle = f(arrays)
    places = np.ndindex(a.shape) if picks is None else [np.unravel_index(int(i), a.shape) for i in picks]
    columns = [_column(f, arrays, name, place, middle, step, coarse) for place in places]
    if not columns:
        empty = np.zeros((middle.size, 0))
        return Jacobian(empty, empty, np.zeros(0, dtype=bool))
    return Jacobian(*[np.stack(part, axis=-1) for part in zip(*columns)])


def _column(f: Forward, arrays: Arrays, name: str, place: Any, middle: Array, step: float, coarse: bool) -> Any:
    """Return derivatives by one element, their error, and whether the element lies at a kink."""
    h = step * max(1.0, abs(float(arrays[name][place])))
    ends = {k: (moved(f, arrays, name, place, h / k), moved(f, arrays, name, place, -h / k)) for k in (1, 2, 4)}
    central = [(up - down) * k / (2 * h) for k, (up, down) in ends.items()]
    first = [(4 * b - a) / 3 for a, b in zip(central, central[1:])]
    best = (16 * first[1] - first[0]) / 15
    error = np.abs(best - first[1])
    bend = [(up - 2 * middle + down) * k / h for k, (up, down) in ends.items()]  # difference of the two slopes
    scale = 1 + float(np.abs(best).max(initial=0.0))
    corner = np.abs(bend[2] - bend[0] / 4).max(initial=0.0) > (0.1 if coarse else 1e-5) * scale  # smooth: falls with h
    return best, error, bool(corner or error.max(initial=0.0) > (1e-2 if coarse else 1e-5) * scale)


def moved(f: Forward, arrays: Arrays, name: str, place: Any, by: float) -> Array:
    """Return ``f`` with one element of one array moved."""
    a = arrays[name].copy()
    a[place] += by
    return f({**arrays, name: a})


def rounds_coarsely(f: Forward, arrays: Arrays, names: list[str]) -> bool:
    """Whether forward rounds more than float64 does.

    Third differences over small steps show nothing but rounding; over still smaller ones the output must move.
    """
    draw = np.random.RandomState(0)
    ways = {k: draw.normal(size=arrays[k].shape) for k in names}

    def along(t: float) -> Array:
        return f({**arrays, **{k: arrays[k] + t * w for k, w in ways.items()}})

    values = np.stack([along(3e-7 * i) for i in range(6)])
    scale = 1 + np.abs(values).max(initial=0.0)
    rough = np.abs(np.diff(values, n=3, axis=0)).max(initial=0.0) > _NOISE * scale
    stuck = np.array_equal(values[0], values[-1]) and np.abs(along(1e-2) - values[0]).max(initial=0.0) > 1e-4 * scale
    return bool(rough or stuck)
