"""NumPy's quicker forms of the three maps of ``convolution``: the same windows, a few samples at a time.

The columns of one block of samples stay in the cache between being written and being multiplied, and the product goes
straight to where its result belongs. The BLAS under NumPy decides about threads, as for every product of matrices.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from gyaku.backend.convolution import Geometry, Sizes

_BLOCK = 1 << 18  # bytes of columns at a time: they, the kernel and the result fit into a core's second cache


def conv(x: Any, w: Any, geometry: Geometry) -> Any:
    """Return ``convolution.conv``."""
    kernel, groups = w.shape[2:], geometry.groups
    out = geometry.out(x.shape[2:], kernel)
    rows, terms, places = len(w) // groups, math.prod(w.shape[1:]), math.prod(out)
    y = np.empty((len(x), groups, rows, places), dtype=x.dtype)
    w = w.reshape(groups, rows, terms)
    for block, columns in _columns(x, kernel, out, geometry):
        np.matmul(w, columns.reshape(len(columns), groups, terms, places), out=y[block])
    return y.reshape(len(x), groups * rows, *out)


def conv_input(g: Any, w: Any, geometry: Geometry, size: Sizes) -> Any:
    """Return ``convolution.conv_input``."""
    (channels, *kernel), groups, out = w.shape[1:], geometry.groups, g.shape[2:]
    rows, terms, places = len(w) // groups, math.prod(w.shape[1:]), math.prod(out)
    transposed = w.reshape(groups, rows, terms).swapaxes(1, 2)
    gx = np.zeros((len(g), groups * channels, *geometry.padded(size)), dtype=g.dtype)
    walk = list(geometry.places(tuple(kernel), out))
    for block in _blocks(len(g), groups * terms * places * g.itemsize):
        given = g[block]
        columns = transposed @ given.reshape(len(given), groups, rows, places)
        columns = columns.reshape(len(given), groups * channels, *kernel, *out)
        target = gx[block]
        for k, met in walk:
            target[met] += columns[k]
    return np.ascontiguousarray(_inside(gx, size, geometry))


def conv_weight(x: Any, g: Any, geometry: Geometry, kernel: Sizes) -> Any:
    """Return ``convolution.conv_weight``."""
    groups, channels, out = geometry.groups, x.shape[1] // geometry.groups, g.shape[2:]
    rows, terms, places = g.shape[1] // groups, channels * math.prod(kernel), math.prod(out)
    gw = np.zeros((groups, rows, terms), dtype=x.dtype)
    for block, columns in _columns(x, kernel, out, geometry):
        columns = columns.reshape(len(columns), groups, terms, places)
        gw += (g[block].reshape(len(columns), groups, rows, places) @ columns.swapaxes(2, 3)).sum(0)
    return gw.reshape(groups * rows, channels, *kernel)


def windows(x: Any, kernel: Sizes, geometry: Geometry) -> Any:
    """Return ``convolution.windows``."""
    out = geometry.out(x.shape[2:], kernel)
    x = _padded(x, geometry)
    columns = np.empty((*x.shape[:2], *kernel, *out), dtype=x.dtype)
    for k, met in geometry.places(kernel, out):
        columns[k] = x[met]
    return columns


def fold(columns: Any, size: Sizes, geometry: Geometry) -> Any:
    """Return ``convolution.fold``."""
    kernel, out = columns.shape[2 : 2 + len(size)], columns.shape[2 + len(size) :]
    padded = np.zeros((*columns.shape[:2], *geometry.padded(size)), dtype=columns.dtype)
    apart = all(s >= reach for s, reach in zip(geometry.stride, geometry.reach(kernel), strict=True))
    for k, met in geometry.places(kernel, out):
        if apart:
            padded[met] = columns[k]
        else:
            padded[met] += columns[k]
    return np.ascontiguousarray(_inside(padded, size, geometry))


def _columns(x: Any, kernel: Sizes, out: Sizes, geometry: Geometry) -> Iterator[tuple[slice, Any]]:
    """Yield for one block of samples after the other what lies under the kernel, in memory that is used again."""
    x = _padded(x, geometry)
    walk = list(geometry.places(kernel, out))
    blocks = _blocks(len(x), x.shape[1] * math.prod(kernel) * math.prod(out) * x.itemsize)
    memory = np.empty((blocks[0].stop if blocks else 0, x.shape[1], *kernel, *out), dtype=x.dtype)
    for block in blocks:
        samples = x[block]
        columns = memory[: len(samples)]
        for k, met in walk:
            columns[k] = samples[met]
        yield block, columns


def _blocks(n: int, nbytes: int) -> list[slice]:
    """Return ``n`` samples in slices whose columns of ``nbytes`` each fit into the cache together."""
    step = max(1, _BLOCK // max(1, nbytes))
    return [slice(i, min(i + step, n)) for i in range(0, n, step)]


def _padded(x: Any, geometry: Geometry) -> Any:
    """Return ``x`` in a frame of zeros; ``x`` itself where there is no frame."""
    size = x.shape[2:]
    if geometry.padded(size) == size:
        return x
    padded = np.zeros((*x.shape[:2], *geometry.padded(size)), dtype=x.dtype)
    _inside(padded, size, geometry)[...] = x
    return padded


def _inside(padded: Any, size: Sizes, geometry: Geometry) -> Any:
    """Return what the frame of zeros surrounds."""
    inside = [slice(before, before + n) for n, (before, _) in zip(size, geometry.padding, strict=True)]
    return padded[(..., *inside)]
