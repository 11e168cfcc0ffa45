"""The four operations, powers and remainders, and their operators."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gyaku.base.errors import ArgumentError
from gyaku.core.op import FUNCTIONS, Op, apply, apply1, apply2, context_of_call, operand, operands, public, register
from gyaku.core.tensor import Tensor


class Elementwise(Op):
    """Base of the operations that combine elements of broadcast inputs."""

    promotes = "join"

    def expected(self, *x: Any) -> str:
        """Say what is wrong: the shapes, or else the type of the numbers."""
        try:
            np.broadcast_shapes(*[a.shape for a in x if hasattr(a, "shape")])
        except ValueError:
            return "shapes that broadcast together"
        if self.name == "pow":
            return "exponents of at least 0 among whole numbers"
        return f"numbers of a type that {self.name} takes (here {' and '.join(str(getattr(a, 'dtype', a)) for a in x)})"


@register
class Add(Elementwise):
    """y = a + b; both derivatives are 1."""

    label = "{0} + {1}"

    def forward(self, xp: Any, a: Any, b: Any) -> Any:
        return a + b

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        return gy, gy


@register
class Sub(Elementwise):
    """y = a - b; dy/da = 1, dy/db = -1."""

    label = "{0} - {1}"

    def forward(self, xp: Any, a: Any, b: Any) -> Any:
        return a - b

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        return gy, -gy if needs[1] else None


@register
class Mul(Elementwise):
    """y = a b; dy/da = b, dy/db = a."""

    keep = "a b"
    label = "{0} {1}"

    def forward(self, xp: Any, a: Any, b: Any) -> Any:
        return a * b

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        a, b = saved
        return gy * b if needs[0] else None, gy * a if needs[1] else None


@register
class Div(Elementwise):
    """y = a / b; dy/da = 1/b, dy/db = -y/b."""

    keep = "b y"
    label = "{0} / {1}"
    promotes = "float"

    def forward(self, xp: Any, a: Any, b: Any) -> Any:
        return a / b

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        b, y = saved
        ga = gy / b
        return ga, -ga * y if needs[1] else None


@register
class Neg(Op):
    """y = -x; dy/dx = -1."""

    label = "-{0}"

    def forward(self, xp: Any, x: Any) -> Any:
        return -x

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        return -gy


_ADD, _SUB, _MUL, _DIV, _NEG = Add(), Sub(), Mul(), Div(), Neg()


@public("add", "__add__", "__radd__")
def add(input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """Return ``input + alpha * other``, broadcast."""
    if alpha != 1:
        other = mul(other, alpha)
    return apply2(_ADD, input, other)


@public("sub", "subtract", "__sub__")
def sub(input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """Return ``input - alpha * other``, broadcast."""
    if alpha != 1:
        other = mul(other, alpha)
    return apply2(_SUB, input, other)


@public("mul", "multiply", "__mul__", "__rmul__")
def mul(input: Any, other: Any) -> Tensor:
    """Return ``input * other``, broadcast; d/da = b, d/db = a."""
    return apply2(_MUL, input, other)


@public("div", "divide", "true_divide", "__truediv__")
def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """Return ``input / other``, broadcast; integers give floats. d/da = 1/b, d/db = -a/b².

    ``rounding_mode`` "floor" or "trunc" rounds the quotient; its derivative is then 0.
    """
    if rounding_mode is not None:
        return _rounded_quotient(input, other, rounding_mode)
    return apply2(_DIV, input, other)


def _rounded_quotient(input: Any, other: Any, mode: str) -> Tensor:
    if mode not in ("floor", "trunc"):
        raise ArgumentError("div", "rounding_mode None, 'floor' or 'trunc'", repr(mode), context=context_of_call())
    if mode == "floor":
        return floor_divide(input, other)
    quotient = div(sub(input, fmod(input, other)), other)
    whole = quotient.trunc()
    return whole if any(_is_floating(v) for v in (input, other)) else whole.long()


def _is_floating(value: Any) -> bool:
    return value._array.dtype.kind == "f" if isinstance(value, Tensor) else isinstance(value, float)


@public("neg", "negative", "__neg__")
def neg(input: Tensor) -> Tensor:
    """Return ``-input``; derivative -1."""
    return apply1(_NEG, input)


@public("positive", "__pos__")
def positive(input: Tensor) -> Tensor:
    """Return ``input`` itself."""
    return input


@public("__rsub__", top=False)
def rsub(input: Any, other: Any) -> Tensor:
    """Return ``other - input``."""
    return sub(other, input)


@public("__rtruediv__", top=False)
def rdiv(input: Any, other: Any) -> Tensor:
    """Return ``other / input``."""
    return div(other, input)


# -- powers ------------------------------------------------------------------------------------------------------------
@register
class Square(Op):
    """y = x²; dy/dx = 2x."""

    keep = "x"
    label = "{0}²"

    def forward(self, xp: Any, x: Any) -> Any:
        return x * x

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        (x,) = saved
        return gy * (x + x)


@register
class Sqrt(Op):
    """y = √x; dy/dx = 1/(2y), so infinite at 0."""

    keep = "y"
    promotes = "float"
    label = "√{0}"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.sqrt(x)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        (y,) = saved
        return gy / (y + y)


@register
class Rsqrt(Op):
    """y = 1/√x; dy/dx = -y³/2."""

    keep = "y"
    promotes = "float"
    label = "1/√{0}"

    def forward(self, xp: Any, x: Any) -> Any:
        return 1 / xp.sqrt(x)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        (y,) = saved
        return gy * (-0.5 * y * y * y)


@register
class Reciprocal(Op):
    """y = 1/x; dy/dx = -y²."""

    keep = "y"
    promotes = "float"
    label = "1/{0}"

    def forward(self, xp: Any, x: Any) -> Any:
        return 1 / x

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        (y,) = saved
        return -gy * y * y


@register
class Pow(Elementwise):
    """y = a^b; dy/da = b a^(b-1), 0 for b = 0 also at a = 0; dy/db = y log a, 0 at a = 0 when b >= 0."""

    keep = "a b y"
    label = "{0}^{1}"

    def forward(self, xp: Any, a: Any, b: Any) -> Any:
        return a**b

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        a, b, y = saved
        return _by_base(xp, a, b, gy) if needs[0] else None, _by_exponent(xp, a, b, y, gy) if needs[1] else None


def _by_base(xp: Any, a: Any, b: Any, gy: Any) -> Any:
    """Return gy b a^(b-1); where a = b = 0 the exponent is taken as 0, so that b times it is 0 and not NaN."""
    if isinstance(b, (int, float)):
        return gy * (b * a ** (b - 1)) if b else gy * xp.zeros_like(a)
    both = xp.logical_and(a == 0, b == 0)
    return gy * (b * a ** xp.where(both, xp.zeros_like(b), b - 1))


def _by_exponent(xp: Any, a: Any, b: Any, y: Any, gy: Any) -> Any:
    """Return gy y log a, with 0 where a = 0 <= b."""
    if isinstance(a, (int, float)):
        log = math.log(a) if a > 0 else -math.inf if a == 0 else math.nan
        return gy * y * log if a else gy * xp.where(b >= 0, xp.zeros_like(y), y * log)
    zero = xp.logical_and(a == 0, xp.zeros_like(a) <= b)
    return gy * y * xp.log(xp.where(zero, xp.ones_like(y), a))


_SQUARE, _SQRT, _RSQRT, _RECIPROCAL, _POW = Square(), Sqrt(), Rsqrt(), Reciprocal(), Pow()


@public("square")
def square(input: Tensor) -> Tensor:
    """Return x²; derivative 2x."""
    return apply1(_SQUARE, input)


@public("sqrt")
def sqrt(input: Tensor) -> Tensor:
    """Return √x; derivative 1/(2√x), infinite at 0; NaN below 0."""
    return apply1(_SQRT, input)


@public("rsqrt")
def rsqrt(input: Tensor) -> Tensor:
    """Return 1/√x; derivative -1/(2x√x)."""
    return apply1(_RSQRT, input)


@public("reciprocal")
def reciprocal(input: Tensor) -> Tensor:
    """Return 1/x; derivative -1/x²."""
    return apply1(_RECIPROCAL, input)


@public("pow", "__pow__")
def pow(input: Any, exponent: Any) -> Tensor:
    """Return ``input ** exponent``, broadcast; d/da = b a^(b-1), d/db = a^b log a.

    At a = 0 the derivative by a is 0 for b = 0, and the derivative by b is 0 for b >= 0.
    Raises ``ArgumentError`` for whole numbers to a negative power.
    """
    if not isinstance(exponent, Tensor) and isinstance(input, Tensor):
        exponent = operand(exponent, input)
        kind = input._array.dtype.kind
        if exponent == 2 and kind != "b" and not (kind != "f" and type(exponent) is float):
            return apply1(_SQUARE, input)
        if exponent == 0.5:
            return apply1(_SQRT, input)
        if exponent == -1 and kind == "f":
            return apply1(_RECIPROCAL, input)
        if kind != "f" and type(exponent) is int and exponent < 0:
            raise ArgumentError(
                "pow",
                "an exponent of at least 0 for whole numbers",
                str(exponent),
                hint="convert the base with .float()",
                context=context_of_call(),
            )
    return apply(_POW, *operands(input, exponent))


@public("__rpow__", top=False)
def rpow(input: Any, other: Any) -> Tensor:
    """Return ``other ** input``."""
    return pow(other, input)


# -- division with remainder -------------------------------------------------------------------------------------------
@register
class FloorDivide(Elementwise):
    """y = floor(a / b); a step function, so the derivative is 0 (at the steps too)."""

    label = "⌊{0} / {1}⌋"

    def forward(self, xp: Any, a: Any, b: Any) -> Any:
        return xp.floor_divide(a, b)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        return xp.zeros_like(gy), xp.zeros_like(gy)


@register
class Remainder(Elementwise):
    """y = a - b floor(a / b), with the sign of b; dy/da = 1, dy/db = -floor(a / b), at the jumps too."""

    keep = "a b"
    label = "{0} mod {1}"

    def forward(self, xp: Any, a: Any, b: Any) -> Any:
        return xp.remainder(a, b)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        a, b = saved
        return gy, -gy * xp.floor_divide(a, b) if needs[1] else None


@register
class Fmod(Elementwise):
    """y = a - b trunc(a / b), with the sign of a; dy/da = 1, dy/db = -trunc(a / b), at the jumps too."""

    keep = "a b"
    label = "fmod({0}, {1})"

    def forward(self, xp: Any, a: Any, b: Any) -> Any:
        size = xp.remainder(abs(a), abs(b))
        return xp.where(a < 0, -size, size) if hasattr(a, "dtype") else -size if a < 0 else size

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        a, b = saved
        return gy, -gy * xp.trunc(a / b) if needs[1] else None


_FLOOR_DIVIDE, _REMAINDER, _FMOD = FloorDivide(), Remainder(), Fmod()


def _divided(op: Op, input: Any, other: Any) -> Tensor:
    """Apply a division with remainder; for whole numbers a divisor of 0 has no answer, and is refused."""
    a, b = operands(input, other)
    if not (_is_floating(a) or _is_floating(b)) and not (b._array.all() if isinstance(b, Tensor) else b):
        raise ArgumentError(op.name, "no divisor of 0 among whole numbers", "0", context=context_of_call())
    return apply(op, a, b)


@public("floor_divide", "__floordiv__")
def floor_divide(input: Any, other: Any) -> Tensor:
    """Return floor(input / other), broadcast; derivative 0. Raises ``ArgumentError`` for a whole number by 0."""
    return _divided(_FLOOR_DIVIDE, input, other)


@public("remainder", "__mod__")
def remainder(input: Any, other: Any) -> Tensor:
    """Return what is left of ``input`` by ``other``, with the sign of ``other`` (Python's ``%``)."""
    return _divided(_REMAINDER, input, other)


@public("fmod")
def fmod(input: Any, other: Any) -> Tensor:
    """Return what is left of ``input`` by ``other``, with the sign of ``input`` (C's ``fmod``)."""
    return _divided(_FMOD, input, other)


@public("__rfloordiv__", top=False)
def rfloor_divide(input: Any, other: Any) -> Tensor:
    """Return ``other // input``."""
    return floor_divide(other, input)


@public("__rmod__", top=False)
def rremainder(input: Any, other: Any) -> Tensor:
    """Return ``other % input``."""
    return remainder(other, input)


# -- combinations ------------------------------------------------------------------------------------------------------
@public("lerp")
def lerp(input: Tensor, end: Any, weight: Any) -> Tensor:
    """Return ``input + weight * (end - input)``: ``input`` at weight 0, ``end`` at 1."""
    return add(input, mul(weight, sub(end, input)))


@public("addcmul")
def addcmul(input: Tensor, tensor1: Any, tensor2: Any, *, value: float = 1) -> Tensor:
    """Return ``input + value * tensor1 * tensor2``."""
    return add(input, mul(tensor1, tensor2), alpha=value)


@public("addcdiv")
def addcdiv(input: Tensor, tensor1: Any, tensor2: Any, *, value: float = 1) -> Tensor:
    """Return ``input + value * tensor1 / tensor2``."""
    return add(input, div(tensor1, tensor2), alpha=value)


FUNCTIONS.update(multiply=mul, divide=div, true_divide=div, subtract=sub, negative=neg)  # PyTorch's second names
