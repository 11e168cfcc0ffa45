"""An RBM of data and their labels together: it classifies by comparing free energies, and generates by class."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyaku.base.errors import ArgumentError, DtypeError, ShapeError
from gyaku.energy.rbm import RBM
from gyaku.energy.units import KINDS, Joined, Softmax

Array = NDArray[Any]


class ClassRBM(RBM):
    """The visible side is (x, one-hot label): a softmax group of ``n_classes`` units beside the data's units.

    p(class | x) ~ e^-F(x, class), exactly, with one product of x and W for all classes.

    Parameters
        n_features, n_classes, n_hidden: numbers of units. visible: kind of the data's units. dtype, seed: of ``RBM``.

    Source: H. Larochelle, Y. Bengio, "Classification using Discriminative Restricted Boltzmann Machines" (ICML 2008);
    trained here as a generative model (the joint likelihood).
    """

    def __init__(
        self, n_features: int, n_classes: int, n_hidden: int, *, visible: str = "bernoulli", dtype: Any = np.float32,
        seed: int = 0,
    ) -> None:  # fmt: skip
        if n_classes < 2:
            raise ArgumentError("ClassRBM", "n_classes >= 2", str(n_classes))
        if visible not in ("bernoulli", "gaussian"):
            raise ArgumentError("ClassRBM", "visible 'bernoulli' or 'gaussian'", repr(visible))
        sides = Joined([KINDS[visible](n_features), Softmax(n_classes)])
        super().__init__(n_features + n_classes, n_hidden, visible=sides, dtype=dtype, seed=seed)
        self.n_features, self.n_classes = n_features, n_classes

    def joined(self, x: Any, t: Any) -> Array:
        """Return visible rows (N, n_features + n_classes) of data and class numbers (N,)."""
        x, t = np.asarray(x, dtype=self.dtype), np.asarray(t)
        if t.dtype.kind not in "iu" or t.ndim != 1:
            raise DtypeError("ClassRBM", "class numbers of shape (N,)", f"{t.dtype} of shape {t.shape}")
        if len(t) and not (t.min() >= 0 and t.max() < self.n_classes):
            row = int(((t < 0) | (t >= self.n_classes)).argmax())
            raise ArgumentError("ClassRBM", f"classes 0..{self.n_classes - 1}", f"{t[row]} in row {row}")
        if x.ndim != 2 or x.shape != (len(t), self.n_features):
            raise ShapeError("ClassRBM", f"data of shape ({len(t)}, {self.n_features})", str(x.shape))
        return np.concatenate([x, np.eye(self.n_classes, dtype=self.dtype)[t]], axis=1)

    def fit_classes(self, x: Any, t: Any, **options: Any) -> list[dict[str, Any]]:
        """Train on data (N, n_features) and their classes (N,); options and rows are those of ``RBM.fit``."""
        return self.fit(self.joined(x, t), **options)

    def class_log_probabilities(self, x: Any) -> Array:
        """Return log p(class | x), (N, n_classes), exactly."""
        x = np.asarray(x, dtype=self.dtype)
        blank = self.joined(x, np.zeros(len(x), np.int64))[:, : self.n_features]
        data, labels = self.W[: self.n_features], self.W[self.n_features :]
        pull = (blank @ data + self.c)[:, None, :] + labels  # (N, classes, hidden)
        scores = (self.hidden.log_sum(np, pull) + self.b[self.n_features :]).astype(np.float64)
        return scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)

    def predict(self, x: Any) -> Array:
        """Return the most probable class of each row, (N,)."""
        return self.class_log_probabilities(x).argmax(1)

    def generate(self, label: int, n: int = 1, *, steps: int = 1000, seed: int = 0) -> Array:
        """Return data (n, n_features) drawn from p(x | class): Gibbs sweeps with the label held."""
        if not 0 <= label < self.n_classes:
            raise ArgumentError("ClassRBM.generate", f"a class 0..{self.n_classes - 1}", str(label))
        mask = np.arange(self.visible.size) >= self.n_features
        values = np.zeros(self.visible.size, self.dtype)
        values[self.n_features + label] = 1
        return self.sample(n, steps=steps, clamp=(mask, values), seed=seed)[:, : self.n_features]
