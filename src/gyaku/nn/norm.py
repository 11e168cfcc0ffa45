"""Normalisation layers; ``weight`` is the lecture's gamma (ones at first), ``bias`` its beta (zeros)."""

from __future__ import annotations

from typing import Any

import numpy as np

from gyaku.base.errors import ArgumentError, ShapeError
from gyaku.core.mode import no_grad
from gyaku.core.tensor import Tensor, new_tensor, write
from gyaku.nn import init
from gyaku.nn.linear import fresh, zeros
from gyaku.nn.module import Module
from gyaku.ops import norm as ops


class _Affine(Module):
    """Base: the learned scale and shift."""

    def _make(self, shape: tuple[int, ...], affine: bool, bias: bool, device: Any, dtype: Any) -> None:
        self.register_parameter("weight", fresh(shape, device, dtype) if affine else None)
        self.register_parameter("bias", fresh(shape, device, dtype) if affine and bias else None)

    def reset_parameters(self) -> None:
        """Set the scale to 1 and the shift to 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)


class _BatchNorm(_Affine):
    """Standardises each channel over the batch in training, by running values in prediction (S1 §8).

    y = weight (x - mean) / sqrt(var + eps) + bias. The running values move by ``momentum`` towards the batch's mean and
    unbiased variance (None: their plain average over all batches). ``track_running_stats=False`` always uses the batch.
    """

    dims: tuple[int, ...] = ()
    shapes = ""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self._make((num_features,), affine, bias, device, dtype)
        track = track_running_stats
        self.register_buffer("running_mean", zeros((num_features,), device, dtype) if track else None)
        self.register_buffer("running_var", zeros((num_features,), device, dtype) if track else None)
        self.register_buffer("num_batches_tracked", new_tensor(np.array(0, dtype=np.int64)) if track else None)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Forget what was seen: mean 0, variance 1."""
        if self.track_running_stats:
            for buffer, value in ((self.running_mean, 0), (self.running_var, 1), (self.num_batches_tracked, 0)):
                with no_grad():
                    write(buffer, value)

    def reset_parameters(self) -> None:
        """Set everything to its initial value."""
        self.reset_running_stats()
        super().reset_parameters()

    def forward(self, input: Tensor) -> Tensor:
        """Return the standardised input; in training, move the running values."""
        if input.ndim not in self.dims or input.shape[1] != self.num_features:
            raise ShapeError(
                f"{type(self).__name__} (forward)",
                f"x of shape {self.shapes.replace('C', str(self.num_features))}",
                str(tuple(input.shape)),
            )
        tracking = self.training and self.track_running_stats
        return ops.batch_norm(
            input,
            self.running_mean if not self.training or tracking else None,
            self.running_var if not self.training or tracking else None,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            self._factor(input) if tracking else 0.0,
            self.eps,
        )

    def _factor(self, input: Tensor) -> float:
        """Count this batch and return how far the running values move."""
        if ops.count(input.shape, ops.batch_axes(input)) <= 1:
            return 0.0  # the operation refuses such a batch; it is not counted
        with no_grad():
            write(self.num_batches_tracked, self.num_batches_tracked._array + 1)
        return 1.0 / self.num_batches_tracked.item() if self.momentum is None else self.momentum

    def extra_repr(self) -> str:
        """Return the settings."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class BatchNorm1d(_BatchNorm):
    """Batch normalisation of (N, C) or (N, C, L); see the formula of ``gyaku.nn.functional.batch_norm``.

    A training batch with one value a channel is refused, as in PyTorch: it would give y = bias whatever x is.
    """

    dims, shapes = (2, 3), "(N, C) or (N, C, L)"


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of (N, C, H, W), per channel."""

    dims, shapes = (4,), "(N, C, H, W)"


class LayerNorm(_Affine):
    """Standardises each sample over its last dimensions ``normalized_shape``; weight and bias have that shape."""

    def __init__(
        self,
        normalized_shape: Any,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self._make(self.normalized_shape, elementwise_affine, bias, device, dtype)
        self.reset_parameters()

    def forward(self, input: Tensor) -> Tensor:
        """Return the standardised input."""
        return ops.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Return the settings."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )


class GroupNorm(_Affine):
    """Standardises each of ``num_groups`` groups of channels of a sample (N, C, ...); weight and bias per channel."""

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if num_channels % num_groups:
            raise ArgumentError("GroupNorm", "num_channels divisible by num_groups", f"{num_channels} and {num_groups}")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        self._make((num_channels,), affine, bias, device, dtype)
        self.reset_parameters()

    def forward(self, input: Tensor) -> Tensor:
        """Return the standardised input."""
        if input.ndim < 2 or input.shape[1] != self.num_channels:
            raise ShapeError(
                "GroupNorm (forward)", f"x of shape (N, {self.num_channels}, ...)", str(tuple(input.shape))
            )
        return ops.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Return the settings."""
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )
