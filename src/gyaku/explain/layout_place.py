"""Where the vertices of a layered graph stand across the flow: straight chains first, then balance.

After Brandes and Köpf (2002): four times (from both ends, from both sides) vertices are aligned with a median
neighbour, chains so made are packed, and the mean of the two middle places is taken. Here the alignment is by weight
(a heavy segment is never bent for a light one, so that inner parts of long arrows and main chains stay straight), the
places where arrows meet their boxes count, and a last sweep moves chains to where their neighbours are.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Segment:
    """A piece of an arrow between neighbouring layers; offsets say where it meets its vertices, from their middle."""

    upper: int
    lower: int
    weight: int = 1
    upper_offset: float = 0.0
    lower_offset: float = 0.0


@dataclass
class Layers:
    """Vertices by layer in their order, with sizes across the flow, and the segments between neighbouring layers."""

    layers: list[list[int]]
    sizes: Sequence[float]
    segments: list[Segment]
    gap: float = 20.0
    thin: frozenset[int] = frozenset()  # vertices of no width (parts of long arrows), which may stand nearer
    above: list[list[Segment]] = field(init=False)
    below: list[list[Segment]] = field(init=False)
    spot: list[int] = field(init=False)  # each vertex's place in its layer
    layer_of: list[int] = field(init=False)

    def __post_init__(self) -> None:
        n = len(self.sizes)
        self.above, self.below, self.spot = [[] for _ in range(n)], [[] for _ in range(n)], [0] * n
        self.layer_of = [0] * n
        for number, layer in enumerate(self.layers):
            for i, v in enumerate(layer):
                self.spot[v], self.layer_of[v] = i, number
        for s in self.segments:
            self.above[s.lower].append(s)
            self.below[s.upper].append(s)

    def apart(self, a: int, b: int) -> float:
        """Return how far the middles of two neighbours of a layer must be apart."""
        gap = self.gap * (0.5 if a in self.thin or b in self.thin else 1.0)
        return (self.sizes[a] + self.sizes[b]) / 2 + gap


def place(graph: Layers) -> list[float]:
    """Return the coordinate of each vertex across the flow; neighbours of a layer keep their order and distance."""
    found = []
    for downward in (True, False):
        candidates = _candidates(graph, downward)
        for left in (True, False):
            root, shift = _aligned(graph, candidates, left)
            found.append(_packed(graph, root, shift, left))
    return _settled(graph, _balanced(found))


def _candidates(graph: Layers, downward: bool) -> list[list[Segment]]:
    """Return for each layer the segments that lead from its vertices to their median neighbours, left and right."""
    plan: list[list[Segment]] = []
    for layer in graph.layers:
        row = []
        for v in layer:
            segments = graph.above[v] if downward else graph.below[v]
            top = max((s.weight for s in segments), default=0)
            ends = sorted((s for s in segments if s.weight == top), key=lambda s: _other(graph, s, downward))
            row += [] if not ends else [ends[(len(ends) - 1) // 2], ends[len(ends) // 2]]
        plan.append(row)
    return plan


def _other(graph: Layers, s: Segment, downward: bool) -> tuple[int, float]:
    return (graph.spot[s.upper], s.upper_offset) if downward else (graph.spot[s.lower], s.lower_offset)


def _aligned(graph: Layers, candidates: list[list[Segment]], left: bool) -> tuple[list[int], list[float]]:
    """Choose segments that cross none chosen, heavy ones first; return each vertex's chain and its place in it."""
    n = len(graph.sizes)
    down: list[Segment | None] = [None] * n
    has_up = [False] * n
    spot = graph.spot
    for row in candidates:
        chosen: list[tuple[int, int]] = []
        side = 1 if left else -1
        for s in sorted(row, key=lambda s: (-s.weight, side * spot[s.lower], side * spot[s.upper])):
            if has_up[s.lower] or down[s.upper] is not None:
                continue
            pair = (spot[s.upper], spot[s.lower])
            at = bisect(chosen, pair)
            fits = (at == 0 or chosen[at - 1][1] < pair[1]) and (at == len(chosen) or chosen[at][1] > pair[1])
            if fits:
                chosen.insert(at, pair)
                down[s.upper], has_up[s.lower] = s, True
    return _chains(n, down, has_up)


def _chains(n: int, down: list[Segment | None], has_up: list[bool]) -> tuple[list[int], list[float]]:
    root, shift = list(range(n)), [0.0] * n
    for v in (v for v in range(n) if not has_up[v]):
        at, moved = v, 0.0
        while (s := down[at]) is not None:
            moved += s.upper_offset - s.lower_offset
            at = s.lower
            root[at], shift[at] = v, moved
    return root, shift


def _packed(graph: Layers, root: list[int], shift: list[float], left: bool) -> list[float]:
    """Return places with every chain as far to one side as it can go, then pulled back where it is free."""
    after: dict[int, dict[int, float]] = {r: {} for r in set(root)}
    before: dict[int, dict[int, float]] = {r: {} for r in after}
    for layer in graph.layers:
        for a, b in zip(layer, layer[1:], strict=False):
            need = shift[a] + graph.apart(a, b) - shift[b]
            ra, rb = root[a], root[b]
            if need > after[ra].get(rb, float("-inf")):
                after[ra][rb] = before[rb][ra] = need
    order = _sorted(after, before) if left else _sorted(before, after)
    ahead, behind, sign = (before, after, 1) if left else (after, before, -1)
    x: dict[int, float] = {}
    for r in order:
        x[r] = max((x[p] + need for p, need in ahead[r].items()), default=0.0)
    for r in reversed(order):
        if behind[r]:
            x[r] = max(x[r], min(x[s] - need for s, need in behind[r].items()))
    return [sign * x[root[v]] + shift[v] for v in range(len(root))]


def _sorted(after: dict[int, dict[int, float]], before: dict[int, dict[int, float]]) -> list[int]:
    """Return the chains from one side to the other."""
    left = {r: len(before[r]) for r in after}
    ready = sorted(r for r in after if not left[r])
    for r in ready:
        for s in sorted(after[r]):
            left[s] -= 1
            if not left[s]:
                ready.append(s)
    return ready


def _balanced(found: list[list[float]]) -> list[float]:
    """Return the mean of the two middle ones of four layouts, each moved onto the narrowest."""
    spans = [(max(x) - min(x), i) for i, x in enumerate(found)]
    narrow = found[min(spans)[1]]
    moved = []
    for i, x in enumerate(found):
        by = min(narrow) - min(x) if i % 2 == 0 else max(narrow) - max(x)
        moved.append([value + by for value in x])
    return [sum(sorted(four)[1:3]) / 2 for four in zip(*moved, strict=True)]


def _settled(graph: Layers, x: list[float], sweeps: int = 8) -> list[float]:
    """Move chains that are straight now, one by one, to the weighted median of what they are tied to."""
    chains = _straight(graph, x)
    for sweep in range(sweeps):
        moved = 0.0
        for chain in chains if sweep % 2 == 0 else reversed(chains):
            moved = max(moved, abs(_nudge(graph, x, chain)))
        if moved < 0.5:
            break
    return x


def _straight(graph: Layers, x: list[float]) -> list[list[int]]:
    """Return the sets of vertices that straight segments tie together, with single ones."""
    root = list(range(len(x)))

    def find(v: int) -> int:
        while root[v] != v:
            root[v] = root[root[v]]
            v = root[v]
        return v

    for s in graph.segments:
        if abs(x[s.upper] + s.upper_offset - x[s.lower] - s.lower_offset) < 0.01:
            root[find(s.lower)] = find(s.upper)
    chains: dict[int, list[int]] = {}
    for layer in graph.layers:
        for v in layer:
            chains.setdefault(find(v), []).append(v)
    return list(chains.values())


def _nudge(graph: Layers, x: list[float], chain: list[int]) -> float:
    """Move one chain as far towards its neighbours as the others allow, and return how far it went."""
    inside = set(chain)
    pulls: list[tuple[float, int]] = []
    low, high = float("-inf"), float("inf")
    for v in chain:
        pulls += [
            (x[s.upper] + s.upper_offset - s.lower_offset - x[v], s.weight)
            for s in graph.above[v]
            if s.upper not in inside
        ]
        pulls += [
            (x[s.lower] + s.lower_offset - s.upper_offset - x[v], s.weight)
            for s in graph.below[v]
            if s.lower not in inside
        ]
        layer, i = graph.layers[graph.layer_of[v]], graph.spot[v]
        if i and layer[i - 1] not in inside:
            low = max(low, x[layer[i - 1]] + graph.apart(layer[i - 1], v) - x[v])
        if i + 1 < len(layer) and layer[i + 1] not in inside:
            high = min(high, x[layer[i + 1]] - graph.apart(v, layer[i + 1]) - x[v])
    if not pulls:
        return 0.0
    by = min(max(_median(pulls), low), high)
    if by and low <= high:
        for v in chain:
            x[v] += by
        return by
    return 0.0


def _median(pulls: list[tuple[float, int]]) -> float:
    """Return the middle of the weighted medians."""
    ordered = sorted(pulls)
    half = sum(weight for _, weight in ordered) / 2
    seen, low = 0, None
    for value, weight in ordered:
        seen += weight
        if low is None and seen >= half:
            low = value
        if seen > half:
            return (low + value) / 2 if low is not None else value
    return ordered[-1][0]
