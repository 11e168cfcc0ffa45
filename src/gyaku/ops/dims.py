"""Dimensions as users write them (negative, alone, in tuples), made into the static parameters of operations."""

from __future__ import annotations

import functools
import operator
from typing import Any

from gyaku.base.errors import ArgumentError, DtypeError, PositionError
from gyaku.core.op import Op, apply, apply1, context_of_call
from gyaku.core.tensor import Tensor

Axes = tuple[int, ...] | None


@functools.lru_cache(maxsize=4096, typed=True)
def axis_of(dim: Any, ndim: int, where: str) -> int:
    """Return ``dim`` counted from the front; an array without dimensions counts as having one, as in PyTorch.

    Raises ``PositionError`` when there is no such dimension, ``DtypeError`` when ``dim`` is no integer.

    >>> axis_of(-1, 3, "sum")
    2
    """
    n = ndim or 1
    try:
        axis = operator.index(dim)
    except TypeError as error:
        raise DtypeError(where, "a dimension as an integer", repr(dim), context=context_of_call()) from error
    if not -n <= axis < n:
        raise PositionError(where, f"a dimension in {-n}..{n - 1}", str(axis), context=context_of_call())
    return axis % n


@functools.lru_cache(maxsize=4096, typed=True)
def axes_of(dim: Any, ndim: int, where: str) -> Axes:
    """Return the dimensions to reduce as a sorted tuple, or None for all of them.

    >>> axes_of((-1, 0), 3, "sum"), axes_of(None, 3, "sum")
    ((0, 2), None)
    """
    if dim is None or dim == ():
        return None
    axes = tuple(sorted(axis_of(d, ndim, where) for d in (dim if isinstance(dim, tuple) else (dim,))))
    if len(set(axes)) != len(axes):
        raise ArgumentError(where, "every dimension once", str(dim), context=context_of_call())
    return axes if ndim else ()


@functools.lru_cache(maxsize=4096, typed=True)
def _made(cls: type[Op], dim: Any, ndim: int, *static: Any) -> Op:
    return cls(axes_of(dim, ndim, cls.name), *static)


def reduction(cls: type[Op], x: Tensor, dim: Any, *static: Any) -> Any:
    """Apply the reduction ``cls`` (fields: axis, then ``static``) to ``x`` along ``dim``."""
    kind: Any = cls
    op = _made(kind, tuple(dim) if type(dim) is list else dim, ndim_of(x, cls.name), *static)
    return apply1(op, x) if cls.differentiable else apply(op, x)


def ndim_of(x: Any, where: str) -> int:
    """Return the number of dimensions of a tensor; anything else is refused with ``DtypeError``."""
    if not isinstance(x, Tensor):
        raise DtypeError(
            where, "a tensor", type(x).__name__, hint="wrap it: gyaku.tensor(...)", context=context_of_call()
        )
    return int(x._array.ndim)


def kept(shape: tuple[int, ...], axis: Axes) -> tuple[int, ...]:
    """Return the shape of a reduction that keeps its dimensions.

    >>> kept((2, 3, 4), (1,))
    (2, 1, 4)
    """
    if axis is None:
        return (1,) * len(shape)
    return tuple([1 if i in axis else s for i, s in enumerate(shape)])


def count(shape: tuple[int, ...], axis: Axes) -> int:
    """Return how many elements a reduction combines.

    >>> count((2, 3, 4), (0, 2)), count((2, 3, 4), None)
    (8, 24)
    """
    n = 1
    for i in range(len(shape)) if axis is None else axis:
        n *= shape[i]
    return n


def sizes_of(sizes: tuple[Any, ...], where: str) -> tuple[int, ...]:
    """Return sizes given one by one or as one sequence (``view(2, 3)``, ``view((2, 3))``) as a tuple of integers."""
    if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)):
        sizes = tuple(sizes[0])
    try:
        return tuple([operator.index(s) for s in sizes])
    except TypeError as error:
        raise DtypeError(where, "sizes as integers", repr(sizes), context=context_of_call()) from error
