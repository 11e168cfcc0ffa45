"""Weights that become exactly zero: L1 by the gradient, L1 by the proximal step, and L2 (lecture rows 9.1, 9.2)."""

from __future__ import annotations

from typing import Any

import numpy as np

from gyaku import nn
from gyaku.figures import sets
from gyaku.figures.experiment import Claim, Experiment, Say
from gyaku.figures.gains import gain
from gyaku.figures.jobs import Runner
from gyaku.figures.race import percent
from gyaku.figures.style import COLOURS, GREEN, band, canvas, end_label, label
from gyaku.figures.training import accuracy, mlp, train

EXPERIMENT = Experiment(
    "sparsity",
    ("9.1", "9.2"),
    ("Sparsity of a trained network", "学習したネットワークのスパース性"),
    (
        "L1 pulls every weight towards zero with the same force α, whatever its size; L2 pulls less and less. By "
        "gradient "
        "steps α sign W a weight jumps over zero and back and hovers there: many weights are near zero, none is zero. "
        "The "
        "proximal step stops at zero instead. A large part of the weights can go before accuracy does.",
        "L1 はどの重みも大きさによらず同じ力 α で 0 に引き寄せます。L2 の力は重みとともに小さくなります。α sign W "
        "の勾配ステップでは、重みは "
        "0 を飛び越えては戻り、その近くをさまようだけで、ちょうど 0 にはなりません。近接ステップは 0 で止まります。"
        "重みのかなりの部分が"
        "なくなっても、正解率はなかなか落ちません。",
    ),
)
METHODS = {"l1": ("L1, gradient", "L1（勾配）"), "l1_proximal": ("L1, proximal", "L1（近接）"), "l2": ("L2", "L2")}
COLOUR = {"l1": COLOURS["l1"], "l1_proximal": GREEN, "l2": COLOURS["l2"]}
NEAR, RATE, LOSS_ALLOWED = 0.01, 0.1, 0.01
ALPHAS = (0.0001, 0.0003, 0.001, 0.003, 0.01)
EDGES = np.linspace(-0.00201, 0.00201, 202)  # an odd number of bins: zero lies in the middle of one
LEVELS = {"quick": (3, 20, (0.001, 0.01)), "default": (5, 60, ALPHAS), "full": (10, 200, ALPHAS)}  # seeds, epochs, α


def fit(method: str, alpha: float, seed: int, epochs: int) -> dict[str, Any]:
    """Train 64-100-10 by plain SGD; return accuracies, shares of zero and near-zero weights, and their histogram."""
    digits = sets.images("digits")
    net = mlp([digits.inputs, 100, 10], seed=seed)
    penalty: dict[str, Any] = {method: alpha}
    train(net, digits.train, optimizer="sgd", lr=RATE, epochs=epochs, batch=50, seed=seed, **penalty)
    w = np.concatenate([m.weight.detach().numpy().ravel() for m in net.modules() if isinstance(m, nn.Linear)])
    return {
        "zero": (w == 0).mean(),
        "near": (np.abs(w) < NEAR).mean(),
        "counts": np.histogram(w, EDGES)[0] / len(w),
        "dev": accuracy(net, *digits.dev),
        "test": accuracy(net, *digits.test),
    }


def measure(level: str, run: Runner) -> dict[str, Any]:
    """Return, for each method, arrays (seeds, alphas) of shares and accuracies; ``plain`` is without a penalty."""
    n, epochs, alphas = LEVELS[level]
    seeds = [1000 * run.seed + i for i in range(n)]
    jobs = [{"method": m, "alpha": a, "seed": s, "epochs": epochs} for m in METHODS for s in seeds for a in alphas]
    plain = run(fit, [{"method": "l2", "alpha": 0.0, "seed": s, "epochs": epochs} for s in seeds])
    results, each = run(fit, jobs), n * len(alphas)
    found: dict[str, Any] = {"alphas": np.array(alphas), "plain": np.array([r["test"] for r in plain])}
    found["plain_dev"] = np.array([r["dev"] for r in plain])
    for i, method in enumerate(METHODS):
        rows = results[i * each : (i + 1) * each]
        found[method] = {
            key: np.array([r[key] for r in rows]).reshape(n, len(alphas)) for key in ("zero", "near", "dev", "test")
        }
        found[method]["counts"] = np.array([r["counts"] for r in rows]).reshape(n, len(alphas), -1).mean(axis=0)
    return found


def middle(data: dict[str, Any]) -> int:
    """Return the place of the α whose histogram is shown: 0.001."""
    return int(np.argmin(np.abs(data["alphas"] - 0.001)))


def draw(data: dict[str, Any], say: Say) -> Any:
    """Return shares of zeros by α, accuracy by α, and the histogram of the small weights at one α."""
    figure, (left, centre, right) = canvas(1, 3, width=15, height=5.0)
    figure.suptitle(say(*sets.title("digits")), fontsize=14)
    for method, title in METHODS.items():
        colour, found, wide = COLOUR[method], data[method], 4 if method == "l1" else 1.8  # two curves almost coincide
        left.plot(data["alphas"], 100 * found["near"].mean(axis=0), "--", color=colour, linewidth=wide)
        left.plot(data["alphas"], 100 * found["zero"].mean(axis=0), "o-", color=colour, linewidth=wide)
        band(centre, data["alphas"], 100 * found["test"], colour)
        end_label(centre, data["alphas"][-1], 100 * found["test"][:, -1].mean(), say(*title), colour)
        right.stairs(100 * found["counts"][middle(data)], EDGES, color=colour, linewidth=wide)
    label(
        left,
        0.03,
        0.97,
        say(f"solid: exactly 0\ndashed: |w| < {NEAR}", f"実線：ちょうど 0\n破線：|w| < {NEAR}"),
        xycoords="axes fraction",
        offset=(0, 0),
        va="top",
    )
    centre.axhline(100 * data["plain"].mean(), color=COLOURS["plain"], linewidth=1.2, linestyle=":")
    left.set(xscale="log", xlabel="α", ylabel=say("weights (%)", "重みの割合 (%)"), ylim=(-3, 103))
    left.set_title(say("Zero and near-zero weights", "0 の重みと 0 に近い重み"))
    centre.set(xscale="log", xlabel="α", ylabel=say("test accuracy (%)", "テスト正解率 (%)"))
    centre.set_title(say("Accuracy (dotted: no penalty)", "正解率（点線：罰則なし）"))
    right.set(
        yscale="log",
        xlabel="w",
        ylabel=say("weights (%)", "重みの割合 (%)"),
        xlim=(-0.002, 0.002),
        xticks=(-0.002, -0.001, 0, 0.001, 0.002),
    )
    right.set_title(say("Weights near zero,", "0 に近い重みの分布、") + f" α = {data['alphas'][middle(data)]:g}")
    return figure


def strongest(data: dict[str, Any]) -> int:
    """Return the place of the largest α at which the proximal form loses less than a point on dev (else the first)."""
    fine = np.flatnonzero(data["l1_proximal"]["dev"].mean(axis=0) > data["plain_dev"].mean() - LOSS_ALLOWED)
    return int(fine[-1]) if len(fine) else 0


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return that only the proximal form gives zeros, that the gradient hovers, and what the zeros cost."""
    i, j = middle(data), strongest(data)
    alpha, chosen = f"α = {data['alphas'][i]:g}", f"α = {data['alphas'][j]:g}"
    exact = {m: float(data[m]["zero"][:, i].mean()) for m in METHODS}
    zeros = {k: percent(data["l1_proximal"]["zero"][:, k]) for k in (i, j)}
    return [
        Claim(
            exact["l1_proximal"] > 0.01 and max(exact["l1"], exact["l2"]) < 0.001,
            f"exactly zero at {alpha}: proximal L1 {zeros[i]}, L1 by gradient {100 * exact['l1']:.2f} %, "
            f"L2 {100 * exact['l2']:.2f} %",
            f"{alpha} でちょうど 0 の重み：近接 L1 {zeros[i]}、勾配の L1 {100 * exact['l1']:.2f} %、"
            f"L2 {100 * exact['l2']:.2f} %",
        ),
        gain(
            (
                f"L1 by gradient hovers: at {alpha} it leaves more weights below {NEAR} than L2",
                f"勾配の L1 は 0 の近くをさまよう：{alpha} で {NEAR} 未満の重みは L2 より多い",
            ),
            data["l1"]["near"][:, i],
            data["l2"]["near"][:, i],
        ),
        gain(
            (
                f"zeros are cheap: at {chosen} (chosen on dev; {zeros[j]} of the weights are zero) less than 2 points "
                "of "
                "test accuracy are lost against no penalty",
                f"0 の代償は小さい：{chosen}（dev で選択、重みの {zeros[j]} が 0）で失うテスト正解率は罰則なしに対して "
                "2 ポイント未満",
            ),
            data["l1_proximal"]["test"][:, j],
            data["plain"],
            least=-2 * LOSS_ALLOWED,
        ),
    ]
