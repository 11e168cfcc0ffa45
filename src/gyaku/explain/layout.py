"""The layout of a picture: boxes in layers along the flow, frames around modules, arrows led past the boxes.

A frame is laid out by itself and then stands in the level above as one box, so frames never cut through anything;
arrows that cross its border pass a gate there. Everything is deterministic and asks nobody but Python for anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gyaku.explain.layout_level import Link, Placed, Point, Spacing, Vertex, layered

DIRECTIONS = ("right", "down")


@dataclass(frozen=True)
class Box:
    """A thing to place: its size, and the path of frames around it, outermost first."""

    name: str
    width: float
    height: float
    frames: tuple[str, ...] = ()


@dataclass(frozen=True)
class Edge:
    """An arrow to lead from one box to another; ``label`` is the size of what is written on it.

    ``through`` says where the arrow passes its label: so far from its upper edge (flow to the right), or at its left
    edge (flow down). Arrows that are not ``main`` (from parameters and constants) give way: other chains are straight.
    """

    name: str
    tail: str
    head: str
    label: Point | None = None
    main: bool = True
    through: float = 0.0


@dataclass(frozen=True)
class Layout:
    """Where everything is: middles of boxes and labels, corner and size of frames, points of arrows, and the whole.

    The points of an arrow lie on it from tail to head; between two of them it runs straight where they are level in
    the direction of the flow, and otherwise as a curve that leaves and arrives in that direction.
    """

    width: float
    height: float
    boxes: dict[str, Point]
    frames: dict[str, tuple[float, float, float, float]]
    ways: dict[str, list[Point]]
    labels: dict[str, Point]
    direction: str = "right"


# A piece of an arrow on one level: where it starts and ends (a box, a frame, or a gate of the level's own frame), the
# tail of the arrow (arrows of one tail share their way through gates), and the arrow's name on its last piece.
Key = tuple[str | int, str | int, str, str]
_IN, _OUT = -1, 1


@dataclass
class _Group:
    """One frame (or the whole picture): what stands directly in it, its arrows, and its finished layout."""

    name: str
    members: list[str] = field(default_factory=list)  # boxes and frames directly inside
    gates: dict[tuple[str, int], int] = field(default_factory=dict)  # (tail of the arrow, _IN or _OUT) -> vertex
    links: dict[Key, int] = field(default_factory=dict)
    placed: Placed = field(default_factory=lambda: Placed([], [], [], (0.0, 0.0)))


@dataclass(frozen=True)
class Border:
    """Room between a frame and what it holds: on all sides, and for its title."""

    pad: float = 14.0
    title: float = 26.0


def arrange(
    boxes: Sequence[Box], edges: Sequence[Edge], *, direction: str = "right", spacing: Spacing | None = None,
    border: Border | None = None,
) -> Layout:  # fmt: skip
    """Return the layout of boxes and arrows. ``direction`` is that of the flow, "right" or "down"."""
    return _Arrangement(boxes, edges, direction, spacing or Spacing(), border or Border()).layout()


class _Arrangement:
    def __init__(
        self, boxes: Sequence[Box], edges: Sequence[Edge], direction: str, spacing: Spacing, border: Border
    ) -> None:
        self.down = direction == "down"
        self.direction, self.spacing, self.border = direction, spacing, border
        self.boxes = {b.name: b for b in boxes}
        self.edges = [e for e in edges if e.tail != e.head]
        self.edge = {e.name: e for e in self.edges}
        self.groups: dict[str, _Group] = {"": _Group("")}
        for box in boxes:
            self._enter(box)
        self.pieces = {edge.name: self._pieces(edge) for edge in self.edges}
        self.frames: dict[str, tuple[float, float, float, float]] = {}
        self.at: dict[str, Point] = {}  # middles along and across
        self.corner: dict[str, Point] = {"": (0.0, 0.0)}  # of the inside of each group

    def _enter(self, box: Box) -> None:
        outer = ""
        for frame in box.frames:
            if frame not in self.groups:
                self.groups[frame] = _Group(frame)
                self.groups[outer].members.append(frame)
            outer = frame
        self.groups[outer].members.append(box.name)

    # --- arrows in pieces, one for each level that they run through ---

    def _pieces(self, edge: Edge) -> list[tuple[str, Key]]:
        """Return (group, key of the link in it) of each piece of an arrow, from tail to head."""
        tails, heads = self.boxes[edge.tail].frames, self.boxes[edge.head].frames
        common = 0
        while common < min(len(tails), len(heads)) and tails[common] == heads[common]:
            common += 1
        out, into = [edge.tail, *reversed(tails[common:])], [*heads[common:], edge.head]
        steps: list[tuple[str, Key]] = [
            (frame, (start, _OUT, edge.tail, "")) for start, frame in zip(out, out[1:], strict=False)
        ]
        steps.append((tails[common - 1] if common else "", (out[-1], into[0], edge.tail, "")))
        steps += [(frame, (_IN, end, edge.tail, "")) for frame, end in zip(into, into[1:], strict=False)]
        group, key = steps[-1]
        steps[-1] = (group, (*key[:3], edge.name))  # its last piece is its own, and carries the label
        for group, key in steps:
            self.groups[group].links.setdefault(key, len(self.groups[group].links))
        return steps

    # --- sizes from inside out ---

    def layout(self) -> Layout:
        """Lay out all levels and put them together."""
        self._place("")
        self._spread("")
        boxes = {name: self._xy(self.at[name]) for name in self.boxes}
        labels = {e.name: self._xy(p) for e in self.edges if (p := self._label(e)) is not None}
        ways = {e.name: [self._xy(p) for p in self._way(e)] for e in self.edges}
        width, height = self._xy(self.groups[""].placed.size)
        return Layout(width, height, boxes, self.frames, ways, labels, self.direction)

    def _xy(self, p: Point) -> Point:
        return (p[1], p[0]) if self.down else p

    def _place(self, name: str) -> Point:
        """Lay out a group, those inside it first; return its size along and across, with its border."""
        group = self.groups[name]
        vertices = [Vertex(*self._size(member)) for member in group.members]
        numbers = {member: i for i, member in enumerate(group.members)}
        for key in group.links:
            for end in key[:2]:
                if isinstance(end, int) and (key[2], end) not in group.gates:
                    group.gates[key[2], end] = len(vertices)
                    vertices.append(Vertex(0.0, 2.0, end))
        group.placed = layered(vertices, [self._link(group, key, numbers) for key in group.links], self.spacing)
        along, across = group.placed.size
        first, last, top, bottom = self._borders(name)
        return (first + along + last, top + across + bottom)

    def _link(self, group: _Group, key: Key, numbers: dict[str, int]) -> Link:
        tail, head, box, name = key
        edge = self.edge.get(name)
        ends = [numbers[end] if isinstance(end, str) else group.gates[box, end] for end in (tail, head)]
        size, shift = self._label_size(edge) if edge and edge.label else (None, 0.0)
        offsets = self._gate_offset(tail, _OUT, box), self._gate_offset(head, _IN, box)
        return Link(ends[0], ends[1], size, *offsets, edge.main if edge else True, shift)

    def _label_size(self, edge: Edge) -> tuple[Point, float]:
        """Return a label's size along and across, and where across it the arrow passes, from its middle."""
        width, height = edge.label or (0.0, 0.0)
        return ((height, width), -width / 2) if self.down else ((width, height), edge.through - height / 2)

    def _size(self, member: str) -> Point:
        if member in self.boxes:
            return self._xy((self.boxes[member].width, self.boxes[member].height))
        return self._place(member)

    def _borders(self, name: str) -> tuple[float, float, float, float]:
        """Return the border of a group: before and behind its inside along, above and below it across."""
        if not name:
            return (0.0, 0.0, 0.0, 0.0)
        pad, title = self.border.pad, self.border.title
        return (pad + title, pad, pad, pad) if self.down else (pad, pad, pad + title, pad)

    def _gate_offset(self, end: str | int, side: int, box: str) -> float | None:
        """Return where across a frame an arrow passes its border, from its middle; None at a box."""
        if isinstance(end, int) or end in self.boxes:
            return None
        group = self.groups[end]
        _, _, top, bottom = self._borders(end)
        across = group.placed.centres[group.gates[box, side]][1]
        return top + across - (top + group.placed.size[1] + bottom) / 2

    # --- places from outside in ---

    def _spread(self, name: str) -> None:
        """Give all members of a group their places in the picture."""
        group, (left, top) = self.groups[name], self.corner[name]
        for member, (along, across) in zip(group.members, group.placed.centres, strict=False):
            self.at[member] = (left + along, top + across)
            if member in self.groups:
                self._frame(member)

    def _frame(self, name: str) -> None:
        first, last, top, bottom = self._borders(name)
        placed = self.groups[name].placed
        along, across = first + placed.size[0] + last, top + placed.size[1] + bottom
        corner = (self.at[name][0] - along / 2, self.at[name][1] - across / 2)
        self.frames[name] = (*self._xy(corner), *self._xy((along, across)))
        self.corner[name] = (corner[0] + first, corner[1] + top)
        self._spread(name)

    def _way(self, edge: Edge) -> Iterable[Point]:
        """Return the points of an arrow through all levels; between two levels it crosses a border straight."""
        for name, key in self.pieces[edge.name]:
            group, (left, top) = self.groups[name], self.corner[name]
            yield from ((left + a, top + b) for a, b in group.placed.ways[group.links[key]])

    def _label(self, edge: Edge) -> Point | None:
        name, key = self.pieces[edge.name][-1]
        group, (left, top) = self.groups[name], self.corner[name]
        label = group.placed.labels[group.links[key]]
        return None if label is None else (left + label[0], top + label[1])
