"""See through a computation: its graph with values, local derivatives on the arrows, and the sum over paths.

The room can be called like the function in it: ``gyaku.explain(y)``.
"""

from __future__ import annotations

import sys
import types
from typing import Any

from gyaku.explain.build import explain
from gyaku.explain.model import Arrow, Explanation, Item, Path, Paths
from gyaku.explain.naming import name
from gyaku.explain.recorder import record

__all__ = ["Arrow", "Explanation", "Item", "Path", "Paths", "explain", "name", "record"]


class _Room(types.ModuleType):
    def __call__(self, *args: Any, **options: Any) -> Explanation:
        return explain(*args, **options)


sys.modules[__name__].__class__ = _Room
