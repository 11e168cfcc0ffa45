"""Scenes: handwritten digits of several sizes on a textured ground, and the class of every pixel.

A made set for semantic segmentation, of any number of samples, from real digits: those of MNIST where they are at hand,
else the embedded ones, enlarged; nothing is ever downloaded. Scene i is a function of (seed, i) and the digits. Class 0
is the ground, class 1 + d the digit d.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gyaku.backend.random import Generator
from gyaku.base.errors import ArgumentError
from gyaku.data.digits import DIGITS_SHA256, DIGITS_WHITE, digits
from gyaku.data.mnist import MNIST, find_files, from_idx_folder
from gyaku.data.source import Source, array_digest

Pictures = NDArray[np.uint8]
SCENE_CLASSES = ("ground", *"0123456789")
_SMALLEST, _ROWS, _TEST = 16, 2000, 5  # pixels; scenes when no number is given; one test scene for so many others
_FEWEST, _MOST = 2, 5  # digits in a scene, as far as there is room
_TALL = (0.28, 0.56)  # height of a digit, as a share of the scene's smaller side
_TRIES, _OVERLAP = 8, 0.03  # places tried for a digit; the share of it that may cover another one


class Glyphs(NamedTuple):
    """Digits to write with: images (N, H, W) uint8, their labels, the value of white, and where they are from."""

    images: Pictures
    labels: NDArray[np.int64]
    white: float
    origin: str


def scenes(n: int, glyphs: Glyphs, *, size: tuple[int, int] = (64, 64), seed: int = 0) -> tuple[Pictures, Pictures]:
    """Return images (n, 1, H, W) uint8 and the class of every pixel (n, H, W) uint8, one of ``SCENE_CLASSES``.

    Two to five digits a scene, each 0.28 to 0.56 of the smaller side tall, lighter or darker than the ground below it.
    A pixel belongs to a digit where its ink is at least half; of two digits, the later one lies on top. Raises
    ``ArgumentError`` for no scenes, or sides below 16 pixels.
    """
    if n < 1 or min(size) < _SMALLEST:
        raise ArgumentError("scenes", f"n >= 1 and sides of at least {_SMALLEST} pixels", f"n={n}, size={size}")
    root = Generator(seed).split("scenes")
    images, masks = np.empty((n, 1, *size), dtype=np.uint8), np.empty((n, *size), dtype=np.uint8)
    for i in range(n):
        picture, masks[i] = _scene(glyphs, size, root.split(i))
        images[i, 0] = np.rint(255.0 * picture)
    return images, masks


def load_scenes(
    *, n: int | None = None, size: tuple[int, int] | None = None, seed: int = 0, folder: str | Path | None = None
) -> Source:
    """Return ``n`` scenes (2000) as a ``Source`` with an official test part of a fifth as many, from other digits.

    ``folder`` holds the four files of MNIST; without it ``GYAKU_DATA`` is looked into, then the embedded digits serve.
    """
    n, size = _ROWS if n is None else n, (64, 64) if size is None else size
    ours, others, note = _glyphs(folder)
    x, masks = scenes(n, ours, size=size, seed=seed)
    x_test, masks_test = scenes(max(1, n // _TEST), others, size=size, seed=seed + 1)
    common: dict[str, Any] = {
        "origin": f"made: scenes(n={n}, size={size[0]}x{size[1]}, seed={seed}) of {ours.origin}",
        "digest": array_digest(x, masks, x_test, masks_test),
        "label_names": SCENE_CLASSES,
    }
    test = Source("scenes, test", images=x_test, masks=masks_test, **common)
    return Source("scenes", images=x, masks=masks, test=test, notes=note, **common)


def _glyphs(folder: str | Path | None) -> tuple[Glyphs, Glyphs, tuple[str, ...]]:
    """Return digits for the scenes of train and for those of test, and what is to be said of them."""
    at = Path(folder) if folder is not None else _mnist_at_hand()
    if at is None:
        x, t = digits()
        cut, origin = len(x) * 4 // 5, f"the embedded digits (SHA-256 {DIGITS_SHA256[:12]}...)"
        ours, others = (Glyphs(x[rows, 0], t[rows], DIGITS_WHITE, origin) for rows in (slice(cut), slice(cut, None)))
        return ours, others, ("written with the embedded digits; GYAKU_DATA with MNIST gives finer ones",)
    source = from_idx_folder(at, MNIST.name, MNIST.label_names)
    assert source.test is not None
    ours, others = (_of_mnist(part) for part in (source, source.test))
    return ours, others, ()


def _of_mnist(source: Source) -> Glyphs:
    assert source.images is not None and source.labels is not None
    return Glyphs(source.images[:, 0], source.labels, source.white, f"MNIST (SHA-256 {source.digest[:12]}...)")


def _mnist_at_hand() -> Path | None:
    base = os.environ.get("GYAKU_DATA")
    places = [Path(base) / place for place in (MNIST.name, MNIST.name.upper(), ".")] if base else []
    return next((place for place in places if len(find_files(place)) == 4), None)


def _scene(glyphs: Glyphs, size: tuple[int, int], generator: Generator) -> tuple[NDArray[np.float64], Pictures]:
    """Return one picture in 0..1 and its classes."""
    picture, mask = _ground(size, generator.split("ground")), np.zeros(size, dtype=np.uint8)
    chosen = generator.integers(0, len(glyphs.labels), (_MOST,)).tolist()
    count = int(generator.integers(_FEWEST, _MOST + 1))
    draws = generator.uniform((_MOST, 3 + 2 * _TRIES))
    for k, u in zip(chosen[:count], draws, strict=False):
        ink = _written(glyphs.images[k] / glyphs.white, min(size), u[0])
        place = _place(ink > 0.5, mask, u[3:].reshape(_TRIES, 2))
        if place is not None:
            spot = tuple(slice(at, at + n) for at, n in zip(place, ink.shape, strict=True))
            picture[spot] += ink * (_tone(float(picture[spot].mean()), u[1], u[2]) - picture[spot])
            mask[spot][ink > 0.5] = glyphs.labels[k] + 1
    return picture, mask


def _written(glyph: NDArray[np.float64], side: int, u: float) -> NDArray[np.float64]:
    """Return a digit cut out of its image and brought to a height by chance; ink in 0..1."""
    there = glyph > 0.2
    rows, cols = (np.flatnonzero(there.any(axis=axis)) for axis in (1, 0))
    part = glyph[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
    high = round(side * (_TALL[0] + u * (_TALL[1] - _TALL[0])))
    wide = min(max(3, round(high * part.shape[1] / part.shape[0])), round(0.7 * side))
    ink: NDArray[np.float64] = _stretch(high, part.shape[0]) @ part @ _stretch(wide, part.shape[1]).T
    return np.clip(ink * (1.0 / max(0.6, ink.max())), 0.0, 1.0)  # thin strokes keep their ink when they get smaller


def _place(shape: NDArray[np.bool_], mask: Pictures, tries: NDArray[np.float64]) -> tuple[int, int] | None:
    """Return the first of some places where a digit hardly covers another one; None if there is no such place."""
    h, w = shape.shape
    for u in tries:
        top, left = int(u[0] * (mask.shape[0] - h + 1)), int(u[1] * (mask.shape[1] - w + 1))
        covered = (mask[top : top + h, left : left + w] > 0) & shape
        if covered.sum() <= _OVERLAP * shape.sum():
            return top, left
    return None


def _tone(ground: float, u: float, v: float) -> float:
    """Return the brightness of the ink: 0.35 to 0.65 away from the ground, on a side by chance where both have room."""
    away = 0.35 + 0.3 * u
    up = ground + away <= 1.0 and (v < 0.5 or ground - away < 0.0)
    return min(ground + away, 1.0) if up else max(ground - away, 0.0)


def _ground(size: tuple[int, int], generator: Generator) -> NDArray[np.float64]:
    """Return a texture in 0..1: soft clouds, stripes of a direction by chance, and grain."""
    u = generator.uniform((6,))
    cells = 3 + int(4 * u[0])
    clouds = generator.uniform((cells, cells))
    soft = _stretch(size[0], cells) @ clouds @ _stretch(size[1], cells).T
    angle, period = np.pi * u[1], min(size) * (0.08 + 0.22 * u[2])
    across = np.cos(angle) * np.arange(size[0])[:, None] + np.sin(angle) * np.arange(size[1])
    stripes = np.sin(2.0 * np.pi * (across / period + u[3]))
    grain = generator.uniform(size)
    level = 0.25 + 0.5 * u[4]
    return np.clip(level + 0.35 * (soft - 0.5) + 0.1 * u[5] * stripes + 0.08 * (grain - 0.5), 0.0, 1.0)


@functools.lru_cache(maxsize=1024)
def _stretch(new: int, old: int) -> NDArray[np.float64]:
    """Return the (new, old) matrix that brings a line of pixels to another length, by straight lines between them.

    A shorter line averages over what falls into each of its pixels.
    """
    reach = max(1.0, old / new)
    at = (np.arange(new) + 0.5) * old / new - 0.5
    near = np.maximum(0.0, 1.0 - np.abs(np.arange(old) - np.clip(at, 0, old - 1)[:, None]) / reach)
    matrix: NDArray[np.float64] = near / near.sum(axis=1, keepdims=True)
    matrix.flags.writeable = False  # one for all who ask
    return matrix
