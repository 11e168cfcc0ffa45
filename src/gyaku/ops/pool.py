"""Pooling: the largest number, or the mean, of each window of a picture.

A window's elements are slices of the (padded) picture, so the formulas need no copy of the windows; the gradients go
back through ``fold``. Sizes are rounded as PyTorch rounds them, ``ceil_mode`` included.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from gyaku.backend.convolution import Geometry, Sizes
from gyaku.base.errors import ArgumentError, DtypeError, ShapeError
from gyaku.core.op import Op, apply, register
from gyaku.core.tensor import Tensor, new_tensor
from gyaku.ops.geometry import check_fits, geometry_of, numbers


def _framed(xp: Any, x: Any, geometry: Geometry, value: float) -> Any:
    """Return ``x`` (N, C, *size) with a frame of ``value``."""
    for axis, ends in enumerate(geometry.padding, 2):
        edges = [xp.full((*x.shape[:axis], n, *x.shape[axis + 1 :]), value, dtype=x.dtype) for n in ends]
        if any(ends):
            x = xp.concatenate([edges[0], x, edges[1]], axis=axis)
    return x


def _slices(xp: Any, x: Any, kernel: Sizes, geometry: Geometry, value: float) -> list[Any]:
    """Return for each element of the window the elements (N, C, *out) of ``x`` that it meets."""
    out = geometry.out(x.shape[2:], kernel)
    framed = _framed(xp, x, geometry, value)
    return [framed[met] for _, met in geometry.places(kernel, out)]


@register
class MaxPool(Op):
    """y = the largest of each window; gx is gy at the first largest (in the order of reading), 0 elsewhere."""

    kernel: Sizes
    geometry: Geometry
    keep = "x y"
    label = "maxpool({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        parts = _slices(xp, x, self.kernel, self.geometry, -math.inf)
        y = parts[0] if len(parts) > 1 else xp.copy(parts[0])
        for part in parts[1:]:
            y = xp.maximum(y, part)
        return y

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        x, y = saved
        parts, free = [], None  # free: no earlier element of the window was the largest
        for part in _slices(xp, x, self.kernel, self.geometry, -math.inf):
            hit = part == y if free is None else xp.logical_and(free, part == y)
            free = xp.logical_not(hit) if free is None else xp.logical_xor(free, hit)
            parts.append(xp.where(hit, gy, 0))
        columns = xp.reshape(xp.stack(parts, axis=2), (*x.shape[:2], *self.kernel, *y.shape[2:]))
        return (xp.fold(columns, x.shape[2:], self.geometry),)


@register
class SumPool(Op):
    """y = the sum of each window; gx = fold(gy for each of its elements)."""

    kernel: Sizes
    geometry: Geometry
    keep = "x.shape"
    label = "sumpool({0})"

    def forward(self, xp: Any, x: Any) -> Any:
        parts = _slices(xp, x, self.kernel, self.geometry, 0.0)
        y = parts[0] if len(parts) > 1 else xp.copy(parts[0])
        for part in parts[1:]:
            y = y + part
        return y

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        (shape,) = saved
        inner = [1] * len(self.kernel)
        columns = xp.reshape(gy, (*gy.shape[:2], *inner, *gy.shape[2:]))
        columns = xp.broadcast_to(columns, (*gy.shape[:2], *self.kernel, *gy.shape[2:]))
        return (xp.fold(columns, shape[2:], self.geometry),)


# --- functions -------------------------------------------------------------------------------------------------------
def max_pool1d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Return the largest number of each window of x (N, C, W) or (C, W); see ``max_pool2d``."""
    options = (stride, padding, dilation, ceil_mode)
    return _max_pool("max_pool1d", input, kernel_size, options, return_indices, 1)


def max_pool2d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Return the largest number of each window of x (N, C, H, W) or (C, H, W): (N, C, OH, OW).

    ``stride`` is the size of the window by default. The frame of ``padding`` counts as minus infinity. ``ceil_mode``
    keeps a last window that only begins inside. Derivative: gy at the largest number; at a tie at the first of them,
    row by row; nowhere in a window with NaN (PyTorch: at the NaN). ``return_indices`` also returns where it is, as a
    whole number h W + w (without derivative). Raises ``ArgumentError`` for more padding than half a window,
    ``ShapeError`` for a window larger than the input.
    """
    options = (stride, padding, dilation, ceil_mode)
    return _max_pool("max_pool2d", input, kernel_size, options, return_indices, 2)


def _max_pool(where: str, x: Any, kernel_size: Any, options: tuple[Any, ...], indices: bool, dims: int) -> Any:
    stride, padding, dilation, ceil = options
    one = _check_input(where, x, dims)
    kernel = numbers(where, "kernel_size", kernel_size, dims, 1)
    geometry = window_of(where, kernel, stride, padding, dilation)
    batch = x.unsqueeze(0) if one else x
    geometry = rounded(where, batch.shape[2:], kernel, geometry, ceil)
    y = apply(MaxPool(kernel, geometry), batch)
    if not indices:
        return y.squeeze(0) if one else y
    where_ = new_tensor(_places_of_largest(batch._array, y._array, kernel, geometry))
    return (y.squeeze(0), where_.squeeze(0)) if one else (y, where_)


def _places_of_largest(x: Any, y: Any, kernel: Sizes, geometry: Geometry) -> Any:
    """Return for each window where its first largest number is (NaN, if one is there), counted row by row in the plane.

    The frame is no place: where all is minus infinity, the first number of the picture itself counts.
    """
    from gyaku.backend.namespace import namespace_of

    xp = namespace_of(x)
    numbered = xp.reshape(xp.arange(math.prod(x.shape[2:])), (1, 1, *x.shape[2:]))
    places = _slices(xp, numbered, kernel, geometry, -1)
    found = xp.zeros(y.shape, dtype=np.int64) - 1
    for part, place in zip(_slices(xp, x, kernel, geometry, -math.inf), places, strict=True):
        hit = xp.logical_or(part == y, xp.isnan(part))
        found = xp.where(xp.logical_and(found < 0, hit), place, found)
    return found


def avg_pool2d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Return the mean of each window of x (N, C, H, W) or (C, H, W): (N, C, OH, OW).

    ``stride`` is the size of the window by default. The sum is divided by the number of elements, those of the frame
    of ``padding`` included or not (``count_include_pad``); what a last window (``ceil_mode``) covers beyond the frame
    never counts. ``divisor_override`` is divided by instead. Raises as ``max_pool2d``.
    """
    one = _check_input("avg_pool2d", input, 2)
    kernel = numbers("avg_pool2d", "kernel_size", kernel_size, 2, 1)
    given = window_of("avg_pool2d", kernel, stride, padding, 1)
    x = input.unsqueeze(0) if one else input
    geometry = rounded("avg_pool2d", x.shape[2:], kernel, given, ceil_mode)
    y = apply(SumPool(kernel, geometry), x)
    if divisor_override is not None:
        if isinstance(divisor_override, bool) or not isinstance(divisor_override, int) or divisor_override == 0:
            raise ArgumentError("avg_pool2d", "divisor_override as a whole number other than 0", repr(divisor_override))
        y = y / divisor_override
    else:
        y = y / _counts(x, kernel, given, geometry, count_include_pad)
    return y.squeeze(0) if one else y


def _counts(x: Tensor, kernel: Sizes, given: Geometry, geometry: Geometry, framed: bool) -> Any:
    """Return how many elements each window counts: a number where all count the same, else a tensor (OH, OW)."""
    counts = np.ones((), dtype=x._array.dtype)
    for n, k, s, (before, after), m in zip(
        x.shape[2:], kernel, geometry.stride, given.padding, geometry.out(x.shape[2:], kernel), strict=True
    ):
        first, last = (-before, n + after) if framed else (0, n)
        starts = np.arange(m) * s - before
        inside = np.minimum(starts + k, last) - np.maximum(starts, first)
        counts = counts[..., None] * inside.astype(counts.dtype)
    if counts.size and (counts == counts.flat[0]).all():
        return counts.flat[0].item()
    return new_tensor(counts).to(x.device)


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """Return means of x (N, C, H, W) or (C, H, W) over as many nearly equal windows as ``output_size`` says.

    Window i of a dimension of n elements for m outputs is floor(i n / m) to ceil((i + 1) n / m). ``output_size`` is one
    number, or one for each dimension, where None keeps the size; 1 is the global mean.
    """
    one = _check_input("adaptive_avg_pool2d", input, 2)
    x = input.unsqueeze(0) if one else input
    given = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size,) * 2
    if len(given) != 2:
        raise ArgumentError("adaptive_avg_pool2d", "an output_size of 2 numbers", repr(output_size))
    pairs = zip(given, x.shape[2:], strict=True)
    wanted = tuple([n if m is None else numbers("adaptive_avg_pool2d", "output_size", m, 1, 1)[0] for m, n in pairs])
    y = _adapted(x, wanted)
    return y.squeeze(0) if one else y


def _adapted(x: Tensor, wanted: Sizes) -> Tensor:
    from gyaku.ops.resize import resampled

    if wanted == (1, 1):
        return x.mean((2, 3), keepdim=True)
    if all(n % m == 0 for n, m in zip(x.shape[2:], wanted, strict=True)):
        return avg_pool2d(x, tuple([n // m for n, m in zip(x.shape[2:], wanted, strict=True)]))
    return resampled(x, [means(n, m) for n, m in zip(x.shape[2:], wanted, strict=True)])


def means(n: int, m: int) -> Any:
    """Return the matrix (m, n) that takes the means of ``m`` nearly equal windows of ``n`` elements."""
    matrix = np.zeros((m, n))
    for i in range(m):
        first, last = i * n // m, -(-(i + 1) * n // m)
        matrix[i, first:last] = 1 / (last - first)
    return matrix


# --- arguments -------------------------------------------------------------------------------------------------------
def window_of(where: str, kernel: Sizes, stride: Any, padding: Any, dilation: Any) -> Geometry:
    """Return the checked geometry of a window; without ``stride`` windows lie side by side.

    Raises ``ArgumentError`` for more padding than half a window: such a window could lie outside altogether.
    """
    padding = numbers(where, "padding", padding, len(kernel), 0)
    geometry = geometry_of(where, kernel, kernel if stride is None or stride == () else stride, padding, dilation, 1)
    if any(2 * p > k for p, k in zip(padding, kernel, strict=True)):
        most = tuple([k // 2 for k in kernel])
        raise ArgumentError(where, f"padding of at most half a window, {most}", str(padding))
    return geometry


def check_window(where: str, kernel_size: Any, stride: Any, padding: Any, dilation: Any = 1) -> None:
    """Refuse settings that no picture fits, when a layer is made."""
    dims = 1 if where.endswith("1d") else 2
    window_of(where, numbers(where, "kernel_size", kernel_size, dims, 1), stride, padding, dilation)


def rounded(where: str, size: Sizes, kernel: Sizes, geometry: Geometry, ceil: bool) -> Geometry:
    """Return the geometry with just the padding at the end that its last window needs.

    ``ceil`` keeps a last window that is not full, unless it would begin behind the input and its padding before.
    """
    if not ceil:
        check_fits(where, tuple(size), kernel, geometry)
        return geometry
    padding = []
    for n, reach, s, (before, after) in zip(
        size, geometry.reach(kernel), geometry.stride, geometry.padding, strict=True
    ):
        out = -(-(n + before + after - reach) // s) + 1
        out -= (out - 1) * s >= n + before
        padding.append((before, max((out - 1) * s + reach - n - before, 0)))
        if out < 1:
            raise ShapeError(f"{where} (forward)", "a window that meets the input", f"{kernel} on {tuple(size)}")
    return dataclasses.replace(geometry, padding=tuple(padding))


def _check_input(where: str, x: Any, dims: int) -> bool:
    """Refuse what is no picture of floating numbers; return whether it is one sample alone."""
    if not isinstance(x, Tensor):
        raise DtypeError(f"{where} (forward)", "x as a tensor", type(x).__name__, hint="gyaku.as_tensor(x)")
    if x._array.dtype.kind != "f":
        raise DtypeError(f"{where} (forward)", "x of floating numbers", x._array.dtype.name, hint="x.float()")
    if x.ndim not in (dims + 1, dims + 2):
        wanted = "x of shape (N, C, H, W)" if dims == 2 else "x of shape (N, C, W)"
        raise ShapeError(f"{where} (forward)", wanted, str(tuple(x.shape)))
    return bool(x.ndim == dims + 1)
