"""The recurrence of the deltas, δ_j(l) = f'(a_j(l)) Σ_k δ_k(l+1) w_kj(l), with the numbers of every layer.

As in the lecture w_kj(l) leads from unit j of layer l to unit k of layer l + 1, (out, in); the lecture's Affine, and
``X @ W``, store the transpose.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gyaku.base.text import Phrases
from gyaku.explain.derivation_nodes import arriving_of, whole_of
from gyaku.explain.derivation_read import Reading
from gyaku.explain.derivation_text import Block, Equation, Right, array_text, exact, filled, number
from gyaku.explain.formula import ONE, Expr, Num, Sum, Sym, add, call, mul, substitute
from gyaku.explain.formula_read import Formulas, Symbolic, Unreadable, evaluate, read_backward
from gyaku.explain.formula_text import text
from gyaku.explain.latex import decimal_latex, latex
from gyaku.explain.model import Item

_UNITS = 4  # units of a layer that are written out
_SHORT = 60  # characters of two matrices side by side
_TERMS = 6  # terms of the sum over k


@dataclass(frozen=True)
class Layer:
    """One layer: the item of a = x Wᵀ + b, its input, its weights as (out, in), and the slope of what follows it."""

    number: int
    a: Item
    x: Item
    weight: Item
    bias: Item | None
    w: Any
    slope: Expr | None = None  # f'(a) as a formula of the symbols a and h = f(a)
    h: Item | None = None

    @property
    def leaves(self) -> tuple[str, ...]:
        """The keys of weights and bias."""
        return (self.weight.key,) if self.bias is None else (self.weight.key, self.bias.key)


def layers_of(reading: Reading) -> list[Layer]:
    """Return the layers of a chain, first to last; [] where the graph is no chain of layers."""
    found = [layer for item in reading.full.items if (layer := _layer(reading, item)) is not None]
    out: list[Layer] = []
    for n, layer in enumerate(found, start=1):
        follower = found[n] if n < len(found) else None
        slope, h = (None, None) if follower is None else _slope(reading, layer.a, follower.x)
        if follower is not None and slope is None:
            return []
        out.append(Layer(n, layer.a, layer.x, layer.weight, layer.bias, layer.w, slope, h))
    return out


def _layer(reading: Reading, item: Item) -> Layer | None:
    """Return the layer whose product is ``item``: a linear map, or a matrix product with a leaf (plus a bias)."""
    full = reading.full
    if item.kind != "op" or item.op.name not in ("linear", "matmul") or len(item.shape) != 2 or item.delta is None:
        return None
    inputs = {a.position: full[a.source] for a in item.arrows}
    x, weight, bias = inputs.get(0), inputs.get(1), inputs.get(2)
    if x is None or weight is None or weight.kind != "leaf" or len(x.shape) != 2 or len(weight.shape) != 2:
        return None
    if x.value is None or weight.value is None:
        return None
    a = item
    if item.op.name == "matmul":
        users = [full[arrow.target] for arrow in full.out_of(item.key)]
        if len(users) == 1 and users[0].op.name == "add" and users[0].shape == item.shape:
            other = next((full[w.source] for w in users[0].arrows if w.source != item.key), None)
            if other is not None and other.kind == "leaf":
                a, bias = users[0], other
    w = np.asarray(weight.value, dtype=float)
    return Layer(0, a, x, weight, bias, w if item.op.name == "linear" else w.T)


def _slope(reading: Reading, a: Item, x: Item) -> tuple[Expr | None, Item | None]:
    """Return f'(a) of the one elementwise operation between two layers (1 where there is none), and its item."""
    if x.key == a.key:
        return ONE, x
    if x.kind != "op" or len(x.arrows) != 1 or x.arrows[0].source != a.key or x.shape != a.shape:
        return None, None
    space = Formulas()
    try:
        found = read_backward(
            x.op, [Symbolic(space, Sym("a"))], Symbolic(space, Sym("h")), Symbolic(space, ONE), [True], space
        )[0]
    except Unreadable:
        return None, None
    return (None, None) if found is None else (found.expr, x)


def delta_blocks(reading: Reading, say: Phrases, item: Item | None = None) -> list[Block]:
    """Return the deltas of all layers from the last back (down to the layer that ``item`` belongs to), with numbers.

    Nothing for graphs with fewer than two layers, and for an ``item`` that belongs to none.
    """
    layers = layers_of(reading)
    if len(layers) < 2:
        return []
    first = 1
    if item is not None:
        own = [layer.number for layer in layers if item.key in (layer.a.key, *layer.leaves)]
        if not own:
            return []
        first = own[0]
    count = layers[0].a.shape[0]
    title = say("deltas", out=reading.name(reading.view.output))
    title = f"{title} {say('sample', n=1, count=count)}" if count > 1 else title
    head = Block(title, tuple(_constants(reading, say)))
    blocks = [_block(reading, layers, n - 1, say) for n in range(len(layers), first - 1, -1)]
    return [head, *blocks]


def _constants(reading: Reading, say: Phrases) -> list[str]:
    """Return "with c1 = [[3]], ..." for small arrays without a name that the formulas mention."""
    unnamed = [
        i for i in reading.full.items if i.kind == "constant" and not (i.name or i.inline) and i.value is not None
    ]
    texts = [f"{reading.name(i.key)} = {array_text(i.value)[0]}" for i in unnamed]
    short = [t for t in texts if len(t) < _SHORT // 2 and "×" not in t]
    return [say("with", text=", ".join(short[:_UNITS]))] if short else []


def _block(reading: Reading, layers: list[Layer], i: int, say: Phrases) -> Block:
    layer, last = layers[i], i == len(layers) - 1
    body: list[str | Equation] = []
    if last:
        body += [say("output_delta"), _vector(reading, layer, formula=True)]
    else:
        slope = "1" if layer.slope is None else text(layer.slope)
        place = {"l": layer.number, "m": layer.number + 1}
        body += [say("recurrence", slope=slope, **place), say("weights", name=_weight(reading, layers[i + 1]), **place)]
        units = layer.a.shape[1]
        body += [_unit(reading, layer, layers[i + 1], j) for j in range(min(units, _UNITS))]
        if units > _UNITS:
            body += [say("more_units", n=units - _UNITS), _vector(reading, layer)]
    body.append(_outer(reading, layer))
    if layer.bias is not None:
        body.append(_bias(reading, layer))
    name = layer.a.layer or reading.name(layer.weight.key)
    title = say("layer", l=layer.number, name=f"{name} {layer.a.module}".strip(), formula=_written(reading, layer))
    return Block(title, tuple(body), 2)


def _input(reading: Reading, layer: Layer) -> Expr:
    """Return the symbol of a layer's input: its name, or h(l - 1)."""
    if layer.x.name or layer.number == 1:
        return reading.symbol(layer.x.key)
    return Sym(f"h({layer.number - 1})", f"h({layer.number - 1})")


def _written(reading: Reading, layer: Layer) -> str:
    """Return a = x Wᵀ + b in symbols."""
    linear = next(reading.full[a.target] for a in reading.full.arrows if a.source == layer.weight.key)
    meaning, product = reading.meaning(layer.a), reading.meaning(linear)
    if meaning is None or product is None:
        return layer.a.formula
    known = {reading.symbol(linear.key): product, reading.symbol(layer.x.key): _input(reading, layer)}
    arrays = {name for name, v in reading.values.items() if np.size(v) > 1} | {f"h({layer.number - 1})"}
    return text(substitute(substitute(meaning, known), known), arrays)


def _weight(reading: Reading, layer: Layer) -> str:
    """Return the weight w_kj that leads into a layer by the name of its matrix, as stored."""
    linear = next(reading.full[a.target] for a in reading.full.arrows if a.source == layer.weight.key)
    return f"{reading.name(layer.weight.key)}[{'k, j' if linear.op.name == 'linear' else 'j, k'}]"


def _delta(layer: Layer, unit: int) -> float:
    return float(np.asarray(layer.a.delta, dtype=float)[0, unit])


def _vector(reading: Reading, layer: Layer, formula: bool = False) -> Equation:
    """Return δ(l), where wanted as a formula, and in numbers."""
    delta = np.asarray(layer.a.delta, dtype=float)
    rights = []
    if formula:
        whole = whole_of(reading, layer.a)
        rights = whole if whole and len(whole[0].text) <= _SHORT // 2 else arriving_of(reading, layer.a)
        rights = [_renamed(reading, layer, right) for right in rights if right.expr is not None]
    written, code, all_digits = array_text(delta, reading.tolerance)
    rights = [*rights, Right(written, code, "=" if all_digits else "≈")]
    return Equation(f"δ({layer.number})", rf"\delta({layer.number})", tuple(rights), delta)


def _renamed(reading: Reading, layer: Layer, right: Right) -> Right:
    """Return a right side in which an unnamed pre-activation is called a(l)."""
    own, expr = reading.symbol(layer.a.key), right.expr
    if layer.a.name or not isinstance(own, Sym) or expr is None:
        return right
    name = Sym(f"a({layer.number})", f"a({layer.number})")
    shown, values = substitute(expr, {own: name}), {**right.values, name.name: reading.values[own.name]}
    arrays = [key for key, v in values.items() if np.size(v) > 1]
    return Right(text(shown, arrays), latex(shown, arrays), right.sign, shown, values)


def _indexed(letter: str, code: str, index: str, layer: int) -> Sym:
    return Sym(f"{letter}_{index}({layer})", rf"{code}_{{{index}}}({layer})")


def _unit(reading: Reading, layer: Layer, after: Layer, j: int) -> Equation:
    """Return δ_j(l) by the recurrence: in symbols, with numbers, worked out."""
    l, m = layer.number, after.number
    deltas = [_indexed("δ", r"\delta", f"{k + 1}", m) for k in range(after.a.shape[1])]
    weights = [_indexed("w", "w", f"{k + 1}{j + 1}" if after.w.shape[0] < 10 else f"{k + 1},{j + 1}", l)
               for k in range(after.a.shape[1])]  # fmt: skip
    values = {d.name: _delta(after, k) for k, d in enumerate(deltas)}
    values |= {w.name: float(after.w[k, j]) for k, w in enumerate(weights)}
    values |= _inner_values(layer, j)
    slope = _slope_at(layer, j)
    total = add(*[mul(d, w) for d, w in zip(deltas, weights)])
    expr = mul(slope, total)
    left = _indexed("δ", r"\delta", f"{j + 1}", l)
    value = _delta(layer, j)
    rights = [*_sums(reading, layer, (slope, total, expr), values, j, len(deltas))]
    written, whole = number(value, reading.tolerance)
    rights.append(Right(written, decimal_latex(written), "=" if whole else "≈", Num(value), {}))
    return Equation(left.name, left.latex, tuple(rights), value)


def _inner_values(layer: Layer, j: int) -> dict[str, float]:
    a = float(np.asarray(layer.a.value, dtype=float)[0, j])
    h = a if layer.h is None else float(np.asarray(layer.h.value, dtype=float)[0, j])
    return {f"a_{j + 1}({layer.number})": a, f"h_{j + 1}({layer.number})": h}


def _slope_at(layer: Layer, j: int) -> Expr:
    slope = ONE if layer.slope is None else layer.slope
    names: dict[Expr, Expr] = {Sym(c): _indexed(c, c, f"{j + 1}", layer.number) for c in "ah"}
    return substitute(slope, names)


def _sums(
    reading: Reading, layer: Layer, parts: tuple[Expr, Expr, Expr], values: dict[str, float], j: int, terms: int
) -> list[Right]:
    """Return f'(a) times the sum in symbols and in numbers; a long sum only as the sum sign and its value."""
    slope, total, expr = parts
    if terms > _TERMS:
        f, s = (number(float(evaluate(e, values)), reading.tolerance) for e in (slope, total))
        mark = f"f'(a_{j + 1}({layer.number})) Σ_k δ_k w_k{j + 1}"
        code = rf"f'(a_{{{j + 1}}}({layer.number})) \sum_k \delta_k w_{{k{j + 1}}}"
        shown = " · ".join(f"({t})" if t.startswith("-") else t for t, _ in (f, s))
        return [Right(mark, code, "=", expr, values), Right(shown, decimal_latex(shown), "≈", expr, values)]
    put = (filled(slope, values, reading.tolerance), filled(total, values, reading.tolerance))
    sign = "=" if all(map(exact, put)) else "≈"
    pairs = [_pair(*e, text, " · ", "({})") for e in ((slope, total), put)]
    codes = [_pair(*e, latex, r" \cdot ", r"\left({}\right)") for e in ((slope, total), put)]
    return [Right(pairs[0], codes[0], "=", expr, values), Right(pairs[1], codes[1], sign, expr, values)]


def _pair(slope: Expr, total: Expr, write: Callable[[Expr], str], dot: str, brackets: str) -> str:
    """Return slope times sum, each in brackets where it has several terms."""
    parts = [(e, write(e)) for e in (slope, total)]
    return dot.join(brackets.format(t) if isinstance(e, Sum) or t.startswith("-") else t for e, t in parts)


def _outer(reading: Reading, layer: Layer) -> Equation:
    """Return the gradient of the weights: the layer's input times its delta, summed over the samples."""
    linear = next(reading.full[a.target] for a in reading.full.arrows if a.source == layer.weight.key)
    d, x = Sym(f"δ({layer.number})", rf"\delta({layer.number})"), _input(reading, layer)
    values = {d.name: np.asarray(layer.a.delta, dtype=float), str(x): np.asarray(layer.x.value, dtype=float)}
    pair = (d, x) if linear.op.name == "linear" else (x, d)
    value = np.asarray(layer.weight.delta, dtype=float)
    return _matrix_equation(reading, reading.delta(layer.weight.key), pair, values, value)


def _matrix_equation(
    reading: Reading, left: Sym, pair: tuple[Expr, Expr], values: dict[str, Any], value: Any
) -> Equation:
    """Return the equation left = (first)ᵀ second, in symbols and, of small matrices, in numbers."""
    expr = call("matmul", call("transpose", pair[0]), pair[1])
    rights = [Right(text(expr), latex(expr), "=", expr, values)] if reading.holds(expr, value, values) else []
    (a, a_code, a_exact), (b, b_code, b_exact) = (array_text(values[str(o)], reading.tolerance) for o in pair)
    if rights and len(a) + len(b) < _SHORT and "×" not in a + b:
        sign = "=" if a_exact and b_exact else "≈"
        rights.append(Right(f"{a}ᵀ {b}", rf"{{{a_code}}}^{{\top}} {b_code}", sign, expr, values))
    written, code, whole = array_text(value, reading.tolerance)
    rights.append(Right(written, code, "=" if whole else "≈"))
    return Equation(left.name, left.latex, tuple(rights), value)


def _bias(reading: Reading, layer: Layer) -> Equation:
    """Return the gradient of the bias: the deltas summed over the samples."""
    assert layer.bias is not None
    left = reading.delta(layer.bias.key)
    d = Sym(f"δ({layer.number})", rf"\delta({layer.number})")
    delta = np.asarray(layer.a.delta, dtype=float)
    expr = call("sum", d, static=(0, False))
    value = np.asarray(layer.bias.delta, dtype=float)
    rights = [Right(text(expr), latex(expr), "=", expr, {d.name: delta})]
    written, code, whole = array_text(value, reading.tolerance)
    rights.append(Right(written, code, "=" if whole else "≈"))
    return Equation(left.name, left.latex, tuple(rights), value)
