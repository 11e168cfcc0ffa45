"""The arguments of what walks over pictures, checked: stride, padding, dilation, groups."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from gyaku.backend.convolution import Geometry, Sizes
from gyaku.base.errors import ArgumentError, ShapeError


def geometry_of(where: str, kernel: Sizes, stride: Any, padding: Any, dilation: Any, groups: Any) -> Geometry:
    """Return the checked geometry of PyTorch's arguments.

    Raises ``ArgumentError`` for a number that is none, too small, or of which there are too many.
    """
    return _geometry(where, kernel, *map(_frozen, (stride, padding, dilation)), groups)


@functools.lru_cache(maxsize=1024, typed=True)
def _geometry(where: str, kernel: Sizes, stride: Any, padding: Any, dilation: Any, groups: Any) -> Geometry:
    n = len(kernel)
    stride, dilation = numbers(where, "stride", stride, n, 1), numbers(where, "dilation", dilation, n, 1)
    (groups,) = numbers(where, "groups", groups, 1, 1)
    return Geometry(stride, _pairs(where, padding, kernel, stride, dilation), dilation, groups)


def _frozen(value: Any) -> Any:
    return tuple([_frozen(v) for v in value]) if isinstance(value, (list, tuple)) else value


def _pairs(where: str, padding: Any, kernel: Sizes, stride: Sizes, dilation: Sizes) -> tuple[tuple[int, int], ...]:
    """Return the padding (before, after) of each dimension from any way to say it."""
    if padding == "same":
        if any(s != 1 for s in stride):
            raise ArgumentError(where, "stride 1 with padding='same'", f"stride {stride}")
        totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return tuple([(t // 2, t - t // 2) for t in totals])  # the odd one goes to the end, as in PyTorch
    if padding == "valid":
        return ((0, 0),) * len(kernel)
    if isinstance(padding, str):
        raise ArgumentError(where, "padding 'same', 'valid' or numbers", repr(padding))
    if isinstance(padding, tuple) and any(isinstance(p, tuple) for p in padding):
        return _given_pairs(where, padding, len(kernel))
    return tuple([(p, p) for p in numbers(where, "padding", padding, len(kernel), 0)])


def _given_pairs(where: str, padding: tuple[Any, ...], n: int) -> tuple[tuple[int, int], ...]:
    if len(padding) != n or not all(isinstance(p, tuple) and len(p) == 2 for p in padding):
        raise ArgumentError(where, f"padding as {n} pairs (before, after)", repr(padding))
    pairs = [numbers(where, "padding", p, 2, 0) for p in padding]
    return tuple([(before, after) for before, after in pairs])


def numbers(where: str, name: str, value: Any, n: int, least: int) -> Sizes:
    """Return ``n`` whole numbers of at least ``least`` from one number or ``n`` of them."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    values = values * n if len(values) == 1 else values
    whole = all(isinstance(v, (int, np.integer)) and not isinstance(v, bool) and v >= least for v in values)
    if not whole or len(values) != n:
        several = f", or {n} of them" if n > 1 else ""
        raise ArgumentError(where, f"{name} as a whole number of at least {least}{several}", repr(value))
    return tuple([int(v) for v in values])


def check_fits(where: str, size: Sizes, kernel: Sizes, geometry: Geometry) -> None:
    """Raise ``ShapeError`` unless the kernel fits into the padded input."""
    if min(geometry.out(size, kernel)) < 1:
        room, reach = geometry.padded(size), geometry.reach(kernel)
        hint = "add padding, or use a smaller kernel"
        raise ShapeError(
            f"{where} (forward)", f"a kernel within the padded input {room}", f"one that spans {reach}", hint=hint
        )


def shape_text(channels: int, dims: int) -> str:
    """Return "(N, 3, H, W)" for 3 channels in two dimensions."""
    return f"(N, {channels}, {'H, W' if dims == 2 else 'W'})"
