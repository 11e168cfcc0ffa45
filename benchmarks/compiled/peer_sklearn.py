"""scikit-learn's multilayer perceptron, one epoch a call, where it can express the workload."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor

from benchmarks.compiled.workloads import BETA1, BETA2, EPS, MOMENTUM, Workload, data, weights

Form = Callable[[np.random.Generator], np.ndarray]


def _model(w: Workload) -> Any:
    shared = {"hidden_layer_sizes": w.sizes[1:-1], "batch_size": w.batch, "alpha": 0.0, "solver": w.optimizer}
    if w.loss == "mse":  # its loss is half the mean square, so its rate is twice ours
        rate = 2 * w.lr
        return MLPRegressor(**shared, learning_rate_init=rate, momentum=MOMENTUM, nesterovs_momentum=False)
    return MLPClassifier(**shared, learning_rate_init=w.lr, beta_1=BETA1, beta_2=BETA2, epsilon=EPS)


def epochs(w: Workload) -> Form:
    """Return ``partial_fit`` over all rows, once an epoch; scikit-learn shuffles by itself."""
    model, (x, t) = _model(w), data(w)
    factor = 2.0 if w.loss == "mse" else 1.0
    t, known = (t[:, 0], {}) if w.loss == "mse" else (t, {"classes": np.arange(w.sizes[-1])})
    model.partial_fit(x[: w.batch], t[: w.batch], **known)  # makes its arrays, which ours then replace
    if [W.shape for W in model.coefs_] == list(w.layers):  # two classes: one output there, two here
        for place, bias, (W, b) in zip(model.coefs_, model.intercepts_, weights(w), strict=True):
            place[...], bias[...] = W.T, b
        del model._optimizer  # its moments belong to the values before
        model.t_ = 0

    def run(rng: np.random.Generator) -> np.ndarray:
        losses = []
        for _ in range(w.epochs):
            model.partial_fit(x, t)
            losses.append(model.loss_ * factor)
        return np.repeat(losses, w.steps)

    return run


def forms(w: Workload) -> dict[str, Callable[[], Form]]:
    """Return its one form, or none where batch norm, dropout, single steps or many members are asked for."""
    return {} if w.norm or w.dropout or w.called or w.members > 1 else {"partial_fit": lambda: epochs(w)}
