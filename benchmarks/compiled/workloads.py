"""What is trained: networks, batches, data and initial values, the same for every peer."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Workload:
    """A network, how it is trained, and what the compiled step is to reach.

    Hidden layers are affine, batch norm (if asked), ReLU, dropout (if asked). ``steps`` x ``epochs`` steps make one
    measurement; each epoch draws a permutation of the rows inside the measured time. ``targets`` says how many times
    faster than a library's best form the step has to be, ``aims`` what it hopes for.
    """

    key: str
    title: str
    sizes: tuple[int, ...]
    batch: int
    steps: int
    epochs: int = 1
    loss: str = "cross_entropy"
    optimizer: str = "adam"
    lr: float = 1e-3
    norm: bool = False
    dropout: float = 0.0
    members: int = 1
    called: bool = False  # one step a call, on batches that lie ready
    floor: float | None = None
    targets: dict[str, float] = field(default_factory=dict)
    aims: dict[str, float] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Number of samples."""
        return self.batch * self.steps

    @property
    def layers(self) -> list[tuple[int, int]]:
        """(inputs, outputs) of each affine layer."""
        return list(pairwise(self.sizes))


TINY, LECTURE = (2, 16, 16, 2), (784, 100, 100, 100, 100, 10)
WORKLOADS = {
    w.key: w
    for w in (
        Workload(
            "tiny", "2-16-16-2, batch 32, whole epochs", TINY, 32, 100, epochs=2,
            targets={"torch": 60, "jax": 2}, aims={"torch": 100, "jax": 3},
        ),
        Workload(
            "tiny_call", "2-16-16-2, batch 32, one step a call", TINY, 32, 200, called=True,
            targets={"torch": 15, "jax": 2},
        ),
        Workload(
            "lecture", "784-100x4-10, batch 100 (the lecture's)", LECTURE, 100, 60,
            targets={"torch": 3, "jax": 1.4}, floor=1.2,
        ),
        Workload(
            "wide", "784-512-512-10, batch 128", (784, 512, 512, 10), 128, 30,
            targets={"torch": 1.3, "jax": 0.95}, aims={"jax": 1.2}, floor=1.2,
        ),
        Workload(
            "deep_norm", "784-(256, batch norm, dropout 0.2)x8-10, batch 256", (784, *[256] * 8, 10), 256, 15,
            norm=True, dropout=0.2, targets={"torch": 1.2, "jax": 1.1}, aims={"torch": 1.5},
        ),
        Workload(
            "regression", "regression 13-64-64-1, batch 32, SGD with momentum", (13, 64, 64, 1), 32, 16, epochs=12,
            loss="mse", optimizer="sgd", lr=1e-2, targets={"torch": 15, "jax": 1.5}, aims={"torch": 25},
        ),
        Workload(
            "seeds", "32 seeds of the lecture's network, batch 100", LECTURE, 100, 10, members=32,
            targets={"torch": 2, "jax": 1.5},
        ),
    )
}  # fmt: skip

MOMENTUM, BETA1, BETA2, EPS = 0.9, 0.9, 0.999, 1e-8
NORM_EPS, NORM_MOMENTUM = 1e-5, 0.1


def data(w: Workload) -> tuple[Floats, NDArray[np.float32] | Integers]:
    """Return inputs (rows, K) and targets: classes, or numbers (rows, 1) for a regression."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((w.rows, w.sizes[0]), np.float32)
    if w.loss == "mse":
        return x, np.sin(x[:, :1] + x[:, 1:2]).astype(np.float32)
    hidden = rng.standard_normal((w.sizes[0], w.sizes[-1]), np.float32)
    return x, np.argmax(x @ hidden, axis=1)  # something to learn


def weights(w: Workload, member: int = 0) -> list[tuple[Floats, Floats]]:
    """Return (W (outputs, inputs), b) of each layer: He's values and zeros."""
    rng = np.random.default_rng(100 + member)
    draw = [(rng.standard_normal((l, k)) * np.sqrt(2 / k)).astype(np.float32) for k, l in w.layers]
    return [(W, np.zeros(len(W), np.float32)) for W in draw]


def orders(w: Workload, rng: np.random.Generator) -> Integers:
    """Return rows by epoch, step and batch: (epochs, steps, batch)."""
    return np.stack([rng.permutation(w.rows) for _ in range(w.epochs)]).reshape(w.epochs, w.steps, w.batch)


def member_orders(w: Workload, rng: np.random.Generator, members: int) -> Integers:
    """Return each member's own rows by step: (members, steps, batch)."""
    return np.stack([rng.permutation(w.rows) for _ in range(members)]).reshape(members, w.steps, w.batch)


def batches(w: Workload) -> list[tuple[Floats, NDArray[np.float32] | Integers]]:
    """Return the ready batches of a workload that is called step by step."""
    x, t = data(w)
    return [(x[s : s + w.batch], t[s : s + w.batch]) for s in range(0, w.rows, w.batch)]
