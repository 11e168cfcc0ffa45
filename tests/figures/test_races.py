"""Width, activations, two layers, depth, optimizers and rates (1.6, 1.7, 4, 5.3, 6.7, 6.8) at the quick level."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from figures.quick import assert_draws_in_both_languages, assert_finite_with_claims, outcome
from gyaku import nn
from gyaku.figures import decision_boundaries, learning_rate, optimizer_race, race, scratch, sets, style, two_layer
from gyaku.figures.experiment import find
from gyaku.figures.jobs import Runner
from gyaku.figures.training import Residual, accuracy, mlp, train

pytest.importorskip("matplotlib_fontja")
pytest.importorskip("threadpoolctl")  # here, not inside a test: its import sets an environment variable

# How many claims, and those whose effect is so large that they hold even with a few seeds.
CLAIMS = {
    "decision_boundaries": (4, (0, 1, 3)),
    "activation_race": (2, (0, 1)),
    "two_layer": (4, (0, 2, 3)),
    "depth_fails": (6, (0, 1, 2, 3, 5)),
    "optimizer_race": (9, (0, 1, 2, 4, 5, 6)),
    "learning_rate": (6, (0, 1, 3, 4)),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_runs_with_finite_numbers_and_its_large_claims_hold(name: str) -> None:
    number, large = CLAIMS[name]
    assert_finite_with_claims(name, number)
    assert [i for i in large if not outcome(name).claims[i].held] == []


@pytest.mark.parametrize("name", CLAIMS)
def test_draws_in_both_languages(name: str) -> None:
    assert_draws_in_both_languages(name)


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others() -> None:
    job: dict[str, Any] = {"name": "adam", "lr": 0.003, "data": "digits", "epochs": 1}
    a, b, c = (optimizer_race.race(seed=s, **job) for s in (7, 7, 8))
    assert a["loss"].tobytes() == b["loss"].tobytes()
    assert (a["loss"] != c["loss"]).any()


def test_the_race_claims_follow_the_numbers() -> None:
    data = dict(outcome("optimizer_race").data)
    losses = dict(data["tuned"]["loss"])
    losses["sgd"] = 0.5 * np.min(list(losses.values()), axis=0)  # an SGD that is faster than all others
    data["tuned"] = {**data["tuned"], "loss": losses}
    held = [c.held for c in optimizer_race.claims(data)]
    assert held[:3] == [True] * 3
    assert held[3:7] == [False] * 4


def test_every_optimizer_has_the_same_tuning_budget() -> None:
    assert len({len(rates) for rates in optimizer_race.RATES.values()}) == 1
    assert set(optimizer_race.LECTURE) < set(optimizer_race.RATES)
    assert all(lr in optimizer_race.RATES[name] for name, lr in optimizer_race.LECTURE.items())


def test_a_rate_that_diverges_is_recorded_as_worse_than_all() -> None:
    found = learning_rate.fit("sgd", 1e6, "constant", 0, "digits", 1)
    assert np.isfinite(found["loss"]).all()
    assert found["loss"][-1] > 100
    assert found["test"] < 0.2


@pytest.mark.parametrize("done", [(0.0, 1.0), (0.5, 0.5), (1.0, 0.0)])
def test_the_cosine_starts_whole_and_ends_at_zero(done: tuple[float, float]) -> None:
    assert learning_rate.DECAYS["cosine"](done[0]) == pytest.approx(done[1])


@pytest.mark.parametrize("task", two_layer.TASKS)
def test_the_gradients_from_scratch_are_those_of_the_loss(task: str) -> None:
    (x, t), _ = two_layer.data_of(task, 0)
    x, t = x[:5], t[:5]
    p = scratch.initial(x.shape[1], 3, t.shape[1], 1)

    def loss() -> float:
        y = scratch.forward(p, x, task)[1]
        if task == "regression":
            return float(((y - t) ** 2).sum() / (2 * len(x)))
        if task == "binary":
            return float(-(t * np.log(y) + (1 - t) * np.log(1 - y)).sum() / len(x))
        return float(-(t * np.log(y)).sum() / len(x))

    for name, g in scratch.gradients(p, x, t, task).items():
        place = tuple(n // 2 for n in g.shape)
        kept, ends = p[name][place], []
        for step in (1e-6, -1e-6):
            p[name][place] = kept + step
            ends.append(loss())
        p[name][place] = kept
        assert g[place] == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5, abs=1e-9)


def test_the_length_of_a_boundary() -> None:
    regions = np.zeros((decision_boundaries.CELLS,) * 2, dtype=np.uint8)
    assert decision_boundaries.boundary(regions) == 0
    regions[:, 60:] = 1  # one straight cut across the picture
    cut = decision_boundaries.CELLS * 2 * decision_boundaries.EDGE / (decision_boundaries.CELLS - 1)
    assert decision_boundaries.boundary(regions) == pytest.approx(cut)


def test_tuning_takes_the_rate_with_the_best_mean_and_other_seeds() -> None:
    scores = {("a", 1.0): (1.0, 0.0), ("a", 2.0): (0.7, 0.7), ("b", 3.0): (0.2, 0.2), ("b", 4.0): (0.1, 0.1)}
    best, found = race.tune(
        Runner("tune"), lambda name, lr, seed: {"score": scores[name, lr][seed]},
        {"a": (1.0, 2.0), "b": (3.0, 4.0)}, [0, 1],
    )  # fmt: skip
    assert best == {"a": 2.0, "b": 3.0}
    assert found == {"a": [0.5, 0.7], "b": pytest.approx([0.2, 0.1])}


def test_labels_at_the_ends_keep_their_distance_and_stay_inside() -> None:
    _, axes = style.canvas()
    axes.set(xlim=(1, 10), ylim=(0.01, 1), yscale="log")
    race.end_labels(axes, 10, [(0.99, "a", "k"), (0.98, "b", "k"), (0.97, "c", "k"), (0.1, "d", "k")], gap=0.1)
    places = {text.get_text(): (np.log10(text.xy[1]) + 2) / 2 for text in axes.texts}
    assert places["d"] == pytest.approx(0.5, abs=0.01)
    assert places["a"] <= 1.0 + 1e-9
    assert min(places["a"] - places["b"], places["b"] - places["c"]) == pytest.approx(0.1, abs=0.01)


def test_a_paired_difference() -> None:
    d = race.paired([3.0, 4.0, 6.0], [1.0, 2.0, 6.5])
    assert (d.mean, d.n, d.wins) == (pytest.approx(3.5 / 3), 3, 2)
    assert d.low < 0 < d.high
    assert race.points(race.Difference(0.01, -0.002, 0.022, 10, 7)) == "+1.00 [-0.20, +2.20]"


def test_the_network_helper() -> None:
    net = mlp([4, 5, 5, 3], activation="tanh", init=0.5, norm="batch", dropout=0.1, residual=True, seed=3)
    assert [type(m).__name__ for m in net] == ["Sequential", "Residual", "Linear"]  # 4 -> 5 cannot have a skip
    assert isinstance(net[1], Residual)
    weight = net[1].block[0].weight.detach().numpy()
    assert 0.3 < weight.std() < 0.7
    same, other = (mlp([4, 5, 5, 3], init=0.5, seed=s)[1][0].weight.detach().numpy() for s in (3, 4))
    assert np.array_equal(weight, same)
    assert not np.array_equal(weight, other)


def test_training_returns_curves_and_learns() -> None:
    digits = sets.images("digits")
    net = mlp([64, 30, 10], seed=1)
    curves = train(net, digits.train, epochs=4, lr=0.01, seed=1, watch={"dev": digits.dev})
    assert curves["loss"].shape == (4 * 12,)
    assert curves["dev"].shape == (4,)
    assert curves["dev"][-1] == accuracy(net, *digits.dev) > 0.85


def test_a_rate_that_has_fallen_to_zero_moves_nothing() -> None:
    digits, net = sets.images("digits"), mlp([64, 10], seed=1)
    before = net[0].weight.detach().numpy().copy()
    train(net, digits.few(200), optimizer="sgd", lr=1.0, epochs=1, decay=lambda done: 0.0)
    assert np.array_equal(net[0].weight.detach().numpy(), before)


def test_regression_takes_another_criterion() -> None:
    x = np.linspace(-1, 1, 100, dtype=np.float32)[:, None]
    curves = train(mlp([1, 20, 1], seed=0), (x, 2 * x), epochs=50, lr=0.01, batch=20, criterion=nn.MSELoss())
    assert curves["loss"][-1] < 0.1 * curves["loss"][0]


def test_quick_experiments_never_ask_for_mnist(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("GYAKU_DATA", str(tmp_path))  # empty: no MNIST there
    assert sets.chosen("quick") == sets.chosen("default") == "digits"


@pytest.mark.parametrize("name", CLAIMS)
def test_it_is_in_the_catalogue_with_both_languages(name: str) -> None:
    experiment = find(name)
    assert experiment.name == name
    assert all(en and ja and en != ja for en, ja in (experiment.title, experiment.reading))
