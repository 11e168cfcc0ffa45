"""What code names, and the small questions about objects that the walk through a function asks."""

from __future__ import annotations

import dis
import functools
import sys
from typing import Any, NamedTuple


class Named(NamedTuple):
    """What a code object and those inside it load: global names, attributes, modules imported inside."""

    loaded: tuple[str, ...]
    attributes: tuple[str, ...]
    imported: tuple[str, ...]


class Same:
    """An object in a key: equal to itself only, and kept alive, so that no later object has its address."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)


@functools.lru_cache(maxsize=4096)
def names_of(code: Any) -> Named:
    """Return the global names, attribute names and modules that a code object and those inside it load."""
    found: tuple[dict[str, None], ...] = ({}, {}, {})
    loaded, attributes, imported = found
    for i in dis.get_instructions(code):
        if i.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            loaded[i.argval] = None
        elif i.opname in ("LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR", "IMPORT_FROM"):
            attributes[i.argval] = None
        elif i.opname == "IMPORT_NAME":
            imported[i.argval] = None
    attributes.update(dict.fromkeys(c for c in code.co_consts if type(c) is str))  # getattr(x, "name")
    for const in code.co_consts:
        if hasattr(const, "co_code"):
            for mine, more in zip(found, names_of(const), strict=True):
                mine.update(dict.fromkeys(more))
    return Named(*map(tuple, found))


def is_users(kind: type) -> bool:
    """Return whether a class is neither Python's nor NumPy's nor ours."""
    root = (kind.__module__ or "").partition(".")[0]
    return root not in ("builtins", "numpy", "gyaku") and (root not in sys.stdlib_module_names or root == "__main__")


def slots_of(kind: type) -> list[str]:
    """Return the names of a class's own slots, as attributes: one may be given alone, private ones are mangled."""
    slots = kind.__dict__.get("__slots__", ())
    names = [slots] if isinstance(slots, str) else list(slots)
    private = [n[:2] == "__" and n[-2:] != "__" for n in names]
    return [f"_{kind.__name__.lstrip('_')}{n}" if p else n for n, p in zip(names, private)]
