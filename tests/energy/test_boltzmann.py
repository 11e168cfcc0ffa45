"""The general Boltzmann machine of ten units against sums over all its states; the RBM with labels."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from gyaku.backend.random import Generator
from gyaku.base.errors import ArgumentError, DivergedError, DtypeError, ShapeError
from gyaku.energy import RBM, BoltzmannMachine, ClassRBM


def machine(visible: int = 6, hidden: int = 4, scale: float = 0.8, seed: int = 0) -> BoltzmannMachine:
    m, rng = BoltzmannMachine(visible, hidden), np.random.default_rng(seed)
    n = visible + hidden
    half = np.triu(scale * rng.normal(size=(n, n)), 1)
    m.W[:], m.b[:] = half + half.T, rng.normal(size=n)
    return m


def log_weights(m: BoltzmannMachine) -> tuple[Any, Any]:
    """All states and log e^-E, pair by pair."""
    s = np.array(list(itertools.product([0.0, 1.0], repeat=m.size)))
    pairs = sum(m.W[i, j] * s[:, i] * s[:, j] for i in range(m.size) for j in range(i))
    return s, pairs + s @ m.b


def test_everything_agrees_with_the_sum_over_all_states() -> None:
    m = machine()
    s, logs = log_weights(m)
    log_z = np.logaddexp.reduce(logs)
    np.testing.assert_allclose(m.energy(s), -logs, atol=1e-12)
    assert m.log_partition() == pytest.approx(log_z, rel=1e-12)
    p = np.exp(logs - log_z)
    both, mean = m.statistics()
    np.testing.assert_allclose(mean, p @ s, atol=1e-12)
    np.testing.assert_allclose(both, (s * p[:, None]).T @ s, atol=1e-12)
    v = s[:: 2**m.n_hidden, : m.n_visible]
    marginal = p.reshape(len(v), -1).sum(1)
    np.testing.assert_allclose(m.log_likelihood(v), np.log(marginal), atol=1e-12)


@pytest.mark.parametrize("hidden", [0, 4])
def test_the_exact_gradient_is_the_slope_of_the_likelihood(hidden: int) -> None:
    m = machine(6, hidden)
    x = np.random.default_rng(1).random((9, 6)).round()
    w, b = m.exact_gradient(x)
    rng = np.random.default_rng(2)
    for a, g in ((m.W, w), (m.b, b)):
        direction = rng.normal(size=a.shape)
        if a.ndim == 2:
            direction = np.triu(direction, 1)
            g = np.triu(g, 1)  # each pair is one parameter, written twice
        change = direction + direction.T if a.ndim == 2 else direction
        ends = []
        for step in (1e-5, -2e-5):
            a += step * change
            ends.append(m.log_likelihood(x).mean())
        a += 1e-5 * change
        assert (ends[0] - ends[1]) / 2e-5 == pytest.approx((g * direction).sum(), rel=1e-6)


def test_without_connections_inside_a_side_it_is_an_rbm() -> None:
    m, r = machine(), RBM(6, 4, dtype=np.float64)
    m.W[:6, :6] = m.W[6:, 6:] = 0
    r.W[:], r.b[:], r.c[:] = m.W[:6, 6:], m.b[:6], m.b[6:]
    v = np.random.default_rng(0).random((5, 6)).round()
    np.testing.assert_allclose(m.log_likelihood(v), r.log_likelihood(v), rtol=1e-12)


def test_chains_visit_states_as_often_as_they_are_likely() -> None:
    m = machine(4, 3)
    s, logs = log_weights(m)
    p = np.exp(logs - np.logaddexp.reduce(logs))
    generator, x = Generator(0), np.zeros((500, m.size))
    counts = np.zeros(len(s))
    for sweep in range(700):
        x = m.gibbs(x, generator)
        if sweep >= 50:
            counts += np.bincount((x @ 2.0 ** np.arange(m.size)[::-1]).astype(int), minlength=len(s))
    assert 0.5 * abs(counts / counts.sum() - p).sum() < 0.01


@pytest.mark.parametrize("rule", ["exact", "pcd"])
def test_it_learns_that_the_last_unit_is_the_exclusive_or_of_two(rule: str) -> None:
    """No pairs alone can say it: hidden units are needed."""
    x = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]], float)[np.arange(80) % 4]
    m = BoltzmannMachine(3, 3, seed=1)
    m.W *= 100  # the gradient is nearly zero where no unit has taken a side
    epochs, momentum = (1500, 0.9) if rule == "exact" else (1000, 0.5)
    rows = m.fit(x, epochs=epochs, batch_size=80, lr=0.3, rule=rule, k=3, momentum=momentum)
    assert rows[-1]["epoch"] == len(rows)
    assert m.log_likelihood(x).mean() > -1.9  # log 4 = 1.39 at best, log 8 = 2.08 without knowing
    shown = m.sample(200, steps=200, clamp=([True, True, False], [1, 0, 0]))
    assert (shown[:, :2] == [1, 0]).all() and shown[:, 2].mean() > 0.6


def test_refusals() -> None:
    m = machine()
    for make, error, words in (
        (lambda: BoltzmannMachine(0), ArgumentError, "n_visible >= 1"),
        (lambda: BoltzmannMachine(15, 8).log_partition(), ArgumentError, "at most 20 units"),
        (lambda: m.fit(np.full((2, 6), 3.0)), ArgumentError, r"\[0, 1\]"),
        (lambda: m.fit(np.zeros((2, 6)), rule="cd"), ArgumentError, "exact"),
        (lambda: m.sample(2, clamp=([True], [1.0])), ShapeError, "clamp"),
        (lambda: m.fit(np.eye(6), lr=1e5, epochs=50), DivergedError, "learning rate"),
    ):
        with pytest.raises(error, match=words):
            make()


def test_finite_with_huge_weights() -> None:
    m = machine(scale=1e3)
    assert np.isfinite(m.log_partition())
    assert all(np.isfinite(a).all() for a in (*m.statistics(), m.free_energy(np.eye(6)), m.sample(3, steps=2)))


# -- labels ------------------------------------------------------------------------------------------------------------
def test_classes_are_told_by_free_energies() -> None:
    m, rng = ClassRBM(5, 3, 4, dtype=np.float64), np.random.default_rng(0)
    for a in m.arrays().values():
        a[:] = rng.normal(size=a.shape)
    x = rng.random((7, 5)).round()
    scores = np.stack([-m.free_energy(m.joined(x, np.full(7, k))) for k in range(3)], axis=1)
    np.testing.assert_allclose(
        m.class_log_probabilities(x), scores - np.logaddexp.reduce(scores, axis=1, keepdims=True), atol=1e-12
    )
    np.testing.assert_array_equal(m.predict(x), scores.argmax(1))


def test_labels_are_learned_and_generate_their_class() -> None:
    rng = np.random.default_rng(0)
    t = np.arange(300) % 3
    p = np.full((3, 9), 0.1)
    for k in range(3):
        p[k, 3 * k : 3 * k + 3] = 0.9
    x = (rng.random((300, 9)) < p[t]).astype(np.float32)
    m = ClassRBM(9, 3, 8)
    m.fit_classes(x, t, epochs=40, batch_size=20, lr=0.1)
    assert (m.predict(x) == t).mean() > 0.95
    shown = m.generate(1, 50, steps=100)
    assert shown[:, 3:6].mean() > 0.7 > 0.3 > shown[:, [0, 1, 2, 6, 7, 8]].mean()


def test_labels_are_checked() -> None:
    m = ClassRBM(5, 3, 4)
    for x, t, error, words in (
        (np.zeros((2, 5)), [0, 3], ArgumentError, "3 in row 1"),
        (np.zeros((2, 5)), [0.0, 1.0], DtypeError, "class numbers"),
        (np.zeros((2, 4)), [0, 1], ShapeError, r"\(2, 5\)"),
    ):
        with pytest.raises(error, match=words):
            m.fit_classes(x, np.array(t))
    with pytest.raises(ArgumentError, match="0..2"):
        m.generate(7)
    with pytest.raises(ArgumentError, match="n_classes >= 2"):
        ClassRBM(5, 1, 4)
