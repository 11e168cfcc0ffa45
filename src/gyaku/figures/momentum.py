"""Gradient descent against momentum in a narrow valley: f = x² + 100 y² from (10, 1) (lecture rows 6.2, 6.5)."""

from __future__ import annotations

from typing import Any

import numpy as np

from gyaku.figures.experiment import Claim, Experiment, Say
from gyaku.figures.jobs import Runner
from gyaku.figures.style import COLOURS, FAINT, INK, canvas, end_label, label
from gyaku.layers import SGD, Momentum

EXPERIMENT = Experiment(
    "momentum",
    ("6.2", "6.5"),
    ("Momentum against gradient descent", "モメンタムと勾配降下法"),
    (
        "Gradient descent creeps along the floor of the valley, because the step that the steep walls allow is tiny "
        "along it. Momentum is a ball with mass: it keeps its velocity v, the slope -λg pushes it, friction takes the "
        "share 1 - α at each step. So it gathers speed along the floor, passes the minimum and swings back, while its "
        "energy dies away.",
        "勾配降下法は谷底に沿ってゆっくりとしか進めません。急な壁が許す歩幅は、谷底の方向には小さすぎるからです。"
        "モメンタムは質量をもつ球にあたります。速度 v を保ち、力 -λg に押され、毎回 1 - α の割合だけ摩擦で失います。"
        "そのため谷底の方向に加速し、最小点を通り過ぎて戻り、揺れはしだいに収まります。",
    ),
)
START, STEPS, LONG, RATE, ALPHA = (10.0, 1.0), 30, 120, 0.009, 0.9


def gradient(p: np.ndarray) -> np.ndarray:
    """Return the gradient (2x, 200y) of x² + 100 y²."""
    return np.array([2.0, 200.0]) * p


def path(optimizer: Any, steps: int) -> np.ndarray:
    """Return the positions (steps + 1, 2) of an optimizer from the start."""
    params, positions = {"p": np.array(START)}, [np.array(START)]
    for _ in range(steps):
        optimizer.update(params, {"p": gradient(params["p"])})
        positions.append(params["p"].copy())
    return np.array(positions)


def measure(level: str, run: Runner) -> dict[str, Any]:
    """Return the two paths (exact at every level); momentum's velocity is what one step adds to its position."""
    paths = {"sgd": path(SGD(RATE), LONG), "momentum": path(Momentum(RATE, ALPHA), LONG)}
    return {**paths, "velocity": np.diff(paths["momentum"], axis=0, prepend=paths["momentum"][:1])}


def draw(data: dict[str, Any], say: Say) -> Any:
    """Return the two paths over the contours, and position and velocity along the floor over time."""
    figure, (above, below) = canvas(2, 1, width=11, height=7.8, height_ratios=(3, 2))
    names = {"sgd": say("gradient descent", "勾配降下法"), "momentum": say("momentum", "モメンタム")}
    draw_paths(above, data, names, say)
    draw_motion(below, data, names, say)
    return figure


def draw_paths(axes: Any, data: dict[str, Any], names: dict[str, str], say: Say) -> None:
    """Draw the first 30 steps over the contours."""
    x, y = np.meshgrid(np.linspace(-4.5, 11.2, 200), np.linspace(-1.2, 1.2, 200))
    axes.contour(x, y, x**2 + 100 * y**2, levels=[2, 10, 25, 50, 100, 150], colors=FAINT, linewidths=1)
    for name in ("momentum", "sgd"):
        p = data[name][: STEPS + 1]
        axes.plot(p[:, 0], p[:, 1], "o-", color=COLOURS[name], markersize=4)
    label(axes, 5.34, 0.86, names["momentum"], COLOURS["momentum"], offset=(10, 6), fontsize=15)
    label(axes, 9.9, 0.0, names["sgd"], COLOURS["sgd"], offset=(10, 0), fontsize=15)
    axes.plot(0, 0, "*", color=INK, markersize=14)
    label(axes, *START, say("start", "出発点"), offset=(9, 0))
    axes.grid(False)
    steps = say(f"{STEPS} steps", f"{STEPS} ステップ")
    axes.set(
        xlabel="$x$", ylabel="$y$", title=f"$f = x^2 + 100\\,y^2,\\ \\lambda = {RATE},\\ \\alpha = {ALPHA}$,  {steps}"
    )


def draw_motion(axes: Any, data: dict[str, Any], names: dict[str, str], say: Say) -> None:
    """Draw x of both over the steps, and momentum's velocity: x ← x + v, v ← αv - λg."""
    steps = np.arange(LONG + 1)
    for name in ("sgd", "momentum"):
        axes.plot(steps, data[name][:, 0], color=COLOURS[name])
        end_label(axes, LONG, data[name][-1, 0], f"$x$  {names[name]}", COLOURS[name])
    axes.plot(steps, data["velocity"][:, 0], ":", color=COLOURS["momentum"])
    speed = say("velocity $v$ of momentum (dotted)", "モメンタムの速度 $v$（点線）")
    label(axes, 2, -4.1, speed, COLOURS["momentum"], offset=(0, 0))
    title = say(
        "along the floor: the ball gathers speed, overshoots and settles", "谷底の方向：加速し、行き過ぎ、収まる"
    )
    axes.set(xlabel=say("step", "ステップ"), ylabel="$x,\\ v$", title=title, xlim=(0, LONG), ylim=(-5, 10.5))


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return the exact positions after 30 steps, and that momentum is nearer along the floor."""
    wanted = {"sgd": (5.79888684, 1.23794004e-3), "momentum": (-2.04213653, -0.1824392)}
    found = []
    for name, end in wanted.items():
        x, y = data[name][STEPS]
        held = bool(np.allclose((x, y), end, rtol=1e-7))
        at = f"({x:.8g}, {y:.8g})"
        found.append(Claim(held, f"{name}: after {STEPS} steps at {at}", f"{name}：{STEPS} ステップ後の位置 {at}"))
    near = {name: abs(float(data[name][STEPS, 0])) for name in wanted}
    en = f"distance to the minimum along the floor: momentum {near['momentum']:.2f}, gradient descent {near['sgd']:.2f}"
    ja = f"谷底方向の最小点までの距離：モメンタム {near['momentum']:.2f}、勾配降下法 {near['sgd']:.2f}"
    return [*found, Claim(near["momentum"] < near["sgd"] / 2, en, ja)]
