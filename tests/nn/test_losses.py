"""Losses: worked numbers, compositions as oracles, kinks, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gyaku as gy
import gyaku.nn as nn
import gyaku.nn.functional as F
from gyaku.base.errors import GyakuError

RNG = np.random.default_rng(5)
X, P = RNG.normal(size=(4, 3)), RNG.dirichlet(np.ones(3), size=4)
LABELS = gy.tensor([0, 2, 1, 2])


def agree(one: Any, other: Any, *arrays: Any) -> None:
    """Same value, gradient and second derivative for a composite and its composition."""
    found = []
    for f in (one, other):
        xs = [gy.tensor(a).requires_grad_() for a in arrays]
        y = f(*xs)
        grads = gy.autograd.grad(y, xs, create_graph=True)
        second = gy.autograd.grad(sum((g * g).sum() for g in grads), xs)
        found.append([y.detach(), *[g.detach() for g in grads], *second])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-9, atol=1e-12)


def log_p(x: Any) -> Any:
    return x - x.exp().sum(1, keepdim=True).log()


def test_cross_entropy_is_its_composition() -> None:
    one_hot = F.one_hot(LABELS, 3)
    agree(lambda x: F.cross_entropy(x, LABELS), lambda x: -(log_p(x) * one_hot).sum() / 4, X)
    smooth = one_hot.double() * 0.8 + 0.2 / 3
    agree(lambda x: F.cross_entropy(x, LABELS, label_smoothing=0.2), lambda x: -(log_p(x) * smooth).sum() / 4, X)
    w = gy.tensor([1.0, 2.0, 3.0], dtype=gy.float64)
    agree(
        lambda x: F.cross_entropy(x, LABELS, w),
        lambda x: -(log_p(x) * one_hot * w).sum() / 9,  # weights 1 + 3 + 2 + 3
        X,
    )
    agree(F.cross_entropy, lambda x, t: -(log_p(x) * t).sum() / 4, X, P)


def test_other_losses_are_their_compositions() -> None:
    t = gy.tensor(P)
    agree(F.mse_loss, lambda x, t: ((x - t) * (x - t)).mean(), X, P)
    agree(F.l1_loss, lambda x, t: (x - t).abs().mean(), X, P)
    s = lambda x: 1 / (1 + (-x).exp())  # noqa: E731
    agree(F.binary_cross_entropy_with_logits, lambda x, t: -(t * s(x).log() + (1 - t) * (1 - s(x)).log()).mean(), X, P)
    agree(lambda x: F.binary_cross_entropy(x, t), lambda x: -(t * x.log() + (1 - t) * (1 - x).log()).mean(), P[::-1])
    agree(lambda x, t: F.kl_div(x, t, reduction="batchmean"), lambda x, t: (t * (t.log() - x)).sum() / 4, X, P)
    agree(lambda x: F.nll_loss(x * x, LABELS), lambda x: -(x * x * F.one_hot(LABELS, 3)).sum() / 4, X)


def test_gradient_of_cross_entropy_is_p_minus_t_over_n() -> None:
    x = gy.tensor(X).requires_grad_()
    F.cross_entropy(x, LABELS).backward()
    p = np.exp(X) / np.exp(X).sum(1, keepdims=True)
    np.testing.assert_allclose(x.grad.numpy(), (p - np.eye(3)[LABELS.numpy()]) / 4, rtol=1e-12)


def test_multi_class_hinge_of_the_lecture() -> None:
    scores = gy.tensor([[1.0, 2.0, 0.5]])
    assert nn.MultiClassHingeLoss()(scores, gy.tensor([0])).item() == 2.0
    assert nn.MultiMarginLoss()(scores, gy.tensor([0])).item() == pytest.approx(2.5 / 3)


def test_multi_class_hinge_at_ties_and_kink() -> None:
    x = gy.tensor([[0.0, 1.0, 1.0]]).requires_grad_()
    F.multi_class_hinge_loss(x, gy.tensor([0])).backward()
    assert x.grad.tolist() == [[-1.0, 1.0, 0.0]]  # of equal wrong scores the first
    x = gy.tensor([[2.0, 1.0, 0.0]]).requires_grad_()
    F.multi_class_hinge_loss(x, gy.tensor([0])).backward()
    assert x.grad.tolist() == [[0.0, 0.0, 0.0]]


def test_stable_for_huge_logits() -> None:
    x = gy.tensor([[1e4, -1e4]])
    assert F.cross_entropy(x, gy.tensor([0])).item() == 0.0
    assert F.cross_entropy(x, gy.tensor([1])).item() == 2e4
    assert F.binary_cross_entropy_with_logits(x, gy.tensor([[0.0, 1.0]])).item() == 1e4
    assert F.binary_cross_entropy(gy.tensor([0.0, 1.0]), gy.tensor([1.0, 0.0])).item() == pytest.approx(100.0)


def test_reductions_and_ignored_labels() -> None:
    x = gy.tensor(X)
    each = F.cross_entropy(x, LABELS, reduction="none")
    assert each.shape == (4,)
    assert F.cross_entropy(x, LABELS, reduction="sum").item() == pytest.approx(each.numpy().sum())
    some = gy.tensor([0, -100, 1, -100])
    assert F.cross_entropy(x, some).item() == pytest.approx(each.numpy()[[0, 2]].mean())
    assert nn.MSELoss(size_average=False)(x, x + 1).item() == pytest.approx(12)
    assert nn.MSELoss(reduce=False)(x, x + 1).shape == (4, 3)


def test_weights_follow_the_type_of_the_scores() -> None:
    loss = nn.CrossEntropyLoss(weight=gy.tensor([1.0, 2.0, 3.0], dtype=gy.float64), label_smoothing=np.float64(0.1))
    assert loss(gy.tensor(X).float(), LABELS).dtype is gy.float32
    assert list(loss.state_dict()) == ["weight"]


def of(loss: Any, x: Any, t: Any) -> Any:
    return lambda: loss(gy.tensor(x), gy.tensor(t))


CE, TEN = nn.CrossEntropyLoss(), np.zeros((4, 10))


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (of(CE, TEN, [0, 1, 2, -1]), "CrossEntropyLoss: expected class indices 0..9, got -1 at row 3."),
        (of(CE, TEN, [0, 10, 2, 1]), "CrossEntropyLoss: expected class indices 0..9, got 10 at row 1."),
        (
            of(CE, TEN, np.eye(10, dtype=int)[:4]),
            "CrossEntropyLoss: expected class indices of shape (4,), got (4, 10). "
            "Hint: a one-hot target becomes class indices by target.argmax(1).",
        ),
        (
            of(CE, TEN, [[0], [1], [2], [3]]),
            "CrossEntropyLoss: expected class indices of shape (4,), got (4, 1). Hint: target.squeeze(1).",
        ),
        (
            of(CE, TEN, [0.0, 1.0, 2.0, 3.0]),
            "CrossEntropyLoss: expected class indices as integers of shape (4,), or probabilities of shape (4, 10), "
            "got float32 of shape (4,). Hint: target.long().",
        ),
        (of(CE, [[1, 2]], [0]), "CrossEntropyLoss: expected floating scores, got int64. Hint: x.float()."),
        (
            lambda: nn.CrossEntropyLoss(weight=gy.ones(3))(gy.tensor(TEN), gy.tensor([0, 1, 2, 3])),
            "CrossEntropyLoss: expected one weight a class, (10,), got (3,).",
        ),
        (
            of(nn.MSELoss(), np.zeros((4, 1)), np.zeros(4)),
            "MSELoss: expected prediction and target of one shape, got (4, 1) and (4,). "
            "Hint: prediction.squeeze(1), or target.unsqueeze(1).",
        ),
        (
            of(nn.BCEWithLogitsLoss(), np.zeros(4), np.zeros((4, 1))),
            "BCEWithLogitsLoss: expected prediction and target of one shape, got (4,) and (4, 1). "
            "Hint: target.squeeze(1), or prediction.unsqueeze(1).",
        ),
        (
            lambda: nn.MSELoss()(gy.ones(2), np.ones(2)),
            "MSELoss: expected tensors, got ndarray. Hint: gyaku.as_tensor(...).",
        ),
        (
            of(nn.BCELoss(), [0.5, 2.5], [0.0, 1.0]),
            "BCELoss: expected probabilities within 0..1, got 2.5. Hint: apply sigmoid, or use BCEWithLogitsLoss.",
        ),
        (lambda: nn.L1Loss(reduction="avg"), "L1Loss: expected reduction 'none', 'mean', 'sum', got 'avg'."),
        (
            of(nn.MultiMarginLoss(), TEN, [0, 1, 2, 99]),
            "MultiMarginLoss: expected class indices 0..9, got 99 at row 3.",
        ),
        (of(nn.NLLLoss(), TEN, [0, 1, 2, 99]), "NLLLoss: expected class indices 0..9, got 99 at row 3."),
    ],
)
def test_bad_targets_give_one_clear_message(call: Any, text: str) -> None:
    with pytest.raises(GyakuError) as error:
        call()
    assert str(error.value).startswith(text)


def test_kl_div_warns_of_its_default_mean() -> None:
    with pytest.warns(UserWarning, match="Hint: pass reduction='batchmean'"):
        F.kl_div(gy.tensor(np.log(P)), gy.tensor(P))


def test_penalties_touch_weights_only() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    W = net[0].weight.detach().numpy()
    nn.penalty.l2(net, 0.1).backward()
    np.testing.assert_allclose(net[0].weight.grad.numpy(), 0.2 * W, rtol=1e-6)
    assert net[0].bias.grad is None
    assert net[1].weight.grad is None
    net.zero_grad()
    nn.penalty.l1(net.parameters(), 0.1).backward()
    np.testing.assert_allclose(net[0].weight.grad.numpy(), 0.1 * np.sign(W), rtol=1e-6)
    assert nn.penalty.l1([], 0.1) == 0.0
