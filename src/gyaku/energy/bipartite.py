"""Two sides of binary units, connected only across: everything exact, by listing the states of the smaller side.

log p(e, o) = e W o + b e + c o - log Z. Given one side, the other side's units are independent, so
2^min(E, O) terms do. The layers of a deep Boltzmann machine, even ones on one side and odd ones on the other, are such a
pair.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyaku.base.errors import ArgumentError
from gyaku.ops.activation import sigmoid_of, softplus_of

Array = NDArray[Any]
MOST = 25  # units of the listed side
_CHUNK = 2**14


@dataclass(frozen=True)
class Statistics:
    """``log_z``, and the means of e, of o and of the products e_i o_j, (E, O)."""

    log_z: float
    even: Array
    odd: Array
    both: Array


def states(n: int, start: int = 0, stop: int | None = None) -> Array:
    """Return all 2^n states of n binary units, or those of some numbers, in the order of counting; float64.

    >>> states(2).tolist()
    [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
    """
    numbers = np.arange(start, 2**n if stop is None else stop)
    return (numbers[:, None] >> np.arange(n) & 1).astype(np.float64)


def log_z(w: Array, b: Array, c: Array) -> float:
    """Return log Σ e^(e W o + b e + c o) over all states. Raises ``ArgumentError`` above 2^25 terms."""
    w, b, c, _ = _listed_first(w, b, c)
    return float(_log_sum([_log_sum(x) for x in (logs for _, logs in _terms(w, b, c))]))


def statistics(w: Array, b: Array, c: Array) -> Statistics:
    """Return log Z and the exact first and second moments. Raises ``ArgumentError`` above 2^25 terms."""
    w, b, c, swapped = _listed_first(w, b, c)
    total = log_z(w, b, c)
    even, odd, both = np.zeros(len(b)), np.zeros(len(c)), np.zeros(w.shape)
    for listed, logs in _terms(w, b, c):
        p = np.exp(logs - total)
        answers = sigmoid_of(np, c + listed @ w)
        even += p @ listed
        odd += p @ answers
        both += (listed * p[:, None]).T @ answers
    return Statistics(total, odd, even, both.T) if swapped else Statistics(total, even, odd, both)


def _listed_first(w: Array, b: Array, c: Array) -> tuple[Array, Array, Array, bool]:
    """Return the pair in float64 with the smaller side first, and whether that swapped them."""
    w, b, c = (np.asarray(a, dtype=np.float64) for a in (w, b, c))
    swapped = len(c) < len(b)
    if min(len(b), len(c)) > MOST:
        hint = "estimate it by annealed importance sampling"
        smaller = min(len(b), len(c))
        raise ArgumentError("exact log Z", f"at most {MOST} units on the smaller side", str(smaller), hint=hint)
    return (w.T, c, b, True) if swapped else (w, b, c, False)


def _terms(w: Array, b: Array, c: Array) -> Iterator[tuple[Array, Array]]:
    """Give the states of the first side in pieces, with log Σ_o of each."""
    for start in range(0, 2 ** len(b), _CHUNK):
        listed = states(len(b), start, min(start + _CHUNK, 2 ** len(b)))
        yield listed, listed @ b + softplus_of(np, c + listed @ w).sum(1)


def _log_sum(logs: Any) -> float:
    logs = np.asarray(logs)
    top = logs.max()
    return float(top + np.log(np.exp(logs - top).sum()))
