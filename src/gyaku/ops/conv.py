"""Convolution (S1 §10 in two dimensions): three bilinear operations whose derivatives are one another.

Layout as PyTorch's: x (N, C, *size), w (L, C/groups, *kernel), y (N, L, *out), and the kernel is not flipped. The
formula is in ``gyaku.backend.convolution``; a transposed convolution is ``ConvInput`` run forward.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from gyaku.backend.convolution import Geometry, Sizes
from gyaku.base.errors import ArgumentError, DtypeError, ShapeError
from gyaku.core.op import Op, apply, register
from gyaku.core.tensor import Tensor, new_tensor
from gyaku.ops.geometry import check_fits, geometry_of, numbers, shape_text
from gyaku.ops.linear import other_type
from gyaku.ops.namespace import tensor_namespace, translated


def _with_bias(xp: Any, y: Any, b: Any) -> Any:
    """Return ``y`` (N, L, ...) with b (L,) added to each channel; ``y`` is fresh, its memory is used again."""
    if b is not None:
        y += xp.reshape(b, (-1, *[1] * (y.ndim - 2)))
    return y


def _bias_gradient(xp: Any, gy: Any) -> Any:
    return xp.sum(gy, axis=(0, *range(2, gy.ndim)))


@register
class Conv(Op):
    """y = conv(x, w) + b; gx = conv_input(gy, w), gw = conv_weight(x, gy), gb = sum of gy over samples and places."""

    geometry: Geometry
    keep = "x w"
    label = "conv({0}, {1}) + {2}"

    def forward(self, xp: Any, x: Any, w: Any, b: Any = None) -> Any:
        return _with_bias(xp, xp.conv(x, w, self.geometry), b)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        x, w = saved
        gx = xp.conv_input(gy, w, self.geometry, x.shape[2:]) if needs[0] else None
        gw = xp.conv_weight(x, gy, self.geometry, w.shape[2:]) if needs[1] else None
        return (gx, gw) if len(needs) == 2 else (gx, gw, _bias_gradient(xp, gy) if needs[2] else None)


@register
class ConvInput(Op):
    """y = conv_input(g, w) + b, with y like the input of ``conv``; gg = conv(gy, w), gw = conv_weight(gy, g)."""

    geometry: Geometry
    size: Sizes
    keep = "g w"
    label = "convT({0}, {1}) + {2}"

    def forward(self, xp: Any, g: Any, w: Any, b: Any = None) -> Any:
        return _with_bias(xp, xp.conv_input(g, w, self.geometry, self.size), b)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        g, w = saved
        gg = xp.conv(gy, w, self.geometry) if needs[0] else None
        gw = xp.conv_weight(gy, g, self.geometry, w.shape[2:]) if needs[1] else None
        return (gg, gw) if len(needs) == 2 else (gg, gw, _bias_gradient(xp, gy) if needs[2] else None)


@register
class ConvWeight(Op):
    """y = conv_weight(x, g), with y like the kernel; gx = conv_input(g, gy), gg = conv(x, gy)."""

    geometry: Geometry
    kernel: Sizes
    keep = "x g"
    label = "corr({0}, {1})"

    def forward(self, xp: Any, x: Any, g: Any) -> Any:
        return xp.conv_weight(x, g, self.geometry, self.kernel)

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        x, g = saved
        gx = xp.conv_input(g, gy, self.geometry, x.shape[2:]) if needs[0] else None
        return gx, xp.conv(x, gy, self.geometry) if needs[1] else None


@translated
def conv(x: Tensor, w: Tensor, geometry: Geometry) -> Tensor:
    """Return the convolution of ``x`` by the kernel ``w``."""
    return apply(Conv(geometry), x, w)


@translated
def conv_input(g: Tensor, w: Tensor, geometry: Geometry, size: Sizes) -> Tensor:
    """Return the adjoint of ``conv`` in its input."""
    return apply(ConvInput(geometry, tuple(size)), g, w)


@translated
def conv_weight(x: Tensor, g: Tensor, geometry: Geometry, kernel: Sizes) -> Tensor:
    """Return the adjoint of ``conv`` in its kernel."""
    return apply(ConvWeight(geometry, tuple(kernel)), x, g)


# --- functions -------------------------------------------------------------------------------------------------------
def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """Return the convolution of x (N, C, W) or (C, W) by ``weight`` (L, C/groups, K): (N, L, out); see ``conv2d``."""
    return _convolved("conv1d", input, weight, bias, (stride, padding, dilation, groups), 1)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """Return the convolution of x (N, C, H, W) or (C, H, W) by ``weight`` (L, C/groups, KH, KW), plus ``bias`` (L,).

        y[n,l,i,j] = b[l] + sum over c, p, q of x[n, c, i s + p d - pad, j s + q d - pad] w[l,c,p,q]

    y is (N, L, OH, OW) with OH = (H + pads - d (KH - 1) - 1) // s + 1. ``stride``, ``padding`` and ``dilation`` are one
    number or one for each dimension. ``padding`` may also be "valid" (none), "same" (y as large as x, stride 1) or,
    beyond PyTorch, pairs (before, after) for each dimension: ``((1, 2), (0, 1))``. The first C/groups channels make the
    first L/groups outputs, and so on. Raises ``ShapeError`` for channels that do not fit or a kernel larger than the
    padded input, ``DtypeError`` for numbers of another type than the weights.
    """
    return _convolved("conv2d", input, weight, bias, (stride, padding, dilation, groups), 2)


def _channel_hint(shape: tuple[int, ...], channels: int, dims: int) -> str:
    """Return how pictures get their channels to the second place; "" where the shape does not tell."""
    if len(shape) == dims + 1 and channels == 1:
        return "x[:, None], if these are N samples of one channel"
    if shape[-1] != channels:
        return ""
    order = (0, dims + 1, *range(1, dims + 1)) if len(shape) == dims + 2 else (dims, *range(dims))
    return f"x.permute{order}, if the channels come last"


def _convolved(where: str, x: Any, w: Any, b: Any, options: tuple[Any, ...], dims: int) -> Tensor:
    one = _check_tensors(where, x, w, dims)
    geometry = geometry_of(where, tuple(w.shape[2:]), *options)
    channels = w.shape[1] * geometry.groups
    if x.shape[1 - one] != channels:
        wanted, hint = f"x of shape {shape_text(channels, dims)}", _channel_hint(tuple(x.shape), channels, dims)
        raise ShapeError(where + " (forward)", wanted, str(tuple(x.shape)), hint=hint)
    if w.shape[0] % geometry.groups:
        raise ShapeError(
            where + " (forward)", f"output channels divisible by groups={geometry.groups}", str(w.shape[0])
        )
    check_fits(where, x.shape[2 - one :], tuple(w.shape[2:]), geometry)
    _check_bias(where, b, w.shape[0])
    y = apply(Conv(geometry), *[v for v in (x.unsqueeze(0) if one else x, w, b) if v is not None])
    return y.squeeze(0) if one else y


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """Return the adjoint of ``conv1d`` on x (N, L, W) with ``weight`` (L, C/groups, K); see ``conv_transpose2d``."""
    options = (stride, padding, dilation, groups)
    return _transposed("conv_transpose1d", input, weight, bias, options, output_padding, 1)


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """Return what ``conv2d`` hands back to its input: each x puts the kernel, x times, over its place.

    x (N, L, H, W) or (L, H, W), ``weight`` (L, C/groups, KH, KW), ``bias`` (C,); y is (N, C, OH, OW) with
    OH = (H - 1) stride - pads + dilation (KH - 1) + output_padding + 1. ``output_padding`` adds rows at the end:
    with a stride outputs of several sizes have the same input. ``padding`` cuts off as many rows as it adds in
    ``conv2d``; pairs as there.
    Raises ``ShapeError`` for channels that do not fit, ``ArgumentError`` for an output_padding not smaller than stride
    or dilation.
    """
    options = (stride, padding, dilation, groups)
    return _transposed("conv_transpose2d", input, weight, bias, options, output_padding, 2)


def _transposed(where: str, g: Any, w: Any, b: Any, options: tuple[Any, ...], extra: Any, dims: int) -> Tensor:
    one = _check_tensors(where, g, w, dims)
    kernel = tuple(w.shape[2:])
    if isinstance(options[1], str):
        raise ArgumentError(where, "padding as numbers", repr(options[1]))
    geometry, more = geometry_of(where, kernel, *options), numbers(where, "output_padding", extra, dims, 0)
    if g.shape[1 - one] != w.shape[0]:
        raise ShapeError(where + " (forward)", f"x of shape {shape_text(w.shape[0], dims)}", str(tuple(g.shape)))
    if w.shape[0] % geometry.groups:
        raise ShapeError(where + " (forward)", f"input channels divisible by groups={geometry.groups}", str(w.shape[0]))
    if any(m >= max(s, d) for m, s, d in zip(more, geometry.stride, geometry.dilation, strict=True)):
        raise ArgumentError(where, "output_padding smaller than stride or dilation", str(more))
    _check_bias(where, b, w.shape[1] * geometry.groups)
    geometry, size, rest = _room(geometry, tuple(g.shape[2 - one :]), kernel, more)
    if min(size) < 1:
        raise ShapeError(where + " (forward)", "an output of at least 1 element", str(size), hint="use less padding")
    g = g.unsqueeze(0) if one else g
    if any(rest):
        y = _with_bias(tensor_namespace, _lengthened(apply(ConvInput(geometry, size), g, w), rest), b)
    else:
        y = apply(ConvInput(geometry, size), *[v for v in (g, w, b) if v is not None])
    return y.squeeze(0) if one else y


def _room(geometry: Geometry, out: Sizes, kernel: Sizes, more: Sizes) -> tuple[Geometry, Sizes, Sizes]:
    """Return the geometry and size of y, and how many zeros follow that no kernel reaches.

    Rows asked for at the end (``more``) are first taken from what the padding would cut off; less than a stride of them
    may lie beyond the last kernel; what is left is zeros.
    """
    reach, padding, size, rest = geometry.reach(kernel), [], [], []
    for n, r, s, (before, after), m in zip(out, reach, geometry.stride, geometry.padding, more, strict=True):
        cut = max(after - m, 0)
        beyond = m - (after - cut)
        left = max(beyond - (s - 1), 0)
        padding.append((before, cut))
        size.append((n - 1) * s + r - before - cut + beyond - left)
        rest.append(left)
    return dataclasses.replace(geometry, padding=tuple(padding)), tuple(size), tuple(rest)


def _lengthened(y: Tensor, rest: Sizes) -> Tensor:
    """Return ``y`` with zeros behind each dimension of space."""
    for axis, n in enumerate(rest, 2):
        if n:
            zeros = new_tensor(y.detach()[(slice(None),) * axis + (slice(0, 1),)]._array * 0)
            y = tensor_namespace.concatenate([y, *[zeros] * n], axis)
    return y


# --- arguments -------------------------------------------------------------------------------------------------------
def _check_tensors(where: str, x: Any, w: Any, dims: int) -> bool:
    """Refuse what is no tensor, of another type or number of dimensions; return whether ``x`` is one sample alone."""
    for name, t in (("x", x), ("weight", w)):
        if not isinstance(t, Tensor):
            raise DtypeError(f"{where} (forward)", f"{name} as a tensor", type(t).__name__, hint="gyaku.as_tensor(x)")
    if x._array.dtype != w._array.dtype:
        raise other_type(f"{where} (forward)", x, w)
    if w.ndim != dims + 2:
        raise ShapeError(f"{where} (forward)", f"a weight of {dims + 2} dimensions", str(tuple(w.shape)))
    if x.ndim not in (dims + 1, dims + 2):
        hint = "x[None, None], if it is one picture of one channel" if x.ndim == dims == 2 else ""
        wanted = f"x of shape {shape_text(w.shape[1], dims)}"
        raise ShapeError(f"{where} (forward)", wanted, str(tuple(x.shape)), hint=hint)
    return bool(x.ndim == dims + 1)


def _check_bias(where: str, b: Any, channels: int) -> None:
    if b is not None and tuple(b.shape) != (channels,):
        raise ShapeError(f"{where} (forward)", f"a bias of shape ({channels},)", str(tuple(b.shape)))
