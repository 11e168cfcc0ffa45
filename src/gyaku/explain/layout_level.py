"""One level of a layered drawing: layers, parts of long arrows, order, places, and the way of each arrow.

After Sugiyama, Tagawa and Toda (1981). A label on an arrow is a vertex of its own, in a layer between those of the
boxes (as in Gansner and others, 1993), so that it can cover neither a box nor another label. Coordinates run ``along``
the flow and ``across`` it; whoever calls turns them into x and y.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gyaku.explain.layout_order import ordered
from gyaku.explain.layout_place import Layers, Segment, place

Point = tuple[float, float]
_LONG, _MAIN, _SIDE = 8, 3, 1  # weights of segments: inside long arrows, between results, from leaves and into skips
_LANE = 12.0  # kept free for a long arrow that passes a layer
_SLOPE = 0.3  # how much wider a gap is made for each unit that an arrow climbs in it


@dataclass(frozen=True)
class Vertex:
    """A box to place. ``pinned`` is -1 (before all others), 1 (behind all others) or 0."""

    along: float
    across: float
    pinned: int = 0


@dataclass(frozen=True)
class Link:
    """An arrow between vertices by number; the offsets, where given, say where across the flow it meets its boxes.

    ``label`` is the size of the label along and across (None for none), ``label_offset`` where across the label the
    arrow passes, from the label's middle.
    """

    tail: int
    head: int
    label: Point | None = None
    tail_offset: float | None = None
    head_offset: float | None = None
    main: bool = True
    label_offset: float = 0.0


@dataclass(frozen=True)
class Placed:
    """Middles of the vertices, the ways of the links (points with level tangents, from tail to head), middles of the
    labels, and the extent."""

    centres: list[Point]
    ways: list[list[Point]]
    labels: list[Point | None]
    size: Point


@dataclass(frozen=True)
class Spacing:
    """Distances: between boxes of a layer, between layers, around labels, and of the ends of arrows at one box."""

    across: float = 22.0
    along: float = 46.0
    label: float = 22.0
    fan: float = 9.0


def layered(vertices: Sequence[Vertex], links: Sequence[Link], spacing: Spacing | None = None) -> Placed:
    """Place boxes in layers along the flow and lead the arrows between them. Cycles are opened, not refused."""
    if not vertices:
        return Placed([], [], [], (0.0, 0.0))
    return _Level(vertices, links, spacing or Spacing()).placed()


def _forward(n: int, links: Sequence[Link]) -> list[bool]:
    """Return for each link whether it runs forward once cycles are opened by turning the links that close them."""
    out: list[list[int]] = [[] for _ in range(n)]
    for i, link in enumerate(links):
        out[link.tail].append(i)
    state = [0] * n  # 0 new, 1 on the way, 2 done
    forward = [True] * len(links)
    for start in range(n):
        stack = [(start, iter(out[start]))] if not state[start] else []
        state[start] = state[start] or 1
        while stack:
            v, rest = stack[-1]
            i = next(rest, -1)
            if i < 0:
                state[v] = 2
                stack.pop()
                continue
            w = links[i].head
            if state[w] == 1:
                forward[i] = False
            elif not state[w]:
                state[w] = 1
                stack.append((w, iter(out[w])))
    return forward


def ranks(n: int, arcs: Sequence[tuple[int, int]], pinned: Sequence[int]) -> list[int]:
    """Return the layer of each vertex: as early as can be, but what only waits for one use stands just before it."""
    above: list[list[int]] = [[] for _ in range(n)]
    below: list[list[int]] = [[] for _ in range(n)]
    for tail, head in arcs:
        above[head].append(tail)
        below[tail].append(head)
    order = _topological(n, above, below)
    rank = [0] * n
    for v in order:
        rank[v] = max((rank[u] + 1 for u in above[v]), default=0)
    loose = [False] * n
    for v in order:
        loose[v] = not pinned[v] and all(loose[u] and len(below[u]) == 1 for u in above[v])
    for v in reversed(order):
        if loose[v] and below[v]:
            rank[v] = max(rank[v], min(rank[w] for w in below[v]) - 1)
    last = max((rank[v] for v in range(n) if pinned[v] <= 0), default=0)
    return [last + 1 if pinned[v] > 0 else rank[v] for v in range(n)]


def _topological(n: int, above: list[list[int]], below: list[list[int]]) -> list[int]:
    waiting = [len(a) for a in above]
    ready = [v for v in range(n) if not waiting[v]]
    for v in ready:
        for w in below[v]:
            waiting[w] -= 1
            if not waiting[w]:
                ready.append(w)
    return ready


class _Level:
    """The state of one layout: vertices (boxes first, then parts of arrows), layers, places."""

    def __init__(self, vertices: Sequence[Vertex], links: Sequence[Link], spacing: Spacing) -> None:
        self.vertices, self.links, self.spacing = vertices, links, spacing
        self.forward = _forward(len(vertices), links)
        self.ends = [
            (link.tail, link.head) if f else (link.head, link.tail) for link, f in zip(links, self.forward, strict=True)
        ]
        self.along = [v.along for v in vertices]
        self.across = [v.across for v in vertices]
        self.labelled: dict[int, int] = {}  # vertex of a label -> its link
        self.thin: set[int] = set()
        self._rank()
        self.chains = [self._chain(i) for i in range(len(links))]
        self._order()

    def _rank(self) -> None:
        arcs = [(tail, head) for tail, head in self.ends if tail != head]
        found = ranks(len(self.vertices), arcs, [v.pinned for v in self.vertices])
        between = any(link.label for link in self.links)
        self.rank = [2 * r for r in found] if between else found
        self.layers: list[list[int]] = [[] for _ in range(max(self.rank) + 1)]

    def _chain(self, number: int) -> list[int]:
        """Return the vertices of a link from tail to head, with new ones for the layers that it passes."""
        tail, head = self.ends[number]
        label = self.links[number].label
        inner = range(self.rank[tail] + 1, self.rank[head])
        at = self._label_rank(inner) if label else -1
        chain = [tail]
        for r in inner:
            chain.append(len(self.along))
            self.rank.append(r)
            if r == at and label:
                self.labelled[chain[-1]] = number
                self.along.append(label[0])
                self.across.append(label[1])
            else:
                self.thin.add(chain[-1])
                self.along.append(0.0)
                self.across.append(_LANE)
        return [*chain, head]

    @staticmethod
    def _label_rank(inner: range) -> int:
        """Return the layer for a label: the odd one nearest to the middle."""
        odd = [r for r in inner if r % 2]
        return odd[len(odd) // 2] if odd else -1

    def _order(self) -> None:
        n = len(self.along)
        above: list[list[int]] = [[] for _ in range(n)]
        below: list[list[int]] = [[] for _ in range(n)]
        for chain in self.chains:
            for a, b in zip(chain, chain[1:], strict=False):
                above[b].append(a)
                below[a].append(b)
        for v in self._walk(above, self._light()):
            self.layers[self.rank[v]].append(v)
        self.layers = ordered([layer for layer in self.layers if layer], above, below)
        self.spot = {v: i for layer in self.layers for i, v in enumerate(layer)}
        self.layer_of = {v: number for number, layer in enumerate(self.layers) for v in layer}

    def _light(self) -> set[tuple[int, int]]:
        """Return the last steps of the links that give way: (vertex, its end)."""
        links = zip(self.chains, self.links, strict=True)
        return {(chain[-2], chain[-1]) for chain, link in links if len(chain) > 1 and not link.main}

    def _walk(self, above: list[list[int]], light: set[tuple[int, int]]) -> list[int]:
        """Return all vertices depth first from the results, main inputs first: a first order with few crossings."""
        n = len(above)
        above = [sorted(ends, key=lambda u, v=v: (u, v) in light) for v, ends in enumerate(above)]  # type: ignore[misc]
        below = [0] * n
        for ends in above:
            for u in ends:
                below[u] += 1
        seen, found = [False] * n, []
        for start in [v for v in range(n) if not below[v]] + list(range(n)):
            stack = [start]
            while stack:
                v = stack.pop()
                if not seen[v]:
                    seen[v] = True
                    found.append(v)
                    stack += reversed(above[v])
        return found

    # --- where arrows meet boxes ---

    def _segments(self) -> list[Segment]:
        self.offsets = self._fans()
        found = []
        for number, chain in enumerate(self.chains):
            weight = self._weight(number, chain)
            for i, (a, b) in enumerate(zip(chain, chain[1:], strict=False)):
                inside = 0 < i < len(chain) - 2
                found.append(Segment(a, b, _LONG if inside else weight, *self._at(number, chain, i)))
        return found

    def _weight(self, number: int, chain: list[int]) -> int:
        span = len(chain) - 1
        short = span <= (2 if self.labelled else 1)
        return _MAIN if short and self.links[number].main else _SIDE

    def _at(self, number: int, chain: list[int], i: int) -> tuple[float, float]:
        """Return the offsets of segment ``i`` of a link at its upper and its lower vertex."""
        tail, head = self.offsets[number]
        passing = self.links[number].label_offset
        upper = tail if i == 0 else passing if chain[i] in self.labelled else 0.0
        lower = head if i == len(chain) - 2 else passing if chain[i + 1] in self.labelled else 0.0
        return upper, lower

    def _fans(self) -> list[tuple[float, float]]:
        """Return where each link leaves its tail and meets its head: given, or fanned out around the heaviest."""
        offsets = [[0.0, 0.0] for _ in self.links]
        for end in (0, 1):
            for v, numbers in self._at_box(end).items():
                for number, offset in self._fan(v, numbers, end):
                    given = self._given(number, end)
                    offsets[number][end] = offset if given is None else given
        return [(tail, head) for tail, head in offsets]

    def _given(self, number: int, end: int) -> float | None:
        link = self.links[number]
        return link.tail_offset if (end == 0) == self.forward[number] else link.head_offset

    def _at_box(self, end: int) -> dict[int, list[int]]:
        boxes: dict[int, list[int]] = {}
        for number, chain in enumerate(self.chains):
            if len(chain) > 1 and chain[0] != chain[-1]:
                boxes.setdefault(chain[-1] if end else chain[0], []).append(number)
        return boxes

    def _fan(self, v: int, numbers: list[int], end: int) -> list[tuple[int, float]]:
        step = 1 if end == 0 else -2
        numbers = sorted(numbers, key=lambda i: (self.spot[self.chains[i][step]], i))
        weights = [self._weight(i, self.chains[i]) for i in numbers]
        room = max(0.0, min(self.spacing.fan, (self.across[v] - 8) / len(numbers)))
        heavy = [at for at, w in enumerate(weights) if w == max(weights)]
        middle = heavy[0] if len(heavy) == 1 else (len(numbers) - 1) / 2
        return [(number, (at - middle) * room) for at, number in enumerate(numbers)]

    # --- coordinates ---

    def placed(self) -> Placed:
        """Return the finished level."""
        segments = self._segments()
        graph = Layers(self.layers, self.across, segments, self.spacing.across, frozenset(self.thin))
        y = place(graph)
        x, length = self._columns(y, segments)
        top = min(y[v] - self.across[v] / 2 for v in range(len(y)))
        y = [value - top for value in y]
        height = max(y[v] + self.across[v] / 2 for v in range(len(y)))
        middle = [x[self.layer_of[v]] for v in range(len(y))]
        centres = [(middle[v], y[v]) for v in range(len(self.vertices))]
        ways = [self._way(number, middle, y) for number in range(len(self.links))]
        labels: list[Point | None] = [None] * len(self.links)
        for v, number in self.labelled.items():
            labels[number] = (middle[v], y[v])
        return Placed(centres, ways, labels, (length, height))

    def _columns(self, y: list[float], segments: list[Segment]) -> tuple[list[float], float]:
        """Return the middle of each layer along the flow, and the length of all; steep arrows widen the gap."""
        widths = [max(self.along[v] for v in layer) for layer in self.layers]
        self.widths = widths
        climb = [0.0] * len(self.layers)
        for s in segments:
            rise = abs(y[s.upper] + s.upper_offset - y[s.lower] - s.lower_offset)
            climb[self.layer_of[s.upper]] = max(climb[self.layer_of[s.upper]], rise)
        base = self.spacing.label if self.labelled else self.spacing.along
        middles, at = [], 0.0
        for i, width in enumerate(widths):
            middles.append(at + width / 2)
            at += width + (max(base, min(_SLOPE * climb[i] + base / 2, base + 60)) if i + 1 < len(widths) else 0.0)
        return middles, at

    def _way(self, number: int, x: list[float], y: list[float]) -> list[Point]:
        """Return the points of a link: level through each layer, bent only in the gaps between layers."""
        chain = self.chains[number]
        points: list[Point] = []
        for i, v in enumerate(chain):
            width = self.widths[self.layer_of[v]] / 2
            own = self.along[v] / 2 if v < len(self.vertices) else width
            upper = self._at(number, chain, i)[0] if i + 1 < len(chain) else 0.0
            lower = self._at(number, chain, i - 1)[1] if i else 0.0
            if i:
                points += [(x[v] - width, y[v] + lower), (x[v] - own, y[v] + lower)]
            if 0 < i < len(chain) - 1:
                points += [(x[v] + own, y[v] + upper)]
            if i + 1 < len(chain):
                points += [(x[v] + own, y[v] + upper), (x[v] + width, y[v] + upper)]
        points = [p for i, p in enumerate(points) if i == 0 or p != points[i - 1]]
        return points if self.forward[number] else points[::-1]
