"""The four operations, powers and comparisons, and their operators."""

from __future__ import annotations

from typing import Any

import numpy as np

from gyaku.base.errors import DtypeError
from gyaku.core.op import Op, apply, public, register
from gyaku.core.tensor import Tensor, as_tensor_like


def operands(a: Any, b: Any) -> tuple[Any, Any]:
    """Return both operands as tensors or Python numbers; NumPy numbers become Python's, arrays become tensors."""
    return _operand(a, b), _operand(b, a)


def _operand(value: Any, partner: Any) -> Any:
    if isinstance(value, Tensor) or type(value) in (float, int, bool):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (np.ndarray, list, tuple)):
        return as_tensor_like(value, partner)
    if isinstance(value, (float, int)):
        return value.__float__() if isinstance(value, float) else int(value)
    raise DtypeError("arithmetic", "a tensor or a number", type(value).__name__)


class Elementwise(Op):
    """Base of the operations that combine elements of broadcast inputs."""

    promotes = "join"

    def expected(self, *x: Any) -> str:
        return "shapes that broadcast together"


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
    """y = a - b."""

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
    """y = -x."""

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
    if not (isinstance(other, Tensor) and isinstance(input, Tensor)):
        input, other = operands(input, other)
    return apply(_ADD, input, other)


@public("sub", "__sub__")
def sub(input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """Return ``input - alpha * other``, broadcast."""
    if alpha != 1:
        other = mul(other, alpha)
    if not (isinstance(other, Tensor) and isinstance(input, Tensor)):
        input, other = operands(input, other)
    return apply(_SUB, input, other)


@public("mul", "multiply", "__mul__", "__rmul__")
def mul(input: Any, other: Any) -> Tensor:
    """Return ``input * other``, broadcast; d/da = b, d/db = a."""
    if not (isinstance(other, Tensor) and isinstance(input, Tensor)):
        input, other = operands(input, other)
    return apply(_MUL, input, other)


@public("div", "divide", "true_divide", "__truediv__")
def div(input: Any, other: Any) -> Tensor:
    """Return ``input / other``, broadcast; integers give floats. d/da = 1/b, d/db = -a/b²."""
    if not (isinstance(other, Tensor) and isinstance(input, Tensor)):
        input, other = operands(input, other)
    return apply(_DIV, input, other)


@public("neg", "negative", "__neg__")
def neg(input: Tensor) -> Tensor:
    """Return ``-input``."""
    return apply(_NEG, input)


@public("__rsub__", top=False)
def rsub(input: Any, other: Any) -> Tensor:
    """Return ``other - input``."""
    return sub(other, input)


@public("__rtruediv__", top=False)
def rdiv(input: Any, other: Any) -> Tensor:
    """Return ``other / input``."""
    return div(other, input)
