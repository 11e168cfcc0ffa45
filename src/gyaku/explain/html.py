"""The page: pictures of one graph, folded and unfolded, with a player that goes through it step by step."""

from __future__ import annotations

import json
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from gyaku.base import look
from gyaku.base.text import Phrases
from gyaku.explain.draw_boxes import full_value, place
from gyaku.explain.draw_parts import column, written_out
from gyaku.explain.draw_picture import MARGIN, STYLES, Panel, chosen_view, framed, notes, picture
from gyaku.explain.draw_text import Line, factor, formula, number, plain, shape_text
from gyaku.explain.model import Explanation, Item, Path
from gyaku.explain.svg import CSS_MATH_FONTS, colours_css, svg_text, text

_MOST = 600  # items of the finest picture in a page
_TURNED = 60  # items of a picture that narrow screens have from top to bottom
_LETTERS = {"forward": "f", "backward": "b", "both": "a"}
_TABLE = {
    "title": ("Computation graph of {name}", "{name} の計算グラフ"),
    "forward": ("Forward", "順伝播"),
    "backward": ("Backward", "逆伝播"),
    "both": ("Both", "両方"),
    "first": ("To the start", "最初へ"),
    "previous": ("Previous step", "前のステップ"),
    "play": ("Play", "再生"),
    "pause": ("Pause", "停止"),
    "next": ("Next step", "次のステップ"),
    "whole": ("Whole picture", "全体"),
    "fold": ("Fold modules", "モジュールをたたむ"),
    "unfold": ("Unfold modules", "モジュールを開く"),
    "zoom": ("Fit or full size", "全体表示 / 原寸"),
    "keys": (
        "Keys: ← → steps, space plays, F / B / A forward, backward, both, + − modules, Z size. "
        "Choose a box for its full value.",
        "キー: ← → ステップ, スペース 再生, F / B / A 順伝播・逆伝播・両方, + − モジュール, Z 大きさ。"
        "箱を選ぶと値の全体を表示します。",
    ),
    "given": ("The inputs, parameters and constants are given.", "入力・パラメータ・定数が与えられています。"),
    "seed": ("The way back starts at the result:", "逆向きの計算は結果から始まります:"),
    "sum": ("from {n} arrows, added", "{n} 本の矢印の和"),
    "value": ("value", "値"),
    "delta": ("derivative", "微分"),
    "line": ("line", "行"),
    "paths": ("paths: {n}", "経路: {n}"),
    "shape": ("shape", "形"),
}  # fmt: skip


def cell(explanation: Explanation, view: str = "auto", **options: Any) -> str:
    """Return the picture as a piece of HTML for a notebook."""
    drawing = svg_text(picture(explanation, view, **options))
    return f'<div style="overflow-x:auto;background:#fff">{drawing}</div>'


def page(
    explanation: Explanation, view: str = "auto", *, direction: str = "right", frames: bool = True,
    lang: str | None = None, title: str = "",
) -> str:  # fmt: skip
    """Return the page, which needs no network and shows everything without JavaScript as well."""
    say = Phrases(_TABLE, lang)
    levels = _levels(explanation)
    scenes = [_Level(level, direction, frames, say) for level in levels]
    heading = title or say("title", name=explanation.result.symbol)
    parts = {
        "lang": say.lang, "title": text(heading), "fonts": look.CSS_FONTS, "math": CSS_MATH_FONTS,
        "light": _variables(look.LIGHT), "dark": _variables(look.DARK), "colours": colours_css(),
        "pictures": "\n".join(line for i, level in enumerate(scenes) for line in level.figures(i, heading)),
        "data": json.dumps(
            {"levels": [level.data() for level in scenes], "start": levels.index(explanation),
             "view": _LETTERS[chosen_view(explanation, view)],
             "say": {key: say(key) for key in ("play", "pause")}}, ensure_ascii=False, separators=(",", ":"),
        ).replace("<", "\\u003c").replace("\u2028", " ").replace("\u2029", " "),
        **{f"say_{key}": text(say(key)) for key in _TABLE if key not in ("title", "sum", "paths")},
    }  # fmt: skip
    template = pathlib.Path(__file__).with_name("template.html").read_text(encoding="utf-8")
    return re.sub(r"\[\[(\w+)\]\]", lambda m: parts[m[1]], template)


def _variables(palette: look.Palette) -> str:
    names = ("paper", "ink", "faint", "forward", "backward", "wrong", "baseline")
    return "".join(f"--{name}:{getattr(palette, name)};" for name in names)


def _levels(explanation: Explanation) -> list[Explanation]:
    """Return the views of a graph from the most folded to the finest, the given one among them."""
    full = explanation.unfolded()
    found = {len(explanation.items): explanation}
    if full.graph is not None and any(item.module for item in full.items):
        for view in (full, full.folded(True), full.folded(1)):
            if len(view.items) <= _MOST:
                found.setdefault(len(view.items), view)
    return [found[size] for size in sorted(found)]


class _Level:
    """One picture of the page with its steps and what is known about its items."""

    def __init__(self, explanation: Explanation, direction: str, frames: bool, say: Phrases) -> None:
        self.explanation, self.say = explanation, say
        self.panel = Panel(explanation, STYLES["page"], direction, frames)
        self.panels = [self.panel]
        if direction == "right" and len(self.panel.items) <= _TURNED:
            self.panels.append(self.panel.turned("down"))

    def figures(self, number: int, title: str) -> Iterator[str]:
        """Yield the picture as it is, and for narrow screens a second time from top to bottom."""
        for panel, way in zip(self.panels, ("wide", "narrow"), strict=False):
            part = column([panel.part(), *notes(self.explanation, self.say.lang)], 14.0)
            drawing = svg_text(framed(part, title), theme="auto", background=False, page=True)
            yield f'<div class="level" data-level="{number}" data-way="{way}">{drawing}</div>'

    def data(self) -> dict[str, Any]:
        """Return the sizes, the steps and the items, for the player."""
        widths = [round(panel.layout.width + 2 * MARGIN) for panel in self.panels]
        return {
            "widths": widths,
            "steps": list(self.steps()),
            "items": {i.key: self.about(i) for i in self.panel.items},
        }

    def about(self, item: Item) -> list[list[str]]:
        """Return what is said of an item that somebody chose: [heading, text] in rows."""
        say = self.say
        head = item.symbol if item.formula in ("", item.symbol) else f"{item.symbol} = {item.formula}"
        rows = [["", _markup(formula(head))]]
        rows += [[say("shape"), text(f"{shape_text(item.shape) if item.shape else '1'}  {item.dtype or ''}")]]
        rows += [[say("value"), text(full_value(item.value))]] if item.value is not None else []
        if item.delta is not None:
            rows.append([f"{say('delta')} {_markup(self.panel.writer.quotient(item))}", text(full_value(item.delta))])
        rows += self._paths(item)
        rows += [[say("line"), text(place(item))]] if item.where else []
        rows += [["", text(item.failed)]] if item.failed else []
        return rows

    def _paths(self, item: Item) -> list[list[str]]:
        """Return the product along each path to an item, and their sum."""
        writer = self.panel.writer
        if self.explanation.missing or not writer.small or item.delta is None or item.key == self.explanation.output:
            return []
        found = self.explanation.paths(item.key)
        lines = [self._path(path) for path in found]
        lines += [f"... {_number(found.rest)}"] if found.rest is not None else []
        lines += [f"Σ = {_number(found.total)}"] if found.count > 1 else []
        return [[text(self.say("paths", n=found.count)), text("\n".join(lines))]]

    def _path(self, path: Path) -> str:
        way = " → ".join(self.panel.writer.symbol(self.explanation[key]) for key in path.keys)
        numbers = [f for f in path.factors if isinstance(f, float)]
        product = "·".join(map(factor, numbers)) if len(numbers) == len(path.factors) else ""
        return f"{way}:  {f'{product} = ' if len(numbers) > 1 and product else ''}{_number(path.product)}"

    def steps(self) -> Iterator[dict[str, Any]]:
        """Yield the steps: items and arrows that appear, and a sentence; forward first, then backward."""
        items = self.panel.items
        given = [i for i in items if i.kind in ("leaf", "constant")]
        if given:
            yield {"way": "f", "items": [i.key for i in given], "arrows": [], "text": text(self.say("given"))}
        for item in items:
            if item not in given:
                yield {
                    "way": "f",
                    "items": [item.key],
                    "arrows": self._arrows(item.key, 1),
                    "text": self._computed(item),
                }
        for item in reversed(items):
            if item.delta is not None:
                arrows = self._arrows(item.key, 0)
                yield {"way": "b", "items": [item.key], "arrows": arrows, "text": self._derived(item, len(arrows))}

    def _arrows(self, key: str, end: int) -> list[int]:
        """Return the numbers of the arrows that leave (0) or enter (1) an item."""
        arrows = [(a.source, a.target)[end] for a in self.panel.arrows.values()]
        wanted = [a.wanted for a in self.panel.arrows.values()]
        return [i for i, k in enumerate(arrows) if k == key and (end == 1 or wanted[i])]

    def _computed(self, item: Item) -> str:
        writer = self.panel.writer
        line = formula(writer.symbol(item))
        if item.formula not in ("", item.symbol):
            line = (*line, *plain(" = "), *formula(writer.local_names(item.formula, item)))
        return _markup((*line, *_shown(item.value))) + (f" <b>{text(item.failed)}</b>" if item.failed else "")

    def _derived(self, item: Item, uses: int) -> str:
        writer = self.panel.writer
        if item.key == self.explanation.output:
            return f"{text(self.say('seed'))} {_markup((*writer.quotient(item), *_shown(item.delta)))}"
        lines = (
            writer.delta_lines(item)
            if item.size == 1
            else [(*writer.quotient(item, short=False), *self._rules(item), *_shown(item.delta))]
        )
        more = f" ({text(self.say('sum', n=uses))})" if uses > 1 else ""
        return " ".join(_markup(line) for line in lines) + more

    def _rules(self, item: Item) -> Line:
        """Return the rules of all arrows that leave an item, added; () where one cannot be written."""
        uses = [a for a in self.panel.arrows.values() if a.source == item.key and a.wanted]
        rules = [self.panel.writer.label_lines(a)[0] for a in uses if not a.scalar]
        if not rules or len(rules) < len(uses) or not all(rules):
            return ()
        line = rules[0]
        for rule in rules[1:]:
            line = (*line, *plain(" + "), *rule)
        return (*plain(" = "), *line)


@np.errstate(over="ignore")
def _number(array: Any) -> str:
    """Return a number, or of an array its length."""
    return number(array) if array.size == 1 else f"‖·‖ = {number(np.linalg.norm(array))}"


def _shown(value: Any) -> Line:
    """Return ``= 3``, a small array, or nothing for one that is large or not known."""
    if value is None:
        return ()
    if value.size == 1:
        return plain(f" = {number(value)}")
    if not written_out(value):
        return plain(f"  ({shape_text(value.shape)})")
    rows = value if value.ndim == 2 else [value]
    inner = ", ".join("[" + ", ".join(number(v) for v in row) + "]" for row in rows)
    return plain(f" = [{inner}]" if value.ndim == 2 else f" = {inner}")


def _markup(line: Line) -> str:
    """Return a line as HTML."""
    out = ""
    for run in line:
        piece = text(run.text)
        piece = f"<i>{piece}</i>" if run.face == "italic" else piece
        piece = f'<span class="m">{piece}</span>' if run.face == "math" else piece
        out += {1: f"<sup>{piece}</sup>", -1: f"<sub>{piece}</sub>", 0: piece}[run.level]
    return out
