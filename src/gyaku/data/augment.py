"""More images from few: pure batch functions ``(x, generator) -> x`` on float arrays (N, C, H, W), and class weights.

Each maker (``shift(2)``, ``rotate(10)``, ...) returns such a function. ``fill`` is the value outside the picture: the
value of black after standardisation, ``recipe.black``. Source: S1 §9 (data augmentation).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from gyaku.backend.random import Generator
from gyaku.base.errors import ArgumentError, ShapeError

Batch = NDArray[Any]
Augment = Callable[[Batch, Generator], Batch]


def shift(pixels: int, *, fill: float = 0.0) -> Augment:
    """Move every image by its own whole number of pixels in [-pixels, pixels], down and across.

    >>> x = np.arange(4.0).reshape(1, 1, 2, 2)
    >>> shift(0)(x, Generator(0)).tolist() == x.tolist()
    True
    """
    p = _at_least("shift", "pixels", int(pixels), 0)

    def apply(x: Batch, generator: Generator) -> Batch:
        n, c, h, w = _checked("shift", x)
        moves = generator.integers(0, 2 * p + 1, (n, 2))
        padded = np.full((n, c, h + 2 * p, w + 2 * p), fill, dtype=x.dtype)
        padded[:, :, p : p + h, p : p + w] = x
        windows = sliding_window_view(padded, (h, w), axis=(2, 3))  # (N, C, 2p+1, 2p+1, H, W), a view
        return windows[np.arange(n), :, moves[:, 0], moves[:, 1]]

    return apply


def rotate(degrees: float, *, fill: float = 0.0) -> Augment:
    """Turn every image about its centre by its own angle in [-degrees, degrees), bilinear interpolation."""
    limit = np.deg2rad(_at_least("rotate", "degrees", float(degrees), 0.0))

    def apply(x: Batch, generator: Generator) -> Batch:
        n, _, h, w = _checked("rotate", x)
        angle = (limit * (2.0 * generator.uniform((n,)) - 1.0))[:, None, None]
        rows, cols = np.arange(h)[:, None] - (h - 1) / 2, np.arange(w) - (w - 1) / 2
        from_rows = np.cos(angle) * rows + np.sin(angle) * cols + (h - 1) / 2
        from_cols = np.cos(angle) * cols - np.sin(angle) * rows + (w - 1) / 2
        return _sample(x, from_rows, from_cols, fill)

    return apply


def noise(std: float) -> Augment:
    """Add normal noise of standard deviation ``std`` to every pixel."""
    scale = _at_least("noise", "std", float(std), 0.0)

    def apply(x: Batch, generator: Generator) -> Batch:
        _checked("noise", x)
        return x + (scale * generator.normal(x.shape)).astype(x.dtype)

    return apply


def elastic(alpha: float = 8.0, sigma: float = 3.0, *, fill: float = 0.0) -> Augment:
    """Bend every image: uniform displacements in ±``alpha`` pixels, smoothed by a Gaussian of ``sigma`` pixels.

    Source: P. Simard, D. Steinkraus, J. Platt, "Best practices for convolutional neural networks" (2003).
    """
    strength = _at_least("elastic", "alpha", float(alpha), 0.0)
    width = _at_least("elastic", "sigma", float(sigma), 1e-6)

    def apply(x: Batch, generator: Generator) -> Batch:
        n, _, h, w = _checked("elastic", x)
        push = strength * (2.0 * generator.uniform((2, n, h, w)) - 1.0)
        push = _gauss(h, width) @ push @ _gauss(w, width)  # the smoothing of rows and of columns, two products
        return _sample(x, np.arange(h)[:, None] + push[0], np.arange(w) + push[1], fill)

    return apply


def compose(*steps: Augment) -> Augment:
    """Apply ``steps`` one after the other, each with its own stream of the generator."""

    def apply(x: Batch, generator: Generator) -> Batch:
        for step in steps:
            x = step(x, generator)
        return x

    return apply


def class_weights(t: NDArray[Any], n_classes: int) -> NDArray[np.float32]:
    """Return balanced weights N / (K n_k), shape (K,); a class without samples gets 0.

    Raises ``ArgumentError`` for labels outside 0..K-1.

    >>> class_weights(np.array([0, 0, 0, 1]), 2).tolist()
    [0.6666666865348816, 2.0]
    """
    labels = np.asarray(t)
    bad = (labels < 0) | (labels >= n_classes)
    if bad.any():
        row = int(bad.argmax())
        raise ArgumentError("class_weights", f"labels in 0..{n_classes - 1}", f"{labels[row]} in row {row}")
    counts = np.bincount(labels, minlength=n_classes)
    weights = len(labels) / (n_classes * np.maximum(counts, 1))
    return np.where(counts > 0, weights, 0.0).astype(np.float32)


def _sample(x: Batch, rows: NDArray[Any], cols: NDArray[Any], fill: float) -> Batch:
    """Read x (N, C, H, W) at real positions (N, H, W); outside lies ``fill``, in one border of pixels all around."""
    n, c, h, w = x.shape
    padded = np.full((n, c, h + 2, w + 2), fill, dtype=x.dtype)
    padded[:, :, 1:-1, 1:-1] = x
    rows, cols = np.clip(rows + 1.0, 0.0, h + 1.0), np.clip(cols + 1.0, 0.0, w + 1.0)
    r, s = np.minimum(rows.astype(np.int64), h), np.minimum(cols.astype(np.int64), w)
    dr, ds = (rows - r).astype(x.dtype)[:, None], (cols - s).astype(x.dtype)[:, None]
    flat = padded.reshape(n, c, (h + 2) * (w + 2))
    at = (r * (w + 2) + s).reshape(n, 1, h * w)

    def corner(step: int) -> Batch:
        return np.take_along_axis(flat, at + step, axis=2).reshape(n, c, h, w)

    top = corner(0) * (1 - ds) + corner(1) * ds
    bottom = corner(w + 2) * (1 - ds) + corner(w + 3) * ds
    return top * (1 - dr) + bottom * dr


def _gauss(size: int, sigma: float) -> NDArray[np.float64]:
    """Return the symmetric (size, size) matrix that smooths a line of pixels; outside lies zero displacement."""
    steps = np.arange(size)[:, None] - np.arange(size)
    reach = np.arange(-4 * int(sigma + 1), 4 * int(sigma + 1) + 1)
    return np.exp(-0.5 * (steps / sigma) ** 2) / np.exp(-0.5 * (reach / sigma) ** 2).sum()


def _checked(where: str, x: Batch) -> tuple[int, int, int, int]:
    if x.ndim != 4 or x.dtype.kind != "f":
        raise ShapeError(where, "float images (N, C, H, W)", f"{x.dtype} {x.shape}", hint="x.reshape(-1, 1, H, W)")
    n, c, h, w = x.shape
    return n, c, h, w


def _at_least(where: str, name: str, value: Any, low: Any) -> Any:
    if not low <= value < np.inf:
        raise ArgumentError(where, f"{name} >= {low}", str(value))
    return value
