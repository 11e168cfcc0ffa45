"""Random tensors: every draw comes from a ``Generator`` and moves only its counter."""

from __future__ import annotations

from typing import Any

import numpy as np

from gyaku.backend import random
from gyaku.backend.dtypes import dtype
from gyaku.base.errors import ArgumentError, DtypeError, ShapeError
from gyaku.core.op import public
from gyaku.core.tensor import Tensor
from gyaku.ops.creation import finished, numpy_type, sizes_of


def stream(generator: random.Generator | None) -> random.Generator:
    """Return ``generator``, or the default stream, which ``manual_seed`` seeds."""
    if generator is None:
        return random.default_generator
    if not isinstance(generator, random.Generator):
        raise DtypeError("generator", "a gyaku.Generator", type(generator).__name__)
    return generator


def _floating(where: str, kind: Any, default: dtype | None = None) -> Any:
    numpy = numpy_type(kind, default)
    if numpy.kind != "f":
        raise DtypeError(where, "a floating dtype", str(numpy))
    return numpy


def uniforms(shape: tuple[int, ...], kind: Any, generator: random.Generator | None) -> Any:
    """Return uniforms in [0, 1) of a NumPy type; float16 has 11 bits, so that none rounds up to 1."""
    u = stream(generator).uniform(shape, np.float32 if kind == np.float16 else kind)
    return (np.floor(u * np.float32(2048)) / np.float32(2048)).astype(kind) if kind == np.float16 else u


@public()
def rand(
    *size: Any, generator: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Return uniform numbers in [0, 1)."""
    return finished(uniforms(sizes_of("rand", size), _floating("rand", dtype), generator), device, requires_grad)


@public()
def randn(
    *size: Any, generator: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Return standard normal numbers."""
    kind = _floating("randn", dtype)
    return finished(stream(generator).normal(sizes_of("randn", size), kind), device, requires_grad)


@public()
def randint(
    low: Any = 0,
    high: Any = None,
    size: Any = None,
    *,
    generator: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return whole numbers from ``low`` (0 unless given) up to but not including ``high``: ``randint(10, (3,))``."""
    if size is None and isinstance(high, (tuple, list)):
        low, high, size = 0, low, high
    elif size is not None and high is None:
        low, high = 0, low
    if high is None or size is None:
        raise ArgumentError("randint", "randint(high, size) or randint(low, high, size)", "no size")
    kind = numpy_type(int if dtype is None else dtype)
    if kind.kind in "iu" and (low < np.iinfo(kind).min or high > np.iinfo(kind).max + 1):
        raise ArgumentError("randint", f"ends that {kind} can hold", f"low={low}, high={high}")
    values = stream(generator).integers(int(low), int(high), sizes_of("randint", (size,)))
    return finished(values.astype(kind, copy=False), device, requires_grad)


@public()
def randperm(
    n: int, *, generator: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Return 0, 1, ..., n - 1 in random order."""
    (count,) = sizes_of("randperm", (n,))
    values = stream(generator).permutation(count).astype(numpy_type(int if dtype is None else dtype), copy=False)
    return finished(values, device, requires_grad)


@public()
def rand_like(
    input: Tensor, *, generator: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Return uniform numbers in [0, 1) in the shape, type and device of ``input``."""
    kind = _floating("rand_like", dtype, input.dtype)
    return finished(uniforms(input.shape, kind, generator), device or input.device, requires_grad)


@public()
def randn_like(
    input: Tensor, *, generator: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Return standard normal numbers in the shape, type and device of ``input``."""
    kind = _floating("randn_like", dtype, input.dtype)
    return finished(stream(generator).normal(input.shape, kind), device or input.device, requires_grad)


@public()
def randint_like(
    input: Tensor,
    low: Any = 0,
    high: Any = None,
    *,
    generator: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return whole numbers from ``low`` up to ``high`` in the shape, type and device of ``input``."""
    place, kind = device or input.device, dtype or input.dtype
    start, end = (0, low) if high is None else (low, high)
    shape = tuple(input.shape)
    return randint(start, end, shape, generator=generator, dtype=kind, device=place, requires_grad=requires_grad)


@public("bernoulli")
def bernoulli(input: Tensor, p: float | None = None, *, generator: Any = None) -> Tensor:
    """Return 1 with the probability that ``input`` says at each place, else 0, in the type of ``input``.

    With ``p`` that is the probability everywhere, and ``input`` gives shape and type alone.
    Raises ``ArgumentError`` for a probability outside [0, 1].
    """
    if p is not None:
        return input.detach().clone().bernoulli_(p, generator=generator)
    chance = input.detach().cpu()._array
    if chance.dtype.kind != "f":
        raise DtypeError("bernoulli", "floating probabilities", str(chance.dtype))
    if not np.all((chance >= 0) & (chance <= 1)):
        raise ArgumentError("bernoulli", "probabilities from 0 to 1", "one outside")
    return finished(
        (uniforms(chance.shape, chance.dtype, generator) < chance).astype(chance.dtype), input.device, False
    )


@public()
def normal(
    mean: Any,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return normal numbers of ``mean`` and deviation ``std`` (numbers with ``size``, or tensors, broadcast)."""
    tensors = [t for t in (mean, std) if isinstance(t, Tensor)]
    if not tensors and size is None:
        raise ArgumentError("normal", "a size, or a tensor for mean or std", "two numbers")
    m, s = (t.detach().cpu()._array if isinstance(t, Tensor) else t for t in (mean, std))
    if np.any(np.asarray(s) < 0):
        raise ArgumentError("normal", "std of at least 0", str(std))
    shape = np.broadcast_shapes(np.shape(m), np.shape(s)) if size is None else sizes_of("normal", (size,))
    kind = _floating("normal", dtype, tensors[0].dtype if tensors else None)
    values = (stream(generator).normal(shape) * s + m).astype(kind)
    return finished(values, device or (tensors[0].device if tensors else None), requires_grad)


@public("multinomial")
def multinomial(input: Tensor, num_samples: int, replacement: bool = False, *, generator: Any = None) -> Tensor:
    """Return ``num_samples`` positions for each row of weights, drawn in proportion to them (int64).

    Without replacement no position comes twice (the smallest of -log(u) / weight win).
    Raises ``ArgumentError`` for negative or missing weight, or more samples than positions with weight.
    """
    if input.ndim not in (1, 2) or not input.is_floating_point():
        raise ShapeError(
            "multinomial", "floating weights of 1 or 2 dimensions", f"{tuple(input.shape)} {input.dtype!r}"
        )
    w = np.atleast_2d(input.detach().cpu()._array).astype(np.float64)
    if not np.isfinite(w).all() or (w < 0).any() or (w.sum(axis=1) <= 0).any():
        bad = w[~(np.isfinite(w) & (w >= 0))]
        got = f"{bad[0]:g}" if bad.size else "all 0"
        raise ArgumentError("multinomial", "weights that are finite, at least 0 and not all 0", got)
    most = w.shape[1] if replacement else int((w > 0).sum(axis=1).min(initial=w.shape[1]))
    if num_samples < 1 or (num_samples > most and not replacement):
        raise ArgumentError("multinomial", f"1 to {most} samples without replacement", str(num_samples))
    draw = _with_replacement if replacement else _without_replacement
    rows = draw(w, num_samples, stream(generator))
    return finished(rows if input.ndim == 2 else rows[0], input.device, False)


def _with_replacement(w: Any, n: int, generator: random.Generator) -> Any:
    edges = np.cumsum(w, axis=1)
    u = generator.uniform((len(w), n)) * edges[:, -1:]
    return np.stack([np.searchsorted(e, row, side="right") for e, row in zip(edges, u)]).astype(np.int64)


def _without_replacement(w: Any, n: int, generator: random.Generator) -> Any:
    time = np.full(w.shape, np.inf)
    np.divide(-np.log1p(-generator.uniform(w.shape)), w, out=time, where=w > 0)
    return np.argsort(time, axis=1, kind="stable")[:, :n]
