"""Backpropagation through a convolutional residual block, by hand and by the library (10.3)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

import gyaku as gy
from gyaku.backend.random import Generator
from gyaku.data.digits import digits
from gyaku.figures.experiment import Claim, Experiment, Say
from gyaku.figures.jobs import Runner
from gyaku.figures.style import COLOURS, CYCLE, INK, MUTED, canvas
from gyaku.models.resnet import Block

EXPERIMENT = Experiment(
    "residual_block",
    ("10.3",),
    ("Backpropagation through a residual block of convolutions", "畳み込みの残差ブロックの逆伝播"),
    (
        "One block of a ResNet, for one digit and one channel: y = ReLU(F(x) + x), where F is convolution, batch "
        "norm, ReLU, convolution, batch norm. Blue and grey: what each step gives; orange and violet: the gradient of "
        "the squared error that comes back to it, with its norm (each picture on its own scale, the three below on "
        "one). At the sum the gradient takes both ways. Through F it becomes another picture; through the skip it "
        "arrives as it set out, and at x the two are added. Right: all of it written out by hand (nine shifted "
        "products for each of the three maps of a convolution) against the library, for blocks of four channels, also "
        "where the block halves the picture and doubles the channels: the largest difference of each gradient.",
        "ResNet のブロック一つを、数字 1 枚・1 チャネルで示します。y = ReLU(F(x) + x)、F は畳み込み、バッチ正規化、"
        "ReLU、畳み込み、バッチ正規化です。青と灰色が各段の値、橙と紫がそこへ戻ってくる二乗誤差の勾配で、数字はそのノ"
        "ルムです（濃さの尺度は絵ごと、下の三つは共通）。勾配は和のところから二つの道を通ります。F を通る分は別の絵に"
        "変わり、スキップを通る分は出たままの形で届き、x で足されます。右：すべてを手で書き下した計算（畳み込みの三つ"
        "の写像は、それぞれ 9 個のずらした積の和）とライブラリの差。4 チャネルのブロックで、画像を半分にしチャネルを倍"
        "にするブロックも含め、各勾配の最大の差です。",
    ),
)
Arrays = dict[str, np.ndarray]
ROWS, BOUND, SMALL = 8, 1e-12, 1e-6
SHAPES = {"drawn": (1, 1, 1), "equal": (4, 4, 1), "wider": (4, 8, 2)}  # channels before and inside, stride
SEEDS = {"quick": 3, "default": 10, "full": 30}
NODES = ("a1", "b1", "h", "a2", "F", "s")  # what conv1, norm1, act1, conv2, norm2 and the sum give
PARAMETERS = ("W1", "gamma1", "beta1", "W2", "gamma2", "beta2")
MODULES = {"a1": "conv1", "b1": "norm1", "h": "act1", "a2": "conv2", "F": "norm2"}
NAMES = {
    "W1": "conv1.weight", "gamma1": "norm1.weight", "beta1": "norm1.bias",
    "W2": "conv2.weight", "gamma2": "norm2.weight", "beta2": "norm2.bias",
}  # fmt: skip


def taps(shape: tuple[int, ...], stride: int) -> Iterator[tuple[int, int, Any]]:
    """Yield row and column of each of the nine weights, and the index of all it meets of an input with a frame of 0."""
    for i, j in itertools.product(range(3), repeat=2):
        yield i, j, (..., slice(i, i + shape[2], stride), slice(j, j + shape[3], stride))


def conv(x: np.ndarray, W: np.ndarray, stride: int) -> np.ndarray:
    """Return the 3×3 convolution y (N, L, H / stride, W / stride) of x (N, C, H, W) with W (L, C, 3, 3)."""
    framed = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    return sum(np.einsum("nchw,lc->nlhw", framed[met], W[:, :, i, j]) for i, j, met in taps(x.shape, stride))


def conv_input(delta: np.ndarray, W: np.ndarray, stride: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return ∂E/∂x: every δ goes back, by each of the nine weights, to where that weight had met x."""
    framed = np.zeros((*shape[:2], shape[2] + 2, shape[3] + 2))
    for i, j, met in taps(shape, stride):
        framed[met] += np.einsum("nlhw,lc->nchw", delta, W[:, :, i, j])
    return framed[:, :, 1:-1, 1:-1]


def conv_weight(x: np.ndarray, delta: np.ndarray, stride: int) -> np.ndarray:
    """Return ∂E/∂W: for each of the nine weights, δ times what that weight had met, added up."""
    framed, dW = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), np.empty((delta.shape[1], x.shape[1], 3, 3))
    for i, j, met in taps(x.shape, stride):
        dW[:, :, i, j] = np.einsum("nchw,nlhw->lc", framed[met], delta)
    return dW


def norm(a: np.ndarray, gamma: np.ndarray, beta: np.ndarray, eps: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return γ ã + β with ã = (a - mean) / σ of each channel, and ã and σ (C, 1, 1)."""
    deviation = np.sqrt(a.var(axis=(0, 2, 3)) + eps)[:, None, None]
    standard = (a - a.mean(axis=(0, 2, 3))[:, None, None]) / deviation
    return gamma[:, None, None] * standard + beta[:, None, None], standard, deviation


def norm_back(
    delta: np.ndarray, gamma: np.ndarray, standard: np.ndarray, deviation: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ∂E/∂a = γ / σ (δ - mean δ - ã mean(ã δ)), ∂E/∂γ and ∂E/∂β."""
    count, dgamma, dbeta = delta[:, 0].size, (delta * standard).sum(axis=(0, 2, 3)), delta.sum(axis=(0, 2, 3))
    inner = delta - (dbeta[:, None, None] + standard * dgamma[:, None, None]) / count
    return gamma[:, None, None] / deviation * inner, dgamma, dbeta


def shortcut(x: np.ndarray, channels: int, stride: int) -> np.ndarray:
    """Return x, every ``stride``-th pixel of it, with channels of zeros behind."""
    return np.pad(x[:, :, ::stride, ::stride], ((0, 0), (0, channels - x.shape[1]), (0, 0), (0, 0)))


def shortcut_back(delta: np.ndarray, stride: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return δ where it came from: the identity when the block keeps its shape."""
    dx = np.zeros(shape)
    dx[:, :, ::stride, ::stride] = delta[:, : shape[1]]
    return dx


def forward(p: Arrays, x: np.ndarray, stride: int, eps: float) -> tuple[Arrays, Any]:
    """Return the value of every node by name, and what the norms keep for the way back."""
    a1 = conv(x, p["W1"], stride)
    b1, *first = norm(a1, p["gamma1"], p["beta1"], eps)
    h = np.maximum(b1, 0)
    a2 = conv(h, p["W2"], 1)
    f, *second = norm(a2, p["gamma2"], p["beta2"], eps)
    s = f + shortcut(x, f.shape[1], stride)
    return {"x": x, "a1": a1, "b1": b1, "h": h, "a2": a2, "F": f, "s": s, "y": np.maximum(s, 0)}, (first, second)


def backward(p: Arrays, n: Arrays, kept: Any, t: np.ndarray, stride: int) -> Arrays:
    """Return the gradients of E = ½ Σ (y - t)² by name; ``through F`` and ``through skip`` are the two parts of x's."""
    g: Arrays = {"y": n["y"] - t}
    g["s"] = g["y"] * (n["s"] > 0)
    g["F"] = g["s"]
    g["a2"], g["gamma2"], g["beta2"] = norm_back(g["F"], p["gamma2"], *kept[1])
    g["W2"], g["h"] = conv_weight(n["h"], g["a2"], 1), conv_input(g["a2"], p["W2"], 1, n["h"].shape)
    g["b1"] = g["h"] * (n["b1"] > 0)
    g["a1"], g["gamma1"], g["beta1"] = norm_back(g["b1"], p["gamma1"], *kept[0])
    g["W1"] = conv_weight(n["x"], g["a1"], stride)
    g["through F"] = conv_input(g["a1"], p["W1"], stride, n["x"].shape)
    g["through skip"] = shortcut_back(g["s"], stride, n["x"].shape)
    g["x"] = g["through F"] + g["through skip"]
    return g


def by_library(block: Any, x: np.ndarray, t: np.ndarray) -> tuple[Arrays, Arrays]:
    """Return values and gradients of the same nodes by autograd."""
    nodes: dict[str, Any] = {"x": gy.tensor(x, requires_grad=True)}
    handles = [
        block.get_submodule(module).register_forward_hook(lambda m, i, out, name=name: nodes.update({name: out}))
        for name, module in MODULES.items()
    ]
    nodes["y"] = block(nodes["x"])
    for name in (*MODULES, "y"):
        nodes[name].retain_grad()
    (((nodes["y"] - gy.tensor(t)) ** 2).sum() / 2).backward()
    for handle in handles:
        handle.remove()
    found = {name: node.grad.numpy() for name, node in nodes.items()}
    found |= {name: block.get_parameter(path).grad.numpy() for name, path in NAMES.items()}
    return {name: node.detach().numpy() for name, node in nodes.items()}, found


def case(shape: str, seed: int) -> tuple[Any, np.ndarray, np.ndarray]:
    """Return a block in double precision, a batch of digits as its input, and other digits as its target."""
    before, inside, stride = SHAPES[shape]
    stream = Generator(seed).split(shape)
    block = Block(before, inside, stride, "basic", True).double()
    with gy.no_grad():
        for name, path in NAMES.items():
            parameter, plain = block.get_parameter(path), Generator(seed).split(name).normal
            deviation = (2 / np.prod(parameter.shape[1:])) ** 0.5 if name[0] == "W" else 0.2
            start = 1.0 if name.startswith("gamma") else 0.0
            parameter.copy_(gy.tensor(start + deviation * plain(tuple(parameter.shape))))
    pictures = digits()[0] / np.std(digits()[0])
    rows = stream.permutation(len(pictures))[: ROWS * (before + inside)]
    x = pictures[rows[: ROWS * before]].reshape(ROWS, before, 8, 8)
    t = pictures[rows[ROWS * before :]].reshape(ROWS, inside, 8, 8)[:, :, ::stride, ::stride]
    return block, x, t


def by_hand(block: Any, x: np.ndarray, t: np.ndarray) -> tuple[Arrays, Arrays]:
    """Return values and gradients of every node, written out."""
    p = {name: block.get_parameter(path).detach().numpy() for name, path in NAMES.items()}
    values, kept = forward(p, x, block.stride, block.norm1.eps)
    return values, backward(p, values, kept, t, block.stride)


def compare(shape: str, seed: int) -> dict[str, Any]:
    """Return the largest difference of each gradient and value relative to its largest element, and two checks of both.

    ``numeric``: of the slope along a random direction against central differences. ``skip``: of the skip's part of x's
    gradient against the δ at the sum, which is to be none at all for a block that keeps its shape.
    """
    block, x, t = case(shape, seed)
    (values, hand), (outputs, library) = by_hand(block, x, t), by_library(block, x, t)
    found = {name: _apart(hand[name], g) for name, g in library.items()}
    back = shortcut(hand["through skip"], hand["s"].shape[1], block.stride)[:, : x.shape[1]]
    return {
        "gradients": found,
        "values": max(_apart(values[name], v) for name, v in outputs.items()),
        "skip": float(np.abs(back - hand["s"][:, : x.shape[1]]).max()),
        "numeric": _slope(block, x, t, hand, seed),
    }


def _apart(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).max() / np.abs(b).max())


def _slope(block: Any, x: np.ndarray, t: np.ndarray, gradients: Arrays, seed: int) -> float:
    """Return the relative difference between gradient times direction and a central difference of E along it."""
    points = {"x": x} | {name: block.get_parameter(path).detach().numpy() for name, path in NAMES.items()}
    towards = {name: Generator(seed).split(f"to {name}").normal(v.shape) for name, v in points.items()}

    def error(step: float) -> float:
        p = {name: v + step * towards[name] for name, v in points.items()}
        return float(((forward(p, p["x"], block.stride, block.norm1.eps)[0]["y"] - t) ** 2).sum() / 2)

    exact = sum(float((gradients[name] * d).sum()) for name, d in towards.items())
    return abs((error(SMALL) - error(-SMALL)) / (2 * SMALL) - exact) / abs(exact)


def measure(level: str, run: Runner) -> dict[str, Any]:
    """Return ``values`` and ``gradients`` of the block that is drawn (first row, by hand), and ``checks`` by block."""
    block, x, t = case("drawn", run.seed)
    values, gradients = by_hand(block, x, t)
    found: dict[str, Any] = {
        "values": {name: v[0, 0] for name, v in values.items()},
        "gradients": {name: gradients[name][0, 0] for name in (*NODES, "x", "y", "through F", "through skip")},
    }
    for shape in ("equal", "wider"):
        each = run(compare, [{"shape": shape, "seed": run.seed + i} for i in range(SEEDS[level])])
        found[shape] = {key: np.array([r[key] for r in each]) for key in ("values", "skip", "numeric")}
        found[shape]["gradients"] = {k: np.array([r["gradients"][k] for r in each]) for k in each[0]["gradients"]}
    return found


# Where the pictures of a node stand (left end and lower end, in units of one picture), and its name.
PLACES = {
    "x": (0.0, 0.0, "$x$"), "a1": (2.1, 2.75, "$a_1$ = conv"), "h": (4.2, 2.75, "$h$ = ReLU(norm)"),
    "a2": (6.3, 2.75, "$a_2$ = conv"), "F": (8.4, 2.75, "$F$ = norm"), "s": (10.5, 0.0, "$s = F + x$"),
    "y": (12.6, 0.0, "$y$ = ReLU"),
}  # fmt: skip
WIDE, HIGH = 14.0, 5.6


def draw(data: dict[str, Any], say: Say) -> Any:
    """Return the block with its pictures forward and back, and the differences between hand and library."""
    figure, (left, right) = canvas(1, 2, width=16, height=6.6, width_ratios=[3.1, 1])
    left.set(xlim=(-0.4, WIDE), ylim=(-1.6, HIGH), title="$y$ = ReLU($F(x) + x$)")
    left.set_aspect("equal")
    left.axis("off")
    _arrows(left)
    for name, (x, y, text) in PLACES.items():
        _node(left, x, y, data["values"][name], data["gradients"][name], text)
    _two_ways(left, data, say)
    _differences(right, data, say)
    return figure


def _maps() -> tuple[Any, Any]:
    """Return the colours of values (negative grey, positive blue) and of gradients (violet, orange)."""
    from matplotlib.colors import LinearSegmentedColormap as Map

    return (
        Map.from_list("values", [INK, "white", COLOURS["forward"]]),
        Map.from_list("gradients", [CYCLE[6], "white", COLOURS["backward"]]),
    )


def _picture(ax: Any, x: float, y: float, values: np.ndarray, colours: Any, top: float, frame: str) -> None:
    """Draw one picture of size 1 with its lower left corner at (x, y)."""
    ax.imshow(values, cmap=colours, vmin=-top, vmax=top, extent=(x, x + 1, y, y + 1), interpolation="nearest", zorder=3)
    ax.plot([x, x + 1, x + 1, x, x], [y, y, y + 1, y + 1, y], color=frame, linewidth=1.4, zorder=4)


def _node(ax: Any, x: float, y: float, value: np.ndarray, gradient: np.ndarray, text: str) -> None:
    """Draw what a node gives, above the gradient that comes back to it and its norm; each on its own scale."""
    forward_map, backward_map = _maps()
    _picture(ax, x, y + 1.05, value, forward_map, float(np.abs(value).max()), COLOURS["forward"])
    _picture(ax, x, y, gradient, backward_map, float(np.abs(gradient).max()), COLOURS["backward"])
    ax.text(x + 0.5, y + 2.14, text, ha="center", va="bottom", fontsize=13)
    size = f"{np.linalg.norm(gradient):.2f}"
    ax.text(x + 0.5, y - 0.07, size, ha="center", va="top", fontsize=12, color=COLOURS["backward"])


def _arrows(ax: Any) -> None:
    """Draw the ways forward (above) and back (below) between neighbours."""
    for start, end in itertools.pairwise(PLACES):
        (x, y, _), (u, v, _) = PLACES[start], PLACES[end]
        for colour, level, ends in (("forward", 1.55, (0, 1)), ("backward", 0.5, (1, 0))):
            places = ((x + 1.06, y + level), (u - 0.06, v + level))
            style = {"arrowstyle": "-|>", "color": COLOURS[colour], "linewidth": 1.6, "shrinkA": 0, "shrinkB": 0}
            ax.annotate("", places[ends[1]], places[ends[0]], arrowprops=style)


def _two_ways(ax: Any, data: dict[str, Any], say: Say) -> None:
    """Draw the skip, and x's gradient as the sum of what came through F and through the skip."""
    (x, _, _), (u, _, _), g = PLACES["x"], PLACES["s"], data["gradients"]
    for colour, level, ends in (("forward", 1.55, (x + 1.06, u - 0.06)), ("backward", 0.5, (u - 0.06, x + 1.06))):
        style = {"arrowstyle": "-|>", "color": COLOURS[colour], "linewidth": 1.6, "shrinkA": 0, "shrinkB": 0}
        ax.annotate("", (ends[1], level), (ends[0], level), arrowprops=style)
    middle = (x + u + 1) / 2
    text = say("skip: the gradient unchanged", "スキップ：勾配はそのまま")
    ax.text(middle, 1.66, say("skip", "スキップ"), ha="center", va="bottom", color=COLOURS["forward"], fontsize=13)
    ax.text(middle, 0.62, text, ha="center", va="bottom", color=COLOURS["backward"], fontsize=13)
    _equation(ax, middle, g, say)
    forward_text, backward_text = say("values, forward", "値（順伝播）"), say("gradients, backward", "勾配（逆伝播）")
    ax.text(10.5, HIGH - 0.7, forward_text, color=COLOURS["forward"], fontsize=14)
    ax.text(10.5, HIGH - 1.3, backward_text, color=COLOURS["backward"], fontsize=14)


def _equation(ax: Any, middle: float, g: Arrays, say: Say) -> None:
    """Draw ∂E/∂x = (through F) + (through the skip) as three pictures of one scale below the skip."""
    names = ("x", "through F", "through skip")
    top = max(float(np.abs(g[name]).max()) for name in names)
    texts = ("$\\partial E/\\partial x$", say("through $F$", "$F$ から"), say("through the skip", "スキップから"))
    for k, (name, text) in enumerate(zip(names, texts, strict=True)):
        x = middle - 3.1 + 2.6 * k
        _picture(ax, x, -1.2, g[name], _maps()[1], top, COLOURS["backward"])
        ax.text(x + 0.5, -1.27, text, ha="center", va="top", fontsize=12, color=COLOURS["backward"])
        if k < 2:
            ax.text(x + 1.8, -0.7, "=+"[k], ha="center", va="center", fontsize=18)


def _differences(ax: Any, data: dict[str, Any], say: Say) -> None:
    """Draw the largest difference of each gradient over the seeds, for both blocks."""
    names = ("y", "F", "a2", "h", "b1", "a1", "x", *PARAMETERS)
    signs = {f"{word}{i}": f"$\\{word}_{i}$" for word in ("gamma", "beta") for i in "12"}
    signs |= {f"{word}{i}": f"${word}_{i}$" for word in "Wab" for i in "12"}
    places = np.arange(len(names))
    texts = say("keeps its shape", "形を保つ"), say("halves the picture", "画像を半分に")
    for shape, colour, text, shift in zip(
        ("equal", "wider"), (COLOURS["residual"], CYCLE[2]), texts, (-0.12, 0.12), strict=True
    ):
        worst = [max(float(data[shape]["gradients"][n].max()), 1e-17) for n in names]
        ax.plot(worst, places + shift, "o", color=colour, label=text, markersize=7)
    ax.axvline(BOUND, color=MUTED, linestyle="--", linewidth=1.4)
    ax.set(xscale="log", xlim=(1e-17, 1e-10), xticks=[1e-16, 1e-14, 1e-12], yticks=places)
    ax.set_yticklabels([signs.get(n, f"${n}$") for n in names])
    ax.invert_yaxis()
    ax.set_xlabel(say("largest difference (relative)", "最大の差（相対）"))
    ax.set_title(say("gradients: hand against library", "勾配：手計算とライブラリ"))
    ax.legend(loc="lower right", fontsize=11, frameon=True)


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return that hand and library agree, that numbers bear both out, and that the skip changes nothing."""
    checks, n = [data[shape] for shape in ("equal", "wider")], len(data["equal"]["skip"])
    apart = max(float(g.max()) for c in checks for g in c["gradients"].values())
    values = max(float(c["values"].max()) for c in checks)
    numeric, skip = (max(float(c[key].max()) for c in checks) for key in ("numeric", "skip"))
    g = data["gradients"]
    sum_apart = float(np.abs(g["x"] - g["through F"] - g["s"]).max())
    norms = tuple(float(np.linalg.norm(g[name])) for name in ("through F", "through skip", "x"))
    return [
        Claim(
            apart < BOUND and values < BOUND,
            f"all {len(data['equal']['gradients'])} gradients by hand are the library's, to {apart:.1g} (relative), "
            f"for blocks that keep their shape and that change it, {n} seeds each; the values to {values:.1g}",
            f"手計算の {len(data['equal']['gradients'])} 個の勾配はすべてライブラリと一致する：形を保つブロックと変える"
            f"ブロック、各シード {n} 個で、相対差は最大 {apart:.1g}。値の差は最大 {values:.1g}",
        ),
        Claim(
            numeric < 1e-6,
            f"central differences along random directions give the same slope, to {numeric:.1g}",
            f"ランダムな方向の中心差分も同じ傾きになる（差は最大 {numeric:.1g}）",
        ),
        Claim(
            skip == 0.0 and sum_apart < BOUND,
            "the skip hands the gradient of the sum on unchanged (difference exactly 0), and x's gradient is what "
            f"comes through F plus that; here norms {norms[0]:.2f} and {norms[1]:.2f}, together {norms[2]:.2f}",
            "スキップは和の勾配をそのまま渡し（差は正確に 0）、x の勾配は F を通った分との和になる。図ではノルム "
            f"{norms[0]:.2f} と {norms[1]:.2f}、合わせて {norms[2]:.2f}",
        ),
    ]
