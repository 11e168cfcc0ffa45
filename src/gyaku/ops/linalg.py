"""Matrix products, einsum and their relatives."""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from typing import Any

import numpy as np

from gyaku.base.errors import ArgumentError, DtypeError, ShapeError
from gyaku.core.op import FUNCTIONS, Op, apply, apply2, public, register
from gyaku.core.tensor import Tensor, as_tensor_like
from gyaku.ops.namespace import translated


@register
class Matmul(Op):
    """Y = A B; dE/dA = dE/dY B^T, dE/dB = A^T dE/dY (S1 §8). Leading axes are batches, broadcast; 1-d is a vector."""

    keep = "a b"
    label = "{0} {1}"

    def forward(self, xp: Any, a: Any, b: Any) -> Any:
        return _product(xp, a, b)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        a, b = saved
        if a.ndim == 2 and b.ndim == 2:
            return gy @ _t(xp, b) if needs[0] else None, _t(xp, a) @ gy if needs[1] else None
        if a.ndim == 1 and b.ndim == 1:
            return gy * b if needs[0] else None, gy * a if needs[1] else None
        return _product_backward(xp, a, b, gy, needs)

    def expected(self, *x: Any) -> str:
        return "inner sizes that agree: (..., N, K) @ (..., K, L)"

    def hint(self, *x: Any) -> str:
        a, b = x
        if a.ndim == 0 or b.ndim == 0:
            return "use * with numbers"
        fits = a.ndim == b.ndim == 2 and a.shape[1] == b.shape[1]
        return "transpose the second: @ B.T" if fits else ""


_MATMUL = Matmul()


def _t(xp: Any, x: Any) -> Any:
    return xp.swapaxes(x, -1, -2)


def _rows(xp: Any, x: Any) -> Any:
    """(..., K) -> (M, K)."""
    return xp.reshape(x, (math.prod(x.shape[:-1]), x.shape[-1]))


def _product(xp: Any, a: Any, b: Any) -> Any:
    if a.ndim > 2 and b.ndim == 2 and a.shape[-1] == b.shape[0]:  # one product instead of one for each batch
        return xp.reshape(xp.matmul(_rows(xp, a), b), (*a.shape[:-1], b.shape[1]))
    return xp.matmul(a, b)


def _product_backward(xp: Any, a: Any, b: Any, gy: Any, needs: Any) -> tuple[Any, Any]:
    """Return the gradients of a batched product; what was broadcast is summed later, in the walk."""
    ga = gb = None
    row, column = a.ndim == 1, b.ndim == 1
    if row:
        a, gy = xp.expand_dims(a, 0), xp.expand_dims(gy, -2)
    if column:
        b, gy = xp.expand_dims(b, -1), xp.expand_dims(gy, -1)
    if needs[0]:
        ga = _product(xp, gy, _t(xp, b))
        ga = xp.squeeze(ga, axis=-2) if row else ga
    if needs[1]:
        shared = b.ndim == 2 and a.ndim > 2  # one matrix for all batches: sum over them inside the product
        gb = xp.matmul(_t(xp, _rows(xp, a)), _rows(xp, gy)) if shared else xp.matmul(_t(xp, a), gy)
        gb = xp.squeeze(gb, axis=-1) if column else gb
    return ga, gb


@register
class Einsum(Op):
    """Einstein's sum; the gradient by one operand is the sum with the output in its place and its letters as result."""

    equation: str
    label = "einsum"

    def __init__(self, equation: str, count: int) -> None:
        super().__init__(equation)
        self._codes = tuple(("x", i) for i in range(count))  # type: ignore[misc]

    def forward(self, xp: Any, *x: Any) -> Any:
        y = xp.einsum(self.equation, *x, optimize=len(x) > 1)
        return xp.copy(y) if len(x) == 1 else y  # of one operand NumPy may return a view

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        left, out = self.equation.split("->")
        terms = left.split(",")
        return tuple([_einsum_gradient(xp, terms, out, saved, gy, i) if needs[i] else None for i in range(len(terms))])

    def expected(self, *x: Any) -> str:
        return f"shapes that fit {self.equation!r}"


def _einsum_gradient(xp: Any, terms: list[str], out: str, x: Sequence[Any], gy: Any, i: int) -> Any:
    """Swap the output and operand i. A letter twice in the operand (a diagonal) becomes two with the unit matrix
    between; a letter that only this operand has (summed alone) is repeated by ones."""
    inputs, arrays = [out], [gy]
    for k, (term, array) in enumerate(zip(terms, x)):
        if k != i:
            inputs.append(term)
            arrays.append(array)
    sizes = dict(zip(terms[i], x[i].shape))
    result = ""
    for letter in terms[i]:
        twin = letter
        if letter in result:
            twin = next(c for c in string.ascii_letters if c not in result + "".join(terms) + out + "".join(inputs))
            inputs.append(letter + twin)
            arrays.append(xp.eye(sizes[letter], dtype=gy.dtype))
        elif not any(letter in term for term in inputs):
            inputs.append(letter)
            arrays.append(xp.ones(sizes[letter], dtype=gy.dtype))
        result += twin
    return xp.einsum(f"{','.join(inputs)}->{result}", *arrays, optimize=len(arrays) > 1)


@translated
def einsum_(equation: str, *operands: Any, optimize: Any = True) -> Tensor:
    """Return the Einstein sum under NumPy's argument names (the vocabulary's name, for tensors)."""
    return apply(Einsum(equation, len(operands)), *operands)


def _same_type(where: str, *tensors: Any) -> None:
    first = tensors[0]
    for t in tensors:
        if not isinstance(t, Tensor):
            raise DtypeError(where, "tensors", type(t).__name__)
        if t._array.dtype is not first._array.dtype and t._array.dtype != first._array.dtype:
            raise DtypeError(
                where, "tensors of one dtype", f"{first.dtype!r} and {t.dtype!r}", hint="convert one: x.to(w.dtype)"
            )


def _of_dims(where: str, dims: Sequence[int], *tensors: Tensor) -> None:
    _same_type(where, *tensors)
    if [t.ndim for t in tensors] != list(dims):
        wanted = " and ".join(f"{d}-d" for d in dims)
        raise ShapeError(where, f"{wanted} tensors", " and ".join(str(tuple(t.shape)) for t in tensors))


@public("matmul", "__matmul__")
def matmul(input: Tensor, other: Any) -> Tensor:
    """Return the matrix product ``input @ other``; leading axes are batches and broadcast, 1-d tensors are vectors.

    Raises ``ShapeError`` when the inner sizes differ, ``DtypeError`` when the types do.
    """
    if not (isinstance(input, Tensor) and isinstance(other, Tensor) and input._array.dtype is other._array.dtype):
        if isinstance(other, np.ndarray):
            other = as_tensor_like(other, input)
        _same_type("matmul", input, other)
    return apply2(_MATMUL, input, other)


@public("__rmatmul__", top=False)
def rmatmul(input: Any, other: Any) -> Tensor:
    """Return ``other @ input``."""
    return matmul(as_tensor_like(other, input), input)


@public("mm")
def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """Return the product of two matrices, (N, K) and (K, L)."""
    _of_dims("mm", (2, 2), input, mat2)
    return matmul(input, mat2)


@public("bmm")
def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """Return the products of two batches of matrices, (B, N, K) and (B, K, L)."""
    _of_dims("bmm", (3, 3), input, mat2)
    if input.shape[0] != mat2.shape[0]:
        raise ShapeError("bmm", "batches of one size", f"{input.shape[0]} and {mat2.shape[0]}")
    return matmul(input, mat2)


@public("mv")
def mv(input: Tensor, vec: Tensor) -> Tensor:
    """Return the product of a matrix (N, K) and a vector (K,)."""
    _of_dims("mv", (2, 1), input, vec)
    return matmul(input, vec)


@public("dot")
def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """Return the inner product of two vectors."""
    _of_dims("dot", (1, 1), input, tensor)
    return matmul(input, tensor)


@public("outer", "ger")
def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """Return ``y[i, j] = input[i] * vec2[j]`` of two vectors."""
    if input.ndim != 1 or vec2.ndim != 1:
        raise ShapeError("outer", "two 1-d tensors", f"{tuple(input.shape)} and {tuple(vec2.shape)}")
    return FUNCTIONS["mul"](input[:, None], vec2)


FUNCTIONS.update(ger=outer)  # PyTorch's second name


@public("addmm")
def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """Return ``beta * input + alpha * (mat1 @ mat2)``; ``input`` is broadcast. With beta 0 ``input`` is not read."""
    y = mm(mat1, mat2)
    y = y if alpha == 1 else y * alpha
    if beta == 0:
        return y
    return y + (input if beta == 1 else input * beta)


@public()
def einsum(equation: str, *operands: Any) -> Tensor:
    """Return the sum of products that ``equation`` writes in Einstein's way, as in ``einsum("ij,jk->ik", a, b)``.

    A letter missing right of ``->`` is summed over; without ``->`` the result has the letters that occur once, in
    alphabetical order; ``...`` stands for further axes, broadcast. A letter twice in one operand takes the diagonal.

    >>> import gyaku as gy
    >>> gy.einsum("i,i->", gy.tensor([1.0, 2.0]), gy.tensor([3.0, 4.0]))
    tensor(11.)
    """
    tensors = operands[0] if len(operands) == 1 and isinstance(operands[0], (list, tuple)) else operands
    if not tensors:
        raise ArgumentError("einsum", "at least one operand", "none")
    _same_type("einsum", *tensors)
    return apply(Einsum(_explicit(equation, [t.ndim for t in tensors]), len(tensors)), *tensors)


def _explicit(equation: str, dims: Sequence[int]) -> str:
    """Return ``equation`` with its result written out and every ellipsis replaced by letters."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(dims):
        raise ArgumentError("einsum", f"{len(terms)} operands for {equation!r}", str(len(dims)))
    free = [c for c in string.ascii_letters if c not in left]
    widths = [n - len(t.replace("...", "")) for t, n in zip(terms, dims)]
    for term, width, n in zip(terms, widths, dims):
        if width < 0 or (width and "..." not in term):
            raise ShapeError("einsum", f"an operand of {len(term.replace('...', ''))} dimensions for {term!r}", f"{n}")
    wide = "".join(free[: max(widths, default=0)])
    terms = [t.replace("...", wide[len(wide) - w :]) for t, w in zip(terms, widths)]
    result = right.replace("...", wide) if arrow else wide + _once("".join(terms), wide)
    faults = [c for c in "".join(terms) + result if not (c.isascii() and c.isalpha())]
    faults += [c for c in result if result.count(c) > 1 or c not in "".join(terms)]
    if faults:
        raise ArgumentError("einsum", "letters, commas, ... and ->, each letter of the result once", repr(equation))
    return f"{','.join(terms)}->{result}"


def _once(letters: str, wide: str) -> str:
    return "".join(sorted(c for c in set(letters) if letters.count(c) == 1 and c not in wide))


@public()
def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """Return the sum of products over the last ``dims`` axes of ``a`` and first of ``b``, or over two lists of axes.

    >>> import gyaku as gy
    >>> gy.tensordot(gy.ones(2, 3), gy.ones(3, 4), dims=1).shape
    (2, 4)
    """
    pair = (range(a.ndim - dims, a.ndim), range(dims)) if isinstance(dims, int) else dims
    ours, theirs = ([d % t.ndim for d in axes] for axes, t in zip(pair, (a, b)))
    if len(ours) != len(theirs) or any(a.shape[i] != b.shape[j] for i, j in zip(ours, theirs)):
        raise ShapeError(
            "tensordot", "axes of equal sizes", f"{tuple(a.shape)} and {tuple(b.shape)} with dims={dims!r}"
        )
    letters = string.ascii_letters
    left = letters[: a.ndim]
    right = "".join(left[ours[theirs.index(j)]] if j in theirs else letters[a.ndim + j] for j in range(b.ndim))
    rest = "".join(c for i, c in enumerate(left) if i not in ours)
    rest += "".join(c for j, c in enumerate(right) if j not in theirs)
    return einsum(f"{left},{right}->{rest}", a, b)
