"""grad, the checkers, the NaN trap and whole-function derivatives."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import gyaku as gy
from gyaku.base.errors import ArgumentError, DtypeError, GraphError, ShapeError

F = gy.autograd.functional
check, check2 = gy.autograd.gradcheck, gy.autograd.gradgradcheck


def x64(*values: float) -> Any:
    return gy.tensor(values, dtype=gy.float64, requires_grad=True)


# --- grad ---


def test_grad_returns_and_leaves_grad_alone() -> None:
    x, w = x64(1.0, 2.0), x64(3.0, 4.0)
    gx, gw = gy.autograd.grad((x * w).sum(), [x, w])
    assert gx.tolist() == [3.0, 4.0] and gw.tolist() == [1.0, 2.0]
    assert x.grad is None and w.grad is None and not gx.requires_grad


def test_grad_of_several_outputs_with_weights_and_of_a_result() -> None:
    x = x64(1.0, 2.0)
    h = x * x
    y, z = h.exp(), 3 * h
    weights = [gy.tensor([1.0, 0.0], dtype=gy.float64), gy.tensor([0.0, 1.0], dtype=gy.float64)]
    (gh,) = gy.autograd.grad([y, z], h, weights, retain_graph=True)
    assert np.allclose(gh.numpy(), [np.e, 3.0])
    (gx,) = gy.autograd.grad([y, z], x, weights)
    assert np.allclose(gx.numpy(), [2 * np.e, 12.0])


def test_grad_of_an_unused_input() -> None:
    x, w = x64(1.0), x64(2.0)
    with pytest.raises(GraphError, match=r"^grad: .*got input 1, which they do not\. Hint: pass allow_unused=True"):
        gy.autograd.grad(x * 2, [x, w])
    assert gy.autograd.grad(x * 2, [x, w], allow_unused=True)[1] is None
    assert gy.autograd.grad(x * 2, [x, w], materialize_grads=True)[1].tolist() == [0.0]


def test_grad_refuses_what_it_cannot_do() -> None:
    x = x64(1.0, 2.0)
    with pytest.raises(GraphError, match="expected a scalar"):
        gy.autograd.grad(x * 2, x)
    with pytest.raises(GraphError, match="expected inputs that require grad"):
        gy.autograd.grad((x * 2).sum(), gy.ones(2))
    with pytest.raises(ArgumentError, match="expected 1 gradients, one for each output, got 2"):
        gy.autograd.grad(x * 2, x, [gy.ones(2), gy.ones(2)])
    y = (x * x).sum()
    gy.autograd.grad(y, x)
    with pytest.raises(GraphError, match="one that is spent"):
        gy.autograd.grad(y, x)


def test_a_penalty_on_the_gradient_can_be_trained() -> None:
    x = x64(0.5, -1.0)
    (g,) = gy.autograd.grad(x.tanh().sum(), x, create_graph=True)
    (g * g).sum().backward()
    t = np.tanh([0.5, -1.0])
    assert np.allclose(x.grad.numpy(), 2 * (1 - t**2) * (-2 * t * (1 - t**2)))


def test_two_recorded_backwards_through_an_operation_with_several_outputs_add_up() -> None:
    def f(x: Any) -> Any:
        y = gy.nn.functional.layer_norm(x, (3,))
        first = gy.autograd.grad((y * y * y).sum(), x, create_graph=True)[0]
        return (first * gy.autograd.grad(y.exp().sum(), x, create_graph=True)[0]).sum()

    assert gy.autograd.gradcheck(f, gy.tensor([[2.0, 1.0, 3.0]], dtype=gy.float64, requires_grad=True))


# --- the checkers must catch what is slightly wrong ---


def wrong(backward: Any) -> Any:
    class Wrong(gy.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x.sin()

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return backward(g, ctx.saved_tensors[0])

    return Wrong.apply


def test_gradcheck_accepts_what_is_right() -> None:
    x = x64(0.3, 1.2, -0.7)
    assert check(wrong(lambda g, x: g * x.cos()), x) and check2(wrong(lambda g, x: g * x.cos()), x)
    assert check(lambda x, w: (x * w, x.sum()), (x, x64(1.0, 2.0, 3.0)))


@pytest.mark.parametrize(
    "backward",
    [
        lambda g, x: g * x.cos() * 1.005,
        lambda g, x: -g * x.cos(),
        lambda g, x: g * (x.cos() + 3e-5 + 1e-3 * x.cos().abs()),
        lambda g, x: (g * x.cos()).flip(0),
        lambda g, x: g * 0,
    ],
    ids=["factor", "sign", "offset", "place", "zero"],
)
def test_gradcheck_catches_what_is_slightly_wrong(backward: Any) -> None:
    x = x64(0.3, 1.2, -0.7)
    with pytest.raises(
        gy.autograd.GradcheckError, match=r"^gradcheck: expected d output 0\[0\] / d input 0\[0\] = 0\.95"
    ):
        check(wrong(backward), x)
    assert not check(wrong(backward), x, raise_exception=False)


def test_gradcheck_names_the_element() -> None:
    x, w = x64(1.0, 2.0), x64(3.0, 4.0)

    def f(x: Any, w: Any) -> Any:
        return x * 2, x * w + (w.detach() * gy.tensor([0.0, 1.0], dtype=gy.float64)) * w.detach()

    with pytest.raises(gy.autograd.GradcheckError, match=r"d output 1\[1\] / d input 1\[1\] = 10 .*got 2\. Hint"):
        check(f, (x, w))


def test_gradgradcheck_catches_a_wrong_second_derivative() -> None:
    f = wrong(lambda g, x: g * x.detach().cos())  # right once, but not differentiable again
    x = x64(0.3, 1.2)
    assert check(f, x)
    with pytest.raises(gy.autograd.GradcheckError):
        check2(f, x)
    assert not check2(f, x, raise_exception=False)


def test_the_checkers_want_float64_that_requires_grad() -> None:
    with pytest.raises(
        DtypeError, match=r"gradcheck: expected input 0 in float64, got gyaku\.float32\. Hint: use x\.double"
    ):
        check(gy.exp, gy.ones(1, requires_grad=True))
    with pytest.raises(ArgumentError, match="expected at least one input that requires grad"):
        check(gy.exp, gy.ones(1, dtype=gy.float64))


def test_gradcheck_takes_empty_and_0d_and_strided_inputs() -> None:
    assert check(gy.exp, gy.zeros(0, 2, dtype=gy.float64, requires_grad=True))
    assert check(gy.exp, gy.tensor(0.5, dtype=gy.float64, requires_grad=True))
    base = gy.randn(3, 2, dtype=gy.float64)
    assert check(gy.exp, base.T.requires_grad_())


# --- the NaN trap ---


def test_the_trap_names_the_forward_operation_and_the_line() -> None:
    x = gy.tensor([1.0, -1.0], requires_grad=True)
    with pytest.raises(GraphError) as caught, gy.autograd.detect_anomaly():
        y = x * 2
        line = inspect.currentframe().f_lineno + 1  # type: ignore[union-attr]
        y.log()
    text = str(caught.value)
    assert text.startswith("log (forward): expected no NaN from inputs without, got NaN at (1,).")
    assert f"test_autograd.py:{line}]" in text


def test_the_trap_names_the_backward_operation_and_its_line() -> None:
    x = gy.tensor([0.0], requires_grad=True)
    with pytest.raises(GraphError) as caught, gy.autograd.detect_anomaly():
        line = inspect.currentframe().f_lineno + 1  # type: ignore[union-attr]
        y = (x * 0.0).sqrt() * 0.0
        y.sum().backward()
    text = str(caught.value)
    assert "(backward): expected no NaN from gradients without, got NaN at (0,)" in text
    assert f"made at {__file__}:{line}" in text


def test_the_trap_is_open_only_inside_and_lets_given_nan_pass() -> None:
    bad = gy.tensor([float("nan")])
    with gy.autograd.detect_anomaly():
        assert (bad * 2).isnan().all()
    assert gy.tensor([-1.0]).log().isnan().all()
    with gy.autograd.detect_anomaly(check_nan=False):
        gy.tensor([-1.0]).log()


# --- whole functions ---


def test_jacobian_of_one_and_of_several() -> None:
    x, w = x64(1.0, 2.0), x64(3.0, 4.0)
    j = F.jacobian(lambda x: gy.stack([x.sum(), (x * x).sum(), x[0]]), x)
    assert j.tolist() == [[1.0, 1.0], [2.0, 4.0], [1.0, 0.0]] and not j.requires_grad
    many = F.jacobian(lambda x, w: (x * w, w.sum()), (x, w))
    assert [[tuple(t.shape) for t in row] for row in many] == [[(2, 2), (2, 2)], [(2,), (2,)]]
    assert many[0][1].tolist() == [[1.0, 0.0], [0.0, 2.0]] and many[1][0].tolist() == [0.0, 0.0]
    assert F.jacobian(lambda x: x.reshape(1, 2) * 2, x).shape == (1, 2, 2)
    assert F.jacobian(lambda x: x[:0], x).shape == (0, 2)


def test_jacobian_can_be_differentiated() -> None:
    x = x64(1.0, 2.0)
    F.jacobian(lambda x: x**3, x, create_graph=True).sum().backward()
    assert np.allclose(x.grad.numpy(), 6 * np.array([1.0, 2.0]))


def test_strict_refuses_independence() -> None:
    x = x64(1.0)
    with pytest.raises(GraphError, match="strict=True"):
        F.jacobian(lambda x, w: x * 2, (x, x64(1.0)), strict=True)


def test_hessian_of_one_and_of_several() -> None:
    x, w = x64(1.0, 2.0), x64(3.0, 4.0)
    assert F.hessian(lambda x: (x**3).sum(), x).tolist() == [[6.0, 0.0], [0.0, 12.0]]
    (xx, xw), (wx, ww) = F.hessian(lambda x, w: (x * x * w).sum(), (x, w))
    assert xx.tolist() == [[6.0, 0.0], [0.0, 8.0]] and ww.tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert xw.tolist() == wx.tolist() == [[2.0, 0.0], [0.0, 4.0]]
    assert F.hessian(lambda x: x.sum(), x).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    with pytest.raises(ShapeError, match="hessian: expected a function with one number as output"):
        F.hessian(lambda x: x * 2, x)


def test_products_with_vectors_agree_with_the_jacobian() -> None:
    rng = np.random.default_rng(0)
    x = gy.tensor(rng.normal(size=(3,)))
    m = gy.tensor(rng.normal(size=(4, 3)))

    def f(x: Any) -> Any:
        return (m @ x).tanh() * x.sum()

    j = F.jacobian(f, x).numpy()
    v, u = rng.normal(size=3), rng.normal(size=4)
    y, forward = F.jvp(f, x, gy.tensor(v))
    assert np.allclose(forward.numpy(), j @ v) and np.allclose(y.numpy(), f(x).numpy()) and not y.requires_grad
    assert np.allclose(F.vjp(f, x, gy.tensor(u))[1].numpy(), u @ j)
    assert F.jvp(lambda x: gy.ones(2, dtype=gy.float64), x, gy.tensor(v))[1].tolist() == [0.0, 0.0]
    ys, (a, b) = F.vjp(lambda x, w: (x * w).sum(), (x, x + 1))
    assert np.allclose(a.numpy(), (x + 1).numpy()) and np.allclose(b.numpy(), x.numpy())
    with pytest.raises(ArgumentError, match=r"jvp: expected v"):
        F.jvp(f, x)
    with pytest.raises(ShapeError, match=r"vjp: expected v of shape \(4,\), got \(3,\)"):
        F.vjp(f, x, gy.tensor(v))


def test_functional_works_inside_no_grad_and_leaves_inputs_alone() -> None:
    x = gy.tensor([1.0, 2.0])
    with gy.no_grad():
        assert F.hessian(lambda x: (x**3).sum(), x).tolist() == [[6.0, 0.0], [0.0, 12.0]]
    assert not x.requires_grad and x.grad is None


def test_gradients_sample_by_sample() -> None:
    gy.manual_seed(0)
    w, b = gy.randn(4, 3, dtype=gy.float64, requires_grad=True), gy.zeros(3, dtype=gy.float64, requires_grad=True)
    x, t = gy.randn(5, 4, dtype=gy.float64), gy.randn(5, 3, dtype=gy.float64)

    def loss(x: Any, t: Any) -> Any:
        return (((x @ w + b).tanh() - t) ** 2).mean()

    gw, gb = F.per_sample_gradients(loss, [w, b], x, t)
    assert gw.shape == (5, 4, 3) and gb.shape == (5, 3) and w.grad is None
    mean_w, mean_b = gy.autograd.grad(loss(x, t), [w, b])
    assert np.allclose(gw.mean(0).numpy(), mean_w.numpy()) and np.allclose(gb.mean(0).numpy(), mean_b.numpy())
    named = F.per_sample_gradients(loss, {"w": w, "b": b}, x, t)
    assert list(named) == ["w", "b"] and np.array_equal(named["w"].numpy(), gw.numpy())
    with pytest.raises(ShapeError, match="per_sample_gradients: expected tensors with one row a sample"):
        F.per_sample_gradients(loss, [w], x, t[:2])
