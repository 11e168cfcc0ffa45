"""The layout: nothing covers anything, arrows go around boxes, frames hold what is theirs, always the same."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import pytest

from gyaku.explain.draw_scene import curve
from gyaku.explain.layout import Box, Edge, Layout, arrange
from gyaku.explain.layout_level import ranks
from gyaku.explain.layout_order import crossings, ordered
from gyaku.explain.layout_place import Layers, Segment, place

Rect = tuple[float, float, float, float]


def random_graph(seed: int, *, framed: bool = False) -> tuple[list[Box], list[Edge]]:
    """Boxes of all sizes in a random acyclic graph with labels, double arrows and (in runs of boxes) frames."""
    chance = random.Random(seed)
    n = chance.randint(2, 28)
    boxes = [
        Box(f"n{i}", chance.uniform(30, 200), chance.uniform(20, 120), frames_at(i // 4) if framed else ())
        for i in range(n)
    ]
    edges = []
    for i in range(1, n):
        for j in {chance.randrange(max(0, i - 7), i) for _ in range(chance.randint(1, 3))}:
            for copy in range(1 + (chance.random() < 0.1)):
                label = (chance.uniform(20, 190), chance.uniform(14, 46)) if chance.random() < 0.7 else None
                edges.append(Edge(f"{j}-{i}-{copy}", f"n{j}", f"n{i}", label, chance.random() < 0.6, 14.0))
    return boxes, edges


def frames_at(run: int) -> tuple[str, ...]:
    return ((), (f"m{run}",), (f"m{run - 1}", f"m{run - 1}.{run}"))[run % 3]


def around(x: float, y: float, width: float, height: float) -> Rect:
    return (x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def overlap(a: Rect, b: Rect, slack: float = 0.5) -> bool:
    return a[0] + slack < b[2] and b[0] + slack < a[2] and a[1] + slack < b[3] and b[1] + slack < a[3]


def rectangles(layout: Layout, boxes: list[Box], edges: list[Edge]) -> dict[str, Rect]:
    """All boxes and labels by name."""
    found = {b.name: around(*layout.boxes[b.name], b.width, b.height) for b in boxes}
    found |= {f"label {e.name}": around(*layout.labels[e.name], *e.label) for e in edges if e.label}
    return found


def on_the_way(layout: Layout, name: str) -> Iterator[tuple[float, float]]:
    """Points of an arrow, close to one another."""
    at = (0.0, 0.0)
    for command, points in curve(layout.ways[name], layout.direction):
        if command == "L":
            yield from (
                (at[0] + (points[0][0] - at[0]) * t / 8, at[1] + (points[0][1] - at[1]) * t / 8) for t in range(9)
            )
        elif command == "C":
            yield from (bezier((at, *points), t / 12) for t in range(13))
        at = points[-1]


def bezier(p: tuple[tuple[float, float], ...], t: float) -> tuple[float, float]:
    weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
    x, y = (sum(w * q[i] for w, q in zip(weights, p, strict=True)) for i in (0, 1))
    return x, y


@pytest.mark.parametrize("direction", ["right", "down"])
@pytest.mark.parametrize("framed", [False, True])
def test_boxes_and_labels_never_cover_one_another(direction: str, framed: bool) -> None:
    for seed in range(60):
        boxes, edges = random_graph(seed, framed=framed)
        layout = arrange(boxes, edges, direction=direction)
        found = rectangles(layout, boxes, edges)
        covered = [(a, b) for a, b in itertools.combinations(found, 2) if overlap(found[a], found[b])]
        assert covered == [], f"seed {seed}"


@pytest.mark.parametrize("direction", ["right", "down"])
def test_arrows_run_past_the_boxes_and_the_labels_of_others(direction: str) -> None:
    for seed in range(40):
        boxes, edges = random_graph(seed)
        layout = arrange(boxes, edges, direction=direction)
        found = rectangles(layout, boxes, edges)
        for edge in edges:
            others = {n: r for n, r in found.items() if n not in (edge.tail, edge.head, f"label {edge.name}")}
            for x, y in on_the_way(layout, edge.name):
                assert not [n for n, r in others.items() if r[0] + 1 < x < r[2] - 1 and r[1] + 1 < y < r[3] - 1]


def test_arrows_start_and_end_at_their_boxes() -> None:
    boxes, edges = random_graph(3)
    layout = arrange(boxes, edges)
    for edge in edges:
        tail, head = (
            around(*layout.boxes[b.name], b.width, b.height)
            for n in (edge.tail, edge.head)
            for b in boxes
            if b.name == n
        )
        (x0, y0), (x1, y1) = layout.ways[edge.name][0], layout.ways[edge.name][-1]
        assert x0 == pytest.approx(tail[2]) and tail[1] < y0 < tail[3]
        assert x1 == pytest.approx(head[0]) and head[1] < y1 < head[3]


def test_a_frame_holds_its_boxes_and_no_others() -> None:
    for seed in range(40):
        boxes, edges = random_graph(seed, framed=True)
        layout = arrange(boxes, edges)
        for name, (x, y, width, height) in layout.frames.items():
            frame = (x, y, x + width, y + height)
            for box in boxes:
                own = around(*layout.boxes[box.name], box.width, box.height)
                inside = frame[0] <= own[0] and own[2] <= frame[2] and frame[1] <= own[1] and own[3] <= frame[3]
                assert inside if name in box.frames else not overlap(frame, own), f"seed {seed}"


def test_everything_lies_on_the_paper() -> None:
    for seed in range(30):
        boxes, edges = random_graph(seed, framed=True)
        layout = arrange(boxes, edges)
        for x0, y0, x1, y1 in rectangles(layout, boxes, edges).values():
            assert x0 >= -0.01 and x1 <= layout.width + 0.01 and y0 >= -0.01 and y1 <= layout.height + 0.01


def test_the_same_graph_gives_the_same_layout() -> None:
    for seed in range(10):
        assert arrange(*random_graph(seed, framed=True)) == arrange(*random_graph(seed, framed=True))


def test_a_main_chain_is_straight_and_its_skip_runs_beside_it() -> None:
    names = ["x", "conv1", "relu", "conv2", "add"]
    boxes = [Box(n, 80, 40) for n in names] + [Box("W1", 50, 60), Box("W2", 50, 60)]
    edges = [Edge(b, a, b) for a, b in itertools.pairwise(names)]
    edges += [Edge("skip", "x", "add"), Edge("w1", "W1", "conv1", None, False), Edge("w2", "W2", "conv2", None, False)]
    layout = arrange(boxes, edges)
    assert len({layout.boxes[n][1] for n in names}) == 1
    middle = [y for x, y in layout.ways["skip"] if layout.boxes["conv1"][0] < x < layout.boxes["conv2"][0]]
    assert middle and all(abs(y - layout.boxes["relu"][1]) > 20 + 5 for y in middle)


def test_two_arrows_between_the_same_boxes_are_apart() -> None:
    boxes = [Box("x", 60, 40), Box("y", 60, 40)]
    layout = arrange(boxes, [Edge("a", "x", "y"), Edge("b", "x", "y")])
    assert abs(layout.ways["a"][0][1] - layout.ways["b"][0][1]) > 5
    layout = arrange(boxes, [Edge("a", "x", "y", (40, 20)), Edge("b", "x", "y", (40, 20))])
    assert abs(layout.labels["a"][1] - layout.labels["b"][1]) >= 20


def test_a_cycle_is_drawn_and_not_refused() -> None:
    boxes = [Box(n, 40, 30) for n in "abc"]
    layout = arrange(boxes, [Edge("1", "a", "b"), Edge("2", "b", "c"), Edge("3", "c", "a"), Edge("4", "a", "a")])
    assert set(layout.ways) == {"1", "2", "3"} and layout.ways["3"][0][0] > layout.ways["3"][-1][0]


def test_nothing_and_one_box() -> None:
    assert arrange([], []).boxes == {}
    one = arrange([Box("x", 60, 40)], [])
    assert (one.width, one.height, one.boxes["x"]) == (60, 40, (30, 20))


def test_a_leaf_stands_just_before_its_only_use() -> None:
    #      0 -> 1 -> 2 -> 3, and 4 -> 3, 5 -> 4 that wait
    assert ranks(6, [(0, 1), (1, 2), (2, 3), (4, 3), (5, 4)], [0] * 6) == [0, 1, 2, 3, 2, 1]


def test_order_takes_avoidable_crossings_away() -> None:
    above: list[list[int]] = [[], [], [], [2], [1], [0]]
    below = [[5], [4], [3], [], [], []]
    assert crossings([[0, 1, 2], [3, 4, 5]], below) == 3
    found = ordered([[0, 1, 2], [3, 4, 5]], above, below)
    assert crossings(found, below) == 0


def test_places_keep_order_and_distance_and_long_chains_straight() -> None:
    chance = random.Random(1)
    for _ in range(50):
        layers = [list(range(5 * i, 5 * i + chance.randint(1, 5))) for i in range(6)]
        sizes = [chance.uniform(5, 60) for _ in range(30)]
        pairs = [(chance.choice(a), chance.choice(b)) for a, b in itertools.pairwise(layers) for _ in range(4)]
        graph = Layers(layers, sizes, [Segment(u, v, chance.choice([1, 3])) for u, v in dict.fromkeys(pairs)], gap=10.0)
        x = place(graph)
        for layer in layers:
            for a, b in itertools.pairwise(layer):
                assert x[b] - x[a] >= (sizes[a] + sizes[b]) / 2 + 10 - 1e-6
    chain = Layers(
        [[0, 1], [2, 3], [4, 5]], [10.0] * 6, [Segment(0, 2), Segment(2, 4), Segment(1, 3, 8), Segment(3, 5, 8)]
    )
    x = place(chain)
    assert x[1] == pytest.approx(x[3]) == pytest.approx(x[5])
