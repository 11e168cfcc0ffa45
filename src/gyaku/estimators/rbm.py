"""The restricted Boltzmann machine behind scikit-learn's interface."""

from __future__ import annotations

import warnings
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from gyaku.backend.random import Generator
from gyaku.base.errors import ArgumentError
from gyaku.energy.rbm import RBM
from gyaku.energy.rbm_step import Stepper
from gyaku.energy.rbm_train import Options
from gyaku.energy.values import batches, check_alive

Array = NDArray[Any]


class BernoulliRBM(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """``gyaku.energy.RBM`` of Bernoulli units as a transformer: features become the means of hidden units.

    Names, defaults and meaning of scikit-learn's ``BernoulliRBM``: persistent contrastive divergence with as many
    chains as rows in a batch. Ours beside them: ``rule`` (``cd``, ``pcd``), ``k`` sweeps an update, ``momentum`` and
    ``weight_decay``. Values outside [0, 1] are taken as scikit-learn takes them, with a warning. The same
    ``random_state`` gives the same bits.

    Attributes ``components_`` (n_components, n_features), ``intercept_hidden_``, ``intercept_visible_``,
    ``h_samples_`` (batch_size, n_components) the chains' hidden means, ``n_features_in_``.

    >>> import numpy as np
    >>> x = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
    >>> BernoulliRBM(n_components=2, random_state=0).fit(x).transform(x).shape
    (4, 2)
    """

    def __init__(
        self, n_components: int = 256, *, learning_rate: float = 0.1, batch_size: int = 10, n_iter: int = 10,
        verbose: int = 0, random_state: Any = None, rule: str = "pcd", k: int = 1, momentum: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:  # fmt: skip
        self.n_components = n_components
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.n_iter = n_iter
        self.verbose = verbose
        self.random_state = random_state
        self.rule = rule
        self.k = k
        self.momentum = momentum
        self.weight_decay = weight_decay

    def fit(self, X: Any, y: Any = None) -> BernoulliRBM:
        """Train on rows ``X`` (n, n_features) for ``n_iter`` epochs. ``y`` is ignored."""
        x = self._rows(X, reset=True)
        self._begin(x)
        for epoch in range(1, self.n_iter + 1):
            self._pass(x, f"epoch {epoch}")
            if self.verbose:
                print(
                    f"[{type(self).__name__}] Iteration {epoch}, pseudo-likelihood = {self.score_samples(x).mean():.2f}"
                )
        return self

    def partial_fit(self, X: Any, y: Any = None) -> BernoulliRBM:
        """Go on training with one pass over rows ``X``; the chains go on, too. ``y`` is ignored."""
        first = not hasattr(self, "components_")
        x = self._rows(X, reset=first)
        if first:
            self._begin(x)
        self._pass(x, "partial_fit")
        return self

    def transform(self, X: Any) -> Array:
        """Return the means of the hidden units, (n, n_components)."""
        check_is_fitted(self)
        return self._machine().mean_hiddens(self._rows(X))

    def gibbs(self, v: Any) -> Array:
        """Return visible units after one Gibbs sweep from rows ``v``."""
        check_is_fitted(self)
        return self._machine().gibbs(self._rows(v), self._stream())

    def score_samples(self, X: Any) -> Array:
        """Return the estimated pseudo-log-likelihood of each row in nats, (n,).

        The unit that is turned over follows from the row's own bytes, so that a row's score does not depend on the
        others or on their order (scikit-learn's does).
        """
        check_is_fitted(self)
        x = self._rows(X)
        units = np.array([zlib.crc32(row.tobytes(), self._seed) % x.shape[1] for row in x])
        return self._machine().pseudo_likelihoods(x, units)

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that single precision stays single."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    # -- inside --------------------------------------------------------------------------------------------------------
    def _rows(self, X: Any, *, reset: bool = False) -> Array:
        x = np.asarray(validate_data(self, X, reset=reset, dtype=(np.float64, np.float32), accept_sparse=False))
        if x.min() < 0 or x.max() > 1:
            found = f"{x.min():g} to {x.max():g}"
            hint = "scale with sklearn.preprocessing.MinMaxScaler"
            warnings.warn(f"BernoulliRBM: expected values in [0, 1], got {found}. Hint: {hint}.", stacklevel=3)
        return x

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    def _begin(self, x: Array) -> None:
        self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        self._draws = 0
        machine = RBM(x.shape[1], self.n_components, dtype=x.dtype, seed=self._seed)
        self._options().check()
        if self.rule not in ("cd", "pcd"):
            raise ArgumentError("BernoulliRBM", "rule 'cd' or 'pcd'", repr(self.rule), hint="gyaku.energy.RBM has more")
        self._keep(machine, machine.mean_hiddens(np.zeros((self.batch_size, x.shape[1]), x.dtype)))

    def _options(self) -> Options:
        return Options(
            self.n_iter, self.batch_size, self.learning_rate, self.rule, self.k, self.momentum, self.weight_decay,
            None, 0.0, self.batch_size, 0,
        )  # fmt: skip

    def _stream(self) -> Generator:
        """Return the next stream of random numbers: a function of the seed and of how many were asked for."""
        self._draws += 1
        return Generator(self._seed).split(f"BernoulliRBM/{self._draws}")

    def _machine(self) -> RBM:
        machine = RBM(self.components_.shape[1], len(self.components_), dtype=self.components_.dtype)
        machine.W, machine.b, machine.c = self.components_.T, self.intercept_visible_, self.intercept_hidden_
        return machine

    def _keep(self, machine: RBM, hiddens: Array) -> None:
        self.components_, self.h_samples_ = np.ascontiguousarray(machine.W.T), hiddens
        self.intercept_hidden_, self.intercept_visible_ = machine.c, machine.b

    def _pass(self, x: Array, where: str) -> None:
        machine, stream = self._machine(), self._stream()
        machine.W = np.ascontiguousarray(machine.W)
        chains = machine.sample_visibles(machine.hidden.draw(self.h_samples_.astype(x.dtype), stream), stream)
        trainer = Stepper(machine, self._options(), chains, np.zeros_like(machine.c))
        trainer.epoch(x, batches(len(x), self.batch_size, stream), stream, lambda n: None)
        check_alive([machine.W, machine.b, machine.c], f"BernoulliRBM, {where}", self.learning_rate)
        self._keep(machine, machine.mean_hiddens(trainer.chains._array))
