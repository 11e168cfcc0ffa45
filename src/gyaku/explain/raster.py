"""A scene as PDF or PNG, drawn shape by shape by matplotlib: the same picture as the SVG, with its fonts inside."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Callable
from typing import Any

from gyaku.base import look
from gyaku.base.errors import require
from gyaku.explain.draw_scene import Heat, Paint, Polygon, Rect, Scene, Stroke, Write
from gyaku.explain.draw_text import Run, measure
from gyaku.explain.svg import heat_colours

_FACES: dict[str, dict[str, Any]] = {
    "sans": {"family": ["DejaVu Sans", "IPAexGothic"]},
    "math": {"family": ["DejaVu Serif", "IPAexGothic"]},
    "italic": {"family": ["DejaVu Serif", "IPAexGothic"], "style": "italic"},
}
_BOLD: dict[str, Any] = {"family": ["DejaVu Sans"], "weight": "bold"}  # the Japanese font has no bold letters
_DOTS = 96.0  # pixels of the picture for an inch


def printed(scene: Scene, form: str, *, theme: str = "light", scale: float = 2.0) -> bytes:
    """Return a scene as the bytes of a "pdf" or "png" file; ``scale`` multiplies the pixels of a PNG.

    The same scene gives the same bytes. Raises ``MissingPackageError`` without matplotlib.
    """
    matplotlib: Any = require("matplotlib", where="explain (save)", extra="plots")
    palette = look.palette("light" if theme == "auto" else theme)
    target = io.BytesIO()
    with matplotlib.rc_context():
        fonts: Any = require("matplotlib_fontja", where="explain (save)", extra="plots")
        fonts.japanize()  # registers the Japanese font that the package ships
        matplotlib.rcParams.update({"pdf.fonttype": 42, "axes.unicode_minus": False})
        figure = _Artist(scene, palette).figure()
        nothing = {"CreationDate": None} if form == "pdf" else {"Software": None}
        figure.savefig(target, format=form, dpi=_DOTS * scale, metadata=nothing)
    return target.getvalue()


def _japanese(text: str) -> bool:
    return any(unicodedata.east_asian_width(c) in "WF" for c in text)


class _Artist:
    """Draws shapes on one pair of axes that covers the figure; later shapes lie above earlier ones."""

    def __init__(self, scene: Scene, palette: look.Palette) -> None:
        from matplotlib.figure import Figure

        self.scene, self.palette, self.order = scene, palette, 0
        self.canvas = Figure(figsize=(scene.width / _DOTS, scene.height / _DOTS), facecolor=palette.paper)
        self.axes: Any = self.canvas.add_axes((0, 0, 1, 1))
        self.axes.set_axis_off()
        self.drawers: dict[type, Callable[[Any], None]] = {
            Rect: self.rect, Stroke: self.stroke, Polygon: self.polygon, Write: self.write, Heat: self.heat,
        }  # fmt: skip

    def figure(self) -> Any:
        """Return the finished figure."""
        for shape in self.scene.root.flat():
            self.order += 1
            self.drawers[type(shape)](shape)
        scene, left = self.scene, -self.scene.margin
        self.axes.set(xlim=(left, left + scene.width), ylim=(left + scene.height, left))
        return self.canvas

    def colour(self, role: str, strength: float = 1.0) -> Any:
        """Return a colour of the palette with its strength."""
        from matplotlib.colors import to_rgba

        return to_rgba(getattr(self.palette, role), strength) if role else "none"

    def looks(self, paint: Paint) -> dict[str, Any]:
        """Return a shape's colours in matplotlib's words; lines are measured in points."""
        points = 72 / _DOTS
        dashes = (0, tuple(d / paint.width for d in paint.dashes)) if paint.dashes else "solid"
        return {
            "facecolor": self.colour(paint.fill, paint.tint), "edgecolor": self.colour(paint.stroke),
            "linewidth": paint.width * points if paint.stroke else 0.0, "linestyle": dashes, "zorder": self.order,
        }  # fmt: skip

    def rect(self, r: Rect) -> None:
        """Draw a box."""
        from matplotlib.patches import FancyBboxPatch

        style = f"round,pad=0,rounding_size={r.radius}" if r.radius else "square,pad=0"
        self.axes.add_patch(FancyBboxPatch((r.x, r.y), r.width, r.height, boxstyle=style, **self.looks(r.paint)))

    def stroke(self, s: Stroke) -> None:
        """Draw a line."""
        from matplotlib.patches import PathPatch
        from matplotlib.path import Path

        codes = {"M": Path.MOVETO, "L": Path.LINETO, "C": Path.CURVE4}
        points = [p for _, part in s.commands for p in part]
        path = Path(points, [codes[c] for c, part in s.commands for _ in part])
        self.axes.add_patch(PathPatch(path, **{**self.looks(s.paint), "facecolor": "none"}))

    def polygon(self, p: Polygon) -> None:
        """Draw a filled shape."""
        from matplotlib.patches import Polygon as Shape

        self.axes.add_patch(Shape(p.points, closed=True, **self.looks(p.paint)))

    def write(self, w: Write) -> None:
        """Draw a line of text, piece by piece."""
        x = w.x - measure(w.line, w.size) * {"start": 0.0, "middle": 0.5, "end": 1.0}[w.anchor]
        for run in w.line:
            self._run(run, x, w)
            x += measure((run,), w.size)

    def _run(self, run: Run, x: float, w: Write) -> None:
        lifted = {1: 0.38, -1: -0.2, 0: 0.0}[run.level] * w.size
        size = w.size * (0.72 if run.level else 1.0) * 72 / _DOTS
        face = _BOLD if run.bold and not _japanese(run.text) else _FACES[run.face]
        self.axes.text(
            x, w.y - lifted, run.text.replace("$", r"\$"), size=size, color=self.colour(w.colour), zorder=self.order,
            ha="left", va="baseline", **face,
        )  # fmt: skip

    def heat(self, h: Heat) -> None:
        """Draw an array as colours, with a thin frame."""
        place = (h.x, h.x + h.width, h.y + h.height, h.y)
        self.axes.imshow(heat_colours(h.cells), extent=place, aspect="auto", interpolation="nearest", zorder=self.order)
        self.rect(Rect(h.x, h.y, h.width, h.height, Paint("baseline", width=0.6)))
