"""Paths from the output back to an item: products along each, and their sum, without enumerating what is countless."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gyaku.base.errors import GraphError
from gyaku.explain.model import Arrow, Explanation, Item, Path, Paths

Array = Any
_BEAM = 64  # ways kept at each item when paths of arrays are too many to list


class _Way(NamedTuple):
    """The beginning of a path: arrows walked so far, and what they bring."""

    size: float
    product: Array
    arrows: tuple[Arrow, ...]


@np.errstate(all="ignore")  # products of infinities are told, not warned of
def find_paths(explanation: Explanation, item: Item, limit: int, largest: int) -> Paths:
    """Return the paths from the output back to ``item``.

    The number of paths and their total come from one pass over the arrows. The ways themselves are followed item by
    item, keeping the largest so far: for numbers the largest products are found surely (a longer way multiplies both
    of two ways by the same number); for arrays, beyond ``limit`` paths, the choice is by norm and may miss one.
    """
    if item.kind == "constant":
        raise GraphError("paths", "a value that wants its gradient", f"the constant {item.symbol}")
    behind = _between(explanation, item.key)
    counts = _counts(explanation, behind)
    count = counts.get(item.key, 0)
    scalar = all(a.scalar for arrows in behind.values() for a in arrows)
    keep = limit if count <= limit else largest if scalar else max(_BEAM, largest)
    ways = _ways(explanation, behind, keep).get(item.key, [])
    total = _total(explanation, behind, item)
    shown = ways if count <= limit else sorted(ways, key=lambda way: -way.size)[:largest]
    paths = tuple([_path(explanation.output, way) for way in shown])
    rest = None if count <= limit else total - sum(p.product for p in paths)
    return Paths(
        item.key,
        paths,
        count,
        np.asarray(total),
        None if rest is None else np.asarray(rest),
        exact=scalar or count <= keep,
    )


def _between(explanation: Explanation, key: str) -> dict[str, list[Arrow]]:
    """Return the arrows that lie on paths from the output to ``key``, by target, outputs first."""
    leads = {key}
    behind: dict[str, list[Arrow]] = {}
    for item in explanation.items:
        into = [a for a in item.arrows if a.wanted and a.source in leads]
        if into and item.key != key:
            leads.add(item.key)
            behind[item.key] = into
    return dict(reversed(behind.items()))


def _counts(explanation: Explanation, behind: dict[str, list[Arrow]]) -> dict[str, int]:
    counts = {explanation.output: 1}
    for key, arrows in behind.items():
        for arrow in arrows if key in counts else ():
            counts[arrow.source] = counts.get(arrow.source, 0) + counts[key]
    return counts


def _start(explanation: Explanation) -> Array:
    delta = explanation.result.delta
    if delta is None:
        raise GraphError("paths", "what arrives at the result", "none", hint=explanation.note("en") or "gradient=...")
    return delta


def _total(explanation: Explanation, behind: dict[str, list[Arrow]], item: Item) -> Array:
    """Return the sum over all paths, added up where they join."""
    arrived = {explanation.output: _start(explanation)}
    for key, arrows in behind.items():
        here = arrived.pop(key, None)
        for arrow in arrows if here is not None else ():
            brought = carried(arrow, here)
            before = arrived.get(arrow.source)
            arrived[arrow.source] = brought if before is None else before + brought
    return arrived.get(item.key, np.zeros(item.shape, dtype=item.dtype))


def _ways(explanation: Explanation, behind: dict[str, list[Arrow]], keep: int) -> dict[str, list[_Way]]:
    """Return at each item the ``keep`` largest ways to it, largest first."""
    start = _start(explanation)
    ways = {explanation.output: [_Way(_norm(start), start, ())]}
    for key, arrows in behind.items():
        for way in _largest(ways.pop(key, []), keep):
            for arrow in arrows:
                product = carried(arrow, way.product)
                ways.setdefault(arrow.source, []).append(_Way(_norm(product), product, (*way.arrows, arrow)))
    return {key: _largest(found, keep) for key, found in ways.items()}


def _largest(ways: list[_Way], keep: int) -> list[_Way]:
    return ways if len(ways) <= keep else sorted(ways, key=lambda way: -way.size)[:keep]


def _norm(x: Array) -> float:
    return float(np.sqrt(np.sum(np.square(np.abs(x), dtype=np.float64))))


def carried(arrow: Arrow, gy: Array) -> Array:
    """Return what ``gy`` at the target of an arrow brings to its source along this arrow."""
    target, source = arrow.shapes
    if isinstance(arrow.local, float):
        return np.reshape(gy * arrow.local, source)
    if arrow.local is not None:
        return np.tensordot(gy, arrow.local, axes=len(target))
    if arrow.pull is None:
        raise GraphError("paths", "arrows that know their rule", f"{arrow.source} -> {arrow.target} without")
    return arrow.pull(gy)


def _path(output: str, way: _Way) -> Path:
    keys = (output, *(a.source for a in way.arrows))
    return Path(keys, way.arrows, tuple([a.local for a in way.arrows]), np.asarray(way.product))
