"""What a source holds, as a plain dictionary for ``gyaku data`` (JSON-ready)."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyaku.data.source import Source, as_text, missing_rows

_SHOWN = 20


def describe(source: Source) -> dict[str, Any]:
    """Return name, origin, digest, kind, rows, test rows, target and notes; then, for images, shape, range and the
    count of every class (with masks: of its pixels); for a table, one entry per column: type, missing, distinct, range
    or most frequent values.

    >>> from gyaku.data import load
    >>> d = describe(load("digits"))
    >>> d["rows"], d["shape"], d["range"], d["classes"]["0"]
    (1797, [1, 8, 8], [0.0, 16.0], 178)
    """
    common: dict[str, Any] = {
        "name": source.name,
        "origin": source.origin,
        "digest": source.digest,
        "kind": source.kind,
        "rows": len(source),
        "test_rows": len(source.test) if source.test else 0,
        "target": source.target,
        "notes": list(source.notes),
    }
    return common | (_images(source) if source.images is not None else _table(source))


def _images(source: Source) -> dict[str, Any]:
    assert source.images is not None
    found: dict[str, Any] = {
        "shape": list(source.images.shape[1:]),
        "dtype": str(source.images.dtype),
        "range": [float(source.images.min()), float(source.images.max())],
    }
    if source.labels is not None and source.label_names:
        counts = np.bincount(source.labels, minlength=len(source.label_names))
        found["classes"] = dict(zip(source.label_names, counts.tolist(), strict=True))
    if source.masks is not None:
        pixels = np.bincount(source.masks.ravel(), minlength=len(source.label_names))
        found["classes"] = dict(zip(source.label_names, pixels.tolist(), strict=True))
        found["counted"] = "pixels"
    return found


def _table(source: Source) -> dict[str, Any]:
    columns = [describe_column(name, column) for name, column in source.columns.items()]
    found: dict[str, Any] = {"columns": columns, "missing": sum(c["missing"] for c in columns)}
    if source.target:
        counts = Counter(v for v in as_text(source.columns[source.target]) if v is not None)
        if len(counts) <= _SHOWN:
            found["classes"] = dict(sorted(counts.items()))
    return found


def describe_column(name: str, column: NDArray[Any]) -> dict[str, Any]:
    """Return name, type (``integer``, ``number``, ``text``), missing, distinct, and the range or the common values."""
    gone = missing_rows(column)
    kind = {"i": "integer", "f": "number"}.get(column.dtype.kind, "text")
    facts: dict[str, Any] = {"name": name, "type": kind, "missing": int(gone.sum())}
    present = column[~gone]
    if kind == "text":
        counts = Counter(present.tolist())
        common = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        return facts | {"distinct": len(counts), "common": dict(common[:_SHOWN])}
    facts["distinct"] = len(np.unique(present))
    finite = present[np.isfinite(present)]
    if finite.size:
        facts |= {"min": finite.min().item(), "max": finite.max().item(), "mean": float(finite.mean())}
    return facts
