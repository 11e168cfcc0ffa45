"""Learning-rate schedules under PyTorch's names; call ``step()`` after the optimizer's (S1 §6: lower the rate midway).

Each schedule changes ``group["lr"]`` of its optimizer. The multiplying ones (StepLR, MultiStepLR, ExponentialLR,
LinearLR, ConstantLR, CosineAnnealingLR) go on from the present rate, so several may act on one optimizer.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from gyaku.base.errors import ArgumentError, DtypeError, UnknownNameError
from gyaku.optim.optimizer import Optimizer

Rates = list[float]


class LRScheduler:
    """Base of the schedules: ``last_epoch`` counts steps from 0; a subclass answers ``get_lr()``.

    ``last_epoch=-1`` starts anew and notes each group's rate as ``initial_lr``; another number goes on from there.
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self.optimizer = _checked(type(self).__name__, optimizer)
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", float(group["lr"]))
            elif "initial_lr" not in group:
                raise ArgumentError(
                    type(self).__name__,
                    f"'initial_lr' in group {i} to go on from epoch {last_epoch}",
                    "none",
                    hint="load the optimizer's state_dict first",
                )
        self.base_lrs: Rates = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._begin()

    def _begin(self) -> None:
        """Take the step to epoch 0; a schedule that goes on keeps the present rate."""
        self.last_epoch += 1
        self._assign(self.get_lr() if self.last_epoch == 0 else self._lrs())

    def _restart(self) -> None:
        """Begin again at epoch 0 from the initial rates."""
        self.last_epoch = 0
        self._assign(self.base_lrs)
        self._assign(self.get_lr())

    def _lrs(self) -> Rates:
        return [float(group["lr"]) for group in self.optimizer.param_groups]

    def _assign(self, rates: Sequence[float]) -> None:
        for group, lr in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = lr
        self._last_lr: Rates = self._lrs()

    def get_lr(self) -> Rates:
        """Return the rate of each group for epoch ``last_epoch``."""
        raise NotImplementedError

    def get_last_lr(self) -> Rates:
        """Return the rates set by the last step."""
        return self._last_lr

    def step(self) -> None:
        """Go on by one epoch (or batch, if you call it so) and set the rates."""
        self.last_epoch += 1
        self._assign(self.get_lr())

    def state_dict(self) -> dict[str, Any]:
        """Return everything but the optimizer and functions: numbers, strings and lists."""
        return {name: value for name, value in self.__dict__.items() if name not in ("optimizer", "lr_lambdas")}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where ``state_dict`` was taken (the optimizer's own state_dict brings the rates)."""
        unknown = [name for name in state_dict if name not in self.__dict__]
        if unknown:
            raise UnknownNameError(f"{type(self).__name__}.load_state_dict", unknown[0], self.__dict__, what="entry")
        self.__dict__.update(state_dict)


class _Multiplying(LRScheduler):
    """A schedule that multiplies the present rate by ``ratio()``."""

    def ratio(self) -> float:
        """Return what the rate is multiplied by on arriving at ``last_epoch``."""
        raise NotImplementedError

    def get_lr(self) -> Rates:
        """Return the present rates times ``ratio()``."""
        ratio = self.ratio()
        return [lr * ratio for lr in self._lrs()]


class StepLR(_Multiplying):
    """Multiplies the rate by ``gamma`` every ``step_size`` epochs."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size, self.gamma = _positive("StepLR", "step_size", step_size), gamma
        super().__init__(optimizer, last_epoch)

    def ratio(self) -> float:
        """Return gamma at multiples of step_size, else 1."""
        return self.gamma if self.last_epoch and self.last_epoch % self.step_size == 0 else 1.0


class MultiStepLR(_Multiplying):
    """Multiplies the rate by ``gamma`` at each epoch of ``milestones``."""

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def ratio(self) -> float:
        """Return gamma at a milestone, else 1."""
        return float(self.gamma ** self.milestones.count(self.last_epoch))


class ConstantLR(_Multiplying):
    """Multiplies the rate by ``factor`` until epoch ``total_iters``."""

    def __init__(self, optimizer: Optimizer, factor: float = 1 / 3, total_iters: int = 5, last_epoch: int = -1) -> None:
        self.factor, self.total_iters = _fraction("ConstantLR", "factor", factor), total_iters
        super().__init__(optimizer, last_epoch)

    def ratio(self) -> float:
        """Return factor at the start, its inverse at the end, else 1."""
        return self.factor if self.last_epoch == 0 else 1 / self.factor if self.last_epoch == self.total_iters else 1.0


class LinearLR(_Multiplying):
    """Takes the factor on the rate linearly from ``start_factor`` to ``end_factor`` over ``total_iters`` epochs."""

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        self.start_factor = _fraction("LinearLR", "start_factor", start_factor)
        self.end_factor = _fraction("LinearLR", "end_factor", end_factor, zero=True)
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def ratio(self) -> float:
        """Return the quotient of this epoch's factor and the last one's."""
        if self.last_epoch == 0:
            return self.start_factor
        if self.last_epoch > self.total_iters:
            return 1.0
        rise = self.end_factor - self.start_factor
        return 1 + rise / (self.total_iters * self.start_factor + (self.last_epoch - 1) * rise)


class ExponentialLR(_Multiplying):
    """Multiplies the rate by ``gamma`` every epoch."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def ratio(self) -> float:
        """Return gamma, but 1 at the start."""
        return self.gamma if self.last_epoch else 1.0


class CosineAnnealingLR(LRScheduler):
    """λ = η_min + ½(λ0 - η_min)(1 + cos(π epoch / T_max)) (Loshchilov and Hutter 2017), as a recurrence on λ."""

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max, self.eta_min = _positive("CosineAnnealingLR", "T_max", T_max), eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> Rates:
        """Return the rates moved along the cosine by one epoch."""
        now, low, T = self.last_epoch, self.eta_min, self.T_max
        if now == 0:
            return self._lrs()
        if (now - 1 - T) % (2 * T) == 0:  # just past the minimum, where the quotient below is 0/0
            return [lr + (base - low) * _half_cosine(T - 1, T) for lr, base in zip(self._lrs(), self.base_lrs)]
        ratio = (1 + math.cos(math.pi * now / T)) / (1 + math.cos(math.pi * (now - 1) / T))
        return [low + ratio * (lr - low) for lr in self._lrs()]


class CosineAnnealingWarmRestarts(LRScheduler):
    """Falls along half a cosine over T_0 epochs, jumps back, and again over T_mult times as many."""

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        self.T_0 = self.T_i = _positive("CosineAnnealingWarmRestarts", "T_0", T_0)
        self.T_mult = _positive("CosineAnnealingWarmRestarts", "T_mult", T_mult)
        self.eta_min, self.T_cur = eta_min, float(max(last_epoch + 1, 0))
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> Rates:
        """Return the rates at ``T_cur`` of a period of ``T_i`` epochs."""
        share = _half_cosine(self.T_cur, self.T_i)
        return [self.eta_min + (base - self.eta_min) * share for base in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """Go on by one epoch, or to ``epoch``, which may be fractional (epoch + batch / batches)."""
        if epoch is not None and epoch < 0:
            raise ArgumentError("CosineAnnealingWarmRestarts.step", "epoch >= 0", str(epoch))
        if epoch is None:
            self.T_cur += 1
            self.last_epoch += 1
        else:
            self.T_i, self.T_cur, self.last_epoch = self.T_0, float(epoch), math.floor(epoch)
        while self.T_cur >= self.T_i:
            self.T_cur -= self.T_i
            self.T_i *= self.T_mult
        self._assign(self.get_lr())


class OneCycleLR(LRScheduler):
    """Rises from max_lr/div_factor to max_lr, then falls to a final_div_factor-th of the start, once (Smith 2018).

    Step it after every batch. The momentum (or β1) goes the other way, between ``max_momentum`` and ``base_momentum``.
    ``three_phase`` falls back to the start first and then to the end.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        groups = _checked("OneCycleLR", optimizer).param_groups
        if total_steps is None and (epochs is None or steps_per_epoch is None):
            raise ArgumentError("OneCycleLR", "total_steps, or epochs and steps_per_epoch", "neither")
        total = total_steps if total_steps is not None else (epochs or 0) * (steps_per_epoch or 0)
        self.total_steps = _positive("OneCycleLR", "total_steps", total)
        if anneal_strategy not in ("cos", "linear"):
            raise UnknownNameError("OneCycleLR", anneal_strategy, ("cos", "linear"), what="anneal_strategy")
        if cycle_momentum and not {"momentum", "betas"} & set(optimizer.defaults):
            raise ArgumentError(
                "OneCycleLR",
                "an optimizer with momentum or betas",
                type(optimizer).__name__,
                hint="pass cycle_momentum=False",
            )
        self.anneal_strategy, self.cycle_momentum = anneal_strategy, cycle_momentum
        first = _fraction("OneCycleLR", "pct_start", pct_start, zero=True) * self.total_steps - 1
        self.ends = [first, 2 * first, self.total_steps - 1] if three_phase else [first, self.total_steps - 1]
        tops = _per_group("max_lr", max_lr, groups)
        starts = [top / div_factor for top in tops]
        middle = [starts] if three_phase else []
        self.rates = [starts, tops, *middle, [start / final_div_factor for start in starts]]
        low = _per_group("base_momentum", base_momentum, groups)
        high = _per_group("max_momentum", max_momentum, groups)
        self.momenta = [high, low, high, *([high] if three_phase else [])]
        if last_epoch == -1:
            for group, start in zip(groups, starts):
                group["initial_lr"] = start
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> Rates:
        """Return the rates of this step, and set the momentum that belongs to it."""
        if self.last_epoch > self.total_steps:
            raise ArgumentError(
                "OneCycleLR.step",
                f"at most {self.total_steps} steps",
                str(self.last_epoch),
                hint="give the true total_steps",
            )
        phase = next((i for i, end in enumerate(self.ends) if self.last_epoch <= end), len(self.ends) - 1)
        begin = self.ends[phase - 1] if phase else 0.0
        share = (self.last_epoch - begin) / (self.ends[phase] - begin)
        if self.cycle_momentum:
            self._set_momenta(self._between(self.momenta, phase, share))
        return self._between(self.rates, phase, share)

    def _between(self, marks: list[Rates], phase: int, share: float) -> Rates:
        if self.anneal_strategy == "linear":
            return [a + (b - a) * share for a, b in zip(marks[phase], marks[phase + 1])]
        return [b + (a - b) * _half_cosine(share, 1) for a, b in zip(marks[phase], marks[phase + 1])]

    def _set_momenta(self, momenta: Rates) -> None:
        for group, momentum in zip(self.optimizer.param_groups, momenta):
            if "betas" in group:
                group["betas"] = (momentum, *group["betas"][1:])
            else:
                group["momentum"] = momentum


class LambdaLR(LRScheduler):
    """Sets the rate to the initial one times ``lr_lambda(epoch)`` (one function, or one per group)."""

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        groups = _checked("LambdaLR", optimizer).param_groups
        self.lr_lambdas = _per_group("lr_lambda", lr_lambda, groups)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> Rates:
        """Return initial rates times the functions' values."""
        return [base * f(self.last_epoch) for base, f in zip(self.base_lrs, self.lr_lambdas)]


class SequentialLR(LRScheduler):
    """Runs one schedule after the other; schedule i + 1 begins (at its epoch 0) at ``milestones[i]``."""

    def __init__(
        self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int], last_epoch: int = -1
    ) -> None:
        self.optimizer = _checked("SequentialLR", optimizer)
        if not schedulers or len(milestones) != len(schedulers) - 1:
            raise ArgumentError(
                "SequentialLR",
                "one milestone fewer than schedules",
                f"{len(schedulers)} schedules and {len(milestones)} milestones",
            )
        for s in schedulers:
            if isinstance(s, ReduceLROnPlateau) or s.optimizer is not optimizer:
                raise ArgumentError(
                    "SequentialLR", "schedules of this optimizer that step without a metric", type(s).__name__
                )
        self._schedulers, self._milestones = list(schedulers), list(milestones)
        self.last_epoch = last_epoch + 1
        for s in self._schedulers:
            s.last_epoch = -1
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        self._active()._begin()
        self._last_lr = self._lrs()

    def _active(self) -> LRScheduler:
        return self._schedulers[bisect_right(self._milestones, self.last_epoch)]

    def step(self) -> None:
        """Go on by one epoch of the schedule whose turn it is."""
        self.last_epoch += 1
        if self.last_epoch in self._milestones:
            self._active()._restart()
        else:
            self._active().step()
        self._last_lr = self._lrs()

    def state_dict(self) -> dict[str, Any]:
        """Return the state with those of the schedules inside."""
        return {**super().state_dict(), "_schedulers": [s.state_dict() for s in self._schedulers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where ``state_dict`` was taken, with schedules of the same kinds."""
        for s, state in zip(self._schedulers, state_dict["_schedulers"], strict=True):
            s.load_state_dict(state)
        super().load_state_dict({k: v for k, v in state_dict.items() if k != "_schedulers"})


class ReduceLROnPlateau(LRScheduler):
    """Multiplies the rate by ``factor`` when a metric has not improved for more than ``patience`` epochs.

    ``threshold`` says what counts as better: relative (best·(1 ∓ threshold)) or absolute. After a change, ``cooldown``
    epochs count no bad ones. A change of at most ``eps`` is left out. Call ``step(metric)``.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0,
        eps: float = 1e-8,
    ) -> None:
        self.optimizer = _checked("ReduceLROnPlateau", optimizer)
        for what, given, known in (("mode", mode, ("min", "max")), ("threshold_mode", threshold_mode, ("rel", "abs"))):
            if given not in known:
                raise UnknownNameError("ReduceLROnPlateau", given, known, what=what)
        if not 0 <= factor < 1:
            raise ArgumentError("ReduceLROnPlateau", "0 <= factor < 1", str(factor))
        self.mode, self.factor, self.patience, self.cooldown, self.eps = mode, factor, patience, cooldown, eps
        self.threshold, self.threshold_mode = threshold, threshold_mode
        self.min_lrs = _per_group("min_lr", min_lr, optimizer.param_groups)
        self.best = math.inf if mode == "min" else -math.inf
        self.cooldown_counter = self.num_bad_epochs = self.last_epoch = 0
        self._last_lr = self._lrs()

    def _is_better(self, metric: float) -> bool:
        sign = 1 if self.mode == "min" else -1
        if self.threshold_mode == "abs":
            return sign * metric < sign * self.best - self.threshold
        return sign * metric < sign * (self.best * (1 - sign * self.threshold))

    def step(self, metrics: float) -> None:  # type: ignore[override]
        """Look at the metric of one epoch (a number or a one-element tensor) and lower the rate if it stalls."""
        metric = float(metrics)
        self.last_epoch += 1
        if self._is_better(metric):
            self.best, self.num_bad_epochs = metric, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown_counter - 1, 0
        if self.num_bad_epochs > self.patience:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
            lowered = [max(lr * self.factor, low) for lr, low in zip(self._lrs(), self.min_lrs)]
            self._assign([new if lr - new > self.eps else lr for lr, new in zip(self._lrs(), lowered)])


def _half_cosine(t: float, period: float) -> float:
    """Return ½(1 + cos(π t / period)): 1 at 0, 0 at ``period``."""
    return (1 + math.cos(math.pi * t / period)) / 2


def _checked(name: str, optimizer: Any) -> Optimizer:
    if not isinstance(optimizer, Optimizer):
        raise DtypeError(name, "an optimizer", type(optimizer).__name__)
    return optimizer


def _positive(name: str, what: str, value: Any) -> int:
    if not isinstance(value, int) or value < 1:
        raise ArgumentError(name, f"{what}, a whole number >= 1", repr(value))
    return value


def _fraction(name: str, what: str, value: float, *, zero: bool = False) -> float:
    if not (0 <= value <= 1) or (value == 0 and not zero):
        raise ArgumentError(name, f"0 {'<=' if zero else '<'} {what} <= 1", repr(value))
    return value


def _per_group(name: str, value: Any, groups: list[Any]) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        return [value] * len(groups)
    if len(value) != len(groups):
        raise ArgumentError("lr_scheduler", f"{name} for each of {len(groups)} groups", f"{len(value)} values")
    return list(value)
