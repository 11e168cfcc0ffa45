"""``with gy.record():`` keeps values and deltas; a forward pass that fails inside gives its partial picture."""

from __future__ import annotations

import contextlib
import gc
from typing import Any

import numpy as np
import pytest

import gyaku as gy
from gyaku import nn
from gyaku.base.errors import GraphError, ShapeError
from gyaku.core.mode import state
from gyaku.explain import explain, record
from gyaku.explain.read import TRACES


def small() -> Any:
    gy.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Dropout(0.3), nn.Linear(4, 2)).to(gy.float64)


def step(model: Any) -> tuple[Any, Any]:
    x = gy.tensor(np.random.default_rng(0).normal(size=(6, 3)))
    return x, nn.functional.cross_entropy(model(x), gy.tensor([0, 1, 0, 1, 1, 0]))


def test_numbers_survive_backward_the_update_and_new_data() -> None:
    model = small()
    optimizer = gy.optim.SGD(model.parameters(), lr=0.5)
    with record():
        x, E = step(model)
        before = explain(E)
        E.backward()
        gradients = {name: p.grad.numpy().copy() for name, p in model.named_parameters()}
        optimizer.step()
        x.zero_()
    after = explain(E)
    assert after.missing == "" and [i.symbol for i in after.items] == [i.symbol for i in before.items]
    for old, new in zip(before.items, after.items, strict=True):
        np.testing.assert_array_equal(new.value, old.value)
        np.testing.assert_array_equal(new.delta, old.delta) if old.delta is not None else None
    for name, gradient in gradients.items():
        np.testing.assert_array_equal(after[name].delta, gradient)
        np.testing.assert_allclose(after.paths(name).total, gradient, rtol=1e-12, atol=1e-15)


def test_names_of_data_are_found_after_backward() -> None:
    with record():
        x, E = step(small())
        E.backward()
    assert explain(E)["x"].kind == "constant" and explain(E)["x"].value is not None


def test_a_recorded_backward_brings_the_gradient_of_an_array() -> None:
    w = gy.tensor([1.0, 2.0], dtype=gy.float64, requires_grad=True)
    with record():
        y = w * w
        y.backward(gy.tensor([1.0, 10.0], dtype=gy.float64))
    np.testing.assert_array_equal(explain(y)["w"].delta, [2, 40])


def test_a_buffer_filled_anew_between_two_uses_has_two_values() -> None:
    w, c = gy.tensor([1.0], dtype=gy.float64, requires_grad=True), gy.tensor([5.0], dtype=gy.float64)
    with record():
        first = w + c
        c.fill_(7.0)
        E = (first + (w + c)).sum()
        E.backward()
    picture = explain(E)
    assert [float(i.value[0]) for i in picture.items if i.kind == "constant" and i.value is not None] == [5, 7]
    assert [float(i.value[0]) for i in picture.items if i.formula == "w + c"] == [6, 8]  # type: ignore[index]


def test_operations_with_several_outputs_are_recorded() -> None:
    x = gy.tensor([3.0, 1.0, 2.0], dtype=gy.float64, requires_grad=True)
    with record():
        values, _ = x.sort()
        y = (values * gy.tensor([1.0, 10.0, 100.0], dtype=gy.float64)).sum()
        y.backward()
    np.testing.assert_array_equal(explain(y)["x"].delta, [100, 1, 10])


def test_a_record_begun_midway_has_what_it_saw() -> None:
    w = gy.tensor(2.0, dtype=gy.float64, requires_grad=True)
    h = w * w
    with record():
        y = h.exp()
        y.backward()
    picture = explain(y)
    assert picture["h"].value == 4 and picture["h"].delta == pytest.approx(np.exp(4)) and picture.missing == "spent"


def test_the_newest_result_of_a_record_is_explained() -> None:
    w = gy.tensor(2.0, dtype=gy.float64, requires_grad=True)
    with record() as r:
        (w * 3).square()
    assert explain(r)["w"].delta == 36
    with record() as empty:
        w.detach() * 2
    with pytest.raises(GraphError, match="record: expected operations"):
        explain(empty)


def test_the_newest_result_may_be_one_of_several_outputs() -> None:
    x = gy.tensor([3.0, 1.0], dtype=gy.float64, requires_grad=True)
    with record() as r:
        x.sort()
    picture = explain(r, gradient=[1.0, 10.0])
    np.testing.assert_array_equal(picture.result.value, [1, 3])
    np.testing.assert_array_equal(picture["x"].delta, [10, 1])


def test_backward_may_run_after_the_block() -> None:
    model = small()
    with record():
        _, E = step(model)
    E.backward()
    gy.optim.SGD(model.parameters(), lr=0.5).step()
    picture = explain(E)
    assert picture.missing == ""
    for name, p in model.named_parameters():
        np.testing.assert_array_equal(picture[name].delta, p.grad.numpy())


def test_nothing_is_observed_afterwards_and_copies_go_with_the_graph() -> None:
    gc.collect()
    before = len(TRACES)
    with record():
        _, E = step(small())
        assert len(TRACES) > before
    assert state.observers == () and state.recording
    del E
    gc.collect()
    assert len(TRACES) == before


def test_a_record_changes_no_gradient() -> None:
    plain, recorded = small(), small()
    gy.manual_seed(3)
    step(plain)[1].backward()
    gy.manual_seed(3)
    with record():
        step(recorded)[1].backward()
    for p, q in zip(plain.parameters(), recorded.parameters(), strict=True):
        assert p.grad.numpy().tobytes() == q.grad.numpy().tobytes()


# -- a forward pass that fails ---------------------------------------------------------------------------------------
def test_the_operation_that_refused_its_inputs_is_marked() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(5, 2))
    x = gy.tensor(np.zeros((6, 3), dtype=np.float32))
    with pytest.raises(ShapeError), record() as r:
        model(x)
    picture = explain(r)
    failed = picture.failed
    assert failed is picture.result and failed is not None and picture.missing == "failed"
    assert "expected x of shape (N, 5), got (6, 4)" in failed.failed and "layer '2'" in failed.failed
    assert failed.where.startswith(__file__) and (failed.module, failed.layer) == ("2", "Linear")
    assert [i.symbol for i in picture.items] == ["0.weight", "0.bias", "2.weight", "2.bias", "x", "u1", "u2", "u3"]
    assert failed.formula == "u2 2.weight^T + 2.bias" and picture["u2"].value is not None
    assert "stopped here" in picture.note("en") and "止まりました" in picture.note("ja")
    assert [a.shapes[1] for a in failed.arrows] == [(6, 4), (2, 5), (2,)]
    with pytest.raises(GraphError, match="the forward pass stopped"):
        picture.paths("0.weight")


def test_a_failed_pass_folds_too() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(5, 2))
    with pytest.raises(ShapeError), record() as r:
        model(gy.tensor(np.zeros((6, 3), dtype=np.float32)))
    picture = explain(r, fold=True)
    assert [i.symbol for i in picture.items] == ["1.weight", "1.bias", "c1", "Linear0", "u2"]
    assert picture.failed is picture["u2"] and picture["u2"].formula == "Linear0 1.weight^T + 1.bias"


def test_operands_that_do_not_broadcast() -> None:
    w, c = gy.tensor([1.0, 2.0], requires_grad=True), gy.tensor([1.0, 2.0, 3.0])
    with pytest.raises(ShapeError), record() as r:
        w * w + c
    picture = explain(r)
    assert picture.result.formula == "u1 + c" and picture["u1"].formula == "w w" and "(3,)" in picture.error


def test_a_failure_that_was_caught_inside_is_forgotten() -> None:
    w = gy.tensor([1.0, 2.0], requires_grad=True)
    with record() as r:
        with pytest.raises(ShapeError):
            w + gy.tensor([1.0, 2.0, 3.0])
        y = (w * 2).sum()
    assert explain(r).failed is None and explain(r).find(y) is not None


def test_a_failure_caught_at_the_end_of_the_block_is_shown() -> None:
    w, c = gy.tensor([1.0, 2.0], requires_grad=True), gy.tensor([1.0, 2.0, 3.0])
    with record() as r, contextlib.suppress(ShapeError):
        w + c
    message = "add (forward): expected shapes that broadcast together, got (2,) and (3,)."
    assert explain(r).error == message and explain(r).result.formula == "w + c"
