"""Regularization (9): the experiments at the quick level, and what must hold."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from figures.quick import assert_draws_in_both_languages, assert_finite_with_claims, outcome
from gyaku.backend.random import Generator
from gyaku.base.tree import flatten
from gyaku.figures import augmentation, dropout, early_stopping, label_smoothing, regularization_race, sets
from gyaku.figures.experiment import make
from gyaku.figures.gains import gain, gains
from gyaku.figures.training import mlp, train

pytest.importorskip("matplotlib_fontja")
pytest.importorskip("threadpoolctl")  # here, not inside a test: its import sets an environment variable

CLAIMS = {
    "sparsity": 3,
    "dropout": 5,
    "early_stopping": 3,
    "augmentation": 8,
    "label_smoothing": 5,
    "ensembles": 4,
    "pseudo_labels": 6,
    "regularization_race": 7,
}


@pytest.mark.parametrize("name", CLAIMS)
def test_runs_with_finite_numbers_and_claims_in_two_languages(name: str) -> None:
    assert_finite_with_claims(name, CLAIMS[name])


@pytest.mark.parametrize("name", CLAIMS)
def test_draws_in_both_languages(name: str) -> None:
    assert_draws_in_both_languages(name)


@pytest.mark.parametrize("name", ["dropout", "ensembles"])
def test_same_seed_gives_the_same_numbers_and_another_seed_others(name: str) -> None:
    first, again, other = outcome(name), make(name, "quick"), make(name, "quick", seed=1)
    arrays = [flatten(o.data, name)[0] for o in (first, again, other)]
    assert all(np.array_equal(a, b) for a, b in zip(arrays[0].values(), arrays[1].values(), strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(arrays[0].values(), arrays[2].values(), strict=True))


def test_only_the_proximal_step_gives_exact_zeros() -> None:
    o = outcome("sparsity")
    assert o.claims[0].held
    assert (o.data["l1_proximal"]["zero"] > 0.01).all()
    assert o.data["l1"]["zero"].max() == o.data["l2"]["zero"].max() == 0.0
    assert (o.data["l1"]["near"] > o.data["l2"]["near"]).all()


def test_dropout_claims_are_exact_or_beyond_chance() -> None:
    o = outcome("dropout")
    assert o.held
    ratio = o.data["inverted"]["formula"] / o.data["lecture"]["formula"]
    assert np.allclose(ratio, 1 / (1 - o.data["p"]) ** 2, rtol=1e-12)
    assert set(np.unique(o.data["mask"])) == {0.0, 1.0}


def test_all_masks_of_two_inputs_by_hand() -> None:
    # x w = (1, 2), p = 1/4: (1 + 2) 3/4 = 2.25, and (1 + 4) 3/16 = 0.9375
    assert dropout.enumerated(np.array([1.0, 1.0]), np.array([1.0, 2.0]), 0.25) == pytest.approx((2.25, 0.9375), abs=0)


@pytest.mark.parametrize(
    ("dev", "best", "last"),
    [([0.5, 0.4], 0, 1), ([0.1, 0.9] + [0.2] * 30, 1, 11), ([0.5] * 40, 0, 10), (list(np.arange(40) / 40), 39, 39)],
)
def test_early_stopping_waits_and_keeps_the_first_best_epoch(dev: list[float], best: int, last: int) -> None:
    assert early_stopping.stopped(np.array(dev)) == (best, last)


def test_early_stopping_keeps_the_test_accuracy_of_the_best_epoch() -> None:
    for found in (outcome("early_stopping").data[k] for k in ("clean", "noisy")):
        for run, epoch in enumerate(found["best"]):
            assert found["kept"][run] == found["test"][run, epoch - 1]
            assert found["dev"][run, epoch - 1] == found["dev"][run, : found["epochs"][run]].max()


def test_calibration_error_by_hand() -> None:
    p = np.array([[0.95, 0.05], [0.85, 0.15], [1.0, 0.0]])
    # bins 0.9-1: two answers, both right, mean 0.975; bin 0.8-0.9: one answer, wrong
    assert label_smoothing.calibration_error(p, np.array([0, 1, 0])) == pytest.approx((2 * 0.025 + 0.85) / 3)


def test_smoothing_makes_less_sure() -> None:
    for name in ("clean", "noisy"):
        sure = outcome("label_smoothing").data[name]["sure"]
        assert (sure[1] < sure[0]).all()


def test_ensembles_obey_jensen_and_one_member_is_itself() -> None:
    o = outcome("ensembles")
    assert o.claims[0].held
    for key in ("accuracy", "loss"):
        assert np.array_equal(o.data["ensemble"][key][:, 0], o.data["members"][key][:, 0])


def test_pseudo_labels_start_from_the_same_network_at_every_threshold() -> None:
    for found in outcome("pseudo_labels").data.values():
        for threshold in ("0.5", "0.8", "0.95"):
            assert np.array_equal(found[threshold]["accuracy"][:, 0], found["without"][:, 0])
        assert (found["0.5"]["taken"][:, 0] >= found["0.95"]["taken"][:, 0]).all()


@pytest.mark.parametrize("kind", ["shift", "rotate", "elastic", "both"])
def test_augmentation_keeps_shape_and_type_and_changes_every_epoch(kind: str) -> None:
    digits = sets.images("digits")
    x, change = digits.few(20)[0], augmentation.augmenter(kind, digits)
    stream = Generator(0)
    first, second = change(x, stream), change(x, stream)
    assert first.shape == x.shape and first.dtype == x.dtype
    assert not np.array_equal(first, second) and not np.array_equal(first, x)
    assert np.array_equal(first, change(x, Generator(0)))


def test_remedies_differ_from_none_and_strengths_come_from_the_list() -> None:
    remedies = [regularization_race.remedy(name, 0.25) for name in regularization_race.RACERS]
    assert remedies[0] == ({}, {}) and all(r != ({}, {}) for r in remedies[1:])
    o = outcome("regularization_race")
    assert all(o.data["strength"][n] in s for n, s in regularization_race.STRENGTHS.items())
    assert (o.data["train"]["none"][:, -1] > 0.98).all() and o.claims[0].held


def test_gain_holds_by_its_interval_and_by_p() -> None:
    more, less = [0.9, 0.91, 0.92], [0.8, 0.8, 0.83]
    assert gain(("a", "b"), more, less).held and not gain(("a", "b"), less, more).held
    assert not gain(("a", "b"), more, less, p=0.2).held and not gain(("a", "b"), more, less, least=0.2).held
    ten = np.linspace(0.5, 0.6, 10)
    held = [c.held for c in gains([(("a", "b"), ten + 0.1, ten), (("c", "d"), ten, ten)])]
    assert held == [True, False]
    assert "p = 0.0039" in gains([(("a", "b"), ten + 0.1, ten), (("c", "d"), ten, ten)])[0].en  # 2 x 2 / 2**10


def test_few_rows_are_drawn_by_the_seed_and_labels_are_really_wrong() -> None:
    digits = sets.images("digits")
    x, t = digits.few(100, seed=1)
    assert x.shape == (100, 64) and len(np.unique(x, axis=0)) == 100
    assert not np.array_equal(x, digits.few(100, seed=2)[0])
    changed = sets.wrong_labels(t, 0.2, 0)
    assert (changed != t).sum() == 20 and set(changed) <= set(range(10))


def test_train_changes_the_inputs_of_every_epoch_in_the_order_of_the_seed() -> None:
    seen = []

    def keep(x: np.ndarray, generator: Generator) -> np.ndarray:
        seen.append(x.copy())
        return x

    few = sets.images("digits").few(60)
    with_it = train(mlp([64, 8, 10]), few, epochs=2, batch=20, augment=keep)
    assert np.array_equal(with_it["loss"], train(mlp([64, 8, 10]), few, epochs=2, batch=20)["loss"])
    assert len(seen) == 2 and not np.array_equal(seen[0], seen[1])


@pytest.mark.parametrize("name", CLAIMS)
def test_is_named_in_the_catalogue_with_its_lecture_rows(name: str) -> None:
    module = importlib.import_module(f"gyaku.figures.{name}")
    assert module.EXPERIMENT.name == name
    assert all(row.startswith(("9.", "2.")) for row in module.EXPERIMENT.rows)
