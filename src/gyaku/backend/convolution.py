"""Convolution as three bilinear maps: the readable formula by windows (im2col), for any array library ``np``.

A convolution is linear in x and in w, so three maps are all there is, and the derivatives of each are the other two:

    y = conv(x, w)          y[n,l,o] = sum over c, k of x[n, c, o s + k d - p] w[l,c,k]
    gx = conv_input(g, w)   the adjoint in x: <conv(x, w), g> = <x, conv_input(g, w)>
    gw = conv_weight(x, g)  the adjoint in w: <conv(x, w), g> = <w, conv_weight(x, g)>

with x (N, C, *size), w (L, C/groups, *kernel), y and g (N, L, *out). As in PyTorch the kernel is not flipped.
``windows`` writes what lies under each element of the kernel side by side, which makes products of matrices of all
three; ``fold``, its adjoint, adds everything back where it came from. The same lines serve one, two or more dimensions
of space. ``convolution_quick`` holds the faster forms for NumPy; these lines are their oracle.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from types import ModuleType
from typing import Any

Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Geometry:
    """How a kernel walks over an input: one entry for each dimension of space; ``padding`` in pairs (before, after)."""

    stride: Sizes
    padding: tuple[tuple[int, int], ...]
    dilation: Sizes
    groups: int = 1

    def reach(self, kernel: Sizes) -> Sizes:
        """Return how many elements of the input a kernel spans: d (k - 1) + 1."""
        return tuple([d * (k - 1) + 1 for k, d in zip(kernel, self.dilation, strict=True)])

    def padded(self, size: Sizes) -> Sizes:
        """Return the size of the input with its padding."""
        return tuple([n + before + after for n, (before, after) in zip(size, self.padding, strict=True)])

    def out(self, size: Sizes, kernel: Sizes) -> Sizes:
        """Return at how many places the kernel stops; 0 or less where it does not fit."""
        spans = zip(self.padded(size), self.reach(kernel), self.stride, strict=True)
        return tuple([(n - reach) // s + 1 for n, reach, s in spans])

    def tiles(self, size: Sizes, kernel: Sizes) -> bool:
        """Whether the kernel lays the input out in tiles: no padding, overlap, gap or rest."""
        flat = not any(map(any, self.padding)) and all(d == 1 for d in self.dilation)
        return flat and self.stride == kernel and all(n % s == 0 for n, s in zip(size, kernel, strict=True))

    def places(self, kernel: Sizes, out: Sizes) -> Iterator[tuple[Any, Any]]:
        """Yield the index of each element of the kernel, and that of all the padded input it meets on its walk."""
        for k in product(*map(range, kernel)):
            starts = [i * d for i, d in zip(k, self.dilation, strict=True)]
            met = [slice(a, a + (n - 1) * s + 1, s) for a, n, s in zip(starts, out, self.stride, strict=True)]
            yield (..., *k, *[slice(None)] * len(out)), (..., *met)


def windows(np: ModuleType, x: Any, kernel: Sizes, geometry: Geometry) -> Any:
    """Return what lies under each element of the kernel: (N, C, *size) -> (N, C, *kernel, *out)."""
    out = geometry.out(x.shape[2:], kernel)
    padded = np.pad(x, ((0, 0), (0, 0), *geometry.padding))
    columns = np.empty((*x.shape[:2], *kernel, *out), dtype=x.dtype)
    for k, met in geometry.places(kernel, out):
        columns[k] = padded[met]
    return columns


def fold(np: ModuleType, columns: Any, size: Sizes, geometry: Geometry) -> Any:
    """Return what ``windows`` spread added up again, its adjoint: (N, C, *kernel, *out) -> (N, C, *size)."""
    kernel, out = columns.shape[2 : 2 + len(size)], columns.shape[2 + len(size) :]
    padded = np.zeros((*columns.shape[:2], *geometry.padded(size)), dtype=columns.dtype)
    for k, met in geometry.places(kernel, out):
        padded[met] += columns[k]
    inside = [slice(before, before + n) for n, (before, _) in zip(size, geometry.padding, strict=True)]
    return np.ascontiguousarray(padded[(..., *inside)])


def conv(np: ModuleType, x: Any, w: Any, geometry: Geometry) -> Any:
    """Return y (N, L, *out): at each place the products of the kernel with what lies under it, added up."""
    out, groups = geometry.out(x.shape[2:], w.shape[2:]), geometry.groups
    columns = windows(np, x, w.shape[2:], geometry)
    rows, terms, places = len(w) // groups, math.prod(w.shape[1:]), math.prod(out)
    y = w.reshape(groups, rows, terms) @ columns.reshape(len(x), groups, terms, places)  # (N, G, L/G, P)
    return y.reshape(len(x), len(w), *out)


def conv_input(np: ModuleType, g: Any, w: Any, geometry: Geometry, size: Sizes) -> Any:
    """Return gx (N, C, *size): each g puts the kernel, that many times, over what lay under it."""
    groups, (channels, *kernel), out = geometry.groups, w.shape[1:], g.shape[2:]
    rows, terms, places = len(w) // groups, math.prod(w.shape[1:]), math.prod(out)
    transposed = w.reshape(groups, rows, terms).swapaxes(1, 2)
    columns = transposed @ g.reshape(len(g), groups, rows, places)  # (G, K, L/G) (N, G, L/G, P) -> (N, G, K, P)
    return fold(np, columns.reshape(len(g), groups * channels, *kernel, *out), size, geometry)


def conv_weight(np: ModuleType, x: Any, g: Any, geometry: Geometry, kernel: Sizes) -> Any:
    """Return gw (L, C/groups, *kernel): for each element of the kernel the products of g with what lay under it."""
    groups, channels, out = geometry.groups, x.shape[1] // geometry.groups, g.shape[2:]
    rows, terms, places = g.shape[1] // groups, channels * math.prod(kernel), math.prod(out)
    columns = windows(np, x, kernel, geometry).reshape(len(x), groups, terms, places)
    gw = g.reshape(len(x), groups, rows, places) @ columns.swapaxes(2, 3)  # (N, G, L/G, K)
    return gw.sum(0).reshape(groups * rows, channels, *kernel)


def bound(name: str, library: ModuleType) -> Callable[..., Any]:
    """Return the formula ``name`` with its array library filled in."""
    return functools.partial(globals()[name], library)
