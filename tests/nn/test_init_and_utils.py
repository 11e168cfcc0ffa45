"""Initial values by their variance, and what works on all gradients or parameters at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gyaku as gy
import gyaku.nn as nn
from gyaku.backend.random import Generator
from gyaku.base.errors import GyakuError

init = nn.init


@pytest.mark.parametrize(
    ("fill", "variance"),
    [
        (lambda t, g: init.kaiming_normal_(t, nonlinearity="relu", generator=g), 2 / 300),
        (lambda t, g: init.kaiming_uniform_(t, nonlinearity="relu", generator=g), 2 / 300),
        (lambda t, g: init.kaiming_uniform_(t, a=5**0.5, generator=g), 1 / 900),
        (lambda t, g: init.xavier_normal_(t, generator=g), 2 / 500),
        (lambda t, g: init.xavier_uniform_(t, generator=g), 2 / 500),
        (lambda t, g: init.lecun_normal_(t, generator=g), 1 / 300),
        (lambda t, g: init.lecun_uniform_(t, generator=g), 1 / 300),
        (lambda t, g: init.uniform_(t, -1, 1, generator=g), 1 / 3),
        (lambda t, g: init.normal_(t, 5.0, 2.0, generator=g), 4),
    ],
)
def test_variance_of_the_rules(fill: Any, variance: float) -> None:
    values = fill(gy.zeros(200, 300), Generator(3)).numpy()
    assert values.var() == pytest.approx(variance, rel=0.03)


def test_fans_of_a_convolution_count_its_receptive_field() -> None:
    assert init.fans(gy.zeros(8, 4, 3, 5)) == (60, 120)
    with pytest.raises(GyakuError, match="at least 2 dimensions"):
        init.xavier_normal_(gy.zeros(4))


def test_orthogonal_rows_or_columns() -> None:
    for shape in ((4, 9), (9, 4)):
        q = init.orthogonal_(gy.zeros(*shape), gain=2, generator=Generator(1)).numpy()
        product = q @ q.T if shape[0] < shape[1] else q.T @ q
        np.testing.assert_allclose(product, 4 * np.eye(4), atol=1e-5)


@pytest.mark.parametrize(("a", "b"), [(-2.0, 2.0), (-0.1, 3.0), (4.0, 6.0), (-100.0, 100.0)])
def test_truncated_normals_lie_within_their_bounds(a: float, b: float) -> None:
    values = init.trunc_normal_(gy.zeros(20000, dtype=gy.float64), 0.0, 1.0, a, b, generator=Generator(2)).numpy()
    assert values.min() >= a
    assert values.max() <= b
    grid = np.linspace(a, min(b, 10), 200001)
    density = np.exp(-grid * grid / 2)
    density[grid < -10] = 0
    assert values.mean() == pytest.approx((grid * density).sum() / density.sum(), abs=0.03)


def test_values_are_written_in_place_and_follow_the_generator() -> None:
    p = nn.Parameter(gy.zeros(3))
    assert init.normal_(p, generator=Generator(4)) is p
    again = init.normal_(gy.zeros(3), generator=Generator(4))
    assert p.tolist() == again.tolist()
    assert p.requires_grad
    assert init.eye_(gy.zeros(2, 3)).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert init.constant_(gy.zeros(2), 3).tolist() == [3, 3]
    assert init.zeros_(init.ones_(x := gy.full((2,), 7.0))) is x and x.tolist() == [0, 0]
    assert init.ones_(x).tolist() == [1, 1]
    with pytest.raises(GyakuError, match="did you mean 'relu'"):
        init.calculate_gain("rleu")


def test_the_same_seed_gives_the_same_model() -> None:
    gy.manual_seed(1)
    a = nn.Linear(3, 2)
    gy.manual_seed(1)
    b = nn.Linear(3, 2)
    assert a.weight.tolist() == b.weight.tolist()
    assert abs(a.weight.detach().numpy()).max() <= 3**-0.5


def with_gradient(values: list[float]) -> Any:
    p = nn.Parameter(gy.zeros(len(values)))
    p.grad = gy.tensor(values)
    return p


def test_clip_grad_norm_scales_all_gradients_together() -> None:
    a, b = with_gradient([3.0]), with_gradient([0.0, 4.0])
    assert nn.utils.clip_grad_norm_([a, b], 1.0).item() == 5.0
    np.testing.assert_allclose([*a.grad.tolist(), *b.grad.tolist()], [0.6, 0.0, 0.8], rtol=1e-5)
    assert nn.utils.clip_grad_norm_(a, 10.0).item() == pytest.approx(0.6)
    assert a.grad.tolist() == pytest.approx([0.6])
    assert nn.utils.clip_grad_norm_([nn.Parameter(gy.zeros(1))], 1.0).item() == 0.0
    with pytest.raises(GyakuError, match="finite gradients"):
        nn.utils.clip_grad_norm_(with_gradient([float("nan")]), 1.0, error_if_nonfinite=True)


def test_clip_grad_value_cuts_each_element() -> None:
    p = with_gradient([-3.0, 0.5, 3.0])
    nn.utils.clip_grad_value_(p, 1)
    assert p.grad.tolist() == [-1.0, 0.5, 1.0]


def test_parameters_as_one_vector_and_back() -> None:
    layer = nn.Linear(2, 1)
    vector = nn.utils.parameters_to_vector(layer.parameters())
    nn.utils.vector_to_parameters(vector * 2, layer.parameters())
    np.testing.assert_allclose(
        nn.utils.parameters_to_vector(layer.parameters()).detach().numpy(), 2 * vector.detach().numpy()
    )
    with pytest.raises(GyakuError, match="expected a vector of 3 numbers, got \\(2,\\)"):
        nn.utils.vector_to_parameters(gy.ones(2), layer.parameters())
