"""NumPy's answers to the longer rows of ``op_cases.py``: written plainly, sample by sample where that is clearer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def softmax(x: Any, dim: int) -> Any:
    e = np.exp(x)
    return e / e.sum(dim, keepdims=True)


def prelu(x: Any, w: Any) -> Any:
    shape = [1] * x.ndim
    if w.size > 1:
        shape[1] = w.size
    return np.where(x > 0, x, w.reshape(shape if w.size > 1 else (1,) * max(x.ndim, 1)) * x)


def clamp(x: Any, low: Any = None, high: Any = None, *, min: Any = None, max: Any = None) -> Any:
    low, high = min if low is None else low, max if high is None else high
    x = x if low is None else np.maximum(x, low)
    return x if high is None else np.minimum(x, high)


def reduced(reference: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``reference`` under PyTorch's argument names."""
    return lambda x, dim=None, keepdim=False, **more: reference(x, axis=dim, keepdims=keepdim, **more)


def norm(x: Any, p: float = 2, dim: Any = None, keepdim: bool = False) -> Any:
    a = np.abs(x)
    if p == float("inf"):
        return a.max(dim, keepdims=keepdim)
    return (a**p).sum(dim, keepdims=keepdim) ** (1 / p)


def sort(x: Any, dim: int = -1, descending: bool = False) -> Any:
    order = np.argsort(-x if descending else x, dim, kind="stable")
    return np.take_along_axis(x, order, dim), order


def gather(x: Any, i: Any, dim: int) -> Any:
    out = np.empty(i.shape)
    for place in np.ndindex(i.shape):
        source = list(place)
        source[dim] = i[place]
        out[place] = x[tuple(source)]
    return out


def scatter_add(shape: tuple[int, ...], x: Any, i: Any, dim: int) -> Any:
    out = np.zeros(shape)
    for place in np.ndindex(i.shape):
        to = list(place)
        to[dim] = i[place]
        out[tuple(to)] += x[place]
    return out


def _channels(v: Any, x: Any) -> Any:
    return np.reshape(v, (1, -1) + (1,) * (x.ndim - 2))


def _scaled(y: Any, gamma: Any, beta: Any) -> Any:
    y = y if gamma is None else y * gamma
    return y if beta is None else y + beta


def normalized_with(x: Any, mean: Any, var: Any, gamma: Any, beta: Any, eps: float) -> Any:
    y = (x - _channels(mean, x)) / np.sqrt(_channels(var, x) + eps)
    return _scaled(y, *(None if v is None else _channels(v, x) for v in (gamma, beta)))


def batch_norm(x: Any, gamma: Any = None, beta: Any = None, *, eps: float) -> Any:
    axes = (0, *range(2, x.ndim))
    mean, var = x.mean(axes), x.var(axes)
    return normalized_with(x, mean, var, gamma, beta, eps), mean, 1 / np.sqrt(var + eps)


def layer_norm(x: Any, gamma: Any = None, beta: Any = None, *, k: int, eps: float) -> Any:
    axes = tuple(range(x.ndim - k, x.ndim))
    mean, r = x.mean(axes, keepdims=True), 1 / np.sqrt(x.var(axes, keepdims=True) + eps)
    return _scaled((x - mean) * r, gamma, beta), mean, r


def group_norm(x: Any, gamma: Any = None, beta: Any = None, *, groups: int, eps: float) -> Any:
    g = x.reshape(x.shape[0], groups, -1)
    mean, r = g.mean(2, keepdims=True), 1 / np.sqrt(g.var(2, keepdims=True) + eps)
    y = ((g - mean) * r).reshape(x.shape)
    return _scaled(y, *(None if v is None else _channels(v, x) for v in (gamma, beta))), mean, r


def _reduce(a: Any, reduction: str) -> Any:
    return a if reduction == "none" else getattr(np, reduction)(a)


def loss(reference: Callable[..., Any]) -> Callable[..., Any]:
    """Return a loss of single elements with its three reductions."""
    return lambda x, y, reduction="mean", **more: _reduce(reference(x, y, **more), reduction)


def huber(x: Any, y: Any, delta: float = 1.0) -> Any:
    d = np.abs(x - y)
    return np.where(d <= delta, d**2 / 2, delta * (d - delta / 2))


def bce(x: Any, y: Any, weight: Any = 1.0) -> Any:
    return -np.asarray(weight) * (y * np.log(x) + (1 - y) * np.log(1 - x))


def bce_with_logits(x: Any, y: Any, weight: Any = 1.0, pos_weight: Any = 1.0) -> Any:
    s = 1 / (1 + np.exp(-x))
    return -np.asarray(weight) * (np.asarray(pos_weight) * y * np.log(s) + (1 - y) * np.log(1 - s))


def _samples(x: Any, t: Any) -> tuple[Any, Any]:
    """(N, K, ...), (N, ...) -> (M, K), (M,)."""
    return np.moveaxis(x, 1, -1).reshape(-1, x.shape[1]), t.reshape(-1)


def _class_loss(x: Any, t: Any, one: Callable[[Any, int, Any], float], weight: Any, ignore: int, reduction: str) -> Any:
    w = np.ones(x.shape[1]) if weight is None else np.asarray(weight)
    rows, labels = _samples(x, t)
    values = np.array([0.0 if k == ignore else one(row, k, w) for row, k in zip(rows, labels)])
    if reduction == "mean":
        return values.sum() / sum(w[k] for k in labels if k != ignore)
    return values.sum() if reduction == "sum" else values.reshape(t.shape)


def cross_entropy(
    x: Any, t: Any, weight: Any = None, ignore_index: int = -100, label_smoothing: float = 0.0, reduction: str = "mean"
) -> Any:
    def one(row: Any, k: int, w: Any) -> float:
        logp = np.log(np.exp(row) / np.exp(row).sum())
        return -(1 - label_smoothing) * w[k] * logp[k] - label_smoothing / len(row) * (w * logp).sum()

    return _class_loss(x, t, one, weight, ignore_index, reduction)


def nll(x: Any, t: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean") -> Any:
    return _class_loss(x, t, lambda row, k, w: -w[k] * row[k], weight, ignore_index, reduction)


def cross_entropy_probabilities(
    x: Any, t: Any, weight: Any = None, label_smoothing: float = 0.0, reduction: str = "mean"
) -> Any:
    logp = np.log(softmax(x, 1))
    u = (1 - label_smoothing) * t + label_smoothing / x.shape[1]
    w = np.ones(x.shape[1]) if weight is None else np.asarray(weight)
    return _reduce(-(u * logp * _channels(w, x)).sum(1), reduction)


def multi_margin(x: Any, t: Any, p: int = 1, margin: float = 1.0, weight: Any = None, reduction: str = "mean") -> Any:
    w = np.ones(x.shape[1]) if weight is None else np.asarray(weight)
    values = [
        w[k] * sum(max(0.0, margin - row[k] + row[j]) ** p for j in range(len(row)) if j != k) / len(row)
        for row, k in zip(x, t)
    ]
    return _reduce(np.array(values), reduction)


def multi_class_hinge(x: Any, t: Any, margin: float = 1.0, reduction: str = "mean") -> Any:
    values = [max(0.0, margin - row[k] + max(row[j] for j in range(len(row)) if j != k)) for row, k in zip(x, t)]
    return _reduce(np.array(values), reduction)
