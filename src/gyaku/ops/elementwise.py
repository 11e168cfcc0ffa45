"""Functions of one number applied to every element: exponential, logarithms, absolute value, rounding, type."""

from __future__ import annotations

import math
from typing import Any

from gyaku.backend.devices import move
from gyaku.backend.dtypes import bool_, dtype, float16, float32, float64, int16, int32, int64
from gyaku.core.op import FUNCTIONS, Op, apply, apply1, public, register
from gyaku.core.tensor import Tensor
from gyaku.ops.arithmetic import div, mul, sub


@register
class Cast(Op):
    """y = x with numbers of another type; the gradient is cast back by the walk. Whole numbers carry no gradient."""

    dtype: Any
    label = "{0}"

    def __init__(self, dtype: Any) -> None:
        super().__init__(dtype)
        self.differentiable = dtype.kind == "f"  # type: ignore[misc]

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.astype(x, self.dtype)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        return gy


@register
class Move(Op):
    """y = x on device ``to``; the gradient goes back to device ``back``, where x was."""

    to: Any
    back: Any
    label = "{0}"

    def forward(self, xp: Any, x: Any) -> Any:
        return move(x, self.to)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        return gy.to(self.back) if isinstance(gy, Tensor) else move(gy, self.back)


def _cast(input: Tensor, kind: dtype) -> Tensor:
    return input if input._array.dtype == kind.numpy else apply(Cast(kind.numpy), input)


@public("float", top=False)
def as_float(input: Tensor) -> Tensor:
    """Return the tensor with 32-bit floating numbers; itself when it has them already."""
    return _cast(input, float32)


@public("double", top=False)
def as_double(input: Tensor) -> Tensor:
    """Return the tensor with 64-bit floating numbers; itself when it has them already."""
    return _cast(input, float64)


@public("half", top=False)
def as_half(input: Tensor) -> Tensor:
    """Return the tensor with 16-bit floating numbers; itself when it has them already."""
    return _cast(input, float16)


@public("long", top=False)
def as_long(input: Tensor) -> Tensor:
    """Return the tensor with 64-bit integers, cut towards 0; itself when it has them already."""
    return _cast(input, int64)


@public("int", top=False)
def as_int(input: Tensor) -> Tensor:
    """Return the tensor with 32-bit integers, cut towards 0; itself when it has them already."""
    return _cast(input, int32)


@public("short", top=False)
def as_short(input: Tensor) -> Tensor:
    """Return the tensor with 16-bit integers, cut towards 0; itself when it has them already."""
    return _cast(input, int16)


@public("bool", top=False)
def as_bool(input: Tensor) -> Tensor:
    """Return the tensor with truth values: whether each number is not 0; itself when it has them already."""
    return _cast(input, bool_)


@public("type_as", top=False)
def type_as(input: Tensor, other: Tensor) -> Tensor:
    """Return the tensor with the type of numbers of ``other``."""
    return _cast(input, other.dtype)


@register
class Abs(Op):
    """y = |x|; dy/dx = sign x, which is 0 at 0."""

    keep = "x"
    label = "|{0}|"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.abs(x)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        (x,) = saved
        return gy * xp.sign(x)


_ABS = Abs()


@public("abs", "absolute", "__abs__")
def abs(input: Tensor) -> Tensor:
    """Return the absolute value; derivative sign x (0 at 0)."""
    return apply1(_ABS, input)


@register
class Exp(Op):
    """y = e^x; dy/dx = y."""

    keep = "y"
    promotes = "float"
    label = "exp({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.exp(x)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        (y,) = saved
        return gy * y


_EXP = Exp()


@public("exp")
def exp(input: Tensor) -> Tensor:
    """Return e^x; derivative e^x."""
    return apply1(_EXP, input)


@register
class Expm1(Op):
    """y = e^x - 1, exact near 0; dy/dx = y + 1."""

    keep = "y"
    promotes = "float"
    label = "exp({0}) - 1"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.expm1(x)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        (y,) = saved
        return gy * (y + 1)


_EXPM1 = Expm1()


@public("expm1")
def expm1(input: Tensor) -> Tensor:
    """Return e^x - 1, exact also near 0; derivative e^x."""
    return apply1(_EXPM1, input)


@register
class Log(Op):
    """y = ln x; dy/dx = 1/x."""

    keep = "x"
    promotes = "float"
    label = "log({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.log(x)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        (x,) = saved
        return gy / x


_LOG = Log()


@public("log")
def log(input: Tensor) -> Tensor:
    """Return the natural logarithm; derivative 1/x; -inf at 0, NaN below."""
    return apply1(_LOG, input)


@register
class Log1p(Op):
    """y = ln(1 + x), exact near 0; dy/dx = 1/(1 + x)."""

    keep = "x"
    promotes = "float"
    label = "log(1 + {0})"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.log1p(x)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        (x,) = saved
        return gy / (1 + x)


_LOG1P = Log1p()


@public("log1p")
def log1p(input: Tensor) -> Tensor:
    """Return ln(1 + x), exact also near 0; derivative 1/(1 + x)."""
    return apply1(_LOG1P, input)


@register
class Log2(Op):
    """y = log₂ x; dy/dx = 1/(x ln 2)."""

    keep = "x"
    promotes = "float"
    label = "log₂({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.log2(x)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        (x,) = saved
        return gy / (x * math.log(2))


_LOG2 = Log2()


@public("log2")
def log2(input: Tensor) -> Tensor:
    """Return the logarithm to base 2; derivative 1/(x ln 2)."""
    return apply1(_LOG2, input)


@register
class Log10(Op):
    """y = log₁₀ x; dy/dx = 1/(x ln 10)."""

    keep = "x"
    promotes = "float"
    label = "log₁₀({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.log10(x)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        (x,) = saved
        return gy / (x * math.log(10))


_LOG10 = Log10()


@public("log10")
def log10(input: Tensor) -> Tensor:
    """Return the logarithm to base 10; derivative 1/(x ln 10)."""
    return apply1(_LOG10, input)


@register
class Erf(Op):
    """y = erf x; dy/dx = 2/√π e^(-x²)."""

    keep = "x"
    promotes = "float"
    label = "erf({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.erf(x)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        (x,) = saved
        return gy * (2 / math.sqrt(math.pi) * xp.exp(-x * x))


_ERF = Erf()


@public("erf")
def erf(input: Tensor) -> Tensor:
    """Return the error function 2/√π ∫₀ˣ e^(-t²) dt; derivative 2/√π e^(-x²)."""
    return apply1(_ERF, input)


class Step(Op):
    """Base of the step functions: their derivative is 0 everywhere, at the steps too."""

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        return xp.zeros_like(gy)


@register
class Sign(Step):
    """y = -1, 0 or 1 as x is negative, 0 or positive; derivative 0."""

    label = "sign({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.sign(x)


@register
class Floor(Step):
    """y = the largest whole number that is not above x; derivative 0."""

    label = "⌊{0}⌋"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.floor(x)


@register
class Ceil(Step):
    """y = the smallest whole number that is not below x; derivative 0."""

    label = "⌈{0}⌉"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.ceil(x)


@register
class Trunc(Step):
    """y = x without its fraction; derivative 0."""

    label = "trunc({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.trunc(x)


@register
class Round(Step):
    """y = the nearest whole number, halves to the even one; derivative 0."""

    label = "round({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.rint(x)


_SIGN, _FLOOR, _CEIL, _TRUNC, _ROUND = Sign(), Floor(), Ceil(), Trunc(), Round()


def _rounded(op: Op, x: Tensor) -> Tensor:
    """Apply a rounding; whole numbers stay as they are (NumPy would make them floats)."""
    if isinstance(x, Tensor) and x._array.dtype.kind != "f":
        return x.clone()
    return apply1(op, x)


@public("sign")
def sign(input: Tensor) -> Tensor:
    """Return -1, 0 or 1 as x is negative, 0 or positive; derivative 0."""
    return apply1(_SIGN, input)


@public("floor")
def floor(input: Tensor) -> Tensor:
    """Return the largest whole number not above x; derivative 0."""
    return _rounded(_FLOOR, input)


@public("ceil")
def ceil(input: Tensor) -> Tensor:
    """Return the smallest whole number not below x; derivative 0."""
    return _rounded(_CEIL, input)


@public("trunc", "fix")
def trunc(input: Tensor) -> Tensor:
    """Return x without its fraction; derivative 0."""
    return _rounded(_TRUNC, input)


@public("round")
def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """Return the nearest number with ``decimals`` places, halves to the even one; derivative 0."""
    if decimals:
        scale = 10.0**decimals
        return div(_rounded(_ROUND, mul(input, scale)), scale)
    return _rounded(_ROUND, input)


@public("frac")
def frac(input: Tensor) -> Tensor:
    """Return the fraction of x, with its sign; derivative 1."""
    return sub(input, trunc(input))


FUNCTIONS.update(absolute=abs, fix=trunc)  # PyTorch's second names
