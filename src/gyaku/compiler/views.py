"""Where the values of a program lie: storages, and views of them by strides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gyaku.compiler.program import Shape


class Storage:
    """Memory of one value, in C order.

    ``kind`` is "input", "constant", "work" (shared), "private" (one a thread) or "result".
    ``split`` = (rows, elements a row) says how the threads share it when they write it: thread t of n writes rows
    rows*t/n to rows*(t+1)/n.
    """

    __slots__ = ("kind", "index", "dtype", "size", "split", "array", "name", "same")

    def __init__(self, kind: str, index: int, dtype: Any, size: int, array: Any = None, name: str = "") -> None:
        self.kind, self.index, self.dtype, self.size, self.array, self.name = (
            kind,
            index,
            np.dtype(dtype),
            size,
            array,
            name,
        )
        self.split: tuple[int, int] | None = None
        self.same: Storage | None = None  # the memory that it shares: a parameter's new value takes its old place

    @property
    def root(self) -> Storage:
        """The storage that it really is."""
        return self if self.same is None else self.same.root

    @property
    def private(self) -> bool:
        """Whether each thread has its own, which it makes and reads by itself."""
        return self.root.kind == "private"

    @property
    def nbytes(self) -> int:
        """The bytes it takes."""
        return self.size * self.dtype.itemsize

    def __repr__(self) -> str:
        return f"<{self.kind} {self.index} {self.dtype}[{self.size}]>"


@dataclass(frozen=True)
class View:
    """A value as elements of a storage: element i lies at offset + sum i_d strides_d (in elements)."""

    storage: Storage
    shape: Shape
    strides: tuple[int, ...]
    offset: int = 0

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    @property
    def contiguous(self) -> bool:
        """Whether the elements lie in C order without gaps."""
        return all(s == 1 or a == b for s, a, b in zip(self.shape, self.strides, c_strides(self.shape), strict=True))

    def broadcast(self, shape: Shape) -> View:
        """Return the view with the shape it is broadcast to."""
        extra = len(shape) - self.ndim
        own = zip(self.shape, self.strides, shape[extra:], strict=True)
        return View(self.storage, shape, (0,) * extra + tuple([0 if s != n else st for s, st, n in own]), self.offset)

    def transpose(self, axes: tuple[int, ...]) -> View:
        """Return the dimensions in another order."""
        return View(
            self.storage, tuple([self.shape[a] for a in axes]), tuple([self.strides[a] for a in axes]), self.offset
        )

    def reshape(self, shape: Shape) -> View | None:
        """Return the elements in another shape, or None where that takes a copy."""
        if self.contiguous:
            return View(self.storage, shape, c_strides(shape), self.offset)
        kept = [(s, st) for s, st in zip(self.shape, self.strides, strict=True) if s != 1]
        strides: list[int] = []
        for s in reversed(shape):  # only dimensions of size 1 may come or go
            if s == 1:
                strides.append(0)
            elif kept and kept[-1][0] == s:
                strides.append(kept.pop()[1])
            else:
                return None
        return None if kept else View(self.storage, shape, tuple(reversed(strides)), self.offset)

    def slice(self, key: Any) -> View:
        """Return a basic selection (numbers, slices, None, ...)."""
        parts = key if isinstance(key, tuple) else (key,)
        used = sum(p is not None and p is not Ellipsis for p in parts)
        if Ellipsis not in [p for p in parts if p is Ellipsis]:
            parts = (*parts, Ellipsis)
        shape: list[int] = []
        strides: list[int] = []
        offset, at = self.offset, 0
        for p in parts:
            if p is None:
                shape.append(1)
                strides.append(0)
            elif p is Ellipsis:
                rest = self.ndim - used
                shape += self.shape[at : at + rest]
                strides += self.strides[at : at + rest]
                at += rest
            elif isinstance(p, slice):
                start, stop, step = p.indices(self.shape[at])
                shape.append(len(range(start, stop, step)))
                strides.append(self.strides[at] * step)
                offset += start * self.strides[at]
                at += 1
            else:
                offset += (int(p) % self.shape[at]) * self.strides[at]
                at += 1
        return View(self.storage, tuple(shape), tuple(strides), offset)

    def flip(self, axis: Any) -> View:
        """Return the order along ``axis`` reversed."""
        axes = range(self.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        key: list[Any] = [slice(None)] * self.ndim
        for a in axes:
            key[a] = slice(None, None, -1)
        return self.slice(tuple(key))


def c_strides(shape: Shape) -> tuple[int, ...]:
    """Return the strides of C order, in elements."""
    out, step = [], 1
    for s in reversed(shape):
        out.append(step)
        step *= s
    return tuple(reversed(out))


def whole(storage: Storage, shape: Shape) -> View:
    """Return all of a storage."""
    return View(storage, tuple(shape), c_strides(shape))
