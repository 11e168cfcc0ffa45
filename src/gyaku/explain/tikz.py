"""A scene as TikZ code: for slides made with LaTeX, in the fonts of the slides."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable
from typing import Any

import numpy as np

from gyaku.base import look
from gyaku.explain.draw_scene import Heat, Paint, Polygon, Rect, Scene, Stroke, Write
from gyaku.explain.draw_text import Line, Run

_ROLES = ("paper", "ink", "faint", "forward", "backward", "wrong", "baseline")
_GREEK = dict(
    zip("αβγδεζηθικλμνξπρστφχψωΓΔΘΛΞΠΣΦΨΩ",
        "alpha beta gamma delta varepsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau varphi chi psi "
        "omega "
        "Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega".split(), strict=True)
)  # fmt: skip
_SIGNS = {
    "−": "-", "·": r"\cdot ", "×": r"\times ", "÷": r"\div ", "±": r"\pm ", "∂": r"\partial ", "∇": r"\nabla ",
    "√": r"\surd ", "∞": r"\infty ", "≈": r"\approx ", "≠": r"\neq ", "≤": r"\leq ", "≥": r"\geq ", "→": r"\to ",
    "∈": r"\in ", "‖": r"\Vert ", "⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil ",
    "…": r"\ldots ", " ": r"\ ", "#": r"\#", "$": r"\$", "%": r"\%", "&": r"\&", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\sim ", "^": r"\hat{\ }", "\\": r"\backslash ",
    "⊙": r"\odot ", "∘": r"\circ ", "′": "'",
}  # fmt: skip
_LIFTED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+", strict=True)) | {"ᵀ": r"\mathsf{T}"}
_MARKS = {"\u0302": "hat", "\u0303": "tilde", "\u0304": "bar"}
_POINTS = 0.75  # TeX points for a pixel of the picture


def tikz_text(scene: Scene, *, document: bool = True) -> str:
    """Return TikZ code: a ``standalone`` document, or the ``tikzpicture`` alone (it needs tikz and amsmath)."""
    colours = "\n".join(rf"\definecolor{{gy{role}}}{{HTML}}{{{getattr(look.LIGHT, role)[1:]}}}" for role in _ROLES)
    body = "\n".join(line for shape in scene.root.flat() for line in _WRITERS[type(shape)](shape))
    options = f"x={_POINTS}pt, y=-{_POINTS}pt, line join=round"
    drawing = f"{colours}\n\\begin{{tikzpicture}}[{options}]\n{body}\n\\end{{tikzpicture}}\n"
    return f"{_head(drawing)}\\begin{{document}}\n{drawing}\\end{{document}}\n" if document else drawing


def _head(drawing: str) -> str:
    """Return the preamble; Japanese asks for LuaLaTeX and its package."""
    japanese = any(unicodedata.east_asian_width(c) in "WF" for c in drawing)
    lines = [
        "% lualatex" if japanese else "% pdflatex, lualatex or xelatex",
        r"\documentclass[tikz,border=4pt]{standalone}",
    ]
    lines += [r"\usepackage{amsmath}", *([r"\usepackage{luatexja}"] if japanese else [])]
    return "\n".join(lines) + "\n"


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _at(x: float, y: float) -> str:
    return f"({_n(x)},{_n(y)})"


def _looks(paint: Paint) -> str:
    parts = [f"draw=gy{paint.stroke}", f"line width={paint.width * _POINTS:.2f}pt"] if paint.stroke else []
    parts += [f"fill=gy{paint.fill}"] if paint.fill else []
    parts += [f"fill opacity={paint.tint:g}"] if paint.fill and paint.tint != 1 else []
    if paint.dashes:
        on, off = (d * _POINTS for d in paint.dashes)
        parts.append(f"dash pattern=on {on:.1f}pt off {off:.1f}pt")
    return ", ".join(parts)


def _rect(r: Rect) -> list[str]:
    corners = f", rounded corners={r.radius * _POINTS:.1f}pt" if r.radius else ""
    return [rf"\path[{_looks(r.paint)}{corners}] {_at(r.x, r.y)} rectangle {_at(r.x + r.width, r.y + r.height)};"]


def _stroke(s: Stroke) -> list[str]:
    way = ""
    for command, points in s.commands:
        if command == "C":
            a, b, c = (_at(*p) for p in points)
            way += f" .. controls {a} and {b} .. {c}"
        else:
            way += ("" if command == "M" else " -- ") + _at(*points[0])
    return [rf"\path[{_looks(s.paint)}] {way};"]


def _polygon(p: Polygon) -> list[str]:
    return [rf"\path[{_looks(p.paint)}] {' -- '.join(_at(*q) for q in p.points)} -- cycle;"]


def _write(w: Write) -> list[str]:
    anchor = {"start": "base west", "middle": "base", "end": "base east"}[w.anchor]
    size = w.size * _POINTS
    font = rf"font=\fontsize{{{size:.1f}}}{{{size * 1.2:.1f}}}\selectfont"
    return [
        rf"\node[anchor={anchor}, inner sep=0, text=gy{w.colour}, {font}] at {_at(w.x, w.y)} {{{latex_line(w.line)}}};"
    ]


def _heat(h: Heat) -> list[str]:
    """Return an array as filled cells: an opacity of the colour that the sign has."""
    rows, columns = h.cells.shape
    high, wide = h.height / rows, h.width / columns
    lines = []
    for i, j in np.argwhere(~(np.abs(h.cells) < 0.02)).tolist():
        value = float(h.cells[i, j])
        colour, strength = ("forward", value) if value > 0 else ("backward", -value)
        colour, strength = ("wrong", 1.0) if math.isnan(value) else (colour, strength)
        paint = Paint(fill=colour, tint=round(0.1 + 0.9 * strength, 2))
        lines += _rect(Rect(h.x + j * wide, h.y + i * high, wide, high, paint))
    return [*lines, *_rect(Rect(h.x, h.y, h.width, h.height, Paint("baseline", width=0.6)))]


_WRITERS: dict[type, Callable[[Any], list[str]]] = {
    Rect: _rect, Stroke: _stroke, Polygon: _polygon, Write: _write, Heat: _heat,
}  # fmt: skip


def latex_line(line: Line) -> str:
    """Return a line as LaTeX, all of it in math mode.

    >>> from gyaku.explain.draw_text import formula
    >>> print(latex_line(formula("e^(-x1) + log(ŷ)")))
    $e{}^{-}{}^{x}{}^{1}+\\mathrm{log}(\\hat{y})$
    """
    return "$" + "".join(_run(run) for run in line) + "$"


def _run(run: Run) -> str:
    text = _words(run) if run.face == "sans" else _letters(run.text)
    return {0: text, 1: f"{{}}^{{{text}}}", -1: f"_{{{text}}}"}[run.level]


def _words(run: Run) -> str:
    """Return upright text: words in an upright alphabet, what stands between them as it is."""
    face = r"\mathbf" if run.bold else r"\mathrm"
    parts = re.split(r"([A-Za-z][A-Za-z0-9._]*)", run.text)
    return "".join(f"{face}{{{_letters(part)}}}" if i % 2 else _letters(part) for i, part in enumerate(parts))


def _letters(text: str) -> str:
    """Return letters and signs as LaTeX; around relations and sums it sets the spaces itself."""
    spaced = re.sub(r" ?([=+−<>≤≥≠·×→]) ?", r"\1", text)
    return "".join(_letter(*_split(piece)) for piece in re.findall(r".[\u0302-\u0304]?", spaced))


def _split(piece: str) -> tuple[str, str]:
    """Return a letter and the mark on it ("" for none)."""
    apart = unicodedata.normalize("NFD", piece)
    return (apart[0], apart[1]) if len(apart) == 2 and apart[1] in _MARKS else (piece[0], "")


def _letter(c: str, mark: str) -> str:
    if mark:
        return rf"\{_MARKS[mark]}{{{_letter(c, '')}}}"
    if c in _LIFTED:
        return f"{{}}^{{{_LIFTED[c]}}}"
    if c in _GREEK:
        return rf"\{_GREEK[c]} "
    return _SIGNS.get(c) or (c if c.isascii() else rf"\text{{{c}}}")
