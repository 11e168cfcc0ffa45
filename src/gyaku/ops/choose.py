"""The larger, the smaller, and the choice between two values by a condition."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gyaku.backend.dtypes import get_default_dtype, promote
from gyaku.base.errors import ArgumentError, DtypeError
from gyaku.core.op import FUNCTIONS, REGISTRY, apply, apply2, context_of_call, operand, operands, public, register
from gyaku.core.tensor import Tensor, new_tensor
from gyaku.ops.arithmetic import Elementwise


@register
class Maximum(Elementwise):
    """y = the larger of a and b; the derivative is 1 for the larger, and 1/2 for each at a tie."""

    keep = "a b"
    label = "max({0}, {1})"

    def forward(self, xp: Any, a: Any, b: Any) -> Any:
        return xp.maximum(a, b)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        a, b = saved
        half = xp.where(a == b, gy * 0.5, 0)
        return (
            half + xp.where(a > b, gy, 0) if needs[0] else None,
            half + xp.where(a < b, gy, 0) if needs[1] else None,
        )


@register
class Minimum(Elementwise):
    """y = the smaller of a and b; the derivative is 1 for the smaller, and 1/2 for each at a tie."""

    keep = "a b"
    label = "min({0}, {1})"

    def forward(self, xp: Any, a: Any, b: Any) -> Any:
        return xp.minimum(a, b)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        a, b = saved
        half = xp.where(a == b, gy * 0.5, 0)
        return (
            half + xp.where(a < b, gy, 0) if needs[0] else None,
            half + xp.where(a > b, gy, 0) if needs[1] else None,
        )


_MAXIMUM, _MINIMUM = Maximum(), Minimum()


@public("maximum")
def maximum(input: Tensor, other: Tensor) -> Tensor:
    """Return the larger of the two, broadcast; NaN if one is. At a tie each gets half the gradient."""
    return apply2(_MAXIMUM, input, other)


@public("minimum")
def minimum(input: Tensor, other: Tensor) -> Tensor:
    """Return the smaller of the two, broadcast; NaN if one is. At a tie each gets half the gradient."""
    return apply2(_MINIMUM, input, other)


@register
class Clamp(Elementwise):
    """y = x held inside low..high (None: no bound); dy/dx = 1 inside and at the bounds, 0 outside.

    A bound gets the gradient where it stands in for x; where low > high the answer is high.
    """

    keep = "x low high"
    label = "clamp({0}, {1}, {2})"

    def forward(self, xp: Any, x: Any, low: Any, high: Any) -> Any:
        if low is None:
            return xp.minimum(x, high)
        return xp.maximum(x, low) if high is None else xp.minimum(xp.maximum(x, low), high)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        x, low, high = saved
        below = None if low is None else x < low
        above = None if high is None else x > high
        if low is None or high is None:
            outside = above if low is None else below
            bound = xp.where(outside, gy, 0)
            return xp.where(outside, 0, gy), None if low is None else bound, None if high is None else bound
        gx = xp.where(xp.logical_or(below, above), 0, gy)
        glow = xp.where(xp.logical_and(below, low < high), gy, 0) if needs[1] else None
        return gx, glow, xp.where(xp.logical_or(above, high < low), gy, 0) if needs[2] else None


_CLAMP = Clamp()


@public("clamp", "clip")
def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """Return the elements held inside ``min``..``max`` (numbers or tensors, one may be missing).

    The derivative is 1 inside and at the bounds, 0 outside. Raises ``ArgumentError`` when both bounds are missing.
    """
    if min is None and max is None:
        raise ArgumentError("clamp", "min, max or both", "neither", context=context_of_call())
    if isinstance(input, Tensor) and input._array.dtype.kind == "f":  # plain numbers take the straight road
        min, max = -math.inf if min is None else min, math.inf if max is None else max
    low, high = (None if bound is None else operand(bound, input) for bound in (min, max))
    return apply(_CLAMP, input, low, high)


@public("clamp_min")
def clamp_min(input: Tensor, min: Any) -> Tensor:
    """Return the elements, none below ``min``."""
    return clamp(input, min)


@public("clamp_max")
def clamp_max(input: Tensor, max: Any) -> Tensor:
    """Return the elements, none above ``max``."""
    return clamp(input, None, max)


@register
class Where(Elementwise):
    """y = a where the condition holds, else b; the gradient goes to the chosen one."""

    keep = "condition"
    label = "{1} if {0} else {2}"
    promotes = ""

    def forward(self, xp: Any, condition: Any, a: Any, b: Any) -> Any:
        return xp.where(condition, a, b)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        (condition,) = saved
        ga = xp.where(condition, gy, 0) if needs[1] else None
        return None, ga, xp.where(condition, 0, gy) if needs[2] else None


_WHERE = Where()


@public("where")
def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """Return ``input`` where ``condition`` holds and ``other`` elsewhere, broadcast.

    With the condition alone: the positions where it holds, one tensor of integers for each dimension.
    Raises ``DtypeError`` for a condition that is not made of truth values.
    """
    if not isinstance(condition, Tensor) or condition._array.dtype.kind not in "bu":
        got = repr(condition.dtype) if isinstance(condition, Tensor) else type(condition).__name__
        raise DtypeError(
            "where", "a condition of truth values", got, hint="compare, as in x > 0", context=context_of_call()
        )
    if input is None and other is None:
        return tuple(new_tensor(i) for i in condition._array.nonzero())
    return apply(_WHERE, condition, *joined(input, other))


@public("where", top=False)
def where_method(input: Tensor, condition: Tensor, other: Any) -> Tensor:
    """Return the elements where ``condition`` holds and ``other`` elsewhere."""
    return where(condition, input, other)


def joined(a: Any, b: Any) -> tuple[Any, Any]:
    """Return two operands of one common type; at least one of them a tensor."""
    a, b = operand(a, b), operand(b, a)
    if not isinstance(a, Tensor) and not isinstance(b, Tensor):
        a, b = Tensor(a), Tensor(b)
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        x, z = a._array, b._array
        kind = promote(x.dtype, z.dtype, a_0d=x.ndim == 0, b_0d=z.ndim == 0)
        return _as_type(a, kind), _as_type(b, kind)
    if isinstance(a, Tensor):
        return _as_type(a, _with_number(a, b)), b
    return a, _as_type(b, _with_number(b, a))


def _with_number(t: Tensor, number: Any) -> Any:
    kind = t._array.dtype
    if isinstance(number, float) and kind.kind != "f":
        return get_default_dtype().numpy
    return np.dtype(np.int64) if kind.kind == "b" and type(number) is int else kind


def _as_type(t: Tensor, kind: Any) -> Tensor:
    return t if t._array.dtype == kind else apply(REGISTRY["cast"](kind), t)


@public("masked_fill")
def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """Return ``input`` with ``value`` where ``mask`` holds (broadcast); the gradient there is 0."""
    value = operand(value, input)
    if isinstance(value, Tensor) and value.ndim:
        raise DtypeError(
            "masked_fill",
            "one number as value",
            f"a tensor of shape {value.shape}",
            hint="use gyaku.where",
            context=context_of_call(),
        )
    if not isinstance(value, Tensor):
        value = Tensor(value)
    return where(mask, _as_type(value, input._array.dtype), input)


@register
class Heaviside(Elementwise):
    """y = 0 below 0, 1 above 0, and ``values`` at 0; derivative 0."""

    label = "heaviside({0}, {1})"

    def forward(self, xp: Any, x: Any, values: Any) -> Any:
        return xp.where(x == 0, values, xp.astype(x > 0, x.dtype))

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        return xp.zeros_like(gy), xp.zeros_like(gy)


_HEAVISIDE = Heaviside()


@public("heaviside")
def heaviside(input: Tensor, values: Any) -> Tensor:
    """Return 0 below 0, 1 above 0 and ``values`` at 0 (the lecture's step function, S1 §2); derivative 0."""
    return apply(_HEAVISIDE, *operands(input, values))


FUNCTIONS.update(clip=clamp)  # PyTorch's second name
