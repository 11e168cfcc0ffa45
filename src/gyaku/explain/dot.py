"""An explanation as DOT text for Graphviz."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gyaku.base import look
from gyaku.explain.draw_boxes import Writer
from gyaku.explain.draw_frames import Frame, frames_of
from gyaku.explain.draw_parts import written_out
from gyaku.explain.draw_picture import chosen_view
from gyaku.explain.draw_text import number, shape_text, with_text
from gyaku.explain.model import Arrow, Explanation, Item

_KINDS = {"leaf": "filled,rounded", "constant": "dashed,rounded", "op": "rounded", "group": "rounded,bold"}


def dot_text(
    explanation: Explanation, view: str = "auto", *, direction: str = "right", frames: bool = True,
    lang: str | None = None, title: str = "",
) -> str:  # fmt: skip
    """Return DOT text; ``view`` as for the other forms ("both": values and derivatives in one graph).

    The title, and in ``lang`` why numbers are missing, become the label of the graph. Raises ``ArgumentError`` for
    another view.
    """
    view = chosen_view(explanation, view)
    writer = Writer(explanation)
    around, known = frames_of(explanation) if frames else ({}, {})
    ink = look.LIGHT.ink
    head = [
        f"rankdir={'LR' if direction == 'right' else 'TB'};",
        f'node [shape=box, color="{ink}", fontcolor="{ink}"];',
    ]
    words = "\n".join(line for line in (title, explanation.note(lang)) if line)
    head += [f"label={quoted(words)};"] if words else []
    items = [item for item in explanation.items if not item.inline]
    nodes = [_node(writer, item, view) for item in items]
    clusters = list(_clusters({item.key: around.get(item.key, ()) for item in items}, known))
    drawn = {item.key for item in items}
    edges = [line for a in explanation.arrows if a.source in drawn for line in _edges(writer, a, view)]
    return "\n  ".join(["digraph explanation {", *head, *nodes, *clusters, *edges]) + "\n}\n"


def quoted(text: str) -> str:
    """Return text as a DOT string; line breaks become ``\\n``."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _node(writer: Writer, item: Item, view: str) -> str:
    lines = [item.symbol if item.formula in ("", item.symbol) else f"{item.symbol} = {item.formula}"]
    lines += [_array(item.value)] if item.value is not None and view != "backward" else []
    if item.delta is not None and view != "forward":
        lines.append(f"{with_text(writer.quotient(item))} = {_array(item.delta)}")
    lines += [item.failed] if item.failed else []
    colour = f', color="{look.LIGHT.wrong}"' if item.failed else ""
    words, style = quoted("\n".join(lines)), quoted(_KINDS[item.kind])
    return f"{quoted(item.key)} [label={words}, style={style}{colour}{_filled(item)}];"


def _filled(item: Item) -> str:
    return ', fillcolor="#E5F1F7"' if item.kind == "leaf" else ""


def _array(value: Any) -> str:
    if value.size == 1:
        return number(value)
    if not written_out(value):
        return shape_text(value.shape)
    return "\n".join("[" + "  ".join(number(v) for v in line) + "]" for line in (value if value.ndim == 2 else [value]))


def _clusters(around: dict[str, tuple[str, ...]], known: dict[str, Frame]) -> Iterator[str]:
    """Yield each frame, outer ones around inner ones."""
    for name, frame in known.items():
        outer = list(next(path for path in around.values() if name in path))
        if outer.index(name) == 0:
            yield from _cluster(name, frame, around, known)


def _cluster(name: str, frame: Frame, around: dict[str, tuple[str, ...]], known: dict[str, Frame]) -> Iterator[str]:
    words = f"{frame.path} · {frame.layer}" if frame.layer else frame.path
    yield f"subgraph {quoted(f'cluster {name}')} {{ label={quoted(words)}; style=rounded;"
    inner: dict[str, None] = {}
    for key, path in around.items():
        if name in path:
            below = path[path.index(name) + 1 :]
            if below:
                inner.setdefault(below[0])
            else:
                yield f"  {quoted(key)};"
    for each in inner:
        yield from _cluster(each, known[each], around, known)
    yield "}"


def _edges(writer: Writer, a: Arrow, view: str) -> Iterator[str]:
    forward, backward = look.LIGHT.forward, look.LIGHT.backward
    if view != "backward":
        colour = forward if a.wanted else look.LIGHT.baseline
        yield f'{quoted(a.source)} -> {quoted(a.target)} [color="{colour}"];'
    if view != "forward" and a.wanted:
        words = "\n".join(with_text(line) for line in writer.label_lines(a) if line)
        looks = f'color="{backward}", fontcolor="{backward}", dir=back'
        yield f"{quoted(a.source)} -> {quoted(a.target)} [{looks}, label={quoted(words)}];"
