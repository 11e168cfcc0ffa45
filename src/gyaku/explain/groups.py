"""Which operations belong together: those of one call of a module, of one line, or simply neighbours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from gyaku.explain.model import Explanation
from gyaku.explain.naming import chain_of
from gyaku.explain.read import Vertex


@dataclass(eq=False)
class Group:
    """Operations to be drawn as one item.

    ``name`` is the module's path ("" keeps the value's own name), ``layer`` the class of the module or the name of the
    operation ("" writes the formula out); ``inside`` are the leaves and constants that belong to it. ``end`` is the
    one value that bears the name (None: all of them).
    """

    name: str
    layer: str
    members: list[Vertex]
    inside: list[Vertex] = field(default_factory=list)
    end: Vertex | None = None

    def speaks_for(self, vertex: Vertex) -> bool:
        """Return whether a value of the group is shown under the group's name."""
        return bool(self.layer) and (self.end is None or self.end is vertex)


def by_module(full: Explanation) -> list[Group]:
    """Return one group for each call of a layer: a module without modules inside."""
    return _calls(full, lambda chain: chain[-1] if _childless(chain[-1]) else None)


def by_depth(full: Explanation, depth: int) -> list[Group]:
    """Return one group for each call of a module at ``depth`` (0: the whole model), or of a layer above it."""

    def owner(chain: list[Any]) -> Any:
        if len(chain) > depth:
            return chain[depth]
        return chain[-1] if _childless(chain[-1]) else None

    return _calls(full, owner)


def deepest(full: Explanation) -> int:
    """Return the number of levels of modules in a graph."""
    return max((len(chain) for _, chain in _chains(full) if chain), default=0)


def _childless(module: Any) -> bool:
    return not any(m is not None for m in module._modules.values())


def _chains(full: Explanation) -> Iterator[tuple[Vertex, list[Any] | None]]:
    """Yield each operation with the modules at work, outermost first."""
    known: dict[int, tuple[Any, list[Any]]] = {}
    for vertex in full.graph.vertices:
        module = vertex.module if vertex.kind == "op" else None
        if module is not None and id(module) not in known:
            known[id(module)] = (module, chain_of(module))
        if vertex.kind == "op":
            yield vertex, None if module is None else known[id(module)][1]


def _calls(full: Explanation, owner: Callable[[list[Any]], Any]) -> list[Group]:
    """Return the runs of operations with one owner; a parameter of its own used again begins a new call."""
    groups: list[Group] = []
    belongings: dict[int, set[int]] = {}
    current: Any = None
    used: set[Any] = set()
    for vertex, chain in _chains(full):
        module = None if chain is None else owner(chain)
        own = _own_uses(vertex, module)
        if module is not None and (module is not current or own & used):
            groups.append(Group(module.path, type(module).__name__, []))
            used = set()
        current, used = module, used | own
        if module is not None:
            groups[-1].members.append(vertex)
            belongings[id(module)] = belongings.get(id(module)) or _belongings(module)
            groups[-1].inside.extend(_belonging(vertex, belongings[id(module)]))
    return groups


def _own_uses(vertex: Vertex, module: Any) -> set[Any]:
    """Return how an operation uses the parameters of a module itself: {(operation, position, parameter)}."""
    own = {} if module is None else {id(p._node) for p in module._parameters.values() if p is not None}
    return {(vertex.op.name, i, s) for i, s in enumerate(vertex.sources) if s is not None and id(s.node) in own}


def _belonging(vertex: Vertex, belongings: set[int]) -> list[Vertex]:
    """Return the inputs that a module keeps inside: its parameters and buffers, and masks of dropout."""
    inside = []
    for i, source in enumerate(vertex.sources):
        if source is not None and source.kind != "op":
            mask = source.kind == "constant" and vertex.op.name == "dropout" and i == 1
            if mask or id(source.node if source.kind == "leaf" else source.constant) in belongings:
                inside.append(source)
    return inside


def _belongings(module: Any) -> set[int]:
    """Return the parameters and buffers of a module and of all modules in it."""
    found: set[int] = set()
    for inner in module.modules():
        found.update(id(p._node) for p in inner._parameters.values() if p is not None)
        found.update(id(b._array) for b in inner._buffers.values() if b is not None)
    return found


def merged(groups: list[Group], count: int) -> list[Group]:
    """Return at most ``count`` groups: neighbours put together, named from the first to the last."""
    each = max(1, -(-len(groups) // count))
    return [_joined(groups[i : i + each]) for i in range(0, len(groups), each)]


def _joined(groups: list[Group]) -> Group:
    if len(groups) == 1:
        return groups[0]
    members = [v for group in groups for v in group.members]
    inside = [v for group in groups for v in group.inside]
    return Group(f"{groups[0].name}…{groups[-1].name}", f"×{len(groups)}", members, inside)


def by_line(full: Explanation, groups: list[Group]) -> list[Group]:
    """Return one group for each run of operations of one line that no group has yet."""
    return [_loose(list(run)) for _, run in groupby(_rest(full, groups), key=lambda v: v.where)]


def by_number(full: Explanation, groups: list[Group], count: int) -> list[Group]:
    """Return at most ``count`` groups of neighbours among the operations that no group has yet."""
    rest = list(_rest(full, groups))
    each = -(-len(rest) // count)
    return [_loose(rest[i : i + each]) for i in range(0, len(rest), max(1, each))]


def _rest(full: Explanation, groups: list[Group]) -> Iterator[Vertex]:
    taken = {v for group in groups for v in group.members}
    return (v for v in full.graph.vertices if v.kind == "op" and v not in taken)


def _loose(members: list[Vertex]) -> Group:
    place = members[0].where
    file, _, line = place.rpartition(":")
    return Group(f"{Path(file).name}:{line}" if place else "", f"×{len(members)}", members)
