"""Derivations of arrays: the deltas from the result back, one node after the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from gyaku.base.text import Phrases
from gyaku.explain.algebra import inline
from gyaku.explain.derivation_conv import conv_block
from gyaku.explain.derivation_read import Reading
from gyaku.explain.derivation_shapes import element_blocks, shape_block
from gyaku.explain.derivation_text import Block, Equation, Right, array_text, number
from gyaku.explain.formula import ONE, Call, Expr, cost, substitute
from gyaku.explain.formula_text import text
from gyaku.explain.latex import latex
from gyaku.explain.model import Item

_LONG = 30  # the cost of a whole formula that still helps


def between(reading: Reading, ends: Sequence[Item]) -> list[Item]:
    """Return the items through which the result reaches ``ends``, from the result back; ends and result included."""
    below = {reading.view.output}
    for item in reversed(reading.view.items):
        if item.key in below:
            below.update(a.source for a in item.arrows if a.wanted)
    above = {item.key for item in ends}
    for item in reading.view.items:
        if any(a.source in above and a.wanted for a in item.arrows):
            above.add(item.key)
    return [item for item in reversed(reading.view.items) if item.key in below & above]


def meanings_of(reading: Reading, items: Sequence[Item], say: Phrases) -> list[str]:
    """Return "with u1 = a + b, ..." for the results without a name, inputs first."""
    texts = []
    keys = {key for item in items for key in (item.key, *(a.source for a in item.arrows))}
    for item in reading.view.items:
        if item.key in keys and item.kind == "op" and not item.name and item.key != reading.view.output:
            found = reading.meaning(reading.full[item.key])
            texts.append(f"{reading.name(item.key)} = {item.formula if found is None else text(found, reading.arrays)}")
        elif (
            item.key in keys and item.kind == "constant" and reading.name(item.key) in reading.values and item.size == 1
        ):
            texts.append(f"{reading.name(item.key)} = {number(reading.values[reading.name(item.key)])[0]}")
    return [say("with", text=", ".join(texts))] if texts else []


def by_nodes(reading: Reading, ends: Sequence[Item], say: Phrases) -> list[Block]:
    """Return the deltas from the result back to ``ends``, one equation a node, and what the shapes say."""
    out = reading.view.output
    way = [item for item in between(reading, ends) if item.key != out]
    lefts = ", ".join(reading.delta(item.key).name for item in ends)
    body = [_step(reading, item) for item in way]
    title = say("steps", left=lefts, out=reading.name(out))
    first = Block(title, (*meanings_of(reading, [reading.view.result, *way], say), *body))
    return [first, *shape_blocks(reading, ends, say)]


def shape_blocks(reading: Reading, ends: Sequence[Item], say: Phrases) -> list[Block]:
    """Return the argument from the shapes, and the elements of small matrices, for the products that use ``ends``."""
    arrows = [arrow for item in ends for arrow in reading.view.out_of(item.key) if arrow.wanted]
    rules = (shape_block, element_blocks, conv_block)
    return [block for arrow in arrows for rule in rules for block in rule(reading, arrow, say)]


def _step(reading: Reading, item: Item) -> Equation:
    """Return what arrives at one item: the rules of the arrows that leave it, the numbers, the whole formula."""
    left = reading.delta(item.key)
    value = np.asarray(item.delta, dtype=float)
    rights = [*_true(reading, item, reading.arriving(item)), *whole_of(reading, item)]
    written, code, whole = array_text(value.reshape(()) if item.size == 1 else value, reading.tolerance)
    rights.append(Right(written, code, "=" if whole else "≈"))
    return Equation(left.name, left.latex, tuple(rights), value)


def whole_of(reading: Reading, item: Item) -> list[Right]:
    """Return what arrives at an item as one formula of values alone, or nothing where it is long or not to be had."""
    return _true(reading, item, _whole(reading, item))


def arriving_of(reading: Reading, item: Item) -> list[Right]:
    """Return what arrives at an item in terms of the deltas of the values computed from it."""
    return _true(reading, item, reading.arriving(item))


def _true(reading: Reading, item: Item, formula: Expr | None) -> list[Right]:
    """Return a formula as a right side if it has the value of the item's delta."""
    if formula is None or not reading.holds(formula, item.delta, _deltas(reading)):
        return []
    formula = _without_ones(reading, formula, item.delta)
    values = {**reading.values, **_deltas(reading)}
    return [Right(text(formula, reading.arrays), latex(formula, reading.arrays), "=", formula, values)]


def _deltas(reading: Reading) -> dict[str, Any]:
    """Return {"∂E/∂x": the delta at x}."""
    return {
        reading.delta(item.key).name: float(np.sum(item.delta))
        if item.size == 1
        else np.asarray(item.delta, dtype=float)
        for item in reading.view.items
        if item.delta is not None and not item.inline
    }


def _whole(reading: Reading, item: Item) -> Expr | None:
    """Return the same with the deltas further on written out, as long as it stays short."""
    meanings: dict[Expr, Expr] = {}
    for each in reading.view.items:
        if each.key != item.key and each.delta is not None and (found := reading.arriving(each)) is not None:
            meanings[reading.delta(each.key)] = found
    start = reading.arriving(item)
    if start is None:
        return None
    full = reading.written_out(inline(start, meanings))
    return full if full != start and cost(full) <= _LONG else None


def _without_ones(reading: Reading, e: Expr, value: Any) -> Expr:
    """Return a formula without the ones that another array in the same product makes needless."""
    ones: dict[Expr, Expr] = {part: ONE for part in _parts(e) if isinstance(part, Call) and part.name == "ones"}
    short = substitute(e, ones) if ones else e
    values = {**reading.values, **_deltas(reading)}
    return short if reading.holds(short, value, values, whole=True) else e


def _parts(e: Expr) -> Iterable[Expr]:
    yield e
    for part in e.parts:
        yield from _parts(part)
