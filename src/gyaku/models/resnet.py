"""Residual networks for small images (He et al. 2016, section 4.2), of any depth, and their plain twins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
from gyaku.nn import functional as F

_FIELDS = {"inputs": list, "outputs": int, "depth": int, "width": int, "block": str, "skips": bool}
STAGES = 3
BLOCKS = {"basic": 2, "bottleneck": 3}  # convolutions in a block
_WIDER = {"basic": 1, "bottleneck": 4}  # channels that leave a block, over those inside
_DEEPEST = 10_000


class Block(nn.Module):
    """y = ReLU(F(x) + x), or ReLU(F(x)) without the skip; F: convolutions with batch norm, ReLU between them.

    ``basic``: 3×3, 3×3. ``bottleneck``: 1×1 to ``inside`` channels, 3×3, 1×1 to four times as many. Where the number
    of pixels halves or that of channels grows, the skip takes every other pixel and adds channels of zeros: it has no
    parameters, so a plain twin has as many, and its gradient is the identity (``lectures.md`` 10.3).
    """

    def __init__(self, before: int, inside: int, stride: int, block: str, skip: bool) -> None:
        super().__init__()
        self.skip, self.stride, self.more = skip, stride, inside * _WIDER[block] - before
        for i, (a, b, kernel, step) in enumerate(_convolutions(before, inside, stride, block), start=1):
            conv = nn.Conv2d(a, b, kernel, stride=step, padding=kernel // 2, bias=False)  # batch norm has its own bias
            for name, module in (("conv", conv), ("norm", nn.BatchNorm2d(b)), ("act", nn.ReLU())):
                self.add_module(f"{name}{i}", module)
        self.count = i

    def forward(self, x: Any) -> Any:
        """Return (N, L, H / stride, W / stride) for (N, C, H, W)."""
        y, modules = x, self._modules
        for i in range(1, self.count + 1):
            y = modules[f"norm{i}"](modules[f"conv{i}"](y))
            y = modules[f"act{i}"](y) if i < self.count else y
        return modules[f"act{self.count}"](y + self.shortcut(x) if self.skip else y)

    def shortcut(self, x: Any) -> Any:
        """Return x, with every other pixel and channels of zeros where the block changes its shape."""
        if self.stride > 1:
            x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, 0, self.more)) if self.more else x


def _convolutions(before: int, inside: int, stride: int, block: str) -> list[tuple[int, int, int, int]]:
    """Return channels in, channels out, kernel and stride of a block's convolutions."""
    if block == "basic":
        return [(before, inside, 3, stride), (inside, inside, 3, 1)]
    return [(before, inside, 1, 1), (inside, inside, 3, stride), (inside, _WIDER[block] * inside, 1, 1)]


class ResNet(Described):
    """A 3×3 convolution, three stages of blocks with ``width``, 2 and 4 ``width`` channels, mean over pixels, output.

    ``conv``, ``norm``, ``act``, ``stage1.0``, ..., ``stage3.n``, ``output``; the second and third stage halve
    the image. Inputs (N, C, H, W), H and W at least 4; outputs (N, L) are logits, or values of a regression.

    Parameters
        inputs: shape (C, H, W) of one image. outputs: units of the output layer.
        depth: weight layers, 6n+2 for ``basic`` blocks (8, 14, 20, ..., 56, ...), 9n+2 for ``bottleneck`` (11, 20).
        width: channels of the first stage; the paper's is 16.
        skips: False gives the plain twin: the same layers and parameters without the sums.
        seed: of the initial weights (He's, by the inputs of one unit), or a generator.

    Raises ``ArgumentError`` or ``UnknownNameError`` ("did you mean").

    >>> ResNet((3, 32, 32), 10, depth=20).parameter_count  # the paper says 0.27 million
    269722
    """

    kind = "resnet"

    def __init__(
        self,
        inputs: Sequence[int],
        outputs: int,
        *,
        depth: int = 20,
        width: int = 16,
        block: str = "basic",
        skips: bool = True,
        seed: int | Generator = 0,
    ) -> None:
        super().__init__()
        d = {"inputs": list(inputs), "outputs": outputs, "depth": depth, "width": width, "block": block, "skips": skips}
        self._description = _checked(d)
        self.conv = nn.Conv2d(inputs[0], width, 3, padding=1, bias=False)
        self.norm, self.act = nn.BatchNorm2d(width), nn.ReLU()
        for name, blocks in _stages(d):
            self.add_module(name, nn.Sequential(*(Block(*sizes, block, skips) for sizes in blocks)))
        self.pool, self.flatten = nn.AdaptiveAvgPool2d(1), nn.Flatten()
        self.output = nn.Linear(width * 2 ** (STAGES - 1) * _WIDER[block], outputs)
        start_he(self, seed)

    def forward(self, x: Any) -> Any:
        """Return the outputs (N, L) for images (N, C, H, W)."""
        x = self.act(self.norm(self.conv(x)))
        for k in range(1, STAGES + 1):
            x = self._modules[f"stage{k}"](x)
        return self.output(self.flatten(self.pool(x)))

    @staticmethod
    def from_architecture(data: Any) -> ResNet:
        """Build the network of a description, with fresh weights. Raises ``DataError`` for anything else."""
        return ResNet(**_read(data))

    @staticmethod
    def weight_shapes(data: Any) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the weights that a description asks for, without making them."""
        return dict(_weights(_read(data)))


def _stages(d: Description) -> list[tuple[str, list[tuple[int, int, int]]]]:
    """Return the stages by name: channels before, channels inside and stride of every block."""
    before, stages = d["width"], []
    for k in range(STAGES):
        inside, blocks = d["width"] * 2**k, []
        for i in range((d["depth"] - 2) // (STAGES * BLOCKS[d["block"]])):
            blocks.append((before, inside, 2 if k and not i else 1))
            before = inside * _WIDER[d["block"]]
        stages.append((f"stage{k + 1}", blocks))
    return stages


def _weights(d: Description) -> Shapes:
    yield "conv.weight", (d["width"], d["inputs"][0], 3, 3)
    for name, blocks in _stages(d):
        for i, sizes in enumerate(blocks):
            for j, (a, b, kernel, _) in enumerate(_convolutions(*sizes, d["block"]), start=1):
                yield f"{name}.{i}.conv{j}.weight", (b, a, kernel, kernel)
    yield "output.weight", (d["outputs"], d["width"] * 2 ** (STAGES - 1) * _WIDER[d["block"]])


def _read(data: Any) -> Description:
    found: Description = read_description(data, ResNet.kind, _FIELDS, _checked)
    return found


def _checked(d: Description) -> Description:
    check_image("ResNet", d["inputs"], 2 ** (STAGES - 1))
    check_sizes("ResNet", d, "outputs", "width", "depth")
    if d["block"] not in BLOCKS:
        raise UnknownNameError("ResNet", d["block"], BLOCKS, what="block")
    check_depth(d["depth"], d["block"])
    return d


def check_depth(depth: int, block: str) -> None:
    """Refuse a depth that blocks of that kind cannot make up."""
    step = STAGES * BLOCKS[block]
    if depth < step + 2 or (depth - 2) % step or depth > _DEEPEST:
        near = min(max(step + 2, round((depth - 2) / step) * step + 2), _DEEPEST // step * step + 2 - step)
        some = ", ".join(str(step * n + 2) for n in (1, 2, 3, 5, 9))
        hint = f"the nearest is {near}"
        raise ArgumentError("ResNet", f"a depth of {step}n+2 for {block} blocks ({some}, ...)", str(depth), hint=hint)
