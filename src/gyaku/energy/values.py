"""What the deep energy models share: draws, checks of visible data, one step of momentum, networks from weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyaku.backend.random import Generator
from gyaku.base.errors import ArgumentError, DivergedError, DtypeError, ShapeError
from gyaku.core.tensor import new_tensor
from gyaku.models import MLP

Array = NDArray[Any]
Clamp = tuple[Any, Any]  # mask of visible units, and their values
Check = Callable[[Any, str], Array]
_MOST = 1e3  # a weight beyond this has left every useful range: a sigmoid of it is 0 or 1


def bernoulli(p: Array, generator: Generator) -> Array:
    """Return draws 0 or 1 with probabilities ``p``, in the dtype of ``p``."""
    return (generator.uniform(p.shape, np.float32 if p.dtype == np.float32 else np.float64) < p).astype(p.dtype)


def is_whole(n: Any) -> bool:
    """Return whether ``n`` is a whole number, Python's or NumPy's."""
    return isinstance(n, (int, np.integer)) and not isinstance(n, bool)


def is_size(n: Any) -> bool:
    """Return whether ``n`` can be a number of units."""
    return type(n) is int and 1 <= n < 2**24


def checked_dtype(dtype: Any, where: str) -> np.dtype[Any]:
    """Return the dtype of a machine. Raises ``DtypeError`` for any but float32 and float64."""
    if dtype not in (np.float32, np.float64, "float32", "float64"):
        raise DtypeError(where, "dtype float32 or float64", str(dtype)[:40])
    return np.dtype(dtype)


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


def checked_chains(where: str, n: Any, steps: Any) -> None:
    """Raise ``ArgumentError`` unless ``n`` chains can take ``steps`` sweeps."""
    if not is_size(n) or not is_whole(steps) or steps < 1:
        raise ArgumentError(where, "n >= 1 and steps >= 1", f"{n} and {steps}")


def holding(clamp: Clamp | None, shape: tuple[int, int], check: Check, where: str) -> Callable[[Array], Array]:
    """Return a function that puts the values of ``clamp`` (mask, values) into visible rows of ``shape``.

    ``check`` is the machine's ``checked``. Raises what it raises, and ``ShapeError`` for parts that do not fit.
    """
    if clamp is None:
        return lambda v: v
    try:
        mask, values = (np.broadcast_to(np.asarray(a), shape) for a in clamp)
    except ValueError as error:
        got = " and ".join(str(np.shape(a)) for a in clamp)
        raise ShapeError(where, f"clamp=(mask, values) that fit {shape}", got) from error
    mask = mask.astype(bool)
    values = check(np.where(mask, values, 0), where)
    return lambda v: np.where(mask, values, v)


def begun(start: Any, shape: tuple[int, int], check: Check, where: str) -> Array:
    """Return the visible rows that chains begin from: one for all, or one each. Raises ``ShapeError`` otherwise."""
    rows = check(start, where)
    if len(rows) not in (1, shape[0]):
        raise ShapeError(where, f"start of 1 or {shape[0]} rows", f"{len(rows)} rows")
    return np.broadcast_to(rows, shape)


def load_into(own: Mapping[str, Array], arrays: Mapping[str, Array], where: str) -> None:
    """Overwrite parameters by those of ``arrays``. Raises ``ShapeError`` for a missing one or another shape."""
    for name, a in own.items():
        if name not in arrays or arrays[name].shape != a.shape:
            got = str(arrays[name].shape) if name in arrays else "no such array"
            raise ShapeError(where, f"{name} of shape {a.shape}", got)
        a[...] = arrays[name]


def move(p: Any, speed: Any, g: Any, lr: float, momentum: float, decay: float) -> None:
    """u <- m u + lr (g - decay W), W <- W + u, in array language; biases do not decay."""
    u = momentum * speed + lr * (g - decay * p if decay and p.ndim == 2 else g)
    speed[...] = u
    p[...] = p + u


class Momentum:
    """Gradient ascent with momentum (``move``) on arrays that are changed in place."""

    def __init__(self, arrays: Sequence[Array]) -> None:
        self.arrays = list(arrays)
        self.speed = [np.zeros_like(a) for a in self.arrays]

    def step(self, gradients: Sequence[Array], lr: float, momentum: float, decay: float = 0.0) -> None:
        """Take a step; ``decay`` pulls matrices, not biases, towards 0."""
        for a, u, g in zip(self.arrays, self.speed, gradients, strict=True):
            move(a, u, g, lr, momentum, decay)


def check_alive(arrays: Sequence[Array], where: str, lr: float) -> None:
    """Raise ``DivergedError`` with the remedy when a parameter is not finite or has run away."""
    largest = max(float(np.abs(a).max(initial=0.0)) for a in arrays)
    if not largest < _MOST:
        hint = f"lower the learning rate (now {lr:g}), raise weight_decay, or use more Gibbs steps (k)"
        raise DivergedError(where, f"weights below {_MOST:g}", f"{largest:g}", hint=hint)


def checked_options(
    where: str, *, epochs: int, batch_size: int, lr: float, k: int, momentum: float, weight_decay: float = 0.0
) -> None:
    """Raise ``ArgumentError`` for a number of training that is none or outside its range."""
    for name, whole, least in (("epochs", epochs, 0), ("batch_size", batch_size, 1), ("k", k, 1)):
        if not is_whole(whole) or whole < least:
            raise ArgumentError(where, f"{name} >= {least}, a whole number", repr(whole))
    for name, value, good in (
        ("lr > 0", lr, 0.0 < lr < np.inf),
        ("0 <= momentum < 1", momentum, 0.0 <= momentum < 1.0),
        ("weight_decay >= 0", weight_decay, 0.0 <= weight_decay < np.inf),
    ):
        if not good:
            raise ArgumentError(where, name, str(value))


def nothing(_: Any) -> None:
    """Do nothing: the listener of a training to which nobody listens."""


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
