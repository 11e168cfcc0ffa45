"""The convolutional autoencoder: an image through smaller and smaller maps down to a code, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gyaku import nn
from gyaku.backend.random import Generator
from gyaku.base.errors import UnknownNameError
from gyaku.models.autoencoder import OUTPUTS, output_of
from gyaku.models.description import (
    Described,
    Description,
    check_image,
    check_sizes,
    is_size,
    read_description,
    start_he,
)
from gyaku.models.mlp import ACTIVATIONS

_FIELDS: dict[str, type] = {
    "inputs": list, "channels": list, "units": int, "activation": str, "code": str, "output": str,
}  # fmt: skip


class ConvAutoencoder(Described):
    """Convolutions 3 x 3 of stride 2, one for each of ``channels``, an affine code, and the mirror image back.

    Every level halves the image (rounded up); the decoder's transposed convolutions give each level's size back.
    Modules are named ``conv1``, ``conv2``, ..., ``affine`` (the code), ``back_affine``, ``back2``, ``back1``. Train it
    with ``gyaku.train.fit_autoencoder``.

    Parameters
        inputs: images (C, H, W). channels: of the levels. units: of the code.
        activation: between the layers; code: that of the code. output: ``sigmoid`` or ``identity``.
        seed: of the initial weights (He), or a generator.

    Raises ``ArgumentError`` or ``UnknownNameError`` ("did you mean").

    >>> model = ConvAutoencoder((1, 28, 28), [8, 16], units=32)
    >>> model.levels
    [(1, 28, 28), (8, 14, 14), (16, 7, 7)]
    """

    kind = "conv_autoencoder"

    def __init__(
        self,
        inputs: Sequence[int],
        channels: Sequence[int] = (16, 32),
        *,
        units: int = 32,
        activation: str = "relu",
        code: str = "identity",
        output: str = "sigmoid",
        seed: int | Generator = 0,
    ) -> None:
        super().__init__()
        self._description = _checked(
            {"inputs": list(inputs), "channels": list(channels), "units": units, "activation": activation, "code": code,
             "output": output}
        )  # fmt: skip
        self.levels = _levels(self._description)
        act, flat = ACTIVATIONS[activation], math.prod(self.levels[-1])
        for i, (before, after) in enumerate(zip(self.levels, self.levels[1:], strict=False), start=1):
            more = tuple(n - (2 * m - 1) for n, m in zip(before[1:], after[1:], strict=True))
            self.add_module(f"conv{i}", nn.Conv2d(before[0], after[0], 3, stride=2, padding=1))
            self.add_module(f"act{i}", act())
            back = nn.ConvTranspose2d(after[0], before[0], 3, stride=2, padding=1, output_padding=more)
            self.add_module(f"back{i}", back)
            self.add_module(f"back_act{i}", act())
        self.affine, self.code_act = nn.Linear(flat, units), ACTIVATIONS[code]()
        self.back_affine = nn.Linear(units, flat)
        start_he(self, seed)

    def encode(self, x: Any) -> Any:
        """Return the code (N, units) of images (N, C, H, W)."""
        for i in range(1, len(self.levels)):
            x = self._modules[f"act{i}"](self._modules[f"conv{i}"](x))
        return self.code_act(self.affine(x.flatten(1)))

    def decode_logits(self, code: Any) -> Any:
        """Return what the decoder says before its output function, as (N, D)."""
        top, last = len(self.levels) - 1, self.levels[-1]
        x = self._modules[f"back_act{top}"](self.back_affine(code)).reshape(-1, *last)
        for i in range(top, 0, -1):
            x = self._modules[f"back{i}"](x)
            x = self._modules[f"back_act{i - 1}"](x) if i > 1 else x
        return x.flatten(1)

    def decode(self, code: Any) -> Any:
        """Return the images (N, C, H, W) of a code (N, units)."""
        return output_of(self.decode_logits(code), self.output).reshape(-1, *self.inputs)

    def forward(self, x: Any) -> Any:
        """Return the reconstruction of images (N, C, H, W)."""
        return self.decode(self.encode(x))

    @property
    def output(self) -> str:
        """The output function: ``sigmoid`` or ``identity``."""
        return str(self._description["output"])

    @property
    def code(self) -> str:
        """The activation of the code."""
        return str(self._description["code"])

    @property
    def inputs(self) -> tuple[int, ...]:
        """The shape of one input."""
        return tuple(self._description["inputs"])

    @staticmethod
    def from_architecture(data: Any) -> ConvAutoencoder:
        """Build the network of a description, with fresh weights. Raises ``DataError`` for anything else."""
        d = dict(_read(data))
        return ConvAutoencoder(d.pop("inputs"), d.pop("channels"), **d)

    @staticmethod
    def weight_shapes(data: Any) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the weights that a description asks for, without making them."""
        d = _read(data)
        levels, found = _levels(d), {}
        for i, (before, after) in enumerate(zip(levels, levels[1:], strict=False), start=1):
            found[f"conv{i}.weight"] = found[f"back{i}.weight"] = (after[0], before[0], 3, 3)
        flat = math.prod(levels[-1])
        return {**found, "affine.weight": (d["units"], flat), "back_affine.weight": (flat, d["units"])}


def _levels(d: Mapping[str, Any]) -> list[tuple[int, ...]]:
    """Return the shapes (C, H, W) of the input and of every level."""
    levels = [tuple(d["inputs"])]
    for channels in d["channels"]:
        levels.append((channels, *(-(-n // 2) for n in levels[-1][1:])))
    return levels


def _checked(d: Description) -> Description:
    where = "ConvAutoencoder"
    check_image(where, d["inputs"], max(1, 2 ** (len(d["channels"]) - 1)))
    check_sizes(where, d, "units")
    for n in d["channels"] or [0]:
        check_sizes(where, {"channels": n if is_size(n) else 0}, "channels")
    for name, known in (("activation", ACTIVATIONS), ("code", ACTIVATIONS), ("output", OUTPUTS)):
        if d[name] not in known:
            raise UnknownNameError(where, d[name], known, what=name)
    return d


def _read(data: Any) -> Description:
    found: Description = read_description(data, ConvAutoencoder.kind, _FIELDS, _checked)
    return found
