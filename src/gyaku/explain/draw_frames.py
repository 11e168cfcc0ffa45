"""Which frames stand around which items: one for each call of a module, where it can be drawn around its items."""

from __future__ import annotations

from dataclasses import dataclass

from gyaku.explain.model import Explanation, Item


@dataclass(frozen=True)
class Frame:
    """A call of a module: its path ("encoder.0") and its class ("Linear", or "" for one that only holds others)."""

    name: str
    path: str
    layer: str


def frames_of(explanation: Explanation) -> tuple[dict[str, tuple[str, ...]], dict[str, Frame]]:
    """Return the frames around each item (outermost first, by key), and the frames by name.

    A module called twice has two frames, with the parameters that they share outside; calls one directly behind the
    other have one. A call that others interrupt (its values leave and come back) has none, as no frame could be drawn
    around it that does not hold what is not its own; nor has one with a single item.
    """
    homes = {item.key: home for item in explanation.items if not item.inline and (home := _home(explanation, item))}
    around: dict[str, list[str]] = {item.key: [] for item in explanation.items}
    frames: dict[str, Frame] = {}
    if homes:
        above = _ancestors(explanation)
        for path in _paths(homes):
            inside = {key for key, home in homes.items() if f"{home}.".startswith(f"{path}.")}
            for number, call in enumerate(_calls(explanation, inside)):
                if len(call) > 1 and _whole(explanation, call, above):
                    frame = Frame(f"{path}#{number}", path, _layer(explanation, call, path))
                    frames[frame.name] = frame
                    for key in call:
                        around[key].append(frame.name)
    return {key: tuple(names) for key, names in around.items()}, frames


def _home(explanation: Explanation, item: Item) -> str:
    """Return the path of the module that an item stands in; a nameless constant stands where it is used."""
    if item.kind == "constant" and not item.name:
        homes = {explanation[arrow.target].module for arrow in explanation.out_of(item.key)}
        return homes.pop() if len(homes) == 1 else ""
    return item.module


def _paths(homes: dict[str, str]) -> list[str]:
    """Return the paths of all modules at work, outer ones first, in the order of their first item."""
    found: dict[str, None] = {}
    for home in homes.values():
        parts = home.split(".")
        for i in range(len(parts)):
            found.setdefault(".".join(parts[: i + 1]))
    return sorted(found, key=lambda path: path.count("."))


def _calls(explanation: Explanation, inside: set[str]) -> list[list[str]]:
    """Return the items of a module by call: the results that arrows join, and the given values that only they use."""
    items = [item for item in explanation.items if item.key in inside]
    root = {item.key: item.key for item in items if item.kind in ("op", "group")}

    def find(key: str) -> str:
        while root[key] != key:
            root[key] = root[root[key]]
            key = root[key]
        return key

    for item in items:
        for arrow in item.arrows:
            if arrow.source in root:
                root[find(item.key)] = find(arrow.source)
    calls: dict[str, list[str]] = {}
    for item in items:
        users = {item.key} if item.key in root else {a.target for a in explanation.out_of(item.key)}
        homes = {find(key) for key in users} if users <= root.keys() else set()
        if len(homes) == 1:
            calls.setdefault(homes.pop(), []).append(item.key)
    return list(calls.values())


def _ancestors(explanation: Explanation) -> dict[str, int]:
    """Return for each item the set (as bits) of items that it depends on, itself among them."""
    above: dict[str, int] = {}
    for number, item in enumerate(explanation.items):
        bits = 1 << number
        for arrow in item.arrows:
            bits |= above.get(arrow.source, 0)
        above[item.key] = bits
    return above


def _whole(explanation: Explanation, call: list[str], above: dict[str, int]) -> bool:
    """Whether no path leaves a call and comes back to it."""
    own, inside = set(call), 0
    for number, item in enumerate(explanation.items):
        inside |= (1 << number) if item.key in own else 0
    outside = 0  # items outside that depend on some inside
    for number, item in enumerate(explanation.items):
        if item.key not in own and above[item.key] & inside:
            outside |= 1 << number
    return not any(above[key] & outside for key in call)


def _layer(explanation: Explanation, call: list[str], path: str) -> str:
    return next((i.layer for key in call if (i := explanation[key]).module == path and i.layer), "")
