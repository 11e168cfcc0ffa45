"""The restricted Boltzmann machine against sums over all its states, and its four ways of training."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import gyaku as gy
from gyaku.backend.random import Generator
from gyaku.base.errors import ArgumentError, DataError, DivergedError, DtypeError, ShapeError, UnknownNameError
from gyaku.energy import RBM, rbm_step
from gyaku.energy.rbm import free_energy_of
from gyaku.energy.units import Bernoulli, Joined, Softmax, Units
from gyaku.ops.namespace import tensor_namespace

KINDS: dict[str, tuple[Any, Any]] = {
    "bernoulli": ("bernoulli", "bernoulli"),
    "softmax hidden": ("bernoulli", Softmax(6, 2)),
    "one softmax hidden": ("bernoulli", "softmax"),
    "labels": (Joined([Bernoulli(5), Softmax(3)]), "bernoulli"),
    "gaussian": ("gaussian", "bernoulli"),
}
FINITE = [name for name in KINDS if name != "gaussian"]


def machine(kinds: str = "bernoulli", scale: float = 1.0, seed: int = 0, dtype: Any = np.float64) -> RBM:
    visible, hidden = KINDS[kinds]
    m, rng = RBM(8, 6, visible=visible, hidden=hidden, dtype=dtype), np.random.default_rng(seed)
    for a in m.arrays().values():
        a[:] = scale * rng.normal(size=a.shape)
    return m


def listed(units: Units) -> Any:
    """All states, written down anew: products of the possible values, kept where each softmax group has one 1."""
    states = np.array(list(itertools.product([0.0, 1.0], repeat=units.size)))
    start = 0
    for part in units.parts or (units,):
        if isinstance(part, Softmax):
            groups = states[:, start : start + part.size].reshape(len(states), part.groups, -1)
            states = states[(groups.sum(2) == 1).all(1)]
        start += part.size
    return states


@pytest.mark.parametrize("kinds", FINITE)
def test_everything_agrees_with_the_sum_over_all_states(kinds: str) -> None:
    m = machine(kinds)
    v, h = listed(m.visible), listed(m.hidden)
    log_p = np.array([[vi @ m.b + hj @ m.c + vi @ m.W @ hj for hj in h] for vi in v])
    np.testing.assert_allclose(m.energy(np.repeat(v, len(h), 0), np.tile(h, (len(v), 1))), -log_p.ravel(), rtol=1e-12)
    log_z = np.logaddexp.reduce(log_p.ravel())
    assert m.log_partition() == pytest.approx(log_z, rel=1e-12)
    np.testing.assert_allclose(m.free_energy(v), -np.logaddexp.reduce(log_p, axis=1), rtol=1e-12)
    p, found = np.exp(log_p - log_z), m.statistics()
    assert found.log_z == pytest.approx(log_z, rel=1e-12)
    np.testing.assert_allclose(found.even, p.sum(1) @ v, atol=1e-12)
    np.testing.assert_allclose(found.odd, p.sum(0) @ h, atol=1e-12)
    np.testing.assert_allclose(found.both, v.T @ p @ h, atol=1e-12)
    np.testing.assert_allclose(m.mean_hiddens(v), p @ h / p.sum(1, keepdims=True), atol=1e-12)
    np.testing.assert_allclose(m.mean_visibles(h), p.T @ v / p.sum(0)[:, None], atol=1e-12)
    assert m.log_likelihood(v).sum() == pytest.approx(np.log(p.sum(1)).sum(), rel=1e-12)


def test_gaussian_units_are_integrated() -> None:
    """One Gaussian unit: log Z and its moments against a fine sum over its values."""
    m = RBM(1, 3, visible="gaussian", dtype=np.float64)
    m.W[:], m.b[:], m.c[:] = [[1.0, -2.0, 0.5]], [0.3], [0.1, -0.4, 0.2]
    v = np.linspace(-14, 14, 200_001)[:, None]
    density = np.exp(-m.free_energy(v))
    z = density.sum() * (v[1, 0] - v[0, 0])
    assert m.log_partition() == pytest.approx(np.log(z), rel=1e-12)
    assert m.statistics().even[0] == pytest.approx((density * v[:, 0]).sum() / density.sum(), rel=1e-10)


@pytest.mark.parametrize("kinds", KINDS)
def test_the_exact_gradient_is_the_slope_of_the_likelihood(kinds: str) -> None:
    m = machine(kinds)
    x = m.visible.draw(m.visible.mean(np, np.random.default_rng(1).normal(size=(7, 8))), Generator(3))
    for name, gradient in zip(m.arrays(), m.exact_gradient(x), strict=True):
        a = m.arrays()[name]
        direction = np.random.default_rng(2).normal(size=a.shape)
        ends = []
        for step in (1e-5, -2e-5):
            a += step * direction
            ends.append(m.log_likelihood(x).mean())
        a += 1e-5 * direction
        assert (ends[0] - ends[1]) / 2e-5 == pytest.approx((gradient * direction).sum(), rel=1e-6)


@pytest.mark.parametrize("kinds", KINDS)
def test_the_gradient_of_the_free_energy_is_minus_the_statistics(kinds: str) -> None:
    """The one formula, read with tensors and differentiated, against -v E[h | v]', -v and -E[h | v]."""
    m = machine(kinds)
    v = m.visible.draw(m.visible.mean(np, np.zeros((4, 8))), Generator(0))
    w, b, c = (gy.tensor(a, requires_grad=True) for a in (m.W, m.b, m.c))
    free_energy_of(tensor_namespace, gy.tensor(v), w, b, c, m.visible, m.hidden).sum().backward()
    h = m.mean_hiddens(v)
    for found, expected in ((w, -v.T @ h), (b, -v.sum(0)), (c, -h.sum(0))):
        np.testing.assert_allclose(found.grad.numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("kinds", KINDS)
def test_annealing_meets_the_exact_sum(kinds: str) -> None:
    m = machine(kinds, 0.5)
    found, exact = m.annealed_log_partition(chains=200, steps=500), m.log_partition()
    assert abs(found.log_z - exact) < min(3 * found.error, 0.1)
    assert 0 < found.error < 0.05


def test_everything_is_finite_with_huge_weights() -> None:
    for kinds in KINDS:
        m = machine(kinds, 1e3)
        v = m.sample(5, steps=3)
        found = m.statistics()
        for a in (v, m.free_energy(v), m.mean_hiddens(v), m.energy(v, m.mean_hiddens(v)), found.both, found.log_z):
            assert np.isfinite(a).all()


def distance(m: RBM, sweeps: int) -> float:
    """Total variation over the visible states between 100 chains of so many sweeps and the exact distribution."""
    states = listed(m.visible)
    powers = 2 ** np.arange(m.visible.size)
    p = np.zeros(2**m.visible.size)
    p[(states @ powers).astype(int)] = np.exp(m.log_likelihood(states))
    generator, v, counts = Generator(0), m.sample(100, steps=50, means=False), np.zeros(len(p))
    for _ in range(sweeps):
        v = m.gibbs(v, generator)
        counts += np.bincount((v @ powers).astype(int), minlength=len(p))
    return float(0.5 * abs(counts / counts.sum() - p).sum())


@pytest.mark.parametrize("kinds", ["bernoulli", "labels", "softmax hidden"])
def test_chains_visit_states_as_often_as_they_are_likely(kinds: str) -> None:
    assert distance(machine(kinds, 0.7), 2000) < 0.03


@pytest.mark.slow
def test_a_hundred_chains_of_a_hundred_thousand_sweeps_are_within_a_hundredth() -> None:
    assert distance(machine(scale=0.7), 100_000) <= 0.01


def test_contrastive_divergence_worked_by_hand() -> None:
    """One visible, one hidden unit, one step: the data's term has a plus, the model's a minus; hidden means count."""
    m = RBM(1, 1, dtype=np.float64)
    m.W[:], m.b[:], m.c[:] = 2.0, -1.0, 0.5
    s = lambda a: 1 / (1 + np.exp(-a))  # noqa: E731
    h0 = s(0.5 + 2.0)  # E[h | v = 1] = 0.9241
    before = m.W.copy(), m.b.copy(), m.c.copy()
    m.fit([[1.0]], epochs=1, batch_size=1, lr=0.1, momentum=0.0, weight_decay=0.0, seed=7)
    moved = [float((a - b0).item()) / 0.1 for a, b0 in zip((m.W, m.b, m.c), before, strict=True)]
    outcomes = []
    for h in (0.0, 1.0):  # the hidden unit is drawn: either may have come
        v1 = s(-1.0 + 2.0 * h)  # the reconstruction is a mean
        h1 = s(0.5 + 2.0 * v1)  # so is what the model answers
        outcomes.append([1.0 * h0 - v1 * h1, 1.0 - v1, h0 - h1])
    assert min(np.abs(np.array(moved) - o).max() for o in np.array(outcomes)) < 1e-12


@pytest.mark.parametrize("rule", ["cd", "pcd", "pt", "exact"])
def test_every_rule_climbs_the_likelihood_of_bars(rule: str) -> None:
    """Each row is one of four patterns of 8 units, half of them on together: far from independent."""
    patterns = np.array([[1, 1, 1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 1, 1, 1, 1], [1, 0, 1, 0, 1, 0, 1, 0], [0] * 8], float)
    x = patterns[np.arange(200) % 4]
    m = RBM(8, 6, dtype=np.float64)
    lr = 0.05 if rule == "pcd" else 0.2  # chains that go on must keep up with the weights
    rows = m.fit(x, epochs=150, batch_size=20, lr=lr, rule=rule, k=2, momentum=0.5, weight_decay=0.0, chains=40)
    p = x.mean(0)
    independent = (p * np.log(p) + (1 - p) * np.log(1 - p)).sum()  # log p of the best independent units
    assert m.log_likelihood(x).mean() > independent + 1.9
    assert rows[-1]["reconstruction_error"] < rows[0]["reconstruction_error"]
    assert rows[-1]["pseudo_likelihood"] > rows[0]["pseudo_likelihood"]


def test_same_seed_same_bits_and_other_seed_other_bits() -> None:
    x = np.random.default_rng(0).random((60, 8)).round()
    runs = []
    for seed in (0, 0, 1):
        m = RBM(8, 6)
        m.fit(x, epochs=2, batch_size=20, rule="pcd", seed=seed)
        runs.append((m.W.tobytes(), m.sample(3, steps=5, seed=seed).tobytes()))
    assert runs[0] == runs[1] != runs[2]


def test_sparsity_lowers_the_activity() -> None:
    x = np.random.default_rng(0).random((300, 8)).round()
    means = []
    for target in (None, 0.1):
        m = RBM(8, 6, dtype=np.float64)
        m.fit(x, epochs=30, lr=0.1, batch_size=30, sparsity=target, sparsity_cost=2.0)
        means.append(m.transform(x).mean())
    assert means[1] < 0.2 < means[0]


def test_clamped_units_stay_and_the_rest_is_completed() -> None:
    m = machine(scale=0.0)
    m.W[:, 0], m.b[:], m.c[0] = 6.0, -3.0, -24.0  # all units want to agree
    mask, values = np.arange(8) < 4, np.ones(8)
    shown = m.sample(20, steps=50, clamp=(mask, values), means=False)
    assert (shown[:, :4] == 1).all() and shown[:, 4:].mean() > 0.9
    assert m.sample(20, steps=50, clamp=(mask, 0 * values), means=False)[:, 4:].mean() < 0.1
    with pytest.raises(ShapeError, match="clamp"):
        m.sample(2, clamp=(mask[:3], values))
    with pytest.raises(ArgumentError, match=r"\[0, 1\]"):
        m.sample(2, clamp=(mask, 3 * values))


def test_one_sample_and_whole_numbers_are_taken() -> None:
    m = RBM(4, 3)
    assert m.fit([0, 1, 1, 0], epochs=2)[-1]["epoch"] == 2
    assert m.transform(np.array([[True, False, True, False]])).shape == (1, 3)


@pytest.mark.parametrize(
    ("x", "error", "words"),
    [
        (np.full((3, 8), 2.0), ArgumentError, "in \\[0, 1\\] for Bernoulli units, got 2 to 2"),
        (np.full((3, 8), np.nan), ArgumentError, "finite values, got nan at \\[0, 0\\]"),
        (np.zeros((0, 8)), ShapeError, "at least one sample"),
        (np.zeros((3, 7)), ShapeError, "rows of 8 visible units"),
        ([["a"] * 8], DtypeError, "numbers"),
    ],
)
def test_bad_data_is_refused_in_words_and_nothing_changes(x: Any, error: type[Exception], words: str) -> None:
    m = RBM(8, 6)
    before = m.W.copy()
    with pytest.raises(error, match=words):
        m.fit(x)
    np.testing.assert_array_equal(m.W, before)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rule": "cdd"}, "did you mean|cd"),
        ({"lr": 0.0}, "lr > 0"),
        ({"k": 0}, "k >= 1"),
        ({"sparsity": 1.5}, "0 < sparsity < 1"),
        ({"chains": 0}, "chains >= 1"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises((ArgumentError, UnknownNameError), match=words):
        RBM(8, 6).fit(np.zeros((3, 8)), **options)


def test_a_machine_that_runs_away_is_noticed_with_the_remedy() -> None:
    x = 30 * np.random.default_rng(0).normal(size=(100, 8))  # far from deviation 1
    with pytest.raises(DivergedError, match="learning rate"):
        RBM(8, 6, visible="gaussian").fit(x, epochs=50, lr=5.0)


def test_constructors_refuse_and_descriptions_go_round() -> None:
    for make, error in (
        (lambda: RBM(0, 3), ArgumentError),
        (lambda: RBM(3, 3, visible="binary"), UnknownNameError),
        (lambda: RBM(3, 3, visible=Bernoulli(4)), ArgumentError),
        (lambda: RBM(3, 3, visible="gaussian", hidden="gaussian"), ArgumentError),
        (lambda: Softmax(5, 2), ArgumentError),
        (lambda: RBM.from_architecture({"kind": "rbm"}), DataError),
        (lambda: RBM.weight_shapes({**RBM(3, 2).architecture(), "visible": 2**40}), DataError),
    ):
        with pytest.raises(error):
            make()
    m = machine("one softmax hidden", dtype=np.float32)
    twin = RBM.from_architecture(m.architecture()).load_arrays(m.arrays())
    np.testing.assert_array_equal(twin.transform(np.eye(8)), m.transform(np.eye(8)))
    assert RBM.weight_shapes(m.architecture()) == {"W": (8, 6)}
    assert repr(m) == "RBM(8, 6, visible='bernoulli', hidden='softmax')"
    with pytest.raises(ShapeError):
        RBM(3, 2).load_arrays(m.arrays())


@pytest.mark.parametrize(
    "options", [{"rule": "cd", "k": 1}, {"rule": "cd", "k": 3}, {"rule": "pcd"}, {"sparsity": 0.1}]
)
def test_machine_code_draws_and_learns_as_numpy_does(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The same uniforms reach both, so they differ by rounding alone, over an epoch with a smaller last batch."""
    x = np.random.default_rng(0).random((50, 8))
    runs = []
    for found in (True, False):
        with monkeypatch.context() as patch:
            if not found:
                patch.setattr(rbm_step.importlib.util, "find_spec", lambda name: None)
            m = machine(scale=0.1)
            rows = m.fit(x, epochs=2, batch_size=20, chains=20, **options)
            runs.append((m, rows))
    for a, b in zip(runs[0][0].arrays().values(), runs[1][0].arrays().values(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    assert runs[0][1][-1]["reconstruction_error"] == pytest.approx(runs[1][1][-1]["reconstruction_error"], rel=1e-9)


def test_the_quick_function_and_the_general_one_agree_on_what_they_draw() -> None:
    """Joined kinds go through the general trainer: the same law, so the same likelihood in the end."""
    x = (np.random.default_rng(0).random((400, 8)) < 0.2).astype(float)
    ends = []
    for hidden in ("bernoulli", Joined([Bernoulli(2), Bernoulli(4)])):
        m = RBM(8, 6, hidden=hidden, dtype=np.float64)
        m.fit(x, epochs=20, batch_size=20, lr=0.1)
        ends.append(m.log_likelihood(x).mean())
    assert ends[0] == pytest.approx(ends[1], abs=0.05)
