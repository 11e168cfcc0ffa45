"""Activations: each value and derivative once. The derivative at a kink is stated with the operation."""

from __future__ import annotations

import math
import warnings
from typing import Any

from gyaku.base.errors import PositionError, ShapeError
from gyaku.core.op import Op, apply, public, register
from gyaku.core.tensor import Tensor

_SQRT_HALF = math.sqrt(0.5)
_INV_SQRT_2PI = 1 / math.sqrt(2 * math.pi)
_SQRT_2_OVER_PI = math.sqrt(2 / math.pi)
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805  # Klambauer et al. 2017, as PyTorch


def sigmoid_of(xp: Any, x: Any) -> Any:
    """Return 1 / (1 + e^-x) without overflow: only e^-|x| is computed."""
    z = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, 1, z) / (1 + z)


def softplus_of(xp: Any, x: Any) -> Any:
    """Return log(1 + e^x) without overflow."""
    return xp.maximum(x, 0) + xp.log1p(xp.exp(-xp.abs(x)))


def softmax_of(xp: Any, x: Any, axis: int) -> Any:
    """Return e^x / sum e^x along ``axis``; the maximum is taken off first, so nothing overflows (S1 §2)."""
    e = xp.exp(x - xp.amax(x, axis=axis, keepdims=True))
    return e / xp.sum(e, axis=axis, keepdims=True)


def log_softmax_of(xp: Any, x: Any, axis: int) -> Any:
    """Return x - log sum e^x along ``axis``, the maximum taken off first."""
    z = x - xp.amax(x, axis=axis, keepdims=True)
    return z - xp.log(xp.sum(xp.exp(z), axis=axis, keepdims=True))


class Activation(Op):
    """Base of the functions of one number: integers become floats."""

    promotes = "float"


@register
class Sigmoid(Activation):
    """y = 1 / (1 + e^-x); dy/dx = y (1 - y), at most 0.25 (S1 §1)."""

    keep = "y"
    label = "sigmoid({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        return sigmoid_of(xp, x)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        (y,) = saved
        return gy * (y * (1 - y))


@register
class Relu(Op):
    """y = max(0, x); dy/dx = 1 where x > 0, else 0 (so 0 at 0)."""

    keep = "y"
    label = "relu({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.maximum(x, 0)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        (y,) = saved
        return gy * (y > 0)


@register
class LeakyRelu(Activation):
    """y = x where x > 0, else slope x; the derivative at 0 is the slope."""

    slope: float
    keep = "x"
    label = "leaky_relu({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.where(x > 0, x, x * self.slope)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        (x,) = saved
        return xp.where(x > 0, gy, gy * self.slope)


@register
class Prelu(Activation):
    """y = x where x > 0, else w x with a learned w (one, or one a channel); dy/dx at 0 is w."""

    keep = "x w"
    label = "prelu({0})"

    def forward(self, xp: Any, x: Any, w: Any) -> Any:
        return xp.where(x > 0, x, x * w)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        x, w = saved
        gx = xp.where(x > 0, gy, gy * w) if needs[0] else None
        return gx, gy * xp.minimum(x, 0) if needs[1] else None


@register
class Elu(Activation):
    """y = scale x where x > 0, else scale alpha (e^x - 1); at 0 the derivative is scale alpha."""

    alpha: float
    scale: float
    keep = "x y"
    label = "elu({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        low = self.alpha * self.scale * xp.expm1(xp.minimum(x, 0))
        return xp.where(x > 0, x * self.scale, low)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        x, y = saved
        return gy * xp.where(x > 0, self.scale, y + self.alpha * self.scale)


@register
class Gelu(Activation):
    """y = x Phi(x); dy/dx = Phi(x) + x phi(x), with the normal distribution's Phi and density phi."""

    keep = "x"
    label = "gelu({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        return x * (0.5 * (1 + xp.erf(x * _SQRT_HALF)))

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        (x,) = saved
        density = xp.exp(-0.5 * x * x) * _INV_SQRT_2PI
        return gy * (0.5 * (1 + xp.erf(x * _SQRT_HALF)) + x * density)


@register
class GeluTanh(Activation):
    """y = x/2 (1 + tanh u), u = sqrt(2/pi) (x + 0.044715 x³); dy/dx = (1 + tanh u)/2 + x/2 (1 - tanh² u) du/dx."""

    keep = "x"
    label = "gelu({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        return 0.5 * x * (1 + xp.tanh(_SQRT_2_OVER_PI * (x + 0.044715 * x * x * x)))

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        (x,) = saved
        t = xp.tanh(_SQRT_2_OVER_PI * (x + 0.044715 * x * x * x))
        slope = _SQRT_2_OVER_PI * (1 + 0.134145 * x * x)
        return gy * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * slope)


@register
class Silu(Activation):
    """y = x s with s = sigmoid(x); dy/dx = s (1 + x (1 - s))."""

    keep = "x"
    label = "silu({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        return x * sigmoid_of(xp, x)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        (x,) = saved
        s = sigmoid_of(xp, x)
        return gy * (s * (1 + x * (1 - s)))


@register
class Softplus(Activation):
    """y = log(1 + e^(beta x)) / beta, and x itself where beta x > threshold; dy/dx = sigmoid(beta x), or 1 there."""

    beta: float
    threshold: float
    keep = "x"
    label = "softplus({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        z = x * self.beta
        return xp.where(z > self.threshold, x, softplus_of(xp, z) / self.beta)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        z = saved[0] * self.beta
        return gy * xp.where(z > self.threshold, 1, sigmoid_of(xp, z))


@register
class Hardtanh(Activation):
    """y = x cut to [low, high]; dy/dx = 1 strictly inside, 0 at the edges and outside."""

    low: float
    high: float
    keep = "x"
    label = "hardtanh({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.minimum(xp.maximum(x, self.low), self.high)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        (x,) = saved
        return gy * (x > self.low) * (x < self.high)


@register
class LogSigmoid(Activation):
    """y = log sigmoid(x) = -log(1 + e^-x); dy/dx = sigmoid(-x) = 1 - e^y."""

    keep = "y"
    label = "log_sigmoid({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        return -softplus_of(xp, -x)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        (y,) = saved
        return gy * -xp.expm1(y)


@register
class Softmax(Activation):
    """y = e^x / sum e^x along ``axis``; Jacobian diag(y) - y y^T, so gx = y (gy - sum gy y) (S1 §2)."""

    axis: int
    keep = "y"
    label = "softmax({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        return softmax_of(xp, x, self.axis)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        (y,) = saved
        return y * (gy - xp.sum(gy * y, axis=self.axis, keepdims=True))


@register
class LogSoftmax(Activation):
    """y = x - log sum e^x along ``axis``; gx = gy - e^y sum gy."""

    axis: int
    keep = "y"
    label = "log_softmax({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        return log_softmax_of(xp, x, self.axis)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        (y,) = saved
        return gy - xp.exp(y) * xp.sum(gy, axis=self.axis, keepdims=True)


_SIGMOID, _RELU, _GELU, _GELU_TANH, _SILU = Sigmoid(), Relu(), Gelu(), GeluTanh(), Silu()
_LOG_SIGMOID, _PRELU, _SELU = LogSigmoid(), Prelu(), Elu(SELU_ALPHA, SELU_SCALE)


@public("sigmoid")
def sigmoid(input: Tensor) -> Tensor:
    """Return 1 / (1 + e^-x); derivative y (1 - y), maximum 0.25 at 0."""
    return apply(_SIGMOID, input)


@public("relu")
def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """Return max(0, x); derivative 1 where x > 0, else 0. ``inplace`` is accepted; the result is a new tensor."""
    return apply(_RELU, input)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """Return x where x > 0, else ``negative_slope`` x (0.01; the lecture's layer uses 0.1)."""
    return apply(LeakyRelu(float(negative_slope)), input)


@public("prelu")
def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """Return x where x > 0, else w x; ``weight`` has one element, or one for each channel (dimension 1).

    Raises ``ShapeError`` when the number of weights is neither 1 nor the number of channels.
    """
    n = weight.numel()
    if n != 1:
        channels = input.shape[1] if input.ndim > 1 else 1
        if n != channels:
            raise ShapeError("prelu", f"1 weight, or {channels} as the channels of x {input.shape}", str(n))
        weight = weight.reshape((n,) + (1,) * (input.ndim - 2))
    return apply(_PRELU, input, weight)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """Return x where x > 0, else alpha (e^x - 1)."""
    return apply(Elu(float(alpha), 1.0), input)


@public()
def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """Return 1.0507 (x where x > 0, else 1.67326 (e^x - 1)) (Klambauer et al. 2017)."""
    return apply(_SELU, input)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """Return x Phi(x) with the normal distribution's Phi, or its form with tanh (``approximate="tanh"``)."""
    return apply(_GELU_TANH if approximate == "tanh" else _GELU, input)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """Return x sigmoid(x)."""
    return apply(_SILU, input)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """Return log(1 + e^(beta x)) / beta, a smooth max(0, x); x itself where beta x > threshold."""
    return apply(Softplus(float(beta), float(threshold)), input)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """Return x cut to [min_val, max_val]; derivative 0 at both edges."""
    return apply(Hardtanh(float(min_val), float(max_val)), input)


def logsigmoid(input: Tensor) -> Tensor:
    """Return log sigmoid(x) without overflow."""
    return apply(_LOG_SIGMOID, input)


@public("softmax")
def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """Return e^x / sum e^x along ``dim``: positive, sums to 1. ``dtype`` casts the input first.

    Before ``CrossEntropyLoss`` it is a mistake: that loss takes logits.
    """
    x = input if dtype is None else input.to(dtype)
    return apply(Softmax(_dim("softmax", x, dim)), x)


@public("log_softmax")
def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """Return log softmax along ``dim``, computed as x - log sum e^x."""
    x = input if dtype is None else input.to(dtype)
    return apply(LogSoftmax(_dim("log_softmax", x, dim)), x)


def _dim(where: str, x: Tensor, dim: int | None) -> int:
    """Return ``dim`` checked; None is PyTorch's old guess, with its warning."""
    if dim is None:
        dim = 0 if x.ndim in (0, 1, 3) else 1
        warnings.warn(f"{where}: expected dim=, got none; dimension {dim} is taken. Hint: say dim={dim}.", stacklevel=4)
    if not -max(x.ndim, 1) <= dim < max(x.ndim, 1):
        raise PositionError(where, f"dim within {-max(x.ndim, 1)}..{max(x.ndim, 1) - 1}", str(dim))
    return dim
