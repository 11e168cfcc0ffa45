"""Coarser views of a graph: operations folded into one item by module, by name, or between tensors.

A view hides vertices. What stays visible keeps its place in the order, and an arrow into a visible item stands for all
ways through hidden vertices, with the Jacobian of all of them together: so the sum rule holds in every view.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from typing import Any

from gyaku.base.errors import ArgumentError
from gyaku.explain.arrows import LARGEST, MANY, arrows_through
from gyaku.explain.groups import Group, by_depth, by_line, by_module, by_number, deepest, merged
from gyaku.explain.labels import compose
from gyaku.explain.model import Arrow, Explanation, Item
from gyaku.explain.read import Vertex
from gyaku.explain.walk import region_of

_FEW = 8  # items below which a view tells too little


def folded(full: Explanation, fold: Any) -> Explanation:
    """Return the view of an unfolded explanation that ``fold`` asks for (see ``gyaku.explain``).

    Raises ``ArgumentError`` for a fold between tensors that no path joins, or of an unknown kind.
    """
    if fold is False or full.graph is None or (fold == "auto" and len(full.items) <= MANY):
        return full
    if fold == "auto":
        return _until_small(full)
    if fold == "names":
        return _view(full, _unnamed(full))
    if isinstance(fold, Mapping):
        return _view(full, [_between(full, name, *ends) for name, ends in fold.items()])
    if fold is True:
        return _view(full, by_module(full))
    if isinstance(fold, int):
        return _view(full, by_depth(full, fold))
    raise ArgumentError("explain", "fold as 'auto', 'names', True, False, a depth, or {name: (x, y)}", repr(fold))


def _until_small(full: Explanation) -> Explanation:
    """Return the finest view of at most ``MANY`` items that still shows something.

    By layers, then by modules at smaller and smaller depth; where that leaves next to nothing, neighbouring modules
    are put together instead; loose operations fold by line, or simply by number.
    """
    finer: list[Group] = by_module(full)
    levels = deepest(full)
    for depth in range(levels, -1, -1):
        groups = finer if depth == levels else by_depth(full, depth)
        view = _view(full, groups)
        if len(view.items) <= MANY:
            return view if len(view.items) >= _FEW or groups is finer else _view(full, merged(finer, MANY // 4))
        finer = groups
    few = merged(finer, MANY // 4)
    view = _view(full, few + by_line(full, few))
    return view if _FEW <= len(view.items) <= MANY else _view(full, few + by_number(full, few, MANY // 4))


def _view(full: Explanation, groups: list[Group]) -> Explanation:
    """Return the view in which each group is one item (one for each of its values that is used elsewhere)."""
    owner = _owners(groups)
    hidden = _hidden(full, owner)
    most = LARGEST if len(full.items) - len(hidden) <= MANY else 1
    items = []
    kept: dict[str, Item] = {}
    times: dict[str, int] = {}
    for vertex, item in zip(full.graph.vertices, full.items, strict=True):
        if vertex not in hidden:
            if _is_folded(vertex, owner, hidden):
                items.append(_tell_apart(_folded_item(full, vertex, owner[vertex], hidden, kept, most), times))
            else:
                items.append(_again(item, kept))
            kept[item.key] = items[-1]
    arrows = [arrow for item in items for arrow in item.arrows]
    return Explanation(items, arrows, full.output, full.missing, full.lacking, full.error, full, full.graph)


def _owners(groups: list[Group]) -> dict[Vertex, Group]:
    owner: dict[Vertex, Group] = {}
    for group in groups:
        for vertex in group.members:
            owner.setdefault(vertex, group)
    return owner


def _hidden(full: Explanation, owner: dict[Vertex, Group]) -> set[Vertex]:
    """Return the vertices inside groups: results that only their own group uses, and what belongs to its users."""
    users: dict[Vertex, list[Vertex]] = {}
    for vertex in full.graph.vertices:
        for source in vertex.sources:
            if source is not None:
                users.setdefault(source, []).append(vertex)
    inside = {id(g): set(g.inside) for g in owner.values()}
    hidden = {v for v, g in owner.items() if v in users and all(owner.get(u) is g for u in users[v])}
    kept = {v for vs in inside.values() for v in vs}
    hidden |= {v for v in kept if all(u in owner and v in inside[id(owner[u])] for u in users[v])}
    numbers = {v for v in users if v.kind == "constant" and not hasattr(v.constant, "shape")}
    return hidden | {v for v in numbers if all(u in hidden or _is_folded(u, owner, hidden) for u in users[v])}


def _is_folded(vertex: Vertex, owner: dict[Vertex, Group], hidden: set[Vertex]) -> bool:
    """Return whether a visible vertex stands for more than its own operation, or under another name."""
    group = owner.get(vertex)
    return group is not None and (group.speaks_for(vertex) or any(s in hidden for s in vertex.sources))


def _again(item: Item, kept: dict[str, Item]) -> Item:
    """Return an item whose inputs may have been folded: its formula says what they are called now."""
    symbols = {a.position: kept[a.source].symbol for a in item.arrows}
    parts = [symbols.get(i, "") for i in range(1 + max(symbols, default=-1))]
    formula = compose(item.label, parts) if parts else item.formula
    return replace(item, formula=formula, arrows=tuple([copy(a) for a in item.arrows]))


def _folded_item(
    full: Explanation, vertex: Vertex, group: Group, hidden: set[Vertex], kept: dict[str, Item], most: int
) -> Item:
    """Return the item of a visible vertex of a group, with the arrows that stand for what is hidden behind it."""
    item = full[vertex.key]
    region = region_of(vertex, hidden)
    inner = [v for v in region if v.kind == "op"]
    if inner:
        arrows = arrows_through(vertex, inner, _visible_sources([*inner, vertex], hidden), most)
    else:
        seen = [a for a in item.arrows if a.source in kept]
        arrows = [_moved(a, i) for i, a in enumerate(seen)]
    symbols = [kept[a.source].symbol for a in arrows]
    label = _label(full, vertex, group, arrows, hidden)
    called = item.name or (group.name or group.layer if group.speaks_for(vertex) else "")
    return replace(
        item, kind="group", name=called, symbol=_symbol(called, group) or item.symbol, label=label,
        formula=compose(label, symbols), arrows=tuple(arrows),
        module=group.name or item.module, layer=group.layer or item.layer,
        members=tuple([v.key for v in inner] + [vertex.key]),
        parameters=tuple([v.key for v in region if v.kind == "leaf"]), op=None if inner else item.op,
    )  # fmt: skip


def _symbol(called: str, group: Group) -> str:
    """Return a name as a symbol: "1", a module of a Sequential, would read as a number and becomes "Tanh1"."""
    return f"{group.layer}{called}" if called.replace(".", "").isdigit() else called


def _moved(arrow: Arrow, position: int) -> Arrow:
    arrow = copy(arrow)
    arrow.position = position
    return arrow


def _visible_sources(members: list[Vertex], hidden: set[Vertex]) -> list[Vertex]:
    """Return the visible inputs of a group, oldest first."""
    sources = {s for v in members for s in v.sources if s is not None and s not in hidden}
    return sorted(sources, key=lambda s: int(s.key[1:]))


def _label(full: Explanation, vertex: Vertex, group: Group, arrows: list[Arrow], hidden: set[Vertex]) -> str:
    places = {arrow.source: f"{{{i}}}" for i, arrow in enumerate(arrows)}
    if group.speaks_for(vertex):
        return f"{group.layer}({', '.join(places.values())})"
    return _composed(full, vertex, places, hidden, {})


def _composed(
    full: Explanation, vertex: Vertex, places: dict[str, str], hidden: set[Vertex], done: dict[Vertex, str]
) -> str:
    """Return the formula of a vertex in terms of visible ones, hidden ones written out."""
    if vertex not in done:
        item = full[vertex.key]
        parts = [""] * (1 + max((a.position for a in item.arrows), default=-1))
        for source, i in ((s, i) for i, s in enumerate(vertex.sources) if s is not None):
            here = source in hidden and source.kind == "op"
            parts[i] = (
                _composed(full, source, places, hidden, done)
                if here
                else places.get(source.key, full[source.key].symbol)
            )
        done[vertex] = compose(item.label, parts)
    return done[vertex]


def _tell_apart(item: Item, times: dict[str, int]) -> Item:
    """Number items of the same name (a layer called twice): "cell", "cell (2)", ..."""
    times[item.symbol] = times.get(item.symbol, 0) + 1
    if times[item.symbol] > 1:
        item.symbol = f"{item.symbol} ({times[item.symbol]})"
    return item


def _unnamed(full: Explanation) -> list[Group]:
    """Return one group for each named operation: what lies behind it up to the next names."""
    pairs = list(zip(full.graph.vertices, full.items, strict=True))
    nameless = {v for v, item in pairs if v.kind == "op" and not item.name and v is not full.graph.result}
    ends = [v for v, _ in pairs if v.kind == "op" and v not in nameless]
    return [Group("", "", [*region_of(v, nameless), v]) for v in ends]


def _between(full: Explanation, name: str, start: Any, end: Any) -> Group:
    """Return the operations from ``start`` (a tensor or name, or several) to ``end``."""
    by_key = {v.key: v for v in full.graph.vertices}
    starts = {by_key[full[s].key] for s in (start if isinstance(start, (tuple, list)) else (start,))}
    last = by_key[full[end].key]
    reached = set(starts)
    for vertex in full.graph.vertices:
        if any(s in reached for s in vertex.sources):
            reached.add(vertex)
    operations = {v for v in reached - starts if v.kind == "op"}
    if last not in operations:
        raise ArgumentError("explain", f"fold {name!r}: an end computed from the start", "one that is not")
    return Group("", name, [*region_of(last, operations), last], end=last)
