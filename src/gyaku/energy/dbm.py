"""The deep Boltzmann machine: hidden units in layers, connected both ways (``lectures.md`` 11.4)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyaku.backend.random import Generator
from gyaku.base.errors import ArgumentError, DataError, ShapeError
from gyaku.energy import bipartite, dbm_train
from gyaku.energy.annealing import LogZ, annealed_log_z
from gyaku.energy.values import (
    Clamp,
    begun,
    bernoulli,
    checked_chains,
    checked_dtype,
    checked_visible,
    holding,
    is_size,
    load_into,
    sigmoid_network,
)
from gyaku.models import MLP
from gyaku.ops.activation import sigmoid_of

Array = NDArray[Any]
_FORMAT = "dbm"


class DBM:
    """Binary layers v = h(0), h(1), ..., h(R); E = -Σ_r h(r-1)' W_r h(r) - Σ_r b_r' h(r), p = e^-E / Z.

    The lecture writes no biases (``bias=False``; a unit's threshold there is our -b). Each layer depends on both its
    neighbours, so the posterior of the hidden layers has no closed form: mean field approximates it, and gives a lower
    bound of the log-likelihood. The even layers together, given the odd ones, are independent (and the reverse): Gibbs
    sweeps and exact sums use that.

    Parameters
        visible: number of visible units; their data lie in [0, 1]. hidden: units of every hidden layer.
        bias: whether layers have biases. dtype: float32 or float64. seed: of the first weights (deviation 0.01).

    Attributes ``W``: a list of (units below, units above), ``b``: a list of biases by layer, ``b[0]`` the visible ones.

    Source: R. Salakhutdinov, G. Hinton, "Deep Boltzmann Machines", AISTATS 2009.

    >>> machine = DBM(6, [4, 4], dtype=np.float64)
    >>> round(machine.log_partition() - 14 * math.log(2.0), 1)
    0.0
    """

    def __init__(
        self,
        visible: int,
        hidden: Sequence[int],
        *,
        bias: bool = True,
        dtype: Any = np.float32,
        seed: int = 0,
    ) -> None:
        if is_size(hidden):
            raise ArgumentError("DBM", "a list of the units of every hidden layer", repr(hidden), hint=f"[{hidden}]")
        self.sizes = (visible, *hidden)
        if not hidden or not all(is_size(n) for n in self.sizes):
            raise ArgumentError("DBM", "visible and hidden units, whole numbers of at least 1", str(self.sizes))
        self.bias, self.dtype, self.seed = bool(bias), checked_dtype(dtype, "DBM"), int(seed)
        stream = Generator(seed).split("DBM")
        self.W = [
            (0.01 * stream.split(f"W{r}").normal(shape)).astype(self.dtype)
            for r, shape in enumerate(zip(self.sizes, self.sizes[1:], strict=False), start=1)
        ]
        self.b = [np.zeros(n, dtype=self.dtype) for n in self.sizes]

    @property
    def depth(self) -> int:
        """The number R of hidden layers."""
        return len(self.W)

    @property
    def parameter_count(self) -> int:
        """The number of trained numbers."""
        return sum(w.size for w in self.W) + (sum(b.size for b in self.b) if self.bias else 0)

    # -- the distribution ----------------------------------------------------------------------------------------------
    def energy(self, layers: Sequence[Array]) -> Array:
        """Return E (N,) of states h(0), ..., h(R), each (N, units)."""
        if len(layers) != self.depth + 1:
            raise ShapeError("DBM.energy", f"{self.depth + 1} layers", str(len(layers)))
        pairs = sum(((low @ w) * high).sum(1) for low, w, high in zip(layers, self.W, layers[1:], strict=False))
        return np.asarray(-(pairs + sum(h @ b for h, b in zip(layers, self.b, strict=True))))

    def inputs(self, layers: Sequence[Array], r: int) -> Array:
        """Return what layer r gets from its neighbours and its bias: p(h(r) = 1 | neighbours) is the sigmoid of it."""
        total = self.b[r]
        total = total + layers[r - 1] @ self.W[r - 1] if r > 0 else total
        return total + layers[r + 1] @ self.W[r].T if r < self.depth else total

    def means(self, layers: Sequence[Array], r: int) -> Array:
        """Return p(h(r) = 1 | its neighbours), (N, units)."""
        return np.asarray(sigmoid_of(np, self.inputs(layers, r)))

    def flat(self) -> tuple[Array, Array, Array]:
        """Return the machine as two sides (``bipartite``): W of all even by all odd layers, and both sides' biases."""
        even, odd = range(0, self.depth + 1, 2), range(1, self.depth + 1, 2)
        blocks = [[self._between(e, o) for o in odd] for e in even]
        return np.block(blocks), np.concatenate([self.b[r] for r in even]), np.concatenate([self.b[r] for r in odd])

    def _between(self, e: int, o: int) -> Array:
        if abs(e - o) != 1:
            return np.zeros((self.sizes[e], self.sizes[o]), dtype=self.dtype)
        return self.W[e] if e < o else self.W[o].T

    def log_partition(self) -> float:
        """Return log Z exactly, where even or odd layers have at most 25 units. Raises ``ArgumentError`` above that."""
        return bipartite.log_z(*self.flat())

    def annealed_log_partition(
        self, *, chains: int = 100, steps: int = 10_000, seed: int = 0, on_step: Callable[[int], Any] = lambda n: None
    ) -> LogZ:
        """Return log Z estimated by annealed importance sampling, with its standard error (``annealed_log_z``)."""
        return annealed_log_z(*self.flat(), chains=chains, steps=steps, seed=seed, on_step=on_step)

    def free_energy(self, v: Any) -> Array:
        """Return F(v) = -log Σ_h e^-E(v, h) exactly, (N,), where one side of the hidden layers has at most 25 units."""
        v = self.checked(v, "DBM.free_energy")
        return np.array([-bipartite.log_z(*self._clamped(row)) for row in v]) - v @ self.b[0].astype(np.float64)

    def _clamped(self, row: Array) -> tuple[Array, Array, Array]:
        """Return the hidden layers alone as two sides, given one visible row."""
        w, b, c = (a.astype(np.float64) for a in self.flat())
        n = self.sizes[0]
        return w[n:], b[n:], c + row @ w[:n]

    def log_likelihood(self, v: Any, log_z: float | None = None) -> Array:
        """Return log p(v) in nats, (N,), exactly; ``log_z`` where it is known already."""
        return -self.free_energy(v) - (self.log_partition() if log_z is None else log_z)

    def marginals(self) -> list[Array]:
        """Return the exact means of all layers under the model."""
        found = bipartite.statistics(*self.flat())
        return self._layers(found.even, found.odd)

    def _layers(self, even: Array, odd: Array) -> list[Array]:
        """Return two sides cut into layers; the last axis is that of the units."""
        cuts = [np.cumsum(list(self.sizes[s::2]))[:-1] for s in (0, 1)]
        sides = [np.split(side, cut, axis=-1) for side, cut in zip((even, odd), cuts, strict=True)]
        return [sides[r % 2][r // 2] for r in range(self.depth + 1)]

    def exact_gradient(self, v: Any) -> tuple[list[Array], list[Array]]:
        """Return d(mean log p(v)) by W and by b, exactly: the data's statistics minus the model's."""
        v = self.checked(v, "DBM.exact_gradient").astype(np.float64)
        model = bipartite.statistics(*self.flat())
        w_all, even, odd = (np.zeros(a.shape) for a in (model.both, model.even, model.odd))
        for row in v:
            found = bipartite.statistics(*self._clamped(row))
            whole = np.concatenate([row, found.even])
            w_all += np.concatenate([np.outer(row, found.odd), found.both]) / len(v)
            even, odd = even + whole / len(v), odd + found.odd / len(v)
        return self._blocks(w_all - model.both), self._layers(even - model.even, odd - model.odd)

    def _blocks(self, both: Array) -> list[Array]:
        """Return the blocks of an (even, odd) matrix that belong to the weights."""
        starts = [[0, *np.cumsum(self.sizes[s::2])] for s in (0, 1)]
        found = []
        for r, shape in enumerate(zip(self.sizes, self.sizes[1:], strict=False)):
            e, o = (r, r + 1) if r % 2 == 0 else (r + 1, r)
            i, j = starts[0][e // 2], starts[1][o // 2]
            block = both[i : i + self.sizes[e], j : j + self.sizes[o]]
            found.append((block if e < o else block.T).reshape(shape))
        return found

    # -- mean field ----------------------------------------------------------------------------------------------------
    def upward(self, v: Array) -> list[Array]:
        """Return a first guess of all layers' means: one pass upwards, weights doubled for the layer above."""
        layers = [v]
        for r in range(1, self.depth + 1):
            factor = 1 if r == self.depth else 2
            layers.append(np.asarray(sigmoid_of(np, factor * (layers[-1] @ self.W[r - 1]) + self.b[r])))
        return layers

    def mean_field(self, v: Any, *, steps: int = 30, tolerance: float = 1e-5) -> list[Array]:
        """Return the layers' means h(0) = v, h(1), ..., h(R) of the factorised posterior nearest to the true one.

        Odd and even layers are updated in turn, each time to the best values given the others, so the bound never
        falls; the end is a mean change below ``tolerance``, or ``steps``.
        """
        layers = self.upward(self.checked(v, "DBM.mean_field"))
        for _ in range(steps):
            before = layers[1:]
            for start in (1, 2):
                for r in range(start, self.depth + 1, 2):
                    layers[r] = self.means(layers, r)
            change = max(float(np.abs(a - b).mean()) for a, b in zip(layers[1:], before, strict=True))
            if change < tolerance:
                break
        return layers

    def bound(self, v: Any, log_z: float, layers: Sequence[Array] | None = None) -> Array:
        """Return a lower bound of log p(v) in nats, (N,): E_q[-E] + entropy of q - log Z, q from ``mean_field``."""
        layers = self.mean_field(v) if layers is None else layers
        wide = [h.astype(np.float64) for h in layers]
        return np.asarray(-self.energy(wide) + sum(_entropy(h) for h in wide[1:]) - log_z)

    # -- samples -------------------------------------------------------------------------------------------------------
    def sweep(self, layers: list[Array], generator: Generator) -> list[Array]:
        """Return the states after one Gibbs sweep: the odd layers given the even ones, then the even ones."""
        layers = list(layers)
        for start in (1, 0):
            for r in range(start, self.depth + 1, 2):
                layers[r] = bernoulli(self.means(layers, r), generator)
        return layers

    def start(self, n: int, generator: Generator) -> list[Array]:
        """Return ``n`` random states of all layers, every unit on with probability 1/2."""
        return [bernoulli(np.full((n, size), 0.5, dtype=self.dtype), generator) for size in self.sizes]

    def sample(
        self,
        n: int = 1,
        *,
        steps: int = 1000,
        clamp: Clamp | None = None,
        start: Any = None,
        seed: int = 0,
        means: bool = True,
    ) -> Array:
        """Return visible units (n, D) after ``steps`` Gibbs sweeps of ``n`` chains.

        ``clamp`` is (mask, values), (D,) or (n, D): visible units held at their values, so that the rest is completed.
        ``start``: visible rows to begin from, else random states. ``means``: the probabilities of the last sweep
        instead of draws from them. Same seed, same bits.
        """
        where = "DBM.sample"
        checked_chains(where, n, steps)
        generator, shape = Generator(seed).split(where), (n, self.sizes[0])
        hold, layers = holding(clamp, shape, self.checked, where), self.start(n, generator)
        if start is not None:
            layers = [bernoulli(h, generator) for h in self.upward(begun(start, shape, self.checked, where))]
        layers[0] = hold(layers[0])
        for _ in range(steps):
            layers = self.sweep(layers, generator)
            layers[0] = hold(layers[0])
        return hold(self.means(layers, 0)) if means else layers[0]

    def reconstruct(self, v: Any) -> Array:
        """Return the visible means given the mean-field means of the layer above, (N, D)."""
        return self.means(self.mean_field(v), 0)

    # -- training ------------------------------------------------------------------------------------------------------
    def pretrain(
        self, x: Any, *, epochs: int = 10, batch_size: int = 100, lr: float = 0.05, k: int = 1, momentum: float = 0.5,
        weight_decay: float = 2e-4, seed: int = 0, **told: Any,
    ) -> list[dict[str, Any]]:  # fmt: skip
        """Train the layers one after the other as RBMs by CD-k, doubling the input of a layer that has one neighbour.

        Returns a row an epoch (``stage`` layer1, layer2, ..., ``epoch``, ``lr``, ``reconstruction_error``: the mean
        squared error of a unit). ``on_epoch(row)`` and ``on_batch(1)`` are called as it goes. Raises ``DivergedError``
        with the remedy when weights run away.
        """
        x = self.checked(x, "DBM.pretrain")
        return dbm_train.pretrain(
            self, x, epochs=epochs, batch_size=batch_size, lr=lr, k=k, momentum=momentum, weight_decay=weight_decay,
            seed=seed, **told,
        )  # fmt: skip

    def fit(
        self, x: Any, *, epochs: int = 10, batch_size: int = 100, lr: float = 0.005, k: int = 5, chains: int = 100,
        steps: int = 10, momentum: float = 0.5, weight_decay: float = 2e-4, seed: int = 0, **told: Any,
    ) -> list[dict[str, Any]]:  # fmt: skip
        """Train all layers jointly by mean field (``steps`` rounds) and persistent chains (``k`` sweeps an update).

        Best after ``pretrain``. ``lr`` falls linearly to 0. Returns and tells what ``pretrain`` does, ``stage`` joint.
        """
        x = self.checked(x, "DBM.fit")
        return dbm_train.fit(
            self, x, epochs=epochs, batch_size=batch_size, lr=lr, k=k, chains=chains, steps=steps, momentum=momentum,
            weight_decay=weight_decay, seed=seed, **told,
        )  # fmt: skip

    def checked(self, v: Any, where: str) -> Array:
        """Return visible rows (N, D) in [0, 1] in the machine's dtype, or say what is wrong with them."""
        return checked_visible(v, self.sizes[0], self.dtype, where)

    # -- towards a network ---------------------------------------------------------------------------------------------
    def to_network(self, n_classes: int, *, inputs: Sequence[int] | None = None, seed: int = 0) -> MLP:
        """Return an ``MLP`` of sigmoid layers that makes the upward pass of ``upward``, with a new output layer.

        Fine-tune it with ``gyaku.train.fit``. ``inputs``: the shape of one input, if it is no plain row.
        """
        shape = list(inputs or (self.sizes[0],))
        if math.prod(shape) != self.sizes[0]:
            raise ShapeError("DBM.to_network", f"inputs of {self.sizes[0]} values", str(tuple(shape)))
        factors = [1.0 if r == self.depth else 2.0 for r in range(1, self.depth + 1)]
        return sigmoid_network(
            shape, [f * w for f, w in zip(factors, self.W, strict=True)], self.b[1:], n_classes, seed
        )

    def arrays(self) -> dict[str, Array]:
        """Return the parameters by name: W1, ..., b0, b1, ..."""
        return {f"W{r}": w for r, w in enumerate(self.W, start=1)} | {f"b{r}": b for r, b in enumerate(self.b)}

    def architecture(self) -> dict[str, Any]:
        """Return the description that ``from_architecture`` builds the same layers from, as plain JSON values."""
        return {"kind": _FORMAT, "visible": self.sizes[0], "hidden": list(self.sizes[1:]), "bias": self.bias}

    @staticmethod
    def from_architecture(data: Any) -> DBM:
        """Build the machine of a description, with fresh weights. Raises ``DataError`` for anything else."""
        d = _description_of(data)
        return DBM(d["visible"], d["hidden"], bias=d["bias"])

    @staticmethod
    def weight_shapes(data: Any) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the weights that a description asks for, without making them."""
        d = _description_of(data)
        pairs = enumerate(zip([d["visible"], *d["hidden"]], d["hidden"], strict=False), start=1)
        return {f"W{r}": pair for r, pair in pairs}

    def load_arrays(self, arrays: dict[str, Array]) -> DBM:
        """Take parameters of ``arrays`` and return self. Raises ``ShapeError`` for a missing or another shape."""
        load_into(self.arrays(), arrays, "DBM.load_arrays")
        return self


def _entropy(p: Array) -> Array:
    """Return the entropy in nats of independent units with means p (N, units), (N,)."""
    q = np.clip(p, 1e-300, 1.0)
    r = np.clip(1.0 - p, 1e-300, 1.0)
    return np.asarray(-(p * np.log(q) + (1.0 - p) * np.log(r)).sum(1))


def _description_of(data: Any) -> dict[str, Any]:
    kinds = {"kind": str, "visible": int, "hidden": list, "bias": bool}
    if not isinstance(data, dict) or set(data) != set(kinds) or any(type(data[k]) is not t for k, t in kinds.items()):
        raise DataError("architecture", f"the entries {', '.join(kinds)}", str(data)[:80])
    if data["kind"] != _FORMAT or not data["hidden"] or not all(is_size(n) for n in (data["visible"], *data["hidden"])):
        raise DataError("architecture", f"a {_FORMAT} with whole numbers of units", str(data)[:80])
    return data
