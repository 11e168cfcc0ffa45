"""Other shapes of the same numbers: reshaping, reordering and expanding. Views share memory, as in PyTorch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gyaku.base.errors import ArgumentError, ShapeError
from gyaku.core.op import FUNCTIONS, Op, apply, apply1, context_of_call, public, register
from gyaku.core.tensor import Tensor
from gyaku.ops.dims import axes_of, axis_of, ndim_of, sizes_of


@register
class Reshape(Op):
    """y = the elements of x, in their order, in another shape; the gradient is shaped back."""

    shape: Any
    keep = "x.shape"
    view = True
    label = "{0}"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.reshape(x, self.shape)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        return xp.reshape(gy, saved[0])

    def expected(self, *x: Any) -> str:
        """Say how many elements the new shape must hold."""
        return f"a shape of {math.prod(x[0].shape)} elements instead of {self.shape}"


@public("reshape")
def reshape(input: Tensor, *sizes: Any, shape: Any = None) -> Tensor:
    """Return the same elements in another shape; one size may be -1. Shares memory where possible.

    Raises ``ShapeError`` when the number of elements differs.
    """
    return apply(Reshape(sizes_of(sizes if shape is None else (shape,), "reshape")), input)


@public("view", top=False)
def view(input: Tensor, *shape: Any) -> Tensor:
    """Return the same memory in another shape; one size may be -1.

    Raises ``ShapeError`` when that would need a copy (``reshape`` makes one).
    """
    result: Tensor = apply(Reshape(sizes_of(shape, "view")), input)
    x, y = input._array, result._array
    if type(x) is np.ndarray and x.size and not np.may_share_memory(x, y):
        raise ShapeError(
            "view",
            "memory that can be seen in that shape",
            "elements that lie too far apart",
            hint="use .reshape(...)",
            context=context_of_call(),
        )
    return result


@public("view_as", top=False)
def view_as(input: Tensor, other: Tensor) -> Tensor:
    """Return ``input.view(other.shape)``."""
    return view(input, other.shape)


@public("reshape_as", top=False)
def reshape_as(input: Tensor, other: Tensor) -> Tensor:
    """Return ``input.reshape(other.shape)``."""
    return reshape(input, other.shape)


@public("flatten")
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Return the tensor with the dimensions ``start_dim`` to ``end_dim`` made into one."""
    ndim, shape = ndim_of(input, "flatten"), input._array.shape
    first, last = axis_of(start_dim, ndim, "flatten"), axis_of(end_dim, ndim, "flatten")
    if first > last:
        raise ArgumentError(
            "flatten", "start_dim not after end_dim", f"{start_dim} and {end_dim}", context=context_of_call()
        )
    return apply(Reshape((*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :])), input)


@public("ravel")
def ravel(input: Tensor) -> Tensor:
    """Return all elements in one dimension."""
    return flatten(input)


@public("unflatten")
def unflatten(input: Tensor, dim: int, sizes: Any) -> Tensor:
    """Return the tensor with dimension ``dim`` split into ``sizes``; one size may be -1."""
    axis, shape = axis_of(dim, ndim_of(input, "unflatten"), "unflatten"), input._array.shape
    sizes = sizes_of((sizes,), "unflatten")
    known = math.prod(s for s in sizes if s != -1)
    full = tuple(shape[axis] // max(known, 1) if s == -1 else s for s in sizes)
    if math.prod(full) != shape[axis] or sizes.count(-1) > 1:
        raise ShapeError("unflatten", f"sizes whose product is {shape[axis]}", str(sizes), context=context_of_call())
    return apply(Reshape((*shape[:axis], *full, *shape[axis + 1 :])), input)


@public("squeeze")
def squeeze(input: Tensor, dim: Any = None) -> Tensor:
    """Return the tensor without dimensions of size 1: all such, or those in ``dim`` (an integer or a tuple)."""
    ndim, shape = ndim_of(input, "squeeze"), input._array.shape
    axes = range(ndim) if dim is None else axes_of(tuple(dim) if isinstance(dim, list) else dim, ndim, "squeeze") or ()
    return apply(Reshape(tuple([s for i, s in enumerate(shape) if s != 1 or i not in axes])), input)


@public("unsqueeze")
def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """Return the tensor with a dimension of size 1 put in at ``dim``."""
    axis, shape = axis_of(dim, ndim_of(input, "unsqueeze") + 1, "unsqueeze"), input._array.shape
    return apply(Reshape((*shape[:axis], 1, *shape[axis:])), input)


# -- order of the dimensions -------------------------------------------------------------------------------------------
@register
class Permute(Op):
    """y = x with its dimensions in the order ``axes``; the gradient is put back in order."""

    axes: tuple[int, ...]
    view = True
    label = "{0}ᵀ"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.transpose(x, self.axes)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        return xp.transpose(gy, tuple(sorted(range(len(self.axes)), key=self.axes.__getitem__)))


@public("permute")
def permute(input: Tensor, *order: Any, dims: Any = None) -> Tensor:
    """Return a view with the dimensions in the order ``dims``."""
    ndim = ndim_of(input, "permute")
    order = sizes_of(order if dims is None else (dims,), "permute")
    axes = tuple([axis_of(d, ndim, "permute") for d in order])
    if sorted(axes) != list(range(ndim)):
        raise ArgumentError("permute", f"each of {ndim} dimensions once", str(axes), context=context_of_call())
    return apply(Permute(axes), input)


def _swapped(where: str, input: Tensor, dim0: int, dim1: int) -> Tensor:
    ndim = ndim_of(input, where)
    a, b = axis_of(dim0, ndim, where), axis_of(dim1, ndim, where)
    axes = list(range(ndim))
    if ndim:
        axes[a], axes[b] = axes[b], axes[a]
    return apply(Permute(tuple(axes)), input)


@public("transpose", "swapaxes", "swapdims")
def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Return a view with two dimensions exchanged."""
    return _swapped("transpose", input, dim0, dim1)


@public("t")
def t(input: Tensor) -> Tensor:
    """Return the transpose of a matrix; with fewer dimensions the tensor itself."""
    if ndim_of(input, "t") > 2:
        raise ShapeError(
            "t",
            "a tensor with at most 2 dimensions",
            str(input.shape),
            hint="use .mT or .transpose(0, 1)",
            context=context_of_call(),
        )
    return input if input._array.ndim < 2 else _swapped("t", input, 0, 1)


def reverse_dims(input: Tensor) -> Tensor:
    """All dimensions in reverse order (for a matrix: its transpose)."""
    return apply(Permute(tuple(range(input._array.ndim))[::-1]), input)


def matrix_transpose(input: Tensor) -> Tensor:
    """The last two dimensions exchanged: the transpose of every matrix of a batch."""
    if input._array.ndim < 2:
        raise ShapeError("mT", "at least 2 dimensions", str(input.shape), context=context_of_call())
    return _swapped("mT", input, -2, -1)


Tensor.T = property(reverse_dims)  # type: ignore[attr-defined]
Tensor.mT = property(matrix_transpose)  # type: ignore[attr-defined]


@public("movedim", "moveaxis")
def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """Return a view with the dimensions ``source`` moved to the places ``destination``, the others in their order."""
    ndim = ndim_of(input, "movedim")
    come, go = ([axis_of(d, ndim, "movedim") for d in sizes_of((s,), "movedim")] for s in (source, destination))
    if len(come) != len(go) or len(set(come)) != len(come) or len(set(go)) != len(go):
        raise ArgumentError(
            "movedim",
            "as many places as dimensions, each once",
            f"{source} and {destination}",
            context=context_of_call(),
        )
    axes = [a for a in range(ndim) if a not in come]
    for place, axis in sorted(zip(go, come)):
        axes.insert(place, axis)
    return apply(Permute(tuple(axes[:ndim])), input)


# -- expansion and copies ----------------------------------------------------------------------------------------------
@register
class Expand(Op):
    """y = x broadcast to a shape without copying; the gradient is summed over the repeats (by the walk)."""

    shape: tuple[int, ...]
    view = True
    label = "{0}"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.broadcast_to(x, self.shape)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        return gy

    def expected(self, *x: Any) -> str:
        """Say which shape was asked for."""
        return f"a shape that broadcasts to {self.shape}"


@public("expand", top=False)
def expand(input: Tensor, *sizes: Any) -> Tensor:
    """Return a view broadcast to ``sizes``; -1 keeps a size. It is read-only: its elements share memory."""
    wanted = sizes_of(sizes, "expand")
    missing = len(wanted) - ndim_of(input, "expand")
    shape = [input._array.shape[i - missing] if s == -1 and i >= missing >= 0 else s for i, s in enumerate(wanted)]
    if min(shape, default=0) < 0:
        raise ShapeError("expand", "sizes of at least 0 for new dimensions", str(wanted), context=context_of_call())
    return apply(Expand(tuple(shape)), input)


@public("expand_as", top=False)
def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """Return a view broadcast to the shape of ``other``."""
    return expand(input, other.shape)


@public("broadcast_to")
def broadcast_to(input: Tensor, size: Any) -> Tensor:
    """Return a view broadcast to ``size``."""
    return expand(input, size)


@register
class Clone(Op):
    """y = a copy of x; dy/dx = 1."""

    label = "{0}"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.copy(x)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        return gy


_CLONE = Clone()


@public("clone")
def clone(input: Tensor) -> Tensor:
    """Return a copy with memory of its own, in the graph: dy/dx = 1."""
    return apply1(_CLONE, input)


@register
class Contiguous(Op):
    """y = x copied into C order; dy/dx = 1."""

    label = "{0}"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.contiguous(x)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        return gy


@public("contiguous", top=False)
def contiguous(input: Tensor) -> Tensor:
    """Return the tensor itself when its elements lie in C order, else a copy in which they do."""
    return input if is_contiguous(input) else apply(Contiguous(), input)


@public("is_contiguous", top=False)
def is_contiguous(input: Tensor) -> bool:
    """Return whether the elements lie in C order without gaps."""
    return bool(input._array.flags.c_contiguous)


FUNCTIONS.update(swapaxes=transpose, swapdims=transpose, moveaxis=movedim)  # PyTorch's second names
