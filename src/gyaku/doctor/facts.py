"""What the data alone tells: scale of the inputs, classes, samples that occur twice, labels against neighbours."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gyaku.doctor.library import Array
from gyaku.doctor.plan import Pair, Plan

_BASE = 4096  # rows among which neighbours are looked for
_ASKED = 512  # rows whose neighbours are looked for
_NEIGHBOURS = 10
_GROUP = 12  # neighbours in each of two groups that vote apart
_CLEAR = 20  # rows with clear neighbours that are needed to judge
_ENOUGH = 4  # features; in fewer dimensions rows are close to each other by chance
_NEAR = 0.05  # a held-out row this close to a training row, against the usual distance, is the same sample


@dataclass
class DataFacts:
    """Measured on the data; shares are of rows, ``None`` where a question makes no sense."""

    n: int
    features: int
    mean: float = 0.0  # |mean| over the deviation, all inputs together
    scale: float = 1.0  # root mean square of all inputs
    spread: float = 1.0  # largest over median deviation of the features that vary
    feature: int = 0  # the feature of the largest deviation
    finite: bool = True
    classes: int = 0
    shares: list[float] = field(default_factory=list)  # of the classes 0..max
    pixels: bool = False  # the classes are those of pixels
    lowest: int = 0
    highest: int = 0
    repeated: float | None = None  # training rows that are a copy of an earlier one
    leaked: float | None = None  # held-out rows that are training rows
    part: str = ""
    contradicted: float | None = None  # labels that most of ten neighbours contradict
    clearly: float | None = None  # of the rows nine of whose ten neighbours agree: labels that contradict them
    evenly: float = 0.0  # how evenly the contradicted labels are spread over the other classes (1: at random)
    doubtful: float = 0.0  # how much oftener two groups of neighbours agree with each other than with the label
    reachable: float | None = None  # accuracy (for values: share of the variance) that ten neighbours reach


@np.errstate(all="ignore")  # huge values are told as a finding, not warned of
def facts_of(plan: Plan, *, asked: int = _ASKED, base: int = _BASE) -> DataFacts:
    """Return the facts of the training rows and of what is held out; ``asked`` rows are looked up among ``base``."""
    x = _matrix(plan.x)
    found = DataFacts(len(x), x.shape[1])
    _scales(found, x)
    if plan.classes:
        _classes(found, plan.t)
    if not found.finite or plan.x.dtype.kind != "f":
        return found
    _copies(found, x, plan)
    standard = _standardised(x, x)
    for part, held in (("test", plan.test), ("dev", plan.dev)):
        if held is not None and len(held[0]):
            _leaks(found, part, x, held, standard, asked, base)
    labels = plan.labels
    if found.pixels:  # a row has no label that its neighbours could contradict
        return found
    if labels is None and len(x) >= 50:
        _values(found, standard, plan.t, asked, base)
    elif labels is not None and len(np.unique(labels)) > 1 and len(x) >= 100:
        _neighbours(found, standard, labels, asked, base)
    return found


def _matrix(x: Array) -> Array:
    return x.reshape(len(x), -1).astype(np.float32, copy=False)


def _scales(found: DataFacts, x: Array) -> None:
    found.finite = bool(np.isfinite(x).all())
    if not found.finite or not x.size:
        return
    deviations = x.std(axis=0, dtype=np.float64)
    varying = deviations > 0
    found.scale = float(np.sqrt((x.astype(np.float64) ** 2).mean()))
    if varying.any():
        found.feature = int(deviations.argmax())
        found.spread = float(deviations.max() / np.median(deviations[varying]))
        found.mean = float(abs(x.mean(dtype=np.float64)) / max(float(x.std(dtype=np.float64)), 1e-30))


def _classes(found: DataFacts, t: Array) -> None:
    from gyaku.doctor.plan import labels_of

    labels = labels_of(t)
    labels = labels[labels != -100]  # PyTorch's mark of rows without a label
    if len(labels):
        found.lowest, found.highest = int(labels.min()), int(labels.max())
        counts = np.bincount(labels - min(0, found.lowest))
        found.shares = (counts / len(labels)).tolist()
        found.pixels = t.ndim > 2
        found.classes = int((counts > 0).sum())


def _keys(x: Array) -> list[bytes]:
    """Return one comparable value a row (equal rows, equal values)."""
    return [row.tobytes() for row in np.ascontiguousarray(x + 0.0)]  # -0 becomes 0


def _copies(found: DataFacts, x: Array, plan: Plan) -> None:
    if x.shape[1] >= 2:
        both = np.concatenate([x, plan.t.reshape(len(x), -1).astype(np.float32)], axis=1)
        found.repeated = 1.0 - len(set(_keys(both))) / len(x)


def _leaks(found: DataFacts, part: str, x: Array, held: Pair, standard: Array, asked: int, base: int) -> None:
    """Count held-out rows that stand in the training part too, exactly or up to a little noise."""
    other = _matrix(held[0])
    if other.shape[1] != x.shape[1] or x.shape[1] < 2:
        return
    known = set(_keys(x))
    share = sum(key in known for key in _keys(other)) / len(other)
    rows = _standardised(other, x)[: asked // 2]
    if len(x) <= base and len(x) > 20 and x.shape[1] >= _ENOUGH:
        usual = np.median(np.sqrt(_two_nearest(standard[: asked // 4], standard)[:, 1]))
        near = np.sqrt(_two_nearest(rows, standard)[:, 0])
        if usual > 0:
            share = max(share, float((near < _NEAR * usual).mean()))
    if found.leaked is None or share > found.leaked:
        found.leaked, found.part = share, part


def _standardised(x: Array, by: Array) -> Array:
    deviation = by.std(axis=0)
    keep = deviation > 0
    if by.shape[1] > 40:  # images: one scale for all pixels, or rare ones would count most
        return np.asarray((x - by.mean()) / max(float(by.std()), 1e-30), dtype=np.float32)
    return np.asarray(((x - by.mean(axis=0)) / np.where(keep, deviation, 1.0))[:, keep], dtype=np.float32)


def _distances(a: Array, b: Array) -> Array:
    """Return squared distances (n, m)."""
    squares = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1)[None] - 2.0 * (a @ b.T)
    return np.asarray(np.maximum(squares, 0.0))


def _two_nearest(a: Array, b: Array) -> Array:
    """Return the two smallest squared distances of each row of ``a`` to rows of ``b`` (n, 2), computed exactly."""
    d = _distances(a, b)
    best = np.argpartition(d, 1, axis=1)[:, :2]
    exact = ((a[:, None] - b[best]) ** 2).sum(axis=2)
    return np.sort(exact, axis=1)


def _nearest(standard: Array, t: Array, asked: int, base: int, many: int = _NEIGHBOURS) -> tuple[Array, Array, Array]:
    """Return the targets among which was looked, the rows asked, and the ``many`` others next to each, in order."""
    rows = np.linspace(0, len(standard) - 1, min(len(standard), base)).astype(int)
    among = standard[rows]
    chosen = np.linspace(0, len(among) - 1, min(len(among), asked)).astype(int)
    d = _distances(among[chosen], among)
    d[np.arange(len(chosen)), chosen] = np.inf
    near = np.argpartition(d, many, axis=1)[:, :many]
    by_distance = np.argsort(np.take_along_axis(d, near, axis=1), axis=1, kind="stable")
    return t[rows], chosen, np.take_along_axis(near, by_distance, axis=1)


def _values(found: DataFacts, standard: Array, t: Array, asked: int, base: int) -> None:
    """Ask the neighbours for the value: how much of the variance their mean explains."""
    values, rows, near = _nearest(standard, t.reshape(len(t), -1).astype(np.float64), asked, base)
    error = ((values[near].mean(axis=1) - values[rows]) ** 2).mean() / max(float(values.var()), 1e-30)
    found.reachable = float(max(0.0, 1.0 - error))


def _neighbours(found: DataFacts, standard: Array, labels: Array, asked: int, base: int) -> None:
    """Ask the ten nearest rows of some rows for the label."""
    t, rows, wide = _nearest(standard, labels, asked, base, 2 * _GROUP)
    kinds, near = np.unique(t), wide[:, :_NEIGHBOURS]
    found.doubtful = _doubtful(t, rows, wide, kinds)
    votes = np.stack([(t[near] == k).sum(axis=1) for k in kinds], axis=1)
    said, mine = kinds[votes.argmax(axis=1)], t[rows]
    sure = votes.max(axis=1) >= 0.7 * _NEIGHBOURS
    wrong = sure & (said != mine)
    clear = votes.max(axis=1) >= 0.9 * _NEIGHBOURS
    found.clearly = float((said != mine)[clear].mean()) if clear.sum() >= _CLEAR else None
    found.contradicted, found.reachable = float(wrong.mean()), float((said == mine).mean())
    pairs: dict[tuple[Any, Any], int] = {}
    for a, b in zip(said[wrong].tolist(), mine[wrong].tolist(), strict=True):
        pairs[a, b] = pairs.get((a, b), 0) + 1
    if pairs:
        p = np.array(list(pairs.values())) / sum(pairs.values())
        most = np.log(min(len(kinds) * (len(kinds) - 1), int(wrong.sum())))
        found.evenly = float(-(p * np.log(p)).sum() / most) if most > 0 else 1.0


def _doubtful(t: Array, rows: Array, near: Array, kinds: Array) -> float:
    """Return how much oftener two groups of neighbours agree with each other than with the label, less its own error.

    Where classes overlap, all three are unsure of the same rows, and it is 0; wrong labels trouble only the third.
    """
    one, two = (kinds[np.stack([(t[near[:, i::2]] == k).sum(axis=1) for k in kinds], axis=1).argmax(axis=1)]
                for i in (0, 1))  # fmt: skip
    mine = t[rows]
    agree, believe = (one == two).mean(), ((one == mine).mean() + (two == mine).mean()) / 2
    return float(agree - believe - 1.0 / np.sqrt(len(rows)))
