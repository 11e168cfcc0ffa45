"""A small convolutional network in the manner of LeNet (LeCun et al. 1998): two convolutions, then affine layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gyaku import nn
from gyaku.backend.random import Generator
from gyaku.base.errors import UnknownNameError
from gyaku.models.description import (
    Described,
    Description,
    Shapes,
    check_image,
    check_share,
    check_sizes,
    read_description,
    start_he,
)

_CHANNELS = (16, 32)
_FIELDS = {"inputs": list, "outputs": int, "dense": int, "norm": str, "dropout": float}
CONV_NORMS = ("none", "batch")


class LeNet(Described):
    """3×3 convolutions to 16 and 32 channels, each with ReLU and 2×2 max-pool, then 128 units, then the output.

    ``conv1``, ``norm1``, ``act1``, ``pool1``, ``conv2``, ..., ``flatten``, ``affine``, ``act3``, ``dropout``,
    ``output``. Inputs (N, C, H, W), H and W at least 4; outputs (N, L) are logits, or values of a regression.

    Parameters
        inputs: shape (C, H, W) of one image. outputs: units of the output layer.
        dense: units of the affine layer. norm: ``none`` or ``batch`` behind each convolution.
        dropout: probability of a zero before the output layer, in training.
        seed: of the initial weights (He's, by the inputs of one unit), or a generator.

    Raises ``ArgumentError`` or ``UnknownNameError`` ("did you mean").

    >>> LeNet((1, 28, 28), 10).parameter_count
    206922
    """

    kind = "lenet"

    def __init__(
        self,
        inputs: Sequence[int],
        outputs: int,
        *,
        dense: int = 128,
        norm: str = "none",
        dropout: float = 0.0,
        seed: int | Generator = 0,
    ) -> None:
        super().__init__()
        d = {"inputs": list(inputs), "outputs": outputs, "dense": dense, "norm": norm, "dropout": float(dropout)}
        self._description = _checked(d)
        first, second = _CHANNELS
        self.conv1 = nn.Conv2d(inputs[0], first, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(first) if norm == "batch" else nn.Identity()
        self.act1, self.pool1 = nn.ReLU(), nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(first, second, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(second) if norm == "batch" else nn.Identity()
        self.act2, self.pool2 = nn.ReLU(), nn.MaxPool2d(2)
        self.flatten = nn.Flatten()
        self.affine = nn.Linear(_flat(inputs), dense)
        self.act3, self.dropout = nn.ReLU(), nn.Dropout(dropout)
        self.output = nn.Linear(dense, outputs)
        start_he(self, seed)

    def forward(self, x: Any) -> Any:
        """Return the outputs (N, L) for images (N, C, H, W)."""
        x = self.pool1(self.act1(self.norm1(self.conv1(x))))  # (N, C, H, W) -> (N, 16, H/2, W/2)
        x = self.pool2(self.act2(self.norm2(self.conv2(x))))  # -> (N, 32, H/4, W/4)
        return self.output(self.dropout(self.act3(self.affine(self.flatten(x)))))

    @staticmethod
    def from_architecture(data: Any) -> LeNet:
        """Build the network of a description, with fresh weights. Raises ``DataError`` for anything else."""
        return LeNet(**_read(data))

    @staticmethod
    def weight_shapes(data: Any) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the weights that a description asks for, without making them."""
        return dict(_weights(_read(data)))


def _flat(inputs: Sequence[int]) -> int:
    """Return the numbers behind the second pool."""
    return _CHANNELS[1] * (inputs[1] // 4) * (inputs[2] // 4)


def _weights(d: Description) -> Shapes:
    first, second = _CHANNELS
    yield "conv1.weight", (first, d["inputs"][0], 3, 3)
    yield "conv2.weight", (second, first, 3, 3)
    yield "affine.weight", (d["dense"], _flat(d["inputs"]))
    yield "output.weight", (d["outputs"], d["dense"])


def _read(data: Any) -> Description:
    found: Description = read_description(data, LeNet.kind, _FIELDS, _checked)
    return found


def _checked(d: Description) -> Description:
    check_image("LeNet", d["inputs"], 4)
    check_sizes("LeNet", d, "outputs", "dense")
    check_share("LeNet", "dropout", d["dropout"])
    if d["norm"] not in CONV_NORMS:
        raise UnknownNameError("LeNet", d["norm"], CONV_NORMS, what="norm")
    return d
