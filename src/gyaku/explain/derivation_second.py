"""Second derivatives: the gradient is a graph itself, and is differentiated and written down once more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gyaku.autograd import grad
from gyaku.base.errors import ArgumentError, GraphError
from gyaku.explain.derivation_read import Reading
from gyaku.explain.derivation_text import number
from gyaku.explain.formula_text import text
from gyaku.explain.latex import latex
from gyaku.explain.model import Explanation


def second_derivatives(result: Any, leaves: dict[str, Any], names: Sequence[str]) -> list[dict[str, Any]]:
    """Return ∂²z/∂a∂b of every pair of ``names`` (numbers among ``leaves``) as name, value, formula, text and LaTeX.

    ``result`` is differentiated with its gradient's graph; the formula is "" where none can be written.
    Raises ``ArgumentError`` for a name that is no number.
    """
    arrays = [name for name in names if leaves[name].numel() != 1]
    if arrays:
        raise ArgumentError("second derivatives", "numbers to differentiate by", f"the array {arrays[0]}")
    found = []
    for i, first in enumerate(names):
        (gradient,) = grad(result, leaves[first], create_graph=True, allow_unused=True)
        found += [_pair(gradient, leaves, first, second) for second in names[i:]]
    return found


def _pair(gradient: Any, leaves: dict[str, Any], first: str, second: str) -> dict[str, Any]:
    from gyaku.explain.build import explain

    above = f"∂²z/∂{first}²" if first == second else f"∂²z/∂{first}∂{second}"
    if gradient is None or gradient._node is None:
        return _row(above, 0.0, "", "")
    try:
        explanation = explain(gradient, names=leaves, fold=False, scope={})
    except GraphError:
        return _row(above, 0.0, "", "")
    item = explanation.find(second)
    if item is None or item.delta is None:
        return _row(above, 0.0, "", "")
    value = float(item.delta.sum())
    formula, code = _closed(explanation, item.key, value)
    return _row(above, value, formula, code)


def _closed(explanation: Explanation, key: str, value: float) -> tuple[str, str]:
    reading = Reading(explanation)
    found = reading.total(explanation.output, key)
    if found is None or not reading.holds(found, value):
        return "", ""
    return text(found), latex(found)


def _row(name: str, value: float, formula: str, code: str) -> dict[str, Any]:
    written, whole = number(value)
    middle = f" = {formula}" if formula and formula != written else ""
    return {
        "name": name, "value": value, "formula": formula, "latex": code,
        "text": f"{name}{middle} {'=' if whole else '≈'} {written}",
    }  # fmt: skip
