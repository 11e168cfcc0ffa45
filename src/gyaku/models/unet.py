"""U-Net (Ronneberger, Fischer and Brox 2015): an encoder, a decoder, and skips that hand over what pooling loses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gyaku as gy
from gyaku import nn
from gyaku.backend.random import Generator
from gyaku.base.errors import ArgumentError, UnknownNameError
from gyaku.models.description import (
    Described,
    Description,
    Shapes,
    check_image,
    check_sizes,
    read_description,
    start_he,
)
from gyaku.models.lenet import CONV_NORMS
from gyaku.nn import functional as F

_FIELDS = {"inputs": list, "outputs": int, "depth": int, "width": int, "norm": str, "skips": bool}
DEEPEST = 8


class Double(nn.Module):
    """Two 3×3 convolutions of one width, each with norm and ReLU."""

    def __init__(self, before: int, after: int, norm: str) -> None:
        super().__init__()
        plain = norm == "none"
        self.conv1 = nn.Conv2d(before, after, 3, padding=1, bias=plain)
        self.norm1 = nn.Identity() if plain else nn.BatchNorm2d(after)
        self.act1 = nn.ReLU()
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=plain)
        self.norm2 = nn.Identity() if plain else nn.BatchNorm2d(after)
        self.act2 = nn.ReLU()

    def forward(self, x: Any) -> Any:
        """Return (N, L, H, W) for (N, C, H, W)."""
        x = self.act1(self.norm1(self.conv1(x)))
        return self.act2(self.norm2(self.conv2(x)))


class UNet(Described):
    """Halve the image ``depth`` times, double it again as often; every level hands its pixels over by a skip.

    Encoder ``down1``..., each two 3×3 convolutions and a 2×2 max-pool, of ``width``, 2 ``width``, 4 ``width``, ...
    channels; ``bottom``; decoder ``up1`` (a transposed 2×2 convolution that doubles the image) and ``back1`` (two
    convolutions over the doubled channels and those of the skip, concatenated); ``output``, a 1×1 convolution.
    Inputs (N, C, H, W); outputs (N, L, H, W), logits of every pixel. An image whose sides 2^depth does not divide is
    widened by zeros inside, and cut to its size at the end.

    Parameters
        inputs: shape (C, H, W) of one image. outputs: classes of a pixel.
        depth: how often the image is halved, 1 to 8. width: channels of the first level; the paper has 4 and 64.
        norm: ``batch`` or ``none`` behind each convolution.
        skips: False leaves the concatenations out: a plain encoder and decoder, for the experiment.
        seed: of the initial weights (He's, by the inputs of one unit), or a generator.

    Raises ``ArgumentError`` or ``UnknownNameError`` ("did you mean").

    >>> UNet((1, 64, 64), 11, depth=2, width=4).parameter_count
    7527
    """

    kind = "unet"

    def __init__(
        self,
        inputs: Sequence[int],
        outputs: int,
        *,
        depth: int = 3,
        width: int = 16,
        norm: str = "batch",
        skips: bool = True,
        seed: int | Generator = 0,
    ) -> None:
        super().__init__()
        d = {"inputs": list(inputs), "outputs": outputs, "depth": depth, "width": width, "norm": norm, "skips": skips}
        self._description = _checked(d)
        self.depth, self.skips = depth, skips
        self.pool = nn.MaxPool2d(2)
        before = inputs[0]
        for k, channels in enumerate(_channels(d), start=1):
            self.add_module(f"down{k}" if k <= depth else "bottom", Double(before, channels, norm))
            before = channels
        for k in range(depth, 0, -1):
            channels = width * 2 ** (k - 1)
            self.add_module(f"up{k}", nn.ConvTranspose2d(2 * channels, channels, 2, stride=2))
            self.add_module(f"back{k}", Double(channels * (1 + skips), channels, norm))
        self.output = nn.Conv2d(width, outputs, 1)
        start_he(self, seed)

    def forward(self, x: Any) -> Any:
        """Return the logits (N, L, H, W) of the pixels of images (N, C, H, W)."""
        height, width = x.shape[2:]
        x, modules, kept = self._widened(x), self._modules, []
        for k in range(1, self.depth + 1):
            x = modules[f"down{k}"](x)
            kept.append(x)
            x = self.pool(x)
        x = self.bottom(x)
        for k in range(self.depth, 0, -1):
            x = modules[f"up{k}"](x)
            if self.skips:
                x = gy.cat([kept[k - 1], x], 1)
            x = modules[f"back{k}"](x)
        y = self.output(x)
        return y if y.shape[2:] == (height, width) else y[:, :, :height, :width]

    def _widened(self, x: Any) -> Any:
        more = [-n % 2**self.depth for n in x.shape[2:]]
        return F.pad(x, (0, more[1], 0, more[0])) if any(more) else x

    @staticmethod
    def from_architecture(data: Any) -> UNet:
        """Build the network of a description, with fresh weights. Raises ``DataError`` for anything else."""
        return UNet(**_read(data))

    @staticmethod
    def weight_shapes(data: Any) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the weights that a description asks for, without making them."""
        return dict(_weights(_read(data)))


def _channels(d: Description) -> list[int]:
    """Return the channels of the levels, the bottom last."""
    return [d["width"] * 2**k for k in range(d["depth"] + 1)]


def _weights(d: Description) -> Shapes:
    before, channels = d["inputs"][0], _channels(d)
    for k, after in enumerate(channels, start=1):
        yield from _double(f"down{k}" if k <= d["depth"] else "bottom", before, after)
        before = after
    for k in range(d["depth"], 0, -1):
        after = channels[k - 1]
        yield f"up{k}.weight", (2 * after, after, 2, 2)
        yield from _double(f"back{k}", after * (1 + d["skips"]), after)
    yield "output.weight", (d["outputs"], d["width"], 1, 1)


def _double(name: str, before: int, after: int) -> Shapes:
    yield f"{name}.conv1.weight", (after, before, 3, 3)
    yield f"{name}.conv2.weight", (after, after, 3, 3)


def _read(data: Any) -> Description:
    found: Description = read_description(data, UNet.kind, _FIELDS, _checked)
    return found


def _checked(d: Description) -> Description:
    check_sizes("UNet", d, "outputs", "width", "depth")
    if d["depth"] > DEEPEST:
        raise ArgumentError("UNet", f"a depth of at most {DEEPEST}", str(d["depth"]))
    check_image("UNet", d["inputs"], 2 ** d["depth"], "a smaller depth, or larger images: --depth, --size")
    if d["norm"] not in CONV_NORMS:
        raise UnknownNameError("UNet", d["norm"], CONV_NORMS, what="norm")
    return d
