"""One observed training of a plan: losses, looks inside, scores, and how the loop treats gradients and modes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gyaku.base.errors import DtypeError
from gyaku.doctor.graph import Pairing, pairing
from gyaku.doctor.library import Array, array_of, noisy_modules, seeded, weight_layers
from gyaku.doctor.plan import Plan, labels_of, units_of
from gyaku.doctor.probe import LayerVitals, look, norm

LOOK_ROWS = 256
SCORE_ROWS = 512
_SCORES = 16  # points of the score curves
_VALIDATIONS = 4


@dataclass
class Score:
    """Loss and error (share of wrong answers, or mse / variance) of the training rows and of dev after ``step``."""

    step: int
    train_loss: float
    train_error: float
    dev_loss: float | None
    dev_error: float | None


@dataclass
class Trace:
    """What one training showed."""

    losses: list[float] = field(default_factory=list)
    looks: list[tuple[int, list[LayerVitals]]] = field(default_factory=list)
    scores: list[Score] = field(default_factory=list)
    error: Exception | None = None
    pairing: Pairing | None = None
    carried: int = 0  # steps into which used gradients were carried
    asleep: int = 0  # training steps with every dropout and batch norm in eval mode
    awake: int = 0  # validations with one of them in train mode
    validations: int = 0
    not_finite: int | None = None  # the step whose loss was not finite
    culprit: dict[str, str] = field(default_factory=dict)
    sizes: list[int] = field(default_factory=list)
    purity: float = 1.0  # variety of labels within batches, against that of shuffled ones
    seconds: float = 0.0

    def smoothed(self, width: int = 10) -> list[float]:
        """Return running means of the losses, one each ``width`` steps."""
        n = max(1, min(width, len(self.losses)))
        return [float(np.mean(self.losses[i : i + n])) for i in range(0, len(self.losses) - n + 1, n)]

    @property
    def end(self) -> Score | None:
        """The last score."""
        return self.scores[-1] if self.scores else None


def run(plan: Plan, *, every: int = 20, trap: Any = None, trap_from: int = 10**9) -> Trace:
    """Train a copy and watch it. Errors of the user's step end the run and are kept in the trace."""
    with seeded(plan.lib, plan.seed), np.errstate(all="ignore"):
        return _Run(plan, every, trap, trap_from).go()


class _Run:
    def __init__(self, plan: Plan, every: int, trap: Any, trap_from: int) -> None:
        self.plan, self.every, self.trap, self.trap_from = plan, every, trap, trap_from
        self.trace = Trace()
        self.model, self.optimizer = plan.fresh()
        self.noisy = noisy_modules(self.model)
        self.output: Any = None
        self.modes: list[bool] = []
        self.used: set[int] = set()
        self.carried = False
        self.moving: dict[str, Array] = {}
        self.ratios: dict[str, float] = {}
        self.weights = {name: m.weight for name, m in weight_layers(self.model)}
        rows = np.linspace(0, len(plan.x) - 1, min(LOOK_ROWS, len(plan.x))).astype(int)
        self.probe = plan.x[rows], plan.t[rows]

    def go(self) -> Trace:
        self._attach()
        labels: list[Array] = []
        try:
            self._look(0)
            self._score(0)
            batches = self.plan.batches()
            for k in range(1, self.plan.steps + 1):
                x, t = next(batches)
                if len(labels) < 64:
                    labels.append(array_of(t))
                if not self._step(k, x, t):
                    break
        except Exception as error:  # whatever the user's model, loss or step raises is a finding, or is raised again
            self.trace.error = error
        self.trace.sizes = [len(t) for t in labels]
        if labels:
            self.trace.purity = purity(labels, self.plan)
        return self.trace

    def _step(self, k: int, x: Any, t: Any) -> bool:
        self.modes, self.carried, looking = [], False, k % self.every == 0 or k in (1, self.plan.steps)
        if looking:
            self.moving = {name: array_of(w).copy() for name, w in self.weights.items()}
        loss = self._call(k, x, t)
        value = _number_of(loss)
        self.trace.losses.append(value)
        if k == 1 and hasattr(loss, "grad_fn") and self.output is not None:
            self.trace.pairing = pairing(loss, self.output, t)
        self.output = None
        self.trace.carried += self.carried
        self.trace.asleep += bool(self.noisy) and bool(self.modes) and not any(self.modes)
        if not np.isfinite(value):
            self.trace.not_finite = k
            return False
        if looking:
            self.ratios = {n: norm(array_of(w) - self.moving[n]) / max(norm(self.moving[n]), 1e-30)
                           for n, w in self.weights.items()}  # fmt: skip
            self._look(k)
        if k % max(1, self.plan.steps // _SCORES) == 0 or k == self.plan.steps:
            self._score(k)
        if self.plan.validate is not None and k % max(1, self.plan.steps // _VALIDATIONS) == 0:
            self._validate()
        return True

    def _call(self, k: int, x: Any, t: Any) -> Any:
        step = self.plan.step or own_step(self.plan)
        if self.trap is not None and k >= self.trap_from:
            with self.trap:
                return step(self.model, self.optimizer, x, t)
        return step(self.model, self.optimizer, x, t)

    def _attach(self) -> None:
        """Watch the copy: what its forward passes give, in which mode, and whether used gradients were cleared."""
        self.model.register_forward_hook(self._saw)
        real = self.optimizer.step

        def step(*args: Any, **kwargs: Any) -> Any:
            self.used = {id(p) for g in self.optimizer.param_groups for p in g["params"] if p.grad is not None}
            return real(*args, **kwargs)

        self.optimizer.step = step
        first = next((p for g in self.optimizer.param_groups for p in g["params"] if p.requires_grad), None)
        if first is not None:
            first.register_hook(lambda _: self._arriving(first))

    def _saw(self, module: Any, given: Any, output: Any) -> None:
        self.output = output
        self.modes.append(any(m.training for _, m in self.noisy))

    def _arriving(self, p: Any) -> None:
        """A gradient arrives: the old one must be gone if an optimizer has already used it."""
        if id(p) in self.used and p.grad is not None and bool(array_of(p.grad).any()):
            self.carried = True
        self.used = set()

    def _validate(self) -> None:
        x, t = self.plan.dev or (self.plan.x[:SCORE_ROWS], self.plan.t[:SCORE_ROWS])
        self.modes = []
        self.plan.validate(self.model, self.plan.tensor(x), self.plan.tensor(t))  # type: ignore[misc]
        self.trace.validations += 1
        self.trace.awake += bool(self.modes) and any(self.modes)

    def _look(self, k: int) -> None:
        if not self.weights:
            return
        x, t = (self.plan.tensor(a) for a in self.probe)
        try:
            found = look(self.model, x, t, self._loss_of_look)
        except Exception:  # a model or a loss that refuses the probe: the training itself will say why
            return
        for layer in found:
            layer.update_ratio = self.ratios.get(layer.name)
        self.trace.looks.append((k, found))

    def _loss_of_look(self, y: Any, t: Any) -> Any:
        return self.plan.objective(_outputs(y))(y, t)

    def _score(self, k: int) -> None:
        train = scored(
            self.plan, self.model, self.plan.x[:: _stride(self.plan.x)], self.plan.t[:: _stride(self.plan.x)]
        )
        dev = self.plan.dev
        held = None if dev is None else scored(self.plan, self.model, dev[0][:SCORE_ROWS], dev[1][:SCORE_ROWS])
        if train is not None:
            self.trace.scores.append(Score(k, *train, *(held or (None, None))))


def _stride(x: Array) -> int:
    return max(1, len(x) // SCORE_ROWS)


def _number_of(loss: Any) -> float:
    """Return the loss as a number. Raises ``DtypeError`` when the step returned none."""
    try:
        return float(loss.detach().sum() if hasattr(loss, "detach") else loss)
    except (TypeError, ValueError):
        raise DtypeError("doctor", "a step that returns its loss", type(loss).__name__, hint="return loss") from None


def _outputs(y: Any) -> int:
    return units_of(y.shape)


def own_step(plan: Plan) -> Callable[..., Any]:
    """Return a right training step with the plan's loss."""

    def step(model: Any, optimizer: Any, x: Any, t: Any) -> Any:
        model.train()
        optimizer.zero_grad()
        y = model(x)
        loss = plan.objective(_outputs(y))(y, t)
        if not hasattr(loss, "backward"):
            raise DtypeError("doctor", "a loss(y, t) that returns a tensor", type(loss).__name__)
        loss.backward()
        if plan.clip_norm is not None:
            plan.lib.nn.utils.clip_grad_norm_(model.parameters(), plan.clip_norm)
        optimizer.step()
        return loss

    return step


def scored(plan: Plan, model: Any, x: Array, t: Array) -> tuple[float, float] | None:
    """Return loss and error of rows in eval mode; None where model or loss refuse them. Modes are put back."""
    modes = [(m, m.training) for m in model.modules()]
    model.eval()
    try:
        with plan.lib.no_grad():
            y = model(plan.tensor(x))
            loss = float(plan.objective(_outputs(y))(y, plan.tensor(t)).mean())
            return loss, error_of(array_of(y), t, plan.classes)
    except Exception:  # the training itself will say why
        return None
    finally:
        for m, mode in modes:
            m.training = mode


def error_of(y: Array, t: Array, classes: bool) -> float:
    """Return the share of wrong answers, or the mean squared error over the variance of the targets."""
    if not np.isfinite(y).all():
        return float("nan")
    if not classes:
        difference = y.reshape(len(y), -1).astype(np.float64) - t.reshape(len(t), -1)
        return float((difference**2).mean() / max(float(t.var(dtype=np.float64)), 1e-30))
    truth = labels_of(t)
    if y.ndim in (2, 4) and y.shape[1] > 1:  # of a sample, or of every pixel
        return float((y.argmax(axis=1).reshape(-1) != truth).mean())
    flat = y.reshape(-1)
    edge = 0.5 if flat.min() >= 0.0 and flat.max() <= 1.0 else 0.0
    return float(((flat > edge) != truth).mean())


def purity(batches: list[Array], plan: Plan) -> float:
    """Return the variety of targets within batches over that of the same rows dealt at random; 1 is shuffled."""
    joined = np.concatenate(batches)
    order = np.random.default_rng(0).permutation(len(joined))
    dealt = np.split(joined[order], np.cumsum([len(b) for b in batches])[:-1])
    measure = _entropy if plan.classes else _variance
    expected = float(np.mean([measure(b) for b in dealt]))
    return float(np.mean([measure(b) for b in batches])) / expected if expected > 0 else 1.0


def _entropy(t: Array) -> float:
    labels = labels_of(t)
    counts = np.unique(labels, return_counts=True)[1] / len(labels)
    return float(-(counts * np.log(counts)).sum())


def _variance(t: Array) -> float:
    return float(t.var(dtype=np.float64))


def shorter(plan: Plan, steps: int) -> Plan:
    """Return the plan with fewer steps."""
    return replace(plan, steps=min(plan.steps, steps))
