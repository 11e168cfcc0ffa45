"""Optimizers and learning-rate schedules by name, as the command and ``fit`` take them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gyaku.base.errors import ArgumentError, DtypeError, UnknownNameError

# name -> (learning rate when none is given, takes momentum)
OPTIMIZERS: dict[str, tuple[float, bool]] = {
    "sgd": (0.1, True),
    "momentum": (0.05, True),
    "nesterov": (0.05, True),
    "adagrad": (0.01, False),
    "rmsprop": (0.001, True),
    "adam": (0.002, False),
    "adamw": (0.002, False),
    "nadam": (0.002, False),
    "radam": (0.002, False),
    "adadelta": (1.0, False),
}
_MOVING = ("lr", "betas", "momentum")  # what schedulers of single batches set
SCHEDULES = ("constant", "cosine", "onecycle", "step", "exponential", "plateau")
CLASSES = {
    "sgd": "SGD", "momentum": "SGD", "nesterov": "SGD", "adagrad": "Adagrad", "rmsprop": "RMSprop", "adam": "Adam",
    "adamw": "AdamW", "nadam": "NAdam", "radam": "RAdam", "adadelta": "Adadelta",
}  # fmt: skip


def make_optimizer(
    name: str,
    model: Any,
    *,
    lr: float | None = None,
    momentum: float | None = None,
    weight_decay: float | None = None,
    l1: float = 0.0,
    l2: float = 0.0,
) -> Any:
    """Return the optimizer ``name`` for the parameters of ``model``; weight decay acts on weights, not on biases.

    ``l1`` and ``l2`` are the lecture's α (S1 §9). Raises ``UnknownNameError`` ("did you mean") or ``ArgumentError``.
    """
    from gyaku import optim

    if name not in OPTIMIZERS:
        raise UnknownNameError("optimizer", name, OPTIMIZERS, what="optimizer")
    default_lr, takes_momentum = OPTIMIZERS[name]
    if momentum is not None and not takes_momentum:
        raise ArgumentError("optimizer", f"no momentum with {name!r}", f"momentum={momentum}", hint="leave it out")
    options: dict[str, Any] = {"lr": default_lr if lr is None else lr, "l1": l1, "l2": l2}
    if momentum is not None or name in ("momentum", "nesterov"):
        options["momentum"] = 0.9 if momentum is None else momentum
    if name == "nesterov":
        options["nesterov"] = True
    cls = getattr(optim, CLASSES[name])
    return cls(_groups(model, weight_decay, cls), **options)


def _groups(model: Any, weight_decay: float | None, cls: Any) -> Any:
    """Return the parameters: weights with decay in one group, biases, scales and shifts without in another."""
    if weight_decay is None:
        weight_decay = 0.01 if cls.__name__ == "AdamW" else 0.0
    params = [p for p in model.parameters() if p.requires_grad]
    if not weight_decay:
        return [{"params": params, "weight_decay": 0.0}]
    weights = [p for p in params if p.ndim >= 2]
    others = [p for p in params if p.ndim < 2]
    groups = [{"params": weights, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


class Schedule:
    """A learning-rate schedule as the loop drives it: ``after_batch`` and ``after_epoch``, and a state to save.

    ``cosine`` and ``onecycle`` move with every batch over ``total`` steps; ``step`` divides the rate by 10 after half
    and after three quarters of the epochs; ``exponential`` falls to a hundredth over all epochs; ``plateau`` halves
    when the watched loss has not fallen for 5 epochs. Any scheduler of ``optim.lr_scheduler`` is taken, too, and steps
    once an epoch.
    """

    def __init__(self, schedule: Any, optimizer: Any, epochs: int, batches: int) -> None:
        self.each_batch = schedule in ("cosine", "onecycle")
        self.watches = schedule == "plateau"
        if isinstance(schedule, str):
            self.inner = _make(schedule, optimizer, epochs, batches)
            return
        if not (callable(getattr(schedule, "step", None)) and callable(getattr(schedule, "state_dict", None))):
            expected = f"one of {', '.join(SCHEDULES)}, or an lr_scheduler"
            raise DtypeError("schedule", expected, type(schedule).__name__)
        if getattr(schedule, "optimizer", optimizer) is not optimizer:
            raise ArgumentError("schedule", "a scheduler of the optimizer in use", "one of another optimizer")
        self.inner, self.watches = schedule, type(schedule).__name__ == "ReduceLROnPlateau"

    def moved(self, steps: int, optimizer: Any) -> dict[tuple[int, str], Any]:
        """Move on by some steps of the optimizer; return what moved: {(group, name): value in each of these steps}."""
        places = [(i, n) for i, group in enumerate(optimizer.param_groups) for n in _MOVING if n in group]
        seen = []
        for _ in range(steps):
            seen.append([optimizer.param_groups[i][n] for i, n in places])
            self.after_batch()
        columns = zip(places, zip(*seen, strict=True), strict=True)
        return {place: np.array(values) for place, values in columns if any(v != values[0] for v in values)}

    def after_batch(self) -> None:
        """Move on by one step of the optimizer."""
        if self.each_batch:
            self.inner.step()

    def after_epoch(self, loss: float) -> None:
        """Move on by one epoch; ``loss`` is that of the dev part, or of train where there is none."""
        if self.inner is not None and not self.each_batch:
            self.inner.step(*([loss] if self.watches else []))

    def state_dict(self) -> dict[str, Any]:
        """Return what a resume needs."""
        return {} if self.inner is None else dict(self.inner.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from ``state_dict``."""
        if self.inner is not None:
            self.inner.load_state_dict(state)


def _make(name: str, optimizer: Any, epochs: int, batches: int) -> Any:
    from gyaku.optim import lr_scheduler as lrs

    group = optimizer.param_groups[0]
    rate, has_momentum = float(group["lr"]), "betas" in group or bool(group.get("momentum"))
    makers: dict[str, Callable[[], Any]] = {
        "constant": lambda: None,
        "cosine": lambda: lrs.CosineAnnealingLR(optimizer, epochs * batches),
        "onecycle": lambda: lrs.OneCycleLR(
            optimizer, rate, total_steps=epochs * batches + 1, cycle_momentum=has_momentum
        ),
        "step": lambda: lrs.MultiStepLR(optimizer, sorted({max(1, epochs // 2), max(1, epochs * 3 // 4)}), gamma=0.1),
        "exponential": lambda: lrs.ExponentialLR(optimizer, gamma=0.01 ** (1 / max(1, epochs))),
        "plateau": lambda: lrs.ReduceLROnPlateau(optimizer, factor=0.5, patience=5),
    }
    if name not in makers:
        raise UnknownNameError("schedule", name, SCHEDULES, what="schedule")
    return makers[name]()
