"""What numerical differentiation costs against backpropagation, and how exact it is (lecture row 3.10)."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any

import numpy as np

from gyaku.base.files import write_bytes_atomic
from gyaku.check import layer
from gyaku.check.curve import Curve
from gyaku.figures.experiment import Claim, Experiment, Say
from gyaku.figures.jobs import Runner
from gyaku.figures.style import COLOURS, INK, canvas, drawing, end_label, settle
from gyaku.layers import Affine, Network, RegressionLoss, Sigmoid

EXPERIMENT = Experiment(
    "numeric_cost",
    ("3.10",),
    ("Numerical differentiation against backpropagation", "数値微分と誤差逆伝播法の比較"),
    (
        "Left: the time of one gradient of a two-layer net, measured for more and more hidden units. Numerical "
        "differentiation runs forward twice for every parameter, so its time grows with the number of parameters "
        "times the time of a forward; backpropagation needs about two or three forwards, however many parameters "
        "there are. Right: how exact the numerical derivative is. A large step h errs by truncation (h for one-sided, "
        "h² for central differences), a small one by rounding (1/h): the best step lies in between. So numerical "
        "differentiation is for checking, with central differences and h about 1e-5.",
        "左：二層の網の勾配を一回求める時間を、隠れ層のユニット数を増やしながら測ったもの。数値微分はパラメータ一つにつき"
        "順伝播を二回行うので、時間はパラメータ数と順伝播の時間の積に比例して増えます。誤差逆伝播法は、"
        "パラメータがいくつあっても順伝播の二、三回分で済みます。右：数値微分の精度。刻み幅 h が大きいと打ち切り誤差"
        "（片側差分は h、中心差分は h²）、小さいと丸め誤差（1/h）が大きくなり、最適な h はその間にあります。"
        "したがって数値微分は検算用で、中心差分と h = 1e-5 程度を使います。",
    ),
)
INPUTS, ROWS = 10, 20
UNITS = {"quick": (2, 8, 32), "default": (2, 4, 8, 16, 32, 64, 128), "full": (2, 4, 8, 16, 32, 64, 128, 256, 512)}
STEP = 1e-5


def network(units: int, seed: int) -> tuple[Network, Any, Any]:
    """Return a two-layer sigmoid net for regression with a batch, made from a seed."""
    draw = np.random.RandomState(seed)
    layers = [Affine(draw.normal(size=(INPUTS, units)), np.zeros(units)), Sigmoid(),
              Affine(draw.normal(size=(units, 1)), np.zeros(1))]  # fmt: skip
    return Network(layers, RegressionLoss()), draw.normal(size=(ROWS, INPUTS)), draw.normal(size=(ROWS, 1))


def numerical(net: Network, x: Any, t: Any, h: float = STEP) -> dict[str, Any]:
    """Return the gradient by central differences: two forwards for each parameter."""
    found = {}
    for name, p in net.params.items():
        g = np.zeros_like(p)
        for place in np.ndindex(p.shape):
            kept = p[place]
            p[place] = kept + h
            up = net.loss(x, t)
            p[place] = kept - h
            g[place] = (up - net.loss(x, t)) / (2 * h)
            p[place] = kept
        found[name] = g
    return found


def costs(units: int, seed: int) -> dict[str, float]:
    """Return seconds of a forward, of backpropagation and of numerical differentiation, and how far the two differ."""
    net, x, t = network(units, seed)
    exact = {k: v.copy() for k, v in net.gradient(x, t).items()}
    start = time.perf_counter()
    found = numerical(net, x, t)
    seconds = time.perf_counter() - start
    off = max(float(np.abs(found[k] - exact[k]).max()) for k in exact)
    return {"parameters": float(sum(p.size for p in net.params.values())), "numerical": seconds, "off": off,
            "forward": _best(lambda: net.loss(x, t)), "backward": _best(lambda: net.gradient(x, t))}  # fmt: skip


def _best(run: Any, times: int = 30) -> float:
    """Return the seconds of the fastest of several runs."""
    found = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return min(found)


def v_shape(seed: int) -> Curve:
    """Return the error of both differences against h for one element of a sigmoid layer."""
    x = np.random.RandomState(seed).normal(size=(3, 4))
    return layer(Sigmoid(), x, seed=seed).curve()


def measure(level: str, run: Runner) -> dict[str, Any]:
    """Return times and differences by number of parameters, and the errors against the step."""
    rows = run(costs, [{"units": units, "seed": run.seed} for units in UNITS[level]])
    curve = v_shape(run.seed)
    return {**{k: np.array([r[k] for r in rows]) for k in rows[0]},
            "h": curve.h, "one_sided": curve.forward, "central": curve.central}  # fmt: skip


def draw(data: dict[str, Any], say: Say) -> Any:
    """Return the times on the left and the errors on the right, all on logarithmic axes."""
    figure, (left, right) = canvas(1, 2, width=13, height=5)
    rows = (
        ("numerical", COLOURS["backward"], say("numerical differentiation", "数値微分")),
        ("backward", COLOURS["forward"], say("backpropagation", "誤差逆伝播法")),
        ("forward", INK, say("one forward", "順伝播 1 回")),
    )
    for key, colour, words in rows:
        left.loglog(data["parameters"], data[key] * 1e3, "o-", color=colour, label=words)
    left.legend(frameon=False, loc="upper left")
    left.set(
        xlabel=say("parameters", "パラメータ数"),
        ylabel=say("time of one gradient in ms", "勾配 1 回の時間 (ms)"),
        title=say("cost", "計算時間"),
    )
    curve = Curve("", "", (), data["h"], data["one_sided"], data["central"], 0.0)
    draw_curve(right, curve, say)
    right.set_title(say("accuracy", "精度"))
    return figure


def draw_curve(axes: Any, curve: Curve, say: Say) -> None:
    """Draw the errors of one-sided and central differences against the step: the V, with its two causes named."""
    h = curve.h
    for values, colour, words in (
        (curve.forward, COLOURS["backward"], say("one-sided", "片側差分")),
        (curve.central, COLOURS["forward"], say("central", "中心差分")),
    ):
        shown = np.maximum(values, 1e-16)
        axes.loglog(h, shown, color=colour, label=words)
    axes.legend(frameon=False, loc="upper center")
    axes.set(
        xlabel=say("step $h$", "刻み幅 $h$"),
        ylabel=say("relative error of the derivative", "微分の相対誤差"),
        ylim=(1e-16, 1e3),
    )
    rounding = say("rounding\n$\\sim 1/h$", "丸め誤差\n$\\sim 1/h$")
    axes.text(0.02, 0.06, rounding, transform=axes.transAxes, ha="left", va="bottom", color=INK, fontsize=13)
    if curve.central[0] > 1e-9:  # a linear function is not truncated
        truncation = say("truncation\n$\\sim h,\\ h^2$", "打ち切り誤差\n$\\sim h,\\ h^2$")
        axes.text(0.98, 0.06, truncation, transform=axes.transAxes, ha="right", va="bottom", color=INK, fontsize=13)


def save_curve(curve: Curve, path: str | Path, lang: str = "en") -> None:
    """Write the picture of a curve (``check.layer(...).curve()``) as .svg, .png or .pdf, by the name's ending."""
    say = Say(lang)
    with drawing(lang):
        figure, axes = canvas(width=9, height=5.4)
        draw_curve(axes, curve, say)
        place = ", ".join(map(str, curve.place))
        axes.set_title(f"{curve.title}: $\\partial E/\\partial$ {curve.name}[{place}]")
        if curve.backward > 1e-6:
            axes.axhline(curve.backward, color=INK, linestyle="--", linewidth=1.4)
            words = say("error of backward", "backward の誤差")
            end_label(axes, float(curve.h[-1]), curve.backward, words, INK, offset=(4, 10))
        buffer = io.BytesIO()
        settle(figure).savefig(buffer, format=Path(path).suffix[1:], dpi=150)
    write_bytes_atomic(path, buffer.getvalue())


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return that both agree, how the two costs grow, and where the best step lies."""
    P, ratio = data["parameters"], data["numerical"] / data["backward"]
    off = float(data["off"].max())
    growth = float(np.polyfit(np.log(P), np.log(ratio), 1)[0])
    per = data["numerical"] / data["forward"] / P
    best = {k: (float(data["h"][np.argmin(data[k])]), float(data[k].min())) for k in ("one_sided", "central")}
    back = data["backward"] / data["forward"]
    return [
        Claim(off < 1e-6, f"both give the same gradient: they differ by at most {off:.0e}",
              f"両者の勾配は一致する（差は {off:.0e} 以下）"),
        Claim(ratio[-1] > 20 and growth > 0.6,
              f"with {P[-1]:.0f} parameters numerical differentiation takes {ratio[-1]:.0f} times as long as "
              f"backpropagation, with {P[0]:.0f} parameters {ratio[0]:.0f} times: it runs forward "
              f"{np.median(per):.1f} times a parameter",
              f"パラメータ {P[-1]:.0f} 個では数値微分は誤差逆伝播法の {ratio[-1]:.0f} 倍、{P[0]:.0f} 個では "
              f"{ratio[0]:.0f} 倍の時間がかかる。パラメータ一つにつき順伝播 {np.median(per):.1f} 回分"),
        Claim(bool(np.median(back) < 6),
              f"backpropagation takes {np.median(back):.1f} forwards, whatever the number of parameters",
              f"誤差逆伝播法はパラメータ数によらず順伝播 {np.median(back):.1f} 回分"),
        Claim(1e-7 < best["central"][0] < 1e-3 and best["central"][1] < best["one_sided"][1],
              f"the best step of central differences is {best['central'][0]:.0e} with a relative error of "
              f"{best['central'][1]:.0e}; one-sided {best['one_sided'][0]:.0e} with {best['one_sided'][1]:.0e}",
              f"中心差分の最適な刻み幅は {best['central'][0]:.0e}（相対誤差 {best['central'][1]:.0e}）、"
              f"片側差分は {best['one_sided'][0]:.0e}（{best['one_sided'][1]:.0e}）"),
    ]  # fmt: skip
