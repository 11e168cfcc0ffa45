"""Training of autoencoders: the losses, damage and sparsity, layer after layer, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gyaku as gy
from gyaku.base.errors import ArgumentError, ShapeError, UnknownNameError
from gyaku.data import corrupt, load, prepare
from gyaku.models import Autoencoder, ConvAutoencoder, StackedAutoencoder
from gyaku.train import Reconstruction, encode, fit, fit_autoencoder, fit_layers, reconstruct


@pytest.fixture(scope="module")
def digits() -> Any:
    return prepare(load("digits"), standardize=False, limit=600)


def patterns(n: int = 64) -> Any:
    """Rows of eight values that two bits decide."""
    bits = np.arange(n)[:, None] // np.array([1, 2]) % 2
    return np.repeat(bits, 4, axis=1).astype(np.float32)


@pytest.mark.parametrize("output", ["sigmoid", "identity"])
def test_the_loss_is_the_likelihood_of_the_docstring(output: str) -> None:
    g = gy.Generator(0)
    a, code, x = g.normal((5, 4)), g.uniform((5, 3)), g.uniform((5, 4))
    y = 1 / (1 + np.exp(-a)) if output == "sigmoid" else a
    nll = -(x * np.log(y) + (1 - x) * np.log(1 - y)) if output == "sigmoid" else 0.5 * (y - x) ** 2
    both = gy.tensor(np.concatenate([a, code], axis=1))
    objective = Reconstruction(4, output)
    np.testing.assert_allclose(objective.loss(both, gy.tensor(x)).item(), nll.sum(1).mean(), rtol=1e-12)
    np.testing.assert_allclose(objective.score(both.numpy(), x), ((y - x) ** 2).mean(1).sum(), rtol=1e-12)
    rho = code.mean(0)
    kl = (0.1 * np.log(0.1 / rho) + 0.9 * np.log(0.9 / (1 - rho))).sum()
    sparse = Reconstruction(4, output, sparsity="kl", target=0.1, strength=2.0)
    np.testing.assert_allclose(sparse.loss(both, gy.tensor(x)).item(), nll.sum(1).mean() + 2 * kl, rtol=1e-12)
    l1 = Reconstruction(4, output, sparsity="l1", strength=2.0)
    np.testing.assert_allclose(
        l1.loss(both, gy.tensor(x)).item(), nll.sum(1).mean() + 2 * code.sum(1).mean(), rtol=1e-12
    )


def test_a_bottleneck_of_two_units_learns_two_bits() -> None:
    x, model = patterns(), Autoencoder(8, [2], seed=1)
    history = fit_autoencoder(model, x, epochs=80, lr=0.1, batch_size=16)
    assert history["train_rmse"][-1] < 0.05 < history["train_rmse"][0]
    np.testing.assert_allclose(reconstruct(model, x).round(), x)
    assert len(np.unique(encode(model, x).round(2), axis=0)) == 4 and not model.training


def test_denoising_is_measured_on_whole_inputs_and_beats_a_plain_one(digits: Any) -> None:
    damage = corrupt.masking(0.3)
    plain, denoising = (Autoencoder((1, 8, 8), [100], seed=1) for _ in range(2))
    fit_autoencoder(plain, digits.x_train, epochs=60, lr=0.01, batch_size=32)
    fit_autoencoder(denoising, digits.x_train, epochs=60, lr=0.01, batch_size=32, corruption=damage)
    hurt = damage(digits.x_test, gy.Generator(5))
    errors = [float(np.sqrt(((reconstruct(m, hurt) - digits.x_test) ** 2).mean())) for m in (plain, denoising)]
    assert errors[1] < 0.8 * errors[0], errors


@pytest.mark.parametrize("sparsity", ["kl", "l1"])
def test_sparsity_makes_codes_sparse(digits: Any, sparsity: str) -> None:
    free, sparse = (Autoencoder((1, 8, 8), [32], seed=1) for _ in range(2))
    fit_autoencoder(free, digits.x_train, epochs=15, lr=0.01)
    fit_autoencoder(sparse, digits.x_train, epochs=15, lr=0.01, sparsity=sparsity, target=0.1, strength=1.0)
    assert encode(sparse, digits.x_train).mean() < 0.7 * encode(free, digits.x_train).mean()


def test_layers_learn_one_after_the_other_and_the_whole_is_tuned(digits: Any) -> None:
    stack, begun = StackedAutoencoder((1, 8, 8), [32, 16], tied=True), []
    before = stack.layers[1].affine1.weight.detach().numpy().copy()
    histories = fit_layers(stack, digits.x_train, dev=digits.x_dev, epochs=10, lr=0.01, begin=begun.append)
    assert begun == [0, 1] and all(h["dev_rmse"][-1] < h["dev_rmse"][0] for h in histories)
    assert not np.array_equal(before, stack.layers[1].affine1.weight.detach().numpy())
    net = stack.to_classifier(10)
    assert fit(net, digits, epochs=15, lr=0.01).best["dev_accuracy"] > 0.85


def test_a_convolutional_one_learns_by_the_same_fit(digits: Any) -> None:
    model = ConvAutoencoder((1, 8, 8), [8, 16], units=16, seed=1)
    history = fit_autoencoder(
        model, digits.x_train, dev=digits.x_dev, epochs=10, lr=0.01, batch_size=32, compile=False
    )  # fmt: skip
    assert history.best["dev_rmse"] < 0.2 < history["dev_rmse"][0]
    assert encode(model, digits.x_dev).shape == (len(digits.x_dev), 16)


@pytest.mark.slow
def test_a_convolutional_one_is_trained_by_machine_code_alike(digits: Any) -> None:
    found = []
    for how in (False, True):
        model = ConvAutoencoder((1, 8, 8), [4, 4], units=6, seed=1)
        history = fit_autoencoder(model, digits.x_train[:64], epochs=2, batch_size=16, compile=how)
        assert history.by_run == ("" if how else "it was asked for")
        found.append(model.affine.weight.detach().numpy())
    np.testing.assert_allclose(found[0], found[1], atol=2e-5)


def test_the_same_seed_gives_the_same_bits_and_machine_code_agrees(digits: Any) -> None:
    def trained(**options: Any) -> Any:
        model = Autoencoder((1, 8, 8), [8], tied=True, seed=2)
        fit_autoencoder(
            model, digits.x_train, epochs=2, corruption=corrupt.gaussian(0.2), sparsity="kl", seed=7, **options
        )
        return model.affine1.weight.detach().numpy()

    first = trained()
    assert np.array_equal(first, trained())
    np.testing.assert_allclose(trained(compile=True), first, atol=2e-5)


def test_an_interrupted_training_resumes_to_the_same_bits(digits: Any, tmp_path: Any) -> None:
    def train(epochs: int, resume: bool = False) -> Any:
        model = Autoencoder((1, 8, 8), [8], seed=2)
        stop = _StopAfter(epochs)
        fit_autoencoder(
            model, digits.x_train, epochs=3, corruption=corrupt.masking(0.3), checkpoint=tmp_path / "c.safetensors",
            resume=resume, checkpoint_seconds=0.0, callbacks=[stop],
        )  # fmt: skip
        return model.affine1.weight.detach().numpy()

    whole = train(3)
    (tmp_path / "c.safetensors").unlink()
    with pytest.raises(KeyboardInterrupt):
        train(1)
    assert np.array_equal(train(9, resume=True), whole)


class _StopAfter:
    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_epoch_start(self, loop: Any) -> None:
        if loop.epoch > self.epochs:
            raise KeyboardInterrupt


def test_what_does_not_fit_is_said_in_one_message() -> None:
    model, x = Autoencoder(8, [2]), patterns()
    with pytest.raises(ArgumentError, match=r"values in \[0, 1\], got -1 to 1.*output='identity'"):
        fit_autoencoder(model, 2 * x - 1)
    with pytest.raises(ArgumentError, match="finite numbers in x, got nan"):
        fit_autoencoder(model, np.where(x == 1, np.nan, x))
    with pytest.raises(ShapeError, match="at least one sample"):
        fit_autoencoder(model, x[:0])
    with pytest.raises(ShapeError, match=r"inputs of shape \(N, 8\), got \(64, 4\)"):
        fit_autoencoder(model, x[:, :4])
    with pytest.raises(UnknownNameError, match="did you mean 'none'"):
        fit_autoencoder(model, x, sparsity="non")
    with pytest.raises(ArgumentError, match="a sigmoid code"):
        fit_autoencoder(Autoencoder(8, [2], code="identity"), x, sparsity="kl")
    fit_autoencoder(model, x[:1], epochs=1)  # one sample is little, but enough
