"""The record of an operation: what explain, check, doctor and the compiler read."""

from __future__ import annotations

import itertools
import sys
import weakref
from collections.abc import Callable
from types import CodeType
from typing import Any

# One counter numbers nodes and in-place writes alike, so "written to after it was saved" is one comparison.
clock = itertools.count(1).__next__
FOREIGN = float("inf")  # the time in the cell of memory that others can write to unseen (NumPy views)

Hook = Callable[[Any], Any]


class Node:
    """One operation of the graph: its op (with static parameters), parents, saved arrays and where it came from.

    ``parents[i]`` is the node of input i, or None for a constant, whose value is then ``consts[i]`` (until the graph is
    spent). ``saved`` holds what ``op.keep`` names and is None once spent; ``cells`` are the write times of the tensors
    saved. Outputs are not held: no cycles, and arrays are freed by reference counting.
    """

    __slots__ = (
        "op",
        "parents",
        "saved",
        "cells",
        "consts",
        "id",
        "shape",
        "dtype",
        "code",
        "lasti",
        "module",
        "hooks",
        "__weakref__",
    )
    is_leaf = False

    op: Any
    parents: Any
    saved: Any
    cells: Any
    consts: Any
    id: int
    shape: Any
    dtype: Any
    code: CodeType | None
    lasti: int
    module: Any
    hooks: list[Hook] | None

    def __repr__(self) -> str:
        return f"<{self.name} {self.shape}>"

    @property
    def name(self) -> str:
        """The operation's name, in the style of PyTorch's ``grad_fn`` (``MulBackward``)."""
        return f"{type(self.op).__name__}Backward"

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """The parents, in PyTorch's form."""
        return tuple((p, 0) for p in self.parents)

    @property
    def where(self) -> str:
        """The user's line, ``file.py:12`` (formatted only when asked), or '' when unknown."""
        return format_line(self.code, self.lasti)

    @property
    def spent(self) -> bool:
        """Whether backward has already run through this node and released what it saved."""
        return self.saved is None


class Leaf:
    """The end of a graph at a tensor that wants its gradient; knows the tensor weakly."""

    __slots__ = ("tensor", "shape", "dtype", "id", "hooks", "after", "__weakref__")
    is_leaf = True
    parents: tuple[Any, ...] = ()
    saved: tuple[Any, ...] = ()

    def __init__(self, tensor: Any) -> None:
        self.tensor = weakref.ref(tensor)
        self.shape, self.dtype = tensor._array.shape, tensor._array.dtype
        self.id = clock()
        self.hooks: Any = None
        self.after: Any = None  # functions of the tensor, called once its gradient has been added

    def __repr__(self) -> str:
        return f"<leaf {self.shape}>"


class Pick:
    """Output number ``index`` of an operation with several outputs; its only parent is that operation's node."""

    __slots__ = ("parents", "index", "id", "shape", "dtype", "hooks", "__weakref__")
    is_leaf = False

    def __init__(self, node: Node, index: int, shape: Any, dtype: Any) -> None:
        self.parents, self.index, self.shape, self.dtype = (node,), index, shape, dtype
        self.id, self.hooks = clock(), None

    def __repr__(self) -> str:
        return f"<output {self.index} of {self.parents[0]!r}>"

    @property
    def name(self) -> str:
        """The name of the operation that gave this output."""
        return self.parents[0].name

    @property
    def where(self) -> str:
        """The user's line of the operation."""
        return self.parents[0].where

    @property
    def spent(self) -> bool:
        """Whether the operation's node is spent."""
        return self.parents[0].spent


class Inside(dict[str, bool]):
    """Whether a source file belongs to the package; answered once a file."""

    root = __file__.removesuffix("core/node.py").removesuffix("core\\node.py")

    def __missing__(self, file: str) -> bool:
        self[file] = file.startswith(self.root)
        return self[file]


inside = Inside()


def user_frame() -> Any:
    """Return the innermost frame outside this package (the user's line)."""
    frame = sys._getframe(2)
    while inside[frame.f_code.co_filename] and frame.f_back is not None:
        frame = frame.f_back
    return frame


def format_line(code: CodeType | None, lasti: int) -> str:
    """Return ``file:line`` of an instruction of a code object, or ''."""
    if code is None:
        return ""
    lines = list(code.co_positions())
    line = lines[lasti // 2][0] if lasti // 2 < len(lines) else None
    return f"{code.co_filename}:{line or code.co_firstlineno}"
