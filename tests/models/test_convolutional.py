"""Models with convolutions: shapes, parameters, initial values, skips; descriptions that hold and that are refused."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

import gyaku as gy
from gyaku import models
from gyaku.backend.random import Generator
from gyaku.base.errors import ArgumentError, DataError, GyakuError, UnknownNameError
from gyaku.models.unet import UNet

MAKERS: dict[str, Any] = {
    "lenet": lambda seed: models.LeNet((1, 8, 12), 3, dense=7, seed=seed),
    "lenet, norm": lambda seed: models.LeNet((3, 9, 8), 2, dense=5, norm="batch", dropout=0.2, seed=seed),
    "resnet8": lambda seed: models.ResNet((1, 8, 8), 10, depth=8, width=4, seed=seed),
    "plain14": lambda seed: models.ResNet((2, 7, 9), 10, depth=14, width=2, skips=False, seed=seed),
    "resnet11": lambda seed: models.ResNet((1, 8, 8), 3, depth=11, width=2, block="bottleneck", seed=seed),
    "unet": lambda seed: models.UNet((1, 8, 16), 4, depth=2, width=2, seed=seed),
    "unet, bare": lambda seed: models.UNet((3, 9, 10), 2, depth=1, width=3, norm="none", skips=False, seed=seed),
    "mymnistnet": lambda seed: models.MyMnistNet(seed=seed),
}


def plain(x: Any) -> np.ndarray:
    return np.asarray(x.detach().numpy())


def batch(model: Any, n: int = 3, seed: int = 0) -> Any:
    return gy.tensor(Generator(seed).normal((n, *model.architecture()["inputs"]), np.float32))


@pytest.mark.parametrize("name", MAKERS)
def test_a_model_is_what_its_description_says(name: str) -> None:
    model = MAKERS[name](3)
    d = json.loads(json.dumps(model.architecture()))
    x = batch(model)
    image = x.shape[2:] if d["kind"] == "unet" else ()
    assert model(x).shape == (3, d["outputs"], *image)
    shapes = {key: tuple(p.shape) for key, p in model.named_parameters() if p.ndim >= 2}
    assert models.weight_shapes(d) == shapes
    twin = models.build(d)
    assert type(twin) is type(model) and twin.architecture() == d
    twin.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(plain(twin.eval()(x)), plain(model.eval()(x)))
    assert models.in_words(d).startswith(name.split(",")[0])


@pytest.mark.parametrize("name", MAKERS)
def test_every_parameter_gets_a_gradient(name: str) -> None:
    model = MAKERS[name](0)
    (model(batch(model, 6)) ** 2).sum().backward()
    for key, p in model.named_parameters():
        assert p.grad is not None and np.isfinite(plain(p.grad)).all(), key
        assert p.ndim < 2 or np.abs(plain(p.grad)).max() > 0, key


@pytest.mark.parametrize("name", MAKERS)
def test_initial_values_are_he_by_the_inputs_of_one_unit(name: str) -> None:
    model, same, other = (MAKERS[name](seed) for seed in (1, 1, 2))
    pairs = zip(model.parameters(), same.parameters(), other.parameters(), strict=True)
    assert all((plain(a) == plain(b)).all() for a, b, _ in pairs)
    assert not (plain(model.output.weight) == plain(other.output.weight)).all()
    for key, p in model.named_parameters():
        if key.endswith("bias"):
            assert not plain(p).any(), key
    wide = models.ResNet((1, 8, 8), 10, depth=8, width=32, seed=0)
    deviation = float(plain(wide.stage2._modules["0"].conv2.weight).std())
    assert abs(deviation / math.sqrt(2.0 / (64 * 9)) - 1.0) < 0.02
    up = models.UNet((1, 8, 8), 2, depth=1, width=64).up1.weight.detach().numpy()
    assert abs(float(up.std()) / math.sqrt(2.0 / 128) - 1.0) < 0.02, "one output pixel sees one pixel of the kernel"


def test_the_signal_keeps_its_size_through_a_deep_unet() -> None:
    model = models.UNet((1, 32, 32), 4, depth=3, width=16, norm="none", seed=0)
    deviation = float(plain(model(batch(model, 4))).std())
    assert 0.2 < deviation < 5.0


@pytest.mark.parametrize(("depth", "expected"), [(20, 269_722), (32, 464_154), (56, 853_018)])
def test_resnets_for_cifar_have_the_parameters_of_the_paper(depth: int, expected: int) -> None:
    shapes = models.ResNet.weight_shapes(
        {"kind": "resnet", "inputs": [3, 32, 32], "outputs": 10, "depth": depth, "width": 16, "block": "basic",
         "skips": True}
    )  # fmt: skip
    norms = 2 * sum(shape[0] for name, shape in shapes.items() if name != "output.weight")
    assert (
        sum(math.prod(shape) for shape in shapes.values()) + norms + 10 == expected
    )  # paper: 0.27, 0.46, 0.85 million


def test_a_plain_twin_has_the_parameters_and_lacks_the_sums() -> None:
    deep, bare = (models.ResNet((1, 8, 8), 10, depth=8, width=4, skips=skips, seed=5) for skips in (True, False))
    for a, b in zip(deep.parameters(), bare.parameters(), strict=True):
        assert (plain(a) == plain(b)).all()
    x = batch(deep)
    assert np.abs(plain(deep(x) - bare(x))).max() > 0.01


def test_a_block_with_zero_weights_is_its_skip() -> None:
    block = models.Block(3, 4, 2, "basic", True).eval()
    with gy.no_grad():
        block.conv2.weight.zero_()
    x = gy.tensor(np.abs(Generator(0).normal((2, 3, 6, 6), np.float32)), requires_grad=True)
    y = block(x)
    expected = np.zeros((2, 4, 3, 3), dtype=np.float32)
    expected[:, :3] = plain(x)[:, :, ::2, ::2]
    np.testing.assert_allclose(plain(y), expected, rtol=1e-6)
    y.sum().backward()
    assert set(np.unique(plain(x.grad))) == {0.0, 1.0} and plain(x.grad).sum() == 2 * 3 * 9


def test_unet_hands_detail_over_only_by_its_skips() -> None:
    """Shuffling pixels inside the squares that pooling joins is seen by the skips alone when the bottom is cut off."""
    model = models.UNet((1, 8, 8), 2, depth=1, width=4, seed=0).eval()
    with gy.no_grad():
        model.up1.weight.zero_()
    a, b = batch(model, 1, 0), batch(model, 1, 1)
    assert np.abs(plain(model(a) - model(b))).max() > 0.01
    bare = models.UNet((1, 8, 8), 2, depth=1, width=4, skips=False, seed=0).eval()
    with gy.no_grad():
        bare.up1.weight.zero_()
    np.testing.assert_array_equal(plain(bare(a)), plain(bare(b)))


def test_unet_takes_sides_that_its_depth_does_not_divide() -> None:
    model = UNet((1, 13, 10), 3, depth=2, width=2).eval()
    x = batch(model)
    whole = np.zeros((3, 1, 16, 12), dtype=np.float32)
    whole[:, :, :13, :10] = plain(x)
    twin = UNet((1, 16, 12), 3, depth=2, width=2).eval()
    np.testing.assert_allclose(plain(model(x)), plain(twin(gy.tensor(whole)))[:, :, :13, :10], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: models.LeNet((1, 3, 8), 10), "at least 4 x 4 pixels, got 3 x 8"),
        (lambda: models.LeNet((8,), 10), "images .C, H, W."),
        (lambda: models.LeNet((1, 8, 8), 10, norm="layer"), "norm"),
        (lambda: models.LeNet((1, 8, 8), 10, dropout=1.0), "0 <= dropout < 1"),
        (lambda: models.LeNet((1, 8, 8), 0), "outputs >= 1"),
        (lambda: models.ResNet((1, 8, 8), 10, depth=21), r"6n\+2 .*nearest is 20"),
        (lambda: models.ResNet((1, 8, 8), 10, depth=2), r"nearest is 8"),
        (lambda: models.ResNet((1, 8, 8), 10, depth=21, block="bottleneck"), r"9n\+2 .*nearest is 20"),
        (lambda: models.ResNet((1, 8, 8), 10, block="basik"), "did you mean 'basic'"),
        (lambda: models.UNet((1, 7, 8), 10, depth=3), "at least 8 x 8 pixels"),
        (lambda: models.UNet((1, 8, 8), 10, depth=9), "depth of at most 8"),
    ],
)
def test_what_cannot_be_built_is_refused_in_words(make: Any, message: str) -> None:
    with pytest.raises((ArgumentError, UnknownNameError), match=message):
        make()


@pytest.mark.parametrize("name", ["lenet", "resnet8", "unet", "mymnistnet"])
@pytest.mark.parametrize("harm", ["kind", "type", "huge", "entry", "list"])
def test_descriptions_of_strangers_are_refused(name: str, harm: str) -> None:
    d = MAKERS[name](0).architecture()
    changes: dict[str, Any] = {
        "kind": {"kind": "os.system"}, "type": {"outputs": "10"}, "huge": {"outputs": 2**40}, "entry": {"code": "x"},
        "list": {"inputs": [1, "8", 8]},
    }  # fmt: skip
    for read in (models.weight_shapes, models.build):
        with pytest.raises(DataError):
            read(d | changes[harm])
        with pytest.raises(DataError):
            read([d])


def test_absurd_sizes_cost_nothing_before_the_arrays_bear_them_out() -> None:
    d = MAKERS["lenet"](0).architecture() | {"dense": 2**30}
    assert models.weight_shapes(d)["affine.weight"][0] == 2**30
    with pytest.raises(DataError, match="depth"):
        models.weight_shapes(MAKERS["resnet8"](0).architecture() | {"depth": 6 * 10**8 + 2})


def test_names_that_people_type() -> None:
    assert models.split_name("resnet110") == ("resnet", 110, True)
    assert models.split_name("unet") == ("unet", None, True)
    for name in ("resnet", "autoencoder", "resnet8x", "lenett"):
        with pytest.raises(UnknownNameError):
            models.split_name(name)
    with pytest.raises(UnknownNameError, match="did you mean 'lenet'"):
        models.split_name("lenett")


def test_mymnistnet_moves_to_a_device_as_in_the_lecture() -> None:
    device = gy.device("cpu")
    model = models.MyMnistNet().to(device)
    x = gy.rand(4, 1, 28, 28).to(device)
    assert model(x).shape == (4, 10) and isinstance(model, gy.nn.Module)
    with pytest.raises(GyakuError, match="1, 28, 28"):
        models.build({"kind": "mymnistnet", "inputs": [1, 8, 8], "outputs": 10})
