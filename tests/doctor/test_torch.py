"""A PyTorch network on the same table: the doctor reads both through PyTorch's names."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from gyaku.doctor import Verdict, examine

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
nn: Any = torch.nn
F: Any = torch.nn.functional
# The first step of a process sets a variable of the environment, which no test may.
torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1).step()

X = np.random.default_rng(0).normal(size=(400, 8)).astype(np.float32)
T = (X @ np.random.default_rng(1).normal(size=(8, 3))).argmax(axis=1)
V = (np.sin(X[:, 0]) + X[:, 1]).astype(np.float32)


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def net(*last: Any, outputs: int = 3) -> Any:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, outputs), *last)


def dead() -> Any:
    model = net()
    with torch.no_grad():
        model[2].bias.fill_(-30.0)
    return model


def deep() -> Any:
    layers = [layer for i in range(8) for layer in (nn.Linear(8 if i == 0 else 24, 24), nn.Sigmoid())]
    return nn.Sequential(*layers, nn.Linear(24, 3))


class Log(nn.Module):  # type: ignore[misc]
    def forward(self, x: Any) -> Any:
        return x.log()


def no_zero(model: Any, optimizer: Any, x: Any, t: Any) -> Any:
    loss = F.cross_entropy(model(x), t)
    loss.backward()
    optimizer.step()
    return loss


def see(model: Any, data: Any, **options: Any) -> Verdict:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return examine(model, data, **({"steps": 120} | options))


@pytest.mark.parametrize(
    ("key", "where", "make"),
    [
        ("lr_high", "", lambda: (net(), (X, T), {"optimizer": "sgd", "lr": 30.0})),
        ("lr_low", "", lambda: (net(), (X, T), {"lr": 1e-6})),
        ("wrong_pair", "", lambda: (net(nn.Softmax(1)), (X, T), {})),
        ("target_shape", "", lambda: (net(outputs=1), (X, V), {"loss": lambda y, t: ((y - t) ** 2).mean()})),
        ("label_offset", "", lambda: (net(), (X, T + 1), {})),
        ("no_zero_grad", "", lambda: (net(), (X, T), {"step": no_zero})),
        ("dead_relu", "2", lambda: (dead(), (X, T), {})),
        ("vanishing", "0", lambda: (deep(), (X, T), {})),
        ("not_finite", "1", lambda: (nn.Sequential(nn.Linear(8, 8), Log(), nn.Linear(8, 3)), (X, T), {})),
    ],
)
def test_a_disease_of_a_torch_network_is_found(key: str, where: str, make: Any) -> None:
    model, data, options = make()
    verdict = see(model, data, **options)
    assert key in verdict.keys and verdict[key].where == where


def test_a_healthy_one_is_left_alone_and_stays_as_it_is() -> None:
    model = net()
    before = [p.detach().clone() for p in model.parameters()]
    assert see(model, (X, T), optimizer=torch.optim.Adam(model.parameters(), lr=0.005)).healthy
    assert see(model, (torch.tensor(X), torch.tensor(T)), optimizer="momentum").healthy
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
