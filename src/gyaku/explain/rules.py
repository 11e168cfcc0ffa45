"""The rule on each arrow as text, written when it is first looked at."""

from __future__ import annotations

import functools
from typing import Any

from gyaku.explain.arrows import MANY
from gyaku.explain.model import Arrow, Explanation


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
    only = _only_operation(shared.explanation, arrow)
    found = shared.reading.rule(arrow, gy) if only is None else shared.reading._local(only, gy)
    return "" if found is None else str(found)


def _only_operation(explanation: Explanation, arrow: Arrow) -> Arrow | None:
    """Return the unfolded arrow behind one into a group of a single operation; None for any other."""
    group = explanation[arrow.target]
    if group.kind != "group" or len(group.members) != 1:
        return None
    inner = explanation.unfolded().into(group.members[0])
    return next((a for a in inner if a.source == arrow.source), None)
