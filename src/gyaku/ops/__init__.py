"""The rule book: every operation, each derivative written once."""

from __future__ import annotations

import importlib
import pkgutil

# DEVELOPMENT ONLY (until all rooms are written): whatever stands here, in-place forms last
for _name in sorted((m.name for m in pkgutil.iter_modules(__path__)), key=lambda n: (n == "inplace", n)):
    try:
        importlib.import_module(f"gyaku.ops.{_name}")
    except (ImportError, KeyError) as _error:
        print("gyaku.ops: not yet importable:", repr(_error))
