"""Each pass on small programs: what goes, what must stay, and the check that follows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gyaku as gy
from gyaku.base.errors import GraphError
from gyaku.compiler.interpret import Executable
from gyaku.compiler.passes import optimized
from gyaku.compiler.program import Equation, Program, Var


def both(function: Any, *arrays: Any) -> tuple[Program, Program]:
    """Return the program of a function before and behind the passes, which give the same bits."""
    step = gy.compile(function, runner="interpret")
    tensors = [gy.tensor(a) for a in arrays]
    before, behind = step.program(*tensors, before=True), step.program(*tensors)
    for p in (before, behind):
        p.check()
    first, second = ([np.asarray(y) for y in Executable(p).run(list(arrays))] for p in (before, behind))
    assert all(a.tobytes() == b.tobytes() and a.dtype == b.dtype for a, b in zip(first, second, strict=True))
    return before, behind


def ops(p: Program) -> list[str]:
    return [e.op for e in p.equations]


X = np.array([[1.5, -0.0, 3.0], [np.inf, np.nan, -2.0]], np.float32)


@pytest.mark.parametrize(
    ("function", "left"),
    [
        (lambda x: (x * 1.0) / 1 - 0.0 + x.exp(), ["exp", "add"]),
        (lambda x: x.T.T.clone().exp(), ["exp"]),
        (lambda x: x.permute(1, 0).reshape(3, 2).reshape(6).exp(), ["transpose", "reshape", "exp"]),
        (lambda x: x.neg().neg() + 1, ["add"]),
        (lambda x: x.sin() + x.sin(), ["sin", "add"]),
        (lambda x: x + 0.0, ["add"]),  # -0 + 0 is 0
        (lambda x: x * 0.0, ["multiply"]),  # NaN stays NaN
    ],
)
def test_what_is_left(function: Any, left: list[str]) -> None:
    before, behind = both(function, X)
    assert len(behind) <= len(before)
    assert ops(behind) == left


def test_a_subexpression_is_computed_once() -> None:
    _, behind = both(lambda x: (x.exp() + 1).log() * (x.exp() + 1).sqrt(), np.abs(X))
    assert ops(behind).count("exp") == 1 and ops(behind).count("add") == 1


def test_the_gradient_of_a_mean_is_a_number() -> None:
    step = gy.compile(lambda x: gy.autograd.grad(((x * w) ** 2).mean(), w)[0], runner="interpret")
    w = gy.ones(2, 3, requires_grad=True)
    assert "full" in ops(step.program(gy.tensor(X), before=True))
    assert "full" not in ops(step.program(gy.tensor(X)))


def test_outputs_stay_apart() -> None:
    before, behind = both(lambda x: (x.exp(), x.exp(), x * 1.0, x.detach()), X)
    assert len(behind.outputs) == 4 and len(set(behind.outputs)) >= 3 and len(behind) <= len(before)


def test_unused_state_is_no_input() -> None:
    a, b = gy.nn.Linear(3, 2), gy.nn.Linear(3, 2)
    step = gy.compile(lambda x: (a(x), b(x))[0], runner="interpret")
    assert len(step.program(gy.tensor(X)).inputs) == 3


def test_the_check_sees_wrong_programs() -> None:
    x, y, z = Var(0, (2, 3), np.float32), Var(1, (2, 3), np.float32), Var(2, (3, 2), np.float32)
    Program([x], [Equation("exp", (x,), (), (y,))], [y], [None]).check()
    wrong = [
        Program([x], [Equation("exp", (x,), (), (z,))], [z], [None]),
        Program([x], [Equation("exp", (y,), (), (y,))], [y], [None]),
        Program([x], [], [y], [None]),
        Program([x], [Equation("exp", (x,), (), (y,)), Equation("exp", (x,), (), (y,))], [y], [None]),
        Program([x], [Equation("nothing", (x,), (), (y,))], [y], [None]),
    ]
    for p in wrong:
        with pytest.raises(GraphError):
            p.check()


def test_passes_may_be_run_twice() -> None:
    _, behind = both(lambda x: (x.sigmoid() * 2).sum(0), X)
    again = optimized(behind)
    assert ops(again) == ops(behind)
