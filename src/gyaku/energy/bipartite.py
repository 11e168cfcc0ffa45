"""Two sides of units, connected only across: everything exact, by listing the states of the smaller side.

log p(e, o) = e W o + b e + c o - base - log Z. Given one side, the other side's units are independent, so as many
terms do as the smaller side has states (2^n for binary units). The layers of a deep Boltzmann machine, even ones on one
side and odd ones on the other, are such a pair.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyaku.base.errors import ArgumentError
from gyaku.energy.units import Bernoulli, Units
from gyaku.energy.units import states as states

Array = NDArray[Any]
Kinds = tuple[Units, Units]
MOST = 25  # units of the listed side
_CHUNK = 2**14


@dataclass(frozen=True)
class Statistics:
    """``log_z``, and the means of e, of o and of the products e_i o_j, (E, O)."""

    log_z: float
    even: Array
    odd: Array
    both: Array


def log_z(w: Array, b: Array, c: Array, kinds: Kinds | None = None) -> float:
    """Return log Σ e^(e W o + b e + c o) over all states. Raises ``ArgumentError`` above 2^25 terms.

    ``kinds``: the units of both sides; Bernoulli units where it is left out.
    """
    side = _listed_first(w, b, c, kinds)
    return float(_log_sum([_log_sum(logs) for _, logs in _terms(side)]))


def statistics(w: Array, b: Array, c: Array, kinds: Kinds | None = None) -> Statistics:
    """Return log Z and the exact first and second moments. Raises ``ArgumentError`` above 2^25 terms."""
    side = _listed_first(w, b, c, kinds)
    w, b, c = side.w, side.b, side.c
    total = log_z(w, b, c, side.kinds)
    even, odd, both = np.zeros(len(b)), np.zeros(len(c)), np.zeros(w.shape)
    for listed, logs in _terms(side):
        p = np.exp(logs - total)
        answers = side.kinds[1].mean(np, c + listed @ w)
        even += p @ listed
        odd += p @ answers
        both += (listed * p[:, None]).T @ answers
    return Statistics(total, odd, even, both.T) if side.swapped else Statistics(total, even, odd, both)


@dataclass(frozen=True)
class _Sides:
    """The pair in float64 with the side that is listed first, and whether that swapped them."""

    w: Array
    b: Array
    c: Array
    kinds: Kinds
    swapped: bool


def _listed_first(w: Array, b: Array, c: Array, kinds: Kinds | None) -> _Sides:
    w, b, c = (np.asarray(a, dtype=np.float64) for a in (w, b, c))
    even, odd = kinds or (Bernoulli(len(b)), Bernoulli(len(c)))
    if min(even.count, odd.count) > 2**MOST:
        hint = "estimate it by annealed importance sampling"
        smaller = str(min(len(b), len(c)))
        raise ArgumentError("exact log Z", f"at most {MOST} units on the smaller side", smaller, hint=hint)
    if odd.count < even.count:
        return _Sides(w.T, c, b, (odd, even), True)
    return _Sides(w, b, c, (even, odd), False)


def _terms(side: _Sides) -> Iterator[tuple[Array, Array]]:
    """Give the states of the first side in pieces, with log Σ_o of each."""
    count = int(side.kinds[0].count)
    for start in range(0, count, _CHUNK):
        listed = side.kinds[0].states(start, min(start + _CHUNK, count))
        yield listed, listed @ side.b + side.kinds[1].log_sum(np, side.c + listed @ side.w)


def _log_sum(logs: Any) -> float:
    logs = np.asarray(logs)
    top = logs.max()
    return float(top + np.log(np.exp(logs - top).sum()))
