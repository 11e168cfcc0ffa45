"""The little statistics that claims need: intervals over seeds, a paired rank test, its correction for many tests."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Student's t at 97.5 % for 1..30 degrees of freedom (any textbook's table); the normal beyond.
_T = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
    2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip


def interval(values: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the 95 % interval of the mean over the first axis (runs); one run gives the value itself twice."""
    v = np.asarray(values, dtype=np.float64)
    n, mean = len(v), v.mean(axis=0)
    if n < 2:
        return mean, mean
    half = (_T[n - 2] if n <= 31 else 1.96) * v.std(axis=0, ddof=1) / math.sqrt(n)
    return mean - half, mean + half


def wilcoxon(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the two-sided p-value of Wilcoxon's paired signed-rank test (1945), exact up to 20 pairs.

    >>> round(wilcoxon([1, 2, 3, 4, 5], [2, 4, 6, 8, 10]), 4)
    0.0625
    """
    d = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    d = d[d != 0]
    n = len(d)
    if n == 0:
        return 1.0
    ranks = _ranks(np.abs(d))
    smaller = min(float(ranks[d > 0].sum()), float(ranks[d < 0].sum()))
    if n <= 20:
        counts = _distribution(ranks)
        below = sum(c for s, c in counts.items() if s <= smaller + 1e-9)
        return float(min(1.0, 2.0 * below / 2**n))
    z = (smaller - ranks.sum() / 2) / math.sqrt(float((ranks**2).sum()) / 4)
    return min(1.0, math.erfc(-z / math.sqrt(2)))


def _ranks(values: NDArray[Any]) -> NDArray[Any]:
    """Return ranks from 1, ties sharing their mean."""
    order = np.argsort(values, kind="stable")
    ranks = np.empty(len(values))
    ranks[order] = np.arange(1, len(values) + 1)
    for v in np.unique(values):
        ranks[values == v] = ranks[values == v].mean()
    return ranks


def _distribution(ranks: NDArray[Any]) -> dict[float, int]:
    """Return {sum of a subset of ranks: number of subsets}."""
    counts = {0.0: 1}
    for r in ranks.tolist():
        added = {s + r: c for s, c in counts.items()}
        counts = {s: counts.get(s, 0) + added.get(s, 0) for s in set(counts) | set(added)}
    return counts


def holm(p: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number by Holm's step-down method (1979).

    >>> [round(v, 4) for v in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p)), key=lambda i: p[i])
    corrected = [0.0] * len(p)
    highest = 0.0
    for position, i in enumerate(order):
        highest = max(highest, min(1.0, (len(p) - position) * p[i]))
        corrected[i] = highest
    return corrected


def pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return all pairs of names, in order."""
    return list(itertools.combinations(names, 2))
