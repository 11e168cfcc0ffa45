"""Training of a deep Boltzmann machine: greedy, layer by layer, then all layers jointly.

Source: R. Salakhutdinov, G. Hinton, "Deep Boltzmann Machines", AISTATS 2009, sections 3 and 3.1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gyaku.backend.random import Generator
from gyaku.base.errors import ArgumentError
from gyaku.energy.pair import Pair
from gyaku.energy.units import Bernoulli
from gyaku.energy.values import Momentum, batches, check_alive, checked_options, nothing

if TYPE_CHECKING:
    from gyaku.energy.dbm import DBM

Array = NDArray[Any]
Row = dict[str, Any]
Told = Callable[[Row], Any]
Moved = Callable[[int], Any]


def pretrain(
    machine: DBM,
    x: Array,
    *,
    epochs: int,
    batch_size: int,
    lr: float,
    k: int,
    momentum: float,
    weight_decay: float,
    seed: int,
    on_epoch: Told = nothing,
    on_batch: Moved = nothing,
) -> list[Row]:
    """Train the layers one after the other as RBMs by CD-k, in place; ``x`` is checked already.

    In the whole machine a layer hears both neighbours. While one is missing, the other counts twice: the bottom pair
    is trained with its upward input doubled, the top pair with its downward input, those between with both. So the
    layers, put together with single weights, stand where they were trained. A layer's bias is the mean of those
    of the two pairs it was part of.
    """
    checked_options(
        "DBM.pretrain", epochs=epochs, batch_size=batch_size, lr=lr, k=k, momentum=momentum, weight_decay=weight_decay
    )
    rows: list[Row] = []
    below: list[Array] = []
    for r in range(1, machine.depth + 1):
        up, down = (1.0 if r == machine.depth else 2.0), (1.0 if r == 1 else 2.0)
        b, c = np.zeros_like(machine.b[r - 1]), machine.b[r]
        pair = Pair(machine.W[r - 1], b, c, up=up, down=down, bias=machine.bias)
        if r == 1 and machine.bias:
            pair.b[:] = Bernoulli(x.shape[1]).first_biases(x)
        stream = Generator(seed).split(f"DBM.pretrain/{r}")
        for epoch in range(1, epochs + 1):
            error = pair.epoch(
                x, stream.split(epoch), batch_size=batch_size, lr=lr, k=k, momentum=momentum, decay=weight_decay,
                on_batch=on_batch,
            )  # fmt: skip
            check_alive([pair.w, pair.b, pair.c], f"DBM.pretrain, layer {r}, epoch {epoch}", lr)
            rows.append({"stage": f"layer{r}", "epoch": epoch, "lr": lr, "reconstruction_error": error})
            on_epoch(rows[-1])
        below.append(pair.b)
        x = pair.up_means(x)
    for r in range(machine.depth):
        machine.b[r][:] = below[r] if r == 0 else 0.5 * (below[r] + machine.b[r])
    return rows


def fit(
    machine: DBM,
    x: Array,
    *,
    epochs: int,
    batch_size: int,
    lr: float,
    k: int,
    chains: int,
    steps: int,
    momentum: float,
    weight_decay: float,
    seed: int,
    on_epoch: Told = nothing,
    on_batch: Moved = nothing,
) -> list[Row]:
    """Train all layers jointly, in place: up the gradient of the variational bound, with ``lr`` falling to 0.

    The data's statistics are those of ``steps`` rounds of mean field; the model's come from ``chains`` persistent Gibbs
    chains, moved by ``k`` sweeps an update.
    """
    checked_options(
        "DBM.fit", epochs=epochs, batch_size=batch_size, lr=lr, k=k, momentum=momentum, weight_decay=weight_decay
    )
    if chains < 1 or steps < 1:
        raise ArgumentError("DBM.fit", "chains >= 1 and steps >= 1", f"{chains} and {steps}")
    stream, rows = Generator(seed).split("DBM.fit"), []
    ascent = Momentum([*machine.W, *(machine.b if machine.bias else ())])
    walkers = machine.sweep(machine.start(chains, stream), stream)
    per_epoch = -(-len(x) // batch_size)
    for epoch in range(1, epochs + 1):
        generator, error = stream.split(epoch), 0.0
        for number, chosen in enumerate(batches(len(x), batch_size, generator)):
            rate = lr * (1.0 - ((epoch - 1) * per_epoch + number) / (epochs * per_epoch))
            layers = machine.mean_field(x[chosen], steps=steps)
            for _ in range(k):
                walkers = machine.sweep(walkers, generator)
            ascent.step(_direction(machine, layers, walkers)[: len(ascent.arrays)], rate, momentum, weight_decay)
            error += float(np.square(layers[0] - machine.means(layers, 0)).sum())
            on_batch(1)
        check_alive(ascent.arrays, f"DBM.fit, epoch {epoch}", lr)
        rows.append({"stage": "joint", "epoch": epoch, "lr": rate, "reconstruction_error": error / x.size})
        on_epoch(rows[-1])
    return rows


def _direction(machine: DBM, layers: list[Array], walkers: list[Array]) -> list[Array]:
    """Return the data's statistics minus the chains', by W and by b.

    The chains' odd layers count by their means given the even ones: the same expectation with less noise.
    """
    model = [machine.means(walkers, r) if r % 2 else walkers[r] for r in range(machine.depth + 1)]
    n, m = len(layers[0]), len(model[0])
    pairs = [layers[r].T @ layers[r + 1] / n - model[r].T @ model[r + 1] / m for r in range(machine.depth)]
    return [*pairs, *(a.mean(0) - b.mean(0) for a, b in zip(layers, model, strict=True))]
