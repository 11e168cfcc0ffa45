"""The cost of numerical differentiation: numbers, claims that do not hang on the machine, and both pictures."""

from __future__ import annotations

import numpy as np
import pytest

from gyaku.figures import numeric_cost

pytest.importorskip("threadpoolctl")  # here, not inside a test: its import sets an environment variable
pytest.importorskip("matplotlib_fontja")
from figures.quick import assert_draws_in_both_languages, assert_finite_with_claims, outcome


def test_numbers_and_claims() -> None:
    assert_finite_with_claims("numeric_cost", 4)
    data, claims = outcome("numeric_cost").data, outcome("numeric_cost").claims
    assert claims[0].held and claims[3].held  # the other two are times
    assert data["parameters"].tolist() == [25.0, 97.0, 385.0]
    assert data["numerical"][-1] > 5 * data["backward"][-1]  # hundreds of times, on a machine at rest


def test_pictures() -> None:
    assert_draws_in_both_languages("numeric_cost")


def test_the_numerical_gradient_leaves_the_net_as_it_was() -> None:
    net, x, t = numeric_cost.network(3, 0)
    before = {k: v.copy() for k, v in net.params.items()}
    found, exact = numeric_cost.numerical(net, x, t), net.gradient(x, t)
    assert all(np.array_equal(before[k], v) for k, v in net.params.items())
    assert all(np.allclose(found[k], exact[k], atol=1e-8) for k in exact)
