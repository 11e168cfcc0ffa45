"""Deep belief networks against sums over all states: the RBM's gradient, samples, wake-sleep, files."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gyaku as gy
from gyaku.backend.random import Generator
from gyaku.base.errors import ArgumentError, DataError, DivergedError, ShapeError, UnknownNameError
from gyaku.energy import DBN, RBM, bipartite
from gyaku.energy.bipartite import states


def network(visible: int = 5, hidden: Any = (4, 3), scale: float = 0.8, **options: Any) -> DBN:
    found = DBN(visible, list(hidden), dtype=np.float64, **options)
    for name, array in found.arrays().items():
        array[...] = scale * Generator(1).split(name).normal(array.shape)
    return found


def log_likelihood(net: DBN, v: Any) -> Any:
    """log p(v) of two hidden layers by their definition: the top RBM gives p(h), the generation p(v | h)."""
    h = states(net.sizes[1])
    prior = log_weight(net.W[1], net.b[1], net.c[1], h) - bipartite.log_z(net.W[1], net.b[1], net.c[1])
    p = net.down(h, 1)
    terms = prior + v @ np.log(p).T + (1 - v) @ np.log1p(-p).T
    top = terms.max(1, keepdims=True)
    return (top + np.log(np.exp(terms - top).sum(1, keepdims=True)))[:, 0]


def bars(n: int = 200) -> Any:
    """Images 3 x 3 with one row or column on."""
    which = Generator(2).integers(0, 6, (n,))
    x = np.zeros((n, 3, 3))
    x[which < 3, which[which < 3]] = 1
    x[np.flatnonzero(which >= 3), :, which[which >= 3] - 3] = 1
    return x.reshape(n, 9)


def log_weight(w: Any, b: Any, c: Any, v: Any) -> Any:
    """log of the sum of e^-E over the hidden states, by listing them."""
    h = states(len(c))
    terms = (v @ w) @ h.T + (v @ b)[:, None] + h @ c
    top = terms.max(1, keepdims=True)
    return (top + np.log(np.exp(terms - top).sum(1, keepdims=True)))[:, 0]


def test_one_hidden_layer_is_the_rbm_itself() -> None:
    net = DBN(9, [4], dtype=np.float64, seed=3)
    twin = RBM(9, 4, dtype=np.float64)
    twin.load_arrays({"W": net.W[0].copy(), "b": net.b[0].copy(), "c": net.c[0].copy()})
    rows = net.fit(bars(), epochs=3, rule="pcd", seed=2)
    expected = twin.fit(bars(), epochs=3, rule="pcd", seed=2)
    assert np.array_equal(net.W[0], twin.W) and np.array_equal(net.c[0], twin.c)
    assert [{"stage": "layer1", **row} for row in expected] == rows
    np.testing.assert_allclose(net.rbm(1).free_energy(bars()), twin.free_energy(bars()))
    np.testing.assert_allclose(-twin.free_energy(bars()), log_weight(twin.W, twin.b, twin.c, bars()))


@pytest.mark.parametrize("hidden", [(4,), (4, 3)])
def test_samples_come_as_often_as_they_are_likely(hidden: Any) -> None:
    net, v = network(4, hidden), states(4)
    if len(hidden) == 1:
        exact = log_weight(net.W[0], net.b[0], net.c[0], v) - bipartite.log_z(net.W[0], net.b[0], net.c[0])
    else:
        exact = log_likelihood(net, v)
    drawn = net.sample(20000, steps=30, means=False)
    found = np.bincount((drawn @ 2.0 ** np.arange(4)).astype(int), minlength=16) / len(drawn)
    assert abs(np.exp(exact).sum() - 1) < 1e-12
    assert 0.5 * np.abs(found - np.exp(exact)).sum() <= 0.02


def test_clamped_samples_of_one_layer_follow_the_conditional_and_the_seed() -> None:
    net, v = network(4, [4]), states(4)
    clamp = np.array([True, False, False, True]), np.array([1.0, 0.0, 0.0, 0.0])
    drawn = net.sample(20000, steps=30, clamp=clamp, means=False)
    p = np.exp(log_weight(net.W[0], net.b[0], net.c[0], v)) * (v[:, 0] == 1) * (v[:, 3] == 0)
    found = np.bincount((drawn @ 2.0 ** np.arange(4)).astype(int), minlength=16) / len(drawn)
    assert 0.5 * np.abs(found - p / p.sum()).sum() <= 0.02
    deep = network()
    held = np.arange(5) < 2, np.ones(5)
    first = deep.sample(3, steps=4, clamp=held, start=np.zeros(5), seed=6)
    assert np.array_equal(first, deep.sample(3, steps=4, clamp=held, start=np.zeros(5), seed=6))
    assert (first[:, :2] == 1).all() and not np.array_equal(first, deep.sample(3, steps=4, clamp=held, seed=7))


def test_greedy_training_learns_and_wake_sleep_improves_the_exact_likelihood() -> None:
    x, net = bars(), DBN(9, [8, 6], dtype=np.float64, seed=1)
    likely = [log_likelihood(net, x).mean()]
    rows = net.fit(x, epochs=60, batch_size=20, lr=0.2, seed=1)
    assert all((g == w).all() for g, w in zip(net.G, net.W, strict=False))
    likely.append(log_likelihood(net, x).mean())
    rows += net.refine(x, epochs=60, batch_size=20, lr=0.1, k=3, seed=1)
    likely.append(log_likelihood(net, x).mean())
    assert likely[0] + 1.0 < likely[1] and likely[1] + 0.05 < likely[2], likely
    assert not np.array_equal(net.G[0], net.W[0])
    assert [r["stage"] for r in (rows[0], rows[60], rows[-1])] == ["layer1", "layer2", "joint"]
    assert rows[59]["reconstruction_error"] < 0.5 * rows[0]["reconstruction_error"]
    assert rows[59]["pseudo_likelihood"] > rows[0]["pseudo_likelihood"]


def test_gaussian_units_take_any_values() -> None:
    g = Generator(0)
    code = g.integers(0, 2, (400, 2)) * 2.0 - 1.0
    x = code @ np.array([[2.0, 2.0, 0.0, 0.0], [0.0, 0.0, 2.0, -2.0]]) + 0.3 * g.normal((400, 4))
    net = DBN(4, [12], units="gaussian", dtype=np.float64)
    net.fit(x, epochs=60, batch_size=20, lr=0.02)
    assert float(np.square(net.reconstruct(x) - x).mean()) < 0.25 * float(np.square(x - x.mean(0)).mean())
    assert np.abs(net.sample(20, steps=20)).max() > 1.2  # not squeezed into 0..1


def test_the_same_seed_gives_the_same_bits() -> None:
    def trained(seed: int) -> Any:
        net = DBN(9, [4, 3])
        net.fit(bars(), epochs=2, rule="pcd", seed=seed)
        net.refine(bars(), epochs=2, seed=seed)
        return np.concatenate([a.ravel() for a in net.arrays().values()])

    assert np.array_equal(trained(1), trained(1)) and not np.array_equal(trained(1), trained(2))


def test_a_network_starts_from_the_recognition_weights() -> None:
    net, v = network(6, [4, 3]), states(6)[:9]
    found = net.to_network(2, inputs=(1, 2, 3))
    w, b = found.output.weight.detach().numpy(), found.output.bias.detach().numpy()
    x = gy.tensor(v.astype(np.float32)).reshape(9, 1, 2, 3)
    np.testing.assert_allclose(found(x).detach().numpy(), net.transform(v) @ w.T + b, atol=1e-5)


def test_a_description_builds_the_same_network_and_a_strangers_is_refused() -> None:
    net = network(units="gaussian")
    twin = DBN.from_architecture(net.architecture()).load_arrays(net.arrays())
    assert all(np.allclose(a, b) for a, b in zip(twin.arrays().values(), net.arrays().values(), strict=True))
    assert DBN.weight_shapes(net.architecture()) == {"W1": (5, 4), "W2": (4, 3)}
    for change in ({"kind": "dbm"}, {"hidden": []}, {"units": "softmax"}, {"visible": 2**40}, {"more": 1}):
        with pytest.raises(DataError, match="architecture"):
            DBN.from_architecture(net.architecture() | change)
    with pytest.raises(ShapeError, match=r"W1 of shape \(5, 4\), got no such array"):
        twin.load_arrays({})


def test_what_does_not_fit_is_said_in_one_message() -> None:
    net = DBN(4, [3])
    with pytest.raises(ArgumentError, match=r"values in \[0, 1\] for Bernoulli units, got -1 to 2.*Gaussian"):
        net.fit([[0, 1, 2, -1]])
    with pytest.raises(UnknownNameError, match="did you mean 'pcd'"):
        net.fit([[0, 1, 1, 0]], rule="pc")
    with pytest.raises(UnknownNameError, match="did you mean 'gaussian'"):
        DBN(4, [3], units="gausian")
    with pytest.raises(ArgumentError, match="k >= 1"):
        net.refine([[0, 1, 1, 0]], k=0)
    with pytest.raises(ShapeError, match="inputs of 4 values"):
        net.to_network(2, inputs=(3,))
    with pytest.raises(ArgumentError, match="whole numbers of at least 1"):
        DBN(4, [])
    with pytest.raises(DivergedError, match=r"RBM.fit, epoch \d+.*lower the learning rate \(now 1000\)"):
        DBN(9, [4, 3]).fit(bars(), epochs=5, lr=1000.0)
    net.fit([[0, 1, 1, 0]], epochs=1)
    net.refine([[0, 1, 1, 0]], epochs=1)  # one sample is little, but enough


def test_one_number_of_hidden_units_is_refused_with_the_list_to_write() -> None:
    with pytest.raises(ArgumentError, match=r"every hidden layer, got 4. Hint: \[4\]"):
        DBN(6, 4)  # type: ignore[arg-type]
