"""The tensor: an array, the record it came from, and its gradient. Operations reach it from the registry."""

from __future__ import annotations

import copy
import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from gyaku.backend.devices import CPU, device, device_of, move
from gyaku.backend.dtypes import ALIASES, ALL, dtype, from_numpy_dtype, get_default_dtype, to_dtype
from gyaku.backend.tracing import tracing
from gyaku.base.errors import DtypeError, GraphError, ShapeError, UnknownNameError
from gyaku.core.hooks import RemovableHandle, RetainGrad
from gyaku.core.mode import state
from gyaku.core.node import FOREIGN, Leaf, clock

_new = object.__new__


class Size(tuple[int, ...]):
    """The sizes of the dimensions: a tuple that also knows the number of elements."""

    __slots__ = ()

    def numel(self) -> int:
        """Return the product of the sizes.

        >>> Size((2, 3)).numel()
        6
        """
        return math.prod(self)


class Tensor:
    """An n-dimensional array that can be differentiated.

    ``grad`` is None until ``backward()`` reaches a leaf that ``requires_grad``. Made by ``gyaku.tensor`` and by ops.
    """

    __slots__ = ("_array", "_node", "_cell", "_grad", "_extra", "__weakref__")
    __array_priority__ = 1000  # numpy_array * tensor comes to the tensor

    _array: Any
    _node: Any
    _cell: list[Any]
    _grad: Tensor | None
    _extra: dict[str, Any] | None

    def __init__(self, data: Any = (), *, requires_grad: bool = False) -> None:
        self._array, self._node, self._cell, self._grad, self._extra = to_array(data, None), None, [0], None, None
        if requires_grad:
            self.requires_grad_()

    # -- what it is ---------------------------------------------------------------------------------------------
    @property
    def shape(self) -> Size:
        """The sizes of the dimensions."""
        return Size(self._array.shape)

    def size(self, dim: int | None = None) -> Any:
        """Return the shape, or the size of one dimension."""
        return Size(self._array.shape) if dim is None else self._array.shape[dim]

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return int(self._array.ndim)

    def dim(self) -> int:
        """Return the number of dimensions."""
        return int(self._array.ndim)

    def numel(self) -> int:
        """Return the number of elements."""
        return int(self._array.size)

    def element_size(self) -> int:
        """Return the bytes of one element."""
        return int(self._array.itemsize)

    @property
    def dtype(self) -> dtype:
        """The type of the numbers."""
        return from_numpy_dtype(self._array.dtype)

    @property
    def device(self) -> device:
        """Where the numbers lie."""
        return CPU if type(self._array) is np.ndarray else device_of(self._array)

    @property
    def is_cuda(self) -> bool:
        """Whether the numbers lie on a GPU."""
        return self.device.type == "cuda"

    def is_floating_point(self) -> bool:
        """Return whether the numbers are floating."""
        return bool(self._array.dtype.kind == "f")

    def is_contiguous(self) -> bool:
        """Return whether the memory is in C order without gaps."""
        return bool(self._array.flags.c_contiguous)

    def stride(self, dim: int | None = None) -> Any:
        """Return the steps between neighbours, in elements: of every dimension, or of ``dim`` alone."""
        steps = tuple(s // self._array.itemsize for s in self._array.strides)
        return steps if dim is None else steps[dim]

    def __len__(self) -> int:
        if not self._array.shape:
            raise DtypeError("len", "a tensor with at least one dimension", "a 0-d tensor")
        return int(self._array.shape[0])

    # -- the graph ----------------------------------------------------------------------------------------------
    @property
    def requires_grad(self) -> bool:
        """Whether backward reaches this tensor."""
        return self._node is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Make this leaf want its gradient (or not) and return it; only floating tensors can."""
        if not self.is_leaf:
            if not requires_grad:
                raise GraphError("requires_grad_", "a leaf tensor", "the result of an operation", hint="use .detach()")
        elif requires_grad and self._array.dtype.kind != "f":
            raise DtypeError(
                "requires_grad_",
                "a floating tensor (only those have gradients)",
                repr(self.dtype),
                hint="convert it with .float()",
            )
        elif requires_grad and self._node is None:
            self._node = (self._extra or {}).pop("leaf", None) or Leaf(self)
            self._node.shape, self._node.dtype = self._array.shape, self._array.dtype
        elif not requires_grad and self._node is not None:  # hooks and graphs know the leaf: it comes back when thawed
            self._meta()["leaf"], self._node = self._node, None
        return self

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made this tensor."""
        return self._node is None or self._node.is_leaf

    @property
    def grad_fn(self) -> Any:
        """The record of the operation that made this tensor, or None for a leaf."""
        return None if self.is_leaf else self._node

    @property
    def grad(self) -> Tensor | None:
        """The gradient that backward left here; None before, and for results unless ``retain_grad()`` was asked."""
        if self._grad is None and self._node is not None and not self._node.is_leaf:
            _warn_no_grad(self)
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            if not isinstance(value, Tensor):
                raise DtypeError("Tensor.grad", "a tensor or None", type(value).__name__)
            if value.shape != self.shape:
                raise ShapeError("Tensor.grad", f"a gradient of shape {self.shape}", str(value.shape))
            if value._array.dtype != self._array.dtype:
                raise DtypeError("Tensor.grad", f"a gradient of dtype {self.dtype!r}", repr(value.dtype))
        self._grad = value

    def retain_grad(self) -> None:
        """Let this result keep its gradient in ``.grad`` when backward passes."""
        if self._node is None:
            raise GraphError("retain_grad", "a tensor that requires grad", "one that does not")
        if not self.is_leaf and not self._meta().get("retain"):
            self._meta()["retain"] = True
            self._add_hook(RetainGrad(self))

    @property
    def retains_grad(self) -> bool:
        """Whether ``retain_grad()`` was called on this result."""
        return bool(self._extra and self._extra.get("retain"))

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
        """Call ``hook(grad)`` when the gradient of this tensor is known; what it returns (unless None) replaces it."""
        if self._node is None:
            raise GraphError("register_hook", "a tensor that requires grad", "one that does not")
        return self._add_hook(hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], None]) -> RemovableHandle:
        """Call ``hook(self)`` each time backward has added to the ``.grad`` of this leaf."""
        if not isinstance(self._node, Leaf):
            raise GraphError("register_post_accumulate_grad_hook", "a leaf that requires grad", "another tensor")
        if not callable(hook):
            raise DtypeError("register_post_accumulate_grad_hook", "a function of the tensor", type(hook).__name__)
        self._node.after = self._node.after or []
        self._node.after.append(hook)
        return RemovableHandle(self._node.after, hook)

    def _add_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        if not callable(hook):
            raise DtypeError("register_hook", "a function of the gradient", type(hook).__name__)
        hooks = self._node.hooks = self._node.hooks or []
        hooks.append(hook)
        return RemovableHandle(hooks, hook)

    def _meta(self) -> dict[str, Any]:
        self._extra = self._extra or {}
        return self._extra

    # -- the numbers --------------------------------------------------------------------------------------------
    @property
    def data(self) -> Tensor:
        """The same memory without the graph; writing to it is noticed by what has been recorded."""
        return new_tensor(self._array, None, self._cell)

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, Tensor):
            raise DtypeError("Tensor.data", "a tensor", type(value).__name__)
        self._array, self._cell = value._array, value._cell
        if isinstance(self._node, Leaf):
            self._node.shape, self._node.dtype = self._array.shape, self._array.dtype

    def detach(self) -> Tensor:
        """Return a tensor with the same memory and no graph."""
        return new_tensor(self._array, None, self._cell)

    def item(self) -> Any:
        """Return the one number as a Python number; more than one is an error."""
        if self._array.size != 1:
            raise ShapeError("item", "a tensor with one element", str(self.shape), hint="use .tolist()")
        return self._array.item()

    def tolist(self) -> Any:
        """Return nested lists of Python numbers."""
        return self._array.tolist()

    def numpy(self, *, force: bool = False) -> Any:
        """Return the numbers as a NumPy array that shares this memory.

        It is read-only where anything else knows the memory (a graph that saved it, a view, the tensor it was detached
        from): writing to it could make backward wrong unseen. Otherwise it is writable, and later operations that
        must remember its values keep a copy. A tensor that requires grad is refused, as in PyTorch (``force=True``
        detaches and copies to the CPU).
        """
        if force:
            return np.array(self.cpu()._array)
        if self._node is not None:
            raise GraphError(
                "numpy", "a tensor without a graph", "one that requires grad", hint="use .detach().numpy()"
            )
        if self.is_cuda:
            raise GraphError("numpy", "a tensor on the CPU", str(self.device), hint="use .cpu().numpy()")
        return shared_array(self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        if copy or (dtype is not None and np.dtype(dtype) != self._array.dtype):
            return np.array(self.detach().cpu()._array, dtype=dtype)
        return self.numpy()

    def __dlpack__(self, **kwargs: Any) -> Any:
        array = self._array if self.is_cuda else self.numpy()
        return (array if self.is_cuda or array.flags.writeable else array.copy()).__dlpack__(**kwargs)

    def __dlpack_device__(self) -> Any:
        return self._array.__dlpack_device__()

    def to(self, *args: Any, **kwargs: Any) -> Tensor:
        """Return this tensor with another device and/or dtype (``to("cuda")``, ``to(gy.float64)``, ``to(other)``)."""
        where, kind = _parse_to(*args, **kwargs)
        result = self if where is None else _moved(self, where)
        return result if kind is None or kind.numpy == result._array.dtype else _cast(result, kind)

    def cpu(self) -> Tensor:
        """Return this tensor on the CPU."""
        return self.to(CPU)

    def cuda(self, device: Any = None) -> Tensor:
        """Return this tensor on a GPU (the default one unless ``device``, a number or a device, says which)."""
        return self.to("cuda" if device is None else f"cuda:{device}" if isinstance(device, int) else device)

    # -- Python's own protocols ----------------------------------------------------------------------------------
    def __bool__(self) -> bool:
        if self._array.size != 1:
            raise ShapeError("bool", "a tensor with one element", str(self.shape), hint="use .any() or .all()")
        return bool(self._array)

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self._array.dtype.kind not in "iu":
            raise DtypeError("index", "an integer tensor", repr(self.dtype))
        return int(self.item())

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))  # type: ignore[index]

    __hash__ = object.__hash__  # == compares elements, so a tensor hashes by identity

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if self._array.ndim == 0 else format(str(self), spec)

    def __copy__(self) -> Tensor:
        return new_tensor(self._array, None, self._cell).requires_grad_(self.requires_grad)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if not self.is_leaf:
            raise GraphError("deepcopy", "a leaf tensor", "the result of an operation", hint="copy .detach() instead")
        twin = _new(type(self))
        memo[id(self)] = twin
        twin._array, twin._node, twin._cell, twin._extra = self._array.copy(), None, [0], None
        twin._grad = copy.deepcopy(self._grad, memo)
        for name, value in getattr(self, "__dict__", {}).items():
            twin.__dict__[name] = copy.deepcopy(value, memo)
        return twin.requires_grad_(self.requires_grad)

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise DtypeError(
            "pickle",
            "safetensors (loading a file never runs code)",
            "pickle",
            hint="use gyaku.save and gyaku.load, or copy.deepcopy",
        )

    def __getattr__(self, name: str) -> Any:  # only reached for a name that does not exist
        if name.startswith("_"):  # Python and NumPy ask for many of these
            raise AttributeError(name)
        raise UnknownNameError("Tensor", name, (n for n in dir(type(self)) if not n.startswith("_")))

    def __repr__(self) -> str:
        from gyaku.core.show import tensor_text

        return tensor_text(self)

    def _repr_html_(self) -> str:
        from gyaku.core.show import tensor_html

        return tensor_html(self)


class Parameter(Tensor):
    """A tensor that a module owns and an optimizer moves; requires grad unless told otherwise."""

    def __init__(self, data: Any = (), requires_grad: bool = True) -> None:
        source = data if isinstance(data, Tensor) else Tensor(data)
        self._array, self._cell = source._array, source._cell
        self._node, self._grad, self._extra = None, None, None
        self.requires_grad_(requires_grad)


def new_tensor(array: Any, node: Any = None, cell: list[Any] | None = None) -> Tensor:
    """Return a tensor around ``array`` itself (no copy); a view passes the write-time ``cell`` of its base."""
    t = _new(Tensor)
    t._array, t._node, t._cell = array, node, [0] if cell is None else cell
    t._grad = t._extra = None
    return t


def shared_array(t: Tensor) -> Any:
    """Return the array of ``t``: read-only if anything else shares its memory, else open to foreign writes."""
    if t._cell[0] != FOREIGN:
        if sys.getrefcount(t._cell) > _ALONE:
            array = t._array.view()
            array.flags.writeable = False
            return array
        t._cell[0] = FOREIGN
    return t._array


def _alone() -> int:
    """Return the reference count of a cell that one tensor alone knows (it differs between Python versions)."""
    t = new_tensor(None)
    return sys.getrefcount(t._cell)


_ALONE = _alone()


def wrote(t: Tensor) -> None:
    """Note that the memory of ``t`` was written to now."""
    if t._cell[0] != FOREIGN:
        t._cell[0] = clock()


def write(t: Tensor, values: Any, key: Any = ...) -> Tensor:
    """Write ``values`` into the memory of ``t`` at ``key``, as in-place operations do, and return ``t``.

    Raises ``GraphError`` while recording if ``t`` is part of a graph: its value may be needed by backward.
    """
    if state.grad and t._node is not None:
        what = "a leaf that requires grad" if t._node.is_leaf else "the result of a recorded operation"
        raise GraphError(
            "in-place write",
            "a tensor outside the graph",
            what,
            hint="write under gyaku.no_grad(), or make a new tensor (x = x + 1)",
        )
    if not t._array.flags.writeable:
        raise GraphError(
            "in-place write", "memory of its own", "a read-only or expanded view", hint="use .clone() first"
        )
    if tracing.recorder is not None:
        tracing.recorder.make_room(t, values)
    t._array[key] = values
    wrote(t)
    return t


def as_tensor_like(value: Any, like: Tensor) -> Tensor:
    """Return ``value`` as a tensor on the device of ``like``."""
    return value if isinstance(value, Tensor) else new_tensor(move(to_array(value, None), like.device))


def to_array(data: Any, kind: dtype | None) -> Any:
    """Return a fresh array of ``data``: Python floats become the default type, other numbers keep theirs."""
    if isinstance(data, Tensor):
        data = data._array
    if isinstance(data, (list, tuple)) and any(isinstance(d, Tensor) for d in data):
        data = [d._array if isinstance(d, Tensor) else d for d in data]
    try:
        array = np.array(data.get() if hasattr(data, "get") and hasattr(data, "ndim") else data)
    except ValueError as error:
        raise ShapeError("tensor", "a rectangular nest of numbers", "rows of different length") from error
    if array.dtype == object or array.dtype.kind in "USVMmc":
        raise DtypeError("tensor", "numbers", _named_element(array), hint="encode text as class numbers first")
    if kind is None and array.dtype == np.float64 and not isinstance(_first_of(data), (np.ndarray, np.generic)):
        return array.astype(get_default_dtype().numpy)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if kind is None:
        return array.astype(from_numpy_dtype(array.dtype).numpy, copy=False)
    return array.astype(kind.numpy, copy=False)


def _first_of(data: Any) -> Any:
    """Return the first element of nested lists: what comes from NumPy keeps its type, as in PyTorch."""
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return data


def _named_element(array: Any) -> str:
    flat = array.ravel()
    return f"{type(flat[0]).__name__} ({flat[0]!r})" if flat.size else str(array.dtype)


def _parse_to(*args: Any, dtype: Any = None, device: Any = None, copy: bool = False, non_blocking: bool = False) -> Any:
    from gyaku.backend.devices import device as device_type

    for a in args:
        if isinstance(a, Tensor):
            dtype, device = a.dtype, a.device
        elif isinstance(a, device_type) or (isinstance(a, str) and a.partition(":")[0] in ("cpu", "cuda")):
            device = a
        elif isinstance(a, bool):
            continue  # PyTorch's positional non_blocking and copy
        elif isinstance(a, str) and a not in (*ALL, *ALIASES):
            raise UnknownNameError("Tensor.to", a, ["cpu", "cuda", *ALL, *ALIASES], what="device or dtype")
        elif a is not None:
            dtype = a
    return (None if device is None else device_type(device)), (None if dtype is None else to_dtype(dtype))


def _cast(t: Tensor, kind: dtype) -> Tensor:
    from gyaku.core.op import REGISTRY, apply

    return apply(REGISTRY["cast"](kind.numpy), t)  # type: ignore[no-any-return]


def _moved(t: Tensor, where: device) -> Tensor:
    if t.device == where or (t.device.type == where.type and where.index is None):
        return t
    from gyaku.core.op import REGISTRY, apply

    return apply(REGISTRY["move"](where, t.device), t)  # type: ignore[no-any-return]


def _warn_no_grad(t: Tensor) -> None:
    extra = t._meta()
    if not extra.get("retain") and not extra.get("warned"):
        extra["warned"] = True
        import warnings

        warnings.warn(
            "Tensor.grad: expected a leaf, got the result of an operation, which keeps no gradient. "
            "Hint: call .retain_grad() before backward.",
            UserWarning,
            stacklevel=3,
        )
