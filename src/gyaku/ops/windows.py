"""Windows over pictures and their adjoint: what pooling and ``nn.functional.unfold`` are made of."""

from __future__ import annotations

import math
from typing import Any

from gyaku.backend.convolution import Geometry, Sizes
from gyaku.base.errors import ShapeError
from gyaku.core.op import Op, apply, register
from gyaku.core.tensor import Tensor
from gyaku.ops.geometry import check_fits, geometry_of, numbers
from gyaku.ops.namespace import translated


@register
class Windows(Op):
    """y[n,c,k,o] = x[n, c, o s + k d - p]; gx = fold(gy)."""

    kernel: Sizes
    geometry: Geometry
    keep = "x.shape"
    label = "windows({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.windows(x, self.kernel, self.geometry)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        return (xp.fold(gy, saved[0][2:], self.geometry),)


@register
class Fold(Op):
    """y[n,c,i] = sum of x[n,c,k,o] over all k, o with o s + k d - p = i; gx = windows(gy)."""

    size: Sizes
    geometry: Geometry
    keep = "x.shape"
    label = "fold({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        return xp.fold(x, self.size, self.geometry)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        return (xp.windows(gy, saved[0][2 : 2 + len(self.size)], self.geometry),)


@translated
def windows(x: Tensor, kernel: Sizes, geometry: Geometry) -> Tensor:
    """Return what lies under each element of the kernel: (N, C, *size) -> (N, C, *kernel, *out)."""
    return apply(Windows(tuple(kernel), geometry), x)


@translated
def fold_(columns: Tensor, size: Sizes, geometry: Geometry) -> Tensor:
    """Return windows added up where they came from: (N, C, *kernel, *out) -> (N, C, *size)."""
    return apply(Fold(tuple(size), geometry), columns)


def unfold(input: Tensor, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """Return the windows of x (N, C, H, W) or (C, H, W) as columns: (N, C KH KW, places), as PyTorch has them.

    Raises ``ShapeError`` when the kernel does not fit into the padded input.
    """
    if input.ndim == 3:
        return unfold(input.unsqueeze(0), kernel_size, dilation, padding, stride).squeeze(0)
    if input.ndim != 4:
        raise ShapeError("unfold", "x of shape (N, C, H, W)", str(tuple(input.shape)))
    kernel = numbers("unfold", "kernel_size", kernel_size, 2, 1)
    geometry = geometry_of("unfold", kernel, stride, padding, dilation, 1)
    check_fits("unfold", input.shape[2:], kernel, geometry)
    n, c, *_ = input.shape
    places = math.prod(geometry.out(input.shape[2:], kernel))
    return windows(input, kernel, geometry).reshape(n, c * math.prod(kernel), places)


def fold(
    input: Tensor, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Tensor:
    """Return columns (N, C KH KW, places) added up to pictures (N, C, *output_size): the adjoint of ``unfold``.

    Raises ``ShapeError`` when the columns are not those of such a picture.
    """
    if input.ndim == 2:
        return fold(input.unsqueeze(0), output_size, kernel_size, dilation, padding, stride).squeeze(0)
    kernel = numbers("fold", "kernel_size", kernel_size, 2, 1)
    size = numbers("fold", "output_size", output_size, 2, 1)
    geometry = geometry_of("fold", kernel, stride, padding, dilation, 1)
    check_fits("fold", size, kernel, geometry)
    out, terms = geometry.out(size, kernel), math.prod(kernel)
    if input.ndim != 3 or input.shape[1] % terms or input.shape[2] != math.prod(out):
        wanted = f"columns of shape (N, C {terms}, {math.prod(out)})"
        raise ShapeError("fold", wanted, str(tuple(input.shape)))
    n, c = input.shape[0], input.shape[1] // terms
    return fold_(input.reshape(n, c, *kernel, *out), size, geometry)
