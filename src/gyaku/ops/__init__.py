"""The rule book: every operation, each derivative written once."""

from __future__ import annotations

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__):
    try:
        importlib.import_module(f"gyaku.ops.{_module.name}")
    except ImportError as _error:  # DEVELOPMENT ONLY: a colleague's room is being written
        print("gyaku.ops: not yet importable:", _error)
