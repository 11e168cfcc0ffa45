"""``Doctor``: a callback of ``fit`` that looks inside every so many steps, and never changes what is trained."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from gyaku.base.errors import ArgumentError
from gyaku.core.tensor import new_tensor
from gyaku.doctor.case import Case, baseline_of
from gyaku.doctor.facts import facts_of
from gyaku.doctor.library import Array, array_of, weight_layers
from gyaku.doctor.plan import Plan
from gyaku.doctor.probe import look, norm
from gyaku.doctor.rules import diagnose
from gyaku.doctor.trace import Score, Trace, purity, scored
from gyaku.doctor.verdict import Verdict
from gyaku.train.events import Callback

_MOST = 400  # looks that are kept; beyond, the steps between two looks double
_ROWS = 64  # of the batch that is looked at
_SHARE = 0.03  # of the time of training, for looks beyond the first
_LABELS = 24  # batches whose labels are compared with shuffled ones


class Doctor(Callback):
    """Looks at a fixed batch before training and every ``every`` steps; ``verdict`` is there when ``fit`` has ended.

    Where steps are so fast that looking would cost more than 3 % of the time, looks are left out.
    It draws nothing at random, puts back modes, gradients and running values, and leaves the same bits as without it.
    Findings rest on what was seen, nothing is run twice; ``gyaku.doctor(...)`` and ``gyaku doctor RUN`` also prove the
    remedies. Raises ``ArgumentError`` for ``every`` below 1.

    >>> import gyaku as gy, numpy as np
    >>> x = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
    >>> doctor = Doctor(every=20)
    >>> _ = gy.train.fit(gy.models.MLP(2, [8], 2), (x, (x[:, 0] > 0).astype(int)), lr=0.05, callbacks=[doctor])
    >>> doctor.verdict.healthy
    True
    """

    def __init__(self, every: int = 50, *, lang: str | None = None) -> None:
        if every < 1:
            raise ArgumentError("Doctor", "every >= 1", str(every))
        self.every, self.lang = every, lang
        self.trace = Trace()
        self.seconds = 0.0
        self._plan: Plan | None = None
        self._verdict: Verdict | None = None
        self._before: dict[str, Array] = {}
        self._started = self._rate = 0.0
        self._loop: Any = None

    # -- the events of fit -------------------------------------------------------------------------------------------
    def on_fit_start(self, loop: Any) -> None:
        """Look at the network before its first step."""
        started = self._started = time.perf_counter()
        self._loop, self._plan = loop, _plan_of(loop)
        rows = np.linspace(0, loop.data.n - 1, min(_ROWS, loop.data.n)).astype(int)
        self._x, self._t = (new_tensor(np.ascontiguousarray(a[rows])) for a in (self._plan.x, self._plan.t))
        self._variance = float(self._plan.t.var(dtype=np.float64)) or 1.0
        self._rate = loop.lr
        self._layers = weight_layers(loop.model)
        self._weights = {name: m.weight for name, m in self._layers}
        if loop.step == 0:
            self._look(loop, {})
            self._score(loop)
        self.seconds += time.perf_counter() - started

    def next_batch(self, loop: Any) -> int:
        """Return the next batch that is looked at; those before it may go by in one call."""
        wait = 0 if loop.step == 0 else -(loop.step + 1) % self.every
        return int(min(loop.batch + wait, loop.batches))

    def on_batch_start(self, loop: Any) -> None:
        """Before a step that is looked at, remember the weights."""
        if self._due(loop.step + 1) and self._affordable():
            self._before = {name: array_of(w).copy() for name, w in self._weights.items()}

    def on_batch_end(self, loop: Any) -> None:
        """Every so many steps look inside."""
        if self._before and self._due(loop.step):
            started = time.perf_counter()
            ratios = {n: norm(array_of(self._weights[n]) - w) / max(norm(w), 1e-30) for n, w in self._before.items()}
            self._before = {}
            self._look(loop, ratios)
            self.seconds += time.perf_counter() - started

    def on_steps_end(self, loop: Any) -> None:
        """Keep the losses."""
        self.trace.losses += loop.losses

    def on_epoch_end(self, loop: Any) -> None:
        """Take the epoch's row as a score."""
        row, error = loop.history.rows[-1], self._error
        self._rate = max(self._rate, row["lr"])
        dev = {k: row.get(f"dev_{k}") for k in ("loss", loop.objective.metric)}
        held = (dev["loss"], error(dev[loop.objective.metric])) if dev["loss"] is not None else (None, None)
        mine = row["train_loss"], error(row[f"train_{loop.objective.metric}"])
        self.trace.scores.append(Score(loop.step, *mine, *held))

    def on_fit_end(self, loop: Any) -> None:
        """Put the verdict together."""
        _ = self.verdict

    # -- the verdict --------------------------------------------------------------------------------------------------
    @property
    def verdict(self) -> Verdict:
        """The verdict on what was seen (so far, when training broke off). Raises ``ArgumentError`` before ``fit``."""
        if self._plan is None:
            raise ArgumentError(
                "Doctor.verdict", "a training that was watched", "none", hint="fit(..., callbacks=[doctor])"
            )
        if self._verdict is None or self._verdict.seen["steps"] != len(self.trace.losses):
            self._verdict = self._judge(self._plan)
        return self._verdict

    def _judge(self, plan: Plan) -> Verdict:
        started = time.perf_counter()
        loop = self._loop
        self.trace.sizes = [min(plan.batch_size, len(plan.x))]
        self.trace.purity = self._purity(plan)
        if loop.step and not np.isfinite(loop.loss) or not all(np.isfinite(self.trace.losses)):
            self.trace.not_finite = len(self.trace.losses) + 1
        case = Case(
            self.trace,
            facts_of(plan, asked=100, base=500),
            loop.model,
            loop.optimizer,
            plan.batch_size,
            None,
            baseline_of(plan),
        )
        case.rate = self._rate
        findings = diagnose(case, proof=False)
        self.seconds += time.perf_counter() - started
        seen = {
            "steps": len(self.trace.losses), "seconds": self.seconds, "trials": 0, "first_loss": case.first_loss,
            "last_loss": case.last_loss, "update_ratio": case.ratio,
        }  # fmt: skip
        return Verdict(findings, seen, self.lang)

    def _purity(self, plan: Plan) -> float:
        """Return the variety of targets in the batches of the first epoch, dealt again from (seed, epoch)."""
        order = self._loop.data.order(1)
        rows = [order[i : i + plan.batch_size] for i in range(0, len(order), plan.batch_size)]
        return purity([plan.t[r] for r in rows[:_LABELS]], plan)

    # -- looking ------------------------------------------------------------------------------------------------------
    def _affordable(self) -> bool:
        """Whether the looks so far took no more than their share of the time; the first ones are always had."""
        return len(self.trace.looks) < 4 or self.seconds < _SHARE * (time.perf_counter() - self._started)

    def _due(self, step: int) -> bool:
        return step % self.every == 0 or step == 1

    def _look(self, loop: Any, ratios: dict[str, float]) -> None:
        on = next((p.device for p in loop.model.parameters()), None)
        if not self._weights or on is None:
            return
        found = look(loop.model, self._x.to(on), self._t.to(on), loop.objective.loss, self._layers)
        for layer in found:
            layer.update_ratio = ratios.get(layer.name)
        self.trace.looks.append((loop.step, found))
        if len(self.trace.looks) > _MOST:
            self.trace.looks = self.trace.looks[:1] + self.trace.looks[2::2]
            self.every *= 2

    def _score(self, loop: Any) -> None:
        assert self._plan is not None
        train = scored(self._plan, loop.model, array_of(self._x), array_of(self._t))
        if train is not None:
            self.trace.scores.append(Score(loop.step, *train, None, None))

    def _error(self, figure: float | None) -> float:
        """Return an error in 0..1 from accuracy, or mse over variance from an rmse."""
        if figure is None:
            return float("nan")
        return 1.0 - figure if self._loop.objective.task != "regression" else figure * figure / self._variance


def _plan_of(loop: Any) -> Plan:
    """Return the data and settings of a running loop in the form that the rules read; it is never run."""
    import gyaku

    x, t = array_of(_cpu(loop.data.x)), array_of(_cpu(loop.data.t))
    return Plan(
        lib=gyaku, model=loop.model, x=x, t=t, dev=loop.dev, test=None, loss=loop.objective.loss, make=_never,
        batch_size=loop.data.size, shuffle=True, clip_norm=loop.clip_norm, steps=1, step=None, validate=None, seed=0,
    )  # fmt: skip


def _cpu(array: Any) -> Any:
    return array.get() if hasattr(array, "get") else array


def _never(model: Any) -> Any:
    raise ArgumentError("Doctor", "nothing to be run again", "a rerun")
