"""A scene as SVG text: no fonts, scripts or files from anywhere else."""

from __future__ import annotations

import base64
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from html import escape
from typing import Any

import numpy as np

from gyaku.base import look
from gyaku.explain.draw_scene import Group, Heat, Paint, Polygon, Rect, Scene, Stroke, Write
from gyaku.explain.draw_text import Run

# The serif fonts of macOS, Windows and Linux that hold slanted Greek, for variables.
MATH_FONTS = ("STIX Two Text", "Cambria", "Times New Roman", "DejaVu Serif")
CSS_MATH_FONTS = ", ".join([*(f"'{font}'" for font in MATH_FONTS), "serif"])
_FONTS = look.CSS_FONTS.replace('"', "'")
_UNWRITABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_ROLES = ("paper", "ink", "faint", "forward", "backward", "wrong", "baseline")


def svg_text(scene: Scene, *, theme: str = "light", background: bool = True, page: bool = False) -> str:
    """Return a scene as SVG. ``theme`` is "light", "dark" or "auto" (follows the reader's setting).

    ``page`` leaves out what the page around it says once: the colours and the size in pixels.
    """
    width, height, corner = _n(scene.width), _n(scene.height), _n(-scene.margin)
    role = "group" if page else "img"
    size = "" if page else f' width="{width}" height="{height}"'
    pen = _Pen(None if theme == "auto" else look.palette(theme), tips=page)
    style = f"<style>{colours_css()}</style>" if theme == "auto" and not page else ""
    ground = (
        f'<rect x="{corner}" y="{corner}" width="{width}" height="{height}"{pen.paint(Paint(fill="paper"))}/>'
        if background
        else ""
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{corner} {corner} {width} {height}"{size} role="{role}" '
        f'font-family="{_FONTS}">{style}<title>{text(scene.title)}</title>{ground}'
        f"{''.join(pen.group(scene.root))}</svg>"
    )


def colours_css() -> str:
    """Return the style sheet of the theme "auto": each colour once for light and once for dark paper."""
    light, dark = look.LIGHT, look.DARK

    def rules(palette: look.Palette) -> str:
        colours = [(role, getattr(palette, role)) for role in _ROLES]
        return "".join(f".gy-f-{r}{{fill:{c}}}.gy-s-{r}{{stroke:{c}}}" for r, c in colours)

    return f".gy-m{{font-family:{CSS_MATH_FONTS}}}{rules(light)}@media (prefers-color-scheme:dark){{{rules(dark)}}}"


def text(value: str) -> str:
    """Return text for XML: escaped, without the characters that XML has no way to write."""
    return escape(_UNWRITABLE.sub("", value), quote=True)


def _n(value: float) -> str:
    """Return a length with a tenth of a pixel, as short as can be."""
    return f"{value:.1f}".removesuffix(".0").replace("-0", "0", value > -0.05)


class _Pen:
    """Writes shapes; ``palette`` is None where a style sheet gives the colours."""

    def __init__(self, palette: look.Palette | None, tips: bool) -> None:
        self.palette, self.tips = palette, tips
        self.math = f' font-family="{CSS_MATH_FONTS}"' if palette else ' class="gy-m"'
        self.writers: dict[type, Callable[[Any], str]] = {
            Rect: self.rect, Stroke: self.stroke, Polygon: self.polygon, Write: self.write, Heat: self.heat,
        }  # fmt: skip

    def group(self, group: Group) -> Iterator[str]:
        """Yield a group and all in it."""
        data = "".join(f' data-{name}="{text(value)}"' for name, value in group.data.items()) if self.tips else ""
        yield f'<g class="gy-{" gy-".join(group.kind.split())}"{data}>'
        if group.tip:
            yield f"<title>{text(group.tip)}</title>"
        for shape in group.shapes:
            if isinstance(shape, Group):
                yield from self.group(shape)
            else:
                yield self.writers[type(shape)](shape)
        yield "</g>"

    def paint(self, paint: Paint) -> str:
        """Return the attributes of a shape's colours."""
        parts, classes = [], []
        for name, role in (("fill", paint.fill), ("stroke", paint.stroke)):
            if not role:
                parts += [' fill="none"'] if name == "fill" else []
            elif self.palette is None:
                classes.append(f"gy-{name[0]}-{role}")
            else:
                parts.append(f' {name}="{getattr(self.palette, role)}"')
        parts += [f' fill-opacity="{paint.tint:g}"'] if paint.tint != 1 else []
        parts += [f' stroke-width="{paint.width:g}"'] if paint.stroke else []
        parts += [f' stroke-dasharray="{" ".join(f"{d:g}" for d in paint.dashes)}"'] if paint.dashes else []
        return (f' class="{" ".join(classes)}"' if classes else "") + "".join(parts)

    def rect(self, r: Rect) -> str:
        """Return a box."""
        place = f'x="{_n(r.x)}" y="{_n(r.y)}" width="{_n(r.width)}" height="{_n(r.height)}" rx="{_n(r.radius)}"'
        return f"<rect {place}{self.paint(r.paint)}/>"

    def stroke(self, s: Stroke) -> str:
        """Return a line."""
        way = "".join(c + " ".join(f"{_n(x)},{_n(y)}" for x, y in points) for c, points in s.commands)
        return f'<path d="{way}"{self.paint(s.paint)}/>'

    def polygon(self, p: Polygon) -> str:
        """Return a filled shape."""
        return f'<polygon points="{" ".join(f"{_n(x)},{_n(y)}" for x, y in p.points)}"{self.paint(p.paint)}/>'

    def write(self, w: Write) -> str:
        """Return a line of text; its pieces follow one another in whatever font there is."""
        anchor = "" if w.anchor == "start" else f' text-anchor="{w.anchor}"'
        spans = "".join(_spans(w.line, w.size, self.math))
        colour = self.paint(Paint(fill=w.colour))
        place = f'x="{_n(w.x)}" y="{_n(w.y)}" font-size="{_n(w.size)}"'
        return f'<text {place}{anchor}{colour} xml:space="preserve">{spans}</text>'

    def heat(self, h: Heat) -> str:
        """Return a small array as a picture inside the text."""
        data = base64.b64encode(png(heat_colours(h.cells))).decode()
        place = f'x="{_n(h.x)}" y="{_n(h.y)}" width="{_n(h.width)}" height="{_n(h.height)}"'
        looks = 'preserveAspectRatio="none" style="image-rendering:pixelated"'
        image = f'<image {place} {looks} href="data:image/png;base64,{data}"/>'
        return f"{image}<rect {place}{self.paint(Paint('baseline', width=0.6))}/>"


def _spans(line: tuple[Run, ...], size: float, math: str) -> Iterator[str]:
    """Yield the pieces of a line; what is raised or lowered is taken back by the next piece."""
    raised = 0.0
    for run in line:
        level = run.level * (0.38 if run.level > 0 else 0.2) * size
        shift, raised = raised - level, level
        looks = f' dy="{_n(shift)}"' if abs(shift) > 0.05 else ""
        looks += f' font-size="{_n(size * 0.72)}"' if run.level else ""
        looks += math if run.face != "sans" else ""
        looks += ' font-style="italic"' if run.face == "italic" else ""
        looks += ' font-weight="bold"' if run.bold else ""
        yield f"<tspan{looks}>{text(run.text)}</tspan>" if looks else text(run.text)


def heat_colours(cells: Any) -> Any:
    """Return colours (rows, columns, RGBA) of numbers between -1 and 1: blue above zero, orange below, clear at it.

    NaN is red.
    """
    lost = np.isnan(cells)[..., None]
    strength = np.where(lost, 1.0, np.abs(cells)[..., None])
    rgb = np.where(cells[..., None] > 0, _rgb(look.LIGHT.forward), _rgb(look.LIGHT.backward))
    rgb = np.where(lost, _rgb(look.LIGHT.wrong), rgb)
    alpha = np.where(strength > 0, 0.10 + 0.90 * strength, 0.04)
    return np.concatenate([rgb, np.rint(alpha * 255)], axis=-1).astype(np.uint8)


def _rgb(colour: str) -> list[int]:
    return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]


def png(pixels: Any) -> bytes:
    """Return an image (rows, columns, RGBA) of bytes as a PNG file."""
    rows, columns, _ = pixels.shape
    lines = np.concatenate([np.zeros((rows, 1), np.uint8), pixels.reshape(rows, -1)], axis=1)
    head = struct.pack(">IIBBBBB", columns, rows, 8, 6, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
