"""From an explanation to a picture: forward with values, backward with deltas and local derivatives, or both."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gyaku.base.errors import ArgumentError
from gyaku.base.text import Phrases
from gyaku.explain.draw_boxes import LABEL, TITLE, Writer, full_value, place, wrapped
from gyaku.explain.draw_frames import Frame, frames_of
from gyaku.explain.draw_parts import Part, column, text_part, written_out
from gyaku.explain.draw_scene import Group, Paint, Rect, Scene, Write, arrow, moved
from gyaku.explain.draw_text import measure, plain
from gyaku.explain.layout import DIRECTIONS, Box, Edge, Layout, arrange
from gyaku.explain.layout_level import Point, Spacing
from gyaku.explain.model import Arrow, Explanation, Item

VIEWS = ("forward", "backward", "both", "auto")
MARGIN = 18.0
_PAD = (13.0, 9.0)  # between a box and what stands in it
_APART = 4.0  # between the middle of an arrow's way and its two directions, where both are drawn
_WORDS = {
    "forward": ("Forward: values", "順伝播: 値"),
    "backward": ("Backward: derivatives", "逆伝播: 微分"),
    "title": ("Computation graph of {name}", "{name} の計算グラフ"),
}


@dataclass(frozen=True)
class Style:
    """What a panel shows: values ("all", "numbers" or "none"), deltas, and which arrows."""

    values: str
    deltas: bool
    forward: bool
    backward: bool


STYLES = {
    "forward": Style("all", False, True, False),
    "backward": Style("numbers", True, False, True),
    "page": Style("all", True, True, True),
}


def picture(
    explanation: Explanation, view: str = "auto", *, direction: str = "right", frames: bool = True,
    lang: str | None = None, title: str = "",
) -> Scene:  # fmt: skip
    """Return the picture of an explanation.

    ``view`` is "forward", "backward", "both" (one beside or below the other, whichever fits a slide better) or "auto"
    (both, without derivatives forward), ``direction`` "right" or "down", ``frames`` whether modules are framed;
    ``title`` stands above.
    Raises ``ArgumentError`` for another view or direction.
    """
    view = chosen_view(explanation, view)
    if direction not in DIRECTIONS:
        raise ArgumentError("explain", f"one of {', '.join(DIRECTIONS)}", repr(direction))
    say = Phrases(_WORDS, lang)
    views = ("forward", "backward") if view == "both" else (view,)
    panels = [panel(explanation, STYLES[v], direction, frames) for v in views]
    if view == "both":
        heads = [text_part(plain(say(v), bold=True), TITLE, v) for v in views]
        panels = [column([head, p], 10.0) for head, p in zip(heads, panels, strict=True)]
    parts = [text_part(plain(title, bold=True), TITLE * 1.25)] if title else []
    whole = column([*parts, _beside(panels), *notes(explanation, lang)], 14.0)
    return framed(whole, title or say("title", name=explanation.result.symbol))


def chosen_view(explanation: Explanation, view: str) -> str:
    """Return the view that is meant: "auto" is both, or forward where there are no derivatives.

    Raises ``ArgumentError`` for an unknown one.
    """
    if view not in VIEWS:
        raise ArgumentError("explain", f"one of {', '.join(VIEWS)}", repr(view))
    if view != "auto":
        return view
    return "forward" if explanation.missing or explanation.result.delta is None else "both"


def framed(part: Part, title: str) -> Scene:
    """Return a part with a margin around it as a scene."""
    root = Group("picture", list(part.shapes))
    return Scene(part.width + 2 * MARGIN, part.height + 2 * MARGIN, root, title, MARGIN)


def _beside(panels: Sequence[Part]) -> Part:
    """Return two panels so that the whole is nearest to a slide of 16:9."""
    if len(panels) == 1:
        return panels[0]
    wide = sum(p.width for p in panels) / max(p.height for p in panels)
    tall = max(p.width for p in panels) / sum(p.height for p in panels)
    if max(wide, 16 / 9) / min(wide, 16 / 9) > max(tall, 16 / 9) / min(tall, 16 / 9):
        return column(panels, 36.0)
    height = max(p.height for p in panels)
    shapes, x = [], 0.0
    for p in panels:
        shapes += [moved(s, x, 0.0) for s in p.shapes]
        x += p.width + 48.0
    return Part(x - 48.0, height, shapes)


def notes(explanation: Explanation, lang: str | None) -> list[Part]:
    """Return what is to be said below a picture: why numbers are missing."""
    text = explanation.note(lang)
    return [text_part(plain(line), LABEL, "wrong") for line in wrapped(text, 620.0, LABEL)] if text else []


def panel(explanation: Explanation, style: Style, direction: str, frames: bool = True) -> Part:
    """Return one drawing of the graph."""
    return Panel(explanation, style, direction, frames).part()


class Panel:
    """One drawing: what stands in the boxes and on the arrows, and where."""

    def __init__(self, explanation: Explanation, style: Style, direction: str, frames: bool) -> None:
        self.explanation, self.style, self.direction = explanation, style, direction
        self.writer = Writer(explanation, style.values, style.deltas)
        self.items = [item for item in explanation.items if not item.inline]
        self.around, self.frames = frames_of(explanation) if frames else ({}, {})
        self.boxes = {item.key: self.writer.box(item) for item in self.items}
        drawn = self.boxes.keys()
        self.arrows = {str(i): a for i, a in enumerate(explanation.arrows) if a.source in drawn}
        self.labels = {name: self.writer.label(a) for name, a in self.arrows.items()} if style.backward else {}
        self.layout = self._arranged()

    def _arranged(self) -> Layout:
        wide, high = _PAD
        boxes = [
            Box(key, max(44.0, part.width + 2 * wide), part.height + 2 * high, self.around.get(key, ()))
            for key, part in self.boxes.items()
        ]
        edges = [Edge(name, a.source, a.target, *self._room(name, self._main(a))) for name, a in self.arrows.items()]
        both = self.style.forward and self.style.backward
        return arrange(boxes, edges, direction=self.direction, spacing=Spacing(fan=17.0 if both else 9.0))

    def _room(self, name: str, main: bool) -> tuple[Point | None, bool, float]:
        """Return the size of the label of an arrow, and where in it the arrow passes."""
        above, below = self.labels.get(name, (Part(0, 0), Part(0, 0)))
        if not above.width and not below.width:
            return None, main, 0.0
        width, clear = max(above.width, below.width) + 8, self._clear()
        if self.direction == "down":
            return (width + clear + 4, above.height + below.height + 4), main, 0.0
        upper, lower = (p.height + clear if p.width else clear for p in (above, below))
        return (width, upper + lower), main, upper

    def _clear(self) -> float:
        """Return the distance of a label from the middle of its arrow's way."""
        return 2.0 + (_APART if self.style.forward else 0.0)

    def _main(self, a: Arrow) -> bool:
        """Whether an arrow belongs to the main flow: from a result; of given values, from data (a named constant)
        or else from the first."""
        into = [b for b in self.explanation.into(a.target) if b.source in self.boxes]
        kinds = [self.explanation[b.source].kind for b in into]
        if "op" in kinds or "group" in kinds:
            return self.explanation[a.source].kind in ("op", "group")
        data = [b for b in into if self.explanation[b.source].kind == "constant" and self.explanation[b.source].name]
        return a is (data or into or [a])[0]

    def turned(self, direction: str) -> Panel:
        """Return the same drawing in another direction."""
        other = copy.copy(self)
        other.direction = direction
        other.layout = other._arranged()
        return other

    # --- shapes ---

    def part(self) -> Part:
        """Return all shapes: frames below, then arrows, boxes, and what is written on arrows."""
        shapes: list[Any] = [self._frame(name, frame) for name, frame in self.frames.items()]
        shapes += [self._arrow(name, a) for name, a in self.arrows.items()]
        shapes += [self._item(number, item) for number, item in enumerate(self.items)]
        return Part(self.layout.width, self.layout.height, shapes)

    def _frame(self, name: str, frame: Frame) -> Group:
        x, y, width, height = self.layout.frames[name]
        box = Rect(x, y, width, height, Paint("baseline", "baseline", 0.09, 1.2), 12.0)
        words = f"{frame.path} · {frame.layer}" if frame.layer else frame.path
        line = plain(words, bold=True)
        left, right = self._free(x, y, width)
        size = min(LABEL, LABEL * (right - left - 16) / max(1.0, measure(line, LABEL)))
        label = Write(left + 12, y + 19, line, size, "baseline", "start")
        return Group("frame", [box, label], {"module": frame.path}, words)

    def _free(self, x: float, y: float, width: float) -> tuple[float, float]:
        """Return the wider end of a frame's upper edge that no arrow crosses: room for its title."""
        if self.direction == "right":
            return x, x + width
        ways = [p for way in self.layout.ways.values() for p in itertools.pairwise(way)]
        passing = [a for (a, top), (_, bottom) in ways if min(top, bottom) - 0.5 <= y <= max(top, bottom) + 0.5]
        across = [a for a in passing if x < a < x + width]
        first, last = min(across, default=x + width), max(across, default=x + width)
        return (x, first) if first - x >= x + width - last else (last, x + width)

    def _item(self, number: int, item: Item) -> Group:
        x, y = self.layout.boxes[item.key]
        part = self.boxes[item.key]
        width, height = max(44.0, part.width + 2 * _PAD[0]), part.height + 2 * _PAD[1]
        shapes: list[Any] = [Rect(x - width / 2, y - height / 2, width, height, self._paint(item), 9.0)]
        if item.kind == "group":
            inner = Paint("ink", "", 1.0, 0.8)
            shapes.append(Rect(x - width / 2 + 3, y - height / 2 + 3, width - 6, height - 6, inner, 7.0))
        shapes += [moved(s, x - part.width / 2, y - part.height / 2) for s in part.shapes]
        data = {"key": item.key, "number": str(number), "symbol": self.writer.symbol(item)}
        return Group(f"item {item.kind}", shapes, data, self._tip(item))

    def _paint(self, item: Item) -> Paint:
        """Return how a box is coloured: leaves tinted, constants dashed, the result strong, what failed red."""
        if item.failed:
            return Paint("wrong", "wrong", 0.10, 3.0)
        if item.kind == "leaf":
            return Paint("forward", "forward", 0.10, 1.8)
        if item.kind == "constant":
            return Paint("baseline", "paper", 1.0, 1.4, (5.0, 4.0))
        return Paint("ink", "paper", 1.0, 2.6 if item.key == self.explanation.output else 1.6)

    @staticmethod
    def _tip(item: Item) -> str:
        head = item.symbol if item.formula in ("", item.symbol) else f"{item.symbol} = {item.formula}"
        lines = [head, f"{item.layer} {item.module}".strip(), f"{tuple(item.shape)} {item.dtype or ''}".strip()]
        numbers = (("=", item.value), ("∂ =", item.delta))
        lines += [f"{sign} {full_value(a)}" for sign, a in numbers if a is not None and not written_out(a)]
        return "\n".join([line for line in [*lines, place(item), item.failed] if line])

    def _arrow(self, name: str, a: Arrow) -> Group:
        points = self.layout.ways[name]
        apart = _APART if self.style.forward and self.style.backward and a.wanted else 0.0
        shapes: list[Any] = []
        if self.style.forward:
            colour = "forward" if a.wanted else "baseline"
            shapes.append(Group("forward", arrow(self._beside(points, -apart), self.direction, colour)))
        if self.style.backward and a.wanted:
            way = self._beside(points, apart)[::-1]
            back = arrow(way, self.direction, "backward")
            shapes.append(Group("backward", [*back, *self._label(name)]))
        elif self.style.backward and not self.style.forward:
            shapes.append(Group("unused", arrow(points, self.direction, "faint", dashes=(4.0, 4.0))[:1]))
        return Group("arrow", shapes, {"source": a.source, "target": a.target})

    def _beside(self, points: list[Point], by: float) -> list[Point]:
        right = self.direction == "right"
        return [(x, y + by) if right else (x + by, y) for x, y in points]

    def _label(self, name: str) -> list[Any]:
        if name not in self.layout.labels:
            return []
        x, y = self.layout.labels[name]
        above, below = self.labels[name]
        (width, height), _, upper = self._room(name, True)  # type: ignore[misc]
        if self.direction == "down":
            both = column([above, below], 0.0)
            left = x - width / 2 + self._clear() + 4
            return [Group("label", [moved(s, left, y - both.height / 2) for s in both.shapes])]
        way, clear = y - height / 2 + upper, self._clear()
        shapes = [moved(s, x - above.width / 2, way - clear - above.height) for s in above.shapes]
        shapes += [moved(s, x - below.width / 2, way + clear) for s in below.shapes]
        return [Group("label", shapes)]
