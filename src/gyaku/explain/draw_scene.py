"""What a picture is made of before any file format: boxes, lines, curves, matrices of colours, text, in groups.

Colours are named by their meaning (the fields of ``base.look.Palette``), so that one scene is drawn on light and on
dark paper, as SVG, PDF, PNG and TikZ alike. x runs to the right and y downwards, in pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gyaku.explain.draw_text import Line
from gyaku.explain.layout_level import Point


@dataclass(frozen=True)
class Paint:
    """How a shape is coloured: ``fill`` and ``stroke`` name colours ("" for none); ``tint`` is the fill's strength."""

    stroke: str = ""
    fill: str = ""
    tint: float = 1.0
    width: float = 1.5
    dashes: tuple[float, ...] = ()


@dataclass(slots=True)
class Rect:
    """A box with rounded corners; (x, y) is its upper left corner."""

    x: float
    y: float
    width: float
    height: float
    paint: Paint
    radius: float = 0.0


@dataclass(slots=True)
class Stroke:
    """An open line: ``commands`` are ("M" | "L" | "C", points)."""

    commands: tuple[tuple[str, tuple[Point, ...]], ...]
    paint: Paint


@dataclass(slots=True)
class Polygon:
    """A filled shape with straight sides."""

    points: tuple[Point, ...]
    paint: Paint


@dataclass(slots=True)
class Write:
    """One line of text; ``anchor`` says what of it stands at x ("start", "middle", "end"), y is its base line."""

    x: float
    y: float
    line: Line
    size: float
    colour: str = "ink"
    anchor: str = "middle"


@dataclass(frozen=True, eq=False)
class Heat:
    """A small array as colours: ``cells`` (rows, columns) between -1 and 1."""

    x: float
    y: float
    width: float
    height: float
    cells: Any


@dataclass(frozen=True, eq=False)
class Group:
    """Shapes that belong together: ``kind`` names what they are, ``data`` is for pages, ``tip`` for the pointer."""

    kind: str
    shapes: list[Any] = field(default_factory=list)
    data: Mapping[str, str] = field(default_factory=dict)
    tip: str = ""

    def add(self, *shapes: Any) -> None:
        """Draw more shapes above those here."""
        self.shapes.extend(shapes)

    def flat(self) -> Iterator[Any]:
        """Return all shapes, those of groups inside it in their places."""
        for shape in self.shapes:
            if isinstance(shape, Group):
                yield from shape.flat()
            else:
                yield shape

    def groups(self, kind: str) -> Iterator[Group]:
        """Return the groups of one kind inside this one."""
        for shape in self.shapes:
            if isinstance(shape, Group):
                if shape.kind == kind:
                    yield shape
                yield from shape.groups(kind)


@dataclass(frozen=True, eq=False)
class Scene:
    """A finished picture: its size, what is on it, and what it shows in words (for those who cannot see it).

    ``margin`` is kept free on all sides, so that the upper left corner of the paper is (-margin, -margin).
    """

    width: float
    height: float
    root: Group
    title: str = ""
    margin: float = 0.0


def moved(shape: Any, dx: float, dy: float) -> Any:
    """Return a shape at another place."""
    if not dx and not dy:
        return shape
    if isinstance(shape, Group):
        return Group(shape.kind, [moved(s, dx, dy) for s in shape.shapes], shape.data, shape.tip)
    if isinstance(shape, Write):
        return Write(shape.x + dx, shape.y + dy, shape.line, shape.size, shape.colour, shape.anchor)
    if isinstance(shape, Stroke):
        commands = tuple([(c, tuple([(x + dx, y + dy) for x, y in points])) for c, points in shape.commands])
        return Stroke(commands, shape.paint)
    if isinstance(shape, Polygon):
        return Polygon(tuple((x + dx, y + dy) for x, y in shape.points), shape.paint)
    return replace(shape, x=shape.x + dx, y=shape.y + dy)


def curve(points: list[Point], direction: str) -> tuple[tuple[str, tuple[Point, ...]], ...]:
    """Return the commands of an arrow's way: straight where it is level, else S-shaped along the flow."""
    commands: list[tuple[str, tuple[Point, ...]]] = [("M", (points[0],))]
    level = 1 if direction == "right" else 0
    for (ax, ay), (bx, by) in zip(points, points[1:], strict=False):
        if abs((ax, ay)[level] - (bx, by)[level]) < 0.05:
            commands.append(("L", ((bx, by),)))
        elif level:
            commands.append(("C", (((ax + bx) / 2, ay), ((ax + bx) / 2, by), (bx, by))))
        else:
            commands.append(("C", ((ax, (ay + by) / 2), (bx, (ay + by) / 2), (bx, by))))
    return tuple(commands)


def arrow(
    points: list[Point], direction: str, colour: str, *, width: float = 1.8, dashes: tuple[float, ...] = ()
) -> list[Any]:
    """Return an arrow along points, its head at the last one: a curve and a triangle."""
    (px, py), (x, y) = points[-2], points[-1]
    flow = (1.0, 0.0) if direction == "right" else (0.0, 1.0)
    turned = (x - px) * flow[0] + (y - py) * flow[1] < 0
    ux, uy = (-flow[0], -flow[1]) if turned else flow
    length, half = 10.0, 5.0
    back = (x - ux * length, y - uy * length)
    head = ((x, y), (back[0] - uy * half, back[1] + ux * half), (back[0] + uy * half, back[1] - ux * half))
    stop = (x - ux * (length - 1), y - uy * (length - 1))
    return [
        Stroke(curve([*points[:-1], stop], direction), Paint(stroke=colour, width=width, dashes=dashes)),
        Polygon(head, Paint(fill=colour)),
    ]
