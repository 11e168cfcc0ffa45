"""Pooling layers and layers that change the size of pictures."""

from __future__ import annotations

from typing import Any

from gyaku.core.tensor import Tensor
from gyaku.nn.module import Module
from gyaku.ops import pool as ops
from gyaku.ops.resize import interpolate


class _MaxPool(Module):
    """Base: the window and how it walks."""

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation = padding, dilation
        self.return_indices, self.ceil_mode = return_indices, ceil_mode
        ops.check_window(type(self).__name__, kernel_size, stride, padding, dilation)

    def extra_repr(self) -> str:
        """Return the settings."""
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """The largest number of each window: x (N, C, W) or (C, W) -> (N, C, OW); as ``nn.functional.max_pool1d``."""

    def forward(self, input: Tensor) -> Any:
        """Return the largest numbers (and with ``return_indices`` where they are)."""
        options = (self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)
        return ops.max_pool1d(input, *options, return_indices=self.return_indices)


class MaxPool2d(_MaxPool):
    """The largest number of each window: x (N, C, H, W) or (C, H, W) -> (N, C, OH, OW).

    Formula, rounding and the derivative at ties: ``nn.functional.max_pool2d``.
    """

    def forward(self, input: Tensor) -> Any:
        """Return the largest numbers (and with ``return_indices`` where they are)."""
        options = (self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)
        return ops.max_pool2d(input, *options, return_indices=self.return_indices)


class AvgPool2d(Module):
    """The mean of each window: x (N, C, H, W) or (C, H, W) -> (N, C, OH, OW); as ``nn.functional.avg_pool2d``."""

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.ceil_mode = padding, ceil_mode
        self.count_include_pad, self.divisor_override = count_include_pad, divisor_override
        ops.check_window("AvgPool2d", kernel_size, stride, padding)

    def forward(self, input: Tensor) -> Tensor:
        """Return the means."""
        return ops.avg_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )

    def extra_repr(self) -> str:
        """Return the settings."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AdaptiveAvgPool2d(Module):
    """Means over as many windows as ``output_size`` says; 1 is the global mean: (N, C, H, W) -> (N, C, 1, 1)."""

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        """Return the means."""
        return ops.adaptive_avg_pool2d(input, self.output_size)

    def extra_repr(self) -> str:
        """Return the size."""
        return f"output_size={self.output_size}"


class Upsample(Module):
    """Another size for x (N, C, W) or (N, C, H, W); formulas in ``nn.functional.interpolate``."""

    def __init__(
        self,
        size: Any = None,
        scale_factor: Any = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        super().__init__()
        several = isinstance(scale_factor, (tuple, list))
        self.scale_factor = tuple(map(float, scale_factor)) if several else scale_factor and float(scale_factor)
        self.size, self.mode, self.align_corners = size, mode, align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, input: Tensor) -> Tensor:
        """Return the picture in the new size."""
        return interpolate(
            input, self.size, self.scale_factor, self.mode, self.align_corners, self.recompute_scale_factor
        )

    def extra_repr(self) -> str:
        """Return the size and the mode."""
        by_factor = self.scale_factor is not None
        size = f"scale_factor={self.scale_factor}" if by_factor else f"size={self.size}"
        return f"{size}, mode={self.mode!r}"
