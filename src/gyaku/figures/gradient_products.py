"""The gradient as a product: every layer more is one more pair of factors, a weight and a derivative (10.5)."""

from __future__ import annotations

from typing import Any

import numpy as np

import gyaku as gy
from gyaku import nn
from gyaku.figures.experiment import Claim, Experiment, Say
from gyaku.figures.jobs import Runner
from gyaku.figures.sets import images
from gyaku.figures.style import COLOURS, INK, band, canvas, end_label
from gyaku.figures.training import deltas, mlp

EXPERIMENT = Experiment(
    "gradient_products",
    ("10.5",),
    ("The gradient as a product of factors", "勾配は因子の積"),
    (
        "Top: nets with one unit a layer and sigmoids, one and two hidden layers. The gradient of the first weight "
        "is the error at the output, times a weight and a derivative for every hidden layer, times the input. The "
        "second hidden layer brings two more factors, w and f'(a), both below 1, and nothing else changes in kind. "
        "Bottom: real nets on digits, where the factors are matrices and vectors. The product written out by hand is "
        "autograd's gradient to the last digits (left); its size falls by a constant factor with every layer for the "
        "sigmoid, while ReLU with He's values keeps it (right).",
        "上：一層一ユニットのシグモイドの網で、隠れ層が一つの場合と二つの場合。最初の重みの勾配は、出力の誤差に、"
        "隠れ層ごとの重みと微分を掛け、最後に入力を掛けたものです。隠れ層が一つ増えると w と f'(a) "
        "という因子が一組増えるだけで、どちらも 1 より小さい値です。下：手書き数字での実際の網。"
        "因子は行列とベクトルになります。手で書いた積は自動微分の勾配と最後の桁まで一致し（左）、その大きさは、"
        "シグモイドでは一層ごとに一定の割合で小さくなり、ReLU と He の初期値では保たれます（右）。",
    ),
)
DEPTHS, UNITS, ROWS = range(1, 9), 32, 100
NETS = {"sigmoid": "glorot", "relu": "he"}
SEEDS = {"quick": 3, "default": 20, "full": 100}
FORWARD = {"sigmoid": lambda a: 1 / (1 + np.exp(-a)), "relu": lambda a: np.maximum(a, 0)}
SLOPE = {"sigmoid": lambda h: h * (1 - h), "relu": lambda h: h > 0}  # f'(a) from h = f(a)
X, T, WEIGHTS, OUTPUT = 1.0, 1.0, (0.8, 0.9), 0.7  # the chain: input, target, hidden weights, output weight


def chain(depth: int) -> dict[str, Any]:
    """Return the factors of ∂E/∂w1 in a chain of one unit a layer, E = (y - t)²/2, and autograd's gradient."""
    weights: list[Any] = [gy.tensor(w, dtype=gy.float64, requires_grad=True) for w in (*WEIGHTS[:depth], OUTPUT)]
    h, slopes = gy.tensor(X, dtype=gy.float64), []
    for w in weights[:-1]:
        h = gy.sigmoid(w * h)
        slopes.append(h.item() * (1 - h.item()))
    y = weights[-1] * h
    (0.5 * (y - T) ** 2).backward()
    factors = [("\\partial E/\\partial y", y.item() - T)]
    for layer in range(depth, 0, -1):
        factors += [(f"w_{layer + 1}", weights[layer].item()), (f"f'(a_{layer})", slopes[layer - 1])]
    return {
        "names": [n for n, _ in factors] + ["x"],
        "values": [v for _, v in factors] + [X],
        "grad": weights[0].grad.item(),
    }


def product(activation: str, depth: int, seed: int) -> dict[str, float]:
    """Return the norm of ∂E/∂W(1) as autograd gives it, and how far the product of the factors is from it."""
    net = mlp([64, *[UNITS] * depth, 10], activation=activation, init=NETS[activation], seed=seed).double()
    affine: list[Any] = [module for module in net.modules() if isinstance(module, nn.Linear)]
    x, t = images("digits").few(ROWS)
    x = x.astype(np.float64)
    last = deltas(net, (x, t))[-1]  # ∂E/∂a of the output layer
    weights = [layer.weight.detach().numpy() for layer in affine]
    grad, by_hand = affine[0].weight.grad.numpy(), multiplied(activation, x, weights, last)
    return {"norm": float(np.linalg.norm(grad)), "error": float(np.abs(by_hand - grad).max() / np.abs(grad).max())}


def multiplied(activation: str, x: Any, weights: list[Any], delta: Any) -> Any:
    """Return ∂E/∂W(1) as the product: ``delta`` of the output, times W and f' of each layer downward, times x."""
    hidden = [x]
    for w in weights[:-1]:
        hidden.append(FORWARD[activation](hidden[-1] @ w.T))
    for w, h in zip(weights[:0:-1], hidden[:0:-1], strict=True):
        delta = delta @ w * SLOPE[activation](h)  # one more pair of factors
    return delta.T @ x


def measure(level: str, run: Runner) -> dict[str, Any]:
    """Return the two chains, and for each activation ``norm`` and ``error`` (seeds, depths)."""
    found: dict[str, Any] = {f"chain{depth}": chain(depth) for depth in (1, 2)}
    for f in NETS:
        jobs = [{"activation": f, "depth": d, "seed": run.seed + i} for i in range(SEEDS[level]) for d in DEPTHS]
        results = run(product, jobs)
        found[f] = {k: np.array([r[k] for r in results]).reshape(-1, len(DEPTHS)) for k in ("norm", "error")}
    return found


def draw(data: dict[str, Any], say: Say) -> Any:
    """Return the chains' factors on top; below, product against autograd, and the size by depth."""
    figure, axes = canvas(2, 2, width=13, height=8.2, height_ratios=[1.0, 1.25])
    grid = axes[0, 0].get_gridspec()
    for ax in axes[0]:
        ax.remove()
    top = figure.add_subplot(grid[0, :])
    top.set(xlim=(0, 10), ylim=(-0.6, 1.75))
    top.axis("off")
    for row, depth in ((1.1, 1), (0.0, 2)):
        _factors(top, row, data[f"chain{depth}"], depth, say)
    left, right = axes[1]
    for f in NETS:
        name = "ReLU" if f == "relu" else f
        left.plot(DEPTHS, np.maximum(data[f]["error"].max(axis=0), 1e-17), "o-", color=COLOURS[f], label=name)
        band(right, np.array(DEPTHS), np.log10(data[f]["norm"]), COLOURS[f], name)
    left.axhline(1e-12, color=INK, linestyle="--", linewidth=1.4)
    end_label(left, DEPTHS[0], 1e-12, "$10^{-12}$", INK, offset=(4, 10))
    left.legend(frameon=False, loc="upper right", ncols=2)
    left.set(
        yscale="log",
        ylim=(4e-18, 1e-11),
        xlabel=say("hidden layers", "隠れ層の数"),
        title=say("product against autograd: largest difference", "積と自動微分の差（最大、相対）"),
    )
    left.set_yticks(
        [1e-17, 1e-16, 1e-15, 1e-14, 1e-12], ["0", *(f"$10^{{{-k}}}$" for k in (16, 15, 14, 12))], minor=False
    )
    left.minorticks_off()
    right.yaxis.set_major_formatter(lambda value, _: f"$10^{{{value:.0f}}}$")
    right.set(
        xlabel=say("hidden layers", "隠れ層の数"),
        xlim=(0.8, 9.6),
        xticks=DEPTHS,
        title=say("size of the first layer's gradient", "第1層の勾配の大きさ") + r"  $\|\partial E/\partial W_1\|$",
    )
    return figure


def _factors(ax: Any, y: float, found: dict[str, Any], depth: int, say: Say) -> None:
    """Draw one row of boxes: name and number of each factor; the pair that a second layer brings has a thick edge."""
    names, values = found["names"], found["values"]
    places = np.linspace(2.1, 8.3, len(names)) if depth == 2 else np.linspace(2.1, 8.3, 6)[[0, 3, 4, 5]]
    title = say("one hidden layer", "隠れ層 1") if depth == 1 else say("two hidden layers", "隠れ層 2")
    ax.text(0, y, title + "\n" + r"$\partial E/\partial w_1\;=$", va="center", fontsize=14)
    for i, (place, name, value) in enumerate(zip(places, names, values, strict=True)):
        colour = COLOURS["backward"] if "f'" in name else COLOURS["forward"] if "w" in name else INK
        new = depth == 2 and i in (1, 2)
        box = {
            "boxstyle": "round,pad=0.35",
            "facecolor": "white",
            "edgecolor": colour,
            "linewidth": 3.5 if new else 1.3,
        }
        ax.text(place, y, f"${name}$\n{value:.4g}", ha="center", va="center", color=colour, fontsize=15, bbox=box)
        if i:
            ax.text((place + places[i - 1]) / 2, y, "×", ha="center", va="center", fontsize=15)
    ax.text(8.85, y, f"=  {np.prod(values):.5g}", va="center", fontsize=15)


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return that the products are autograd's gradients, and the factor by which the size changes a layer."""
    chains = [data[f"chain{depth}"] for depth in (1, 2)]
    off = max(abs(np.prod(c["values"]) / c["grad"] - 1) for c in chains)
    grads = [c["grad"] for c in chains]
    found = [
        Claim(
            bool(off < 1e-12),
            f"one unit a layer: the 4 and 6 factors multiply to autograd's {grads[0]:.5g} and {grads[1]:.5g} (relative "
            f"difference {off:.1g})",
            f"一層一ユニット：4 個と 6 個の因子の積は自動微分の {grads[0]:.5g} と {grads[1]:.5g} に一致（相対誤差 "
            f"{off:.1g}）",
        )
    ]
    worst = max(float(data[f]["error"].max()) for f in NETS)
    found.append(
        Claim(
            worst < 1e-12,
            f"real nets of 1 to {DEPTHS[-1]} hidden layers: product and autograd differ by at most {worst:.1g} of the "
            "largest element",
            f"隠れ層 1〜{DEPTHS[-1]} の実際の網：積と自動微分の差は最大の要素の {worst:.1g} 以下",
        )
    )
    rate = {
        f: float(np.exp(np.log(data[f]["norm"][:, -1] / data[f]["norm"][:, 0]).mean() / (len(DEPTHS) - 1)))
        for f in NETS
    }
    found.append(
        Claim(
            rate["sigmoid"] < 0.3 and 0.8 < rate["relu"] < 1.25,
            f"each layer more multiplies the gradient's size by {rate['sigmoid']:.3f} (sigmoid, Glorot) and by "
            f"{rate['relu']:.2f} (ReLU, He)",
            f"一層増えるごとに勾配の大きさは {rate['sigmoid']:.3f} 倍（シグモイド、Glorot）、{rate['relu']:.2f} "
            "倍（ReLU、He）",
        )
    )
    return found
