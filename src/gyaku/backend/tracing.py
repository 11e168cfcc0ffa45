"""What is switched on while a program is written down: the few places that cannot be read as formulas ask here."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


class Weak:
    """A number that only a run of the program knows. Beside arrays it counts as a Python float: it widens none."""

    __slots__ = ()


class _Tracing(threading.local):
    recorder: Any = None  # what writes the program of this thread down (gyaku.compiler.recorder), or None


tracing = _Tracing()


def either(condition: Any, yes: Callable[[], Any], no: Callable[[], Any]) -> Any:
    """Return ``yes()`` or ``no()``; for a condition that only a run knows, the choice between both values.

    >>> either(2 > 1, lambda: "yes", lambda: "no")
    'yes'
    """
    if isinstance(condition, Weak):
        return condition.choose(yes(), no())  # type: ignore[attr-defined]
    return yes() if condition else no()
