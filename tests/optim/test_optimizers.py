"""Every optimizer against its published algorithm, and the contract they share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gyaku.optim as optim
from gyaku.backend.namespace import numpy_namespace
from gyaku.core.tensor import Parameter, new_tensor
from gyaku.optim import layout, rules
from optim_cases import CASES, OptimCase, give_gradients, parameters

each_case = pytest.mark.parametrize("case", CASES, ids=lambda c: c.label)


def make(case: OptimCase, params: list[Any], **more: Any) -> optim.Optimizer:
    return getattr(optim, case.name)(params, **{**case.options, **more})


def run(case: OptimCase, params: list[Parameter], steps: range = range(12), **more: Any) -> list[Any]:
    optimizer = make(case, params, **more)
    for i in steps:
        give_gradients(params, i)
        optimizer.step()
    return [p._array.copy() for p in params]


def test_every_optimizer_has_a_row() -> None:
    names = {n for n in optim.__all__ if isinstance(getattr(optim, n), type)} - {"Optimizer", "LBFGS"}
    assert names == {c.name for c in CASES}


@each_case
def test_follows_the_published_algorithm(case: OptimCase) -> None:
    params = parameters()
    begin = [p._array.copy() for p in params]
    optimizer = make(case, params)
    grads: list[list[Any]] = [[] for _ in params]
    for i in range(30):
        give_gradients(params, i)
        for k, p in enumerate(params):
            grads[k].append(p.grad._array.copy())  # type: ignore[union-attr]
        optimizer.step()
    for p, p0, gs in zip(params, begin, grads, strict=True):
        for place in np.ndindex(p.shape):
            *_, expected = case.reference(float(p0[place]), [float(g[place]) for g in gs], **case.options)
            assert p._array[place] == pytest.approx(expected, rel=1e-12, abs=1e-13)


@each_case
def test_joined_blocked_and_alone_give_the_same_bits(case: OptimCase, monkeypatch: pytest.MonkeyPatch) -> None:
    joined = run(case, parameters(np.float32))
    alone = [run(case, [p], range(0))[0] for p in parameters(np.float32)]
    twins = parameters(np.float32)
    optimizers = [make(case, [p]) for p in twins]
    for i in range(12):
        give_gradients(twins, i)
        for o in optimizers:
            o.step()
    alone = [p._array for p in twins]
    monkeypatch.setattr(layout, "BLOCK", 4)
    blocked = run(case, parameters(np.float32))
    for a, b, c in zip(joined, alone, blocked, strict=True):
        assert a.tobytes() == b.tobytes() == c.tobytes()


@each_case
def test_memory_that_is_not_contiguous(case: OptimCase) -> None:
    plain, turned = parameters(shapes=[(3, 4)]), parameters(shapes=[(3, 4)])
    turned[0].data = new_tensor(np.asfortranarray(turned[0]._array))
    assert not turned[0]._array.flags.c_contiguous
    np.testing.assert_array_equal(run(case, plain)[0], run(case, turned)[0])


@each_case
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_type_of_hyper_parameters_never_widens(case: OptimCase, dtype: Any) -> None:
    params = parameters(dtype)
    options = {k: np.float64(v) if type(v) is float else v for k, v in case.options.items()}
    optimizer = getattr(optim, case.name)(params, **options, l1=np.float64(0.01), l2=np.float64(0.01))
    optimizer.param_groups[0]["lr"] = np.float64(0.01)
    give_gradients(params, 0)
    optimizer.step()
    assert all(p._array.dtype == dtype for p in params)
    for p, state in optimizer.state.items():
        assert {s.dtype for n, s in state.items() if n not in type(optimizer).counters} <= {p.dtype}


@each_case
def test_rules_are_pure(case: OptimCase) -> None:
    optimizer = make(case, parameters())
    group = optimizer.param_groups[0]
    p, g = np.linspace(-1, 1, 6), np.linspace(2, -1, 6)
    state: dict[str, Any] = {n: np.full(6, 0.25) for n in optimizer.slots(group)}
    for a in (p, g, *state.values()):
        a.flags.writeable = False
    state.update(dict.fromkeys(optimizer.counters, 3.0))
    kept = {**state}
    moved, new = type(optimizer).rule(numpy_namespace, p, g, state, group)  # type: ignore[misc]
    assert state == kept or all(state[k] is kept[k] for k in kept)
    assert not np.shares_memory(moved, p) and (moved != p).any()
    assert set(new) == set(state) or case.name == "SGD"


@each_case
def test_state_has_the_names_of_pytorch_and_resumes_exactly(case: OptimCase) -> None:
    straight = run(case, parameters(np.float32), range(12))
    params = parameters(np.float32)
    first = make(case, params)
    for i in range(5):
        give_gradients(params, i)
        first.step()
    saved = first.state_dict()
    assert [set(s) for s in saved["state"].values()] == [set(case.state)] * (len(params) if case.state else 0)
    assert saved["param_groups"][0]["params"] == [0, 1, 2, 3, 4]
    again = make(case, params, lr=0.77)
    again.load_state_dict(saved)
    for i in range(5, 12):
        give_gradients(params, i)
        again.step()
    assert [p._array.tobytes() for p in params] == [a.tobytes() for a in straight]


@each_case
def test_looking_at_the_state_changes_nothing(case: OptimCase) -> None:
    straight = run(case, parameters(np.float32))
    params = parameters(np.float32)
    optimizer = make(case, params)
    for i in range(12):
        give_gradients(params, i)
        optimizer.step()
        optimizer.state_dict()
        repr(optimizer)
    assert [p._array.tobytes() for p in params] == [a.tobytes() for a in straight]


@each_case
def test_parameters_without_gradient_stay_and_count_their_own_steps(case: OptimCase) -> None:
    params, lone = parameters(), parameters()[:1]
    optimizer, alone = make(case, params), make(case, lone)
    for i in range(8):
        give_gradients(params, i)
        if i in (2, 5):
            before = params[0]._array.copy()
            params[0].grad = None
        else:
            lone[0].grad = params[0].grad
            alone.step()
        optimizer.step()
        if i in (2, 5):
            np.testing.assert_array_equal(params[0]._array, before)
    np.testing.assert_array_equal(params[0]._array, lone[0]._array)


@each_case
def test_maximize_climbs_what_minimize_descends(case: OptimCase) -> None:
    down, up = parameters(), parameters()
    a, b = make(case, down), make(case, up, maximize=True)
    for i in range(6):
        give_gradients(down, i)
        for p, q in zip(down, up, strict=True):
            q.grad = new_tensor(-p.grad._array)  # type: ignore[union-attr]
        a.step()
        b.step()
    for p, q in zip(down, up, strict=True):
        np.testing.assert_array_equal(p._array, q._array)


def test_the_new_value_is_written_into_the_parameter_s_memory() -> None:
    params = parameters()
    memory, views = [p._array for p in params], [p.detach() for p in params]
    run(CASES[8], params)
    assert all(p._array is m for p, m in zip(params, memory, strict=True))
    assert all((v._array == p._array).all() for v, p in zip(views, params, strict=True))


def test_a_value_needed_by_backward_is_not_overwritten_unseen() -> None:
    import gyaku.ops.arithmetic  # noqa: F401
    from gyaku.base.errors import GraphError

    p = Parameter(new_tensor(np.array(3.0)))
    y = p * p  # type: ignore[operator]
    p.grad = new_tensor(np.array(1.0))
    optim.SGD([p], lr=0.1).step()
    with pytest.raises(GraphError, match="overwritten in place"):
        y.backward()


def test_parameter_moved_to_new_memory_between_steps() -> None:
    params = parameters()
    optimizer = optim.Adam(params)
    give_gradients(params, 0)
    optimizer.step()
    params[0].data = new_tensor(np.zeros((3, 2)))
    give_gradients(params, 1)
    optimizer.step()
    assert (params[0]._array != 0).all() and abs(params[0]._array).max() < 0.01
    assert float(optimizer.state[params[0]]["step"]) == 2


def test_parameter_of_another_type_between_steps() -> None:
    params = parameters(np.float32)
    optimizer = optim.Adam(params)
    give_gradients(params, 0)
    optimizer.step()
    for p in params:
        p.data = new_tensor(p._array.astype(np.float64))
    give_gradients(params, 1)
    optimizer.step()
    assert {optimizer.state[p]["exp_avg"]._array.dtype for p in params} == {np.dtype(np.float64)}


def test_changed_state_is_used() -> None:
    (p,) = parameters(shapes=[(3,)])
    optimizer = optim.SGD([p], lr=1.0, momentum=0.5)
    give_gradients([p], 0)
    optimizer.step()
    optimizer.state[p]["momentum_buffer"]._array[:] = 100.0
    p.grad = new_tensor(np.zeros(3))
    before = p._array.copy()
    optimizer.step()
    np.testing.assert_allclose(before - p._array, 50.0)


def test_groups_have_their_own_values_and_several_groups_keep_their_arrangement() -> None:
    params = parameters(shapes=[(2,), (2,)])
    optimizer = optim.SGD([{"params": [params[0]]}, {"params": params[1], "lr": 0.5}], lr=0.1)
    extra = Parameter(new_tensor(np.zeros(2)))
    optimizer.add_param_group({"params": [extra], "lr": 2.0})
    before = [p._array.copy() for p in (*params, extra)]
    for p in (*params, extra):
        p.grad = new_tensor(np.ones(2))
    optimizer.step()
    plans = list(optimizer._plans.values())
    optimizer.step()
    assert list(optimizer._plans.values()) == plans
    moved = [b - p._array for b, p in zip(before, (*params, extra), strict=True)]
    np.testing.assert_allclose(moved, [[0.2, 0.2], [1.0, 1.0], [4.0, 4.0]])


def test_penalties_fall_on_weights_only() -> None:
    W, b = Parameter(new_tensor(np.array([[2.0, 0.0, -4.0]]))), Parameter(new_tensor(np.array([2.0, 0.0, -4.0])))
    for p in (W, b):
        p.grad = new_tensor(np.zeros(p.shape))
    optim.SGD([W, b], lr=1.0, l2=0.25, l1=0.5).step()
    np.testing.assert_allclose(W._array, [[2 - 1 - 0.5, 0.0, -4 + 2 + 0.5]])  # W - 2 (1/4) W - (1/2) sign W
    np.testing.assert_array_equal(b._array, [2.0, 0.0, -4.0])


def test_proximal_l1_gives_exact_zeros_on_weights_only() -> None:
    W, b = Parameter(new_tensor(np.array([[2.0, 0.05, -0.05]]))), Parameter(new_tensor(np.array([0.05])))
    for p in (W, b):
        p.grad = new_tensor(np.zeros(p.shape))
    optim.Adam([W, b], lr=0.1, l1_proximal=1.0).step()
    np.testing.assert_allclose(W._array, [[1.9, 0.0, 0.0]])
    assert (W._array[0, 1:] == 0).all() and b._array[0] == 0.05


def test_weight_decay_is_half_the_lectures_l2_on_a_weight() -> None:
    one, two = parameters(shapes=[(2, 2)]), parameters(shapes=[(2, 2)])
    np.testing.assert_allclose(run(CASES[1], one, weight_decay=0.2), run(CASES[1], two, l2=0.1), rtol=1e-14)


def test_closure_runs_with_gradients_on_and_its_value_comes_back() -> None:
    from gyaku.core.mode import is_grad_enabled, no_grad

    params = parameters()

    def closure() -> str:
        assert is_grad_enabled()
        give_gradients(params, 0)
        return "loss"

    with no_grad():
        assert optim.SGD(params).step(closure) == "loss"


def test_zero_grad() -> None:
    params = parameters(shapes=[(2,), (3,)])
    optimizer = optim.SGD(params)
    params[0].grad = new_tensor(np.array([np.nan, 1.0]))
    optimizer.zero_grad(set_to_none=False)
    assert params[0].grad._array.tolist() == [0.0, 0.0] and params[1].grad is None  # type: ignore[union-attr]
    optimizer.zero_grad()
    assert params[0].grad is None


def test_a_step_without_any_gradient_warns_once() -> None:
    optimizer = optim.Adam(parameters())
    with pytest.warns(UserWarning) as caught:
        optimizer.step()
    assert str(caught[0].message) == (
        "Adam.step: expected at least one parameter with a gradient, got none; nothing moved. "
        "Hint: call loss.backward() before step(), and zero_grad() after it."
    )
    optimizer.step()


def test_an_optimizer_of_your_own() -> None:
    class SignDescent(optim.Optimizer):
        def __init__(self, params: Any, lr: float = 0.5) -> None:
            super().__init__(params, {"lr": lr})

        def step(self, closure: Any = None) -> None:
            for group in self.param_groups:
                for p in group["params"]:
                    self.state[p]["seen"] = self.state[p].get("seen", 0) + 1
                    p._array[...] -= group["lr"] * np.sign(p.grad._array)

    (p,) = parameters(shapes=[(2,)])
    p.grad = new_tensor(np.array([3.0, -2.0]))
    before = p._array.copy()
    optimizer = SignDescent([p])
    optimizer.step()
    optimizer.step()
    np.testing.assert_allclose(p._array - before, [-1.0, 1.0])
    assert optimizer.state[p]["seen"] == 2


def test_names_of_parameters_are_kept() -> None:
    named = [("W", parameters()[0]), ("b", parameters()[1])]
    assert optim.SGD(named).state_dict()["param_groups"][0]["param_names"] == ["W", "b"]


def test_soft_threshold_and_lecture_momentum() -> None:
    x = np.array([-2.0, -0.5, 0.0, 0.5, 2.0])
    assert rules.soft_threshold(numpy_namespace, x, 1.0).tolist() == [-1.0, 0.0, 0.0, 0.0, 1.0]
    p, v, b = np.array([1.0]), np.array([0.0]), np.array([0.0])
    q = p
    for t in range(5):
        h = {"lr": 0.1, "momentum": 0.9, "nesterov": True, "dampening": 0}
        p, s = rules.momentum(numpy_namespace, p, 2 * p, {"v": v}, h)
        q, s2 = rules.sgd(numpy_namespace, q, 2 * q, {"momentum_buffer": b, "step": t}, h)
        v, b = s["v"], s2["momentum_buffer"]
        np.testing.assert_allclose(p, q, rtol=1e-14)
        np.testing.assert_allclose(v, -0.1 * b, rtol=1e-14)
