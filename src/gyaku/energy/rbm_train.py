"""Training of a restricted Boltzmann machine: the data's statistics minus the model's, from one of four sources.

Sources: G. Hinton, "A Practical Guide to Training Restricted Boltzmann Machines" (2010); T. Tieleman (ICML 2008);
G. Desjardins et al., "Tempered Markov Chain Monte Carlo for Training of RBMs" (AISTATS 2010).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gyaku.backend.random import Generator
from gyaku.base.errors import ArgumentError, UnknownNameError
from gyaku.energy.rbm_step import Stepper, can_step
from gyaku.energy.values import Momentum, batches, check_alive, checked_options, is_whole

if TYPE_CHECKING:
    from gyaku.energy.rbm import RBM

Array = NDArray[Any]
Row = dict[str, Any]
Direction = tuple[Array, Array, Array]  # by W, b, c
_LEVELS = 10  # temperatures of ``pt``
_MONITORED = 1000  # rows that the pseudo-likelihood of an epoch is measured on


@dataclass(frozen=True)
class Options:
    """The settings of ``RBM.fit``, checked when they are used."""

    epochs: int
    batch_size: int
    lr: float
    rule: str
    k: int
    momentum: float
    weight_decay: float
    sparsity: float | None
    sparsity_cost: float
    chains: int
    seed: int

    def check(self) -> None:
        """Raise ``ArgumentError`` or ``UnknownNameError`` for a setting outside its range."""
        o = self
        checked_options(
            "RBM.fit", epochs=o.epochs, batch_size=o.batch_size, lr=o.lr, k=o.k, momentum=o.momentum,
            weight_decay=o.weight_decay,
        )  # fmt: skip
        if o.rule not in RULES:
            raise UnknownNameError("RBM.fit", o.rule, RULES, what="rule")
        if o.sparsity is not None and not 0.0 < o.sparsity < 1.0:
            raise ArgumentError("RBM.fit", "0 < sparsity < 1", str(o.sparsity))
        if not is_whole(o.chains) or o.chains < 1 or not 0 <= o.sparsity_cost < np.inf:
            raise ArgumentError("RBM.fit", "chains >= 1 and sparsity_cost >= 0", f"{o.chains} and {o.sparsity_cost}")


class Source(Protocol):
    """Where the model's statistics come from: E[v h'], E[v], E[h] given the batch and its hidden means."""

    def __call__(self, v: Array, h: Array, generator: Generator) -> Direction: ...


def fit(
    machine: RBM,
    x: Array,
    options: Options,
    *,
    on_epoch: Callable[[Row], Any] = lambda row: None,
    on_batch: Callable[[int], Any] = lambda n: None,
) -> list[Row]:
    """Train ``machine`` in place on checked rows ``x``."""
    options.check()
    if not machine.b.any():
        machine.b[:] = machine.visible.first_biases(x)
    stream = Generator(options.seed).split("RBM.fit")
    trainer = trainer_of(machine, options, x, stream.split("chains"))
    rows: list[Row] = []
    for epoch in range(1, options.epochs + 1):
        generator = stream.split(epoch)
        error = trainer.epoch(x, batches(len(x), options.batch_size, generator), generator, on_batch)
        check_alive([machine.W, machine.b, machine.c], f"RBM.fit, epoch {epoch}", options.lr)
        rows.append({"epoch": epoch, "lr": options.lr, "reconstruction_error": error / len(x)})
        rows[-1]["pseudo_likelihood"] = _monitored(machine, x, generator)
        on_epoch(rows[-1])
    return rows


def _monitored(machine: RBM, x: Array, generator: Generator) -> float | None:
    if machine.visible.kind != "bernoulli":
        return None
    return machine.pseudo_likelihood(x[:_MONITORED], seed=generator.split("pseudo_likelihood"))


def trainer_of(machine: RBM, options: Options, x: Array, generator: Generator) -> Stepper | Trainer:
    """Return what updates the machine: the quick function where it fits, else the general one."""
    activity = machine.mean_hiddens(x[: options.batch_size]).mean(0)
    if not can_step(machine, options):
        return Trainer(machine, options, activity, generator)
    chains = machine.sample_visibles(_random_hiddens(machine, options.chains, generator), generator)
    return Stepper(machine, options, chains, activity)


class Trainer:
    """Updates a machine batch by batch; chains, momentum and the mean activity go on between batches."""

    def __init__(self, machine: RBM, options: Options, activity: Array, generator: Generator) -> None:
        self.machine, self.options, self.activity = machine, options, activity
        self.ascent = Momentum([machine.W, machine.b, machine.c])
        self.source: Source = RULES[options.rule](machine, options, generator)

    def epoch(self, x: Array, batches: list[Array], generator: Generator, on_batch: Callable[[int], Any]) -> float:
        """Update with every batch of rows, in order, and return the sum of the batches' errors times their rows."""
        total = 0.0
        for chosen in batches:
            total += self.update(x[chosen], generator) * len(chosen)
            on_batch(1)
        return total

    def update(self, v: Array, generator: Generator) -> float:
        """Make one update and return the squared reconstruction error of a unit."""
        h = self.machine.mean_hiddens(v)
        model = self.source(v, h, generator)
        error = float(np.square(v - self.machine.mean_visibles(h)).mean())
        direction = [a - b for a, b in zip(_averages(v, h), model, strict=True)]
        if self.options.sparsity is not None:
            self._towards_sparsity(direction, v, h)
        o = self.options
        self.ascent.step(direction, o.lr, o.momentum, o.weight_decay)
        return error

    def _towards_sparsity(self, direction: list[Array], v: Array, h: Array) -> None:
        """Add the pull of the mean activity q towards the target p: p - q at the hidden units' inputs."""
        self.activity = 0.9 * self.activity + 0.1 * h.mean(0)
        pull = self.options.sparsity_cost * (self.machine.dtype.type(self.options.sparsity) - self.activity)
        direction[0] += np.outer(v.mean(0), pull).astype(direction[0].dtype)
        direction[2] += pull.astype(direction[2].dtype)


def _averages(v: Array, h: Array) -> Direction:
    return v.T @ h / len(v), v.mean(0), h.mean(0)


class Contrastive:
    """CD-k: from the data k sweeps; hidden units are drawn, and the last visible ones are their means.

    Means where the draw would only add noise: hidden statistics, and the last reconstruction (Hinton 2010, 3).
    """

    def __init__(self, machine: RBM, options: Options, generator: Generator) -> None:
        self.machine, self.k = machine, options.k

    def __call__(self, v: Array, h: Array, generator: Generator) -> Direction:
        m = self.machine
        for step in range(self.k):
            v = m.mean_visibles(m.hidden.draw(h, generator))
            if step < self.k - 1:
                v = m.visible.draw(v, generator)
            h = m.mean_hiddens(v)
        return _averages(v, h)


class Persistent:
    """PCD: chains that go on where the last update left them; both sides are drawn, as a chain must be."""

    def __init__(self, machine: RBM, options: Options, generator: Generator) -> None:
        self.machine, self.k = machine, options.k
        self.v = machine.sample_visibles(_random_hiddens(machine, options.chains, generator), generator)

    def __call__(self, v: Array, h: Array, generator: Generator) -> Direction:
        for _ in range(self.k):
            self.v = self.machine.gibbs(self.v, generator)
        return _averages(self.v, self.machine.mean_hiddens(self.v))


class Tempered:
    """Parallel tempering: chains at inverse temperatures 1, ..., 0 that exchange states with their neighbours.

    p_β ~ e^(-base(v) + β (b v + c h + v W h)): at β = 0 all is free, so chains there cross between modes at once.
    """

    def __init__(self, machine: RBM, options: Options, generator: Generator) -> None:
        self.machine, self.k = machine, options.k
        self.betas = np.linspace(1.0, 0.0, _LEVELS).astype(machine.dtype)[:, None, None]
        hiddens = _random_hiddens(machine, _LEVELS * options.chains, generator)
        self.v = machine.sample_visibles(hiddens, generator).reshape(_LEVELS, options.chains, -1)

    def __call__(self, v: Array, h: Array, generator: Generator) -> Direction:
        for number in range(self.k):
            self._sweep(generator, number % 2)
        return _averages(self.v[0], self.machine.mean_hiddens(self.v[0]))

    def _sweep(self, generator: Generator, odd: int) -> None:
        m, beta = self.machine, self.betas
        h = m.hidden.draw(m.hidden.mean(np, beta * (m.c + self.v @ m.W)), generator)
        pull = m.b + h @ m.W.T
        self.v = m.visible.draw(m.visible.mean(np, beta * pull), generator)
        strength = (self.v * pull).sum(-1) + h @ m.c  # -E without base, (levels, chains)
        for first in (odd, 1 - odd):
            for level in range(first, _LEVELS - 1, 2):
                self._exchange(level, strength, generator)

    def _exchange(self, level: int, strength: Array, generator: Generator) -> None:
        """Swap neighbours with probability min(1, e^((β - β') (S' - S))): both distributions stay as they are."""
        gap = float(self.betas[level, 0, 0] - self.betas[level + 1, 0, 0])
        gain = gap * (strength[level + 1] - strength[level]).astype(np.float64)
        swap = np.log(generator.uniform(gain.shape) + 1e-300) < gain
        for a in (self.v, strength):
            a[level, swap], a[level + 1, swap] = a[level + 1, swap], a[level, swap]


class Exact:
    """The model's statistics from all its states."""

    def __init__(self, machine: RBM, options: Options, generator: Generator) -> None:
        self.machine = machine

    def __call__(self, v: Array, h: Array, generator: Generator) -> Direction:
        found, dtype = self.machine.statistics(), self.machine.dtype
        return found.both.astype(dtype), found.even.astype(dtype), found.odd.astype(dtype)


def _random_hiddens(machine: RBM, n: int, generator: Generator) -> Array:
    even = machine.hidden.mean(np, np.zeros((n, machine.hidden.size), machine.dtype))
    return machine.hidden.draw(even, generator)


RULES: dict[str, Callable[[RBM, Options, Generator], Source]] = {
    "cd": Contrastive,
    "pcd": Persistent,
    "pt": Tempered,
    "exact": Exact,
}
