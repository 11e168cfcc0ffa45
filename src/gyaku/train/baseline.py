"""What a result is compared with: always the same answer, and a linear model trained the same way."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyaku.train import metrics
from gyaku.train.segmentation import always_the_most_frequent

Array = NDArray[Any]
Parts = dict[str, tuple[Array, Array]]


def constant_baseline(data: Any) -> tuple[str, dict[str, dict[str, float]]]:
    """Return ``majority`` (every class with its share of train) or ``mean``, with loss and figure of every part."""
    parts = parts_of(data)
    if data.kind == "segmentation":
        return "majority", always_the_most_frequent(data, parts)
    if data.kind == "regression":
        guess = float(parts["train"][1].mean())
        return "mean", {part: examined(data, np.full(len(t), guess), t) for part, (_, t) in parts.items()}
    shares = np.bincount(parts["train"][1], minlength=data.n_classes) / len(parts["train"][1])
    return "majority", {
        part: examined(data, np.tile(shares, (len(t), 1)), t, short=True) for part, (_, t) in parts.items()
    }


def parts_of(data: Any) -> Parts:
    """Return (x, t) of the parts that have rows."""
    whole = {part: (getattr(data, f"x_{part}"), getattr(data, f"t_{part}")) for part in ("train", "dev", "test")}
    return {part: pair for part, pair in whole.items() if len(pair[1])}


def examined(data: Any, answers: Array, t: Array, *, short: bool = True) -> dict[str, Any]:
    """Return the figures of answers: probabilities (N, K), or scaled values, which are taken back to their units."""
    if data.kind == "regression":
        values, true = data.recipe.decode(answers).values, data.recipe.decode(t).values
        return metrics.regression(values, true)
    found = metrics.classification(answers, t, data.label_names)
    return {key: found[key] for key in ("n", "loss", "accuracy")} if short else found
