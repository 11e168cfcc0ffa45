"""Figures of merit from answers and truth, on NumPy arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def accuracy(predicted: Array, true: Array) -> float:
    """Return the fraction of equal elements; NaN for no elements."""
    return float((predicted == true).mean()) if len(true) else float("nan")


def confusion_matrix(predicted: Array, true: Array, n_classes: int) -> NDArray[np.int64]:
    """Return counts (K, K): true classes in rows, predicted in columns.

    >>> confusion_matrix(np.array([0, 1, 1]), np.array([0, 0, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    return np.bincount(true * n_classes + predicted, minlength=n_classes**2).reshape(n_classes, n_classes)


def per_class(confusion: Array, labels: Sequence[str]) -> list[dict[str, Any]]:
    """Return precision, recall, F1 and the number of true samples of every class; 0 where one is not defined."""
    hits, said, there = np.diag(confusion), confusion.sum(axis=0), confusion.sum(axis=1)
    precision, recall = hits / np.maximum(said, 1), hits / np.maximum(there, 1)
    f1 = 2 * hits / np.maximum(said + there, 1)
    columns = zip(labels, precision.tolist(), recall.tolist(), f1.tolist(), there.tolist(), strict=True)
    return [{"label": c, "precision": p, "recall": r, "f1": f, "n": n} for c, p, r, f, n in columns]


def cross_entropy(probabilities: Array, true: Array) -> float:
    """Return the mean of -log p(true class), nats; a probability of 0 counts as 1e-12."""
    if not len(true):
        return float("nan")
    p = probabilities[np.arange(len(true)), true].astype(np.float64)
    return float(-np.log(np.maximum(p, 1e-12)).mean())


def classification(probabilities: Array, true: Array, labels: Sequence[str]) -> dict[str, Any]:
    """Return n, loss, accuracy, confusion and per_class from probabilities (N, K) and classes (N,)."""
    predicted = probabilities.argmax(axis=1)
    confusion = confusion_matrix(predicted, true, len(labels))
    return {
        "n": len(true),
        "loss": cross_entropy(probabilities, true),
        "accuracy": accuracy(predicted, true),
        "confusion": confusion.tolist(),
        "per_class": per_class(confusion, labels),
    }


def hit_rate(confusion: Array) -> float:
    """Return the fraction of right answers in a confusion matrix."""
    return float(np.trace(confusion) / max(1, confusion.sum()))


def intersection_over_union(confusion: Array) -> Array:
    """Return |true and predicted| / |true or predicted| of every class; NaN for a class that is in neither.

    >>> intersection_over_union(np.array([[2, 1, 0], [1, 4, 0], [0, 0, 0]])).tolist()
    [0.5, 0.6666666666666666, nan]
    """
    hits = np.diag(confusion)
    union = confusion.sum(axis=0) + confusion.sum(axis=1) - hits
    return np.where(union > 0, hits / np.maximum(union, 1), np.nan)


def mean_iou(confusion: Array) -> float:
    """Return the mean of the intersections over unions of the classes that occur, in truth or answer."""
    found = intersection_over_union(confusion)
    return float(np.nanmean(found)) if confusion.any() else float("nan")


def segmentation(confusion: Array, loss: float, n: int, labels: Sequence[str]) -> dict[str, Any]:
    """Return n pictures, pixels, loss, accuracy of the pixels, iou (the mean), confusion, and per_class with iou."""
    each = zip(per_class(confusion, labels), intersection_over_union(confusion).tolist(), strict=True)
    return {
        "n": n,
        "pixels": int(confusion.sum()),
        "loss": loss,
        "accuracy": hit_rate(confusion),
        "iou": mean_iou(confusion),
        "confusion": confusion.tolist(),
        "per_class": [{**row, "iou": iou} for row, iou in each],
    }


def regression(predicted: Array, true: Array) -> dict[str, Any]:
    """Return n, loss (mean squared error), rmse, mae and r2 = 1 - sum of squares / that of the mean of ``true``.

    >>> regression(np.array([1.0, 2.0]), np.array([1.0, 4.0]))["rmse"]
    1.4142135623730951
    """
    if not len(true):
        return {"n": 0} | dict.fromkeys(("loss", "rmse", "mae", "r2"), float("nan"))
    error = predicted.astype(np.float64) - true
    spread = float(((true - true.mean()) ** 2).sum())
    mse = float((error**2).mean())
    r2 = 1.0 - float((error**2).sum()) / spread if spread > 0.0 else float("nan")
    return {"n": len(true), "loss": mse, "rmse": mse**0.5, "mae": float(np.abs(error).mean()), "r2": r2}
