"""What the rules read: the observed training, the data's facts, the settings, and trials of a remedy."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gyaku.doctor.facts import DataFacts
from gyaku.doctor.library import array_of, is_batch_norm, is_dropout, noisy_modules
from gyaku.doctor.plan import Plan, units_of
from gyaku.doctor.probe import LayerVitals
from gyaku.doctor.trace import Trace, run
from gyaku.doctor.verdict import Curve, Finding, Proof

Change = Callable[[Plan], Plan]


@dataclass
class Case:
    """One patient. ``plan`` is None where nothing can be run again; rules then ask for stronger signs."""

    trace: Trace
    facts: DataFacts | None
    model: Any
    optimizer: Any
    batch: int
    plan: Plan | None = None
    baseline: float = math.nan  # the loss of guessing: log K (or the entropy of the classes), the variance of values
    rate: float = math.nan  # the largest learning rate of the run, where a schedule moved it
    found: dict[str, Finding] = field(default_factory=dict)
    tried: dict[str, Trace] = field(default_factory=dict)

    # -- the loss ---------------------------------------------------------------------------------------------------
    @property
    def first_loss(self) -> float:
        """The loss on training rows before the first step."""
        scores = self.trace.scores
        return scores[0].train_loss if scores else (self.trace.losses[0] if self.trace.losses else math.nan)

    @property
    def last_loss(self) -> float:
        """The loss on training rows at the end; infinite when it was not finite."""
        if self.trace.not_finite is not None:
            return math.inf
        return self.trace.scores[-1].train_loss if self.trace.scores else math.nan

    @property
    def progress(self) -> float:
        """The share of the way from the loss of guessing to 0 that training has gone."""
        return 1.0 - self.last_loss / self.baseline if self.baseline > 0 else math.nan

    @property
    def fallen(self) -> float:
        """How far the loss of the training batches fell, from the first quarter of the steps to the last."""
        q = max(1, len(self.trace.losses) // 4)
        return (
            float(np.mean(self.trace.losses[:q]) - np.mean(self.trace.losses[-q:])) if self.trace.losses else math.nan
        )

    @property
    def plateau(self) -> bool:
        """Whether the loss has stopped falling: the last quarter is within a tenth of the quarter before."""
        losses = self.trace.losses
        if len(losses) < 20:
            return False
        q = len(losses) // 4
        return bool(np.mean(losses[-q:]) > 0.9 * np.mean(losses[-2 * q : -q]))

    # -- the layers -------------------------------------------------------------------------------------------------
    @property
    def first(self) -> list[LayerVitals]:
        """The layers before the first step."""
        looks = self.trace.looks
        return looks[0][1] if looks and looks[0][0] == 0 else []

    @property
    def last(self) -> list[LayerVitals]:
        """The layers at the end."""
        return self.trace.looks[-1][1] if self.trace.looks else []

    def ratios(self) -> dict[str, float]:
        """Return {layer: median update ratio of the looks behind the first third}."""
        rows = [layers for _, layers in self.trace.looks[1:]]
        rows = rows[len(rows) // 3 :]
        names = [layer.name for layer in rows[-1]] if rows else []
        return {name: _median([x.update_ratio for row in rows for x in row if x.name == name]) for name in names}

    @property
    def ratio(self) -> float:
        """The median update ratio of all layers (NaN when it was never measured)."""
        return _median(list(self.ratios().values()))

    def dropouts(self) -> list[tuple[str, Any]]:
        """Return (path, module) of the dropouts."""
        return [(name, m) for name, m in noisy_modules(self.model) if is_dropout(m)]

    def norms(self) -> list[tuple[str, Any]]:
        """Return (path, module) of the batch norms."""
        return [(name, m) for name, m in noisy_modules(self.model) if is_batch_norm(m)]

    def penalties(self) -> dict[str, float]:
        """Return the largest weight_decay, l2 and l1 of the optimizer's groups that are not zero."""
        groups = self.optimizer.param_groups if self.optimizer is not None else []
        names = ("weight_decay", "l2", "l1")
        most = {name: max((float(g.get(name) or 0.0) for g in groups), default=0.0) for name in names}
        return {name: value for name, value in most.items() if value > 0}

    @property
    def lr(self) -> float:
        """The learning rate of the run: the largest of its schedule, else that of the first group of parameters."""
        if math.isfinite(self.rate):
            return self.rate
        return float(self.optimizer.param_groups[0]["lr"]) if self.optimizer is not None else math.nan

    # -- trials -----------------------------------------------------------------------------------------------------
    @property
    def can_try(self) -> bool:
        """Whether a remedy can be tried."""
        return self.plan is not None

    def attempt(self, name: str, change: Change) -> Trace | None:
        """Return what training shows with a remedy (the same seed and steps); None where nothing can be run."""
        if self.plan is None:
            return None
        if name not in self.tried:
            self.tried[name] = run(change(self.plan), every=max(20, self.plan.steps))
        return self.tried[name]

    def helps(self, name: str, change: Change, *, gap: float = 0.05) -> bool:
        """Whether a remedy clearly helps: error less by ``gap`` and a third, or half the loss."""
        trial = self.attempt(name, change)
        if trial is None or trial.end is None or trial.not_finite is not None or trial.error is not None:
            return False
        if self.trace.not_finite is not None or self.trace.end is None:
            return True
        before, after = self.trace.end, trial.end
        better = before.train_error - after.train_error >= max(gap, 0.3 * before.train_error)
        halved = after.train_loss < 0.5 * before.train_loss and before.train_loss > 0.2 * self.baseline
        return not before.train_error <= after.train_error + 0.02 if math.isnan(before.train_error) else (
            better or (halved and gap <= 0.05 and after.train_error <= before.train_error + 0.01)
        )  # fmt: skip

    def prove(self, name: str, change: Change, measure: str = "error") -> Proof | None:
        """Return before and after of a remedy."""
        trial = self.attempt(name, change)
        if trial is None or trial.end is None or self.plan is None:
            return None
        curves = tuple(loss_curve(key, t) for key, t in (("before", self.trace), ("after", trial)))
        return Proof(measure, _measured(self.trace, measure), _measured(trial, measure), self.plan.steps, curves)


def _measured(trace: Trace, measure: str) -> float:
    """Return the number of a proof; NaN where training broke down before it could be measured."""
    if trace.not_finite is not None or trace.error is not None or trace.end is None:
        return math.nan
    field_of = {"error": "train_error", "dev_error": "dev_error", "dev_loss": "dev_loss"}[measure]
    value = getattr(trace.end, field_of)
    return math.nan if value is None else float(value)


def loss_curve(name: str, trace: Trace) -> Curve:
    """Return the running mean of the training loss as a curve."""
    width = max(1, len(trace.losses) // 60)
    smooth = trace.smoothed(width)
    colour = {"before": "wrong", "after": "right"}.get(name, "train")
    return Curve(name, [width * (i + 1) for i in range(len(smooth))], smooth, colour)


def _median(values: list[Any]) -> float:
    there = [v for v in values if v is not None and math.isfinite(v)]
    return float(np.median(there)) if there else math.nan


def baseline_of(plan: Plan) -> float:
    """Return the loss of guessing: the entropy of the classes in nats, or the variance of the values."""
    labels = plan.labels
    if labels is None:
        return float(plan.t.var(dtype=np.float64))
    p = np.unique(labels, return_counts=True)[1] / len(labels)
    return float(-(p * np.log(p)).sum())


def outputs_of_case(case: Case) -> int:
    """Return the number of output units as the loss saw them (0 unknown)."""
    pairing = case.trace.pairing
    if pairing is not None and len(pairing.output) > 1:
        return units_of(pairing.output)
    weight = getattr(case.model, "weight", None)
    for module in case.model.modules():
        w = getattr(module, "weight", None)
        weight = w if getattr(w, "ndim", 0) >= 2 else weight
    return len(array_of(weight)) if weight is not None else 0
