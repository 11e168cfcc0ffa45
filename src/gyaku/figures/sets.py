"""The images that experiments train on: MNIST where a folder holds it, else the embedded digits; read once."""

from __future__ import annotations

import functools
import math
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gyaku.backend.random import Generator
from gyaku.data import load, prepare
from gyaku.data.mnist import find_files

Part = tuple[NDArray[Any], NDArray[Any]]
MNIST_ROWS = 10_000  # of the full training set so many are drawn, so that an experiment takes the same time everywhere
SPLIT_SEED = 0  # the split is the same for all seeds of an experiment: they vary initial values and order


class Images(NamedTuple):
    """Pixels (N, D) float32 and classes (N,) int64 of the three parts, and how the set is called."""

    name: str
    train: Part
    dev: Part
    test: Part

    @property
    def inputs(self) -> int:
        """The number of pixels."""
        return int(self.train[0].shape[1])

    def few(self, n: int, seed: int | None = None) -> Part:
        """Return ``n`` training rows: the first, or those that ``seed`` draws."""
        rows = np.arange(n) if seed is None else Generator(seed).split("few").permutation(len(self.train[0]))[:n]
        return self.train[0][rows], self.train[1][rows]

    def pictures(self, x: NDArray[Any]) -> NDArray[Any]:
        """Return rows of pixels (N, D) as pictures (N, 1, H, W)."""
        side = math.isqrt(self.inputs)
        return x.reshape(len(x), 1, side, side)


def chosen(level: str) -> str:
    """Return ``"mnist"`` when ``GYAKU_DATA`` (or its subfolder ``mnist``) holds it and the level is not quick."""
    return "mnist" if level != "quick" and _mnist_is_there() else "digits"


def title(name: str) -> tuple[str, str]:
    """Return what a figure calls the set, in English and Japanese."""
    return ("MNIST, 10,000 digits", "MNIST 1万枚") if name == "mnist" else ("UCI digits, 8 × 8", "UCI 手書き数字 8 × 8")


@functools.cache
def images(name: str) -> Images:
    """Return ``"digits"`` or ``"mnist"``, split by ``gyaku.data.prepare`` and standardised by the training part.

    Digits: 70 % train, 10 % dev, 20 % test. MNIST: 10,000 of the training digits, 10 % of them dev; the official test.

    >>> images("digits").train[0].shape, images("digits").dev[0].shape
    ((1258, 64), (180, 64))
    """
    return _read(name, standardize=True)


@functools.cache
def pixels(name: str) -> Images:
    """Return the rows of ``images`` with pixels in [0, 1], the values that Bernoulli units take.

    >>> float(pixels("digits").train[0].min()), float(pixels("digits").train[0].max())
    (0.0, 1.0)
    """
    return _read(name, standardize=False)


def _read(name: str, *, standardize: bool) -> Images:
    limit = MNIST_ROWS if name == "mnist" else None
    p = prepare(load(name), seed=SPLIT_SEED, limit=limit, standardize=standardize)
    flat = [x.reshape(len(x), -1) for x in (p.x_train, p.x_dev, p.x_test)]
    return Images(name, (flat[0], p.t_train), (flat[1], p.t_dev), (flat[2], p.t_test))


def wrong_labels(t: NDArray[Any], share: float, seed: int) -> NDArray[Any]:
    """Return the classes with this share of them, drawn by ``seed``, replaced by one of the nine others."""
    stream = Generator(seed).split("wrong labels")
    hit = stream.permutation(len(t))[: round(share * len(t))]
    changed = t.copy()
    changed[hit] = (t[hit] + stream.integers(1, 10, (len(hit),))) % 10
    return changed


def _mnist_is_there() -> bool:
    base = os.environ.get("GYAKU_DATA")
    return bool(base) and any(len(find_files(Path(str(base)) / place)) == 4 for place in ("mnist", "MNIST", "."))
