"""Formulas: numbers, symbols, sums, products, powers and named functions, put in order as they are built.

Every constructor below tidies what it is given (``x*x`` is ``x²``, ``1*x`` is ``x``, like terms are added), so a
formula that comes out of an operation's own ``backward`` reads as somebody would write it. What takes a search
(cancelling, factoring, known names) is in ``algebra``; how it looks is in ``formula_text`` and ``latex``.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable
from fractions import Fraction
from typing import Any, ClassVar

from gyaku.base.errors import DtypeError

Number = Fraction | float  # a float only for infinities and NaN
_LIMIT = 64  # the largest whole exponent of a number that is worked out exactly


class Expr:
    """A formula. Two are equal when they differ in the order of terms or factors at most."""

    __slots__ = ("_hash", "key")
    kind: ClassVar[int] = 0  # the place of a factor in a product: numbers, symbols, sums, functions
    key: tuple[Any, ...]
    _hash: int

    def _identify(self, *key: Any) -> None:
        self.key = (type(self).__name__, *key)
        self._hash = hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expr) and self._hash == other._hash and self.key == other.key

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        from gyaku.explain.formula_text import text

        return text(self)

    def __add__(self, other: Any) -> Expr:
        return add(self, other)

    def __radd__(self, other: Any) -> Expr:
        return add(other, self)

    def __sub__(self, other: Any) -> Expr:
        return add(self, mul(-1, other))

    def __rsub__(self, other: Any) -> Expr:
        return add(other, mul(-1, self))

    def __mul__(self, other: Any) -> Expr:
        return mul(self, other)

    def __rmul__(self, other: Any) -> Expr:
        return mul(other, self)

    def __truediv__(self, other: Any) -> Expr:
        return mul(self, power(other, -1))

    def __rtruediv__(self, other: Any) -> Expr:
        return mul(other, power(self, -1))

    def __neg__(self) -> Expr:
        return mul(-1, self)

    def __pow__(self, other: Any) -> Expr:
        return power(self, other)

    def __rpow__(self, other: Any) -> Expr:
        return power(other, self)

    @property
    def parts(self) -> tuple[Expr, ...]:
        """The formulas it is made of."""
        return ()


class Num(Expr):
    """A number: exact, or an infinity or NaN."""

    __slots__ = ("value",)

    def __init__(self, value: Number) -> None:
        self.value = value
        self._identify(value if value == value else "nan")


class Sym(Expr):
    """A symbol; ``latex`` says how it looks in LaTeX when its name does not."""

    __slots__ = ("latex", "name")
    kind = 1

    def __init__(self, name: str, latex: str = "") -> None:
        self.name, self.latex = name, latex
        self._identify(name)


class Sum(Expr):
    """A sum of at least two terms, in the order in which they came."""

    __slots__ = ("terms",)
    kind = 3

    def __init__(self, terms: tuple[Expr, ...]) -> None:
        self.terms = terms
        self._identify(*sorted((t.key for t in terms), key=repr))

    @property
    def parts(self) -> tuple[Expr, ...]:
        """The terms."""
        return self.terms


class Product(Expr):
    """A number times other factors (at least two factors in all)."""

    __slots__ = ("factors", "number")

    def __init__(self, number: Number, factors: tuple[Expr, ...]) -> None:
        self.number, self.factors = number, factors
        self._identify(number, *sorted((f.key for f in factors), key=repr))

    @property
    def parts(self) -> tuple[Expr, ...]:
        """The factors apart from the number."""
        return self.factors


class Power(Expr):
    """A base to an exponent."""

    __slots__ = ("base", "exponent")

    def __init__(self, base: Expr, exponent: Expr) -> None:
        self.base, self.exponent = base, exponent
        self._identify(base.key, exponent.key)

    @property
    def kind(self) -> int:  # type: ignore[override]
        """Stands where its base would."""
        return self.base.kind

    @property
    def parts(self) -> tuple[Expr, ...]:
        """Base and exponent."""
        return self.base, self.exponent


class Call(Expr):
    """A named function of formulas; ``static`` holds what is no formula (an axis, a shape)."""

    __slots__ = ("args", "name", "static")
    kind = 4

    def __init__(self, name: str, args: tuple[Expr, ...], static: tuple[Any, ...] = ()) -> None:
        self.name, self.args, self.static = name, args, static
        self._identify(name, static, *(a.key for a in args))

    @property
    def parts(self) -> tuple[Expr, ...]:
        """The arguments."""
        return self.args


ZERO, ONE = Num(Fraction(0)), Num(Fraction(1))

# Numbers that formulas of operations contain, by their names.
_CONSTANTS = {
    math.log(2): lambda: call("log", 2),
    math.log(10): lambda: call("log", 10),
    math.pi: lambda: Sym("π", r"\pi"),
    2 / math.sqrt(math.pi): lambda: 2 * power(Sym("π", r"\pi"), Fraction(-1, 2)),
    1 / math.sqrt(2 * math.pi): lambda: power(2 * Sym("π", r"\pi"), Fraction(-1, 2)),
    math.sqrt(2 / math.pi): lambda: power(2 / Sym("π", r"\pi"), Fraction(1, 2)),
    math.sqrt(0.5): lambda: power(Num(Fraction(2)), Fraction(-1, 2)),
}


def as_expr(value: Any) -> Expr:
    """Return a formula as it is, and a number as a formula: 0.1 is exactly one tenth, as it was written."""
    if isinstance(value, Expr):
        return value
    if isinstance(value, (bool, int, Fraction)):
        return Num(Fraction(value))
    if isinstance(value, numbers.Real):
        return _of_float(float(value))
    raise DtypeError("formula", "a number or a formula", type(value).__name__)


def _of_float(value: float) -> Expr:
    if not math.isfinite(value):
        return Num(value)
    return _CONSTANTS[value]() if value in _CONSTANTS else Num(Fraction(repr(value)))


def add(*terms: Any) -> Expr:
    """Return the sum: terms of sums flattened, like terms added, zeros left out."""
    found: dict[Expr, Number] = {}
    for term in map(as_expr, terms):
        for part in term.terms if isinstance(term, Sum) else (term,):
            number, rest = coefficient(part)
            found[rest] = found.get(rest, Fraction(0)) + number
    kept = [_times(number, rest) for rest, number in found.items() if number != 0]
    if len(kept) < 2:
        return kept[0] if kept else ZERO
    return Sum(tuple(kept))


def coefficient(e: Expr) -> tuple[Number, Expr]:
    """Return a formula as (number, rest without a number in front)."""
    if isinstance(e, Num):
        return e.value, ONE
    if isinstance(e, Product):
        return e.number, e.factors[0] if len(e.factors) == 1 else Product(Fraction(1), e.factors)
    return Fraction(1), e


def _times(number: Number, rest: Expr) -> Expr:
    if rest == ONE:
        return Num(number)
    if number == 1:
        return rest
    return Product(number, rest.factors if isinstance(rest, Product) else (rest,))


def mul(*factors: Any) -> Expr:
    """Return the product: numbers multiplied, powers of one base joined, a lone minus moved into a sum."""
    number: Number = Fraction(1)
    powers: dict[Expr, Expr] = {}
    exponent: Expr = ZERO  # of e
    for factor in _flat(map(as_expr, factors)):
        if isinstance(factor, Num):
            number = number * factor.value
        elif isinstance(factor, Call) and factor.name == "exp":
            exponent = add(exponent, factor.args[0])
        else:
            base, raised = (factor.base, factor.exponent) if isinstance(factor, Power) else (factor, ONE)
            powers[base] = add(powers[base], raised) if base in powers else raised
    kept = [power(base, raised) for base, raised in powers.items()]
    if exponent != ZERO:
        kept.append(call("exp", exponent))
    return _product(number, kept)


def _flat(factors: Iterable[Expr]) -> Iterable[Expr]:
    for factor in factors:
        if isinstance(factor, Product):
            yield Num(factor.number)
            yield from factor.factors
        else:
            yield factor


def _product(number: Number, kept: list[Expr]) -> Expr:
    """Return number times factors, of which some may have become numbers or products."""
    rest: list[Expr] = []
    for factor in _flat(kept):
        if isinstance(factor, Num):
            number = number * factor.value
        else:
            rest.append(factor)
    if number == 0 or not rest:
        return Num(number)
    if len(rest) == 1 and (number == 1 or (number == -1 and isinstance(rest[0], Sum))):
        return rest[0] if number == 1 else Sum(tuple(mul(-1, t) for t in rest[0].parts))
    return Product(number, tuple(rest))


def power(base: Any, exponent: Any) -> Expr:
    """Return the power, worked out where it is simple: whole powers of products, of powers and of e."""
    base, exponent = as_expr(base), as_expr(exponent)
    if exponent == ONE:
        return base
    if exponent == ZERO:
        return ONE
    whole = isinstance(exponent, Num) and exponent.value == exponent.value // 1
    if isinstance(base, Num) and isinstance(exponent, Num):
        return _power_of_numbers(base, exponent)
    if isinstance(base, Call) and base.name == "exp":
        return call("exp", mul(base.args[0], exponent))
    if whole and isinstance(base, Power):
        return power(base.base, mul(base.exponent, exponent))
    if whole and isinstance(base, Product):
        return mul(power(Num(base.number), exponent), *[power(f, exponent) for f in base.factors])
    return Power(base, exponent)


def _power_of_numbers(base: Num, exponent: Num) -> Expr:
    b, e = base.value, exponent.value
    if b == 1:
        return ONE
    if isinstance(b, float) or isinstance(e, float) or abs(e) > _LIMIT or (b == 0 and e < 0):
        return Power(base, exponent)
    if e.denominator == 1:
        return Num(b**e.numerator)
    root = b ** Fraction(1, e.denominator) if b > 0 else 0.5
    whole = Fraction(round(root)) if root < 2**40 else Fraction(0)
    return Num(whole**e.numerator) if whole and whole**e.denominator == b else Power(base, exponent)


_COMPARE = {
    "gt": lambda a, b: a > b, "ge": lambda a, b: a >= b, "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b, "eq": lambda a, b: a == b, "ne": lambda a, b: a != b,
}  # fmt: skip
OPPOSITE = {"gt": "le", "ge": "lt", "lt": "ge", "le": "gt", "eq": "ne", "ne": "eq"}
_EXACT: dict[tuple[Any, ...], int] = {("exp", 0): 1, ("log", 1): 0, ("sin", 0): 0, ("cos", 0): 1, ("tanh", 0): 0}
_OF_NUMBERS: dict[str, Any] = {
    **_COMPARE, "abs": abs, "maximum": max, "minimum": min, "sign": lambda a: (a > 0) - (a < 0),
    "logical_and": lambda a, b: bool(a and b), "logical_or": lambda a, b: bool(a or b), "logical_not": lambda a: not a,
}  # fmt: skip


_LINEAR = set("matmul transpose sum conv conv_input conv_weight".split())  # linear in each argument


def call(name: str, *args: Any, static: tuple[Any, ...] = ()) -> Expr:
    """Return a function of formulas, worked out where it is simple: choices, comparisons of numbers, e^0, log e^x."""
    given = tuple(map(as_expr, args))
    if name in ("sqrt", "float_power"):
        return power(given[0], given[1] if len(given) > 1 else Fraction(1, 2))
    if name == "where":
        return _choice(*given)
    if all(isinstance(a, Num) for a in given) and not static:
        values = [a.value for a in given if isinstance(a, Num)]
        if name in _OF_NUMBERS:
            return as_expr(_OF_NUMBERS[name](*values))
        if (name, *values) in _EXACT:
            return as_expr(_EXACT[name, values[0]])
    if name == "log" and isinstance(given[0], Call) and given[0].name == "exp":
        return given[0].args[0]
    if name in _LINEAR:
        pairs = [coefficient(a) for a in given]  # numbers in front are taken out
        return mul(*[Num(n) for n, _ in pairs], Call(name, tuple(rest for _, rest in pairs), static))
    if name in ("logical_and", "logical_or") and any(isinstance(a, Num) for a in given):
        return _decided(name, given)
    if name == "logical_not" and isinstance(given[0], Call) and given[0].name in OPPOSITE:
        return Call(OPPOSITE[given[0].name], given[0].args)
    if name == "gt" and given[1] == ZERO and isinstance(given[0], Call) and given[0].name == "maximum":
        return _above_zero(given[0])
    return Call(name, given, static)


def _above_zero(larger: Call) -> Expr:
    """Return whether max(a, b) > 0, which is a > 0 when b is 0."""
    rest = [a for a in larger.args if a != ZERO]
    return Call("gt", (rest[0] if len(rest) == 1 else larger, ZERO))


def _decided(name: str, given: tuple[Expr, ...]) -> Expr:
    """Return "and" or "or" of two conditions, of which one is a number."""
    known, other = given if isinstance(given[0], Num) else given[::-1]
    holds = isinstance(known, Num) and known.value != 0
    return (other if holds else ZERO) if name == "logical_and" else (ONE if holds else other)


def _choice(condition: Expr, yes: Expr, no: Expr) -> Expr:
    """Return ``yes`` where the condition holds, else ``no``; against 0 it is a product with a bracket [condition]."""
    if isinstance(condition, Num):
        return yes if condition.value else no
    if yes == no:
        return yes
    if no == ZERO:
        return mul(yes, condition)
    if yes == ZERO:
        return mul(no, call("logical_not", condition))
    return Call("where", (condition, yes, no))


def substitute(e: Expr, known: dict[Expr, Expr]) -> Expr:
    """Return a formula with others put in the place of what ``known`` names, tidied anew."""
    if e in known:
        return known[e]
    if isinstance(e, Sum):
        return add(*[substitute(t, known) for t in e.terms])
    if isinstance(e, Product):
        return mul(Num(e.number), *[substitute(f, known) for f in e.factors])
    if isinstance(e, Power):
        return power(substitute(e.base, known), substitute(e.exponent, known))
    if isinstance(e, Call):
        return call(e.name, *[substitute(a, known) for a in e.args], static=e.static)
    return e


def symbols(e: Expr) -> list[Sym]:
    """Return the symbols of a formula, each once, in order of appearance."""
    found: dict[Sym, None] = {}
    todo = [e]
    while todo:
        part = todo.pop()
        if isinstance(part, Sym):
            found[part] = None
        todo.extend(reversed(part.parts))
    return list(found)


def cost(e: Expr) -> int:
    """Return how long a formula is to read: its symbols, numbers and signs."""
    if isinstance(e, Num):
        return 1 if isinstance(e.value, float) or e.value.denominator == 1 else 2
    if isinstance(e, Product):
        return (0 if abs(e.number) == 1 else 1) + (e.number < 0) + sum(cost(f) for f in e.factors)
    if isinstance(e, Power):
        negative = isinstance(e.exponent, Num) and e.exponent.value < 0
        return cost(e.base) + (1 if negative else 0) + (0 if e.exponent == as_expr(-1) else cost(e.exponent))
    if isinstance(e, Call):
        return 3 + sum(cost(a) for a in e.args)
    if isinstance(e, Sum):  # 1 - u reads better than u - 1
        return sum(cost(t) + 2 * (isinstance(t, Num) and t.value < 0) for t in e.terms) + len(e.terms)
    return 1
