"""Pictures in another size: nearest neighbours, and linear interpolation as one matrix for each dimension."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gyaku.backend.convolution import Geometry, Sizes
from gyaku.base.errors import ArgumentError, DtypeError, ShapeError, UnknownNameError
from gyaku.core.op import FUNCTIONS
from gyaku.core.tensor import Tensor, new_tensor
from gyaku.ops.geometry import numbers
from gyaku.ops.namespace import tensor_namespace

_MODES = {"nearest": (1, 2), "nearest-exact": (1, 2), "linear": (1,), "bilinear": (2,), "area": (2,)}


def interpolate(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Return x (N, C, W) or (N, C, H, W) in another size, which ``size`` or ``scale_factor`` gives.

    With r = n / m (or 1 / scale_factor), element i of m takes from n elements
    "nearest"           number floor(i r);
    "nearest-exact"     number floor((i + 1/2) r);
    "linear", "bilinear"  (1 - t) x[j] + t x[j + 1] at j + t = max((i + 1/2) r - 1/2, 0), in each dimension; with
                        ``align_corners`` at i (n - 1) / (m - 1), so that first and last elements stay;
    "area"              the mean of its share, as ``adaptive_avg_pool2d``.
    ``antialias`` (bilinear) weighs all elements within r of the place by their nearness, for small copies without jags.
    A scale factor gives size floor(n scale); ``recompute_scale_factor`` takes r from the sizes again. Raises
    ``ArgumentError`` unless exactly one of ``size`` and ``scale_factor`` is given, ``UnknownNameError`` for a mode
    that is not there.
    """
    if not isinstance(input, Tensor):
        raise DtypeError("interpolate", "x as a tensor", type(input).__name__, hint="gyaku.as_tensor(x)")
    if mode not in _MODES:
        raise UnknownNameError("interpolate", mode, tuple(_MODES), what="mode")
    dims = input.ndim - 2
    if dims not in _MODES[mode]:
        shapes = " or ".join(["(N, C, W)", "(N, C, H, W)"][n - 1] for n in _MODES[mode])
        raise ShapeError(f"interpolate ({mode})", f"x of shape {shapes}", str(tuple(input.shape)))
    if align_corners is not None and "linear" not in mode:
        raise ArgumentError("interpolate", "align_corners only with linear or bilinear", f"mode={mode!r}")
    if antialias and mode != "bilinear":
        raise ArgumentError("interpolate", "antialias only with bilinear", f"mode={mode!r}")
    wanted, ratios = _wanted(input.shape[2:], size, scale_factor, recompute_scale_factor)
    if "nearest" in mode:
        return _nearest(input, wanted, ratios, mode == "nearest-exact")
    if mode == "area":
        from gyaku.ops.pool import adaptive_avg_pool2d

        return adaptive_avg_pool2d(input, wanted)
    sizes = zip(input.shape[2:], wanted, ratios, strict=True)
    matrix = smoothed if antialias else between
    return resampled(input, [matrix(n, m, r, bool(align_corners)) for n, m, r in sizes])


def _wanted(size: Sizes, given: Any, factor: Any, again: bool | None) -> tuple[Sizes, tuple[float, ...]]:
    """Return the new size, and how far apart in the old picture two neighbours of the new one are."""
    n = len(size)
    if (given is None) == (factor is None):
        got = "neither" if given is None else "both"
        raise ArgumentError("interpolate", "one of size and scale_factor", got)
    if given is not None:
        wanted = numbers("interpolate", "size", given, n, 1)
        return wanted, tuple([a / b for a, b in zip(size, wanted, strict=True)])
    factors = tuple(factor) if isinstance(factor, (tuple, list)) else (factor,) * n
    if len(factors) != n or not all(isinstance(f, (int, float)) and f > 0 for f in factors):
        raise ArgumentError("interpolate", f"scale_factor as a number above 0, or {n} of them", repr(factor))
    wanted = tuple([math.floor(a * f) for a, f in zip(size, factors, strict=True)])
    if min(wanted) < 1:
        raise ShapeError("interpolate", "an output of at least 1 element", str(wanted))
    ratios = [a / b if again else 1 / f for a, b, f in zip(size, wanted, factors, strict=True)]
    return wanted, tuple(ratios)


def _nearest(x: Tensor, wanted: Sizes, ratios: tuple[float, ...], exact: bool) -> Tensor:
    if all(m % n == 0 and m // n * r == 1 for n, m, r in zip(x.shape[2:], wanted, ratios, strict=True)):
        return repeated(x, tuple([m // n for n, m in zip(x.shape[2:], wanted, strict=True)]))
    for axis, (n, m, r) in enumerate(zip(x.shape[2:], wanted, ratios, strict=True), 2):
        sources = _sources(n, m, r, exact, x._array.dtype.type)
        x = FUNCTIONS["index_select"](x, axis, new_tensor(sources).to(x.device))
    return x


def _sources(n: int, m: int, ratio: float, exact: bool, kind: Any) -> Any:
    """Return which of ``n`` elements each of ``m`` takes; rounded as PyTorch does, to float32 before the last step."""
    if exact:
        middle = np.maximum((np.arange(m) + kind(0.5)) * kind(ratio) - kind(0.5), 0)
        places = (middle.astype(np.float64) + 0.5).astype(np.float32)
    else:
        places = (np.arange(m).astype(kind) * kind(ratio)).astype(np.float32)
    return np.minimum(np.floor(places), n - 1).astype(np.int64)


def repeated(x: Tensor, times: Sizes) -> Tensor:
    """Return each element of x (N, C, *size) ``times`` over, side by side; its gradient adds them up."""
    xp, size = tensor_namespace, x.shape[2:]
    if all(k == 1 for k in times):
        return xp.copy(x)
    columns = xp.reshape(x, (*x.shape[:2], *[1] * len(times), *size))
    columns = xp.broadcast_to(columns, (*x.shape[:2], *times, *size))
    geometry = Geometry(times, ((0, 0),) * len(times), (1,) * len(times))
    return xp.fold(columns, tuple([n * k for n, k in zip(size, times, strict=True)]), geometry)


def resampled(x: Tensor, matrices: Sequence[Any]) -> Tensor:
    """Return x (N, C, *size) with one matrix (new, old) applied along each dimension of space."""
    xp = tensor_namespace
    rows, *more = [new_tensor(m.astype(x._array.dtype)).to(x.device) for m in reversed(matrices)]
    x = xp.matmul(x, xp.transpose(rows))  # (N, C, H, W) (W, OW)
    return xp.matmul(more[0], x) if more else x  # (OH, H) (N, C, H, OW)


@functools.lru_cache(maxsize=64)
def between(n: int, m: int, ratio: float, corners: bool) -> Any:
    """Return the matrix (m, n) that reads ``n`` elements at ``m`` places between them."""
    if corners:
        at = np.arange(m) * ((n - 1) / (m - 1) if m > 1 else 0.0)
    else:
        at = np.maximum((np.arange(m) + 0.5) * ratio - 0.5, 0)
    left = np.minimum(np.floor(at).astype(np.int64), n - 1)
    part = np.where(left == n - 1, 0, at - left)
    matrix = np.zeros((m, n))
    matrix[np.arange(m), left] += 1 - part
    matrix[np.arange(m), np.minimum(left + 1, n - 1)] += part
    return matrix


@functools.lru_cache(maxsize=64)
def smoothed(n: int, m: int, ratio: float, corners: bool) -> Any:
    """Return the matrix (m, n) that takes means of ``n`` elements by nearness to ``m`` places, as PyTorch does."""
    ratio = ((n - 1) / (m - 1) if m > 1 else 0.0) if corners else ratio
    reach = max(ratio, 1.0)
    middle = (ratio * (np.arange(m) + 0.5))[:, None]
    near = np.maximum(1 - np.abs(np.arange(n) + 0.5 - middle) / reach, 0)
    return near / near.sum(1, keepdims=True)
