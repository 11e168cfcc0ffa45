"""What a user may do to the record that a first look forgets: each test once gave a wrong number or a bare error."""

from __future__ import annotations

import pytest

import gyaku as gy
from gyaku.autograd.function import once_differentiable
from gyaku.base.errors import DtypeError, GraphError


def leaf(*values: float) -> gy.Tensor:
    return gy.tensor(list(values), requires_grad=True)


# -- written to between the first and the second derivative ------------------------------------------------------------
def test_a_write_between_the_first_and_the_second_derivative_is_noticed() -> None:
    x = leaf(1.0, 2.0)
    (g,) = gy.autograd.grad((x**3).sum(), x, create_graph=True)
    with gy.no_grad():
        x.add_(1)
    with pytest.raises(GraphError, match="overwritten"):
        g.sum().backward()


def test_a_write_to_an_output_or_a_saved_tensor_of_a_function_is_noticed_in_the_second_derivative() -> None:
    class Cube(gy.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = x**3
            ctx.save_for_backward(x, None, y)
            return y

        @staticmethod
        def backward(ctx, gy):
            x, _, y = ctx.saved_tensors
            return gy * 3 * y / x

    x = leaf(1.0, 2.0)
    y = Cube.apply(x)
    (g,) = gy.autograd.grad(y.sum(), x, create_graph=True)
    assert gy.autograd.grad(g.sum(), x, retain_graph=True)[0].tolist() == pytest.approx([6, 12])
    y.detach().mul_(2)
    with pytest.raises(GraphError, match="overwritten"):
        g.sum().backward()


def test_memory_open_to_others_keeps_its_copy_in_the_second_derivative() -> None:
    import numpy as np

    array = np.array([2.0, 3.0], dtype=np.float32)
    x, w = gy.from_numpy(array), leaf(1.0, 1.0)
    (g,) = gy.autograd.grad((w**2 * x).sum(), w, create_graph=True)
    array[:] = 99
    assert gy.autograd.grad(g.sum(), w)[0].tolist() == [4, 6]


def test_a_gradient_that_was_used_and_then_added_to_is_noticed() -> None:
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    (x * x).sum().backward()
    loss = (x.grad * w).sum()
    (x * x).sum().backward()
    with pytest.raises(GraphError, match="overwritten"):
        loss.backward()


# -- gradients have memory of their own --------------------------------------------------------------------------------
def test_gradients_of_a_recorded_walk_are_not_one_tensor() -> None:
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    (x + y).sum().backward(create_graph=True)
    gy.nn.utils.clip_grad_norm_([x, y], 0.1)
    assert x.grad.tolist() == pytest.approx([0.05, 0.05], rel=1e-4)
    assert y.grad.tolist() == pytest.approx([0.05, 0.05], rel=1e-4)


def test_a_retained_gradient_is_a_copy_and_adds_up() -> None:
    x = leaf(1.0, 2.0)
    y = x + 0
    z = y + 0
    y.retain_grad()
    z.retain_grad()
    z.sum().backward(retain_graph=True)
    z.sum().backward()
    y.grad.zero_()
    assert (x.grad.tolist(), y.grad.tolist(), z.grad.tolist()) == ([2, 2], [0, 0], [2, 2])


# -- hooks -------------------------------------------------------------------------------------------------------------
def test_retain_grad_sees_what_the_hooks_made_of_the_gradient_whenever_it_was_asked() -> None:
    x = leaf(1.0, 2.0)
    y = x * 2
    y.retain_grad()
    y.register_hook(lambda g: g * 10)
    y.sum().backward()
    assert (y.grad.tolist(), x.grad.tolist()) == ([10, 10], [20, 20])


def test_hooks_and_functions_run_without_recording_unless_the_walk_is_recorded() -> None:
    seen = []

    class Same(gy.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, gy_):
            seen.append(gy.is_grad_enabled())
            return gy_

    x = leaf(1.0)
    x.register_hook(lambda g: seen.append(gy.is_grad_enabled()))
    Same.apply(x).sum().backward()
    Same.apply(x).sum().backward(create_graph=True)
    assert seen == [False, False, True, True]
    assert gy.is_grad_enabled()


@pytest.mark.parametrize("answer", [3.0, gy.zeros(2, dtype=gy.float64)])
def test_a_hook_returns_a_tensor_of_the_same_type(answer: object) -> None:
    x = leaf(1.0, 2.0)
    x.register_hook(lambda g: answer)
    with pytest.raises(DtypeError, match="^hook: expected"):
        (x * 2).sum().backward()


def test_one_function_registered_twice_is_removed_once_by_each_handle() -> None:
    x = leaf(1.0)

    def twice(g: gy.Tensor) -> gy.Tensor:
        return g * 2

    first, _ = x.register_hook(twice), x.register_hook(twice)
    first.remove()
    first.remove()
    (x * 1).sum().backward()
    assert x.grad.tolist() == [2]


def test_the_hook_after_accumulation_may_step_and_forget() -> None:
    x = leaf(1.0, 2.0)

    def step(p: gy.Tensor) -> None:
        p.sub_(p.grad)
        p.grad = None

    handle = x.register_post_accumulate_grad_hook(step)
    (x * x).sum().backward()
    handle.remove()
    assert x.tolist() == [-1, -2] and x.grad is None
    with pytest.raises(GraphError, match="register_post_accumulate_grad_hook: expected a leaf"):
        (x * x).register_post_accumulate_grad_hook(step)


def test_a_leaf_frozen_and_thawed_keeps_its_hooks_and_its_place_in_the_graph() -> None:
    x = leaf(1.0, 2.0)
    x.register_hook(lambda g: g * 10)
    y = (x * x).sum()
    x.requires_grad_(False)
    assert x.grad_fn is None and not x.requires_grad
    x.requires_grad_()
    assert gy.autograd.grad(y, x)[0].tolist() == [20, 40]


# -- functions of one's own --------------------------------------------------------------------------------------------
def test_a_function_may_ask_for_none_instead_of_zeros() -> None:
    class Two(gy.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            return x * 2, x * 3

        @staticmethod
        def backward(ctx, a, b):
            assert a is None
            return b * 3

    x = leaf(1.0, 2.0)
    Two.apply(x)[1].sum().backward()
    assert x.grad.tolist() == [3, 3]


def test_once_differentiable_refuses_the_second_derivative() -> None:
    class Square(gy.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            return 2 * g * ctx.saved_tensors[0]

    x = leaf(3.0)
    Square.apply(x).backward()
    assert x.grad.tolist() == [6]
    with pytest.raises(GraphError, match="once_differentiable"):
        gy.autograd.grad(Square.apply(x), x, create_graph=True)


def test_mark_dirty_is_refused() -> None:
    class Write(gy.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)
            return x

    with pytest.raises(GraphError, match="^mark_dirty: expected"):
        Write.apply(leaf(1.0) * 1)


# -- gradients given by the user ---------------------------------------------------------------------------------------
def test_a_gradient_that_is_no_tensor_or_of_another_type_is_refused() -> None:
    x = leaf(1.0, 2.0)
    with pytest.raises(DtypeError, match="backward: expected a tensor as gradient, got str"):
        (x * 2).backward("a")
    with pytest.raises(DtypeError, match="Tensor.grad: expected a gradient of dtype"):
        x.grad = gy.zeros(2, dtype=gy.float64)
    with pytest.raises(DtypeError, match="Tensor.grad: expected a tensor"):
        x.grad = 1.0


# -- grad modes --------------------------------------------------------------------------------------------------------
def test_a_decorated_generator_has_its_mode_and_its_consumer_another() -> None:
    seen = []

    @gy.no_grad()
    def numbers():
        try:
            seen.append(gy.is_grad_enabled())
            got = yield 1
            seen.append((got, gy.is_grad_enabled()))
            yield 2
        except KeyError:
            seen.append(("thrown", gy.is_grad_enabled()))
            yield 3
        finally:
            seen.append(("closed", gy.is_grad_enabled()))
        return 4

    g = numbers()
    assert next(g) == 1 and gy.is_grad_enabled()
    assert g.send("sent") == 2 and g.throw(KeyError()) == 3 and gy.is_grad_enabled()
    g.close()
    assert seen == [False, ("sent", False), ("thrown", False), ("closed", False)] and gy.is_grad_enabled()
    assert list(numbers()) == [1, 2]


def test_copy_shares_the_memory_and_starts_a_new_leaf() -> None:
    import copy

    x = leaf(1.0, 2.0)
    y = copy.copy(x)
    y.detach().add_(1)
    assert x.tolist() == [2, 3] and y.requires_grad and y.is_leaf and y is not x


def test_gradients_of_what_is_no_tensor_are_refused() -> None:
    for outputs, inputs in (("a", leaf(1.0)), (3.0, leaf(1.0)), (leaf(1.0).sum(), 3)):
        with pytest.raises(DtypeError, match="^autograd: expected tensors"):
            gy.autograd.grad(outputs, inputs)
