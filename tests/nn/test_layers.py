"""Layers and activations: kinks, compositions as oracles, settings, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gyaku as gy
import gyaku.nn as nn
import gyaku.nn.functional as F
from gyaku.backend.random import Generator
from gyaku.base.errors import GyakuError

RNG = np.random.default_rng(3)


def leaves(*shapes: tuple[int, ...]) -> list[Any]:
    return [gy.tensor(RNG.normal(size=s)).requires_grad_() for s in shapes]


def agree(one: Any, other: Any, inputs: list[Any]) -> None:
    """Same value, gradients and gradients of a gradient's square, for a composite and its composition."""
    found = []
    for f in (one, other):
        y = f(*inputs)
        grads = gy.autograd.grad((y * y.sin()).sum(), inputs, create_graph=True)
        second = gy.autograd.grad(sum((g * g).sum() for g in grads), inputs)
        found.append([y.detach(), *[g.detach() for g in grads], *second])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-9, atol=1e-10)


def batch_norm_by_hand(x: Any, w: Any, b: Any) -> Any:
    mean = x.mean(0)
    var = ((x - mean) * (x - mean)).mean(0)
    return (x - mean) / (var + 1e-5).sqrt() * w + b


def test_batch_norm_is_its_composition() -> None:
    agree(
        lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
        batch_norm_by_hand,
        leaves((6, 3), (3,), (3,)),
    )


def test_layer_and_group_norm_are_their_compositions() -> None:
    def by_hand(x: Any, w: Any, b: Any) -> Any:
        mean = x.mean(1, keepdim=True)
        var = ((x - mean) * (x - mean)).mean(1, keepdim=True)
        return (x - mean) / (var + 1e-5).sqrt() * w + b

    agree(lambda x, w, b: F.layer_norm(x, (4,), w, b), by_hand, leaves((5, 4), (4,), (4,)))
    agree(lambda x, w, b: F.group_norm(x, 1, w, b), by_hand, leaves((5, 4), (4,), (4,)))


def test_linear_and_bilinear_are_their_compositions() -> None:
    agree(F.linear, lambda x, W, b: x.matmul(W.T) + b, leaves((2, 5, 3), (4, 3), (4,)))
    agree(
        F.bilinear,
        lambda u, v, W, b: gy.einsum("ni,kij,nj->nk", u, W, v) + b,
        leaves((5, 2), (5, 3), (4, 2, 3), (4,)),
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (F.sigmoid, lambda x: 1 / (1 + (-x).exp())),
        (F.silu, lambda x: x / (1 + (-x).exp())),
        (F.softplus, lambda x: (1 + x.exp()).log()),
        (F.logsigmoid, lambda x: -(1 + (-x).exp()).log()),
        (F.gelu, lambda x: x * 0.5 * (1 + (x * 0.5**0.5).erf())),
        (lambda x: F.softmax(x, 1), lambda x: x.exp() / x.exp().sum(1, keepdim=True)),
        (lambda x: F.log_softmax(x, 1), lambda x: x - x.exp().sum(1, keepdim=True).log()),
    ],
)
def test_activations_are_their_compositions(one: Any, other: Any) -> None:
    agree(one, other, leaves((3, 4)))


@pytest.mark.parametrize(
    ("activation", "at", "slope"),
    [
        (F.relu, 0.0, 0.0),
        (F.leaky_relu, 0.0, 0.01),
        (lambda x: F.prelu(x, gy.full((1,), 0.25)), 0.0, 0.25),
        (lambda x: F.elu(x, 1.5), 0.0, 1.5),
        (F.hardtanh, 1.0, 0.0),
        (F.hardtanh, -1.0, 0.0),
        (F.sigmoid, 0.0, 0.25),
    ],
)
def test_derivative_at_the_kink(activation: Any, at: float, slope: float) -> None:
    x = gy.tensor([at]).requires_grad_()
    activation(x).sum().backward()
    assert x.grad.tolist() == [pytest.approx(slope)]


def test_nothing_overflows() -> None:
    x = gy.tensor([-1e4, -100.0, 0.0, 100.0, 1e4])
    assert F.sigmoid(x).tolist() == pytest.approx([0.0, 0.0, 0.5, 1.0, 1.0])
    assert F.softplus(x).tolist() == pytest.approx([0.0, 0.0, np.log(2), 100.0, 1e4])
    assert F.logsigmoid(x).tolist() == pytest.approx([-1e4, -100.0, -np.log(2), 0.0, 0.0])
    assert F.softmax(x, 0).tolist() == [0.0, 0.0, 0.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: F.linear(gy.ones(32, 28, 28), gy.ones(10, 784)),
            "linear (forward): expected x of shape (N, 784), got (32, 28, 28). Hint: x.flatten(1).",
        ),
        (
            lambda: F.linear(gy.tensor([[1, 2]]), gy.ones(1, 2)),
            "linear (forward): expected x of float32, as the weights, got int64. Hint: x.float().",
        ),
        (
            lambda: F.linear(np.ones((1, 2)), gy.ones(1, 2)),
            "linear (forward): expected x as a tensor, got ndarray. Hint: gyaku.as_tensor(x).",
        ),
        (
            lambda: nn.BatchNorm1d(3)(gy.ones(2, 4)),
            "BatchNorm1d (forward): expected x of shape (N, 3) or (N, 3, L), got (2, 4).",
        ),
        (
            lambda: nn.BatchNorm1d(3)(gy.ones(1, 3)),
            "batch_norm (training): expected more than 1 value per channel, got x of shape (1, 3). "
            "Hint: use a larger batch (drop_last=True), or model.eval() to predict.",
        ),
        (
            lambda: nn.BatchNorm2d(3)(gy.ones(2, 3)),
            "BatchNorm2d (forward): expected x of shape (N, 3, H, W), got (2, 3).",
        ),
        (
            lambda: nn.LayerNorm(4)(gy.ones(2, 5)),
            "layer_norm (forward): expected x of shape (..., 4), got (2, 5).",
        ),
        (
            lambda: nn.GroupNorm(2, 4)(gy.ones(2, 6)),
            "GroupNorm (forward): expected x of shape (N, 4, ...), got (2, 6).",
        ),
        (lambda: nn.GroupNorm(3, 4), "GroupNorm: expected num_channels divisible by num_groups, got 4 and 3."),
        (lambda: nn.Linear("3", 4), "Linear: expected in_features as a whole number, got '3'."),
        (lambda: nn.Dropout(1.5), "Dropout: expected p within 0..1, got 1.5."),
        (
            lambda: nn.Dropout(0.5, scaling="other"),
            "Dropout: expected scaling 'inverted' or 'lecture', got 'other'.",
        ),
        (
            lambda: nn.Embedding(3, 2)(gy.tensor([[0, 1], [3, 0]])),
            "Embedding: expected indices 0..2, got 3 at (1, 0).",
        ),
        (lambda: nn.Embedding(3, 2)(gy.tensor([-1])), "Embedding: expected indices 0..2, got -1 at (0,)."),
        (
            lambda: nn.Embedding(3, 2)(gy.ones(2)),
            "Embedding: expected integer indices, got gyaku.float32. Hint: x.long().",
        ),
        (
            lambda: F.prelu(gy.ones(2, 3), gy.ones(2)),
            "prelu: expected 1 weight, or 3 as the channels of x (2, 3), got 2.",
        ),
        (lambda: F.softmax(gy.ones(2, 3), 2), "softmax: expected dim within -2..1, got 2."),
        (lambda: F.one_hot(gy.tensor([0, 3]), 3), "one_hot: expected class numbers 0..2, got 0..3."),
    ],
)
def test_bad_calls_give_one_clear_message(call: Any, text: str) -> None:
    with pytest.raises(GyakuError) as error:
        call()
    assert str(error.value).partition(" [")[0].rstrip() == text or str(error.value).startswith(text)


def test_the_first_layer_computes_no_input_gradient() -> None:
    layer, x = nn.Linear(3, 2), gy.ones(4, 3)
    y = layer(x)
    node = y.grad_fn
    gx, gW, gb = node.op.backward(gy.core.op.numpy_namespace, node.saved, np.ones((4, 2), "f"), node.parents)
    assert gx is None
    assert gW.shape == (2, 3)
    assert gb.shape == (2,)


def test_batch_norm_predicts_with_running_values_and_counts_batches() -> None:
    bn = nn.BatchNorm1d(2)
    x = gy.tensor([[1.0, 2.0], [3.0, 6.0]])
    bn(x)
    np.testing.assert_allclose(bn.running_mean.numpy(), [0.2, 0.4], rtol=1e-6)
    np.testing.assert_allclose(bn.running_var.numpy(), [0.9 + 0.2, 0.9 + 0.8], rtol=1e-6)  # unbiased: 2 and 8
    with pytest.raises(GyakuError):
        bn(x[:1])
    assert bn.num_batches_tracked.item() == 1
    bn.eval()
    y = bn(x[:1])
    assert y.shape == (1, 2)
    assert bn.num_batches_tracked.item() == 1
    bn.reset_running_stats()
    assert (bn.running_mean.tolist(), bn.running_var.tolist()) == ([0.0, 0.0], [1.0, 1.0])


def test_batch_norm_without_running_values_uses_the_batch_always() -> None:
    bn = nn.BatchNorm1d(2, track_running_stats=False).eval()
    y = bn(gy.tensor([[1.0, 2.0], [3.0, 6.0]]))
    np.testing.assert_allclose(y.detach().numpy().mean(0), [0, 0], atol=1e-6)
    assert "running_mean" not in bn.state_dict()


@pytest.mark.parametrize("scaling", ["inverted", "lecture"])
def test_dropout_in_both_scalings(scaling: str) -> None:
    drop = nn.Dropout(0.25, scaling=scaling, generator=Generator(1))
    x = gy.ones(20000).requires_grad_()
    y = drop(x)
    kept = 1 / 0.75 if scaling == "inverted" else 1.0
    values = y.detach().numpy()
    assert set(np.unique(values)) == {np.float32(0), np.float32(kept)}
    assert abs((values == 0).mean() - 0.25) < 0.015
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), values)  # backward passes through the same mask
    predicted = drop.eval()(gy.ones(3)).tolist()
    assert predicted == ([1.0, 1.0, 1.0] if scaling == "inverted" else [0.75, 0.75, 0.75])


def test_dropout_draws_again_each_time_and_repeats_with_the_seed() -> None:
    x = gy.ones(100)
    gy.manual_seed(5)
    a, b = F.dropout(x).tolist(), F.dropout(x).tolist()
    gy.manual_seed(5)
    assert F.dropout(x).tolist() == a != b


def test_dropout_edges() -> None:
    x = gy.ones(4)
    assert F.dropout(x, 0.0) is x
    assert F.dropout(x, 1.0).tolist() == [0.0] * 4
    assert F.dropout(x, 1.0, scaling="lecture", training=False).tolist() == [0.0] * 4
    assert F.dropout(x, 0.5, training=False) is x
    y = F.dropout2d(gy.ones(50, 4, 3, 3), 0.5, generator=Generator(2)).numpy()
    assert set(np.unique(y.reshape(200, 9).std(1))) == {0}  # a channel is kept or dropped as a whole


def test_embedding_trains_its_rows_but_not_the_padding() -> None:
    table = nn.Embedding(4, 2, padding_idx=-1)
    assert table.weight[3].tolist() == [0.0, 0.0]
    table(gy.tensor([1, 1, 3])).sum().backward()
    assert table.weight.grad.tolist() == [[0, 0], [2, 2], [0, 0], [0, 0]]
    sums = nn.Embedding.from_pretrained(gy.tensor([[3.0, 4.0], [0.3, 0.4]]), max_norm=1.0, norm_type=1.0)
    assert sums(gy.tensor([0, 1])).tolist() == [pytest.approx([3 / 7, 4 / 7]), pytest.approx([0.3, 0.4])]
    short = nn.Embedding.from_pretrained(gy.tensor([[3.0, 4.0], [0.3, 0.4]]), max_norm=1.0)
    np.testing.assert_allclose(short(gy.tensor([0, 1])).numpy(), [[0.6, 0.8], [0.3, 0.4]], rtol=1e-6)
    assert not short.weight.requires_grad


def test_shapes_only() -> None:
    x = gy.ones(2, 3, 4)
    assert nn.Flatten()(x).shape == (2, 12)
    assert nn.Unflatten(1, (3, 4))(nn.Flatten()(x)).shape == (2, 3, 4)
    with pytest.raises(GyakuError, match="expected 15 elements in dimension 1"):
        nn.Unflatten(1, (3, 5))(nn.Flatten()(x))
    assert nn.Identity(1, any=2)(x) is x


def test_softmax_without_a_dimension_warns() -> None:
    with pytest.warns(UserWarning, match="Hint: say dim=1"):
        assert F.softmax(gy.ones(2, 4)).tolist()[0] == [0.25] * 4


def test_pad() -> None:
    x = gy.arange(3).reshape(1, 3)
    assert F.pad(x, (1, 2)).tolist() == [[0, 0, 1, 2, 0, 0]]
    assert F.pad(x, (2, 2), "reflect").tolist() == [[2, 1, 0, 1, 2, 1, 0]]
    assert F.pad(x, (1, 2), "replicate").tolist() == [[0, 0, 1, 2, 2, 2]]
    assert F.pad(x, (1, 2), "circular").tolist() == [[2, 0, 1, 2, 0, 1]]
    with pytest.raises(GyakuError, match="did you mean 'reflect'"):
        F.pad(x, (1, 1), "reflct")
    with pytest.raises(GyakuError, match=r"padding that fits dimension 1 of size 3 \(reflect\)"):
        F.pad(x, (3, 0), "reflect")


def test_float32_stays_float32_through_every_layer() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.GELU(), nn.LayerNorm(4), nn.Dropout(np.float64(0.5)))
    y = net(gy.ones(2, 3))
    y.sum().backward()
    assert y.dtype is gy.float32
    assert all(p.grad.dtype is gy.float32 for p in net.parameters())
