"""From a description to its model, and from a name that people type (``resnet20``) to a description."""

from __future__ import annotations

import math
import re
from typing import Any

from gyaku.base.errors import DataError, UnknownNameError
from gyaku.models.autoencoder import Autoencoder
from gyaku.models.conv_autoencoder import ConvAutoencoder
from gyaku.models.lenet import LeNet
from gyaku.models.mlp import MLP
from gyaku.models.mnist_net import MyMnistNet
from gyaku.models.resnet import ResNet, check_depth
from gyaku.models.stacked import StackedAutoencoder
from gyaku.models.unet import UNet

KINDS: dict[str, Any] = {
    "mlp": MLP, "lenet": LeNet, "resnet": ResNet, "unet": UNet, "mymnistnet": MyMnistNet, "autoencoder": Autoencoder,
    "stacked_autoencoder": StackedAutoencoder, "conv_autoencoder": ConvAutoencoder,
}  # fmt: skip
# Names that a message shows and that "did you mean" looks among; any depth of resnet and plain is taken.
NAMES = ("mlp", "lenet", "resnet8", "resnet20", "resnet56", "plain8", "plain20", "plain56", "unet", "mymnistnet")
_DEEP = re.compile(r"(resnet|plain)(\d{1,6})")


def build(description: Any) -> Any:
    """Return the model of a description, with fresh weights. Raises ``DataError`` for anything that is none.

    Use ``weight_shapes`` first on a file from a stranger: it costs no memory.

    >>> build({"kind": "mymnistnet", "inputs": [1, 28, 28], "outputs": 10}).parameter_count
    235146
    """
    return _class_of(description).from_architecture(description)


def weight_shapes(description: Any) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the weights that a description asks for, without making them. Raises ``DataError``."""
    found: dict[str, tuple[int, ...]] = _class_of(description).weight_shapes(description)
    return found


def _class_of(description: Any) -> Any:
    kind = description.get("kind") if isinstance(description, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise DataError("architecture.kind", f"one of {', '.join(KINDS)}", repr(kind)[:40])
    return KINDS[kind]


def split_name(name: str, where: str = "model") -> tuple[str, int | None, bool]:
    """Return kind, depth (None but for ``resnetN`` and ``plainN``) and whether there are skips.

    Raises ``UnknownNameError`` ("did you mean") and ``ArgumentError`` for a depth that no blocks make up.

    >>> split_name("plain20")
    ('resnet', 20, False)
    """
    match = _DEEP.fullmatch(name)
    if match:
        return "resnet", int(match[2]), match[1] == "resnet"
    if name not in NAMES:
        raise UnknownNameError(where, name, NAMES, what="model")
    return name, None, True


def check_name(name: str, block: str = "basic") -> None:
    """Raise what is wrong with a model's name."""
    kind, depth, _ = split_name(name)
    if kind == "resnet" and depth is not None:
        check_depth(depth, block)


def in_words(architecture: dict[str, Any]) -> str:
    """Return a network in a few words.

    >>> in_words(MLP((1, 8, 8), [256], 10, norm="batch").architecture())
    '64-256-10 relu, batch norm'
    >>> in_words({"kind": "resnet", "depth": 20, "width": 16, "skips": False, "block": "basic", "outputs": 10})
    'plain20, 16-32-64 channels'
    """
    d = architecture
    if d.get("kind") == "lenet":
        parts = [f"lenet, 16-32 channels, {d['dense']}-{d['outputs']} units"]
    elif d.get("kind") == "resnet":
        parts = [f"{'resnet' if d['skips'] else 'plain'}{d['depth']}"]
        parts += ["bottleneck blocks"] if d["block"] == "bottleneck" else []
        parts.append("-".join(str(d["width"] * 2**k) for k in range(3)) + " channels")
    elif d.get("kind") == "unet":
        channels = "-".join(str(d["width"] * 2**k) for k in range(d["depth"] + 1))
        parts = [f"unet, {channels} channels{'' if d['skips'] else ' without skips'}"]
    elif "hidden" not in d:
        return str(d.get("kind", ""))
    else:
        parts = ["-".join(map(str, [math.prod(d["inputs"]), *d["hidden"], d["outputs"]]))]
        parts[0] += f" {d['activation']}" if d["hidden"] else ""
    if d.get("hidden", True):
        parts += [f"{d['norm']} norm"] if d.get("norm", "none") != "none" else []
        parts += [f"dropout {d['dropout']:g}"] if d.get("dropout") else []
    return ", ".join(parts)
