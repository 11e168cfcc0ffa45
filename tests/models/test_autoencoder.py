"""Autoencoders as networks: shapes, tied weights, descriptions, and the way to a classifier."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gyaku as gy
from gyaku.autograd import gradcheck
from gyaku.base.errors import ArgumentError, DataError, UnknownNameError
from gyaku.models import MLP, Autoencoder, ConvAutoencoder, StackedAutoencoder, build


def rows(n: int = 5, width: int = 6, seed: int = 0) -> Any:
    return gy.tensor(gy.Generator(seed).uniform((n, width), np.float32))


def sigmoid(a: Any) -> Any:
    return 1.0 / (1.0 + np.exp(-a))


@pytest.mark.parametrize("tied", [False, True])
def test_a_reconstruction_is_the_formula_of_the_docstring(tied: bool) -> None:
    model = Autoencoder((2, 3), [4, 2], activation="tanh", code="identity", tied=tied, seed=3)
    for p in model.parameters():
        p.data = gy.randn(*p.shape)
    x, w = rows().reshape(5, 2, 3), {name: p.detach().numpy() for name, p in model.named_parameters()}
    h = np.tanh(x.numpy().reshape(5, 6) @ w["affine1.weight"].T + w["affine1.bias"])
    code = h @ w["affine2.weight"].T + w["affine2.bias"]
    back2, back1 = (w["affine2.weight"].T, w["affine1.weight"].T) if tied else (w["back2.weight"], w["back1.weight"])
    b2, b1 = (w["back2_bias"], w["back1_bias"]) if tied else (w["back2.bias"], w["back1.bias"])
    expected = sigmoid(np.tanh(code @ back2.T + b2) @ back1.T + b1).reshape(5, 2, 3)
    np.testing.assert_allclose(model.encode(x).detach().numpy(), code, atol=1e-5)
    np.testing.assert_allclose(model(x).detach().numpy(), expected, atol=1e-5)


def test_tied_weights_are_one_parameter_whose_gradient_is_the_sum_of_both_uses() -> None:
    tied, free = Autoencoder(6, [3], tied=True, seed=1), Autoencoder(6, [3], seed=1)
    free.back1.weight.data = free.affine1.weight.detach().T.clone()
    assert sorted(name for name, _ in tied.named_parameters()) == ["affine1.bias", "affine1.weight", "back1_bias"]
    x = rows()
    for model in (tied, free):
        ((model(x) - x) ** 2).sum().backward()
    both = free.affine1.weight.grad.numpy() + free.back1.weight.grad.numpy().T
    np.testing.assert_allclose(tied.affine1.weight.grad.numpy(), both, atol=1e-6)
    assert np.abs(free.back1.weight.grad.numpy()).max() > 1e-3


def test_the_gradient_of_tied_weights_agrees_with_differences() -> None:
    model = Autoencoder(4, [2], tied=True, seed=2).double()
    x = gy.tensor(gy.Generator(1).uniform((3, 4)))
    assert gradcheck(lambda w: _loss(model, w, x), (model.affine1.weight.detach().clone().requires_grad_(),))


def _loss(model: Any, w: Any, x: Any) -> Any:
    h = gy.sigmoid(x @ w.T + model.affine1.bias.detach())
    return ((gy.sigmoid(h @ w + model.back1_bias.detach()) - x) ** 2).sum()


@pytest.mark.parametrize(
    "model",
    [
        Autoencoder((1, 3, 3), [5, 2], activation="relu", code="identity", tied=True, output="identity"),
        Autoencoder(7, [3]),
        StackedAutoencoder((1, 3, 3), [5, 4], activation="tanh", tied=True),
        StackedAutoencoder(7, [5, 4, 3], output="identity"),
        ConvAutoencoder((2, 5, 6), [3, 4], units=5, code="tanh", output="identity"),
    ],
)
def test_a_description_builds_the_same_network(model: Any) -> None:
    description = model.architecture()
    twin = build(description)
    assert type(twin) is type(model)
    twin.load_state_dict(model.state_dict())
    assert twin.architecture() == description
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters() if name.endswith("weight")}
    assert type(model).weight_shapes(description) == shapes
    x = rows(2, int(np.prod(description["inputs"]))).reshape(2, *description["inputs"])
    assert twin(x).shape == x.shape and bool((twin(x) == model(x)).all())


@pytest.mark.parametrize("change", [{"hidden": []}, {"output": "softmax"}, {"tied": 1}, {"kind": "mlp"}, {"extra": 1}])
@pytest.mark.parametrize("kind", [Autoencoder, StackedAutoencoder])
def test_a_description_from_a_stranger_is_refused(kind: Any, change: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="architecture"):
        kind.from_architecture(kind(3, [2]).architecture() | change)


def test_a_classifier_starts_from_the_encoders() -> None:
    stack = StackedAutoencoder((1, 2, 3), [5, 4], seed=4)
    x = rows().reshape(5, 1, 2, 3)
    net = stack.to_classifier(3)
    assert isinstance(net, MLP) and net(x).shape == (5, 3)
    code = net.output.weight.detach().numpy(), net.output.bias.detach().numpy()
    np.testing.assert_allclose(
        net(x).detach().numpy(), stack.encode(x).detach().numpy() @ code[0].T + code[1], atol=1e-6
    )
    net.affine1.weight.data.zero_()
    assert float(stack.layers[0].affine1.weight.abs().sum()) > 0  # a copy: fine-tuning leaves the stack as it was
    deep = Autoencoder(6, [5, 4], seed=1)
    assert deep.to_classifier(2).affine2.weight.shape == (4, 5)


def test_what_is_refused_says_what_was_expected() -> None:
    with pytest.raises(ArgumentError, match="whole numbers of at least 1 in hidden"):
        Autoencoder(4, [])
    with pytest.raises(UnknownNameError, match="did you mean 'sigmoid'"):
        Autoencoder(4, [2], activation="sigmoids")
    with pytest.raises(ArgumentError, match="one activation for all layers"):
        Autoencoder(4, [3, 2], code="identity").to_classifier(2)
    with pytest.raises(ArgumentError, match="n_classes >= 1"):
        StackedAutoencoder(4, [3]).to_classifier(0)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 8), (9, 9)])
def test_a_convolutional_one_gives_back_images_of_any_size(size: tuple[int, int]) -> None:
    channels = [3, 4] if min(size) > 1 else [3]
    model = ConvAutoencoder((2, *size), channels, units=6)
    x = gy.rand(4, 2, *size)
    assert model.encode(x).shape == (4, 6) and model(x).shape == x.shape
    assert model.decode_logits(model.encode(x)).shape == (4, 2 * size[0] * size[1])
    model(x).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_a_convolutional_one_refuses_in_words() -> None:
    with pytest.raises(ArgumentError, match=r"images \(C, H, W\), got inputs of shape \(64,\)"):
        ConvAutoencoder((64,))
    with pytest.raises(ArgumentError, match="channels >= 1"):
        ConvAutoencoder((1, 8, 8), [])
    with pytest.raises(ArgumentError, match="images of at least 4 x 4 pixels"):
        ConvAutoencoder((1, 3, 3), [2, 2, 2])
    with pytest.raises(UnknownNameError, match="did you mean 'relu'"):
        ConvAutoencoder((1, 8, 8), activation="rely")
    with pytest.raises(DataError, match=r"architecture"):
        ConvAutoencoder.from_architecture(ConvAutoencoder((1, 8, 8)).architecture() | {"units": 0})
