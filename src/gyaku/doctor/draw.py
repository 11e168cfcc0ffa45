"""The doctor's pictures as SVG, and the verdict as a piece of HTML. Colours are CSS variables with the light palette
behind them, so that one picture stands alone as well as in a light or dark report.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

from gyaku.base.look import CSS_FONTS, LIGHT
from gyaku.base.text import Phrases
from gyaku.doctor.diseases import DISEASES
from gyaku.doctor.phrases import WORDS, remedy_text

_WIDTH, _HEIGHT = 560, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 78, 120, 16, 46
Json = dict[str, Any]


def _colour(name: str) -> str:
    known = name if name in LIGHT.__dataclass_fields__ else "ink"
    return f"var(--{known}, {getattr(LIGHT, known)})"


def chart_svg(chart: Json, say: Phrases) -> str:
    """Return a chart (``chart_json``) as SVG: bars where it has labels, else curves named at their right ends."""
    body = _bars(chart, say) if chart["labels"] else _curves(chart, say)
    name = escape(f"{say(chart['y'])} / {say(chart['x'])}", quote=True)
    style = f'style="width:100%;height:auto;display:block;font-family:{escape(CSS_FONTS, quote=True)}"'
    box = f'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
    return f'<svg {box} role="img" aria-label="{name}" {style}>{body}</svg>'


def _finite(values: Sequence[float | None], log: bool) -> list[float]:
    return [v for v in values if v is not None and math.isfinite(v) and (v > 0 or not log)]


def _scale(values: Sequence[float], log: bool, zero: bool = False) -> tuple[Callable[[float], float], list[float]]:
    """Return the map from values to pixels (upwards) and the ticks."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if log:
        a, b = math.floor(math.log10(low)), math.ceil(math.log10(high))
        b = max(b, a + 1)
        step = max(1, math.ceil((b - a) / 5))
        ticks = [10.0**e for e in range(a, b + 1, step)]
        return (lambda v: _pixel((math.log10(max(v, 1e-300)) - a) / (b - a))), ticks
    low = 0.0 if zero or low >= 0.0 else low
    high = high if high > low else low + 1.0
    width = next(m * 10.0 ** math.floor(math.log10((high - low) / 4)) for m in (1, 2, 5, 10)
                if m * 10.0 ** math.floor(math.log10((high - low) / 4)) >= (high - low) / 4 * 0.999)  # fmt: skip
    top = math.ceil(high / width - 1e-9) * width
    bottom = math.floor(low / width + 1e-9) * width
    ticks = [bottom + i * width for i in range(round((top - bottom) / width) + 1)]
    return (lambda v: _pixel((v - bottom) / (top - bottom))), ticks


def _pixel(share: float) -> float:
    return _HEIGHT - _BOTTOM - min(max(share, 0.0), 1.0) * (_HEIGHT - _BOTTOM - _TOP)


def _text(
    x: float, y: float, words: str, *, anchor: str = "middle", size: int = 13, colour: str = "ink", more: str = ""
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" style="fill:{_colour(colour)}"{more}>'
        f"{escape(words)}</text>"
    )


def _line(x1: float, y1: float, x2: float, y2: float, colour: str = "faint", dash: str = "") -> str:
    dashes = f";stroke-dasharray:{dash}" if dash else ""
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" style="fill:none;stroke:{_colour(colour)}{dashes}"/>'


def _frame(ticks: list[float], scale: Callable[[float], float], right: float, x_name: str, y_name: str) -> list[str]:
    parts = []
    for t in ticks:
        parts.append(_line(_LEFT, scale(t), right, scale(t)))
        parts.append(_text(_LEFT - 8, scale(t) + 4, f"{t:.6g}", anchor="end"))
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    parts.append(_text((_LEFT + right) / 2, _HEIGHT - 6, x_name, size=14))
    parts.append(_text(0, 0, y_name, size=14, more=f' transform="translate(14 {middle:.0f}) rotate(-90)"'))
    return parts


def _curves(chart: Json, say: Phrases) -> str:
    log, curves, right = chart["log"], chart["curves"], _WIDTH - _RIGHT
    xs = [x for c in curves for x in c["xs"]]
    values = [v for c in curves for v in _finite(c["ys"], log)]
    log = log or (bool(values) and min(values) > 0 and max(values) > 100 * min(values))
    scale, ticks = _scale(values + ([chart["mark"]] if chart["mark"] is not None else []), log)
    first, last = min(xs, default=0.0), max(xs, default=1.0)

    def across(x: float) -> float:
        return _LEFT + (x - first) / ((last - first) or 1.0) * (right - _LEFT)

    parts = _frame(ticks, scale, right, say(chart["x"]), say(chart["y"]))
    parts += [_text(across(x), _HEIGHT - _BOTTOM + 18, f"{x:g}") for x in _round(first, last)]
    if chart["mark"] is not None:
        parts.append(_line(_LEFT, scale(chart["mark"]), right, scale(chart["mark"]), "baseline", "4 4"))
    ends: list[tuple[float, float, str, str]] = []
    for c in curves:
        points = [
            (across(x), scale(y)) for x, y in zip(c["xs"], c["ys"], strict=True) if y is not None and (y > 0 or not log)
        ]
        if not points:
            continue
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        parts.append(f'<path d="M{path}" style="fill:none;stroke-width:2.4;stroke:{_colour(c["colour"])}"/>')
        ends.append((points[-1][1], points[-1][0] + 7, _name(c["name"], say), c["colour"]))
    return "".join(parts) + _ends(ends)


def _ends(ends: list[tuple[float, float, str, str]]) -> str:
    """Return the names at the right ends of curves, moved apart where they would touch."""
    places: list[float] = []
    for y, *_ in sorted(ends):
        places.append(max(y, places[-1] + 15.0) if places else y)
    overflow = max(0.0, places[-1] - (_HEIGHT - _BOTTOM)) if places else 0.0
    return "".join(
        _text(x, place - overflow + 4, name, anchor="start", colour=colour)
        for place, (_, x, name, colour) in zip(places, sorted(ends), strict=True)
    )


def _round(first: float, last: float) -> list[float]:
    """Return up to five round numbers between two steps."""
    width = 10.0 ** math.floor(math.log10(max(last - first, 1.0)))
    width *= next(m for m in (0.2, 0.5, 1.0, 2.0) if (last - first) / (m * width) <= 5)
    start = math.ceil(first / width)
    return [k * width for k in range(start, math.floor(last / width) + 1)]


def _name(key: str, say: Phrases) -> str:
    return say(key) if key in say.table else key


def _bars(chart: Json, say: Phrases) -> str:
    curve, labels, right = chart["curves"][0], chart["labels"], _WIDTH - 30
    log = chart["log"] and any(v for v in curve["ys"])
    values = _finite(curve["ys"], log)
    marked = [chart["mark"]] if chart["mark"] is not None else []
    scale, ticks = _scale(values + marked, log, zero=not log)
    parts = _frame(ticks, scale, right, say(chart["x"]), say(chart["y"]))
    width = (right - _LEFT) / max(1, len(labels))
    for i, (label, value) in enumerate(zip(labels, curve["ys"], strict=True)):
        x = _LEFT + (i + 0.5) * width
        top, bottom = scale(value if value is not None and (value > 0 or not log) else ticks[0]), scale(ticks[0])
        parts.append(
            f'<rect x="{x - 0.35 * min(width, 60):.1f}" y="{min(top, bottom):.1f}" width="{0.7 * min(width, 60):.1f}" '
            f'height="{abs(bottom - top):.1f}" style="fill:{_colour(curve["colour"])}"/>'
        )
        if i % max(1, math.ceil(len(labels) * 9 * max(map(len, labels)) / (right - _LEFT))) == 0:
            parts.append(_text(x, _HEIGHT - _BOTTOM + 18, _name(label, say)))
    if marked:
        parts.append(_line(_LEFT, scale(marked[0]), right, scale(marked[0]), "baseline", "4 4"))
    return "".join(parts)


def verdict_html(verdict: Json, lang: str) -> str:
    """Return a verdict (``Verdict.to_json``) as HTML: the disease first, then evidence, remedy and proof."""
    say = Phrases(WORDS, lang)
    if verdict["healthy"]:
        return f'<p class="lead verdict">✓ {escape(say("healthy", steps=verdict["seen"].get("steps", 0)))}</p>'
    return "".join(_finding_html(f, say, i == 0) for i, f in enumerate(verdict["findings"]))


def _finding_html(f: Json, say: Phrases, first: bool) -> str:
    lang = say.lang
    place = f" <code>{escape(f['where'])}</code>" if f["where"] else ""
    size = "lead verdict" if first else "verdict"
    parts = [f'<div class="finding"><p class="{size}"><b>{escape(f["name"][lang])}</b>{place}</p>']
    if f["explained_by"]:
        names = ", ".join(DISEASES[k].name[lang == "ja"] for k in f["explained_by"] if k in DISEASES)
        parts.append(f'<p class="note">{escape(say("explained", names=names))}</p>')
    parts.append(f"<p>{escape(f['text'][lang])}</p>")
    if code := remedy_text(f["remedy"], lang):
        parts.append(f"<p><b>{escape(say('remedy'))}</b></p><pre><code>{escape(code)}</code></pre>")
    pictures = [chart_svg(f["chart"], say)] if f["chart"] else []
    if f["proof"] is not None:
        parts.append(f"<p>{escape(_proof(f['proof'], say))}</p>")
        pictures.append(chart_svg(_proof_chart(f["proof"]), say))
    parts.append('<div class="charts">' + "".join(f"<div>{p}</div>" for p in pictures) + "</div></div>")
    return "".join(parts)


def _proof(proof: Json, say: Phrases) -> str:
    shown = {k: "–" if proof[k] is None else f"{proof[k]:.3g}" for k in ("before", "after")}
    return say("proof" if proof["helped"] else "no_help", measure=say(proof["measure"]), steps=proof["steps"], **shown)


def _proof_chart(proof: Json) -> Json:
    return {"x": "step", "y": "loss", "log": False, "labels": [], "mark": None, "curves": proof["curves"]}
