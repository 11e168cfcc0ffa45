"""The reader of operations that answers with formulas: an operation's own ``forward`` and ``backward``, in symbols.

A ``Symbolic`` stands where an array would: it has a shape and a type, and a formula instead of numbers. Running a rule
with it writes the rule down; no derivative is written a second time. What a rule asks that formulas cannot answer
raises ``Unreadable``, and the caller says the number alone.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gyaku.backend.namespace import VOCABULARY, numpy_namespace
from gyaku.explain.formula import ONE, ZERO, Call, Expr, Num, Power, Product, Sum, Sym, add, as_expr, call, mul, power
from gyaku.ops.activation import log_softmax_of, sigmoid_of, softmax_of, softplus_of

Values = dict[str, Any]
_LONG = 60  # the cost of a formula that nobody would want to read


class Unreadable(Exception):
    """A rule asked something that formulas cannot answer."""


# --- numbers for formulas ---


def evaluate(e: Expr, values: Values) -> Any:
    """Return the value of a formula with numbers or arrays for its symbols (``π`` is known).

    >>> float(evaluate(2 * Sym("x") ** 2, {"x": 3.0}))
    18.0
    """
    if isinstance(e, Num):
        return float(e.value)
    if isinstance(e, Sym):
        return math.pi if e.name == "π" and e.name not in values else values[e.name]
    if isinstance(e, Sum):
        return sum((evaluate(t, values) for t in e.terms[1:]), evaluate(e.terms[0], values))
    if isinstance(e, Product):
        return math.prod([evaluate(f, values) for f in e.factors], start=float(e.number))
    if isinstance(e, Power):
        return _raised(evaluate(e.base, values), evaluate(e.exponent, values))
    assert isinstance(e, Call)
    return _FUNCTIONS[e.name](*[evaluate(a, values) for a in e.args], *e.static)


def _raised(base: Any, exponent: Any) -> Any:
    if np.ndim(exponent) == 0 and exponent == -1:
        return np.divide(1.0, base)
    return np.float64(base) ** exponent if np.ndim(base) == 0 else base**exponent


def _sum(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return np.sum(x, axis=axis, keepdims=keepdims)


def _one_hot(t: Any, classes: int) -> Any:
    return (np.arange(classes) == np.asarray(t)[..., None]).astype(float)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: getattr(numpy_namespace, name) for name in VOCABULARY},
    "gt": np.greater, "ge": np.greater_equal, "lt": np.less, "le": np.less_equal,
    "eq": np.equal, "ne": np.not_equal, "matmul": np.matmul, "sum": _sum, "onehot": _one_hot,
    "transpose": lambda x: np.swapaxes(x, -1, -2), "ones": lambda *shape: np.ones(shape),
    "reshape": lambda x, *shape: np.reshape(x, shape), "broadcast": lambda x, *shape: np.broadcast_to(x, shape),
    "amax": lambda x, axis, keepdims: np.max(x, axis=axis, keepdims=keepdims),
    "sigmoid": lambda x: sigmoid_of(numpy_namespace, np.asarray(x)),
    "softplus": lambda x: softplus_of(numpy_namespace, np.asarray(x)),
    "softmax": lambda x, axis: softmax_of(numpy_namespace, x, axis),
    "log_softmax": lambda x, axis: log_softmax_of(numpy_namespace, x, axis),
    "expand": np.expand_dims,
}  # fmt: skip


# --- symbols in the place of arrays ---


class Symbolic:
    """An array without numbers: a formula with a shape and a type; ``space`` is the namespace that answers for it."""

    __array_priority__ = 3000
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, space: Formulas, expr: Expr, shape: tuple[int, ...] = (), dtype: Any = np.float64) -> None:
        self.space, self.expr, self.shape, self.dtype = space, expr, tuple(shape), np.dtype(dtype)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def T(self) -> Symbolic:
        """The transpose of a matrix."""
        return self.space.swapaxes(self, -1, -2)

    def __getitem__(self, key: Any) -> Symbolic:
        keys = key if isinstance(key, tuple) else (key,)
        if any(k is not None and k != slice(None) for k in keys):
            raise Unreadable("an element")
        axes = iter(self.shape)
        shape = tuple(1 if k is None else next(axes) for k in keys)
        return Symbolic(self.space, self.expr, (*shape, *axes), self.dtype)

    def __bool__(self) -> bool:
        if isinstance(self.expr, Num):
            return bool(self.expr.value)
        raise Unreadable("the truth of a formula")

    def __neg__(self) -> Symbolic:
        return self.space.combine(lambda a: mul(-1, a), self)

    def __abs__(self) -> Symbolic:
        return self.space.abs(self)

    def __eq__(self, other: Any) -> Any:
        return self.space.equal(self, other)

    def __ne__(self, other: Any) -> Any:
        return self.space.logical_not(self.space.equal(self, other))


def _method(rule: Callable[[Expr, Expr], Expr], swapped: bool = False) -> Any:
    if swapped:
        return lambda self, other: self.space.combine(rule, other, self)
    return lambda self, other: self.space.combine(rule, self, other)


_RULES: dict[str, Callable[[Any, Any], Expr]] = {
    "add": add, "sub": lambda a, b: add(a, mul(-1, b)), "mul": mul,
    "truediv": lambda a, b: mul(a, power(b, -1)), "pow": power,
}  # fmt: skip
for _name, _rule in _RULES.items():
    setattr(Symbolic, f"__{_name}__", _method(_rule))
    setattr(Symbolic, f"__r{_name}__", _method(_rule, swapped=True))
for _name in ("gt", "ge", "lt", "le"):
    setattr(Symbolic, f"__{_name}__", _method(functools.partial(call, _name)))
setattr(Symbolic, "__matmul__", lambda self, other: self.space.matmul(self, other))  # noqa: B010
setattr(Symbolic, "__rmatmul__", lambda self, other: self.space.matmul(other, self))  # noqa: B010

_SAME = {"astype", "copy", "contiguous"}
_ELEMENTWISE = set(
    "abs exp log log2 log10 sqrt sign sin cos tan tanh sinh cosh arcsin arccos arctan floor ceil trunc rint "
    "maximum minimum logical_and logical_or logical_not erf floor_divide remainder".split()
)


class Formulas:
    """The namespace of ``Symbolic``: answers the vocabulary of formulas (``backend.namespace``).

    ``values`` are the numbers of the symbols, as far as known: they settle whether two values are equal (a tie, a
    kink). Unknown ones count as different, which is the rule at almost every point.
    """

    name = "formulas"

    def __init__(self, values: Values | None = None, *, naming: bool = True) -> None:
        self.values, self.naming = values or {}, naming

    def array(self, expr: Expr, shape: Sequence[int] = (), dtype: Any = np.float64) -> Symbolic:
        """Return a formula as an array of a shape; one that spells out a known function gets its name."""
        return Symbolic(self, self._named(expr) if self.naming else expr, tuple(shape), dtype)

    def combine(self, rule: Callable[..., Expr], *inputs: Any) -> Symbolic:
        """Return an elementwise rule of formulas applied to symbolic arrays and numbers, broadcast."""
        exprs, shapes = [], []
        for x in inputs:
            if isinstance(x, Symbolic):
                exprs.append(x.expr)
                shapes.append(x.shape)
            elif np.ndim(x) == 0:
                exprs.append(as_expr(x.item() if hasattr(x, "item") else x))
            else:
                raise Unreadable("an array of numbers")
        return self.array(rule(*exprs), np.broadcast_shapes(*shapes))

    def __getattr__(self, name: str) -> Any:
        if name in _SAME:
            return lambda x, *_: x
        if name in _ELEMENTWISE:
            return lambda *x: self.combine(lambda *a: call(name, *a), *x)
        if name in VOCABULARY:
            raise Unreadable(name)
        raise AttributeError(name)

    def _named(self, e: Expr) -> Expr:
        """Return ``sigmoid(x)`` for what ``ops`` computes as the sigmoid of x, and so on."""
        plain = Formulas(naming=False)
        for part in _inside(e, "abs"):
            x = Symbolic(plain, part.args[0])
            for name, rule in (("sigmoid", sigmoid_of), ("softplus", softplus_of)):
                if e == rule(plain, x).expr:
                    return Call(name, (x.expr,))
        for part in _inside(e, "amax"):
            x = Symbolic(plain, part.args[0], (2, 2))
            axis, keepdims = part.static
            for name, along in (("softmax", softmax_of), ("log_softmax", log_softmax_of)):
                if keepdims and isinstance(axis, int) and e == along(plain, x, axis).expr:
                    return Call(name, (x.expr,), (axis,))
        return e

    # -- what is more than one function of each element ------------------------------------------------------------
    def log1p(self, x: Any) -> Symbolic:
        """log(1 + x)."""
        return self.log(1 + x)

    def expm1(self, x: Any) -> Symbolic:
        """e^x - 1."""
        return self.exp(x) - 1

    def where(self, condition: Any, yes: Any, no: Any) -> Symbolic:
        """Return the choice between two values."""
        return self.combine(lambda *a: call("where", *a), condition, yes, no)

    def equal(self, a: Any, b: Any) -> Any:
        """Return 1 or 0 where the numbers are known, else 0; compared with all classes: a one-hot array."""
        for x, other in ((a, b), (b, a)):
            if isinstance(x, Symbolic) and isinstance(x.expr, Call) and x.expr.name == "arange":
                return Symbolic(
                    self, Call("onehot", (other.expr,), x.expr.static), np.broadcast_shapes(a.shape, b.shape)
                )
        return self.combine(self._equal, a, b)

    def _equal(self, a: Expr, b: Expr) -> Expr:
        try:
            same = evaluate(a, self.values) == evaluate(b, self.values)
        except KeyError:
            same = a == b
        if np.ndim(same):
            raise Unreadable("equality of arrays")
        return ONE if same else ZERO

    def arange(self, n: int) -> Symbolic:
        """Return 0, 1, ..., n - 1."""
        return Symbolic(self, Call("arange", (), (n,)), (n,))

    def zeros_like(self, x: Any, **_: Any) -> Symbolic:
        """Return zeros in the shape of ``x``."""
        return Symbolic(self, ZERO, x.shape)

    def ones_like(self, x: Any, **_: Any) -> Symbolic:
        """Return ones in the shape of ``x``."""
        return Symbolic(self, ONE, x.shape)

    def matmul(self, a: Any, b: Any) -> Symbolic:
        """Return the matrix product; numbers in front are taken out of it."""
        if not (isinstance(a, Symbolic) and isinstance(b, Symbolic)):
            raise Unreadable("a product with an array of numbers")
        shape = np.matmul(np.empty(a.shape), np.empty(b.shape)).shape
        if math.prod(a.shape) == math.prod(b.shape) == 1:
            return self.array(mul(a.expr, b.expr), shape)
        return self.array(call("matmul", a.expr, b.expr), shape)

    def conv(self, x: Any, w: Any, geometry: Any) -> Symbolic:
        """Return the convolution of x by the kernel w."""
        shape = (x.shape[0], w.shape[0], *geometry.out(x.shape[2:], w.shape[2:]))
        return self.array(call("conv", x.expr, w.expr, static=(geometry,)), shape)

    def conv_input(self, g: Any, w: Any, geometry: Any, size: Any) -> Symbolic:
        """Return g put back by the kernel w over what lay under it."""
        expr = call("conv_input", g.expr, w.expr, static=(geometry, tuple(size)))
        return self.array(expr, (g.shape[0], geometry.groups * w.shape[1], *size))

    def conv_weight(self, x: Any, g: Any, geometry: Any, kernel: Any) -> Symbolic:
        """Return what each element of the kernel met in x, times g, added up."""
        expr = call("conv_weight", x.expr, g.expr, static=(geometry, tuple(kernel)))
        return self.array(expr, (g.shape[1], x.shape[1] // geometry.groups, *kernel))

    def swapaxes(self, x: Any, i: int, j: int) -> Symbolic:
        """Return the transpose; other exchanges are not read."""
        if x.ndim < 2 or {i % x.ndim, j % x.ndim} != {x.ndim - 1, x.ndim - 2}:
            raise Unreadable("swapaxes")
        twice = isinstance(x.expr, Call) and x.expr.name == "transpose"
        expr = x.expr.args[0] if twice else x.expr if math.prod(x.shape) == 1 else call("transpose", x.expr)
        return self.array(expr, (*x.shape[:-2], x.shape[-1], x.shape[-2]))

    def sum(self, x: Any, axis: Any = None, keepdims: bool = False) -> Symbolic:
        """Return the sum over axes."""
        return self._reduced("sum", x, axis, keepdims)

    def amax(self, x: Any, axis: Any = None, keepdims: bool = False) -> Symbolic:
        """Return the largest along axes."""
        return self._reduced("amax", x, axis, keepdims)

    def _reduced(self, name: str, x: Symbolic, axis: Any, keepdims: bool) -> Symbolic:
        axes = tuple(range(x.ndim)) if axis is None else tuple(a % max(x.ndim, 1) for a in np.atleast_1d(axis).tolist())
        shape = tuple(1 if i in axes else n for i, n in enumerate(x.shape) if keepdims or i not in axes)
        if shape == x.shape or math.prod(x.shape) == 1:
            return Symbolic(self, x.expr, shape)
        return self.array(call(name, x.expr, static=(axis, keepdims)), shape)

    def reshape(self, x: Any, shape: Any) -> Symbolic:
        """Return the same elements in another shape; axes of size 1 may come and go unsaid."""
        shape = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
        if -1 in shape:
            known = -math.prod(shape)
            shape = tuple(math.prod(x.shape) // known if n == -1 else n for n in shape)
        if shape == x.shape or math.prod(shape) == 1:
            return Symbolic(self, x.expr, shape)
        return self.array(Call("reshape", (x.expr,), shape), shape)

    def broadcast_to(self, x: Any, shape: Any) -> Symbolic:
        """Return ``x`` repeated to a shape: a number times ones."""
        if tuple(x.shape) == tuple(shape):
            return x
        if math.prod(x.shape) == 1:
            return self.array(mul(x.expr, Call("ones", (), tuple(shape))), shape)
        return self.array(Call("broadcast", (x.expr,), tuple(shape)), shape)

    def expand_dims(self, x: Any, axis: int) -> Symbolic:
        """Return ``x`` with one more axis."""
        shape = np.expand_dims(np.empty(x.shape), axis).shape
        return self.array(Call("expand", (x.expr,), (axis,)), shape)


def _inside(e: Expr, name: str) -> list[Call]:
    found, todo = [], [e]
    while todo:
        part = todo.pop()
        if isinstance(part, Call) and part.name == name:
            found.append(part)
        todo.extend(part.parts)
    return found


# --- reading an operation ---


def read_forward(op: Any, inputs: Sequence[Any], space: Formulas) -> Expr:
    """Return the output of an operation as a formula of its inputs (``Symbolic``, numbers or None).

    Raises ``Unreadable`` where the rule cannot be written down.
    """
    return _guarded(lambda: op.forward(space, *inputs)).expr


def read_backward(
    op: Any, inputs: Sequence[Any], output: Symbolic, gy: Symbolic, needs: Sequence[bool], space: Formulas
) -> list[Symbolic | None]:
    """Return what an operation sends to each input when ``gy`` arrives at its output, in the inputs' shapes.

    This is the operation's own ``backward``; where an input was broadcast, the sum that the walk takes is added.
    Raises ``Unreadable`` where the rule cannot be written down.
    """
    saved = tuple(inputs[i].shape if kind == "s" else output if kind == "y" else inputs[i] for kind, i in op._codes)
    gxs = _guarded(lambda: op.backward(space, saved, gy, tuple(needs)))
    gxs = gxs if isinstance(gxs, tuple) else (gxs,)
    return [_summed(gx, x, space) if need else None for gx, x, need in zip(gxs, inputs, needs)]


def _guarded(rule: Callable[[], Any]) -> Any:
    try:
        found = rule()
    except (
        TypeError, AttributeError, ValueError, IndexError, KeyError, NotImplementedError, ZeroDivisionError
    ) as error:  # fmt: skip
        raise Unreadable(str(error)) from error
    return found


def _summed(gx: Any, x: Any, space: Formulas) -> Symbolic:
    """Return a gradient summed over the axes along which ``x`` was broadcast."""
    if not isinstance(gx, Symbolic):
        raise Unreadable("no formula")
    if not isinstance(x, Symbolic) or gx.shape == x.shape:
        return gx
    extra = gx.ndim - x.ndim
    axes = tuple(range(extra))
    axes += tuple(i + extra for i, n in enumerate(x.shape) if n == 1 and gx.shape[i + extra] != 1)
    total = space.sum(gx, axis=axes[0] if len(axes) == 1 else axes)
    return total if total.shape == x.shape else space.reshape(total, x.shape)
