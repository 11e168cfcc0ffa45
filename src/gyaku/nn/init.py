"""Initial values, drawn from our counter-based streams; PyTorch's names, and LeCun's rule besides (S1 §7).

A layer multiplies the variance of its inputs by about fan_in x the variance of its weights; each rule keeps it near 1
for its activation. All functions fill the tensor in place and return it; ``generator=`` names the stream.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gyaku.backend.devices import move
from gyaku.backend.random import Generator, default_generator
from gyaku.base.errors import ArgumentError, ShapeError, UnknownNameError
from gyaku.core.mode import no_grad
from gyaku.core.tensor import Tensor, write

_GAINS = {
    "linear": 1.0,
    "identity": 1.0,
    "conv1d": 1.0,
    "conv2d": 1.0,
    "conv3d": 1.0,
    "conv_transpose1d": 1.0,
    "conv_transpose2d": 1.0,
    "conv_transpose3d": 1.0,
    "sigmoid": 1.0,
    "tanh": 5.0 / 3,
    "relu": math.sqrt(2.0),
    "selu": 0.75,
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Return the factor on the deviation that a nonlinearity asks for: relu sqrt(2), tanh 5/3, selu 3/4, else 1.

    ``param`` is the slope of ``leaky_relu`` (0.01): sqrt(2 / (1 + slope²)).

    >>> calculate_gain("relu") ** 2
    2.0000000000000004
    """
    if nonlinearity == "leaky_relu":
        return math.sqrt(2.0 / (1 + (0.01 if param is None else float(param)) ** 2))
    if nonlinearity not in _GAINS:
        raise UnknownNameError("calculate_gain", nonlinearity, [*_GAINS, "leaky_relu"], what="nonlinearity")
    return _GAINS[nonlinearity]


def fans(tensor: Tensor) -> tuple[int, int]:
    """Return (inputs, outputs) of one unit of a weight (out, in, ...): for a convolution times its receptive field."""
    if tensor.ndim < 2:
        raise ShapeError("init", "a weight of at least 2 dimensions (out, in, ...)", str(tuple(tensor.shape)))
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill with uniforms of [a, b): mean (a + b)/2, variance (b - a)²/12."""
    u = (generator or default_generator).uniform(tuple(tensor.shape), _kind(tensor))
    return _fill(tensor, u * (b - a) + a)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill with normals of mean ``mean`` and deviation ``std``."""
    return _fill(tensor, (generator or default_generator).normal(tuple(tensor.shape)) * std + mean)


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """Fill with normals redrawn until they lie in [a, b] (absolute bounds, not deviations)."""
    if not a < b or std <= 0:
        raise ArgumentError("trunc_normal_", "a < b and std > 0", f"a={a}, b={b}, std={std}")
    z = _truncated((a - mean) / std, (b - mean) / std, tensor.numel(), generator or default_generator)
    return _fill(tensor, np.clip(z * std + mean, a, b).reshape(tuple(tensor.shape)))


def _truncated(low: float, high: float, n: int, generator: Generator) -> Any:
    """Return n standard normals within [low, high]: uniforms are accepted by the density (rejection sampling)."""
    mode = min(max(low, 0.0), high)  # the densest point of the interval
    reach = min(10.0, 40.0 / max(abs(mode), 1.0))  # beyond it the density is below e^-40 of that at the mode
    low, high = max(low, mode - reach), min(high, mode + reach)
    found = np.empty(0)
    while found.size < n:
        u = generator.uniform((2, 2 * (n - found.size) + 16))
        z = low + (high - low) * u[0]
        found = np.concatenate([found, z[u[1] < np.exp((mode * mode - z * z) / 2)]])
    return found[:n]


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with one number."""
    return _fill(tensor, val)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with zeros."""
    return _fill(tensor, 0)


def ones_(tensor: Tensor) -> Tensor:
    """Fill with ones."""
    return _fill(tensor, 1)


def eye_(tensor: Tensor) -> Tensor:
    """Fill a matrix with the identity."""
    if tensor.ndim != 2:
        raise ShapeError("eye_", "a matrix", str(tuple(tensor.shape)))
    return _fill(tensor, np.eye(*tensor.shape))


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill with uniforms of variance gain² 2 / (fan_in + fan_out) (Glorot and Bengio 2010): for sigmoid and tanh."""
    return _uniform_of(tensor, gain * math.sqrt(2.0 / sum(fans(tensor))), generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill with normals of variance gain² 2 / (fan_in + fan_out) (Glorot and Bengio 2010)."""
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(fans(tensor))), generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Fill with uniforms of variance gain² / fan (He et al. 2015); for ReLU that is 2 / fan_in (S1 §7).

    ``a`` is the slope when ``nonlinearity`` is leaky_relu; with a = sqrt(5) it is PyTorch's default for layers.
    """
    return _uniform_of(tensor, _he(tensor, a, mode, nonlinearity), generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Fill with normals of variance gain² / fan (He et al. 2015)."""
    return normal_(tensor, 0.0, _he(tensor, a, mode, nonlinearity), generator)


def lecun_uniform_(tensor: Tensor, generator: Generator | None = None) -> Tensor:
    """Fill with uniforms of variance 1 / fan_in (LeCun et al. 1998): a linear layer keeps it. Ours."""
    return _uniform_of(tensor, math.sqrt(1.0 / fans(tensor)[0]), generator)


def lecun_normal_(tensor: Tensor, generator: Generator | None = None) -> Tensor:
    """Fill with normals of variance 1 / fan_in (LeCun et al. 1998). Not in PyTorch."""
    return normal_(tensor, 0.0, math.sqrt(1.0 / fans(tensor)[0]), generator)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """Fill with gain times a random matrix of orthonormal rows or columns (Saxe et al. 2014): QR of normals."""
    if tensor.ndim < 2:
        raise ShapeError("orthogonal_", "at least 2 dimensions", str(tuple(tensor.shape)))
    n, m = tensor.shape[0], math.prod(tensor.shape[1:])
    flat = (generator or default_generator).normal((n, m))
    q, r = np.linalg.qr(flat.T if n < m else flat)
    q = q * np.sign(np.diag(r))  # makes the distribution uniform (Mezzadri 2007)
    return _fill(tensor, gain * (q.T if n < m else q).reshape(tuple(tensor.shape)))


def _he(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ArgumentError("kaiming", "mode 'fan_in' or 'fan_out'", repr(mode))
    fan = fans(tensor)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan) if fan else 0.0


def _uniform_of(tensor: Tensor, std: float, generator: Generator | None) -> Tensor:
    """Fill with uniforms of mean 0 and deviation ``std``: the bound is sqrt(3) std."""
    bound = math.sqrt(3.0) * std
    return uniform_(tensor, -bound, bound, generator)


def _kind(tensor: Tensor) -> Any:
    return np.float64 if tensor.dtype.itemsize == 8 else np.float32


def _fill(tensor: Tensor, values: Any) -> Tensor:
    """Write ``values`` into the memory of ``tensor``, wherever it is."""
    if isinstance(values, np.ndarray):
        values = move(values.astype(tensor.dtype.numpy), tensor.device)
    with no_grad():
        return write(tensor, values)
