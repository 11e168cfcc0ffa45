"""One row an optimizer and set of options: the published algorithm for one number, in plain Python, as the reference.

A reference is a generator: it is sent gradients and yields the parameter after each step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gyaku.core.tensor import Parameter, new_tensor

Steps = Iterator[float]
SHAPES = [(3, 2), (3,), (2, 3), (), (1, 2, 2)]


def parameters(dtype: Any = np.float64, seed: int = 0, shapes: Any = SHAPES) -> list[Parameter]:
    rng = np.random.default_rng(seed)
    return [Parameter(new_tensor(np.array(rng.normal(size=s), dtype=dtype))) for s in shapes]


def give_gradients(params: list[Parameter], step: int) -> None:
    rng = np.random.default_rng(1000 + step)
    for p in params:
        p.grad = new_tensor(np.array(rng.normal(size=p.shape), dtype=p._array.dtype))


@dataclass(frozen=True)
class OptimCase:
    """An optimizer by name, its options, the reference, and the names its state has (PyTorch's)."""

    name: str
    options: dict[str, Any]
    reference: Callable[..., Steps]
    state: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return "-".join([self.name, *(f"{k}={v}" for k, v in self.options.items())])


def sgd(
    p: float, grads: list[float], lr: float = 1e-3, momentum: float = 0, dampening: float = 0, nesterov: bool = False
) -> Steps:
    buffer = None
    for g in grads:
        buffer = g if buffer is None else momentum * buffer + (1 - dampening) * g
        move = g + momentum * buffer if nesterov else buffer
        p -= lr * (move if momentum else g)
        yield p


def adagrad(
    p: float,
    grads: list[float],
    lr: float = 1e-2,
    lr_decay: float = 0,
    eps: float = 1e-10,
    initial_accumulator_value: float = 0,
) -> Steps:
    h = initial_accumulator_value
    for i, g in enumerate(grads):
        h += g * g
        p -= lr / (1 + i * lr_decay) * g / (math.sqrt(h) + eps)
        yield p


def rmsprop(
    p: float,
    grads: list[float],
    lr: float = 1e-2,
    alpha: float = 0.99,
    eps: float = 1e-8,
    momentum: float = 0,
    centered: bool = False,
) -> Steps:
    r = mean = buffer = 0.0
    for g in grads:
        r = alpha * r + (1 - alpha) * g * g
        mean = alpha * mean + (1 - alpha) * g
        move = g / (math.sqrt(r - mean**2 if centered else r) + eps)
        buffer = momentum * buffer + move
        p -= lr * buffer
        yield p


def adam(
    p: float,
    grads: list[float],
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    amsgrad: bool = False,
    eps_mode: str = "outside",
) -> Steps:
    s = r = largest = 0.0
    for t, g in enumerate(grads, 1):
        s = betas[0] * s + (1 - betas[0]) * g
        r = betas[1] * r + (1 - betas[1]) * g * g
        largest = max(largest, r)
        used = largest if amsgrad else r
        s_hat, r_hat = s / (1 - betas[0] ** t), used / (1 - betas[1] ** t)
        if eps_mode == "outside":
            p -= lr * s_hat / (math.sqrt(r_hat) + eps)
        elif eps_mode == "inside":
            p -= lr * s_hat / math.sqrt(r_hat + eps)
        else:
            p -= lr * math.sqrt(1 - betas[1] ** t) / (1 - betas[0] ** t) * s / math.sqrt(used + eps)
        yield p


def adamw(p: float, grads: list[float], lr: float = 1e-3, weight_decay: float = 1e-2, **options: Any) -> Steps:
    before = 0.0
    for moved in adam(0.0, grads, lr, **options):
        p = p * (1 - lr * weight_decay) + (moved - before)
        before = moved
        yield p


def nadam(p: float, grads: list[float], lr: float = 2e-3, momentum_decay: float = 4e-3) -> Steps:
    s = r = 0.0
    product = 1.0
    for t, g in enumerate(grads, 1):
        now, ahead = (0.9 * (1 - 0.5 * 0.96 ** (k * momentum_decay)) for k in (t, t + 1))
        product *= now
        s, r = 0.9 * s + 0.1 * g, 0.999 * r + 0.001 * g * g
        s_hat = ahead * s / (1 - product * ahead) + (1 - now) * g / (1 - product)
        p -= lr * s_hat / (math.sqrt(r / (1 - 0.999**t)) + 1e-8)
        yield p


def radam(p: float, grads: list[float], lr: float = 1e-3) -> Steps:
    s = r = 0.0
    limit = 2 / (1 - 0.999) - 1
    for t, g in enumerate(grads, 1):
        s, r = 0.9 * s + 0.1 * g, 0.999 * r + 0.001 * g * g
        rho = limit - 2 * t * 0.999**t / (1 - 0.999**t)
        s_hat = s / (1 - 0.9**t)
        if rho > 5:
            rectify = math.sqrt((rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho))
            p -= lr * s_hat * rectify * math.sqrt(1 - 0.999**t) / (math.sqrt(r) + 1e-8)
        else:
            p -= lr * s_hat
        yield p


def adadelta(p: float, grads: list[float], lr: float = 1.0, rho: float = 0.9, eps: float = 1e-6) -> Steps:
    r = a = 0.0
    for g in grads:
        r = rho * r + (1 - rho) * g * g
        move = math.sqrt(a + eps) / math.sqrt(r + eps) * g
        a = rho * a + (1 - rho) * move * move
        p -= lr * move
        yield p


_MEANS = ("exp_avg", "exp_avg_sq", "step")
CASES = [
    OptimCase("SGD", {"lr": 0.1}, sgd),
    OptimCase("SGD", {"lr": 0.1, "momentum": 0.9}, sgd, ("momentum_buffer",)),
    OptimCase("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.5}, sgd, ("momentum_buffer",)),
    OptimCase("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}, sgd, ("momentum_buffer",)),
    OptimCase("Adagrad", {}, adagrad, ("step", "sum")),
    OptimCase("Adagrad", {"lr_decay": 0.1, "initial_accumulator_value": 0.5}, adagrad, ("step", "sum")),
    OptimCase("RMSprop", {}, rmsprop, ("square_avg", "step")),
    OptimCase(
        "RMSprop", {"centered": True, "momentum": 0.9}, rmsprop, ("grad_avg", "momentum_buffer", "square_avg", "step")
    ),
    OptimCase("Adam", {}, adam, _MEANS),
    OptimCase("Adam", {"lr": 0.1, "betas": (0.5, 0.9), "amsgrad": True}, adam, (*_MEANS, "max_exp_avg_sq")),
    OptimCase("Adam", {"eps": 0.1, "eps_mode": "inside"}, adam, _MEANS),
    OptimCase("Adam", {"eps": 0.1, "eps_mode": "rewritten"}, adam, _MEANS),
    OptimCase("AdamW", {"lr": 0.1}, adamw, _MEANS),
    OptimCase("NAdam", {}, nadam, (*_MEANS, "mu_product")),
    OptimCase("RAdam", {}, radam, _MEANS),
    OptimCase("Adadelta", {}, adadelta, ("acc_delta", "square_avg", "step")),
]
