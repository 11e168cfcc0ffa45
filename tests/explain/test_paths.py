"""Paths: all of them up to 64, beyond that the ten largest and the rest as one sum, without enumerating."""

from __future__ import annotations

import itertools
import math
import time

import numpy as np
import pytest

import gyaku as gy
from gyaku.base.errors import GraphError, UnknownNameError
from gyaku.core.tensor import Tensor
from gyaku.explain import explain


def number(value: float) -> Tensor:
    return gy.tensor(value, dtype=gy.float64, requires_grad=True)


def ladder(x: Tensor, rungs: list[tuple[float, float]]) -> Tensor:
    """Each rung doubles the number of paths: h <- a h + b h."""
    h = x
    for a, b in rungs:
        h = a * h + b * h
    return h


def products(rungs: list[tuple[float, float]]) -> list[float]:
    return sorted((math.prod(c) for c in itertools.product(*rungs)), key=lambda p: -abs(p))


RUNGS = [(1.0 + 0.1 * i, 0.3 - 0.2 * i) for i in range(8)]


@pytest.mark.parametrize("rungs", [1, 3, 6])
def test_up_to_64_paths_are_listed_one_by_one(rungs: int) -> None:
    x = number(1.5)
    paths = explain(ladder(x, RUNGS[:rungs])).paths("x")
    assert paths.count == len(paths) == 2**rungs and paths.rest is None and paths.exact
    found = sorted((float(p.product) for p in paths), key=lambda p: -abs(p))
    assert found == pytest.approx(products(RUNGS[:rungs]), rel=1e-12)


@pytest.mark.parametrize("rungs", [7, 8])
def test_beyond_the_ten_largest_and_the_rest_as_one_sum(rungs: int) -> None:
    x = number(1.5)
    y = ladder(x, RUNGS[:rungs])
    paths = explain(y, fold=False).paths("x")
    expected = products(RUNGS[:rungs])
    assert paths.count == 2**rungs and paths.exact
    assert [float(p.product) for p in paths] == pytest.approx(expected[:10], rel=1e-12)
    assert float(paths.rest) == pytest.approx(math.fsum(expected[10:]), rel=1e-11)  # type: ignore[arg-type]
    assert float(paths.total) == pytest.approx(math.fsum(expected), rel=1e-12)


def test_countless_paths_take_no_time() -> None:
    x = number(1.0)
    y = ladder(x, [(0.9, 0.2)] * 200)
    start = time.perf_counter()
    paths = explain(y, fold=False).paths("x")
    assert time.perf_counter() - start < 5
    assert paths.count == 2**200 and float(paths.total) == pytest.approx(1.1**200, rel=1e-10)
    assert float(paths.shown[0].product) == pytest.approx(0.9**200, rel=1e-10)
    assert [float(p.product) for p in paths.shown[1:]] == pytest.approx([0.9**199 * 0.2] * 9, rel=1e-10)


def test_paths_of_arrays_beyond_the_limit_add_up_and_say_that_they_are_a_choice() -> None:
    rng = np.random.default_rng(2)
    x = gy.tensor(rng.normal(size=5), requires_grad=True)
    h = x
    for _ in range(8):
        h = h + (gy.tensor(rng.normal(size=(5, 5)) / 5) @ h).tanh()
    y = h.sum()
    paths = explain(y).paths("x")
    y.backward()
    assert paths.count == 256 and len(paths) == 10 and not paths.exact and x.grad is not None
    np.testing.assert_allclose(sum(p.product for p in paths) + paths.rest, x.grad.numpy(), rtol=1e-12)
    sizes = [p.size for p in paths]
    assert sizes == sorted(sizes, reverse=True)


def test_limit_and_number_of_largest_can_be_chosen() -> None:
    x = number(1.0)
    picture = explain(ladder(x, RUNGS[:3]))
    few = picture.paths("x", limit=4, largest=2)
    assert len(few) == 2 and few.count == 8 and few.rest is not None


def test_paths_to_the_result_itself_and_to_a_value_between() -> None:
    x = number(2.0)
    h = x * x
    y = h * 3
    picture = explain(y)
    assert [p.keys for p in picture.paths("y")] == [(picture.output,)] and picture.paths("y").total == 1
    assert picture.paths("h").total == 3 and picture.paths(h).shown[0].factors == (3,)


def test_no_path_leads_to_a_constant() -> None:
    x, c = number(2.0), gy.tensor(3.0, dtype=gy.float64)
    with pytest.raises(GraphError, match="the constant c"):
        explain(x * c).paths("c")
    with pytest.raises(UnknownNameError):
        explain(x * c).paths("q")


def test_local_derivatives_of_zero_are_paths_too() -> None:
    x = number(-1.0)
    paths = explain(x.relu() + x * 0.0).paths("x")
    assert paths.count == 2 and [float(p.product) for p in paths] == [0, 0]
