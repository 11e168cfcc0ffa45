"""L1 against L2 on f = (w1 - 3)² + 4 (w2 - 6)²: small weights, or weights that are zero (lecture row 9.2)."""

from __future__ import annotations

from typing import Any

import numpy as np

import gyaku as gy
from gyaku import optim
from gyaku.figures.experiment import Claim, Experiment, Say
from gyaku.figures.jobs import Runner
from gyaku.figures.style import COLOURS, FAINT, GREY, INK, canvas, label

EXPERIMENT = Experiment(
    "l1_l2_contours",
    ("9.1", "9.2"),
    ("L1 makes weights zero, L2 makes them small", "L1 は重みを 0 に、L2 は小さくする"),
    (
        "Grey: contours of f, least at (3, 6). Coloured: the contour of the penalty through the minimum of the sum. "
        "The circle of L2 is touched anywhere, at (1.5, 4.8); the diamond of L1 is touched at its corner, (0, 4.75): "
        "w₁ is exactly zero. Right: how w₁ gets there. Gradient steps with α sign W jump over zero and hover around it "
        "for ever; the proximal step (soft threshold) stops at exactly zero.",
        "灰色は f の等高線で、最小点は (3, 6) です。色つきの線は、和の最小点を通る罰則の等高線です。L2 "
        "の円は任意の場所 (1.5, 4.8) で接し、L1 のひし形は角 (0, 4.75) で接するので w₁ はちょうど 0 になります。右：w₁ "
        "の動き。α sign W による勾配ステップは 0 を跳び越え続け、近接ステップ（ソフト閾値）はちょうど 0 で止まります。",
    ),
)
CENTRE, CURVES, L2, L1 = np.array([3.0, 6.0]), np.array([1.0, 4.0]), 1.0, 10.0
RATE, STEPS = 0.03, 120
MINIMA = {"l2": (1.5, 4.8), "l1": (0.0, 4.75)}


def path(**penalty: Any) -> np.ndarray:
    """Return the weights (STEPS + 1, 2) of gradient descent from (3, 6) with a penalty of the optimizer's."""
    w = gy.tensor(CENTRE[None], requires_grad=True)
    optimizer, positions = optim.SGD([w], lr=RATE, **penalty), [w.tolist()[0]]
    for _ in range(STEPS):
        optimizer.zero_grad()
        (gy.tensor(CURVES) * (w - gy.tensor(CENTRE)) ** 2).sum().backward()
        optimizer.step()
        positions.append(w.tolist()[0])
    return np.array(positions)


def measure(level: str, run: Runner) -> dict[str, Any]:
    """Return three paths; exact at every level."""
    return {"l2": path(l2=L2), "l1": path(l1=L1), "proximal": path(l1_proximal=L1)}


def draw(data: dict[str, Any], say: Say) -> Any:
    """Return L2 and L1 over the contours, and w1 over the steps."""
    figure, axes = canvas(1, 3, width=16, height=5.4, width_ratios=(1, 1, 1.35))
    draw_contours(axes[0], "l2", data["l2"], "$f + w_1^2 + w_2^2$", "$(1.5,\\ 4.8)$")
    draw_contours(axes[1], "l1", data["proximal"], "$f + 10\\,(|w_1| + |w_2|)$", "$(0,\\ 4.75)$")
    steps = axes[2]
    steps.plot(data["l1"][:, 0], color=GREY, linewidth=1.6)
    steps.plot(data["proximal"][:, 0], color=COLOURS["l1"])
    sign = say(
        "gradient step with $\\alpha\\,$sign$\\,W$: hovers", "$\\alpha\\,$sign$\\,W$ の勾配ステップ：0 の周りを揺れる"
    )
    label(steps, 30, 0.62, sign, GREY, offset=(0, 0))
    label(steps, 30, -0.5, say("proximal step: exactly 0", "近接ステップ：ちょうど 0"), COLOURS["l1"], offset=(0, 0))
    steps.set(xlabel=say("step", "ステップ"), title=say("$w_1$ under L1", "L1 のもとでの $w_1$"), ylim=(-0.8, 3.1))
    return figure


def draw_contours(axes: Any, name: str, p: np.ndarray, title: str, place: str) -> None:
    """Draw f's contours, the penalty's contour through the minimum of the sum, and the way there."""
    w1, w2 = np.meshgrid(np.linspace(-6.5, 8.5, 300), np.linspace(-6.5, 8.5, 300))
    axes.contour(
        w1, w2, (w1 - 3) ** 2 + 4 * (w2 - 6) ** 2, levels=[0.5, 2, 5, 12, 25, 50, 90], colors="#A9AFB7", linewidths=1
    )
    x, y = MINIMA[name]
    penalty, level = (w1**2 + w2**2, x * x + y * y) if name == "l2" else (abs(w1) + abs(w2), abs(x) + abs(y))
    axes.contourf(w1, w2, penalty, levels=[0, level], colors=COLOURS[name], alpha=0.13)
    axes.contour(w1, w2, penalty, levels=[level], colors=COLOURS[name], linewidths=2.2)
    axes.plot(*p.T, "-", color=COLOURS[name], linewidth=1.6)
    for edge in (axes.axhline, axes.axvline):
        edge(0, color=FAINT, linewidth=1, zorder=0)
    axes.plot(*CENTRE, "o", color=INK)
    label(axes, CENTRE[0], CENTRE[1], "$(3,\\ 6)$", offset=(8, 8))
    axes.plot(x, y, "o", color=COLOURS[name], markersize=9, markeredgecolor=INK)
    label(axes, x, y, place, COLOURS[name], offset=(-8, -17) if name == "l2" else (-10, 12), ha="right", fontsize=14)
    axes.set(aspect="equal", xlabel="$w_1$", title=title, xticks=range(-6, 9, 2), yticks=range(-6, 9, 2))
    axes.set_ylabel("$w_2$", rotation=0)
    axes.grid(False)


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return the exact minima, the hovering and the exact zero."""
    (a, b), (c, d) = data["l2"][-1], data["proximal"][-1]
    late = data["l1"][STEPS // 2 :, 0]
    zeros, turns = int((late == 0).sum()), int((np.sign(late[1:]) != np.sign(late[:-1])).sum())
    first = int(np.argmax(data["proximal"][:, 0] == 0))
    return [
        Claim(bool(np.allclose((a, b), MINIMA["l2"], atol=1e-3)), f"with L2 the weights end at ({a:.6f}, {b:.6f})",
              f"L2 の終点は ({a:.6f}, {b:.6f})"),
        Claim(c == 0.0 and abs(d - 4.75) < 1e-9, f"with proximal L1 they end at ({c:g}, {d:.9f}); w₁ is exactly 0 "
              f"from step {first} on", f"近接 L1 の終点は ({c:g}, {d:.9f})、w₁ は {first} ステップ目からちょうど 0"),
        Claim(zeros == 0 and turns > 5, f"with sign steps w₁ changes sign {turns} times in the last {len(late)} steps, "
              f"up to {np.abs(late).max():.3f} away, and is 0 in none of them",
              f"sign のステップでは最後の {len(late)} ステップで w₁ の符号が {turns} 回変わり、"
              f"最大 {np.abs(late).max():.3f} 離れ、0 になることはない"),
    ]  # fmt: skip
