"""The activations of the lecture and their derivatives, computed by the library's own rules (lecture row 1.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import gyaku as gy
from gyaku.figures.experiment import Claim, Experiment, Say
from gyaku.figures.jobs import Runner
from gyaku.figures.style import COLOURS, INK, MUTED, canvas, label
from gyaku.nn import functional as F

EXPERIMENT = Experiment(
    "activations",
    ("1.2",),
    ("Activations and their derivatives", "活性化関数とその微分"),
    (
        "Solid: the value; dashed: the derivative that backpropagation multiplies by. The sigmoid's derivative is "
        "never above 0.25, tanh's reaches 1, ReLU's is 1 wherever it is not 0. Dots say what holds at a kink or jump: "
        "the derivative of ReLU at 0 is 0, that of leaky ReLU its slope 0.1. Softmax is not elementwise: p₁ falls when "
        "another input rises, and its Jacobian is diag(p) - p pᵀ.",
        "実線は値、破線は逆伝播で掛けられる微分です。シグモイドの微分は最大でも 0.25、tanh は 1 に達し、ReLU は 0 "
        "でなければ 1 です。丸印は折れ目や跳びでの約束を示します。ReLU の 0 での微分は 0、leaky ReLU では傾き 0.1 "
        "です。ソフトマックスは要素ごとの関数ではなく、ほかの入力が増えると p₁ は減ります。ヤコビ行列は diag(p) - p pᵀ "
        "です。",
    ),
)
GRID = np.linspace(-4, 4, 801)
LOGITS = (1.0, 0.0, -0.5)
FUNCTIONS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "step": ("1  ($x \\geq 0$)", lambda x: gy.heaviside(x, gy.tensor(1.0, dtype=x.dtype))),
    "sigmoid": ("$1/(1+e^{-x})$", gy.sigmoid),
    "tanh": ("$\\tanh x$", gy.tanh),
    "identity": ("$x$", lambda x: x * 1.0),
    "relu": ("$\\max(0, x)$", gy.relu),
    "leaky_relu": ("$x$ or $0.1\\,x$", lambda x: F.leaky_relu(x, 0.1)),
    "softmax": ("$p_1 = e^{x_1}/\\Sigma_m e^{x_m}$", lambda x: first_of_softmax(x)),
}


def first_of_softmax(x: Any) -> Any:
    """Return p1 of softmax(x, 0, -0.5)."""
    rest = gy.tensor([LOGITS[1:]] * len(x), dtype=x.dtype)
    return gy.softmax(gy.cat([x.reshape(-1, 1), rest], dim=1), dim=1)[:, 0]


def value_and_derivative(function: Callable[[Any], Any]) -> np.ndarray:
    """Return (2, points): the function and its derivative on the grid."""
    x = gy.tensor(GRID, requires_grad=True)
    y = function(x)
    (slope,) = gy.autograd.grad(y.sum(), x)
    return np.array([y.detach().numpy(), slope.numpy()])


def measure(level: str, run: Runner) -> dict[str, Any]:
    """Return the curves, and softmax with its Jacobian at one point; exact at every level."""
    logits = gy.tensor(LOGITS, dtype=gy.float64)
    jacobian = gy.autograd.functional.jacobian(lambda z: gy.softmax(z, dim=0), logits)
    curves = {name: value_and_derivative(function) for name, (_, function) in FUNCTIONS.items()}
    return {"x": GRID, **curves, "p": gy.softmax(logits, dim=0).numpy(), "jacobian": jacobian.numpy()}


def draw(data: dict[str, Any], say: Say) -> Any:
    """Return one panel a function, and the derivatives together."""
    figure, axes = canvas(2, 4, width=15, height=7.2, sharex=True)
    for panel, (name, (formula, _)) in zip(axes.flat, FUNCTIONS.items(), strict=False):
        draw_one(panel, data["x"], data[name])
        panel.set(title=name.replace("_", " ") + "   " + formula.replace("or", say("or", "または")))
    label(axes[0, 0], 0.3, 0.9, say("value $y$", "値 $y$"), COLOURS["forward"], offset=(0, 0))
    label(axes[0, 0], 0.3, 0.1, say("derivative $dy/dx$", "微分 $dy/dx$"), COLOURS["backward"], offset=(0, 0))
    draw_derivatives(axes[1, 3], data, say)
    for panel in axes[1]:
        panel.set_xlabel("$x$")
    axes[1, 2].set_xlabel("$x_1$   ($x_2 = 0,\\ x_3 = -0.5$)")
    return figure


def draw_one(axes: Any, x: np.ndarray, curves: np.ndarray) -> None:
    """Draw value and derivative; where a curve jumps at 0, a dot for what holds there and a ring for what does not."""
    at = int(np.argmin(np.abs(x)))
    for y, colour, style in zip(curves, (COLOURS["forward"], COLOURS["backward"]), ("-", "--"), strict=True):
        jump = abs(y[at + 1] - y[at - 1]) > 0.5
        for side in (x < 0, x > 0) if jump else (slice(None),):
            axes.plot(x[side], y[side], style, color=colour)
        for near in (y[at - 1], y[at + 1]) if jump else ():
            axes.plot(0, near, "o", color="white", markeredgecolor=colour, markersize=6.5, markeredgewidth=1.6)
        if jump:
            axes.plot(0, y[at], "o", color=colour, markersize=6.5)
    low, high = float(curves.min()), float(curves.max())
    axes.set(ylim=(max(low, -1.5) - 0.15, min(high, 2.0) + 0.15))


def draw_derivatives(axes: Any, data: dict[str, Any], say: Say) -> None:
    """Draw the derivatives of three activations on one scale."""
    places = {"relu": (4, 1.0, -1), "tanh": (0.75, 0.62, 0), "sigmoid": (4, 0.1, 0)}
    for name, (x, y, _) in places.items():
        axes.plot(data["x"], data[name][1], "--", color=COLOURS[name])
        side = "right" if x == 4 else "left"
        label(axes, x, y, name, COLOURS[name], offset=(0, -11) if name == "relu" else (3, 4), ha=side)
    axes.axhline(0.25, color=MUTED, linewidth=1)
    label(axes, -3.9, 0.25, "0.25", INK, offset=(0, 9))
    axes.set(title=say("derivatives compared", "微分の比較"), ylim=(-0.05, 1.1))


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return the facts of the lecture's table, all exact."""
    x, zero = data["x"], int(np.argmin(np.abs(data["x"])))
    peak = int(np.argmax(data["sigmoid"][1]))
    tanh = float(np.abs(data["tanh"][1] - 4 / (np.exp(x) + np.exp(-x)) ** 2).max())
    p = data["p"]
    softmax = float(np.abs(data["jacobian"] - (np.diag(p) - np.outer(p, p))).max())
    top, at = float(data["sigmoid"][1, peak]), float(x[peak])
    step = (float(data["step"][0, zero]), float(np.abs(data["step"][1]).max()))
    relu, leaky = float(data["relu"][1, zero]), float(data["leaky_relu"][1, zero])
    return [
        Claim(abs(top - 0.25) < 1e-15 and abs(at) < 1e-12, f"sigmoid: largest derivative {top:g}, at x = {at:g}",
              f"sigmoid：微分の最大値は {top:g}（x = {at:g}）"),
        Claim(tanh < 1e-12, f"tanh: derivative = 4/(eˣ + e⁻ˣ)² to {tanh:.1e}",
              f"tanh：微分 = 4/(eˣ + e⁻ˣ)²、誤差 {tanh:.1e}"),
        Claim((relu, leaky) == (0.0, 0.1), f"at 0 the derivative of ReLU is {relu:g}, of leaky ReLU {leaky:g}",
              f"0 での微分：ReLU は {relu:g}、leaky ReLU は {leaky:g}"),
        Claim(step == (1.0, 0.0), f"step: value {step[0]:g} at 0, derivative {step[1]:g} everywhere",
              f"step：0 での値は {step[0]:g}、微分は至る所 {step[1]:g}"),
        Claim(softmax < 1e-15, f"softmax: Jacobian = diag(p) - ppᵀ to {softmax:.1e}",
              f"softmax：ヤコビ行列 = diag(p) - ppᵀ、誤差 {softmax:.1e}"),
    ]  # fmt: skip
