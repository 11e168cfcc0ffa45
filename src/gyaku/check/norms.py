"""Hypotheses about batch and layer normalization, whose gradient has three terms (S1 §8).

With G = γ dout and the normalised x̃: dx = (G - mean(G) - x̃ mean(x̃ G)) / σ. A wrong dx is written as a combination of
the three terms; which coefficient is not 1 names the mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gyaku.check.case import Case
from gyaku.check.hypotheses import agree

Array = Any


class Norm(NamedTuple):
    """What a normalizing forward did: axis, γ, centred x, σ and the normalised x."""

    axis: int
    gamma: Array
    centred: Array
    sigma: Array
    x: Array

    @property
    def normal(self) -> Array:
        """x̃ = (x - μ)/σ."""
        return self.centred / self.sigma

    @property
    def size(self) -> int:
        """How many numbers each mean is taken over."""
        return int(self.x.shape[self.axis])

    def mean(self, v: Array, axis: int | None = None) -> Array:
        """Return the mean over the axis, to be broadcast."""
        return v.mean(axis=self.axis if axis is None else axis, keepdims=True)


def norm_of(c: Case) -> Norm | None:
    """Return what the forward of a case normalised; None when it does not normalise its rows or columns."""
    if c.x.ndim != 2 or c.shape != c.x.shape or c.mode == "eval":
        return None
    vectors = [c.arrays[n] for n in c.subject.parameters or c.subject.inputs[1:] if c.arrays[n].ndim == 1]
    pairs = [(g, b) for g in vectors for b in vectors if g is not b and g.shape == c.x.shape[1:] == b.shape]
    one, zero = np.ones(c.x.shape[1]), np.zeros(c.x.shape[1])
    for gamma, beta in [*pairs, (one, zero)]:
        for axis in (0, 1):
            found = _fits(c, gamma, beta, axis)
            if found is not None:
                return found
    return None


def _fits(c: Case, gamma: Array, beta: Array, axis: int) -> Norm | None:
    centred = c.x - c.x.mean(axis=axis, keepdims=True)
    if c.x.shape[axis] < 3:
        return None
    with np.errstate(all="ignore"):
        sigma = np.median(gamma * centred / (c.y - beta), axis=axis, keepdims=True)
    deviation = centred.std(axis=axis, keepdims=True)
    near = bool(np.all(np.abs(sigma / deviation - 1) < 0.2))
    fits = near and agree(gamma * centred / sigma + beta, c.y)
    return Norm(axis, gamma, centred, sigma, c.x) if fits else None


Terms = Callable[[Norm, Array], tuple[Array, Array, Array]]


def _terms(
    gamma: Callable[[Norm], Array] = lambda m: m.gamma,
    sigma: Callable[[Norm], Array] = lambda m: m.sigma,
    inner: Callable[[Norm], Array] = lambda m: m.normal,
    outer: Callable[[Norm], Array] = lambda m: m.normal,
    mean_axis: Callable[[Norm], int] = lambda m: m.axis,
    var_axis: Callable[[Norm], int] = lambda m: m.axis,
) -> Terms:
    def terms(m: Norm, dout: Array) -> tuple[Array, Array, Array]:
        G, s = gamma(m) * dout, sigma(m)
        return G / s, -m.mean(G, mean_axis(m)) / s, -outer(m) * m.mean(inner(m) * G, var_axis(m)) / s

    return terms


RIGHT = _terms()
# The same terms with one part exchanged: where they fit with coefficients 1, 1, 1, this part is the mistake.
CHANGED: tuple[tuple[str, Terms], ...] = (
    ("bn_gamma_missing", _terms(gamma=lambda m: np.ones_like(m.gamma))),
    ("bn_gamma_missing", _terms(gamma=lambda m: m.gamma**2)),
    ("bn_gamma_missing", _terms(gamma=lambda m: 1 / m.gamma)),
    ("bn_sigma_missing", _terms(sigma=lambda m: np.ones_like(m.sigma))),
    ("bn_sigma_missing", _terms(sigma=lambda m: m.sigma**2)),
    ("bn_sigma_missing", _terms(sigma=lambda m: 1 / m.sigma)),
    ("bn_not_normalised", _terms(inner=lambda m: m.centred)),
    ("bn_not_normalised", _terms(inner=lambda m: m.x)),
    ("bn_not_normalised", _terms(outer=lambda m: m.centred)),
    ("bn_not_normalised", _terms(outer=lambda m: m.x)),
    ("bn_not_normalised", _terms(inner=lambda m: m.centred, outer=lambda m: m.centred)),
    ("bn_not_normalised", _terms(inner=lambda m: m.x, outer=lambda m: m.x)),
    ("bn_sigma_missing", _terms(outer=lambda m: m.centred / m.sigma**2)),
    ("bn_sigma_missing", _terms(inner=lambda m: m.centred / m.sigma**2)),
    ("wrong_axis", _terms(mean_axis=lambda m: 1 - m.axis)),
    ("wrong_axis", _terms(var_axis=lambda m: 1 - m.axis)),
    ("wrong_axis", _terms(mean_axis=lambda m: 1 - m.axis, var_axis=lambda m: 1 - m.axis)),
)


def normalization(cases: Sequence[Case], name: str) -> str | None:
    """Explain a wrong gradient of a normalizing layer by x or by a parameter; None for other layers."""
    found = [(c, m) for c in cases if (m := norm_of(c)) is not None]
    if not found or any(c.gradient(name) is None for c, _ in found):
        return _scaling(cases, name)
    if name != cases[0].subject.inputs[0]:
        return _parameter(found, name)
    combinations = [_coefficients(RIGHT, m, c, name) for c, m in found]
    if all(k is not None for k in combinations):
        return _by_coefficients([k for k in combinations if k is not None], [m for _, m in found])
    for cause, terms in CHANGED:
        if all(agree(sum(terms(m, c.dout)), c.gradient(name)) for c, m in found):
            return cause
    return "eps_mismatch" if all(_other_epsilon(m, c, name) for c, m in found) else None


def _coefficients(terms: Terms, m: Norm, c: Case, name: str) -> Array | None:
    """Return k1, k2, k3 where g = k1 t1 + k2 t2 + k3 t3 exactly."""
    g = c.gradient(name)
    if g is None or g.shape != c.x.shape:
        return None
    parts = np.stack([t.reshape(-1) for t in np.broadcast_arrays(*terms(m, c.dout))], axis=1)
    k, _, rank, _ = np.linalg.lstsq(parts, np.asarray(g, float).reshape(-1), rcond=1e-9)
    return k if rank == 3 and agree(parts @ k, np.asarray(g, float).reshape(-1)) else None


def _by_coefficients(several: list[Array], norms: list[Norm]) -> str | None:
    ks = np.stack(several)
    ones, zero = np.abs(ks - 1) < 1e-4, np.abs(ks) < 1e-4
    pattern = "".join("1" if o.all() else "0" if z.all() else "?" for o, z in zip(ones.T, zero.T))
    known = {"101": "bn_mean_path_missing", "110": "bn_var_path_missing", "100": "bn_both_paths_missing",
             "011": "path_missing", "001": "path_missing", "010": "path_missing"}  # fmt: skip
    if pattern in known:
        return known[pattern]
    odd = [i for i, p in enumerate(pattern) if p == "?"]
    values = ks[:, odd[0]] if odd else ks[:, 0]
    counts = np.array([m.size for m in norms], float)
    for cause, expected in (
        ("sign", -np.ones_like(counts)),
        ("missing_one_over_n", counts),
        ("extra_one_over_n", 1 / counts),
        ("extra_factor_two", 2 + 0 * counts),
        ("missing_factor_two", 0.5 + 0 * counts),
        ("wrong_count", counts / (counts - 1)),
    ):
        if np.allclose(values, expected, rtol=1e-4):
            return cause
    return "constant_factor" if np.ptp(values) < 1e-4 else None


def _other_epsilon(m: Norm, c: Case, name: str) -> bool:
    """Whether g is the right formula with a slightly different σ (ε missing, other, outside of the root)."""
    g, n = c.gradient(name), c.numerical(name)
    if g is None or g.shape != n.shape:
        return False
    return bool(np.abs(g - n).max() < 0.05 * np.abs(n).max())


def _parameter(found: list[tuple[Case, Norm]], name: str) -> str | None:
    """Explain a wrong dgamma: what stands in the place of the normalised x."""
    instead: tuple[tuple[str, Callable[[Norm], Array]], ...] = (
        ("bn_not_normalised", lambda m: m.x),
        ("bn_not_normalised", lambda m: m.centred),
        ("bn_gamma_missing", lambda m: m.gamma * m.normal),
        ("bn_sigma_missing", lambda m: m.centred / m.sigma**2),
    )
    for cause, what in instead:
        if all(agree((what(m) * c.dout).sum(axis=0), c.gradient(name)) for c, m in found):
            return cause
    others = (lambda c, m: (c.y * c.dout).sum(axis=0), lambda c, m: m.normal.sum(axis=0))
    names = ("wrong_array", "upstream_ignored")
    return next((k for k, f in zip(names, others) if all(agree(f(c, m), c.gradient(name)) for c, m in found)), None)


def _scaling(cases: Sequence[Case], name: str) -> str | None:
    """Explain y = γ x + β (also batch norm in prediction) without its γ, or with a γ too many."""
    if any(c.shape != c.x.shape for c in cases) or name != cases[0].subject.inputs[0]:
        return None
    for parameter in cases[0].subject.parameters or cases[0].subject.inputs[1:]:
        gammas = [c.arrays[parameter] for c in cases]
        if all(g.shape == c.x.shape[-1:] for g, c in zip(gammas, cases)):
            for power in (-1, 1, -2):
                if all(agree(c.numerical(name) * g**power, c.gradient(name)) for g, c in zip(gammas, cases)):
                    return "bn_gamma_missing"
    return None
