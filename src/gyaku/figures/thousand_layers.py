"""A narrow network of a thousand layers: one pass forward and back, and a short training (10.3)."""

from __future__ import annotations

from typing import Any

import numpy as np

import gyaku as gy
from gyaku import nn
from gyaku.figures.experiment import Claim, Experiment, Say
from gyaku.figures.jobs import Runner
from gyaku.figures.sets import images
from gyaku.figures.style import COLOURS, CYCLE, band, canvas, end_label, label
from gyaku.figures.training import train
from gyaku.models.resnet import Block, ResNet

EXPERIMENT = Experiment(
    "thousand_layers",
    ("10.1", "10.3"),
    ("A network of a thousand layers", "1000 層のネットワーク"),
    (
        "A residual net of a thousand layers (fewer at the quick level), four channels wide, and its plain twin, in "
        "double precision. Left: the size of the values after each block. Batch norm keeps them in the plain net; "
        "with skips every block adds its part, so they grow, but only as a sum does; where the last γ of every block "
        "starts at 0, F = 0 and every block returns its input. Middle: the gradient on its way down. Without skips "
        "every layer multiplies it, and the product leaves what single precision can hold (dotted); through the skips "
        "it arrives. Right: one pass over the training digits with Adam. The net whose blocks start as the identity "
        "learns from its first steps; the plain one stays at chance.",
        "1000 層（quick ではより浅い）・4 チャネルの残差ネットワークと、スキップだけを除いた網を倍精度で調べます。左："
        "各ブロックの後の値の大きさ。スキップのない網ではバッチ正規化が大きさを保ちます。スキップがあると各ブロックが"
        "自分の分を足すので増えますが、和としての増え方にとどまります。ブロックの最後の γ を 0 で始めると F = 0 で、ど"
        "のブロックも入力をそのまま返します。中央：下っていく勾配。スキップがないと層ごとに掛け算され、単精度で表せる"
        "範囲（点線）を超えます。スキップを通れば届きます。右：学習データを Adam で一巡。恒等写像から始めた網は最初の"
        "数歩から学習しますが、スキップのない網は当てずっぽうのままです。",
    ),
)
WIDTH, BATCH, RATE, PARTS = 4, 32, 0.002, 20
KINDS = {"residual": (True, 1.0), "identity": (True, 0.0), "plain": (False, 1.0)}  # skips?, the last γ of each block
TRAINED = ("identity", "plain")
LEVELS = {"quick": (98, 2, 1, 39), "default": (1004, 3, 1, 39), "full": (1004, 10, 3, 39)}  # depth, seeds, runs, steps
HUES = {"residual": COLOURS["residual"], "identity": CYCLE[2], "plain": COLOURS["plain"]}
NAMES = {
    "residual": ("with skips", "スキップあり"),
    "identity": ("with skips, $F = 0$", "スキップ、$F = 0$"),
    "plain": ("without", "スキップなし"),
}


def network(depth: int, kind: str, seed: int) -> ResNet:
    """Return the net in double precision; ``identity`` scales the end of every block by 0 at first."""
    skips, gamma = KINDS[kind]
    net = ResNet((1, 8, 8), 10, depth=depth, width=WIDTH, skips=skips, seed=seed)
    net.double()
    for block in blocks(net):
        nn.init.constant_(block.norm2.weight, gamma)
    return net


def blocks(net: Any) -> list[Any]:
    """Return the blocks, the first one first."""
    return [module for module in net.modules() if isinstance(module, Block)]


def digits(rows: int) -> tuple[Any, Any]:
    """Return the first digits as pictures in double precision, and their classes."""
    x, t = images("digits").few(rows)
    return images("digits").pictures(x).astype(np.float64), t


def one_pass(depth: int, kind: str, seed: int) -> dict[str, Any]:
    """Return for each block the deviation of its ``values`` and the norm of its ``gradients``, relative to the last."""
    net, (x, t), kept = network(depth, kind, seed), digits(BATCH), []
    for block in blocks(net):
        block.register_forward_hook(lambda module, inputs, h: kept.append(h))
    loss = nn.CrossEntropyLoss()(net(gy.tensor(x)), gy.tensor(t))
    for h in kept:
        h.retain_grad()
    loss.backward()
    gradients = np.array([np.linalg.norm(h.grad.numpy()) for h in kept])
    return {"values": np.array([h.detach().numpy().std() for h in kept]), "gradients": gradients / gradients[-1]}


def losses(depth: int, kind: str, seed: int, steps: int) -> Any:
    """Return the loss of each mini-batch of a short training."""
    return train(network(depth, kind, seed), digits(steps * BATCH), lr=RATE, epochs=1, batch=BATCH, seed=seed)["loss"]


def measure(level: str, run: Runner) -> dict[str, Any]:
    """Return by kind ``values`` and ``gradients`` (seeds, blocks), and ``loss`` (runs, steps) of those trained."""
    depth, n, runs, steps = LEVELS[level]
    trained = run(
        losses,
        [{"depth": depth, "kind": k, "seed": run.seed + i, "steps": steps} for k in TRAINED for i in range(runs)],
    )
    found: dict[str, Any] = {"depth": depth, "loss": {}}
    for i, kind in enumerate(TRAINED):
        found["loss"][kind] = np.array(trained[i * runs : (i + 1) * runs])
    for kind in KINDS:
        passes = run(one_pass, [{"depth": depth, "kind": kind, "seed": run.seed + i} for i in range(n)])
        found[kind] = {name: np.array([p[name] for p in passes]) for name in passes[0]}
    return found


def draw(data: dict[str, Any], say: Say) -> Any:
    """Return values by block, gradients by block from the output downward, and the losses."""
    from matplotlib.ticker import MaxNLocator

    figure, (left, middle, right) = canvas(1, 3, width=16, height=5.4)
    count = data["plain"]["values"].shape[1]
    for kind in KINDS:
        text = say(*NAMES[kind])
        band(left, np.arange(1, count + 1), np.log10(data[kind]["values"]), HUES[kind], text)
        band(middle, np.arange(count), np.log10(data[kind]["gradients"])[:, ::-1], HUES[kind], text)
    largest = float(np.log10(np.finfo(np.float32).max))
    if np.log10(data["plain"]["gradients"]).max() > largest:
        middle.axhline(largest, color=COLOURS["baseline"], linestyle=":", linewidth=1.8)
        label(middle, 0, largest, say("largest float32", "float32 の最大値"), COLOURS["baseline"], offset=(4, 10))
    for ax in (left, middle):
        ax.yaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set(xlim=(0, count * 1.5), xticks=range(0, count + 1, 25 if count < 100 else 100))
        ax.yaxis.set_major_formatter(lambda value, _: f"$10^{{{value:g}}}$")
    left.set(xlabel=say("block", "ブロック"), title=say("size of the values", "値の大きさ"))
    middle.set(
        xlabel=say("blocks passed, from the output", "通ったブロックの数（出力側から）"),
        title=say("size of the gradient (last block: 1)", "勾配の大きさ（最後のブロック 1）"),
    )
    _losses(right, data, say)
    return figure


def _losses(ax: Any, data: dict[str, Any], say: Say) -> None:
    for kind, runs in data["loss"].items():
        steps = np.arange(1, runs.shape[1] + 1)
        for values in runs:
            ax.plot(steps, values, color=HUES[kind], linewidth=1.8)
        end_label(ax, float(steps[-1]), float(runs[:, -3:].mean()), say(*NAMES[kind]), HUES[kind])
    ax.axhline(np.log(10), color=COLOURS["baseline"], linestyle="--", linewidth=1.4)
    ax.set(
        xlim=(1, steps[-1] * 1.5),
        ylim=(0, None),
        xticks=range(0, int(steps[-1]) + 1, 10),
        xlabel=say("iteration", "反復回数"),
        title=say(
            f"loss, {data['depth']:,} layers (dashed: chance)", f"損失、{data['depth']} 層（破線：当てずっぽう）"
        ),
    )


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return what becomes of values and gradients over all blocks, and what a short training reaches."""
    depth, n = data["depth"], len(data["plain"]["gradients"])
    grown = {kind: np.log10(data[kind]["gradients"][:, 0]) for kind in KINDS}
    rate = float(10 ** (grown["plain"].mean() / (depth - 4)))
    values = {kind: data[kind]["values"][:, -1] / data[kind]["values"][:, 0] for kind in KINDS}
    return [
        Claim(
            bool(
                grown["plain"].min() > 10 * depth / 1004 and max(grown["residual"].max(), grown["identity"].max()) < 3
            ),
            f"from the last block of {depth:,} layers to the first the gradient grows 10^"
            f"{np.floor(grown['plain'].min()):.0f} times or more without skips ({rate:.2f} a layer), at most "
            f"{10 ** grown['residual'].max():.3g} times with them, {10 ** grown['identity'].max():.3g} times from F = "
            f"0 ({n} seeds)",
            f"{depth} 層の最後のブロックから最初まで、勾配はスキップなしで 10^{np.floor(grown['plain'].min()):.0f} 倍"
            f"以上（1 層ごとに {rate:.2f} 倍）、ありでは最大 {10 ** grown['residual'].max():.3g} 倍、F = 0 から始める"
            f"と {10 ** grown['identity'].max():.3g} 倍（シード {n} 個）",
        ),
        Claim(
            bool(max(v.max() for v in values.values()) < 100),
            "the values on their way forward stay within two powers of ten: last block over first "
            f"{values['plain'].mean():.2f} without skips, {values['residual'].mean():.2f} with them, "
            f"{values['identity'].mean():.2f} from F = 0",
            f"順方向の値の変化は二桁以内：最後のブロックと最初の比は、スキップなしで {values['plain'].mean():.2f}、あ"
            f"りで {values['residual'].mean():.2f}、F = 0 で {values['identity'].mean():.2f}",
        ),
        _learned(data),
    ]


def _learned(data: dict[str, Any]) -> Claim:
    """Return that the net with skips is below chance at the end of its short training, and the plain one is not."""
    last = max(1, data["loss"]["plain"].shape[1] // 4)
    skip, plain = (data["loss"][kind][:, -last:].mean(axis=1) for kind in TRAINED)
    steps, runs = data["loss"]["plain"].shape[1], len(plain)
    chance = float(np.log(10))
    return Claim(
        bool(skip.max() < 0.9 * chance and plain.min() > 0.95 * chance),
        f"after {steps} steps (mean of the last {last}) the loss from F = 0 with skips is at most {skip.max():.2f}, "
        f"without at least {plain.min():.2f}; chance is {chance:.2f} ({runs} run{'s' if runs > 1 else ''} each)",
        f"{steps} 反復の後（最後の {last} 反復の平均）の損失は、スキップあり（F = 0 から）で最大 {skip.max():.2f}、"
        f"なしで少なくとも {plain.min():.2f}。当てずっぽうは {chance:.2f}（各 {runs} 回）",
    )
