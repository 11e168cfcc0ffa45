"""Linear layers, and layers that only change the shape."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gyaku.backend.devices import device as device_type
from gyaku.backend.devices import move
from gyaku.backend.dtypes import get_default_dtype, to_dtype
from gyaku.base.errors import ArgumentError, ShapeError
from gyaku.core.tensor import Parameter, Tensor, new_tensor
from gyaku.nn import init
from gyaku.nn.module import Module
from gyaku.ops import linear as ops


def fresh(shape: tuple[int, ...], device: Any = None, dtype: Any = None) -> Parameter:
    """Return a parameter of zeros, to be filled by an initial-value rule."""
    return Parameter(zeros(shape, device, dtype))


def zeros(shape: tuple[int, ...], device: Any = None, dtype: Any = None) -> Tensor:
    """Return a tensor of zeros of the default floating type."""
    kind = get_default_dtype() if dtype is None else to_dtype(dtype)
    array = np.zeros(shape, dtype=kind.numpy)
    return new_tensor(array if device is None else move(array, device_type(device)))


class Identity(Module):
    """Returns its input; takes and forgets any arguments."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Any) -> Any:
        """Return ``input``."""
        return input


class Linear(Module):
    """y = x W^T + b; ``weight`` (out, in), ``bias`` (out,), both uniform within ±1/sqrt(in_features) at first.

    The lecture's Affine stores W as (in, out): the transpose of this one.
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        for name, n in (("in_features", in_features), ("out_features", out_features)):
            if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 0:
                raise ArgumentError("Linear", f"{name} as a whole number", repr(n))
        self.in_features, self.out_features = in_features, out_features
        self.weight = fresh((out_features, in_features), device, dtype)
        self.register_parameter("bias", fresh((out_features,), device, dtype) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the initial values anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features) if self.in_features else 0.0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        """Return x W^T + b for x (..., in_features)."""
        return ops.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Bilinear(Module):
    """y_k = x1 W_k x2 + b_k; ``weight`` (out, in1, in2), uniform within ±1/sqrt(in1_features) at first."""

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.in1_features, self.in2_features, self.out_features = in1_features, in2_features, out_features
        self.weight = fresh((out_features, in1_features, in2_features), device, dtype)
        self.register_parameter("bias", fresh((out_features,), device, dtype) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the initial values anew."""
        bound = 1 / math.sqrt(self.in1_features)
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        """Return the bilinear form of x1 (..., in1_features) and x2 (..., in2_features)."""
        return ops.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Return the sizes."""
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )


class Flatten(Module):
    """Joins the dimensions ``start_dim`` to ``end_dim``: (N, 28, 28) -> (N, 784)."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Tensor) -> Tensor:
        """Return the flattened input."""
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """Return the dimensions."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Splits dimension ``dim`` into ``unflattened_size``: (N, 784) -> (N, 28, 28)."""

    def __init__(self, dim: int, unflattened_size: Any) -> None:
        super().__init__()
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, input: Tensor) -> Tensor:
        """Return the unflattened input."""
        sizes = self.unflattened_size
        n = math.prod(sizes)
        if -1 not in sizes and n != input.shape[self.dim]:
            raise ShapeError("Unflatten", f"{n} elements in dimension {self.dim}", str(tuple(input.shape)))
        return input.unflatten(self.dim, sizes)

    def extra_repr(self) -> str:
        """Return the dimension and its sizes."""
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
