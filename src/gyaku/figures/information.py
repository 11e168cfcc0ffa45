"""Information and cross-entropy: rare events tell more, and a wrong model costs (lecture row 2.4)."""

from __future__ import annotations

from typing import Any

import numpy as np

import gyaku as gy
from gyaku import nn
from gyaku.backend.random import Generator
from gyaku.figures.experiment import Claim, Experiment, Say
from gyaku.figures.jobs import Runner
from gyaku.figures.style import COLOURS, INK, MUTED, canvas, label

EXPERIMENT = Experiment(
    "information",
    ("2.4",),
    ("Information and cross-entropy", "情報量と交差エントロピー"),
    (
        "Left: I(A) = -log P(A). A sure event tells nothing, a rare one much, and information of independent events "
        "adds. Middle: the truth is a coin with P = 0.7, the model says q; the cross-entropy H(P, Q) is least where "
        "the model is right, and what it has above the entropy H(P) is the price of the wrong model (the "
        "Kullback-Leibler divergence). Right: the same for random distributions over five classes; none lies below the "
        "diagonal. That is why training minimises it.",
        "左：I(A) = -log P(A)。確実な事象は何も伝えず、まれな事象ほど多くを伝え、独立な事象の情報量は足し算になります。"
        "中：真の分布は表の確率 0.7 の硬貨、モデルは q です。交差エントロピー H(P, Q) はモデルが正しいとき最小で、"
        "エントロピー H(P) を超えた分が誤ったモデルの代償（カルバック・ライブラー情報量）です。右：5 "
        "クラスの無作為な分布。対角線より下には一つもありません。だから学習ではこれを最小にします。",
    ),
)
TRUTH, CLASSES = 0.7, 5
PAIRS = {"quick": 300, "default": 2_000, "full": 100_000}
EVENTS = {"1/2": 1 / 2, "1/6": 1 / 6, "1/36": 1 / 36}


def cross_entropy(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Return H(P, Q) = -Σ P log Q over the last axis, in nats."""
    found: np.ndarray = -(p * np.log(q)).sum(axis=-1)
    return found


def distributions(stream: Generator, n: int) -> np.ndarray:
    """Return n random distributions (n, CLASSES): the softmax of normal scores."""
    scores: np.ndarray = gy.softmax(gy.tensor(1.5 * stream.normal((n, CLASSES))), dim=1).numpy()
    return scores


def measure(level: str, run: Runner) -> dict[str, Any]:
    """Return the three curves; a seed draws the distributions of the third."""
    stream = Generator(run.seed).split("distributions")
    p, q = distributions(stream, PAIRS[level]), distributions(stream, PAIRS[level])
    grid, coin = np.linspace(0.005, 0.995, 199), np.array([TRUTH, 1 - TRUTH])
    chances = np.linspace(0.01, 1, 300)
    loss = nn.CrossEntropyLoss()(gy.tensor(np.log(q)), gy.tensor(p)).item()  # log Q as logits: softmax gives Q back
    return {
        "chance": chances, "information": -np.log(chances),
        "q": grid, "coin": cross_entropy(coin, np.stack([grid, 1 - grid], axis=1)),
        "coin_entropy": float(cross_entropy(coin, coin)),
        "entropy": cross_entropy(p, p), "crossed": cross_entropy(p, q), "loss": loss,
    }  # fmt: skip


def draw(data: dict[str, Any], say: Say) -> Any:
    """Return information, the coin, and many distributions."""
    figure, axes = canvas(1, 3, width=15, height=5)
    draw_information(axes[0], data, say)
    draw_coin(axes[1], data, say)
    top = float(data["crossed"][:1000].max()) * 1.03
    axes[2].plot([0, 1.7], [0, 1.7], color=INK, linewidth=1.5)
    axes[2].plot(data["entropy"][:1000], data["crossed"][:1000], ".", color=COLOURS["cross_entropy"], alpha=0.5)
    label(axes[2], 0.95, 0.5, "$H(P,Q) = H(P)$", INK, offset=(0, 0))
    axes[2].set(title="$H(P,Q) \\geq H(P)$", xlabel="$H(P)$", ylabel="$H(P,Q)$", xlim=(0, 1.7), ylim=(0, top))
    return figure


def draw_information(axes: Any, data: dict[str, Any], say: Say) -> None:
    """Draw -log P with a coin, a die and two dice."""
    axes.plot(data["chance"], data["information"], color=COLOURS["forward"])
    names = (say("coin", "硬貨"), say("die", "さいころ"), say("two dice: twice as much", "さいころ二つ：2 倍"))
    for (fraction, chance), name in zip(EVENTS.items(), names, strict=True):
        axes.plot(chance, -np.log(chance), "o", color=INK)
        label(axes, chance, -np.log(chance), f"$P={fraction}$  {name}  {-np.log(chance):.3f}", offset=(10, 8))
    axes.set(
        title="$I(A) = -\\log P(A)$",
        xlabel="$P(A)$",
        ylabel=say("information (nats)", "情報量（ナット）"),
        ylim=(0, 4.8),
    )


def draw_coin(axes: Any, data: dict[str, Any], say: Say) -> None:
    """Draw H(P, Q) over the model's q, and the entropy below it."""
    entropy = data["coin_entropy"]
    axes.plot(data["q"], data["coin"], color=COLOURS["cross_entropy"])
    axes.axhline(entropy, color=MUTED, linewidth=1.5)
    axes.plot(TRUTH, entropy, "o", color=INK)
    label(axes, TRUTH, entropy, f"$q = P = {TRUTH}$", offset=(0, 14), ha="center")
    label(axes, 0.0, entropy, f"$H(P) = {entropy:.4f}$", MUTED, offset=(4, -11))
    label(axes, 0.16, 1.35, "$H(P,Q)$", COLOURS["cross_entropy"])
    axes.set(
        title="$P = (0.7,\\ 0.3),\\quad Q = (q,\\ 1-q)$", xlabel="$q$", ylabel=say("nats", "ナット"), ylim=(0.3, 2.2)
    )


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return the exact facts, and the inequality over all pairs drawn."""
    die, dice = -np.log(1 / 6), -np.log(1 / 36)
    least = float(data["q"][np.argmin(data["coin"])])
    gaps = data["crossed"] - data["entropy"]
    differ = abs(float(data["crossed"].mean()) - data["loss"])
    return [
        Claim(abs(dice - 2 * die) < 1e-12, f"two dice tell {dice:.6f} nats, twice the {die:.6f} of one",
              f"さいころ二つの情報量 {dice:.6f} は一つの {die:.6f} の 2 倍"),
        Claim(abs(least - TRUTH) < 1e-9, f"H(P,Q) of the coin is least at q = {least:g}",
              f"硬貨の H(P,Q) は q = {least:g} で最小"),
        Claim(bool((gaps >= 0).all()), f"H(P,Q) ≥ H(P) for all {len(gaps)} pairs; smallest gap {gaps.min():.4f}",
              f"全 {len(gaps)} 組で H(P,Q) ≥ H(P)、差の最小値 {gaps.min():.4f}"),
        Claim(differ < 1e-10, f"nn.CrossEntropyLoss gives their mean {data['loss']:.6f} to {differ:.1e}",
              f"nn.CrossEntropyLoss はその平均 {data['loss']:.6f} に一致（誤差 {differ:.1e}）"),
    ]  # fmt: skip
