"""Segmentation: the class of every pixel. Outputs are large, so figures are counted up part by part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyaku import nn
from gyaku.backend.random import Generator
from gyaku.core.mode import no_grad
from gyaku.core.tensor import new_tensor
from gyaku.nn import init as initial
from gyaku.train import metrics
from gyaku.train.outputs import outputs_of, rows_at_a_time

Array = NDArray[Any]
_FIRST, _WORST = 4, 8  # test pictures that the report shows: the first ones, and those with the most wrong pixels
_REACH = 5  # pixels across that the linear model sees


def parts(model: Any, x: Array) -> Iterator[tuple[slice, Array]]:
    """Yield some rows at a time with the outputs (n, K, H, W) of the model."""
    step = rows_at_a_time(model, x)
    for i in range(0, len(x), step):
        yield slice(i, i + step), outputs_of(model, x[i : i + step])


def classes_of(model: Any, x: Array) -> NDArray[np.uint8]:
    """Return the class of every pixel, (N, H, W)."""
    found = np.empty((len(x), *x.shape[2:]), dtype=np.uint8)
    for rows, y in parts(model, x):
        found[rows] = y.argmax(axis=1)
    return found


def tally(model: Any, x: Array, t: Array, objective: Any) -> tuple[NDArray[np.int64], float]:
    """Return counts of pixels (K, K), true classes in rows, and the mean of the loss."""
    confusion, total = np.zeros((0, 0), dtype=np.int64), 0.0
    for rows, y in parts(model, x):
        counts = metrics.confusion_matrix(y.argmax(axis=1).ravel(), t[rows].ravel(), y.shape[1])
        confusion = counts if not confusion.size else confusion + counts
        with np.errstate(all="ignore"), no_grad():
            total += objective.loss(new_tensor(y), new_tensor(t[rows])).item() * len(y)
    return confusion, total / len(x)


def examine(model: Any, data: Any, objective: Any, given: dict[str, tuple[Array, Array]]) -> dict[str, Any]:
    """Return the figures of every part: ``metrics.segmentation``."""
    found = {part: (len(t), *tally(model, x, t, objective)) for part, (x, t) in given.items()}
    return {
        part: metrics.segmentation(confusion, loss, n, data.label_names) for part, (n, confusion, loss) in found.items()
    }


def always_the_most_frequent(data: Any, given: dict[str, tuple[Array, Array]]) -> dict[str, Any]:
    """Return the figures of the most frequent class in every pixel, with the classes' shares of train as answer."""
    k = data.n_classes
    counts = np.bincount(given["train"][1].ravel(), minlength=k)
    surprise = -np.log(np.maximum(counts / counts.sum(), 1e-12))
    found = {}
    for part, (_, t) in given.items():
        there, confusion = np.bincount(t.ravel(), minlength=k), np.zeros((k, k), dtype=np.int64)
        confusion[:, counts.argmax()] = there
        loss = float((surprise * there).sum() / there.sum())
        found[part] = short(metrics.segmentation(confusion, loss, len(t), data.label_names))
    return found


def short(figures: dict[str, Any]) -> dict[str, Any]:
    """Return the figures without those of single classes."""
    return {key: figures[key] for key in ("n", "loss", "accuracy", "iou")}


def linear_filter(channels: int, classes: int, seed: int) -> Any:
    """Return what a linear model of the pixels around is: one 5×5 convolution to the classes."""
    model = nn.Conv2d(channels, classes, _REACH, padding=_REACH // 2)
    initial.normal_(model.weight, std=0.01, generator=Generator(seed).split("linear"))
    initial.zeros_(model.bias)
    return model


def most_wrong(predicted: Array, data: Any) -> tuple[list[dict[str, Any]], Array]:
    """Return some test pictures with their figures: the first ones, then those with the most wrong pixels."""
    t = data.t_test
    wrong = (predicted != t).reshape(len(t), -1).mean(axis=1)
    first = np.arange(min(_FIRST, len(t)))
    worst = [i for i in np.argsort(-wrong, kind="stable").tolist() if i >= len(first)][:_WORST]
    chosen = np.array([*first.tolist(), *worst], dtype=np.int64)
    rows = []
    for i in chosen.tolist():
        confusion = metrics.confusion_matrix(predicted[i].ravel().astype(np.int64), t[i].ravel(), data.n_classes)
        figures = {"accuracy": 1.0 - float(wrong[i]), "iou": metrics.mean_iou(confusion)}
        rows.append({"row": int(data.rows_test[i]), "worst": i >= len(first), **figures})
    return rows, chosen


def picture_arrays(model: Any, data: Any) -> tuple[list[dict[str, Any]], dict[str, Array]]:
    """Return rows of results.json (``wrong``) and the arrays that the report draws beside them."""
    if not len(data.x_test):
        return [], {}
    predicted, rule = classes_of(model, data.x_test), data.recipe.image
    rows, at = most_wrong(predicted, data)
    images = np.clip(data.x_test[at] * rule.std + rule.mean, 0.0, 1.0).astype(np.float32)
    masks = {"segments/true": data.t_test[at].astype(np.uint8), "segments/predicted": predicted[at]}
    return rows, {"segments/input": images, **masks}
