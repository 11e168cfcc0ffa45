"""What is trained: three networks of ``gyaku.models``, their data and initial values, the same for every peer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
LR, BETA1, BETA2, EPS = 1e-3, 0.9, 0.999, 1e-8
NORM_EPS, NORM_MOMENTUM = 1e-5, 0.1
CHANNELS = (16, 32, 64)


@dataclass(frozen=True)
class Workload:
    """A network on pictures of one channel; ``steps`` steps on batches that lie ready make one measurement.

    ``target`` and ``aim`` say how many times faster than PyTorch's best form the step has to be.
    """

    key: str
    title: str
    size: int
    batch: int
    steps: int
    classes: int
    target: float
    aim: float | None = None
    pixels: bool = False  # a class for each pixel
    epochs: int = 1
    members: int = 1
    dropout: float = 0.0


WORKLOADS = {
    w.key: w
    for w in (
        Workload("lenet", "LeNet-style, 28x28, batch 64", 28, 64, 16, 10, target=1.0, aim=1.5),
        Workload("resnet8", "ResNet-8 (16-32-64, batch norm), 28x28, batch 64", 28, 64, 4, 10, target=1 / 1.5, aim=1.0),
        Workload("unet", "U-Net, depth 3 (16-32-64-128), 64x64, batch 16", 64, 16, 2, 4, target=1 / 2, pixels=True),
    )
}


def data(w: Workload) -> tuple[Floats, Integers]:
    """Return pictures (rows, 1, H, W) and classes, of each picture or of each of its pixels."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((w.batch * w.steps, 1, w.size, w.size), np.float32)
    if w.pixels:  # the class follows from the pixel and its right neighbour
        return x, np.clip(np.floor(x + np.roll(x, -1, 3) / 2) + 2, 0, w.classes - 1)[:, 0].astype(np.int64)
    hidden = rng.standard_normal((w.size**2, w.classes), np.float32)
    return x, np.argmax(x.reshape(len(x), -1) @ hidden, axis=1)


def batches(w: Workload) -> list[tuple[Floats, Integers]]:
    """Return the batches of a measurement."""
    x, t = data(w)
    return [(x[s : s + w.batch], t[s : s + w.batch]) for s in range(0, len(x), w.batch)]


def shapes(w: Workload) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the parameters by their names in ``gyaku.models``."""
    return {"lenet": _lenet, "resnet8": _resnet, "unet": _unet}[w.key](w)


def _lenet(w: Workload) -> dict[str, tuple[int, ...]]:
    flat = 32 * (w.size // 4) ** 2
    named = {"conv1": (16, 1, 3, 3), "conv2": (32, 16, 3, 3), "affine": (128, flat), "output": (w.classes, 128)}
    return _with_biases(named)


def _with_biases(named: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    return {k: s for name, shape in named.items() for k, s in ((f"{name}.weight", shape), (f"{name}.bias", shape[:1]))}


def _normed(conv: str, norm: str, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    return {f"{conv}.weight": shape, f"{norm}.weight": shape[:1], f"{norm}.bias": shape[:1]}


def _resnet(w: Workload) -> dict[str, tuple[int, ...]]:
    found, before = _normed("conv", "norm", (16, 1, 3, 3)), 16
    for k, channels in enumerate(CHANNELS, start=1):
        for i, c in ((1, before), (2, channels)):
            found |= _normed(f"stage{k}.0.conv{i}", f"stage{k}.0.norm{i}", (channels, c, 3, 3))
        before = channels
    return found | _with_biases({"output": (w.classes, before)})


def _unet(w: Workload) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}

    def double(name: str, before: int, after: int) -> None:
        for i, c in ((1, before), (2, after)):
            found.update(_normed(f"{name}.conv{i}", f"{name}.norm{i}", (after, c, 3, 3)))

    before = 1
    for name, channels in [*((f"down{k}", c) for k, c in enumerate(CHANNELS, start=1)), ("bottom", 2 * CHANNELS[-1])]:
        double(name, before, channels)
        before = channels
    for k, channels in reversed(list(enumerate(CHANNELS, start=1))):
        found.update({f"up{k}.weight": (2 * channels, channels, 2, 2), f"up{k}.bias": (channels,)})
        double(f"back{k}", 2 * channels, channels)
    return found | _with_biases({"output": (w.classes, CHANNELS[0], 1, 1)})


def weights(w: Workload) -> dict[str, Floats]:
    """Return the initial values by name: He's normal values, ones for the scale of a norm, zeros for biases."""
    rng = np.random.default_rng(100)
    return {name: _drawn(rng, name, shape) for name, shape in shapes(w).items()}


def _drawn(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> Floats:
    if len(shape) == 1:
        return np.full(shape, float(name.endswith("weight")), np.float32)
    fan_in = shape[0] if name.startswith("up") else int(np.prod(shape[1:]))
    return (rng.standard_normal(shape) * np.sqrt(2 / fan_in)).astype(np.float32)


def parameters(w: Workload) -> int:
    """Return how many numbers are trained."""
    return sum(int(np.prod(s)) for s in shapes(w).values())
