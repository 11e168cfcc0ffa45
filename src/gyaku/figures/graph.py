"""Graphs of a few scalar nodes with values, local derivatives on the reversed arrows, and sums of path products."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gyaku as gy
from gyaku.figures.style import COLOURS, INK, label

_LINE, _BEND = 0.24, 0.13  # height of a line in a box, and how far the two arrows of an edge part


@dataclass(frozen=True)
class Graph:
    """``nodes``: name -> (column, row, formula, value of an input or function of the nodes before it).

    ``edges``: (from, to) -> formula of the local derivative. The last node is the one that is differentiated.
    """

    nodes: Mapping[str, tuple[float, float, str, float | Callable[[dict[str, Any]], Any]]]
    edges: Mapping[tuple[str, str], str]

    @property
    def last(self) -> str:
        """The name of the node at the end."""
        return list(self.nodes)[-1]

    def paths(self, start: str) -> list[list[tuple[str, str]]]:
        """Return all paths from a node to the last one, as lists of edges."""
        if start == self.last:
            return [[]]
        return [[edge, *rest] for edge in self.edges if edge[0] == start for rest in self.paths(edge[1])]


def numbers(graph: Graph) -> dict[str, dict[str, float]]:
    """Return ``value`` and ``total`` derivative of each node, and the ``local`` derivative of each edge (``"x-u"``).

    All derivatives are backpropagated. (Between neighbours that no second path joins, total and local are the same.)
    """
    nodes: dict[str, Any] = {}
    for name, (_, _, _, make) in graph.nodes.items():
        known = callable(make)
        nodes[name] = make(nodes) if known else gy.tensor(make, dtype=gy.float64, requires_grad=True)  # type: ignore[operator]
    total = gy.autograd.grad(nodes[graph.last], list(nodes.values()), retain_graph=True)
    local = {edge: gy.autograd.grad(nodes[edge[1]], nodes[edge[0]], retain_graph=True)[0] for edge in graph.edges}
    return {
        "value": {name: node.item() for name, node in nodes.items()},
        "total": {name: g.item() for name, g in zip(nodes, total, strict=True)},
        "local": {"-".join(edge): g.item() for edge, g in local.items()},
    }


def sum_of_products(graph: Graph, data: Mapping[str, Any], name: str) -> tuple[float, str]:
    """Return the sum over paths of the products of local derivatives, as a number and written out (``3·4 + 2·1``)."""
    factors = [[data["local"]["-".join(edge)] for edge in reversed(path)] for path in graph.paths(name)]
    text = " + ".join("·".join(written(f) for f in path) for path in factors)
    return math.fsum(math.prod(path) for path in factors), text


def written(value: float) -> str:
    """Return a number as a factor: four digits, brackets around a negative one."""
    return f"({value:.4g})" if value < 0 else f"{value:.4g}"


def draw_graph(
    axes: Any, graph: Graph, data: Mapping[str, Any], title: str, *, size: float = 14, width: float = 0.8,
    products: bool = True,
) -> None:  # fmt: skip
    """Draw a graph: boxes with formula and value, arrows forward and back, and the derivative at each node.

    ``width`` is that of the boxes; ``products`` writes the derivatives below them, as sums over paths.
    """
    boxes = {name: _box(axes, name, graph, data, size, width, products) for name in graph.nodes}
    for name in graph.nodes:
        if products and name != graph.last:
            _products(axes, name, graph, data, size - 2, width)
    for edge, formula in graph.edges.items():
        _arrows(axes, edge, formula, graph, data, boxes, size)
    columns, rows = ([node[0] for node in graph.nodes.values()], [node[1] for node in graph.nodes.values()])
    axes.set(aspect="equal", title=title)
    axes.set(
        xlim=(min(columns) - max(0.9, width * 0.6), max(columns) + width * 0.7),
        ylim=(min(rows) - 0.75, max(rows) + 0.6),
    )
    axes.set_axis_off()


def _box(axes: Any, name: str, graph: Graph, data: Mapping[str, Any], size: float, width: float, products: bool) -> Any:
    """Draw one node with formula, value and, where no products are written, the derivative; return its box."""
    from matplotlib.patches import FancyBboxPatch

    column, row, formula, _ = graph.nodes[name]
    lines = [(f"${formula}$", INK), (f"{data['value'][name]:.4g}", COLOURS["forward"])]
    if not products and name != graph.last:
        lines.append((f"${_quotient(graph, name)} = {data['total'][name]:.4g}$", COLOURS["backward"]))
    height = _LINE * len(lines) + 0.06
    corner = (column - width / 2 + 0.08, row - height / 2 + 0.08)
    box = FancyBboxPatch(corner, width - 0.16, height - 0.16, boxstyle="round,pad=0.08", facecolor="white",
                         edgecolor=INK, linewidth=1.4, zorder=3)  # fmt: skip
    axes.add_patch(box)
    for i, (text, colour) in enumerate(lines):
        at = row + _LINE * ((len(lines) - 1) / 2 - i)
        axes.text(column, at, text, fontsize=size, color=colour, ha="center", va="center", zorder=4)
    return box


def _quotient(graph: Graph, name: str) -> str:
    symbol = "\\hat y" if name == "yhat" else f"{name[0]}_{name[1]}" if len(name) == 2 else name
    return f"\\partial {graph.last}/\\partial {symbol}"


def _products(axes: Any, name: str, graph: Graph, data: Mapping[str, Any], size: float, width: float) -> None:
    """Write the derivative of the last node under a node; under one at the left edge it leaves room for arrows."""
    column, row, _, _ = graph.nodes[name]
    total, text = sum_of_products(graph, data, name)
    shown = f"{total:.4g}" if text == written(total) else f"{text} = {total:.4g}"
    first = column == min(place[0] for place in graph.nodes.values())
    at, side = (column + width / 2 - 0.05, "right") if first else (column, "center")
    formula = f"${_quotient(graph, name)} = {shown}$"
    label(axes, at, row - _LINE - 0.03, formula, COLOURS["backward"], offset=(0, -5), ha=side, va="top", fontsize=size)


def _arrows(
    axes: Any, edge: tuple[str, str], formula: str, graph: Graph, data: Mapping[str, Any], boxes: Mapping[str, Any],
    size: float,
) -> None:  # fmt: skip
    """Draw the arrow forward, the one back, and its local derivative."""
    a, b = edge
    (x0, y0), (x1, y1) = graph.nodes[a][:2], graph.nodes[b][:2]
    for start, end, colour in ((a, b, COLOURS["forward"]), (b, a, COLOURS["backward"])):
        style = {"arrowstyle": "-|>", "color": colour, "linewidth": 1.6, "connectionstyle": f"arc3,rad={_BEND}",
                 "patchA": boxes[start], "patchB": boxes[end], "shrinkA": 1, "shrinkB": 2}  # fmt: skip
        axes.annotate("", graph.nodes[end][:2], graph.nodes[start][:2], arrowprops=style)
    value = data["local"]["-".join(edge)]
    same = formula == f"{value:.4g}"
    text = f"${formula}$" if same else f"${formula} = {value:.4g}$"
    length = math.hypot(x1 - x0, y1 - y0)
    across = (-(y1 - y0) / length, (x1 - x0) / length)  # to the left of the way forward: the side of the arrow back
    middle = ((x0 + x1) / 2 + across[0] * _BEND * length / 2, (y0 + y1) / 2 + across[1] * _BEND * length / 2)
    angle = math.degrees(math.atan2(y1 - y0, x1 - x0))  # along the arrow: level, a long formula would lie across it
    label(axes, *middle, text, COLOURS["backward"], offset=(4 * across[0], 4 * across[1]), ha="center", va="bottom",
          rotation=angle, rotation_mode="anchor", fontsize=size - 2)  # fmt: skip
