"""The general Boltzmann machine: binary units, each connected to every other (``lectures.md`` 11.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyaku.backend.random import Generator
from gyaku.base.errors import ArgumentError, ShapeError
from gyaku.energy.units import Bernoulli, states
from gyaku.energy.values import (
    Momentum,
    batches,
    bernoulli,
    check_alive,
    checked_chains,
    checked_dtype,
    checked_options,
    checked_visible,
    holding,
    is_size,
)
from gyaku.ops.activation import sigmoid_of

Array = NDArray[Any]
MOST = 20  # units of a machine whose states can be listed at once
_CHAINS = 100


def energy_of(xp: Any, s: Any, w: Any, b: Any) -> Any:
    """Return E(s) = -½ s W s - b s in array language, (N,); W symmetric with zeros on its diagonal."""
    return -0.5 * xp.sum((s @ w) * s, axis=-1) - s @ b


class BoltzmannMachine:
    """Units s = (v, h) in {0, 1}, visible ones first; E = -½ s W s - b s (each pair counts once), p = e^-E / Z.

    p(s_i = 1 | all others) = sigmoid(b_i + Σ_j W_ij s_j); a unit's threshold is -b_i. With up to 20 units everything
    is exact, by listing all states; Gibbs sweeps serve beyond that.

    Parameters
        n_visible, n_hidden: numbers of units; no hidden ones give a fully visible machine.
        dtype: float32 or float64. seed: of the first weights (deviation 0.01).

    Attributes ``W`` (n, n) and ``b`` (n,). Raises ``ArgumentError``.

    Source: D. Ackley, G. Hinton, T. Sejnowski, "A Learning Algorithm for Boltzmann Machines" (1985).

    >>> machine = BoltzmannMachine(3, 2)
    >>> machine.b[:] = 0; machine.W[:] = 0
    >>> float(round(machine.log_partition() / np.log(2.0), 6))  # 5 free units
    5.0
    """

    def __init__(self, n_visible: int, n_hidden: int = 0, *, dtype: Any = np.float64, seed: int = 0) -> None:
        if not is_size(n_visible) or not (n_hidden == 0 or is_size(n_hidden)):
            raise ArgumentError("BoltzmannMachine", "n_visible >= 1 and n_hidden >= 0", f"{n_visible} and {n_hidden}")
        self.n_visible, self.n_hidden, self.dtype = n_visible, n_hidden, checked_dtype(dtype, "BoltzmannMachine")
        n = n_visible + n_hidden
        half = np.triu(0.01 * Generator(seed).split("BoltzmannMachine").normal((n, n)), 1)
        self.W, self.b = (half + half.T).astype(self.dtype), np.zeros(n, self.dtype)

    def __repr__(self) -> str:
        return f"BoltzmannMachine({self.n_visible}, {self.n_hidden}, dtype={self.dtype.name!r})"

    @property
    def size(self) -> int:
        """The number of all units."""
        return self.n_visible + self.n_hidden

    def checked(self, v: Any, where: str) -> Array:
        """Return visible rows (N, n_visible) of values in [0, 1], or say what is wrong with them."""
        return checked_visible(v, self.n_visible, self.dtype, where)

    # -- exactly -------------------------------------------------------------------------------------------------------
    def energy(self, s: Any) -> Array:
        """Return E(s) (N,) of states of all units (N, n)."""
        return np.asarray(energy_of(np, np.asarray(s), self.W, self.b))

    def _listed(self) -> tuple[Array, Array]:
        """Return all states (2^n, n) and their log e^-E."""
        if self.size > MOST:
            hint = "use gibbs and sample, or an RBM"
            raise ArgumentError("BoltzmannMachine", f"at most {MOST} units to list", str(self.size), hint=hint)
        s = states(self.size)
        return s, -energy_of(np, s, self.W.astype(np.float64), self.b.astype(np.float64))

    def log_partition(self) -> float:
        """Return log Z exactly. Raises ``ArgumentError`` above 20 units."""
        return float(np.logaddexp.reduce(self._listed()[1]))

    def statistics(self) -> tuple[Array, Array]:
        """Return E[s s'] (its diagonal is E[s]) and E[s] under the model, exactly."""
        s, log_p = self._listed()
        p = np.exp(log_p - np.logaddexp.reduce(log_p))
        return (s * p[:, None]).T @ s, p @ s

    def free_energy(self, v: Any) -> Array:
        """Return F(v) = -log Σ_h e^-E(v, h) in nats, (N,)."""
        return -self._posterior(self.checked(v, "BoltzmannMachine.free_energy"))[0]

    def log_likelihood(self, v: Any, log_z: float | None = None) -> Array:
        """Return log p(v) in nats, (N,); ``log_z`` where it is known already."""
        return -self.free_energy(v) - (self.log_partition() if log_z is None else log_z)

    def _posterior(self, v: Array) -> tuple[Array, Array, Array]:
        """Return log Σ_h e^-E (N,), all hidden states (2^H, H) and their probabilities (N, 2^H) given rows v."""
        if self.n_hidden > MOST:
            hint = "use gibbs and sample"
            raise ArgumentError(
                "BoltzmannMachine", f"at most {MOST} hidden units to list", str(self.n_hidden), hint=hint
            )
        d, w, b = self.n_visible, self.W.astype(np.float64), self.b.astype(np.float64)
        h, v = states(self.n_hidden), v.astype(np.float64)
        inside = -energy_of(np, h, w[d:, d:], b[d:]) + v @ w[:d, d:] @ h.T
        log_sum = np.logaddexp.reduce(inside, axis=1)
        return log_sum - energy_of(np, v, w[:d, :d], b[:d]), h, np.exp(inside - log_sum[:, None])

    def exact_gradient(self, v: Any) -> tuple[Array, Array]:
        """Return d(mean log p(v)) by W (as a symmetric matrix of pairs) and by b: data's statistics minus model's."""
        v = self.checked(v, "BoltzmannMachine.exact_gradient").astype(np.float64)
        return _difference(self._data_statistics(v), self.statistics())

    def _data_statistics(self, v: Array) -> tuple[Array, Array]:
        """Return E[s s'] and E[s] with visible units at the data and hidden ones by their posterior."""
        _, h, p = self._posterior(v)
        n, d, mean = len(v), self.n_visible, p @ h
        both = np.zeros((self.size, self.size))
        both[:d, :d], both[:d, d:] = v.T @ v / n, v.T @ mean / n
        both[d:, :d], both[d:, d:] = both[:d, d:].T, h.T @ (p.mean(0)[:, None] * h)
        return both, np.concatenate([v.mean(0), mean.mean(0)])

    # -- samples -------------------------------------------------------------------------------------------------------
    def gibbs(self, s: Array, generator: Generator, held: Array | None = None) -> Array:
        """Return states (N, n) after one sweep over all units in order, but those where ``held`` (n,) is true."""
        s, u = s.copy(), generator.uniform((self.size, len(s)))
        for i in range(self.size):
            if held is None or not held[i]:
                s[:, i] = u[i] < sigmoid_of(np, self.b[i] + s @ self.W[i])
        return s

    def sample(self, n: int = 1, *, steps: int = 1000, clamp: tuple[Any, Any] | None = None, seed: int = 0) -> Array:
        """Return visible units (n, n_visible) after ``steps`` Gibbs sweeps of ``n`` chains from random states.

        ``clamp`` is (mask, values), each (n_visible,): visible units held, the rest is completed. Same seed, same bits.
        """
        where = "BoltzmannMachine.sample"
        checked_chains(where, n, steps)
        generator = Generator(seed).split(where)
        s, held = bernoulli(np.full((n, self.size), 0.5, self.dtype), generator), None
        if clamp is not None:
            mask = np.asarray(clamp[0], bool)
            if mask.shape != (self.n_visible,):  # one for all chains: a sweep goes unit by unit
                raise ShapeError(where, f"a mask of shape ({self.n_visible},) in clamp", str(mask.shape))
            held = np.concatenate([mask, np.zeros(self.n_hidden, bool)])
            shown = s[:, : self.n_visible]
            shown[...] = holding((mask, clamp[1]), shown.shape, self.checked, where)(shown)
        for _ in range(steps):
            s = self.gibbs(s, generator, held)
        return s[:, : self.n_visible]

    # -- training ------------------------------------------------------------------------------------------------------
    def fit(
        self, x: Any, *, epochs: int = 100, batch_size: int = 100, lr: float = 0.1, rule: str = "exact", k: int = 1,
        momentum: float = 0.5, weight_decay: float = 0.0, seed: int = 0, on_epoch: Callable[[Any], Any] | None = None,
    ) -> list[dict[str, Any]]:  # fmt: skip
        """Climb the log-likelihood of rows ``x``, in place, and return a row an epoch (``epoch``, ``lr``, ``largest``).

        ``rule`` ``exact`` lists all states; ``pcd`` takes the model's statistics from 100 persistent chains, moved by
        ``k`` sweeps an update (hidden units of the data are exact in both). ``largest`` is the largest |weight|.
        Raises ``ArgumentError``, and ``DivergedError`` with the remedy when weights run away.
        """
        if rule not in ("exact", "pcd"):
            raise ArgumentError("BoltzmannMachine.fit", "rule 'exact' or 'pcd'", repr(rule))
        checked_options(
            "BoltzmannMachine.fit", epochs=epochs, batch_size=batch_size, lr=lr, k=k, momentum=momentum,
            weight_decay=weight_decay,
        )  # fmt: skip
        x, stream = self.checked(x, "BoltzmannMachine.fit"), Generator(seed).split("BoltzmannMachine.fit")
        if not self.b.any():
            self.b[: self.n_visible] = Bernoulli(self.n_visible).first_biases(x)
        chains = bernoulli(np.full((_CHAINS, self.size), 0.5, self.dtype), stream)
        ascent, rows = Momentum([self.W, self.b]), []
        for epoch in range(1, epochs + 1):
            generator = stream.split(epoch)
            for chosen in batches(len(x), batch_size, generator):
                if rule == "pcd":
                    for _ in range(k):
                        chains = self.gibbs(chains, generator)
                model = self.statistics() if rule == "exact" else (chains.T @ chains / _CHAINS, chains.mean(0))
                data = self._data_statistics(x[chosen].astype(np.float64))
                ascent.step([g.astype(self.dtype) for g in _difference(data, model)], lr, momentum, weight_decay)
            check_alive([self.W, self.b], f"BoltzmannMachine.fit, epoch {epoch}", lr)
            rows.append({"epoch": epoch, "lr": lr, "largest": float(np.abs(self.W).max())})
            if on_epoch is not None:
                on_epoch(rows[-1])
        return rows


def _difference(data: tuple[Array, Array], model: tuple[Array, Array]) -> tuple[Array, Array]:
    """Return the data's statistics minus the model's; a unit has no connection to itself."""
    pairs = data[0] - model[0]
    np.fill_diagonal(pairs, 0.0)
    return pairs, data[1] - model[1]
