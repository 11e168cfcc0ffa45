"""How a tensor looks in text and in a notebook: PyTorch's layout (4 digits, 80 columns, 3 items at each edge)."""

from __future__ import annotations

import html
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gyaku.backend.dtypes import bool_, get_default_dtype, int64

_PRECISION, _EDGE, _THRESHOLD, _WIDTH, _INDENT = 4, 3, 1000, 80, len("tensor(")
Format = Callable[[Any], str]


def tensor_text(t: Any) -> str:
    """Return PyTorch's style of text: values to four digits, then what is not the default."""
    array = t.detach().cpu()._array
    if type(array) is not np.ndarray:
        return f"tensor({array!r})"
    prefix = "Parameter containing:\n" if type(t).__name__ == "Parameter" else ""
    summarize = array.size > _THRESHOLD
    shown = _edges(array) if summarize else array
    text = "[]" if array.size == 0 else _block(array, _INDENT, summarize, _formatter(shown))
    return prefix + _with_suffixes(f"tensor({text}", _suffixes(t)) + ")"


def _edges(array: Any) -> Any:
    """Return the elements that a summary shows."""
    for axis, n in enumerate(array.shape):
        if n > 2 * _EDGE:
            array = array.take([*range(_EDGE), *range(n - _EDGE, n)], axis=axis)
    return array


def _formatter(array: Any) -> Format:
    """Return the function that writes one element, all of one width: whole, with four digits, or scientific."""
    if array.dtype.kind != "f":
        return _padded(str, array.ravel().tolist())
    values = array[np.isfinite(array) & (array != 0)].astype(np.float64)
    size = np.abs(values)
    wide = values.size > 0 and (size.max() / size.min() > 1000 or size.max() > 1e8 or size.min() < 1e-4)
    if wide:
        return _padded(f"{{:.{_PRECISION}e}}".format, values.tolist())
    whole = bool((values == np.ceil(values)).all())
    return _padded(_whole if whole else f"{{:.{_PRECISION}f}}".format, values.tolist())


def _whole(value: float) -> str:
    return f"{value:.0f}." if math.isfinite(value) else f"{value:.0f}"


def _padded(write: Format, values: list[Any]) -> Format:
    width = max((len(write(v)) for v in values), default=1)
    return lambda value: write(value).rjust(width)


def _block(array: Any, indent: int, summarize: bool, write: Format) -> str:
    """Return an array as nested brackets, aligned below ``indent``."""
    if array.ndim == 0:
        return write(array.item())
    cut = summarize and len(array) > 2 * _EDGE
    if array.ndim == 1:
        return _row(array, indent, cut, write)
    parts = [array[:_EDGE], array[-_EDGE:]] if cut else [array]
    blocks = [[_block(a, indent + 1, summarize, write) for a in part] for part in parts]
    lines = [*blocks[0], "...", *blocks[1]] if cut else blocks[0]
    gap = "," + "\n" * (array.ndim - 1) + " " * (indent + 1)
    return f"[{gap.join(lines)}]"


def _row(array: Any, indent: int, cut: bool, write: Format) -> str:
    values = [write(v) for v in (array[:_EDGE] if cut else array).tolist()]
    width = len(values[0]) if values else 1
    if cut:
        values += [" ...", *[write(v) for v in array[-_EDGE:].tolist()]]
    count = max(1, (_WIDTH - indent) // (width + 2))
    lines = [", ".join(values[i : i + count]) for i in range(0, len(values), count)]
    return f"[{(',' + chr(10) + ' ' * (indent + 1)).join(lines)}]"


def _suffixes(t: Any) -> list[str]:
    empty = t.numel() == 0
    parts = [f"device='{t.device}'"] if t.is_cuda else []
    if empty and t.ndim != 1:
        parts.append(f"size={tuple(t.shape)}")
    if t.dtype != get_default_dtype() and (empty or t.dtype not in (int64, bool_)):
        parts.append(f"dtype={t.dtype!r}")
    if t.grad_fn is not None:
        parts.append(f"grad_fn=<{t.grad_fn.name}>")
    elif t.requires_grad:
        parts.append("requires_grad=True")
    return parts


def _with_suffixes(text: str, suffixes: list[str]) -> str:
    column = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        breaks = column + len(suffix) + 2 > _WIDTH
        text += f",\n{' ' * _INDENT}{suffix}" if breaks else f", {suffix}"
        column = _INDENT + len(suffix) if breaks else column + len(suffix) + 2
    return text


pictures: list[Callable[[Any], str]] = []  # what a room above shows below the numbers: the graph


def tensor_html(t: Any) -> str:
    """Return the text of a tensor for a notebook, with its shape and type above and what ``pictures`` add below."""
    head = f"Tensor {tuple(t.shape)} {t.dtype!r} on {t.device}"
    below = "".join([picture(t) for picture in pictures])
    return f"<div><small>{html.escape(head)}</small><pre>{html.escape(tensor_text(t))}</pre>{below}</div>"
