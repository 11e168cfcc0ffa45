"""Vanishing and exploding: the size of δ layer by layer on its way down (lecture row 10.1)."""

from __future__ import annotations

from typing import Any

import numpy as np

from gyaku import nn
from gyaku.backend.random import Generator
from gyaku.figures.experiment import Claim, Experiment, Say
from gyaku.figures.jobs import Runner
from gyaku.figures.sets import images
from gyaku.figures.style import COLOURS, INK, band, canvas, end_label, label
from gyaku.figures.training import deltas, mlp

EXPERIMENT = Experiment(
    "vanishing",
    ("10.1",),
    ("Vanishing and exploding gradients", "勾配消失と勾配爆発"),
    (
        "δ starts at the output (left end) and passes one layer after another, multiplied by f'(a) and by the "
        "weights each time. Left: orthogonal weights neither stretch nor shrink, so only f' is at work. The "
        "sigmoid's derivative is at most 0.25, and its δ falls below the dashed bound; tanh and ReLU lose less. A "
        "deeper net just goes on falling. Right: the same nets with weights four times as large. Where |f'(a) w| "
        "exceeds 1, δ grows with every layer instead, until saturated units hold it back. The sigmoid does "
        "not: even 4 × 0.25 only reaches 1, so its δ still vanishes, more slowly.",
        "δ は出力側（左端）から出発し、層を一つ通るたびに f'(a) と重みが掛けられます。左："
        "直交行列の重みは長さを変えないので、f' だけが効きます。シグモイドの微分は最大 0.25 なので、"
        "δ は破線の上界より下に落ちていきます。tanh と ReLU の減り方は小さくなります。網が深いほどその先まで落ち続け"
        "ます。右：重みを 4 倍にした同じ網。|f'(a) w| が 1 を超えると、δ は層ごとに大きくなり、"
        "ユニットの飽和だけがそれを抑えます。"
        "シグモイドは 4 × 0.25 でも最大 1 なので、ゆっくりですがやはり消えていきます。",
    ),
)
ACTIVATIONS, DEPTHS, GAINS, UNITS, ROWS, BOUND = ("sigmoid", "tanh", "relu"), (5, 10, 20), (1.0, 4.0), 50, 100, 0.25
SEEDS = {"quick": 3, "default": 10, "full": 50}


def sizes(activation: str, depth: int, gain: float, seed: int) -> dict[str, Any]:
    """Return ‖δ‖ of each hidden layer over ‖∂E/∂h‖ of the last one, from the output downward: all rows, largest row."""
    net = mlp([64, *[UNITS] * depth, 10], activation=activation, seed=seed).double()
    hidden = [module for module in net.modules() if isinstance(module, nn.Linear)]
    for i, layer in enumerate(hidden):
        nn.init.orthogonal_(layer.weight, gain=gain, generator=Generator(seed).split(f"orthogonal{i}"))
    x, t = images("digits").few(ROWS)
    found = deltas(net, (x.astype(np.float64), t))
    arriving = found[-1] @ hidden[-1].weight.detach().numpy()  # ∂E/∂h of the last hidden layer, before its f'
    rows = np.array([np.linalg.norm(delta, axis=1) for delta in found[-2::-1]])  # (depth, N)
    start = np.linalg.norm(arriving, axis=1)
    rows, start = rows[:, start > 0], start[start > 0]  # where the softmax is exactly right, no δ sets out
    return {"all": np.sqrt((rows**2).sum(axis=1) / (start**2).sum()), "largest": (rows / start).max(axis=1)}


def measure(level: str, run: Runner) -> dict[str, Any]:
    """Return ``ACTIVATION GAIN DEPTH``: the relative sizes (seeds, depth), and ``largest`` over the rows."""
    jobs: list[dict[str, Any]] = [
        {"activation": f, "depth": depth, "gain": gain, "seed": run.seed + i}
        for gain in GAINS for f in ACTIVATIONS for depth in DEPTHS for i in range(SEEDS[level])
    ]  # fmt: skip
    found: dict[str, Any] = {}
    for job, result in zip(jobs, run(sizes, jobs), strict=True):
        each = found.setdefault(key(job["activation"], job["gain"], job["depth"]), {"all": [], "largest": []})
        for name, values in result.items():
            each[name].append(values)
    return {name: {k: np.array(v) for k, v in each.items()} for name, each in found.items()}


def key(activation: str, gain: float, depth: int) -> str:
    """Return the name of a series."""
    return f"{activation} {gain:g} {depth}"


def draw(data: dict[str, Any], say: Say) -> Any:
    """Return the sizes on a logarithmic scale: weights that keep lengths, and weights four times as large."""
    figure, axes = canvas(1, 2, width=13, height=5.6)
    titles = (
        say("weights that keep lengths (orthogonal)", "長さを変えない重み（直交行列）"),
        say("weights 4 times as large", "4 倍の重み"),
    )
    for ax, gain, title in zip(axes, GAINS, titles, strict=True):
        for f in ACTIVATIONS:
            for depth in DEPTHS:
                values = np.log10(data[key(f, gain, depth)]["all"])
                band(ax, np.arange(1, depth + 1), values, COLOURS[f], _name(f) if depth == DEPTHS[-1] else "")
                ax.plot(depth, values.mean(axis=0)[-1], "o", color=COLOURS[f], markersize=5)
        ax.axhline(0, color=INK, linewidth=0.8)
        ax.set(
            title=title,
            xticks=[1, 5, 10, 15, 20],
            xlim=(0.3, 24.5),
            xlabel=say("layers that δ has passed", "δ が通った層の数"),
        )
        ax.yaxis.set_major_formatter(lambda value, _: f"$10^{{{value:.0f}}}$")
    k = np.arange(1, DEPTHS[-1] + 1)
    axes[0].plot(k, k * np.log10(BOUND), "--", color=INK, linewidth=1.6)
    axes[0].plot(k[:4], k[:4] * np.log10(BOUND), "D", color=INK, markersize=6)
    rows = "\n".join(f"k = {i}   {BOUND**i:.4f}" for i in (1, 2, 3, 4))
    label(axes[0], 1, -9.6, say("the bound", "上界") + " $0.25^k$\n" + rows, offset=(0, 0), fontsize=12)
    end_label(axes[0], k[-1], k[-1] * np.log10(BOUND), "$0.25^k$", INK)
    axes[0].set_ylabel(say("size of δ relative to the output end", "δ の大きさ（出力側との比）"))
    return figure


def _name(activation: str) -> str:
    return {"relu": "ReLU"}.get(activation, activation)


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return the bound for every row of every net (exact), and the factors by which δ changes a layer."""
    top = [max(float(data[key("sigmoid", 1.0, d)]["largest"][:, k].max()) for d in DEPTHS) for k in range(4)]
    held = all(
        bool((data[key("sigmoid", 1.0, d)]["largest"] <= BOUND ** np.arange(1, d + 1) * (1 + 1e-12)).all())
        for d in DEPTHS
    )
    bounds = ", ".join(f"{BOUND**k:.4g}" for k in range(1, 5))
    tops = ", ".join(f"{value:.3g}" for value in top)
    found = [
        Claim(
            held,
            f"sigmoid: after 1 to 4 layers no row exceeds {bounds} (largest {tops}); nor beyond, down to layer 20",
            f"シグモイド：1〜4層後、どの行も {bounds} を超えない（最大 {tops}）。20層目まで同様",
        )
    ]
    rate = {(f, g): _rate(data[key(f, g, DEPTHS[-1])]["all"]) for f in ACTIVATIONS for g in GAINS}
    s, t, r = (rate[f, 1.0] for f in ACTIVATIONS)
    found.append(
        Claim(
            s < BOUND and s < min(t, r),
            f"a layer multiplies δ by {s:.3f} (sigmoid), {t:.2f} (tanh), {r:.2f} (ReLU): the sigmoid vanishes fastest",
            f"1 層ごとの倍率：シグモイド {s:.3f}、tanh {t:.2f}、ReLU {r:.2f}。シグモイドが最も速く消える",
        )
    )
    r = rate["relu", GAINS[1]]
    lowest = float(data[key("relu", GAINS[1], DEPTHS[-1])]["all"][:, -1].min())
    found.append(
        Claim(
            r > 1 and lowest > 1,
            f"with weights 4 times as large ReLU's δ grows {r:.2f} times a layer, at least {lowest:.2g} times over 20 "
            "layers: it explodes",
            f"4 倍の重みでは ReLU の δ は 1 層ごとに {r:.2f} 倍、20 層で少なくとも {lowest:.2g} 倍になり、爆発する",
        )
    )
    return found


def _rate(values: np.ndarray) -> float:
    """Return the geometric mean of the factor a layer, between the first and the last layer passed."""
    return float(np.exp(np.log(values[:, -1] / values[:, 0]).mean() / (values.shape[1] - 1)))
