"""Tensors from numbers, and tensors filled by rule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gyaku.backend.devices import device, move
from gyaku.backend.dtypes import dtype, get_default_dtype, to_dtype
from gyaku.base.errors import ArgumentError, DtypeError, ShapeError
from gyaku.core.node import FOREIGN
from gyaku.core.op import public
from gyaku.core.tensor import Tensor, new_tensor, to_array


def finished(array: Any, where: Any, requires_grad: bool) -> Tensor:
    """Return a new tensor of ``array`` on device ``where`` (None: as it is)."""
    t = new_tensor(array if where is None else move(array, device(where)))
    return t.requires_grad_() if requires_grad else t


def numpy_type(kind: Any, default: dtype | None = None) -> Any:
    """Return NumPy's type for ``dtype=kind``; None means ``default``, or else the default floating type."""
    return (to_dtype(kind) if kind is not None else default or get_default_dtype()).numpy


def sizes_of(where: str, size: Sequence[Any]) -> tuple[int, ...]:
    """Return the shape meant by ``(2, 3)`` or by the list of arguments ``2, 3``."""
    if len(size) == 1 and isinstance(size[0], (tuple, list)):
        size = size[0]
    try:
        shape = tuple([n.__index__() for n in size])
    except AttributeError:
        raise DtypeError(where, "sizes that are whole numbers", repr(tuple(size))) from None
    if any(n < 0 for n in shape):
        raise ShapeError(where, "sizes of at least 0", str(shape))
    return shape


@public()
def tensor(data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a tensor with a copy of ``data``: numbers, nested lists, a NumPy array or a tensor.

    Python floats become the default type (float32), integers int64, truth values bool; arrays keep their type.
    """
    kind = None if dtype is None else to_dtype(dtype)
    if device is None and isinstance(data, Tensor):
        device = data.device
    return finished(to_array(data, kind), device, requires_grad)


@public()
def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """Return ``data`` as a tensor; without a copy when it is a tensor or NumPy array of that type and place already."""
    if isinstance(data, Tensor):
        return data.to(device, dtype)
    if isinstance(data, np.ndarray):
        return from_numpy(data).to(device, dtype)
    return tensor(data, dtype=dtype, device=device)


@public()
def from_numpy(ndarray: Any) -> Tensor:
    """Return a tensor that shares the memory of a NumPy array.

    The array may be changed from outside without being seen, so operations that must remember it keep a copy.
    Raises ``DtypeError`` for anything but an array of booleans or real numbers in native byte order.
    """
    if not isinstance(ndarray, np.ndarray):
        raise DtypeError("from_numpy", "a NumPy array", type(ndarray).__name__, hint="use gyaku.tensor")
    t = new_tensor(ndarray, None, [FOREIGN])
    t.dtype  # noqa: B018  (refuses types that no tensor has)
    return t


@public()
def from_dlpack(ext_tensor: Any) -> Tensor:
    """Return a tensor that shares the memory of another library's CPU array (DLPack, dmlc.github.io/dlpack).

    As with ``from_numpy``, writes from outside are not seen. Raises ``DtypeError`` for anything without the protocol.
    """
    try:
        return from_numpy(np.from_dlpack(ext_tensor))
    except (AttributeError, BufferError, TypeError) as error:
        got = type(ext_tensor).__name__
        raise DtypeError("from_dlpack", "a CPU array that speaks DLPack", got, hint="use gyaku.tensor") from error


@public()
def zeros(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a tensor of zeros."""
    return finished(np.zeros(sizes_of("zeros", size), numpy_type(dtype)), device, requires_grad)


@public()
def ones(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a tensor of ones."""
    return finished(np.ones(sizes_of("ones", size), numpy_type(dtype)), device, requires_grad)


@public()
def empty(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a tensor of any values, to be written to."""
    return finished(np.empty(sizes_of("empty", size), numpy_type(dtype)), device, requires_grad)


@public()
def full(size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a tensor full of ``fill_value``, whose type decides (int64, bool or the default floating type)."""
    value = fill_value.item() if isinstance(fill_value, Tensor) else fill_value
    kind = numpy_type(dtype if dtype is not None else type(value))
    return finished(np.full(sizes_of("full", (size,)), value, kind), device, requires_grad)


def _like(where: str, input: Tensor, kind: Any, place: Any) -> tuple[tuple[int, ...], Any, Any]:
    if not isinstance(input, Tensor):
        raise DtypeError(where, "a tensor", type(input).__name__)
    return input.shape, numpy_type(kind, input.dtype), input.device if place is None else place


@public()
def zeros_like(input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Return zeros of the shape, type and device of ``input``."""
    shape, kind, place = _like("zeros_like", input, dtype, device)
    return finished(np.zeros(shape, kind), place, requires_grad)


@public()
def ones_like(input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Return ones of the shape, type and device of ``input``."""
    shape, kind, place = _like("ones_like", input, dtype, device)
    return finished(np.ones(shape, kind), place, requires_grad)


@public()
def empty_like(input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Return any values in the shape, type and device of ``input``."""
    shape, kind, place = _like("empty_like", input, dtype, device)
    return finished(np.empty(shape, kind), place, requires_grad)


@public()
def full_like(
    input: Tensor, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Return ``fill_value`` in the shape, type and device of ``input``."""
    shape, kind, place = _like("full_like", input, dtype, device)
    return finished(np.full(shape, fill_value, kind), place, requires_grad)


@public("new_zeros", top=False)
def new_zeros(self: Tensor, *size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Return zeros of the type and device of this tensor."""
    kind, place = dtype or self.dtype, self.device if device is None else device
    return zeros(*size, dtype=kind, device=place, requires_grad=requires_grad)


@public("new_ones", top=False)
def new_ones(self: Tensor, *size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Return ones of the type and device of this tensor."""
    kind, place = dtype or self.dtype, self.device if device is None else device
    return ones(*size, dtype=kind, device=place, requires_grad=requires_grad)


@public("new_tensor", top=False)
def new_tensor_like(self: Tensor, data: Any, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a copy of ``data`` in the type and on the device of this tensor."""
    return tensor(data, dtype=dtype or self.dtype, device=self.device, requires_grad=requires_grad)


@public()
def arange(
    start: Any, end: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Return start, start + step, ... below ``end`` (int64 when all three are whole, else the default floating type).

    >>> arange(3).tolist(), arange(1, 2, 0.5).tolist()
    ([0, 1, 2], [1.0, 1.5])
    """
    start, end, step = (
        v.item() if isinstance(v, Tensor) else v for v in ((0, start) if end is None else (start, end)) + (step,)
    )
    if step == 0 or (end - start) / step < 0:
        raise ArgumentError("arange", "a step that leads from start to end", f"start={start}, end={end}, step={step}")
    whole = all(isinstance(v, int) for v in (start, end, step))
    count = max(math.ceil((end - start) / step), 0)
    kind = numpy_type(dtype if dtype is not None else int if whole else None)
    values = np.arange(start, end, step) if whole else start + step * np.arange(count)
    return finished(values.astype(kind), device, requires_grad)


@public()
def linspace(
    start: Any, end: Any, steps: int, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Return ``steps`` numbers from ``start`` to ``end``, both included."""
    if steps < 0:
        raise ArgumentError("linspace", "at least 0 steps", str(steps))
    return finished(np.linspace(float(start), float(end), steps).astype(numpy_type(dtype)), device, requires_grad)


@public()
def eye(n: int, m: int | None = None, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Return ones on the diagonal of an (n, m) matrix, zeros elsewhere; m is n unless given."""
    return finished(np.eye(n, m, dtype=numpy_type(dtype)), device, requires_grad)


@public()
def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """Return for 1-d tensors the coordinates of all points of their grid, one tensor per coordinate.

    With "ij" (PyTorch's default) axis i runs along tensor i; with "xy" the first two axes are swapped, as for plots.
    """
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tuple(tensors[0])
    if indexing not in ("ij", "xy"):
        raise ArgumentError("meshgrid", "indexing 'ij' or 'xy'", repr(indexing))
    if not tensors or any(t.ndim > 1 or t.dtype != tensors[0].dtype for t in tensors):
        raise ShapeError("meshgrid", "1-d tensors of one dtype", ", ".join(f"{t.shape} {t.dtype!r}" for t in tensors))
    n = len(tensors)
    shape = tuple([t.numel() for t in tensors])
    grid = [t.reshape(*[-1 if i == k else 1 for i in range(n)]).expand(shape) for k, t in enumerate(tensors)]
    return tuple([g.transpose(0, 1) if indexing == "xy" and n > 1 else g for g in grid])


@public()
def is_tensor(obj: Any) -> bool:
    """Return whether ``obj`` is a tensor."""
    return isinstance(obj, Tensor)


@public()
def numel(input: Tensor) -> int:
    """Return the number of elements."""
    return input.numel()


@public()
def is_floating_point(input: Tensor) -> bool:
    """Return whether the numbers are floating."""
    return input.is_floating_point()


@public()
def detach(input: Tensor) -> Tensor:
    """Return a tensor with the same memory and no graph."""
    return input.detach()
