"""A pass for machine code: activations of large layers lie features by batch, H' = W X' in place of H = X W'.

Formulas say (batch, features). With a large weight that is the wrong way round: its rows are what threads share in the
update, so they had better be what threads share in the products too. Turned, a layer's weight, gradient and moments
stay with one core from forward to update, and the products of hidden layers read weights as they lie, without packing
them first. So every value that such a product makes, and what follows from it element by element, is computed with its
two axes turned; whoever wants it as the formula has it gets a view (a transpose). Where no weight is large, nothing
changes. Measured in decision 0007.
"""

from __future__ import annotations

from collections.abc import Iterator

from gyaku.compiler.primitives import PRIMITIVES
from gyaku.compiler.program import Equation, Operand, Program, Var
from gyaku.compiler.relayout import SUMS, Relayout
from gyaku.compiler.turn_mask import SIDE

# What was measured (decision 0007): large weights pay at every size of a batch, smaller ones in small batches, where
# packing the weights takes as long as the product; batches of a few samples fill too little of a vector.
_LARGE = 200 * 1024  # bytes of a weight between hidden layers from which it pays
_LARGE_FIRST = 512 * 1024  # the same for a weight that meets what is given, whose rows have to be turned for it
_SMALL_BATCH = 64  # samples up to which ...
_LARGE_IN_SMALL = 32 * 1024  # ... so many bytes are enough
_FEWEST = 8  # samples
_SOURCES = ("matmul", "mask", "full", "broadcast_to")  # beside loops, what may make a value that is turned
_COPIED = ("reshape",)  # what would have to put a turned value back into its order


def features_first(program: Program) -> Program:
    """Return the program with the activations of its large layers turned; any other program as it is."""
    turned = _Groups(program).members()
    return _Turning(program, turned).run() if turned else program


class _Groups:
    """Matrices that belong together because equations between them go element by element."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.inputs = set(program.inputs)
        self.made = {v: e for e in program.equations for v in e.outputs}
        self.parent: dict[Var, Var] = {}

    def root(self, v: Var) -> Var:
        """Return the value that stands for the group of ``v``."""
        while (above := self.parent.get(v, v)) is not v:
            self.parent[v] = self.parent.get(above, above)  # shorter for the next who asks
            v = above
        return v

    def members(self) -> set[Var]:
        """Return the values to turn: those in a group with what a product by a large weight reads or makes.

        A group stays as it is if it is given, asked for as a result, made by what has an order of its own, or read so.
        """
        products = [e for e in self.program.equations if e.op == "matmul" and self._large(e)]
        if not products:
            return set()
        for e in self.program.equations:
            if self._elementwise(e.output):
                for v in _alike(e):
                    self.parent[self.root(v)] = self.root(e.output)
        matrices = [v for v in self.made if v.ndim == 2]
        fixed = [v for v in matrices if not self._elementwise(v) and self.made[v].op not in _SOURCES]
        fixed += [v for e in self.program.equations if e.op in _COPIED for v in e.vars]
        roots = {self.root(v) for e in products for v in (e.output, e.vars[0])}
        roots -= {self.root(v) for v in [*fixed, *self.program.inputs, *self.program.outputs]}
        return {v for v in matrices if self.root(v) in roots}

    def _elementwise(self, v: Var) -> bool:
        return v in self.made and PRIMITIVES[self.made[v].op].kind == "elementwise"

    def _large(self, e: Equation) -> bool:
        """Whether a product is one of a batch of rows by a large weight, or by its transpose."""
        a, b = e.vars
        if a.ndim != 2 or b.ndim != 2 or a.shape[0] < _FEWEST or e.output.dtype.kind != "f":
            return False
        if b not in self.inputs and _transposed(self.made.get(b)) not in self.inputs:
            return False
        hidden = self._elementwise(a) or (a in self.made and self.made[a].op == "matmul")
        if not hidden and e.output.shape[1] < a.shape[0]:
            return False  # there would be more to pack than before
        limit = _LARGE_IN_SMALL if a.shape[0] <= _SMALL_BATCH else _LARGE if hidden else _LARGE_FIRST
        return b.nbytes >= limit


def _transposed(e: Equation | None) -> Var | None:
    """Return what an equation is the transpose of, if it makes one of a matrix."""
    return e.vars[0] if e is not None and e.op == "transpose" and e.param("axes") == (1, 0) else None


def _alike(e: Equation) -> Iterator[Var]:
    """Yield the operands of an elementwise equation that are matrices of the shape of its result."""
    if e.output.ndim == 2:
        yield from (v for v in e.vars if v.shape == e.output.shape)


class _Turning(Relayout):
    """One walk through the equations; ``self.turned[v]`` is the transpose of ``v``, which is computed in its place."""

    def __init__(self, program: Program, wanted: set[Var]) -> None:
        super().__init__(program)
        self.wanted = wanted
        self.turned: dict[Var, Var] = {}
        self.views: dict[Var, Var] = {}

    def run(self) -> Program:
        """Return the program turned."""
        for e in self.program.equations:
            self.where = e.where
            if e.output in self.wanted and PRIMITIVES[e.op].kind == "elementwise":
                self._elementwise(e)
            elif e.output in self.wanted and e.op == "matmul":
                a, b = e.vars
                self._made(e, self.emit("matmul", self.turn(b), self.turn(a)))
            elif e.op in SUMS and e.vars[0] in self.turned:
                self._reduce(e)
            else:
                self.equations.append(e)
        return self.finished()

    def _made(self, e: Equation, found: Var) -> None:
        self.turned[e.output] = found
        self.emit("transpose", found, into=e.output, axes=(1, 0))

    def turn(self, v: Var) -> Var:
        """Return the transpose of a matrix."""
        if v in self.turned:
            return self.turned[v]
        made = self.made.get(v)
        source = _transposed(made)
        if source is not None:
            return source
        if v not in self.views:
            mask = made is not None and made.op == "mask" and min(v.shape) >= SIDE
            self.views[v] = self.emit("turn_mask", v) if mask else self.emit("transpose", v, axes=(1, 0))
        return self.views[v]

    def _beside(self, v: Operand) -> Operand:
        """Return an operand as it is broadcast to turned matrices: a row becomes a column."""
        if type(v) is not Var or v.ndim == 0:
            return v
        if v.ndim == 2:
            return self.turn(v)
        if v not in self.views:
            self.views[v] = self.emit("reshape", v, shape=(v.shape[0], 1))
        return self.views[v]

    def _elementwise(self, e: Equation) -> None:
        self._made(e, self.emit(e.op, *map(self._beside, e.inputs), **dict(e.params)))

    def _reduce(self, e: Equation) -> None:
        (x,), axis, keep = e.vars, e.param("axis"), bool(e.param("keepdims", False))
        axes = (0, 1) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        places = tuple(sorted(1 - a % 2 for a in axes))  # rows and columns change places
        if keep:
            self._made(e, self.emit(e.op, self.turned[x], axis=places, keepdims=True))
        else:
            self.emit(e.op, self.turned[x], into=e.output, axis=places)
