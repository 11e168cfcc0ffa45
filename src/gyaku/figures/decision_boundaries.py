"""Decision boundaries by width and depth on three spirals (lecture row 1.6)."""

from __future__ import annotations

from typing import Any

import numpy as np

from gyaku.data.synthetic import spirals
from gyaku.figures.experiment import Claim, Experiment, Say
from gyaku.figures.jobs import Runner
from gyaku.figures.race import paired, percent, points
from gyaku.figures.style import CYCLE, canvas
from gyaku.figures.training import accuracy, mlp, outputs, train

EXPERIMENT = Experiment(
    "decision_boundaries",
    ("1.6",),
    ("Decision boundaries by width and depth", "幅と深さによる決定境界"),
    (
        "Each picture is a network after the same training on three spirals. Few units cut the plane by a few straight "
        "lines; with more units in a layer (to the right) or more layers (downwards) the regions follow the arms. The "
        "number is the accuracy on new points, its mean over seeds. Two units a layer are a bottleneck that "
        "more layers "
        "do not mend.",
        "3 本の渦巻きを同じだけ学習させたネットワークの分類領域です。ユニットが少ないと数本の直線で平面を切"
        "るだけですが、"
        ""
        "1 層のユニットを増やすか（右へ）、層を増やすと（下へ）、領域は渦の腕に沿います。数字は新しい点での"
        "正解率（シード"
        ""
        "平均）です。各層 2 ユニットでは狭すぎて、層を増やしても改善しません。",
    ),
)
LEVELS: dict[str, tuple[tuple[int, ...], tuple[int, ...], int, int]] = {  # widths, depths, seeds, epochs
    "quick": ((2, 8, 32), (1, 3), 5, 60),
    "default": ((2, 4, 8, 32), (1, 2, 3), 10, 150),
    "full": ((2, 3, 4, 8, 16, 64), (1, 2, 3, 5), 20, 400),
}
EDGE, CELLS, TURNS = 1.2, 121, 1.0
CLASSES = (CYCLE[0], CYCLE[1], CYCLE[2])


def plane() -> np.ndarray:
    """Return the cells of the picture as points (CELLS², 2)."""
    line = np.linspace(-EDGE, EDGE, CELLS, dtype=np.float32)
    return np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)


def fit(width: int, depth: int, seed: int, epochs: int) -> dict[str, Any]:
    """Train 2-(width)×depth-3 on 300 points; return the accuracy on 1,500 new ones, and the regions."""
    x, t = spirals(300, seed=seed, turns=TURNS)
    x_new, t_new = spirals(1500, seed=seed + 500, turns=TURNS)
    net = mlp([2, *[width] * depth, 3], seed=seed)
    train(net, (x.astype(np.float32), t), lr=0.01, epochs=epochs, batch=50, seed=seed)
    regions = outputs(net, plane()).argmax(axis=1).reshape(CELLS, CELLS).astype(np.uint8)
    return {"accuracy": accuracy(net, x_new.astype(np.float32), t_new), "regions": regions, "length": boundary(regions)}


def boundary(regions: np.ndarray) -> float:
    """Return the length of the boundaries between regions, in units of x: cell edges with two classes beside them."""
    edges = int((regions[1:] != regions[:-1]).sum()) + int((regions[:, 1:] != regions[:, :-1]).sum())
    return edges * 2 * EDGE / (CELLS - 1)


def measure(level: str, run: Runner) -> dict[str, Any]:
    """Return accuracies and boundary lengths (depths, widths, seeds), and the regions of the first seed."""
    widths, depths, n, epochs = LEVELS[level]
    jobs = [
        {"width": w, "depth": d, "seed": 1000 * run.seed + s, "epochs": epochs}
        for d in depths
        for w in widths
        for s in range(n)
    ]
    results = run(fit, jobs)
    grid = (len(depths), len(widths), n)
    regions = np.array([r["regions"] for r in results]).reshape(*grid, CELLS, CELLS)[:, :, 0]
    x, t = spirals(300, seed=1000 * run.seed, turns=TURNS)
    return {
        "widths": widths,
        "depths": depths,
        "regions": regions,
        "x": x,
        "t": t,
        "accuracy": np.array([r["accuracy"] for r in results]).reshape(grid),
        "length": np.array([r["length"] for r in results]).reshape(grid),
    }


def draw(data: dict[str, Any], say: Say) -> Any:
    """Return the grid of regions: width to the right, depth downwards."""
    from matplotlib.colors import ListedColormap

    rows, columns = data["regions"].shape[:2]
    figure, axes = canvas(rows, columns, width=2.7 * columns + 0.6, height=2.6 * rows + 1.0, squeeze=False)
    n = data["accuracy"].shape[2]
    title = say(f"accuracy on new points, mean of {n} seeds", f"新しい点での正解率（{n} シードの平均）")
    figure.suptitle(title, fontsize=14)
    for i, j in np.ndindex(rows, columns):
        panel = axes[i, j]
        panel.imshow(
            data["regions"][i, j],
            origin="lower",
            extent=(-EDGE, EDGE, -EDGE, EDGE),
            vmin=0,
            vmax=2,
            cmap=ListedColormap(CLASSES),
            alpha=0.35,
            interpolation="nearest",
        )
        panel.scatter(*data["x"].T, c=[CLASSES[k] for k in data["t"]], s=5, linewidths=0)
        panel.set(xticks=[], yticks=[], title=f"{100 * data['accuracy'][i, j].mean():.0f} %")
        if i == rows - 1:
            panel.set_xlabel(f"{data['widths'][j]} " + say("units", "ユニット"))
        if j == 0:
            depth = data["depths"][i]
            panel.set_ylabel(say("1 hidden layer" if depth == 1 else f"{depth} hidden layers", f"隠れ層 {depth}"))
    return figure


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return what width does in the first row, depth at medium width, and both to the fineness."""
    a, widths, depths = data["accuracy"], data["widths"], data["depths"]
    wide, deep = paired(a[0, -1], a[0, 0]), paired(a[-1, 1], a[0, 1])
    narrow = paired(a[-1, 0], a[0, 0])
    fine = paired(data["length"][-1, -1], data["length"][0, 0])
    length = f"{fine.mean:.1f} [{fine.low:.1f}, {fine.high:.1f}]"
    return [
        _claim(
            wide,
            f"one hidden layer, {widths[-1]} units against {widths[0]}",
            f"隠れ層 1 つ、{widths[-1]} ユニットと {widths[0]} ユニット",
            a[0, -1],
            a[0, 0],
        ),
        _claim(
            deep,
            f"{widths[1]} units a layer, {depths[-1]} layers against 1",
            f"各層 {widths[1]} ユニット、{depths[-1]} 層と 1 層",
            a[-1, 1],
            a[0, 1],
        ),
        _claim(
            narrow,
            f"even {widths[0]} units a layer, {depths[-1]} layers against 1",
            f"各層 {widths[0]} ユニットでも、{depths[-1]} 層と 1 層",
            a[-1, 0],
            a[0, 0],
        ),
        Claim(
            fine.low > 0,
            f"the boundary of the largest network is longer than that of the smallest by {length}",
            f"最大のネットワークの境界は最小のものより {length} 長い",
        ),
    ]


def _claim(d: Any, en: str, ja: str, more: Any, less: Any) -> Claim:
    numbers = f"{percent(more)} / {percent(less)}"
    return Claim(
        d.low > 0,
        f"{en}: accuracy {numbers}, difference {points(d)} points ({d.n} seeds)",
        f"{ja}：正解率 {numbers}、差 {points(d)} ポイント（{d.n} シード）",
    )
