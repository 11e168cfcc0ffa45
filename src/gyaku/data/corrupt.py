"""Damaged inputs for denoising autoencoders: batch functions ``(x, generator) -> x`` on float arrays of any shape.

They are used as ``augment`` is: ``fit`` draws the damage of a batch from (seed, epoch, batch), so a resumed run sees
the same. Source: P. Vincent et al., "Stacked Denoising Autoencoders", JMLR 11 (2010), section 3.3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyaku.backend.random import Generator
from gyaku.base.errors import ArgumentError, UnknownNameError

Batch = NDArray[Any]
Corruption = Callable[[Batch, Generator], Batch]


def masking(share: float) -> Corruption:
    """Set each value to 0 with probability ``share``.

    >>> masking(1.0)(np.ones((2, 2)), Generator(0)).tolist()
    [[0.0, 0.0], [0.0, 0.0]]
    """
    keep = 1.0 - _share("masking", share)

    def apply(x: Batch, generator: Generator) -> Batch:
        return x * generator.mask(keep, x.shape)

    return apply


def gaussian(std: float) -> Corruption:
    """Add normal noise of standard deviation ``std`` to each value."""
    if not 0.0 <= std < np.inf:
        raise ArgumentError("gaussian", "std >= 0", str(std))

    def apply(x: Batch, generator: Generator) -> Batch:
        return x + (std * generator.normal(x.shape)).astype(x.dtype)

    return apply


def salt_and_pepper(share: float, *, low: float = 0.0, high: float = 1.0) -> Corruption:
    """Set each value with probability ``share`` to ``low`` or to ``high``, one as likely as the other."""
    p = _share("salt_and_pepper", share)

    def apply(x: Batch, generator: Generator) -> Batch:
        u = generator.uniform(x.shape, np.float32)
        salted = np.where(u < p / 2, x.dtype.type(low), x.dtype.type(high))
        return np.where(u < p, salted, x)

    return apply


KINDS: dict[str, Callable[[float], Corruption]] = {
    "masking": masking, "gaussian": gaussian, "salt_and_pepper": salt_and_pepper,
}  # fmt: skip


def corruption(kind: str, strength: float) -> Corruption | None:
    """Return the damage of a name in ``KINDS``; None for ``"none"``. Raises ``UnknownNameError`` ("did you mean")."""
    if kind == "none":
        return None
    if kind not in KINDS:
        raise UnknownNameError("corruption", kind, ("none", *KINDS), what="corruption")
    return KINDS[kind](strength)


def _share(where: str, share: float) -> float:
    if not 0.0 <= share <= 1.0:
        raise ArgumentError(where, "a share in 0..1", str(share))
    return float(share)
