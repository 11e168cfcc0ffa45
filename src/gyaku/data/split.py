"""Train, dev and test (S2; lecture row 2.7): stratified, at random, by time, or by group."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gyaku.backend.random import Generator
from gyaku.base.errors import ArgumentError, DataError
from gyaku.data.source import as_text
from gyaku.data.target import refuse_missing

Rows = NDArray[np.int64]
_DATE = re.compile(
    r"\s*(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?(?:[T ]+(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d{1,6})?))?)?Z?\s*"
)


class Split(NamedTuple):
    """Row numbers of the three parts: disjoint, together all rows, each in rising order."""

    train: Rows
    dev: Rows
    test: Rows


def split_random(n: int, dev: float, test: float, generator: Generator) -> Split:
    """Deal n rows out at random: round(n test) to test, round(n dev) to dev, the rest to train."""
    n_dev, n_test = part_sizes(n, dev, test)
    return _cut(generator.permutation(n), n_dev, n_test)


def split_stratified(t: NDArray[np.int64], dev: float, test: float, generator: Generator) -> Split:
    """As ``split_random``, every class in each part by its share, to a row or two; each class has a row in train."""
    n_dev, n_test = part_sizes(len(t), dev, test)
    return _cut(stratified_order(t, generator), n_dev, n_test)


def stratified_order(t: NDArray[np.int64], generator: Generator) -> Rows:
    """Return an order of the rows in which every beginning holds the classes by their shares, to within one row.

    In random order within its class, row i of n_k stands at (i + 1/2) / n_k; the last of each class stands at the end.
    """
    shuffled = generator.permutation(len(t))
    by_class = shuffled[np.argsort(t[shuffled], kind="stable")]
    classes = t[by_class]
    starts = np.searchsorted(classes, classes, side="left")
    sizes = np.searchsorted(classes, classes, side="right") - starts
    rank = np.arange(len(t)) - starts
    place = np.where(rank == sizes - 1, 2.0, (rank + 0.5) / np.maximum(sizes, 1))
    return by_class[np.argsort(place, kind="stable")]


def split_time(column: NDArray[Any], dev: float, test: float, where: str) -> Split:
    """The last rows by ``column`` are test, those before them dev, the first train; equal times keep their order."""
    order = np.argsort(as_times(column, where), kind="stable")[::-1]
    return _cut(order, *part_sizes(len(column), dev, test))


def split_groups(column: NDArray[Any], dev: float, test: float, generator: Generator, where: str) -> Split:
    """No group of ``column`` in two parts; parts are as near to their sizes as whole groups allow.

    Raises ``DataError`` when there are fewer groups than parts.
    """
    refuse_missing(column, where)
    names, group = np.unique(np.array(as_text(column), dtype=np.str_), return_inverse=True)
    parts = 1 + (dev > 0) + (test > 0)
    if len(names) < parts:
        raise DataError(where, f"at least {parts} groups", str(len(names)))
    sizes = np.bincount(group)
    of_group = _deal(sizes, generator.permutation(len(names)), *part_sizes(len(column), dev, test))
    part = of_group[group]
    return Split(*(np.flatnonzero(part == i) for i in range(3)))


def _deal(sizes: NDArray[Any], order: Rows, n_dev: int, n_test: int) -> Rows:
    """Give each group a part (0 train, 1 dev, 2 test): a part takes a group while at least half of it still fits."""
    part = np.zeros(len(sizes), dtype=np.int64)
    room = {2: n_test, 1: n_dev}
    for wanted in (2, 1):
        if not room[wanted]:
            continue
        free = [g for g in order.tolist() if part[g] == 0]
        for g in free[: len(free) - wanted]:  # a group stays for each part still to be filled
            if room[wanted] >= sizes[g] / 2:
                part[g], room[wanted] = wanted, room[wanted] - int(sizes[g])
        if not (part == wanted).any():
            part[min(free, key=lambda g: int(sizes[g]))] = wanted
    return part


def part_sizes(n: int, dev: float, test: float) -> tuple[int, int]:
    """Return how many of n rows go to dev and to test; at least one where a share above 0 was asked for.

    Raises ``ArgumentError`` for shares outside [0, 1) or that leave nothing to train on.
    """
    if not (0.0 <= dev < 1.0 and 0.0 <= test < 1.0 and dev + test < 1.0):
        raise ArgumentError("split", "shares dev >= 0 and test >= 0 with dev + test < 1", f"dev={dev}, test={test}")
    n_dev, n_test = (max(round(n * share), 1) if share else 0 for share in (dev, test))
    if n_dev + n_test >= n:
        raise DataError("split", f"more than {n_dev + n_test} rows", str(n), hint="bring more rows, or smaller shares")
    return n_dev, n_test


def as_times(column: NDArray[Any], where: str) -> NDArray[Any]:
    """Return numbers as they are and dates (2026-01-31, 2026/1/31 09:30, 2026年1月31日) as seconds.

    Raises ``DataError`` naming row and value of a cell that is missing or neither.
    """
    refuse_missing(column, where)
    if column.dtype.kind != "O":
        return column
    seconds = np.empty(len(column), dtype=np.float64)
    for row, cell in enumerate(column.tolist()):
        try:
            seconds[row] = _seconds(cell)
        except ValueError:
            raise DataError(where, "numbers or dates such as 2026-01-31 09:30", f"{cell!r} in row {row + 1}") from None
    return seconds


def _seconds(cell: str) -> float:
    found = _DATE.fullmatch(cell)
    if not found:
        raise ValueError(cell)
    year, month, day, hour, minute, second = found.groups(default="0")
    date = np.datetime64(f"{year}-{int(month):02d}-{int(day):02d}", "D").astype(np.int64)
    return float(date) * 86400.0 + int(hour) * 3600.0 + int(minute) * 60.0 + float(second)


def _cut(order: Rows, n_dev: int, n_test: int) -> Split:
    cut = n_test + n_dev
    return Split(np.sort(order[cut:]), np.sort(order[n_test:cut]), np.sort(order[:n_test]))
