"""What an explanation is made of: items (values), arrows (local derivatives), paths and their sum.

Every item is one value of the computation: a leaf, a constant, the result of an operation, or a group of operations
drawn as one. An arrow runs from an input to the value computed from it, in the direction of the forward pass; its
local derivative belongs to the same arrow walked backward. An operation with several outputs gives one item for each
output that is used, so that "the product along a path" means the same everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gyaku.base.errors import GraphError, UnknownNameError

Array = np.ndarray
Local = float | Array | None


class _Lazy:
    """A text that may be given as a function without arguments, which is asked when the text is first read."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = f"_{name}"

    def __get__(self, owner: Any, kind: type | None = None) -> str:
        value = "" if owner is None else owner.__dict__.get(self.name, "")
        if callable(value):
            value = owner.__dict__[self.name] = value()
        return str(value)

    def __set__(self, owner: Any, value: Any) -> None:
        owner.__dict__[self.name] = value


@dataclass(eq=False)
class Arrow:
    """One use of a value: ``source`` is input number ``position`` of ``target`` (both are keys of items).

    ``local`` is d target / d source: a number when both have one element, a small Jacobian of shape
    ``target.shape + source.shape``, or None where that is too large or nothing is known. ``formula`` is the operation's
    own rule as text: of numbers the local derivative ("x"), of arrays what arrives at the source for ``gy`` at the
    target ("gyᵀ x"); "" where it has no short one. ``shapes`` are those of target and source. ``flow`` is what arrives
    at the source through this arrow alone, in the source's shape; the flows of the arrows that leave an item add up to
    its delta. ``wanted`` is false where no gradient goes (constants, integers).
    """

    source: str
    target: str
    position: int
    local: Local = None
    flow: Array | None = None
    formula: str = _Lazy()  # type: ignore[assignment]
    shapes: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
    wanted: bool = True
    pull: Callable[[Array], Array] | None = None  # the rule itself: what arrives at the source from a ``gy``

    @property
    def scalar(self) -> bool:
        """Whether the local derivative is one number."""
        return isinstance(self.local, float)


@dataclass(eq=False)
class Item:
    """One value of the graph.

    ``kind`` is "leaf" (wants its gradient), "constant", "op" or "group" (operations folded into one). ``name`` is what
    people call it: the user's name, or a parameter's path ("encoder.0.weight"), or "". ``symbol`` always says something
    short: the name, the number of a constant, or u1, u2, ... for unnamed results. ``label`` is the template of the
    formula as a lecturer writes it ("exp({0})"; the numbers are positions of ``arrows``), and ``formula`` the same
    with symbols filled in. ``value`` and ``delta`` (d output / d value, in the value's shape) are None where unknown.
    """

    key: str
    kind: str
    name: str = ""
    symbol: str = ""
    label: str = "{0}"
    formula: str = ""
    op: Any = None  # the instance of core.op.Op, with its static parameters
    shape: tuple[int, ...] = ()
    dtype: Any = None
    value: Array | None = None
    delta: Array | None = None
    where: str = ""  # the user's line, "file.py:12"
    module: str = ""  # path of the module at work ("encoder.0"), "" outside modules and for the outermost one
    layer: str = ""  # class name of that module ("Linear")
    output: int | None = None  # which output of an operation (or group) with several
    failed: str = ""  # the message, where this operation refused its inputs
    note: str = ""  # key of ``words.NOTES``: why a number is missing
    arrows: tuple[Arrow, ...] = ()  # the arrows in, by position
    members: tuple[str, ...] = ()  # of a group: keys of the items inside, in the unfolded explanation
    parameters: tuple[str, ...] = ()  # of a group: keys of the leaves that it keeps inside (unfolded explanation)
    inline: bool = False  # a plain Python number: pictures write it into the formula instead of drawing it

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True, eq=False)
class Path:
    """One way from the output back to an item.

    ``keys`` runs from the output to the item, ``arrows`` are the arrows walked backward, ``factors`` their local
    derivatives (None where only the rule is known), ``product`` what this path alone brings, in the item's shape.
    """

    keys: tuple[str, ...]
    arrows: tuple[Arrow, ...]
    factors: tuple[Local, ...]
    product: Array

    @property
    def size(self) -> float:
        """The norm of the product: what paths are compared by."""
        return float(np.sqrt(np.sum(np.square(np.abs(self.product)))))


@dataclass(frozen=True, eq=False)
class Paths:
    """All ways from the output back to an item: ``shown`` one by one (largest first when not all), ``rest`` as one sum.

    ``count`` is the number of paths, shown or not; ``total`` is the sum over all, computed without enumerating them;
    ``exact`` says whether the shown ones are surely the largest (always so for scalars).
    """

    key: str
    shown: tuple[Path, ...]
    count: int
    total: Array
    rest: Array | None = None
    exact: bool = True

    def __iter__(self) -> Iterator[Path]:
        return iter(self.shown)

    def __len__(self) -> int:
        return len(self.shown)


@dataclass(eq=False, repr=False)
class Explanation:
    """A computation graph with its numbers: items in topological order, arrows, and the key of the output.

    ``missing`` is the key (in ``words.NOTES``) of the reason why numbers are missing, "" when all are there;
    ``lacking`` names where. ``error`` is what stopped a forward pass that failed. ``full`` is the unfolded explanation
    of which this one is a folded view (None when this is the unfolded one).
    """

    items: list[Item]
    arrows: list[Arrow]
    output: str
    missing: str = ""
    lacking: str = ""
    error: str = ""
    full: Explanation | None = None
    graph: Any = None  # the record that this was read from (read.Graph), for folding it anew
    _by_key: dict[str, Item] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self._by_key = {item.key: item for item in self.items}
        if self.graph is not None:
            from gyaku.explain.rules import write_rules

            write_rules(self)

    def __getitem__(self, name: Any) -> Item:
        """Return an item by key, name, symbol, or the tensor itself.

        Raises ``UnknownNameError``.
        """
        found = self.find(name)
        if found is None:
            known = [item.symbol for item in self.items if not item.inline]
            raise UnknownNameError("explain", name, known, what="name in this graph")
        return found

    def find(self, name: Any) -> Item | None:
        """Return an item by key, name, symbol or tensor; None when there is none (or it is folded away)."""
        if not isinstance(name, str):
            name = "" if self.graph is None else self.graph.key_of(name)
        if name in self._by_key or not name:
            return self._by_key.get(name)
        for wanted in ("name", "symbol"):
            for item in self.items:
                if getattr(item, wanted) == name:
                    return item
        return None

    @property
    def result(self) -> Item:
        """The item that is explained: the end of the forward pass."""
        return self._by_key[self.output]

    @property
    def leaves(self) -> list[Item]:
        """The items that want their gradient."""
        return [item for item in self.items if item.kind == "leaf"]

    @property
    def failed(self) -> Item | None:
        """The operation that refused its inputs, in a forward pass that failed."""
        return next((item for item in self.items if item.failed), None)

    def into(self, key: str) -> tuple[Arrow, ...]:
        """Return the arrows into an item, by position."""
        return self._by_key[key].arrows

    def out_of(self, key: str) -> list[Arrow]:
        """Return the arrows that leave an item: the places where its value is used."""
        return [arrow for arrow in self.arrows if arrow.source == key]

    def paths(self, name: Any, *, limit: int = 64, largest: int = 10) -> Paths:
        """Return all paths from the output to an item, with the product along each and their sum.

        Up to ``limit`` paths are listed one by one; beyond that the ``largest`` ones and the rest as one sum.
        Raises ``UnknownNameError``, and ``GraphError`` where numbers are missing.
        """
        from gyaku.explain.paths import find_paths

        if self.missing:
            raise GraphError("explain", "a graph with its numbers", "one without", hint=self.note("en"))
        here = self if self.full is None or self.find(name) is not None else self.full
        return find_paths(here, here[name], limit, largest)

    def note(self, lang: str | None = None) -> str:
        """Return why numbers are missing, in words; "" when none are."""
        from gyaku.explain.words import note

        return note(self.missing, lang, where=self.lacking) if self.missing else ""

    def unfolded(self) -> Explanation:
        """Return the finest view: one item for each operation."""
        return self.full or self

    def folded(self, fold: Any = True) -> Explanation:
        """Return a coarser view of the same graph; ``fold`` as in ``gyaku.explain``."""
        from gyaku.explain.fold import folded

        return folded(self.unfolded(), fold)

    def __repr__(self) -> str:
        from gyaku.explain.derivation_tree import shown

        return shown(self)

    # -- pictures and text (each written elsewhere, from this model alone) -------------------------------------------
    def svg(self, view: str = "auto", **options: Any) -> str:
        """Return the picture as SVG text; the options are those of ``gyaku.explain.draw.svg``."""
        from gyaku.explain import draw

        return draw.svg(self, view, **options)

    def html(self, **options: Any) -> str:
        """Return a page with the pictures, step by step."""
        from gyaku.explain import draw

        return draw.html(self, **options)

    def tikz(self, view: str = "auto", **options: Any) -> str:
        """Return the picture as TikZ code for LaTeX."""
        from gyaku.explain import draw

        return draw.tikz(self, view, **options)

    def dot(self, view: str = "auto", **options: Any) -> str:
        """Return the graph as DOT text for Graphviz."""
        from gyaku.explain import draw

        return draw.dot(self, view, **options)

    def save(self, path: Any, **options: Any) -> None:
        """Write the picture; the ending of ``path`` chooses the form (.svg, .html, .png, .pdf, .tex, .dot)."""
        from gyaku.explain import draw

        draw.save(self, path, **options)

    def derivation(self, name: Any = None, **options: Any) -> Any:
        """Return the chain rule for one item in words and formulas, with the numbers filled in."""
        from gyaku.explain.derivation import derivation

        return derivation(self, name, **options)

    def _repr_html_(self) -> str:
        return self.html(notebook=True)
