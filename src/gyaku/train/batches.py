"""The training part, dealt out in batches: which rows, and how they were changed, follow from (seed, epoch, batch)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyaku.backend.devices import CPU, device, move
from gyaku.backend.random import Generator
from gyaku.base.errors import ArgumentError, DtypeError, ShapeError
from gyaku.core.tensor import Tensor, new_tensor
from gyaku.data.augment import Augmentation

Array = NDArray[Any]
Augment = Callable[[Array, Generator], Array]


def as_arrays(data: Any, where: str) -> tuple[Array, Array]:
    """Return (x, t) as NumPy arrays: floating x in float32 unless it is float64, classes as int64.

    Raises ``DtypeError`` or ``ShapeError`` naming what does not fit, ``ArgumentError`` for NaN with its place.
    """
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        got = f"{len(data)} of them" if isinstance(data, (tuple, list)) else type(data).__name__
        raise DtypeError(where, "a pair (x, t) of arrays or tensors", got)
    x, t = (_array(v, where) for v in data)
    if x.ndim < 2 or t.ndim < 1 or len(x) != len(t):
        raise ShapeError(where, "x (N, ...) and t with the same N", f"{x.shape} and {t.shape}")
    if not len(x):
        raise ShapeError(where, "at least one sample", "none")
    x = x.astype(np.float32) if x.dtype.kind in "iub" else x
    t = t.astype(np.int64) if t.dtype.kind in "iub" else t.astype(x.dtype, copy=False)
    for name, values in (("x", x), ("t", t)):
        _refuse_nan(values, name, where)
    return x, t


def _array(value: Any, where: str) -> Array:
    array = value.detach().cpu()._array if isinstance(value, Tensor) else np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise DtypeError(where, "numbers", str(array.dtype))
    return array


def _refuse_nan(values: Array, name: str, where: str) -> None:
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
        at = ", ".join(map(str, place))
        raise ArgumentError(where, f"finite numbers in {name}", f"{values[place]} at [{at}]", hint="fill or drop them")


class Batches:
    """Rows of the training part for every (epoch, batch), shuffled and augmented without any hidden state.

    On a GPU the whole part is moved once, unless it is augmented, which is done on the CPU batch by batch.
    """

    def __init__(
        self, x: Array, t: Array, batch_size: int, root: Generator, *, augment: Augment | None, on: device
    ) -> None:
        if batch_size < 1:
            raise ArgumentError("fit", "batch_size >= 1", str(batch_size))
        self.n, self.size, self.root, self.augment, self.on = len(x), batch_size, root, augment, on
        self.pairs = augment if t.ndim == 3 and isinstance(augment, Augmentation) else None
        if t.ndim == 3 and augment is not None and self.pairs is None:
            hint = "gyaku.data.augment moves the classes of pixels along; wrap changes of values by augment.compose"
            raise DtypeError("fit", "an Augmentation for pixel classes", type(augment).__name__, hint=hint)
        whole = on == CPU or augment is not None
        self.x: Any
        self.t: Any
        x, t = np.ascontiguousarray(x), np.ascontiguousarray(t)
        self.x, self.t = (x, t) if whole else (move(x, on), move(t, on))
        self._epoch, self._order = 0, np.arange(0)
        rest = self.n % batch_size
        # One sample left over has no variance: batch norm would refuse it, so it joins the batch before it.
        self.lonely = rest == 1 and self.n > batch_size
        self.count = self.n // batch_size + (rest > 0) - self.lonely

    def order(self, epoch: int) -> Array:
        """Return the permutation of all rows in this epoch."""
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self.root.split(f"order/{epoch}").permutation(self.n)
        return self._order

    def size_of(self, batch: int) -> int:
        """Return the number of samples of a batch; only the last may differ from the others."""
        return self.size if batch < self.count - 1 else self.n - (self.count - 1) * self.size

    def alike(self, batch: int) -> int:
        """Return how many batches from this one on have its size."""
        last = self.count - 1
        return 1 if batch == last else last - batch + (self.size_of(last) == self.size)

    def take_many(self, epoch: int, batch: int, steps: int) -> tuple[Array, Array, Array]:
        """Return inputs, targets and the rows (steps, size) that make up some batches of one size."""
        size, first = self.size_of(batch), batch * self.size
        rows = self.order(epoch)[first : first + steps * size].reshape(steps, size)
        if self.augment is None:
            return self.x, self.t, rows
        streams = (self.root.split(f"augment/{epoch}/{batch + k}") for k in range(steps))
        made = [self._augmented(r, g) for r, g in zip(rows, streams, strict=True)]
        x, t = (np.concatenate(parts) for parts in zip(*made, strict=True))
        return x, t, np.arange(rows.size).reshape(rows.shape)

    def _augmented(self, rows: Array, generator: Generator) -> tuple[Array, Array]:
        assert self.augment is not None
        if self.pairs is not None:
            return self.pairs.pair(self.x[rows], self.t[rows], generator)
        return self.augment(self.x[rows], generator), self.t[rows]

    def states(self, epoch: int, batch: int, steps: int) -> Array:
        """Return seed, stream and counter (steps, 3) of what the layers draw from in some batches."""
        return self.root.states(f"layers/{epoch}/{batch + k}" for k in range(steps))

    def take(self, epoch: int, batch: int) -> tuple[Tensor, Tensor]:
        """Return inputs and targets of one batch as fresh tensors on the device."""
        stop = (batch + 1) * self.size + (self.lonely and batch == self.count - 1)
        rows = self.order(epoch)[batch * self.size : stop]
        at = rows if self.on == CPU or self.augment is not None else move(rows, self.on)
        if self.augment is not None:
            x, t = self._augmented(rows, self.root.split(f"augment/{epoch}/{batch}"))
        else:
            x, t = self.x[at], self.t[at]
        return new_tensor(move(np.ascontiguousarray(x), self.on) if self.on != CPU else x), new_tensor(move(t, self.on))
