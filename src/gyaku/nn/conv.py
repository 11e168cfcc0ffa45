"""Convolution layers, with PyTorch's names, order and initial values."""

from __future__ import annotations

import math
from typing import Any

from gyaku.base.errors import ArgumentError, ShapeError, UnknownNameError
from gyaku.core.tensor import Tensor
from gyaku.nn import init
from gyaku.nn.functional import pad
from gyaku.nn.linear import fresh
from gyaku.nn.module import Module
from gyaku.ops import conv as ops
from gyaku.ops.geometry import geometry_of, numbers

_MODES = ("zeros", "reflect", "replicate", "circular")


class _Conv(Module):
    """Base: the weight, the bias and how the kernel walks."""

    dims = 0
    transposed = False

    def _make(
        self,
        channels: tuple[int, int],
        kernel: Any,
        walk: tuple[Any, ...],
        bias: bool,
        mode: str,
        device: Any,
        dtype: Any,
    ) -> None:
        name, n = type(self).__name__, self.dims
        stride, padding, dilation, groups = walk
        names = ("in_channels", "out_channels")
        self.in_channels, self.out_channels = (numbers(name, what, c, 1, 1)[0] for what, c in zip(names, channels))
        self.kernel_size = numbers(name, "kernel_size", kernel, n, 1)
        self.stride, self.dilation = (
            numbers(name, "stride", stride, n, 1),
            numbers(name, "dilation", dilation, n, 1),
        )
        geometry = geometry_of(name, self.kernel_size, *walk)
        equal = not isinstance(padding, str) and all(a == b for a, b in geometry.padding)
        self.padding = tuple([a for a, _ in geometry.padding]) if equal else padding
        self.groups, self.padding_mode = geometry.groups, mode
        if any(c % self.groups for c in channels):
            raise ArgumentError(name, f"channels divisible by groups={self.groups}", str(channels))
        if mode not in (_MODES[:1] if self.transposed else _MODES):
            raise UnknownNameError(name, mode, _MODES[:1] if self.transposed else _MODES, what="padding_mode")
        first, last = channels if self.transposed else channels[::-1]
        self.weight = fresh((first, last // self.groups, *self.kernel_size), device, dtype)
        self.register_parameter("bias", fresh((self.out_channels,), device, dtype) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the initial values anew: uniform within ±1/sqrt(fan_in), as PyTorch does."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(math.prod(self.weight.shape[1:]))
            init.uniform_(self.bias, -bound, bound)

    def _framed(self, input: Tensor) -> tuple[Tensor, Any]:
        """Return the input with a frame that is not of zeros, and the padding that is left to do."""
        if self.padding_mode == "zeros":
            return input, self.padding
        geometry = geometry_of("Conv", self.kernel_size, self.stride, self.padding, self.dilation, self.groups)
        frame = [n for pair in reversed(geometry.padding) for n in pair]
        return pad(input, frame, self.padding_mode), 0

    def extra_repr(self) -> str:
        """Return the settings that are not the default ones, as PyTorch shows them."""
        ones, zeros = (1,) * self.dims, (0,) * self.dims
        parts = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"]
        parts += [f"padding={self.padding}"] if self.padding != zeros else []
        parts += [f"dilation={self.dilation}"] if self.dilation != ones else []
        more = getattr(self, "output_padding", zeros)
        parts += [f"output_padding={more}"] if more != zeros else []
        parts += [f"groups={self.groups}"] if self.groups != 1 else []
        parts += ["bias=False"] if self.bias is None else []
        parts += [f"padding_mode={self.padding_mode}"] if self.padding_mode != "zeros" else []
        return ", ".join(parts)


class Conv1d(_Conv):
    """Convolution along one dimension: x (N, C, W) or (C, W) -> (N, L, out); otherwise as ``Conv2d``."""

    dims = 1

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        walk = (stride, padding, dilation, groups)
        self._make((in_channels, out_channels), kernel_size, walk, bias, padding_mode, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        """Return the convolution of ``input``."""
        x, padding = self._framed(input)
        return ops.conv1d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class Conv2d(_Conv):
    """Convolution of pictures: x (N, C, H, W) or (C, H, W) -> (N, L, OH, OW); formula in ``nn.functional.conv2d``.

    ``weight`` (L, C/groups, KH, KW) and ``bias`` (L,) are uniform within ±1/sqrt(C/groups KH KW) at first.
    ``padding``: a number, one for each dimension, "same", "valid" or (ours) pairs (before, after) for each dimension.
    ``padding_mode``: "zeros", "reflect", "replicate" or "circular". Raises ``ArgumentError`` for what cannot be.
    """

    dims = 2

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        walk = (stride, padding, dilation, groups)
        self._make((in_channels, out_channels), kernel_size, walk, bias, padding_mode, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        """Return the convolution of ``input``."""
        x, padding = self._framed(input)
        return ops.conv2d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class ConvTranspose2d(_Conv):
    """The adjoint of ``Conv2d`` as a layer, which enlarges: x (N, C, H, W) or (C, H, W) -> (N, L, OH, OW).

    OH = (H - 1) stride - 2 padding + dilation (KH - 1) + output_padding + 1; formula in
    ``nn.functional.conv_transpose2d``. ``weight`` (C, L/groups, KH, KW) and ``bias`` (L,) are uniform within
    ±1/sqrt(L/groups KH KW) at first, as in PyTorch.
    """

    dims, transposed = 2, True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.output_padding = numbers("ConvTranspose2d", "output_padding", output_padding, 2, 0)
        walk = (stride, padding, dilation, groups)
        self._make((in_channels, out_channels), kernel_size, walk, bias, padding_mode, device, dtype)

    def forward(self, input: Tensor, output_size: Any = None) -> Tensor:
        """Return the enlarged ``input``; ``output_size`` (OH, OW) says which of the possible sizes is meant."""
        more = self.output_padding if output_size is None else self._more(input, tuple(output_size)[-2:])
        return ops.conv_transpose2d(
            input, self.weight, self.bias, self.stride, self.padding, more, self.groups, self.dilation
        )

    def _more(self, input: Tensor, wanted: tuple[int, ...]) -> tuple[int, ...]:
        """Return the output_padding that makes the output ``wanted`` large."""
        geometry = geometry_of("ConvTranspose2d", self.kernel_size, self.stride, self.padding, self.dilation, 1)
        spans = zip(input.shape[-2:], self.stride, geometry.reach(self.kernel_size), geometry.padding, strict=True)
        least = tuple([(n - 1) * s + r - before - after for n, s, r, (before, after) in spans])
        more = tuple([w - n for w, n in zip(wanted, least, strict=True)])
        if not all(0 <= m < s for m, s in zip(more, self.stride, strict=True)):
            most = tuple([n + s - 1 for n, s in zip(least, self.stride, strict=True)])
            raise ShapeError("ConvTranspose2d (forward)", f"an output_size from {least} to {most}", str(wanted))
        return more
