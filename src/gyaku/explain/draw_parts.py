"""The contents of boxes: lines of text, small arrays written out, large ones as colours; put in rows and columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gyaku.explain.draw_scene import Group, Heat, Paint, Stroke, Write, moved
from gyaku.explain.draw_text import Line, measure, number, plain, shape_text

_ROWS, _COLUMNS, _CELLS = 4, 6, 16  # up to so many elements are written out
_GRID = 24  # rows and columns of colours at most


@dataclass(frozen=True)
class Part:
    """Shapes inside a rectangle whose upper left corner is the origin."""

    width: float
    height: float
    shapes: list[Any] = field(default_factory=list)


def text_part(line: Line, size: float, colour: str = "ink") -> Part:
    """Return one line of text."""
    width = measure(line, size)
    return Part(width, size * 1.3, [Write(width / 2, size * 0.98, line, size, colour)])


def row(parts: Sequence[Part], gap: float = 6.0) -> Part:
    """Return parts side by side, their middles on one line."""
    parts = [p for p in parts if p.width]
    height = max((p.height for p in parts), default=0.0)
    shapes, x = [], 0.0
    for part in parts:
        shapes += [moved(s, x, (height - part.height) / 2) for s in part.shapes]
        x += part.width + gap
    return Part(max(0.0, x - gap), height, shapes)


def column(parts: Sequence[Part], gap: float = 4.0) -> Part:
    """Return parts below each other, their middles on one line."""
    parts = [p for p in parts if p.width]
    width = max((p.width for p in parts), default=0.0)
    shapes, y = [], 0.0
    for part in parts:
        shapes += [moved(s, (width - part.width) / 2, y) for s in part.shapes]
        y += part.height + gap
    return Part(width, max(0.0, y - gap), shapes)


def marked(kind: str, part: Part) -> Part:
    """Return a part as one group of a kind."""
    return Part(part.width, part.height, [Group(kind, list(part.shapes))] if part.shapes else [])


def written_out(array: Any) -> bool:
    """Whether an array is small enough to be written out."""
    if array.ndim > 2 or not 0 < array.size <= _CELLS:
        return False
    return bool(max(array.shape, default=1) <= _COLUMNS and (array.ndim < 2 or array.shape[0] <= _ROWS))


def array_part(array: Any, size: float, colour: str, before: Line = ()) -> Part:
    """Return an array: a number, a matrix in brackets, or shape and colours; ``before`` says of what."""
    array = np.asarray(array)
    equals = plain(" = ") if before else ()
    if array.size == 1:
        return text_part((*before, *equals, *plain(number(array))), size, colour)
    if written_out(array):
        head = text_part((*before, *equals), size, colour) if before else Part(0, 0)
        return row([head, matrix_part(array, size, colour)])
    return heat_part(array, size, colour, before)


def matrix_part(array: Any, size: float, colour: str) -> Part:
    """Return a small vector or matrix with brackets."""
    table = np.atleast_2d(without_noise(array))
    texts = [[plain(number(v)) for v in line] for line in table]
    widths = [max(measure(line[j], size) for line in texts) for j in range(table.shape[1])]
    gap, pad, high = size * 0.6, size * 0.35, size * 1.25
    shapes: list[Any] = []
    for i, line in enumerate(texts):
        x = pad
        for text, width in zip(line, widths, strict=True):
            shapes.append(Write(x + width / 2, i * high + size * 0.98, text, size, colour))
            x += width + gap
    width, height = 2 * pad + sum(widths) + gap * (len(widths) - 1), high * len(texts)
    return Part(width, height, [*shapes, *_brackets(width, height, colour)])


def without_noise(array: Any) -> Any:
    """Return an array with zeros for what is only the rounding of its largest element."""
    if array.dtype.kind != "f":
        return array
    top = np.abs(array, where=np.isfinite(array), out=np.zeros(array.shape)).max(initial=0.0)
    return np.where(np.abs(array) < 4 * np.finfo(array.dtype).eps * top, 0.0, array)


def _brackets(width: float, height: float, colour: str) -> list[Stroke]:
    """Return the brackets around a rectangle."""
    tick = 4.0
    sides = [(0.5, tick), (width - 0.5, -tick)]
    return [
        Stroke((("M", ((x + t, 1.0),)), ("L", ((x, 1.0),)), ("L", ((x, height - 1),)), ("L", ((x + t, height - 1),))),
               Paint(stroke=colour, width=1.3))
        for x, t in sides
    ]  # fmt: skip


def heat_part(array: Any, size: float, colour: str, before: Line = ()) -> Part:
    """Return a large array: its shape and a small picture, blue for positive and orange for negative elements."""
    words = (*before, *plain(f"  {shape_text(array.shape)}")) if before else plain(shape_text(array.shape))
    shape = text_part(words, size * (0.94 if before else 0.86), colour)
    grid = cells(array)
    if not grid.size:
        return shape
    rows, columns = grid.shape
    scale = max(2.0, min(96.0 / columns, 56.0 / rows, 10.0))
    width, height = columns * scale, max(rows * scale, 8.0)
    return column([shape, Part(width, height, [Heat(0.0, 0.0, width, height, grid)])], 3.0)


def cells(array: Any) -> Any:
    """Return an array as at most 24 rows and columns between -1 and 1: means of blocks, over the largest of all.

    A block with an element that is not finite is NaN. Of complex numbers the size is shown; of images (N, C, H, W) the
    first sample's channels stand side by side.
    """
    a = np.asarray(np.abs(array) if np.iscomplexobj(array) else array, dtype=np.float64)
    if not a.size:
        return np.zeros((0, 0))
    a = np.where(np.isfinite(a), a, np.nan)
    if a.ndim > 3:
        a = a.reshape(-1, *a.shape[-3:])[0]
    if a.ndim == 3:
        a = a[:3].swapaxes(0, 1).reshape(a.shape[1], -1)
    a = np.atleast_2d(a)
    for axis in (0, 1):
        a = _shrunk(a, axis)
    top = np.abs(a, where=~np.isnan(a), out=np.zeros(a.shape)).max()
    return a / top if top else a


def _shrunk(a: Any, axis: int) -> Any:
    """Return means of blocks along an axis, so that at most 24 are left."""
    n = a.shape[axis]
    if n <= _GRID:
        return a
    starts = np.linspace(0, n, _GRID, endpoint=False).astype(int)
    sums = np.add.reduceat(a, starts, axis=axis)
    counts = np.diff([*starts, n])
    return sums / (counts[:, None] if axis == 0 else counts)
