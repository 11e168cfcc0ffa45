"""Choosing elements: ``x[key]`` for reading and writing, gather and scatter."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gyaku.backend.devices import move
from gyaku.backend.namespace import namespace_of
from gyaku.base.errors import ArgumentError, DtypeError, GraphError, PositionError, ShapeError
from gyaku.core.mode import state
from gyaku.core.op import FUNCTIONS, Op, apply, public, register
from gyaku.core.tensor import Tensor, as_tensor_like, new_tensor, write
from gyaku.ops.dims import axis_of
from gyaku.ops.namespace import translated

_ARRAY = "array"  # stands in a key where an index array goes; the arrays themselves are inputs
_ALL = slice(None)


class Key(NamedTuple):
    """A key taken apart as PyTorch reads it: first ``basic`` (a view), then ``advanced`` with ``arrays`` filled in."""

    basic: tuple[Any, ...] | None
    advanced: tuple[Any, ...]
    arrays: list[Tensor]


@register
class Slice(Op):
    """y = x[key] of integers, slices, None and an ellipsis: a view; the gradient goes back to its place among zeros."""

    key: tuple[Any, ...]
    keep = "x.shape"
    view = True
    label = "{0}[...]"

    def __hash__(self) -> int:  # slices hash only from Python 3.12
        return hash((type(self), str(self.key)))

    def forward(self, xp: Any, x: Any) -> Any:
        return _looked_up(x, self.key)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        return xp.index_add(saved[0], self.key, gy)


@register
class Index(Op):
    """y = x[key] with index arrays or masks: a copy; gradients of elements chosen twice add up."""

    key: tuple[Any, ...]
    label = "{0}[{1}]"

    def __init__(self, key: tuple[Any, ...], count: int) -> None:
        super().__init__(key)
        self._codes = (("s", 0), *(("x", 1 + i) for i in range(count)))  # type: ignore[misc]

    __hash__ = Slice.__hash__

    def forward(self, xp: Any, x: Any, *indices: Any) -> Any:
        return _looked_up(x, _filled(self.key, indices))

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        shape, *indices = saved
        return xp.index_add(shape, _filled(self.key, indices), gy), *[None] * len(indices)


@register
class IndexAdd(Op):
    """y = zeros of ``shape`` with x added at a key: the adjoint of indexing, and it of this one."""

    shape: tuple[int, ...]
    key: tuple[Any, ...]

    def __init__(self, shape: tuple[int, ...], key: tuple[Any, ...], count: int) -> None:
        super().__init__(shape, key)
        self._codes = tuple(("x", 1 + i) for i in range(count))  # type: ignore[misc]

    __hash__ = Slice.__hash__

    def forward(self, xp: Any, x: Any, *indices: Any) -> Any:
        return xp.index_add(self.shape, _filled(self.key, indices), x)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        return gy[_filled(self.key, saved)], *[None] * len(saved)


@register
class Gather(Op):
    """y[i, j, ...] = x[i, index[i, j, ...], ...] along one axis."""

    axis: int
    keep = "x.shape index"
    label = "{0}[{1}]"

    def forward(self, xp: Any, x: Any, index: Any) -> Any:
        return xp.take_along_axis(x[_corner(index.shape, self.axis)], index, axis=self.axis)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        shape, index = saved
        return xp.scatter_add(shape, index, gy, self.axis), None


@register
class Spread(Op):
    """y = zeros of ``shape`` with x added at ``index`` along one axis: the adjoint of gather."""

    shape: tuple[int, ...]
    axis: int
    keep = "index"

    def forward(self, xp: Any, x: Any, index: Any) -> Any:
        return xp.scatter_add(self.shape, index, x, self.axis)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        corner = gy[_corner(saved[0].shape, self.axis)]
        return xp.take_along_axis(corner, saved[0], axis=self.axis), None


@translated
def index_add(shape: tuple[int, ...], key: Any, values: Tensor) -> Tensor:
    """Return zeros of ``shape`` with ``values`` added at ``key`` (the vocabulary's name, for tensors)."""
    parts = key if isinstance(key, tuple) else (key,)
    arrays = [p for p in parts if isinstance(p, Tensor)]
    pattern = tuple(_ARRAY if isinstance(p, Tensor) else p for p in parts)
    return apply(IndexAdd(tuple(shape), pattern, len(arrays)), values, *arrays)


@translated
def scatter_add_(shape: tuple[int, ...], index: Tensor, values: Tensor, axis: int) -> Tensor:
    """Return zeros of ``shape`` with ``values`` added where ``index`` says (the vocabulary's name, for tensors)."""
    return apply(Spread(tuple(shape), axis), values, index)


@translated
def take_along_axis(x: Tensor, index: Tensor, axis: int) -> Tensor:
    """Return ``gather`` under NumPy's name."""
    return apply(Gather(axis), x, index)


@translated
def take(x: Tensor, index: Any, axis: int) -> Tensor:
    """Return the slices of ``x`` that ``index`` names along ``axis``."""
    return getitem(x, (*[_ALL] * axis, index))


@public("__getitem__", top=False)
def getitem(input: Tensor, key: Any) -> Tensor:
    """Return ``input[key]`` by PyTorch's rules: a view for integers, slices, None and ``...``; else a copy.

    Masks and index arrays may be tensors, NumPy arrays or lists; an element chosen twice gets both gradients.
    Raises ``PositionError`` outside the tensor and ``DtypeError`` for a key that is no index.
    """
    if type(key) is int or type(key) is slice:  # the common case needs no reading
        return apply(Slice((_part(input, key), ...)), input)
    basic, advanced, arrays = read_key(input, key)
    y: Tensor = input if basic is None else apply(Slice(basic), input)
    return apply(Index(advanced, len(arrays)), y, *arrays) if arrays else y


@public("__setitem__", top=False)
def setitem(input: Tensor, key: Any, value: Any) -> None:
    """Write ``value`` into ``input[key]``: in place, so ``input`` and ``value`` must be outside the graph."""
    if isinstance(value, Tensor):
        if state.grad and value.requires_grad:
            raise GraphError(
                "in-place write",
                "a value outside the graph",
                "one that requires grad",
                hint="build the tensor with gyaku.stack, cat or where, or write value.detach()",
            )
        value = move(value._array, input.device)
    elif value is None or isinstance(value, str):
        raise DtypeError("index write", "a tensor or numbers", repr(value))
    basic, advanced, arrays = read_key(input, key)
    memory = input
    if basic is not None and arrays:
        memory = new_tensor(_looked_up(input._array, basic), input._node, input._cell)
    place = _filled(advanced, [a._array for a in arrays]) if arrays else (basic or ...)
    try:
        write(memory, value, place)
    except ValueError as error:
        if isinstance(error, GraphError):
            raise
        room = str(memory._array[place].shape)
        got = f"one of shape {np.shape(value)}"
        raise ShapeError("index write", f"a value that broadcasts to the place, of shape {room}", got) from error
    except IndexError as error:
        raise _outside(input._array, place, error) from error


def read_key(x: Tensor, key: Any) -> Key:
    """Take a key apart: integers, slices and None first, as PyTorch does, then all index arrays together."""
    parts = [_part(x, p) for p in (key if isinstance(key, tuple) else (key,))]
    arrays = [p for p in parts if isinstance(p, Tensor)]
    if not any(p is Ellipsis for p in parts):
        parts.append(...)  # so that NumPy gives a view, never a bare number
    if not arrays:
        return Key(tuple(parts), (), [])
    basic: list[Any] = []
    for p in parts:
        basic += [_ALL] * _consumed(p) if isinstance(p, Tensor) else [p]
    plain = all(p is Ellipsis or p == _ALL for p in basic)
    kept = [p for p in parts if type(p) is not int]
    advanced = tuple(_ARRAY if isinstance(p, Tensor) else ... if p is Ellipsis else _ALL for p in kept)
    return Key(None if plain else tuple(basic), advanced, arrays)


def _part(x: Tensor, p: Any) -> Any:
    """Return one part of a key: an int, a slice of ints, None, an ellipsis or a tensor of indices."""
    if p is None or p is Ellipsis or type(p) is int:
        return p
    if isinstance(p, slice):
        return slice(*[None if i is None else i.__index__() for i in (p.start, p.stop, p.step)])
    if isinstance(p, (bool, np.bool_)):
        return as_tensor_like(np.asarray(p), x)
    if isinstance(p, (Tensor, np.ndarray, list, tuple, range)):
        return _index_tensor(x, p)
    if hasattr(p, "__index__"):
        return p.__index__()
    raise DtypeError("index", "int, slice, None, ..., a mask or whole numbers", type(p).__name__)


def _index_tensor(x: Tensor, p: Any) -> Any:
    t = as_tensor_like(list(p) if isinstance(p, (tuple, range)) else p, x)
    kind = t._array.dtype.kind
    if t._array.size == 0 and not isinstance(p, (Tensor, np.ndarray)):
        return as_tensor_like(np.zeros(t.shape, dtype=np.int64), x)
    if kind == "u" or kind not in "bi":
        raise DtypeError(
            "index", "a mask (bool) or whole numbers", repr(t.dtype), hint=".bool() makes a mask, .long() makes indices"
        )
    return int(t.item()) if t.ndim == 0 and kind == "i" and type(t._array) is np.ndarray else t


def _consumed(p: Tensor) -> int:
    """Return how many dimensions an index array stands for: a mask covers all of its own."""
    return p.ndim if p._array.dtype.kind == "b" else 1


def _filled(key: tuple[Any, ...], arrays: Any) -> tuple[Any, ...]:
    rest = iter(arrays)
    return tuple([next(rest) if p is _ARRAY else p for p in key])


def _looked_up(x: Any, key: tuple[Any, ...]) -> Any:
    try:
        return x[key]
    except IndexError as error:
        raise _outside(x, key, error) from error


def _outside(x: Any, key: Any, error: IndexError) -> PositionError:
    hint = "a mask has the shape of what it selects from" if "boolean" in str(error) else ""
    return PositionError("index", f"positions inside shape {tuple(x.shape)}", str(error), hint=hint)


def _corner(shape: tuple[int, ...], axis: int) -> tuple[slice, ...]:
    """Return the key of the part of an array that an index of ``shape`` reaches."""
    return tuple([_ALL if i == axis else slice(n) for i, n in enumerate(shape)])


def _checked_index(where: str, input: Tensor, dim: int, index: Tensor, source: Tensor | None = None) -> int:
    """Check the index of gather and scatter and return the axis, counted from the front."""
    axis = axis_of(dim, input.ndim, where)
    if not isinstance(index, Tensor) or index._array.dtype.kind != "i":
        raise DtypeError(where, "an index of whole numbers (int64)", str(getattr(index, "dtype", type(index).__name__)))
    limits = [None if i == axis else n for i, n in enumerate(input.shape)]
    fits = index.ndim == input.ndim and all(m is None or n <= m for n, m in zip(index.shape, limits))
    if not fits and index.numel():
        raise ShapeError(where, f"an index no larger than {tuple(input.shape)} outside dim {axis}", str(index.shape))
    if source is not None and (source.ndim != index.ndim or any(n > m for n, m in zip(index.shape, source.shape))):
        raise ShapeError(where, f"a source of at least the index's shape {tuple(index.shape)}", str(source.shape))
    _check_range(where, index, input.shape[axis] if input.ndim else 1)
    return axis


def _check_range(where: str, index: Tensor, n: int) -> None:
    flat = index._array
    if type(flat) is np.ndarray and flat.size and (flat.min() < 0 or flat.max() >= n):
        bad = flat[(flat < 0) | (flat >= n)][0]
        raise PositionError(where, f"indices from 0 to {n - 1}", str(bad))


@public("gather")
def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """Return ``y[i][j] = input[i][index[i][j]]`` (for dim 1): one chosen element for each element of ``index``.

    >>> import gyaku as gy
    >>> gy.gather(gy.tensor([[1, 2], [3, 4]]), 1, gy.tensor([[1], [0]])).tolist()
    [[2], [3]]
    """
    if input.ndim == 0:
        return gather(input[None], dim, index.reshape(-1)).reshape(index.shape)
    return apply(Gather(_checked_index("gather", input, dim, index)), input, index)


@public("scatter_add")
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """Return ``input`` with ``src`` added at the places ``index`` names along ``dim``; repeated places add up."""
    if input.ndim == 0:
        return scatter_add(input[None], dim, index.reshape(-1), src.reshape(-1)).reshape(())
    axis = _checked_index("scatter_add", input, dim, index, src)
    if input.dtype != src.dtype:
        raise DtypeError("scatter_add", f"a source of dtype {input.dtype!r}", repr(src.dtype))
    part = src[tuple([slice(n) for n in index.shape])]
    return FUNCTIONS["add"](input, scatter_add_(input.shape, index, part, axis))


@public("scatter")
def scatter(input: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None) -> Tensor:
    """Return ``input`` with ``src`` (a tensor or a number) put at the places ``index`` names along ``dim``.

    A place named twice with a tensor is refused: which value stays would be chance (PyTorch leaves it open).
    """
    src = value if src is None else src
    if input.ndim == 0:
        flat = src.reshape(-1) if isinstance(src, Tensor) else src
        return scatter(input[None], dim, index.reshape(-1), flat).reshape(())
    axis = _checked_index("scatter", input, dim, index, src if isinstance(src, Tensor) else None)
    counts = scatter_add_(input.shape, index, as_tensor_like(np.ones(index.shape, np.float32), input), axis)
    if isinstance(src, Tensor):
        if (counts._array > 1).any():
            raise ArgumentError("scatter", "each place named once", "a place named twice", hint="scatter_add adds up")
        src = scatter_add_(input.shape, index, src[tuple([slice(n) for n in index.shape])], axis)
    return FUNCTIONS["where"](new_tensor(counts._array > 0), src, input)


@public("take_along_dim")
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """Return the elements that ``indices`` names along ``dim`` (of the flattened input without ``dim``), broadcast.

    The inverse of ``argsort``: ``take_along_dim(x, x.argsort(dim), dim)`` is sorted.
    """
    if dim is None:
        return gather(input.reshape(-1), 0, indices.reshape(-1))
    axis = axis_of(dim, input.ndim, "take_along_dim")
    if input.ndim != indices.ndim:
        raise ShapeError("take_along_dim", f"indices of {input.ndim} dimensions", str(tuple(indices.shape)))
    ones = [tuple([1 if i == axis else n for i, n in enumerate(t.shape)]) for t in (input, indices)]
    common = np.broadcast_shapes(*ones)
    wide = [t.expand(tuple([t.shape[i] if i == axis else n for i, n in enumerate(common)])) for t in (input, indices)]
    return gather(wide[0], axis, wide[1])


@public("index_select")
def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """Return the slices of ``input`` that the 1-d ``index`` names along ``dim``.

    >>> import gyaku as gy
    >>> gy.index_select(gy.tensor([[1, 2], [3, 4]]), 1, gy.tensor([1, 1])).tolist()
    [[2, 2], [4, 4]]
    """
    axis = axis_of(dim, input.ndim, "index_select")
    if not isinstance(index, Tensor) or index.ndim > 1 or index._array.dtype.kind != "i":
        raise ShapeError("index_select", "a 1-d index of whole numbers", str(getattr(index, "shape", index)))
    if input.ndim == 0:
        return input
    _check_range("index_select", index, input.shape[axis])
    return getitem(input, (*[_ALL] * axis, index.reshape(-1)))


@public("masked_select")
def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """Return, in a row, the elements of ``input`` where ``mask`` (bool, broadcast) is true."""
    if not isinstance(mask, Tensor) or mask._array.dtype.kind != "b":
        raise DtypeError("masked_select", "a mask of dtype bool", str(getattr(mask, "dtype", type(mask).__name__)))
    shape = np.broadcast_shapes(input.shape, mask.shape)
    return getitem(input.expand(shape), mask.expand(shape))


@public("nonzero")
def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """Return the positions of what is not zero: one row each, or with ``as_tuple`` one index tensor per dimension.

    >>> import gyaku as gy
    >>> gy.tensor([0, 3, 5]).nonzero().tolist()
    [[1], [2]]
    """
    array = input._array
    xp = namespace_of(array)
    where = [xp.astype(i, np.int64) for i in (array if array.ndim else array[None]).nonzero()]
    if as_tuple:
        return tuple([new_tensor(i) for i in where])
    rows = xp.stack(where, axis=1)
    return new_tensor(rows if array.ndim else rows[:, :0])


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """Return rows of zeros with a one at each class number (int64), of ``num_classes`` (-1: the largest plus one).

    >>> import gyaku as gy
    >>> one_hot(gy.tensor([0, 2])).tolist()
    [[1, 0, 0], [0, 0, 1]]
    """
    labels = tensor._array
    if labels.dtype.kind != "i":
        raise DtypeError("one_hot", "class numbers of dtype int64", repr(tensor.dtype), hint=".long()")
    if num_classes < 1 and labels.size == 0:
        raise ArgumentError("one_hot", "num_classes, or at least one label", "no label")
    n = num_classes if num_classes != -1 else int(labels.max()) + 1
    _check_range("one_hot", tensor, n)
    xp = namespace_of(labels)
    return new_tensor(xp.astype(xp.expand_dims(labels, -1) == xp.arange(n), np.int64))
