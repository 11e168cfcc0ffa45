"""Hypotheses about layers that work element by element: y = f(x), whose derivative is one number for each element."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gyaku.check.case import Case
from gyaku.check.hypotheses import Predict, agree, explains, is_random

Array = Any


def elementwise(cases: Sequence[Case], name: str) -> str | None:
    """Explain a wrong gradient by x of an elementwise layer; None for other layers."""
    if not all(c.shape == c.arrays[name].shape and c.shape and _is_diagonal(c, name) for c in cases):
        return None
    levels = _levels(cases, name)
    if levels is None and (several := _with_own_levels(cases, name)):
        return several
    rows = _mask_rows(*levels) if levels else _smooth_rows()
    found = next((cause for cause, predict in rows if explains(predict, cases, name)), None)
    if found or not levels:
        return found
    return _by_sides(cases, name, *levels)


def _with_own_levels(cases: Sequence[Case], name: str) -> str | None:
    """Explain a derivative of two values that change from case to case, as a learned slope does."""
    two = [c for c in cases if _levels([c], name)]
    if len(cases) == 1 or not two or not all(c in two or np.ptp(_local(c, name)) < 1e-6 for c in cases):
        return None
    causes = {elementwise([c], name) for c in two}
    return causes.pop() if len(causes) == 1 else None


def is_elementwise(cases: Sequence[Case], name: str) -> bool:
    """Whether y has the shape of x and each element depends on its own alone."""
    return all(c.shape == c.arrays[name].shape and c.shape and _is_diagonal(c, name) for c in cases)


def _is_diagonal(c: Case, name: str) -> bool:
    values = c.jac[name].values
    off = values - np.diag(np.diag(values))
    return bool(np.abs(off).max(initial=0.0) < 1e-7 * (1 + np.abs(values).max(initial=0.0)))


def _local(c: Case, name: str) -> Array:
    """Return f'(x), as numerical differentiation gives it."""
    return np.diag(c.jac[name].values).reshape(c.shape)


def _levels(cases: Sequence[Case], name: str) -> tuple[float, float] | None:
    """Return the (lower, upper) value of a derivative that takes two values only, as those of ReLU and dropout do."""
    values = np.concatenate([_local(c, name).reshape(-1) for c in cases])
    low, high = float(values.min()), float(values.max())
    near = np.minimum(np.abs(values - low), np.abs(values - high)) < 1e-6
    return (low, high) if near.all() and high - low > 1e-3 else None


def _mask_rows(low: float, high: float) -> list[tuple[str, Predict]]:
    return [
        ("mask_not_applied", lambda c, n: high * c.dout),
        ("mask_not_applied", lambda c, n: c.dout),
        ("mask_inverted", lambda c, n: (low + high - _local(c, n)) * c.dout),
        ("mask_inverted", lambda c, n: c.dout * (_local(c, n) < (low + high) / 2)),
        ("mask_of_upstream", lambda c, n: c.dout * np.where(c.dout > 0, high, low)),
        ("mask_of_upstream", lambda c, n: c.dout * _local(c, n) * (c.dout > 0)),
        ("mask_of_upstream", lambda c, n: np.where(c.dout > 0, 1.0, 0.0) * c.dout),
        ("derivative_at_wrong_value", lambda c, n: c.dout * c.x),
    ]


def _by_sides(cases: Sequence[Case], name: str, low: float, high: float) -> str | None:
    """Explain what backward multiplies by where the derivative is ``low`` and where it is ``high``."""
    pairs = [(c, q) for c in cases if (q := _quotient(c, name)) is not None]
    if len(pairs) < len(cases):
        return None
    at = [(np.abs(_local(c, name) - high) < 1e-6, q, c) for c, q in pairs]
    upper = np.concatenate([q[m] for m, q, _ in at])
    lower = np.concatenate([q[~m] for m, q, _ in at])
    if upper.size and lower.size and np.ptp(upper) < 1e-6 and np.ptp(lower) < 1e-6:
        return "wrong_slope" if low else "dropout_scale" if is_random(cases[0]) else "constant_factor"
    every = np.concatenate([upper, lower])
    two = np.minimum(np.abs(every - every.min()), np.abs(every - every.max())) < 1e-6
    if not two.all():
        return None
    if is_random(cases[0]):
        return "new_mask"
    return "wrong_threshold" if all(_by_threshold(c, q, every.max()) for _, q, c in at) else None


def _by_threshold(c: Case, q: Array, high: float) -> bool:
    """Whether the elements with the upper factor are those with the largest x (or y)."""
    up = np.abs(q - high) < 1e-6
    return bool(
        not up.any() or up.all() or c.x[up].min() > c.x[~up].max() or np.abs(c.x[up]).min() > np.abs(c.x[~up]).max()
    )


def _quotient(c: Case, name: str) -> Array | None:
    g = c.gradient(name)
    return None if g is None or g.shape != c.shape else g / c.dout


def _smooth_rows() -> list[tuple[str, Predict]]:
    return [
        ("activation_derivative_missing", lambda c, n: c.dout),
        ("derivative_at_wrong_value", lambda c, n: c.dout * _local_at(c, n, c.y)),
        *[("derivative_at_wrong_value", _formula_at_x(k)) for k in range(4)],
        ("extra_activation_derivative", lambda c, n: c.dout * _local(c, n) ** 2),
        ("path_missing", lambda c, n: c.dout * c.y / c.x),
        ("path_missing", lambda c, n: c.dout * (_local(c, n) - c.y / c.x) if not agree(c.y, c.x) else None),
        ("mask_of_upstream", lambda c, n: c.dout * _local(c, n) * (c.dout > 0)),
    ]


def _local_at(c: Case, name: str, place: Array) -> Array:
    return np.diag(c.jacobian_at({name: np.array(place, float)}, name)).reshape(c.shape)


_FORMULAS = (
    lambda v: v * (1 - v),
    lambda v: 1 - v**2,
    lambda v: v,
    lambda v: 1 - v,
)


def _formula_at_x(k: int) -> Predict:
    """Predict h(x), where the derivative is h(y)."""

    def predict(c: Case, name: str) -> Array | None:
        h = _FORMULAS[k]
        return c.dout * h(c.x) if agree(h(c.y), _local(c, name)) else None

    return predict


def wrong_local(cases: Sequence[Case], name: str) -> str | None:
    """Answer what is left for an elementwise layer: its derivative is another function."""
    if not is_elementwise(cases, name) or not all(c.linear for c in cases):
        return None
    found = [c.analytic_jacobians[name] for c in cases]
    own = all(np.isfinite(a).all() and np.abs(a - np.diag(np.diag(a))).max(initial=0.0) < 1e-9 for a in found)
    return "wrong_local_derivative" if own else "upstream_reduced"
