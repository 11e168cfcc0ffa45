"""More images from few: batch functions ``(x, generator) -> x`` on float arrays (N, C, H, W), and class weights.

Each maker (``shift(2)``, ``rotate(10)``, ...) returns an ``Augmentation``: the function, which also moves the classes
of the pixels along (``pair``). ``fill`` is the value outside the picture: the value of black after standardisation,
``recipe.black``. Source: S1 §9 (data augmentation).
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
Move = Callable[[Batch, Generator, float, bool], Batch]  # images, generator, fill, nearest pixel instead of a mixture


class Augmentation:
    """A change of images by chance: ``f(x, generator) -> x``; ``pair(x, t, generator)`` for pixel classes (N, H, W).

    What moves pixels moves their classes, too (the nearest pixel's; outside lies class 0); what changes only values
    (noise, cutout) leaves the classes. Draws depend on the generator alone, so both see the same.
    """

    def __init__(self, move: Move, fill: float = 0.0, *, moves: bool = True) -> None:
        self.move, self.fill, self.moves = move, fill, moves

    def __call__(self, x: Batch, generator: Generator) -> Batch:
        """Return the changed images, of the same shape and type."""
        return self.move(x, generator, self.fill, False)

    def pair(self, x: Batch, t: Batch, generator: Generator) -> tuple[Batch, Batch]:
        """Return changed images and the classes (N, H, W) of their pixels."""
        if self.moves:
            twin = Generator().set_state(generator.get_state())
            t = self.move(t[:, None].astype(np.float32), twin, 0.0, True)[:, 0].astype(t.dtype)
        return self(x, generator), t


def shift(pixels: int, *, fill: float = 0.0) -> Augmentation:
    """Move every image by its own whole number of pixels in [-pixels, pixels], down and across.

    >>> x = np.arange(4.0).reshape(1, 1, 2, 2)
    >>> shift(0)(x, Generator(0)).tolist() == x.tolist()
    True
    """
    p = _at_least("shift", "pixels", int(pixels), 0)

    def move(x: Batch, generator: Generator, fill: float, nearest: bool) -> Batch:
        n, c, h, w = _checked("shift", x)
        moves = generator.integers(0, 2 * p + 1, (n, 2))
        padded = np.full((n, c, h + 2 * p, w + 2 * p), fill, dtype=x.dtype)
        padded[:, :, p : p + h, p : p + w] = x
        windows = sliding_window_view(padded, (h, w), axis=(2, 3))  # (N, C, 2p+1, 2p+1, H, W), a view
        return windows[np.arange(n), :, moves[:, 0], moves[:, 1]]

    return Augmentation(move, fill)


def flip(share: float = 0.5) -> Augmentation:
    """Mirror every image from left to right with probability ``share``: where left and right mean nothing.

    >>> flip(1.0)(np.array([[[[1.0, 2.0]]]]), Generator(0)).tolist()
    [[[[2.0, 1.0]]]]
    """
    share = _share("flip", "share", share)

    def move(x: Batch, generator: Generator, fill: float, nearest: bool) -> Batch:
        n, *_ = _checked("flip", x)
        return np.where((generator.uniform((n,)) < share)[:, None, None, None], x[..., ::-1], x)

    return Augmentation(move)


def rotate(degrees: float, *, fill: float = 0.0) -> Augmentation:
    """Turn every image about its centre by its own angle in [-degrees, degrees), bilinear interpolation."""
    limit = np.deg2rad(_at_least("rotate", "degrees", float(degrees), 0.0))

    def move(x: Batch, generator: Generator, fill: float, nearest: bool) -> Batch:
        n, _, h, w = _checked("rotate", x)
        angle = (limit * (2.0 * generator.uniform((n,)) - 1.0))[:, None, None]
        rows, cols = np.arange(h)[:, None] - (h - 1) / 2, np.arange(w) - (w - 1) / 2
        from_rows = np.cos(angle) * rows + np.sin(angle) * cols + (h - 1) / 2
        from_cols = np.cos(angle) * cols - np.sin(angle) * rows + (w - 1) / 2
        return _sample(x, from_rows, from_cols, fill, nearest)

    return Augmentation(move, fill)


def zoom(share: float, *, fill: float = 0.0) -> Augmentation:
    """Enlarge or shrink every image about its centre by its own factor in [1 - share, 1 + share), bilinear."""
    share = _share("zoom", "share", share)

    def move(x: Batch, generator: Generator, fill: float, nearest: bool) -> Batch:
        n, _, h, w = _checked("zoom", x)
        factor = (1.0 + share * (2.0 * generator.uniform((n,)) - 1.0))[:, None, None]
        rows, cols = np.arange(h)[:, None] - (h - 1) / 2, np.arange(w) - (w - 1) / 2
        from_rows = np.broadcast_to(rows / factor + (h - 1) / 2, (n, h, w))
        return _sample(x, from_rows, np.broadcast_to(cols / factor + (w - 1) / 2, (n, h, w)), fill, nearest)

    return Augmentation(move, fill)


def cutout(pixels: int, *, fill: float = 0.0) -> Augmentation:
    """Cover a square of ``pixels`` pixels in every image with ``fill``, its centre anywhere in the image.

    The classes of covered pixels stay: the network is to know them from what lies around. Source: T. DeVries,
    G. Taylor, "Improved regularization of convolutional neural networks with cutout" (2017).
    """
    side = _at_least("cutout", "pixels", int(pixels), 1)

    def move(x: Batch, generator: Generator, fill: float, nearest: bool) -> Batch:
        n, _, h, w = _checked("cutout", x)
        u = generator.uniform((2, n))
        rows, cols = ((k * size).astype(np.int64)[:, None] for k, size in zip(u, (h, w), strict=True))
        in_rows, in_cols = (
            (np.arange(size) >= at - side // 2) & (np.arange(size) < at - side // 2 + side)
            for at, size in ((rows, h), (cols, w))
        )
        return np.where((in_rows[:, :, None] & in_cols[:, None, :])[:, None], x.dtype.type(fill), x)

    return Augmentation(move, fill, moves=False)


def noise(std: float) -> Augmentation:
    """Add normal noise of standard deviation ``std`` to every pixel."""
    scale = _at_least("noise", "std", float(std), 0.0)

    def move(x: Batch, generator: Generator, fill: float, nearest: bool) -> Batch:
        _checked("noise", x)
        return x + (scale * generator.normal(x.shape)).astype(x.dtype)

    return Augmentation(move, moves=False)


def elastic(alpha: float = 8.0, sigma: float = 3.0, *, fill: float = 0.0) -> Augmentation:
    """Bend every image: uniform displacements in ±``alpha`` pixels, smoothed by a Gaussian of ``sigma`` pixels.

    Source: P. Simard, D. Steinkraus, J. Platt, "Best practices for convolutional neural networks" (2003).
    """
    strength = _at_least("elastic", "alpha", float(alpha), 0.0)
    width = _at_least("elastic", "sigma", float(sigma), 1e-6)

    def move(x: Batch, generator: Generator, fill: float, nearest: bool) -> Batch:
        n, _, h, w = _checked("elastic", x)
        push = strength * (2.0 * generator.uniform((2, n, h, w)) - 1.0)
        push = _gauss(h, width) @ push @ _gauss(w, width)  # the smoothing of rows and of columns, two products
        return _sample(x, np.arange(h)[:, None] + push[0], np.arange(w) + push[1], fill, nearest)

    return Augmentation(move, fill)


class _Composed(Augmentation):
    """Several augmentations, one after the other, from one generator."""

    def __init__(self, steps: tuple[Augmentation, ...]) -> None:
        super().__init__(lambda x, *_: x)
        self.steps = steps

    def __call__(self, x: Batch, generator: Generator) -> Batch:
        for step in self.steps:
            x = step(x, generator)
        return x

    def pair(self, x: Batch, t: Batch, generator: Generator) -> tuple[Batch, Batch]:
        for step in self.steps:
            x, t = step.pair(x, t, generator)
        return x, t


def compose(*steps: Augment) -> Augmentation:
    """Apply ``steps`` one after the other. Plain functions ``(x, generator) -> x`` are taken as changes of values."""
    made = [step if isinstance(step, Augmentation) else _plain(step) for step in steps]
    return _Composed(tuple(made))


def _plain(step: Augment) -> Augmentation:
    return Augmentation(lambda x, generator, *_: step(x, generator), moves=False)


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


def _sample(x: Batch, rows: NDArray[Any], cols: NDArray[Any], fill: float, nearest: bool = False) -> Batch:
    """Read x (N, C, H, W) at real positions (N, H, W); outside lies ``fill``, in one border of pixels all around."""
    n, c, h, w = x.shape
    if nearest:
        rows, cols = np.floor(rows + 0.5), np.floor(cols + 0.5)
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


def _share(where: str, name: str, value: float) -> float:
    if not 0.0 <= value <= 1.0:
        raise ArgumentError(where, f"0 <= {name} <= 1", str(value))
    return float(value)


def _at_least(where: str, name: str, value: Any, low: Any) -> Any:
    if not low <= value < np.inf:
        raise ArgumentError(where, f"{name} >= {low}", str(value))
    return value
