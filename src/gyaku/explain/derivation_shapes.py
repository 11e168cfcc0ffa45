"""Matrix products: the formula of the gradient from the shapes alone, and written out element by element."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gyaku.base.text import Phrases
from gyaku.explain.derivation_read import Reading
from gyaku.explain.derivation_text import Block, Equation, Right, number
from gyaku.explain.formula import Sym, add, mul
from gyaku.explain.latex import decimal_latex, name_latex
from gyaku.explain.model import Arrow, Item

_SMALL = 2  # rows and columns of matrices that are written out
_UNDER = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
Shape = tuple[str, str]


def _operands(reading: Reading, arrow: Arrow) -> tuple[Item, Item, bool] | None:
    """Return (X, W, whether W is used transposed) of a product of two matrices whose X or W the arrow leaves."""
    target = reading.view.find(arrow.target)
    if target is None or target.kind != "op" or target.op.name not in ("matmul", "linear") or arrow.position > 1:
        return None
    by_position = {a.position: reading.view.find(a.source) for a in target.arrows}
    x, w = by_position.get(0), by_position.get(1)
    if x is None or w is None or len(x.shape) != 2 or len(w.shape) != 2:
        return None
    return x, w, target.op.name == "linear"


def shape_block(reading: Reading, arrow: Arrow, say: Phrases) -> list[Block]:
    """Return the argument from the shapes (lecture 3.5), or nothing for other operations.

    Sizes are letters, N rows of X, K columns, L columns of the result, so that equal numbers decide nothing.
    """
    found = _operands(reading, arrow)
    if found is None:
        return []
    x, w, turned = found
    other, other_shape = (w, ("L", "K") if turned else ("K", "L")) if arrow.position == 0 else (x, ("N", "K"))
    wanted: Shape = ("N", "K") if arrow.position == 0 else ("L", "K") if turned else ("K", "L")
    gy = reading.delta(arrow.target).name
    rows, right = [], ""
    for formula, shapes, result in _candidates(gy, ("N", "L"), reading.name(other.key), other_shape):
        verdict = "inner" if not result else "fits" if result == wanted else "outer"
        rows.append((verdict, formula, shapes, result))
        right = formula if verdict == "fits" else right
    rows.sort(key=lambda row: ("fits", "outer", "inner").index(row[0]))
    width = max(len(row[1]) for row in rows)
    body = [say(v, formula=f.ljust(width), shapes=s, result=_written(r)) for v, f, s, r in rows]
    source = reading.view[arrow.source]
    sizes = ", ".join(f"{letter} = {n}" for letter, n in zip("NKL", (*x.shape, reading.view[arrow.target].shape[1])))
    title = say(
        "shape", left=reading.delta(source.key).name, name=reading.name(source.key), want=_written(wanted),
        formula=right,
    )  # fmt: skip
    return [Block(f"{title} ({sizes})", tuple(body), 2)]


def _written(shape: Any) -> str:
    return f"({','.join(shape)})" if shape else ""


def _candidates(g: str, g_shape: Shape, a: str, a_shape: Shape) -> Iterator[tuple[str, str, Shape | None]]:
    """Yield (formula, shapes, result or None) of the eight products of two matrices and their transposes."""
    grads = [(g, g_shape), (_turned(g), g_shape[::-1])]
    others = [(a, a_shape), (_turned(a), a_shape[::-1])]
    for first in grads:
        for second in others:
            for (l_name, l_shape), (r_name, r_shape) in ((first, second), (second, first)):
                result = (l_shape[0], r_shape[1]) if l_shape[1] == r_shape[0] else None
                yield f"{l_name} {r_name}", f"{_written(l_shape)}×{_written(r_shape)}", result


def _turned(name: str) -> str:
    return f"({name})ᵀ" if "/" in name else f"{name}ᵀ"


def element_blocks(reading: Reading, arrow: Arrow, say: Phrases) -> list[Block]:
    """Return the gradient of a product of 2×2 matrices element by element, with numbers; nothing for larger ones."""
    found = _operands(reading, arrow)
    if found is None or arrow.flow is None:
        return []
    x, w, turned = found
    if max(*x.shape, *w.shape) > _SMALL or x.size * w.size == 1:
        return []
    gradient = np.asarray(reading.view[arrow.target].delta, dtype=float)
    source = reading.view[arrow.source]
    flow = np.asarray(arrow.flow, dtype=float)
    body = [
        _element(reading, arrow, (x, w, turned), gradient, flow, i, j)
        for i in range(source.shape[0])
        for j in range(source.shape[1])
    ]
    return [Block(say("elements"), tuple(body), 2)]


def _element(
    reading: Reading, arrow: Arrow, operands: tuple[Item, Item, bool], gradient: Any, flow: Any, i: int, j: int
) -> Equation:
    """Return ∂E/∂w_ij as a sum of products."""
    x, w, turned = operands
    source, target = reading.view[arrow.source], reading.view[arrow.target]
    out = reading.name(reading.view.output)
    values: dict[str, float] = {}
    terms, numbers = [], []
    for row, column, other, place in _terms(arrow.position, turned, gradient.shape, i, j):
        item = w if other == "w" else x
        g = _entry(f"∂{out}/∂", reading.name(target.key), row, column, out)
        o = _entry("", reading.name(item.key), *place, out)
        values[g.name], values[o.name] = gradient[row, column], float(np.asarray(item.value)[place])
        terms.append(mul(g, o))
        numbers.append((values[g.name], values[o.name]))
    left = _entry(f"∂{out}/∂", reading.name(source.key), i, j, out)
    expr = add(*terms)
    in_symbols = Right(str(expr), _latex_of(expr), "=", expr, values)
    total, whole = number(flow[i, j], reading.tolerance)
    result = Right(total, decimal_latex(total), "=" if whole else "≈")
    return Equation(
        left.name, left.latex,
        (in_symbols, numbers_of(numbers, reading.tolerance), result),
        flow[i, j],
    )  # fmt: skip


def _terms(position: int, turned: bool, shape: Any, i: int, j: int) -> Iterator[tuple[int, int, str, tuple[int, int]]]:
    """Yield (row, column of the arriving gradient, which operand, its place) for element (i, j) of the gradient."""
    rows, columns = shape
    if position == 0:
        for k in range(columns):
            yield i, k, "w", (k, j) if turned else (j, k)
    else:
        for n in range(rows):
            yield n, i if turned else j, "x", (n, j if turned else i)


def _entry(before: str, name: str, i: int, j: int, out: str) -> Sym:
    under = f"{i + 1}{j + 1}".translate(_UNDER)
    letter = name[0].lower() if len(name) == 1 else name
    code = f"{{{name_latex(letter)}}}_{{{i + 1}{j + 1}}}"
    place = f"{letter}{under}" if letter.isalpha() else f"{letter}[{i + 1},{j + 1}]"
    if not before:
        return Sym(place, code)
    return Sym(f"{before}{place}", rf"\frac{{\partial {name_latex(out)}}}{{\partial {code}}}")


def _latex_of(e: Any) -> str:
    from gyaku.explain.latex import latex

    return latex(e)


def numbers_of(pairs: list[tuple[float, float]], tolerance: float) -> Right:
    """Return a sum of products with their numbers."""
    parts, codes, whole = [], [], True
    for pair in pairs:
        texts = [number(v, tolerance) for v in pair]
        whole = whole and all(t[1] for t in texts)
        shown = [f"({t})" if t.startswith("-") else t for t, _ in texts]
        parts.append(" · ".join(shown))
        codes.append(r" \cdot ".join(decimal_latex(t) for t in shown))
    return Right(" + ".join(parts), " + ".join(codes), "=" if whole else "≈")
