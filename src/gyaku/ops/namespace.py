"""Tensors as readers of formulas: the vocabulary of ``gyaku.backend.namespace`` answered by recorded operations.

A backward read with this namespace is itself recorded, and so can be differentiated again. NumPy's argument names here
(``axis``, ``keepdims``), because formulas are written in them.
"""

from __future__ import annotations

from typing import Any

from gyaku.backend.namespace import VOCABULARY, numpy_namespace, register_namespace
from gyaku.core.op import FUNCTIONS
from gyaku.core.tensor import Parameter, Tensor, new_tensor


class TensorNamespace:
    """Each name of the vocabulary as a function of tensors."""

    name = "tensor"

    def __getattr__(self, name: str) -> Any:
        if name not in VOCABULARY:
            raise AttributeError(f"{name!r} is not in the vocabulary of formulas (gyaku.backend.namespace)")
        function = _TRANSLATED.get(name) or FUNCTIONS[name]
        setattr(self, name, function)
        return function


_TRANSLATED: dict[str, Any] = {}


def translated(function: Any) -> Any:
    """Enter a function under its own name as the tensors' answer to that name of the vocabulary."""
    _TRANSLATED[function.__name__.rstrip("_")] = function
    return function


def _constant(name: str) -> None:
    """Let a name that makes or inspects arrays without derivative answer from NumPy on raw arrays."""
    raw = getattr(numpy_namespace, name)

    def answer(*args: Any, **kwargs: Any) -> Any:
        plain = [a._array if isinstance(a, Tensor) else a for a in args]
        if "dtype" in kwargs and hasattr(kwargs["dtype"], "numpy"):
            kwargs["dtype"] = kwargs["dtype"].numpy
        return new_tensor(raw(*plain, **kwargs))

    _TRANSLATED[name] = answer


for _name in "isnan isfinite isinf logical_and logical_or logical_not logical_xor equal any all argmax argmin argsort sign floor ceil trunc rint".split():
    _constant(_name)
for _name in "zeros ones full empty arange eye linspace zeros_like ones_like full_like".split():
    _constant(_name)

tensor_namespace = TensorNamespace()
register_namespace(Tensor, tensor_namespace)
register_namespace(Parameter, tensor_namespace)
