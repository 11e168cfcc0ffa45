"""What is read from the record: names, values, where they come from, and what is said when they are gone."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest

import gyaku as gy
from gyaku import nn
from gyaku.base.errors import DtypeError, GraphError, ShapeError
from gyaku.core.tensor import Tensor
from gyaku.explain import explain, name, record


def number(value: float) -> Tensor:
    return gy.tensor(value, dtype=gy.float64, requires_grad=True)


def test_variables_of_the_caller_name_the_values() -> None:
    a, x, y = number(2.0), number(3.0), number(1.0)
    s = a * x
    picture = explain((s - y).square())
    assert [i.symbol for i in picture.items] == ["a", "x", "y", "s", "u1", "u2"]
    assert [i.formula for i in picture.items] == ["a", "x", "y", "a x", "s - y", "u1²"]
    assert [float(i.value) for i in picture.items if i.value is not None] == [2, 3, 1, 6, 5, 25]
    lines = [int(picture[k].where.rpartition("test_read.py:")[2]) for k in ("s", "u1")]
    assert lines[1] == lines[0] + 1
    assert picture[s] is picture["s"] and picture.result is picture["u2"]


def test_given_names_come_first_and_name_marks_a_value_for_good() -> None:
    x = number(0.5)
    h = name(x.exp(), "h")
    y = h * h
    assert explain(y, names={"hidden": h}, scope={}).find("h") is None
    found = explain(y, scope={})
    assert found["h"].formula == "exp(x1)" and found.result.formula == "h h"


def test_names_of_tensors_in_a_dictionary() -> None:
    params = {"W1": number(2.0)}
    assert explain(params["W1"] * 3.0)["W1"].value == 2


@pytest.mark.parametrize("wrong", [3.0, None, np.ones(2)])
def test_only_tensors_are_explained(wrong: Any) -> None:
    with pytest.raises(DtypeError, match="explain: expected a tensor"):
        explain(wrong)


def test_a_tensor_without_a_graph_is_refused() -> None:
    with pytest.raises(GraphError, match="without a graph. Hint: create its inputs with requires_grad=True"):
        explain(gy.tensor(2.0))


def test_names_must_be_of_tensors() -> None:
    with pytest.raises(DtypeError, match="names: a tensor for 'a'"):
        explain(number(1.0) * 2, names={"a": 3})
    with pytest.raises(DtypeError, match=r"explain\.name"):
        name(gy.tensor(2.0), "x")


def test_explain_touches_nothing() -> None:
    w = number(2.0)
    called = []
    w.register_hook(called.append)
    y = (w * 3).square()
    explain(y)
    explain(y).paths("w")
    assert w.grad is None and called == [] and not y.grad_fn.spent
    y.backward()
    assert w.grad is not None and w.grad.item() == 36 and len(called) == 1


def test_a_gradient_is_wanted_for_an_array() -> None:
    x = gy.tensor([1.0, 2.0], dtype=gy.float64, requires_grad=True)
    y = x * x
    picture = explain(y)
    assert picture.missing == "seedless" and picture["x"].delta is None
    np.testing.assert_array_equal(picture.into(picture.output)[0].local, np.diag([1.0, 2.0]))
    with pytest.raises(GraphError, match="pass gradient="):
        picture.paths("x")
    np.testing.assert_array_equal(explain(y, gradient=[1.0, 10.0])["x"].delta, [2, 40])
    with pytest.raises(ShapeError):
        explain(y, gradient=1.0)


# -- what is gone ----------------------------------------------------------------------------------------------------
def test_a_spent_graph_shows_its_structure_and_says_so() -> None:
    w = number(2.0)
    y = (w * 3).square()
    y.backward()
    picture = explain(y)
    assert [i.formula for i in picture.items if not i.inline] == ["w", "w ?", "u1²"]
    assert picture.missing == "spent" and picture["w"].delta is None and picture["w"].value == 2
    assert "with gy.record():" in picture.note("en") and "使用済み" in picture.note("ja")
    with pytest.raises(GraphError, match="is spent: backward has run through it"):
        picture.paths("w")


def test_a_graph_kept_by_retain_graph_is_explained() -> None:
    w = number(2.0)
    y = (w * 3).square()
    y.backward(retain_graph=True)
    assert explain(y)["w"].delta == 36 and w.grad is not None and w.grad.item() == 36


def test_a_trunk_spent_by_another_loss_gives_no_half_deltas() -> None:
    w = number(2.0)
    h = w * w
    first, second = h.exp(), h * 3
    first.backward()
    picture = explain(second)
    assert picture.missing == "spent" and picture["h"].delta == 3 and picture["w"].delta is None


def test_an_overwritten_leaf_is_noticed() -> None:
    w = gy.tensor([1.0, 2.0], requires_grad=True)
    y = (w * w + w).sum()
    with gy.no_grad():
        w.add_(1.0)
    picture = explain(y)
    assert picture.missing == "overwritten" and picture["w"].value is None and picture["w"].delta is None
    assert "overwritten" in picture.note("en") and picture.lacking.rpartition(":")[0].endswith("test_read.py")


def test_a_leaf_written_to_between_two_uses_has_no_one_value() -> None:
    w = gy.tensor([1.0], requires_grad=True)
    h = w + 1
    with gy.no_grad():
        w.add_(1.0)
    picture = explain((h * (w * w)).sum(), scope={})
    assert picture.items[0].value is None and picture.items[0].note == "overwritten"
    assert picture.missing == "" and picture.items[0].delta == [2 * 2 * 2 + 4]


def test_a_leaf_written_to_before_its_use_is_fine() -> None:
    w = gy.tensor([1.0, 2.0], requires_grad=True)
    with gy.no_grad():
        w.add_(1.0)
    picture = explain((w * w).sum())
    np.testing.assert_array_equal(picture["w"].value, [2, 3])
    np.testing.assert_array_equal(picture["w"].delta, [4, 6])


def test_an_overwritten_constant_is_noticed() -> None:
    w, c = gy.tensor([1.0], requires_grad=True), gy.tensor([5.0])
    y = (w + c).sum()
    c.zero_()
    picture = explain(y)
    assert picture["c"].value is None and picture["c"].note == "overwritten" and picture["w"].delta == [1]


def test_an_overwritten_constant_that_nobody_names_is_noticed_where_it_was_saved() -> None:
    w, held = gy.tensor([1.0], requires_grad=True), [gy.tensor([5.0])]
    y = (2 * (w * held[0])).sum()
    before = explain(y)
    held[0].zero_()
    after = explain(y)
    assert before["c1"].value == [5] and before.missing == ""
    assert after["c1"].value is None and after.missing == "overwritten"


def test_a_leaf_that_nobody_holds_is_lost_or_found_in_what_was_saved() -> None:
    y = gy.tensor(2.0, requires_grad=True) + 1
    z = gy.tensor(2.0, requires_grad=True).square()
    gc.collect()
    lost, found = explain(y), explain(z)
    assert lost.items[0].value is None and lost.items[0].note == "lost" and lost.items[0].delta == 1
    assert found.items[0].value == 2 and found.missing == ""


def test_a_result_written_to_since_is_computed_again() -> None:
    x = gy.tensor([1.0, 2.0], requires_grad=True)
    h = x + 1
    y = (h + x).sum()
    h.detach().zero_()
    np.testing.assert_array_equal(explain(y)["h"].value, [2, 3])


def test_values_shown_are_copies() -> None:
    w = gy.tensor([1.0, 2.0], requires_grad=True)
    picture = explain((w * 2).sum())
    with gy.no_grad():
        w.zero_()
    np.testing.assert_array_equal(picture["w"].value, [1, 2])


# -- kinds of operations ---------------------------------------------------------------------------------------------
def test_a_tensor_used_twice_has_two_arrows() -> None:
    x = number(3.0)
    picture = explain(x * x)
    assert [(a.position, a.local, float(a.flow)) for a in picture.arrows if a.flow is not None] == [
        (0, 3, 3),
        (1, 3, 3),
    ]
    assert picture["x"].delta == 6


def test_the_sum_over_broadcast_axes_belongs_to_the_arrow() -> None:
    X = gy.tensor(np.ones((3, 2)), requires_grad=True)
    b = gy.tensor([1.0, 2.0], dtype=gy.float64, requires_grad=True)
    Y = X + b
    picture = explain(Y, gradient=[[1, 0], [0, -1], [1, 1]])
    local = picture.into(picture.output)[1].local
    assert isinstance(local, np.ndarray) and local.shape == (3, 2, 2)
    np.testing.assert_array_equal(picture["b"].delta, [2, 0])  # S1, the third worked example
    np.testing.assert_array_equal(picture["X"].delta, [[1, 0], [0, -1], [1, 1]])


def test_an_operation_with_several_outputs_is_one_item_for_each_used() -> None:
    x = gy.tensor([1.0, 5.0, 2.0], requires_grad=True)
    values, places = x.max(0)
    first, second, third = x.unbind(0)
    picture = explain(values * first + third)
    assert picture.find(places) is None
    assert picture["values"].output == 0 and picture["third"].output == 2 and picture.find(second) is None
    np.testing.assert_array_equal(picture["x"].delta, [5, 1, 1])
    assert picture["third"].formula == "unbind(x)[2]"


def test_views_integers_and_masks() -> None:
    table = gy.tensor(np.arange(6.0).reshape(3, 2), requires_grad=True)
    rows = gy.tensor([2, 0])
    picked = nn.functional.embedding(rows, table)
    y = (picked.T[0] * 2).sum()
    picture = explain(y)
    np.testing.assert_array_equal(picture["table"].delta, [[2, 0], [0, 0], [2, 0]])
    into = {a.source: a for a in picture.into(picture["picked"].key)}
    assert not into[picture["rows"].key].wanted and picture["rows"].kind == "constant"
    assert "u1[0]" in [i.formula for i in picture.items]


def test_mixed_types_are_cast_back() -> None:
    a = gy.tensor(2.0, dtype=gy.float32, requires_grad=True)
    b = gy.tensor([3.0], dtype=gy.float64, requires_grad=True)
    picture = explain((a * b).sum())
    assert picture["a"].delta.dtype == np.float32 and picture["b"].delta.dtype == np.float64


class Cube(gy.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return 3 * x * x * g


def test_a_function_of_the_users_own() -> None:
    x = number(2.0)
    y = Cube.apply(x)
    z = y.exp().log()
    picture = explain(z)
    assert (
        picture["y"].formula == "Cube(x)" and picture["y"].value == 8 and picture.into(picture["y"].key)[0].local == 12
    )
    assert picture["x"].delta == pytest.approx(12)
    with record():
        recorded = Cube.apply(x)
        recorded.backward()
    assert explain(recorded)["x"].delta == 12


def test_dropout_shows_the_mask_that_was_drawn() -> None:
    layer = nn.Dropout(0.5)
    x = gy.tensor(np.ones(8), requires_grad=True)
    y = layer(x)
    picture = explain(y.sum())
    np.testing.assert_array_equal(picture["x"].delta, y.detach().numpy())
    np.testing.assert_array_equal(picture["y"].value, y.detach().numpy())


def test_parameters_are_called_by_their_path() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    E = model(gy.tensor(np.ones((4, 2), dtype=np.float32))).sum()
    picture = explain(E, scope={})
    assert [i.name for i in picture.leaves] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert [(i.module, i.layer) for i in picture.items if i.kind == "op"][:2] == [("0", "Linear"), ("1", "Tanh")]
    assert picture["2.bias"].delta == [4]


def test_a_derivative_of_a_derivative_is_a_graph_too() -> None:
    x = gy.tensor([2.0, 1.0, 3.0], dtype=gy.float64, requires_grad=True)
    values, _ = (x * x).sort()
    y = (values * values).sum()
    (g,) = gy.autograd.grad(y, x, create_graph=True)
    picture = explain(g.sum())
    g.sum().backward()
    assert x.grad is not None
    np.testing.assert_allclose(picture.paths("x").total, x.grad.numpy(), rtol=1e-12)
    assert len([i for i in picture.items if i.name == "values"]) == 1


def test_an_output_saved_by_two_backwards_is_one_item() -> None:
    x = gy.tensor([[2.0, 1.0, 3.0]], dtype=gy.float64, requires_grad=True)
    y = nn.functional.layer_norm(x, (3,))
    once = gy.autograd.grad((y * y * y).sum(), x, create_graph=True)[0]
    twice = gy.autograd.grad(y.exp().sum(), x, create_graph=True)[0]
    E = (once * twice).sum()
    picture = explain(E)
    E.backward()
    assert [i.output for i in picture.items if i.op is not None and i.op.name == "layer_norm"] == [0, 1, 2]
    assert x.grad is not None
    np.testing.assert_allclose(picture.paths("x").total, x.grad.numpy(), rtol=1e-9)


def test_a_leaf_alone_is_a_graph_of_one_item() -> None:
    x = number(2.0)
    picture = explain(x)
    assert [i.symbol for i in picture.items] == ["x"] and picture["x"].delta == 1 and picture.paths("x").count == 1


def test_the_room_can_be_called() -> None:
    import gyaku.explain

    x = number(2.0)
    assert gyaku.explain(x * 3)["x"].delta == 3  # type: ignore[operator]


def test_reading_costs_no_recursion() -> None:
    x = number(0.5)
    y = x
    for _ in range(3000):
        y = y * 1.0001
    assert explain(y, fold=False)["x"].delta == pytest.approx(1.0001**3000)
