"""The order of vertices inside their layers: few crossings, found by medians and exchanges of neighbours."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence

Links = Sequence[Sequence[int]]


def ordered(layers: list[list[int]], above: Links, below: Links, sweeps: int = 12) -> list[list[int]]:
    """Return the layers with their vertices in an order of few crossings; the given order breaks ties.

    ``above[v]`` and ``below[v]`` are the neighbours of a vertex in the layers before and after its own.
    """
    best, fewest = [list(layer) for layer in layers], crossings(layers, below)
    trial = [list(layer) for layer in layers]
    idle = 0
    for sweep in range(sweeps):
        if not fewest or idle > 3:
            break
        _sweep(trial, above if sweep % 2 == 0 else below, sweep % 2 == 0)
        _exchange(trial, above, below)
        now = crossings(trial, below)
        idle = 0 if now < fewest else idle + 1
        if now < fewest:
            best, fewest = [list(layer) for layer in trial], now
    return best


def crossings(layers: list[list[int]], below: Links) -> int:
    """Return how many pairs of segments cross."""
    total = 0
    for upper, lower in zip(layers, layers[1:], strict=False):
        spot = {v: i for i, v in enumerate(lower)}
        seen: list[int] = []
        for v in upper:
            ends = sorted(spot[w] for w in below[v])
            total += sum(len(seen) - bisect_right(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
    return total


def _sweep(layers: list[list[int]], links: Links, downward: bool) -> None:
    """Sort each layer by the mean place of its neighbours in the layer before; those without stay where they are."""
    order = range(1, len(layers)) if downward else range(len(layers) - 2, -1, -1)
    for i in order:
        fixed = layers[i - 1 if downward else i + 1]
        spot = {v: place for place, v in enumerate(fixed)}
        layer = layers[i]
        free = [(_mean([spot[w] for w in links[v]]), at, v) for at, v in enumerate(layer) if links[v]]
        placed = iter([v for _, _, v in sorted(free)])
        layers[i] = [next(placed) if links[v] else v for v in layer]


def _mean(places: list[int]) -> float:
    """Return the median, drawn to the mean where two middle ones differ."""
    places.sort()
    n = len(places)
    middle = places[n // 2] if n % 2 else (places[n // 2 - 1] + places[n // 2]) / 2
    return middle + 0.001 * sum(places) / n


def _exchange(layers: list[list[int]], above: Links, below: Links, rounds: int = 4) -> None:
    """Exchange neighbours as long as that takes crossings away."""
    for _ in range(rounds):
        better = False
        for i, layer in enumerate(layers):
            sides = [_spots(layers, i - 1, above, layer), _spots(layers, i + 1, below, layer)]
            for at in range(len(layer) - 1):
                a, b = layer[at], layer[at + 1]
                if sum(_cross(s[a], s[b]) - _cross(s[b], s[a]) for s in sides) > 0:
                    layer[at], layer[at + 1] = b, a
                    better = True
        if not better:
            return


def _spots(layers: list[list[int]], other: int, links: Links, layer: list[int]) -> dict[int, list[int]]:
    spot = {v: i for i, v in enumerate(layers[other])} if 0 <= other < len(layers) else {}
    return {v: sorted(spot[w] for w in links[v]) if spot else [] for v in layer}


def _cross(left: list[int], right: list[int]) -> int:
    """Return the crossings between the segments of two neighbours, the first on the left."""
    return sum(bisect_left(right, end) for end in left)
