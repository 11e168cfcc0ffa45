"""Shorter forms of a formula: cancelled, factored, with known names put in; the shortest to read is chosen.

A formula is brought over one denominator as polynomials in its symbols and functions (kept as opaque "atoms"; of e^x
only e is: e^(2x) is the square of e^x). The denominator stays factored as it was written, so that cancelling is exact
division and no greatest common divisor has to be found.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

from gyaku.explain.formula import (
    ONE,
    ZERO,
    Call,
    Expr,
    Num,
    Power,
    Product,
    Sum,
    Sym,
    add,
    call,
    coefficient,
    cost,
    mul,
    power,
    substitute,
    symbols,
)

Monomial = tuple[int, ...]
Poly = dict[Monomial, Fraction]
_MOST = 400  # monomials; a formula that grows beyond is left as it is
_WORK = 6_000  # products of monomials for one form
_TRIES = 60  # forms that are tried for one formula
_ENDLESS = 2_000  # the cost beyond which a formula is not written out further
_HOPELESS = 80  # the cost of a formula that no name makes short
_DEEP = 3  # names put in, one after the other


class TooLong(Exception):
    """A formula grows beyond what anybody would read."""


# --- polynomials ---


def _plus(a: Poly, b: Poly, sign: int = 1) -> Poly:
    out = dict(a)
    for m, c in b.items():
        total = out.get(m, Fraction(0)) + sign * c
        if total:
            out[m] = total
        else:
            out.pop(m, None)
    return out


def _unit(p: Poly, first: Any = max) -> tuple[Fraction, Poly]:
    """Return a polynomial as (number, polynomial with whole coprime coefficients).

    The coefficient of the monomial that ``first`` chooses is positive: the leading one, or with ``min`` the constant,
    for 1 - u reads better below a line than u - 1.
    """
    numbers = list(p.values())
    size = Fraction(math.gcd(*[c.numerator for c in numbers]), math.lcm(*[c.denominator for c in numbers]))
    size = size if p[first(p)] > 0 else -size
    return size, {m: c / size for m, c in p.items()}


def _constant(p: Poly) -> Monomial:
    """Return the constant's monomial where there is one, else the leading one."""
    zero = (0,) * len(max(p))
    return zero if zero in p else max(p)


class Quotient:
    """A numerator over a product of powers of polynomials, each by its sorted items."""

    def __init__(self, above: Poly, below: dict[tuple[Any, ...], int] | None = None) -> None:
        self.above, self.below = above, below or {}


class Ring:
    """The atoms of one formula, and what is computed with polynomials in them."""

    def __init__(self, *formulas: Expr) -> None:
        self.work = _WORK
        self.atoms: list[Expr] = []
        self._place: dict[Expr, int] = {}
        for e in formulas:
            self._collect(e)
        self.atoms.sort(key=lambda atom: (atom.kind, repr(atom)))  # a before x: ax - y
        self._place = {atom: i for i, atom in enumerate(self.atoms)}

    def _collect(self, e: Expr) -> None:
        if isinstance(e, (Sum, Product)):
            for part in e.parts:
                self._collect(part)
        elif isinstance(e, Power) and _whole(e.exponent):
            self._collect(e.base)
        elif isinstance(e, Call) and e.name == "exp":
            for atom, _ in _exponentials(e.args[0]):
                self._enter(atom)
        elif isinstance(e, Num):
            if isinstance(e.value, float):
                raise TooLong
        else:
            self._enter(e if not isinstance(e, Power) else _root(e)[0])

    def _enter(self, atom: Expr) -> None:
        if atom not in self._place:
            self._place[atom] = len(self.atoms)
            self.atoms.append(atom)

    def _spend(self, steps: int) -> None:
        """Count work, and give up on a formula that takes too much of it."""
        self.work -= steps
        if self.work < 0:
            raise TooLong

    def _times(self, a: Poly, b: Poly) -> Poly:
        self._spend(len(a) * len(b))
        out: Poly = {}
        for m, c in a.items():
            for n, d in b.items():
                key = tuple(i + j for i, j in zip(m, n))
                out[key] = out.get(key, Fraction(0)) + c * d
        out = {m: c for m, c in out.items() if c}
        if len(out) > _MOST:
            raise TooLong
        return out

    def _divided(self, a: Poly, b: Poly) -> tuple[Poly, Poly]:
        """Return quotient and rest of a division in the lexicographic order of monomials."""
        lead = max(b)
        quotient: Poly = {}
        rest: Poly = {}
        while a:
            self._spend(len(b))
            top = max(a)
            step = tuple(i - j for i, j in zip(top, lead))
            if min(step, default=0) < 0:
                rest[top] = a.pop(top) if top in a else Fraction(0)
                continue
            term = {step: a[top] / b[lead]}
            quotient.update(term)
            a = _plus(a, self._times(term, b), -1)
        return quotient, rest

    def _one(self) -> Poly:
        return {(0,) * len(self.atoms): Fraction(1)}

    def _atom(self, atom: Expr, exponent: int) -> Quotient:
        monomial = [0] * len(self.atoms)
        monomial[self._place[atom]] = abs(exponent)
        poly = {tuple(monomial): Fraction(1)}
        return Quotient(poly) if exponent >= 0 else self._inverse(Quotient(poly))

    def quotient(self, e: Expr) -> Quotient:
        """Return a formula over one denominator."""
        if isinstance(e, Num):
            if isinstance(e.value, float):
                raise TooLong  # an infinity or NaN
            return Quotient({(0,) * len(self.atoms): Fraction(e.value)} if e.value else {})
        if isinstance(e, Sum):
            total = self.quotient(e.terms[0])
            for term in e.terms[1:]:
                total = self._added(total, self.quotient(term))
            return total
        if isinstance(e, Product):
            return self._multiplied([self.quotient(Num(e.number)), *map(self.quotient, e.factors)])
        if isinstance(e, Power) and _whole(e.exponent):
            return self._raised(self.quotient(e.base), int(e.exponent.value))  # type: ignore[attr-defined]
        if isinstance(e, Power):
            return self._atom(*_root(e))
        if isinstance(e, Call) and e.name == "exp":
            return self._multiplied([self._atom(atom, n) for atom, n in _exponentials(e.args[0])])
        return self._atom(e, 1)

    def _raised(self, q: Quotient, n: int) -> Quotient:
        if abs(n) > 12:
            raise TooLong
        return self._multiplied([self._inverse(q) if n < 0 else q] * abs(n))

    def _inverse(self, q: Quotient) -> Quotient:
        if not q.above:
            raise TooLong  # a division by zero: leave it as it stands
        number, unit = _unit(q.above, _constant)
        above = {m: c / number for m, c in self._expanded(q.below).items()}
        shared = tuple(min(m[i] for m in unit) for i in range(len(self.atoms)))
        rest = {tuple(i - j for i, j in zip(m, shared)): c for m, c in unit.items()}
        below: dict[tuple[Any, ...], int] = {}
        for i, n in enumerate(shared):
            if n:
                below[_key({tuple(int(i == j) for j in range(len(shared))): Fraction(1)})] = n
        if rest != self._one():
            below[_key(rest)] = below.get(_key(rest), 0) + 1
        return self._reduced(Quotient(above, below))

    def _expanded(self, below: dict[tuple[Any, ...], int]) -> Poly:
        out = self._one()
        for key, n in below.items():
            for _ in range(n):
                out = self._times(out, dict(key))
        return out

    def _multiplied(self, factors: Sequence[Quotient]) -> Quotient:
        above, below = self._one(), {}  # type: tuple[Poly, dict[tuple[Any, ...], int]]
        for q in factors:
            above = self._times(above, q.above)
            for key, n in q.below.items():
                below[key] = below.get(key, 0) + n
        return self._reduced(Quotient(above, below))

    def _added(self, a: Quotient, b: Quotient) -> Quotient:
        below = {key: max(a.below.get(key, 0), b.below.get(key, 0)) for key in {**a.below, **b.below}}
        parts = []
        for q in (a, b):
            missing = {key: n - q.below.get(key, 0) for key, n in below.items() if n > q.below.get(key, 0)}
            parts.append(self._times(q.above, self._expanded(missing)))
        return self._reduced(Quotient(_plus(parts[0], parts[1]), below))

    def _reduced(self, q: Quotient) -> Quotient:
        """Cancel what divides the numerator."""
        above, below = q.above, {}  # type: tuple[Poly, dict[tuple[Any, ...], int]]
        if not above:
            return Quotient({})
        for key, n in q.below.items():
            left = n
            while left:
                found, rest = self._divided(dict(above), dict(key))
                if rest:
                    break
                above, left = found, left - 1
            if left:
                below[key] = left
        return Quotient(above, below)

    # -- and back to formulas ----------------------------------------------------------------------------------------
    def formula(self, p: Poly) -> Expr:
        """Return a polynomial as a sum of products of atoms, highest powers last written as they come."""
        return add(*[mul(Num(c), *[power(a, n) for a, n in zip(self.atoms, m) if n]) for m, c in p.items()])

    def factored(self, p: Poly, candidates: Iterable[Poly], first: Any = max, times: Expr = ONE) -> Expr:
        """Return a polynomial with number, common powers and known sums taken out, times one more factor."""
        if not p:
            return ZERO
        number, p = _unit(p, first)
        shared = tuple(min(m[i] for m in p) for i in range(len(self.atoms)))
        p = {tuple(i - j for i, j in zip(m, shared)): c for m, c in p.items()}
        factors = [power(a, n) for a, n in zip(self.atoms, shared) if n]
        for candidate in (_unit(c, first)[1] for c in candidates):
            n = 0
            while len(p) > 1:
                found, rest = self._divided(dict(p), candidate)
                if rest:
                    break
                p, n = found, n + 1
            factors.append(power(self.formula(candidate), n))
        factors.append(self.formula(p))
        return _minus(factors, times) if number == -1 else mul(Num(number), *factors, times)


def _minus(factors: list[Expr], times: Expr) -> Expr:
    """Return minus a product; the minus goes into a sum that has one and no number: -(t - u) is u - t."""
    for i, factor in enumerate(factors):
        terms = [coefficient(t)[0] for t in factor.parts if not isinstance(t, Num)]
        if isinstance(factor, Sum) and len(terms) == len(factor.terms) and min(terms) < 0:
            return mul(*factors[:i], mul(-1, factor), *factors[i + 1 :], times)
    return mul(-1, *factors, times)


def _key(p: Poly) -> tuple[Any, ...]:
    return tuple(sorted(p.items(), reverse=True))


def _whole(e: Expr) -> bool:
    return isinstance(e, Num) and isinstance(e.value, Fraction) and e.value.denominator == 1


def _root(e: Power) -> tuple[Expr, int]:
    """Return a power with a broken exponent as (atom, whole exponent of it)."""
    if isinstance(e.exponent, Num) and isinstance(e.exponent.value, Fraction):
        atom = Power(e.base, Num(Fraction(1, e.exponent.value.denominator)))
        return atom, e.exponent.value.numerator
    return e, 1


def _exponentials(argument: Expr) -> list[tuple[Expr, int]]:
    """Return e^(2x - y) as [(e^x, 2), (e^y, -1)]."""
    found = []
    for term in argument.terms if isinstance(argument, Sum) else (argument,):
        number = term.number if isinstance(term, Product) else term.value if isinstance(term, Num) else Fraction(1)
        if not isinstance(number, Fraction):
            raise TooLong
        unit = mul(term, Num(Fraction(number.denominator, number.numerator)) if number else ONE)
        found.append((call("exp", mul(unit, Fraction(1, number.denominator))), number.numerator))
    return found


# --- the shortest form ---


def normal(e: Expr) -> Expr:
    """Return the shortest of: the formula as it stands, cancelled and factored, divided out."""
    try:
        return min(_forms(e), key=cost)
    except (TooLong, ZeroDivisionError, RecursionError):
        return e


def _forms(e: Expr) -> list[Expr]:
    ring = Ring(e)
    q = ring.quotient(e)
    sums = _sums(e, ring)
    below = mul(*[power(ring.formula(dict(key)), -n) for key, n in q.below.items()])
    factored = ring.factored(q.above, sums, _constant if q.below else max, below)
    forms = [factored, e] if q.below else [e, factored]
    if (logs := _joined_logs(e)) is not None:
        forms.append(logs)
    if q.below and q.above:
        whole, rest = ring._divided(dict(q.above), ring._expanded(q.below))
        forms.append(add(ring.factored(whole, sums), ring.factored(rest, sums, times=below)))
    elif q.above:
        forms.append(ring.formula(q.above))
    return forms


def _joined_logs(e: Expr) -> Expr | None:
    """Return c log a - c log b + ... with one logarithm, c log(a/b) + ..."""
    if not isinstance(e, Sum):
        return None
    logs = [(t, *_log_of(t)) for t in e.terms if _log_of(t)]
    if len(logs) < 2 or len({abs(c) for _, c, _ in logs}) > 1:
        return None
    number = abs(logs[0][1])
    inner = normal(mul(*[power(a, Num(Fraction(c / number))) for _, c, a in logs]))
    return add(*[t for t in e.terms if not _log_of(t)], mul(Num(number), call("log", inner)))


def _log_of(e: Expr) -> tuple[Fraction, Expr] | tuple[()]:
    """Return (c, a) of c log a."""
    number, rest = coefficient(e)
    if isinstance(rest, Call) and rest.name == "log" and isinstance(number, Fraction):
        return number, rest.args[0]
    return ()


def _sums(e: Expr, ring: Ring) -> list[Poly]:
    """Return the sums that occur in a formula, as polynomials (those that are such)."""
    found: dict[tuple[Any, ...], Poly] = {}
    todo = [e]
    while todo:
        part = todo.pop()
        atom = isinstance(part, Call) or (isinstance(part, Power) and not _whole(part.exponent))
        todo.extend(() if atom else part.parts)
        if isinstance(part, Sum):
            q = ring.quotient(part)
            if not q.below and len(q.above) > 1:
                unit = _unit(q.above)[1]
                found.setdefault(_key(unit), unit)
    return list(found.values())


def shortest(e: Expr, names: Sequence[tuple[Sym, Expr]] = ()) -> Expr:
    """Return the shortest form found, in the symbols of ``e`` and ``names``: (name, what it stands for).

    A name is tried as a factor and as a term: with u = 1/(1 + e^(-x)), e^(-x)/(1 + e^(-x))² becomes u(1 - u).

    >>> a, x, y = map(Sym, "axy")
    >>> shortest(2 * a * x * x - 2 * x * y + 0 * a)
    2x(ax - y)
    """
    return _Search(names).shortest(e, _DEEP)


class _Search:
    """A search for a short form that stops after ``_TRIES`` forms."""

    def __init__(self, names: Sequence[tuple[Sym, Expr]]) -> None:
        self.names, self.left = names, _TRIES

    def normal(self, e: Expr) -> Expr:
        """Return the shortest of the simple forms, or the formula itself when enough was tried."""
        self.left -= 1
        return normal(e) if self.left > 0 else e

    def shortest(self, e: Expr, depth: int) -> Expr:
        """Return the shortest form found with at most ``depth`` names taken out one after the other."""
        plain = best = self.normal(e)
        if depth == 0 or cost(best) <= 2 or cost(best) > _HOPELESS:
            return best
        there = set(symbols(e))
        names = [(name, meaning) for name, meaning in self.names if there.issuperset(symbols(meaning))]
        alone: list[dict[Expr, Expr]] = [{m: n} for n, m in names]
        every: dict[Expr, Expr] = {m: n for n, m in names}
        for known in (every, *alone):
            for form in (e, plain):
                if (put := substitute(form, known)) != form:
                    best = min(best, self.normal(put), key=cost)
        for name, meaning in names:
            for rest, back in ((e - meaning, lambda r, n=name: n + r), (e + meaning, lambda r, n=name: r - n),
                               (e / meaning, lambda r, n=name: n * r)):  # fmt: skip
                left = self.normal(rest)
                if cost(left) < cost(plain):
                    best = min(best, back(self.shortest(left, depth - 1)), key=cost)
        return best


def inline(e: Expr, meanings: dict[Expr, Expr], most: float = _ENDLESS) -> Expr:
    """Return a formula with every symbol replaced by its meaning, until only symbols without one are left.

    One that grows beyond what anybody would read stays as it is then: ways that join make it grow exponentially.
    """
    for _ in range(len(meanings) + 1):
        if cost(e) > most:
            return e
        known: dict[Expr, Expr] = {s: meanings[s] for s in symbols(e) if s in meanings}
        if not known:
            return e
        e = substitute(e, known)
    return e
