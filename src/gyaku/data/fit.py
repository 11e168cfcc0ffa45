"""Fitting a recipe's rules on the training rows: median, categories, mean and deviation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyaku.base.errors import DataError
from gyaku.data.columns import AnyColumn, CategoryColumn, NumberColumn
from gyaku.data.recipe import ImageRule
from gyaku.data.source import as_text
from gyaku.data.target import is_number

_MANY, _MOST = 20, 1000
Rows = NDArray[np.int64]


def fit_column(
    name: str, column: NDArray[Any], rows: Rows, notes: list[str], *, as_category: bool, standardize: bool
) -> AnyColumn | None:
    """Return the rule of one column, fitted on ``rows`` only, or ``None`` for a column left out (with a note).

    Left out: a column empty in train; texts that hardly repeat (an identifier) or of more than 1,000 kinds. Raises
    ``DataError`` for infinite numbers, and for a wrong cell: texts of which nine in ten are numbers, or more than half
    where over 20 differ.
    """
    if as_category or column.dtype.kind == "O":
        if not as_category:
            _refuse_wrong_cell(name, column)
        return _fit_category(name, column[rows], notes, as_category)
    return _fit_number(name, column, rows, notes, standardize)


def _fit_number(
    name: str, column: NDArray[Any], rows: Rows, notes: list[str], standardize: bool
) -> NumberColumn | None:
    values = column.astype(np.float64)
    if np.isinf(values).any():
        row = int(np.isinf(values).argmax())
        raise DataError(f"column {name!r}", "finite numbers", f"{values[row]} in row {row + 1}")
    train = values[rows]
    gone = np.isnan(train)
    if gone.all():
        notes.append(f"column {name!r} is empty in the training rows: left out")
        return None
    fill = float(np.median(train[~gone]))
    filled = np.where(gone, fill, train)
    if filled.min() == filled.max():
        notes.append(f"column {name!r} is constant in the training rows ({filled[0]:g})")
    mean, scale = mean_and_scale(filled, f"column {name!r}") if standardize else (0.0, 1.0)
    return NumberColumn(name, fill, bool(gone.any()), mean, scale)


def _fit_category(name: str, train: NDArray[Any], notes: list[str], wanted: bool) -> CategoryColumn | None:
    counts = Counter(text for text in as_text(train) if text is not None)
    present = sum(counts.values())
    if not counts:
        notes.append(f"column {name!r} is empty in the training rows: left out")
        return None
    if not wanted and (len(counts) > _MOST or (len(counts) > _MANY and len(counts) > present / 2)):
        found = f"{len(counts)} different texts in {present} training rows"
        notes.append(f"column {name!r} has {found}: left out{_commas(counts)}")
        return None
    if len(counts) == 1 and present == len(train):
        notes.append(f"column {name!r} is constant in the training rows ({next(iter(counts))})")
    categories = tuple(sorted(counts))
    fill = max(categories, key=lambda text: counts[text])  # the first of equals in the order of the texts
    return CategoryColumn(name, categories, fill, present < len(train))


def _commas(texts: Collection[str]) -> str:
    """Return a word on numbers that a comma made into texts (``1,000`` or ``2,5``), if most are such."""
    found = sum("," in text and is_number(text.replace(",", "")) for text in texts)
    return " (numbers with commas? write 1234.5)" if 2 * found > len(texts) else ""


def _refuse_wrong_cell(name: str, column: NDArray[Any]) -> None:
    cells = [(row, cell) for row, cell in enumerate(column.tolist()) if cell is not None]
    wrong = [(row, cell) for row, cell in cells if not is_number(cell)]
    many = len({cell for _, cell in cells}) > _MANY
    if wrong and len(wrong) < len(cells) / (2 if many else 10):
        row, cell = wrong[0]
        expected, got = f"a number, as in {len(cells) - len(wrong)} other rows", f"{cell!r} in row {row + 1}"
        hint = f"mend the cell or leave it empty; if these are codes, say categories=[{name!r}]"
        raise DataError(f"column {name!r}", expected, got, hint=hint)


def mean_and_scale(values: NDArray[np.float64], where: str) -> tuple[float, float]:
    """Return mean and standard deviation (of the population); 1 for the deviation of equal values.

    Raises ``DataError`` when they overflow.
    """
    if values.min() == values.max():
        return float(values[0]), 1.0
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        mean, scale = float(values.mean()), float(values.std())
    if not (np.isfinite(mean) and np.isfinite(scale) and scale > 0.0):
        raise DataError(where, "numbers whose mean and deviation float64 can hold", f"up to {np.abs(values).max():g}")
    return mean, scale


def fit_image(images: NDArray[Any], rows: Rows, white: float, standardize: bool) -> ImageRule:
    """Return the rule of images: pixels / white, then one mean and deviation over all pixels of the training rows."""
    _, c, h, w = images.shape
    if not standardize:
        return ImageRule((c, h, w), white, 0.0, 1.0)
    train = images[rows]
    if train.dtype.kind == "f" and not np.isfinite(images).all():
        row = int((~np.isfinite(images)).reshape(len(images), -1).any(axis=1).argmax())
        raise DataError("images", "finite pixels", f"NaN or infinity in image {row + 1}")
    mean = float(train.mean(dtype=np.float64)) / white
    std = float(train.std(dtype=np.float64)) / white
    return ImageRule((c, h, w), white, mean, std if std > 0.0 else 1.0)


def check_names(names: Collection[str], columns: Collection[str], what: str) -> None:
    """Raise ``UnknownNameError`` ("did you mean") for a name that is no column."""
    from gyaku.base.errors import UnknownNameError

    for name in names:
        if name not in columns:
            raise UnknownNameError(f"prepare ({what})", name, columns, what="column")
