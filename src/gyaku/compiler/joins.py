"""Values put together from parts: a part that a loop computes goes straight to its place, others are copied."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from gyaku.compiler.primitives import PRIMITIVES, Primitive
from gyaku.compiler.program import Equation, Var
from gyaku.compiler.views import Storage, View, whole

if TYPE_CHECKING:
    from gyaku.compiler.fuse import Fusion


def _interleave(p: dict[str, Any], *parts: Any) -> Any:
    """Return (N, KH OH, KW OW, C) of KH KW parts (N, OH, OW, C): part (i, j) at rows i + KH h, columns j + KW w."""
    (kh, kw), (n, h, w, c) = p["kernel"], parts[0].shape
    out = np.empty((n, kh * h, kw * w, c), parts[0].dtype)
    for (i, j), part in zip(product(range(kh), range(kw)), parts, strict=True):
        out[:, i::kh, j::kw] = part
    return out


def _interleaved(p: dict[str, Any], x: Any) -> list[Any]:
    (kh, kw), (n, h, w, c) = p["kernel"], x[0].shape
    if len(x) != kh * kw or any(v.shape != x[0].shape for v in x):
        raise ValueError(f"parts of shapes {[v.shape for v in x]} do not fill {kh} x {kw}")
    return [((n, kh * h, kw * w, c), x[0].dtype, False)]


PRIMITIVES["interleave"] = Primitive("interleave", "shape", _interleave, _interleaved)


def join(fusion: Fusion, e: Equation) -> None:
    """Settle where the parts of a concatenation or interleaving lie."""
    from gyaku.compiler.fuse import Kernel

    storage = fusion._new("work", e.output)
    out = whole(storage, e.output.shape)
    for v, key in _pieces(e):
        if v.size and not _placed(fusion, v, out.slice(key), e.output):
            kernel = Kernel("map", v.shape, [])
            kernel.extra["copy"] = (v, out.slice(key), storage)
            if v in fusion.literals:
                kernel.extra["source"] = _repeated(fusion, v)
            else:
                kernel.extra["reads"] = [v]
            fusion.kernels.append(kernel)
    fusion.views[e.output] = out
    fusion.home[e.output] = len(fusion.kernels) - 1


def _pieces(e: Equation) -> list[tuple[Var, tuple[slice, ...]]]:
    """Return the parts with the slices of the whole that they fill."""
    if e.op == "interleave":
        kh, kw = e.param("kernel")
        keys = [(slice(None), slice(i, None, kh), slice(j, None, kw)) for i, j in product(range(kh), range(kw))]
        return list(zip(e.vars, keys, strict=True))
    axis, at, found = e.param("axis"), 0, []
    for v in e.vars:
        found.append((v, (slice(None),) * axis + (slice(at, at + v.shape[axis]),)))
        at += v.shape[axis]
    return found


def _repeated(fusion: Fusion, v: Var) -> View:
    """Return an array of one number as a view of that number."""
    number = np.full((), fusion.literals[v], v.dtype)
    storage = Storage("constant", len(fusion.storages), v.dtype, 1, number)
    fusion.storages.append(storage)
    return View(storage, v.shape, (0,) * v.ndim)


def covers(part: View, rows: int) -> bool:
    """Whether a part has some of each of the ``rows`` rows of the whole, so that threads may share them."""
    return part.ndim > 1 and part.shape[0] == rows > 1 and part.strides[0] * rows == part.storage.size


def _placed(fusion: Fusion, v: Var, part: View, out: Var) -> bool:
    """Let ``v`` lie in its part of the whole, if a loop makes it and nothing else says where it lies.

    Threads share the rows of the whole as they share those of the part, so both must have the same ones.
    """
    home = fusion.home.get(v, -1)
    maker = fusion.kernels[home] if home >= 0 and v not in fusion.alias else None
    alike = covers(part, out.shape[0]) and v.dtype == out.dtype
    if maker is None or maker.kind != "map" or v not in maker.made or v in fusion.views or not alike:
        return False
    if v in fusion.program.outputs or maker.shape != v.shape:
        return False
    fusion.views[v] = part
    fusion.placed[v] = None
    return True
