"""Order: sort, argsort, topk, unique, bincount."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gyaku.base.errors import ArgumentError, DtypeError, ShapeError
from gyaku.core.op import Op, apply, public, register
from gyaku.core.tensor import Tensor, new_tensor
from gyaku.ops.dims import axis_of


class Ordered(NamedTuple):
    """Values with the positions they came from, as PyTorch returns them."""

    values: Tensor
    indices: Tensor


@register
class Sort(Op):
    """y0 = x in order along an axis (equal elements keep their order), y1 = where each came from; NaN is largest."""

    axis: int
    descending: bool
    keep = "x.shape y1"
    label = "sort({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        index = _order(xp, x, self.axis, self.descending)
        return xp.take_along_axis(x, index, axis=self.axis), index

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        shape, index = saved
        return xp.scatter_add(shape, index, gy[0], self.axis)


def _order(xp: Any, x: Any, axis: int, descending: bool) -> Any:
    if not descending:
        return xp.argsort(x, axis=axis, kind="stable")
    backwards = xp.argsort(xp.flip(x, axis=axis), axis=axis, kind="stable")  # turned twice: equal ones keep their order
    return x.shape[axis] - 1 - xp.flip(backwards, axis=axis)


@public("sort")
def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Ordered:
    """Return (values, indices) sorted along ``dim``; always stable. The gradient returns to where each value came from.

    >>> import gyaku as gy
    >>> gy.sort(gy.tensor([3, 1, 2])).indices.tolist()
    [1, 2, 0]
    """
    axis = axis_of(dim, input.ndim, "sort")
    if input.ndim == 0:
        return Ordered(input.clone(), new_tensor(np.zeros((), np.int64)))
    return Ordered(*apply(Sort(axis, bool(descending)), input))


@public("argsort")
def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    """Return the positions that would sort ``input`` along ``dim``."""
    return sort(input.detach(), dim, descending).indices


@public("topk")
def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Ordered:
    """Return the ``k`` largest (or smallest) elements along ``dim``, in order, and their positions.

    Of equal elements the first come first. Raises ``ArgumentError`` when there are fewer than ``k``.
    """
    axis = axis_of(dim, input.ndim, "topk")
    n = input.shape[axis] if input.ndim else 1
    if not 0 <= k <= n:
        raise ArgumentError("topk", f"k from 0 to {n}", str(k))
    values, indices = sort(input, dim, largest)
    if input.ndim == 0:
        return Ordered(values, indices)
    first = (*[slice(None)] * axis, slice(k))
    return Ordered(values[first], indices[first])


@public("unique")
def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """Return the different elements in order (or slices along ``dim``), if asked with inverse positions and counts."""
    array = input.detach().cpu()._array
    if dim is not None:
        dim = axis_of(dim, input.ndim, "unique")
    values, inverse, counts = np.unique(array, return_inverse=True, return_counts=True, axis=dim)
    inverse = inverse.reshape(array.shape if dim is None else (-1,))
    wanted = [values, *([inverse] if return_inverse else []), *([counts] if return_counts else [])]
    tensors = tuple([new_tensor(np.ascontiguousarray(a)).to(input.device) for a in wanted])
    return tensors if len(tensors) > 1 else tensors[0]


@public("bincount")
def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """Return how often each whole number 0, 1, 2, ... occurs (int64), or the sum of its ``weights``.

    >>> import gyaku as gy
    >>> gy.bincount(gy.tensor([0, 2, 2])).tolist()
    [1, 0, 2]
    """
    array = input.detach().cpu()._array
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ShapeError("bincount", "a 1-d tensor of whole numbers", f"{tuple(input.shape)} {input.dtype!r}")
    if array.size and array.min() < 0:
        raise ArgumentError("bincount", "numbers of at least 0", str(array.min()))
    if weights is None:
        return new_tensor(np.bincount(array, minlength=minlength).astype(np.int64)).to(input.device)
    if weights.shape != input.shape:
        raise DtypeError("bincount", f"weights of shape {tuple(input.shape)}", str(tuple(weights.shape)))
    kind = np.float32 if weights._array.dtype == np.float32 else np.float64
    sums = np.bincount(array, weights.detach().cpu()._array, minlength)
    return new_tensor(sums.astype(kind)).to(input.device)
