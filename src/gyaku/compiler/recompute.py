"""Large values that are cheaper to compute again than to keep: read where they are used from what lies there anyway.

Batch norm's x - mean is needed for the variance, for the output and twice in the backward pass. Stored, it is written
once and read four times; computed again, x is read four times and nothing is written. Where the bytes come out lower,
the few equations that make a value move into every loop that uses it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gyaku.compiler.program import Equation, Var

if TYPE_CHECKING:
    from gyaku.compiler.fuse import Fusion, Kernel

LARGE = 512 * 1024  # bytes: smaller values stay in a core's cache
_CHEAP = frozenset(
    "add subtract multiply negative maximum minimum where equal not_equal less less_equal greater greater_equal "
    "logical_and logical_or logical_not logical_xor cast copy contiguous".split()
)
_MOST = 6  # equations to a value


def recompute(fusion: Fusion) -> None:
    """Move equations from the loops that make large values into those that use them, where that saves bytes."""
    again = _Again(fusion)
    for kernel in list(fusion.kernels):
        if again.simple(kernel) and kernel.kind == "map":
            for v in [v for e in kernel.equations for v in e.outputs]:
                again.consider(kernel, v)
            again.clean(kernel)


class _Again:
    def __init__(self, fusion: Fusion) -> None:
        self.fusion = fusion
        self.kept = {fusion._root(v) for v in fusion.program.outputs} | fusion.placed.keys()
        self.users: dict[Var, set[int]] = fusion._users()
        self.next = -2  # numbers of new values

    def simple(self, kernel: Kernel) -> bool:
        """Whether a kernel is a loop or a sum of plain elementwise equations."""
        odd = ("gather", "take_along_axis", "argmax", "argmin")
        return kernel.kind in ("map", "reduce") and not kernel.extra and all(e.op not in odd for e in kernel.equations)

    def consider(self, maker: Kernel, v: Var) -> None:
        """Let the users of ``v`` compute it themselves, if all can and fewer bytes move."""
        users = [self.fusion.kernels[k] for k in sorted(self.users.get(v, ()))]
        if v.nbytes < LARGE or v.shape != maker.shape or v in self.kept or not users:
            return
        if not all(k is not maker and self.simple(k) and k.shape == v.shape and v in k.read for k in users):
            return
        if any(self.fusion._root(r) == v and r is not v for k in users for r in k.read):
            return  # somebody reads a view of it
        chain = self._chain(maker, v)
        if chain is not None and self._cost(chain, users) < v.nbytes * (1 + len(users)):
            for kernel in users:
                self._copy(chain, v, kernel)
            self.users[v] = set()

    def _stored(self, v: Var) -> bool:
        return bool(self.users.get(v)) or v in self.kept

    def _chain(self, maker: Kernel, v: Var) -> list[Equation] | None:
        """Return the equations that make ``v`` from what lies in memory; None for costly or too many ones."""
        made = {e.output: e for e in maker.equations}
        chain, todo = {v}, [v]
        while todo:
            e = made[todo.pop()]
            if e.op not in _CHEAP or len(chain) > _MOST:
                return None
            for r in e.vars:
                if r in made and r not in chain and not self._stored(r):
                    chain.add(r)
                    todo.append(r)
        return [e for e in maker.equations if e.output in chain]

    def _leaves(self, chain: list[Equation]) -> set[Var]:
        made = {e.output for e in chain}
        return {r for e in chain for r in e.vars if r not in made}

    def _cost(self, chain: list[Equation], users: list[Kernel]) -> int:
        leaves = self._leaves(chain)
        return sum(r.nbytes for k in users for r in leaves - set(k.read) if r not in self.fusion.literals)

    def _copy(self, chain: list[Equation], v: Var, kernel: Kernel) -> None:
        """Write the chain into a kernel that uses ``v``, under names of its own."""
        names: dict[Var, Var] = {}
        copies = []
        for e in chain:
            names[e.output] = Var(self.next, e.output.shape, e.output.dtype, e.output.weak)
            self.next -= 1
            copies.append(_renamed(e, names, (names[e.output],)))
        self.fusion.again.add(names[v])
        number = self.fusion.kernels.index(kernel)
        kernel.equations = copies + [_renamed(e, {v: names[v]}, e.outputs) for e in kernel.equations]
        for r in self._leaves(chain):
            self.users.setdefault(self.fusion._root(r), set()).add(number)

    def clean(self, kernel: Kernel) -> None:
        """Leave out equations whose values nobody reads any more."""
        needed = {v for v in kernel.made if self._stored(v)}
        left = []
        for e in reversed(kernel.equations):
            if any(v in needed for v in e.outputs):
                left.append(e)
                needed |= set(e.vars)
        kernel.equations = left[::-1]
        number = self.fusion.kernels.index(kernel)
        read = {self.fusion._root(v) for v in kernel.read}
        for v, users in self.users.items():
            if v not in read:
                users.discard(number)


def _renamed(e: Equation, names: dict[Var, Var], outputs: tuple[Var, ...]) -> Equation:
    inputs = tuple([names.get(v, v) if type(v) is Var else v for v in e.inputs])
    return Equation(e.op, inputs, e.params, outputs, e.where)
