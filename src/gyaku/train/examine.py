"""After training: results of every part, the most wrong samples, permutation importance, arrays for the pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyaku.backend.random import Generator
from gyaku.train import segmentation
from gyaku.train.baseline import examined, parts_of
from gyaku.train.objective import Objective
from gyaku.train.outputs import outputs_of
from gyaku.train.probe import look_through

Array = NDArray[Any]
_WRONG, _POINTS, _REPEATS, _ROWS = 24, 2000, 5, 2000
_SHOWN, _BUDGET = 20, 10**11  # columns always measured; multiplications spent on more: some seconds


def answers_of(model: Any, data: Any, x: Array) -> Array:
    """Return probabilities (N, K) or scaled values (N,)."""
    with np.errstate(all="ignore"):
        return Objective(data.kind).probabilities(outputs_of(model, x))


def examine_parts(model: Any, data: Any) -> dict[str, dict[str, Any]]:
    """Return the figures of train, dev and test (``parts`` of results.json)."""
    if data.kind == "segmentation":
        return segmentation.examine(model, data, Objective(data.kind), parts_of(data))
    return {part: examined(data, answers_of(model, data, x), t, short=False) for part, (x, t) in parts_of(data).items()}


def most_wrong(model: Any, data: Any) -> tuple[list[dict[str, Any]], Array]:
    """Return the wrongly answered test samples, the surest error first (at most 24), and their places in test."""
    none: Array = np.arange(0)
    if data.kind in ("regression", "segmentation") or not len(data.x_test):
        return [], none
    p, t = answers_of(model, data, data.x_test), data.t_test
    predicted, at = p.argmax(axis=1), np.arange(len(t))
    wrong = np.flatnonzero(predicted != t)
    chosen = wrong[np.argsort(p[at, t][wrong], kind="stable")][:_WRONG]
    names = data.label_names
    rows = [
        {
            "row": int(data.rows_test[i]), "true": names[t[i]], "predicted": names[predicted[i]],
            "probability": float(p[i, predicted[i]]), "true_probability": float(p[i, t[i]]),
            "probabilities": p[i].tolist(),
        }
        for i in chosen.tolist()
    ]  # fmt: skip
    return rows, chosen


def importance(model: Any, data: Any, seed: int) -> list[dict[str, Any]]:
    """Return how much worse test gets when one column is shuffled (mean and deviation of 5 shuffles), largest first.

    Of very many columns only those with the most weight in the first layer are measured.
    Source: L. Breiman, "Random forests" (2001), section 10. Images have no columns: an empty list.
    """
    if data.image_shape is not None or not len(data.x_test):
        return []
    x, t = data.x_test[:_ROWS], data.t_test[:_ROWS]
    metric, sign = ("rmse", 1.0) if data.kind == "regression" else ("accuracy", -1.0)

    def figure(inputs: Array) -> float:
        return float(examined(data, answers_of(model, data, inputs), t)[metric])

    root, whole = Generator(seed).split("importance"), figure(x)
    found = []
    for column, place in _worth_measuring(model, data, x):
        falls = []
        for repeat in range(_REPEATS):
            shuffled = x.copy()
            shuffled[:, place] = x[root.split(f"{column}/{repeat}").permutation(len(x)), place]
            falls.append(sign * (figure(shuffled) - whole))
        found.append({"column": column, "mean": float(np.mean(falls)), "std": float(np.std(falls))})
    return sorted(found, key=lambda row: -row["mean"])


def _worth_measuring(model: Any, data: Any, x: Array) -> list[tuple[str, Any]]:
    """Return the columns to shuffle with their features: all, or as many as the budget allows."""
    groups = list(data.recipe.groups().items())
    most = max(_SHOWN, _BUDGET // (_REPEATS * len(x) * sum(p.numel() for p in model.parameters())))
    if len(groups) <= most:
        return groups
    weight = next(p for p in model.parameters() if p.ndim >= 2).detach().cpu()._array
    strength = np.abs(weight).sum(axis=0) * x.std(axis=0)
    return sorted(groups, key=lambda group: -float(strength[group[1]].sum()))[:most]


def picture_arrays(model: Any, data: Any, wrong: Array, histograms: dict[str, Array]) -> dict[str, Array]:
    """Return what the report draws (``arrays.safetensors``)."""
    arrays = dict(histograms)
    if data.image_shape is not None and len(wrong) and data.kind != "segmentation":
        rule = data.recipe.image
        arrays["wrong_images"] = np.clip(data.x_test[wrong] * rule.std + rule.mean, 0.0, 1.0).astype(np.float32)
    weight = next(p for p in model.parameters() if p.ndim >= 2).detach().cpu()._array
    arrays["first_weights"] = weight if weight.ndim == 4 else weight.reshape(len(weight), *(data.image_shape or (-1,)))
    if data.kind == "regression" and len(data.x_test):
        answers = answers_of(model, data, data.x_test[:_POINTS])
        arrays["test_predicted"] = data.recipe.decode(answers).values
        arrays["test_true"] = data.recipe.decode(data.t_test[:_POINTS]).values
    return arrays | _sample(model, data)


def _sample(model: Any, data: Any) -> dict[str, Array]:
    """Return the numbers of one sample on its way forward and backward: the first of test, else of train."""
    part = "test" if len(data.x_test) else "train"
    x, t = getattr(data, f"x_{part}")[:1], getattr(data, f"t_{part}")[:1]
    layers = look_through(model, x, t, Objective(data.kind))
    found = {f"sample/{layer.name}/value": layer.values[0].copy() for layer in layers}
    found |= {f"sample/{layer.name}/delta": layer.delta[0].copy() for layer in layers}
    if data.kind == "segmentation":
        output: Array = segmentation.classes_of(model, x)[0]
    else:
        output = np.asarray(answers_of(model, data, x)[0]).reshape(-1)
    return found | {"sample/input": x[0], "sample/true": t[0].reshape(-1), "sample/output": output}
