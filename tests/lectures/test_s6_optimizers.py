"""Section 6, optimizers: the formulas by hand, and the positions printed in rows 6.4 to 6.6, to 1e-8."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gyaku as gy
from gyaku import layers
from gyaku.optim import SGD, Adagrad, Adam, Optimizer, RMSprop
from gyaku.optim.lr_scheduler import StepLR
from gyaku.utils.data import DataLoader, TensorDataset
from lectures.printed import all_round_to

Point = list[float]


def bowl(x: Any, y: Any) -> Any:
    """Row 6.6: f = x²/20 + y²."""
    return x**2 / 20 + y**2


def valley(x: Any, y: Any) -> Any:
    """Row 6.5: f = x² + 100 y²."""
    return x**2 + 100 * y**2


def walk(make: Callable[[Any], Optimizer], f: Callable[[Any, Any], Any], start: Point, steps: int) -> list[Point]:
    """Positions before and after each step, with tensors and ``gyaku.optim``."""
    p = gy.tensor(start, dtype=gy.float64, requires_grad=True)
    optimizer = make([p])
    path = [p.tolist()]
    for _ in range(steps):
        optimizer.zero_grad()
        f(p[0], p[1]).backward()
        optimizer.step()
        path.append(p.tolist())
    return path


def lecture_walk(updater: Any, gradient: Callable[[float, float], Point], start: Point, steps: int) -> list[Point]:
    """The same with S3's ``update(params, grads)`` on a dictionary."""
    params = {"x": start[0], "y": start[1]}
    path = [list(params.values())]
    for _ in range(steps):
        updater.update(params, dict(zip("xy", gradient(params["x"], params["y"]), strict=True)))
        path.append([float(v) for v in params.values()])
    return path


def bowl_gradient(x: float, y: float) -> Point:
    return [x / 10, 2 * y]


def valley_gradient(x: float, y: float) -> Point:
    return [2 * x, 200 * y]


def test_6_0_objects_with_update_of_dictionaries() -> None:
    for kind in (layers.SGD, layers.Momentum, layers.AdaGrad, layers.Adam):
        params = {"W1": np.full((2, 2), 1.0), "b1": np.full(2, 1.0)}
        memory = dict(params)
        kind().update(params, {"W1": np.full((2, 2), 0.5), "b1": np.full(2, 0.5)})
        assert all(params[k] is memory[k] and (params[k] < 1).all() for k in params)
    assert layers.SGD().lr == layers.Momentum().lr == layers.AdaGrad().lr == 0.01 and layers.Adam().lr == 0.001
    assert layers.Momentum().hyper["momentum"] == 0.9 and layers.AdaGrad().hyper["eps"] == 1e-7


def test_6_1_gradient_descent_and_the_updates_of_an_epoch() -> None:
    path = walk(lambda p: SGD(p, lr=0.1), bowl, [-7.0, 2.0], 1)
    assert path[1] == pytest.approx([-7 + 0.1 * 0.7, 2 - 0.1 * 4], rel=1e-12)
    data = TensorDataset(gy.zeros(60, 1), gy.zeros(60, 1))
    updates = {size: sum(1 for _ in DataLoader(data, size)) for size in (60, 1, 20)}
    assert updates == {60: 1, 1: 60, 20: 3}  # batch, online, mini-batch: N / batch size


def test_6_2_momentum_without_alpha_is_gradient_descent() -> None:
    plain = lecture_walk(layers.SGD(0.1), bowl_gradient, [-7.0, 2.0], 5)
    assert lecture_walk(layers.Momentum(0.1, 0.0), bowl_gradient, [-7.0, 2.0], 5) == plain


def test_6_2_friction_brings_a_constant_force_to_a_steady_velocity() -> None:
    m = layers.Momentum(0.1, 0.9)
    params = {"x": np.zeros(1)}
    for t in range(1, 400):
        m.update(params, {"x": np.ones(1)})
        assert m.v["x"][0] == pytest.approx(-0.1 * (1 - 0.9**t) / (1 - 0.9), rel=1e-10)
    assert m.v["x"][0] == pytest.approx(-1.0, rel=1e-8)  # -λg / (1 - α)


def test_6_3_nesterov_adagrad_and_rmsprop_by_hand() -> None:
    g1, g2 = 2.0, -1.0
    v1 = -0.1 * g1
    v2 = 0.9 * v1 - 0.1 * g2
    h1, h2 = g1**2, g1**2 + g2**2
    r1 = 0.01 * g1**2
    r2 = 0.99 * r1 + 0.01 * g2**2
    expected = {
        layers.Nesterov(0.1, 0.9): 5 + (0.9 * v1 - 0.1 * g1) + (0.9 * v2 - 0.1 * g2),
        layers.AdaGrad(0.1): 5 - 0.1 * g1 / (h1**0.5 + 1e-7) - 0.1 * g2 / (h2**0.5 + 1e-7),
        layers.RMSProp(0.1): 5 - 0.1 * g1 / (r1**0.5 + 1e-7) - 0.1 * g2 / (r2**0.5 + 1e-7),
    }
    for updater, value in expected.items():
        params = {"x": np.array([5.0])}
        for g in (g1, g2):
            updater.update(params, {"x": np.array([g])})
        assert params["x"][0] == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    ("mode", "x10"), [("outside", -4.059411586), ("inside", -4.059411576), ("rewritten", -4.059421156)]
)
def test_6_4_three_places_of_epsilon_in_adam(mode: str, x10: float) -> None:
    path = walk(lambda p: Adam(p, lr=0.3, eps=1e-8, eps_mode=mode), bowl, [-7.0, 2.0], 10)
    assert path[10][0] == pytest.approx(x10, abs=1e-9)
    lecture = lecture_walk(layers.Adam(0.3, eps_mode=mode), bowl_gradient, [-7.0, 2.0], 10)
    assert lecture[10] == pytest.approx(path[10], rel=1e-12)


def test_6_4_defaults() -> None:
    adam = Adam([gy.zeros(1, requires_grad=True)])
    assert adam.defaults["lr"] == 0.001 and adam.defaults["betas"] == (0.9, 0.999)
    assert adam.defaults["eps_mode"] == "outside"


def test_6_5_gradient_descent_against_momentum() -> None:
    gd = walk(lambda p: SGD(p, lr=0.009), valley, [10.0, 1.0], 30)
    momentum = walk(lambda p: SGD(p, lr=0.009, momentum=0.9), valley, [10.0, 1.0], 30)
    assert all_round_to(gd[30], ["5.79888684", "1.23794004e-3"])
    assert all_round_to(momentum[30], ["-2.04213653", "-0.1824392"])
    assert lecture_walk(layers.SGD(0.009), valley_gradient, [10.0, 1.0], 30)[30] == pytest.approx(gd[30], rel=1e-10)
    lecture = lecture_walk(layers.Momentum(0.009, 0.9), valley_gradient, [10.0, 1.0], 30)
    assert lecture[30] == pytest.approx(momentum[30], rel=1e-10)


CONTOURS = {
    "SGD": (
        lambda p: SGD(p, lr=0.95),
        layers.SGD(0.95),
        [("-6.335", "-1.8"), ("-2.57978689", "0.69735688"), ("-0.35039300", "0.08478232")],
    ),
    "Momentum": (
        lambda p: SGD(p, lr=0.1, momentum=0.9),
        layers.Momentum(0.1, 0.9),
        [("-6.93", "1.6"), ("-4.34755379", "0.00879974"), ("0.89641386", "0.08808560")],
    ),
    "AdaGrad": (
        lambda p: Adagrad(p, lr=1.5, eps=1e-10),
        layers.AdaGrad(1.5, 1e-10),
        [("-5.5", "0.5"), ("-1.48938520", "4.3377770e-6"), ("-0.12016225", "2.4863841e-17")],
    ),
    "Adam": (
        lambda p: Adam(p, lr=0.3),
        layers.Adam(0.3),
        [("-6.7", "1.7"), ("-4.05941159", "-0.49184704"), ("0.13601462", "0.31824539")],
    ),
}


@pytest.mark.parametrize("name", CONTOURS)
def test_6_6_positions_of_four_optimizers_over_contours(name: str) -> None:
    make, updater, printed = CONTOURS[name]
    path = walk(make, bowl, [-7.0, 2.0], 30)
    lecture = lecture_walk(updater, bowl_gradient, [-7.0, 2.0], 30)
    for step, position in zip((1, 10, 30), printed, strict=True):
        assert all_round_to(path[step], position)
        assert lecture[step] == pytest.approx(path[step], rel=1e-8)


def test_6_6_adagrad_converges_most_cleanly_here() -> None:
    """S3's remark, measured: the shortest way of the four, and the end nearest to the minimum."""
    length, end = {}, {}
    for name, (make, _, _) in CONTOURS.items():
        path = np.array(walk(make, bowl, [-7.0, 2.0], 30))
        length[name] = np.linalg.norm(np.diff(path, axis=0), axis=1).sum()
        end[name] = np.linalg.norm(path[-1])
    assert min(length, key=length.get) == min(end, key=end.get) == "AdaGrad"  # type: ignore[arg-type]


def noisy_end(make: Callable[[Any], Optimizer], lower: bool) -> float:
    """Mean distance from the minimum over the last 50 of 200 steps with scattered gradients, as mini-batches have."""
    p = gy.tensor([-7.0, 2.0], dtype=gy.float64, requires_grad=True)
    optimizer = make([p])
    schedule = StepLR(optimizer, 100, 0.05 if lower else 1.0)
    noise = gy.Generator(0).normal((200, 2))
    distances = []
    for step in range(200):
        optimizer.zero_grad()
        (p[0] ** 2 / 2 + p[1] ** 2 + (gy.tensor(noise[step]) * p).sum()).backward()
        optimizer.step()
        schedule.step()
        distances.append(float(p.detach().norm().item()))
    return float(np.mean(distances[-50:]))


def test_6_8_a_rate_too_large_is_unstable_and_too_small_is_slow() -> None:
    def end(lr: float) -> float:
        return float(np.linalg.norm(walk(lambda p: SGD(p, lr=lr), bowl, [-7.0, 2.0], 60)[-1]))

    assert end(1.05) > 100 and end(1e-4) > 6.9 and end(0.95) < 0.1


@pytest.mark.parametrize("make", [lambda p: SGD(p, lr=0.9), lambda p: Adam(p, lr=0.3)], ids=["SGD", "Adam"])
def test_6_8_lowering_the_rate_midway_ends_nearer_to_the_minimum(make: Any) -> None:
    assert noisy_end(make, lower=True) < 0.5 * noisy_end(make, lower=False)


def test_6_3_rmsprop_of_modules_is_the_same_rule() -> None:
    torch_like = walk(lambda p: RMSprop(p, lr=0.01, eps=1e-7), bowl, [-7.0, 2.0], 10)
    assert lecture_walk(layers.RMSProp(0.01), bowl_gradient, [-7.0, 2.0], 10)[10] == pytest.approx(torch_like[10])
