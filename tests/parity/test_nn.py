"""Layers, losses and initial values against PyTorch itself (``make parity``)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import gyaku as gy
import gyaku.nn as nn
import gyaku.nn.functional as F

torch = pytest.importorskip("torch", reason="PyTorch is not installed: make parity installs it", exc_type=ImportError)
pytestmark = pytest.mark.parity
TF = torch.nn.functional
RNG = np.random.default_rng(7)


def floats(*shape: int) -> Any:
    return RNG.normal(size=shape)


def values_and_grads(lib: Any, function: Any, arrays: list[Any]) -> list[Any]:
    """Run on float64 leaves (integers stay constants), backward with fixed weights; return value and gradients."""
    tensors = [None if a is None else lib.tensor(a) for a in arrays]
    leaves = [t.requires_grad_() for t, a in zip(tensors, arrays, strict=True) if a is not None and a.dtype.kind == "f"]
    y = function(*tensors)
    weights = np.cos(np.arange(y.numel() if lib is gy else y.numel())).reshape(tuple(y.shape))
    (y * lib.tensor(weights)).sum().backward()
    return [y.detach().numpy(), *[None if t.grad is None else t.grad.numpy() for t in leaves]]


def same(mine: Any, theirs: Any, arrays: list[Any]) -> None:
    ours, peers = values_and_grads(gy, mine, arrays), values_and_grads(torch, theirs, arrays)
    for a, b in zip(ours, peers, strict=True):
        if b is not None:
            np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-11)
            assert a.shape == b.shape


X = floats(6, 5) * 3
KINKS = np.array([-1.0, -0.5, 0.0, 0.5, 1.0, 25.0, -30.0])
ACTIVATIONS = {
    "sigmoid": {}, "relu": {}, "leaky_relu": {"negative_slope": 0.2}, "elu": {"alpha": 1.3}, "selu": {}, "gelu": {},
    "silu": {}, "softplus": {"beta": 1.7, "threshold": 9}, "hardtanh": {"min_val": -0.5}, "logsigmoid": {}, "tanh": {},
    "softmax": {"dim": 1}, "log_softmax": {"dim": 0},
}  # fmt: skip


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name: str) -> None:
    settings = ACTIVATIONS[name]
    mine, theirs = getattr(F, name), getattr(TF, name, None) or getattr(torch, name)
    same(lambda x: mine(x, **settings), lambda x: theirs(x, **settings), [X])
    if "softmax" not in name:
        same(lambda x: mine(x, **settings), lambda x: theirs(x, **settings), [KINKS])


def test_gelu_tanh_and_prelu() -> None:
    same(lambda x: F.gelu(x, approximate="tanh"), lambda x: TF.gelu(x, approximate="tanh"), [X])
    same(F.prelu, TF.prelu, [floats(4, 3, 2), floats(3)])
    same(F.prelu, TF.prelu, [KINKS, floats(1)])


def test_linear_maps() -> None:
    same(F.linear, TF.linear, [floats(3, 4, 5), floats(2, 5), floats(2)])
    same(F.linear, TF.linear, [floats(5), floats(2, 5)])
    same(F.bilinear, TF.bilinear, [floats(3, 2, 4), floats(3, 2, 5), floats(2, 4, 5), floats(2)])
    i = np.array([[0, 2], [2, 3]])
    same(lambda w: F.embedding(gy.tensor(i), w), lambda w: TF.embedding(torch.tensor(i), w), [floats(4, 3)])
    for options in ({"padding_idx": 2}, {"padding_idx": -1}, {"scale_grad_by_freq": True}):
        same(
            lambda w, o=options: F.embedding(gy.tensor(i), w, **o),
            lambda w, o=options: TF.embedding(torch.tensor(i), w, **o),
            [floats(4, 3)],
        )


@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5), (4, 3, 2, 5)])
@pytest.mark.parametrize("affine", [True, False])
def test_normalisation(shape: tuple[int, ...], affine: bool) -> None:
    w, b = (floats(3), floats(3)) if affine else (None, None)
    for training in (True, False):
        running = []

        def run(lib: Any, f: Any, training: bool = training, running: Any = running) -> Any:
            mean, var = lib.tensor(np.array([0.1, 0.2, 0.3])), lib.tensor(np.array([1.0, 2.0, 0.5]))
            running.extend((mean, var))
            return lambda x, w, b: f(x, mean, var, w, b, training, 0.2, 1e-3)

        same(run(gy, F.batch_norm), run(torch, TF.batch_norm), [floats(*shape), w, b])
        np.testing.assert_allclose(running[0].numpy(), running[2].numpy(), rtol=1e-10)
        np.testing.assert_allclose(running[1].numpy(), running[3].numpy(), rtol=1e-10)
    tail = shape[1:]
    lw, lb = (floats(*tail), floats(*tail)) if affine else (None, None)
    same(
        lambda x, w, b: F.layer_norm(x, tail, w, b),
        lambda x, w, b: TF.layer_norm(x, tail, w, b),
        [floats(*shape), lw, lb],
    )
    w6, b6 = (floats(6), floats(6)) if affine else (None, None)
    x6 = floats(shape[0], 6, *shape[2:])
    same(lambda x, w, b: F.group_norm(x, 3, w, b), lambda x, w, b: TF.group_norm(x, 3, w, b), [x6, w6, b6])


REDUCTIONS = ("mean", "sum", "none")
T = floats(6, 5)
D = X.copy()
D[0, :3] = T[0, :3] + [0.0, 1.0, -0.5]


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_losses_of_differences(reduction: str) -> None:
    for name, options in (
        ("mse_loss", {}),
        ("l1_loss", {}),
        ("smooth_l1_loss", {"beta": 0.7}),
        ("smooth_l1_loss", {"beta": 0.0}),
        ("huber_loss", {"delta": 1.4}),
    ):
        o = {"reduction": reduction, **options}
        same(
            lambda x, t, n=name, o=o: getattr(F, n)(x, t, **o),
            lambda x, t, n=name, o=o: getattr(TF, n)(x, t, **o),
            [D, T],
        )
        if not name.startswith("smooth"):
            o["weight"] = w = RNG.uniform(size=(6, 5))
            same(
                lambda x, t, n=name, o=o, w=w: getattr(F, n)(x, t, **{**o, "weight": gy.tensor(w)}),
                lambda x, t, n=name, o=o, w=w: getattr(TF, n)(x, t, **{**o, "weight": torch.tensor(w)}),
                [D, T],
            )


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_binary_losses(reduction: str) -> None:
    t = RNG.uniform(size=(6, 5))
    t[0], t[1] = 0, 1
    for w, q in (
        (None, None),
        (RNG.uniform(size=(5,)), None),
        (RNG.uniform(size=(6, 1)), RNG.uniform(size=(5,)) + 0.5),
    ):

        def run(lib: Any, f: Any, w: Any = w, q: Any = q) -> Any:
            kw = {"weight": None if w is None else lib.tensor(w), "pos_weight": None if q is None else lib.tensor(q)}
            return lambda x, t: f(x, t, reduction=reduction, **kw)

        same(run(gy, F.binary_cross_entropy_with_logits), run(torch, TF.binary_cross_entropy_with_logits), [X * 9, t])
    p = RNG.uniform(size=(6, 5))
    p[:2, 0], p[:2, 1] = 0, 1
    same(
        lambda x: F.binary_cross_entropy(x, gy.tensor(t), reduction=reduction),
        lambda x: TF.binary_cross_entropy(x, torch.tensor(t), reduction=reduction),
        [p],
    )
    inner = RNG.uniform(0.1, 0.9, size=(6, 5))
    same(
        lambda x, t: F.binary_cross_entropy(x, t, reduction=reduction),
        lambda x, t: TF.binary_cross_entropy(x, t, reduction=reduction),
        [inner, t],
    )
    signs = np.where(RNG.uniform(size=(6, 5)) < 0.5, -1.0, 1.0)
    near = X.copy()
    near[0, :] = 1.0
    same(
        lambda x: F.hinge_embedding_loss(x, gy.tensor(signs), reduction=reduction),
        lambda x: TF.hinge_embedding_loss(x, torch.tensor(signs), reduction=reduction),
        [near],
    )


@pytest.mark.filterwarnings("ignore:KLDivLoss", "ignore:reduction")
@pytest.mark.parametrize("reduction", [*REDUCTIONS, "batchmean"])
def test_kl_div(reduction: str) -> None:
    logp, t = floats(6, 5), RNG.dirichlet(np.ones(5), size=6)
    for log_target in (False, True):
        target = np.log(t) if log_target else t
        same(
            lambda x, t, lt=log_target: F.kl_div(x, t, reduction=reduction, log_target=lt),
            lambda x, t, lt=log_target: TF.kl_div(x, t, reduction=reduction, log_target=lt),
            [logp, target],
        )
    t[0, 0] = 0
    same(
        lambda x: F.kl_div(x, gy.tensor(t), reduction=reduction),
        lambda x: TF.kl_div(x, torch.tensor(t), reduction=reduction),
        [logp],
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("tail", [(), (2,), (2, 3)])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_and_nll(reduction: str, tail: tuple[int, ...], weighted: bool) -> None:
    x, t = floats(6, 4, *tail) * 4, RNG.integers(0, 4, size=(6, *tail))
    ignored = t.copy()
    ignored[:2] = -100
    some = t.copy()
    some[3:5] = 2
    w = RNG.uniform(0.5, 2, size=4) if weighted else None
    for labels, index in ((t, -100), (ignored, -100), (some, 2)):
        for smoothing in (0.0, 0.1, 1.0):

            def run(lib: Any, f: Any, labels: Any = labels, index: int = index, smoothing: float = smoothing) -> Any:
                weight = None if w is None else lib.tensor(w)
                return lambda x: f(
                    x, lib.tensor(labels), weight, ignore_index=index, reduction=reduction, label_smoothing=smoothing
                )

            same(run(gy, F.cross_entropy), run(torch, TF.cross_entropy), [x])

        def nll(lib: Any, f: Any, labels: Any = labels, index: int = index) -> Any:
            weight = None if w is None else lib.tensor(w)
            return lambda x: f(x, lib.tensor(labels), weight, ignore_index=index, reduction=reduction)

        same(nll(gy, F.nll_loss), nll(torch, TF.nll_loss), [x])
    p = np.moveaxis(RNG.dirichlet(np.ones(4), size=(6, *tail)), -1, 1)
    for smoothing in (0.0, 0.1):

        def soft(lib: Any, f: Any, smoothing: float = smoothing) -> Any:
            weight = None if w is None else lib.tensor(w)
            return lambda x, t: f(x, t, weight, reduction=reduction, label_smoothing=smoothing)

        same(soft(gy, F.cross_entropy), soft(torch, TF.cross_entropy), [x, p])


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_margins_and_single_samples(reduction: str) -> None:
    x, t, w = floats(6, 4), RNG.integers(0, 4, size=6), RNG.uniform(0.5, 2, size=4)
    for p in (1, 2):
        for weighted in (False, True):

            def run(lib: Any, f: Any, p: int = p, weighted: bool = weighted) -> Any:
                weight = lib.tensor(w) if weighted else None
                return lambda x: f(x, lib.tensor(t), p, 0.8, weight, reduction=reduction)

            same(run(gy, F.multi_margin_loss), run(torch, TF.multi_margin_loss), [x])
    for f in ("cross_entropy", "nll_loss", "multi_margin_loss"):
        same(
            lambda x, f=f: getattr(F, f)(x, gy.tensor(2), reduction=reduction),
            lambda x, f=f: getattr(TF, f)(x, torch.tensor(2), reduction=reduction),
            [floats(4)],
        )


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
def test_pad(mode: str) -> None:
    for pad, shape in (((1, 2), (2, 3, 4)), ((1, 0, 2, 1), (2, 3, 4, 5)), ((2, 1, 1, 2), (2, 3, 4, 5))):
        same(lambda x, p=pad: F.pad(x, p, mode=mode), lambda x, p=pad: TF.pad(x, p, mode=mode), [floats(*shape)])
    if mode == "constant":
        same(lambda x: F.pad(x, (-1, 2), value=3.0), lambda x: TF.pad(x, (-1, 2), value=3.0), [floats(2, 4)])


MODULES = {
    "Linear": (3, 4), "Bilinear": (2, 3, 4), "Embedding": (5, 3), "BatchNorm1d": (3,), "BatchNorm2d": (3,),
    "LayerNorm": (4,), "GroupNorm": (2, 4), "PReLU": (3,), "Identity": (), "Flatten": (), "Unflatten": (1, (2, 3)),
    "Conv1d": (4, 6, 3, 2, 1, 1, 2), "Conv2d": (4, 6, (3, 2), 1, "same", 2, 2, False, "reflect"),
    "ConvTranspose2d": (4, 6, 3, 2, 1, 1, 2, True, 2), "MaxPool1d": (3, 2), "MaxPool2d": (2, None, 1),
    "AvgPool2d": (3, 2), "AdaptiveAvgPool2d": ((2, None),), "Upsample": (None, 2, "bilinear", True),
    "Dropout": (0.3,), "Dropout2d": (0.3,), "ReLU": (), "LeakyReLU": (), "ELU": (), "SELU": (), "GELU": (), "SiLU": (),
    "Softplus": (), "Sigmoid": (), "Tanh": (), "Hardtanh": (), "Softmax": (1,), "LogSoftmax": (1,), "LogSigmoid": (),
}  # fmt: skip


def test_every_layer_has_a_row() -> None:
    containers = {"Module", "Sequential", "ModuleList", "ModuleDict", "ParameterList"}
    kinds = {n: getattr(nn, n) for n in nn.__all__ if isinstance(getattr(nn, n), type) and hasattr(torch.nn, n)}
    layers = {n for n, kind in kinds.items() if issubclass(kind, nn.Module) and not n.endswith("Loss")}
    assert layers - containers == set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_modules_have_the_same_state_names_shapes_and_text(name: str) -> None:
    mine, theirs = getattr(nn, name)(*MODULES[name]), getattr(torch.nn, name)(*MODULES[name])
    state, peer = mine.state_dict(), theirs.state_dict()
    assert list(state) == list(peer)
    assert [tuple(v.shape) for v in state.values()] == [tuple(v.shape) for v in peer.values()]
    assert [str(v.dtype).split(".")[1] for v in state.values()] == [str(v.dtype).split(".")[1] for v in peer.values()]
    assert repr(mine) == repr(theirs).replace("Flatten(start_dim=1, end_dim=-1)", repr(mine))


def test_nested_models_print_alike() -> None:
    def build(n: Any) -> Any:
        return n.Sequential(n.Linear(2, 3), n.Sequential(n.ReLU(), n.Dropout()), n.ModuleList([n.Tanh()]))

    assert repr(build(nn)) == repr(build(torch.nn))


@pytest.mark.parametrize("momentum", [0.1, None])
def test_running_values_over_several_batches(momentum: float | None) -> None:
    mine, theirs = nn.BatchNorm1d(3, momentum=momentum).double(), torch.nn.BatchNorm1d(3, momentum=momentum).double()
    for _ in range(3):
        x = floats(5, 3)
        np.testing.assert_allclose(
            mine(gy.tensor(x)).detach().numpy(), theirs(torch.tensor(x)).detach().numpy(), rtol=1e-9
        )
    mine.eval(), theirs.eval()
    x = floats(5, 3)
    np.testing.assert_allclose(mine(gy.tensor(x)).detach().numpy(), theirs(torch.tensor(x)).detach().numpy(), rtol=1e-9)
    for a, b in zip(mine.state_dict().values(), theirs.state_dict().values(), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-9)


INITS = {
    "uniform_": {"a": -1, "b": 3}, "normal_": {"mean": 1, "std": 2}, "xavier_uniform_": {"gain": 2},
    "xavier_normal_": {},
    "kaiming_uniform_": {"a": 0.3}, "kaiming_normal_": {"mode": "fan_out", "nonlinearity": "relu"},
    "trunc_normal_": {"std": 0.8, "a": -1.0, "b": 0.5}, "orthogonal_": {"gain": 2.0},
}  # fmt: skip


@pytest.mark.parametrize("shape", [(60, 80), (20, 16, 3, 5)])
@pytest.mark.parametrize("name", INITS)
def test_initial_values_have_the_same_statistics(name: str, shape: tuple[int, ...]) -> None:
    gy.manual_seed(1), torch.manual_seed(1)
    mine = getattr(nn.init, name)(gy.zeros(*shape), **INITS[name]).numpy().ravel()
    theirs = getattr(torch.nn.init, name)(torch.zeros(*shape), **INITS[name]).numpy().ravel()
    scale = theirs.std()
    assert abs(mine.mean() - theirs.mean()) < 5 * scale / np.sqrt(mine.size)
    np.testing.assert_allclose(
        np.quantile(mine, [0.1, 0.3, 0.7, 0.9]), np.quantile(theirs, [0.1, 0.3, 0.7, 0.9]), atol=0.1 * scale
    )
    assert abs(mine.std() / scale - 1) < 0.04
    for g, args in (("tanh", ()), ("leaky_relu", (0.3,)), ("selu", ()), ("relu", ()), ("conv2d", ())):
        assert nn.init.calculate_gain(g, *args) == pytest.approx(torch.nn.init.calculate_gain(g, *args))


DRAWN = [("Linear", (300, 40)), ("Bilinear", (30, 20, 10)), ("Embedding", (300, 40)), ("Conv2d", (12, 40, 5))]


@pytest.mark.parametrize("layer", [*DRAWN, ("Conv1d", (30, 40, 10)), ("ConvTranspose2d", (40, 12, 5))])
def test_default_initial_values_have_the_same_range_and_deviation(layer: tuple[str, Any]) -> None:
    mine, theirs = getattr(nn, layer[0])(*layer[1]), getattr(torch.nn, layer[0])(*layer[1])
    for a, b in zip(mine.parameters(), theirs.parameters(), strict=True):
        p, q = a.detach().numpy(), b.detach().numpy()
        assert abs(p.std() / q.std() - 1) < (0.04 if p.size > 999 else 0.5)
        if layer[0] != "Embedding":
            fan_in = math.prod(theirs.weight.shape[1:]) if "Conv" in layer[0] else layer[1][0]
            bound = 1 / np.sqrt(fan_in)
            assert np.abs(p).max() <= bound and np.abs(p).max() > 0.85 * bound


def test_clipping_and_vectors() -> None:
    arrays = [floats(3, 2), floats(4)]
    for norm_type in (2.0, 1.0, float("inf")):
        for limit in (0.5, 100.0):
            found = []
            for lib in (gy, torch):
                params = [lib.nn.Parameter(lib.tensor(a)) for a in arrays]
                sum((p * p * p).sum() for p in params).backward()
                total = lib.nn.utils.clip_grad_norm_(params, limit, norm_type)
                lib.nn.utils.clip_grad_value_(params, 0.2)
                found.append(
                    [
                        total.item(),
                        *[p.grad.numpy() for p in params],
                        lib.nn.utils.parameters_to_vector(params).detach().numpy(),
                    ]
                )
            for a, b in zip(*found, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-9)
