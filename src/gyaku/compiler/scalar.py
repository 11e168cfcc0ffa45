"""Elementwise primitives as vector code: what each writes into a function, once for every width and dtype."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from gyaku.compiler import mathematics as m
from gyaku.compiler.ir import Function, Value, supported
from gyaku.compiler.primitives import probe
from gyaku.compiler.program import Equation, Var

Rule = Callable[..., Value]
RULES: dict[str, Rule] = {}  # of operands already brought to one dtype
_COMPARISONS = {
    "equal": "eq",
    "not_equal": "ne",
    "less": "lt",
    "less_equal": "le",
    "greater": "gt",
    "greater_equal": "ge",
}
_LIBRARY = {
    "sin": "sin", "cos": "cos", "tan": "tan", "sinh": "sinh", "cosh": "cosh",
    "arcsin": "asin", "arccos": "acos", "arctan": "atan",
}  # fmt: skip
_MOVES = ("cast", "copy", "contiguous", "item")  # the same number, perhaps of another type
_WHOLE = frozenset(  # rules that hold for whole numbers and truth values too
    "add subtract multiply logical_and logical_or logical_xor logical_not bitwise_and bitwise_or bitwise_xor negative "
    "absolute sign maximum minimum".split()
)
_ROUND = ("floor", "ceil", "trunc", "rint")  # LLVM's names too
_OWN = {"exp": m.exp, "expm1": m.expm1, "log": m.log, "log1p": m.log1p, "log2": m.log2, "log10": m.log10,
        "tanh": m.tanh, "erf": m.erf}  # fmt: skip


def writable(e: Equation) -> bool:
    """Whether an elementwise equation can become machine code."""
    kinds = [v.dtype for v in (*e.vars, *e.outputs)]
    if not all(map(supported, kinds)):
        return False
    if e.op in RULES and e.op not in _WHOLE:
        return _common(e).kind == "f"
    return e.op in RULES or e.op in _COMPARISONS or e.op in _MOVES or e.op == "where"


def write(f: Function, e: Equation, operands: list[Value | bool | int | float]) -> Value:
    """Write one elementwise equation; ``operands`` are registers or Python numbers."""
    out = e.output.dtype
    if e.op in _MOVES:
        return f.cast(_value(f, operands[0], out), out)
    if e.op == "where":
        c, a, b = operands
        return f.select(_as(f, c, np.bool_), _as(f, a, out), _as(f, b, out))
    kind = _common(e)
    given = [_as(f, v, kind) for v in operands]
    if e.op in _COMPARISONS:
        return _compare(f, _COMPARISONS[e.op], *given)
    y = RULES[e.op](f, *given)
    return f.cast(y, out)


def factors(f: Function, e: Equation, operands: list[Value | bool | int | float]) -> tuple[Value, Value]:
    """Return the two numbers of a multiplication that is to be a part of ``sum_of``."""
    a, b = (_as(f, v, e.output.dtype) for v in operands)
    return a, b


def sum_of(f: Function, pair: tuple[Value, Value], other: Any, e: Equation, first: bool) -> Value:
    """Write the addition or subtraction ``e`` of a product and another number, the product being ``first`` or not."""
    (a, b), c = pair, _as(f, other, e.output.dtype)
    if e.op == "subtract":
        a, c = (a, _negative(f, c)) if first else (_negative(f, a), c)
    return f.intrinsic("fmuladd", a, b, c)


def taken_in(equations: list[Equation], stored: Any) -> set[Var]:
    """Return the products that sums take in: a b + c rounded once, on processors that have such an instruction.

    The difference of two products takes in neither: a a - c c is to be 0 where a is c. Which ones is settled here and
    not by LLVM, whose choice depends on the code around: a number's bits would then depend on how threads share rows.
    """
    uses = Counter(v for e in equations for v in e.vars)
    products = {e.output for e in equations if e.op == "multiply"}
    alone = {v for v in products if uses[v] == 1 and v not in stored}
    found: set[Var] = set()
    for e in equations:
        apart = e.op == "subtract" and all(v in products for v in e.inputs)
        if e.op in ("add", "subtract", "sum") and e.output.dtype.kind == "f" and not apart:
            fit = (v for v in reversed(e.vars) if v in alone and v.dtype == e.output.dtype)
            found.update([*fit][:1])
    return found


def _common(e: Equation) -> np.dtype[Any]:
    """Return the dtype in which NumPy computes an equation."""
    if e.op.startswith("logical_"):
        return np.dtype(np.bool_)
    if e.op in ("isnan", "isfinite", "isinf"):
        return e.vars[0].dtype
    if e.op in _COMPARISONS:
        return np.result_type(*[probe(v) for v in e.inputs])
    return e.output.dtype


def _value(f: Function, v: Any, dtype: Any) -> Value:
    return v if isinstance(v, Value) else f.constant(v, dtype)


def _as(f: Function, v: Any, dtype: Any) -> Value:
    return f.cast(v, dtype) if isinstance(v, Value) else f.constant(v, dtype)


def _compare(f: Function, how: str, a: Value, b: Value) -> Value:
    kind = a.dtype.kind
    if kind == "f":
        return f.compare("une" if how == "ne" else "o" + how, a, b)
    return f.compare(how if how in ("eq", "ne") else ("u" if kind in "ub" else "s") + how, a, b)


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Enter a rule under names of primitives."""

    def enter(function: Rule) -> Rule:
        for name in names:
            RULES[name] = function
        return function

    return enter


def _arithmetic(float_word: str, int_word: str) -> Rule:
    def write_it(f: Function, a: Value, b: Value) -> Value:
        floating = a.dtype.kind == "f"
        word = {"add": "or", "mul": "and"}[int_word] if a.dtype.kind == "b" else int_word  # NumPy's truth values
        return f.binary(float_word if floating else word, a, b)

    return write_it


RULES["add"], RULES["subtract"] = _arithmetic("fadd", "add"), _arithmetic("fsub", "sub")
RULES["multiply"] = _arithmetic("fmul", "mul")
RULES["divide"] = lambda f, a, b: f.fdiv(a, b)
RULES["logical_and"] = RULES["bitwise_and"] = lambda f, a, b: f.binary("and", a, b)
RULES["logical_or"] = RULES["bitwise_or"] = lambda f, a, b: f.binary("or", a, b)
RULES["logical_xor"] = RULES["bitwise_xor"] = lambda f, a, b: f.binary("xor", a, b)
RULES["logical_not"] = lambda f, a: f.binary("xor", a, f.constant(True, np.bool_))
RULES["isnan"] = lambda f, a: f.compare("uno", a, a)


@rule("isinf")
def _isinf(f: Function, a: Value) -> Value:
    return f.compare("oeq", f.intrinsic("fabs", a), f.constant(np.inf, a.dtype))


@rule("isfinite")
def _isfinite(f: Function, a: Value) -> Value:
    return f.compare("olt", f.intrinsic("fabs", a), f.constant(np.inf, a.dtype))


@rule("negative")
def _negative(f: Function, a: Value) -> Value:
    if a.dtype.kind == "f":
        return Value(f.op(f"fneg {f.type(a.dtype)} {a.name}"), a.dtype)
    return f.binary("sub", f.constant(0, a.dtype), a)


@rule("absolute")
def _absolute(f: Function, a: Value) -> Value:
    if a.dtype.kind == "f":
        return f.intrinsic("fabs", a)
    if a.dtype.kind in "ub":
        return a
    negative = f.binary("sub", f.constant(0, a.dtype), a)
    return f.select(f.compare("slt", a, f.constant(0, a.dtype)), negative, a)


@rule("sqrt")
def _sqrt(f: Function, a: Value) -> Value:
    return f.intrinsic("sqrt", a)


@rule("sign")
def _sign(f: Function, a: Value) -> Value:
    zero, one = f.constant(0, a.dtype), f.constant(1, a.dtype)
    minus = f.constant(-1, a.dtype)
    rest = f.select(_compare(f, "lt", a, zero), minus, a)
    return f.select(_compare(f, "gt", a, zero), one, rest)  # keeps 0 and NaN


def _extreme(how: str) -> Rule:
    def write_it(f: Function, a: Value, b: Value) -> Value:
        better = f.select(_compare(f, how, a, b), a, b)
        if a.dtype.kind != "f":
            return better
        return f.select(f.compare("uno", a, a), a, better)  # NaN of either side comes through

    return write_it


RULES["maximum"], RULES["minimum"] = _extreme("gt"), _extreme("lt")


@rule("power", "float_power")
def _power(f: Function, a: Value, b: Value) -> Value:
    return f.library("pow", a, b)


RULES.update(_OWN)
for _name, _word in _LIBRARY.items():
    RULES[_name] = lambda f, a, word=_word: f.library(word, a)
for _name in _ROUND:
    RULES[_name] = lambda f, a, word=_name: f.intrinsic(word, a)


def cost(e: Equation) -> int:
    """Return the operations an element costs, as FLOPs are counted."""
    return {
        "exp": 14,
        "expm1": 20,
        "log": 20,
        "log1p": 24,
        "tanh": 24,
        "erf": 60,
        "power": 50,
        "divide": 4,
        "sqrt": 4,
    }.get(e.op, 0 if e.op in _MOVES else 1)
