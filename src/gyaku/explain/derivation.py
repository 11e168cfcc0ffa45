"""The chain rule for one value, with the numbers filled in: path by path for numbers, node by node for arrays.

Every equation carries, beside its text, a formula that can be evaluated; a formula whose value is not the gradient's
(to rounding) is never shown. Local derivatives are the operations' own ``backward``, read in symbols.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from gyaku.base.errors import GraphError
from gyaku.base.text import Phrases, language
from gyaku.explain.derivation_nodes import between, by_nodes, meanings_of, shape_blocks
from gyaku.explain.derivation_read import Reading, partial
from gyaku.explain.derivation_text import Block, Derivation, Equation, Right, Shown, exact, filled, number
from gyaku.explain.formula import Expr, Num, Sum, Sym, as_expr, cost, mul
from gyaku.explain.formula_text import text
from gyaku.explain.latex import decimal_latex, latex
from gyaku.explain.model import Explanation, Item, Path
from gyaku.explain.phrases import phrases
from gyaku.explain.recurrence import delta_blocks, layers_of

_LONG_LINE = 30  # the cost of a closed formula that still helps


def derivation(explanation: Explanation, name: Any = None, *, lang: str | None = None) -> Derivation:
    """Return the chain rule for one value (by name, symbol or the tensor itself), or for every leaf.

    For numbers: the product along each path and the sum over paths. For arrays: the deltas from the result back, with
    the shape argument at matrix products; for layers the recurrence of the deltas. ``print`` it, or take ``.latex()``.
    Raises ``UnknownNameError``, and ``GraphError`` where numbers are missing.

    >>> import gyaku as gy
    >>> from gyaku.explain.build import explain
    >>> a, x, y = (gy.tensor(v, requires_grad=True) for v in (2.0, 3.0, 1.0))
    >>> s = a * x
    >>> t = s - y
    >>> z = t * t
    >>> print(derivation(explain(z), "y", lang="en"))
    ∂z/∂y: 2 paths from z back to y. Multiply along each, then add.
      path 1: z ← t ← y
        ∂z/∂t · ∂t/∂y = t · (-1) = 5 · (-1) = -5
      path 2: z ← t ← y
        ∂z/∂t · ∂t/∂y = t · (-1) = 5 · (-1) = -5
      ∂z/∂y = -5 - 5
            = -10
            = -2(ax - y)
    """
    if explanation.missing:
        raise GraphError("derivation", "a graph with its numbers", explanation.note(lang))
    say = phrases(language(lang))
    reading = Reading(explanation)
    if name is not None:
        return Derivation(tuple(_blocks(reading, explanation[name], say)), say.lang)
    blocks = delta_blocks(reading, say)
    told = {key for layer in layers_of(reading) for key in layer.leaves} if blocks else set()
    wanted = [item for item in explanation.items if item.kind == "leaf" and item.key not in told]
    scalar = [item for item in wanted if _scalar(reading, item)]
    blocks += [block for item in scalar for block in _by_paths(reading, item, say)]
    arrays = [item for item in wanted if item not in scalar]
    return Derivation((*blocks, *(by_nodes(reading, arrays, say) if arrays else ())), say.lang)


def _blocks(reading: Reading, item: Item, say: Phrases) -> Iterable[Block]:
    if _scalar(reading, item):
        return _by_paths(reading, item, say)
    deltas = delta_blocks(reading, say, item)
    return [*deltas, *shape_blocks(reading, [item], say)] if deltas else by_nodes(reading, [item], say)


def _scalar(reading: Reading, item: Item) -> bool:
    """Whether all values on the way are numbers."""
    return all(i.size == 1 for i in between(reading, [item]))


# --- numbers: path by path ---


def _by_paths(reading: Reading, item: Item, say: Phrases) -> list[Block]:
    out, left = reading.view.output, reading.delta(item.key)
    here = {"left": left.name, "out": reading.name(out), "name": reading.name(item.key)}
    if item.key == out:
        return [Block(say("itself", **here), (Equation(left.name, left.latex, (_result(reading, 1.0),), 1.0),))]
    paths = reading.view.paths(item.key)
    if not paths.count:
        return [Block(say("unreached", **here))]
    closing = _closing(reading, item)
    known = meanings_of(reading, between(reading, [item]), say)
    total = float(np.sum(paths.total))
    if paths.count == 1:
        rights = [*_along(reading, paths.shown[0]), *closing]
        title = say("one_path", path=_way(reading, paths.shown[0]), **here)
        return [Block(title, (*known, _equation(left, rights, total)))]
    body: list[str | Equation] = list(known)
    for i, path in enumerate(paths.shown, start=1):
        body.append(say("path", i=i, path=_way(reading, path)))
        body.append(_of_path(reading, path))
    products = [float(np.sum(p.product)) for p in paths.shown]
    if paths.rest is not None:
        products.append(float(np.sum(paths.rest)))
        body.append(f"{say('rest', n=paths.count - len(paths))}: {number(products[-1], reading.tolerance)[0]}")
    body.append(_equation(left, [_added(reading, products), _result(reading, total), *closing], total))
    return [Block(say("paths", n=paths.count, **here), tuple(body))]


def _way(reading: Reading, path: Path) -> str:
    return " ← ".join(reading.name(key) for key in path.keys)


def _equation(left: Sym, rights: Sequence[Right], value: Any) -> Equation:
    return Equation(left.name, left.latex, tuple(rights), value)


def _of_path(reading: Reading, path: Path) -> Equation:
    first, *rest = _along(reading, path)
    return Equation(first.text, first.latex, tuple(rest), float(np.sum(path.product)), part=True)


def _along(reading: Reading, path: Path) -> list[Right]:
    """Return the product along a path: in symbols, in local formulas, with numbers, and worked out."""
    chain = [partial(reading.name(a.target), reading.name(a.source)) for a in path.arrows]
    known = dict(zip([c.name for c in chain], [float(np.sum(f)) for f in path.factors]))  # type: ignore[arg-type]
    pairs = [_factor(reading, arrow, value) for arrow, value in zip(path.arrows, known.values())]
    local, product_of = [shown for shown, _ in pairs], mul(*[e for _, e in pairs])
    shown = [filled(e, reading.values, reading.tolerance) for e in local]
    product = float(np.sum(path.product))
    return [
        _joined(list(chain), "=", mul(*chain), known),
        _joined(local, "=" if all(map(exact, local)) else "≈", product_of, reading.values),
        _joined(shown, "=" if all(map(exact, shown)) else "≈", product_of, reading.values),
        _result(reading, product),
    ]


def _factor(reading: Reading, arrow: Any, value: float) -> tuple[Expr, Expr]:
    """Return a local derivative to be shown and to be evaluated: a number where no true formula can be written."""
    found = reading.rule(arrow)
    if found is None or not reading.holds(found, value):
        return Shown(value, reading.tolerance), as_expr(value)
    return found, found


def _joined(factors: Sequence[Expr], sign: str, expr: Expr, values: dict[str, Any]) -> Right:
    """Return factors with a dot between them."""
    several = len(factors) > 1
    texts = [f"({t})" if several and _loose(f, t) else t for f, t in ((f, text(f)) for f in factors)]
    codes = [rf"\left({t}\right)" if several and _loose(f, t) else t for f, t in ((f, latex(f)) for f in factors)]
    return Right(" · ".join(texts), r" \cdot ".join(codes), sign, expr, values)


def _loose(e: Expr, written: str) -> bool:
    return isinstance(e, Sum) or written.startswith("-")


def _result(reading: Reading, value: float) -> Right:
    written, whole = number(value, reading.tolerance)
    return Right(written, decimal_latex(written), "=" if whole else "≈", Num(value), {})


def _added(reading: Reading, values: Sequence[float]) -> Right:
    """Return the numbers of the paths with signs between them."""
    parts = [number(v, reading.tolerance) for v in values]
    written = parts[0][0] + "".join(f" - {t[1:]}" if t.startswith("-") else f" + {t}" for t, _ in parts[1:])
    code = decimal_latex(parts[0][0])
    code += "".join(f" - {decimal_latex(t[1:])}" if t[0] == "-" else f" + {decimal_latex(t)}" for t, _ in parts[1:])
    return Right(written, code, "=" if all(whole for _, whole in parts) else "≈", Num(sum(values)), {})


def _closing(reading: Reading, item: Item) -> list[Right]:
    """Return the whole derivative as one formula in the leaves, where one can be written that is true."""
    if reading.full.find(item.key) is None:
        return []
    found = reading.total(reading.view.output, item.key)
    if found is None or isinstance(found, Num) or cost(found) > _LONG_LINE:
        return []
    if item.delta is None or not reading.holds(found, float(np.sum(item.delta))):
        return []
    return [Right(text(found), latex(found), "=", found, reading.values)]
