"""Putting tensors together and taking them apart; repeats, turns and triangles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gyaku.base.errors import ArgumentError, DtypeError, PositionError, ShapeError
from gyaku.core.op import FUNCTIONS, Op, apply, context_of_call, public, register
from gyaku.core.tensor import Tensor
from gyaku.ops.dims import axes_of, axis_of, ndim_of, sizes_of
from gyaku.ops.shape import movedim, unsqueeze


def _part(axis: int, start: int, stop: int) -> tuple[slice, ...]:
    return (*[slice(None)] * axis, slice(start, stop))


def _parts(xp: Any, x: Any, axis: int, sizes: tuple[int, ...]) -> tuple[Any, ...]:
    """Return x cut along one dimension into pieces of ``sizes``."""
    out, start = [], 0
    for size in sizes:
        out.append(x[_part(axis, start, start + size)])
        start += size
    return tuple(out)


@register
class Concatenate(Op):
    """y = the inputs one after the other along ``axis``; each gets its part of the gradient."""

    axis: int
    sizes: tuple[int, ...]
    promotes = "join"
    label = "[{0}, {1}, ...]"

    def forward(self, xp: Any, *x: Any) -> Any:
        return xp.concatenate(x, axis=self.axis)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        return _parts(xp, gy, self.axis, self.sizes)

    def expected(self, *x: Any) -> str:
        """Say what must agree."""
        return f"shapes that differ in dimension {self.axis} only"


@register
class Stack(Op):
    """y = the inputs along a new dimension ``axis``; each gets its slice of the gradient."""

    axis: int
    promotes = "join"
    label = "[{0}, {1}, ...]"

    def forward(self, xp: Any, *x: Any) -> Any:
        return xp.stack(x, axis=self.axis)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        before = (slice(None),) * self.axis
        return tuple([gy[(*before, i)] for i in range(len(needs))])

    def expected(self, *x: Any) -> str:
        """Say what must agree."""
        return "tensors of one shape"


def _tensors(where: str, tensors: Any) -> list[Tensor]:
    if isinstance(tensors, Tensor) or not isinstance(tensors, Sequence):
        raise DtypeError(where, "a list or tuple of tensors", type(tensors).__name__, context=context_of_call())
    for t in tensors:
        ndim_of(t, where)
    if not tensors:
        raise ArgumentError(where, "at least one tensor", "none", context=context_of_call())
    return list(tensors)


@public()
def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Return the tensors one after the other along ``dim``; other sizes must agree (an empty (0,) fits anywhere)."""
    xs = _tensors("cat", tensors)
    ndim = max(t._array.ndim for t in xs)
    if min(t._array.ndim for t in xs) == 0:
        raise ShapeError(
            "cat", "tensors with at least one dimension", "()", hint="use gyaku.stack", context=context_of_call()
        )
    axis = axis_of(dim, ndim, "cat")
    if ndim > 1 and any(t._array.shape == (0,) for t in xs):  # PyTorch's old empty tensor fits anywhere
        like = next(t._array.shape for t in xs if t._array.ndim == ndim)
        nothing = (*like[:axis], 0, *like[axis + 1 :])
        xs = [t.reshape(nothing) if t._array.shape == (0,) else t for t in xs]
    sizes = tuple([t._array.shape[axis] if axis < t._array.ndim else 0 for t in xs])
    return apply(Concatenate(axis, sizes), *xs)


@public()
def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Return tensors of one shape along a new dimension ``dim``."""
    xs = _tensors("stack", tensors)
    return apply(Stack(axis_of(dim, xs[0]._array.ndim + 1, "stack")), *xs)


@public()
def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Return the tensors side by side: along dimension 1, or 0 where they have one dimension."""
    xs = [t.reshape(1) if not t.ndim else t for t in _tensors("hstack", tensors)]
    return cat(xs, 0 if xs[0].ndim == 1 else 1)


@public()
def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Return the tensors below each other: along dimension 0, single rows as matrices."""
    return cat([t.reshape(1, -1) if t.ndim < 2 else t for t in _tensors("vstack", tensors)])


# -- apart -------------------------------------------------------------------------------------------------------------
@register
class Split(Op):
    """y0, y1, ... = x cut along ``axis`` into pieces of ``sizes``; their gradients are put together again."""

    axis: int
    sizes: tuple[int, ...]
    view = True
    label = "split({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        return _parts(xp, x, self.axis, self.sizes)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        return xp.concatenate(gy, axis=self.axis)


@register
class Unbind(Op):
    """y0, y1, ... = the slices of x along ``axis``; their gradients are stacked again."""

    axis: int
    view = True
    label = "unbind({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        before = (slice(None),) * self.axis
        return tuple([x[(*before, i, ...)] for i in range(x.shape[self.axis])])  # "..." keeps 0-d slices arrays

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        return xp.stack(gy, axis=self.axis)


@public()
def split(tensor: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Return views: pieces of one size along ``dim`` (the last may be smaller), or of the sizes in a list."""
    axis = _dimension_of("split", tensor, dim)
    n, sizes = tensor._array.shape[axis], split_size_or_sections
    if isinstance(sizes, (list, tuple)):
        sizes = sizes_of((sizes,), "split")
        if sum(sizes) != n or min(sizes, default=0) < 0:
            raise ShapeError("split", f"sizes whose sum is {n}", str(sizes), context=context_of_call())
    else:
        (size,) = sizes_of((sizes,), "split")
        if size < 1:
            raise ArgumentError("split", "a size of at least 1", str(size), context=context_of_call())
        sizes = tuple([min(size, n - start) for start in range(0, n, size)]) or (0,)
    return apply(Split(axis, sizes), tensor)


@public("split", top=False)
def split_method(tensor: Tensor, split_size: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Return views as ``gyaku.split`` does; PyTorch's method calls the argument ``split_size``."""
    return split(tensor, split_size, dim)


def _dimension_of(where: str, x: Tensor, dim: int) -> int:
    if not ndim_of(x, where):
        raise ShapeError(where, "at least one dimension", "()", context=context_of_call())
    return axis_of(dim, x._array.ndim, where)


@public("chunk")
def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """Return at most ``chunks`` views of equal size along ``dim`` (the last may be smaller)."""
    axis = _dimension_of("chunk", input, dim)
    (chunks,) = sizes_of((chunks,), "chunk")
    if chunks < 1:
        raise ArgumentError("chunk", "at least 1 chunk", str(chunks), context=context_of_call())
    return split(input, max(-(-input._array.shape[axis] // chunks), 1), axis)


@public("unbind")
def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """Return the slices along ``dim``, without that dimension."""
    return apply(Unbind(_dimension_of("unbind", input, dim)), input)


@public("narrow")
def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """Return the view of ``length`` places along ``dim`` from ``start``."""
    axis = _dimension_of("narrow", input, dim)
    n = input._array.shape[axis]
    first = start + n if start < 0 else start
    if not (0 <= first <= n and 0 <= length <= n - first):
        raise PositionError(
            "narrow", f"a range inside 0..{n}", f"start {start} and length {length}", context=context_of_call()
        )
    return input[_part(axis, first, first + length)]


# -- repeats and turns -------------------------------------------------------------------------------------------------
@register
class Tile(Op):
    """y = x repeated ``times`` along each dimension; the gradients of the repeats add up."""

    times: tuple[int, ...]
    keep = "x.shape"
    label = "tile({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.copy(xp.tile(x, self.times))

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        (shape,) = saved
        full = (1,) * (len(self.times) - len(shape)) + tuple(shape)
        pairs = tuple([n for both in zip(self.times, full) for n in both])
        return xp.reshape(xp.sum(xp.reshape(gy, pairs), axis=tuple(range(0, len(pairs), 2))), shape)


@public("repeat", top=False)
def repeat(input: Tensor, *repeats: Any) -> Tensor:
    """Return the tensor repeated along each dimension; ``repeats`` has a number for every dimension."""
    times = sizes_of(repeats, "repeat")
    if len(times) < ndim_of(input, "repeat"):
        raise ArgumentError("repeat", f"at least {input.ndim} numbers", str(times), context=context_of_call())
    return apply(Tile(times), input)


@public("tile")
def tile(input: Tensor, *times: Any, dims: Any = None) -> Tensor:
    """Return the tensor repeated along the last dimensions, as ``repeat`` with 1 for those not named."""
    times = sizes_of(times if dims is None else (dims,), "tile")
    return apply(Tile((1,) * (ndim_of(input, "tile") - len(times)) + times), input)


@public("repeat_interleave")
def repeat_interleave(input: Tensor, repeats: int, dim: int | None = None) -> Tensor:
    """Return each element ``repeats`` times in a row, along ``dim`` (the flattened tensor without)."""
    ndim_of(input, "repeat_interleave")
    x = input.reshape(-1) if dim is None or not input.ndim else input
    axis, shape = axis_of(dim or 0, x.ndim, "repeat_interleave"), x.shape
    (times,) = sizes_of((repeats,), "repeat_interleave")
    wide = unsqueeze(x, axis + 1).expand(*shape[: axis + 1], times, *shape[axis + 1 :])
    return wide.reshape(*shape[:axis], shape[axis] * times, *shape[axis + 1 :])


@register
class Flip(Op):
    """y = x backwards along ``axis`` (a tuple); the gradient is turned back."""

    axis: tuple[int, ...]
    label = "flip({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.copy(xp.flip(x, axis=self.axis))

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        return xp.flip(gy, axis=self.axis)


@public("flip")
def flip(input: Tensor, *axes: Any, dims: Any = None) -> Tensor:
    """Return a copy with the order along ``dims`` reversed."""
    axes = sizes_of(axes if dims is None else (dims,), "flip")
    return apply(Flip(axes_of(axes, ndim_of(input, "flip"), "flip") or ()), input)


@register
class Roll(Op):
    """y = x moved by ``shifts`` along ``axis``, around the end; the gradient moves back."""

    shifts: Any
    axis: Any = None
    label = "roll({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.roll(x, self.shifts, axis=self.axis)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        return xp.roll(gy, tuple([-s for s in self.shifts]) if self.axis else -self.shifts, axis=self.axis)


@public("roll")
def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """Return the elements moved by ``shifts`` along ``dims`` (the flattened tensor without), around the end."""
    ndim, steps = ndim_of(input, "roll"), sizes_of((shifts,), "roll")
    if dims is None or dims == ():
        return apply(Roll(sum(steps), None), input)
    axes = tuple([axis_of(d, ndim, "roll") for d in sizes_of((dims,), "roll")])
    if len(axes) != len(steps):
        raise ArgumentError("roll", "as many shifts as dims", f"{steps} and {axes}", context=context_of_call())
    return apply(Roll(steps, axes), input)


# -- triangles and diagonals -------------------------------------------------------------------------------------------
@register
class Tril(Op):
    """y = x with 0 above diagonal k; so is the gradient."""

    k: int = 0
    label = "tril({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.tril(x, self.k)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        return xp.tril(gy, self.k)


@register
class Triu(Op):
    """y = x with 0 below diagonal k; so is the gradient."""

    k: int = 0
    label = "triu({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.triu(x, self.k)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        return xp.triu(gy, self.k)


def _matrices(where: str, x: Tensor) -> Tensor:
    if ndim_of(x, where) < 2:
        raise ShapeError(where, "at least 2 dimensions", str(x.shape), context=context_of_call())
    return x


@public("tril")
def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """Return the lower triangle of each matrix: 0 above diagonal ``diagonal``."""
    return apply(Tril(int(diagonal)), _matrices("tril", input))


@public("triu")
def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """Return the upper triangle of each matrix: 0 below diagonal ``diagonal``."""
    return apply(Triu(int(diagonal)), _matrices("triu", input))


@register
class Diagonal(Op):
    """y = x[..., i, i + offset] as the last dimension; the gradient goes back to those places."""

    offset: int = 0
    keep = "x.shape"
    label = "diagonal({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        return x[_on_diagonal(xp, x.shape, self.offset)]

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        return xp.index_add(saved[0], _on_diagonal(xp, saved[0], self.offset), gy)


@register
class Diagflat(Op):
    """y = a matrix with x on diagonal ``offset`` and 0 elsewhere; the gradient is that diagonal."""

    offset: int = 0
    keep = "x.shape"
    label = "diag({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        n = x.shape[0] + abs(self.offset)
        return xp.index_add((n, n), _on_diagonal(xp, (n, n), self.offset), x)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        return gy[_on_diagonal(xp, gy.shape, self.offset)]


def _on_diagonal(xp: Any, shape: tuple[int, ...], offset: int) -> tuple[Any, ...]:
    """Return the key of the elements [..., i, i + offset]."""
    rows, columns = shape[-2:]
    first = max(-offset, 0)
    places = xp.arange(first, max(min(rows, columns - offset), first))
    return (*[slice(None)] * (len(shape) - 2), places, places + offset)


@public("diagonal")
def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """Return the diagonal ``offset`` of the matrices in ``dim1`` and ``dim2``, as the last dimension (a copy)."""
    _matrices("diagonal", input)
    x = input if input.ndim == 2 and (dim1, dim2) == (0, 1) else movedim(input, (dim1, dim2), (-2, -1))
    return apply(Diagonal(int(offset)), x)


@public("diag")
def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """Return the diagonal of a matrix, or the matrix with a vector on its diagonal."""
    if ndim_of(input, "diag") not in (1, 2):
        raise ShapeError("diag", "a vector or a matrix", str(input.shape), context=context_of_call())
    return apply((Diagflat if input.ndim == 1 else Diagonal)(int(diagonal)), input)


FUNCTIONS.update(concat=cat, concatenate=cat)  # PyTorch's second names
