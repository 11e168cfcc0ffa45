"""Dropout: a product with a random mask. The mask is an input, so the rule itself is pure."""

from __future__ import annotations

from typing import Any

from gyaku.backend.devices import move
from gyaku.backend.random import Generator, default_generator
from gyaku.base.errors import ArgumentError, ShapeError
from gyaku.core.op import Op, apply, register
from gyaku.core.tensor import Tensor, new_tensor


@register
class Dropout(Op):
    """y = scale x M with a mask M of truth values; gx = scale gy M (S1 §9)."""

    scale: float
    keep = "m"
    label = "{0} * {1}"

    def forward(self, xp: Any, x: Any, m: Any) -> Any:
        return x * m if self.scale == 1 else x * m * self.scale

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        (m,) = saved
        return (gy * m if self.scale == 1 else gy * m * self.scale), None


def dropout(
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    scaling: str = "inverted",
    generator: Generator | None = None,
) -> Tensor:
    """Return x with elements dropped (0) with probability ``p``, one by one.

    ``scaling="inverted"`` (PyTorch): training x M / (1 - p), prediction x. ``"lecture"`` (S1 §9): training x M,
    prediction x (1 - p). They agree in expectation. p is rounded to 1/65536; ``inplace`` changes nothing.
    Raises ``ArgumentError`` for p outside 0..1.
    """
    return _dropped(input, p, training, scaling, generator, tuple(input.shape))


def dropout2d(
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    scaling: str = "inverted",
    generator: Generator | None = None,
) -> Tensor:
    """Return x (N, C, ...) with whole channels dropped with probability ``p``; otherwise as ``dropout``."""
    if input.ndim not in (3, 4):
        raise ShapeError("dropout2d", "x of shape (N, C, H, W)", str(tuple(input.shape)))
    return _dropped(input, p, training, scaling, generator, (*input.shape[:2], *[1] * (input.ndim - 2)))


def check_dropout(p: float, scaling: str) -> None:
    """Refuse a probability outside 0..1 and an unknown scaling."""
    if not 0.0 <= p <= 1.0:
        raise ArgumentError("Dropout", "p within 0..1", str(p))
    if scaling not in ("inverted", "lecture"):
        raise ArgumentError("Dropout", "scaling 'inverted' or 'lecture'", repr(scaling))


def _dropped(
    x: Tensor, p: float, training: bool, scaling: str, generator: Generator | None, shape: tuple[int, ...]
) -> Tensor:
    check_dropout(p, scaling)
    p = float(p)
    inverted = scaling == "inverted"
    if p == 0 or not training:
        return x if inverted or p == 0 else x * (1 - p)
    mask = (generator or default_generator).mask(1 - p, shape)
    scale = 1 / (1 - p) if inverted and p < 1 else 1
    return apply(Dropout(scale), x, new_tensor(move(mask, x.device)))
