"""One run of a layer: its arrays, its output, the gradients that backward gave, and the numerical ones."""

from __future__ import annotations

import copy
import functools
from typing import Any

import numpy as np

from gyaku.check import numeric
from gyaku.check.chance import fixed_chance, restart
from gyaku.check.numeric import Array, Arrays, Jacobian
from gyaku.check.subjects import Subject

_ATTEMPTS = 5  # at moving a point away from kinks


class Case:
    """A subject at given arrays, in one mode, with one upstream gradient ``dout``.

    ``arrays`` hold inputs, targets and parameters by name; ``names`` are those that get a gradient.
    """

    def __init__(self, subject: Subject, arrays: Arrays, mode: str = "train", seed: int = 0) -> None:
        self.subject, self.mode, self.seed = subject, mode, seed
        self.arrays = {k: np.array(v) for k, v in arrays.items()}
        targets = set(subject.targets)
        self.names = [k for k, v in self.arrays.items() if v.dtype.kind == "f" and k not in targets]
        self.draw = np.random.RandomState(seed + 1000)
        self.coarse = False
        self.base = self._started()
        self.y = self.output(self.arrays)
        self.shape = np.shape(self.y)
        self.dout = self._upstream()

    @property
    def batch(self) -> int:
        """N: the rows of the first input."""
        first = self.arrays[self.subject.inputs[0]]
        return len(first) if first.ndim > 1 else 1 if first.ndim == 0 else len(first)

    @property
    def x(self) -> Array:
        """The first input."""
        return self.arrays[self.subject.inputs[0]]

    def _started(self) -> Any:
        """Return a layer as it is before forward; for a prediction, one that has been trained on a few other rows."""
        layer = self.subject.fresh()
        if self.mode == "eval":
            with self.quiet():
                self.subject.forward(layer, self._other_rows(), "train")
        return layer

    def _other_rows(self) -> Arrays:
        """Return arrays with at least four other rows in the inputs."""
        found = dict(self.arrays)
        for name in self.subject.inputs:
            a = self.arrays[name]
            if a.ndim and len(a) == self.batch:
                rows = np.concatenate([a] * (1 if len(a) > 3 else 4))
                noise = 0.5 * self.draw.normal(size=rows.shape)
                moves = name in self.names
                found[name] = rows[::-1] + noise if moves else rows
        return found

    def quiet(self) -> Any:
        """Return a context with fixed random numbers."""
        return fixed_chance(self.seed, self.subject.sources)

    def output(self, arrays: Arrays) -> Array:
        """Return y at other arrays, from a fresh copy, with the random numbers of this case."""
        layer = copy.deepcopy(self.base)
        with self.quiet():
            return np.array(self.subject.forward(layer, {k: v.copy() for k, v in arrays.items()}, self.mode))

    def flat(self, arrays: Arrays) -> Array:
        """Return y as a vector of float64."""
        return self.output(arrays).astype(np.float64).reshape(-1)

    def _upstream(self) -> Array:
        if not self.subject.takes_dout:
            return np.ones(self.shape)
        return np.array(self.draw.uniform(1.2, 2.5)) if self.shape == () else self.draw.normal(size=self.shape)

    # --- numerical ----------------------------------------------------------------------------------------------------

    def differentiate(self) -> None:
        """Fill ``jac`` (a Jacobian by name) after moving the point away from kinks."""
        self.coarse = numeric.rounds_coarsely(self.flat, {k: self.arrays[k] for k in self.arrays}, self.names)
        step = numeric.COARSE if self.coarse else numeric.STEP
        for _ in range(_ATTEMPTS):
            self.jac = {n: numeric.jacobian(self.flat, self.arrays, n, step, self.coarse) for n in self.names}
            at = {n: j.kink.reshape(self.arrays[n].shape) for n, j in self.jac.items() if j.kink.any()}
            if not at:
                break
            for name, where in at.items():
                a = self.arrays[name]
                a[where] += (self.draw.uniform(3, 12, a.shape) * step * self.draw.choice([-1, 1], a.shape))[where]
            self.base = self._started()
        self.y = self.output(self.arrays)

    def numerical(self, name: str, dout: Array | None = None, jac: Array | None = None) -> Array:
        """Return the gradient by ``name`` for an upstream gradient, from the numerical Jacobian."""
        dout = self.dout if dout is None else dout
        values = self.jac[name].values if jac is None else jac
        return (np.reshape(dout, -1) @ values).reshape(self.arrays[name].shape)

    def jacobian_at(self, arrays: Arrays, name: str) -> Array:
        """Return dy/da at other arrays."""
        return numeric.jacobian(self.flat, {**self.arrays, **arrays}, name).values

    def tolerance(self, name: str) -> Array:
        """Return how far the gradient may be from the numerical one, element by element."""
        jac: Jacobian = self.jac[name]
        n = np.abs(self.numerical(name))
        if self.coarse:
            return 5e-3 * (1 + n.max(initial=0.0)) + 0 * n
        spread = (np.abs(np.reshape(self.dout, -1)) @ jac.error).reshape(n.shape)
        return np.where(jac.kink.reshape(n.shape), np.inf, 3e-7 + 2e-8 * n + 20 * spread)

    # --- analytic -----------------------------------------------------------------------------------------------------

    def run(self, dout: Array | None = None, rule: Any = None, reseed: int | None = None) -> Run:
        """Return what a fresh copy does: forward, then backward for ``dout``."""
        return Run(self, self.dout if dout is None else dout, rule, reseed)

    @functools.cached_property
    def first(self) -> Run:
        """The run for the case's own ``dout``."""
        return self.run()

    def gradient(self, name: str) -> Any:
        """Return what backward gave by ``name``, as an array; None when it gave nothing."""
        g = self.first.gradients.get(name)
        return None if g is None else np.asarray(g)

    @functools.cached_property
    def kept(self) -> Arrays:
        """What forward leaves on the layer, arrays and numbers by name."""
        return {k: np.array(v) for k, v in self.first.kept.items()}

    @functools.cached_property
    def linear(self) -> bool:
        """Whether backward is linear in ``dout``: g(2 r + s) = 2 g(r) + g(s), for all names."""
        if not self.subject.takes_dout:
            return True
        other = self.draw.normal(size=self.shape)
        parts = [self.run(d).gradients for d in (self.dout, other, 2 * self.dout + other)]
        return all(_sums_up(*[p.get(n) for p in parts]) for n in self.names)

    @functools.cached_property
    def analytic_jacobians(self) -> Arrays:
        """What backward gives for each unit vector in the place of ``dout``: (y.size, a.size) by name."""
        rows: dict[str, list[Array]] = {n: [] for n in self.names}
        for k in range(max(1, int(np.prod(self.shape)))):
            unit = np.zeros(max(1, int(np.prod(self.shape))))
            unit[k] = 1.0
            found = self.run(unit.reshape(self.shape)).gradients
            for n in self.names:
                g = found.get(n)
                fits = g is not None and np.shape(g) == self.arrays[n].shape
                rows[n].append(np.asarray(g, float).reshape(-1) if fits else np.full(self.arrays[n].size, np.nan))
        return {n: np.stack(r) for n, r in rows.items()}


class Run:
    """One forward and backward on a fresh copy: gradients, and what the two wrote to that is not theirs."""

    def __init__(self, case: Case, dout: Array, rule: Any, reseed: int | None) -> None:
        subject = case.subject
        self.layer = copy.deepcopy(case.base)
        self.given = {k: v.copy() for k, v in case.arrays.items()}
        self.dout = np.array(dout, dtype=np.float64)
        self.error: Exception | None = None
        self.stage, self.kept, self.gradients = "forward", {}, {}  # type: tuple[str, Arrays, Arrays]
        with case.quiet():
            try:
                self.y = subject.forward(self.layer, self.given, case.mode)
                self.kept = {k: copy.copy(v) for k, v in subject.kept(self.layer).items()}
                self.after_forward = self.changed(case)
                self.stage = "backward"
                if reseed is not None:
                    restart(reseed, subject.sources)
                upstream = float(self.dout) if self.dout.ndim == 0 else self.dout
                self.gradients = subject.backward(self.layer, upstream, rule)
            except Exception as error:  # a student's code may raise anything
                self.error = error
        self.changed_dout = bool(self.dout.ndim and not np.array_equal(self.dout, dout))
        self.after = self.changed(case)

    def changed(self, case: Case) -> list[str]:
        """Return the names of inputs, targets and parameters that no longer hold what they held."""
        now = {**self.given, **case.subject.live(self.layer)}
        return [k for k, v in case.arrays.items() if k in now and not np.array_equal(now[k], v)]


def _sums_up(g: Any, h: Any, both: Any) -> bool:
    if g is None or h is None or both is None:
        return True
    if not np.shape(g) == np.shape(h) == np.shape(both):
        return False
    expected = 2 * np.asarray(g, float) + np.asarray(h, float)
    return bool(np.allclose(both, expected, rtol=1e-6, atol=1e-8, equal_nan=True))
