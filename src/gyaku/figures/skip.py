"""Backpropagation through a skip, y = F(x) + x: the gradient of the skip is the identity (10.3)."""

from __future__ import annotations

from typing import Any

import numpy as np

import gyaku as gy
from gyaku import nn, optim
from gyaku.autograd.functional import jacobian
from gyaku.backend.random import Generator
from gyaku.figures.experiment import Claim, Experiment, Say
from gyaku.figures.jobs import Runner
from gyaku.figures.style import COLOURS, INK, SKY, band, canvas, label
from gyaku.figures.training import initialise

EXPERIMENT = Experiment(
    "skip",
    ("10.3",),
    ("Backpropagation through a skip", "スキップ接続の逆伝播"),
    (
        "Left: y = F(x) + x with F(x) = v ReLU(w x), values in blue, gradients of y in orange, as autograd computed "
        "them. At x the two ways are added: what comes through F, and through the skip exactly 1. Middle: a block "
        "that is to return its input. With a skip and weight decay F is not needed and its weights go to zero; "
        "without decay nothing pushes them; without the skip the block must keep them, since it has to learn the "
        "identity itself. Right: the gradient on its way down through 50 blocks with small weights: it vanishes "
        "without skips, and stays with them.",
        "左：F(x) = v ReLU(w x) とした y = F(x) + x。青が値、橙が自動微分で求めた y の勾配です。"
        "x のところで二つの道の和になります。F を通ってきた分と、スキップを通ってきたちょうど 1 です。中央："
        "入力をそのまま返せばよいブロック。スキップと重み減衰があると、F は不要なので重みは 0 に向かいます。"
        "減衰がなければ重みを押すものがなく、スキップがなければ恒等写像を自分で学ぶ必要があるので重みは残ります。右："
        "小さい重みの 50 ブロックを下っていく勾配。スキップがないと消え、あると保たれます。",
    ),
)
X, W, V, UNITS, BLOCKS, RATE, DECAY = 2.0, 0.5, -0.6, 16, 50, 0.1, 0.05
SETTINGS = {"skip, decay": (True, DECAY), "skip": (True, 0.0), "plain": (False, DECAY)}
SIZES = {"quick": (3, 600), "default": (10, 2000), "full": (30, 4000)}  # seeds, steps


def graph() -> dict[str, dict[str, float]]:
    """Return the value of every node of y = v ReLU(w x) + x and the gradient of y with respect to it."""
    x, w, v = (gy.tensor(value, dtype=gy.float64, requires_grad=True) for value in (X, W, V))
    a = w * x
    h = gy.relu(a)
    f = v * h
    y = f + x
    nodes: dict[str, Any] = {"x": x, "a": a, "h": h, "F": f, "y": y}
    for node in (a, h, f, y):
        node.retain_grad()
    y.backward()
    return {name: {"value": node.item(), "gradient": node.grad.item()} for name, node in nodes.items()}


def two_layers(seed: int) -> Any:
    """Return F: affine, ReLU, affine, with He's values, in double precision."""
    f = nn.Sequential(nn.Linear(UNITS, UNITS), nn.ReLU(), nn.Linear(UNITS, UNITS))
    initialise(f, "he", seed)
    return f.double()


def identity_error(seed: int) -> float:
    """Return the largest element of |J_y - J_F - I| at a random x: the Jacobian of the skip less the identity."""
    f, x = two_layers(seed), gy.tensor(Generator(seed).normal((UNITS,)))
    both, alone = jacobian(lambda x: f(x) + x, x), jacobian(f, x)
    return float(np.abs(both.numpy() - alone.numpy() - np.eye(UNITS)).max())


def weights(skip: bool, decay: float, seed: int, steps: int) -> Any:
    """Train a block to return its input; return the norm of F's matrices every ten steps, relative to the start."""
    f, stream, norms = two_layers(seed), Generator(seed).split("x"), []
    update = optim.SGD(f.parameters(), lr=RATE, weight_decay=decay)
    for step in range(steps):
        if step % 10 == 0:
            norms.append(float(sum((p**2).sum().item() for p in f.parameters() if p.ndim == 2) ** 0.5))
        x = gy.tensor(stream.normal((50, UNITS)))
        y = f(x) + x if skip else f(x)
        loss = ((y - x) ** 2).mean()
        update.zero_grad()
        loss.backward()
        update.step()
    return np.array(norms) / norms[0]


def gradients(skip: bool, deviation: float, seed: int) -> Any:
    """Return the norm of ∂E/∂h before each of 50 blocks, relative to that at the top, from the top down."""
    h = gy.tensor(Generator(seed).split("x").normal((20, UNITS)), requires_grad=True)
    points: list[Any] = [h]
    for i in range(BLOCKS):
        f = nn.Sequential(nn.Linear(UNITS, UNITS), nn.ReLU()).double()
        initialise(f, deviation, seed + 1000 * i)
        h = f(h) + h if skip else f(h)
        h.retain_grad()
        points.append(h)
    (points[-1] * gy.tensor(Generator(seed).split("t").normal((20, UNITS)))).sum().backward()
    norms = np.array([np.linalg.norm(p.grad.numpy()) for p in reversed(points)])
    return norms / norms[0]


def measure(level: str, run: Runner) -> dict[str, Any]:
    """Return the graph, the identity's error, ``weights`` and ``gradients`` by setting (seeds, ...)."""
    n, steps = SIZES[level]
    seeds = [run.seed + i for i in range(n)]
    found: dict[str, Any] = {"graph": graph(), "identity": [identity_error(s) for s in seeds]}
    found |= {"weights": {}, "gradients": {}}
    for name, (skip, decay) in SETTINGS.items():
        jobs = [{"skip": skip, "decay": decay, "seed": s, "steps": steps} for s in seeds]
        found["weights"][name] = np.array(run(weights, jobs))
    for name, skip, deviation in (("skip", True, 0.01), ("plain", False, 0.01), ("zero", True, 0.0)):
        jobs = [{"skip": skip, "deviation": deviation, "seed": s} for s in seeds]
        found["gradients"][name] = np.array(run(gradients, jobs))
    return found


def draw(data: dict[str, Any], say: Say) -> Any:
    """Return the graph with its numbers, the weights by step, and the gradient by depth."""
    from matplotlib.ticker import MaxNLocator

    figure, (left, middle, right) = canvas(1, 3, width=16, height=5.6, width_ratios=[1.35, 1, 1])
    _graph(left, data["graph"], say)
    texts = (
        say("skip, decay", "スキップ・減衰あり"),
        say("skip, no decay", "スキップ・減衰なし"),
        say("no skip, decay", "スキップなし・減衰あり"),
    )
    colours = COLOURS["residual"], SKY, COLOURS["plain"]
    for values, colour, text in zip(data["weights"].values(), colours, texts, strict=True):
        band(middle, 10 * np.arange(values.shape[1]), np.log10(values), colour, text)
    steps = 10 * values.shape[1]
    middle.set(xlim=(0, steps * 1.75), xticks=[0, steps], xlabel=say("iteration", "反復回数"))
    middle.set_title(say("size of F's weights (start: 1)", "F の重みの大きさ（開始時 1）"))
    both = ("skip", "residual", say("skips", "スキップあり")), ("plain", "plain", say("no skips", "スキップなし"))
    for name, colour, text in both:
        band(right, np.arange(BLOCKS + 1), np.log10(data["gradients"][name]), COLOURS[colour], text)
    right.set(
        xlim=(0, BLOCKS * 1.5), xticks=range(0, BLOCKS + 1, 10), xlabel=say("blocks passed", "通ったブロックの数")
    )
    right.set_title(say("size of the gradient (top: 1)", "勾配の大きさ（出力側 1）"))
    for ax in (middle, right):
        ax.yaxis.set_major_locator(MaxNLocator(integer=True))
        ax.yaxis.set_major_formatter(lambda value, _: f"$10^{{{value:g}}}$")
    return figure


def _graph(ax: Any, nodes: dict[str, dict[str, float]], say: Say) -> None:
    """Draw the nodes from left to right, the skip below, values below and gradients above them."""
    places = {"x": (0.0, 0.0), "a": (1.1, 1.0), "h": (2.2, 1.0), "F": (3.3, 1.0), "+": (4.4, 0.0), "y": (5.4, 0.0)}
    names = {"x": "$x$", "a": "$wx$", "h": "ReLU", "F": "$F$", "+": "$+$", "y": "$y$"}
    for start, end in (("x", "a"), ("a", "h"), ("h", "F"), ("F", "+"), ("x", "+"), ("+", "y")):
        style = {"arrowstyle": "-|>", "color": INK, "linewidth": 1.6, "shrinkA": 17, "shrinkB": 17}
        ax.annotate("", places[end], places[start], arrowprops=style)
    for name, (x, y) in places.items():
        shape = "round,pad=0.4" if name == "h" else "circle,pad=0.35"
        box = {"boxstyle": shape, "facecolor": "white", "edgecolor": INK}
        ax.text(x, y, names[name], ha="center", va="center", fontsize=15, bbox=box)
        if name in nodes:
            ax.text(x, y - 0.33, f"{nodes[name]['value']:.4g}", ha="center", color=COLOURS["forward"], fontsize=14)
            ax.text(x, y + 0.22, f"{nodes[name]['gradient']:.4g}", ha="center", color=COLOURS["backward"], fontsize=14)
    through = nodes["x"]["gradient"] - nodes["y"]["gradient"]
    label(ax, 2.2, 0.0, say("skip: 1", "スキップ：1"), COLOURS["backward"], offset=(0, 10), ha="center")
    label(ax, 0.45, 0.62, f"{through:.4g}", COLOURS["backward"], offset=(-6, 4), ha="right")
    text = f"$\\partial y/\\partial x$ = {through:.4g} + 1 = {nodes['x']['gradient']:.4g}"
    ax.text(2.7, -0.95, text, ha="center", fontsize=16, color=COLOURS["backward"])
    ax.set(xlim=(-0.5, 5.9), ylim=(-1.15, 1.55), title=f"$y = F(x) + x$,  $F = v$ ReLU$(wx)$,  $w$ = {W}, $v$ = {V}")
    ax.axis("off")


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return the numbers of the graph and the identity (exact), and what becomes of weights and gradients."""
    g, worst, n = data["graph"], max(data["identity"]), len(data["identity"])
    found = [
        Claim(
            abs(g["x"]["gradient"] - (V * W + 1)) < 1e-12 and worst < 1e-12,
            f"the gradient of y is v w + 1 = {g['x']['gradient']:.10g}; for a block of {UNITS} units the skip's "
            f"Jacobian is the identity to {worst:.1g}",
            f"y の勾配は v w + 1 = {g['x']['gradient']:.10g}。{UNITS} ユニットのブロックでもスキップのヤコビ行列は単位"
            f"行列（差 {worst:.1g}）",
        )
    ]
    last = {name: values[:, -1] for name, values in data["weights"].items()}
    low, stay, plain = last["skip, decay"].max(), last["skip"].min(), last["plain"].min()
    found.append(
        Claim(
            bool(low < 0.1 and plain > 0.3),
            f"F's weights fall to at most {low:.2g} of their start with skip and decay; at least {stay:.2f} stays "
            f"without decay, {plain:.2f} without the skip ({n} seeds)",
            f"スキップと減衰があると F の重みは開始時の {low:.2g} 倍以下になる。減衰なしでは {stay:.2f} 倍以上、"
            f"スキップなしでは {plain:.2f} 倍以上残る（シード {n} 個）",
        )
    )
    skip, none = (data["gradients"][name][:, -1] for name in ("skip", "plain"))
    exact = bool((data["gradients"]["zero"] == 1).all())
    found.append(
        Claim(
            exact and bool(skip.min() > 0.1 and none.max() < 1e-6),
            f"after {BLOCKS} blocks the gradient is {skip.mean():.2f} of its size with skips, at most {none.max():.0e} "
            "without; with F = 0 it is exactly 1",
            f"{BLOCKS} ブロック後の勾配はスキップありで {skip.mean():.2f} 倍、なしでは {none.max():.0e} 倍以下。"
            "F = 0 なら正確に 1 倍",
        )
    )
    return found
