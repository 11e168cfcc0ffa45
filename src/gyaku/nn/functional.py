"""The layers as plain functions, under PyTorch's names (``import gyaku.nn.functional as F``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gyaku.backend.tracing import tracing
from gyaku.base.errors import ArgumentError, ShapeError, UnknownNameError
from gyaku.core.guard import guarded
from gyaku.core.op import FUNCTIONS
from gyaku.core.tensor import Tensor, new_tensor
from gyaku.ops.activation import (
    elu,
    gelu,
    hardtanh,
    leaky_relu,
    log_softmax,
    logsigmoid,
    prelu,
    relu,
    selu,
    sigmoid,
    silu,
    softmax,
    softplus,
)
from gyaku.ops.conv import conv1d, conv2d, conv_transpose1d, conv_transpose2d
from gyaku.ops.dropout import dropout, dropout2d
from gyaku.ops.linear import bilinear, embedding, linear
from gyaku.ops.loss import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    hinge_embedding_loss,
    huber_loss,
    kl_div,
    l1_loss,
    mse_loss,
    smooth_l1_loss,
)
from gyaku.ops.loss_classes import cross_entropy, multi_class_hinge_loss, multi_margin_loss, nll_loss
from gyaku.ops.norm import batch_norm, group_norm, layer_norm
from gyaku.ops.pool import adaptive_avg_pool2d, avg_pool2d, max_pool1d, max_pool2d
from gyaku.ops.resize import interpolate
from gyaku.ops.windows import fold, unfold

__all__ = [
    "adaptive_avg_pool2d", "avg_pool2d", "batch_norm", "bilinear", "binary_cross_entropy",
    "binary_cross_entropy_with_logits", "conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d", "cross_entropy",
    "dropout", "dropout2d", "elu", "embedding", "fold", "gelu", "group_norm", "hardtanh", "hinge_embedding_loss",
    "huber_loss", "interpolate", "kl_div", "l1_loss", "layer_norm", "leaky_relu", "linear", "log_softmax",
    "logsigmoid", "max_pool1d", "max_pool2d", "mse_loss", "multi_class_hinge_loss", "multi_margin_loss", "nll_loss",
    "one_hot", "pad", "prelu", "relu", "selu", "sigmoid", "silu", "smooth_l1_loss", "softmax", "softplus", "tanh",
    "unfold",
]  # fmt: skip

_MODES = ("constant", "reflect", "replicate", "circular")


def tanh(input: Tensor) -> Tensor:
    """Return the hyperbolic tangent; derivative 1 - tanh²x."""
    return FUNCTIONS["tanh"](input)


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """Return integers 0/1 with one more dimension: 1 at each class number. ``num_classes=-1`` takes the highest + 1.

    Raises ``ArgumentError`` for a number outside 0..num_classes-1.
    """
    t = tensor._array
    if t.dtype.kind not in "iu":
        raise ArgumentError("one_hot", "class numbers as integers", tensor.dtype.name, hint="x.long()")
    if tracing.recorder is not None and num_classes > 0 and hasattr(t, "within"):
        t.within(0, num_classes, "one_hot")  # a tracer asks for it at each run
        classes = new_tensor(np.arange(num_classes, dtype=np.int64))
        return new_tensor((t[..., None] == classes._array).astype(np.int64))
    highest = int(t.max()) if t.size else -1
    n = highest + 1 if num_classes == -1 else num_classes
    if t.size and (int(t.min()) < 0 or highest >= n) or n <= 0:
        raise ArgumentError("one_hot", f"class numbers 0..{n - 1}", f"{int(t.min())}..{highest}" if t.size else "none")
    classes = new_tensor(np.arange(n, dtype=np.int64)).to(tensor.device)
    return new_tensor((t[..., None] == classes._array).astype(np.int64))


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """Return ``input`` with elements added at the edges: (left, right, top, bottom, ...), last dimension first.

    ``mode``: "constant" (``value``, 0), "reflect" (without the edge), "replicate" (the edge), "circular". Negative
    numbers cut. Raises ``ShapeError`` when the padding does not fit the input.
    """
    if mode not in _MODES:
        raise UnknownNameError("pad", mode, _MODES, what="mode")
    if len(pad) % 2 or len(pad) > 2 * input.ndim:
        raise ShapeError("pad", f"an even number of at most {2 * input.ndim} paddings", str(tuple(pad)))
    padded = input
    for k in range(len(pad) // 2):
        low, high = int(pad[2 * k]), int(pad[2 * k + 1])
        if low or high:
            padded = _padded(padded, input.ndim - 1 - k, low, high, mode, 0.0 if value is None else value)
    return input.clone() if padded is input else padded


def _padded(x: Tensor, dim: int, low: int, high: int, mode: str, value: float) -> Tensor:
    """Return ``x`` padded along one dimension."""
    n = x.shape[dim]
    if n + low + high < 0 or (mode == "reflect" and max(low, high) >= n) or (mode == "circular" and max(low, high) > n):
        raise ShapeError("pad", f"padding that fits dimension {dim} of size {n} ({mode})", str((low, high)))
    if mode != "constant":
        return FUNCTIONS["index_select"](x, dim, _sources(n, low, high, mode, x))
    keep = [slice(None)] * x.ndim
    keep[dim] = slice(max(-low, 0), n - max(-high, 0))
    parts = [x[tuple(keep)]]
    for count, place in ((low, 0), (high, len(parts))):
        if count > 0:
            shape = (*x.shape[:dim], count, *x.shape[dim + 1 :])
            edge = new_tensor(np.full(shape, value, dtype=x._array.dtype)).to(x.device)
            parts.insert(0 if place == 0 else len(parts), edge)
    return FUNCTIONS["cat"](parts, dim)


def _sources(n: int, low: int, high: int, mode: str, x: Tensor) -> Tensor:
    """Return for each element of the padded dimension the element it copies."""
    i = np.arange(-low, n + high)
    if mode == "replicate":
        i = np.clip(i, 0, n - 1)
    elif mode == "circular":
        i = i % n
    elif n > 1:
        i = np.abs((i + n - 1) % (2 * n - 2) - (n - 1))
    return new_tensor(i.astype(np.int64)).to(x.device)


for _name in __all__:
    if not hasattr(globals()[_name], "__wrapped__"):
        globals()[_name] = guarded(globals()[_name])


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise UnknownNameError("nn.functional", name, __all__)
