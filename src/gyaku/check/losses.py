"""Hypotheses about losses: their gradient at the prediction is a y - b t, with y a function of the input (S1 §2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gyaku.check.case import Case
from gyaku.check.hypotheses import agree

Array = Any


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def _softmax(x: Array, axis: int = -1) -> Array:
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


PREDICTIONS: tuple[Callable[[Array], Array], ...] = (_softmax, _sigmoid, lambda x: x)


def loss(cases: Sequence[Case], name: str) -> str | None:
    """Explain a wrong gradient by the prediction of a loss layer; None for other layers."""
    if name != cases[0].subject.inputs[0] or not all(c.shape == () and _target(c) is not None for c in cases):
        return None
    for predict in PREDICTIONS:
        telling = [c for c in cases if _independent(predict(c.x), _target(c))]
        if not telling:
            continue
        cases = telling
        right = [_fit(c, name, c.numerical(name), predict(c.x), _target(c)) for c in cases]
        if all(k is not None and abs(k[0] + k[1]) < 1e-6 * abs(k[0]) for k in right):
            return _explain(cases, name, predict, [k[0] for k in right if k is not None])
    return None


def _target(c: Case) -> Array | None:
    """Return the target in the shape of the prediction; class numbers as one-hot rows."""
    if len(c.subject.inputs) != 2:
        return None
    t = c.arrays[c.subject.inputs[1]]
    if t.shape == c.x.shape:
        return t.astype(float)
    if t.dtype.kind in "iu" and c.x.ndim == 2 and t.shape == c.x.shape[:1]:
        return np.eye(c.x.shape[1])[t]
    return None


def _independent(y: Array, t: Any) -> bool:
    """Whether prediction and target point into two directions, so that their shares can be told apart."""
    return int(np.linalg.matrix_rank(np.stack([y.ravel(), t.ravel()]))) == 2


def _fit(c: Case, name: str, g: Any, y: Array, t: Any) -> Array | None:
    """Return (a, b) where g = a y + b t exactly."""
    if g is None or np.shape(g) != y.shape:
        return None
    parts = np.stack([y.reshape(-1), t.reshape(-1)], axis=1)
    k = np.linalg.lstsq(parts, np.asarray(g, float).reshape(-1), rcond=None)[0]
    return k if agree(parts @ k, np.asarray(g, float).reshape(-1)) else None


def guarded(c: Case, name: str) -> bool:
    """Whether forward takes log(y + δ), which keeps a loss finite, and backward is right for log y."""
    t, n, g = _target(c), c.numerical(name), c.gradient(name)
    if c.shape != () or t is None or np.shape(g) != c.x.shape:
        return False
    found = [_guard(c.x, t, 10.0**-k) for k in range(4, 13)]
    plain = _guard(c.x, t, 0.0)
    fits = [(y, s) for i in (0, 1) for y in [f[i] for f in found] if (s := _scale(n, y)) and agree(s * plain[i], g)]
    return bool(fits)


def _guard(x: Array, t: Array, d: float) -> tuple[Array, Array]:
    """Return the gradients of -Σ t log(softmax x + d), and of the cross-entropy of a sigmoid with the same d."""
    y, p = _softmax(x), _sigmoid(x)
    part = t * y / (y + d)
    return y * part.sum(axis=-1, keepdims=True) - part, p * (1 - p) * ((1 - t) / (1 - p + d) - t / (p + d))


def _scale(n: Array, y: Array) -> float:
    """Return s where n = s y; 0 where there is none."""
    s = float((n * y).sum() / (y * y).sum())
    return s if agree(s * y, n) else 0.0


def _explain(cases: Sequence[Case], name: str, predict: Any, scale: list[float]) -> str | None:
    """Say what differs from s (y - t)."""
    several = [(c, s, predict(c.x), _target(c), c.gradient(name)) for c, s in zip(cases, scale)]
    if any(np.shape(g) != c.x.shape for c, _, _, _, g in several):
        return None
    fits = [_fit(c, name, g, y, t) for c, _, y, t, g in several]
    if all(k is not None for k in fits):
        ratios = np.array([k / s for k, s in zip(fits, scale) if k is not None])
        if np.allclose(ratios[:, 1], 0, atol=1e-6):
            return "target_ignored"
        return "sign" if np.allclose(ratios, 1, atol=1e-5) else "target_wrong"
    for cause, wrong in _WRONG:
        if all(agree(s * wrong(c.x, y, t), g) for c, s, y, t, g in several):
            return cause
    return None


_WRONG: tuple[tuple[str, Callable[[Array, Array, Array], Array]], ...] = (
    ("derivative_at_wrong_value", lambda x, y, t: x - t),
    ("derivative_at_wrong_value", lambda x, y, t: _sigmoid(y) - t),
    ("derivative_at_wrong_value", lambda x, y, t: _softmax(y) - t),
    ("wrong_axis", lambda x, y, t: _softmax(x, 0) - t),
    ("extra_activation_derivative", lambda x, y, t: (y - t) * y * (1 - y)),
    ("extra_activation_derivative", lambda x, y, t: (y - t) * (1 - y**2)),
    ("activation_derivative_missing", lambda x, y, t: (y - t) / (y * (1 - y))),
    ("activation_derivative_missing", lambda x, y, t: -t / y),
    ("diagonal_only", lambda x, y, t: -t * (1 - y)),
    ("path_missing", lambda x, y, t: -t / y + 0 * x),
    ("target_wrong", lambda x, y, t: y - t[::-1]),
    ("target_wrong", lambda x, y, t: y - np.roll(t, 1, axis=0)),
    ("target_wrong", lambda x, y, t: y - np.roll(t, -1, axis=0)),
    ("target_wrong", lambda x, y, t: y - np.roll(t, 1, axis=-1)),
    ("target_wrong", lambda x, y, t: y - np.roll(t, -1, axis=-1)),
    ("target_wrong", lambda x, y, t: y - t[:, ::-1]),
    ("target_wrong", lambda x, y, t: y - (1 - t)),
    ("target_wrong", lambda x, y, t: y - 1),
    ("wrong_local_derivative", lambda x, y, t: np.sign(y - t)),
    ("wrong_local_derivative", lambda x, y, t: np.abs(y - t)),
    ("wrong_local_derivative", lambda x, y, t: (y - t) ** 2),
)
