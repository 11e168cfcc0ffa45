"""What a derivation is made of, and how it is set: sentences, and equations with one right side below the other."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gyaku.base.text import language
from gyaku.explain.formula import OPPOSITE, Call, Expr, Power, Product, Sum, Sym
from gyaku.explain.latex import decimal_latex, matrix_latex, name_latex

WIDTH = 78
_CROSS = r"\times"
_LONG_LEFT = 26  # a longer left side stands on a line of its own
_MANY_DIGITS = 12
_MOST = 36  # elements of an array that are written out


# --- numbers ---


def number(value: float, tolerance: float = 1e-12, digits: int = 5) -> tuple[str, bool]:
    """Return a number to five (or so many) digits, and whether that is all of it.

    >>> number(30.0), number(2 / 3), number(0.1)
    (('30', True), ('0.66667', False), ('0.1', True))
    """
    value = float(value)
    if abs(value) < 1e7 and value == round(value):
        return str(int(value)), True
    text = f"{value:.{digits}g}"
    return text, value != value or abs(float(text) - value) <= tolerance * abs(value)


def array_text(value: Any, tolerance: float = 1e-12) -> tuple[str, str, bool]:
    """Return an array as (text, LaTeX, whether all its digits are there); a large one by its shape."""
    array = np.asarray(value)
    if array.ndim == 0:
        text, exact = number(float(array), tolerance)
        return text, decimal_latex(text), exact
    if array.size > _MOST or array.ndim > 2:
        sizes = [str(n) for n in array.shape]
        return f"[{'×'.join(sizes)}]", f"[{f' {_CROSS} '.join(sizes)}]", False
    cells = [number(v, tolerance) for v in array.ravel().tolist()]
    texts = np.array([text for text, _ in cells], dtype=object).reshape(array.shape).tolist()
    return _nested(texts), matrix_latex(_mapped(texts)), all(exact for _, exact in cells)


def _nested(cells: Any) -> str:
    return f"[{', '.join(_nested(c) for c in cells)}]" if isinstance(cells, list) else str(cells)


def _mapped(cells: Any) -> Any:
    return [_mapped(c) for c in cells] if isinstance(cells, list) else decimal_latex(cells)


class Shown(Sym):
    """A number in the place of a symbol: written as it is, not worked out, so that a reader can follow."""

    __slots__ = ("exact",)

    def __init__(self, value: float, tolerance: float = 1e-12, digits: int = 5) -> None:
        text, self.exact = number(value, tolerance, digits)
        super().__init__(text, decimal_latex(text))


def filled(e: Expr, values: dict[str, float], tolerance: float = 1e-12, digits: int = 5) -> Expr:
    """Return a formula with numbers in the place of symbols, not worked out: 2t becomes 2(5); arrays keep theirs."""

    def put(part: Expr) -> Expr:
        return filled(part, values, tolerance, digits)

    if isinstance(e, Sym):
        value = values.get(e.name)
        return e if value is None or np.size(value) != 1 else Shown(value, tolerance, digits)
    if isinstance(e, Sum):
        return Sum(tuple(map(put, e.terms)))
    if isinstance(e, Product):
        return Product(e.number, tuple(map(put, e.factors)))
    if isinstance(e, Power):
        return Power(put(e.base), put(e.exponent))
    if isinstance(e, Call):
        args = tuple(map(put, e.args))
        if e.name in OPPOSITE and args[0] == args[1] and digits < _MANY_DIGITS:  # equal only as far as shown
            return filled(e, values, tolerance, _MANY_DIGITS)
        return Call(e.name, args, e.static)
    return e


def exact(e: Expr) -> bool:
    """Whether every number put in by ``filled`` shows all its digits."""
    return e.exact if isinstance(e, Shown) else all(exact(p) for p in e.parts)


# --- equations ---


@dataclass(frozen=True)
class Right:
    """One right side: text, LaTeX, "=" or "≈" before it; ``expr`` with ``values`` is the evaluable form, if any."""

    text: str
    latex: str
    sign: str = "="
    expr: Expr | None = None
    values: dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Equation:
    """A left side and its right sides, which all have the value ``value``."""

    left: str
    latex: str
    rights: tuple[Right, ...]
    value: Any = None
    part: bool = False  # of a derivation: stands further in, and in one line where it fits

    def lines(self) -> list[str]:
        """Return the equation in lines: in one where it is short, else one right side below the other."""
        indent = 4 if self.part else 2
        rights = _without_repeats(self.rights, self.left)
        one = " ".join([self.left, *[f"{r.sign} {r.text}" for r in rights]]).strip()
        pad = " " * indent
        if (len(rights) <= 2 or self.part) and indent + len(one) <= WIDTH:
            return [pad + one]
        out: list[str] = []
        head = f"{pad}{self.left} "
        if len(self.left) > _LONG_LEFT:
            out = [f"{pad}  {line}" for line in _wrapped(self.left, WIDTH - indent - 2)]
            head = pad
        edge = len(head)
        for right in rights:
            first, *more = _wrapped(right.text, WIDTH - edge - 2)
            out.append(f"{head}{right.sign} {first}")
            head = " " * edge
            out += [f"{head}  {line}" for line in more]
        return out

    def latex_lines(self) -> str:
        """Return the equation as rows of an ``align*``."""
        rights = _without_repeats(self.rights, self.left)
        rows = [rf"{_SIGNS[r.sign]} {r.latex}" for r in rights]
        return "\\\\\n".join([f"{self.latex} &{rows[0]}", *[f"&{row}" for row in rows[1:]]])


_SIGNS = {"=": "=", "≈": r"\approx"}


def _without_repeats(rights: Sequence[Right], left: str) -> list[Right]:
    """Return the right sides without those that say what stands before them."""
    before = [left, *[r.text for r in rights]]
    return [right for right, text in zip(rights, before) if right.text != text]


def _wrapped(text: str, width: int) -> list[str]:
    """Return a formula in lines, broken before a sign at the outermost level."""
    lines: list[str] = []
    if text.startswith("[[") and len(text) > width and max(map(len, text.split("], "))) < width:
        return _rows(text)
    width = max(width, 20)
    while len(text) > width:
        places = [i for i in _breaks(text) if 0 < i <= width] or [text.rfind(" ", 1, width + 1)]
        if places[-1] < 0:
            break
        lines.append(text[: places[-1]].rstrip())
        text = text[places[-1] :].lstrip()
    return [*lines, text]


def _rows(text: str) -> list[str]:
    """Return a matrix in lines, one row each."""
    first, *more = re.findall(r"\[[^][]*\]", text)
    lines = [f"[{first}", *[f" {row}" for row in more]]
    return [*[f"{line}," for line in lines[:-1]], f"{lines[-1]}]"]


def _breaks(text: str) -> list[int]:
    depth, out = 0, []
    for i, c in enumerate(text):
        depth += (c in "([") - (c in ")]")
        if depth <= 1 and text[i : i + 3] in (" + ", " - ", " · "):
            out.append(i + 1)
        if depth <= 1 and text[i : i + 2] == ", ":
            out.append(i + 2)
    return out


@dataclass(frozen=True)
class Block:
    """A heading and what stands below it: sentences (str) and equations."""

    title: str
    body: tuple[str | Equation, ...] = ()
    level: int = 1  # 1: a derivation of its own; 2: a part of one


@dataclass(frozen=True)
class Derivation:
    """A derivation: prints as text, ``latex()`` gives LaTeX, ``equations`` what is claimed, to be checked."""

    blocks: tuple[Block, ...]
    lang: str = "en"

    @property
    def equations(self) -> list[Equation]:
        """All equations, in order."""
        return [part for block in self.blocks for part in block.body if isinstance(part, Equation)]

    def __str__(self) -> str:
        return "\n\n".join(_block_text(block) for block in self.blocks)

    def __repr__(self) -> str:
        return str(self)

    def _repr_markdown_(self) -> str:
        return "\n\n".join(part for block in self.blocks for part in _block_markdown(block))

    def latex(self, document: bool = False) -> str:
        """Return LaTeX: sentences and ``align*`` (needs amsmath), or a whole document."""
        body = "\n\n".join(_block_latex(block) for block in self.blocks)
        if not document:
            return body
        japanese = language(self.lang) == "ja"
        kind = "ltjsarticle" if japanese else "article"
        note = "% lualatex\n" if japanese else ""
        head = rf"{note}\documentclass{{{kind}}}" + "\n" + r"\usepackage{amsmath}" + "\n" + r"\begin{document}"
        return f"{head}\n{body}\n\\end{{document}}\n"


def _block_text(block: Block) -> str:
    lines = wrapped(block.title)
    for part in block.body:
        lines += part.lines() if isinstance(part, Equation) else [f"  {line}" for line in wrapped(part, WIDTH - 2)]
    return "\n".join(line.rstrip() for line in lines)


def width(text: str) -> int:
    """Return the columns a text takes: Japanese characters take two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def wrapped(text: str, most: int = WIDTH) -> list[str]:
    """Return a sentence in lines of at most ``most`` columns: broken at blanks, or between Japanese characters."""
    lines, line = [], ""
    for word in _WORD.findall(text):
        if line and width(line + word.rstrip()) > most and word[0] not in "、。)":
            lines.append(line.rstrip())
            line = ""
        line += word if line or not lines else word.lstrip()
    return [*lines, line.rstrip()] if line.strip() else lines


_WORD = re.compile(r"[\u3000-\u9fff\uff00-\uffef]|[^\s\u3000-\u9fff\uff00-\uffef]+\s*|\s+")


def _block_latex(block: Block) -> str:
    out = [rf"\paragraph{{{latex_words(block.title)}}}"] if block.title else []
    for part in _grouped(block):
        out.append(latex_words(part) if isinstance(part, str) else f"\\begin{{align*}}\n{part[0]}\n\\end{{align*}}")
    return "\n".join(out)


def _block_markdown(block: Block) -> list[str]:
    """Return the paragraphs of a block for a notebook: sentences, and mathematics between dollar signs."""
    out = [f"**{_markdown_words(block.title)}**"] if block.title else []
    for part in _grouped(block):
        written = isinstance(part, str)
        out.append(_markdown_words(part) if written else f"$$\\begin{{aligned}}\n{part[0]}\n\\end{{aligned}}$$")  # type: ignore[arg-type]
    return out


def _markdown_words(text: str) -> str:
    return re.sub(r"([\\`*_$<>\[\]])", r"\\\1", text)


def _grouped(block: Block) -> list[str | tuple[str]]:
    """Return the body of a block with equations that follow one another as one group of LaTeX rows."""
    out: list[str | tuple[str]] = []
    for part in block.body:
        if isinstance(part, str):
            out.append(part.strip())
        elif out and isinstance(out[-1], tuple):
            out[-1] = ("\\\\\n".join([out[-1][0], part.latex_lines()]),)
        else:
            out.append((part.latex_lines(),))
    return out


_WORDS = {
    "_": r"\_", "%": r"\%", "&": r"\&", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}", "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}", "\\": r"\textbackslash{}", "∂": r"$\partial$", "δ": r"$\delta$", "≈": r"$\approx$",
    "←": r"$\leftarrow$", "→": r"$\to$", "×": r"$\times$", "·": r"$\cdot$", "Σ": r"$\sum$", "ᵀ": r"$^{\top}$",
    "√": r"$\surd$", "²": r"$^2$", "³": r"$^3$", "⊙": r"$\odot$", "≠": r"$\ne$", "<": r"$<$", ">": r"$>$", "|": r"$|$",
    **{c: f"$_{i}$" for i, c in enumerate("₀₁₂₃₄₅₆₇₈₉")}, **{c: f"${name_latex(c)}$" for c in "ŷαβγεηθλμπρστφω"},
}  # fmt: skip


def latex_words(text: str) -> str:
    """Return a sentence with LaTeX's own characters escaped."""
    return "".join(_WORDS.get(c, c) for c in text)
