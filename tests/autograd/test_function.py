"""Functions with a backward of the user's own."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

import gyaku as gy
from gyaku.autograd.function import once_differentiable
from gyaku.base.errors import DtypeError, GraphError, ShapeError

Function = gy.autograd.Function


class Scaled(Function):
    """y = k x², with a number among the arguments."""

    @staticmethod
    def forward(ctx: Any, x: Any, k: float) -> Any:
        ctx.save_for_backward(x)
        ctx.k = k
        return k * x * x

    @staticmethod
    def backward(ctx: Any, gy_: Any) -> Any:
        (x,) = ctx.saved_tensors
        return 2 * ctx.k * x * gy_, None


class Exp(Function):
    """Saves its output."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, gy_: Any) -> Any:
        return ctx.saved_tensors[0] * gy_


class SumAndProduct(Function):
    """Two outputs, written with setup_context."""

    @staticmethod
    def forward(a: Any, b: Any) -> Any:
        return a + b, a * b

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, gs: Any, gp: Any) -> Any:
        a, b = ctx.saved_tensors
        assert ctx.needs_input_grad == (a.requires_grad or True, True)
        return gs + gp * b, gs + gp * a


def x64(*values: float) -> Any:
    return gy.tensor(values, dtype=gy.float64, requires_grad=True)


@pytest.mark.parametrize("check", [gy.autograd.gradcheck, gy.autograd.gradgradcheck])
def test_first_and_second_derivatives(check: Any) -> None:
    x, b = x64(0.5, -1.0), x64(2.0, 3.0)
    assert check(lambda x: Scaled.apply(x, 3.0), x)
    assert check(Exp.apply, x)
    assert check(SumAndProduct.apply, (x, b))
    assert check(lambda x: SumAndProduct.apply(x, x)[1], x)


def test_the_third_derivative() -> None:
    x = x64(0.5)
    y = Exp.apply(x)
    for _ in range(3):
        (y,) = gy.autograd.grad(y, x, create_graph=True)
    assert np.allclose(y.detach().numpy(), np.exp(0.5))


def test_it_is_recorded_under_its_name_and_line() -> None:
    y = Scaled.apply(x64(1.0), 2.0)
    assert repr(y) == "tensor([2.], dtype=gyaku.float64, grad_fn=<ScaledBackward>)"
    assert "test_function.py:" in y.grad_fn.where


def test_outputs_without_gradient_and_other_outputs() -> None:
    class Largest(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            i = x.argmax()
            sign = x.sign()
            ctx.save_for_backward(i)
            ctx.mark_non_differentiable(i, sign)
            ctx.shape = x.shape
            return x[i] * 1, i, sign, "text"

        @staticmethod
        def backward(ctx: Any, g: Any, *rest: Any) -> Any:
            assert rest[-1] is None
            out = gy.zeros(ctx.shape, dtype=gy.float64)
            out[ctx.saved_tensors[0]] = g
            return out

    x = x64(1.0, 5.0, -2.0)
    value, index, sign, text = Largest.apply(x)
    assert value.requires_grad and not index.requires_grad and not sign.requires_grad and text == "text"
    value.backward()
    assert x.grad.tolist() == [0.0, 1.0, 0.0]


def test_nothing_is_recorded_without_need() -> None:
    assert not Scaled.apply(gy.ones(2), 1.0).requires_grad
    with gy.no_grad():
        assert not Scaled.apply(x64(1.0), 1.0).requires_grad


def test_an_input_that_needs_no_gradient_gets_none() -> None:
    asked = []

    class Product(Function):
        @staticmethod
        def forward(ctx: Any, a: Any, b: Any) -> Any:
            ctx.save_for_backward(a, b)
            return a * b

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            asked.append(ctx.needs_input_grad)
            a, b = ctx.saved_tensors
            return g * b, g * a

    a, b = x64(2.0), gy.tensor([3.0], dtype=gy.float64)
    Product.apply(a, b).sum().backward()
    assert asked == [(True, False)] and a.grad.tolist() == [3.0]


def test_an_output_that_is_a_view_of_its_input_shares_the_write_time() -> None:
    class Flat(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            y = x.view(-1)
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g.reshape(1, 2)

    v = gy.tensor([[1.0, 2.0]], requires_grad=True) + 0
    y = Flat.apply(v)
    v.data.mul_(2)
    with pytest.raises(GraphError, match=r"^Flat \(backward\): .*overwritten"):
        y.sum().backward()


def test_gradients_are_counted_and_measured() -> None:
    def made(answer: Any) -> Any:
        class Wrong(Function):
            @staticmethod
            def forward(ctx: Any, a: Any, b: Any) -> Any:
                return a + b

            @staticmethod
            def backward(ctx: Any, g: Any) -> Any:
                return answer(g)

        return Wrong.apply(x64(1.0, 2.0), x64(1.0, 2.0)).sum()

    message = r"^Wrong\.backward: expected 2 gradients, one for each argument of forward, got 1\. Hint: return None"
    with pytest.raises(GraphError, match=message):
        made(lambda g: g).backward()
    with pytest.raises(GraphError, match="got 3"):
        made(lambda g: (g, g, g)).backward()
    with pytest.raises(ShapeError, match=r"^Wrong \(backward\): expected a gradient of shape \(2,\), got \(3,\)"):
        made(lambda g: (gy.ones(3), g)).backward()
    with pytest.raises(DtypeError, match=r"^Wrong\.backward: expected tensors or None, got float"):
        made(lambda g: (1.0, g)).backward()
    made(lambda g: (g, None, None)).backward()


def test_misuse_is_told_when_the_class_is_written_or_called() -> None:
    with pytest.raises(DtypeError, match="Plain: expected forward as a static method"):

        class Plain(Function):
            def forward(ctx: Any, x: Any) -> Any:  # type: ignore[override]
                return x

    class NoBackward(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

    with pytest.raises(GraphError, match=r"expected a static method backward\(ctx, \.\.\.\)"):
        NoBackward.apply(x64(1.0)).sum().backward()
    with pytest.raises(GraphError, match=r"expected NoBackward\.apply\(\.\.\.\), got an instance"):
        NoBackward()
    with pytest.raises(DtypeError, match=r"NoBackward\.apply: expected at least one tensor"):
        NoBackward.apply(3.0)
    with pytest.raises(DtypeError, match=r"save_for_backward: expected tensors, got float\. Hint: set ctx\.name"):
        Saver.apply(x64(1.0))


class Saver(Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(1.0)
        return x


class Halves(Function):
    """(x/2, x/3), which notes what arrives in backward; with materialising off, None for what nobody used."""

    arrived: ClassVar[list[Any]] = []

    @staticmethod
    def forward(ctx: Any, x: Any, materialize: bool) -> Any:
        ctx.set_materialize_grads(materialize)
        return x / 2, x / 3

    @staticmethod
    def backward(ctx: Any, *gy: Any) -> Any:
        Halves.arrived = [None if g is None else g.tolist() for g in gy]
        return gy[0] / 2, None


@pytest.mark.parametrize(("materialize", "unused"), [(True, [0.0]), (False, None)])
def test_an_output_that_nobody_used_brings_zeros_or_none(materialize: bool, unused: Any) -> None:
    x = x64(3.0)
    Halves.apply(x, materialize)[0].sum().backward()
    assert Halves.arrived == [[1.0], unused] and x.grad.tolist() == [0.5]


class Once(Function):
    """y = x², with a backward that must not be differentiated again."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gy: Any) -> Any:
        (x,) = ctx.saved_tensors
        return 2 * x * gy


def test_once_differentiable_gives_one_derivative_and_refuses_the_next() -> None:
    x = x64(3.0)
    assert gy.autograd.grad(Once.apply(x).sum(), x)[0].tolist() == [6.0]
    with pytest.raises(GraphError, match=r"Once\.backward: expected a walk without create_graph"):
        gy.autograd.grad(Once.apply(x).sum(), x, create_graph=True)
