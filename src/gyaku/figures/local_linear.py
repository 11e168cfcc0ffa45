"""The gradient step minimises a local linear approximation (lecture row 6.10)."""

from __future__ import annotations

from typing import Any

import numpy as np

import gyaku as gy
from gyaku.figures.experiment import Claim, Experiment, Say
from gyaku.figures.jobs import Runner
from gyaku.figures.style import COLOURS, GREY, INK, VERMILION, label

EXPERIMENT = Experiment(
    "local_linear",
    ("6.10",),
    ("The gradient step trusts a tangent plane, nearby", "勾配ステップは近くの接平面を信じる"),
    (
        "Left: the function, and its tangent plane at θ. The plane alone has no minimum; adding (1/2λ)‖Δ‖², the price "
        "of going far, gives one, and it lies exactly at θ - λg. Right: a cut along the step. The plane (orange) and "
        "the function part as λ² grows, so the step that the plane promises to be good is good only while λ is small: "
        "a larger λ promises more and ends higher.",
        "左：関数と θ での接平面。平面だけでは最小点がありませんが、遠くへ行く代償 (1/2λ)‖Δ‖² を足すと最小点ができ、"
        "それはちょうど θ - λg です。右：ステップ方向の断面。平面（橙）と関数のずれは λ² で大きくなるので、"
        "平面が約束する減少は λ が小さいときしか実現しません。大きな λ は多くを約束し、かえって高いところで終わります。"
        "",
    ),
)
THETA, RATES = (1.6, 1.0), (0.15, 0.5, 1.05)


def f(x: Any, y: Any) -> Any:
    """Return a bowl with a bend: 0.5 x² + y² + 0.3 sin(2x)."""
    sine = np.sin if isinstance(x, np.ndarray) else gy.sin
    return 0.5 * x**2 + y**2 + 0.3 * sine(2 * x)


def tangent() -> tuple[float, np.ndarray]:
    """Return f(θ) and its gradient there, by backpropagation."""
    x, y = (gy.tensor(v, dtype=gy.float64, requires_grad=True) for v in THETA)
    z = f(x, y)
    return z.item(), np.array([g.item() for g in gy.autograd.grad(z, (x, y))])


def measure(level: str, run: Runner) -> dict[str, Any]:
    """Return height, gradient, the cut along the step, and how far plane and function part; exact at every level."""
    height, g = tangent()
    theta, along = np.array(THETA), np.linspace(0, 1.15, 300)
    on_path = theta[:, None] - along * g[:, None]
    small = 0.1 / 2.0 ** np.arange(6)
    ends = {"all": np.array(RATES), "small": small}
    return {
        "height": height, "g": g, "rate": along, "f": f(*on_path), "plane": height - along * (g @ g),
        **{f"{name}_{part}": values for name, rates in ends.items() for part, values in parts(theta, g, rates).items()},
        "minimisers": np.array([minimiser(theta, height, g, rate) for rate in RATES]),
    }  # fmt: skip


def parts(theta: np.ndarray, g: np.ndarray, rates: np.ndarray) -> dict[str, np.ndarray]:
    """Return f after a step of each rate, and its distance from the plane."""
    after = f(*(theta[:, None] - rates * g[:, None]))
    return {"after": after, "gap": np.abs(after - (f(*theta[:, None]) - rates * (g @ g)))}


def minimiser(theta: np.ndarray, height: float, g: np.ndarray, rate: float) -> list[float]:
    """Return the minimum of plane + ‖Δ‖²/2λ, found by halving a pattern search instead of by the formula."""
    point, width = theta.copy(), 1.0
    while width > 1e-12:
        tries = point + width * np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]])
        change = tries - theta
        best = int(np.argmin(change @ g + (change**2).sum(axis=1) / (2 * rate)))
        point, width = (point, width / 2) if best == 0 else (tries[best], width)
    found: list[float] = point.tolist()
    return found


def draw(data: dict[str, Any], say: Say) -> Any:
    """Return the surface with its tangent plane, and the cut along the step."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 5.8))
    draw_surface(figure.add_subplot(1, 2, 1, projection="3d"), data, say)
    draw_cut(figure.add_subplot(1, 2, 2), data, say)
    return figure


def draw_surface(axes: Any, data: dict[str, Any], say: Say) -> None:
    """Draw f, the tangent plane around θ and the step."""
    x, y = np.meshgrid(np.linspace(-1.6, 2.4, 50), np.linspace(-1.6, 1.7, 50))
    axes.plot_wireframe(x, y, f(x, y), color=COLOURS["forward"], linewidth=0.6, rstride=3, cstride=3, alpha=0.8)
    theta, g = np.array(THETA), data["g"]
    u, v = np.meshgrid(np.linspace(0.7, 2.4, 2), np.linspace(0.2, 1.7, 2))
    plane = data["height"] + (u - theta[0]) * g[0] + (v - theta[1]) * g[1]
    axes.plot_surface(u, v, plane, color=VERMILION, alpha=0.45, linewidth=0)
    end = theta - RATES[1] * g
    floor = f(*end[:, None])[0]
    axes.plot(*zip((*theta, data["height"]), (*end, floor), strict=True), "o-", color=INK, linewidth=2, zorder=9)
    axes.text(*theta, data["height"] + 0.5, "$\\theta$", fontsize=16)
    axes.text(*end, floor - 1.0, "$\\theta - \\lambda g$", fontsize=15)
    axes.set(xlabel="$x$", ylabel="$y$", title=say("a function and its tangent plane", "関数と接平面"))
    axes.view_init(elev=24, azim=-62)
    axes.tick_params(labelsize=9)


def draw_cut(axes: Any, data: dict[str, Any], say: Say) -> None:
    """Draw f, the plane, and plane + price for three rates, over the rate of the step."""
    rate, slope = data["rate"], float(data["g"] @ data["g"])
    axes.plot(rate, data["f"], color=COLOURS["forward"])
    axes.plot(rate, data["plane"], color=VERMILION)
    for chosen, after in zip(RATES, data["all_after"], strict=True):
        axes.plot(chosen, after, "o", color=COLOURS["forward"], markersize=8)
        beside: dict[str, Any] = {"offset": (10, 10)} if chosen == RATES[0] else {"offset": (4, -17)}
        label(axes, chosen, after, f"$\\lambda = {chosen}$", COLOURS["forward"], **beside)
    model = data["plane"] + rate**2 * slope / (2 * RATES[1])
    axes.plot(rate[rate < 1], model[rate < 1], ":", color=GREY)
    axes.plot(RATES[1], data["height"] - RATES[1] * slope / 2, "v", color=GREY, markersize=9)
    price = "$\\|\\Delta\\|^2 / 2\\lambda$,  $\\lambda = 0.5$"
    label(axes, 0.98, 2.4, say(f"plane + {price}", f"平面 + {price}"), GREY, offset=(0, 6), ha="center")
    label(axes, 1.15, float(data["f"][-1]), "$f$", COLOURS["forward"], fontsize=16)
    label(axes, 0.6, data["height"] - 0.6 * slope, say("tangent plane", "接平面"), VERMILION, offset=(8, 8))
    axes.set(
        xlabel="$\\lambda$",
        title=say("along $\\theta - \\lambda g$", "$\\theta - \\lambda g$ に沿った断面"),
        ylim=(-3.2, 3.6),
    )


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return that the step is the minimiser, that plane and function part with λ², and where the promise breaks."""
    off = float(np.abs(data["minimisers"] - (np.array(THETA) - np.outer(RATES, data["g"]))).max())
    ratios = data["small_gap"][:-1] / data["small_gap"][1:]
    after, height = data["all_after"], data["height"]
    listed = ", ".join(f"λ = {rate}: {value:.3f}" for rate, value in zip(RATES, after, strict=True))
    return [
        Claim(off < 1e-6, f"the minimum of plane + ‖Δ‖²/2λ is θ - λg to {off:.1e} (searched, not computed)",
              f"平面 + ‖Δ‖²/2λ の最小点は θ - λg（探索で求めた値との差 {off:.1e}）"),
        Claim(abs(ratios[-1] - 4) < 0.05, f"halving λ divides the gap between plane and function by {ratios[-1]:.3f}",
              f"λ を半分にすると平面と関数のずれは 1/{ratios[-1]:.3f} になる"),
        Claim(bool(after[0] < height and after[1] < height and after[2] > after[1]),
              f"f falls from {height:.3f} to {listed}: the largest step promises most and ends higher",
              f"f は {height:.3f} から {listed} へ。最も大きいステップはかえって高く終わる"),
    ]  # fmt: skip
