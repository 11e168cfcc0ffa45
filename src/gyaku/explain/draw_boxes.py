"""What stands in boxes and on arrows: formula, value, delta with its sum of products, local derivative."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gyaku.explain import formula_text
from gyaku.explain.derivation_read import Reading
from gyaku.explain.draw_parts import Part, array_part, column, marked, text_part
from gyaku.explain.draw_text import Line, Run, factor, formula, measure, number, plain, shape_text, with_text
from gyaku.explain.formula import ONE
from gyaku.explain.model import Arrow, Explanation, Item

TITLE, VALUE, LABEL = 18.0, 16.0, 15.0  # sizes of text
_SUM_WIDTH = 300.0  # a sum of products that is wider is not written out
_FEW = 40  # items of a graph whose derivatives are written as formulas and products along whole paths
_PATHS = 3  # up to so many paths are multiplied out
_TERMS = 5  # up to so many terms of a long sum stand one below the other
_RULE_WIDTH = 190.0
_SHORT = {"weight": "W", "bias": "b"}


@dataclass
class Writer:
    """Writes the items of one explanation; ``values`` and ``deltas`` say what boxes show."""

    explanation: Explanation
    values: str = "all"  # "all", "numbers" (arrays stay out) or "none"
    deltas: bool = True

    def __post_init__(self) -> None:
        result = self.explanation.result
        self.output = self.symbol(result)
        self.result = self.output if result.size == 1 or result.delta is None else self._loss()
        self.uses: dict[str, list[Arrow]] = {}
        for arrow in self.explanation.arrows:
            self.uses.setdefault(arrow.source, []).append(arrow)
        self.small = len(self.explanation.items) <= _FEW
        self.reading = Reading(self.explanation) if self.small and self.deltas else None
        self.arrays = frozenset(self._arrays(self.reading) if self.reading else ())

    # --- names ---

    def symbol(self, item: Item) -> str:
        """Return what an item is called in its frame: ``0.weight`` is W in the frame of module 0."""
        return self.local_names(item.symbol, item)

    def local_names(self, text: str, item: Item) -> str:
        """Return a formula with the names of the module's own parameters shortened."""
        if not item.module:
            return re.sub(r"(?<![\w.])(weight|bias)(?![\w.])", lambda m: _SHORT[m[1]], text)
        return re.sub(rf"(?<![\w.]){re.escape(item.module)}\.(\w+)", lambda m: _SHORT.get(m[1], m[1]), text)

    def _arrays(self, reading: Reading) -> Iterator[str]:
        """Yield the names of arrays and of their deltas: between two of them stands ⊙."""
        for item in self.explanation.items:
            if item.size > 1 and not item.inline:
                yield reading.name(item.key)
                yield reading.delta(item.key).name

    def _loss(self) -> str:
        """Return the name of what is differentiated when the result is an array and its gradient was given: E."""
        taken = {item.symbol for item in self.explanation.items}
        return "E" if "E" not in taken else self.output

    def quotient(self, item: Item, *, short: bool = True) -> Line:
        """Return ``∂E/∂W``; for a long name in ``short`` δ."""
        symbol = self.symbol(item)
        if short and len(symbol) > 8:
            return formula("δ")
        return formula(f"∂{_tight(self.result)}/∂{_tight(symbol)}")

    # --- boxes ---

    def box(self, item: Item) -> Part:
        """Return all that stands in an item's box."""
        parts = [self.title(item)]
        if self._shows_value(item):
            parts.append(marked("value", array_part(item.value, VALUE, "forward")))
        elif item.shape and (item.delta is None or not self.deltas):
            parts.append(text_part(plain(shape_text(item.shape)), VALUE * 0.86, "baseline"))
        if self.deltas and item.delta is not None:
            parts.append(marked("delta", self.delta(item)))
        if item.failed:
            parts += [text_part(plain(line), LABEL, "wrong") for line in wrapped(item.failed, 320.0, LABEL)]
        return column(parts)

    def _says_itself(self, item: Item) -> bool:
        return item.kind == "constant" and item.size == 1 and item.value is not None and not item.name

    def _shows_value(self, item: Item) -> bool:
        if item.value is None or self._says_itself(item):
            return False
        return self.values == "all" or (self.values == "numbers" and not item.shape)

    def title(self, item: Item) -> Part:
        """Return the first line: ``s = a x``, or a name alone."""
        symbol = self.symbol(item)
        if self._says_itself(item):
            return text_part(plain(number(np.asarray(item.value))), TITLE)
        if item.kind == "group" and item.layer and item.formula.startswith(f"{item.layer}("):
            path = [text_part(plain(item.symbol), LABEL, "baseline")] if item.symbol != item.layer else []
            return column([text_part(plain(item.layer, bold=True), TITLE), *path], 0.0)
        if item.kind not in ("op", "group") or item.formula in ("", item.symbol):
            return text_part(formula(symbol), TITLE)
        text = self.local_names(item.formula, item)
        line = (*formula(symbol), *plain(" = "), *formula(text))
        return text_part(line if measure(line, TITLE) < 340 else self._short_title(item), TITLE)

    def _short_title(self, item: Item) -> Line:
        name = getattr(item.op, "name", "") or item.label.partition("(")[0]
        return (*formula(self.symbol(item)), *plain(f" = {name}(…)"))

    def delta(self, item: Item) -> Part:
        """Return ``∂E/∂x = 3·4 + 2·1 = 14``, or the same with an array."""
        if item.size != 1:
            return array_part(item.delta, VALUE, "backward", self.quotient(item))
        return column([text_part(line, VALUE, "backward") for line in self.delta_lines(item)], 0.0)

    def delta_lines(self, item: Item) -> list[Line]:
        """Return the delta of a single number with the sum over paths that gives it, a long one term by term."""
        before, total = self.quotient(item), number(item.delta)
        for terms in self._sums(item):
            text = " + ".join(terms)
            if text.strip("()") == total:
                break
            line = (*before, *plain(f" = {text} = {total}"))
            if measure(line, VALUE) < _SUM_WIDTH:
                return [line]
            if 1 < len(terms) <= _TERMS and max(map(len, terms)) < 36:
                middle = [plain(f"+ {term}") for term in terms[1:-1]]
                return [(*before, *plain(f" = {terms[0]}")), *middle, plain(f"+ {terms[-1]} = {total}")]
        return [(*before, *plain(f" = {total}"))]

    def _sums(self, item: Item) -> list[list[str]]:
        """Return the terms of the sum over paths of products of local derivatives, then over the next arrows only."""
        uses = [arrow for arrow in self.uses.get(item.key, []) if arrow.wanted]
        if not uses or not all(arrow.scalar for arrow in uses):
            return []
        found = []
        if self.small and item.kind == "leaf" and (terms := self._products(item)):
            found.append(terms)
        steps = [self._step(arrow) for arrow in uses]
        return [*found, _terms(steps)] if all(steps) else found

    def _step(self, arrow: Arrow) -> tuple[float, ...]:
        """Return the factors of the flow through one arrow: the delta in front of it (unless 1) and the local one."""
        delta, local = self.explanation[arrow.target].delta, float(arrow.local)  # type: ignore[arg-type]
        if delta is None or delta.size != 1:
            return ()
        first = float(np.ravel(delta)[0])
        return (local,) if arrow.target == self.explanation.output and first == 1.0 else (first, local)

    def _products(self, item: Item) -> list[str]:
        if self.explanation.missing:
            return []
        paths = self.explanation.paths(item.key, limit=_PATHS, largest=1)
        if paths.count > _PATHS or not all(isinstance(f, float) for p in paths for f in p.factors):
            return []
        return _terms([p.factors for p in paths])  # type: ignore[misc]

    # --- arrows ---

    def label(self, arrow: Arrow) -> tuple[Part, Part]:
        """Return what stands above and below an arrow walked backward: ``∂s/∂a = x`` and its number."""
        if not arrow.wanted:
            return Part(0, 0), Part(0, 0)
        above, below = self.label_lines(arrow)
        return _label_part(above), _label_part(below)

    def label_lines(self, arrow: Arrow) -> tuple[Line, Line]:
        """Return the lines above and below an arrow."""
        source, target = self.explanation[arrow.source], self.explanation[arrow.target]
        rule = self._rule(arrow, target)
        if not arrow.scalar:
            return rule, ()
        value = number(arrow.local)
        names = [self.symbol(target), self.symbol(source)]
        if max(map(len, names)) > 8:
            return (), plain(value)
        quotient = formula(f"∂{_tight(names[0])}/∂{_tight(names[1])}")
        if not rule or with_text(rule) == value:
            return (*quotient, *plain(f" = {value}")), ()
        return (*quotient, *plain(" = "), *rule), plain(f"= {value}")

    def _of_loss(self, rule: str) -> str:
        return rule.replace(f"∂{self.explanation.result.symbol}/", f"∂{self.result}/")

    def _rule(self, arrow: Arrow, target: Item) -> Line:
        """Return the local derivative as a formula; of arrays, what the rule makes of what arrives. () if too long."""
        if self.reading is None or (target.kind == "op" and target.op is None):
            return ()
        result = self.explanation.result
        unit = arrow.scalar or (
            target is result and result.size == 1 and result.delta is not None and result.delta == 1
        )
        gy = ONE if unit else self.reading.delta(arrow.target)
        found = self.reading.rule(arrow, gy)
        line = (
            ()
            if found is None or (found == gy and not arrow.scalar)
            else formula(self.local_names(self._of_loss(_bracketed(formula_text.text(found, self.arrays))), target))
        )
        return line if measure(line, LABEL) < _RULE_WIDTH else ()


def _is_one(delta: Any) -> bool:
    return delta is not None and delta.size == 1 and float(np.ravel(delta)[0]) == 1.0


def _label_part(line: Line) -> Part:
    return text_part(line, LABEL, "backward") if line else Part(0, 0)


def _tight(symbol: str) -> str:
    """Return a symbol as it stands behind ∂: in brackets when it is a formula."""
    return f"({symbol})" if re.search(r"[\s+*/^-]", symbol) else symbol


def _bracketed(rule: str) -> str:
    """Return a rule with brackets around a quotient that is transposed: (∂E/∂Y)ᵀ."""
    return re.sub(r"(∂[^\s()]+/∂[^\s()ᵀ]+)ᵀ", r"(\1)ᵀ", rule)


def _terms(products: Sequence[Sequence[float]]) -> list[str]:
    return ["·".join(factor(f) for f in product) for product in products]


def wrapped(text: str, width: float, size: float) -> list[str]:
    """Return text in lines of at most ``width``; a longer word has a line of its own."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and measure((Run(longer),), size) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def place(item: Item) -> str:
    """Return the user's line as ``file.py:12``, without the folders."""
    return re.split(r"[/\\]", item.where)[-1]


def full_value(value: Any) -> str:
    """Return an array for the pointer: all of it up to some hundred elements, then its corners."""
    if value is None:
        return ""
    array = np.asarray(value)
    if array.ndim == 0:
        return number(array)
    return np.array2string(array, precision=4, threshold=200, edgeitems=3, max_line_width=76, suppress_small=False)
