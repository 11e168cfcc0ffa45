"""Digits as points of a plane: the two-unit code of a stacked autoencoder, against two principal components (11.1)."""

from __future__ import annotations

from typing import Any

import numpy as np

from gyaku.figures.experiment import Claim, Experiment, Say
from gyaku.figures.jobs import Runner
from gyaku.figures.race import paired, percent, points
from gyaku.figures.sets import pixels, title
from gyaku.figures.statistics import interval
from gyaku.figures.style import canvas
from gyaku.models import Autoencoder, StackedAutoencoder
from gyaku.train import encode, fit_autoencoder, fit_layers, reconstruct

EXPERIMENT = Experiment(
    "codes",
    ("11.1",),
    ("Codes of two numbers: autoencoders and PCA", "二つの数による符号：自己符号化器と主成分分析"),
    (
        "Each point is a test digit, its colour the class, which nobody saw in training. Left: the first two principal "
        "components, the best any linear code of two numbers can do. Middle: the code of a deep autoencoder trained as "
        "a whole from random values. Right: the same net, its layers first trained one after the other (stacked "
        "autoencoder), then the whole. Above each: how far a reconstructed pixel is off (root mean square), and the "
        "share of test digits whose five nearest training digits in the plane vote for the right class, means over "
        "seeds.",
        "点はテスト用の数字、色はクラスです（学習には使っていません）。左：第1・第2主成分。二つの数による線形の符号"
        "としては最良です。中央：乱数の初期値から全体を一度に学習させた深い自己符号化器の符号。右：同じ網で、層を"
        "一つずつ学習させてから（積層自己符号化器）、全体を学習させたもの。各図の上は、再構成した画素の誤差（二乗平均"
        "平方根）と、平面上で最も近い学習データ5枚の多数決が当たる割合（シードの平均）です。",
    ),
)
HIDDEN, RATE, BATCH, NEIGHBOURS = [100, 50, 2], 0.003, 50, 5
NAMES = {
    "pca": ("PCA, two components", "主成分分析（2成分）"),
    "random": ("autoencoder, random start", "自己符号化器、乱数から"),
    "stacked": ("autoencoder, layers first", "自己符号化器、層ごとに事前学習"),
}  # fmt: skip
SIZES = {"quick": (2, 2, 5), "default": (10, 40, 120), "full": (20, 60, 400)}  # seeds, epochs a layer, of the whole
TEN = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#3B0F4A", "#767676", "#8C564B", "#B5BD00",
)  # fmt: skip


def one(name: str, seed: int, epochs: list[int]) -> dict[str, Any]:
    """Return the codes of the test digits, the error of a pixel, and the share that neighbours get right.

    ``epochs``: of each layer, and of the whole. A net that starts at random gets the epochs of the layers as well.
    """
    data = pixels("digits")
    x, test = data.train[0], data.test[0]
    if name == "pca":
        return judged(*components(x, test))
    net = Autoencoder(data.inputs, HIDDEN, seed=seed)
    layers, whole = epochs
    options: dict[str, Any] = {"lr": RATE, "batch_size": BATCH, "seed": seed}
    if name == "stacked":
        stack = StackedAutoencoder(data.inputs, HIDDEN, seed=seed)
        fit_layers(stack, x, epochs=layers, **options)
        take_layers(net, stack)
    fit_autoencoder(net, x, epochs=whole + (layers if name == "random" else 0), **options)
    return judged(encode(net, x), encode(net, test), reconstruct(net, test))


def take_layers(net: Any, stack: Any) -> None:
    """Copy the layers of a stack, encoders and decoders, into a deep autoencoder of the same widths."""
    values = {}
    for i, layer in enumerate(stack.layers, start=1):
        for name, value in layer.state_dict().items():
            values[name.replace("affine1", f"affine{i}").replace("back1", f"back{i}")] = value
    net.load_state_dict(values)


def components(x: Any, test: Any) -> tuple[Any, Any, Any]:
    """Return the first two principal components of training and test rows, and the test rows from them."""
    mean = x.mean(axis=0)
    axes = np.linalg.svd(x - mean, full_matrices=False)[2][:2]
    code = (test - mean) @ axes.T
    return (x - mean) @ axes.T, code, code @ axes + mean


def judged(code: Any, test_code: Any, rebuilt: Any) -> dict[str, Any]:
    """Return the test codes, the error of the rebuilt pixels, and how often the neighbours' vote is right."""
    data = pixels("digits")
    (_, t), (test, t_test) = data.train, data.test
    error = float(np.sqrt(np.square(rebuilt - test, dtype=np.float64).mean()))
    return {"code": test_code, "error": error, "right": float((vote(code, t, test_code) == t_test).mean())}


def vote(code: Any, t: Any, other: Any) -> Any:
    """Return for each row of ``other`` the class that most of its nearest codes have (the smallest at a tie)."""
    distance = np.square(other[:, None] - code[None]).sum(axis=2)  # (M, N)
    near = t[np.argsort(distance, axis=1, kind="stable")[:, :NEIGHBOURS]]  # (M, 5)
    return (near[:, :, None] == np.arange(10)).sum(axis=1).argmax(axis=1)


def measure(level: str, run: Runner) -> dict[str, Any]:
    """Return for each code: ``code`` of the first seed, ``error`` and ``right`` (seeds,); PCA has no seeds."""
    seeds, *epochs = SIZES[level]
    found: dict[str, Any] = {"classes": pixels("digits").test[1]}
    for name in NAMES:
        jobs = [{"name": name, "seed": run.seed + i, "epochs": epochs} for i in range(1 if name == "pca" else seeds)]
        results = run(one, jobs)
        found[name] = {k: np.array([r[k] for r in results]) for k in ("error", "right")}
        found[name]["code"] = np.array(results[0]["code"])
    return found


def draw(data: dict[str, Any], say: Say) -> Any:
    """Return the three planes, digits written where their class has its middle."""
    figure, axes = canvas(1, 3, width=16, height=5.9)
    t = data["classes"]
    for ax, name in zip(axes, NAMES, strict=True):
        each = data[name]
        code = each["code"]
        ax.scatter(*code.T, c=[TEN[k] for k in t], s=22, alpha=0.75, linewidths=0)
        for k in range(10):
            place = np.median(code[t == k], axis=0)
            box = {"boxstyle": "circle,pad=0.15", "facecolor": "white", "edgecolor": TEN[k], "alpha": 0.9}
            ax.text(*place, str(k), ha="center", va="center", color=TEN[k], fontsize=13, bbox=box)
        error, right = each["error"].mean(), each["right"].mean()
        ax.set_title(
            say(*NAMES[name])
            + say("\nerror", "\n誤差")
            + f" {error:.3f}"
            + say(", neighbours right", "、近傍の正解")
            + f" {right:.0%}"
        )
        ax.grid(False)
        ax.set(xticks=[], yticks=[])
    axes[0].set_xlabel(say(*title("digits")) + say(", test part", "、テストデータ"))
    for ax in axes[1:]:
        ax.set_xlabel(say("first unit of the code", "符号の第1ユニット"))
        ax.set_ylabel(say("second", "第2ユニット"))
    return figure


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return whether the deep codes are better than PCA's, and whether training the layers first helps."""
    found = [_above_pca(data, name) for name in ("random", "stacked")]
    a, b = data["stacked"], data["random"]
    error, right = paired(a["error"], b["error"]), paired(a["right"], b["right"])
    change = f"{error.mean:+.4f} [{error.low:+.4f}, {error.high:+.4f}]"
    found.append(
        Claim(
            error.high < 0,
            f"layers first leave a smaller error than a random start with as many epochs: difference {change} "
            f"({error.n} seeds)",
            f"層ごとに事前学習すると、同じエポック数の乱数からの学習より誤差が小さい：差 {change}"
            f"（シード {error.n} 個）",
        )
    )
    found.append(
        Claim(
            right.low > 0,
            f"layers first keep the classes better apart: {percent(a['right'])} of the neighbours' votes right, from a "
            f"random start {percent(b['right'])}, difference {points(right)} points",
            f"層ごとに事前学習するとクラスがよく分かれる：近傍の多数決の正解率 {percent(a['right'])}、乱数からでは "
            f"{percent(b['right'])}、差 {points(right)} ポイント",
        )
    )
    return found


def _above_pca(data: dict[str, Any], name: str) -> Claim:
    (en, ja), each, pca = NAMES[name], data[name], data["pca"]
    top, low = interval(each["error"])[1], interval(each["right"])[0]
    error, right, own = pca["error"][0], pca["right"][0], each["error"].mean()
    return Claim(
        bool(top < error and low > right),
        f"{en}: a pixel is off by {own:.3f}, with PCA by {error:.3f}; neighbours vote right for "
        f"{percent(each['right'])}, with PCA for {100 * right:.1f} %",
        f"{ja}：画素の誤差 {own:.3f}、主成分分析では {error:.3f}。近傍の多数決の正解率 {percent(each['right'])}、"
        f"主成分分析では {100 * right:.1f} %",
    )
