"""How one raw column becomes features: numbers are filled and standardised, categories become 0/1 columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from gyaku.base.errors import DataError
from gyaku.data.source import as_text, missing_rows
from gyaku.data.target import is_number

Features = NDArray[np.float32]
_REMEDY = "or let unknown values count as missing with on_unknown='ignore' (--on-unknown ignore)"


@dataclass(frozen=True)
class NumberColumn:
    """A column of numbers: missing cells take ``fill`` (the median of train), then (x - mean) / scale.

    ``indicator``: train had missing cells, so a 0/1 feature says where. All figures come from train only.
    """

    name: str
    fill: float
    indicator: bool
    mean: float
    scale: float
    kind: ClassVar[str] = "number"

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features this column becomes."""
        return (self.name, f"{self.name} (missing)") if self.indicator else (self.name,)

    def features(self, column: NDArray[Any], on_unknown: str, rows: NDArray[Any] | None = None) -> Features:
        """Return (N, 1 or 2) float32; ``rows`` are the row numbers that messages name.

        Raises ``DataError`` for text, for an infinite number, and for a missing cell where train had none
        (``on_unknown='ignore'`` fills it instead).
        """
        values = _numbers(column, self.name, rows)
        gone = np.isnan(values)
        if np.isinf(values).any():
            _refuse(self.name, "finite numbers", values, np.isinf(values), rows)
        if gone.any() and not self.indicator and on_unknown == "error":
            expected = "a number in every row, as in training"
            _refuse(self.name, expected, values, gone, rows, f"fill the cell, {_REMEDY}")
        with np.errstate(over="ignore"):
            scaled = ((np.where(gone, self.fill, values) - self.mean) / self.scale).astype(np.float32)
        if not np.isfinite(scaled).all():
            _refuse(self.name, "numbers that float32 can hold", values, ~np.isfinite(scaled), rows)
        return np.stack([scaled, gone.astype(np.float32)], axis=1) if self.indicator else scaled[:, None]


@dataclass(frozen=True)
class CategoryColumn:
    """A column of categories: one 0/1 feature for each category of train; missing cells take ``fill``.

    ``fill`` is the most frequent category; ``indicator`` adds a 0/1 feature that says where a cell was missing.
    """

    name: str
    categories: tuple[str, ...]
    fill: str
    indicator: bool
    kind: ClassVar[str] = "category"

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features this column becomes."""
        names = tuple(f"{self.name}={category}" for category in self.categories)
        return (*names, f"{self.name} (missing)") if self.indicator else names

    def features(self, column: NDArray[Any], on_unknown: str, rows: NDArray[Any] | None = None) -> Features:
        """Return (N, K or K + 1) float32 of 0 and 1.

        Raises ``DataError`` for a category that train did not have (``on_unknown='ignore'``: all zeros), and for a
        missing cell where train had none (``'ignore'``: filled).
        """
        place = {category: i for i, category in enumerate(self.categories)}
        gone = missing_rows(column)
        if gone.any() and not self.indicator and on_unknown == "error":
            expected = "a category in every row, as in training"
            _refuse(self.name, expected, column, gone, rows, f"fill the cell, {_REMEDY}")
        at = np.array([place.get(self.fill if v is None else v, -1) for v in as_text(column)], dtype=np.int64)
        if on_unknown == "error" and (at < 0).any():
            shown = ", ".join(self.categories[:10]) + (", ..." if len(self.categories) > 10 else "")
            _refuse(self.name, f"one of {shown}", column, at < 0, rows, f"mend the cell, {_REMEDY}")
        width = len(self.categories)
        out = np.zeros((len(column), width + self.indicator), dtype=np.float32)
        known = np.flatnonzero(at >= 0)
        out[known, at[known]] = 1.0
        if self.indicator:
            out[:, width] = gone
        return out


AnyColumn = NumberColumn | CategoryColumn


def _numbers(column: NDArray[Any], name: str, rows: NDArray[Any] | None) -> NDArray[np.float64]:
    if column.dtype.kind != "O":
        return column.astype(np.float64)
    text = np.array([v is not None and not is_number(str(v)) for v in column.tolist()], dtype=np.bool_)
    if text.any():
        _refuse(name, "a number, as in training", column, text, rows, "mend the cell, or leave it empty")
    return np.array([np.nan if v is None else float(v) for v in column.tolist()], dtype=np.float64)


def _refuse(
    name: str, expected: str, column: NDArray[Any], bad: NDArray[Any], rows: NDArray[Any] | None, hint: str = ""
) -> None:
    at = int(bad.argmax())
    row = at if rows is None else int(rows[at])
    cell = column[at]
    got = "nothing" if cell is None or cell != cell else repr(cell) if isinstance(cell, str) else str(cell)
    raise DataError(f"column {name!r}", expected, f"{got} in row {row + 1}", hint=hint)
