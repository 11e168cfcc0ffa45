"""Dropout in the lecture's scaling and in the inverted one: equal in expectation, not in spread (lecture row 9.3)."""

from __future__ import annotations

from typing import Any

import numpy as np

import gyaku as gy
from gyaku.backend.random import Generator
from gyaku.data import digits
from gyaku.figures.experiment import Claim, Experiment, Say
from gyaku.figures.jobs import Runner
from gyaku.figures.style import BLUE, INK, VERMILION, canvas, label
from gyaku.layers import Dropout

EXPERIMENT = Experiment(
    "dropout",
    ("9.3",),
    ("Dropout: two scalings, mean and variance", "ドロップアウト：2 つの書き方、平均と分散"),
    (
        "One digit x passes through dropout and then one unit a = x W. The lecture multiplies by 1 - p when "
        "predicting, "
        "frameworks divide by 1 - p when training. Either way the mean over all masks is the value in prediction. The "
        "variance is p (1 - p) Σ(xw)² in the lecture's form and p / (1 - p) Σ(xw)² in the inverted one, which grows "
        "without "
        "bound. Backward uses the mask of forward.",
        "1 枚の数字 x をドロップアウトに通し、1 個のユニット a = x W に入れました。講義の書き方は予測のとき 1 - p "
        "を掛け、フレームワークは"
        "学習のとき 1 - p で割ります。どちらも、マスクについての平均は予測の値に等しくなります。分散は講義の書き方で p "
        "(1 - p) Σ(xw)²、"
        "もう一方で p / (1 - p) Σ(xw)² で、後者は p とともに限りなく大きくなります。逆伝播では順伝播と同じマスクを使い"
        "ます。",
    ),
)
SHARES = np.arange(1, 15) / 16  # the masks are drawn with 16 bits an element: these p are exact
SHOWN, SMALL = 0.5, 12
MASKS = {"quick": 4000, "default": 20_000, "full": 200_000}
FORMS = {
    "lecture": ("lecture: x ∗ M", "講義：x ∗ M", BLUE),
    "inverted": ("inverted: x ∗ M / (1 - p)", "フレームワーク：x ∗ M / (1 - p)", VERMILION),
}


def drawn(x: np.ndarray, w: np.ndarray, p: float, masks: int, stream: Generator) -> dict[str, np.ndarray]:
    """Return a = dropout(x) w for many masks in training, in both scalings with the same masks."""
    rows = np.broadcast_to(x, (masks, len(x)))
    lecture = Dropout(p, generator=stream.split(f"{p}")).forward(rows, train=True) @ w
    layer = gy.nn.Dropout(p, generator=stream.split(f"{p}"))
    return {"lecture": lecture, "inverted": layer(gy.tensor(rows)).numpy() @ w}


def predicted(x: np.ndarray, w: np.ndarray, p: float) -> dict[str, float]:
    """Return a in prediction mode, in both scalings."""
    layer = gy.nn.Dropout(p)
    return {
        "lecture": float(Dropout(p).forward(x, train=False) @ w),
        "inverted": float(layer.eval()(gy.tensor(x)).numpy() @ w),
    }


def variance(x: np.ndarray, w: np.ndarray, p: float) -> dict[str, float]:
    """Return the exact variance of a over the masks, in both scalings."""
    total = float(((x * w) ** 2).sum())
    return {"lecture": p * (1 - p) * total, "inverted": p / (1 - p) * total}


def enumerated(x: np.ndarray, w: np.ndarray, p: float) -> tuple[float, float]:
    """Return mean and variance of (x ∗ M) w over every one of the 2^n masks, each with its probability."""
    masks = (np.arange(2 ** len(x))[:, None] >> np.arange(len(x))) & 1
    chance = np.prod(np.where(masks == 1, 1 - p, p), axis=1)
    a = masks @ (x * w)
    mean = float(chance @ a)
    return mean, float(chance @ (a - mean) ** 2)


def _error_of_variance(a: np.ndarray) -> np.ndarray:
    """Return the standard error of the variance of every row."""
    return ((a - a.mean(axis=1, keepdims=True)) ** 2).std(axis=1) / np.sqrt(a.shape[1])


def measure(level: str, run: Runner) -> dict[str, Any]:
    """Return outputs over masks at every p, the exact mean and variance, and one mask forward and backward."""
    stream = Generator(run.seed)
    x = digits()[0][0, 0].ravel() / 16.0
    w = stream.split("weights").normal((64,)) * np.sqrt(2 / 64)
    outputs = [drawn(x, w, float(p), MASKS[level], stream.split("masks")) for p in SHARES]
    layer = Dropout(SHOWN, generator=stream.split("shown"))
    y, dout = layer.forward(x), stream.split("dout").normal((64,))
    bent = np.maximum(outputs[int(np.argmin(np.abs(SHARES - SHOWN)))]["inverted"], 0)
    inside = slice(18, 18 + SMALL)  # pixels of the middle rows: few enough for all 2^12 masks
    found: dict[str, Any] = {
        "p": SHARES,
        "masks": MASKS[level],
        "x": x,
        "y": y,
        "mask": layer.mask.astype(float),
        "dout": dout,
        "dx": layer.backward(dout),
        "behind_relu": (bent.mean(), bent.std() / np.sqrt(len(bent)), max(float(x @ w), 0.0)),
        "all_masks": enumerated(x[inside], w[inside], 0.25),
        "all_masks_formula": (0.75 * float(x[inside] @ w[inside]), variance(x[inside], w[inside], 0.25)["lecture"]),
    }
    for form in FORMS:
        a = np.array([o[form] for o in outputs])
        found[form] = {
            "mean": a.mean(axis=1),
            "variance": a.var(axis=1),
            "variance_error": _error_of_variance(a),
            "predicted": np.array([predicted(x, w, float(p))[form] for p in SHARES]),
            "formula": np.array([variance(x, w, float(p))[form] for p in SHARES]),
        }
    return found


def draw(data: dict[str, Any], say: Say) -> Any:
    """Return mean and variance of the outputs by p, and the mask forward and backward."""
    figure, axes = canvas(2, 4, width=15, height=7.2, width_ratios=(1.5, 1.5, 1, 1))
    means, variances = (_joined(axes, column) for column in (0, 1))
    for form, (en, ja, colour) in FORMS.items():
        found = data[form]
        means.plot(data["p"], found["predicted"], color=colour)
        means.plot(data["p"], found["mean"], "o", color=colour)
        variances.plot(data["p"], found["formula"], color=colour)
        variances.plot(data["p"], found["variance"], "o", color=colour)
        inverted, at = form == "inverted", 9 if form == "inverted" else 7
        place: dict[str, Any] = {"offset": (0, -20), "ha": "center"} if inverted else {"offset": (14, 4)}
        label(means, data["p"][5], found["predicted"][5], say(en, ja), colour, **place)
        place = {"offset": (-10, 10), "ha": "right"} if inverted else {"offset": (0, -22), "ha": "center"}
        label(variances, data["p"][at], found["formula"][at], say(en, ja), colour, **place)
    means.set(xlabel="$p$", title=say("Mean of a (line: prediction)", "a の平均（線：予測の値）"))
    variances.set(xlabel="$p$", yscale="log", title=say("Variance of a (line: formula)", "a の分散（線：公式）"))
    _pictures(axes[:, 2:], data, say)
    return figure


def _joined(axes: Any, column: int) -> Any:
    """Return one panel over both rows of a column."""
    grid = axes[0, column].get_gridspec()
    for panel in axes[:, column]:
        panel.remove()
    return grid.figure.add_subplot(grid[:, column])


def _pictures(axes: Any, data: dict[str, Any], say: Say) -> None:
    """Draw x and x ∗ M, dout and dout ∗ M; what is dropped is crossed out."""
    reach = float(np.abs(data["dout"]).max())
    titles = (
        ("x", "$X$"),
        ("y", "$Y = X * M$"),
        ("dout", "$\\partial E/\\partial Y$"),
        ("dx", "$\\partial E/\\partial Y * M$"),
    )
    for panel, (key, title) in zip(axes.ravel(), titles, strict=True):
        low, colours = (0.0, "Greys") if key in "xy" else (-reach, "PuOr")
        panel.imshow(data[key].reshape(8, 8), cmap=colours, vmin=low, vmax=1.0 if key in "xy" else reach)
        panel.set(xticks=[], yticks=[], title=title)
        panel.grid(visible=False)
        panel.spines[:].set_visible(False)
        if key in ("y", "dx"):
            rows, columns = np.nonzero(data["mask"].reshape(8, 8) == 0)
            panel.plot(columns, rows, "x", color=INK, markersize=6, markeredgewidth=1)


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return the exact equality over all masks, the agreement of the drawn ones, the backward mask, and the limit."""
    mean, spread = data["all_masks"]
    masked = ((data["y"], data["x"]), (data["dx"], data["dout"]))
    backward = all(np.array_equal(after, before * data["mask"]) for after, before in masked)
    bent, error, straight = data["behind_relu"]
    return [
        Claim(
            bool(np.allclose(data["all_masks"], data["all_masks_formula"], rtol=1e-12)),
            f"over all {2**SMALL} masks of {SMALL} pixels, p = 1/4: mean {mean:.10g} = (1 - p) x W, variance "
            f"{spread:.10g} = p (1 - p) Σ(xw)², to 1e-12",
            f"{SMALL} 画素の {2**SMALL} 通りのマスクすべて、p = 1/4：平均 {mean:.10g} = (1 - p) x W、分散 "
            f"{spread:.10g} = p (1 - p) Σ(xw)²（1e-12 まで）",
        ),
        *(_agreement(data[form], data["masks"], *FORMS[form][:2]) for form in FORMS),
        Claim(
            backward,
            "backward multiplies ∂E/∂Y by the mask of forward, element by element, exactly",
            "逆伝播は ∂E/∂Y に順伝播と同じマスクを要素ごとに掛ける（厳密に一致）",
        ),
        Claim(
            bent - 1.96 * error > straight,
            f"behind a ReLU the equality ends: the mean of max(0, a) is {bent:.3f} ± {1.96 * error:.3f}, in prediction "
            f"it is {straight:.3f}",
            f"ReLU の後では等しくない：max(0, a) の平均は {bent:.3f} ± {1.96 * error:.3f}、予測では {straight:.3f}",
        ),
    ]


def _agreement(found: dict[str, Any], masks: int, en: str, ja: str) -> Claim:
    """Return that means and variances over drawn masks agree with prediction and formula within their errors."""
    z = float((np.abs(found["mean"] - found["predicted"]) / np.sqrt(found["formula"] / masks)).max())
    z_variance = float((np.abs(found["variance"] - found["formula"]) / found["variance_error"]).max())
    n = len(found["mean"])
    return Claim(
        max(z, z_variance) < 3.5,
        f"{en}: {masks:,} masks at each of {n} values of p: mean and prediction differ by at most {z:.2f} standard "
        f"errors, variance and formula by at most {z_variance:.2f}",
        f"{ja}：{n} 通りの p、各 {masks:,} マスク：平均と予測の差は標準誤差の {z:.2f} 倍以内、分散と公式の差は "
        f"{z_variance:.2f} 倍以内",
    )
