"""A two-layer network with plain arrays (S1 §4), and the check that the other interfaces train the same weights."""

from __future__ import annotations

from typing import Any

import numpy as np

import gyaku as gy
from gyaku import layers, nn, optim
from gyaku.backend.random import Generator

Arrays = dict[str, np.ndarray]
LOSSES: dict[str, tuple[Any, Any]] = {  # the layer class, and the function of tensors (with the lecture's half)
    "regression": (layers.RegressionLoss, lambda y, t: nn.MSELoss()(y, t) / 2),
    "binary": (layers.SigmoidWithLoss, nn.BCEWithLogitsLoss()),
    "classes": (layers.SoftmaxWithLoss, nn.CrossEntropyLoss()),
}


def sigmoid(a: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + e^-a)."""
    return 1 / (1 + np.exp(-a))


def output(a: np.ndarray, task: str) -> np.ndarray:
    """Return the identity, sigmoid or softmax of ``a``."""
    if task != "classes":
        return sigmoid(a) if task == "binary" else a
    e = np.exp(a - a.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def forward(p: Arrays, x: np.ndarray, task: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the hidden values and the output."""
    h = sigmoid(x @ p["W1"] + p["b1"])
    return h, output(h @ p["W2"] + p["b2"], task)


def gradients(p: Arrays, x: np.ndarray, t: np.ndarray, task: str) -> Arrays:
    """Return the gradients: two deltas, and from each a weight's and a bias's."""
    h, y = forward(p, x, task)
    delta2 = (y - t) / len(x)
    delta1 = delta2 @ p["W2"].T * h * (1 - h)
    return {"W1": x.T @ delta1, "b1": delta1.sum(axis=0), "W2": h.T @ delta2, "b2": delta2.sum(axis=0)}


def initial(inputs: int, hidden: int, outputs: int, seed: int) -> Arrays:
    """Return normal weights of variance 1 / inputs, and biases 0."""
    g = Generator(seed)
    return {
        "W1": g.normal((inputs, hidden)) / inputs**0.5,
        "b1": np.zeros(hidden),
        "W2": g.normal((hidden, outputs)) / hidden**0.5,
        "b2": np.zeros(outputs),
    }


def score(y: np.ndarray, t: np.ndarray, task: str) -> float:
    """Return the accuracy of outputs ``y``, or the root mean squared error of a regression."""
    if task == "regression":
        return float(np.sqrt(((y - t) ** 2).mean()))
    return float(((y > 0.5) == t).mean() if task == "binary" else (y.argmax(axis=1) == t.argmax(axis=1)).mean())


def linear_map(x: np.ndarray, t: np.ndarray, x_new: np.ndarray) -> np.ndarray:
    """Return the outputs of the least-squares linear map of (x, t) at ``x_new``: what one layer can do at once."""
    W = np.linalg.lstsq(np.hstack([x, np.ones((len(x), 1))]), t)[0]
    return np.hstack([x_new, np.ones((len(x_new), 1))]) @ W


def agreement(x: np.ndarray, t: np.ndarray, task: str, seed: int) -> list[float]:
    """Return the largest difference of weights after 20 steps: layer classes, and define-by-run, against the arrays."""
    p = initial(x.shape[1], 10, t.shape[1], seed)
    by_layers, by_run = {k: v.copy() for k, v in p.items()}, {k: gy.tensor(v, requires_grad=True) for k, v in p.items()}
    last, criterion = LOSSES[task]
    net = layers.Network(
        [
            layers.Affine(by_layers["W1"], by_layers["b1"]),
            layers.Sigmoid(),
            layers.Affine(by_layers["W2"], by_layers["b2"]),
        ],
        last(),
    )
    update, optimizer = layers.SGD(0.5), optim.SGD(by_run.values(), lr=0.5)
    for _ in range(20):
        for name, g in gradients(p, x, t, task).items():
            p[name] -= 0.5 * g
        update.update(net.params, net.gradient(x, t))
        hidden = gy.sigmoid(gy.tensor(x) @ by_run["W1"] + by_run["b1"])
        optimizer.zero_grad()
        criterion(hidden @ by_run["W2"] + by_run["b2"], gy.tensor(t)).backward()
        optimizer.step()
    others = (net.params, {k: v.detach().numpy() for k, v in by_run.items()})
    return [max(float(np.abs(p[a] - other[b]).max()) for a, b in zip(p, other, strict=True)) for other in others]
