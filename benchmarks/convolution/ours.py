"""Gyaku's side: the networks of ``gyaku.models``, compiled and define-by-run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import gyaku as gy
from benchmarks.convolution.workloads import LR, Workload, batches, weights
from gyaku import models, nn

Form = Callable[[np.random.Generator], np.ndarray]


def network(w: Workload) -> Any:
    """Return the workload's network with its initial values."""
    if w.key == "lenet":
        model: Any = models.LeNet((1, w.size, w.size), w.classes)
    elif w.key == "resnet8":
        model = models.ResNet((1, w.size, w.size), w.classes, depth=8)
    else:
        model = models.UNet((1, w.size, w.size), w.classes, depth=3)
    given = weights(w)
    named = dict(model.named_parameters())
    if named.keys() != given.keys():
        raise KeyError(f"{sorted(named.keys() ^ given.keys())}")
    for name, p in named.items():
        p.data = gy.tensor(given[name])
    return model


def train_step(w: Workload) -> Callable[[Any, Any], Any]:
    """Return the ordinary training step of the workload, as a user writes it."""
    model, criterion = network(w), nn.CrossEntropyLoss()
    optimizer = gy.optim.Adam(model.parameters(), lr=LR)

    def step(x: Any, t: Any) -> Any:
        optimizer.zero_grad()
        loss = criterion(model(x), t)
        loss.backward()
        optimizer.step()
        return loss

    return step


def looped(w: Workload, step: Callable[[Any, Any], Any]) -> Form:
    """Return a form that calls ``step(x, t)`` for each batch."""
    ready = [(gy.tensor(x), gy.tensor(t)) for x, t in batches(w)]
    return lambda rng: np.array([float(step(x, t)) for x, t in ready])


def forms(w: Workload) -> dict[str, Callable[[], Form]]:
    """Return every form by name, the one that stands for Gyaku first."""
    return {
        "compiled": lambda: looped(w, gy.compile(train_step(w))),
        "define-by-run": lambda: looped(w, train_step(w)),
    }
