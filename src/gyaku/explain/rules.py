"""The rule on each arrow as text, written when it is first looked at."""

from __future__ import annotations

import functools
from typing import Any

from gyaku.explain.arrows import MANY
from gyaku.explain.model import Arrow, Explanation, Item

_LONG = 40  # the cost beyond which nobody reads a formula on an arrow


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
        found = reading.local(next(a for a in inner if a.source == arrow.source), gy)
    else:
        found = (None if group.layer else _in_inputs(reading, view, group, arrow, gy)) or reading.rule(arrow, gy)
    return "" if found is None else str(found)


def _in_inputs(reading: Any, view: Explanation, group: Item, arrow: Arrow, gy: Any) -> Any:
    """Return the derivative through a written-out group in the group's own inputs: 1/(1 + s) by s is -1/(1 + s)².

    Of arrays the group's value may stand in it too: tanh(x W) by x is gy (1 - h²) Wᵀ. None where it cannot be written,
    or is long.
    """
    from gyaku.explain.algebra import inline, shortest
    from gyaku.explain.formula import cost

    members = [view.unfolded()[key] for key in group.members]
    meanings = {reading.symbol(item.key): reading.meaning(item) for item in (members if arrow.scalar else members[:-1])}
    if None in meanings.values():
        return None
    total, joined = _summed(reading, members, arrow, gy)
    if total is None:
        return None
    found = inline(total, meanings)
    found = shortest(found) if joined and arrow.scalar else found
    right = reading.holds(found, arrow.local if arrow.scalar else arrow.flow, {"gy": group.delta})
    return found if right and cost(found) <= _LONG else None


def _summed(reading: Any, members: list[Item], arrow: Arrow, gy: Any) -> tuple[Any, bool]:
    """Return what ``gy`` at the last of ``members`` brings to the source, and whether ways join on the way."""
    from gyaku.explain.formula import add

    sums: dict[str, Any] = {members[-1].key: gy}
    joined = False
    for item in reversed(members):
        for inner in item.arrows if item.key in sums else ():
            brought = reading.local(inner, sums[item.key]) if inner.wanted else None
            if brought is not None:
                joined = joined or inner.source in sums
                sums[inner.source] = add(sums[inner.source], brought) if inner.source in sums else brought
    return sums.get(arrow.source), joined
