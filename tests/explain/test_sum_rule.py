"""The sum rule: products along the paths add up to the gradient of backward, for every operation and for mixtures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gyaku as gy
from gradient_check import leaf
from gyaku.core.tensor import Tensor
from gyaku.explain import Explanation, explain
from op_cases import CASES, Case, Sample

pytestmark = pytest.mark.filterwarnings("ignore:KLDivLoss")
DRIVEN = [pytest.param(case, sample, id=f"{case.op}-{i}") for case in CASES for i, sample in enumerate(case.samples)]


def outputs(result: Any) -> list[Tensor]:
    several = result if isinstance(result, (tuple, list)) else [result]
    return [t for t in several if isinstance(t, Tensor) and t._node is not None and not t.is_leaf]


def assert_sums(explanation: Explanation, leaves: list[Tensor]) -> None:
    """Paths one by one and their total give what backward added to ``.grad``."""
    for t in leaves:
        item = explanation.find(t)
        if item is None or t.grad is None:
            continue
        found = explanation.paths(t)
        gradient = t.grad.numpy()
        scale = max(1.0, float(np.abs(gradient).max(initial=0)))
        by_paths = sum((p.product for p in found), np.zeros(item.shape)) + (0 if found.rest is None else found.rest)
        for sum_ in (by_paths, found.total, item.delta):
            np.testing.assert_allclose(sum_, gradient, rtol=0, atol=1e-12 * scale)
        flows = [a.flow for a in explanation.out_of(item.key)]
        np.testing.assert_allclose(sum(flows, np.zeros(item.shape)), gradient, rtol=0, atol=1e-12 * scale)


@pytest.mark.parametrize(("case", "sample"), DRIVEN)
def test_paths_add_up_to_the_gradient(case: Case, sample: Sample) -> None:
    leaves = [leaf(a) for a in sample.arrays(np.float64)]
    for y in outputs(case.call(*leaves, **sample.static)):
        for t in leaves:
            t.grad = None
        seed = np.random.default_rng(3).normal(size=y.shape)
        explanation = explain(y, gradient=seed)
        assert all(t.grad is None for t in leaves)
        y.backward(gy.tensor(seed, dtype=y.dtype), retain_graph=True)
        assert_sums(explanation, leaves)
        assert all(isinstance(a.formula, str) for a in explanation.arrows)


UNARY = [lambda a: a.tanh(), lambda a: (a * 0.3).exp(), lambda a: a.sigmoid(), lambda a: -a, lambda a: a * a]
BINARY = [
    lambda a, b: a + b,
    lambda a, b: a * b,
    lambda a, b: a - 2 * b,
    lambda a, b: a / (2 + b * b),
    lambda a, b: gy.maximum(a, b),
]


@st.composite
def graphs(draw: Any) -> tuple[list[tuple[int, ...]], list[tuple[int, int, int]]]:
    shapes = draw(st.lists(st.sampled_from([(), (3,), (2, 1), (2, 3)]), min_size=1, max_size=3))
    place, which = st.integers(0, 40), st.integers(0, len(UNARY) + len(BINARY) - 1)
    return shapes, draw(st.lists(st.tuples(which, place, place), min_size=1, max_size=9))


@settings(max_examples=60, deadline=None)
@given(graphs(), st.sampled_from([False, "names"]))
def test_paths_of_any_graph_add_up(graph: Any, fold: Any) -> None:
    shapes, steps = graph
    rng = np.random.default_rng(5)
    leaves = [leaf(rng.normal(size=s)) for s in shapes]
    values = list(leaves)
    for which, i, j in steps:
        a, b = values[i % len(values)], values[j % len(values)]
        values.append(UNARY[which](a) if which < len(UNARY) else BINARY[which - len(UNARY)](a, b))
    y = values[-1].sum()
    explanation = explain(y, names={"middle": values[len(leaves)]}, fold=fold, scope={})
    y.backward()
    assert_sums(explanation, leaves)
