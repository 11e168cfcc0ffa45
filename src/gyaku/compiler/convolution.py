"""Convolutions of a program in the form that machine code takes: channels last, taps in order, one equation each.

``conv`` and ``conv_input`` become ``correlate``: (N, H, W, C) and weights (KH, KW, C, L) -> (N, OH, OW, L), in one part
or, for the gradient by the input of a convolution with stride, in one for each phase (``correlation.Part``).
``conv_weight`` becomes ``correlate_weight``: sums over blocks of samples (B, KH, KW, C, L), which are then added up, so
that the bits do not depend on how many threads share the blocks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from gyaku.compiler.correlation import Pair, Part, Taps
from gyaku.compiler.primitives import PRIMITIVES, Primitive
from gyaku.compiler.program import Equation

CONVOLUTIONS = ("conv", "conv_input", "conv_weight")
_BLOCKS = 16  # sums of weight gradients side by side
_BLOCK_BYTES = 4 * 2**20  # what all of them may take, but two


@dataclass(frozen=True)
class Scheme:
    """How a picture is laid out, walked through and cut into parts; ``keys`` pick each part's taps."""

    size: Pair  # of the picture
    before: Pair  # where in it x lies
    taps: Taps
    parts: tuple[Part, ...]
    keys: tuple[Any, ...] = ()


def expressible(e: Equation) -> bool:
    """Whether a convolution is one that ``correlate`` can express: one or two dimensions of space, one group."""
    a, b = e.vars
    geometry = e.param("geometry")
    floats = a.dtype == b.dtype == e.output.dtype and a.dtype.kind == "f" and a.dtype.itemsize >= 4
    return floats and geometry.groups == 1 and a.ndim in (3, 4) and min(a.size, b.size, e.output.size) > 0


def plane(values: Sequence[Any], fill: Any) -> tuple[Any, Any]:
    """Return one or two entries (by dimension of space) as two."""
    return (fill, values[0]) if len(values) == 1 else (values[0], values[1])


def forward_scheme(geometry: Any, size: Sequence[int], kernel: Sequence[int], out: Sequence[int]) -> Scheme:
    """Return how ``conv`` of a picture of ``size`` is laid out."""
    stride, dilation = plane(geometry.stride, 1), plane(geometry.dilation, 1)
    before = tuple([a for a, _ in plane(geometry.padding, (0, 0))])
    axes = zip(plane(out, 1), stride, plane(kernel, 1), dilation, strict=True)
    needed = tuple([(o - 1) * s + (k - 1) * d + 1 for o, s, k, d in axes])
    part = Part(plane(kernel, 1), (0, 0), plane(out, 1))
    return Scheme(_bare(needed, before, plane(size, 1)), before, Taps(stride, dilation), (part,))


def _bare(needed: Any, before: Any, size: Any) -> Any:
    """Return the picture's size: that of x itself where it has no border."""
    return size if before == (0, 0) and all(n <= s for n, s in zip(needed, size, strict=True)) else needed


@dataclass(frozen=True)
class _Phase:
    """Every s-th element of the input along one dimension: from ``start`` on, ``count`` of them, and its taps."""

    start: int
    count: int
    taps: tuple[int, ...]  # as they meet the gradient from left to right
    origin: int


def _phases(s: int, d: int, p: int, k: int, n: int) -> list[_Phase]:
    """Return the phases of the gradient by an input of n elements: g[o] meets tap t at o s - p + t d."""
    found = []
    for r in range(min(s, n)):
        taps = [t for t in reversed(range(k)) if (r + p - t * d) % s == 0]
        origin = (r + p - taps[0] * d) // s if taps else 0
        found.append(_Phase(r, -(-(n - r) // s), tuple(taps), origin))
    return found


def backward_scheme(geometry: Any, size: Sequence[int], kernel: Sequence[int], out: Sequence[int]) -> Scheme | None:
    """Return how ``conv_input`` of a gradient of size ``out`` is laid out: a part for each phase of the stride.

    None where no tap meets anything.
    """
    stride, dilation = plane(geometry.stride, 1), plane(geometry.dilation, 1)
    pads, k, n = plane(geometry.padding, (0, 0)), plane(kernel, 1), plane(size, 1)
    phases = [_phases(s, d, p[0], k_, n_) for s, d, p, k_, n_ in zip(stride, dilation, pads, k, n, strict=True)]
    steps = tuple([d // math.gcd(d, s) for s, d in zip(stride, dilation, strict=True)])
    if not all(any(q.taps for q in line) for line in phases):
        return None
    before, needed = [], []
    for line, step in zip(phases, steps, strict=True):
        used = [q for q in line if q.taps]
        first = max(0, *[-q.origin for q in used])
        before.append(first)
        needed.append(max(first + q.origin + q.count - 1 + (len(q.taps) - 1) * step + 1 for q in used))
    parts = tuple([_part(pair, stride, before) for pair in product(*phases)])
    keys = tuple([_key(pair, kernel) for pair in product(*phases) if all(q.taps for q in pair)])
    picture = _bare(tuple(needed), tuple(before), plane(out, 1))
    return Scheme(picture, (before[0], before[1]), Taps((1, 1), steps), parts, keys)


def _part(pair: Any, stride: Pair, before: list[int]) -> Part:
    a, b = pair
    kernel = (len(a.taps), len(b.taps)) if a.taps and b.taps else (0, 0)
    origin = (a.origin + before[0], b.origin + before[1]) if a.taps and b.taps else (0, 0)
    return Part(kernel, origin, (a.count, b.count), (a.start, b.start), stride)


def _key(pair: Any, kernel: Sequence[int]) -> tuple[Any, ...]:
    """Return the slices that pick a phase's taps of weights (L, C, *kernel), in rising order."""
    lines = pair if len(kernel) == 2 else pair[1:]
    return (slice(None), slice(None), *[_rising(q.taps) for q in lines])


def _rising(taps: tuple[int, ...]) -> slice:
    step = taps[0] - taps[1] if len(taps) > 1 else 1
    return slice(taps[-1], taps[0] + 1, step)


def blocks_of(samples: int, nbytes: int) -> int:
    """Return over how many blocks of samples a weight gradient of ``nbytes`` is summed: a power of two."""
    most = min(samples, _BLOCKS, max(2, _BLOCK_BYTES // max(nbytes, 1)))
    return int(2 ** (max(most, 1).bit_length() - 1))


# --- what the two equations mean --------------------------------------------------------------------------------------
def _picture(p: dict[str, Any], x: Any) -> Any:
    """Return x (N, H, W, C) with its border."""
    (height, width), before = p["scheme"].size, p["scheme"].before
    out = np.zeros((len(x), height, width, x.shape[3]), x.dtype)
    own, theirs = [slice(None)], [slice(None)]
    for b, n, size in zip(before, x.shape[1:3], (height, width), strict=True):
        low, high = max(b, 0), min(b + n, size)
        own.append(slice(low, max(low, high)))
        theirs.append(slice(low - b, max(low, high) - b))
    out[tuple(own)] = x[tuple(theirs)]
    return out


def _seen(scheme: Scheme, part: Part, picture: Any, i: int, j: int) -> Any:
    """Return what tap (i, j) sees from all outputs of a part: (N, OH, OW, C)."""
    key = [slice(None)]
    axes = zip((i, j), part.origin, part.size, scheme.taps.stride, scheme.taps.dilation, strict=True)
    for k, origin, n, s, d in axes:
        key.append(slice(origin + k * d, origin + k * d + (n - 1) * s + 1, s))
    return picture[tuple(key)]


def _correlate(p: dict[str, Any], x: Any, *weights: Any) -> Any:
    picture, given = _picture(p, x), iter(weights)
    y = np.zeros((len(x), *p["size"], weights[0].shape[3]), x.dtype)
    for part in p["scheme"].parts:
        if part.kernel == (0, 0):
            continue
        w, (a, b) = next(given), part.start
        target = y[:, a :: part.step[0], b :: part.step[1]]
        for i, j in product(*map(range, part.kernel)):
            target += _seen(p["scheme"], part, picture, i, j) @ w[i, j]
    return y


def _correlate_weight(p: dict[str, Any], x: Any, g: Any) -> Any:
    picture, (part,), blocks = _picture(p, x), p["scheme"].parts, p["blocks"]
    out = np.zeros((blocks, *part.kernel, x.shape[3], g.shape[3]), x.dtype)
    for b in range(blocks):
        own = slice(len(x) * b // blocks, len(x) * (b + 1) // blocks)
        for i, j in product(*map(range, part.kernel)):
            out[b, i, j] = np.tensordot(_seen(p["scheme"], part, picture[own], i, j), g[own], ((0, 1, 2), (0, 1, 2)))
    return out


def _correlated(p: dict[str, Any], inputs: Sequence[Any]) -> list[Any]:
    x, *weights = inputs
    return [((x.shape[0], *p["size"], weights[0].shape[3]), x.dtype, False)]


def _weights_summed(p: dict[str, Any], inputs: Sequence[Any]) -> list[Any]:
    x, g = inputs
    (part,) = p["scheme"].parts
    return [((p["blocks"], *part.kernel, x.shape[3], g.shape[3]), x.dtype, False)]


PRIMITIVES["correlate"] = Primitive("correlate", "convolution", _correlate, _correlated)
PRIMITIVES["correlate_weight"] = Primitive("correlate_weight", "convolution", _correlate_weight, _weights_summed)


def flops(e: Equation) -> int:
    """Return the floating-point operations of a convolution, taps on the border counted."""
    if e.op == "correlate":
        (n, _, _, c), parts = e.vars[0].shape, e.param("scheme").parts
        return 2 * n * c * e.output.shape[3] * sum(math.prod(p.kernel) * math.prod(p.size) for p in parts)
    if e.op == "correlate_weight":
        return 2 * math.prod(e.output.shape[1:]) * math.prod(e.vars[1].shape[:3])
    by = {"conv": (1, e.output), "conv_input": (1, e.vars[0]), "conv_weight": (None, e.vars[-1])}[e.op]
    which, places = by
    w = e.output if which is None else e.vars[which]
    return 2 * w.size * places.shape[0] * math.prod(places.shape[2:])
