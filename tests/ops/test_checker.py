"""The checker of derivatives catches slightly wrong ones, and refuses no right one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradient_check import AtKink, WrongDerivative, check_gradient, check_kink, check_second
from gyaku.core.op import REGISTRY, Op, apply, register

rng = np.random.default_rng(3)
X, Y, SQUARE = rng.normal(size=(3, 4)), rng.normal(size=4), rng.normal(size=(3, 3))
LARGE = rng.normal(size=(30, 7))


def rule(
    forward: Callable[..., Any], backward: Callable[..., Any], *, keep: str, inputs: int = 1
) -> Callable[..., Any]:
    """Return a function of tensors with this rule."""

    class Rule(Op):
        def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
            return backward(xp, saved, gy)

    class TestOne(Rule):
        def forward(self, xp: Any, a: Any) -> Any:
            return forward(xp, a)

    class TestTwo(Rule):
        def forward(self, xp: Any, a: Any, b: Any) -> Any:
            return forward(xp, a, b)

    chosen = TestOne if inputs == 1 else TestTwo
    chosen.keep = keep
    before = dict(REGISTRY)
    register(chosen)
    REGISTRY.clear()
    REGISTRY.update(before)  # a rule of this file must not look like one of the package
    return lambda *x: apply(chosen(), *x)


def cube(backward: Callable[..., Any]) -> Callable[..., Any]:
    return rule(lambda xp, a: a * a * a, backward, keep="a")


def right(xp: Any, saved: Any, gy: Any) -> Any:
    return gy * 3 * saved[0] * saved[0]


def one_off(xp: Any, saved: Any, gy: Any) -> Any:
    g = right(xp, saved, gy)
    return g + 1e-3 * (np.arange(g.size).reshape(g.shape) == g.size - 1)


WRONG: dict[str, tuple[Callable[..., Any], list[Any]]] = {
    "factor 1.0005": (cube(lambda xp, s, gy: 1.0005 * right(xp, s, gy)), [X]),
    "factor 1.0005, large": (cube(lambda xp, s, gy: 1.0005 * right(xp, s, gy)), [LARGE]),
    "sign": (cube(lambda xp, s, gy: -right(xp, s, gy)), [X]),
    "transposed": (cube(lambda xp, s, gy: right(xp, s, gy).T.copy()), [SQUARE]),
    "one element off": (cube(one_off), [X]),
    "one element off, large": (cube(one_off), [LARGE]),
    "permuted": (cube(lambda xp, s, gy: right(xp, s, gy)[::-1]), [X]),
    "permuted, large": (cube(lambda xp, s, gy: np.roll(right(xp, s, gy), 1, axis=1)), [LARGE]),
    "incoming gradient forgotten": (cube(lambda xp, s, gy: 3 * s[0] * s[0]), [X]),
    "zero": (cube(lambda xp, s, gy: 0 * gy), [X]),
    "nan": (cube(lambda xp, s, gy: np.nan * gy), [X]),
    "saved the wrong input": (
        rule(lambda xp, a, b: a * b, lambda xp, s, gy: (gy * s[0], gy * s[1]), keep="a b", inputs=2),
        [X, X + 1],
    ),
    "missing sum over a broadcast axis": (
        rule(lambda xp, a, b: a * b, lambda xp, s, gy: (gy * s[1], (gy * s[0])[0]), keep="a b", inputs=2),
        [X, Y],
    ),
    "mean for sum over a broadcast axis": (
        rule(lambda xp, a, b: a + b, lambda xp, s, gy: (gy, gy.mean(axis=0)), keep="", inputs=2),
        [X, Y],
    ),
    "missing for one input": (
        rule(lambda xp, a, b: a * b, lambda xp, s, gy: (gy * s[1], None), keep="a b", inputs=2),
        [X, X + 1],
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_derivative_is_caught(name: str) -> None:
    function, arrays = WRONG[name]
    with pytest.raises(WrongDerivative):
        check_gradient(function, arrays)


@pytest.mark.parametrize("arrays", [[X], [LARGE], [SQUARE], [np.array(1.5)], [np.zeros((0, 3))], [X.T]])
def test_a_right_derivative_is_accepted(arrays: list[Any]) -> None:
    check_gradient(cube(right), arrays)
    check_second(cube(right), arrays)


@pytest.mark.parametrize("seed", range(20))
def test_a_right_derivative_is_accepted_whatever_the_weights(seed: int) -> None:
    product = rule(lambda xp, a, b: a * b, lambda xp, s, gy: (gy * s[1], gy * s[0]), keep="a b", inputs=2)
    check_gradient(product, [X, Y], seed=seed)
    check_second(product, [X, Y], seed=seed)


SECOND = {
    "a constant where the value is needed": lambda xp, s, gy: (
        gy * (3 * s[0].detach() * s[0]) if hasattr(s[0], "detach") else right(xp, s, gy)
    ),
    "factor 1.0005 in the recorded rule only": lambda xp, s, gy: (
        right(xp, s, gy) * (1.0005 if hasattr(gy, "grad") else 1)
    ),
    "incoming gradient cut off": lambda xp, s, gy: right(xp, s, gy.detach() if hasattr(gy, "detach") else gy),
}


@pytest.mark.parametrize("name", SECOND)
def test_a_wrong_second_derivative_is_caught(name: str) -> None:
    with pytest.raises(AssertionError):
        check_second(cube(SECOND[name]), [X])


def maximum(share: float) -> Callable[..., Any]:
    """Return max(a, b) whose first input gets ``share`` of the gradient at a tie."""

    def backward(xp: Any, s: Any, gy: Any) -> Any:
        a, b = s
        to_a = (a > b) + share * (a == b)
        return gy * to_a, gy * (1 - to_a)

    return rule(lambda xp, a, b: xp.maximum(a, b), backward, keep="a b", inputs=2)


def test_a_wrong_tie_is_caught() -> None:
    tie = [np.array([1.0, 2.0, 3.0]), np.array([1.0, 5.0, 0.0])]
    declared = [[0.5, 0.0, 1.0], [0.5, 1.0, 0.0]]
    check_kink(maximum(0.5), tie, declared)
    with pytest.raises(WrongDerivative, match="at the kink"):
        check_kink(maximum(1.0), tie, declared)


def test_a_kink_is_refused_not_judged() -> None:
    with pytest.raises(AtKink):
        check_gradient(maximum(0.5), [np.array([1.0, 2.0]), np.array([1.0, 5.0])])
