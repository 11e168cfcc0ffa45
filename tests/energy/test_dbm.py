"""The deep Boltzmann machine against the sum over all its states, and what training does to the likelihood."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gyaku.backend.random import Generator
from gyaku.base.errors import ArgumentError, DataError, DivergedError, ShapeError
from gyaku.energy import DBM
from gyaku.energy.bipartite import states

SHAPES = [(6, [4, 4]), (6, [4]), (5, [4, 3, 3]), (4, [3, 3, 2, 3])]


def machine(visible: int = 6, hidden: Any = (4, 4), scale: float = 1.0, seed: int = 0, **options: Any) -> DBM:
    found = DBM(visible, list(hidden), dtype=np.float64, **options)
    g = Generator(seed).split("test")
    for name, array in found.arrays().items():
        if found.bias or name.startswith("W"):
            array[...] = scale * g.split(name).normal(array.shape)
    return found


def every(m: DBM) -> tuple[list[Any], Any]:
    """All states of all layers, and -E of each, from the definition alone."""
    whole = states(sum(m.sizes))
    layers = np.split(whole, np.cumsum(m.sizes)[:-1], axis=1)
    minus = sum(np.einsum("ni,ij,nj->n", a, w, b) for a, w, b in zip(layers, m.W, layers[1:], strict=False))
    return layers, minus + sum(h @ b for h, b in zip(layers, m.b, strict=True))


def log_sum(a: Any) -> float:
    return float(a.max() + np.log(np.exp(a - a.max()).sum()))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("visible", "hidden"), SHAPES)
def test_energy_log_z_marginals_and_free_energy_agree_with_the_sum_over_all_states(
    visible: int, hidden: Any, bias: bool
) -> None:
    m = machine(visible, hidden, bias=bias)
    layers, minus = every(m)
    np.testing.assert_allclose(-m.energy(layers), minus, atol=1e-12)
    log_z = log_sum(minus)
    np.testing.assert_allclose(m.log_partition(), log_z, rtol=1e-12)
    p = np.exp(minus - log_z)
    for mean, h in zip(m.marginals(), layers, strict=True):
        np.testing.assert_allclose(mean, p @ h, atol=1e-12)
    shown = states(visible)
    numbers = (layers[0] @ 2.0 ** np.arange(visible)).astype(int)
    free = np.array([-log_sum(minus[numbers == i]) for i in range(2**visible)])
    np.testing.assert_allclose(m.free_energy(shown), free, atol=1e-12)
    assert abs(np.exp(m.log_likelihood(shown)).sum() - 1.0) < 1e-12


@pytest.mark.parametrize(("visible", "hidden"), SHAPES)
def test_the_exact_gradient_agrees_with_central_differences(visible: int, hidden: Any) -> None:
    m = machine(visible, hidden, scale=0.7)
    v = states(visible)[:: 2 ** (visible - 3)]
    by_w, by_b = m.exact_gradient(v)
    for array, gradient in [*zip(m.W, by_w, strict=True), *zip(m.b, by_b, strict=True)]:
        assert gradient.shape == array.shape
        for place in np.ndindex(array.shape):
            kept, h = array[place], 1e-5
            array[place] = kept + h
            above = m.log_likelihood(v).mean()
            array[place] = kept - h
            below = m.log_likelihood(v).mean()
            array[place] = kept
            assert abs((above - below) / (2 * h) - gradient[place]) < 1e-6


@pytest.mark.parametrize(("visible", "hidden"), SHAPES)
def test_mean_field_gives_a_lower_bound_that_no_round_makes_worse(visible: int, hidden: Any) -> None:
    m = machine(visible, hidden)
    v, log_z = states(visible), m.log_partition()
    exact = m.log_likelihood(v, log_z)
    bounds = np.array([m.bound(v, log_z, m.mean_field(v, steps=s, tolerance=0.0)) for s in (0, 1, 2, 5, 50)])
    assert (bounds <= exact + 1e-12).all()
    assert (np.diff(bounds, axis=0) >= -1e-12).all()
    if len(hidden) == 1:  # one hidden layer: the posterior factorises, so the bound is the likelihood
        np.testing.assert_allclose(bounds[1], exact, atol=1e-12)
    else:
        assert (exact - bounds[-1]).max() > 1e-3


def test_the_bound_is_the_average_it_says() -> None:
    m = machine(scale=0.8)
    v = states(6)[5:6]
    q = m.mean_field(v)
    layers, minus = every(m)
    here = (layers[0] == v).all(1)
    h, mu = np.concatenate(layers[1:], axis=1)[here], np.concatenate(q[1:], axis=1)[0]
    p = np.prod(np.where(h == 1, mu, 1 - mu), axis=1)
    expected = (p * (minus[here] - np.log(p))).sum() - m.log_partition()
    np.testing.assert_allclose(m.bound(v, m.log_partition(), q), [expected], atol=1e-10)


def test_gibbs_chains_visit_visible_states_as_often_as_they_are_likely() -> None:
    m, n = machine(5, [3, 3], scale=0.6), 4000
    g = Generator(1)
    layers, counts = m.start(n, g), np.zeros(32)
    for sweep in range(120):
        layers = m.sweep(layers, g)
        if sweep >= 20:
            counts += np.bincount((layers[0] @ 2.0 ** np.arange(5)).astype(int), minlength=32)
    p = np.exp(m.log_likelihood(states(5)))
    assert 0.5 * np.abs(counts / counts.sum() - p).sum() <= 0.01


@pytest.mark.slow
def test_a_hundred_long_chains_of_the_deep_machine_visit_states_as_often_as_they_are_likely() -> None:
    m, g = machine(6, [4, 4], scale=0.6), Generator(4)
    layers, counts = m.start(100, g), np.zeros(64)
    for sweep in range(20_000):
        layers = m.sweep(layers, g)
        if sweep >= 100:
            counts += np.bincount((layers[0] @ 2.0 ** np.arange(6)).astype(int), minlength=64)
    p = np.exp(m.log_likelihood(states(6)))
    assert 0.5 * np.abs(counts / counts.sum() - p).sum() <= 0.01


def test_clamped_chains_complete_as_the_model_would() -> None:
    m = machine(4, [3, 3], scale=0.8)
    mask, values = np.array([True, True, False, False]), np.array([1.0, 0.0, 0.0, 0.0])
    drawn = m.sample(20000, steps=40, clamp=(mask, values), means=False)
    assert (drawn[:, 0] == 1).all() and (drawn[:, 1] == 0).all()
    shown = states(4)
    p = np.exp(m.log_likelihood(shown)) * (shown[:, 0] == 1) * (shown[:, 1] == 0)
    found = np.bincount((drawn @ 2.0 ** np.arange(4)).astype(int), minlength=16) / len(drawn)
    assert 0.5 * np.abs(found - p / p.sum()).sum() <= 0.02


def test_samples_follow_from_the_seed() -> None:
    m = machine()
    assert np.array_equal(m.sample(3, steps=5, seed=4), m.sample(3, steps=5, seed=4))
    assert not np.array_equal(m.sample(3, steps=5, seed=4), m.sample(3, steps=5, seed=5))
    v = states(6)[9:10]
    held = m.sample(2, steps=5, start=v, clamp=(np.ones(6, bool), v[0]))
    assert np.array_equal(held, np.repeat(v, 2, axis=0))


def test_nothing_overflows_with_huge_weights() -> None:
    m = machine(scale=1e3)
    v = states(6)
    assert np.isfinite(m.log_partition()) and np.isfinite(m.log_likelihood(v)).all()
    assert np.isfinite(m.bound(v, m.log_partition())).all() and np.isfinite(m.sample(4, steps=3)).all()


@pytest.mark.parametrize(("visible", "hidden"), [(6, [4, 4]), (5, [4, 3, 3])])
def test_annealing_finds_log_z_within_three_of_its_standard_errors(visible: int, hidden: Any) -> None:
    for seed in (2, 3):
        m = machine(visible, hidden, scale=0.8, seed=seed)
        found = m.annealed_log_partition(chains=200, steps=1000, seed=seed)
        exact = m.log_partition()
        assert abs(found.log_z - exact) < min(3 * found.error, 0.1) and found.error < 0.05
        low, high = found.interval
        assert low < exact < high and len(found.weights) == 200
    again = m.annealed_log_partition(chains=200, steps=1000, seed=3)
    assert again.log_z == found.log_z


def test_annealing_refuses_what_it_cannot_use_and_tells_its_steps() -> None:
    m, told = DBM(4, [3]), []
    m.annealed_log_partition(chains=2, steps=7, on_step=told.append)
    assert told == [1] * 7
    with pytest.raises(ArgumentError, match="chains >= 2 and steps >= 1, got 1 and 5"):
        m.annealed_log_partition(chains=1, steps=5)
    m.W[0][0, 0] = np.nan
    with pytest.raises(DivergedError, match="finite weights"):
        m.annealed_log_partition(chains=2, steps=5)


def test_a_description_builds_the_same_machine_and_a_strangers_is_refused() -> None:
    m = machine(5, [4, 3])
    twin = DBM.from_architecture(m.architecture()).load_arrays(m.arrays())
    assert twin.sizes == m.sizes and all(np.allclose(a, b) for a, b in zip(twin.W, m.W, strict=True))
    assert DBM.weight_shapes(m.architecture()) == {"W1": (5, 4), "W2": (4, 3)}
    for change in ({"kind": "rbm"}, {"hidden": []}, {"hidden": [2.0]}, {"visible": -1}, {"more": 1}):
        with pytest.raises(DataError, match="architecture"):
            DBM.from_architecture(m.architecture() | change)
    with pytest.raises(ShapeError, match=r"W1 of shape \(5, 4\), got no such array"):
        twin.load_arrays({})


def bars(n: int = 200) -> Any:
    """Images 3 x 3 with one row or column on."""
    g = Generator(2)
    which = g.integers(0, 6, (n,))
    x = np.zeros((n, 3, 3))
    x[which < 3, which[which < 3]] = 1
    x[np.flatnonzero(which >= 3), :, which[which >= 3] - 3] = 1
    return x.reshape(n, 9)


def test_training_raises_the_exact_likelihood_greedily_and_then_jointly() -> None:
    x, m = bars(), DBM(9, [8, 4], dtype=np.float64, seed=1)
    likely = [m.log_likelihood(x).mean()]
    rows = m.pretrain(x, epochs=60, batch_size=20, lr=0.2, seed=1)
    likely.append(m.log_likelihood(x).mean())
    rows += m.fit(x, epochs=150, batch_size=50, lr=0.1, k=5, seed=1)
    likely.append(m.log_likelihood(x).mean())
    assert likely[0] < likely[1] + 1e-9 < likely[2] and likely[2] > likely[0] + 2.0, likely
    assert [r["stage"] for r in (rows[0], rows[60], rows[-1])] == ["layer1", "layer2", "joint"]
    assert rows[59]["reconstruction_error"] < 0.5 * rows[0]["reconstruction_error"]
    assert (m.bound(x, m.log_partition()) <= m.log_likelihood(x) + 1e-9).all()


def test_the_same_seed_gives_the_same_bits() -> None:
    def trained(seed: int) -> Any:
        m = DBM(9, [4, 3], seed=seed)
        m.pretrain(bars(), epochs=2, seed=seed)
        m.fit(bars(), epochs=2, seed=seed)
        return np.concatenate([a.ravel() for a in m.arrays().values()])

    assert np.array_equal(trained(1), trained(1)) and not np.array_equal(trained(1), trained(2))


def test_cd1_of_a_pair_is_its_formula_with_both_factors() -> None:
    from gyaku.energy.pair import Pair

    g = Generator(0)
    w, b, c, v = g.normal((3, 2)), g.normal((3,)), g.normal((2,)), states(3)[1:6]

    def sigmoid(a: Any) -> Any:
        return 1 / (1 + np.exp(-a))

    h0 = sigmoid(2 * v @ w + c)
    drawn = (Generator(4).uniform(h0.shape) < h0).astype(float)
    v1 = sigmoid(3 * drawn @ w.T + b)
    h1 = sigmoid(2 * v1 @ w + c)
    (by_w, by_b, by_c), error = Pair(w, b, c, up=2.0, down=3.0).gradient(v, Generator(4), 1)
    np.testing.assert_allclose(by_w, (v.T @ h0 - v1.T @ h1) / 5, atol=1e-12)
    np.testing.assert_allclose(by_b, (v - v1).mean(0), atol=1e-12)
    np.testing.assert_allclose(by_c, (h0 - h1).mean(0), atol=1e-12)
    assert error == pytest.approx(((v - v1) ** 2).mean())


def test_greedy_training_doubles_the_inputs_of_the_end_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    from gyaku.energy.pair import Pair

    seen, real = [], Pair.__init__

    def noted(self: Any, *arrays: Any, **options: Any) -> None:
        seen.append((options["up"], options["down"]))
        real(self, *arrays, **options)

    monkeypatch.setattr(Pair, "__init__", noted)
    DBM(4, [3, 3, 2]).pretrain(states(4), epochs=1)
    assert seen == [(2.0, 1.0), (2.0, 2.0), (1.0, 2.0)]


def test_without_biases_none_appear() -> None:
    m = DBM(9, [4, 3], bias=False)
    m.pretrain(bars(), epochs=3)
    m.fit(bars(), epochs=3)
    assert all((b == 0).all() for b in m.b) and m.parameter_count == 9 * 4 + 4 * 3


def test_a_network_makes_the_upward_pass() -> None:
    import gyaku as gy

    m = machine(6, [4, 3], scale=0.5)
    v = states(6)[:7]
    net = m.to_network(2, inputs=(1, 2, 3))
    x = gy.tensor(v.astype(np.float32)).reshape(7, 1, 2, 3)
    w, b = net.output.weight.detach().numpy(), net.output.bias.detach().numpy()
    np.testing.assert_allclose(net(x).detach().numpy(), m.upward(v)[-1] @ w.T + b, atol=1e-5)


def test_what_does_not_fit_is_said_in_one_message() -> None:
    m = DBM(4, [3])
    with pytest.raises(ArgumentError, match=r"values in \[0, 1\] for Bernoulli units, got -1 to 2"):
        m.fit([[0, 1, 2, -1]])
    with pytest.raises(ArgumentError, match=r"finite values, got nan at \[0, 2\]"):
        m.pretrain([[0.0, 1.0, np.nan, 0.5]])
    with pytest.raises(ShapeError, match="at least one sample, got none"):
        m.fit(np.zeros((0, 4)))
    with pytest.raises(ShapeError, match=r"rows of 4 visible units, got \(2, 3\)"):
        m.mean_field(np.zeros((2, 3)))
    with pytest.raises(ArgumentError, match="at most 25 units"):
        DBM(40, [30]).log_partition()
    with pytest.raises(ArgumentError, match="lr > 0"):
        m.fit([[0, 1, 1, 0]], lr=0.0)
    m.fit([[0, 1, 1, 0]], epochs=1)  # one sample is little, but enough


def test_weights_that_run_away_are_noticed_with_the_remedy() -> None:
    with pytest.raises(DivergedError, match=r"DBM.pretrain, layer 1, epoch \d+.*lower the learning rate \(now 1000\)"):
        DBM(9, [4, 3]).pretrain(bars(), epochs=5, lr=1000.0)


def test_one_number_of_hidden_units_is_refused_with_the_list_to_write() -> None:
    with pytest.raises(ArgumentError, match=r"every hidden layer, got 4. Hint: \[4\]"):
        DBM(6, 4)  # type: ignore[arg-type]
