"""Linear maps with weights as PyTorch stores them, (out, in), and rows looked up in a table."""

from __future__ import annotations

from typing import Any

from gyaku.backend.tracing import tracing
from gyaku.base.errors import ArgumentError, DtypeError, PositionError, ShapeError
from gyaku.core.op import Op, apply, register
from gyaku.core.tensor import Tensor


def rows(xp: Any, x: Any) -> Any:
    """Return ``x`` as a matrix: (..., K) -> (N, K)."""
    return x if x.ndim == 2 else xp.reshape(x, (-1, x.shape[-1]))


@register
class Linear(Op):
    """y = x W^T + b; gx = gy W, gW = gy^T x, gb = sum of gy over the rows (S1 §3; the lecture's W is this W^T)."""

    keep = "x W"
    label = "{0} {1}^T + {2}"

    def forward(self, xp: Any, x: Any, W: Any, b: Any = None) -> Any:
        try:
            y = x @ W.T
        except ValueError:
            hint = "x.flatten(1)" if x.ndim > 2 and _size(x.shape[1:]) == W.shape[1] else ""
            raise ShapeError("linear (forward)", f"x of shape (N, {W.shape[1]})", str(x.shape), hint=hint) from None
        if b is not None:
            y += b  # y is fresh; readers without in-place addition make a new value here
        return y

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        x, W = saved
        gx = gy @ W if needs[0] else None
        g = rows(xp, gy)
        gW = g.T @ rows(xp, x) if needs[1] else None
        if len(needs) == 2:
            return gx, gW
        return gx, gW, xp.sum(g, axis=0) if needs[2] else None


@register
class Bilinear(Op):
    """y_k = u W_k v + b_k; the derivatives are the same sums with gy in place of what is differentiated."""

    keep = "u v W"
    label = "{0} {2} {1} + {3}"

    def forward(self, xp: Any, u: Any, v: Any, W: Any, b: Any = None) -> Any:
        y = xp.einsum("nkj,nj->nk", xp.einsum("ni,kij->nkj", rows(xp, u), W), rows(xp, v))
        y = y if b is None else y + b
        return xp.reshape(y, (*u.shape[:-1], W.shape[0]))

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        u, v, W = saved
        g, u2, v2 = rows(xp, gy), rows(xp, u), rows(xp, v)
        gWs = xp.einsum("nk,kij->nij", g, W)
        gu = xp.reshape(xp.einsum("nij,nj->ni", gWs, v2), u.shape) if needs[0] else None
        gv = xp.reshape(xp.einsum("nij,ni->nj", gWs, u2), v.shape) if needs[1] else None
        gW = xp.einsum("nki,nj->kij", xp.einsum("nk,ni->nki", g, u2), v2) if needs[2] else None
        return (gu, gv, gW) if len(needs) == 3 else (gu, gv, gW, xp.sum(g, axis=0) if needs[3] else None)

    def expected(self, *x: Any) -> str:
        return f"rows of {x[2].shape[1]} and {x[2].shape[2]} numbers"


@register
class Embedding(Op):
    """y = rows ``i`` of the table W; gW adds gy at those rows (row ``padding`` gets none)."""

    padding: Any
    by_count: bool = False
    keep = "W.shape i"
    label = "{0}[{1}]"

    def forward(self, xp: Any, W: Any, i: Any) -> Any:
        return W[i]

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        shape, i = saved
        if self.padding is not None:
            gy = gy * xp.expand_dims(i != self.padding, -1)
        if self.by_count:
            counts = xp.index_add(shape[:1], i, xp.ones(i.shape, dtype=gy.dtype))
            gy = gy / xp.expand_dims(counts[i], -1)
        return xp.index_add(shape, i, gy), None


_LINEAR, _BILINEAR = Linear(), Bilinear()


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return x W^T + b for x (..., K), W (L, K), b (L,).

    Raises ``ShapeError`` when the last dimension is not K, ``DtypeError`` for numbers of another type than W's.
    """
    try:
        if input._array.dtype != weight._array.dtype:
            raise other_type("linear (forward)", input, weight)
    except AttributeError:
        raise DtypeError("linear (forward)", "x as a tensor", type(input).__name__, hint="gyaku.as_tensor(x)") from None
    if bias is None:
        return apply(_LINEAR, input, weight)
    return apply(_LINEAR, input, weight, bias)


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return y_k = x1 W_k x2 + b_k for x1 (..., I), x2 (..., J), W (K, I, J)."""
    for x in (input1, input2):
        if x._array.dtype != weight._array.dtype:
            raise other_type("bilinear (forward)", x, weight)
    if input1.shape[:-1] != input2.shape[:-1]:
        raise ShapeError("bilinear (forward)", "the same leading dimensions", f"{input1.shape} and {input2.shape}")
    given = (input1, input2, weight) if bias is None else (input1, input2, weight, bias)
    return apply(_BILINEAR, *given)


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Return the rows of ``weight`` (K, D) that the integers ``input`` name: shape (*input.shape, D).

    ``padding_idx`` is a row that gets no gradient; ``max_norm`` first shrinks longer rows in place;
    ``scale_grad_by_freq`` divides the gradient of a row by its count. Raises ``PositionError`` for an index outside
    0..K-1. Gradients are dense: ``sparse=True`` is refused.
    """
    if sparse:
        raise ArgumentError("embedding", "sparse=False (gradients are dense)", "sparse=True")
    check_indices(input, weight.shape[0])
    if max_norm is not None:
        _renormalize(weight, input, max_norm, norm_type)
    padding = None if padding_idx is None else padding_idx % weight.shape[0]
    return apply(Embedding(padding, scale_grad_by_freq), weight, input)


def check_indices(input: Tensor, n: int) -> None:
    """Raise unless all of ``input`` are integers within 0..n-1; the message names the first that is not."""
    i = input._array
    if i.dtype.kind not in "iu":
        raise DtypeError("Embedding", "integer indices", repr(input.dtype), hint="x.long()")
    if tracing.recorder is not None and hasattr(i, "within"):
        i.within(0, n, "Embedding")  # a tracer asks for it at each run
        return
    bad = (i < 0) | (i >= n)
    if bad.any():
        flat = int(bad.reshape(-1).argmax())
        at: list[int] = []
        left = flat
        for size in reversed(i.shape):
            left, here = divmod(left, size)
            at.insert(0, here)
        raise PositionError("Embedding", f"indices 0..{n - 1}", f"{int(i.reshape(-1)[flat])} at {tuple(at)}")


def _renormalize(weight: Tensor, input: Tensor, max_norm: float, norm_type: float) -> None:
    from gyaku.core.mode import no_grad
    from gyaku.core.tensor import write

    with no_grad():
        for k in sorted({int(i) for i in input._array.reshape(-1).tolist()}):
            row = weight._array[k]
            length = float((abs(row) ** norm_type).sum() ** (1 / norm_type))
            if length > max_norm:
                write(weight, row * (max_norm / (length + 1e-7)), k)


def other_type(where: str, x: Tensor, weight: Tensor) -> DtypeError:
    """Return the error for an input whose type of numbers is not that of the weights."""
    name = weight.dtype.name
    short = {"float32": "float", "float64": "double", "float16": "half"}[name]
    return DtypeError(where, f"x of {name}, as the weights", x.dtype.name, hint=f"x.{short}()")


def _size(shape: tuple[int, ...]) -> int:
    n = 1
    for s in shape:
        n *= s
    return n
