"""What a target column asks for (S2; lecture row 2.6): real numbers, two classes, or K classes; and its encoding."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyaku.base.errors import DataError, UnknownNameError
from gyaku.data.source import as_text, missing_rows

TASKS = ("regression", "binary", "multiclass")  # of a target column; masks are a task of their own
SEGMENTATION = "segmentation"
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
_MANY = 20


def decide(column: NDArray[Any], task: str | None, where: str) -> tuple[str, tuple[str, ...]]:
    """Return the task and, for classes, their names in order.

    Texts and truth values are classes. Whole numbers are classes when there are two of them, or at most 20 with five
    rows each on average; all other numbers are values (regression). ``task`` overrides. Classes stand in the order of
    their numbers or texts. Raises ``DataError`` for a missing cell, for one class only, for texts of which most are
    numbers (a wrong cell) or which hardly repeat; ``UnknownNameError`` for another task.
    """
    if task is not None and task not in TASKS:
        raise UnknownNameError("prepare", task, TASKS, what="task")
    refuse_missing(column, where)
    values = as_numbers(column) if column.dtype.kind == "O" else column
    if task is None and column.dtype.kind == "O":
        _refuse_wrong_cells(column, where)
    if task == "regression" or (task is None and column.dtype.kind != "O" and not _are_classes(column)):
        if values is None:
            raise DataError(where, "numbers for a regression", _first_text(column))
        return "regression", ()
    labels = class_names(column)
    if len(labels) < 2:
        raise DataError(where, "at least two classes", f"{labels[0]!r} in every row")
    if task == "binary" and len(labels) != 2:
        raise DataError(where, "two classes for a binary task", f"{len(labels)}: {', '.join(labels[:10])}")
    return task or ("binary" if len(labels) == 2 else "multiclass"), labels


def class_names(column: NDArray[Any]) -> tuple[str, ...]:
    """Return the different values as texts: numbers in the order of their size, texts in that of their characters."""
    if column.dtype.kind == "O":
        return tuple(sorted({v for v in column.tolist() if v is not None}))
    return tuple(str(v) for v in as_text(np.unique(column)))


def encode_classes(column: NDArray[Any], labels: Sequence[str], where: str) -> NDArray[np.int64]:
    """Return the place of every cell in ``labels``. Raises ``DataError`` naming row and value of one that is not."""
    place = {label: i for i, label in enumerate(labels)}
    out = np.empty(len(column), dtype=np.int64)
    for row, text in enumerate(as_text(column)):
        if text is None or text not in place:
            got = "nothing" if text is None else repr(text)
            raise DataError(where, f"one of the classes {', '.join(labels[:10])}", f"{got} in row {row + 1}")
        out[row] = place[text]
    return out


def as_numbers(column: NDArray[Any]) -> NDArray[np.float64] | None:
    """Return a column as float64, missing as NaN; ``None`` when a cell is no number."""
    if column.dtype.kind != "O":
        return column.astype(np.float64)
    cells = column.tolist()
    if any(v is not None and not is_number(v) for v in cells):
        return None
    return np.array([np.nan if v is None else float(v) for v in cells], dtype=np.float64)


def is_number(text: str) -> bool:
    """Say whether a text is one plain number: ``-1.5e3``, not ``nan``, ``1_000`` or ``1,000``."""
    return _NUMBER.fullmatch(text) is not None


def refuse_missing(column: NDArray[Any], where: str) -> None:
    """Raise ``DataError`` with the row when a column has a missing or infinite cell."""
    gone = missing_rows(column)
    if column.dtype.kind == "f":
        gone |= ~np.isfinite(column)
    if gone.any():
        row = int(gone.argmax())
        cell = column[row]
        got = "nothing" if cell is None or cell != cell else str(cell)
        raise DataError(where, "a value in every row", f"{got} in row {row + 1}", hint="fill it or leave out the row")


def _are_classes(column: NDArray[Any]) -> bool:
    if column.dtype.kind == "f" and not (np.floor(column) == column).all():
        return False
    distinct = len(np.unique(column))
    return distinct <= 2 or (distinct <= _MANY and len(column) >= 5 * distinct)


def _refuse_wrong_cells(column: NDArray[Any], where: str) -> None:
    cells = column.tolist()
    numbers = sum(is_number(v) for v in cells)
    if len(cells) > numbers > len(cells) / 2:
        hint = "mend the cell, or say task='multiclass'"
        raise DataError(where, "numbers, as in most rows", _first_text(column), hint=hint)
    distinct = len(set(cells))
    if distinct > _MANY and distinct > len(cells) / 2:
        got = f"{distinct} different texts in {len(cells)} rows"
        raise DataError(where, "classes that repeat", got, hint="choose another target, or say task='multiclass'")


def _first_text(column: NDArray[Any]) -> str:
    for row, cell in enumerate(column.tolist()):
        if cell is not None and not is_number(str(cell)):
            return f"{cell!r} in row {row + 1}"
    return "none"
