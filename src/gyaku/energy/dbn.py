"""The deep belief network: RBMs stacked greedily, each on the hidden layer below it (``lectures.md`` 11.3)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyaku.backend.random import Generator
from gyaku.base.errors import ArgumentError, DataError, ShapeError, UnknownNameError
from gyaku.energy import dbn_train
from gyaku.energy.rbm import RBM
from gyaku.energy.units import KINDS
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
_FORMAT = "dbn"
UNITS = ("bernoulli", "gaussian")


class DBN:
    """Layers v, h(1), ..., h(L): the upper two are an RBM, below it a directed net down to the visible units.

    Going up, p(h(r) = 1 | h(r-1)) = sigmoid(h(r-1) W_r + c_r), the recognition; going down, p(h(r-1) = 1 | h(r)) =
    sigmoid(h(r) G_r' + b_(r-1)), the generation. After greedy training G_r = W_r; ``refine`` lets them part. A single
    hidden layer is an RBM.

    Parameters
        visible: number of visible units. hidden: units of every hidden layer.
        units: ``bernoulli`` (data in [0, 1]) or ``gaussian`` (any values, deviation 1 given h).
        dtype: float32 or float64. seed: of the first weights.

    Attributes ``W``, ``c`` (lists, from layer 1), ``G`` (without the top) and ``b`` (from the visible layer, without
    the top). Source: G. Hinton, S. Osindero, Y. Teh, "A Fast Learning Algorithm for Deep Belief Nets" (2006).

    >>> DBN(64, [32, 16]).parameter_count
    2704
    """

    def __init__(
        self,
        visible: int,
        hidden: Sequence[int],
        *,
        units: str = "bernoulli",
        dtype: Any = np.float32,
        seed: int = 0,
    ) -> None:
        if is_size(hidden):
            raise ArgumentError("DBN", "a list of the units of every hidden layer", repr(hidden), hint=f"[{hidden}]")
        self.sizes = (visible, *hidden)
        if not hidden or not all(is_size(n) for n in self.sizes):
            raise ArgumentError("DBN", "visible and hidden units, whole numbers of at least 1", str(self.sizes))
        if units not in UNITS:
            raise UnknownNameError("DBN", units, UNITS, what="units")
        self.units, self.dtype, self.seed = units, checked_dtype(dtype, "DBN"), int(seed)
        self._shown = KINDS[units](visible)
        stream, pairs = Generator(seed).split("DBN"), list(zip(self.sizes, self.sizes[1:], strict=False))
        self.W = [(0.01 * stream.split(r).normal(pair)).astype(self.dtype) for r, pair in enumerate(pairs, start=1)]
        self.G = [w.copy() for w in self.W[:-1]]
        self.b = [np.zeros(n, dtype=self.dtype) for n in self.sizes[:-1]]
        self.c = [np.zeros(n, dtype=self.dtype) for n in self.sizes[1:]]

    @property
    def depth(self) -> int:
        """The number L of hidden layers."""
        return len(self.W)

    @property
    def parameter_count(self) -> int:
        """The number of trained numbers before ``refine``: those of the RBMs."""
        return sum(a.size for a in (*self.W, *self.b, *self.c))

    def checked(self, v: Any, where: str) -> Array:
        """Return visible rows (N, D) that fit the units in the network's dtype, or say what is wrong with them."""
        return checked_visible(v, self.sizes[0], self.dtype, where, binary=self.units == "bernoulli")

    # -- the layers ----------------------------------------------------------------------------------------------------
    def rbm(self, r: int) -> RBM:
        """Return layers r-1 and r (from 1) as the RBM that greedy training sees; it shares the network's arrays."""
        kind = self.units if r == 1 else "bernoulli"
        machine = RBM(self.sizes[r - 1], self.sizes[r], visible=kind, dtype=self.dtype, seed=self.seed)
        machine.W, machine.b, machine.c = self.W[r - 1], self.b[r - 1], self.c[r - 1]
        return machine

    def up(self, h: Array, r: int) -> Array:
        """Return the means of layer r given layer r-1, by the recognition weights."""
        return np.asarray(sigmoid_of(np, h @ self.W[r - 1] + self.c[r - 1]))

    def down(self, h: Array, r: int) -> Array:
        """Return the means of layer r-1 given layer r, by the generative weights (the RBM's at the top)."""
        w = self.W[r - 1] if r == self.depth else self.G[r - 1]
        pre = h @ w.T + self.b[r - 1]
        return np.asarray(self._shown.mean(np, pre) if r == 1 else sigmoid_of(np, pre))

    def drawn(self, means: Array, r: int, generator: Generator) -> Array:
        """Return draws of layer r from its means."""
        return self._shown.draw(means, generator) if r == 0 else bernoulli(means, generator)

    def transform(self, v: Any) -> Array:
        """Return the means of the top layer, (N, units): the code of the visible rows."""
        h = self.checked(v, "DBN.transform")
        for r in range(1, self.depth + 1):
            h = self.up(h, r)
        return h

    def reconstruct(self, v: Any) -> Array:
        """Return visible means after one way up and down again, means all the way, (N, D)."""
        h = self.transform(v)
        for r in range(self.depth, 0, -1):
            h = self.down(h, r)
        return h

    # -- training ------------------------------------------------------------------------------------------------------
    def fit(
        self, x: Any, *, epochs: int = 10, batch_size: int = 100, lr: float = 0.05, rule: str = "cd", k: int = 1,
        momentum: float = 0.5, weight_decay: float = 2e-4, seed: int = 0, **told: Any,
    ) -> list[dict[str, Any]]:  # fmt: skip
        """Train the RBMs one after the other, each on the hidden means of the one below, and return a row an epoch.

        Options are those of ``RBM.fit``, and so are the rows, with ``stage`` (layer1, ...); ``on_epoch(row)`` and
        ``on_batch(1)`` are told.
        """
        x = self.checked(x, "DBN.fit")
        return dbn_train.fit(
            self, x, epochs=epochs, batch_size=batch_size, lr=lr, rule=rule, k=k, momentum=momentum,
            weight_decay=weight_decay, seed=seed, **told,
        )  # fmt: skip

    def refine(
        self, x: Any, *, epochs: int = 10, batch_size: int = 100, lr: float = 0.01, k: int = 5, seed: int = 0,
        **told: Any,
    ) -> list[dict[str, Any]]:  # fmt: skip
        """Improve the whole by the up-down algorithm (wake-sleep, an RBM on top), and return a row an epoch.

        Wake: layers drawn upwards teach the generative weights. The top RBM learns by CD-``k`` from there. Sleep:
        layers drawn downwards from the RBM's last state teach the recognition weights.
        """
        x = self.checked(x, "DBN.refine")
        return dbn_train.refine(self, x, epochs=epochs, batch_size=batch_size, lr=lr, k=k, seed=seed, **told)

    # -- samples -------------------------------------------------------------------------------------------------------
    def sample(
        self, n: int = 1, *, steps: int = 1000, clamp: Clamp | None = None, start: Any = None, seed: int = 0,
        means: bool = True,
    ) -> Array:  # fmt: skip
        """Return visible units (n, D): ``steps`` Gibbs sweeps in the top RBM, then down; means of the last layer.

        ``start``: visible rows to begin from (their way up), else random states. ``clamp`` is (mask, values), visible
        units held fixed: then each sweep goes all the way up, through the top and down again. That is exact for one
        hidden layer; in a deeper network the recognition stands for the posterior. ``means=False`` draws the visible
        units, too. Same seed, same bits.
        """
        where = "DBN.sample"
        checked_chains(where, n, steps)
        generator, shape = Generator(seed).split(where), (n, self.sizes[0])
        hold = holding(clamp, shape, self.checked, where)
        v = bernoulli(np.full(shape, 0.5, dtype=self.dtype), generator)
        v = hold(v if start is None else begun(start, shape, self.checked, where))
        top = self._upwards(v, generator)
        for _ in range(steps):
            shown = self._downwards(top, generator) if clamp is not None or self.depth == 1 else None
            if shown is not None:
                top = self._upwards(hold(self.drawn(shown, 0, generator)), generator)
            else:
                below = bernoulli(self.down(top, self.depth), generator)
                top = bernoulli(self.up(below, self.depth), generator)
        shown = self._downwards(top, generator)
        return hold(shown if means else self.drawn(shown, 0, generator))

    def _upwards(self, v: Array, generator: Generator) -> Array:
        for r in range(1, self.depth + 1):
            v = bernoulli(self.up(v, r), generator)
        return v

    def _downwards(self, h: Array, generator: Generator) -> Array:
        """Return the visible means at the end of a way down, layers between drawn."""
        for r in range(self.depth, 1, -1):
            h = bernoulli(self.down(h, r), generator)
        return self.down(h, 1)

    # -- towards a network, and a file ---------------------------------------------------------------------------------
    def to_network(self, n_classes: int, *, inputs: Sequence[int] | None = None, seed: int = 0) -> MLP:
        """Return an ``MLP`` of sigmoid layers with the recognition weights and a new output layer, to be fine-tuned.

        ``inputs``: the shape of one input, if it is no plain row.
        """
        shape = list(inputs or (self.sizes[0],))
        if math.prod(shape) != self.sizes[0]:
            raise ShapeError("DBN.to_network", f"inputs of {self.sizes[0]} values", str(tuple(shape)))
        return sigmoid_network(shape, self.W, self.c, n_classes, seed)

    def arrays(self) -> dict[str, Array]:
        """Return the parameters by name: W1, ..., G1, ..., b0, ..., c1, ..."""
        named = {"W": (self.W, 1), "G": (self.G, 1), "b": (self.b, 0), "c": (self.c, 1)}
        return {f"{name}{r}": a for name, (own, first) in named.items() for r, a in enumerate(own, start=first)}

    def load_arrays(self, arrays: dict[str, Array]) -> DBN:
        """Take parameters of ``arrays`` and return self. Raises ``ShapeError`` for a missing or another shape."""
        load_into(self.arrays(), arrays, "DBN.load_arrays")
        return self

    def architecture(self) -> dict[str, Any]:
        """Return the description that ``from_architecture`` builds the same layers from, as plain JSON values."""
        return {"kind": _FORMAT, "visible": self.sizes[0], "hidden": list(self.sizes[1:]), "units": self.units}

    @staticmethod
    def from_architecture(data: Any) -> DBN:
        """Build the network of a description, with fresh weights. Raises ``DataError`` for anything else."""
        d = _description_of(data)
        return DBN(d["visible"], d["hidden"], units=d["units"])

    @staticmethod
    def weight_shapes(data: Any) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the weights that a description asks for, without making them."""
        d = _description_of(data)
        pairs = enumerate(zip([d["visible"], *d["hidden"]], d["hidden"], strict=False), start=1)
        return {f"W{r}": pair for r, pair in pairs}


def _description_of(data: Any) -> dict[str, Any]:
    kinds = {"kind": str, "visible": int, "hidden": list, "units": str}
    if not isinstance(data, dict) or set(data) != set(kinds) or any(type(data[k]) is not t for k, t in kinds.items()):
        raise DataError("architecture", f"the entries {', '.join(kinds)}", str(data)[:80])
    sizes = (data["visible"], *data["hidden"])
    if data["kind"] != _FORMAT or len(sizes) < 2 or not all(is_size(n) for n in sizes) or data["units"] not in UNITS:
        raise DataError("architecture", f"a {_FORMAT} with whole numbers of units", str(data)[:80])
    return data
