"""Forms that write into the memory of their tensor: ``add_``, ``zero_``, ``x += 1``, ``gyaku.exp_(x)``, ...

They are for tensors outside the graph, so for parameters under ``no_grad``. What was recorded before notices the write.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from gyaku.base.errors import ArgumentError, DtypeError, GraphError, ShapeError
from gyaku.core.mode import no_grad, state
from gyaku.core.op import FUNCTIONS, context_of_call, public
from gyaku.core.tensor import Tensor, write
from gyaku.ops import activation, arithmetic, choose, compare, cumulative, elementwise, join, trigonometry
from gyaku.ops.draw import stream, uniforms

# The modules whose functions get forms here; importing them enters those functions.
_ROOMS = (activation, arithmetic, choose, compare, cumulative, elementwise, join, trigonometry)

_RANK = {"b": 0, "u": 1, "i": 1, "f": 2}


def _in_graph(value: Any) -> bool:
    return state.grad and isinstance(value, Tensor) and value._node is not None


def put(where: str, t: Tensor, value: Tensor) -> Tensor:
    """Write a computed ``value`` into ``t``, unless it has another shape or a higher kind of number; return ``t``."""
    x, y = t._array, value._array
    if x.shape != y.shape:
        raise ShapeError(where, f"a result of its own shape {x.shape}", str(y.shape), context=context_of_call())
    if _RANK[y.dtype.kind] > _RANK[x.dtype.kind]:
        raise DtypeError(
            where,
            f"a result that fits into {t.dtype!r}",
            repr(value.dtype),
            hint="convert the tensor first, as in x = x.float()",
            context=context_of_call(),
        )
    return write(t, y)


def _overwrite(where: str, function: Callable[..., Any], t: Tensor, args: Any, kwargs: Any) -> Tensor:
    if any(_in_graph(a) for a in (*args, *kwargs.values())):
        raise GraphError(
            where,
            "operands outside the graph, because their gradient would be lost",
            "one that requires grad",
            hint="make a new tensor (x = x + y)",
            context=context_of_call(),
        )
    with no_grad():
        value = function(t, *args, **kwargs)
    return put(where, t, value)


def _in_place(name: str, top: bool) -> None:
    """Give tensors the method ``name_`` that writes what ``name`` returns into the tensor itself.

    It has the signature of ``name``; with ``top`` it is also a function, ``gyaku.name_``.
    """
    function, where = FUNCTIONS[name], f"{name}_"

    def method(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return _overwrite(where, function, input, args, kwargs)

    functools.update_wrapper(method, function, assigned=("__annotations__",))
    method.__name__ = method.__qualname__ = where
    method.__doc__ = f"Write ``{name}`` of this tensor into its own memory and return it; not while it is in a graph."
    public(where, top=top)(method)


# PyTorch has the first ones as functions too.
_FUNCTIONS_TOO = (
    "neg negative square sqrt rsqrt reciprocal exp expm1 log log1p log2 log10 sin cos tan asin acos atan sinh cosh "
    "tanh erf abs floor ceil trunc round frac clamp clip clamp_min clamp_max sigmoid relu"
)
_METHODS_ONLY = (
    "add sub subtract mul multiply div divide pow remainder fmod floor_divide lerp addcmul addcdiv sign masked_fill "
    "tril triu cumsum cumprod eq ne lt le gt ge logical_and logical_or logical_xor logical_not bitwise_and bitwise_or "
    "bitwise_xor bitwise_not"
)
for _top, _names in ((True, _FUNCTIONS_TOO), (False, _METHODS_ONLY)):
    for _name in _names.split():
        _in_place(_name, _top)


def _augmented(symbol: str, name: str) -> None:
    """Give tensors an operator such as ``+=``.

    Where a gradient has to pass, the name on the left gets a new tensor, so that nothing recorded is overwritten; a
    leaf that requires grad is refused; otherwise the memory itself is written.
    """
    function, where = FUNCTIONS[name], f"{name}_"

    def method(self: Tensor, other: Any) -> Tensor:
        if (_in_graph(self) and not self.is_leaf) or (not _in_graph(self) and _in_graph(other)):
            return function(self, other)
        if _in_graph(self):
            raise GraphError(
                where,
                "a tensor outside the graph",
                "a leaf that requires grad",
                hint="write under gyaku.no_grad(), or make a new tensor (x = x + 1)",
                context=context_of_call(),
            )
        return _overwrite(where, function, self, (other,), {})

    method.__name__ = method.__qualname__ = symbol
    method.__doc__ = f"``{name}`` into this tensor; in a graph, a new tensor; a leaf that requires grad is refused."
    public(symbol, top=False)(method)


for _symbol, _name in {
    "__iadd__": "add",
    "__isub__": "sub",
    "__imul__": "mul",
    "__itruediv__": "div",
    "__ifloordiv__": "floor_divide",
    "__imod__": "remainder",
    "__ipow__": "pow",
    "__iand__": "bitwise_and",
    "__ior__": "bitwise_or",
    "__ixor__": "bitwise_xor",
}.items():
    _augmented(_symbol, _name)


# -- given values ------------------------------------------------------------------------------------------------------
@public("zero_")
def zero_(input: Tensor) -> Tensor:
    """Set every element to 0 and return the tensor."""
    return write(input, 0)


@public("fill_")
def fill_(input: Tensor, value: Any) -> Tensor:
    """Set every element to one number and return the tensor."""
    if isinstance(value, Tensor):
        if value.ndim or _in_graph(value):
            raise ArgumentError(
                "fill_", "one number outside the graph", f"a tensor of shape {value.shape}", context=context_of_call()
            )
        value = value.item()
    if value is None or isinstance(value, str):
        raise DtypeError("fill_", "one number", repr(value), context=context_of_call())
    return write(input, value)


@public("copy_", top=False)
def copy_(input: Tensor, other: Tensor, non_blocking: bool = False) -> Tensor:
    """Write the elements of ``other`` (broadcast, converted to this type and device) and return the tensor."""
    if not isinstance(other, Tensor):
        raise DtypeError("copy_", "a tensor", type(other).__name__, context=context_of_call())
    if _in_graph(other):
        raise GraphError(
            "copy_",
            "a source outside the graph, because its gradient would be lost",
            "one that requires grad",
            hint="use other.detach(), or other.clone() for a copy in the graph",
            context=context_of_call(),
        )
    try:
        return write(input, other.detach().to(input.device)._array)
    except ValueError as error:
        if isinstance(error, (GraphError, ShapeError)):
            raise
        raise ShapeError(
            "copy_", f"a source that broadcasts to {input.shape}", str(other.shape), context=context_of_call()
        ) from error


@public("detach_")
def detach_(input: Tensor) -> Tensor:
    """Take this tensor out of its graph and return it: from here on it is a constant."""
    input._node = None
    return input


# -- drawn values ------------------------------------------------------------------------------------------------------
def _drawable(where: str, t: Tensor) -> Any:
    if t._array.dtype.kind != "f":
        raise DtypeError(where, "a floating tensor", repr(t.dtype), context=context_of_call())
    return t._array.dtype


@public("normal_", top=False)
def normal_(input: Tensor, mean: float = 0, std: float = 1, *, generator: Any = None) -> Tensor:
    """Fill with normal numbers of ``mean`` and standard deviation ``std`` and return the tensor."""
    if std < 0:
        raise ArgumentError("normal_", "std of at least 0", str(std), context=context_of_call())
    return write(input, stream(generator).normal(input.shape, _drawable("normal_", input)) * float(std) + float(mean))


@public("uniform_", top=False)
def uniform_(input: Tensor, low: float = 0, high: float = 1, *, generator: Any = None) -> Tensor:
    """Fill with uniform numbers in [low, high) and return the tensor (PyTorch calls the ends ``from`` and ``to``)."""
    if low > high:
        raise ArgumentError("uniform_", "low of at most high", f"{low} and {high}", context=context_of_call())
    u = uniforms(input.shape, _drawable("uniform_", input), generator)
    return write(input, u * (float(high) - float(low)) + float(low))


@public("bernoulli_", top=False)
def bernoulli_(input: Tensor, p: float = 0.5, *, generator: Any = None) -> Tensor:
    """Fill with 1 (probability ``p``) and 0 and return the tensor."""
    if not 0 <= p <= 1:
        raise ArgumentError("bernoulli_", "a probability in 0..1", str(p), context=context_of_call())
    return write(input, stream(generator).uniform(input.shape) < p)
