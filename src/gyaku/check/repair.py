"""The student's backward with one small change: the change that makes every gradient right names the mistake.

Numbers alone tell what is wrong where a gradient leaves the layer. Inside of a longer backward (a skip block, a
network) only the source can tell, so its expressions are changed one at a time, and the changed function is run.
"""

from __future__ import annotations

import ast
import importlib.abc
import importlib.machinery
import inspect
import textwrap
import time
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from gyaku.check.case import Case
from gyaku.check.edits import Scope, changes, text_of
from gyaku.check.subjects import LayerSubject
from gyaku.check.subjects import own as attributes

_MOST = 4000  # changes that are tried
_SECONDS = 20.0  # of the processor, for layers that take long
_DOTS = {"dot", "matmul", "outer"}


class Edit(NamedTuple):
    """A change that mends backward: the ``cause``, and the line before and after."""

    cause: str
    text: str


class Place(NamedTuple):
    """Where an expression stands: a field of a node (an item of it, where the field is a list)."""

    node: ast.AST
    field: str
    item: int | None

    def get(self) -> Any:
        """Return the expression."""
        value = getattr(self.node, self.field)
        return value if self.item is None else value[self.item]

    def put(self, new: ast.AST) -> None:
        """Put another expression there."""
        if self.item is None:
            setattr(self.node, self.field, new)
        else:
            getattr(self.node, self.field)[self.item] = new


def repaired(cases: Sequence[Case], names: Sequence[str] = ()) -> Edit | None:
    """Return the lightest change of backward after which all gradients of all cases are right; None if none is found.

    With ``names`` only these gradients count: where two mistakes meet, each is mended alone. The search
    is bounded.
    """
    original = cases[0].subject.backward_source
    function = None if original is None else _source(original)
    if original is None or function is None:
        return None
    usable = [c for c in cases if c.subject.backward_source is original and hasattr(c, "jac")]
    if not usable:
        return None
    usable.sort(key=lambda c: (c.first.error is None and _all_right(c, c.first.gradients, names), c.batch == 1))
    until = time.process_time() + _SECONDS
    for cause, place, new in _ordered(function, usable[0])[:_MOST]:
        if time.process_time() > until:
            return None
        old = place.get()
        before = _line(function, place)
        place.put(new)
        try:
            rule = compiled(function, original)
            if rule is not None and all(_mends(rule, c, names) for c in usable):
                return Edit(cause, f"{before}  →  {_line(function, place)}")
        finally:
            place.put(old)
    return None


def _source(original: Callable[..., Any]) -> ast.FunctionDef | None:
    """Return the function as a tree; None where its text is not to be had, or where it needs an enclosing scope."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(original)))
    except (OSError, TypeError, SyntaxError):
        return None
    first = tree.body[0]
    if not isinstance(first, ast.FunctionDef) or getattr(original, "__closure__", None):
        return None
    first.decorator_list = []
    return first


def compiled(function: ast.FunctionDef, original: Callable[..., Any]) -> Callable[..., Any] | None:
    """Return the changed function, which sees what the original sees."""
    module = types.ModuleType("changed")
    module.__dict__.update(original.__globals__)
    tree = ast.fix_missing_locations(ast.Module([function], []))
    loader = _Tree(tree)
    module.__spec__ = importlib.machinery.ModuleSpec("changed", loader)
    try:
        loader.exec_module(module)
    except (SyntaxError, ValueError, TypeError):
        return None
    return module.__dict__[function.name]


class _Tree(importlib.abc.InspectLoader):
    """A loader of a module that exists as a tree only."""

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree

    def get_source(self, fullname: str) -> Any:
        """Return the tree, which compiles as text does."""
        return self.tree


def _mends(rule: Callable[..., Any], c: Case, names: Sequence[str]) -> bool:
    run = c.run(rule=rule)
    return run.error is None and _all_right(c, run.gradients, names)


def _all_right(c: Case, gradients: dict[str, Any], names: Sequence[str]) -> bool:
    for n in names or c.names:
        g = gradients.get(n)
        if g is None or np.shape(g) != c.arrays[n].shape:
            return False
        if not np.all(np.abs(c.picked(n, g).astype(float) - c.numerical(n)) <= c.tolerance(n)):
            return False
    return True


# --- where to change what ---------------------------------------------------------------------------------------------


def _ordered(function: ast.FunctionDef, c: Case) -> list[tuple[str, Place, Any]]:
    """Return all changes, light ones first."""
    scope = scope_of(function, c)
    found = []
    for place, whole, operand in list(_places(function)):
        for cause, new, weight in changes(place.get(), scope, whole, operand):
            found.append((weight, cause, place, new))
    for weight, cause, place, new in _statements(function, scope):
        found.append((weight, cause, place, new))
    found.sort(key=lambda f: f[0])
    return [(cause, place, new) for _, cause, place, new in found]


def _places(function: ast.FunctionDef) -> Iterator[tuple[Place, bool, bool]]:
    """Yield each expression: its place, whether it is a statement's value, whether a matrix product's operand."""
    operands: set[int] = set()
    for node in ast.walk(function):
        for name, value in ast.iter_fields(node):
            items = list(enumerate(value)) if isinstance(value, list) else [(None, value)]
            for item, child in items:
                if not isinstance(child, ast.expr) or name in ("func", "annotation", "returns", "targets", "target"):
                    continue
                if isinstance(node, ast.arguments) or isinstance(getattr(child, "ctx", None), (ast.Store, ast.Del)):
                    continue
                whole = isinstance(node, (ast.Assign, ast.AugAssign, ast.Return)) or _in_returned(function, node)
                if _multiplies(node, name) or (id(node) in operands and isinstance(node, ast.Attribute)):
                    operands.add(id(child))
                yield Place(node, name, item), whole, id(child) in operands


def _multiplies(node: ast.AST, field: str) -> bool:
    """Whether the expressions in a field of a node are operands of a matrix product."""
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.MatMult)
    return isinstance(node, ast.Call) and getattr(node.func, "attr", "") in _DOTS and field == "args"


def _in_returned(function: ast.FunctionDef, node: ast.AST) -> bool:
    return isinstance(node, ast.Tuple) and any(isinstance(s, ast.Return) and s.value is node for s in function.body)


def _statements(function: ast.FunctionDef, scope: Scope) -> Iterator[tuple[int, str, Place, Any]]:
    """Yield statements changed as wholes: ``=`` for ``+=`` and the reverse, one left out."""
    for node in ast.walk(function):
        for name in ("body", "orelse"):
            for i, s in enumerate(getattr(node, name, []) if isinstance(getattr(node, name, None), list) else []):
                place = Place(node, name, i)
                if _changes_parameter(s, scope):
                    yield 1, "value_after_update", place, ast.Pass()
                target = s.targets[0] if isinstance(s, ast.Assign) and len(s.targets) == 1 else None
                if isinstance(s, ast.Assign) and isinstance(target, (ast.Name, ast.Attribute, ast.Subscript)):
                    yield 2, "overwritten", place, ast.AugAssign(target, ast.Add(), s.value)
                if isinstance(s, ast.AugAssign):
                    cause = "sign" if isinstance(s.op, (ast.Add, ast.Sub)) else "wrong_local_derivative"
                    other = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}.get(type(s.op))
                    if other:
                        yield 2, cause, place, ast.AugAssign(s.target, other(), s.value)
                    yield 3, _left_out(s), place, ast.Pass()


def _changes_parameter(s: ast.stmt, scope: Scope) -> bool:
    targets = s.targets if isinstance(s, ast.Assign) else [s.target] if isinstance(s, ast.AugAssign) else []
    texts = [text_of(t).split("[")[0].split(".")[-1] for t in targets]
    return any(t in scope.parameters for t in texts)


def _left_out(s: ast.AugAssign) -> str:
    text = text_of(s.value)
    if isinstance(s.op, (ast.Div, ast.Mult)):
        return "extra_one_over_n" if any(w in text for w in ("len", "shape", "N", "size")) else "constant_factor"
    return "extra_penalty" if "W" in text else "added_constant"


def scope_of(function: ast.FunctionDef, c: Case) -> Scope:
    """Return what the changed expressions may use: attributes that forward left, and variables of the function."""
    arguments = [a.arg for a in function.args.args]
    dout = arguments[1] if len(arguments) > 1 else "1.0"
    atoms: dict[str, Any] = {}
    if isinstance(c.subject, LayerSubject):
        own = arguments[0] if arguments else "self"
        live = {k: np.array(v) for k, v in attributes(c.first.layer).items() if isinstance(v, (np.ndarray, float, int))}
        atoms = {f"{own}.{k}": _plain(v) for k, v in {**live, **c.kept}.items() if not k.startswith("d")}
    stored = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    atoms.update(dict.fromkeys(sorted(stored)))
    if len(arguments) > 1:
        atoms[dout] = None
    target = next((a for a in atoms if a.split(".")[-1] in c.subject.targets), "")
    return Scope(atoms, c.subject.parameters, dout, target, c.shape == (), c.batch)


def _plain(v: Any) -> Any:
    array = np.asarray(v)
    return array if array.ndim else array.item()


def _line(function: ast.FunctionDef, place: Place) -> str:
    """Return the text of the statement that holds a place."""
    compound = (ast.FunctionDef, ast.For, ast.If, ast.While, ast.With)
    for s in ast.walk(function):
        if isinstance(s, ast.stmt) and not isinstance(s, compound) and any(n is place.node for n in ast.walk(s)):
            return text_of(s)
    value = place.get()
    return text_of(value) if isinstance(value, ast.AST) else ""
