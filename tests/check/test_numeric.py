"""Numerical derivatives: exact to ten digits, and what spoils them is noticed."""

from __future__ import annotations

import numpy as np
import pytest

from gyaku.check.edits import built, parsed, text_of
from gyaku.check.numeric import jacobian, rounds_coarsely

X = np.random.RandomState(1).normal(size=(2, 3))


def test_the_jacobian_is_right_to_ten_digits() -> None:
    found = jacobian(lambda a: np.tanh(a["x"]).reshape(-1), {"x": X}, "x")
    exact = np.diag(1 - np.tanh(X.reshape(-1)) ** 2)
    assert np.abs(found.values - exact).max() < 1e-10 and not found.kink.any()
    assert (np.abs(found.values - exact) <= found.error + 1e-11).all()


@pytest.mark.parametrize("at", [0.0, 1e-4, -8e-4])
def test_a_kink_is_noticed_at_and_near_it(at: float) -> None:
    x = np.array([at, 1.0, -1.0])
    assert jacobian(lambda a: np.maximum(a["x"], 0), {"x": x}, "x").kink.tolist() == [True, False, False]


def test_a_steep_but_smooth_function_has_no_kink() -> None:
    assert not jacobian(lambda a: np.sin(3 * a["x"]), {"x": X.reshape(-1)}, "x").kink.any()


def test_an_empty_array_has_an_empty_jacobian() -> None:
    assert jacobian(lambda a: a["y"], {"x": np.zeros((0, 3)), "y": X.reshape(-1)}, "x").values.shape == (6, 0)


@pytest.mark.parametrize(("kind", "expected"), [(np.float32, True), (np.float64, False)])
def test_rounding_to_float32_is_noticed(kind: type, expected: bool) -> None:
    assert rounds_coarsely(lambda a: np.exp(a["x"].astype(kind)).astype(float).reshape(-1), {"x": X}, ["x"]) is expected


def test_an_expression_is_put_into_a_form() -> None:
    assert text_of(built("E / len(D)", E=parsed("a + b"), D=parsed("dout"))) == "(a + b) / len(dout)"
