"""Schedules against their closed formulas; their state; their errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gyaku.core.tensor import Parameter, new_tensor
from gyaku.optim import SGD, Adagrad, Adam, Optimizer
from gyaku.optim import lr_scheduler as schedules


def optimizer(kind: Any = SGD, **options: Any) -> Optimizer:
    p, q = (Parameter(new_tensor(np.zeros(2))) for _ in range(2))
    return kind([{"params": [p]}, {"params": [q], "lr": 0.5}], lr=0.2, **options)


def half_cosine(share: float) -> float:
    return (1 + math.cos(math.pi * share)) / 2


def one_cycle(e: int) -> float:
    first, last = 0.3 * 101 - 1, 100
    if e <= first:
        return 0.7 + (0.7 / 25 - 0.7) * half_cosine(e / first)
    low = 0.7 / 25 / 1e4
    return low + (0.7 - low) * half_cosine((e - first) / (last - first))


Factor = Callable[[int], float]
TABLE: list[tuple[str, Callable[[Optimizer], Any], Factor]] = [
    ("StepLR", lambda o: schedules.StepLR(o, 7, 0.5), lambda e: 0.5 ** (e // 7)),
    (
        "MultiStepLR",
        lambda o: schedules.MultiStepLR(o, [9, 5, 5, 60], 0.5),
        lambda e: 0.5 ** sum(e >= m for m in (5, 5, 9, 60)),
    ),
    ("ConstantLR", lambda o: schedules.ConstantLR(o, 0.25, 20), lambda e: 0.25 if e < 20 else 1.0),
    ("LinearLR", lambda o: schedules.LinearLR(o, 0.1, 0.9, 30), lambda e: 0.1 + 0.8 * min(e, 30) / 30),
    ("LinearLR to zero", lambda o: schedules.LinearLR(o, 1.0, 0.0, 30), lambda e: 1 - min(e, 30) / 30),
    ("ExponentialLR", lambda o: schedules.ExponentialLR(o, 0.95), lambda e: 0.95**e),
    ("CosineAnnealingLR", lambda o: schedules.CosineAnnealingLR(o, 30), lambda e: half_cosine(e / 30)),
    (
        "CosineAnnealingWarmRestarts",
        lambda o: schedules.CosineAnnealingWarmRestarts(o, 10),
        lambda e: half_cosine((e % 10) / 10),
    ),
    (
        "CosineAnnealingWarmRestarts T_mult",
        lambda o: schedules.CosineAnnealingWarmRestarts(o, 20, 2),
        lambda e: half_cosine(e / 20 if e < 20 else (e - 20) / 40 if e < 60 else (e - 60) / 80),
    ),
    ("LambdaLR", lambda o: schedules.LambdaLR(o, lambda e: 1 / (1 + e)), lambda e: 1 / (1 + e)),
    (
        "SequentialLR",
        lambda o: schedules.SequentialLR(
            o, [schedules.LinearLR(o, 0.1, 1.0, 10), schedules.CosineAnnealingLR(o, 50)], [10]
        ),
        lambda e: 0.1 + 0.09 * e if e < 10 else half_cosine((e - 10) / 50),
    ),
]


@pytest.mark.parametrize(("make", "factor"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_closed_formula_over_100_steps(make: Callable[[Optimizer], Any], factor: Factor) -> None:
    o = optimizer()
    schedule = make(o)
    for e in range(100):
        expected = [0.2 * factor(e), 0.5 * factor(e)]
        assert [g["lr"] for g in o.param_groups] == pytest.approx(expected, rel=1e-11, abs=1e-15)
        assert schedule.get_last_lr() == [g["lr"] for g in o.param_groups]
        schedule.step()


@pytest.mark.parametrize(("make", "factor"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_resumes_exactly(make: Callable[[Optimizer], Any], factor: Factor) -> None:
    a, b = optimizer(), optimizer()
    first, second = make(a), make(b)
    for _ in range(37):
        first.step()
    b.load_state_dict(a.state_dict())
    second.load_state_dict(first.state_dict())
    for _ in range(40):
        first.step()
        second.step()
        assert [g["lr"] for g in a.param_groups] == [g["lr"] for g in b.param_groups]


def test_one_cycle_with_momentum() -> None:
    o = optimizer(momentum=0.9)
    schedule = schedules.OneCycleLR(o, 0.7, total_steps=101)
    for e in range(101):
        lr = one_cycle(e)
        assert o.param_groups[0]["lr"] == pytest.approx(lr, rel=1e-12)
        if e == 0:
            assert o.param_groups[0]["momentum"] == pytest.approx(0.95)
        schedule.step()
    assert o.param_groups[0]["momentum"] == pytest.approx(0.95, abs=2e-3)
    with pytest.raises(ValueError, match="at most 101 steps, got 102"):
        schedule.step()


def test_one_cycle_cycles_the_first_beta_of_adam_in_three_phases() -> None:
    o = optimizer(Adam)
    schedule = schedules.OneCycleLR(
        o, [1.0, 2.0], epochs=10, steps_per_epoch=10, pct_start=0.4, anneal_strategy="linear", three_phase=True
    )
    seen = []
    for _ in range(100):
        seen.append((o.param_groups[1]["lr"], o.param_groups[0]["betas"]))
        schedule.step()
    assert seen[0] == (2 / 25, (0.95, 0.999))
    assert seen[39][0] == pytest.approx(2.0) and seen[39][1][0] == pytest.approx(0.85)
    assert seen[78][0] == pytest.approx(2 / 25) and seen[78][1][0] == pytest.approx(0.95)
    assert seen[99][0] == pytest.approx(2 / 25 / 1e4) and seen[99][1] == (0.95, 0.999)


def test_two_schedules_multiply() -> None:
    o = optimizer()
    both = [schedules.ExponentialLR(o, 0.9), schedules.StepLR(o, 3, 0.5)]
    for _ in range(7):
        for s in both:
            s.step()
    assert o.param_groups[0]["lr"] == pytest.approx(0.2 * 0.9**7 * 0.25)


def test_warm_restarts_at_fractions_of_epochs() -> None:
    o = optimizer()
    schedule = schedules.CosineAnnealingWarmRestarts(o, 4, 2)
    schedule.step(6.5)
    assert o.param_groups[0]["lr"] == pytest.approx(0.2 * half_cosine(2.5 / 8))
    schedule.step(1.0)
    assert o.param_groups[0]["lr"] == pytest.approx(0.2 * half_cosine(1 / 4))


def test_plateau_waits_cools_down_and_stops_at_the_lowest_rate() -> None:
    o = optimizer()
    schedule = schedules.ReduceLROnPlateau(o, factor=0.5, patience=2, cooldown=1, min_lr=[0.06, 0.0])
    rates = []
    for metric in [1.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.4, 0.4]:
        schedule.step(metric)
        rates.append(o.param_groups[0]["lr"])
    # better, better, bad 1, bad 2, bad 3: halved; one cooling; bad 1, 2, 3: 0.05 is below the lowest 0.06; better
    assert rates == [0.2] * 4 + [0.1] * 4 + [0.06] * 3
    assert o.param_groups[1]["lr"] == 0.125 and schedule.best == 0.4


def test_plateau_of_an_accuracy() -> None:
    o = optimizer()
    schedule = schedules.ReduceLROnPlateau(o, mode="max", patience=0, threshold=0.01, threshold_mode="abs")
    for metric in (0.5, 0.52, 0.525):
        schedule.step(new_tensor(np.array(metric)))  # type: ignore[arg-type]
    assert o.param_groups[0]["lr"] == pytest.approx(0.02)


def test_goes_on_from_an_epoch() -> None:
    o = optimizer()
    with pytest.raises(ValueError, match="'initial_lr' in group 0 to go on from epoch 4, got none"):
        schedules.StepLR(o, 3, last_epoch=4)
    for g in o.param_groups:
        g["initial_lr"] = 1.0
    schedule = schedules.ExponentialLR(o, 0.5, last_epoch=4)
    assert (schedule.last_epoch, schedule.get_last_lr()) == (5, [0.2, 0.5])


MISUSES: list[tuple[Any, type[Exception], str]] = [
    (lambda: schedules.StepLR(Parameter(), 3), TypeError, "StepLR: expected an optimizer, got Parameter."),  # type: ignore[arg-type]
    (lambda: schedules.StepLR(optimizer(), 0), ValueError, "StepLR: expected step_size, a whole number >= 1, got 0."),
    (lambda: schedules.LinearLR(optimizer(), 0.0), ValueError, "LinearLR: expected 0 < start_factor <= 1, got 0.0."),
    (
        lambda: schedules.OneCycleLR(optimizer(), 0.1),
        ValueError,
        "OneCycleLR: expected total_steps, or epochs and steps_per_epoch, got neither.",
    ),
    (
        lambda: schedules.OneCycleLR(optimizer(), [0.1], 10),
        ValueError,
        "lr_scheduler: expected max_lr for each of 2 groups, got 1 values.",
    ),
    (
        lambda: schedules.OneCycleLR(optimizer(Adagrad), 0.1, 10),
        ValueError,
        "OneCycleLR: expected an optimizer with momentum or betas, got Adagrad. Hint: pass cycle_momentum=False.",
    ),
    (
        lambda: schedules.OneCycleLR(optimizer(), 0.1, 10, anneal_strategy="cosine"),
        AttributeError,
        "OneCycleLR: expected a known anneal_strategy (cos, linear), got 'cosine'. Hint: did you mean 'cos'?",
    ),
    (
        lambda: schedules.ReduceLROnPlateau(optimizer(), mode="minn"),
        AttributeError,
        "ReduceLROnPlateau: expected a known mode (max, min), got 'minn'. Hint: did you mean 'min'?",
    ),
    (
        lambda: schedules.ReduceLROnPlateau(optimizer(), factor=1.0),
        ValueError,
        "ReduceLROnPlateau: expected 0 <= factor < 1, got 1.0.",
    ),
    (
        lambda: schedules.SequentialLR(o := optimizer(), [schedules.StepLR(o, 1)], [3]),
        ValueError,
        "SequentialLR: expected one milestone fewer than schedules, got 1 schedules and 1 milestones.",
    ),
    (
        lambda: schedules.SequentialLR(optimizer(), [schedules.StepLR(optimizer(), 1)], []),
        ValueError,
        "SequentialLR: expected schedules of this optimizer that step without a metric, got StepLR.",
    ),
]


@pytest.mark.parametrize(("build", "kind", "message"), MISUSES, ids=[m[2][:40] for m in MISUSES])
def test_misuse_gives_one_clear_message(build: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as caught:
        build()
    assert str(caught.value) == message
