"""Writing in pictures: numbers as a lecturer writes them, formulas with italic letters and raised exponents, widths."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

_RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_LOWERED = "₀₁₂₃₄₅₆₇₈₉"
_SMALL = 0.72  # size of exponents and indices

# Widths in hundredths of the size, of DejaVu Sans and DejaVu Serif Italic: the widest fonts of our list, so that what
# fits in them fits in all.
_UPRIGHT = {
    0: "̂", 24: "′", 28: "'ijl", 30: "IJₜ", 32: " ,.·", 34: "/:;\\|ι", 36: "f", 38: "-″", 40: "()[]tᵀ⌊⌋",
    42: "!r²³¹⁰⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉", 46: '"', 50: "*_`–°‖", 52: "∂▸▾", 54: "?sz⁻⁺ẑ", 56: "LcεζνξΓ", 58: "Fkχ",
    60: "vxyŷγκλ", 62: "PTYaeoθδπτ│", 64: "$0123456789ESbdghnpqu{}Σ√βημρσΞ∘", 66: "Kαφψ", 68: "∑∇", 70: "ABCRVXZΔΛ",
    74: "U", 76: "HN∏Π", 78: "&DGΩ█", 80: "OQΘΦΨ", 82: "wŵ", 84: "#+<=>^~×÷±−∞≈≠≤≥→←↑↓ω⊙∗", 88: "M∈⊤", 96: "%",
    98: "m", 100: "@W—…",
}  # fmt: skip
_SLANTED = {
    0: "̂", 24: "′", 26: "ₜ", 32: "ijl", 38: "f″", 40: "Iι", 42: "!Jt", 48: "r", 52: "s∂", 54: "zẑε", 56: "cζξτ",
    58: "vxyŷβ", 60: "aeγηρ", 62: "koθδνχ", 64: "bdgpqλ", 66: "Yhnuκμπ", 68: "LPTα", 70: "FSZ∇σφΓ", 72: "XΣΞ",
    74: "ABEVΔΛ", 76: "KR", 78: "C", 80: "Gψ", 82: "DOQωΘΦ", 84: "Ω", 86: "Uwŵ", 88: "HNΠΨ", 96: "m", 104: "MW",
}  # fmt: skip
_SANS, _ITALIC = ({c: w / 100 for w, letters in t.items() for c in letters} for t in (_UPRIGHT, _SLANTED))
_WIDTHS = {"sans": _SANS, "italic": _ITALIC, "math": {**_SANS, "∂": 0.56, "∇": 0.7, "Σ": 0.72, "Π": 0.88, "√": 0.64}}

_WORDS = frozenset(
    "log exp sin cos tan max min sum mean var std if else mod and or not erf nll axis conv relu elu gelu silu norm "
    "abs any all add mul".split()
)


@dataclass(frozen=True)
class Run:
    """Letters of one kind: ``face`` "sans", "math" (signs) or "italic" (variables); ``level`` 1 raised, -1 lowered."""

    text: str
    face: str = "sans"
    level: int = 0
    bold: bool = False


Line = tuple[Run, ...]


def measure(line: Line, size: float) -> float:
    """Return the width of a line in the units of ``size``."""
    return sum(_width(run) for run in line) * size


@lru_cache(maxsize=8192)
def _width(run: Run) -> float:
    table = _WIDTHS[run.face]
    width = sum(table.get(c) or _unknown(c) for c in run.text)
    return width * (_SMALL if run.level else 1.0) * (1.1 if run.bold else 1.0)


def _unknown(c: str) -> float:
    if unicodedata.combining(c):
        return 0.0
    return 1.0 if unicodedata.east_asian_width(c) in "WF" else 0.72


def plain(text: str, *, bold: bool = False) -> Line:
    """Return text upright, as it is."""
    return (Run(_clean(text), bold=bold),)


@lru_cache(maxsize=8192)
def _clean(text: str) -> str:
    """Return text without control characters (which no XML can hold), on one line."""
    text = re.sub(r"\s+", " ", text)
    return "".join(c for c in text if unicodedata.category(c) not in ("Cc", "Cs", "Co", "Cn"))


_MARKS = {"hat": "\u0302", "bar": "\u0304", "tilde": "\u0303"}
_MARKED = re.compile(r"([A-Za-z])_?(hat|bar|tilde)")
_GREEK_WORD = re.compile(r"([A-Za-z]+?)_?(\d*)")
_GREEK = dict(
    zip("alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau phi chi psi omega "
        "Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega".split(), "αβγδεζηθικλμνξπρστφχψωΓΔΘΛΞΠΣΦΨΩ", strict=True)
)  # fmt: skip
_LIFTED = "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ᵀ"
_FLAT = str.maketrans(_LIFTED + _LOWERED, "0123456789-+T0123456789")
_LETTER = r"[A-Za-zα-ωŷẑŵ][\u0302-\u0304]?"
_TOKEN = re.compile(
    r"\^\((?P<up>[^()]*(?:\([^()]*\)[^()]*)*)\)"  # ^(-x)
    r"|\^(?P<exponent>-?[A-Za-z0-9]+)"
    rf"|(?P<lifted>[{_LIFTED}]+)"
    rf"|(?P<letter>{_LETTER})(?:_?(?P<digits>[0-9]+|[{_LOWERED}]+)|_(?P<index>[A-Za-z0-9]{{1,3}}))(?![A-Za-z0-9_.])"
    rf"|(?P<word>(?:{_LETTER}|[^\W\d_{_LIFTED}{_LOWERED}ΣΠ])(?:[^\W{_LIFTED}{_LOWERED}]|\.(?=[^\W\d]))*\u0302?)"
    r"|(?P<sign>[∂ΣΠ√∇]+)"
    r"|(?P<rest>.)",
    re.DOTALL,
)


@lru_cache(maxsize=8192)
def formula(text: str) -> Line:
    """Return a formula with letters slanted, functions upright, exponents raised and indices lowered.

    >>> [(run.text, run.face, run.level) for run in formula("e^(-x1) + sigmoid(ax)²")]  # doctest: +NORMALIZE_WHITESPACE
    [('e', 'italic', 0), ('−', 'sans', 1), ('x', 'italic', 1), ('1', 'sans', 1), (' + sigmoid(', 'sans', 0),
     ('ax', 'italic', 0), (')', 'sans', 0), ('2', 'sans', 1)]
    """
    return tuple(_joined(_runs(_clean(text), 0)))


def _runs(text: str, level: int) -> list[Run]:
    found: list[Run] = []
    for match in _TOKEN.finditer(text):
        kind, part = match.lastgroup, match.group()
        if kind in ("up", "exponent", "lifted"):
            found += _runs(match.group(kind).translate(_FLAT), 1)
        elif kind in ("digits", "index"):
            index = match.group(kind).translate(_FLAT)
            found += [Run(match["letter"], "italic", level), Run(index, _face(index), level or -1)]
        elif kind == "word":
            function = text[match.end() : match.end() + 1] == "(" and len(part) > 1
            found += [Run(part, "sans", level)] if function else _named(part, level)
        else:
            found.append(Run(_signs(part), "math" if kind == "sign" else "sans", level))
    return found


def _named(word: str, level: int) -> list[Run]:
    """Return a word: ``yhat`` is ŷ, ``delta`` δ, ``beta_1`` β₁; letters of variables are slanted."""
    if marked := _MARKED.fullmatch(word):
        return [Run(unicodedata.normalize("NFC", marked[1] + _MARKS[marked[2]]), "italic", level)]
    if (greek := _GREEK_WORD.fullmatch(word)) and greek[1] in _GREEK:
        letter = Run(_GREEK[greek[1]], "italic" if greek[1].islower() else "math", level)
        return [letter, Run(greek[2], "sans", level or -1)] if greek[2] else [letter]
    return [Run(word, _face(word), level)]


def _face(word: str) -> str:
    """Return "italic" for a variable or a product of variables: up to three letters that name no function."""
    variable = len(word) <= 3 and word.isalpha() and word not in _WORDS and not _wide(word)
    return "italic" if variable else "sans"


def _wide(text: str) -> bool:
    return any(unicodedata.east_asian_width(c) in "WF" for c in text)


def _signs(text: str) -> str:
    return text.replace("-", "−").replace("*", "·")


def _joined(runs: list[Run]) -> list[Run]:
    """Join neighbours of one kind."""
    found: list[Run] = []
    for run in runs:
        same = found and (found[-1].face, found[-1].level) == (run.face, run.level)
        if same:
            found[-1] = Run(found[-1].text + run.text, run.face, run.level)
        elif run.text:
            found.append(run)
    return found


def with_text(line: Line) -> str:
    """Return what a line says, without its looks."""
    return "".join(_raised(run) for run in line)


def _raised(run: Run) -> str:
    if run.level == 1:
        return run.text.translate(_RAISED) if re.fullmatch(r"[−-]?\d+", run.text) else f"^({run.text})"
    if run.level == -1:
        return "".join(_LOWERED[int(c)] if c.isascii() and c.isdigit() else c for c in run.text)
    return run.text


# --- numbers ---


def number(value: Any) -> str:
    """Return a number with four digits (five where they say it exactly), a real minus sign, powers of ten raised.

    >>> number(-0.30000000000000004), number(7.5625), number(1.5e-7), number(3.0), number(2/3)
    ('−0.3', '7.5625', '1.5×10⁻⁷', '3', '0.6667')
    """
    value = value.item() if isinstance(value, np.generic | np.ndarray) else value
    if isinstance(value, complex):
        imaginary = number(abs(value.imag))
        return f"{number(value.real)} {'−' if value.imag < 0 else '+'} {imaginary}i"
    value = int(value) if isinstance(value, bool) else value
    if isinstance(value, int):
        return str(value).replace("-", "−") if abs(value) < 10**7 else number(float(value))
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "−∞"
    return _finite(value)


def _finite(value: float) -> str:
    if value == 0:
        return "0"
    five = f"{value:.5g}"
    text = five if abs(float(five) - value) <= 1e-10 * abs(value) else f"{value:.4g}"
    size = abs(float(text))
    if 1e-4 <= size < 1e5:
        return text.replace("-", "−") if "e" not in text else str(round(float(text))).replace("-", "−")
    mantissa, _, exponent = f"{float(text):.4e}".partition("e")
    mantissa = mantissa.rstrip("0").rstrip(".").replace("-", "−")
    return f"{mantissa}×10{str(int(exponent)).translate(_RAISED)}"


def factor(value: float) -> str:
    """Return a number as a factor: in brackets when it is negative."""
    text = number(value)
    return f"({text})" if text.startswith("−") else text


def shape_text(shape: Sequence[int]) -> str:
    """Return a shape as ``2×3``; of an array with one axis, ``(3)``."""
    return "×".join(map(str, shape)) if len(shape) != 1 else f"({shape[0]})"
