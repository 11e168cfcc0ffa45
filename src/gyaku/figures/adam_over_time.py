"""Adam over time on f = x² + 100 y² from (10, 1): moments, correction and step (lecture row 6.9)."""

from __future__ import annotations

from typing import Any

import numpy as np

from gyaku.figures.experiment import Claim, Experiment, Say
from gyaku.figures.jobs import Runner
from gyaku.figures.style import COLOURS, GREEN, INK, MUTED, PLUM, canvas, end_label, label
from gyaku.layers import SGD, Adam, Momentum

EXPERIMENT = Experiment(
    "adam_over_time",
    ("6.4", "6.9"),
    ("Adam over time", "Adam の時間発展"),
    (
        "The gradient in y starts ten times as large as the one in x, and the valley is a hundred times as steep. Adam "
        "divides the mean gradient ŝ by √r̂, so both coordinates begin with steps of exactly λ and the two curves "
        "start parallel. Without the correction by 1 - βᵗ the first steps would be 3.16 times as long, for s is built "
        "from zero, and so is r, but more slowly. Later √r̂ remembers the large gradients of the start and the steps "
        "shrink.",
        "y 方向の勾配は x 方向の 10 倍で始まり、谷の急さは 100 倍です。Adam は平均勾配 ŝ を √r̂ で割るので、"
        "どちらの座標もちょうど λ の歩幅で動き始め、二つの曲線は平行に出発します。1 - βᵗ "
        "による補正がなければ最初の一歩は 3.16 倍になります。s も r も 0 から始まり、r のほうがゆっくり育つからです。"
        "その後は √r̂ が最初の大きな勾配を覚えているため歩幅は縮みます。",
    ),
)
START, STEPS, RATE, BETAS = (10.0, 1.0), 200, 0.3, (0.9, 0.999)
SLOPES = np.array([2.0, 200.0])


def adam_path(scale: float = 1.0) -> dict[str, np.ndarray]:
    """Return position, ŝ, √r̂ and step (STEPS, 2) of Adam on ``scale`` times the function."""
    optimizer, params = Adam(RATE, *BETAS), {"p": np.array(START)}
    rows: dict[str, list[np.ndarray]] = {"p": [], "s": [], "r": [], "step": []}
    for t in range(1, STEPS + 1):
        before = params["p"].copy()
        optimizer.update(params, {"p": scale * SLOPES * before})
        rows["p"].append(params["p"].copy())
        rows["s"].append(optimizer.s["p"] / (1 - BETAS[0] ** t))
        rows["r"].append(np.sqrt(optimizer.r["p"] / (1 - BETAS[1] ** t)))
        rows["step"].append(params["p"] - before)
    return {name: np.array(values) for name, values in rows.items()}


def value_along(optimizer: Any) -> np.ndarray:
    """Return f after each step of another optimizer."""
    params, values = {"p": np.array(START)}, []
    for _ in range(STEPS):
        optimizer.update(params, {"p": SLOPES * params["p"]})
        values.append(float((SLOPES / 2 * params["p"] ** 2).sum()))
    return np.array(values)


def measure(level: str, run: Runner) -> dict[str, Any]:
    """Return Adam's inner quantities, and f over time beside gradient descent and momentum; exact at every level."""
    adam = adam_path()
    return {
        **adam,
        "scaled": adam_path(1000.0)["p"],
        "f": {
            "sgd": value_along(SGD(0.009)),
            "momentum": value_along(Momentum(0.009, 0.9)),
            "adam": (SLOPES / 2 * adam["p"] ** 2).sum(axis=1),
        },
    }


def draw(data: dict[str, Any], say: Say) -> Any:
    """Return four panels over the steps: position, moments, step, and f against two other optimizers."""
    figure, axes = canvas(2, 2, width=14, height=8)
    t = np.arange(1, STEPS + 1)
    panels = {
        axes[0, 0]: ("p", say("position", "位置"), ("$x$", "$y$")),
        axes[1, 0]: (
            "step",
            say("step (dotted: $\\pm\\lambda$)", "一歩（点線：$\\pm\\lambda$）"),
            ("$\\Delta x$", "$\\Delta y$"),
        ),
    }
    for panel, (name, title, names) in panels.items():
        for i, colour in enumerate((PLUM, GREEN)):
            panel.plot(t, data[name][:, i], color=colour)
        panel.set_title(title)
        at, offset = (2, (14, 4)) if name == "p" else (30, (10, -6))
        label(panel, at, data[name][at, 0], names[0], PLUM, offset=offset)
        label(panel, 16, data[name][16, 1], names[1], GREEN, offset=(8, 12))
    for edge in (-RATE, RATE):
        axes[1, 0].axhline(edge, color=MUTED, linestyle=":", linewidth=1.5)
    draw_moments(axes[0, 1], data, t, say)
    draw_values(axes[1, 1], data["f"], t, say)
    for panel in axes[1]:
        panel.set_xlabel(say("step $t$", "ステップ $t$"))
    return figure


def draw_moments(axes: Any, data: dict[str, Any], t: np.ndarray, say: Say) -> None:
    """Draw |ŝ| and √r̂ of both coordinates on a logarithmic axis."""
    for i, (colour, name) in enumerate(((PLUM, "x"), (GREEN, "y"))):
        axes.plot(t, np.abs(data["s"][:, i]), color=colour, linewidth=1.4)
        axes.plot(t, data["r"][:, i], "--", color=colour)
        end_label(axes, t[-1], data["r"][-1, i], f"$\\sqrt{{\\hat r_{name}}}$", colour)
        end_label(axes, t[-1], np.abs(data["s"][-20:, i]).max(), f"$|\\hat s_{name}|$", colour)
    axes.set(
        title=say("the corrected means of $g$ and $g^2$", "$g$ と $g^2$ の補正済み平均"), yscale="log", ylim=(1e-5, 500)
    )


def draw_values(axes: Any, values: dict[str, np.ndarray], t: np.ndarray, say: Say) -> None:
    """Draw f over the steps."""
    names = {"sgd": say("gradient descent", "勾配降下法"), "momentum": say("momentum", "モメンタム"), "adam": "Adam"}
    for name, curve in values.items():
        axes.plot(t, curve, color=COLOURS[name])
        end_label(axes, t[-1], curve[-1], names[name], COLOURS[name])
    axes.set(title="$f = x^2 + 100\\,y^2$", yscale="log", ylim=(1e-8, 1e3))
    label(axes, 3, 2e-7, "$\\lambda = 0.009,\\ \\alpha = 0.9$;  Adam $\\lambda = 0.3$", INK, offset=(0, 0))


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return that the first step is λ everywhere, what the correction does, and that the scale of f does not matter."""
    first = np.abs(data["step"][0])
    raw = (1 - BETAS[0]) / np.sqrt(1 - BETAS[1])
    drift = float(np.abs(data["scaled"] - data["p"]).max())
    largest = float(np.abs(data["step"]).max() / RATE)
    f = {name: float(curve[-1]) for name, curve in data["f"].items()}
    return [
        Claim(bool(np.allclose(first, RATE, rtol=1e-9)),
              f"first step: {first[0]:.9f} in x, {first[1]:.9f} in y, though the gradients are 20 and 200",
              f"最初の一歩：x に {first[0]:.9f}、y に {first[1]:.9f}（勾配は 20 と 200）"),
        Claim(abs(raw - 3.16227766) < 1e-8, f"without the correction it would be {raw:.8f} λ",
              f"補正がなければ {raw:.8f} λ"),
        Claim(drift < 1e-6, f"1000 f instead of f moves the path by at most {drift:.1e}",
              f"f を 1000 倍しても経路の変化は最大 {drift:.1e}"),
        Claim(largest < 1.3, f"no step is longer than {largest:.3f} λ in a coordinate",
              f"各座標の歩幅は最大でも {largest:.3f} λ"),
        Claim(f["adam"] < f["sgd"],
              f"f after {STEPS} steps: Adam {f['adam']:.1e}, momentum {f['momentum']:.1e}, gradient descent "
              f"{f['sgd']:.1e}",
              f"{STEPS} ステップ後の f：Adam {f['adam']:.1e}、モメンタム {f['momentum']:.1e}、勾配降下法 "
              f"{f['sgd']:.1e}"),
    ]  # fmt: skip
