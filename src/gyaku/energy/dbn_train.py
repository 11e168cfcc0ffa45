"""Training of a deep belief network: greedy, RBM by RBM, then the up-down algorithm on the whole.

Source: G. Hinton, S. Osindero, Y. Teh, "A Fast Learning Algorithm for Deep Belief Nets" (2006), 4, 5, app. B.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gyaku.backend.random import Generator
from gyaku.energy.values import batches, bernoulli, check_alive, checked_options, nothing

if TYPE_CHECKING:
    from gyaku.energy.dbn import DBN

Array = NDArray[Any]
Row = dict[str, Any]
Told = Callable[[Row], Any]
Moved = Callable[[int], Any]


def fit(net: DBN, x: Array, *, on_epoch: Told = nothing, on_batch: Moved = nothing, **options: Any) -> list[Row]:
    """Train the RBMs one after the other, in place, each on the hidden means of the one below; ``x`` is checked."""
    rows: list[Row] = []

    def tell(row: Row) -> None:
        rows.append({"stage": f"layer{r}", **row})
        on_epoch(rows[-1])

    for r in range(1, net.depth + 1):
        net.rbm(r).fit(x, on_epoch=tell, on_batch=on_batch, **options)
        if r < net.depth:
            net.G[r - 1][...] = net.W[r - 1]
            x = net.up(x, r)
    return rows


def refine(
    net: DBN,
    x: Array,
    *,
    epochs: int,
    batch_size: int,
    lr: float,
    k: int,
    seed: int,
    on_epoch: Told = nothing,
    on_batch: Moved = nothing,
) -> list[Row]:
    """Improve all layers together, in place; ``x`` is checked already."""
    checked_options("DBN.refine", epochs=epochs, batch_size=batch_size, lr=lr, k=k, momentum=0.0)
    stream, rows = Generator(seed).split("DBN.refine"), []
    for epoch in range(1, epochs + 1):
        generator, error = stream.split(epoch), 0.0
        for chosen in batches(len(x), batch_size, generator):
            error += up_down(net, x[chosen], lr, k, generator)
            on_batch(1)
        check_alive([*net.W, *net.G], f"DBN.refine, epoch {epoch}", lr)
        rows.append({"stage": "joint", "epoch": epoch, "lr": lr, "reconstruction_error": error / x.size})
        on_epoch(rows[-1])
    return rows


def up_down(net: DBN, v: Array, lr: float, k: int, generator: Generator) -> float:
    """Take one step of wake-sleep on a batch and return the squared error of its reconstruction, summed."""
    top = net.depth
    wake = [v]
    for r in range(1, top):
        wake.append(bernoulli(net.up(wake[-1], r), generator))
    upper = first = net.up(wake[-1], top)
    below = wake[-1]
    for _ in range(k):
        below = net.drawn(net.down(bernoulli(upper, generator), top), top - 1, generator)
        upper = net.up(below, top)
    dream = [below]
    for r in range(top - 1, 0, -1):
        dream.insert(0, net.drawn(net.down(dream[0], r), r - 1, generator))
    error = float(np.square(v - (net.down(wake[1], 1) if top > 1 else net.down(first, 1))).sum())
    _teach(net, wake, dream, first, upper, lr / len(v))
    return error


def _teach(net: DBN, wake: list[Array], dream: list[Array], first: Array, last: Array, rate: float) -> None:
    """Change the weights: what was drawn upwards is predicted downwards, and the reverse; CD at the top.

    Every change is worked out from the weights that drew the states, before any of them moves.
    """
    top = net.depth
    misses = [wake[r - 1] - net.down(wake[r], r) for r in range(1, top)]
    slips = [dream[r] - net.up(dream[r - 1], r) for r in range(1, top)]
    for r, (miss, slip) in enumerate(zip(misses, slips, strict=True), start=1):
        net.G[r - 1] += rate * (miss.T @ wake[r])
        net.b[r - 1] += rate * miss.sum(0)
        net.W[r - 1] += rate * (dream[r - 1].T @ slip)
        net.c[r - 1] += rate * slip.sum(0)
    net.W[-1] += rate * (wake[-1].T @ first - dream[-1].T @ last)
    net.b[-1] += rate * (wake[-1] - dream[-1]).sum(0)
    net.c[-1] += rate * (first - last).sum(0)
