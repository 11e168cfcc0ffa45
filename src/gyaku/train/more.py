"""Two ways to more accuracy that the lecture names (S1 §9): the mean of several models, and pseudo-labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyaku.base.errors import ArgumentError, ShapeError
from gyaku.train.objective import Objective
from gyaku.train.training import predict

Array = NDArray[Any]


class Ensemble:
    """Several trained models that answer together: the mean of their probabilities (or of their values).

    ``task`` as in ``predict``. Raises ``ArgumentError`` without members, ``ShapeError`` when their outputs differ.

    >>> import gyaku as gy, numpy as np
    >>> members = [gy.models.MLP(2, [4], 3, seed=seed) for seed in range(3)]
    >>> gy.train.Ensemble(members).predict(np.zeros((5, 2), dtype=np.float32)).shape
    (5, 3)
    """

    def __init__(self, members: Sequence[Any], *, task: str | None = None) -> None:
        self.members, self.task = list(members), task
        if not self.members:
            raise ArgumentError("Ensemble", "at least one model", "none")
        if task is not None:
            Objective(task)

    def predict(self, x: Any) -> Array:
        """Return the mean over the members: probabilities (N, K), or values (N,) for a regression."""
        answers = [predict(member, x, task=self.task) for member in self.members]
        shapes = {answer.shape for answer in answers}
        if len(shapes) > 1:
            raise ShapeError("Ensemble", "members with equal outputs", " and ".join(map(str, sorted(shapes))))
        return np.mean(answers, axis=0)


def pseudo_labels(model: Any, x: Any, *, threshold: float = 0.95) -> tuple[Array, Array]:
    """Return (rows, t): the unlabelled samples of which a model (or ``Ensemble``) is sure, and the labels it gives.

    A sample counts when its largest probability is at least ``threshold``. Train again on the labelled samples and
    these: ``fit(model, (concatenate([x, x_more[rows]]), concatenate([t, t_more])))``.
    Source: D.-H. Lee, "Pseudo-label" (2013).
    Raises ``ArgumentError`` for a threshold outside 0..1.
    """
    if not 0.0 <= threshold <= 1.0:
        raise ArgumentError("pseudo_labels", "0 <= threshold <= 1", str(threshold))
    p = model.predict(x) if isinstance(model, Ensemble) else predict(model, x)
    rows = np.flatnonzero(p.max(axis=1) >= threshold)
    return rows, p[rows].argmax(axis=1)
