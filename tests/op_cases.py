"""One row an operation: the function people call, NumPy's answer, inputs, kinks and messages.

``tests/ops/test_op_cases.py`` drives every row; an operation without a row fails there. References are written in NumPy
alone (``op_reference.py`` holds the longer ones) and share nothing with the package. Here stand the functions of
elements and the reductions; ``op_cases_arrays.py`` and ``op_cases_nets.py`` hold the others.
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
    kink,
    larger,
    mask,
    positive,
    real,
    spread,
    t,
    unary,
    unit,
    whole,
)
from op_cases_arrays import INDEX, LINALG, SHAPING
from op_cases_nets import DROPOUT, HOOKS, LOSSES, NORM
from op_cases_space import CONV, POOL

for _module in pkgutil.iter_modules(gyaku.ops.__path__):
    importlib.import_module(f"gyaku.ops.{_module.name}")

from gyaku.ops import activation  # noqa: E402

__all__ = ["CASES", "Case", "Input", "Kink", "Refusal", "Sample"]

INF = float("inf")


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

CASES: list[Case] = [
    *HOOKS,
    *DROPOUT,
    *CONV,
    *POOL,
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
