"""``Source``: raw data as it came, images or a table, with where it came from and the hash of its bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyaku.base.errors import DataError, DtypeError, ShapeError, UnknownNameError

Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Source:
    """Raw data before any split or scaling: ``images`` with ``labels`` or ``masks``, or a ``table``.

    ``images`` (N, C, H, W) uint8 or float32, ``white`` the value of a white pixel; ``labels`` (N,) int64 places in
    ``label_names``, or float64 values when there are no names; ``masks`` (N, H, W) uint8 the place of every pixel's
    class in ``label_names``. ``table`` holds columns by name, in order: float64 (NaN missing), int64, or object arrays
    of ``str`` and ``None``. ``test`` is an official test part; ``digest`` the SHA-256 of the raw bytes; ``notes`` what
    a reader decided on the way; ``row_names`` the rows' own names, if any (image files).
    """

    name: str
    origin: str
    digest: str
    images: NDArray[Any] | None = None
    labels: NDArray[Any] | None = None
    label_names: tuple[str, ...] = ()
    white: float = 255.0
    table: Columns | None = None
    target: str | None = None
    test: Source | None = None
    notes: tuple[str, ...] = ()
    row_names: tuple[str, ...] = ()
    masks: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        if (self.images is None) == (self.table is None):
            raise DataError(f"Source {self.name!r}", "either images or a table", "both or neither")
        if self.masks is not None and (self.images is None or self.masks.shape[1:] != self.images.shape[2:]):
            got = f"masks of {self.masks.shape[1:]}"
            raise DataError(f"Source {self.name!r}", "masks of the size of the images", got)
        lengths = {len(x) for x in (self.images, self.labels, self.masks) if x is not None} | {
            len(column) for column in (self.table or {}).values()
        }
        if len(lengths) != 1:
            raise DataError(f"Source {self.name!r}", "columns of one length", str(sorted(lengths)))

    def __len__(self) -> int:
        """Return the number of rows, the official test part not counted."""
        return len(self.images) if self.images is not None else len(next(iter(self.columns.values())))

    def __repr__(self) -> str:
        shape = f"images {self.images.shape}" if self.images is not None else f"{len(self)} rows, {list(self.columns)}"
        return f"Source({self.name!r}, {shape}, origin={self.origin!r})"

    @property
    def kind(self) -> str:
        """``"images"`` or ``"table"``."""
        return "table" if self.images is None else "images"

    @property
    def columns(self) -> Columns:
        """The table's columns by name; empty for images."""
        return self.table or {}

    def with_target(self, target: str | None) -> Source:
        """Return the source with its target column named. Raises ``UnknownNameError`` ("did you mean")."""
        if target is None:
            return self
        if self.kind == "images":
            raise DataError(f"Source {self.name!r}", "no target column: images carry labels", repr(target))
        if target not in self.columns:
            raise UnknownNameError(f"target of {self.name!r}", target, self.columns, what="column")
        return replace(self, target=target, test=self.test.with_target(target) if self.test else None)


def from_arrays(
    x: NDArray[Any],
    t: NDArray[Any] | Sequence[Any] | None = None,
    *,
    x_test: NDArray[Any] | None = None,
    t_test: NDArray[Any] | Sequence[Any] | None = None,
    name: str = "arrays",
    origin: str = "memory",
    digest: str = "",
) -> Source:
    """Return arrays as a ``Source``: x (N, D) or (N,) becomes a table x1..xD and t; (N, H, W) or 4-D becomes images.

    4-D images are (N, C, H, W), or (N, H, W, C) where only the last length is 1, 3 or 4. t: texts, truth values and
    integers name classes (in sorted order), other numbers are values. Raises ``ShapeError`` or ``DtypeError``.
    """
    x, t = np.asarray(x), None if t is None else np.asarray(t)
    _check_arrays(name, x, t)
    digest = digest or array_digest(x, t)
    make = _image_source if x.ndim > 2 else _table_source
    whole = make(name, origin, digest, x, t, ())
    if x_test is None:
        return whole
    x_test, t_test = np.asarray(x_test), None if t_test is None else np.asarray(t_test)
    _check_arrays(f"{name}, test", x_test, t_test)
    if x_test.shape[1:] != x.shape[1:]:
        raise ShapeError(f"from_arrays {name!r}", f"a test part like x {x.shape}", str(x_test.shape))
    part = make(f"{name}, test", origin, digest, x_test, t_test, whole.label_names)
    return replace(whole, test=replace(part, white=whole.white))


def array_digest(*arrays: NDArray[Any] | None) -> str:
    """Return the SHA-256 (hex) of shapes, types and bytes of arrays; texts count as UTF-8."""
    total = hashlib.sha256()
    for x in arrays:
        if x is not None:
            total.update(f"{x.dtype.kind}{x.dtype.itemsize}{x.shape}".encode())
            text = x.dtype.kind in "OU"
            total.update(repr(x.tolist()).encode() if text else np.ascontiguousarray(x).tobytes())
    return total.hexdigest()


def _check_arrays(name: str, x: NDArray[Any], t: NDArray[Any] | None) -> None:
    where = f"from_arrays {name!r}"
    if not 1 <= x.ndim <= 4 or not len(x) or 0 in x.shape:
        raise ShapeError(where, "x of shape (N, D), (N, H, W) or (N, C, H, W) with N >= 1", str(x.shape))
    if x.dtype.kind not in "biuf":
        raise DtypeError(where, "numbers in x", str(x.dtype))
    if t is not None and t.ndim == 2 and t.shape[1] == 1:
        raise ShapeError(where, f"t of shape ({len(x)},)", str(t.shape), hint="t[:, 0]")
    if t is not None and (t.ndim != 1 or len(t) != len(x)):
        raise ShapeError(where, f"t of shape ({len(x)},)", str(t.shape))
    if t is not None and t.dtype.kind not in "biufUO":
        raise DtypeError(where, "numbers or texts in t", str(t.dtype))


def _table_source(
    name: str, origin: str, digest: str, x: NDArray[Any], t: NDArray[Any] | None, names: tuple[str, ...]
) -> Source:
    flat = x.reshape(len(x), -1)
    table: Columns = {f"x{i + 1}": plain_column(flat[:, i]) for i in range(flat.shape[1])}
    if t is None:
        return Source(name, origin, digest, table=table)
    return Source(name, origin, digest, table={**table, "t": plain_column(t)}, target="t")


def _image_source(
    name: str, origin: str, digest: str, x: NDArray[Any], t: NDArray[Any] | None, names: tuple[str, ...]
) -> Source:
    images = x[:, None] if x.ndim == 3 else x
    if images.shape[1] not in (1, 3, 4) and images.shape[3] in (1, 3, 4):
        images = np.moveaxis(images, 3, 1)  # (N, H, W, C) -> (N, C, H, W)
    images = np.ascontiguousarray(images if images.dtype == np.uint8 else images.astype(np.float32))
    white = 255.0 if images.dtype == np.uint8 or float(np.nanmax(images)) > 1.0 else 1.0
    labels, names = (None, ()) if t is None else label_places(t, names, f"labels of {name!r}")
    return Source(name, origin, digest, images=images, labels=labels, label_names=names, white=white)


def label_places(t: NDArray[Any], names: tuple[str, ...], where: str) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Return labels as places in sorted names (int64), or float64 values and no names where t is real."""
    column = plain_column(t)
    if column.dtype.kind == "f":
        return column, ()
    texts = [text or "" for text in as_text(column)]
    found = np.unique(column).tolist() if column.dtype.kind == "i" else sorted(set(texts) - {""})
    known = names or tuple(str(v) for v in found)
    place = {label: i for i, label in enumerate(known)}
    for row, label in enumerate(texts):
        if label not in place:
            raise DataError(where, f"one of {', '.join(known[:20])}", f"{label or 'nothing'!r} in row {row + 1}")
    return np.array([place[label] for label in texts], dtype=np.int64), known


def plain_column(x: NDArray[Any]) -> NDArray[Any]:
    """Return a column in the three kinds of a table: int64, float64, or object of ``str`` and ``None``."""
    if x.dtype.kind == "i" or (x.dtype.kind == "u" and x.dtype.itemsize < 8):
        return x.astype(np.int64)
    if x.dtype.kind in "uf":
        return x.astype(np.float64)
    out = np.empty(len(x), dtype=object)
    out[:] = [None if v is None or v != v else _text(v) for v in x.tolist()]
    return out


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def as_text(column: NDArray[Any]) -> list[str | None]:
    """Return the cells as text, ``None`` where missing; whole numbers have no decimal point (``1.0`` is ``'1'``)."""
    if column.dtype.kind == "f":
        return [None if v != v else _text(v) for v in column.tolist()]
    return [None if v is None else str(v) for v in column.tolist()]


def missing_rows(column: NDArray[Any]) -> NDArray[np.bool_]:
    """Return where a column has no value: NaN or ``None``."""
    if column.dtype.kind == "f":
        return np.isnan(column)
    if column.dtype.kind == "O":
        return np.array([v is None for v in column.tolist()], dtype=np.bool_)
    return np.zeros(len(column), dtype=np.bool_)


def take_columns(columns: Mapping[str, NDArray[Any]], rows: NDArray[Any]) -> Columns:
    """Return the given rows of every column."""
    return {name: column[rows] for name, column in columns.items()}
