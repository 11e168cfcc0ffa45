"""Section 4, two-layer networks from scratch: plain arrays, and each of our interfaces, step for step the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import gyaku as gy
from gyaku import layers, nn
from gyaku.backend.random import Generator
from gyaku.data import digits
from gyaku.data.synthetic import moons, noisy_curve
from gyaku.optim import SGD
from gyaku.utils.data import DataLoader, TensorDataset

Arrays = dict[str, Any]
HIDDEN = 30


def regression_data() -> Arrays:
    x, t = noisy_curve(240, noise=0.05, curve="square")
    return split(x.reshape(len(x), -1), t.reshape(-1, 1))


def binary_data() -> Arrays:
    x, t = moons(240, noise=0.1)
    return split(x, t.astype(float).reshape(-1, 1))


def class_data() -> Arrays:
    images, labels = digits()
    return split(images[:900].reshape(900, -1) / 16.0, np.eye(10)[labels[:900]])


def split(x: Any, t: Any) -> Arrays:
    order = Generator(4).permutation(len(x))
    x, t, n = x[order], t[order], len(x) * 2 // 3
    return {"x": x[:n], "t": t[:n], "x_test": x[n:], "t_test": t[n:]}


TASKS: dict[str, tuple[Any, Any, Any]] = {
    "regression": (regression_data, layers.RegressionLoss, lambda y, t: 0.5 * nn.functional.mse_loss(y, t)),
    "binary": (binary_data, layers.SigmoidWithLoss, nn.functional.binary_cross_entropy_with_logits),
    "classes": (class_data, layers.SoftmaxWithLoss, nn.functional.cross_entropy),
}
RATES = {"regression": 0.3, "binary": 1.0, "classes": 1.0}
each_task = pytest.mark.parametrize("task", TASKS)


def start(data: Arrays, seed: int = 0) -> Arrays:
    rng = np.random.default_rng(seed)
    K, L = data["x"].shape[1], data["t"].shape[1]
    return {
        "W1": rng.normal(size=(K, HIDDEN)) / np.sqrt(K),
        "b1": rng.normal(size=HIDDEN) * 0.1,
        "W2": rng.normal(size=(HIDDEN, L)) / np.sqrt(HIDDEN),
        "b2": np.zeros(L),
    }


def batches(n: int, seed: int, size: int = 20) -> Iterator[Any]:
    order = Generator(seed).permutation(n)
    return (order[i : i + size] for i in range(0, n, size))


# -- plain arrays: forward, loss and the six formulas --------------------------------------------------------------
def plain(task: str, p: Arrays, x: Any, t: Any) -> tuple[Any, float, Arrays]:
    """Output, loss, and the gradients by A2, W2, b2, A1, W1, b1 written out (S1 §4)."""
    N = len(x)
    A1 = x @ p["W1"] + p["b1"]
    X1 = np.maximum(A1, 0)
    A2 = X1 @ p["W2"] + p["b2"]
    if task == "regression":
        Y = A2
        E = ((Y - t) ** 2).sum() / (2 * N)
    elif task == "binary":
        Y = 1 / (1 + np.exp(-A2))
        E = -(t * np.log(Y) + (1 - t) * np.log(1 - Y)).sum() / N
    else:
        e = np.exp(A2 - A2.max(axis=1, keepdims=True))
        Y = e / e.sum(axis=1, keepdims=True)
        E = -(t * np.log(Y)).sum() / N
    dA2 = (Y - t) / N
    dA1 = (dA2 @ p["W2"].T) * (A1 > 0)
    grads = {"A2": dA2, "W2": X1.T @ dA2, "b2": dA2.sum(axis=0), "A1": dA1, "W1": x.T @ dA1, "b1": dA1.sum(axis=0)}
    return Y, float(E), grads


def score(task: str, Y: Any, t: Any) -> float:
    """Accuracy, or for values 1 - (squared error / variance)."""
    if task == "regression":
        return float(1 - ((Y - t) ** 2).mean() / t.var())
    if task == "binary":
        return float(((Y > 0.5) == t).mean())
    return float((Y.argmax(axis=1) == t.argmax(axis=1)).mean())


def layer_network(task: str, p: Arrays) -> layers.Network:
    return layers.Network(
        [layers.Affine(p["W1"], p["b1"]), layers.ReLU(), layers.Affine(p["W2"], p["b2"])], TASKS[task][1]()
    )


def module(p: Arrays) -> nn.Sequential:
    net = nn.Sequential(nn.Linear(*p["W1"].shape), nn.ReLU(), nn.Linear(*p["W2"].shape)).double()
    for linear, i in ((net[0], 1), (net[2], 2)):
        linear.weight.data, linear.bias.data = gy.tensor(p[f"W{i}"].T.copy()), gy.tensor(p[f"b{i}"])
    return net


@each_task
def test_4_the_six_formulas_and_every_interface_give_the_same_gradients(task: str) -> None:
    data = TASKS[task][0]()
    p, x, t = start(data), data["x"][:20], data["t"][:20]
    _, E, grads = plain(task, p, x, t)
    net = layer_network(task, p)
    by_layers = net.gradient(x, t)
    assert net.loss(x, t) == pytest.approx(E, rel=1e-12)
    m = module(p)
    loss = TASKS[task][2](m(gy.tensor(x)), gy.tensor(t))
    loss.backward()
    tensors = {k: gy.tensor(v, requires_grad=True) for k, v in p.items()}
    h = (gy.tensor(x) @ tensors["W1"] + tensors["b1"]).relu()
    by_hand = TASKS[task][2](h @ tensors["W2"] + tensors["b2"], gy.tensor(t))
    by_hand.backward()
    assert loss.item() == pytest.approx(E, rel=1e-10) == by_hand.item()
    for i in (1, 2):
        for kind in ("W", "b"):
            name = f"{kind}{i}"
            linear = m[0] if i == 1 else m[2]
            of_module = linear.weight.grad.numpy().T if kind == "W" else linear.bias.grad.numpy()
            for other in (by_layers[name], of_module, tensors[name].grad.numpy()):
                np.testing.assert_allclose(other, grads[name], rtol=1e-8, atol=1e-13)


def train_plain(task: str, data: Arrays, epochs: int) -> tuple[Arrays, list[dict[str, float]]]:
    p, table = start(data), []
    for epoch in range(epochs):
        for i in batches(len(data["x"]), epoch):
            grads = plain(task, p, data["x"][i], data["t"][i])[2]
            for name in p:
                p[name] = p[name] - RATES[task] * grads[name]  # W <- W - λ ∂E/∂W
        row = {
            part: score(task, plain(task, p, data[f"x{end}"], data[f"t{end}"])[0], data[f"t{end}"])
            for part, end in (("train", ""), ("test", "_test"))
        }
        table.append({"epoch": epoch + 1, **row})
    return p, table


def train_layers(task: str, data: Arrays, epochs: int) -> Arrays:
    net, sgd = layer_network(task, start(data)), layers.SGD(RATES[task])
    for epoch in range(epochs):
        for i in batches(len(data["x"]), epoch):
            sgd.update(net.params, net.gradient(data["x"][i], data["t"][i]))
    return net.params


def train_modules(task: str, data: Arrays, epochs: int) -> Arrays:
    net, generator = module(start(data)), Generator()
    sgd = SGD(net.parameters(), lr=RATES[task])
    loader = DataLoader(TensorDataset(gy.tensor(data["x"]), gy.tensor(data["t"])), 20, True, generator=generator)
    for epoch in range(epochs):
        generator.manual_seed(epoch)
        for x, t in loader:
            sgd.zero_grad()
            TASKS[task][2](net(x), t).backward()
            sgd.step()
    return {
        "W1": net[0].weight.detach().numpy().T,
        "b1": net[0].bias.detach().numpy(),
        "W2": net[2].weight.detach().numpy().T,
        "b2": net[2].bias.detach().numpy(),
    }


@each_task
def test_4_mini_batch_sgd_gives_the_same_network_with_every_interface(task: str) -> None:
    data = TASKS[task][0]()
    p, _ = train_plain(task, data, 3)
    for other in (train_layers(task, data, 3), train_modules(task, data, 3)):
        for name in p:
            np.testing.assert_allclose(other[name], p[name], rtol=1e-7, atol=1e-10)


@each_task
def test_4_it_learns_and_the_table_of_accuracies_says_so(task: str) -> None:
    pandas = pytest.importorskip("pandas")
    _, table = train_plain(task, TASKS[task][0](), 60 if task == "regression" else 30)
    frame = pandas.DataFrame(table).set_index("epoch")
    assert list(frame.columns) == ["train", "test"] and len(frame) == len(table)
    assert frame["test"].iloc[-1] > 0.9 and frame["train"].iloc[-1] > frame["train"].iloc[0]
