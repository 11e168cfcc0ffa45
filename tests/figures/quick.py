"""What the tests of experiments share: each one carried out once at the quick level, drawn, and looked over."""

from __future__ import annotations

import functools
import io

import numpy as np

from gyaku.base.tree import flatten
from gyaku.figures import style
from gyaku.figures.experiment import Outcome, make


@functools.cache
def outcome(name: str) -> Outcome:
    return make(name, "quick")


def drawn(o: Outcome, lang: str) -> bytes:
    buffer = io.BytesIO()
    figure = o.draw(lang)
    with style.drawing():
        figure.savefig(buffer, format="png", dpi=50)
    return buffer.getvalue()


def assert_finite_with_claims(name: str, number: int) -> None:
    o = outcome(name)
    arrays, _ = flatten(o.data, name)
    assert all(np.isfinite(a).all() for a in arrays.values() if a.dtype.kind == "f")
    assert len(o.claims) == number
    assert all(c.en != c.ja and "nan" not in c.en for c in o.claims)


def assert_draws_in_both_languages(name: str) -> None:
    """Draw twice; a missing glyph is a warning, and warnings are errors."""
    english, japanese = (drawn(outcome(name), lang) for lang in ("en", "ja"))
    assert english[:4] == japanese[:4] == b"\x89PNG"
    assert english != japanese
