"""Every error Gyaku raises, and the one grammar they all speak.

    linear (forward): expected x of shape (N, 784), got (32, 28, 28). Hint: x.flatten(1).

operation, what was expected, what came, a hint; then, where known, the layer and the user's line. Each class also
inherits the built-in exception (and PyTorch's ``RuntimeError`` where PyTorch raises one) that a caller would catch.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LONG = 240  # characters of what came that a message shows


class GyakuError(Exception):
    """Base of all errors of this package.

    Parameters: ``where`` names the operation or file; ``expected`` and ``got`` complete "expected ..., got ...";
    ``hint`` is one imperative sentence. ``context`` (layer path, source line) may be added while the error travels up.
    """

    def __init__(
        self, where: str, expected: str = "", got: str = "", *, hint: str = "", message: str = "", context: str = ""
    ) -> None:
        self.where, self.expected, self.got = where, expected, got
        self.hint, self.message, self.context = hint, message, context
        super().__init__(where, expected, got)

    def __str__(self) -> str:
        body = self.message or _expected_got(self.expected, self.got)
        text = f"{self.where}: {body.rstrip('.')}."
        if self.hint:
            text += f" Hint: {self.hint.rstrip('.')}" + ("" if self.hint.endswith("?") else ".")
        return f"{text} [{self.context}]" if self.context else text


def _expected_got(expected: str, got: str) -> str:
    """Return the middle of the sentence; what came is told on one line, and no longer than a line or two."""
    got = " ".join(got.split())
    got = got if len(got) <= _LONG else f"{got[: _LONG - 4]} ..."
    return f"expected {expected}, got {got}" if got else f"expected {expected}"


class ShapeError(GyakuError, ValueError, RuntimeError):
    """Shapes that do not fit."""


class DtypeError(GyakuError, TypeError, RuntimeError):
    """A type of number or of argument that the operation does not take."""


class ArgumentError(GyakuError, ValueError, RuntimeError):
    """A value outside its range, or options that exclude each other."""


class PositionError(GyakuError, IndexError):
    """An index or dimension that does not exist."""


class GraphError(GyakuError, RuntimeError):
    """Backward cannot run, or would give a wrong number."""


class TraceError(GyakuError, RuntimeError):
    """A compiled function asks for a value that only a run of its program would know."""


class MissingMethodError(GyakuError, NotImplementedError):
    """A subclass leaves out a method that it must write."""


class DeviceError(GyakuError, RuntimeError):
    """A device that is missing, or arrays of two devices in one operation."""


class DataError(GyakuError, ValueError):
    """A file or table that is damaged, incomplete or not what it says."""


class DivergedError(GyakuError, ArithmeticError):
    """Training gave a number that is not finite."""


class MissingPackageError(GyakuError, ImportError):
    """An optional package is needed and not installed."""

    def __init__(self, where: str, package: str, extra: str) -> None:
        super().__init__(where, f"the package {package!r}", "none installed", hint=f"pip install 'gyaku[{extra}]'")


class UnknownNameError(GyakuError, AttributeError, KeyError):
    """A name that does not exist; says which existing name is nearest."""

    def __init__(self, where: str, name: object, known: Iterable[str], *, what: str = "name") -> None:
        names = [str(k) for k in known]
        near = difflib.get_close_matches(str(name), names, n=1)
        listed = ", ".join(sorted(names)[:20]) + (", ..." if len(names) > 20 else "")
        hint = f"did you mean {near[0]!r}?" if near else ""
        super().__init__(where, f"a known {what} ({listed})" if listed else f"a known {what}", repr(name), hint=hint)

    def __str__(self) -> str:  # KeyError would print the repr of its arguments
        return GyakuError.__str__(self).replace("?.", "?")


def require(package: str, *, where: str, extra: str) -> object:
    """Import an optional package by name, or say in one line how to install it.

    >>> require("json", where="example", extra="all").__name__
    'json'
    """
    import importlib

    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise MissingPackageError(where, package.split(".")[0], extra) from error
