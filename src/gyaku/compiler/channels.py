"""A pass for machine code: pictures lie with their channels last, and convolutions become ``correlate``.

Formulas say (N, C, H, W). In memory (N, H, W, C) is better: vectors run over channels, for a convolution as for batch
norm, pooling and sums. So every value that comes from a convolution, and what follows from it element by element, is
computed with its axes turned; whoever wants it as the formula has it gets a view (a transpose). Where nothing is
convolved, nothing changes. The program means the same; only sums over a whole batch become sums of each sample's sums.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from numpy.lib.array_utils import normalize_axis_tuple

from gyaku.compiler import convolution as c
from gyaku.compiler import joins  # noqa: F401  (enters its primitive)
from gyaku.compiler.primitives import PRIMITIVES
from gyaku.compiler.program import Equation, Program, Var
from gyaku.compiler.relayout import SUMS, Relayout

_BY_SAMPLE = 16  # elements of a sample's channel from which a sum over the batch is made of sums over samples


def channels_last(program: Program) -> Program:
    """Return the program with channels last where it convolves; any other program as it is."""
    if not any(e.op in c.CONVOLUTIONS and c.expressible(e) for e in program.equations):
        return program
    return _Turning(program).run()


def last(ndim: int) -> tuple[int, ...]:
    """Return the axes that bring channels to the end: (0, 2, 3, 1)."""
    return (0, *range(2, ndim), 1)


def first(ndim: int) -> tuple[int, ...]:
    """Return the axes that bring them back: (0, 3, 1, 2)."""
    return (0, ndim - 1, *range(1, ndim - 1))


class _Turning(Relayout):
    """One walk through the equations; ``turned[v]`` is v with its channels last."""

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self.turned: dict[Var, Var] = {}
        self.plain: set[Var] = set(program.inputs)  # values that are there as the formula has them
        self.dense: set[Var] = set()  # turned values that lie in order, without gaps
        self._views: dict[tuple[Var, int], Var] = {}

    def run(self) -> Program:
        """Return the program turned."""
        for e in self.program.equations:
            self.where = e.where
            rule = self._rule(e)
            if rule is None or not rule(e):
                self._as_it_is(e)
        for v in self.program.outputs:
            self.straight(v)
        return self.finished()

    def _rule(self, e: Equation) -> Callable[[Equation], bool] | None:
        if e.op in c.CONVOLUTIONS:
            return getattr(self, f"_{e.op}") if c.expressible(e) else None
        if not any(v in self.turned for v in e.vars):
            return None
        if PRIMITIVES[e.op].kind == "elementwise":
            return self._elementwise
        if e.op in SUMS:
            return self._reduce
        return getattr(self, f"_{e.op}", None)

    # -- values as they are, and turned --------------------------------------------------------------------------------
    def straight(self, v: Var) -> Var:
        """Return a value as the formula has it."""
        if v in self.turned and v not in self.plain:
            self.emit("transpose", self.turned[v], into=v, axes=first(v.ndim))
            self.plain.add(v)
        return v

    def turn(self, v: Var, ndim: int = 0) -> Var:
        """Return a value with its channels last, as one of ``ndim`` dimensions where it is broadcast to them."""
        if v in self.turned:
            return self.turned[v]
        if v.ndim in (0, 1) and ndim > 1 and v.size == 1:
            return v
        key = v, max(v.ndim, ndim)
        if key not in self._views:
            wide = v if v.ndim >= ndim else self.emit("reshape", v, shape=(1,) * (ndim - v.ndim) + v.shape)
            self._views[key] = self.emit("transpose", wide, axes=last(wide.ndim))
        return self._views[key]

    def _made(self, v: Var, turned: Var, dense: bool = False) -> bool:
        self.turned[v] = turned
        if dense:
            self.dense.add(turned)
        return True

    def _as_it_is(self, e: Equation) -> None:
        for v in e.vars:
            self.straight(v)
        self.equations.append(e)
        self.plain.update(e.outputs)

    # -- convolutions --------------------------------------------------------------------------------------------------
    def _conv(self, e: Equation) -> bool:
        x, w = e.vars
        scheme = c.forward_scheme(e.param("geometry"), x.shape[2:], w.shape[2:], e.output.shape[2:])
        taps = self.emit("contiguous", self.emit("transpose", self._flat_weights(w), axes=(2, 3, 1, 0)))
        return self._correlate(e, x, (taps,), scheme)

    def _conv_input(self, e: Equation) -> bool:
        g, w = e.vars
        geometry, size = e.param("geometry"), e.param("size")
        scheme = c.backward_scheme(geometry, size, w.shape[2:], g.shape[2:])
        if scheme is None:
            return False
        taps = []
        for key in scheme.keys:
            part = self._flat_weights(self.emit("slice", w, key=key))
            part = self.emit("flip", part, axis=(2, 3))
            taps.append(self.emit("contiguous", self.emit("transpose", part, axes=(2, 3, 0, 1))))
        return self._correlate(e, g, tuple(taps), scheme)

    def _conv_weight(self, e: Equation) -> bool:
        x, g = e.vars
        scheme = c.forward_scheme(e.param("geometry"), x.shape[2:], e.param("kernel"), g.shape[2:])
        blocks = c.blocks_of(x.shape[0], e.output.nbytes)
        given = self.turn(g)
        if given not in self.dense:
            given = self.emit("contiguous", given)
        parts = self.emit(
            "correlate_weight", self._plane(self.turn(x)), self._plane(given), scheme=scheme, blocks=blocks
        )
        total = self.emit("sum", parts, axis=0)
        gw = self.emit("transpose", total, axes=(3, 2, 0, 1))
        if e.output.ndim == 3:
            self.emit("slice", gw, into=e.output, key=(slice(None), slice(None), 0))
        else:  # the equation that makes the formula's value comes last
            made = self.equations.pop()
            self.equations.append(Equation(made.op, made.inputs, made.params, e.outputs, e.where))
        self.plain.add(e.output)
        return True

    def _correlate(self, e: Equation, x: Var, taps: tuple[Var, ...], scheme: c.Scheme) -> bool:
        size = c.plane(e.output.shape[2:], 1)
        y = self.emit("correlate", self._plane(self.turn(x)), *taps, scheme=scheme, size=size)
        if e.output.ndim == 3:
            y = self.emit("reshape", y, shape=(y.shape[0], *y.shape[2:]))
        return self._made(e.output, y, dense=True)

    def _plane(self, x: Var) -> Var:
        """Return (N, W, C) as (N, 1, W, C)."""
        return x if x.ndim == 4 else self.emit("reshape", x, shape=(x.shape[0], 1, *x.shape[1:]))

    def _flat_weights(self, w: Var) -> Var:
        return w if w.ndim == 4 else self.emit("reshape", w, shape=(*w.shape[:2], 1, *w.shape[2:]))

    # -- what follows them ---------------------------------------------------------------------------------------------
    def _elementwise(self, e: Equation) -> bool:
        y = e.output
        if y.ndim < 3 or not any(v in self.turned and v.shape == y.shape for v in e.vars):
            return False
        inputs = [self.turn(v, y.ndim) if type(v) is Var else v for v in e.inputs]
        return self._made(y, self.emit(e.op, *inputs, **dict(e.params)), dense=True)

    def _reduce(self, e: Equation) -> bool:
        (x,) = e.vars
        t, axis, keep = self.turned[x], e.param("axis"), bool(e.param("keepdims", False))
        axes = tuple(range(x.ndim)) if axis is None else normalize_axis_tuple(axis, x.ndim)
        places = [last(x.ndim).index(a) for a in sorted(axes)]
        t = self._by_sample(e, x, t, places)
        if keep:
            return self._made(e.output, self.emit(e.op, t, axis=tuple(places), keepdims=True))
        left = [a for a in last(x.ndim) if a not in axes]  # the axes that stay, in the order they lie in
        if left == sorted(left):
            self.emit(e.op, t, into=e.output, axis=tuple(places))
        else:
            found = self.emit(e.op, t, axis=tuple(places))
            self.emit("transpose", found, into=e.output, axes=tuple([left.index(a) for a in sorted(left)]))
        self.plain.add(e.output)
        return True

    def _by_sample(self, e: Equation, x: Var, t: Var, places: list[int]) -> Var:
        """Sum each sample by itself first where a sum runs over the batch: threads share samples, not channels."""
        inside = tuple([p for p in places if p])
        over = math.prod(t.shape[p] for p in inside)
        if e.op != "sum" or 0 not in places or over < _BY_SAMPLE:
            return t
        return self.emit("sum", t, axis=inside, keepdims=True)

    def _reshape(self, e: Equation) -> bool:
        (x,), shape, t = e.vars, e.output.shape, self.turned[e.vars[0]]
        if self._tiles(e):
            return True
        if len(shape) > 2 and shape[:2] == x.shape[:2]:
            return self._made(
                e.output, self.emit("reshape", t, shape=(shape[0], *shape[2:], shape[1])), t in self.dense
            )
        if x.shape[1] == 1 or math.prod(x.shape[2:]) == 1:  # turned or not, the elements come in the same order
            self.emit("reshape", t, into=e.output, shape=shape)
            self.plain.add(e.output)
            return True
        return False

    def _tiles(self, e: Equation) -> bool:
        """The gradient of pooling: parts joined, their axes turned to (N, C, OH, KH, OW, KW), as a picture again."""
        t = self.made.get(e.vars[0])
        if t is None or t.op != "transpose" or t.param("axes") != (0, 1, 4, 2, 5, 3) or e.output.ndim != 4:
            return False
        n, ch, kh, kw, h, w = t.vars[0].shape
        stack = self._source(t.vars[0], "reshape")
        if stack is None or stack.op != "concatenate" or stack.param("axis") != 2:
            return False
        parts = [self._flattened(v, (n, ch, h, w)) for v in stack.vars]
        if e.output.shape != (n, ch, kh * h, kw * w) or len(parts) != kh * kw or None in parts:
            return False
        found = self.emit("interleave", *[self.turn(v) for v in parts if v is not None], kernel=(kh, kw))
        return self._made(e.output, found, dense=True)

    def _source(self, v: Var, through: str) -> Equation | None:
        """Return the equation that makes ``v``, or what ``v`` is a ``through`` of."""
        e = self.made.get(v)
        return self.made.get(e.vars[0]) if e is not None and e.op == through and e.vars else e

    def _flattened(self, v: Var, shape: tuple[int, ...]) -> Var | None:
        e = self.made.get(v)
        return e.vars[0] if e is not None and e.op == "reshape" and e.vars[0].shape == shape else None

    def _slice(self, e: Equation) -> bool:
        (x,) = e.vars
        parts = _slices(e.param("key"), x.ndim)
        if parts is None:
            return False
        turned = tuple([parts[a] for a in last(x.ndim)])
        return self._made(e.output, self.emit("slice", self.turned[x], key=turned))

    def _index_add(self, e: Equation) -> bool:
        """The gradient of a slice: the values between zeros, side by side or, for every s-th one, interleaved."""
        shape, values = e.param("shape"), e.vars[0]
        parts = _slices(e.param("pattern"), len(shape))
        if len(e.vars) > 1 or parts is None or len(shape) != 4:
            return False
        spans = [parts[a].indices(shape[a]) for a in last(4)]
        sizes = [shape[a] for a in last(4)]
        t = self.turned[values]
        if t.shape != tuple([len(range(*span)) for span in spans]):
            return False
        kernel = (spans[1][2], spans[2][2])
        steps = all(step > 0 for _, _, step in spans) and spans[0][2] == spans[3][2] == 1
        whole = all(s == 1 or (spans[i][0] < s and t.shape[i] * s == sizes[i]) for i, s in zip((1, 2), kernel))
        if not steps or not whole:
            return False
        if kernel != (1, 1):
            at = spans[1][0] % kernel[0] * kernel[1] + spans[2][0] % kernel[1]
            zeros = self._zeros(t.shape, t)
            t = self.emit("interleave", *[t if i == at else zeros for i in range(math.prod(kernel))], kernel=kernel)
        for axis, (start, _, step) in enumerate(spans):
            if step == 1 and t.shape[axis] < sizes[axis]:
                t = self._framed(t, axis, start, sizes[axis] - start - t.shape[axis])
        return self._made(e.output, t, dense=t is not self.turned[values])

    def _framed(self, t: Var, axis: int, before: int, after: int) -> Var:
        """Return ``t`` with zeros before and after it."""
        ends = [self._zeros((*t.shape[:axis], n, *t.shape[axis + 1 :]), t) for n in (before, after)]
        parts = [v for v in (ends[0], t, ends[1]) if v.shape[axis]]
        return self.emit("concatenate", *parts, axis=axis)

    def _zeros(self, shape: tuple[int, ...], like: Var) -> Var:
        return self.emit("full", shape=shape, value=0, dtype=like.dtype)

    def _broadcast_to(self, e: Equation) -> bool:
        (x,), shape = e.vars, e.output.shape
        if x.ndim != len(shape):
            return False
        return self._made(e.output, self.emit("broadcast_to", self.turned[x], shape=(shape[0], *shape[2:], shape[1])))

    def _flip(self, e: Equation) -> bool:
        (x,), axis = e.vars, e.param("axis")
        axes = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        places = tuple([last(x.ndim).index(a % x.ndim) for a in axes])
        return self._made(e.output, self.emit("flip", self.turned[x], axis=places))

    def _transpose(self, e: Equation) -> bool:
        (x,), axes = e.vars, e.param("axes")
        if axes[:2] == (0, 1):
            own = (0, *[a - 1 for a in axes[2:]], x.ndim - 1)
            return self._made(e.output, self.emit("transpose", self.turned[x], axes=own))
        self.emit("transpose", self.turned[x], into=e.output, axes=tuple([last(x.ndim).index(a) for a in axes]))
        self.plain.add(e.output)
        return True

    def _concatenate(self, e: Equation) -> bool:
        if e.output.ndim < 3:
            return False
        axis = last(e.output.ndim).index(e.param("axis"))
        return self._made(e.output, self.emit("concatenate", *map(self.turn, e.vars), axis=axis), dense=True)


def _slices(key: Any, ndim: int) -> list[slice] | None:
    """Return a key as one slice for each dimension; None where it is more than slices."""
    parts = list(key) if isinstance(key, tuple) else [key]
    at = next((i for i, p in enumerate(parts) if p is Ellipsis), None)
    if at is not None:
        parts[at : at + 1] = [slice(None)] * (ndim - len(parts) + 1)
    parts += [slice(None)] * (ndim - len(parts))
    return parts if len(parts) == ndim and all(isinstance(p, slice) for p in parts) else None
