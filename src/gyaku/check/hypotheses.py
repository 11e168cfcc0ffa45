"""Hypotheses about a wrong gradient: one small row each, what backward would have given had it made that mistake.

A row is (cause, ``predict(case, name)``), which returns the gradient that the mistake gives, or None where it makes no
sense. A row explains when it predicts the gradients of all cases. The first row that explains is the answer, so
simpler mistakes stand above more contrived ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gyaku.backend.random import Generator
from gyaku.check.case import Case

Array = Any
Predict = Callable[[Case, str], Any]
Rule = Callable[[Sequence[Case], str], str | None]


def agree(a: Any, b: Any, rtol: float = 1e-5) -> bool:
    """Whether two gradients are equal up to what differences can tell."""
    if a is None or b is None or np.shape(a) != np.shape(b):
        return False
    if not {np.asarray(a).dtype.kind, np.asarray(b).dtype.kind} <= set("fiub"):
        return False
    a, b = np.asarray(a, float), np.asarray(b, float)
    scale = max(float(np.abs(a).max(initial=0.0)), float(np.abs(b).max(initial=0.0)))
    return bool(np.allclose(a, b, rtol=rtol, atol=rtol * scale + 1e-12))


def explains(predict: Predict, cases: Sequence[Case], name: str) -> bool:
    """Whether ``predict`` gives the gradient of every case."""
    with np.errstate(all="ignore"):
        return all(agree(_predicted(predict, c, name), c.gradient(name), 5e-3 if c.coarse else 1e-5) for c in cases)


def _predicted(predict: Predict, case: Case, name: str) -> Any:
    try:
        return predict(case, name)
    except (ValueError, IndexError, TypeError, ZeroDivisionError):  # shapes that do not fit: no explanation
        return None


# --- rows by prediction -----------------------------------------------------------------------------------------------


def _per_sample(c: Case, name: str) -> Array:
    """Return the contribution of each row of ``dout``: (N, *a.shape)."""
    if not c.shape or c.shape[0] != c.batch:
        raise ValueError
    rows = np.reshape(c.dout, (c.batch, -1))
    jac = c.jac[name].values.reshape(c.batch, rows.shape[1], -1)
    return np.einsum("nl,nla->na", rows, jac).reshape(c.batch, *c.arrays[name].shape)


def _ones(c: Case, name: str) -> Array:
    return c.numerical(name, np.ones(c.shape)) if c.subject.takes_dout else None


def _is_parameter(c: Case, name: str) -> bool:
    return name not in c.subject.inputs or c.arrays[name].shape[:1] != (c.batch,) or _shared_over_batch(c, name)


def _shared_over_batch(c: Case, name: str) -> bool:
    """Whether every row of y depends on all of the array (so that its gradient sums over the batch)."""
    if not c.shape or c.shape[0] != c.batch or c.batch == 1:
        return False
    rows = np.abs(c.jac[name].values.reshape(c.batch, -1, c.arrays[name].size)).max(axis=1)
    return bool((rows > 0).any(axis=1).all() and (rows > 0).sum(axis=0).max() == c.batch and c.batch > 1)


def _unsummed(c: Case, name: str) -> Array | None:
    g = c.gradient(name)
    n = c.numerical(name)
    if g is None or g.shape == n.shape or g.ndim == 0 or len(g) != c.batch:
        return None
    return g if agree(g.sum(axis=0), n) else None


def _one_row_of_bias(which: int) -> Predict:
    def predict(c: Case, name: str) -> Array | None:
        return _per_sample(c, name)[which] if c.batch > 1 and c.arrays[name].ndim == 1 else None

    return predict


def _samples(kept: Callable[[Array, int], Array]) -> Predict:
    """Predict that only some rows of ``dout`` count."""

    def predict(c: Case, name: str) -> Array:
        if not c.shape or c.shape[0] != c.batch:
            raise ValueError
        rows = np.arange(c.batch)
        weight = kept(rows, c.batch).astype(float).reshape(-1, *[1] * (len(c.shape) - 1))
        return c.numerical(name, c.dout * weight)

    return predict


def _reduced(how: str, axis: int | None) -> Predict:
    """Predict that ``dout`` is summed or averaged over an axis before it is used."""

    def predict(c: Case, name: str) -> Array:
        if len(c.shape) < 1:
            raise ValueError
        part = getattr(np, how)(c.dout, axis=axis, keepdims=True)
        return c.numerical(name, np.broadcast_to(part, c.shape))

    return predict


def _swapped(c: Case, name: str) -> Array | None:
    g = c.gradient(name)
    others = [n for n in c.names if n != name and c.arrays[n].shape == c.arrays[name].shape]
    return next(
        (c.numerical(n) for n in others if agree(c.numerical(n), g) and agree(c.gradient(n), c.numerical(name))), None
    )


def _of_other(c: Case, name: str) -> Array | None:
    g = c.gradient(name)
    return next((c.numerical(n) for n in c.names if n != name and agree(c.numerical(n), g)), None)


def _transposed(c: Case, name: str) -> Array | None:
    n = c.numerical(name)
    return n.T if n.ndim == 2 else None


def _product(c: Case, name: str) -> Array | None:
    """Predict a product of the right two arrays with other transposes."""
    g = c.gradient(name)
    if g is None or g.ndim != 2:
        return None
    n = c.numerical(name)
    pool = [v for k, v in c.arrays.items() if v.ndim == 2 and k != name]
    pairs = [[(p, q) for p in (a, a.T) for q in (c.dout, c.dout.T)] for a in pool]
    for several in pairs:
        fits = [a @ b for p, q in several for a, b in ((p, q), (q, p)) if a.shape[1:] == b.shape[:1]]
        if any(agree(v, g) for v in fits) and any(agree(v, n) for v in fits):
            return g
    return None


def _wrong_product(c: Case, name: str) -> Array | None:
    """Predict a product in which a wrong array stands."""
    g = c.gradient(name)
    if g is None or g.ndim != 2 or len(c.shape) != 2:
        return None
    pool = [v for v in (*c.arrays.values(), c.y, c.dout, *c.kept.values()) if np.ndim(v) == 2]
    sides = [s for v in pool for s in (v, v.T)]
    fits = (agree(a @ b, g) for a in sides for b in sides if a.shape[1:] == b.shape[:1])
    return g if any(fits) else None


def _other_axis(c: Case, name: str) -> Array | None:
    """Predict contributions summed over another axis than the batch."""
    g, parts = c.gradient(name), _per_sample(c, name)
    sums = [parts.sum(axis=k) for k in range(1, parts.ndim)] + [
        parts.sum(axis=k, keepdims=True) for k in range(1, parts.ndim)
    ]
    sums += [np.array(parts.sum()), np.full(c.arrays[name].shape, parts.sum()), np.array(parts.mean())]
    sums += [c.dout.sum(axis=k) for k in range(1, c.dout.ndim)] + [c.dout.mean(axis=k) for k in range(1, c.dout.ndim)]
    return next((s for s in sums if agree(s, g)), None)


def _kept_dims(c: Case, name: str) -> Array | None:
    g, n = c.gradient(name), c.numerical(name)
    return g if g is not None and g.shape != n.shape and g.size == n.size and agree(g.reshape(n.shape), n) else None


def _reordered(c: Case, name: str) -> Array | None:
    g, n = c.gradient(name), c.numerical(name)
    if g is None or g.size != n.size or n.size < 2:
        return None
    return g if agree(np.sort(g, axis=None), np.sort(n, axis=None)) else None


def _clipped(c: Case, name: str) -> Array | None:
    g, n = c.gradient(name), c.numerical(name)
    if g is None or g.shape != n.shape or not g.size:
        return None
    inside = np.abs(g - n) <= 1e-6 * (1 + np.abs(n))
    top = np.abs(g[~inside]).max(initial=0.0)
    return np.clip(n, -top, top) if inside.any() or c.batch == 1 else None


def _l2_normed(c: Case, name: str) -> Array | None:
    n = c.numerical(name)
    return n / np.linalg.norm(n)


def _penalised(of: Callable[[Array], Array]) -> Rule:
    def rule(cases: Sequence[Case], name: str) -> str | None:
        found = [_coefficient(c, name, of(c.arrays[name])) for c in cases]
        if _one_number(found):
            return "extra_penalty"
        shares = [None if k is None else k / float(c.dout) for k, c in zip(found, cases) if c.shape == ()]
        return "path_missing" if _one_number(shares) and len(shares) == len(cases) else None  # forward's own penalty

    return rule


def _coefficient(c: Case, name: str, term: Array) -> float | None:
    """Return k where g = n + k term."""
    g, n = c.gradient(name), c.numerical(name)
    if g is None or g.shape != n.shape or not np.abs(term).max(initial=0.0):
        return None
    k = float(((g - n) * term).sum() / (term * term).sum())
    return k if agree(n + k * term, g) else None


def _shifted(cases: Sequence[Case], name: str) -> str | None:
    found = [_coefficient(c, name, np.ones(c.arrays[name].shape)) for c in cases if c.arrays[name].size > 1]
    return "added_constant" if _one_number(found) else None


def _one_number(found: Sequence[float | None], rtol: float = 1e-5) -> bool:
    """Whether there are numbers, and all are the same."""
    numbers = [k for k in found if k is not None]
    return bool(numbers) and len(numbers) == len(found) and bool(np.ptp(numbers) < rtol * abs(numbers[0]))


def _at_written(c: Case, name: str) -> Array | None:
    """Predict the derivative at the parameters as backward left them."""
    live = {k: np.array(v) for k, v in c.subject.live(c.first.layer).items()}
    if not any(k in live and not np.array_equal(live[k], c.arrays[k]) for k in c.first.after):
        return None
    return c.numerical(name, jac=c.jacobian_at(live, name))


def _other_mode(c: Case, name: str) -> Array | None:
    if len(c.subject.modes) < 2:
        return None
    other = Case(c.subject, c.arrays, "eval" if c.mode == "train" else "train", c.seed)
    return c.numerical(name, jac=other.jacobian_at({}, name))


def _without_skip(c: Case, name: str) -> Array | None:
    """Predict that dout's direct way to x (y = F(x) + x) is left out."""
    if name != c.subject.inputs[0] or c.shape != c.x.shape or _diagonal(c.jac[name].values):
        return None
    return c.numerical(name) - c.dout


def _only_skip(c: Case, name: str) -> Array | None:
    if name != c.subject.inputs[0] or c.shape != c.x.shape or _diagonal(c.jac[name].values):
        return None
    return c.dout


def _touched_last(which: int) -> Predict:
    """Predict that a later row of the batch overwrites what an earlier one gave (or is lost)."""

    def predict(c: Case, name: str) -> Array:
        parts = _per_sample(c, name)
        rows = np.abs(c.jac[name].values.reshape(c.batch, -1, c.arrays[name].size)).max(axis=1) > 0
        order = np.arange(c.batch)[:: -1 if which else 1]
        first = order[np.argmax(rows[order], axis=0)]
        return parts.reshape(c.batch, -1)[first, np.arange(rows.shape[1])].reshape(c.arrays[name].shape)

    return predict


def _one_output(i: int) -> Predict:
    """Predict that only one of several outputs counts."""

    def predict(c: Case, name: str) -> Array:
        pieces = c.upstream(c.dout)
        flat = [np.reshape(piece if k == i else 0 * piece, -1) for k, piece in enumerate(pieces)]
        return c.numerical(name, np.concatenate(flat)) if c.parts and i < len(c.parts) else None

    return predict


def _diagonal_used(cases: Sequence[Case], name: str) -> str | None:
    """Explain a backward that goes from each output to its own input only, where forward mixes them."""
    if not all(c.shape == c.arrays[name].shape and c.shape and c.linear for c in cases):
        return None
    mixed = any(not _diagonal(c.jac[name].values) for c in cases)
    return "diagonal_only" if mixed and all(_diagonal(c.analytic_jacobians[name]) for c in cases) else None


def _diagonal(values: Array) -> bool:
    square = values.shape[0] == values.shape[1]
    return bool(square and not np.any(np.abs(values - np.diag(np.diag(values))) > 1e-7 * (1 + np.abs(values).max())))


def _diagonal_only(c: Case, name: str) -> Array | None:
    values = c.jac[name].values
    if c.shape != c.arrays[name].shape or _diagonal(values):
        return None
    return c.dout * np.diag(values).reshape(c.shape)


# --- rows by a factor -------------------------------------------------------------------------------------------------


def _ratio(c: Case, name: str) -> float | None:
    """Return r where g = r n for all elements; None where there is no such number."""
    g, n = c.gradient(name), c.numerical(name)
    if g is None or g.shape != n.shape or not np.abs(n).max(initial=0.0) > 1e-9:
        return None
    r = float((g * n).sum() / (n * n).sum())
    return r if agree(r * n, g, 5e-3 if c.coarse else 1e-5) else None


def factor(cases: Sequence[Case], name: str) -> str | None:
    """Explain g = r n with one number r a case, by what r is in terms of the case's sizes."""
    pairs = [(c, _ratio(c, name)) for c in cases if np.abs(c.numerical(name)).max(initial=0.0) > 1e-9]
    if not pairs or any(r is None for _, r in pairs):
        return None
    for cause, expected in _factors(name):
        values = [(expected(c), r) for c, r in pairs]
        if all(v is not None and r is not None and abs(v - r) < 1e-4 * (abs(v) + 1e-9) + 1e-9 for v, r in values):
            return cause
    ratios = [r for _, r in pairs]
    if all(r is not None and r < 0 for r in ratios):
        return "sign"
    if _one_number(ratios, 1e-4):
        return "dropout_scale" if any(is_random(c) for c, _ in pairs) else "constant_factor"
    return None


def _factors(name: str) -> list[tuple[str, Callable[[Case], float | None]]]:
    """Return rows (cause, the factor that the mistake gives in a case), simple ones first."""

    def averaged(over_batch: bool) -> Callable[[Case], float | None]:
        return lambda c: 1 / c.batch if _sums_over_batch(c, name) == over_batch or c.batch == 1 else None

    def kept(power: int) -> Callable[[Case], float | None]:
        return lambda c: _keep(c, power)

    def count(k: int, power: int, rows: int = 0) -> Callable[[Case], float | None]:
        return lambda c: float(_counts(c, name)[k] ** power * c.batch**rows)

    return [
        ("zero_gradient", lambda c: 0.0),
        ("sign", lambda c: -1.0),
        ("missing_one_over_n", lambda c: float(c.batch)),
        ("mean_instead_of_sum", averaged(True)),
        ("extra_one_over_n", averaged(False)),
        *[("dropout_scale", kept(power)) for power in (1, -1, 2, -2)],
        ("extra_factor_two", lambda c: 2.0),
        ("missing_factor_two", lambda c: 0.5),
        *[("wrong_count", count(k, power)) for k in range(5) for power in (1, -1)],
        ("wrong_count", lambda c: c.batch / (c.batch - 1) if c.batch > 1 else None),
        ("wrong_count", lambda c: 1 / (c.batch - 1) if c.batch > 1 else None),
        *[("wrong_count", count(k, -1, 1)) for k in (0, 1)],
        ("wrong_count", count(0, 1, -1)),
        ("extra_one_over_n", lambda c: c.batch**-2.0),
    ]


def _sums_over_batch(c: Case, name: str) -> bool:
    return c.shape != () and (name not in c.subject.inputs or _shared_over_batch(c, name))


def _counts(c: Case, name: str) -> tuple[float, ...]:
    """Return columns of x, elements of x, elements of y, elements of the array, the second size of x."""
    columns = c.x.shape[-1] if c.x.ndim > 1 else 1
    second = c.x.shape[1] if c.x.ndim > 1 else 1
    return float(columns), float(c.x.size), float(max(1, np.size(c.y))), float(c.arrays[name].size), float(second)


def is_random(c: Case) -> bool:
    """Whether forward draws random numbers."""
    own = vars(c.base).values() if hasattr(c.base, "__dict__") else ()
    if any(isinstance(v, (np.random.Generator, np.random.RandomState, Generator)) for v in own):
        return True
    other = Case(c.subject, c.arrays, "train", c.seed + 77)
    return bool(np.shape(other.y) == c.shape and not np.allclose(other.y, c.output(c.arrays)))


def _keep(c: Case, power: int) -> float | None:
    """Return (1 - p)^power of a random layer that keeps its p as a number."""
    for key, v in vars(c.base).items() if hasattr(c.base, "__dict__") else ():
        if isinstance(v, float) and 0 < v < 1 and not key.startswith(("eps", "mom")) and is_random(c):
            return float((1 - v) ** power)
    return None


def _nonlinear(cases: Sequence[Case], name: str) -> str | None:
    return None if all(c.linear for c in cases) else "upstream_not_linear"


def _same_for_any_dout(cases: Sequence[Case], name: str) -> str | None:
    """Explain a gradient that does not change when ``dout`` does."""
    if not all(c.subject.takes_dout for c in cases):
        return None
    again = [c.run(0.3 * c.dout + 0.2).gradients.get(name) for c in cases]
    same = all(agree(g, c.gradient(name), 1e-12) for c, g in zip(cases, again))
    return (
        "upstream_ignored" if same and any(np.abs(np.asarray(g, float)).max(initial=0.0) > 0 for g in again) else None
    )


def row(cause: str, predict: Predict) -> Rule:
    """Return a rule that answers ``cause`` where ``predict`` explains all cases."""
    return lambda cases, name: cause if explains(predict, cases, name) else None


FIRST: tuple[Rule, ...] = (
    row("value_after_update", _at_written),
    row("upstream_ignored", _ones),
    factor,
    row("missing_batch_sum", _unsummed),
    row("swapped_gradients", _swapped),
    row("missing_transpose", _transposed),
    row("missing_transpose", _product),
    row("missing_batch_sum", _one_row_of_bias(0)),
    row("missing_batch_sum", _one_row_of_bias(-1)),
    row("one_sample_only", _samples(lambda i, n: i == 0)),
    row("one_sample_only", _samples(lambda i, n: i == n - 1)),
    row("one_sample_only", _samples(lambda i, n: i < n - 1)),
    row("one_sample_only", _samples(lambda i, n: i > 0)),
    row("one_sample_only", _samples(lambda i, n: i < n // 2)),
    row("overwritten", _touched_last(1)),
    row("one_sample_only", _touched_last(0)),
    row("wrong_shape", _kept_dims),
    row("wrong_axis", _other_axis),
    row("path_missing", _without_skip),
    row("diagonal_only", _diagonal_only),
    *[row("path_missing", _one_output(i)) for i in range(3)],
    _same_for_any_dout,
    _penalised(lambda a: a),
    _penalised(np.sign),
    _shifted,
)
LAST: tuple[Rule, ...] = (
    row("path_missing", _only_skip),
    row("swapped_gradients", _of_other),
    row("wrong_order", _reordered),
    *[row("upstream_reduced", _reduced(how, axis)) for how in ("sum", "mean") for axis in (0, -1, None)],
    row("clipped", _clipped),
    row("clipped", _l2_normed),
    row("wrong_array", _wrong_product),
    row("train_eval_confusion", _other_mode),
    _diagonal_used,
)
