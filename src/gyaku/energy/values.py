"""What the deep energy models share: draws, checks of visible data, one step of momentum, networks from weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyaku.backend.random import Generator
from gyaku.base.errors import ArgumentError, DivergedError, DtypeError, ShapeError
from gyaku.core.tensor import new_tensor
from gyaku.models import MLP

Array = NDArray[Any]
_MOST = 1e3  # a weight beyond this has left every useful range: a sigmoid of it is 0 or 1


def bernoulli(p: Array, generator: Generator) -> Array:
    """Return draws 0 or 1 with probabilities ``p``, in the dtype of ``p``."""
    return (generator.uniform(p.shape, np.float32 if p.dtype == np.float32 else np.float64) < p).astype(p.dtype)


def is_size(n: Any) -> bool:
    """Return whether ``n`` can be a number of units."""
    return type(n) is int and 1 <= n < 2**24


def checked_visible(v: Any, width: int, dtype: Any, where: str, *, binary: bool = True) -> Array:
    """Return visible data as rows (N, width): of values in [0, 1] where ``binary``, else of any finite ones.

    Raises ``DtypeError``, ``ShapeError`` (empty, another width) or ``ArgumentError`` (NaN, outside [0, 1]).
    """
    v = np.asarray(v)
    if v.dtype.kind not in "biuf":
        raise DtypeError(where, "numbers", str(v.dtype))
    v = v.reshape(len(v), math.prod(v.shape[1:])) if v.ndim > 2 else v[None] if v.ndim == 1 else v
    if v.ndim != 2 or v.shape[1] != width:
        raise ShapeError(where, f"rows of {width} visible units", str(v.shape))
    if not len(v):
        raise ShapeError(where, "at least one sample", "none")
    if v.dtype.kind == "f" and not np.isfinite(v).all():
        row, column = (int(i) for i in np.argwhere(~np.isfinite(v))[0])
        raise ArgumentError(where, "finite values", f"{v[row, column]} at [{row}, {column}]", hint="fill or drop them")
    low, high = v.min(), v.max()
    if binary and (low < 0 or high > 1):
        hint = "divide pixels by their white, or use Gaussian visible units (RBM, DBN)"
        raise ArgumentError(where, "values in [0, 1] for Bernoulli units", f"{low:g} to {high:g}", hint=hint)
    return np.ascontiguousarray(v, dtype=dtype)


class Momentum:
    """Gradient ascent with momentum on arrays that are changed in place: u <- m u + lr (g - decay w), w <- w + u."""

    def __init__(self, arrays: Sequence[Array]) -> None:
        self.arrays = list(arrays)
        self.speed = [np.zeros_like(a) for a in self.arrays]

    def step(self, gradients: Sequence[Array], lr: float, momentum: float, decay: float = 0.0) -> None:
        """Take a step; ``decay`` pulls matrices, not biases, towards 0."""
        for a, u, g in zip(self.arrays, self.speed, gradients, strict=True):
            u *= momentum
            u += lr * (g - decay * a if decay and a.ndim == 2 else g)
            a += u


def check_alive(arrays: Sequence[Array], where: str, lr: float) -> None:
    """Raise ``DivergedError`` with the remedy when a parameter is not finite or has run away."""
    largest = max(float(np.abs(a).max(initial=0.0)) for a in arrays)
    if not largest < _MOST:
        hint = f"lower the learning rate (now {lr:g}), raise weight_decay, or use more Gibbs steps (k)"
        raise DivergedError(where, f"weights below {_MOST:g}", f"{largest:g}", hint=hint)


def checked_options(where: str, *, epochs: int, batch_size: int, lr: float, k: int, momentum: float) -> None:
    """Raise ``ArgumentError`` for a number of training outside its range."""
    for name, value, good in (
        ("epochs >= 0", epochs, epochs >= 0),
        ("batch_size >= 1", batch_size, batch_size >= 1),
        ("lr > 0", lr, 0.0 < lr < np.inf),
        ("k >= 1", k, k >= 1),
        ("0 <= momentum < 1", momentum, 0.0 <= momentum < 1.0),
    ):
        if not good:
            raise ArgumentError(where, name, str(value))


def batches(n: int, size: int, generator: Generator) -> list[Array]:
    """Return the rows of each batch of one epoch, in an order drawn from ``generator``."""
    order = generator.permutation(n)
    return [order[i : i + size] for i in range(0, n, size)]


def sigmoid_network(
    inputs: Sequence[int], weights: Sequence[Array], biases: Sequence[Array], n_outputs: int, seed: int
) -> MLP:
    """Return an ``MLP`` with sigmoid layers of weights (in, out) and biases, and a fresh output layer behind them."""
    if n_outputs < 1:
        raise ArgumentError("to_network", "n_classes >= 1", str(n_outputs))
    model = MLP(list(inputs), [w.shape[1] for w in weights], n_outputs, activation="sigmoid", init="glorot", seed=seed)
    for i, (w, b) in enumerate(zip(weights, biases, strict=True), start=1):
        layer = model._modules[f"affine{i}"]
        pair = {"weight": w.T, "bias": b}
        layer.load_state_dict({name: new_tensor(np.array(a, np.float32, order="C")) for name, a in pair.items()})
    return model
