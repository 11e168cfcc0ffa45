"""The doctor's verdict at the top of the report: what is wrong first, then the evidence."""

from __future__ import annotations

from pathlib import Path

from gyaku.base.errors import DataError
from gyaku.base.text import Phrases


def verdict_section(folder: Path, say: Phrases) -> str:
    """Return the verdict of a run folder as HTML; "" where no doctor has looked.

    Raises ``DataError`` naming the file when it has been edited into something else.
    """
    from gyaku.doctor.draw import verdict_html
    from gyaku.doctor.runs import read_verdict

    found = read_verdict(folder)
    if found is None:
        return ""
    try:
        return verdict_html(found, say.lang)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise DataError(f"read {folder / 'doctor.json'}", "a verdict of the doctor", f"{error!r}"[:80]) from error
