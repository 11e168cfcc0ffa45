"""What all layers share: they call an operation's rule on arrays and keep what its backward reads."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from gyaku.backend.namespace import NAMESPACES, namespace_of
from gyaku.base.errors import DtypeError, GraphError, ShapeError
from gyaku.core.op import Op

Array = Any


class Layer:
    """A layer: ``forward(x)`` returns y, ``backward(dout)`` takes dE/dy and returns dE/dx.

    ``params`` names the arrays it learns (``W``); backward leaves their gradients beside them (``dW``).
    ``has_modes`` says that training and prediction differ, by ``forward(x, train=...)``.
    """

    params: ClassVar[tuple[str, ...]] = ()
    has_modes: ClassVar[bool] = False
    _call: tuple[Op, tuple[Any, ...], tuple[int, ...]] | None = None

    def forward(self, x: Array) -> Array:
        """Return the layer's output for ``x``."""
        raise NotImplementedError

    def backward(self, dout: Array) -> Array:
        """Return dE/dx from dE/dy, and leave the gradients of what the layer learns."""
        raise NotImplementedError

    def __call__(self, *x: Array) -> Array:
        return self.forward(*x)

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name}{getattr(self, name).shape}" for name in self.params)
        return f"{type(self).__name__}({shapes})"

    def _run(self, op: Op, *x: Any) -> Any:
        """Return the output of ``op`` (all of them where it has several) and keep what its backward reads."""
        y = op.forward(namespace_of(*x), *x)
        ys = y if isinstance(y, tuple) else (y,)
        kept = tuple([ys[i] if kind == "y" else x[i] if kind == "x" else x[i].shape for kind, i in op._codes])
        self._call = op, kept, ys[0].shape
        return y

    def _back(self, gy: Any, *needs: bool) -> Any:
        """Return what the rule of the last ``_run`` gives for ``gy``."""
        if self._call is None:
            raise GraphError(
                f"{type(self).__name__}.backward",
                "forward to have run",
                "no forward yet",
                hint="call forward first; backward needs what it keeps",
            )
        op, kept, shape = self._call
        first = gy[0] if isinstance(gy, tuple) else gy
        if np.shape(first) != shape:
            raise ShapeError(f"{type(self).__name__}.backward", f"dout of shape {shape}", str(np.shape(first)))
        return op.backward(namespace_of(first), kept, gy, needs)


class LossLayer(Layer):
    """The last layer: ``forward(x, t)`` returns the loss E, ``backward(dout=1)`` returns dE/dx."""

    t: Array

    def forward(self, x: Array, t: Array) -> float:  # type: ignore[override]
        """Return the loss of predictions ``x`` for targets ``t``."""
        raise NotImplementedError

    def backward(self, dout: float = 1) -> Array:
        """Return dE/dx (times ``dout``)."""
        raise NotImplementedError


def floats(where: str, x: Any) -> Array:
    """Return ``x`` as an array of floating numbers; arrays that are so already come back as they are."""
    array = x if type(x) in NAMESPACES else np.asarray(x)
    if not hasattr(array.dtype, "kind"):  # a tensor of gyaku
        raise DtypeError(where, "a NumPy array", f"a {type(x).__name__}", hint="x.numpy(); tensors go with gyaku.nn")
    if array.dtype.kind in "iub":
        return array.astype(np.float64)
    if array.dtype.kind != "f":
        raise DtypeError(where, "numbers", str(array.dtype))
    return array
