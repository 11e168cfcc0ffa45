"""Array kernels that NumPy lacks, in terms of an array library ``np`` (NumPy or CuPy)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy


def bound(name: str, library: ModuleType) -> Callable[..., Any]:
    """Return the kernel ``name`` with its array library filled in."""
    return functools.partial(globals()[name], library)


def astype(np: ModuleType, x: Any, dtype: Any) -> Any:
    """Return a copy of ``x`` with numbers of type ``dtype``."""
    return np.asarray(x).astype(dtype)


def copy(np: ModuleType, x: Any) -> Any:
    """Return a copy of ``x`` that shares nothing."""
    return np.array(x)


def contiguous(np: ModuleType, x: Any) -> Any:
    """Return a C-contiguous copy of ``x``."""
    return np.array(x, order="C")


def index_add(np: ModuleType, shape: tuple[int, ...], key: Any, values: Any) -> Any:
    """Return zeros of ``shape`` with ``values`` added at ``key``: the adjoint of ``x[key]`` (repeats add up)."""
    out = np.zeros(shape, dtype=values.dtype)
    if _basic(key):
        out[key] += values
    elif np.__name__ == "numpy":
        np.add.at(out, key, values)
    else:  # CuPy's name for the same
        np.add.at(out, key, values) if hasattr(np.add, "at") else np.scatter_add(out, key, values)
    return out


def scatter_add(np: ModuleType, shape: tuple[int, ...], index: Any, values: Any, axis: int) -> Any:
    """Return zeros of ``shape`` with ``values`` added where ``index`` says along ``axis``: the adjoint of taking."""
    grid = list(np.ogrid[tuple(slice(n) for n in index.shape)])
    grid[axis] = index
    return index_add(np, shape, tuple(grid), values)


def _basic(key: Any) -> bool:
    """Whether ``key`` selects each element at most once, as slices, integers, None, ellipsis and masks do."""
    parts = key if isinstance(key, tuple) else (key,)
    return all(
        isinstance(p, (slice, int, type(None), type(Ellipsis))) or getattr(p, "dtype", None) == "bool" for p in parts
    )


def erf(np: ModuleType, x: Any) -> Any:
    """Return the error function 2/sqrt(pi) * integral of exp(-t^2) from 0 to x, to about 1e-16 relative.

    Rational functions on four ranges, as in FreeBSD's s_erf.c (Sun Microsystems, 1993); NaN stays NaN.
    """
    x = np.asarray(x)
    size = np.abs(x)
    out = np.where(np.isnan(x), x, np.sign(x))  # right from 6 on
    for low, high, formula in _ERF:
        part = (size >= low) & (size < high)
        out[part] = formula(np, x[part])
    return out


def _near_zero(np: ModuleType, x: Any) -> Any:
    z = x * x
    return x + x * (_polynomial(z, _PP) / _polynomial(z, _QQ))


def _near_one(np: ModuleType, x: Any) -> Any:
    s = np.abs(x) - 1
    return np.sign(x) * (8.45062911510467529297e-01 + _polynomial(s, _PA) / _polynomial(s, _QA))


def _tail(above: list[float], below: list[float]) -> Callable[..., Any]:
    def formula(np: ModuleType, x: Any) -> Any:
        size = np.abs(x)
        s = 1 / (x * x)
        rest = np.exp(-x * x - 0.5625 + _polynomial(s, above) / _polynomial(s, below)) / size
        return np.sign(x) * (1 - rest)

    return formula


def _polynomial(x: Any, coefficients: list[float]) -> Any:
    """Return c0 + c1 x + c2 x^2 + ... (Horner)."""
    y = x * coefficients[-1]
    for c in coefficients[-2:0:-1]:
        y = (y + c) * x
    return y + coefficients[0]


# fmt: off
_PP = [
    1.28379167095512558561e-01, -3.25042107247001499370e-01, -2.84817495755985104766e-02, -5.77027029648944159157e-03,
    -2.37630166566501626084e-05,
]
_QQ = [
    1, 3.97917223959155352819e-01, 6.50222499887672944485e-02, 5.08130628187576562776e-03,
    1.32494738004321644526e-04, -3.96022827877536812320e-06,
]
_PA = [
    -2.36211856075265944077e-03, 4.14856118683748331666e-01, -3.72207876035701323847e-01, 3.18346619901161753674e-01,
    -1.10894694282396677476e-01, 3.54783043256182359371e-02, -2.16637559486879084300e-03,
]
_QA = [
    1, 1.06420880400844228286e-01, 5.40397917702171048937e-01, 7.18286544141962662868e-02,
    1.26171219808761642112e-01, 1.36370839120290507362e-02, 1.19844998467991074170e-02,
]
_RA = [
    -9.86494403484714822705e-03, -6.93858572707181764372e-01, -1.05586262253232909814e+01, -6.23753324503260060396e+01,
    -1.62396669462573470355e+02, -1.84605092906711035994e+02, -8.12874355063065934246e+01, -9.81432934416914548592e+00,
]
_SA = [
    1, 1.96512716674392571292e+01, 1.37657754143519042600e+02, 4.34565877475229228821e+02,
    6.45387271733267880336e+02, 4.29008140027567833386e+02, 1.08635005541779435134e+02, 6.57024977031928170135e+00,
    -6.04244152148580987438e-02,
]
_RB = [
    -9.86494292470009928597e-03, -7.99283237680523006574e-01, -1.77579549177547519889e+01, -1.60636384855821916062e+02,
    -6.37566443368389627722e+02, -1.02509513161107724954e+03, -4.83519191608651397019e+02,
]
_SB = [
    1, 3.03380607434824582924e+01, 3.25792512996573918826e+02, 1.53672958608443695994e+03,
    3.19985821950859553908e+03, 2.55305040643316442583e+03, 4.74528541206955367215e+02, -2.24409524465858183362e+01,
]
# fmt: on
_ERF = (
    (0, 0.84375, _near_zero),
    (0.84375, 1.25, _near_one),
    (1.25, 1 / 0.35, _tail(_RA, _SA)),
    (1 / 0.35, 6, _tail(_RB, _SB)),
)


# -- NumPy's own functions without their wrapping: the same numbers in half the time for small arrays ------------------
_add: Any = numpy.add.reduce
_multiply: Any = numpy.multiply.reduce
_maximum: Any = numpy.maximum.reduce
_minimum: Any = numpy.minimum.reduce
QUICK = "sum prod amax amin reshape transpose broadcast_to".split()


def quick_sum(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return ``np.sum``."""
    return _add(x, axis, None, None, keepdims)


def quick_prod(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return ``np.prod``."""
    return _multiply(x, axis, None, None, keepdims)


def quick_amax(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return ``np.amax``."""
    return _maximum(x, axis, None, None, keepdims)


def quick_amin(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return ``np.amin``."""
    return _minimum(x, axis, None, None, keepdims)


def quick_reshape(x: Any, shape: Any) -> Any:
    """Return ``np.reshape``."""
    return x.reshape(shape)


def quick_transpose(x: Any, axes: Any = None) -> Any:
    """Return ``np.transpose``."""
    return x.transpose(axes)


def quick_broadcast_to(x: Any, shape: tuple[int, ...]) -> Any:
    """Return ``np.broadcast_to``, a read-only view; quick for one number, as the gradient of a sum is."""
    if x.ndim or type(x) is not numpy.ndarray:
        return numpy.broadcast_to(x, shape)
    y: Any = numpy.ndarray(shape, x.dtype, x, 0, (0,) * len(shape))
    y.flags.writeable = False
    return y
