"""Activations as layers; the formulas and the derivatives at kinks stand in ``gyaku.ops.activation``."""

from __future__ import annotations

from typing import Any

from gyaku.core.op import FUNCTIONS
from gyaku.core.tensor import Tensor
from gyaku.nn import init
from gyaku.nn.linear import fresh
from gyaku.nn.module import Module
from gyaku.ops import activation as ops


class Sigmoid(Module):
    """y = 1 / (1 + e^-x), any shape; dy/dx = y (1 - y), at most 1/4: deltas shrink from layer to layer (S1)."""

    def forward(self, input: Tensor) -> Tensor:
        """Return sigmoid(x)."""
        return ops.sigmoid(input)


class Tanh(Module):
    """y = tanh x, any shape; dy/dx = 1 - y², at most 1 and that at 0."""

    def forward(self, input: Tensor) -> Tensor:
        """Return tanh(x)."""
        return FUNCTIONS["tanh"](input)


class LogSigmoid(Module):
    """y = log sigmoid(x), computed without overflow, any shape; dy/dx = 1 - sigmoid(x)."""

    def forward(self, input: Tensor) -> Tensor:
        """Return log sigmoid(x)."""
        return ops.logsigmoid(input)


class _Inplace(Module):
    """Base of the activations that take PyTorch's ``inplace``; it is accepted and makes a new tensor all the same."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def extra_repr(self) -> str:
        """Return the settings."""
        return "inplace=True" if self.inplace else ""


class ReLU(_Inplace):
    """y = max(0, x), any shape; dy/dx = 1 where x > 0, else 0 (at 0 too)."""

    def forward(self, input: Tensor) -> Tensor:
        """Return max(0, x)."""
        return ops.relu(input)


class SELU(_Inplace):
    """y = 1.0507 (x where x > 0, else 1.67326 (e^x - 1)): LeCun's initial values keep mean 0 and variance 1."""

    def forward(self, input: Tensor) -> Tensor:
        """Return selu(x)."""
        return ops.selu(input)


class SiLU(_Inplace):
    """y = x s with s = sigmoid(x), also called swish; dy/dx = s + y (1 - s)."""

    def forward(self, input: Tensor) -> Tensor:
        """Return x sigmoid(x)."""
        return ops.silu(input)


class LeakyReLU(_Inplace):
    """y = x where x > 0, else ``negative_slope`` x (0.01 here, 0.1 in the lecture's layer)."""

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.negative_slope = negative_slope

    def forward(self, input: Tensor) -> Tensor:
        """Return leaky_relu(x)."""
        return ops.leaky_relu(input, self.negative_slope)

    def extra_repr(self) -> str:
        """Return the settings."""
        return f"negative_slope={self.negative_slope}" + (", inplace=True" if self.inplace else "")


class PReLU(Module):
    """y = x where x > 0, else w x with a learned ``weight`` (0.25 at first): one, or one for each channel."""

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.num_parameters, self.init = num_parameters, init
        self.weight = fresh((num_parameters,), device, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the slope to its initial value."""
        init.constant_(self.weight, self.init)

    def forward(self, input: Tensor) -> Tensor:
        """Return prelu(x)."""
        return ops.prelu(input, self.weight)

    def extra_repr(self) -> str:
        """Return the settings."""
        return f"num_parameters={self.num_parameters}"


class ELU(_Inplace):
    """y = x where x > 0, else alpha (e^x - 1); dy/dx = 1, else y + alpha, at 0 too (Clevert et al. 2016)."""

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.alpha = alpha

    def forward(self, input: Tensor) -> Tensor:
        """Return elu(x)."""
        return ops.elu(input, self.alpha)

    def extra_repr(self) -> str:
        """Return the settings."""
        return f"alpha={self.alpha}" + (", inplace=True" if self.inplace else "")


class GELU(Module):
    """y = x Φ(x), Φ the normal distribution; ``approximate="tanh"`` its form with tanh (Hendrycks, Gimpel 2016)."""

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        """Return gelu(x)."""
        return ops.gelu(input, self.approximate)

    def extra_repr(self) -> str:
        """Return the settings."""
        return f"approximate={self.approximate!r}"


class Softplus(Module):
    """y = log(1 + e^(beta x)) / beta, x itself where beta x > threshold; dy/dx = sigmoid(beta x), there 1."""

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta, self.threshold = beta, threshold

    def forward(self, input: Tensor) -> Tensor:
        """Return softplus(x)."""
        return ops.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        """Return the settings."""
        return f"beta={self.beta}, threshold={self.threshold}"


class Hardtanh(_Inplace):
    """y = x cut to [min_val, max_val]; derivative 0 at both edges."""

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.min_val, self.max_val = min_val, max_val

    def forward(self, input: Tensor) -> Tensor:
        """Return hardtanh(x)."""
        return ops.hardtanh(input, self.min_val, self.max_val)

    def extra_repr(self) -> str:
        """Return the settings."""
        return f"min_val={self.min_val}, max_val={self.max_val}" + (", inplace=True" if self.inplace else "")


class Softmax(Module):
    """y = e^x / sum e^x along ``dim``. Not before ``CrossEntropyLoss``, which takes logits."""

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """Return softmax(x)."""
        return ops.softmax(input, self.dim)

    def extra_repr(self) -> str:
        """Return the dimension."""
        return f"dim={self.dim}"


class LogSoftmax(Module):
    """y = x - log Σ e^x along ``dim``, without overflow; dE/dx = gy - softmax(x) Σ gy. ``NLLLoss`` takes it."""

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """Return log softmax(x)."""
        return ops.log_softmax(input, self.dim)

    def extra_repr(self) -> str:
        """Return the dimension."""
        return f"dim={self.dim}"
