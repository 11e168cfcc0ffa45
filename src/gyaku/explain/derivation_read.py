"""An explanation read in symbols: a symbol for each value, the formula of each value and of each local derivative."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gyaku.explain.algebra import inline, shortest
from gyaku.explain.derivation_text import number
from gyaku.explain.formula import ONE, Call, Expr, Power, Sym, add, as_expr, cost, mul
from gyaku.explain.formula_read import Formulas, Symbolic, Unreadable, evaluate, read_backward, read_forward
from gyaku.explain.latex import name_latex
from gyaku.explain.model import Arrow, Explanation, Item

_LONG = 60  # the cost beyond which nobody reads a formula: the number speaks alone
_NAMED_AT_MOST = 8  # values whose names are tried when a formula is shortened
_WORTH = 100  # the cost of a meaning beyond which its name is not tried
_MUCH = 6  # how much shorter a formula must be for a group's own name to stand in its derivative


class Reading:
    """The symbols, numbers and formulas of an explanation."""

    def __init__(self, explanation: Explanation) -> None:
        self.view, self.full = explanation, explanation.unfolded()
        single = any(i.dtype == np.float32 for i in self.full.items)
        self.tolerance = 3e-7 if single else 1e-12
        self.near = 2e-4 if single else 1e-8  # relative error that a formula may have
        self._symbols: dict[str, Expr] = {}
        self._leading: dict[str, set[str]] = {}  # item -> the items that it reaches
        self._arriving: dict[str, Expr | None] = {}
        taken: set[str] = set()
        for item in (*self.view.items, *self.full.items):
            if item.key not in self._symbols:
                self._symbols[item.key] = self._symbol(item, taken)
        self.values = self._values()

    def _symbol(self, item: Item, taken: set[str]) -> Expr:
        """Return the number of a constant without a name, else a symbol that no other value has."""
        if item.kind == "constant" and not item.name and item.value is not None and item.shape == ():
            value = item.value.item()
            if item.inline or number(value, self.tolerance)[1] and math.isfinite(value):
                return as_expr(value if item.inline else float(number(value, self.tolerance)[0]))
        name, n = item.symbol, 1
        while name in taken:
            n += 1
            name = f"{item.symbol}'" if n == 2 else f"{item.symbol}({n})"
        taken.add(name)
        return Sym(name)

    def _values(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for item in (*self.full.items, *self.view.items):
            symbol = self._symbols[item.key]
            if isinstance(symbol, Sym) and item.value is not None:
                found[symbol.name] = item.value.item() if item.size == 1 else np.asarray(item.value, dtype=float)
        return found

    def symbol(self, key: str) -> Expr:
        """Return the symbol of an item, or the number of a plain constant."""
        return self._symbols[key]

    def name(self, key: str) -> str:
        """Return the symbol of an item as text."""
        symbol = self._symbols[key]
        return symbol.name if isinstance(symbol, Sym) else str(symbol)

    def delta(self, key: str) -> Sym:
        """Return the symbol ∂E/∂x of what arrives at an item."""
        return partial(self.name(self.view.output), self.name(key))

    # -- formulas --------------------------------------------------------------------------------------------------
    def _array(self, space: Formulas, item: Item) -> Symbolic:
        return Symbolic(space, self._symbols[item.key], item.shape, item.dtype or np.float64)

    def _inputs(self, item: Item, space: Formulas) -> list[Any]:
        """Return an operation's inputs by position; a missing one is None."""
        by_position = {a.position: a.source for a in item.arrows}
        count = max([*by_position, len(item.op.arguments) - 1 if item.op.arguments else 0], default=-1) + 1
        full = self.full
        return [self._array(space, full[by_position[i]]) if i in by_position else None for i in range(count)]

    def meaning(self, item: Item) -> Expr | None:
        """Return the result of an operation or a group as a formula of its inputs; None where it cannot be written."""
        if item.kind == "group" and item.output is None:
            found = self._written([self.full[key] for key in item.members])
            own = self._symbols[item.key]
            return inline(found.pop(own), found) if own in found else None
        if item.kind != "op" or item.output is not None:
            return None
        space = Formulas(self.values)
        try:
            return read_forward(item.op, self._inputs(item, space), space)
        except Unreadable:
            return None

    def rule(self, arrow: Arrow, gy: Expr = ONE) -> Expr | None:
        """Return what reaches the source when ``gy`` arrives at the target; None where it cannot be written."""
        target = self.view.find(arrow.target)
        if target is not None and target.kind == "group":
            return self._rule_of_group(arrow, gy)
        found = self.local(arrow, gy)
        return found if found is not None and cost(found) <= _LONG else None

    def local(self, arrow: Arrow, gy: Expr = ONE) -> Expr | None:
        """Return the same of an arrow of the unfolded graph, however long, from the operation's own ``backward``."""
        target = self.full[arrow.target]
        if target.kind != "op" or target.output is not None:
            return None
        space = Formulas(self.values)
        inputs = self._inputs(target, space)
        needs = [i == arrow.position for i in range(len(inputs))]
        output, start = self._array(space, target), Symbolic(space, gy, target.shape, target.dtype)
        try:
            found = read_backward(target.op, inputs, output, start, needs, space)[arrow.position]
        except Unreadable:
            return None
        return None if found is None else found.expr

    def arriving(self, item: Item) -> Expr | None:
        """Return the sum of what comes back through the arrows that leave an item, in terms of the deltas there."""
        if item.key not in self._arriving:
            self._arriving[item.key] = self._sum_arriving(item)
        return self._arriving[item.key]

    def _sum_arriving(self, item: Item) -> Expr | None:
        total: Expr | None = None
        for arrow in self.view.out_of(item.key):
            if arrow.wanted and arrow.flow is not None:
                gy = ONE if arrow.target == self.view.output else self.delta(arrow.target)
                found = self.rule(arrow, gy)
                if found is None:
                    return None
                total = found if total is None else total + found
        return total

    def _rule_of_group(self, arrow: Arrow, gy: Expr) -> Expr | None:
        """Return what reaches the source through a group: of numbers the sum over the paths inside, shortened."""
        group = self.view[arrow.target]
        if group.output is not None:
            return None
        if all(self.full[k].size == 1 for k in group.members):
            total = self.total(arrow.target, arrow.source, set(group.members))
            return None if total is None else mul(gy, total)
        found = self._back_through(group, arrow.source, gy)
        return found if found is not None and cost(found) <= _LONG else None

    def _back_through(self, group: Item, source: str, gy: Expr) -> Expr | None:
        """Return what reaches ``source`` through a group of arrays, one operation after the other."""
        sums: dict[str, Expr] = {group.key: gy}
        for item in reversed([self.full[key] for key in group.members]):
            for arrow in item.arrows if item.key in sums else ():
                if arrow.wanted and self._leads_to(arrow.source, source):
                    found = self.local(arrow, sums[item.key])
                    if found is None or cost(found) > _LONG:
                        return None
                    sums[arrow.source] = add(sums.get(arrow.source, 0), found)
        inner = [self.full[key] for key in group.members if key != group.key]
        return inline(sums[source], self._written(inner)) if source in sums else None

    def total(self, start: str, end: str, inside: set[str] | None = None) -> Expr | None:
        """Return d start / d end of numbers: the sum of the products of local formulas, in leaves and known names."""
        sums: dict[str, Expr] = {start: ONE}
        for item in reversed(self.full.items):
            if item.key not in sums or item.key == end or (inside is not None and item.key not in inside):
                continue
            for arrow in item.arrows if item.kind == "op" else ():
                if not arrow.wanted or not self._leads_to(arrow.source, end):
                    continue
                local = self.local(arrow)
                if local is None or cost(sums[item.key]) > 40 * _LONG:
                    return None
                sums[arrow.source] = add(sums.get(arrow.source, 0), mul(sums[item.key], local))
        if end not in sums:
            return None
        return self.short(sums[end]) if inside is None else self._short_inside(sums[end], start, inside)

    def _leads_to(self, key: str, end: str) -> bool:
        if end not in self._leading:
            reach = {end}
            for item in self.full.items:
                if any(a.source in reach for a in item.arrows):
                    reach.add(item.key)
            self._leading[end] = reach
        return key in self._leading[end]

    def _short_inside(self, e: Expr, group: str, members: set[str]) -> Expr | None:
        """Return a formula in the inputs of a group; with the group's own name where that is much shorter."""
        inner = {self._symbols[key] for key in members}
        meanings = {symbol: m for symbol, m in self.meanings.items() if symbol in inner}
        plain, own = inline(e, meanings), self._symbols[group]
        found = shortest(plain)
        if isinstance(own, Sym):
            named = shortest(plain, [(own, inline(own, meanings))])
            found = named if cost(named) + _MUCH <= cost(found) else found
        return found if cost(found) <= _LONG and self._equal(found, e) else None

    def short(self, e: Expr) -> Expr | None:
        """Return a formula in leaves, shortened with the names that people gave; None if its number is not ``e``'s."""
        found = shortest(inline(e, self.meanings), self._good_names)
        return found if cost(found) <= _LONG and self._equal(found, e) else None

    def written_out(self, e: Expr) -> Expr:
        """Return a formula with the unnamed results of operations replaced by what they are."""
        return inline(e, self._unnamed)

    @functools.cached_property
    def _unnamed(self) -> dict[Expr, Expr]:
        unnamed = [item for item in self.full.items if not item.name]
        return {s: m for s, m in self._written(unnamed).items() if cost(m) < _LONG}

    @functools.cached_property
    def arrays(self) -> frozenset[str]:
        """The names of the symbols that are arrays, ∂E/∂x among them."""
        named = {self.delta(i.key).name for i in self.view.items if i.size > 1 and not i.inline}
        return frozenset(named | {name for name, value in self.values.items() if np.size(value) > 1})

    @functools.cached_property
    def meanings(self) -> dict[Expr, Expr]:
        """{symbol: formula in its inputs} of all values of one element that can be written."""
        return self._written([item for item in self.full.items if item.size == 1])

    def _written(self, items: Sequence[Item]) -> dict[Expr, Expr]:
        found = {self._symbols[item.key]: self.meaning(item) for item in items if item.kind == "op"}
        return {symbol: meaning for symbol, meaning in found.items() if meaning is not None}

    @functools.cached_property
    def _good_names(self) -> list[tuple[Sym, Expr]]:
        """Named values worth putting back into a formula: those that are no polynomial."""
        found: list[tuple[Sym, Expr]] = []
        for item in reversed(self.view.items):
            symbol = self._symbols[item.key]
            called = item.name and not item.layer.startswith("×")  # by people, not for neighbours put together
            if called and isinstance(symbol, Sym) and item.kind in ("op", "group") and item.key != self.view.output:
                meaning = inline(symbol, self.meanings, _WORTH)
                if meaning != symbol and cost(meaning) <= _WORTH and _transcendental(meaning):
                    found.append((symbol, shortest(meaning)))
            if len(found) == _NAMED_AT_MOST:
                break
        return found[::-1]

    def _equal(self, a: Expr, b: Expr) -> bool:
        try:
            with np.errstate(all="ignore"):
                x, y = evaluate(a, self.values), evaluate(b, self.values)
        except (KeyError, ValueError, TypeError, OverflowError, ZeroDivisionError):
            return False
        return bool(np.allclose(x, y, rtol=self.near, atol=self.near * 1e-2, equal_nan=True))

    def holds(self, e: Expr, value: Any, more: dict[str, Any] | None = None, *, whole: bool = False) -> bool:
        """Whether a formula has a value, within rounding (of float32, where that is the type).

        One number stands for an array of equal ones, unless ``whole``.
        """
        try:
            with np.errstate(all="ignore"):
                found = evaluate(e, {**self.values, **(more or {})})
        except (KeyError, ValueError, TypeError, OverflowError, ZeroDivisionError):
            return False
        if np.size(found) != np.size(value) and (whole or np.size(found) != 1):
            return False
        wanted = np.asarray(value, dtype=float)
        same = np.size(found) == wanted.size
        found = np.reshape(found, wanted.shape) if same else np.broadcast_to(np.reshape(found, ()), wanted.shape)
        scale = float(np.max(np.abs(wanted), initial=0.0))
        scale = scale if math.isfinite(scale) else 1.0
        return bool(np.allclose(found, wanted, rtol=self.near, atol=self.near * scale + 1e-300, equal_nan=True))


def partial(above: str, below: str) -> Sym:
    """Return the symbol ∂above/∂below.

    >>> partial("z", "x1").name, partial("z", "x1").latex
    ('∂z/∂x1', '\\\\frac{\\\\partial z}{\\\\partial x_{1}}')
    """
    over, under = name_latex(above), name_latex(below)
    return Sym(f"∂{above}/∂{below}", rf"\frac{{\partial {over}}}{{\partial {under}}}")


def _transcendental(e: Expr) -> bool:
    return isinstance(e, (Call, Power)) or any(_transcendental(p) for p in e.parts)
