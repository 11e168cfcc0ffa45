"""An array that can do only what the vocabulary of formulas allows, and an observer that collects calls."""

from __future__ import annotations

from typing import Any

import numpy as np

from gyaku.backend.namespace import VOCABULARY, numpy_namespace


class Spy:
    """An array behind glass: operators, ``x[i]``, shape, ndim, dtype and T; no methods, no truth value."""

    __array_ufunc__ = None
    __slots__ = ("hidden",)

    def __init__(self, hidden: Any) -> None:
        self.hidden = hidden

    @property
    def shape(self) -> Any:
        return np.shape(self.hidden)

    @property
    def ndim(self) -> int:
        return np.ndim(self.hidden)

    @property
    def dtype(self) -> Any:
        return self.hidden.dtype

    @property
    def T(self) -> Spy:
        assert self.ndim == 2, "x.T is in the vocabulary for matrices"
        return Spy(self.hidden.T)

    def __getitem__(self, key: Any) -> Spy:
        return Spy(self.hidden[opened(key)])

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("a formula handed its array to NumPy itself: only xp may compute")

    def __bool__(self) -> bool:
        raise TypeError("a formula asked for the truth value of an array: its course must not depend on values")

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"a formula read .{name} of an array: only .shape, .ndim, .dtype and .T are in the vocabulary"
        )

    __hash__ = None  # type: ignore[assignment]


def _operator(name: str) -> Any:
    def method(self: Spy, *others: Any) -> Any:
        return Spy(getattr(np.asarray(self.hidden), name)(*[opened(o) for o in others]))

    return method


for _name in "add sub mul truediv floordiv mod pow matmul and or xor".split():
    for _form in (f"__{_name}__", f"__r{_name}__"):
        setattr(Spy, _form, _operator(_form))
for _name in "neg pos abs invert lt le gt ge eq ne".split():
    setattr(Spy, f"__{_name}__", _operator(f"__{_name}__"))


def opened(value: Any) -> Any:
    """Return ``value`` with the arrays taken from behind the glass."""
    if isinstance(value, Spy):
        return value.hidden
    if isinstance(value, (tuple, list)):
        return type(value)(opened(v) for v in value)
    return value


def spied(value: Any) -> Any:
    """Return ``value`` with its arrays behind glass."""
    if isinstance(value, (tuple, list)):
        return tuple(spied(v) for v in value)
    return Spy(value) if isinstance(value, (np.ndarray, np.generic)) else value


class SpyNamespace:
    """The vocabulary on spies; any other name is refused."""

    name = "spy"

    def __getattr__(self, name: str) -> Any:
        if name not in VOCABULARY:
            raise AttributeError(f"{name!r} is not in the vocabulary of formulas")
        function = getattr(numpy_namespace, name)
        return lambda *a, **k: spied(function(*opened(a), **{key: opened(v) for key, v in k.items()}))


class Collector:
    """An observer that remembers each forward and backward call of one operation."""

    def __init__(self, op: str) -> None:
        self.op, self.forwards, self.backwards = op, [], []  # type: tuple[str, list[Any], list[Any]]

    def after_forward(self, op: Any, inputs: list[Any], output: Any, node: Any) -> None:
        if op.name == self.op:
            self.forwards.append((op, list(inputs), output, node, None if node is None else tuple(node.saved)))

    def failed_forward(self, op: Any, inputs: list[Any], error: BaseException) -> None:
        raise AssertionError(f"{op.name} failed") from error

    def after_backward(self, node: Any, gy: Any, gxs: Any) -> None:
        if node.op.name == self.op:
            self.backwards.append((node, gy, gxs, node.saved))
