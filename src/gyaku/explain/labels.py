"""How an operation is written: its label with the inputs it has, and labels put into one another with brackets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_PLACE = re.compile(r"\{(\d+)\}")
_SUM, _PRODUCT, _POWER, _ATOM = range(4)  # how tightly a formula holds together


def label_of(op: Any, count: int, output: int | None = None) -> str:
    """Return the template of an operation with ``count`` inputs, e.g. "{0} {1}^T" for a linear map without bias."""
    label = type(op).label or f"{op.name}({', '.join(f'{{{i}}}' for i in range(count))})"
    if ", ...]" in label:
        label = f"[{', '.join(f'{{{i}}}' for i in range(count))}]"
    if op.name == "slice":
        label = "{0}" + f"[{_key(op.key)}]"
    for missing in sorted({int(i) for i in _PLACE.findall(label)} - set(range(count)), reverse=True):
        label = re.sub(rf"\s*[-+*/,]?\s*\{{{missing}\}}", "", label)
    return label if output is None or op.name in _ONE else f"{label}[{output}]"


_ONE = ("batch_norm", "layer_norm", "group_norm")  # the further outputs are for the rule; people see one


def _key(key: Any) -> str:
    parts = list(key) if isinstance(key, tuple) else [key]
    if len(parts) > 1 and parts[-1] is Ellipsis:
        parts.pop()
    return ", ".join(_index(k) for k in parts)


def _index(k: Any) -> str:
    if isinstance(k, slice):
        ends = ["" if e is None else str(e) for e in (k.start, k.stop)]
        return ":".join(ends) + (f":{k.step}" if k.step not in (None, 1) else "")
    return "..." if k is Ellipsis else str(k)


def compose(label: str, parts: Sequence[str]) -> str:
    """Put formulas into the places of a template, with the brackets that are needed.

    >>> compose("{0} {1}", ["a + b", "x"])
    '(a + b) x'
    >>> compose("1/{0}", ["1 + s"])
    '1/(1 + s)'
    >>> compose("exp({0})", ["-x"])
    'exp(-x)'
    """

    def place(found: re.Match[str]) -> str:
        i = int(found[1])
        if i >= len(parts):
            return found[0]
        return parts[i] if tightness(parts[i]) >= _demand(label, found) else f"({parts[i]})"

    return _PLACE.sub(place, label)


def tightness(formula: str) -> int:
    """Return how tightly the outermost operation of a formula holds together."""
    flat = _outside_brackets(formula)
    if re.search(r" [-+=≠<≤>≥&|] | (if|and|or|xor|mod) ", flat) or flat.startswith(("-", "not ")):
        return _SUM
    if " " in flat.strip() or "/" in flat:
        return _PRODUCT
    return _POWER if re.search(r"[\^²√]", flat) else _ATOM


def _outside_brackets(text: str) -> str:
    out, depth = [], 0
    for c in text:
        depth += c in "([{‖|⌊⌈"
        if depth == 0 or (c == "|" and depth == 1):
            out.append(c if c != "|" else "")
        if c in ")]}‖⌋⌉":
            depth -= 1
    return "".join(out)


def _demand(label: str, found: re.Match[str]) -> int:
    """Return how tightly what is put into this place must hold together."""
    before, after = label[: found.start()], label[found.end() :]
    inner = before.rsplit("(", 1)[-1] if "(" in before and ")" in after else before
    if re.search(r"[(\[,|‖⌊⌈]\s*$", before) and re.match(r"\s*[)\],|‖⌋⌉]", after):
        return _SUM
    if after.startswith(("^", "²", "ᵀ", "[")) or before.endswith(("/", "√", "^", "Π ", "mean ", "max ", "min ")):
        return _ATOM if not before.endswith(("Π ", "mean ", "max ", "min ")) else _POWER
    if before.endswith("- ") or before.endswith("-"):
        return _PRODUCT
    if before.endswith("/ "):
        return _POWER
    if after.startswith((" {", " /", " *")) or inner.endswith(("} ", "* ", "Σ ")):
        return _PRODUCT
    return _SUM


def number_text(value: Any) -> str:
    """Return a Python number as it stands in a formula.

    >>> number_text(2.0), number_text(-0.5), number_text(1e-7)
    ('2', '-0.5', '1e-07')
    """
    return f"{value:.6g}" if isinstance(value, float) else str(value)
