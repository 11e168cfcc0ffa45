"""One run of a layer: its arrays, its output, the gradients that backward gave, and the numerical ones."""

from __future__ import annotations

import copy
import functools
from typing import Any

import numpy as np

from gyaku.base.errors import DtypeError
from gyaku.check import numeric
from gyaku.check.chance import fixed_chance, restart
from gyaku.check.numeric import Array, Arrays, Jacobian
from gyaku.check.subjects import Subject, copied

_FINER = (1.0, 1.0, 1.0, 0.1, 0.01)  # of the step: after two moves away from kinks, a smaller step avoids them
_ALL, _SOME = 400, 24  # arrays with more elements than the first are checked at so many, drawn at random


class Case:
    """A subject at given arrays, in one mode, with one upstream gradient ``dout``.

    ``arrays`` hold inputs, targets and parameters by name; ``names`` are those that get a gradient.
    """

    def __init__(self, subject: Subject, arrays: Arrays, mode: str = "train", seed: int = 0) -> None:
        self.subject, self.mode, self.seed = subject, mode, seed
        self.arrays = {k: np.array(v) for k, v in arrays.items()}
        targets = set(subject.targets) - set(subject.asked)
        self.names = [k for k, v in self.arrays.items() if v.dtype.kind == "f" and k not in targets]
        self.draw = np.random.RandomState(seed + 1000)
        self.coarse = False
        self.parts: list[tuple[int, ...]] | None = None  # the shapes of several outputs, which lie in y one by one
        self.picks = {n: _picked(self.arrays[n], self.draw) for n in self.names}
        self.failed: Exception | None = None
        try:
            self.base = self._started()
            self.y = self.output(self.arrays)
        except Exception as error:  # a student's code may raise anything
            self.base, self.y, self.failed = subject.fresh(), np.array(np.nan), error
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
        layer = copied(self.base)
        with self.quiet():
            y = self.subject.forward(layer, {k: v.copy() for k, v in arrays.items()}, self.mode)
        several = y if isinstance(y, tuple) else (y,)
        for each in several:
            kind = np.asarray(each).dtype
            if kind.kind not in "fiub":
                got = str(kind) if isinstance(each, np.ndarray) else f"a {type(each).__name__}"
                raise DtypeError(f"{self.subject.title}.forward", "an array of real numbers", got)
        self.parts = [np.shape(each) for each in y] if isinstance(y, tuple) else None
        return np.concatenate([np.reshape(each, -1) for each in y]) if isinstance(y, tuple) else np.array(y)

    def upstream(self, dout: Array) -> Any:
        """Return ``dout`` as backward takes it: a number, an array, or a tuple for several outputs."""
        if self.parts is None:
            return float(dout) if dout.ndim == 0 else dout
        ends = np.cumsum([int(np.prod(shape)) for shape in self.parts])[:-1]
        return tuple([piece.reshape(shape) for piece, shape in zip(np.split(dout, ends), self.parts)])

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
        first = numeric.COARSE if self.coarse else numeric.STEP
        for finer in (1.0,) * 3 if self.coarse else _FINER:
            step = first * finer
            self.jac = {
                n: numeric.jacobian(self.flat, self.arrays, n, self.picks[n], step, self.coarse) for n in self.names
            }
            at = {n: self._where(n, j.kink) for n, j in self.jac.items() if j.kink.any()}
            if not at:
                break
            for name, where in at.items():
                a = self.arrays[name]
                a[where] += (self.draw.uniform(3, 40, a.shape) * step * self.draw.choice([-1, 1], a.shape))[where]
            self.base = self._started()
        self.y = self.output(self.arrays)

    def numerical(self, name: str, dout: Array | None = None, jac: Array | None = None) -> Array:
        """Return the gradient by ``name`` for an upstream gradient, from the numerical Jacobian."""
        dout = self.dout if dout is None else dout
        values = self.jac[name].values if jac is None else jac
        found = np.reshape(dout, -1) @ values
        return found if self.picks[name] is not None else found.reshape(self.arrays[name].shape)

    def _where(self, name: str, chosen: Array) -> Array:
        """Return a mask over the whole array from one over the elements that are checked."""
        mask = np.zeros(self.arrays[name].size, dtype=bool)
        mask[slice(None) if self.picks[name] is None else self.picks[name]] = chosen
        return mask.reshape(self.arrays[name].shape)

    def picked(self, name: str, g: Any) -> Any:
        """Return the elements of a gradient that are checked: all, or a sample of a large array."""
        picks = self.picks[name]
        g = np.asarray(g)
        return g.reshape(-1)[picks] if picks is not None and g.shape == self.arrays[name].shape else g

    def place(self, name: str, i: int) -> tuple[int, ...]:
        """Return where the i-th checked element lies."""
        picks = self.picks[name]
        shape = self.arrays[name].shape
        return tuple([int(k) for k in np.unravel_index(i if picks is None else int(picks[i]), shape)]) if shape else ()

    def jacobian_at(self, arrays: Arrays, name: str) -> Array:
        """Return dy/da at other arrays."""
        return numeric.jacobian(self.flat, {**self.arrays, **arrays}, name, self.picks[name]).values

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
        """Return what backward gave by ``name`` (the checked elements); None when it gave nothing."""
        g = self.first.copies.get(name)
        return None if g is None else self.picked(name, g)

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
                size = self.jac[n].values.shape[1]
                rows[n].append(self.picked(n, g).astype(float).reshape(-1) if fits else np.full(size, np.nan))
        return {n: np.stack(r) for n, r in rows.items()}


class Run:
    """One forward and backward on a fresh copy: gradients, and what the two wrote to that is not theirs."""

    def __init__(self, case: Case, dout: Array, rule: Any, reseed: int | None) -> None:
        subject = case.subject
        self.layer = copied(case.base)
        self.given = {k: v.copy() for k, v in case.arrays.items()}
        self.dout = np.array(dout, dtype=np.float64)
        self.error: Exception | None = None
        self.stage, self.kept, self.gradients = "forward", {}, {}  # type: tuple[str, Arrays, Arrays]
        self.copies: Arrays = {}  # of the gradients, which a later run may write to
        with case.quiet():
            try:
                self.y = subject.forward(self.layer, self.given, case.mode)
                self.kept = {k: copy.copy(v) for k, v in subject.kept(self.layer).items()}
                self.after_forward = self.changed(case)
                self.stage = "backward"
                if reseed is not None:
                    restart(reseed, subject.sources)
                self.gradients = subject.backward(self.layer, case.upstream(self.dout), rule)
                self.copies = {k: None if g is None else np.array(g) for k, g in self.gradients.items()}
            except Exception as error:  # a student's code may raise anything
                self.error = error
        self.changed_dout = bool(self.dout.ndim and not np.array_equal(self.dout, dout))
        self.after = self.changed(case)

    def changed(self, case: Case) -> list[str]:
        """Return the names of inputs, targets and parameters that no longer hold what they held."""
        now = {**self.given, **case.subject.live(self.layer)}
        return [k for k, v in case.arrays.items() if k in now and not np.array_equal(now[k], v)]


def _picked(a: Array, draw: Any) -> Array | None:
    return np.sort(draw.permutation(a.size)[:_SOME]) if a.size > _ALL else None


def _sums_up(g: Any, h: Any, both: Any) -> bool:
    if g is None or h is None or both is None:
        return True
    if not np.shape(g) == np.shape(h) == np.shape(both) or np.asarray(g).dtype.kind not in "fiub":
        return False
    expected = 2 * np.asarray(g, float) + np.asarray(h, float)
    return bool(np.allclose(both, expected, rtol=1e-6, atol=1e-8, equal_nan=True))
