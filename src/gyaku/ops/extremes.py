"""The largest and the smallest along dimensions, and where they are."""

from __future__ import annotations

from typing import Any, NamedTuple

from gyaku.base.errors import ArgumentError
from gyaku.core.op import Op, apply, context_of_call, public, register
from gyaku.core.tensor import Tensor
from gyaku.ops.choose import maximum, minimum
from gyaku.ops.dims import axis_of, ndim_of, reduction
from gyaku.ops.reduce import Reduction
from gyaku.ops.shape import clone, unsqueeze


class Extreme(Reduction):
    """Base of amax and amin: the gradient is shared evenly between the elements that reach the extreme."""

    keep = "x y"

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        x, y = saved
        reached = xp.astype(x == self.expand(xp, y, x.shape), gy.dtype)
        return reached * (self.expand(xp, gy, x.shape) / xp.sum(reached, axis=self.axis, keepdims=True))

    def expected(self, *x: Any) -> str:
        """Say that an extreme needs elements."""
        return "at least one element to choose from"


@register
class Amax(Extreme):
    """y = the largest x; the derivative is 1 there, shared evenly at ties."""

    label = "max {0}"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.amax(x, axis=self.axis, keepdims=self.keepdims)


@register
class Amin(Extreme):
    """y = the smallest x; the derivative is 1 there, shared evenly at ties."""

    label = "min {0}"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.amin(x, axis=self.axis, keepdims=self.keepdims)


@public("amax")
def amax(input: Tensor, dim: Any = (), keepdim: bool = False) -> Tensor:
    """Return the largest element along ``dim`` (all by default); ties share the gradient evenly."""
    return reduction(Amax, input, dim, keepdim)


@public("amin")
def amin(input: Tensor, dim: Any = (), keepdim: bool = False) -> Tensor:
    """Return the smallest element along ``dim`` (all by default); ties share the gradient evenly."""
    return reduction(Amin, input, dim, keepdim)


class Position(Op):
    """Base of argmax and argmin: positions, without derivative; the first one at a tie."""

    axis: Any = None
    differentiable = False

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        return None

    def expected(self, *x: Any) -> str:
        """Say that an extreme needs elements."""
        return "at least one element to choose from"


@register
class Argmax(Position):
    """y = where x is largest (the first place at a tie)."""

    label = "argmax {0}"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.argmax(x, axis=self.axis)


@register
class Argmin(Position):
    """y = where x is smallest (the first place at a tie)."""

    label = "argmin {0}"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.argmin(x, axis=self.axis)


def _position(cls: type[Op], input: Tensor, dim: int | None, keepdim: bool) -> Tensor:
    ndim = ndim_of(input, cls.name)
    axis = None if dim is None else axis_of(dim, ndim, cls.name)
    found = apply(cls(axis if ndim else None), input)
    if not keepdim:
        return found
    return found.reshape((1,) * ndim) if axis is None or not ndim else found.unsqueeze(axis)


@public("argmax")
def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Return where the largest element is (in the flattened tensor without ``dim``); the first place at a tie."""
    return _position(Argmax, input, dim, keepdim)


@public("argmin")
def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Return where the smallest element is (in the flattened tensor without ``dim``); the first place at a tie."""
    return _position(Argmin, input, dim, keepdim)


class Extremes(NamedTuple):
    """What ``max`` and ``min`` along a dimension return."""

    values: Tensor
    indices: Tensor


class Along(Op):
    """Base of the extremes along one dimension: y0 the values, y1 their places; the gradient goes there alone."""

    axis: int
    keep = "x.shape y1"

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        shape, places = saved
        line = xp.reshape(xp.arange(shape[self.axis]), (-1, *(1,) * (len(shape) - self.axis - 1)))
        chosen = xp.expand_dims(places, self.axis) == line
        return xp.where(chosen, xp.expand_dims(gy[0], self.axis), 0)

    def expected(self, *x: Any) -> str:
        """Say that an extreme needs elements."""
        return "at least one element to choose from"


@register
class MaxAlong(Along):
    """y0 = the largest x along ``axis``, y1 = its place (the first at a tie); dy0/dx is 1 there, 0 elsewhere."""

    label = "max {0}"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.amax(x, axis=self.axis), xp.argmax(x, axis=self.axis)


@register
class MinAlong(Along):
    """y0 = the smallest x along ``axis``, y1 = its place (the first at a tie); dy0/dx is 1 there, 0 elsewhere."""

    label = "min {0}"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.amin(x, axis=self.axis), xp.argmin(x, axis=self.axis)


def _along(cls: Any, input: Tensor, dim: int, keepdim: bool) -> Extremes:
    """Return the extremes along ``dim`` and their places."""
    where = cls.name.partition("_")[0]
    axis = axis_of(dim, ndim_of(input, where), where)
    if not input._array.ndim:
        return Extremes(clone(input), argmax(input))
    values, places = apply(cls(axis), input)
    return Extremes(unsqueeze(values, axis), unsqueeze(places, axis)) if keepdim else Extremes(values, places)


_EXTREMES: Any = {"max": (Amax, MaxAlong, maximum), "min": (Amin, MinAlong, minimum)}


def _extreme(name: str, input: Tensor, dim: Any, keepdim: bool) -> Any:
    whole, along, pairwise = _EXTREMES[name]
    if dim is None:
        if keepdim:
            raise ArgumentError(
                name, "keepdim together with dim", "keepdim alone", hint=f"use gyaku.a{name}", context=context_of_call()
            )
        return reduction(whole, input, None, False)
    if isinstance(dim, Tensor) and (dim.ndim or dim._array.dtype.kind == "f"):
        return pairwise(input, dim)
    return _along(along, input, dim, keepdim)


@public("max")
def max(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Tensor | None = None) -> Any:
    """Return the largest element; along ``dim``: ``(values, indices)``; with a second tensor: ``maximum``.

    Of all elements, ties share the gradient evenly; along ``dim`` the first place gets it.
    """
    return _extreme("max", input, dim if other is None else other, keepdim)


@public("min")
def min(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Tensor | None = None) -> Any:
    """Return the smallest element; along ``dim``: ``(values, indices)``; with a second tensor: ``minimum``.

    Of all elements, ties share the gradient evenly; along ``dim`` the first place gets it.
    """
    return _extreme("min", input, dim if other is None else other, keepdim)
