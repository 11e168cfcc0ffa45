"""The chain rule in pictures: multiply along a path, add over paths (lecture rows 3.1-3.3)."""

from __future__ import annotations

from typing import Any

import gyaku as gy
from gyaku.figures.experiment import Claim, Experiment, Say
from gyaku.figures.graph import Graph, draw_graph, numbers, sum_of_products
from gyaku.figures.jobs import Runner

EXPERIMENT = Experiment(
    "chain_rule",
    ("3.1", "3.2", "3.3"),
    ("The chain rule along paths", "経路に沿った連鎖律"),
    (
        "Blue: values, forward. Orange: local derivatives on the reversed arrows, and below each node the products "
        "along its paths to z. One path: multiply. A branch: x reaches z on two paths, so two products are added. A "
        "join: each input has one path, and they share the last factor. Below, the lecture's z = (ax - y)² with its "
        "nodes s, t, z. All numbers come from backward().",
        "青は順伝播の値、橙は逆向きの矢印の上の局所的な微分と、各節点の下に書いた z までの経路に沿った積です。"
        "一本の経路では掛けます。分岐では x から z への経路が二本あるので二つの積を足します。"
        "合流では入力ごとに経路が一本で、最後の因子を共有します。下は講義の z = (ax - y)² を節点 s, t, z "
        "で表したグラフです。数値はすべて backward() によります。",
    ),
)
GRAPHS = {
    "path": Graph(
        {
            "x": (0, 0, "x", 2.0),
            "u": (1.8, 0, "u = x^2", lambda n: n["x"] ** 2),
            "z": (3.6, 0, "z = 3u", lambda n: 3 * n["u"]),
        },
        {("x", "u"): "2x", ("u", "z"): "3"},
    ),
    "branch": Graph(
        {
            "x": (0, 0, "x", 2.0),
            "u": (1.8, 0.85, "u = x^2", lambda n: n["x"] ** 2),
            "v": (1.8, -0.85, "v = 3x", lambda n: 3 * n["x"]),
            "z": (3.6, 0, "z = uv", lambda n: n["u"] * n["v"]),
        },
        {("x", "u"): "2x", ("x", "v"): "3", ("u", "z"): "v", ("v", "z"): "u"},
    ),
    "join": Graph(
        {
            "x": (0, 0.85, "x", 2.0),
            "y": (0, -0.85, "y", 3.0),
            "u": (1.8, 0, "u = xy", lambda n: n["x"] * n["y"]),
            "z": (3.6, 0, "z = u^2", lambda n: n["u"] ** 2),
        },
        {("x", "u"): "y", ("y", "u"): "x", ("u", "z"): "2u"},
    ),
    "square": Graph(
        {
            "a": (0, 0.8, "a", 2.0),
            "x": (0, -0.5, "x", 3.0),
            "s": (2.4, 0.2, "s = ax", lambda n: n["a"] * n["x"]),
            "y": (2.4, -1.2, "y", 1.0),
            "t": (4.8, -0.3, "t = s - y", lambda n: n["s"] - n["y"]),
            "z": (7.2, -0.3, "z = t^2", lambda n: n["t"] ** 2),
        },
        {
            ("a", "s"): "\\partial s/\\partial a = x",
            ("x", "s"): "\\partial s/\\partial x = a",
            ("s", "t"): "\\partial t/\\partial s",
            ("y", "t"): "\\partial t/\\partial y",
            ("t", "z"): "dz/dt = 2t",
        },
    ),
}
TITLES = {
    "path": ("one path: multiply", "一本の経路：掛ける"),
    "branch": ("a branch: add the paths", "分岐：経路について足す"),
    "join": ("a join: one path for each input", "合流：入力ごとに一本の経路"),
    "square": ("$z = (ax - y)^2$", "$z = (ax - y)^2$"),
}


def exercises() -> dict[str, list[float]]:
    """Return the lecture's six exercises at one point: [derivatives backpropagated..., by the answers...]."""
    x, y, w, v = (gy.tensor(k, dtype=gy.float64, requires_grad=True) for k in (0.7, -0.4, 1.3, 0.2))
    t, zu, zv = 0.3, 1.7, -0.6  # a target, and derivatives dz/du, dz/dv from further on
    u, e, p = gy.sigmoid(x), gy.exp(x), 1 / (1 + gy.exp(y - x))  # p, q: two-way softmax of x, y
    q, last = 1 - p, zu * (w * x + 2 * y) + zv * (v * x - 3 * y)
    cases = {
        "1": (zu * u, [x], [u * (1 - u) * zu]),
        "2": (-t * gy.log(u) - (1 - t) * gy.log(1 - u), [x], [u - t]),
        "3": (zu * (1 + e) + zv * (1 + 1 / e), [x], [e * zu - zv / e]),
        "4": (zu * p + zv * q, [x, y], [p * q * (zu - zv), p * q * (zv - zu)]),
        "5": (-t * gy.log(p) - (1 - t) * gy.log(q), [x, y], [p - t, q - (1 - t)]),
        "6": (last, [x, y], [w * zu + v * zv, gy.tensor(2 * zu - 3 * zv, dtype=gy.float64)]),
    }
    return {
        number: [g.item() for g in (*gy.autograd.grad(z, inputs, retain_graph=True), *answer)]
        for number, (z, inputs, answer) in cases.items()
    }


def measure(level: str, run: Runner) -> dict[str, Any]:
    """Return the numbers of the four graphs and of the exercises; exact at every level."""
    return {**{name: numbers(graph) for name, graph in GRAPHS.items()}, "exercises": exercises()}


def draw(data: dict[str, Any], say: Say) -> Any:
    """Return the three dependency pictures and the graph of (ax - y)²."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(16, 9))
    axes = figure.subplot_mosaic([["path", "branch", "join"], ["square"] * 3], height_ratios=(1, 1.05))
    for name, graph in GRAPHS.items():
        draw_graph(axes[name], graph, data[name], say(*TITLES[name]), size=16 if name == "square" else 13)
    return figure


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return that sums of path products are the derivatives, the lecture's three results, and the six exercises."""
    differ = max(
        abs(sum_of_products(graph, data[name], node)[0] - data[name]["total"][node])
        for name, graph in GRAPHS.items() for node in graph.nodes if node != graph.last
    )  # fmt: skip
    n, g = data["square"]["value"], data["square"]["total"]
    rest = n["a"] * n["x"] - n["y"]
    wanted = {"x": 2 * n["a"] * rest, "a": 2 * n["x"] * rest, "y": -2 * rest}
    halves = [(v[: len(v) // 2], v[len(v) // 2 :]) for v in data["exercises"].values()]
    worst = max(abs(a - b) for got, answer in halves for a, b in zip(got, answer, strict=True))
    shown = f"2a(ax-y) = {g['x']:g}, 2x(ax-y) = {g['a']:g}, -2(ax-y) = {g['y']:g}"
    return [
        Claim(differ == 0,
              f"sums over paths of products equal dz/d(node) at every node (largest difference {differ:g})",
              f"経路ごとの積の和は全節点の微分に一致（差の最大値 {differ:g}）"),
        Claim(all(g[k] == v for k, v in wanted.items()), f"z = (ax - y)²: {shown}", f"z = (ax - y)²：{shown}"),
        Claim(worst < 1e-14, f"the six exercises agree with their answers to {worst:.1e}",
              f"六つの演習は解答と一致（誤差 {worst:.1e}）"),
    ]  # fmt: skip
