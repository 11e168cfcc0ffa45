"""Circular and hyperbolic functions of every element, angles in radians."""

from __future__ import annotations

from typing import Any

from gyaku.core.op import FUNCTIONS, Op, apply1, public, register
from gyaku.core.tensor import Tensor


@register
class Sin(Op):
    """y = sin x; dy/dx = cos x."""

    keep = "x"
    promotes = "float"
    label = "sin({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.sin(x)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        (x,) = saved
        return gy * xp.cos(x)


_SIN = Sin()


@public("sin")
def sin(input: Tensor) -> Tensor:
    """Return sin x; derivative cos x."""
    return apply1(_SIN, input)


@register
class Cos(Op):
    """y = cos x; dy/dx = -sin x."""

    keep = "x"
    promotes = "float"
    label = "cos({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.cos(x)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        (x,) = saved
        return -gy * xp.sin(x)


_COS = Cos()


@public("cos")
def cos(input: Tensor) -> Tensor:
    """Return cos x; derivative -sin x."""
    return apply1(_COS, input)


@register
class Tan(Op):
    """y = tan x; dy/dx = 1 + y²."""

    keep = "y"
    promotes = "float"
    label = "tan({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.tan(x)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        (y,) = saved
        return gy * (1 + y * y)


_TAN = Tan()


@public("tan")
def tan(input: Tensor) -> Tensor:
    """Return tan x; derivative 1 + tan²x."""
    return apply1(_TAN, input)


@register
class Asin(Op):
    """y = arcsin x; dy/dx = 1/√(1 - x²), infinite at ±1."""

    keep = "x"
    promotes = "float"
    label = "arcsin({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.arcsin(x)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        (x,) = saved
        return gy / xp.sqrt(1 - x * x)


_ASIN = Asin()


@public("asin", "arcsin")
def asin(input: Tensor) -> Tensor:
    """Return the angle in -π/2..π/2 whose sine is x; derivative 1/√(1 - x²); NaN outside -1..1."""
    return apply1(_ASIN, input)


@register
class Acos(Op):
    """y = arccos x; dy/dx = -1/√(1 - x²), infinite at ±1."""

    keep = "x"
    promotes = "float"
    label = "arccos({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.arccos(x)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        (x,) = saved
        return -gy / xp.sqrt(1 - x * x)


_ACOS = Acos()


@public("acos", "arccos")
def acos(input: Tensor) -> Tensor:
    """Return the angle in 0..π whose cosine is x; derivative -1/√(1 - x²); NaN outside -1..1."""
    return apply1(_ACOS, input)


@register
class Atan(Op):
    """y = arctan x; dy/dx = 1/(1 + x²)."""

    keep = "x"
    promotes = "float"
    label = "arctan({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.arctan(x)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        (x,) = saved
        return gy / (1 + x * x)


_ATAN = Atan()


@public("atan", "arctan")
def atan(input: Tensor) -> Tensor:
    """Return the angle in -π/2..π/2 whose tangent is x; derivative 1/(1 + x²)."""
    return apply1(_ATAN, input)


@register
class Sinh(Op):
    """y = sinh x; dy/dx = cosh x."""

    keep = "x"
    promotes = "float"
    label = "sinh({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.sinh(x)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        (x,) = saved
        return gy * xp.cosh(x)


_SINH = Sinh()


@public("sinh")
def sinh(input: Tensor) -> Tensor:
    """Return the hyperbolic sine; derivative cosh x."""
    return apply1(_SINH, input)


@register
class Cosh(Op):
    """y = cosh x; dy/dx = sinh x."""

    keep = "x"
    promotes = "float"
    label = "cosh({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.cosh(x)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        (x,) = saved
        return gy * xp.sinh(x)


_COSH = Cosh()


@public("cosh")
def cosh(input: Tensor) -> Tensor:
    """Return the hyperbolic cosine; derivative sinh x."""
    return apply1(_COSH, input)


@register
class Tanh(Op):
    """y = tanh x; dy/dx = 1 - y²."""

    keep = "y"
    promotes = "float"
    label = "tanh({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.tanh(x)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        (y,) = saved
        return gy * (1 - y * y)


_TANH = Tanh()


@public("tanh")
def tanh(input: Tensor) -> Tensor:
    """Return the hyperbolic tangent; derivative 1 - tanh²x = 4/(e^x + e^-x)² (S4)."""
    return apply1(_TANH, input)


FUNCTIONS.update(arcsin=asin, arccos=acos, arctan=atan)  # PyTorch's second names
