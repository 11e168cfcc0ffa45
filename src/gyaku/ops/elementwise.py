"""Functions of one number applied to every element."""

from __future__ import annotations

from typing import Any

from gyaku.core.op import Op, apply, public, register
from gyaku.core.tensor import Tensor


@register
class Cast(Op):
    """y = x with numbers of another type; the gradient is cast back by the walk."""

    dtype: Any
    label = "{0}"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.astype(x, self.dtype)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        return gy


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


_EXP, _TANH = Exp(), Tanh()


@public("exp")
def exp(input: Tensor) -> Tensor:
    """Return e^x; derivative e^x."""
    return apply(_EXP, input)


@public("tanh")
def tanh(input: Tensor) -> Tensor:
    """Return the hyperbolic tangent; derivative 1 - tanh²x = 4/(e^x + e^-x)² (S4)."""
    return apply(_TANH, input)
