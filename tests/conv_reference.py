"""Convolution and pooling by naive loops over every place of the kernel, which share nothing with the package."""

from __future__ import annotations

from typing import Any

import numpy as np


def pairs(padding: Any, dims: int) -> list[tuple[int, int]]:
    """Return (before, after) for each dimension."""
    several = padding if isinstance(padding, (tuple, list)) else (padding,) * dims
    return [p if isinstance(p, tuple) else (p, p) for p in several]


def each(value: Any, dims: int) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * dims


def framed(x: Any, padding: Any, value: float = 0.0) -> Any:
    return np.pad(x, [(0, 0), (0, 0), *pairs(padding, x.ndim - 2)], constant_values=value)


def conv(
    x: Any, w: Any, b: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> np.ndarray:
    """Return y[n,l,o] = sum of x at o s + k d times w[l,c,k], one product after the other."""
    dims = w.ndim - 2
    stride, dilation, x = each(stride, dims), each(dilation, dims), framed(x, padding)
    kernel = w.shape[2:]
    out = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(x.shape[2:], kernel, stride, dilation, strict=True)]
    rows, channels = w.shape[0] // groups, w.shape[1]
    y = np.zeros((x.shape[0], w.shape[0], *out))
    for n, row, *o in np.ndindex(y.shape):
        for c, *k in np.ndindex(w.shape[1:]):
            at = tuple([i * s + j * d for i, s, j, d in zip(o, stride, k, dilation, strict=True)])
            y[(n, row, *o)] += x[(n, row // rows * channels + c, *at)] * w[(row, c, *k)]
    return y if b is None else y + b.reshape(-1, *[1] * dims)


def conv_transpose(
    g: Any,
    w: Any,
    b: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> np.ndarray:
    """Return the kernel put, g times, at each place, with the padding cut off and zeros behind."""
    dims = w.ndim - 2
    stride, dilation, more = each(stride, dims), each(dilation, dims), each(output_padding, dims)
    spans = zip(g.shape[2:], w.shape[2:], stride, dilation, more, strict=True)
    full = [(n - 1) * s + d * (k - 1) + 1 + m for n, k, s, d, m in spans]
    rows, channels = w.shape[0] // groups, w.shape[1]
    y = np.zeros((g.shape[0], channels * groups, *full))
    for n, row, *o in np.ndindex(g.shape):
        for c, *k in np.ndindex(w.shape[1:]):
            at = tuple([i * s + j * d for i, s, j, d in zip(o, stride, k, dilation, strict=True)])
            y[(n, row // rows * channels + c, *at)] += g[(n, row, *o)] * w[(row, c, *k)]
    cut = [slice(a, n - b) for n, (a, b) in zip(full, pairs(padding, dims), strict=True)]
    y = y[(..., *cut)]
    return y if b is None else y + b.reshape(-1, *[1] * dims)


def conv_weight(x: Any, g: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> np.ndarray:
    """Return the derivative of <conv(x, w), g> by each number of w: the loops of ``conv``, collected at w."""
    dims = x.ndim - 2
    stride, dilation, x = each(stride, dims), each(dilation, dims), framed(x, padding)
    rows, channels = g.shape[1] // groups, x.shape[1] // groups
    gw = np.zeros((g.shape[1], channels, *kernel))
    for n, row, *o in np.ndindex(g.shape):
        for c, *k in np.ndindex(gw.shape[1:]):
            at = tuple([i * s + j * d for i, s, j, d in zip(o, stride, k, dilation, strict=True)])
            gw[(row, c, *k)] += x[(n, row // rows * channels + c, *at)] * g[(n, row, *o)]
    return gw


def windows(x: Any, kernel: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1) -> np.ndarray:
    """Return what lies under each element of the kernel, copied one by one."""
    dims = len(kernel)
    stride, dilation, x = each(stride, dims), each(dilation, dims), framed(x, padding)
    out = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(x.shape[2:], kernel, stride, dilation, strict=True)]
    y = np.zeros((*x.shape[:2], *kernel, *out))
    for n, c, *rest in np.ndindex(y.shape):
        k, o = rest[:dims], rest[dims:]
        at = tuple([i * s + j * d for i, s, j, d in zip(o, stride, k, dilation, strict=True)])
        y[(n, c, *rest)] = x[(n, c, *at)]
    return y


def fold(columns: Any, size: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1) -> np.ndarray:
    """Return windows added up, one number after the other."""
    dims = len(size)
    stride, dilation, frame = each(stride, dims), each(dilation, dims), pairs(padding, dims)
    y = np.zeros((*columns.shape[:2], *[n + a + b for n, (a, b) in zip(size, frame, strict=True)]))
    for n, c, *rest in np.ndindex(columns.shape):
        k, o = rest[:dims], rest[dims:]
        at = tuple([i * s + j * d for i, s, j, d in zip(o, stride, k, dilation, strict=True)])
        y[(n, c, *at)] += columns[(n, c, *rest)]
    cut = [slice(a, a + n) for n, (a, _) in zip(size, frame, strict=True)]
    return y[(..., *cut)]


def pooled(x: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool) -> Any:
    """Yield for each window its place in y and the places in x that lie inside the input."""
    dims = x.ndim - 2
    kernel, stride, padding, dilation = (each(v, dims) for v in (kernel_size, stride or kernel_size, padding, dilation))
    out = []
    for n, k, s, p, d in zip(x.shape[2:], kernel, stride, padding, dilation, strict=True):
        room = n + 2 * p - d * (k - 1) - 1
        m = (room + s - 1) // s + 1 if ceil_mode else room // s + 1
        out.append(m - 1 if ceil_mode and (m - 1) * s >= n + p else m)
    found = []
    for o in np.ndindex(*out):
        places = []
        for k in np.ndindex(*kernel):
            at = [i * s + j * d - p for i, s, j, d, p in zip(o, stride, k, dilation, padding, strict=True)]
            places += [tuple(at)] if all(0 <= a < n for a, n in zip(at, x.shape[2:], strict=True)) else []
        found.append((o, places))
    return out, found


def max_pool(
    x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
) -> np.ndarray:
    """Return the largest number of each window."""
    out, found = pooled(x, kernel_size, stride, padding, dilation, ceil_mode)
    y = np.empty((*x.shape[:2], *out))
    for o, places in found:
        y[(..., *o)] = np.max([x[(..., *at)] for at in places], axis=0)
    return y


def avg_pool(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> np.ndarray:
    """Return the mean of each window; a window counts its elements within the frame, or within the input."""
    out, found = pooled(x, kernel_size, stride, padding, 1, ceil_mode)
    frame = padding if count_include_pad else 0
    _, counted = pooled(framed(x, frame), kernel_size, stride, 0 if count_include_pad else padding, 1, ceil_mode)
    y = np.empty((*x.shape[:2], *out))
    for (o, places), (_, framed_places) in zip(found, counted, strict=False):
        y[(..., *o)] = sum(x[(..., *at)] for at in places) / (divisor_override or len(framed_places))
    return y
