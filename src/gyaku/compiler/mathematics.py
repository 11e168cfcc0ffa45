"""Functions of one number as vector code, without branches: exp, log, tanh, erf, ..., right to a unit or two.

Argument reductions and coefficients are the classic ones of fdlibm (Sun Microsystems, 1993) and Cephes (Moshier);
infinities and NaN come out as from NumPy.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gyaku.compiler.ir import Function, Value

_F32 = np.dtype(np.float32)


def _int(x: Value) -> Any:
    return np.int32 if x.dtype == _F32 else np.int64


def _k(f: Function, value: float, like: Value) -> Value:
    return f.constant(value, like.dtype)


def horner(f: Function, x: Value, coefficients: list[float]) -> Value:
    """Return c0 + c1 x + c2 x^2 + ..."""
    y = _k(f, coefficients[-1], x)
    for c in coefficients[-2::-1]:
        y = f.intrinsic("fmuladd", y, x, _k(f, c, x))
    return y


def _reduced(f: Function, x: Value) -> tuple[Value, Value]:
    """Return (r, n as integer bits) with x = n ln 2 + r, |r| <= ln 2 / 2."""
    single = x.dtype == _F32
    magic = 12582912.0 if single else 6755399441055744.0  # adding it rounds to an integer, found in the low bits
    high, low = (0.693359375, -2.12194440e-4) if single else (6.93147180369123816490e-01, 1.90821492927058770002e-10)
    shifted = f.intrinsic("fma", x, _k(f, 1 / math.log(2), x), _k(f, magic, x))
    n = f.binary("fsub", shifted, _k(f, magic, x))
    r = f.intrinsic("fma", n, _k(f, -high, x), x)
    r = f.intrinsic("fma", n, _k(f, -low, x), r)
    whole = f.binary("sub", f.bits(shifted, _int(x)), f.bits(_k(f, magic, x), _int(x)))
    return r, whole


def _power_of_two(f: Function, n: Value, like: Value) -> Value:
    """Return 2^n for integers n within the exponents of normal numbers."""
    shift, bias = (23, 127) if like.dtype == _F32 else (52, 1023)
    raised = f.binary("add", n, f.constant(bias, n.dtype))
    return f.bits(f.binary("shl", raised, f.constant(shift, n.dtype)), like.dtype)


def _scaled(f: Function, y: Value, n: Value) -> Value:
    """Return y 2^n in two steps, so that the ends of the range come out right."""
    half = f.binary("ashr", n, f.constant(1, n.dtype))
    rest = f.binary("sub", n, half)
    return f.binary("fmul", f.binary("fmul", y, _power_of_two(f, half, y)), _power_of_two(f, rest, y))


def _clamped(f: Function, x: Value, low: float, high: float) -> Value:
    """Return x cut to [low, high]; NaN stays."""
    x = f.select(f.compare("olt", x, _k(f, low, x)), _k(f, low, x), x)
    return f.select(f.compare("ogt", x, _k(f, high, x)), _k(f, high, x), x)


_EXP32 = [0.5, 1.6666665459e-1, 4.1665795894e-2, 8.3334519073e-3, 1.3981999507e-3, 1.9875691500e-4]
_EXP64 = [1 / math.factorial(k) for k in range(2, 14)]


def _expm1_core(f: Function, r: Value) -> Value:
    """Return e^r - 1 for |r| <= ln 2 / 2."""
    p = horner(f, r, _EXP32 if r.dtype == _F32 else _EXP64)
    return f.intrinsic("fma", f.binary("fmul", r, r), p, r)


def exp(f: Function, x: Value) -> Value:
    """Return e^x."""
    cut = _clamped(f, x, -104.0 if x.dtype == _F32 else -746.0, 89.0 if x.dtype == _F32 else 710.0)
    r, n = _reduced(f, cut)
    return _scaled(f, f.binary("fadd", _expm1_core(f, r), _k(f, 1, x)), n)


def expm1(f: Function, x: Value) -> Value:
    """Return e^x - 1, exact near 0."""
    cut = _clamped(f, x, -40.0, 60.0 if x.dtype == _F32 else 600.0)
    r, n = _reduced(f, cut)
    scale = _power_of_two(f, n, x)
    y = f.intrinsic("fma", scale, _expm1_core(f, r), f.binary("fsub", scale, _k(f, 1, x)))
    big = f.compare("ogt", x, cut)
    y = f.select(big, exp(f, x), y)
    return f.select(f.compare("oeq", x, _k(f, 0, x)), x, y)  # keeps -0


def tanh(f: Function, x: Value) -> Value:
    """Return tanh x = m / (m + 2) with m = e^(2x) - 1."""
    size = f.intrinsic("fabs", x)
    end = _k(f, 10.0 if x.dtype == _F32 else 22.0, x)
    small = f.select(f.compare("ogt", size, end), end, size)
    doubled = f.binary("fadd", small, small)
    r, n = _reduced(f, doubled)
    scale = _power_of_two(f, n, x)
    m = f.intrinsic("fma", scale, _expm1_core(f, r), f.binary("fsub", scale, _k(f, 1, x)))
    return f.intrinsic("copysign", f.fdiv(m, f.binary("fadd", m, _k(f, 2, x))), x)


_LOG64 = [
    6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01, 2.222219843214978396e-01,
    1.818357216161805012e-01, 1.531383769920937332e-01, 1.479819860511658591e-01,
]  # fmt: skip
_LOG32 = [0.66666662693, 0.40000972152, 0.28498786688, 0.24279078841]


def _split(f: Function, x: Value) -> tuple[Value, Value]:
    """Return (m, e as float) with x = m 2^e, m in [sqrt(1/2), sqrt(2)), for positive normal x."""
    single = x.dtype == _F32
    shift = 23 if single else 52
    corner = 0x3F3504F3 if single else 0x3FE6A09E667F3BCD  # the bits of sqrt(1/2)
    whole = f.bits(x, _int(x))
    e = f.binary("ashr", f.binary("sub", whole, f.constant(corner, whole.dtype)), f.constant(shift, whole.dtype))
    m = f.bits(f.binary("sub", whole, f.binary("shl", e, f.constant(shift, e.dtype))), x.dtype)
    return m, f.cast(e, x.dtype)


def log(f: Function, x: Value) -> Value:
    """Return the natural logarithm: -inf at 0, NaN below."""
    single = x.dtype == _F32
    tiny = f.compare("olt", x, _k(f, 1.17549435e-38 if single else 2.2250738585072014e-308, x))
    lift = 23 if single else 52
    scaled = f.select(tiny, f.binary("fmul", x, _k(f, 2.0**lift, x)), x)
    m, e = _split(f, scaled)
    e = f.select(tiny, f.binary("fsub", e, _k(f, lift, x)), e)
    y = _log_of(f, f.binary("fsub", m, _k(f, 1, x)), e)
    y = f.select(f.compare("oeq", x, _k(f, 0, x)), _k(f, -math.inf, x), y)
    y = f.select(f.compare("olt", x, _k(f, 0, x)), _k(f, math.nan, x), y)
    y = f.select(f.compare("oeq", x, _k(f, math.inf, x)), x, y)
    return f.select(f.compare("uno", x, x), x, y)


def _log_of(f: Function, g: Value, e: Value) -> Value:
    """Return e ln 2 + log(1 + g) for 1 + g in [sqrt(1/2), sqrt(2))."""
    single = g.dtype == _F32
    s = f.fdiv(g, f.binary("fadd", g, _k(f, 2, g)))
    z = f.binary("fmul", s, s)
    rest = f.binary("fmul", z, horner(f, z, _LOG32 if single else _LOG64))
    half = f.binary("fmul", f.binary("fmul", g, g), _k(f, 0.5, g))
    high = _k(f, 0.69313812256 if single else 6.93147180369123816490e-01, g)
    low = _k(f, 9.0580006145e-06 if single else 1.90821492927058770002e-10, g)
    inner = f.intrinsic("fma", e, low, f.binary("fmul", s, f.binary("fadd", half, rest)))
    return f.intrinsic("fma", e, high, f.binary("fsub", g, f.binary("fsub", half, inner)))


def log1p(f: Function, x: Value) -> Value:
    """Return log(1 + x), exact near 0."""
    u = f.binary("fadd", x, _k(f, 1, x))
    lost = f.binary("fsub", x, f.binary("fsub", u, _k(f, 1, x)))
    y = f.binary("fadd", log(f, u), f.fdiv(lost, u))
    edge = f.compare("oeq", u, _k(f, math.inf, x))
    zero = f.compare("oeq", u, _k(f, 0, x))
    y = f.select(edge, x, f.select(zero, _k(f, -math.inf, x), y))
    return f.select(f.compare("oeq", x, _k(f, 0, x)), x, y)


def log2(f: Function, x: Value) -> Value:
    """Return the logarithm to base 2."""
    return f.binary("fmul", log(f, x), _k(f, 1 / math.log(2), x))


def log10(f: Function, x: Value) -> Value:
    """Return the logarithm to base 10."""
    return f.binary("fmul", log(f, x), _k(f, 1 / math.log(10), x))


def erf(f: Function, x: Value) -> Value:
    """Return the error function: the same rational functions as ``backend.kernels.erf``, chosen by range."""
    from gyaku.backend.kernels import _PA, _PP, _QA, _QQ, _RA, _RB, _SA, _SB

    a = f.intrinsic("fabs", x)
    z = f.binary("fmul", x, x)
    zero = f.intrinsic("fma", x, f.fdiv(horner(f, z, _PP), horner(f, z, _QQ)), x)
    s = f.binary("fsub", a, _k(f, 1, x))
    one = f.binary("fadd", f.fdiv(horner(f, s, _PA), horner(f, s, _QA)), _k(f, 8.45062911510467529297e-01, x))
    safe = f.select(f.compare("olt", a, _k(f, 1, x)), _k(f, 1, x), a)
    inverse = f.fdiv(_k(f, 1, x), f.binary("fmul", safe, safe))
    near = f.compare("olt", a, _k(f, 1 / 0.35, x))
    above = f.select(near, horner(f, inverse, _RA), horner(f, inverse, _RB))
    below = f.select(near, horner(f, inverse, _SA), horner(f, inverse, _SB))
    power = f.intrinsic("fma", f.binary("fsub", _k(f, 0, x), safe), safe, _k(f, -0.5625, x))
    tail = f.binary("fsub", _k(f, 1, x), f.fdiv(exp(f, f.binary("fadd", power, f.fdiv(above, below))), safe))
    far = f.select(f.compare("olt", a, _k(f, 6, x)), tail, _k(f, 1, x))
    size = f.select(f.compare("olt", a, _k(f, 1.25, x)), one, far)
    y = f.select(f.compare("olt", a, _k(f, 0.84375, x)), zero, f.intrinsic("copysign", size, x))
    return f.select(f.compare("uno", x, x), x, y)
