"""Dropout layers: random in training, silent in prediction."""

from __future__ import annotations

from gyaku.backend.random import Generator
from gyaku.core.tensor import Tensor
from gyaku.nn.module import Module
from gyaku.ops import dropout as ops


class Dropout(Module):
    """Drops each element with probability ``p`` in training (S1 §9).

    ``scaling="inverted"`` (PyTorch) divides by 1 - p in training; ``"lecture"`` multiplies by 1 - p in prediction.
    ``generator`` names the stream of the masks (the default one otherwise).
    """

    def __init__(
        self, p: float = 0.5, inplace: bool = False, *, scaling: str = "inverted", generator: Generator | None = None
    ) -> None:
        super().__init__()
        ops.check_dropout(p, scaling)
        self.p, self.inplace, self.scaling, self.generator = p, inplace, scaling, generator

    def forward(self, input: Tensor) -> Tensor:
        """Return the input with elements dropped (training) or as it is."""
        return ops.dropout(input, self.p, self.training, scaling=self.scaling, generator=self.generator)

    def extra_repr(self) -> str:
        """Return the probability."""
        lecture = "" if self.scaling == "inverted" else f", scaling={self.scaling!r}"
        return f"p={self.p}, inplace={self.inplace}{lecture}"


class Dropout2d(Dropout):
    """Drops whole channels of (N, C, H, W) with probability ``p`` in training; options as ``Dropout``."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the input with channels dropped (training) or as it is."""
        return ops.dropout2d(input, self.p, self.training, scaling=self.scaling, generator=self.generator)
