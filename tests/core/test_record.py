"""The record: what is kept is never wrong, freed at once, and walked without recursion."""

from __future__ import annotations

import gc
import inspect
import re
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import gyaku as gy
from gyaku.base.errors import GraphError


def leaf(*values: float) -> Any:
    return gy.tensor(values, dtype=gy.float64, requires_grad=True)


# --- a saved value that is overwritten before backward: the gradient of the original value, or an error ---


def in_place(x: Any) -> None:
    x.mul_(3)


def by_index(x: Any) -> None:
    x[0] = 7.0


def through_data(x: Any) -> None:
    x.data.add_(1)


def through_detach(x: Any) -> None:
    x.detach().zero_()


def through_view(x: Any) -> None:
    x.view(-1)[0:1].fill_(9.0)


def through_transposed_view(x: Any) -> None:
    x.reshape(1, -1).T[1] = 4.0


def optimizer_like(x: Any) -> None:
    with gy.no_grad():
        x.sub_(gy.ones_like(x))


NOTICED = [in_place, by_index, through_data, through_detach, through_view, through_transposed_view, optimizer_like]


@pytest.mark.parametrize("write", NOTICED, ids=lambda f: f.__name__)
def test_a_saved_input_that_was_overwritten_is_named(write: Callable[[Any], None]) -> None:
    w, x = leaf(2.0, 3.0), gy.tensor([5.0, 6.0], dtype=gy.float64)
    y = w * x
    line = inspect.currentframe().f_lineno - 1  # type: ignore[union-attr]
    write(x)
    with pytest.raises(GraphError, match=rf"^mul \(backward\): .*overwritten in place.*test_record\.py:{line}\]$"):
        y.sum().backward()
    assert w.grad is None


@pytest.mark.parametrize("write", [through_data, through_detach, optimizer_like], ids=lambda f: f.__name__)
def test_a_saved_leaf_or_output_that_was_overwritten_is_named(write: Callable[[Any], None]) -> None:
    w = leaf(2.0, 3.0)
    y = w.exp()
    write(y)
    with pytest.raises(GraphError, match=r"^exp \(backward\)"):
        y.sum().backward()
    z = (w * w).sum()
    write(w)
    with pytest.raises(GraphError, match=r"^mul \(backward\)"):
        z.backward()


def test_a_write_that_backward_does_not_read_is_no_error() -> None:
    w, x = leaf(2.0, 3.0), gy.tensor([5.0, 6.0], dtype=gy.float64)
    y = (w + x).sum()
    x.mul_(3)
    y.backward()
    assert w.grad.tolist() == [1.0, 1.0]


def test_a_write_before_the_operation_is_no_error() -> None:
    w, x = leaf(2.0, 3.0), gy.tensor([5.0, 6.0], dtype=gy.float64)
    x.mul_(3)
    (w * x).sum().backward()
    assert w.grad.tolist() == [15.0, 18.0]


def test_a_view_is_written_to_and_the_base_was_saved() -> None:
    w, x = leaf(2.0), gy.tensor([[5.0], [6.0]], dtype=gy.float64)
    part = x[1]
    y = (w * x).sum()
    part[0] = 0.0
    with pytest.raises(GraphError, match="overwritten"):
        y.backward()


@pytest.mark.parametrize("make", [lambda: gy.from_numpy(np.array([5.0, 6.0])), lambda: gy.tensor([5.0, 6.0]).double()])
def test_memory_open_to_numpy_gives_the_original_gradient(make: Callable[[], Any]) -> None:
    w, x = leaf(2.0, 3.0), make()
    outside = x.numpy()
    y = (w * x).sum()
    outside[:] = -1.0
    y.backward()
    assert w.grad.tolist() == [5.0, 6.0]


def test_from_numpy_memory_gives_the_original_gradient_also_through_views() -> None:
    w, outside = leaf(2.0, 3.0), np.array([[5.0, 6.0]])
    y = (w * gy.from_numpy(outside).reshape(2)[:]).sum()
    outside[:] = -1.0
    y.backward()
    assert w.grad.tolist() == [5.0, 6.0]


def test_numpy_of_memory_that_a_graph_saved_is_read_only_and_reading_it_spoils_nothing() -> None:
    w, x = leaf(2.0, 3.0), gy.tensor([5.0, 6.0], dtype=gy.float64)
    y = w * x
    z = y.exp()
    seen = [x.numpy(), z.detach().numpy()]
    for array in seen:
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0
    z.sum().backward()
    assert np.allclose(w.grad.numpy(), x.numpy() * z.detach().numpy())


def test_an_unshared_tensor_gives_numpy_memory_that_can_be_written() -> None:
    x = gy.zeros(2)
    x.numpy()[0] = 5.0
    assert x.tolist() == [5.0, 0.0]


def test_an_overwritten_value_is_noticed_in_a_custom_function() -> None:
    class Square(gy.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx: Any, gy_: Any) -> Any:
            return 2 * ctx.saved_tensors[0] * gy_

    w = leaf(2.0)
    v = w + 0
    y = Square.apply(v)
    v.data.mul_(2)
    with pytest.raises(GraphError, match=r"^Square \(backward\): .*overwritten"):
        y.sum().backward()


# --- memory ---


@contextmanager
def collector_off() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def network(x: Any, ws: list[Any]) -> Any:
    for w in ws:
        x = (x @ w).tanh()
    values, _ = x.sort(-1)
    return (values[:, :2] * gy.einsum("ij->i", x)[:, None]).sum()


def test_arrays_are_freed_by_reference_counting_right_after_backward() -> None:
    with collector_off():
        ws = [gy.randn(4, 4, requires_grad=True) for _ in range(3)]
        hidden = gy.randn(5, 4) @ ws[0]
        kept = weakref.ref(hidden._array)
        loss = network(hidden.tanh(), ws[1:])
        del hidden
        inner = [weakref.ref(a) for node in nodes_of(loss) for a in node.saved if isinstance(a, np.ndarray)]
        assert len(inner) > 5
        loss.backward()
        owned = {id(w._array) for w in ws}
        alive = [r() for r in inner if r() is not None and id(r()) not in owned]
        assert kept() is None and alive == []
        skeleton = weakref.ref(loss.grad_fn)
        assert skeleton() is not None
        del loss
        assert skeleton() is None


def nodes_of(t: Any) -> list[Any]:
    seen, todo = [], [t.grad_fn]
    while todo:
        node = todo.pop()
        if node is not None and not node.is_leaf and node not in seen:
            seen.append(node)
            todo += list(node.parents)
    return [n for n in seen if hasattr(n, "saved")]


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_step_leaves_no_reference_cycle(create_graph: bool) -> None:
    def step() -> None:
        ws = [gy.randn(4, 4, requires_grad=True) for _ in range(3)]
        loss = network(gy.randn(5, 4), ws)
        loss.retain_grad()
        if create_graph:
            sum((g * g).sum() for g in gy.autograd.grad(loss, ws, create_graph=True)).backward()
        else:
            loss.backward()

    step()
    with collector_off():
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            step()
            gc.collect()
            left = [o for o in gc.garbage if type(o).__module__.partition(".")[0] in ("gyaku", "numpy")]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
    assert left == []


def test_a_custom_function_leaves_no_reference_cycle() -> None:
    class Twice(gy.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            y = 2 * x
            ctx.save_for_backward(x, y)
            return y

        @staticmethod
        def backward(ctx: Any, gy_: Any) -> Any:
            x, y = ctx.saved_tensors
            return gy_ * y / x

    with collector_off():
        x = leaf(1.0, 2.0)
        y = Twice.apply(x)
        array = weakref.ref(y._array)
        y.sum().backward()
        assert x.grad.tolist() == [2.0, 2.0]
        del y
        assert array() is None


def test_a_chain_of_100_000_operations_is_built_walked_and_freed() -> None:
    start = time.perf_counter()
    x = y = leaf(1.0)
    for _ in range(100_000):
        y = y + 1.0
    y.backward()
    assert x.grad.tolist() == [1.0]
    node = weakref.ref(y.grad_fn)
    del y
    assert node() is None
    assert time.perf_counter() - start < 20  # about 1 s; a recursion error or a quadratic walk is what this would catch


def test_a_chain_that_is_never_walked_is_freed() -> None:
    y = leaf(1.0)
    for _ in range(100_000):
        y = y * 1.0
    node = weakref.ref(y.grad_fn)
    del y
    assert node() is None


# --- the walk ---


def test_the_order_is_the_same_every_time_youngest_first() -> None:
    class Log:
        def __init__(self) -> None:
            self.seen: list[str] = []

        def after_forward(self, *_: Any) -> None: ...

        def failed_forward(self, *_: Any) -> None: ...

        def after_backward(self, node: Any, *_: Any) -> None:
            self.seen.append(f"{node.op.name}{node.id - first}")

    logs = []
    for _ in range(3):
        x = leaf(0.5)
        first = x._node.id
        a, b = x.exp(), x.tanh()
        y = (a * b + b * x).sum()
        log = Log()
        from gyaku.core.mode import observe

        with observe(log):
            y.backward()
        logs.append(log.seen)
    assert logs[0] == logs[1] == logs[2]
    ages = [int(re.sub(r"\D", "", s)) for s in logs[0]]
    assert ages == sorted(ages, reverse=True) and len(ages) == 6


def test_gradients_of_several_leaves_are_not_aliased() -> None:
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    (a + b).sum().backward()
    assert not np.shares_memory(a.grad._array, b.grad._array)
    ga, gb = gy.autograd.grad(a + b, [a, b], gy.ones(2, dtype=gy.float64))
    assert not np.shares_memory(ga._array, gb._array)


def test_the_gradient_given_to_backward_is_not_taken_over() -> None:
    a, g = leaf(1.0, 2.0), gy.tensor([1.0, 1.0], dtype=gy.float64)
    (a + 0).backward(g)
    a.grad.mul_(5)
    assert g.tolist() == [1.0, 1.0]
    b = leaf(1.0, 2.0)
    b.backward(g)
    b.grad.mul_(5)
    assert g.tolist() == [1.0, 1.0]


def test_gradients_accumulate_in_the_same_object() -> None:
    a = leaf(1.0, 2.0)
    (a * a).sum().backward()
    first = a.grad
    (a * a).sum().backward()
    assert a.grad is first and first.tolist() == [4.0, 8.0]


def test_a_gradient_used_by_two_parents_is_not_changed_by_accumulation() -> None:
    a, b = leaf(1.0), leaf(2.0)
    a.grad = gy.tensor([10.0], dtype=gy.float64)
    y = a + b
    (y + a).sum().backward()
    assert a.grad.tolist() == [12.0] and b.grad.tolist() == [1.0]


def test_hooks_see_replace_and_are_removed() -> None:
    x = leaf(1.0, 2.0)
    y = x * 3
    seen: list[Any] = []
    first = y.register_hook(lambda g: seen.append(g.tolist()))
    second = y.register_hook(lambda g: g * 10)
    third = x.register_hook(lambda g: g + 1)
    y.sum().backward(retain_graph=True)
    assert seen == [[1.0, 1.0]] and x.grad.tolist() == [31.0, 31.0]
    for handle in (first, second, third):
        handle.remove()
        handle.remove()
    x.grad = None
    y.sum().backward()
    assert seen == [[1.0, 1.0]] and x.grad.tolist() == [3.0, 3.0]


def test_a_hook_that_returns_another_shape_is_refused() -> None:
    x = leaf(1.0, 2.0)
    y = x * 3
    y.register_hook(lambda g: g.sum())
    with pytest.raises(gy.base.errors.ShapeError, match=r"^hook: expected a gradient of shape \(2,\), got \(\)"):
        y.sum().backward()


def test_retain_grad_keeps_the_gradient_of_a_result() -> None:
    x = leaf(1.0, 2.0)
    y = x * x
    y.retain_grad()
    y.sum().backward()
    assert y.retains_grad and y.grad.tolist() == [1.0, 1.0]


def test_reading_the_gradient_of_a_result_warns_once_with_the_remedy() -> None:
    y = leaf(1.0) * 2
    with pytest.warns(UserWarning, match=r"retain_grad\(\) before backward") as caught:
        assert y.grad is None
        assert y.grad is None
    assert len(caught) == 1 and caught[0].filename == __file__


def test_backward_of_several_outputs_adds_up() -> None:
    x = leaf(1.0, 2.0)
    gy.autograd.backward([(x * x).sum(), (3 * x).sum()])
    assert x.grad.tolist() == [5.0, 7.0]


def test_backward_with_inputs_touches_only_those() -> None:
    x, w = leaf(1.0), leaf(2.0)
    (x * w).sum().backward(inputs=[w])
    assert x.grad is None and w.grad.tolist() == [1.0]


def test_integer_results_carry_no_gradient() -> None:
    x = leaf(1.0, 3.0, 2.0)
    assert not x.argmax().requires_grad and not (x > 1).requires_grad
    assert not x.sort().indices.requires_grad and x.sort().values.requires_grad


def test_the_record_says_what_happened_where() -> None:
    x = leaf(1.0)
    y = x * x
    line = inspect.currentframe().f_lineno - 1  # type: ignore[union-attr]
    node = y.grad_fn
    assert node.name == "MulBackward" and node.where.endswith(f"test_record.py:{line}") and not node.spent
    y.sum().backward()
    assert node.spent


# --- errors ---

ERRORS: list[tuple[str, Callable[[], Any], str]] = [
    (
        "backward on a non-scalar",
        lambda: (leaf(1.0, 2.0) * 2).backward(),
        "backward: expected a scalar, or the gradient arriving here as an argument, got a tensor of shape (2,). Hint: "
        "reduce it (E.sum().backward()) or pass gradient=",
    ),
    (
        "without a graph",
        lambda: gy.ones(1).backward(),
        "backward: expected a tensor that requires grad, got one without a graph. Hint: create its inputs with "
        "requires_grad=True",
    ),
    (
        "integer gradient",
        lambda: gy.tensor([1, 2], requires_grad=True),
        "requires_grad_: expected a floating tensor (only those have gradients), got gyaku.int64. Hint: convert it "
        "with .float()",
    ),
    (
        "in-place on a leaf",
        lambda: leaf(1.0).add_(1),
        "expected a tensor outside the graph, got a leaf that requires grad. Hint: write under gyaku.no_grad()",
    ),
    (
        "gradient of another shape",
        lambda: leaf(1.0, 2.0).backward(gy.ones(3)),
        "backward: expected a gradient of shape (2,), got (3,)",
    ),
    (
        "numpy of a graph tensor",
        lambda: leaf(1.0).numpy(),
        "numpy: expected a tensor without a graph, got one that requires grad. Hint: use .detach().numpy()",
    ),
    ("pickle", lambda: __import__("copyreg") and leaf(1.0).__reduce_ex__(2), "pickle: expected safetensors"),
]


@pytest.mark.parametrize(("call", "message"), [e[1:] for e in ERRORS], ids=[e[0] for e in ERRORS])
def test_misuse_gives_one_clear_message(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(gy.base.errors.GyakuError) as caught:
        call()
    assert message in str(caught.value)


def test_backward_twice_says_how_to_keep_the_graph() -> None:
    x = leaf(1.0)
    y = (x * x).sum()
    y.backward()
    with pytest.raises(GraphError) as caught:
        y.backward()
    assert "backward: expected a graph that still holds its values, got one that is spent" in str(caught.value)
    assert "retain_graph=True" in str(caught.value) and "test_record.py:" in str(caught.value)


def test_backward_twice_with_retain_graph() -> None:
    x = leaf(3.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [12.0]
