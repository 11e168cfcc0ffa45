"""Derivatives of whole functions: Jacobian, Hessian, products with vectors, gradients sample by sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gyaku.base.errors import ArgumentError, GraphError, ShapeError
from gyaku.core.mode import enable_grad
from gyaku.core.op import FUNCTIONS
from gyaku.core.tensor import Tensor

Function = Callable[..., Any]


def jacobian(
    func: Function,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """Return d(output)/d(input) of shape (*output, *input): a tensor, or tuples [output][input] of them.

    One backward per output element; ``vectorize`` and ``strategy`` are accepted and change nothing. With ``strict`` an
    output that does not depend on an input is an error instead of zeros.

    >>> import gyaku as gy
    >>> jacobian(lambda x: x * x, gy.tensor([1.0, 3.0]))
    tensor([[2., 0.],
            [0., 6.]])
    """
    xs, ys, one_input, one_output = _run("jacobian", func, inputs, create_graph)
    rows = [tuple([_stacked(y, x, create_graph, strict) for x in xs]) for y in ys]
    picked = [r[0] if one_input else r for r in rows]
    return picked[0] if one_output else tuple(picked)


def hessian(
    func: Function,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """Return the second derivatives of a scalar function, of shape (*input, *input) (nested tuples for several inputs).

    >>> import gyaku as gy
    >>> hessian(lambda x: (x ** 3).sum(), gy.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """

    def gradient(*xs: Tensor) -> Any:
        y = func(*xs)
        if not isinstance(y, Tensor) or y.numel() != 1:
            raise ShapeError(
                "hessian", "a function with one number as output", str(getattr(y, "shape", type(y).__name__))
            )
        found = _grad(y.reshape(()), xs, None, True, strict)
        return found[0] if isinstance(inputs, Tensor) else found

    return jacobian(gradient, inputs, create_graph, strict)


def vjp(
    func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """Return (outputs, v^T J): backward from ``v``, which must be given unless the output is a scalar."""
    xs, ys, one_input, one_output = _run("vjp", func, inputs, create_graph)
    found = _grad(ys, xs, _vectors("vjp", v, ys), create_graph, strict)
    return _ends(ys, one_output, create_graph), found[0] if one_input else found


def jvp(
    func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """Return (outputs, J v), by differentiating u^T J once more by u (it is linear in u)."""
    xs, ys, _, one_output = _run("jvp", func, inputs, create_graph)
    vectors = _vectors("jvp", v, xs)
    us = [FUNCTIONS["zeros_like"](y, requires_grad=True) for y in ys]
    with enable_grad():
        rows = _grad(ys, xs, us, True, strict)
    used = [(g, w) for g, w in zip(rows, vectors) if g.requires_grad]
    found = _grad([g for g, _ in used], us, [w for _, w in used], create_graph, strict) if used else _zeros(ys)
    return _ends(ys, one_output, create_graph), found[0] if one_output else found


def per_sample_gradients(loss: Function, params: Any, *batch: Tensor) -> Any:
    """Return the gradient of ``loss`` for each sample alone: (N, *shape) for each of ``params``.

    ``loss(*tensors)`` returns the scalar loss of a batch, and is called with one row of each of ``batch`` (a batch of
    size 1) at a time. The mean over N is the gradient of a mean loss. ``params`` is a sequence of tensors, or a dict as
    ``dict(model.named_parameters())`` gives, and the answer has its form.

    >>> import gyaku as gy
    >>> w = gy.tensor([1.0, 1.0], requires_grad=True)
    >>> per_sample_gradients(lambda x: (x @ w).sum(), [w], gy.tensor([[1.0, 2.0], [3.0, 4.0]]))[0]
    tensor([[1., 2.],
            [3., 4.]])
    """
    names = list(params) if isinstance(params, dict) else None
    wanted = (
        list(params.values()) if isinstance(params, dict) else [params] if isinstance(params, Tensor) else list(params)
    )
    if not batch or len({len(b) for b in batch}) != 1 or len(batch[0]) == 0:
        raise ShapeError(
            "per_sample_gradients", "tensors with one row a sample", ", ".join(str(tuple(b.shape)) for b in batch)
        )
    rows = []
    with enable_grad():
        for i in range(len(batch[0])):
            rows.append(_grad(loss(*[b[i : i + 1] for b in batch]).reshape(()), wanted, None, False, False))
    stacked = [FUNCTIONS["stack"](list(column)) for column in zip(*rows)]
    return tuple(stacked) if names is None else dict(zip(names, stacked))


def _run(where: str, func: Function, inputs: Any, create_graph: bool) -> tuple[list[Tensor], list[Tensor], bool, bool]:
    """Call ``func`` on inputs that require grad; return them, the outputs, and whether each is a single tensor."""
    given = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    with enable_grad():
        linked = [create_graph and x.requires_grad for x in given]
        xs = [x.view(x.shape) if keep else x.detach().requires_grad_() for x, keep in zip(given, linked)]
        out = func(*xs)
    ys = [out] if isinstance(out, Tensor) else list(out)
    if not all(isinstance(y, Tensor) for y in ys):
        raise ArgumentError(where, "a function that returns tensors", type(out).__name__)
    return xs, ys, isinstance(inputs, Tensor), isinstance(out, Tensor)


def _grad(ys: Any, xs: Sequence[Tensor], starts: Any, create_graph: bool, strict: bool) -> tuple[Any, ...]:
    """Return the gradients, zeros (or with ``strict`` an error) where there is no dependence."""
    from gyaku.autograd import grad

    several = [ys] if isinstance(ys, Tensor) else list(ys)
    weights = [None] * len(several) if starts is None else starts
    used = [(y, s) for y, s in zip(several, weights) if y.requires_grad]
    found: Sequence[Any] = [None] * len(xs)
    if used:
        with enable_grad():
            found = grad([y for y, _ in used], xs, [s for _, s in used], True, create_graph, allow_unused=True)
    if strict and any(g is None for g in found):
        raise GraphError("autograd.functional", "outputs that depend on every input (strict=True)", "one that does not")
    return tuple([FUNCTIONS["zeros_like"](x) if g is None else g for g, x in zip(found, xs)])


def _stacked(y: Tensor, x: Tensor, create_graph: bool, strict: bool) -> Tensor:
    """Return d y / d x, one row for each element of ``y``."""
    with enable_grad():
        rows = [_grad(e, [x], None, create_graph, strict)[0] for e in (y.reshape(-1) if y.numel() else [])]
        if not rows:
            return FUNCTIONS["zeros"](*y.shape, *x.shape, dtype=x.dtype)
        return FUNCTIONS["stack"](rows).reshape(*y.shape, *x.shape)


def _vectors(where: str, v: Any, like: list[Tensor]) -> list[Tensor]:
    if v is None:
        if len(like) != 1 or like[0].numel() != 1:
            raise ArgumentError(where, "v (it may be left out for one number only)", "None")
        return [FUNCTIONS["ones_like"](like[0])]
    vectors = [v] if isinstance(v, Tensor) else list(v)
    if [tuple(t.shape) for t in vectors] != [tuple(t.shape) for t in like]:
        wanted, got = (", ".join(str(tuple(t.shape)) for t in ts) for ts in (like, vectors))
        raise ShapeError(where, f"v of shape {wanted}", got)
    return vectors


def _zeros(ys: list[Tensor]) -> tuple[Any, ...]:
    return tuple([FUNCTIONS["zeros_like"](y) for y in ys])


def _ends(ys: list[Tensor], single: bool, create_graph: bool) -> Any:
    ends = ys if create_graph else [y.detach() for y in ys]
    return ends[0] if single else tuple(ends)
