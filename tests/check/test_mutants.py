"""Proof of the check: it catches every wrong backward, names the mistake of most, and refuses no right one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from check.mutants import HELD, OPEN, RIGHTS, class_of
from check.mutants.base import Right
from check.mutants.effect import effect
from check.mutants.proof import checked, outcome, rate, table
from gyaku import check, layers
from gyaku.check.causes import CAUSES

MUTANTS = OPEN + HELD
HARD = ("values of an earlier forward", "gradients share memory", "sign of one term")
# Every third one; `python -m benchmarks check_proof` takes all of them.
SOME = [m for i, m in enumerate(MUTANTS) if i % 3 == 0 or m.kind in HARD]
HELD_NAMED = 0.80  # measured when the check was finished; tuning on these kinds would make the proof worthless
pytestmark = pytest.mark.slow


def test_there_are_enough_of_them_and_half_of_the_kinds_are_kept_apart() -> None:
    shown, held = {m.kind for m in OPEN}, {m.kind for m in HELD}
    assert len(MUTANTS) >= 300 and len({m.id for m in MUTANTS}) == len(MUTANTS)
    assert len(held) >= len(shown) and not shown & held
    assert len(RIGHTS) >= 60
    assert {c for m in MUTANTS for c in m.causes} <= set(CAUSES)


def test_mutants_change_a_gradient() -> None:
    assert [m.id for m in SOME if not effect(class_of(m), RIGHTS[m.right]) > 1e-6] == []


@pytest.mark.timeout(300)
def test_mutants_are_caught_and_the_likely_mistake_named(capsys: pytest.CaptureFixture[str]) -> None:
    outcomes = [outcome(m) for m in SOME]
    with capsys.disabled():
        print("\n" + table(outcomes))
    assert [o.mutant.id for o in outcomes if not o.caught] == []
    assert rate(outcomes) >= 0.80
    assert rate([o for o in outcomes if o.mutant.held]) >= HELD_NAMED


@pytest.mark.parametrize("right", RIGHTS.values(), ids=RIGHTS)
def test_no_right_layer_is_refused(right: Right) -> None:
    for dims in right.family.dims:
        result = checked(right.cls, right, dims)
        assert result.ok, f"{dims}: {result}"


def of_the_room() -> list[tuple[Any, tuple[Any, ...]]]:
    rng = np.random.default_rng(1)
    x, classes = rng.normal(size=(5, 4)), rng.integers(0, 4, 5)
    return [
        (layers.Affine(rng.normal(size=(4, 3)), rng.normal(size=3)), (x,)),
        (layers.Sigmoid(), (x,)),
        (layers.ReLU(), (x,)),
        (layers.Tanh(), (x,)),
        (layers.LeakyReLU(), (x,)),
        (layers.BatchNorm(rng.uniform(0.5, 2, 4), rng.normal(size=4)), (x,)),
        (layers.Dropout(0.4), (x,)),
        (layers.RegressionLoss(), (x, rng.normal(size=(5, 4)))),
        (layers.SigmoidWithLoss(), (x, rng.integers(0, 2, (5, 4)).astype(float))),
        (layers.SoftmaxWithLoss(), (x, np.eye(4)[classes])),
        (layers.SoftmaxWithLoss(), (x, classes)),
    ]


@pytest.mark.parametrize(("layer", "inputs"), of_the_room(), ids=lambda v: type(v).__name__)
def test_our_own_layers_are_right(layer: Any, inputs: tuple[Any, ...]) -> None:
    result = check.layer(layer, *inputs)
    assert result.ok, str(result)
