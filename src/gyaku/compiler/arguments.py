"""The arguments of a compiled function: tensors and floats vary, everything else belongs to the program."""

from __future__ import annotations

from typing import Any

import numpy as np

from gyaku.core.tensor import Tensor, new_tensor

_PLAIN = (type(None), bool, int, str, bytes)


class Arguments:
    """Arguments taken apart: ``tensors`` and ``numbers`` vary from call to call, ``objects`` are looked into."""

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.tensors: list[Tensor] = []
        self.numbers: list[float] = []
        self.objects: list[Any] = []
        self.key: list[Any] = []
        self._index: dict[int, int] = {}
        self.args: tuple[Any, ...] = self._taken(args)
        self.kwargs: dict[str, Any] = self._taken(kwargs)

    def _taken(self, value: Any) -> Any:
        kind = type(value)
        if isinstance(value, np.ndarray):
            value = new_tensor(value)
        if isinstance(value, Tensor):
            return self._tensor(value)
        if isinstance(value, (float, np.floating)):
            self.key.append(("number",))
            self.numbers.append(float(value))
            return _Number(len(self.numbers) - 1)
        if kind in _PLAIN:
            self.key.append((kind, value))
            return value
        if kind in (tuple, list):
            self.key.append((kind, len(value)))
            return kind([self._taken(v) for v in value])
        if kind is dict:
            self.key.append((kind, tuple(value)))
            return {k: self._taken(v) for k, v in value.items()}
        self.key.append(("object", len(self.objects)))
        self.objects.append(value)
        return value

    def _tensor(self, t: Tensor) -> Tensor:
        k = self._index.get(id(t))
        if k is None:
            k = self._index[id(t)] = len(self.tensors)
            self.tensors.append(t)
        a = t._array
        self.key.append(("tensor", k, a.shape, a.dtype, t._node is not None))
        return t

    def call(self, numbers: list[Any]) -> tuple[Any, Any]:
        """Return (args, kwargs) with ``numbers`` filled in."""
        return _filled(self.args, numbers), _filled(self.kwargs, numbers)


class _Number:
    """The place of a float among the arguments."""

    def __init__(self, k: int) -> None:
        self.k = k


def _filled(value: Any, numbers: list[Any]) -> Any:
    if isinstance(value, _Number):
        return numbers[value.k]
    if type(value) in (tuple, list):
        return type(value)([_filled(v, numbers) for v in value])
    if type(value) is dict:
        return {k: _filled(v, numbers) for k, v in value.items()}
    return value
