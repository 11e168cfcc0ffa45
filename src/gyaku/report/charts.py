"""The report's charts as inline SVG: colours come from the page's CSS variables, so one chart serves light and dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from gyaku.report.axes import Scale, number, span, tick

WIDTH, HEIGHT = 560, 300
LEFT, RIGHT, TOP, BOTTOM = 76, 108, 14, 44


@dataclass(frozen=True)
class Series:
    """One curve: its name, points, CSS colour and dash pattern."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float | None]
    colour: str
    dash: str = ""


def line_chart(
    series: Sequence[Series],
    x_label: str,
    y_label: str,
    *,
    log: bool = False,
    mark: tuple[float, str] | None = None,
    y_range: tuple[float, float] | None = None,
) -> str:
    """Return curves over one x axis, each named at its right end; ``mark`` is an x for a line, and its words."""
    xs = [x for s in series for x in s.xs]
    x_scale = Scale(*(min(xs, default=0), max(xs, default=1)), LEFT, WIDTH - RIGHT)
    low, high = y_range or span([y for s in series for y in s.ys], log=log)
    y_scale = Scale(low, high, HEIGHT - BOTTOM, TOP, log)
    parts = [_grid(x_scale, y_scale, x_label, y_label)]
    if mark is not None:
        falling = bool(series) and (series[0].ys[0] or 0.0) > (_last(series[0].ys, log) or 0.0)
        parts.append(_mark(x_scale(mark[0]), mark[1], TOP + 10 if falling else HEIGHT - BOTTOM - 6))
    parts += [_curve(s, x_scale, y_scale) for s in series]
    parts.append(_end_labels(series, y_scale))
    return _svg(parts, f"{y_label} / {x_label}")


def scatter_chart(
    xs: Sequence[float], ys: Sequence[float], x_label: str, y_label: str, *, diagonal: bool = False
) -> str:
    """Return points; ``diagonal`` gives both axes one range and draws y = x."""
    x_range, y_range = span(xs), span(ys)
    if diagonal:
        x_range = y_range = span([*xs, *ys])
    x_scale, y_scale = Scale(*x_range, LEFT, WIDTH - 24), Scale(*y_range, HEIGHT - BOTTOM, TOP)
    parts = [_grid(x_scale, y_scale, x_label, y_label)]
    if diagonal:
        a, b = x_range
        parts.append(f'<path d="M{x_scale(a):.1f} {y_scale(a):.1f}L{x_scale(b):.1f} {y_scale(b):.1f}" class="base"/>')
    else:
        parts.append(f'<path d="M{LEFT} {y_scale(0):.1f}H{WIDTH - 24}" class="base"/>')
    parts += [
        f'<circle cx="{x_scale(x):.1f}" cy="{y_scale(y):.1f}" r="2.6" class="dot"/>'
        for x, y in zip(xs, ys, strict=True)
    ]
    return _svg(parts, f"{y_label} / {x_label}")


def coloured_chart(points: Any, labels: Any, names: Sequence[str]) -> str:
    """Return points (N, 2) whose class is drawn as its label, in a colour of its own hue and at its own lightness."""
    classes = sorted({int(k) for k in labels})
    x, y = Scale(*span(points[:, 0].tolist()), LEFT, WIDTH - 24), Scale(*span(points[:, 1].tolist()), HEIGHT - 24, TOP)
    parts = []
    for (a, b), k in zip(points.tolist(), labels.tolist(), strict=True):
        turn = round(360 * classes.index(int(k)) / max(1, len(classes)))
        name = escape(_short(names[int(k)] if int(k) < len(names) else str(k), 3))
        style = f"fill:oklch(from var(--forward) l c calc(h + {turn}))"
        parts.append(
            f'<text x="{x(a):.1f}" y="{y(b):.1f}" class="small" text-anchor="middle" style="{style}">{name}</text>'
        )
    return _svg(parts, "code")


def bar_chart(names: Sequence[str], values: Sequence[float], errors: Sequence[float], x_label: str) -> str:
    """Return horizontal bars with their standard deviation as a whisker, one a name."""
    height = 34 + 24 * len(names)
    low, high = span([0.0, *[v + e for v, e in zip(values, errors, strict=True)], *values])
    scale = Scale(min(low, 0.0), high, 190, WIDTH - 110)
    parts, least = [], 1e-9 * max(map(abs, values), default=0.0)  # what lies below is rounding
    for i, (name, value, error) in enumerate(zip(names, values, errors, strict=True)):
        y, end, zero = 8 + 24 * i, scale(value), scale(0)
        left, right = min(zero, end), max(zero, end)
        parts.append(f'<text x="182" y="{y + 13}" class="tick" text-anchor="end">{escape(_short(name, 22))}</text>')
        parts.append(f'<rect x="{left:.1f}" y="{y}" width="{right - left:.1f}" height="17" class="bar"/>')
        parts.append(f'<path d="M{scale(value - error):.1f} {y + 8.5}H{scale(value + error):.1f}" class="whisker"/>')
        parts.append(
            f'<text x="{max(right, scale(value + error)) + 6:.1f}" y="{y + 13}" class="tick">'
            f"{number(value if abs(value) > least else 0.0, 3)}</text>"
        )
    parts.append(_axis_name(f'x="{(190 + WIDTH - 110) / 2:.0f}" y="{height - 6}"', x_label))
    return _svg(parts, x_label, height=height)


def histograms(rows: Sequence[tuple[str, Any, Any, Any, Any]], before: str, after: str) -> str:
    """Return a row a layer: the distribution before training (outline) and after (filled), each on its own range."""
    row, left, right = 56, 120, WIDTH - 20
    parts = [
        f'<text x="{left}" y="12" class="tick">┄ {escape(before)}</text>',
        f'<text x="{left + 150}" y="12" class="tick" style="fill:var(--forward)">■ {escape(after)}</text>',
    ]
    for i, (name, first, first_edges, last, last_edges) in enumerate(rows):
        base = 22 + row * (i + 1) - 16
        low, high = min(first_edges[0], last_edges[0]), max(first_edges[-1], last_edges[-1])
        scale = Scale(float(low), float(high), left, right)
        parts.append(
            f'<text x="{left - 10}" y="{base - 8}" class="tick" text-anchor="end">{escape(_short(name, 14))}</text>'
        )
        parts.append(_steps(last, last_edges, scale, base, 'class="area"'))
        parts.append(_steps(first, first_edges, scale, base, 'class="outline"'))
        parts.append(f'<path d="M{left} {base}H{right}" class="frame"/>')
        parts += [
            f'<text x="{scale(t):.1f}" y="{base + 12}" class="small" text-anchor="middle">{tick(t)}</text>'
            for t in scale.ticks(4)
        ]
    return _svg(parts, after, height=24 + row * len(rows) + 8)


def _steps(counts: Any, edges: Any, scale: Scale, base: float, attributes: str) -> str:
    """Return a histogram as a closed path, 34 pixels at its highest; density, so that bins of two widths compare."""
    widths = [max(float(b - a), 1e-300) for a, b in zip(edges, edges[1:], strict=False)]
    density = [float(c) / w for c, w in zip(counts, widths, strict=True)]
    top = max(density, default=0.0) or 1.0
    path = f"M{scale(float(edges[0])):.1f} {base:.1f}"
    for d, a, b in zip(density, edges, edges[1:], strict=False):
        y = base - 34 * math.sqrt(d / top)  # square root: one tall bin (the zeros of a ReLU) must not flatten the rest
        path += f"L{scale(float(a)):.1f} {y:.1f}L{scale(float(b)):.1f} {y:.1f}"
    return f'<path d="{path}L{scale(float(edges[-1])):.1f} {base:.1f}Z" {attributes}/>'


def _svg(parts: Sequence[str], title: str, *, height: int = HEIGHT) -> str:
    body = "".join(parts)
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title, quote=True)}" '
        f'xmlns="http://www.w3.org/2000/svg">{body}</svg>'
    )


def _grid(x: Scale, y: Scale, x_label: str, y_label: str) -> str:
    parts = []
    for t in y.ticks():
        parts.append(f'<path d="M{x.start} {y(t):.1f}H{x.stop}" class="frame"/>')
        parts.append(f'<text x="{x.start - 8}" y="{y(t) + 4:.1f}" class="tick" text-anchor="end">{tick(t)}</text>')
    for t in x.ticks(6):
        parts.append(f'<text x="{x(t):.1f}" y="{y.start + 17:.0f}" class="tick" text-anchor="middle">{tick(t)}</text>')
    middle = (y.start + y.stop) / 2
    parts.append(_axis_name(f'x="{(x.start + x.stop) / 2:.0f}" y="{y.start + 36:.0f}"', x_label))
    parts.append(_axis_name(f'transform="translate(14 {middle:.0f}) rotate(-90)"', y_label))
    return "".join(parts)


def _axis_name(place: str, words: str) -> str:
    return f'<text {place} class="axis" text-anchor="middle">{escape(words)}</text>'


def _mark(x: float, words: str, y: float) -> str:
    anchor, shift = ("end", -5) if x > WIDTH / 2 else ("start", 5)
    return (
        f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}" class="mark"/>'
        f'<text x="{x + shift:.1f}" y="{y}" class="small" text-anchor="{anchor}">'
        f"{escape(words)}</text>"
    )


def _curve(s: Series, x: Scale, y: Scale) -> str:
    """Return one curve; a missing value leaves a gap, a single point a dot."""
    pieces: list[list[str]] = [[]]
    for a, b in zip(s.xs, s.ys, strict=True):
        if b is None or not math.isfinite(b) or (y.log and b <= 0):
            pieces.append([])
        else:
            pieces[-1].append(f"{x(a):.1f} {y(b):.1f}")
    path = "".join("M" + "L".join(piece) for piece in pieces if len(piece) > 1)
    dots = [piece[0].split() for piece in pieces if len(piece) == 1]  # a path of one point is not drawn at all
    dash = f";stroke-dasharray:{s.dash}" if s.dash else ""
    line = f'<path d="{path}" class="curve" style="stroke:{s.colour}{dash}"/>' if path else ""
    return line + "".join(f'<circle cx="{a}" cy="{b}" r="3.5" style="fill:{s.colour}"/>' for a, b in dots)


def _end_labels(series: Sequence[Series], y: Scale) -> str:
    """Return the names at the right ends, moved apart where they would touch."""
    lasts = {s.name: _last(s.ys, y.log) for s in series}
    named = sorted((s for s in series if lasts[s.name] is not None), key=lambda s: y(lasts[s.name] or 0.0))
    gap = min(14.0, (HEIGHT - TOP - BOTTOM) / max(1, len(named)))
    places: list[float] = []
    for s in named:
        place = y(lasts[s.name] or 0.0)
        places.append(max(place, places[-1] + gap) if places else place)
    floor = HEIGHT - BOTTOM + 0.0
    for i in reversed(
        range(len(places))
    ):  # only those that touch move back up, so that none leaves the chart at the top
        places[i], floor = min(places[i], floor), min(places[i], floor) - gap
    return "".join(
        f'<text x="{WIDTH - RIGHT + 7}" y="{p + 4:.1f}" class="name" style="fill:{s.colour}"'
        f"{_squeezed(s.name)}>{escape(_short(s.name, 15))}</text>"
        for p, s in zip(places, named)
    )


def _squeezed(name: str) -> str:
    """Return what lets a long name fit into the room right of a chart; a shorter one would be stretched by it."""
    width = sum(16 if ord(c) > 0x2E7F else 8 for c in _short(name, 15))  # pixels: wide letters (Japanese) and others
    return f' textLength="{RIGHT - 12}" lengthAdjust="spacingAndGlyphs"' if width > RIGHT - 12 else ""


def _last(ys: Sequence[float | None], log: bool) -> float | None:
    return next((v for v in reversed(ys) if v is not None and math.isfinite(v) and (v > 0 or not log)), None)


def _short(text: str, n: int) -> str:
    return text if len(text) <= n else text[: n - 1] + "…"
