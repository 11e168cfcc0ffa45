"""Unsupervised pre-training (11): the experiments at the quick level, and what must hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from figures.quick import assert_draws_in_both_languages, assert_finite_with_claims, outcome
from gyaku.figures import codes, divergence, pretraining, rbm_digits
from gyaku.figures.sets import images, pixels
from gyaku.models import Autoencoder, StackedAutoencoder
from gyaku.train import encode, reconstruct

pytest.importorskip("matplotlib_fontja")
pytest.importorskip("threadpoolctl")  # here, not inside a test: its import sets an environment variable

CLAIMS = {"rbm_digits": 5, "divergence": 5, "codes": 4, "pretraining": 14}


@pytest.mark.parametrize("name", CLAIMS)
def test_runs_with_finite_numbers_and_claims(name: str) -> None:
    assert_finite_with_claims(name, CLAIMS[name])


@pytest.mark.parametrize("name", CLAIMS)
def test_draws_in_both_languages(name: str) -> None:
    assert_draws_in_both_languages(name)


def test_pixels_are_the_images_before_standardising() -> None:
    raw, scaled = pixels("digits"), images("digits")
    assert raw.train[0].min() == 0.0 and raw.train[0].max() == 1.0
    for a, b in zip(raw[1:], scaled[1:], strict=True):
        assert np.array_equal(a[1], b[1])  # the same rows in the same order
    x = raw.train[0]
    np.testing.assert_allclose((x - x.mean()) / x.std(), scaled.train[0], atol=1e-4)


def test_independent_pixels_have_the_likelihood_of_their_means() -> None:
    x = np.array([[1, 0, 1], [0, 0, 1]], dtype=np.float32)
    assert divergence.independent(x) == pytest.approx(-np.log(2))  # one coin, two pixels that never change


def test_annealing_agrees_with_the_exact_sum_and_the_likelihood_claims_follow_the_numbers() -> None:
    data = dict(outcome("divergence").data)
    assert divergence.claims(data)[0].held
    low = {**data["CD-10"], "exact": data["CD-1"]["exact"] - 1.0}
    assert not divergence.claims({**data, "CD-10": low})[2].held
    wrong = {**data["PCD"], "ais": data["PCD"]["exact"] + 1.0}
    assert not divergence.claims({**data, "PCD": wrong})[0].held


def test_a_stack_and_the_deep_autoencoder_that_takes_its_layers_agree() -> None:
    stack, deep = StackedAutoencoder(64, [9, 5, 2], seed=1), Autoencoder(64, [9, 5, 2], seed=2)
    x = pixels("digits").test[0][:20]
    assert not np.allclose(encode(stack, x), encode(deep, x))
    codes.take_layers(deep, stack)
    np.testing.assert_allclose(encode(deep, x), encode(stack, x), rtol=1e-6)
    np.testing.assert_allclose(reconstruct(deep, x), reconstruct(stack, x), rtol=1e-6)


def test_neighbours_vote() -> None:
    code, t = np.array([[0.0], [0.1], [0.2], [5.0], [5.1], [5.2], [5.3]]), np.array([3, 3, 3, 7, 7, 7, 7])
    assert codes.vote(code, t, np.array([[0.0], [5.0]])).tolist() == [3, 7]  # 3 3 3 7 7 and 7 7 7 7 3


def test_two_components_are_the_best_plane() -> None:
    x = np.array([[2.0, 0, 0], [-2, 0, 0], [0, 1, 0], [0, -1, 0]])
    _, code, rebuilt = codes.components(x, x)
    np.testing.assert_allclose(rebuilt, x, atol=1e-12)
    assert np.abs(code).max(axis=0) == pytest.approx([2, 1])


@pytest.mark.parametrize("name", ["dbn", "sae", "random"])
def test_every_rate_starts_from_the_same_net(name: str) -> None:
    data = pixels("digits")
    make = pretraining.initial(name, data, 3, 1)
    first, second = make(), make()
    states = [{k: v.numpy() for k, v in net.state_dict().items()} for net in (first, second)]
    assert all(np.array_equal(states[0][k], states[1][k]) for k in states[0])
    assert len(pretraining.profile(first, data)) == pretraining.DEPTH


def test_pretraining_claims_follow_the_numbers() -> None:
    data: dict[str, Any] = outcome("pretraining").data
    test = data["nets"]["random"]["test"]
    up = np.clip(test + 0.2, 0, 2)
    better = {**data, "nets": {**data["nets"], "dbn": {**data["nets"]["dbn"], "test": up}}}
    assert [c.held for c in pretraining.claims(better)[:3]] == [True] * 3
    worse = {**data, "nets": {**data["nets"], "dbn": {**data["nets"]["dbn"], "test": test - 0.2}}}
    assert [c.held for c in pretraining.claims(worse)[:3]] == [False] * 3


def test_half_of_the_weight_and_the_nearest_digit() -> None:
    filters = np.array([[1.0, 3.0], [1.0, 0.0], [1.0, 0.1], [1.0, 0.0]])
    assert rbm_digits.pixels_of_half(filters).tolist() == [2, 1]
    near, distance = rbm_digits.nearest(np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([[0.0, 0.5], [3.0, 4.0]]))
    assert near.tolist() == [0, 1] and distance.tolist() == pytest.approx([0.5, 0.0])


def test_completions_keep_the_half_that_is_shown() -> None:
    data = outcome("rbm_digits").data
    assert np.allclose(data["completed"][:, :32], data["true"][:, :32], atol=1e-6)
    assert not np.allclose(data["completed"][:, 32:], data["true"][:, 32:], atol=0.01)
