"""Number types under PyTorch's names, and the rules by which two of them combine."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gyaku.base.errors import DtypeError, UnknownNameError


class dtype:
    """A number type such as ``gyaku.float32``; ``.numpy`` is NumPy's twin.

    Two names of one type are one object (``gyaku.float is gyaku.float32``), so ``is`` and ``==`` agree.

    >>> float32, float32.numpy, float32.itemsize, float32.is_floating_point
    (gyaku.float32, dtype('float32'), 4, True)
    """

    __slots__ = ("name", "numpy", "is_floating_point", "itemsize", "rank")

    def __init__(self, name: str, rank: int) -> None:
        self.name, self.rank = name, rank
        self.numpy = np.dtype(name)
        self.is_floating_point = self.numpy.kind == "f"
        self.itemsize = self.numpy.itemsize

    def __repr__(self) -> str:
        return f"gyaku.{self.name}"

    def __reduce__(self) -> str:  # copy.deepcopy keeps the one object
        return self.name


# The rank orders promotion inside a category; bool < integers < floats are the categories.
bool_ = dtype("bool", 0)
uint8, int8, int16, int32, int64 = (dtype(n, r) for n, r in zip(("uint8", "int8", "int16", "int32", "int64"), range(5)))
float16, float32, float64 = (dtype(n, r) for n, r in zip(("float16", "float32", "float64"), range(3)))
ALL = {d.name: d for d in (bool_, uint8, int8, int16, int32, int64, float16, float32, float64)}
ALIASES = {"float": float32, "double": float64, "half": float16, "long": int64, "int": int32, "short": int16}
_BY_NUMPY = {d.numpy: d for d in ALL.values()}
_BY_PYTHON = {float: None, int: int64, bool: bool_}
_CATEGORY = {"b": 0, "u": 1, "i": 1, "f": 2}


class _Default:
    """The type new floating tensors get; one cell, so that a reader needs no global statement."""

    value = float32


def get_default_dtype() -> dtype:
    """Return the type that Python floats become (float32 unless set otherwise)."""
    return _Default.value


def set_default_dtype(d: dtype) -> None:
    """Set the type that Python floats become; only floating types are taken.

    Raises ``DtypeError`` for an integer or boolean type.
    """
    chosen = to_dtype(d)
    if not chosen.is_floating_point:
        raise DtypeError("set_default_dtype", "a floating type", repr(chosen))
    _Default.value = chosen


def to_dtype(d: Any) -> dtype:
    """Return the ``dtype`` meant by a dtype, a NumPy dtype, ``float``/``int``/``bool`` or a name.

    Raises ``UnknownNameError`` for an unknown name and ``DtypeError`` for complex numbers, text and objects.
    """
    if isinstance(d, dtype):
        return d
    if d in _BY_PYTHON:
        return _BY_PYTHON[d] or _Default.value
    if isinstance(d, str) and d not in ALL and d not in ALIASES:
        raise UnknownNameError("dtype", d, [*ALL, *ALIASES], what="dtype")
    if isinstance(d, str) and d in ALIASES:
        return ALIASES[d]
    return from_numpy_dtype(np.dtype(d))


def from_numpy_dtype(d: np.dtype[Any]) -> dtype:
    """Return the ``dtype`` of a NumPy dtype (native byte order), or raise ``DtypeError``."""
    found = _BY_NUMPY.get(d)
    if found is None:
        raise DtypeError("tensor", "numbers of type " + ", ".join(ALL), str(d))
    return found


def promote(a: np.dtype[Any], b: np.dtype[Any], *, a_0d: bool = False, b_0d: bool = False) -> np.dtype[Any]:
    """Return the type of a result of ``a`` and ``b`` by PyTorch's rule.

    The higher category wins (bool < integer < float); inside one category the wider type does, except that an array
    without dimensions never widens an array that has them. (NumPy would make int32 + float32 a float64.)

    >>> promote(np.dtype("int64"), np.dtype("float32"))
    dtype('float32')
    """
    if a == b:
        return a
    ca, cb = _CATEGORY[a.kind], _CATEGORY[b.kind]
    if ca != cb:
        return a if ca > cb else b
    if a_0d != b_0d:
        return b if a_0d else a
    return np.promote_types(a, b)


class FloatInfo(NamedTuple):
    """The limits of a floating type, as Python numbers."""

    dtype: str
    bits: int
    eps: float
    max: float
    min: float
    tiny: float
    smallest_normal: float
    resolution: float


class IntInfo(NamedTuple):
    """The limits of an integer type."""

    dtype: str
    bits: int
    max: int
    min: int


def finfo(type: Any = None) -> FloatInfo:
    """Return the limits of a floating type (the default one unless given).

    >>> finfo(float32).eps == 2.0**-23
    True
    """
    kind = to_dtype(type or _Default.value)
    if not kind.is_floating_point:
        raise DtypeError("finfo", "a floating type", repr(kind), hint="use iinfo")
    i = np.finfo(kind.numpy)
    limits = (i.eps, i.max, i.min, i.tiny, i.smallest_normal, i.resolution)
    return FloatInfo(kind.name, i.bits, *[float(v) for v in limits])


def iinfo(type: Any) -> IntInfo:
    """Return the limits of an integer type.

    >>> iinfo(uint8).max
    255
    """
    kind = to_dtype(type)
    if kind.numpy.kind not in "iu":
        raise DtypeError("iinfo", "an integer type", repr(kind), hint="use finfo")
    i = np.iinfo(kind.numpy)
    return IntInfo(kind.name, i.bits, int(i.max), int(i.min))
