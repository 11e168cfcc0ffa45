"""Pictures of an explanation in every form: SVG, a page, TikZ, DOT, PDF and PNG."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import PurePath
from typing import Any

from gyaku.base.errors import ArgumentError
from gyaku.base.files import write_bytes_atomic
from gyaku.explain.draw_picture import picture
from gyaku.explain.model import Explanation


def svg(
    explanation: Explanation, view: str = "auto", *, theme: str = "light", background: bool = True, **options: Any
) -> str:
    """Return the picture as SVG text, made of nothing but NumPy and this package.

    ``view`` is "forward" (values), "backward" (deltas, and on each arrow its local derivative), "both" or "auto" (both,
    but forward where there are no derivatives). ``theme`` is "light", "dark" or "auto" (follows the reader's setting);
    without ``background`` the paper shows through. All forms take ``direction`` ("right", "down"), ``frames`` (around
    modules), ``lang`` and ``title``.
    Raises ``ArgumentError`` for another view or direction, ``UnknownNameError`` for another theme.
    """
    from gyaku.explain.svg import svg_text

    return svg_text(picture(explanation, view, **options), theme=theme, background=background)


def html(explanation: Explanation, *, notebook: bool = False, **options: Any) -> str:
    """Return a self-contained page: forward, backward, both, step by step, modules folded and unfolded.

    ``notebook`` gives instead a small piece for a cell: the picture alone. Options are those of ``svg``.
    """
    from gyaku.explain.html import cell, page

    return cell(explanation, **options) if notebook else page(explanation, **options)


def tikz(explanation: Explanation, view: str = "auto", *, document: bool = True, **options: Any) -> str:
    """Return the picture as TikZ: a document to compile, or (``document=False``) the picture alone for a slide."""
    from gyaku.explain.tikz import tikz_text

    return tikz_text(picture(explanation, view, **options), document=document)


def dot(explanation: Explanation, view: str = "auto", **options: Any) -> str:
    """Return the graph as DOT text, for those who have Graphviz; values and derivatives stand in it as text."""
    from gyaku.explain.dot import dot_text

    return dot_text(explanation, view, **options)


def save(explanation: Explanation, path: str | os.PathLike[str], **options: Any) -> None:
    """Write a picture to a file, whole or not at all; the ending chooses the form.

    .svg, .html, .tex (TikZ) and .dot need nothing else; .pdf and .png need matplotlib. Options are those of ``svg``,
    ``html``, ``tikz`` and ``dot``; ``scale`` (2) is the pixels of a PNG for one of the SVG.
    Raises ``ArgumentError`` for another ending, ``MissingPackageError`` without matplotlib, ``DataError`` when the disk
    refuses.
    """
    ending = PurePath(path).suffix.lower()
    if ending not in _FORMS:
        raise ArgumentError("explain (save)", f"a file ending in {', '.join(_FORMS)}", repr(os.fspath(path)))
    content = _FORMS[ending](explanation, **options)
    write_bytes_atomic(path, content.encode() if isinstance(content, str) else content)


def _printed(
    form: str, explanation: Explanation, view: str = "auto", *, theme: str = "light", scale: float = 2.0,
    **options: Any,
) -> bytes:  # fmt: skip
    from gyaku.explain.raster import printed

    return printed(picture(explanation, view, **options), form, theme=theme, scale=scale)


_FORMS: dict[str, Callable[..., str | bytes]] = {
    ".svg": svg, ".html": html, ".pdf": partial(_printed, "pdf"), ".png": partial(_printed, "png"), ".tex": tikz,
    ".dot": dot,
}  # fmt: skip
