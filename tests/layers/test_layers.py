"""The contract of the layer classes: names, modes, dtypes, errors; tests/lectures checks the formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gyaku import layers
from gyaku.backend.random import Generator
from gyaku.layers import (
    Affine,
    BatchNorm,
    Dropout,
    LeakyReLU,
    Network,
    RegressionLoss,
    ReLU,
    Sigmoid,
    SigmoidWithLoss,
    SoftmaxWithLoss,
    Tanh,
)

RNG = np.random.default_rng(0)


def affine(K: int = 3, L: int = 2, dtype: Any = np.float64) -> Affine:
    rng = np.random.default_rng(K * 10 + L)
    return Affine(rng.normal(size=(K, L)).astype(dtype), rng.normal(size=L).astype(dtype))


def network(dtype: Any = np.float64) -> Network:
    return Network(
        [
            affine(3, 4, dtype),
            BatchNorm(np.ones(4, dtype), np.zeros(4, dtype)),
            ReLU(),
            Dropout(0.25, generator=Generator(1)),
            affine(4, 3, dtype),
        ],
        SoftmaxWithLoss(),
    )


def test_layers_keep_the_lecture_s_names() -> None:
    a, r, s, e = affine(), ReLU(), Sigmoid(), SoftmaxWithLoss()
    x = RNG.normal(size=(5, 3))
    y = a.forward(x)
    assert a.x is x and a.W.shape == (3, 2) and a.b.shape == (2,) and a.dW is None
    r.forward(y)
    assert (r.mask == (y > 0)).all()
    s.forward(y)
    assert (s.y == 1 / (1 + np.exp(-y))).all() or np.allclose(s.y, 1 / (1 + np.exp(-y)), rtol=1e-15)
    t = np.eye(2)[[0, 1, 1, 0, 0]]
    e.forward(y, t)
    np.testing.assert_allclose(e.backward(), (e.y - t) / 5, rtol=1e-13)
    assert e.t is t and np.allclose(e.y.sum(axis=1), 1)
    a.backward(e.backward())
    assert a.dW.shape == (3, 2) and a.db.shape == (2,)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_types_of_numbers_are_kept(dtype: Any) -> None:
    net = network(dtype)
    x, t = RNG.normal(size=(6, 3)).astype(dtype), RNG.integers(0, 3, 6)
    assert net.forward(x).dtype == dtype and isinstance(net.loss(x, t), float)
    assert net.backward().dtype == dtype
    assert all(g.dtype == dtype for g in net.grads.values())


def test_inputs_are_not_written_to() -> None:
    net = network()
    x, t = RNG.normal(size=(6, 3)), np.eye(3)[RNG.integers(0, 3, 6)]
    x.flags.writeable = t.flags.writeable = False
    for p in net.params.values():
        p.flags.writeable = False
    net.gradient(x, t)


def test_network_is_an_ordered_list_with_ordered_dictionaries() -> None:
    net = network()
    assert list(net.params) == ["W1", "b1", "gamma1", "beta1", "W2", "b2"] == list(net.grads)
    assert net.params["W2"] is net.layers[4].W  # type: ignore[attr-defined]
    x = RNG.normal(size=(6, 3))
    net.forward(x)
    y = x
    for layer in net.layers:
        y = layer.forward(y, False) if layer.has_modes else layer.forward(y)  # type: ignore[call-arg]
    np.testing.assert_array_equal(net.predict(x), y)
    assert repr(net.layers[0]) == "Affine(W(3, 4), b(4,))" and repr(ReLU()) == "ReLU()"


def test_one_hot_and_class_numbers_agree() -> None:
    x, t = RNG.normal(size=(7, 4)), RNG.integers(0, 4, 7)
    one, two = SoftmaxWithLoss(), SoftmaxWithLoss()
    assert one.forward(x, t) == pytest.approx(two.forward(x, np.eye(4, dtype=int)[t]), rel=1e-14)
    np.testing.assert_allclose(one.backward(), two.backward(), rtol=1e-13)


def test_upstream_of_a_loss_scales_its_gradient() -> None:
    for loss, t in ((RegressionLoss(), np.ones((2, 1))), (SigmoidWithLoss(), np.ones((2, 1)))):
        loss.forward(np.array([[1.0], [3.0]]), t)
        np.testing.assert_allclose(loss.backward(3), 3 * loss.backward())


def test_no_loss_overflows() -> None:
    big = np.array([[1e4, -1e4]])
    e, s = SoftmaxWithLoss(), SigmoidWithLoss()
    assert e.forward(big, np.array([1])) == 2e4 and s.forward(big, np.array([[0.0, 1.0]])) == 2e4
    assert np.isfinite(e.backward()).all() and np.isfinite(s.backward()).all()


def test_affine_takes_one_sample_and_whole_numbers() -> None:
    a = affine()
    np.testing.assert_allclose(a.forward([1, 2, 3]), np.array([1, 2, 3]) @ a.W + a.b)
    np.testing.assert_allclose(a.backward(np.array([1.0, 0.0])), a.W[:, 0])
    np.testing.assert_allclose(a.dW, np.outer([1, 2, 3], [1, 0]))


def test_batch_norm_averages_start_with_the_first_batch_and_move() -> None:
    bn = BatchNorm(np.ones(2), np.zeros(2), momentum=0.75)
    a, b = RNG.normal(size=(8, 2)), RNG.normal(3.0, 2.0, size=(8, 2))
    bn.forward(a)
    np.testing.assert_allclose(bn.running_mean, a.mean(axis=0))
    bn.forward(b)
    np.testing.assert_allclose(bn.running_mean, 0.75 * a.mean(axis=0) + 0.25 * b.mean(axis=0))
    np.testing.assert_allclose(bn.running_var, 0.75 * a.var(axis=0) + 0.25 * b.var(axis=0))
    y = bn.forward(a[:1], train=False)
    np.testing.assert_allclose(y, (a[:1] - bn.running_mean) / np.sqrt(bn.running_var + 1e-8))
    np.testing.assert_allclose(bn.backward(np.ones((1, 2))), 1 / np.sqrt(bn.running_var + 1e-8)[None])


def test_dropout_draws_from_its_generator() -> None:
    x = np.ones((50, 40))
    a, b = Dropout(0.3, generator=Generator(3)), Dropout(0.3, generator=Generator(3))
    assert (a.forward(x) == b.forward(x)).all() and (a.forward(x) != b.mask).any()
    assert a.mask.mean() == pytest.approx(0.7, abs=0.03)


def test_leaky_relu_and_tanh() -> None:
    r, t = LeakyReLU(), Tanh()
    x = np.array([-2.0, 0.0, 3.0])
    assert r.forward(x).tolist() == [-0.2, 0.0, 3.0] and r.backward(np.ones(3)).tolist() == [0.1, 0.1, 1.0]
    assert r.mask.tolist() == [False, False, True]
    np.testing.assert_allclose(t.forward(x), np.tanh(x))
    np.testing.assert_allclose(t.backward(np.ones(3)), 1 - np.tanh(x) ** 2)


def test_accuracy() -> None:
    net = Network([Affine(np.eye(2), np.zeros(2))])
    x = np.array([[1.0, 0.0], [0.0, 1.0], [3.0, 4.0], [5.0, 1.0]])
    assert net.accuracy(x, np.array([0, 1, 0, 0])) == net.accuracy(x, np.eye(2)[[0, 1, 0, 0]]) == 0.75
    yes_no = Network([Affine(np.array([[1.0], [-1.0]]), np.zeros(1))])
    assert yes_no.accuracy(x, np.array([[1], [0], [0], [0]])) == 0.75


def _backward_first(layer: Any) -> Any:
    return lambda: layer.backward(np.ones(2))


MISUSES: list[tuple[Any, type[Exception], str]] = [
    (
        _backward_first(ReLU()),
        RuntimeError,
        "ReLU.backward: expected forward to have run, got no forward yet. "
        "Hint: call forward first; backward needs what it keeps.",
    ),
    (
        lambda: affine().backward(np.ones((1, 2))),
        RuntimeError,
        "Affine.backward: expected forward to have run, got no forward yet. "
        "Hint: call forward first; backward needs what it keeps.",
    ),
    (
        lambda: SoftmaxWithLoss().backward(),
        RuntimeError,
        "SoftmaxWithLoss.backward: expected forward to have run, got no forward yet. "
        "Hint: call forward first; backward needs what it keeps.",
    ),
    (
        lambda: BatchNorm(np.ones(2), np.ones(2)).backward(np.ones((1, 2))),
        RuntimeError,
        "BatchNorm.backward: expected forward to have run, got no forward yet. "
        "Hint: call forward first; backward needs what it keeps.",
    ),
    (
        lambda: Affine(np.ones((2, 3)), np.ones(2)),
        ValueError,
        "Affine: expected W of shape (K, L) and b of shape (L,), got (2, 3) and (2,).",
    ),
    (lambda: affine().forward(np.ones((5, 4))), ValueError, "Affine.forward: expected x of shape (N, 3), got (5, 4)."),
    (
        lambda: affine(4).forward(np.ones((5, 2, 2))),
        ValueError,
        "Affine.forward: expected x of shape (N, 4), got (5, 2, 2). Hint: x.reshape(len(x), -1).",
    ),
    (lambda: affine().forward(np.array(["a"])), TypeError, "Affine.forward: expected numbers, got <U1."),
    (
        lambda: (a := affine(), a.forward(np.ones((5, 3))), a.backward(np.ones((4, 2)))),
        ValueError,
        "Affine.backward: expected dout of shape (5, 2), got (4, 2).",
    ),
    (
        lambda: RegressionLoss().forward(np.ones((3, 1)), np.ones(3)),
        ValueError,
        "RegressionLoss.forward: expected t of shape (3, 1), as the prediction, got (3,). "
        "Hint: t.reshape(prediction.shape).",
    ),
    (
        lambda: SigmoidWithLoss().forward(np.ones(3), np.ones(2)),
        ValueError,
        "SigmoidWithLoss.forward: expected t of shape (3,), as the prediction, got (2,).",
    ),
    (
        lambda: SoftmaxWithLoss().forward(np.ones((3, 2)), np.ones((3, 4))),
        ValueError,
        "SoftmaxWithLoss.forward: expected x (N, K) with t one-hot (N, K) or class numbers (N,), "
        "got (3, 2) and (3, 4).",
    ),
    (
        lambda: SoftmaxWithLoss().forward(np.ones((3, 2)), np.array([0, 2, 1])),
        ValueError,
        "SoftmaxWithLoss.forward: expected class numbers 0..1, got 2 in row 1.",
    ),
    (
        lambda: SoftmaxWithLoss().forward(np.ones((3, 2)), np.array([0, -1, 1])),
        ValueError,
        "SoftmaxWithLoss.forward: expected class numbers 0..1, got -1 in row 1.",
    ),
    (
        lambda: SoftmaxWithLoss().forward(np.ones((3, 2)), np.array([0.0, 1.0, 1.0])),
        TypeError,
        "SoftmaxWithLoss.forward: expected class numbers (integers), got float64. Hint: t.astype(int).",
    ),
    (
        lambda: BatchNorm(np.ones(2), np.ones(3)),
        ValueError,
        "BatchNorm: expected gamma and beta of shape (D,), got (2,) and (3,).",
    ),
    (
        lambda: BatchNorm(np.ones(2), np.ones(2)).forward(np.ones((4, 3))),
        ValueError,
        "BatchNorm.forward: expected x of shape (N, 2), got (4, 3).",
    ),
    (
        lambda: BatchNorm(np.ones(2), np.ones(2)).forward(np.ones((4, 2)), train=False),
        RuntimeError,
        "BatchNorm.forward: expected running averages for a prediction, got none collected. "
        "Hint: run forward in training first.",
    ),
    (lambda: Dropout(1.5), ValueError, "Dropout: expected p within 0..1, got 1.5."),
    (
        lambda: Network([ReLU]),
        TypeError,  # type: ignore[list-item]
        "Network: expected a list of layers, got the class ReLU. Hint: make an instance of it, as in ReLU().",
    ),
    (
        lambda: Network([ReLU(), SoftmaxWithLoss()]),
        TypeError,
        "Network: expected a list of layers, got SoftmaxWithLoss. Hint: give the loss layer as loss=.",
    ),
    (
        lambda: Network([ReLU()]).loss(np.ones(2), np.ones(2)),
        RuntimeError,
        "Network.loss: expected a loss layer, got none. Hint: Network(layers, SoftmaxWithLoss()).",
    ),
]


@pytest.mark.parametrize(("build", "kind", "message"), MISUSES, ids=[str(i) for i in range(len(MISUSES))])
def test_misuse_gives_one_clear_message(build: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as caught:
        build()
    assert str(caught.value) == message


def test_everything_exported_is_a_class_of_this_room() -> None:
    assert all(isinstance(getattr(layers, name), type) for name in layers.__all__)


def test_a_tensor_among_arrays_is_named() -> None:
    import gyaku as gy

    with pytest.raises(TypeError, match=r"Affine\.forward: expected a NumPy array, got a Tensor\. Hint: x\.numpy\(\)"):
        layers.Affine(np.ones((3, 2)), np.zeros(2)).forward(gy.ones(1, 3))
