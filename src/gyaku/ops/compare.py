"""Comparisons, logic, and the choice between two values."""

from __future__ import annotations

from typing import Any

import numpy as np

from gyaku.base.errors import DtypeError
from gyaku.core.op import FUNCTIONS, Op, apply, context_of_call, operands, public, register
from gyaku.core.tensor import Tensor
from gyaku.ops.arithmetic import Elementwise


class Comparison(Elementwise):
    """Base of the operations that answer with truth values: they have no derivative."""

    differentiable = False

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        return (None,) * len(self.arguments)


@register
class Eq(Comparison):
    """y = whether a = b."""

    label = "{0} = {1}"

    def forward(self, xp: Any, a: Any, b: Any) -> Any:
        return a == b


@register
class Ne(Comparison):
    """y = whether a ≠ b."""

    label = "{0} ≠ {1}"

    def forward(self, xp: Any, a: Any, b: Any) -> Any:
        return a != b


@register
class Lt(Comparison):
    """y = whether a < b."""

    label = "{0} < {1}"

    def forward(self, xp: Any, a: Any, b: Any) -> Any:
        return a < b


@register
class Le(Comparison):
    """y = whether a <= b."""

    label = "{0} ≤ {1}"

    def forward(self, xp: Any, a: Any, b: Any) -> Any:
        return a <= b


@register
class Gt(Comparison):
    """y = whether a > b."""

    label = "{0} > {1}"

    def forward(self, xp: Any, a: Any, b: Any) -> Any:
        return a > b


@register
class Ge(Comparison):
    """y = whether a >= b."""

    label = "{0} ≥ {1}"

    def forward(self, xp: Any, a: Any, b: Any) -> Any:
        return a >= b


_EQ, _NE, _LT, _LE, _GT, _GE = Eq(), Ne(), Lt(), Le(), Gt(), Ge()


@public("eq")
def eq(input: Any, other: Any) -> Tensor:
    """Return whether the elements are equal, broadcast (truth values, no derivative)."""
    return apply(_EQ, *operands(input, other))


@public("ne", "not_equal")
def ne(input: Any, other: Any) -> Tensor:
    """Return whether the elements differ, broadcast (truth values, no derivative)."""
    return apply(_NE, *operands(input, other))


@public("lt", "less", "__lt__")
def lt(input: Any, other: Any) -> Tensor:
    """Return whether ``input < other``, broadcast (truth values, no derivative)."""
    return apply(_LT, *operands(input, other))


@public("le", "less_equal", "__le__")
def le(input: Any, other: Any) -> Tensor:
    """Return whether ``input <= other``, broadcast (truth values, no derivative)."""
    return apply(_LE, *operands(input, other))


@public("gt", "greater", "__gt__")
def gt(input: Any, other: Any) -> Tensor:
    """Return whether ``input > other``, broadcast (truth values, no derivative)."""
    return apply(_GT, *operands(input, other))


@public("ge", "greater_equal", "__ge__")
def ge(input: Any, other: Any) -> Tensor:
    """Return whether ``input >= other``, broadcast (truth values, no derivative)."""
    return apply(_GE, *operands(input, other))


_COMPARABLE = (Tensor, int, float, np.ndarray, np.generic, list, tuple)


@public("__eq__", top=False)
def equal_operator(input: Tensor, other: Any) -> Any:
    """Return whether the elements are equal; what is no number (None, text) equals no tensor."""
    return eq(input, other) if isinstance(other, _COMPARABLE) else NotImplemented


@public("__ne__", top=False)
def unequal_operator(input: Tensor, other: Any) -> Any:
    """Return whether the elements differ; what is no number (None, text) differs from every tensor."""
    return ne(input, other) if isinstance(other, _COMPARABLE) else NotImplemented


# -- logic -------------------------------------------------------------------------------------------------------------
@register
class LogicalAnd(Comparison):
    """y = whether a and b are both not 0."""

    label = "{0} and {1}"
    promotes = ""

    def forward(self, xp: Any, a: Any, b: Any) -> Any:
        return xp.logical_and(a, b)


@register
class LogicalOr(Comparison):
    """y = whether a or b is not 0."""

    label = "{0} or {1}"
    promotes = ""

    def forward(self, xp: Any, a: Any, b: Any) -> Any:
        return xp.logical_or(a, b)


@register
class LogicalXor(Comparison):
    """y = whether just one of a and b is not 0."""

    label = "{0} xor {1}"
    promotes = ""

    def forward(self, xp: Any, a: Any, b: Any) -> Any:
        return xp.logical_xor(a, b)


@register
class LogicalNot(Comparison):
    """y = whether x is 0."""

    label = "not {0}"
    promotes = ""

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.logical_not(x)


_AND, _OR, _XOR, _NOT = LogicalAnd(), LogicalOr(), LogicalXor(), LogicalNot()


@public("logical_and")
def logical_and(input: Any, other: Any) -> Tensor:
    """Return whether both elements are not 0."""
    return apply(_AND, *operands(input, other))


@public("logical_or")
def logical_or(input: Any, other: Any) -> Tensor:
    """Return whether at least one element is not 0."""
    return apply(_OR, *operands(input, other))


@public("logical_xor")
def logical_xor(input: Any, other: Any) -> Tensor:
    """Return whether just one of the two elements is not 0."""
    return apply(_XOR, *operands(input, other))


@public("logical_not")
def logical_not(input: Tensor) -> Tensor:
    """Return whether each element is 0."""
    return apply(_NOT, input)


@register
class BitwiseAnd(Comparison):
    """y = a & b, bit by bit; for truth values: and."""

    label = "{0} & {1}"

    def forward(self, xp: Any, a: Any, b: Any) -> Any:
        return a & b


@register
class BitwiseOr(Comparison):
    """y = a | b, bit by bit; for truth values: or."""

    label = "{0} | {1}"

    def forward(self, xp: Any, a: Any, b: Any) -> Any:
        return a | b


@register
class BitwiseXor(Comparison):
    """y = a ^ b, bit by bit; for truth values: either, not both."""

    label = "{0} ^ {1}"

    def forward(self, xp: Any, a: Any, b: Any) -> Any:
        return a ^ b


@register
class BitwiseNot(Comparison):
    """y = ~x, bit by bit; for truth values: not."""

    label = "~{0}"

    def forward(self, xp: Any, x: Any) -> Any:
        return ~x


_BIT_AND, _BIT_OR, _BIT_XOR, _BIT_NOT = BitwiseAnd(), BitwiseOr(), BitwiseXor(), BitwiseNot()


def _bitwise(op: Op, *inputs: Any) -> Tensor:
    for x in inputs:
        if isinstance(x, float) or (isinstance(x, Tensor) and x._array.dtype.kind == "f"):
            got = repr(x.dtype) if isinstance(x, Tensor) else repr(x)
            raise DtypeError(
                op.name,
                "whole numbers or truth values",
                got,
                hint="compare first, as in (x > 0) & (y > 0)",
                context=context_of_call(),
            )
    return apply(op, *inputs)


@public("bitwise_and", "__and__", "__rand__")
def bitwise_and(input: Any, other: Any) -> Tensor:
    """Return ``input & other`` of whole numbers or truth values."""
    return _bitwise(_BIT_AND, *operands(input, other))


@public("bitwise_or", "__or__", "__ror__")
def bitwise_or(input: Any, other: Any) -> Tensor:
    """Return ``input | other`` of whole numbers or truth values."""
    return _bitwise(_BIT_OR, *operands(input, other))


@public("bitwise_xor", "__xor__", "__rxor__")
def bitwise_xor(input: Any, other: Any) -> Tensor:
    """Return ``input ^ other`` of whole numbers or truth values."""
    return _bitwise(_BIT_XOR, *operands(input, other))


@public("bitwise_not", "__invert__")
def bitwise_not(input: Tensor) -> Tensor:
    """Return ``~input`` of whole numbers or truth values."""
    return _bitwise(_BIT_NOT, input)


# -- what kind of number -----------------------------------------------------------------------------------------------
@register
class Isnan(Comparison):
    """y = whether x is NaN."""

    label = "isnan({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.isnan(x)


@register
class Isfinite(Comparison):
    """y = whether x is neither infinite nor NaN."""

    label = "isfinite({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.isfinite(x)


@register
class Isinf(Comparison):
    """y = whether x is infinite."""

    label = "isinf({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.isinf(x)


_ISNAN, _ISFINITE, _ISINF = Isnan(), Isfinite(), Isinf()


@public("isnan")
def isnan(input: Tensor) -> Tensor:
    """Return whether each element is NaN."""
    return apply(_ISNAN, input)


@public("isfinite")
def isfinite(input: Tensor) -> Tensor:
    """Return whether each element is neither infinite nor NaN."""
    return apply(_ISFINITE, input)


@public("isinf")
def isinf(input: Tensor) -> Tensor:
    """Return whether each element is infinite."""
    return apply(_ISINF, input)


@public("isclose")
def isclose(input: Tensor, other: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Tensor:
    """Return whether ``|input - other| <= atol + rtol |other|``; equal infinities are close."""
    input, other = operands(input.detach(), other.detach() if isinstance(other, Tensor) else other)
    near = le((input - other).abs(), abs(other) * rtol + atol)
    close = logical_or(eq(input, other), logical_and(near, isfinite(_tensor(other))))
    if equal_nan:
        close = logical_or(close, logical_and(isnan(input), isnan(_tensor(other))))
    return close


def _tensor(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else Tensor(value)


@public("allclose")
def allclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Return whether ``|input - other| <= atol + rtol |other|`` everywhere."""
    return bool(isclose(input, other, rtol, atol, equal_nan)._array.all())


@public("equal")
def equal(input: Tensor, other: Tensor) -> bool:
    """Return whether both have the same shape and the same elements (one answer; ``==`` compares each element)."""
    return input.shape == other.shape and bool(eq(input, other)._array.all())


FUNCTIONS.update(not_equal=ne, less=lt, less_equal=le, greater=gt, greater_equal=ge)  # PyTorch's second names
