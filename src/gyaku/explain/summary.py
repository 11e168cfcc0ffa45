"""``summary(model, x)``: what a network consists of and what it costs, measured by running it once.

Nothing of the model changes: its mode, its running averages, its gradients and the state of the random numbers are
afterwards what they were. PyTorch's modules are taken as well; their numbers come from PyTorch itself.
"""

from __future__ import annotations

import html
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gyaku.base.errors import DtypeError
from gyaku.base.text import language
from gyaku.explain.derivation_text import width
from gyaku.explain.phrases import phrases
from gyaku.nn import Module

Shapes = tuple[tuple[int, ...], ...]
_UNITS = ("", "k", "M", "G", "T")
_NAME, _SHAPES = 24, 26  # columns of the first two columns


@dataclass
class Row:
    """One module: ``path`` ("" is the model), its class, shapes, own parameters, work and memory, and statistics.

    ``flops`` counts a multiply-add as 2 and belongs to the forward pass; ``kept`` are the bytes that this module's own
    operations keep for backward (shared arrays once, parameters not); ``mean`` and ``std`` are those of its output,
    ``delta_mean`` and ``delta_std`` those of δ = d loss / d output, None where unknown.
    """

    path: str
    kind: str
    depth: int = 0
    inputs: Shapes = ()
    output: Shapes = ()
    parameters: int = 0
    frozen: int = 0
    flops: int = 0
    kept: int = 0
    mean: float | None = None
    std: float | None = None
    delta_mean: float | None = None
    delta_std: float | None = None
    calls: int = 0
    last: bool = field(default=False, repr=False)


@dataclass(frozen=True)
class Summary:
    """The rows of a model, from the outside in and in order, with sums; prints as a table, in a notebook as HTML."""

    rows: list[Row]
    parameters: int
    frozen: int
    parameter_bytes: int
    gradient_bytes: int
    lang: str | None = None

    @property
    def flops(self) -> int:
        """The FLOPs of one forward pass."""
        return sum(row.flops for row in self.rows)

    @property
    def kept(self) -> int:
        """The bytes kept for backward."""
        return sum(row.kept for row in self.rows)

    def __getitem__(self, path: str) -> Row:
        return next(row for row in self.rows if row.path == path)

    def __str__(self) -> str:
        return summary_text(self)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return summary_html(self)


def summary(
    model: Any, *inputs: Any, loss: Callable[..., Any] | None = None, target: Any = None, lang: str | None = None
) -> Summary:
    """Return layers, shapes, parameters, FLOPs, memory and statistics of ``model(*inputs)``.

    With ``loss`` (called with the output, and with ``target`` when given) also the mean and deviation of the deltas.
    ``model`` is a module of ours or of PyTorch's.
    Raises ``DtypeError`` for anything else, and what the model itself raises.

    >>> import gyaku as gy
    >>> model = gy.nn.Sequential(gy.nn.Linear(2, 3), gy.nn.ReLU())
    >>> found = summary(model, gy.zeros(4, 2))
    >>> [(row.path, row.output, row.parameters, row.flops) for row in found.rows[1:]]
    [('0', ((4, 3),), 9, 60), ('1', ((4, 3),), 0, 12)]
    """
    torch = sys.modules.get("torch")
    if isinstance(model, Module):
        from gyaku.explain.summary_run import run
    elif torch is not None and isinstance(model, torch.nn.Module):
        from gyaku.explain.summary_torch import run
    else:
        raise DtypeError("summary", "a module (gyaku.nn or torch.nn)", type(model).__name__)
    for given in inputs:
        if isinstance(given, tuple) and given and all(type(n) is int for n in given):
            sizes = ", ".join(map(str, given))
            raise DtypeError("summary", "an input of the model", f"a shape, {given}", hint=f"gyaku.zeros({sizes})")
    wanted = None if loss is None else (lambda y: loss(y)) if target is None else (lambda y: loss(y, target))
    rows, totals = run(model, inputs, wanted)
    return Summary(rows, *totals, language(lang))


# --- how it looks ---


def count_text(n: int) -> str:
    """Return a count in at most five characters.

    >>> [count_text(n) for n in (0, 999, 1500, 79510, 2500000)]
    ['0', '999', '1.50k', '79.5k', '2.50M']
    """
    size, unit = float(n), 0
    while size >= 999.5 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return str(n) if unit == 0 else f"{size:.{max(0, 2 - int(math.log10(size)))}f}{_UNITS[unit]}"


def bytes_text(n: int) -> str:
    """Return a number of bytes.

    >>> bytes_text(512), bytes_text(318040)
    ('512 B', '318 kB')
    """
    return f"{n} B" if n < 1000 else f"{count_text(n)[:-1]} {count_text(n)[-1]}B"


def _shape(shapes: Shapes) -> str:
    return ", ".join("×".join(map(str, s)) if s else "()" for s in shapes) or "-"


def _label(row: Row, model: str) -> str:
    name = row.path.rpartition(".")[2] or model
    return f"{'  ' * row.depth}{name} {row.kind}"


def _cells(row: Row, model: str) -> list[str]:
    name = _label(row, model)
    if row.calls > 1:
        name += f" ×{row.calls}"
    return [
        name if width(name) <= _NAME else name[: _NAME - 1] + "…",
        f"{_shape(row.inputs)} → {_shape(row.output)}" if row.calls else "-",
        count_text(row.parameters) if row.parameters else "-",
        count_text(row.flops) if row.flops else "-",
        bytes_text(row.kept) if row.kept else "-",
    ]


def _statistics(row: Row) -> list[str]:
    return [_number(v) for v in (row.mean, row.std, row.delta_mean, row.delta_std)]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines; the first two columns to the left, numbers to the right."""
    widths = [max(width(row[i]) for row in rows) for i in range(len(rows[0]))]
    widths[1] = min(widths[1], _SHAPES)
    lines = []
    for row in rows:
        left = [cell + " " * (w - width(cell)) for cell, w in zip(row[:2], widths)]
        right = [" " * (w - width(cell)) + cell for cell, w in zip(row[2:], widths[2:])]
        lines.append("  ".join([*left, *right]).rstrip())
    return lines


def _totals(s: Summary) -> list[str]:
    say = phrases(s.lang)
    frozen = f" ({say('frozen', n=f'{s.frozen:,}')})" if s.frozen else ""
    return [
        f"{say('parameters')}: {s.parameters:,}{frozen}",
        say("summary_flops", forward=f"{s.flops:,}"),
        say("summary_memory", parameters=bytes_text(s.parameter_bytes), gradients=bytes_text(s.gradient_bytes),
            kept=bytes_text(s.kept)),
    ]  # fmt: skip


def summary_text(s: Summary) -> str:
    """Return a summary as two tables of at most 80 columns where names and shapes allow it: costs, and statistics."""
    say = phrases(s.lang)
    head = [say("layer_name"), f"{say('input')} → {say('output')}", say("parameters"), say("flops"), say("kept")]
    first = _columns([head, *[_cells(row, say("model")) for row in s.rows]])
    named = [(_label(row, say("model")), row) for row in s.rows if row.mean is not None]
    lines = [first[0], "-" * min(max(map(width, first)), 80), *first[1:], "", *_totals(s)]
    if named:
        head = [say("layer_name"), "", say("mean"), say("std")]
        deltas = any(row.delta_mean is not None for _, row in named)
        head += [say("delta_mean"), say("delta_std")] if deltas else []
        rows = [[name, "", *_statistics(row)[: len(head) - 2]] for name, row in named]
        second = _columns([head, *rows])
        lines += ["", second[0], "-" * max(map(width, second)), *second[1:]]
    return "\n".join(lines)


def summary_html(s: Summary) -> str:
    """Return a summary as one HTML table."""
    say = phrases(s.lang)
    keys = "layer_name kind input output parameters flops kept mean std delta_mean delta_std".split()
    head = "".join(f'<th style="padding:.15em .6em">{html.escape(say(key))}</th>' for key in keys)
    body = "".join(f"<tr>{_row_html(row, say('model'))}</tr>" for row in s.rows)
    foot = "<br>".join(html.escape(line) for line in _totals(s))
    return (
        '<table style="border-collapse:collapse;font-variant-numeric:tabular-nums">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><p>{foot}</p>"
    )


_CELL = "padding:.15em .6em;border-top:1px solid #8884;text-align:"


def _row_html(row: Row, model: str) -> str:
    name = row.path.rpartition(".")[2] or model
    first = f'<td style="{_CELL}left;padding-left:{row.depth + 0.6}em">{html.escape(name)}</td>'
    left = [row.kind, _shape(row.inputs), _shape(row.output)]
    right = [*_cells(row, model)[2:], *_statistics(row)]
    cells = [f'<td style="{_CELL}left">{html.escape(c)}</td>' for c in left]
    return "".join([first, *cells, *[f'<td style="{_CELL}right">{html.escape(c)}</td>' for c in right]])
