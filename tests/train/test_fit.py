"""``fit`` on plain arrays: what is learnt, what is restored, what is refused."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import gyaku as gy
from gyaku import nn, optim
from gyaku.base.errors import ArgumentError, DivergedError
from gyaku.models import MLP
from gyaku.train import Ensemble, Objective, fit, predict, pseudo_labels
from gyaku.train.loop import evaluate
from gyaku.train.schedule import OPTIMIZERS, SCHEDULES


def clouds(n: int = 90, classes: int = 3, seed: int = 0) -> tuple[Any, Any]:
    """Well separated clouds, one a class."""
    g = gy.Generator(seed)
    t = np.arange(n) % classes
    return (g.normal((n, 2)) * 0.3 + 2.0 * np.stack([np.cos(t), np.sin(t)], axis=1)).astype(np.float32), t


def test_classes_are_learnt_and_the_history_says_so() -> None:
    x, t = clouds()
    history = fit(MLP(2, [16], 3), (x, t), dev=clouds(seed=1), epochs=15, lr=0.02, batch_size=16)
    assert history.best["dev_accuracy"] > 0.97
    assert [row["epoch"] for row in history.rows] == list(range(1, 16))
    assert history["step"][-1] == 15 * 6
    assert history.stopped == "epochs" and len(history.seconds) == 15


def test_tensors_arrays_and_lists_of_them_train_alike() -> None:
    x, t = clouds()
    first = fit(MLP(2, [4], 3), (x, t), epochs=2)
    second = fit(MLP(2, [4], 3), (gy.tensor(x), gy.tensor(t)), epochs=2)
    assert first.rows == second.rows


def test_two_classes_take_one_unit_and_a_regression_takes_floats() -> None:
    x, t = clouds(classes=2)
    model = MLP(2, [8], 1)
    fit(model, (x, t), epochs=10, lr=0.05)
    p = predict(model, x)
    assert p.shape == (90, 2) and (p.argmax(1) == t).mean() > 0.97
    np.testing.assert_allclose(p.sum(1), 1.0)
    line, x = MLP(2, [], 1), gy.Generator(4).normal((90, 2)).astype(np.float32)
    history = fit(
        line,
        (x, x @ np.array([[1.0], [2.0]], dtype=np.float32) + 3.0),
        epochs=30,
        lr=0.1,
        optimizer="sgd",
        batch_size=16,
    )
    assert history["train_rmse"][-1] < 0.01
    np.testing.assert_allclose(line.output.weight.detach().numpy(), [[1.0, 2.0]], atol=0.01)


def test_the_model_ends_with_the_weights_of_its_best_epoch() -> None:
    x, t = clouds(n=30)
    dev = clouds(n=45, seed=3)
    model = MLP(2, [16], 3)
    history = fit(model, (x, t), dev=dev, epochs=12, lr=0.5, optimizer="sgd", momentum=0.95, batch_size=5)
    best = max(history.rows, key=lambda row: (row["dev_accuracy"], -row["dev_loss"], -row["epoch"]))
    assert history.best_epoch == best["epoch"]
    expected = {"loss": best["dev_loss"], "accuracy": best["dev_accuracy"]}
    assert evaluate(model, *dev, Objective("multiclass")) == expected
    assert not model.training


def test_patience_ends_training() -> None:
    x, t = clouds(n=30)
    history = fit(MLP(2, [16], 3), (x, t), dev=clouds(seed=2), epochs=100, lr=0.0, optimizer="sgd", patience=4)
    assert history.stopped == "patience" and len(history) == 5 and history.best_epoch == 1


def test_a_fit_leaves_the_users_random_stream_alone() -> None:
    gy.manual_seed(3)
    expected = gy.rand(4).tolist()
    gy.manual_seed(3)
    model = MLP(2, [4], 3, dropout=0.5)
    gy.manual_seed(3)
    fit(model, clouds(), epochs=1)
    assert gy.rand(4).tolist() == expected


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_by_name_lowers_the_loss(name: str) -> None:
    history = fit(MLP(2, [8], 3), clouds(), optimizer=name, epochs=6, weight_decay=0.001, batch_size=16)
    assert history["train_loss"][-1] < history["train_loss"][0]


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_move_the_rate(name: str) -> None:
    history = fit(MLP(2, [8], 3), clouds(), schedule=name, epochs=8, lr=0.01, dev=clouds(seed=1))
    rates = history["lr"]
    if name in ("cosine", "onecycle", "exponential", "step"):
        assert rates[-1] < 0.2 * max(rates)
    if name == "constant":
        assert set(rates) == {0.01}


def test_a_users_own_optimizer_scheduler_and_loss() -> None:
    x, t = clouds()
    model = MLP(2, [8], 3)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    scheduler = optim.lr_scheduler.StepLR(optimizer, 2, gamma=0.5)
    history = fit(
        model, (x, t), optimizer=optimizer, schedule=scheduler, epochs=4, loss=nn.CrossEntropyLoss(label_smoothing=0.1)
    )
    assert history["lr"] == [0.1, 0.1, 0.05, 0.05]


def test_label_smoothing_clipping_and_class_weights_reach_the_loss() -> None:
    x, t = clouds(n=40, classes=2)
    rare = np.flatnonzero((t == 0) | (np.arange(40) % 8 == 1))
    x, t = x[rare], t[rare]
    plain = fit(MLP(2, [], 2), (x, t), epochs=3, lr=0.1)
    smooth = fit(MLP(2, [], 2), (x, t), epochs=3, lr=0.1, label_smoothing=0.2)
    weighed = fit(MLP(2, [], 2), (x, t), epochs=3, lr=0.1, class_weight="balanced")
    clipped = fit(MLP(2, [], 2), (x, t), epochs=3, lr=0.1, optimizer="sgd", clip_norm=1e-6)
    assert len({row.rows[-1]["train_loss"] for row in (plain, smooth, weighed)}) == 3
    assert abs(clipped["train_loss"][0] - clipped["train_loss"][-1]) < 1e-3


def test_l2_shrinks_weights_and_not_biases() -> None:
    x, t = clouds()
    free, held = MLP(2, [8], 3), MLP(2, [8], 3)
    fit(free, (x, t), epochs=10, optimizer="sgd", lr=0.1)
    fit(held, (x, t), epochs=10, optimizer="sgd", lr=0.1, l2=0.05)
    assert np.abs(held.affine1.weight.tolist()).sum() < 0.9 * np.abs(free.affine1.weight.tolist()).sum()


def test_an_ensemble_answers_with_the_mean_and_pseudo_labels_take_the_sure_ones() -> None:
    x, t = clouds()
    members = [MLP(2, [8], 3, seed=seed) for seed in range(3)]
    for member in members:
        fit(member, (x, t), epochs=10, lr=0.05, batch_size=16)
    together = Ensemble(members)
    np.testing.assert_allclose(together.predict(x), np.mean([predict(m, x) for m in members], axis=0))
    rows, labels = pseudo_labels(together, x, threshold=0.999)
    assert 0 < len(rows) < 90 and (labels == t[rows]).all()
    assert (together.predict(x)[rows].max(axis=1) >= 0.999).all()
    with pytest.raises(ValueError, match="Ensemble: expected at least one model"):
        Ensemble([])


def test_a_loss_that_is_not_finite_names_epoch_step_and_operation() -> None:
    with pytest.raises(DivergedError, match=r"training, epoch \d+, step \d+: expected a finite loss.*first seen in .*"):
        fit(MLP(2, [8], 1), (clouds()[0], np.full((90, 1), 1e30, dtype=np.float32)), optimizer="sgd", lr=1e10)


def test_a_softmax_before_cross_entropy_is_warned_of() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Softmax(1))
    with pytest.warns(UserWarning, match=r"expected logits from the last layer, got nn\.Softmax"):
        fit(model, clouds(), epochs=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(nn.Sequential(nn.Linear(2, 3)), clouds(), epochs=1)


X, T = clouds(n=6)


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        ((X, T[:5]), {}, r"fit: expected x \(N, \.\.\.\) and t with the same N, got \(6, 2\) and \(5,\)"),
        ((X,), {}, r"fit: expected a pair \(x, t\) of arrays or tensors, got 1 of them"),
        ((X, T + 1), {}, r"fit: expected classes in 0\.\.2, got 3 in row 2"),
        ((X, T - 1), {}, r"fit: expected classes in 0\.\.2, got -1 in row 0"),
        ((X, np.eye(3, dtype=np.int64)[T]), {}, r"fit: expected classes \(N,\).*Hint: one-hot rows become classes"),
        ((X, T.astype(np.float32)), {}, r"fit: expected values of shape \(N, 1\), got \(6,\)"),
        ((np.where(X > 2, np.nan, X), T), {}, r"fit: expected finite numbers in x, got nan at \[\d, \d\]"),
        ((X, T), {"epochs": 0}, r"fit: expected epochs >= 1, got 0"),
        ((X, T), {"batch_size": 0}, r"fit: expected batch_size >= 1, got 0"),
        ((X, T), {"patience": 3}, r"fit: expected patience >= 1 and a dev part"),
        ((X, T), {"clip_norm": 0.0}, r"fit: expected clip_norm > 0, got 0\.0"),
        ((X, T), {"label_smoothing": 1.0}, r"fit: expected 0 <= label_smoothing < 1, got 1\.0"),
        ((X, T), {"optimizer": "adamm"}, r"expected a known optimizer .*did you mean 'adam'\?"),
        ((X, T), {"optimizer": "adam", "momentum": 0.9}, r"expected no momentum with 'adam'"),
        ((X, T), {"schedule": "cosin"}, r"expected a known schedule .*did you mean 'cosine'\?"),
        ((X, T), {"schedule": 3}, r"schedule: expected one of constant, .*got int"),
        ((X, T), {"class_weight": "balance"}, r"expected class_weight 'balanced' or an array \(K,\)"),
        ((X, X[:, :1]), {"label_smoothing": 0.1}, r"label_smoothing and class_weight for classes only"),
    ],
)
def test_what_does_not_fit_is_refused_with_one_message(data: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(Exception, match=message):
        fit(MLP(2, [4], 3), data, **options)


def test_a_scheduler_of_another_optimizer_is_refused() -> None:
    model, other = MLP(2, [8], 3), MLP(2, [8], 3)
    stray = gy.optim.lr_scheduler.StepLR(gy.optim.SGD(other.parameters(), lr=0.1), 1)
    with pytest.raises(ArgumentError, match="a scheduler of the optimizer in use"):
        fit(model, clouds(), optimizer=gy.optim.SGD(model.parameters(), lr=0.1), schedule=stray, epochs=1)
