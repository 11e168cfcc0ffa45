"""The graph of the binary cross-entropy of a sigmoid, and why its derivative is ŷ - y (lecture row 3.4)."""

from __future__ import annotations

from typing import Any

import gyaku as gy
from gyaku.figures.experiment import Claim, Experiment, Say
from gyaku.figures.graph import Graph, draw_graph, numbers, sum_of_products
from gyaku.figures.jobs import Runner
from gyaku.figures.style import canvas

EXPERIMENT = Experiment(
    "cross_entropy_graph",
    ("3.4",),
    ("Cross-entropy of a sigmoid as a graph", "シグモイドと交差エントロピーの計算グラフ"),
    (
        "From the logit x and the target y to the loss h, in the lecture's nodes. Two paths lead from ŷ to h and two "
        "from y; their products are added where the arrows join. On the way back to x the unwieldy factors cancel and "
        "∂h/∂x = ŷ - y is left: that is why sigmoid and cross-entropy are one layer.",
        "ロジット x と目標 y から損失 h までを講義の節点で表します。ŷ からも y からも h への経路は二本あり、"
        "矢印が出会うところで積を足します。x まで戻ると複雑な因子が打ち消し合い、∂h/∂x = ŷ - y だけが残ります。"
        "シグモイドと交差エントロピーを一つの層にまとめるのはこのためです。",
    ),
)
GRAPH = Graph(
    {
        "x": (0, 0, "x", 0.5),
        "s": (4.2, 0, "s = e^{-x}", lambda n: gy.exp(-n["x"])),
        "yhat": (8.9, 0, "\\hat y = 1/(1+s)", lambda n: 1 / (1 + n["s"])),
        "y": (13.8, 0, "y", 0.8),
        "z1": (13.8, 3.1, "y \\log \\hat y", lambda n: n["y"] * gy.log(n["yhat"])),
        "z2": (13.8, -3.1, "(1-y)\\log(1-\\hat y)", lambda n: (1 - n["y"]) * gy.log(1 - n["yhat"])),
        "h": (19.6, 0, "h = -z_1-z_2", lambda n: -n["z1"] - n["z2"]),
    },
    {
        ("x", "s"): "-e^{-x}",
        ("s", "yhat"): "-1/(1+s)^2",
        ("yhat", "z1"): "y/\\hat y",
        ("y", "z1"): "\\log \\hat y",
        ("yhat", "z2"): "-(1-y)/(1-\\hat y)",
        ("y", "z2"): "-\\log(1-\\hat y)",
        ("z1", "h"): "-1",
        ("z2", "h"): "-1",
    },
)


def measure(level: str, run: Runner) -> dict[str, Any]:
    """Return the numbers of the graph; exact at every level."""
    return numbers(GRAPH)


def draw(data: dict[str, Any], say: Say) -> Any:
    """Return the graph with values and local derivatives."""
    figure, axes = canvas(width=18, height=7)
    title = say("from the logit $x$ and the target $y$ to the loss $h$", "ロジット $x$ と目標 $y$ から損失 $h$ まで")
    draw_graph(axes, GRAPH, data, title, size=14, width=2.25, products=False)
    return figure


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return that the sums of products are the derivatives, and the two results of the lecture."""
    value, total = data["value"], data["total"]
    sums = {name: sum_of_products(GRAPH, data, name)[0] for name in GRAPH.nodes if name != GRAPH.last}
    differ = max(abs(sums[name] - total[name]) for name in sums)
    x, y = total["x"], total["y"]
    return [
        Claim(differ < 1e-15, f"sums over paths of products equal the derivatives to {differ:.1e}",
              f"経路ごとの積の和は微分に一致（誤差 {differ:.1e}）"),
        Claim(abs(x - (value["yhat"] - value["y"])) < 1e-15, f"∂h/∂x = ŷ - y = {x:.8f}", f"∂h/∂x = ŷ - y = {x:.8f}"),
        Claim(abs(y + value["x"]) < 1e-15, f"∂h/∂y = -x = {y:.8f}", f"∂h/∂y = -x = {y:.8f}"),
    ]  # fmt: skip
