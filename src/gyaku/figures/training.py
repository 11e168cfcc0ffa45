"""What the training experiments share: build a multi-layer perceptron, train it define-by-run, keep the curves.

net = mlp([64, 100, 100, 10], activation="relu", init="he", seed=1)
curves = train(net, data.train, optimizer="adam", lr=0.001, epochs=10, seed=1, watch={"dev": data.dev})
curves["loss"]                 # (steps,): the loss of every mini-batch
curves["dev"]                  # (epochs,): the accuracy after each epoch
accuracy(net, *data.test)      # once, at the end
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import gyaku as gy
from gyaku import nn, optim
from gyaku.backend.random import Generator
from gyaku.models.mlp import ACTIVATIONS, INITS, NORMS

OPTIMIZERS: dict[str, Callable[..., Any]] = {
    "sgd": optim.SGD,
    "momentum": functools.partial(optim.SGD, momentum=0.9),
    "nesterov": functools.partial(optim.SGD, momentum=0.9, nesterov=True),
    "adagrad": optim.Adagrad,
    "rmsprop": optim.RMSprop,
    "adam": optim.Adam,
}
COMPILED_FROM = 300  # steps
Part = tuple[Any, Any]


class Residual(nn.Module):
    """y = F(x) + x."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Any) -> Any:
        """Return F(x) + x."""
        return self.block(x) + x


def mlp(
    sizes: Sequence[int],
    *,
    activation: str = "relu",
    init: str | float = "he",
    norm: str = "none",
    dropout: float = 0.0,
    residual: bool = False,
    seed: int = 0,
) -> nn.Sequential:
    """Return affine layers of ``sizes`` (inputs first, outputs last), with norm, activation and dropout between them.

    ``activation`` and ``norm`` are names of ``gyaku.models.mlp``; ``init`` is he, glorot, lecun, small (all with biases
    0), or the deviation of normal weights. ``residual`` puts a skip around every hidden layer that keeps the width.
    """
    layers: list[Any] = []
    for i, (k, units) in enumerate(zip(sizes[:-2], sizes[1:-1], strict=True)):
        parts: list[Any] = [nn.Linear(k, units)]
        if norm != "none":
            parts.append(NORMS[norm](units))  # type: ignore[misc]
        parts.append(ACTIVATIONS[activation]())
        if dropout:
            parts.append(nn.Dropout(dropout, generator=Generator(seed).split(f"dropout{i}")))
        block = nn.Sequential(*parts)
        layers.append(Residual(block) if residual and k == units else block)
    net = nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1]))
    initialise(net, init, seed)
    return net


def initialise(net: Any, init: str | float, seed: int) -> None:
    """Draw all weights of the affine layers anew, each layer from its own stream, and set their biases to 0."""
    affine = [module for module in net.modules() if isinstance(module, nn.Linear)]
    for i, layer in enumerate(affine):
        stream = Generator(seed).split(f"affine{i}")
        if isinstance(init, str):
            INITS[init](layer.weight, stream)  # type: ignore[misc]
        else:
            nn.init.normal_(layer.weight, std=init, generator=stream)
        nn.init.zeros_(layer.bias)


def gradient_step(net: Any, update: Any, criterion: Any, x: Any, t: Any) -> Any:
    """Move the weights by one mini-batch and return its loss.

    ``gy.compile(gradient_step)`` does the same by machine code, made once for all nets of one architecture.
    """
    loss = criterion(net(x), t)
    update.zero_grad()
    loss.backward()
    update.step()
    return loss


def quickest_step(steps: int) -> Callable[..., Any]:
    """Return ``gradient_step``, compiled where so many steps repay the seconds that compiling takes."""
    return gy.compile(gradient_step) if steps >= COMPILED_FROM else gradient_step


def train(
    net: Any,
    part: Part,
    *,
    optimizer: str = "adam",
    lr: float = 0.001,
    epochs: int = 10,
    batch: int = 100,
    seed: int = 0,
    watch: Mapping[str, Part] | None = None,
    criterion: Any = None,
    decay: Callable[[float], float] | None = None,
    augment: Callable[[Any, Generator], Any] | None = None,
    step: Callable[..., Any] = gradient_step,
    **options: Any,
) -> dict[str, Any]:
    """Train by mini-batches; return ``loss`` (steps,) and, for each part of ``watch``, its accuracy (epochs,).

    ``criterion`` is softmax cross-entropy unless given; ``decay`` maps the share of training done (0 to 1) to a factor
    on the rate; ``augment(x, generator)`` changes the inputs of every epoch anew; ``step`` is
    ``gradient_step`` or its compiled form; ``options`` go to the optimizer (``l2=0.001``, ...). The order of the rows
    depends on ``seed`` only.
    """
    x, t = part
    criterion, stream = criterion or nn.CrossEntropyLoss(), Generator(seed).split("order")
    changes = Generator(seed).split("augment")
    update = OPTIMIZERS[optimizer](net.parameters(), lr=lr, **options)
    curves: dict[str, list[float]] = {"loss": [], **{name: [] for name in watch or {}}}
    starts = range(0, max(len(x) - batch, 0) + 1, batch)
    for epoch in range(epochs):
        net.train()
        order = stream.permutation(len(x))
        rows = x[order] if augment is None else augment(x[order], changes)
        shuffled, targets = gy.tensor(rows), gy.tensor(t[order])
        for k, i in enumerate(starts):
            if decay is not None:
                update.param_groups[0]["lr"] = lr * decay((epoch + k / len(starts)) / epochs)
            loss = step(net, update, criterion, shuffled[i : i + batch], targets[i : i + batch])
            curves["loss"].append(loss.item())
        for name, (x_watch, t_watch) in (watch or {}).items():
            curves[name].append(accuracy(net, x_watch, t_watch))
    return {name: np.array(values) for name, values in curves.items()}


def outputs(net: Any, x: Any) -> Any:
    """Return the outputs (N, L) as an array, in prediction mode and without a record."""
    net.eval()
    with gy.no_grad():
        return net(gy.tensor(x)).numpy()


def accuracy(net: Any, x: Any, t: Any) -> float:
    """Return the share of rows whose largest output is the class ``t``."""
    return float((outputs(net, x).argmax(axis=1) == t).mean())


def deltas(net: Any, part: Part, criterion: Any = None) -> list[Any]:
    """Return δ(l) = ∂E/∂a(l) of every affine layer and convolution, first to last: one backward, no step.

    E is softmax cross-entropy unless ``criterion`` is given; the net runs in training mode.
    """
    kept: list[Any] = []
    affine = [module for module in net.modules() if isinstance(module, (nn.Linear, nn.Conv2d))]
    handles = [layer.register_forward_hook(lambda module, inputs, a: kept.append(a)) for layer in affine]
    net.train()
    loss = (criterion or nn.CrossEntropyLoss())(net(gy.tensor(part[0])), gy.tensor(part[1]))
    for a in kept:
        a.retain_grad()
    loss.backward()
    for handle in handles:
        handle.remove()
    return [a.grad.numpy() for a in kept]
