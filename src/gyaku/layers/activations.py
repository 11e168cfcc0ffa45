"""Activation layers: each calls one operation, element by element (S1 §1, §5.1)."""

from __future__ import annotations

from gyaku.core.op import Op
from gyaku.layers.base import Array, Layer, floats
from gyaku.ops.activation import LeakyRelu, Relu
from gyaku.ops.activation import Sigmoid as SigmoidOp
from gyaku.ops.trigonometry import Tanh as TanhOp


class _Activation(Layer):
    """A layer without parameters; keeps ``x`` and ``y``."""

    op: Op

    def forward(self, x: Array) -> Array:
        """Return the activation of each element of ``x``."""
        self.x = floats(f"{type(self).__name__}.forward", x)
        self.y = self._run(self.op, self.x)
        return self.y

    def backward(self, dout: Array) -> Array:
        """Return dout times the derivative."""
        return self._back(floats(f"{type(self).__name__}.backward", dout), True)


class Sigmoid(_Activation):
    """y = 1 / (1 + e^-x); backward dout y (1 - y)."""

    op = SigmoidOp()


class Tanh(_Activation):
    """y = tanh x; backward dout (1 - y²)."""

    op = TanhOp()


class ReLU(_Activation):
    """y = max(0, x); backward dout where x > 0, else 0. Keeps ``mask`` = (x > 0)."""

    op = Relu()

    @property
    def mask(self) -> Array:
        """Where the gradient passes: x > 0."""
        return self.x > 0


class LeakyReLU(_Activation):
    """y = x where x > 0, else ``slope`` x (0.1 in the lecture); the derivative at 0 is the slope."""

    def __init__(self, slope: float = 0.1) -> None:
        self.op = LeakyRelu(slope)

    @property
    def mask(self) -> Array:
        """Where the derivative is 1: x > 0."""
        return self.x > 0
