"""The rule on each arrow as text, written when it is first looked at."""

from __future__ import annotations

import functools
from typing import Any

from gyaku.explain.arrows import MANY
from gyaku.explain.model import Arrow, Explanation, Item


def write_rules(explanation: Explanation) -> None:
    """Give each arrow of an explanation of not too many items its ``formula``, to be read when it is asked for."""
    if len(explanation.items) <= MANY and not explanation.missing:
        shared = _Shared(explanation)
        for arrow in explanation.arrows:
            if arrow.wanted:
                arrow.formula = functools.partial(_rule, shared, arrow)  # type: ignore[assignment]


class _Shared:
    """The reading of an explanation in symbols, made once."""

    def __init__(self, explanation: Explanation) -> None:
        self.explanation = explanation

    @functools.cached_property
    def reading(self) -> Any:
        from gyaku.explain.derivation_read import Reading

        return Reading(self.explanation)


def _rule(shared: _Shared, arrow: Arrow) -> str:
    from gyaku.explain.formula import ONE, Sym

    gy = ONE if arrow.scalar else Sym("gy")
    view, reading = shared.explanation, shared.reading
    group = view[arrow.target]
    if group.kind != "group":
        found = reading.rule(arrow, gy)
    elif len(group.members) == 1:
        inner = view.unfolded().into(group.members[0])
        found = reading._local(next(a for a in inner if a.source == arrow.source), gy)
    else:
        found = (None if group.layer else _in_inputs(reading, view, group, arrow)) or reading.rule(arrow, gy)
    return "" if found is None else str(found)


def _in_inputs(reading: Any, view: Explanation, group: Item, arrow: Arrow) -> Any:
    """Return the derivative through a written-out group of numbers in the group's own inputs: 1/(1 + s) by s is
    -1/(1 + s)². None where it cannot be written."""
    from gyaku.explain.algebra import inline, shortest
    from gyaku.explain.formula import ONE, add, mul

    full = view.unfolded()
    members = [full[key] for key in group.members]
    meanings = {reading.symbol(item.key): reading.meaning(item) for item in members}
    if any(item.size != 1 for item in members) or None in meanings.values():
        return None
    sums: dict[str, Any] = {group.key: ONE}
    joined = False
    for item in reversed(members):
        for inner in item.arrows if item.key in sums and item.key != arrow.source else ():
            local = reading._local(inner) if inner.wanted else None
            if local is not None:
                joined = joined or inner.source in sums
                sums[inner.source] = add(sums.get(inner.source, 0), mul(sums[item.key], local))
    if arrow.source not in sums:
        return None
    found = inline(sums[arrow.source], meanings)
    found = shortest(found) if joined else found
    return found if reading.holds(found, arrow.local) else None
