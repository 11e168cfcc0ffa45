"""One row an operation: the function people call, NumPy's answer, inputs, kinks and messages.

``tests/ops/test_op_cases.py`` drives every row; an operation without a row fails there. References are written in
NumPy alone (``op_reference.py`` holds the longer ones) and share nothing with the package.
"""

from __future__ import annotations

import importlib
import math
import pkgutil
from typing import Any

import numpy as np

import gyaku as gy
import gyaku.nn
import gyaku.ops
import op_reference as ref
from gyaku.backend.kernels import index_add as index_add_array
from op_case import (
    SHAPES,
    Case,
    Input,
    Kink,
    Refusal,
    Sample,
    at,
    away,
    binary,
    exactly,
    inside,
    kink,
    larger,
    mask,
    positive,
    real,
    spread,
    unary,
    unit,
    whole,
)

for _module in pkgutil.iter_modules(gyaku.ops.__path__):
    importlib.import_module(f"gyaku.ops.{_module.name}")

from gyaku.ops import activation, linear, loss, loss_classes, norm  # noqa: E402
from gyaku.ops import namespace as _tensors  # noqa: E402

__all__ = ["CASES", "Case", "Input", "Kink", "Refusal", "Sample"]
INF = float("inf")


def t(*shape: int) -> Any:
    """Return a tensor of ones, for the refusals."""
    return gy.Tensor(np.ones(shape, dtype=np.float32))


def _tensor(x: Any, like: Any) -> Any:
    return None if x is None else gy.Tensor(np.asarray(x, dtype=like._array.dtype))


def _weighted(function: Any, *names: str) -> Any:
    """Return ``function`` with the static arrays called ``names`` made tensors of the input's type."""
    return lambda x, *more, **k: function(x, *more, **{n: _tensor(v, x) if n in names else v for n, v in k.items()})


def _tie(op: str, call: Any, first: Any, second: Any) -> tuple[Kink, ...]:
    return (Kink(([1.0, 2.0, 3.0], [1.0, 5.0, 0.0]), (first, second)),)


BROADCAST = "expected shapes that broadcast together, got"

ARITHMETIC = [
    binary(
        "add",
        gy.add,
        np.add,
        errors=(
            Refusal(lambda: gy.add(t(3, 4), t(3)), f"add (forward): {BROADCAST} (3, 4) and (3,)."),
            Refusal(lambda: gy.add(t(3), "1"), "arithmetic: expected a tensor or a number, got str."),
        ),
    ),
    binary(
        "sub", gy.sub, np.subtract, errors=(Refusal(lambda: t(2) - t(3), f"sub (forward): {BROADCAST} (2,) and (3,)."),)
    ),
    binary(
        "mul",
        gy.mul,
        np.multiply,
        errors=(Refusal(lambda: t(2, 2) * t(3), f"mul (forward): {BROADCAST} (2, 2) and (3,)."),),
    ),
    binary(
        "div",
        gy.div,
        np.divide,
        real,
        away,
        floats=True,
        errors=(
            Refusal(lambda: t(2) / t(3), f"div (forward): {BROADCAST} (2,) and (3,)."),
            Refusal(
                lambda: gy.div(t(2), t(2), rounding_mode="up"),
                "div: expected rounding_mode None, 'floor' or 'trunc', got 'up'.",
            ),
        ),
    ),
    unary("neg", gy.neg, np.negative, floats=False),
    unary("square", gy.square, np.square, floats=False),
    unary("sqrt", gy.sqrt, np.sqrt, positive),
    unary("rsqrt", gy.rsqrt, lambda x: 1 / np.sqrt(x), positive),
    unary("reciprocal", gy.reciprocal, lambda x: 1 / x, away),
    Case(
        "pow",
        lambda a, b=None, exponent=None: gy.pow(a, b if exponent is None else exponent),
        lambda a, b=None, exponent=None: np.power(a, b if exponent is None else exponent),
        (
            *(at(positive(*a), real(*b)) for a, b in SHAPES),
            *(at(away(3, 4), exponent=e) for e in (3, 0, -2.0)),
            at(positive(3, 4), exponent=1.5),
        ),
        kinks=(
            kink([0.0, -2.0], [0.0, 12.0], exponent=3),
            kink([0.0], [0.0], exponent=0),
            Kink(([0.0, 2.0], [2.0, 0.0]), ([0.0, 0.0], [0.0, math.log(2.0)])),
        ),
        errors=(Refusal(lambda: gy.pow(t(2), t(3)), f"pow (forward): {BROADCAST} (2,) and (3,)."),),
    ),
    binary("floor_divide", gy.floor_divide, np.floor_divide, away, larger),
    binary("remainder", gy.remainder, np.remainder, away, larger),
    binary("fmod", gy.fmod, np.fmod, away, larger),
]

_KINK_1 = {"x": [-2.0, 0.0, 3.0]}
ELEMENTWISE = [
    Case(
        "cast",
        lambda x, dtype: x.to(dtype),
        lambda x, dtype: x.astype(dtype),
        (at(real(3, 4), dtype="float16"), at(real(0, 3), dtype="float16")),
        smooth=False,
        loose=1e9,
    ),
    unary("exp", gy.exp, np.exp),
    unary("expm1", gy.expm1, np.expm1),
    unary("log", gy.log, np.log, positive),
    unary("log1p", gy.log1p, np.log1p, positive),
    unary("log2", gy.log2, np.log2, positive),
    unary("log10", gy.log10, np.log10, positive),
    unary("erf", gy.erf, np.vectorize(math.erf, otypes=[float])),
    unary("abs", gy.abs, np.abs, away, floats=False, kinks=(kink(_KINK_1["x"], [-1.0, 0.0, 1.0]),)),
    unary("sign", gy.sign, np.sign, away, floats=False),
    unary("floor", gy.floor, np.floor, spread, floats=False),
    unary("ceil", gy.ceil, np.ceil, spread, floats=False),
    unary("trunc", gy.trunc, np.trunc, spread, floats=False),
    unary("round", gy.round, np.round, spread, floats=False),
    unary("sin", gy.sin, np.sin),
    unary("cos", gy.cos, np.cos),
    unary("tan", gy.tan, np.tan, unit),
    unary("asin", gy.asin, np.arcsin, unit),
    unary("acos", gy.acos, np.arccos, unit),
    unary("atan", gy.atan, np.arctan),
    unary("sinh", gy.sinh, np.sinh),
    unary("cosh", gy.cosh, np.cosh),
    unary("tanh", gy.tanh, np.tanh),
]

ACTIVATION = [
    unary("sigmoid", gy.sigmoid, lambda x: 1 / (1 + np.exp(-x))),
    unary(
        "relu",
        gy.relu,
        lambda x: np.where(x > 0, x, 0),
        away,
        floats=False,
        kinks=(kink(_KINK_1["x"], [0.0, 0.0, 1.0]),),
    ),
    unary(
        "leaky_relu",
        activation.leaky_relu,
        lambda x, negative_slope=0.01: np.where(x > 0, x, negative_slope * x),
        away,
        static=({}, {"negative_slope": 0.3}),
        kinks=(kink(_KINK_1["x"], [0.01, 0.01, 1.0]),),
    ),
    Case(
        "prelu",
        gy.prelu,
        ref.prelu,
        (
            at(away(3, 4), positive(1)),
            at(away(3, 4), positive(4)),
            at(away(2, 3, 4), positive(3)),
            at(away(0, 3), positive(3)),
        ),
        kinks=(Kink(([-2.0, 0.0, 3.0], [0.25]), ([0.25, 0.25, 1.0], [-2.0])),),
    ),
    unary(
        "elu",
        activation.elu,
        lambda x, alpha=1.0: np.where(x > 0, x, alpha * np.expm1(x)),
        away,
        static=({}, {"alpha": 0.5}),
        kinks=(kink([0.0, 1.0], [0.5, 1.0], alpha=0.5),),
    ),
    unary("gelu", activation.gelu, lambda x: x * (1 + np.vectorize(math.erf, otypes=[float])(x / math.sqrt(2))) / 2),
    unary(
        "gelu_tanh",
        lambda x: activation.gelu(x, approximate="tanh"),
        lambda x: x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    ),
    unary("silu", activation.silu, lambda x: x / (1 + np.exp(-x))),
    unary(
        "softplus",
        activation.softplus,
        lambda x, beta=1.0, threshold=20.0: np.where(x * beta > threshold, x, np.log1p(np.exp(beta * x)) / beta),
        real,
        static=({}, {"beta": 2.5}, {"beta": 1.0, "threshold": 0.01})[:2],
    ),
    unary(
        "hardtanh",
        activation.hardtanh,
        lambda x, min_val=-1.0, max_val=1.0: np.clip(x, min_val, max_val),
        spread,
        static=({}, {"min_val": -0.5, "max_val": 2.0}),
        kinks=(kink([-1.0, 0.0, 1.0, 2.0], [0.0, 1.0, 0.0, 0.0]),),
    ),
    unary("log_sigmoid", activation.logsigmoid, lambda x: -np.log1p(np.exp(-x))),
    Case(
        "softmax",
        gy.softmax,
        ref.softmax,
        (
            at(real(3, 4), dim=1),
            at(real(2, 3, 4), dim=1),
            at(real(5), dim=-1),
            at(real(0, 3), dim=1),
            at(real(29, 7), dim=0),
        ),
    ),
    Case(
        "log_softmax",
        gy.log_softmax,
        lambda x, dim: np.log(ref.softmax(x, dim)),
        (at(real(3, 4), dim=1), at(real(2, 3, 4), dim=0), at(real(5), dim=-1), at(real(0, 3), dim=1)),
    ),
]

COMPARE = [
    *(
        binary(n, getattr(gy, n), f, lambda *s: whole(3, *s), smooth=False)
        for n, f in (
            ("eq", np.equal),
            ("ne", np.not_equal),
            ("lt", np.less),
            ("le", np.less_equal),
            ("gt", np.greater),
            ("ge", np.greater_equal),
        )
    ),
    *(
        binary(n, getattr(gy, n), f, mask, smooth=False)
        for n, f in (
            ("logical_and", np.logical_and),
            ("logical_or", np.logical_or),
            ("logical_xor", np.logical_xor),
            ("bitwise_and", np.bitwise_and),
            ("bitwise_or", np.bitwise_or),
            ("bitwise_xor", np.bitwise_xor),
        )
    ),
    unary("logical_not", gy.logical_not, np.logical_not, mask, smooth=False),
    unary("bitwise_not", gy.bitwise_not, np.invert, mask, smooth=False),
    *(
        Case(
            n, getattr(gy, n), f, (at(exactly([[1.0, np.nan], [INF, -INF]])), at(real()), at(real(0, 3))), smooth=False
        )
        for n, f in (("isnan", np.isnan), ("isfinite", np.isfinite), ("isinf", np.isinf))
    ),
]

CHOOSE = [
    binary(
        "maximum",
        gy.maximum,
        np.maximum,
        spread,
        away,
        kinks=_tie("maximum", gy.maximum, [0.5, 0.0, 1.0], [0.5, 1.0, 0.0]),
        errors=(Refusal(lambda: gy.maximum(t(2), t(3)), f"maximum (forward): {BROADCAST} (2,) and (3,)."),),
    ),
    binary(
        "minimum",
        gy.minimum,
        np.minimum,
        spread,
        away,
        kinks=_tie("minimum", gy.minimum, [0.5, 1.0, 0.0], [0.5, 0.0, 1.0]),
    ),
    Case(
        "clamp",
        lambda x, *bounds, **k: gy.clamp(x, *bounds, **k),
        ref.clamp,
        (
            at(spread(3, 4), min=-0.5, max=0.7),
            at(spread(3, 4), min=-0.4),
            at(spread(3, 4), max=0.4),
            at(spread(), min=-1.0),
            at(spread(0, 3), max=1.0),
            at(spread(3, 4), exactly([-0.6, -0.5, 0.0, 0.3]), exactly(0.9)),
            at(spread(3, 1), exactly([[-0.7, 0.0]]), exactly([[0.5, 0.7]])),
        ),
        kinks=(kink([-1.0, 0.0, 1.0, 2.0], [1.0, 1.0, 1.0, 0.0], min=-1.0, max=1.0),),
        errors=(Refusal(lambda: gy.clamp(t(2)), "clamp: expected min, max or both, got neither."),),
    ),
    Case(
        "where",
        gy.where,
        np.where,
        (
            at(mask(3, 4), real(3, 4), real(3, 4)),
            at(mask(4), real(3, 1), real(4)),
            at(mask(3, 1), real(), real(2)),
            at(mask(0, 3), real(0, 3), real(3)),
            at(mask(), real(), real()),
        ),
        errors=(
            Refusal(
                lambda: gy.where(t(2), t(2), t(2)),
                "where: expected a condition of truth values, got gyaku.float32. Hint: compare, as in x > 0.",
            ),
        ),
    ),
    Case(
        "heaviside",
        gy.heaviside,
        np.heaviside,
        (at(spread(3, 4), exactly(0.5)), at(away(3), positive(3)), at(spread(0, 3), exactly(1.0))),
    ),
]

_DIMS: tuple[dict[str, Any], ...] = (
    {},
    {"dim": 0},
    {"dim": -1, "keepdim": True},
    {"dim": (0, 2)},
    {"dim": (1, 2), "keepdim": True},
)


def reduction(op: str, call: Any, reference: Any, domain: Any = real, dims: Any = _DIMS, **more: Any) -> Case:
    """Return the row of a reduction: each form of ``dim``, a number, an empty array and a large one."""
    samples = [Sample((domain(2, 3, 4),), d) for d in dims]
    if {} in dims:
        samples += [at(domain()), at(domain(29, 5))]
    return Case(op, call, ref.reduced(reference), (*samples, *more.pop("also", ())), **more)


_ONE_DIM: tuple[dict[str, Any], ...] = ({}, {"dim": 0}, {"dim": -1, "keepdim": True})
_EMPTY = (at(real(0, 3), dim=0), at(real(0, 3)))
REDUCE = [
    reduction(
        "sum",
        gy.sum,
        np.sum,
        also=_EMPTY,
        errors=(Refusal(lambda: gy.sum(t(2, 3), 2), "sum: expected a dimension in -2..1, got 2."),),
    ),
    reduction(
        "mean",
        gy.mean,
        np.mean,
        also=(at(real(0, 3), dim=1),),
        errors=(
            Refusal(
                lambda: gy.mean(gy.Tensor(np.arange(3))),
                "mean: expected a floating tensor, got gyaku.int64. Hint: convert it with .float().",
            ),
        ),
    ),
    reduction(
        "prod",
        gy.prod,
        np.prod,
        away,
        _ONE_DIM,
        also=(
            *_EMPTY,
            at(exactly([[0.0, 2.0], [3.0, 4.0]]), dim=1),
            at(exactly([[0.0, 2.0], [0.0, 4.0]]), dim=0),
            at(exactly([0.0, 0.0, 3.0])),
        ),
    ),
    reduction(
        "amax",
        gy.amax,
        np.max,
        spread,
        kinks=(kink([2.0, 1.0, 2.0], [0.5, 0.0, 0.5]),),
        errors=(
            Refusal(
                lambda: gy.amax(t(0, 3), 0), "amax (forward): expected at least one element to choose from, got (0, 3)."
            ),
        ),
    ),
    reduction("amin", gy.amin, np.min, spread, kinks=(kink([1.0, 1.0, 2.0], [0.5, 0.5, 0.0]),)),
    Case(
        "max_along",
        gy.max,
        lambda x, dim: (np.max(x, dim), np.argmax(x, dim)),
        (at(spread(3, 4), dim=1), at(spread(2, 3, 4), dim=0), at(spread(2, 3, 4), dim=-2), at(real(0, 3), dim=1)),
        kinks=(kink([[2.0, 1.0, 2.0]], [[1.0, 0.0, 0.0]], dim=1),),
        errors=(
            Refusal(
                lambda: gy.max(t(0, 3), 0),
                "max_along (forward): expected at least one element to choose from, got (0, 3).",
            ),
        ),
    ),
    Case(
        "min_along",
        gy.min,
        lambda x, dim: (np.min(x, dim), np.argmin(x, dim)),
        (at(spread(3, 4), dim=1), at(spread(2, 3, 4), dim=0)),
        kinks=(kink([[1.0, 1.0, 2.0]], [[1.0, 0.0, 0.0]], dim=1),),
    ),
    reduction("argmax", gy.argmax, np.argmax, spread, _ONE_DIM, smooth=False),
    reduction("argmin", gy.argmin, np.argmin, spread, _ONE_DIM, smooth=False),
    Case(
        "var",
        gy.var,
        ref.reduced(lambda x, axis, keepdims, correction=1: np.var(x, axis, ddof=correction, keepdims=keepdims)),
        (*(Sample((real(2, 3, 4),), d) for d in _DIMS), at(real(3, 4), dim=1, correction=0), at(real(5))),
    ),
    Case(
        "std",
        gy.std,
        ref.reduced(lambda x, axis, keepdims, correction=1: np.std(x, axis, ddof=correction, keepdims=keepdims)),
        (*(Sample((real(2, 3, 4),), d) for d in _DIMS), at(real(3, 4), dim=1, correction=0), at(real(5))),
    ),
    Case(
        "norm",
        gy.norm,
        ref.norm,
        (
            at(real(3, 4)),
            at(away(3, 4), p=3.0, dim=1),
            at(away(3, 4), p=1.5),
            at(real(2, 3), dim=-1, keepdim=True),
            at(real(0, 3), dim=1),
        ),
        kinks=(kink([0.0, 0.0], [0.0, 0.0]),),
    ),
    Case(
        "logsumexp",
        gy.logsumexp,
        ref.reduced(lambda x, axis, keepdims: np.log(np.exp(x).sum(axis, keepdims=keepdims))),
        (at(real(3, 4), dim=1), at(real(2, 3, 4), dim=(0, 2), keepdim=True), at(real(5), dim=0), at(real(0, 3), dim=1)),
    ),
    reduction("any", gy.any, np.any, mask, _ONE_DIM, smooth=False),
    reduction("all", gy.all, np.all, mask, _ONE_DIM, smooth=False),
    Case(
        "count_nonzero",
        gy.count_nonzero,
        lambda x, dim=None: np.count_nonzero(x, axis=dim),
        (at(whole(3, 3, 4)), at(mask(3, 4), dim=1), at(real(0, 3))),
        smooth=False,
    ),
    Case(
        "cumsum",
        gy.cumsum,
        lambda x, dim: np.cumsum(x, dim),
        (at(real(5), dim=0), at(real(2, 3, 4), dim=1), at(real(3, 4), dim=-1), at(real(0, 3), dim=1)),
    ),
    Case(
        "cumprod",
        gy.cumprod,
        lambda x, dim: np.cumprod(x, dim),
        (
            at(away(5), dim=0),
            at(away(2, 3, 4), dim=1),
            at(exactly([2.0, 0.0, 3.0, 0.0, 1.5]), dim=0),
            at(away(0, 3), dim=1),
        ),
    ),
    Case(
        "sort",
        gy.sort,
        ref.sort,
        (at(spread(5)), at(spread(3, 4), dim=0), at(spread(3, 4), descending=True), at(spread(0, 3))),
    ),
]

INDEX = [
    Case(
        "slice",
        lambda x, key: x[key],
        lambda x, key: x[key],
        tuple(
            at(real(3, 4, 2), key=k)
            for k in (
                1,
                -1,
                (1, 2),
                (slice(1, None),),
                (slice(None), slice(1, None, 2)),
                (..., 0),
                None,
                (slice(None), None, 1),
                (2, 3, 1),
                ...,
            )
        ),
        view=True,
        errors=(
            Refusal(
                lambda: t(3, 4)[3],
                "index: expected positions inside shape (3, 4), got index 3 is out of bounds for axis 0 with size 3.",
            ),
        ),
    ),
    Case(
        "index",
        lambda x, *i, key: x[key(*i)],
        lambda x, *i, key: x[key(*i)],
        (
            at(real(4, 3), whole(4, 6), key=lambda i: i),
            at(real(4, 3), whole(4, 2, 2), key=lambda i: (i, slice(None))),
            at(real(2, 3, 4), whole(4, 5), key=lambda i: (slice(None), slice(1, None), i)),
            at(real(4, 4), whole(4, 3), whole(4, 3), key=lambda i, j: (i, j)),
            at(real(3, 4), mask(3, 4), key=lambda m: m),
            at(real(5, 2), mask(5), key=lambda m: (m, 1)),
            at(real(3, 4), whole(3, 0), key=lambda i: i),
        ),
        errors=(
            Refusal(
                lambda: t(3)[gy.Tensor(np.array([0, 3]))],
                "index: expected positions inside shape (3,), got index 3 is out of bounds for axis 0 with size 3.",
            ),
        ),
    ),
    Case(
        "index_add",
        lambda x, i: _tensors.tensor_namespace.index_add((4, 3), i, x),
        lambda x, i: index_add_array(np, (4, 3), i, x),
        (at(real(6, 3), exactly([0, 3, 3, 1, 0, 0])), at(real(0, 3), whole(4, 0))),
    ),
    Case(
        "gather",
        lambda x, i, dim: gy.gather(x, dim, i),
        ref.gather,
        (
            at(real(3, 4), whole(4, 3, 6), dim=1),
            at(real(3, 4), whole(3, 2, 4), dim=0),
            at(real(3, 4), whole(4, 2, 2), dim=-1),
            at(real(3, 4), whole(4, 0, 4), dim=1),
        ),
        errors=(
            Refusal(
                lambda: gy.gather(t(2, 3), 1, gy.Tensor(np.array([[3]]))),
                "gather: expected indices from 0 to 2, got 3.",
            ),
        ),
    ),
    Case(
        "spread",
        lambda x, i, dim: gy.scatter_add(gy.Tensor(np.zeros((3, 5), x._array.dtype)), dim, i, x),
        lambda x, i, dim: ref.scatter_add((3, 5), x, i, dim),
        (at(real(3, 4), whole(5, 3, 4), dim=1), at(real(2, 4), whole(3, 2, 4), dim=0)),
    ),
]


def _letters(equation: str, *shapes: tuple[int, ...]) -> Sample:
    return at(*[real(*s) for s in shapes], equation=equation)


LINALG = [
    Case(
        "matmul",
        gy.matmul,
        np.matmul,
        tuple(
            at(real(*a), real(*b))
            for a, b in (
                ((3, 4), (4, 2)),
                ((4,), (4,)),
                ((4,), (4, 2)),
                ((3, 4), (4,)),
                ((2, 3, 4), (4, 5)),
                ((2, 3, 4), (2, 4, 5)),
                ((3, 4), (2, 4, 5)),
                ((4,), (2, 4, 5)),
                ((2, 3, 4), (4,)),
                ((2, 1, 3, 4), (5, 4, 2)),
                ((0, 3), (3, 2)),
                ((2, 0), (0, 3)),
                ((29, 7), (7, 5)),
            )
        ),
        errors=(
            Refusal(
                lambda: t(3, 4) @ t(3, 4),
                "matmul (forward): expected inner sizes that agree: (..., N, K) @ (..., K, L), got (3, 4) and (3, 4). "
                "Hint: transpose the second: @ B.T.",
            ),
            Refusal(
                lambda: t(2) @ t(),
                "matmul (forward): expected inner sizes that agree: (..., N, K) @ (..., K, L), got (2,) and (). "
                "Hint: use * with numbers.",
            ),
        ),
    ),
    Case(
        "einsum",
        lambda *x, equation: gy.einsum(equation, *x),
        lambda *x, equation: np.einsum(equation, *x),
        (
            _letters("ij,jk->ik", (2, 3), (3, 4)),
            _letters("ij->ji", (2, 3)),
            _letters("ij->", (2, 3)),
            _letters("ij->i", (2, 3)),
            _letters("ii->i", (3, 3)),
            _letters("ii", (3, 3)),
            _letters("bij,bjk->bik", (2, 3, 4), (2, 4, 2)),
            _letters("i,j->ij", (2,), (3,)),
            _letters("...ij,...jk->...ik", (2, 3, 4), (4, 5)),
            _letters("ij,jk,kl->il", (2, 3), (3, 4), (4, 2)),
            _letters("ij,jk->ik", (0, 3), (3, 4)),
        ),
        errors=(
            Refusal(lambda: gy.einsum("ij,jk->ik", t(2, 3)), "einsum: expected 2 operands for 'ij,jk->ik', got 1."),
        ),
    ),
    Case(
        "linear",
        linear.linear,
        lambda x, W, b=0.0: x @ W.T + b,
        (
            at(real(5, 3), real(2, 3), real(2)),
            at(real(5, 3), real(2, 3)),
            at(real(2, 5, 3), real(4, 3), real(4)),
            at(real(3), real(4, 3), real(4)),
            at(real(0, 3), real(4, 3), real(4)),
        ),
        errors=(
            Refusal(
                lambda: linear.linear(t(32, 28, 28), t(10, 784)),
                "linear (forward): expected x of shape (N, 784), got (32, 28, 28). Hint: x.flatten(1).",
            ),
        ),
    ),
    Case(
        "bilinear",
        linear.bilinear,
        lambda u, v, W, b=0.0: np.einsum("...i,kij,...j->...k", u, W, v) + b,
        (
            at(real(5, 3), real(5, 2), real(4, 3, 2), real(4)),
            at(real(5, 3), real(5, 2), real(4, 3, 2)),
            at(real(2, 5, 3), real(2, 5, 2), real(4, 3, 2), real(4)),
        ),
    ),
    Case(
        "embedding",
        lambda W, i, **k: linear.embedding(i, W, **k),
        lambda W, i, **k: W[i],
        (at(real(5, 4), whole(5, 2, 3)), at(real(5, 4), whole(5, 0))),
    ),
]


def _normed(name: str, x: Any, gamma: Any = None, beta: Any = None, **static: Any) -> Any:
    """Return all outputs of a normalisation: the value, the mean and the inverse deviation."""
    from gyaku.core.op import REGISTRY, apply

    return apply(REGISTRY[name](**static), x, gamma, beta)


NORM = [
    Case(
        "batch_norm",
        lambda *x, **k: _normed("batch_norm", *x, **k),
        ref.batch_norm,
        (
            at(real(6, 3), positive(3), real(3), eps=1e-5),
            at(real(6, 3), eps=1e-3),
            at(real(2, 3, 4), positive(3), eps=1e-5),
            at(real(2, 3, 2, 2), positive(3), real(3), eps=1e-5),
        ),
        errors=(
            Refusal(
                lambda: norm.batch_norm(t(1, 3), None, None, training=True),
                "batch_norm (training): expected more than 1 value per channel, got x of shape (1, 3). "
                "Hint: use a larger batch (drop_last=True), or model.eval() to predict.",
            ),
        ),
    ),
    Case(
        "batch_norm_fixed",
        lambda x, gamma=None, beta=None, eps=1e-5: norm.batch_norm(
            x, _tensor([0.1, 0.2, 0.3], x), _tensor([1.0, 2.0, 0.5], x), gamma, beta, eps=eps
        ),
        lambda x, gamma=None, beta=None, eps=1e-5: ref.normalized_with(
            x, [0.1, 0.2, 0.3], [1.0, 2.0, 0.5], gamma, beta, eps
        ),
        (
            at(real(6, 3), positive(3), real(3)),
            at(real(6, 3)),
            at(real(2, 3, 4), positive(3), real(3), eps=1e-2),
            at(real(0, 3)),
        ),
    ),
    Case(
        "layer_norm",
        lambda *x, **k: _normed("layer_norm", *x, **k),
        ref.layer_norm,
        (
            at(real(5, 4), positive(4), real(4), k=1, eps=1e-5),
            at(real(2, 3, 4), real(3, 4), real(3, 4), k=2, eps=1e-5),
            at(real(5, 4), k=1, eps=1e-3),
            at(real(5, 4), positive(4), k=1, eps=1e-5),
        ),
        errors=(
            Refusal(
                lambda: norm.layer_norm(t(2, 3), 4), "layer_norm (forward): expected x of shape (..., 4), got (2, 3)."
            ),
        ),
    ),
    Case(
        "group_norm",
        lambda *x, **k: _normed("group_norm", *x, **k),
        ref.group_norm,
        (
            at(real(3, 4, 5), positive(4), real(4), groups=2, eps=1e-5),
            at(real(3, 4), groups=2, eps=1e-5),
            at(real(2, 4, 2, 2), positive(4), groups=4, eps=1e-5),
        ),
        errors=(
            Refusal(
                lambda: norm.group_norm(t(2, 3), 2),
                "group_norm (forward): expected x of shape (N, C, ...) with C divisible by 2, got (2, 3).",
            ),
        ),
    ),
]

_HOWS = ("mean", "sum", "none")


def pairwise(op: str, call: Any, reference: Any, x: Any, target: Any, *options: dict[str, Any], **more: Any) -> Case:
    """Return the row of a loss of two arrays: three reductions, 0-d, one option after the other."""
    samples = [Sample((x(3, 4), target(3, 4)), {"reduction": how}) for how in _HOWS]
    samples += [Sample((x(5), target(5)), o) for o in options] + [at(x(), target())]
    return Case(op, call, ref.loss(reference), tuple(samples), **more)


def classes(op: str, call: Any, reference: Any, *options: dict[str, Any], pixels: bool = True, **more: Any) -> Case:
    """Return the row of a loss of scores and class numbers."""
    samples = [Sample((real(5, 3), whole(3, 5)), {"reduction": how, **o}) for how in _HOWS for o in ({}, *options)]
    samples += [at(real(2, 3, 4), whole(3, 2, 4))] if pixels else []
    return Case(op, _weighted(call, "weight"), reference, tuple(samples), **more)


W3 = (0.5, 1.0, 2.5)
LABELS = "expected class indices 0..2, got"
LOSSES = [
    pairwise(
        "mse",
        loss.mse_loss,
        lambda x, y: (x - y) ** 2,
        real,
        real,
        errors=(
            Refusal(
                lambda: loss.mse_loss(t(4, 1), t(4)),
                "MSELoss: expected prediction and target of one shape, got (4, 1) and (4,). "
                "Hint: prediction.squeeze(1), or target.unsqueeze(1).",
            ),
        ),
    ),
    pairwise(
        "l1",
        loss.l1_loss,
        lambda x, y: np.abs(x - y),
        spread,
        away,
        kinks=(Kink(([1.0, 2.0], [1.0, 3.0]), ([0.0, -0.5], [0.0, 0.5])),),
    ),
    pairwise(
        "huber",
        loss.huber_loss,
        ref.huber,
        spread,
        away,
        {"delta": 0.7},
        kinks=(Kink(([0.5, 2.0], [0.5, 1.0]), ([0.0, 0.5], [0.0, -0.5])),),
        errors=(Refusal(lambda: loss.huber_loss(t(2), t(2), delta=0.0), "HuberLoss: expected delta > 0, got 0.0."),),
    ),
    pairwise(
        "bce_with_logits",
        _weighted(loss.binary_cross_entropy_with_logits, "weight", "pos_weight"),
        ref.bce_with_logits,
        real,
        inside,
        {"weight": (1.0, 2.0, 0.5, 1.0, 3.0)},
        {"pos_weight": (1.0, 2.0, 0.5, 1.0, 3.0)},
    ),
    pairwise(
        "bce",
        _weighted(loss.binary_cross_entropy, "weight"),
        ref.bce,
        inside,
        inside,
        {"weight": (1.0, 2.0, 0.5, 1.0, 3.0)},
        errors=(
            Refusal(
                lambda: loss.binary_cross_entropy(t(2) * 2, t(2)),
                "BCELoss: expected probabilities within 0..1, got 2.0. Hint: apply sigmoid, or use BCEWithLogitsLoss.",
            ),
        ),
    ),
    Case(
        "hinge_embedding",
        lambda x, y, **k: loss.hinge_embedding_loss(x, gy.Tensor(np.where(y._array, 1, -1)), **k),
        ref.loss(lambda x, y, margin=1.0: np.where(y, x, np.maximum(margin - x, 0))),
        tuple(at(spread(3, 4), mask(3, 4), reduction=how) for how in _HOWS) + (at(spread(5), mask(5), margin=0.4),),
    ),
    pairwise(
        "kl_div",
        loss.kl_div,
        lambda x, y, log_target=False: np.exp(y) * (y - x) if log_target else y * (np.log(y) - x),
        real,
        inside,
        {"log_target": True},
    ),
    classes(
        "cross_entropy",
        loss_classes.cross_entropy,
        ref.cross_entropy,
        {"weight": W3},
        {"ignore_index": 1},
        {"label_smoothing": 0.1},
        {"label_smoothing": 0.2, "weight": W3, "ignore_index": 0},
        errors=(
            Refusal(
                lambda: loss_classes.cross_entropy(t(3, 3), gy.Tensor(np.array([0, 3, 1]))),
                f"CrossEntropyLoss: {LABELS} 3 at row 1.",
            ),
            Refusal(
                lambda: loss_classes.cross_entropy(t(3, 3), gy.Tensor(np.eye(3, dtype=int))),
                "CrossEntropyLoss: expected class indices of shape (3,), got (3, 3). "
                "Hint: a one-hot target becomes class indices by target.argmax(1).",
            ),
        ),
    ),
    Case(
        "cross_entropy_probabilities",
        _weighted(loss_classes.cross_entropy, "weight"),
        ref.cross_entropy_probabilities,
        tuple(at(real(5, 3), inside(5, 3), reduction=how) for how in _HOWS)
        + (at(real(5, 3), inside(5, 3), weight=W3, label_smoothing=0.1), at(real(2, 3, 4), inside(2, 3, 4))),
    ),
    classes("nll", loss_classes.nll_loss, ref.nll, {"weight": W3}, {"weight": W3, "ignore_index": 2}),
    classes(
        "multi_margin",
        loss_classes.multi_margin_loss,
        ref.multi_margin,
        {"p": 2, "margin": 0.7},
        {"weight": W3},
        pixels=False,
        errors=(
            Refusal(
                lambda: loss_classes.multi_margin_loss(t(2, 3), gy.Tensor(np.array([0, 1])), p=3),
                "MultiMarginLoss: expected p of 1 or 2, got 3.",
            ),
        ),
    ),
    classes(
        "multi_class_hinge", loss_classes.multi_class_hinge_loss, ref.multi_class_hinge, {"margin": 0.5}, pixels=False
    ),
]


def _dropped(x: Any, m: Any, scale: float) -> Any:
    """Return dropout with a given mask, as the layer calls it."""
    from gyaku.core.op import REGISTRY, apply

    return apply(REGISTRY["dropout"](scale), x, m)


SHAPING = [
    Case(
        "reshape",
        lambda x, shape: gy.reshape(x, shape),
        lambda x, shape: np.reshape(x, shape),
        (
            at(real(3, 4), shape=(2, 6)),
            at(real(2, 3, 2), shape=(-1,)),
            at(real(), shape=(1, 1)),
            at(real(0, 3), shape=(3, 0)),
        ),
        view=True,
        errors=(
            Refusal(
                lambda: t(3, 4).reshape(5, 2),
                "reshape (forward): expected a shape of 12 elements instead of (5, 2), got (3, 4).",
            ),
        ),
    ),
    Case(
        "permute",
        lambda x, dims: gy.permute(x, dims),
        lambda x, dims: x.transpose(dims),
        (
            at(real(2, 3, 4), dims=(2, 0, 1)),
            at(real(3, 4), dims=(1, 0)),
            at(real(0, 3), dims=(1, 0)),
            at(real(), dims=()),
        ),
        view=True,
    ),
    Case(
        "expand",
        lambda x, shape: x.expand(shape),
        lambda x, shape: np.broadcast_to(x, shape),
        (
            at(real(1, 4), shape=(3, 4)),
            at(real(3, 1), shape=(2, 3, 4)),
            at(real(), shape=(2,)),
            at(real(0, 1), shape=(0, 3)),
        ),
        view=True,
    ),
    Case("clone", gy.clone, np.array, (at(real(3, 4)), at(real()), at(real(0, 3)))),
    Case("contiguous", lambda x: x.T.contiguous(), lambda x: x.T.copy(), (at(real(3, 4)), at(real(29, 5)))),
    Case(
        "concatenate",
        lambda *x, dim=0: gy.cat(x, dim),
        lambda *x, dim=0: np.concatenate(x, dim),
        (
            at(real(2, 3), real(1, 3)),
            at(real(2, 3), real(2, 1), real(2, 2), dim=1),
            at(real(2, 3), real(0, 3)),
            at(real(3, 2), real(3, 5), dim=-1),
        ),
        errors=(
            Refusal(
                lambda: gy.cat([t(2, 3), t(2, 4)]),
                "concatenate (forward): expected shapes that differ in dimension 0 only, got (2, 3) and (2, 4).",
            ),
        ),
    ),
    Case(
        "stack",
        lambda *x, dim=0: gy.stack(x, dim),
        lambda *x, dim=0: np.stack(x, dim),
        (
            at(real(2, 3), real(2, 3)),
            at(real(2, 3), real(2, 3), real(2, 3), dim=-1),
            at(real(), real()),
            at(real(0, 3), real(0, 3), dim=1),
        ),
        errors=(
            Refusal(
                lambda: gy.stack([t(2, 3), t(2, 4)]),
                "stack (forward): expected tensors of one shape, got (2, 3) and (2, 4).",
            ),
        ),
    ),
    Case(
        "split",
        lambda x, size, dim=0: gy.split(x, size, dim),
        lambda x, size, dim=0: np.split(
            x, np.cumsum(size)[:-1] if isinstance(size, list) else range(size, x.shape[dim], size), dim
        ),
        (at(real(5, 3), size=2), at(real(5, 3), size=[1, 4]), at(real(2, 3), size=2, dim=1), at(real(6), size=3)),
        view=True,
    ),
    Case(
        "unbind",
        lambda x, dim=0: gy.unbind(x, dim),
        lambda x, dim=0: list(np.moveaxis(x, dim, 0)),
        (at(real(3, 4)), at(real(3, 2), dim=1)),
        view=True,
    ),
    Case(
        "flip",
        lambda x, dims: gy.flip(x, dims),
        lambda x, dims: np.flip(x, dims),
        (at(real(3, 4), dims=(0,)), at(real(2, 3, 4), dims=(0, 2)), at(real(0, 3), dims=(1,))),
    ),
    Case(
        "roll",
        lambda x, shifts, dims: gy.roll(x, shifts, dims),
        lambda x, shifts, dims: np.roll(x, shifts, dims),
        (at(real(3, 4), shifts=1, dims=0), at(real(3, 4), shifts=(1, -2), dims=(0, 1))),
    ),
    Case(
        "tile",
        lambda x, times: x.repeat(*times),
        lambda x, times: np.tile(x, times),
        (at(real(2, 2), times=(2, 3)), at(real(3), times=(2, 1)), at(real(0, 3), times=(2, 2))),
    ),
    Case(
        "tril",
        gy.tril,
        lambda x, diagonal=0: np.tril(x, diagonal),
        (at(real(3, 4)), at(real(4, 3), diagonal=1), at(real(2, 3, 3), diagonal=-1), at(real(0, 3))),
    ),
    Case(
        "triu",
        gy.triu,
        lambda x, diagonal=0: np.triu(x, diagonal),
        (at(real(3, 4)), at(real(4, 3), diagonal=-1), at(real(2, 3, 3), diagonal=1)),
    ),
    Case(
        "diagonal",
        lambda x, offset=0: gy.diagonal(x, offset, -2, -1),
        lambda x, offset=0: np.diagonal(x, offset, -2, -1),
        (at(real(3, 4)), at(real(2, 3, 3), offset=1), at(real(4, 2), offset=-1)),
    ),
    Case(
        "diagflat",
        lambda x, diagonal=0: gy.diag(x, diagonal),
        lambda x, diagonal=0: np.diag(x, diagonal),
        (at(real(3)), at(real(3), diagonal=1), at(real(2), diagonal=-2)),
    ),
    Case(
        "dropout",
        lambda x, m, scale: _dropped(x, m, scale),
        lambda x, m, scale: scale * x * m,
        (at(real(3, 4), mask(3, 4), scale=2.0), at(real(0, 3), mask(0, 3), scale=1.25)),
    ),
]


def _tapped(*x: Any) -> Any:
    """Return ``x`` through the operation behind the hooks of modules, whose hook changes nothing."""
    from gyaku.core.op import REGISTRY, apply

    return apply(REGISTRY["tap"](lambda g: g, len(x) == 1), *x)


def _onto_itself(x: Any) -> Any:
    """Return ``x`` moved from the CPU to the CPU (the GPU's tests move it farther)."""
    from gyaku.core.op import REGISTRY, apply

    return apply(REGISTRY["move"](x.device, x.device), x)


HOOKS = [
    Case(
        "move",
        lambda x: _onto_itself(x),
        lambda x: x,
        (at(real(3, 4)), at(real())),
        view=True,
        beyond="moving to another device is no formula",
    ),
    Case(
        "tap",
        _tapped,
        lambda *x: x if len(x) > 1 else x[0],
        (at(real(3, 4)), at(real(2), real(3, 2))),
        view=True,
        beyond="it hands the gradients to a Python function, which is no formula",
    ),
]

CASES: list[Case] = [
    *HOOKS,
    *SHAPING,
    *ARITHMETIC,
    *ELEMENTWISE,
    *ACTIVATION,
    *COMPARE,
    *CHOOSE,
    *REDUCE,
    *INDEX,
    *LINALG,
    *NORM,
    *LOSSES,
]
