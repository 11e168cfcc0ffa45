"""Six optimizers on one valley: f = x²/20 + y² from (-7, 2), 30 steps (lecture rows 6.3, 6.6)."""

from __future__ import annotations

from typing import Any

import numpy as np

from gyaku.figures.experiment import Claim, Experiment, Say
from gyaku.figures.jobs import Runner
from gyaku.figures.style import COLOURS, FAINT, INK, canvas, label
from gyaku.layers import SGD, AdaGrad, Adam, Momentum, Nesterov, RMSProp

EXPERIMENT = Experiment(
    "optimizers_contours",
    ("6.3", "6.6"),
    ("Optimizers on the contours of a valley", "等高線の上の最適化手法"),
    (
        "The valley is steep in y and flat in x. Gradient descent must jump from wall to wall to make way along it. "
        "Momentum and Nesterov swing past the minimum. AdaGrad, RMSProp and Adam divide each coordinate by the size of "
        "its own gradients, so that both directions count alike, and leave almost along the diagonal. The lecture "
        "remarks that AdaGrad converges most cleanly here; measured is the length of its path over 30 steps against "
        "the straight way from the start to the minimum, and whether it ever steps across the floor of the valley.",
        "谷は y 方向に急で x 方向に緩やかです。勾配降下法は壁から壁へ跳びながらしか進めません。"
        "モメンタムとネステロフは最小点を通り過ぎて揺れます。AdaGrad、RMSProp、Adam "
        "は座標ごとに勾配の大きさで割るので、両方向を同じように扱い、ほぼ対角線上に出発します。講義では AdaGrad "
        "が最もきれいに収束すると述べています。ここでは 30 ステップの道のりを出発点から最小点までの直線距離と比べ、"
        "谷底を横切るかどうかも測ります。",
    ),
)
START, STEPS, SHOWN = (-7.0, 2.0), 30, (1, 10, 30)
NAMES = {
    "sgd": "SGD", "momentum": "Momentum", "nesterov": "Nesterov", "adagrad": "AdaGrad", "rmsprop": "RMSProp",
    "adam": "Adam",
}  # fmt: skip
# Of the lecture's four: the exact positions after steps 1, 10 and 30.
EXACT = {
    "sgd": ((-6.335, -1.8), (-2.57978689, 0.69735688), (-0.35039300, 0.08478232)),
    "momentum": ((-6.93, 1.6), (-4.34755379, 0.00879974), (0.89641386, 0.08808560)),
    "adagrad": ((-5.5, 0.5), (-1.48938520, 4.3377770e-6), (-0.12016225, 2.4863841e-17)),
    "adam": ((-6.7, 1.7), (-4.05941159, -0.49184704), (0.13601462, 0.31824539)),
}


def optimizers() -> dict[str, tuple[Any, str]]:
    """Return each optimizer with the rates that the picture takes."""
    return {
        "sgd": (SGD(0.95), "$\\lambda=0.95$"),
        "momentum": (Momentum(0.1, 0.9), "$\\lambda=0.1,\\ \\alpha=0.9$"),
        "nesterov": (Nesterov(0.1, 0.9), "$\\lambda=0.1,\\ \\alpha=0.9$"),
        "adagrad": (AdaGrad(1.5, eps=1e-10), "$\\lambda=1.5$"),
        "rmsprop": (RMSProp(0.3, decay_rate=0.9), "$\\lambda=0.3,\\ \\rho=0.9$"),
        "adam": (Adam(0.3), "$\\lambda=0.3$"),
    }


def path(optimizer: Any) -> np.ndarray:
    """Return the positions (STEPS + 1, 2) on f = x²/20 + y², whose gradient is (x/10, 2y)."""
    params, positions = {"p": np.array(START)}, [np.array(START)]
    for _ in range(STEPS):
        optimizer.update(params, {"p": np.array([0.1, 2.0]) * params["p"]})
        positions.append(params["p"].copy())
    return np.array(positions)


def measure(level: str, run: Runner) -> dict[str, Any]:
    """Return the paths; exact at every level."""
    return {name: path(optimizer) for name, (optimizer, _) in optimizers().items()}


def draw(data: dict[str, Any], say: Say) -> Any:
    """Return one panel an optimizer: its path over the contours, with steps 1, 10 and 30 marked."""
    figure, axes = canvas(2, 3, width=15, height=7.4, sharex=True, sharey=True)
    x, y = np.meshgrid(np.linspace(-7.6, 3.2, 200), np.linspace(-2.4, 2.6, 200))
    for panel, (name, (_, rates)) in zip(axes.flat, optimizers().items(), strict=True):
        panel.contour(
            x, y, x**2 / 20 + y**2, levels=[0.02, 0.1, 0.3, 0.7, 1.3, 2.2, 3.5, 5], colors=FAINT, linewidths=1
        )
        p = data[name]
        panel.plot(*p.T, "o-", color=COLOURS[name], markersize=3.5, linewidth=1.8)
        panel.plot(0, 0, "*", color=INK, markersize=13)
        for step in SHOWN:
            panel.plot(*p[step], "o", color=COLOURS[name], markersize=8, markeredgecolor=INK)
            offset = {1: (15, 2), 10: (0, 15), 30: (0, 16 if p[step, 1] > 0.2 else -16)}[step]
            label(panel, p[step, 0], p[step, 1], str(step), offset=offset, ha="center")
        panel.grid(False)
        panel.set_title(f"{NAMES[name]}   {rates}", color=COLOURS[name])
        panel.text(0.98, 0.03, say(f"detour {detour(p):.2f}", f"道のりの比 {detour(p):.2f}"), ha="right",
                   transform=panel.transAxes)  # fmt: skip
    for panel in axes[1]:
        panel.set_xlabel("$x$")
    for panel in axes[:, 0]:
        panel.set_ylabel("$y$", rotation=0)
    return figure


def detour(p: np.ndarray) -> float:
    """Return the length of a path and of the rest to the minimum, over the straight way from start to minimum."""
    steps = np.linalg.norm(np.diff(p, axis=0), axis=1).sum()
    return float((steps + np.linalg.norm(p[-1])) / np.linalg.norm(p[0]))


def crossings(p: np.ndarray) -> int:
    """Return how often a path changes the side of the valley (the sign of y)."""
    sides = np.sign(p[:, 1])
    return int((sides[1:] * sides[:-1] < 0).sum())


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return the exact positions, and whether AdaGrad's path is the cleanest."""
    found = []
    for name, wanted in EXACT.items():
        got = data[name][list(SHOWN)]
        held = bool(np.allclose(got, wanted, rtol=6e-7, atol=0))  # half the last digit given
        at = ", ".join(f"({x:.8g}, {y:.8g})" for x, y in got)
        found.append(Claim(held, f"{NAMES[name]} after steps 1, 10, 30: {at}",
                           f"{NAMES[name]} の 1, 10, 30 ステップ後：{at}"))  # fmt: skip
    detours = {name: detour(data[name]) for name in NAMES}
    turns = {name: crossings(data[name]) for name in NAMES}
    listed = ", ".join(f"{NAMES[name]} {value:.2f}" for name, value in sorted(detours.items(), key=lambda d: d[1]))
    lecture = {name: detours[name] for name in EXACT}
    crossed = ", ".join(f"{NAMES[name]} {turns[name]}" for name in EXACT)
    return [
        *found,
        Claim(min(lecture, key=lambda name: lecture[name]) == "adagrad",
              f"of the lecture's four, AdaGrad makes the smallest detour (way / straight line: {listed})",
              f"講義の四つのうち AdaGrad の遠回りが最小（道のり／直線：{listed}）"),
        Claim(turns["adagrad"] == 0 and min(turns[name] for name in EXACT if name != "adagrad") > 0,
              f"of the lecture's four, AdaGrad alone never crosses the floor (crossings: {crossed})",
              f"講義の四つのうち AdaGrad だけが谷底を一度も横切らない（横切った回数：{crossed}）"),
    ]  # fmt: skip
