"""Convolutions: what the two gradients of one are, in words, with indices, and one element with its numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from gyaku.backend.convolution import windows
from gyaku.base.text import Phrases
from gyaku.explain.derivation_read import Reading
from gyaku.explain.derivation_shapes import numbers_of
from gyaku.explain.derivation_text import Block, Equation, Right, number
from gyaku.explain.latex import decimal_latex, name_latex
from gyaku.explain.model import Arrow

_FEW = 6  # places of the kernel whose products are written out
# What leads back along an arrow of an operation: the map, and its sum. {a} is the other operand, {g} what arrives.
_RULES = {
    ("conv", 0): ("conv_t", "{left}[n, c, i] = Σ {g}[n, l, o] · {a}[l, c, k],  o s + k d - p = i"),
    ("conv", 1): ("corr", "{left}[l, c, k] = Σ {a}[n, c, o s + k d - p] · {g}[n, l, o]"),
    ("conv_input", 0): ("conv_again", "{left}[n, l, o] = Σ {g}[n, c, o s + k d - p] · {a}[l, c, k]"),
    ("conv_input", 1): ("corr", "{left}[l, c, k] = Σ {g}[n, c, o s + k d - p] · {a}[n, l, o]"),
}


def conv_block(reading: Reading, arrow: Arrow, say: Phrases) -> list[Block]:
    """Return what a convolution hands back along an arrow, or nothing for other operations and for its bias."""
    target = reading.view.find(arrow.target)
    if target is None or target.kind != "op" or (target.op.name, arrow.position) not in _RULES:
        return []
    word, formula = _RULES[target.op.name, arrow.position]
    other = next(a for a in target.arrows if a.position == 1 - arrow.position)
    names = {"left": reading.delta(arrow.source).name, "g": reading.delta(arrow.target).name}
    names["a"] = reading.name(other.source)
    walk = target.op.geometry
    pads = [a if a == b else (a, b) for a, b in walk.padding]
    settings = ", ".join(f"{k} = {_short(v)}" for k, v in (("s", walk.stride), ("p", pads), ("d", walk.dilation)))
    body: list[str | Equation] = [f"{formula.format(**names)}   ({settings})"]
    body += _one_element(reading, arrow, other, names) if (target.op.name, arrow.position) == ("conv", 1) else []
    return [Block(say(word, **names), tuple(body), 2)]


def _short(values: Any) -> str:
    """Return equal numbers as one: (1, 1) is 1."""
    values = list(values)
    return str(values[0]) if all(v == values[0] for v in values) else str(tuple(values))


def _one_element(reading: Reading, arrow: Arrow, other: Arrow, names: dict[str, str]) -> list[Equation]:
    """Return the first element of the kernel's gradient as a sum of products of numbers, where those are few."""
    target, x = reading.view[arrow.target], reading.view[other.source]
    if arrow.flow is None or x.value is None or target.delta is None:
        return []
    flow, g = np.asarray(arrow.flow, dtype=float), np.asarray(target.delta, dtype=float)
    met = windows(np, np.asarray(x.value, dtype=float), flow.shape[2:], target.op.geometry)
    met = met[:, 0, *[0] * (flow.ndim - 2)].ravel()
    if met.size > _FEW:
        return []
    place = ", ".join("1" * flow.ndim)
    total, whole = number(flow.flat[0], reading.tolerance)
    pairs = list(zip(met.tolist(), g[:, 0].ravel().tolist(), strict=True))
    result = Right(total, decimal_latex(total), "=" if whole else "≈")
    left = name_latex(names["left"])
    products = numbers_of(pairs, reading.tolerance)
    return [Equation(f"{names['left']}[{place}]", f"{left}_{{{place}}}", (products, result), flow.flat[0])]
