"""The restricted Boltzmann machine: visible and hidden units, connected only across (``lectures.md`` 11.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyaku.backend.random import Generator
from gyaku.base.errors import ArgumentError, DataError, UnknownNameError
from gyaku.energy import bipartite, rbm_train
from gyaku.energy.annealing import LogZ, annealed_log_z
from gyaku.energy.units import KINDS, Units
from gyaku.energy.values import (
    Clamp,
    begun,
    checked_chains,
    checked_dtype,
    checked_visible,
    holding,
    is_size,
    load_into,
)

Array = NDArray[Any]
_FORMAT = "rbm"


def free_energy_of(xp: Any, v: Any, w: Any, b: Any, c: Any, visible: Units, hidden: Units) -> Any:
    """Return F(v) = base(v) - b v - log Σ_h e^(h (c + v W)) in array language, (N,)."""
    return visible.base(xp, v) - v @ b - hidden.log_sum(xp, c + v @ w)


class RBM:
    """E(v, h) = base(v) - b v - c h - v W h, p = e^-E / Z, with v (N, D) visible and h (N, H) hidden units.

    Given the other side the units of a side are independent: p(h | v) has total input c + v W, p(v | h) has b + h W'.
    Kinds (``energy.units``): ``visible`` ``bernoulli`` (data in [0, 1]) or ``gaussian`` (variance 1, base v²/2:
    standardise the data); ``hidden`` ``bernoulli`` or ``softmax`` (exactly one unit is 1). A ``Units`` object says
    more, such as groups of softmax units.

    Parameters
        n_visible, n_hidden: numbers of units. dtype: float32 or float64. seed: of the first weights (deviation 0.01).

    Attributes ``W`` (D, H), ``b`` (D,), ``c`` (H,): plain arrays. Raises ``ArgumentError``, ``UnknownNameError``.

    Source: P. Smolensky (1986); G. Hinton, "Training Products of Experts by Minimizing Contrastive Divergence" (2002).

    >>> machine = RBM(6, 4, dtype=np.float64)
    >>> machine.free_energy(np.zeros((1, 6))).round(4).tolist()  # 4 free units: -4 log 2
    [-2.7726]
    """

    def __init__(
        self,
        n_visible: int,
        n_hidden: int,
        *,
        visible: str | Units = "bernoulli",
        hidden: str | Units = "bernoulli",
        dtype: Any = np.float32,
        seed: int = 0,
    ) -> None:
        if not is_size(n_visible) or not is_size(n_hidden):
            raise ArgumentError("RBM", "numbers of units of at least 1", f"{n_visible} and {n_hidden}")
        self.visible, self.hidden = _units(visible, n_visible, "visible"), _units(hidden, n_hidden, "hidden")
        if not (self.visible.binary or self.hidden.binary):
            raise ArgumentError("RBM", "binary units on one side, or Z may be infinite", "Gaussian units on both")
        self.dtype, self.seed = checked_dtype(dtype, "RBM"), int(seed)
        self.W = (0.01 * Generator(seed).split("RBM").normal((n_visible, n_hidden))).astype(self.dtype)
        self.b, self.c = np.zeros(n_visible, self.dtype), np.zeros(n_hidden, self.dtype)

    def __repr__(self) -> str:
        (d, h), kinds = self.W.shape, f"visible={self.visible.kind!r}, hidden={self.hidden.kind!r}"
        return f"{type(self).__name__}({d}, {h}, {kinds})"

    @property
    def parameter_count(self) -> int:
        """The number of trained numbers."""
        return self.W.size + self.b.size + self.c.size

    def checked(self, v: Any, where: str) -> Array:
        """Return visible rows (N, D) that fit the units, in the machine's dtype, or say what is wrong with them."""
        return checked_visible(v, self.visible.size, self.dtype, where, binary=self.visible.binary)

    # -- the distribution ----------------------------------------------------------------------------------------------
    def energy(self, v: Any, h: Any) -> Array:
        """Return E(v, h), (N,)."""
        return np.asarray(self.visible.base(np, v) - v @ self.b - h @ self.c - ((v @ self.W) * h).sum(-1))

    def free_energy(self, v: Any) -> Array:
        """Return F(v) = -log Σ_h e^-E(v, h) in nats, (N,)."""
        return self._free(self.checked(v, "RBM.free_energy"))

    def _free(self, v: Array) -> Array:
        return np.asarray(free_energy_of(np, v, self.W, self.b, self.c, self.visible, self.hidden))

    def mean_hiddens(self, v: Any) -> Array:
        """Return E[h | v], (N, H)."""
        return np.asarray(self.hidden.mean(np, self.c + v @ self.W))

    def mean_visibles(self, h: Any) -> Array:
        """Return E[v | h], (N, D)."""
        return np.asarray(self.visible.mean(np, self.b + h @ self.W.T))

    def sample_hiddens(self, v: Any, generator: Generator) -> Array:
        """Return draws from p(h | v)."""
        return self.hidden.draw(self.mean_hiddens(v), generator)

    def sample_visibles(self, h: Any, generator: Generator) -> Array:
        """Return draws from p(v | h)."""
        return self.visible.draw(self.mean_visibles(h), generator)

    def gibbs(self, v: Array, generator: Generator) -> Array:
        """Return the visible units after one Gibbs sweep: the hidden units given v, then the visible ones."""
        return self.sample_visibles(self.sample_hiddens(v, generator), generator)

    def reconstruct(self, v: Any) -> Array:
        """Return E[v | E[h | v]], (N, D)."""
        return self.mean_visibles(self.mean_hiddens(self.checked(v, "RBM.reconstruct")))

    def transform(self, v: Any) -> Array:
        """Return E[h | v] of checked data: the code of the visible rows, (N, H)."""
        return self.mean_hiddens(self.checked(v, "RBM.transform"))

    # -- how good it is --------------------------------------------------------------------------------------------
    def log_partition(self) -> float:
        """Return log Z exactly, where one side has at most 25 units. Raises ``ArgumentError`` above that."""
        return bipartite.log_z(self.W, self.b, self.c, (self.visible, self.hidden))

    def annealed_log_partition(
        self, *, chains: int = 100, steps: int = 10_000, seed: int = 0, on_step: Callable[[int], Any] = lambda n: None
    ) -> LogZ:
        """Return log Z estimated by annealed importance sampling, with its standard error (``annealed_log_z``)."""
        kinds = (self.visible, self.hidden)
        return annealed_log_z(
            self.W, self.b, self.c, kinds=kinds, chains=chains, steps=steps, seed=seed, on_step=on_step
        )

    def statistics(self) -> bipartite.Statistics:
        """Return log Z and the exact means of v (``even``), of h (``odd``) and of v h' (``both``)."""
        return bipartite.statistics(self.W, self.b, self.c, (self.visible, self.hidden))

    def log_likelihood(self, v: Any, log_z: float | None = None) -> Array:
        """Return log p(v) in nats, (N,); ``log_z`` where it is known or estimated, else it is computed exactly."""
        return -self.free_energy(v).astype(np.float64) - (self.log_partition() if log_z is None else log_z)

    def exact_gradient(self, v: Any) -> tuple[Array, Array, Array]:
        """Return d(mean log p(v)) by W, b and c, exactly: the data's statistics minus the model's."""
        v = self.checked(v, "RBM.exact_gradient").astype(np.float64)
        h, model = self.mean_hiddens(v), self.statistics()
        return v.T @ h / len(v) - model.both, v.mean(0) - model.even, h.mean(0) - model.odd

    def pseudo_likelihood(self, v: Any, *, seed: int | Generator = 0) -> float:
        """Return the estimated Σ_i log p(v_i | other visible units), the mean over rows in nats.

        One unit of each row is drawn (Besag 1975; as scikit-learn estimates it). Raises ``ArgumentError`` for units
        that are not all Bernoulli.
        """
        v = self.checked(v, "RBM.pseudo_likelihood")
        generator = seed if isinstance(seed, Generator) else Generator(seed).split("pseudo_likelihood")
        return float(self.pseudo_likelihoods(v, generator.integers(0, v.shape[1], (len(v),))).mean())

    def pseudo_likelihoods(self, v: Array, units: Array) -> Array:
        """Return D log p(v_i | other visible units) of each row for its unit i = ``units[row]``, in nats, (N,).

        With the unit turned over, p is sigmoid(F(turned) - F(v)).
        """
        if self.visible.kind != "bernoulli":
            raise ArgumentError("RBM.pseudo_likelihood", "Bernoulli visible units", self.visible.kind)
        rows, turned = np.arange(len(v)), v.copy()
        turned[rows, units] = 1 - v[rows, units]
        difference = (self._free(turned) - self._free(v)).astype(np.float64)
        return np.asarray(-v.shape[1] * np.logaddexp(0.0, -difference))

    def reconstruction_error(self, v: Any) -> float:
        """Return the mean squared error of a unit after one way up and down again, by means."""
        return float(np.square(self.reconstruct(v) - self.checked(v, "RBM.reconstruction_error")).mean())

    # -- samples ---------------------------------------------------------------------------------------------------
    def sample(
        self, n: int = 1, *, steps: int = 1000, clamp: Clamp | None = None, start: Any = None, seed: int = 0,
        means: bool = True,
    ) -> Array:  # fmt: skip
        """Return visible units (n, D) after ``steps`` Gibbs sweeps of ``n`` chains.

        ``clamp`` is (mask, values), (D,) or (n, D): visible units held at their values, so that the rest is completed.
        ``start``: visible rows to begin from, else draws given random hidden units. ``means``: the means of the last
        sweep instead of draws from them. Same seed, same bits.
        """
        where = "RBM.sample"
        checked_chains(where, n, steps)
        generator, shape = Generator(seed).split(where), (n, self.visible.size)
        hold = holding(clamp, shape, self.checked, where)
        if start is None:
            even = self.hidden.mean(np, np.zeros((n, self.hidden.size), self.dtype))
            v = self.sample_visibles(self.hidden.draw(even, generator), generator)
        else:
            v = begun(start, shape, self.checked, where)
        v = hold(v)
        for step in range(steps):
            mean = self.mean_visibles(self.sample_hiddens(v, generator))
            v = hold(mean if means and step == steps - 1 else self.visible.draw(mean, generator))
        return v

    # -- training --------------------------------------------------------------------------------------------------
    def fit(
        self, x: Any, *, epochs: int = 10, batch_size: int = 100, lr: float = 0.05, rule: str = "cd", k: int = 1,
        momentum: float = 0.5, weight_decay: float = 2e-4, sparsity: float | None = None, sparsity_cost: float = 0.1,
        chains: int = 100, seed: int = 0, **told: Any,
    ) -> list[dict[str, Any]]:  # fmt: skip
        """Climb the log-likelihood of the rows ``x`` (N, D), in place, and return a row an epoch.

        Parameters
            rule: where the model's statistics come from. ``cd``: ``k`` Gibbs sweeps from the data (Hinton 2002);
                ``pcd``: ``chains`` that go on from update to update (Tieleman 2008); ``pt``: the same, with exchanges
                between temperatures (Desjardins et al. 2010); ``exact``: all states (one side of at most 25 units).
            lr: step length an update. momentum. weight_decay: pull of W, not of biases, towards 0.
            sparsity: wanted mean of the hidden units, pulled at with ``sparsity_cost`` (Lee et al. 2008).
            on_epoch(row), on_batch(1): told as it goes.

        A row has ``epoch``, ``lr``, ``reconstruction_error`` (of the data after one way up and down, squared, mean of a
        unit) and ``pseudo_likelihood`` (nats; None where units are not Bernoulli). Biases b that are all 0 start
        at the best independent units'. Raises ``DivergedError`` with the remedy when weights or chains run away.
        """
        x = self.checked(x, "RBM.fit")
        options = rbm_train.Options(
            epochs, batch_size, lr, rule, k, momentum, weight_decay, sparsity, sparsity_cost, chains, seed
        )
        return rbm_train.fit(self, x, options, **told)

    # -- files -----------------------------------------------------------------------------------------------------
    def arrays(self) -> dict[str, Array]:
        """Return the parameters by name: W, b, c."""
        return {"W": self.W, "b": self.b, "c": self.c}

    def load_arrays(self, arrays: dict[str, Array]) -> RBM:
        """Take parameters of ``arrays`` and return self. Raises ``ShapeError`` for a missing or another shape."""
        load_into(self.arrays(), arrays, "RBM.load_arrays")
        return self

    def architecture(self) -> dict[str, Any]:
        """Return the description that ``from_architecture`` builds the same machine from, as plain JSON values."""
        sizes = {"visible": self.visible.size, "hidden": self.hidden.size}
        return {"kind": _FORMAT, **sizes, "visible_units": self.visible.kind, "hidden_units": self.hidden.kind}

    @staticmethod
    def from_architecture(data: Any) -> RBM:
        """Build the machine of a description, with fresh weights. Raises ``DataError`` for anything else."""
        d = _description_of(data)
        return RBM(d["visible"], d["hidden"], visible=d["visible_units"], hidden=d["hidden_units"])

    @staticmethod
    def weight_shapes(data: Any) -> dict[str, tuple[int, ...]]:
        """Return the shape of the weights that a description asks for, without making them."""
        d = _description_of(data)
        return {"W": (d["visible"], d["hidden"])}


def _units(kind: str | Units, size: int, side: str) -> Units:
    if isinstance(kind, Units):
        if kind.size != size:
            raise ArgumentError("RBM", f"{size} {side} units", f"{kind.size} of {type(kind).__name__}")
        return kind
    if kind not in KINDS:
        raise UnknownNameError("RBM", kind, KINDS, what=f"kind of {side} units")
    return KINDS[kind](size)


def _description_of(data: Any) -> dict[str, Any]:
    kinds = {"kind": str, "visible": int, "hidden": int, "visible_units": str, "hidden_units": str}
    if not isinstance(data, dict) or set(data) != set(kinds) or any(type(data[k]) is not t for k, t in kinds.items()):
        raise DataError("architecture", f"the entries {', '.join(kinds)}", str(data)[:80])
    known = data["visible_units"] in KINDS and data["hidden_units"] in KINDS
    if data["kind"] != _FORMAT or not known or not is_size(data["visible"]) or not is_size(data["hidden"]):
        raise DataError("architecture", f"an {_FORMAT} with whole numbers of known units", str(data)[:80])
    return data
