"""The graph as a tree in text: formula, value and δ of each node, inputs below."""

from __future__ import annotations

from typing import Any

import numpy as np

from gyaku.explain.derivation_read import Reading
from gyaku.explain.derivation_text import WIDTH, array_text, width, wrapped
from gyaku.explain.formula import cost
from gyaku.explain.formula_text import text
from gyaku.explain.model import Explanation, Item
from gyaku.explain.phrases import phrases

_MOST = 60  # rows
_SHORT = 20  # characters of an array that is written out
_HEAD = 44  # columns of the tree; a longer formula is cut, the derivation has it in full
_LONG = 30  # the cost of a formula beyond which a label is better


def tree(explanation: Explanation, *, lang: str | None = None) -> str:
    """Return the graph as text, the result on top, with values and (where known) the derivative by each node.

    >>> import gyaku as gy
    >>> from gyaku.explain.build import explain
    >>> a, x, y = (gy.tensor(v, requires_grad=True) for v in (2.0, 3.0, 1.0))
    >>> s = a * x
    >>> z = s - y
    >>> print(tree(explain(z), lang="en"))
    z = s - y   = 5   ∂z/∂z = 1
    ├─ s = ax   = 6   ∂z/∂s = 1
    │  ├─ a     = 2   ∂z/∂a = 3
    │  └─ x     = 3   ∂z/∂x = 2
    └─ y        = 1   ∂z/∂y = -1
    """
    reading = Reading(explanation)
    rows: list[tuple[str, Item]] = []
    seen: set[str] = set()
    say = phrases(lang)

    def walk(item: Item, first: str, rest: str) -> None:
        if len(rows) >= _MOST:
            return
        again = item.key in seen and bool(item.arrows)
        seen.add(item.key)
        head = first + _head(reading, item) + (f" {say('again')}" if again else "")
        rows.append((head, item))
        inputs = [] if again else [explanation[a.source] for a in item.arrows if not explanation[a.source].inline]
        for i, each in enumerate(inputs):
            last = i == len(inputs) - 1
            walk(each, rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  "))

    walk(explanation.result, "", "")
    lines = _aligned([(head, *_numbers(reading, item, _SHORT)) for head, item in rows])
    if max(map(width, lines)) > WIDTH:  # arrays by their shapes alone
        lines = _aligned([(head, *_numbers(reading, item, 0)) for head, item in rows])
    return "\n".join([*lines, "..."] if len(rows) >= _MOST else lines)


def shown(explanation: Explanation, *, lang: str | None = None) -> str:
    """Return what printing an explanation shows: the tree, what is missing or failed, and what to call next."""
    say = phrases(lang)
    first = "failed_next" if explanation.error else "graph_next" if explanation.missing else "next"
    reason = wrapped(explanation.error or explanation.note(lang))
    return "\n".join([tree(explanation, lang=lang), *reason, *wrapped(say(first))])


def _head(reading: Reading, item: Item) -> str:
    name = reading.name(item.key)
    if item.kind not in ("op", "group"):
        return name
    meaning = reading.meaning(item)
    short = meaning is not None and cost(meaning) <= _LONG
    return f"{name} = {text(meaning, reading.arrays) if short else item.formula}"  # type: ignore[arg-type]


def _numbers(reading: Reading, item: Item, most: int) -> tuple[str, str]:
    value, delta = (_number(reading, v, most) for v in (item.value, item.delta))
    arrives = f"{reading.delta(item.key).name} {delta}" if delta and item.kind != "constant" else ""
    return value, arrives


def _number(reading: Reading, value: Any, most: int) -> str:
    """Return a number, or an array of at most ``most`` characters (a larger one by its shape)."""
    if value is None:
        return ""
    array = np.asarray(value)
    written, _, whole = array_text(array.reshape(()) if array.size == 1 else array, reading.tolerance)
    if array.size > 1 and len(written) > most:
        return f"= [{'×'.join(map(str, array.shape))}]"
    return f"{'=' if whole else '≈'} {written}"


def _aligned(rows: list[tuple[str, str, str]]) -> list[str]:
    first = min(max(width(row[0]) for row in rows), _HEAD)
    second = max(width(row[1]) for row in rows)
    lines = []
    for head, value, delta in rows:
        head = head if width(head) <= _HEAD else f"{head[: _HEAD - 1]}…"
        line = head + " " * max(first - width(head), 0) + "   " + value
        lines.append((line + " " * (second - width(value)) + "   " + delta).rstrip())
    return lines
