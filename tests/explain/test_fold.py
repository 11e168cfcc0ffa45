"""Coarser views: modules, depths, names, what lies between tensors, and graphs that fold by themselves."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

import gyaku as gy
from gyaku import nn
from gyaku.base.errors import ArgumentError, UnknownNameError
from gyaku.explain import Explanation, explain
from gyaku.explain.labels import compose


class Block(nn.Module):
    """A residual block: y = F(x) + x."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.a, self.b, self.norm = nn.Linear(n, n), nn.Linear(n, n), nn.LayerNorm(n)

    def forward(self, x: Any) -> Any:
        return self.norm(self.b(self.a(x).relu())) + x


@pytest.fixture
def model() -> nn.Sequential:
    gy.manual_seed(0)
    return nn.Sequential(Block(4), Block(4), nn.Linear(4, 3)).to(gy.float64)


def loss(model: Any) -> Any:
    x = gy.tensor(np.random.default_rng(0).normal(size=(5, 4)))
    return nn.functional.cross_entropy(model(x), gy.tensor([0, 1, 2, 0, 1]))


def kinds(picture: Explanation) -> list[tuple[str, str]]:
    return [(i.name, i.layer) for i in picture.items if i.kind == "group"]


def test_layers_modules_and_the_whole_model(model: Any) -> None:
    E = loss(model)
    layers = explain(E, fold=True)
    block = [("a", "Linear"), ("b", "Linear"), ("norm", "LayerNorm")]
    assert kinds(layers) == [(f"{k}.{n}", c) for k in "01" for n, c in block] + [("2", "Linear")]
    assert kinds(explain(E, fold=1)) == [("0", "Block"), ("1", "Block"), ("2", "Linear")]
    assert kinds(explain(E, fold=0)) == [("Sequential", "Sequential")]
    assert kinds(explain(E, fold=False)) == []
    assert explain(E).full is None and layers.full is not None and layers.unfolded() is layers.full


def test_a_folded_module_knows_its_parameters_shapes_and_members(model: Any) -> None:
    E = loss(model)
    picture = explain(E, fold=1)
    group = picture["0"]
    full = picture.unfolded()
    names = [full[key].name for key in group.parameters]
    assert names == [f"0.{k}" for k in ("a.weight", "a.bias", "b.weight", "b.bias", "norm.weight", "norm.bias")]
    assert group.shape == (5, 4) and len(group.members) == 5
    assert group.formula == "Block(c1)" and group.module == "0" and group.symbol == "Block0"
    assert group.delta is not None and group.delta.shape == (5, 4)


def test_the_skip_is_an_arrow_of_its_own_until_the_block_is_folded(model: Any) -> None:
    E = loss(model)
    layers, blocks = explain(E, fold=True), explain(E, fold=1)
    joined = [i for i in layers.items if i.op is not None and i.op.name == "add"]
    assert all(len(i.arrows) == 2 for i in joined) and len(joined) == 2
    assert len(blocks["1"].arrows) == 1 and blocks.paths("0").count == 1 and layers.paths("0.a").count == 2


@pytest.mark.parametrize("fold", [False, True, 0, 1, "auto"])
def test_the_sum_over_paths_is_the_same_in_every_view(model: Any, fold: Any) -> None:
    E = loss(model)
    picture = explain(E, fold=fold)
    E.backward()
    for name, p in model.named_parameters():
        np.testing.assert_allclose(picture.paths(name).total, p.grad.numpy(), rtol=0, atol=1e-13)
    for item in picture.items:
        flows = [a.flow for a in picture.out_of(item.key)]
        if flows and all(f is not None for f in flows):
            np.testing.assert_allclose(sum(flows), item.delta, rtol=0, atol=1e-13)


def test_a_layer_called_twice_is_two_items() -> None:
    cell = nn.Linear(2, 2)
    picture = explain(cell(cell(gy.tensor([[1.0, 2.0]]))).sum(), fold=True)
    assert [i.symbol for i in picture.items if i.kind == "group"] == ["Linear", "Linear (2)"]
    assert picture["Linear (2)"].formula == "Linear(Linear)"


def test_a_group_with_two_values_used_elsewhere_gives_two_items() -> None:
    x = gy.tensor(0.5, dtype=gy.float64, requires_grad=True)
    h = x.exp()
    y = h.sin()
    z = y * h
    picture = explain(z, fold={"inner": (x, y)})
    assert [i.symbol for i in picture.items] == ["x", "h", "y", "z"]
    assert picture["h"].kind == "op" and picture["y"].kind == "group" and picture["y"].formula == "inner(h)"
    z.backward()
    assert x.grad is not None
    assert float(picture.paths("x").total) == pytest.approx(x.grad.item(), rel=1e-12)


def test_only_the_end_of_a_fold_bears_its_name() -> None:
    x = gy.tensor(0.5, dtype=gy.float64, requires_grad=True)
    h = x.exp().sin()
    y = (h * h).cos()
    picture = explain(y * h, fold={"inner": (x, y)})
    assert [picture[k].formula for k in ("h", "y")] == ["sin(exp(x))", "inner(h)"]
    assert picture["h"].kind == picture["y"].kind == "group"


def test_a_fold_has_the_jacobian_of_all_ways_inside() -> None:
    x = gy.tensor([0.3, -0.2, 0.5], dtype=gy.float64, requires_grad=True)
    p = x.exp() / x.exp().sum()
    picture = explain(p.log().sum(), names={"p": p}, fold={"softmax": (x, p)})
    assert [i.symbol for i in picture.items if not i.inline][:2] == ["x", "p"]
    q = p.detach().numpy()
    np.testing.assert_allclose(picture.into(picture["p"].key)[0].local, np.diag(q) - np.outer(q, q), rtol=1e-12)


def test_a_fold_may_be_given_by_names_and_several_starts() -> None:
    a, x, y = (gy.tensor(v, dtype=gy.float64, requires_grad=True) for v in (2.0, 3.0, 1.0))
    E = (a * x - y).square() * 3
    picture = explain(E, fold={"error": (("a", "x", "y"), "u3")})
    assert [i.formula for i in picture.items] == ["a", "x", "y", "error(a, x, y)", "3", "error 3"]
    group = next(i for i in picture.items if i.kind == "group")
    assert group.label == "error({0}, {1}, {2})" and [a.local for a in group.arrows] == [30, 20, -10]


def test_a_fold_that_joins_nothing_is_refused() -> None:
    x = gy.tensor(2.0, requires_grad=True)
    y, z = x * 2, x * 3
    with pytest.raises(ArgumentError, match="fold 'f'"):
        explain(y * z, fold={"f": (y, z)})
    with pytest.raises(UnknownNameError):
        explain(y * z, fold={"f": ("x", "nobody")})
    with pytest.raises(ArgumentError, match="fold as 'auto'"):
        explain(y * z, fold="everything")


def test_a_spent_graph_folds_without_numbers(model: Any) -> None:
    E = loss(model)
    E.backward()
    picture = explain(E, fold=1)
    assert kinds(picture)[:2] == [("0", "Block"), ("1", "Block")] and picture.missing == "spent"
    assert all(a.local is None and a.flow is None for a in picture.arrows)


# -- many ------------------------------------------------------------------------------------------------------------
def test_two_thousand_items_fold_to_modules_by_themselves_and_quickly() -> None:
    model = nn.Sequential(*[Block(4) for _ in range(180)], nn.Linear(4, 3)).to(gy.float64)
    E = loss(model)
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        picture = explain(E)
        seconds.append(time.perf_counter() - start)
    assert len(picture.unfolded().items) > 1900 and 8 <= len(picture.items) <= 200
    assert kinds(picture)[0] == ("0", "Block") and min(seconds) < 1.5  # measured: 0.15 to 0.2 on two quiet cores
    np.testing.assert_allclose(picture.paths("0.a.weight").total, picture.unfolded()["0.a.weight"].delta, rtol=1e-9)


def test_many_blocks_of_one_container_are_put_together() -> None:
    model = nn.Sequential(*[nn.Sequential(nn.Linear(2, 2), nn.Tanh()) for _ in range(220)])
    picture = explain(model(gy.tensor([[1.0, 2.0]])).sum())
    assert kinds(picture)[0] == ("0…4", "×5") and 8 <= len(picture.items) <= 200


def test_many_operations_without_modules_fold_by_line() -> None:
    x = gy.tensor(0.1, dtype=gy.float64, requires_grad=True)
    h = x
    for _ in range(100):
        h = h * 1.01
        h = h.tanh()
        h = h + x
    picture = explain(h)
    assert 8 <= len(picture.items) <= 200 and picture.result.kind == "group"
    h.backward()
    assert x.grad is not None and float(picture.paths("x").total) == pytest.approx(x.grad.item(), rel=1e-12)


# -- formulas put into one another -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("label", "parts", "text"),
    [
        ("{0} - {1}", ["a + b", "c - d"], "a + b - (c - d)"),
        ("{0} {1}", ["a", "b + 1"], "a (b + 1)"),
        ("{0} {1}", ["a", "-b"], "a (-b)"),
        ("{0} / {1}", ["a b", "c d"], "a b / (c d)"),
        ("-{0}", ["a - b"], "-(a - b)"),
        ("-{0}", ["a b"], "-a b"),
        ("{0}²", ["a b"], "(a b)²"),
        ("{0}²", ["exp(a + b)"], "exp(a + b)²"),
        ("log({0})", ["1 - y"], "log(1 - y)"),
        ("1/{0}", ["a"], "1/a"),
        ("√{0}", ["a + b"], "√(a + b)"),
        ("Σ {0}", ["a + b"], "Σ (a + b)"),
        ("{0} {1}^T + {2}", ["x + y", "W", "b"], "(x + y) W^T + b"),
        ("{0}^{1}", ["a", "b + 1"], "a^(b + 1)"),
        ("max({0}, {1})", ["a + b", "c"], "max(a + b, c)"),
    ],
)
def test_brackets_stand_where_they_are_needed_and_nowhere_else(label: str, parts: list[str], text: str) -> None:
    assert compose(label, parts) == text


def test_modules_that_nobody_holds_any_more_still_fold() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1))
    seen = explain(net(gy.ones(3, 2)).sum())
    del net
    assert [item.layer for item in seen.folded(True).items if item.kind == "group"] == ["Linear", "Tanh", "Linear"]
