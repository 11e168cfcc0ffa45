"""Operations with a forward and backward of the user's own, in tensors."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from gyaku.base.errors import DtypeError, GraphError
from gyaku.core.mode import is_grad_enabled, no_grad, set_grad_enabled
from gyaku.core.node import FOREIGN
from gyaku.core.op import Op, apply
from gyaku.core.tensor import Tensor, new_tensor


class Context:
    """What ``forward`` leaves for ``backward``; attributes of your own may be set on it."""

    def __init__(self, needs_input_grad: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs_input_grad
        self._keep: tuple[Tensor | None, ...] = ()
        self._plain: tuple[Tensor, ...] = ()
        self._saved: tuple[Tensor | None, ...] | None = None
        self._materialize = True

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep inputs, outputs or other tensors for backward; writing to them afterwards is noticed."""
        for t in tensors:
            if t is not None and not isinstance(t, Tensor):
                raise DtypeError(
                    "save_for_backward", "tensors", type(t).__name__, hint="set ctx.name = value for others"
                )
        self._keep = tensors

    @property
    def saved_tensors(self) -> tuple[Tensor | None, ...]:
        """What ``save_for_backward`` kept; to be read in backward."""
        if self._saved is None:
            raise GraphError("saved_tensors", "to be read inside backward", "a read outside")
        return self._saved

    def set_materialize_grads(self, value: bool) -> None:
        """Say whether an output that nobody used brings zeros (the default) or None to backward."""
        self._materialize = bool(value)

    def mark_dirty(self, *inputs: Tensor) -> None:
        """Refuse: a function here never writes to its inputs.

        Raises ``GraphError``.
        """
        raise GraphError(
            "mark_dirty",
            "a forward that leaves its inputs as they are",
            "one that writes to them",
            hint="return a new tensor",
        )

    def mark_non_differentiable(self, *outputs: Tensor) -> None:
        """Say that these outputs carry no gradient."""
        self._plain = outputs


class Function:
    """Base of operations with static methods ``forward(ctx, *args)`` and ``backward(ctx, *gys)``; call with ``apply``.

    ``backward`` returns one gradient (or None) for each argument of forward. It works on tensors, so with
    ``create_graph=True`` it is recorded, and the gradient can be differentiated again.

    >>> import gyaku as gy
    >>> class Square(Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x
    ...     @staticmethod
    ...     def backward(ctx, gy):
    ...         (x,) = ctx.saved_tensors
    ...         return 2 * x * gy
    >>> x = gy.tensor(3.0, requires_grad=True)
    >>> Square.apply(x).backward()
    >>> x.grad
    tensor(6.)
    """

    _operation: ClassVar[type[Op]]

    def __init__(self, *_: Any) -> None:
        raise GraphError(type(self).__name__, f"{type(self).__name__}.apply(...)", "an instance")

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in ("forward", "backward", "setup_context"):
            if name in cls.__dict__ and not isinstance(cls.__dict__[name], staticmethod):
                raise DtypeError(
                    cls.__name__, f"{name} as a static method", "an ordinary one", hint="put @staticmethod above it"
                )
        cls._operation = type(cls.__name__, (_FunctionOp,), {"function": cls, "name": cls.__name__})

    @staticmethod
    def forward(*args: Any) -> Any:
        """Return the output (a tensor or a tuple); ``forward(ctx, ...)``, or without ctx beside ``setup_context``."""
        raise GraphError("Function", "a static method forward(ctx, ...)", "none")

    @staticmethod
    def setup_context(ctx: Context, inputs: tuple[Any, ...], output: Any) -> None:
        """Save what backward needs, when ``forward`` takes no ctx."""

    @staticmethod
    def backward(ctx: Context, *gys: Any) -> Any:
        """Return the gradient by each argument of forward, given those by each output."""
        raise GraphError("Function", "a static method backward(ctx, ...)", "none")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Run ``forward`` on ``args`` (tensors and anything else) and record it."""
        tensors = [a for a in args if isinstance(a, Tensor)]
        if not tensors:
            raise DtypeError(f"{cls.__name__}.apply", "at least one tensor", "none")
        op: Any = cls._operation(args)
        return op.finished(apply(op, *tensors))


class _FunctionOp(Op):
    """One call of a ``Function``: runs its methods for the walk and the record."""

    function: ClassVar[type[Function]]

    def __init__(self, args: tuple[Any, ...]) -> None:
        self.positions = [i for i, a in enumerate(args) if isinstance(a, Tensor)]
        self.count, self.args = len(args), args
        self.context = Context(tuple([isinstance(a, Tensor) and a.requires_grad for a in args]))

    def __hash__(self) -> int:  # no two calls are the same
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    def forward(self, xp: Any, *x: Any) -> Any:
        function, context = self.function, self.context
        with no_grad():
            if function.setup_context is Function.setup_context:
                answer = function.forward(context, *self.args)
            else:
                answer = function.forward(*self.args)
                function.setup_context(context, self.args, answer)
        self.answer = answer
        self.outputs = [t for t in (answer if isinstance(answer, tuple) else (answer,)) if isinstance(t, Tensor)]
        if not self.outputs:
            raise DtypeError(f"{self.name}.forward", "a tensor or a tuple with tensors", type(answer).__name__)
        return tuple([t._array for t in self.outputs]) if isinstance(answer, tuple) else answer._array

    def finished(self, result: Any) -> Any:
        """Give the results their place among what forward returned, and the record what it must keep."""
        results = result if isinstance(result, tuple) else (result,)
        for inner, out in zip(self.outputs, results):
            out._cell = inner._cell  # forward may have returned a view
        node = next((t._node for t in results if t._node is not None), None)
        if node is not None:
            self._keep_on(node if node.parents and not hasattr(node, "index") else node.parents[0], results)
        for inner, out in zip(self.outputs, results):
            if out._array.dtype.kind != "f" or any(inner is t for t in self.context._plain):
                out._node = None
        rest, answer = iter(results), self.answer
        self.layout = [isinstance(a, Tensor) for a in answer] if isinstance(answer, tuple) else [True]
        self.materializes = self.context._materialize  # type: ignore[misc]
        self.context._keep = self.context._plain = self.args = ()
        self.outputs = []
        self.answer = None
        if isinstance(answer, tuple):
            return tuple([next(rest) if isinstance(a, Tensor) else a for a in answer])
        return result

    def _keep_on(self, node: Any, results: tuple[Tensor, ...]) -> None:
        inputs = [self.args[i] for i in self.positions]
        codes, saved, cells, others = [], [], [], []  # type: tuple[list[Any], list[Any], list[Any], list[Any]]
        for t in self.context._keep:
            code, holder = _place_of(t, inputs, self.outputs, results)
            codes.append(code)
            foreign = holder is not None and holder._cell[0] == FOREIGN
            saved.append(None if holder is None else holder._array.copy() if foreign else holder._array)
            if holder is not None:
                (others if code[0] == "s" else cells).append([0] if foreign else holder._cell)
        self._codes = tuple(codes)  # type: ignore[misc]
        node.saved, node.cells = saved, cells + others

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        given = iter(gy if isinstance(gy, tuple) else (gy,))
        gys = [_tensor(next(given)) if is_tensor else None for is_tensor in self.layout]
        self.context._saved = tuple([_tensor(v) for v in saved])
        try:
            with set_grad_enabled(xp.name == "tensor"):  # recorded only for derivatives of derivatives
                answer = self.function.backward(self.context, *gys)
        finally:
            self.context._saved = None
        gxs = answer if isinstance(answer, tuple) else (answer,)
        if len(gxs) < self.count or any(g is not None for g in gxs[self.count :]):
            raise GraphError(
                f"{self.name}.backward",
                f"{self.count} gradients, one for each argument of forward",
                str(len(gxs)),
                hint="return None for an argument without gradient",
            )
        wanted = [gxs[i] if need else None for i, need in zip(self.positions, needs)]
        return tuple([self._raw(xp, g) for g in wanted])

    def _raw(self, xp: Any, g: Any) -> Any:
        if g is None or (isinstance(g, Tensor) and xp.name == "tensor"):
            return g
        if not isinstance(g, Tensor):
            raise DtypeError(f"{self.name}.backward", "tensors or None", type(g).__name__)
        return g._array


def once_differentiable(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a ``backward`` that must not be differentiated again: with ``create_graph`` it is a ``GraphError``."""

    @functools.wraps(function)
    def wrapped(*args: Any) -> Any:
        if is_grad_enabled():
            raise GraphError(function.__qualname__, "a walk without create_graph (once_differentiable)", "one with it")
        return function(*args)

    return wrapped


def _place_of(t: Any, inputs: list[Any], outputs: Any, results: Any) -> tuple[tuple[str, int], Any]:
    """Return the code of a saved tensor (input, output, or neither) and the tensor that holds it."""
    for i, x in enumerate(inputs):
        if x is t:
            return ("x", i), x
    for k, y in enumerate(outputs):
        if y is t:
            return ("y", k), results[k]
    return ("s", 0), t


def _tensor(value: Any) -> Any:
    if value is None or isinstance(value, Tensor):
        return value
    return new_tensor(np.asarray(value) if isinstance(value, np.generic) else value)
