"""What may be compiled and what is refused: results, gradients, state written in place; errors name the user's line."""

from __future__ import annotations

import inspect
from collections import namedtuple
from typing import Any

import numpy as np
import pytest

import gyaku as gy
from gyaku import nn, optim
from gyaku.base.errors import TraceError
from gyaku.core.mode import observe

Point = namedtuple("Point", "x y")


def compiled(function: Any, **options: Any) -> Any:
    return gy.compile(function, runner="interpret", **options)


def line_of(function: Any, text: str) -> int:
    lines, first = inspect.getsourcelines(function)
    return first + next(i for i, line in enumerate(lines) if text in line)


# --- results ---
def test_results_of_any_structure() -> None:
    w = nn.Parameter(gy.ones(2))

    def f(x: Any) -> Any:
        y = x * w
        return {"a": (y, [y.sum(), 3, "name", None]), "b": Point(y.T, w), "c": y.mean().item()}

    found = compiled(f)(gy.tensor([1.0, 3.0]))
    assert found["a"][0].tolist() == [1, 3] and found["a"][1][1:] == [3, "name", None]
    assert found["b"].y is w and type(found["b"]) is Point and found["c"] == 2.0 and type(found["c"]) is float


def test_results_are_fresh() -> None:
    step = compiled(lambda x: (x.detach(), x.T, x * 1))
    x = gy.ones(2, 2)
    for y in step(x):
        y.fill_(7)
    assert x.tolist() == [[1, 1], [1, 1]] and step(x)[0].tolist() == [[1, 1], [1, 1]]


def test_arrays_are_taken_as_tensors() -> None:
    step = compiled(lambda x: x.sum())
    assert step(np.ones(3, np.float32)).item() == 3 and step(np.full(3, 2.0, np.float32)).item() == 6
    assert step.traces == 1


def test_keywords_and_structures_as_arguments() -> None:
    step = compiled(lambda batch, *, k=1.0: batch["x"] * k + batch["more"][0])
    for k in (2.0, 3.0):
        assert step({"x": gy.ones(2), "more": [gy.ones(2)]}, k=k).tolist() == [k + 1] * 2
    assert step.traces == 1


def test_modules_may_be_arguments() -> None:
    step = compiled(lambda model, x: model(x))
    a, b, x = nn.Linear(2, 3), nn.Linear(2, 3), gy.ones(1, 2)
    for model in (a, b, a):
        assert np.array_equal(step(model, x)._array, model(x)._array)
    assert step.traces == 1


def test_a_module_itself_may_be_compiled() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh())
    step = compiled(model)
    assert np.array_equal(step(gy.ones(1, 2))._array, model(gy.ones(1, 2))._array)


# --- gradients ---
def losses(model: Any) -> Any:
    def step(x: Any) -> Any:
        e = (model(x) ** 2).mean()
        e.backward()
        return e

    return step


def test_gradients_without_a_step_appear_and_add_up_as_in_eager() -> None:
    gy.manual_seed(0)
    model, x = nn.Linear(3, 2), gy.randn(4, 3)
    eager, step = losses(model), compiled(losses(model))
    eager(x)
    eager(x)
    wanted = [p.grad._array.copy() for p in model.parameters()]
    model.zero_grad()
    step(x)
    first = model.weight.grad
    step(x)
    assert model.weight.grad is first  # added in place, as eager does
    assert all(np.array_equal(p.grad._array, g) for p, g in zip(model.parameters(), wanted))
    step(x)
    assert step.traces == 2


def test_a_step_lets_gradients_go_unless_they_are_to_be_kept() -> None:
    for keep in (False, True):
        p = nn.Parameter(gy.ones(2))
        o = optim.SGD([p], lr=0.1)

        def step(p: Any = p, o: Any = o) -> None:
            o.zero_grad()
            (p * p).sum().backward()
            o.step()

        run = compiled(step, keep_gradients=keep)
        run()
        run()
        assert (p.grad is not None) == keep and run.traces <= 2
        if keep:
            assert np.allclose(p.grad._array, 2 * 0.8)


def test_gradients_that_were_there_are_used() -> None:
    p = nn.Parameter(gy.ones(2))
    o = optim.SGD([p], lr=0.5)

    def step() -> None:
        (p * 3).sum().backward()
        o.step()

    p.grad = gy.ones(2)
    compiled(step)()
    assert p.tolist() == [-1.0, -1.0]  # 1 - 0.5 (1 + 3)


def test_zeros_instead_of_none() -> None:
    p = nn.Parameter(gy.ones(2))
    o = optim.SGD([p], lr=0.5)

    @gy.compile(runner="interpret", keep_gradients=True)
    def step() -> None:
        o.zero_grad(set_to_none=False)
        (p * p).sum().backward()
        o.step()

    for _ in range(3):
        step()
    assert p.tolist() == [0.0, 0.0]


def test_several_backwards_and_accumulation_inside() -> None:
    gy.manual_seed(0)
    model, twin = nn.Linear(3, 1), nn.Linear(3, 1)
    twin.load_state_dict(model.state_dict())
    xs = gy.randn(3, 4, 3)

    def make(m: Any) -> Any:
        o = optim.Adam(m.parameters(), lr=0.1)

        def step(xs: Any) -> None:
            o.zero_grad()
            for i in range(len(xs)):
                (m(xs[i]).abs().mean() / 3).backward()
            o.step()

        return step

    eager, step = make(model), compiled(make(twin))
    for _ in range(3):
        eager(xs)
        step(xs)
    assert np.array_equal(model.weight._array, twin.weight._array)


def test_second_derivatives() -> None:
    def f(x: Any) -> Any:
        (g,) = gy.autograd.grad((x**3).sum(), x, create_graph=True)
        (h,) = gy.autograd.grad(g.sum(), x)
        return g, h

    x = gy.tensor([1.0, 2.0], requires_grad=True)
    for a, b in zip(compiled(f)(x), f(x), strict=True):
        assert np.array_equal(a._array, b._array)


def test_an_argument_may_want_its_gradient() -> None:
    step = compiled(lambda x: (x * x).sum().backward())
    x = gy.tensor([1.0, 2.0], requires_grad=True)
    step(x)
    assert x.grad.tolist() == [2, 4]


# --- state written in place ---
def test_updates_written_by_hand() -> None:
    w = nn.Parameter(gy.ones(2))

    @gy.compile(runner="interpret")
    def step(lr: float) -> Any:
        e = (w * w).sum()
        e.backward()
        with gy.no_grad():
            w.sub_(lr * w.grad)
            w.grad = None
        return e

    assert [step(0.25).item() for _ in range(3)] == [2.0, 0.5, 0.125] and w.grad is None


def test_buffers_replaced_or_written() -> None:
    class Running(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mean", gy.zeros(2))
            self.register_buffer("count", gy.zeros(1))

        def forward(self, x: Any) -> Any:
            self.mean = self.mean * 0.5 + x.mean(0)
            self.count += 1
            return x - self.mean

    eager, model = Running(), Running()
    step = compiled(model)
    for k in range(3):
        x = gy.full((3, 2), float(k))
        assert np.array_equal(step(x)._array, eager(x)._array)
    assert step.traces == 1 and model.mean.tolist() == eager.mean.tolist() and model.count.tolist() == [3.0]


def test_an_argument_written_in_place() -> None:
    def f(x: Any) -> None:
        x *= 2

    x = gy.ones(2)
    step = compiled(f)
    step(x)
    step(x)
    assert x.tolist() == [4, 4]


def test_a_view_follows_its_base() -> None:
    def f(x: Any) -> Any:
        row, copy = x[0], x[0].clone()
        x.mul_(3)
        return row + 0, copy

    a, b = compiled(f)(gy.ones(2, 2))
    assert a.tolist() == [3, 3] and b.tolist() == [1, 1]


# --- what is refused ---
def refused(function: Any, *args: Any) -> str:
    before = gy.get_rng_state()
    with pytest.raises(TraceError) as caught:
        compiled(function)(*args)
    assert gy.get_rng_state() == before
    return str(caught.value)


def test_an_if_on_a_value_is_refused_with_line_and_remedy() -> None:
    def f(x: Any) -> Any:
        if x.sum() > 0:
            return x
        return -x

    text = refused(f, gy.ones(2))
    assert f"test_functions.py:{line_of(f, 'if x.sum()')}" in text and "gyaku.where" in text


@pytest.mark.parametrize(
    "function",
    [
        lambda x: float(x.sum()),
        lambda x: int(x.sum()) * x,
        lambda x: f"{x.sum():.3f}",
        lambda x: list(x.sum().numpy()),
        lambda x: x.numpy() * 2,
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
        lambda x: x.tolist(),
        lambda x: gy.rand(2) * x,
        lambda x: gy.randperm(2),
        lambda x: max(x.sum().item(), 0.0),
        lambda x: gy.unique(x),
        lambda x: gy.tensor(x.sum().item() * 2),
    ],
)
def test_what_needs_values_is_refused(function: Any) -> None:
    assert "test_functions.py:" in refused(function, gy.ones(2))


def test_state_is_restored_when_a_trace_fails() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    o = optim.Adam(model.parameters(), lr=0.1)
    arrays = {name: t._array.copy() for name, t in model.state_dict().items()}

    def step(x: Any, broken: bool) -> Any:
        o.zero_grad()
        y = model(x)
        y.sum().backward()
        o.step()
        if broken:
            raise ValueError("mine")
        return y

    run, x = compiled(step), gy.randn(4, 2)
    with pytest.raises(ValueError, match="mine"):
        run(x, True)
    assert all(np.array_equal(t._array, arrays[name]) for name, t in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters()) and o.param_groups[0]["lr"] == 0.1
    assert o.state_dict()["state"] == {}
    run(x, False)
    assert not np.array_equal(model[0].weight._array, arrays["0.weight"])


def test_side_effects_run_eagerly_and_are_said_once() -> None:
    seen: list[Any] = []

    def f(x: Any) -> Any:
        seen.append(1)
        return x * 2

    step = compiled(f)
    with pytest.warns(UserWarning, match="runs eagerly.*seen"):
        assert step(gy.ones(1)).item() == 2
    for _ in range(4):
        assert step(gy.ones(1)).item() == 2
    assert len(seen) >= 5 and "seen" in step.fallback_reason and "runs eagerly" in repr(step)


def test_what_only_the_first_call_builds_is_no_obstacle() -> None:
    class Lazy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cache: Any = None

        def forward(self, x: Any) -> Any:
            if self.cache is None:
                self.cache = gy.ones(2)
            return x + self.cache

    step = compiled(Lazy())
    with pytest.warns(UserWarning, match="cache"):
        step(gy.ones(2))
    assert step(gy.ones(2)).tolist() == [2, 2] and step.traces == 1 and not step.fallback_reason


def test_numpy_arrays_read_inside_run_eagerly() -> None:
    table = np.arange(10000.0)
    step = compiled(lambda x: x + float(table.sum()))
    with pytest.warns(UserWarning, match="NumPy array"):
        first = step(gy.ones(1)).item()
    table += 1
    assert step(gy.ones(1)).item() == first + 10000


def test_shared_memory_runs_eagerly() -> None:
    p = nn.Parameter(gy.ones(4))
    part = p.detach()[:2]

    @gy.compile(runner="interpret")
    def step() -> Any:
        with gy.no_grad():
            p.mul_(2)
        return part + 0

    with pytest.warns(UserWarning, match="share"):
        assert step().tolist() == [2, 2]
    assert step().tolist() == [4, 4]


def test_wrong_options() -> None:
    with pytest.raises(ValueError, match="runner"):
        gy.compile(lambda x: x, runner="gpu")
    with pytest.raises(ValueError, match="function"):
        gy.compile(3)


def test_the_program_is_printable_and_names_lines() -> None:
    w = nn.Parameter(gy.ones(2, 3))

    def f(x: Any) -> Any:
        return (x @ w).relu().sum().backward()

    step = compiled(f)
    program = step.program(gy.ones(4, 2), before=True)
    text = str(program)
    assert "matmul" in text and "f32[4,3]" in text and "# w" in text
    assert {e.where for e in program.equations} == {f"{__file__}:{line_of(f, 'return')}"}
    assert len(step.program(gy.ones(4, 2))) <= len(program)


def test_without_llvmlite_calls_run_eagerly_and_say_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    p = nn.Parameter(gy.ones(1))
    o = optim.SGD([p], lr=1.0)

    def f(x: Any) -> Any:
        o.zero_grad()
        (p * x).sum().backward()
        o.step()
        return p.sum()

    step = gy.compile(f)
    with pytest.warns(UserWarning, match=r"llvmlite.*gyaku\[compile\]"):
        assert step(gy.ones(1)).item() == 0
    assert step(gy.ones(1)).item() == -1 and "llvmlite" in step.fallback_reason
    found = step.steps(np.ones((3, 1), np.float32), rows=[[0], [1]], hyper={"lr": [0.5, 0.25]})
    assert found.tolist() == [-1.5, -1.75]


def test_what_machine_code_lacks_runs_eagerly() -> None:
    pytest.importorskip("llvmlite")
    step = gy.compile(lambda x: x.sort().values.cumsum(0))
    x = gy.tensor([3.0, 1.0, 2.0])
    try:
        with pytest.warns(UserWarning, match="machine code lacks"):
            assert step(x).tolist() == [1, 3, 6]
    except pytest.fail.Exception:  # it may learn to
        assert not step.fallback_reason
    assert step(x).tolist() == [1, 3, 6]


def test_observers_see_the_operations_of_eager_code() -> None:
    class Watching:
        seen: list[str] = []

        def after_forward(self, op: Any, inputs: Any, output: Any, node: Any) -> None:
            self.seen.append(op.name)

    step = compiled(lambda x: (x * 0.5).exp().sum())
    step(gy.ones(2))
    with observe(Watching()):
        step(gy.ones(2))
    assert Watching.seen == ["mul", "exp", "sum"]


def test_a_schedule_inside_runs_eagerly() -> None:
    p = nn.Parameter(gy.ones(1))
    o = optim.SGD([p], lr=1.0)
    schedule = optim.lr_scheduler.ExponentialLR(o, 0.5)

    def f() -> Any:
        o.zero_grad()
        p.sum().backward()
        o.step()
        schedule.step()
        return p.sum()

    step = compiled(f)
    with pytest.warns(UserWarning, match="runs eagerly.*schedule"):
        assert [step().item() for _ in range(3)] == [0.0, -0.5, -0.75]


def test_a_number_read_as_python_is_part_of_the_program() -> None:
    step = compiled(lambda x, a: x * float(a) ** 2)
    for a in (1.0, 3.0, 3.0, 1.0):
        assert step(gy.ones(1), a).item() == a * a
    assert step.traces == 2


def test_one_hot_rows_of_traced_labels() -> None:
    step = compiled(lambda t: nn.functional.one_hot(t, 3))
    assert step(gy.tensor([0, 2])).tolist() == [[1, 0, 0], [0, 0, 1]]
    with pytest.raises(ValueError, match="0..2"):
        step(gy.tensor([0, 3]))


def test_numbers_that_machine_code_cannot_hold_run_eagerly() -> None:
    pytest.importorskip("llvmlite")
    f = gy.compile(lambda x: x * 2)
    with pytest.warns(UserWarning, match="float16"):
        y = f(gy.ones(3, dtype=gy.float16))
    assert y.dtype == gy.float16 and "float16" in f.fallback_reason


@pytest.mark.parametrize("runner", ["interpret", "cpu"])
def test_an_argument_that_is_written_and_another_that_sees_it(runner: str) -> None:
    if runner == "cpu":
        pytest.importorskip("llvmlite")

    def function(a: Any, b: Any) -> Any:
        a += 1
        return a * b

    f = gy.compile(function, runner=runner)
    for call in (function, f, f):
        base = gy.zeros(4)
        assert call(base[:3], base[1:]).tolist() == [1, 1, 0]
        assert base.tolist() == [1, 1, 1, 0]
        assert call(gy.ones(2), gy.ones(2)).tolist() == [2, 2]


def test_sums_in_einsteins_notation() -> None:
    def function(x: Any) -> Any:
        return gy.einsum("ij,kj->ik", x, x), gy.einsum("ij->j", x)

    for y, wanted in zip(compiled(function)(gy.ones(4, 6)), function(gy.ones(4, 6)), strict=True):
        assert y.tolist() == wanted.tolist()


def test_a_constant_that_does_not_lie_in_c_order() -> None:
    """Machine code wants C order: a matrix made inside and used transposed was read as if it were not."""
    x, m = gy.arange(12.0).reshape(3, 4), np.arange(20.0, dtype=np.float32).reshape(5, 4)
    for runner in ("interpret", "cpu"):
        step = gy.compile(lambda x: x @ gy.tensor(m).T, runner=runner)
        assert step(x).tolist() == (x @ gy.tensor(m).T).tolist() and step.fallback_reason == ""
