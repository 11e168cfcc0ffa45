"""NumPy's quicker forms of the maps of ``convolution``: the same windows, a few samples at a time.

The columns of one block of samples stay in the cache between being written and being multiplied. With many channels
they are laid out channels last, so that a row of the kernel is copied as one piece; with few, element of the kernel by
element. The BLAS under NumPy decides about threads, as for every product of matrices.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from gyaku.backend.convolution import Geometry, Sizes

_BLOCK = 1 << 18  # bytes of columns at a time: they, the kernel and the result fit into a core's second cache
_LAST_BLOCK = 1 << 20  # the same, channels last: one product a block instead of one a sample
_MANY = 16  # channels from which the layout with channels last pays


def conv(x: Any, w: Any, geometry: Geometry) -> Any:
    """Return ``convolution.conv``."""
    kernel, groups = w.shape[2:], geometry.groups
    out = geometry.out(x.shape[2:], kernel)
    rows, terms, places = len(w) // groups, math.prod(w.shape[1:]), math.prod(out)
    y = np.empty((len(x), groups, rows, places), dtype=x.dtype)
    if groups == 1 and w.shape[1] >= _MANY:
        right = _last(w).reshape(rows, terms).T
        for block, columns in _columns_last(x, kernel, out, geometry):
            y[block, 0] = (columns @ right).reshape(-1, places, rows).swapaxes(1, 2)
    else:
        w = w.reshape(groups, rows, terms)
        for block, columns in _columns(x, kernel, out, geometry):
            np.matmul(w, columns.reshape(len(columns), groups, terms, places), out=y[block])
    return y.reshape(len(x), groups * rows, *out)


def conv_input(g: Any, w: Any, geometry: Geometry, size: Sizes) -> Any:
    """Return ``convolution.conv_input``; without strides it is the convolution of ``g`` by the kernel turned round."""
    (channels, *kernel), groups, out = w.shape[1:], geometry.groups, g.shape[2:]
    turned = _turned(geometry, tuple(kernel))
    if turned is not None and groups == 1:
        return conv(g, np.flip(w, tuple(range(2, w.ndim))).swapaxes(0, 1), turned)
    rows, terms, places = len(w) // groups, math.prod(w.shape[1:]), math.prod(out)
    transposed = w.reshape(groups, rows, terms).swapaxes(1, 2)
    gx = np.zeros((len(g), groups * channels, *geometry.padded(size)), dtype=g.dtype)
    walk = list(geometry.places(tuple(kernel), out))
    for block in _blocks(len(g), groups * terms * places * g.itemsize, _BLOCK):
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
    if groups == 1 and channels >= _MANY:
        for block, columns in _columns_last(x, kernel, out, geometry):
            given = g[block].reshape(-1, rows, places).swapaxes(0, 1)
            gw[0] += given.reshape(rows, len(columns)) @ columns
        return np.ascontiguousarray(np.moveaxis(gw.reshape(rows, *kernel, channels), -1, 1))
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
    blocks = _blocks(len(x), x.shape[1] * math.prod(kernel) * math.prod(out) * x.itemsize, _BLOCK)
    memory = np.empty((blocks[0].stop if blocks else 0, x.shape[1], *kernel, *out), dtype=x.dtype)
    for block in blocks:
        samples = x[block]
        columns = memory[: len(samples)]
        for k, met in walk:
            columns[k] = samples[met]
        yield block, columns


def _columns_last(x: Any, kernel: Sizes, out: Sizes, geometry: Geometry) -> Iterator[tuple[slice, Any]]:
    """Yield the same with channels last: a row for each place, in it the kernel's elements, in them the channels."""
    n, channels = x.shape[:2]
    size, padded = x.shape[2:], np.zeros((n, *geometry.padded(x.shape[2:]), channels), dtype=x.dtype)
    inside = [slice(before, before + m) for m, (before, _) in zip(size, geometry.padding, strict=True)]
    padded[(slice(None), *inside)] = _last(x)
    sample, *steps, one = padded.strides
    walk = [step * s for step, s in zip(steps, geometry.stride, strict=True)]
    under = [step * d for step, d in zip(steps, geometry.dilation, strict=True)]
    shape, strides = (*out, *kernel, channels), (*walk, *under, one)
    rows, terms = math.prod(out), math.prod(kernel) * channels
    for block in _blocks(n, rows * terms * x.itemsize, _LAST_BLOCK):
        samples = padded[block]
        seen = np.lib.stride_tricks.as_strided(samples, (len(samples), *shape), (sample, *strides), writeable=False)
        yield block, seen.reshape(len(samples) * rows, terms)


def _last(x: Any) -> Any:
    """Return ``x`` seen with its channels last: (N, C, *size) -> (N, *size, C)."""
    return x.transpose(0, *range(2, x.ndim), 1)


def _turned(geometry: Geometry, kernel: Sizes) -> Geometry | None:
    """Return how the kernel, turned round, walks over the output to give the input; None with strides."""
    frame = [(r - 1 - a, r - 1 - b) for r, (a, b) in zip(geometry.reach(kernel), geometry.padding, strict=True)]
    if any(s != 1 for s in geometry.stride) or min(map(min, frame)) < 0:
        return None
    return dataclasses.replace(geometry, padding=tuple(frame))


def _blocks(n: int, nbytes: int, room: int) -> list[slice]:
    """Return ``n`` samples in slices whose columns of ``nbytes`` each fit into ``room`` bytes together."""
    step = max(1, room // max(1, nbytes))
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
