"""Healthy runs: networks of many kinds, sensibly tuned. What does not train well is not counted among them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .patients import Patient, net, patient, train
from .sets import SETS

LR = {"adam": 0.004, "adamw": 0.004, "rmsprop": 0.002, "sgd": 0.1, "momentum": 0.03, "nesterov": 0.03}
GAP = 0.1  # a larger one is overfitting, and that is a disease


def draw(rng: Any, activations: Sequence[str], optimizers: Sequence[str]) -> tuple[dict[str, Any], int]:
    """Return the description of a run, and its seed."""
    name = str(rng.choice(list(SETS)))
    activation = str(rng.choice(list(activations)))
    depth = int(rng.integers(1, 3 if activation == "sigmoid" else 5))
    d: dict[str, Any] = {
        "set": name,
        "activation": activation,
        "hidden": [int(rng.choice([24, 32, 48, 64, 96])) for _ in range(depth)],
        "norm": bool(rng.random() < 0.25),
        "dropout": float(rng.choice([0.0, 0.0, 0.0, 0.1, 0.2])) if name in ("digits", "table") else 0.0,
        "optimizer": "adam" if activation == "sigmoid" else str(rng.choice(list(optimizers))),
        "batch_size": int(rng.choice([16, 32, 64, 100])),
        "steps": int(rng.choice([300, 400, 600])),
        "l2": float(rng.choice([0.0, 0.0, 1e-4])),
        "outputs": 1 if name == "moons" and rng.random() < 0.5 else None,
    }
    d["lr"] = LR[d["optimizer"]] * float(rng.choice([0.5, 1.0, 1.5])) * (2 if activation == "sigmoid" else 1)
    return d, int(rng.integers(10000))


def build(d: dict[str, Any], seed: int) -> Patient:
    """Return the run that a description describes."""
    s = SETS[d["set"]](seed)
    shape = {k: d[k] for k in ("hidden", "activation", "norm", "dropout", "outputs")}
    how = {k: d[k] for k in ("optimizer", "lr", "batch_size", "steps")} | ({"l2": d["l2"]} if d["l2"] else {})
    return patient(s, net(s, seed, **shape), **how)


def healthy(
    n: int, stream: int, activations: Sequence[str], optimizers: Sequence[str]
) -> Iterator[tuple[dict, Patient]]:
    """Yield ``n`` runs, not yet trained, that a plain loop trains well: good on dev, and on train hardly better."""
    rng, found = np.random.default_rng(stream), 0
    while found < n:
        d, seed = draw(rng, activations, optimizers)
        p = build(d, seed)
        on_train, on_dev = train(p, seed)
        d |= {"seed": seed, "score": on_dev, "gap": on_train - on_dev}
        if on_dev >= p.set.good and on_train - on_dev <= GAP:  # type: ignore[union-attr]
            found += 1
            yield d, build(d, seed)
