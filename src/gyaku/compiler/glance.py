"""Machine code that sees whether a call is exactly like the one before, by CPython's stable interface.

Guards in Python cost more than a small step. ``glance`` does what ``Watch.unchanged`` does, and looks at a call's
arguments, in a tenth of the time: it compares the addresses of objects that are kept alive. All it ever says is that
nothing changed; anything else is left to the guards in Python.
"""

from __future__ import annotations

import ctypes
import functools
import inspect
import math
import types
from typing import Any

import numpy as np

from gyaku.compiler import machine
from gyaku.compiler.glance_text import FUNCTIONS, TEXT
from gyaku.compiler.watch import Watch
from gyaku.core.node import FOREIGN
from gyaku.core.tensor import Tensor

# A row of the table of places: kind, object, name, number of the first expected address, how many.
DICTIONARY, SEQUENCE, ATTRIBUTE, ITEM, ABSENT, PRESENT, SLOT, CLASS, SPACE = range(9)
SPEC = 16  # numbers that describe an array: see ``_told``
MOST_DIMENSIONS = 8
_TP_DESCR_GET = 54  # of the stable interface (typeslots.h)
_MOST_LABELS = 1 << 14  # more are looked at faster by NumPy


@functools.cache
def _glance() -> Any:
    """Return the compiled function; it is called with the interpreter's lock held."""
    llvm = machine.binding()
    heads = []
    for name, signature in FUNCTIONS.items():
        address = ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value
        llvm.add_symbol(name, address)
        result, arguments = signature.split(" ", 1)
        heads.append(f"declare {result} @{name}{arguments}")
    library = machine.library_of("\n".join([*heads, TEXT, machine.attributes()]))
    kind = ctypes.PYFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, *[ctypes.py_object] * 3)
    return kind(library.address("glance"))


@functools.cache
def _getter() -> int:
    """Return the address of CPython's function that reads a slot: (descriptor, object, null)."""
    find = ctypes.pythonapi.PyType_GetSlot
    find.restype, find.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_int]
    return int(find(types.MemberDescriptorType, _TP_DESCR_GET))


class Glance:
    """Places with what they hold now, and what the arrays of a call must be.

    ``attributes`` are (object, name), ``grads`` (tensor, whether it has a gradient). ``arrays`` are, for each of ``n``
    arguments and then for each result, shape, type, the place of its address in the table at ``table`` (-1: nowhere)
    and its range (low, high, also) or None. No argument may have a cell among ``cells``. ``written`` are the cells of
    memory that is written to where the glance says yes; ``step`` are the addresses of the function it then runs, with
    the interpreter's lock held, and of its gate.
    """

    def __init__(
        self,
        watch: Watch,
        attributes: Any,
        grads: Any,
        arrays: list[Any],
        n: int,
        cells: list[Any],
        written: list[Any],
        table: int,
        step: tuple[int, int] = (0, 0),
    ) -> None:
        self._held: list[Any] = [cells, written]  # objects whose addresses are compared must live
        self._rows: list[tuple[int, int, int, int, int]] = []
        self._wanted: list[int] = []
        for kind, place, names in watch.places:
            self._enter(kind, place, names)
        for owner, name in attributes:
            self._attribute(owner, name)
        for t, has in grads:
            self._row(PRESENT if has else ABSENT, t, Tensor.__dict__["_grad"], [])
        slots = Tensor.__dict__
        words = ["__array_struct__", slots["_node"], slots["_cell"], Tensor, np.ndarray, None]
        self._held.append(words)
        tables = [self._rows, self._wanted, [*map(id, words), len(cells), *map(id, cells)], [_told(*a) for a in arrays]]
        self._tables = [np.array(t, np.int64).ravel() for t in tables]
        rows, wanted, given, told = [t.ctypes.data for t in self._tables]
        block = [rows, len(self._rows), wanted, given, told, n, len(arrays), table, _getter()]
        block += [*step, id(FOREIGN), len(written), *map(id, written)]
        self._tables.append(np.array(block, np.int64))
        self.block, self.function = self._tables[-1].ctypes.data, _glance()  # function(block, args, arrays, now)

    def _enter(self, kind: str, place: Any, names: tuple[str, ...]) -> None:
        if kind == "dictionary":
            self._row(DICTIONARY, place, "", [x for pair in place.items() for x in pair], len(place))
        elif kind == "sequence":
            self._row(SEQUENCE, place, "", list(place), len(place))
        else:
            for name in names:
                if kind == "attributes":
                    self._attribute(place, name)
                else:
                    self._row(ITEM, place, name, [place[name]])

    def _attribute(self, owner: Any, name: str) -> None:
        """Enter an attribute: a class, an object's dictionary and slots have quick ways."""
        if name == "__class__":
            self._row(CLASS, owner, "", [type(owner)])
        elif name == "__dict__":
            self._row(SPACE, owner, "", [owner.__dict__])
        else:
            slot = inspect.getattr_static(type(owner), name, None)
            quick = type(slot) is types.MemberDescriptorType
            self._row(SLOT if quick else ATTRIBUTE, owner, slot if quick else name, [getattr(owner, name)])

    def _row(self, kind: int, owner: Any, name: Any, wanted: list[Any], count: int = 1) -> None:
        self._held.append((owner, name, wanted))
        self._rows.append((kind, id(owner), id(name), len(self._wanted), count))
        self._wanted += map(id, wanted)


def can_see(kind: str, place: Any) -> bool:
    """Return whether machine code can look at a place by itself: plain dictionaries and lists, attributes."""
    return isinstance(place, {"dictionary": dict, "items": dict, "sequence": list}.get(kind, object))


def labels_fit(shape: tuple[int, ...], dtype: Any) -> bool:
    """Return whether machine code can look at the range of such an array."""
    return dtype == np.int64 and math.prod(shape) <= _MOST_LABELS


def _told(shape: tuple[int, ...], dtype: Any, place: int, within: Any) -> list[int]:
    low, high, also = within or (0, 1, None)
    labels = math.prod(shape) if within else 0
    found = [len(shape), ord(dtype.kind), dtype.itemsize, place, labels, low, high, low if also is None else also]
    return [*found, *shape, *[0] * (SPEC - len(found) - len(shape))]
