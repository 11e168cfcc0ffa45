"""Formulas from people: parsed into a tree of allowed parts and computed with tensors. Nothing is ever evaluated.

Allowed are numbers, names, ``+ - * / ** @``, brackets, lists (vectors and matrices), ``.T``, the functions of
``FUNCTIONS`` and, before the last part, named intermediate values: ``s = a*x; t = s - y; t**2``.
"""

from __future__ import annotations

import ast
import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gyaku.backend.dtypes import float64
from gyaku.base.errors import ArgumentError, UnknownNameError
from gyaku.core.op import FUNCTIONS as OPS
from gyaku.core.op import METHODS
from gyaku.core.tensor import Tensor
from gyaku.ops import activation, choose

_LENGTH, _PARTS, _DEPTH, _EXPONENT = 2000, 400, 40, 1e4
_SUPERSCRIPTS = {"²": "**2", "³": "**3", "⁴": "**4", "·": "*", "×": "*", "−": "-", "÷": "/"}


def _larger(*x: Tensor) -> Tensor:
    return x[0].amax() if len(x) == 1 else choose.maximum(*x)


def _smaller(*x: Tensor) -> Tensor:
    return x[0].amin() if len(x) == 1 else choose.minimum(*x)


def _norm(x: Tensor) -> Tensor:
    return OPS["norm"](x)


# name -> (function, least and most arguments)
FUNCTIONS: dict[str, tuple[Callable[..., Tensor], int, int]] = {
    **{name: (OPS[name], 1, 1) for name in (
        "exp log log2 log10 log1p expm1 sqrt sin cos tan sinh cosh tanh asin acos atan abs square sigmoid relu sign "
        "erf sum mean"
    ).split()},
    "max": (_larger, 1, 2), "min": (_smaller, 1, 2), "maximum": (choose.maximum, 2, 2),
    "minimum": (choose.minimum, 2, 2), "softplus": (activation.softplus, 1, 1), "norm": (_norm, 1, 1),
    "softmax": (lambda x: activation.softmax(x, -1), 1, 1), "silu": (activation.silu, 1, 1),
    "log_softmax": (lambda x: activation.log_softmax(x, -1), 1, 1), "gelu": (activation.gelu, 1, 1),
    "ln": (OPS["log"], 1, 1),
}  # fmt: skip
CONSTANTS = {"pi": math.pi, "π": math.pi, "e": math.e}
_BINARY = {ast.Add: "__add__", ast.Sub: "__sub__", ast.Mult: "__mul__", ast.Div: "__truediv__", ast.Pow: "__pow__",
           ast.MatMult: "__matmul__"}  # fmt: skip


@dataclass(frozen=True)
class Formula:
    """A formula that may be computed: its text, its tree, the names that need a value, and those given inside."""

    text: str
    steps: tuple[tuple[str, ast.expr], ...]  # (name or "", tree); the last is the result
    inputs: tuple[str, ...]

    @property
    def inner(self) -> tuple[str, ...]:
        """The names that the formula itself gives to intermediate values."""
        return tuple(name for name, _ in self.steps if name)


def parse(text: str) -> Formula:
    """Return a formula from its text.

    Raises ``ArgumentError`` that points at what is not understood, ``UnknownNameError`` for an unknown function.

    >>> parse("s = a*x; (s - y)**2").inputs
    ('a', 'x', 'y')
    """
    plain = text.strip()
    if not plain or len(plain) > _LENGTH:
        raise ArgumentError("expression", f"a formula of at most {_LENGTH} characters", f"{len(plain)}")
    for sign, meaning in _SUPERSCRIPTS.items():
        plain = plain.replace(sign, meaning)
    steps = tuple(_step(node, plain) for node in _tree(plain).body)
    if any(not name for name, _ in steps[:-1]):
        raise ArgumentError("expression", "a name for all but the last part (s = a*x; s**2)", "one without a name")
    return Formula(plain, steps, _inputs(steps, plain))


def _tree(text: str) -> ast.Module:
    if _nesting(text) > _DEPTH:
        raise ArgumentError("expression", f"at most {_DEPTH} brackets inside one another", str(_nesting(text)))
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise _at(text, (error.offset or 1) - 1, str(error.msg)) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise ArgumentError("expression", "a formula", str(error) or "one that is nested too deeply") from None
    count = sum(1 for _ in ast.walk(tree))
    if count > _PARTS * 3 or not tree.body:
        raise ArgumentError("expression", f"a formula of at most {_PARTS} parts", f"{count // 3}")
    if _depth(tree) > 2 * _DEPTH:
        raise ArgumentError("expression", f"at most {2 * _DEPTH} operations inside one another", str(_depth(tree)))
    return tree


def _nesting(text: str) -> int:
    depth = most = 0
    for c in text:
        depth += (c in "([{") - (c in ")]}")
        most = max(most, depth)
    return most


def _depth(tree: ast.AST) -> int:
    level, depth = [tree], 0
    while level:
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        depth += 1
    return depth


def _at(text: str, column: int, reason: str, hint: str = "") -> ArgumentError:
    """Return the error that shows the formula with a caret under the place."""
    line = text.replace("\n", " ")
    start = max(0, min(column, len(line)) - 60)
    shown, place = line[start : start + 76], max(0, min(column, len(line)) - start)
    return ArgumentError("expression", message=f"\n  {shown}\n  {' ' * place}^ {reason}", hint=hint)


def _step(node: ast.stmt, text: str) -> tuple[str, ast.expr]:
    if isinstance(node, ast.Expr):
        name, value = "", node.value
    elif isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        name, value = node.targets[0].id, node.value
    else:
        raise _at(text, node.col_offset, f"not a formula: {type(node).__name__.lower()}")
    _check(value, text)
    return name, value


def _check(node: ast.AST, text: str) -> None:
    """Refuse everything that is not allowed, with its place."""
    for part in ast.walk(node):
        if isinstance(part, (ast.operator, ast.unaryop, ast.expr_context)):
            continue
        fault = _fault(part)
        if fault:
            reason, hint = fault
            raise _at(text, _column(part, text), reason, hint)
        if isinstance(part, ast.Call) and part.func.id not in FUNCTIONS:  # type: ignore[attr-defined]
            raise UnknownNameError("expression", part.func.id, FUNCTIONS, what="function")  # type: ignore[attr-defined]


def _column(part: ast.AST, text: str) -> int:
    offset = getattr(part, "col_offset", 0)
    if isinstance(part, ast.BinOp):
        offset = part.left.end_col_offset or 0  # the sign stands behind it
        before = text.encode("utf-8")
        while offset < len(before) and before[offset : offset + 1] in b" )":
            offset += 1
    return len(text.encode("utf-8")[:offset].decode("utf-8", errors="ignore"))


def _fault(part: ast.AST) -> tuple[str, str] | None:
    """Return (what is wrong, hint) with one part of a tree, None when it is allowed."""
    if isinstance(part, ast.Constant):
        good = isinstance(part.value, (int, float)) and type(part.value) is not bool and abs(part.value) < 1e308
        return None if good else ("expected a number below 1e308", "")
    if isinstance(part, ast.BinOp):
        if isinstance(part.op, ast.BitXor):
            return "the sign ^ is no power here", "write x**2"
        return _fault_of_power(part) if type(part.op) in _BINARY else ("expected + - * / ** or @ here", "")
    if isinstance(part, ast.UnaryOp):
        return None if isinstance(part.op, (ast.USub, ast.UAdd)) else ("expected - or + here", "")
    if isinstance(part, ast.Call):
        if not isinstance(part.func, ast.Name):
            return "expected the name of a function", "write a*(b + c) for a product"
        if part.keywords or any(isinstance(a, ast.Starred) for a in part.args):
            return "expected plain arguments", ""
        return _fault_of_call(part)
    if isinstance(part, ast.Attribute):
        return None if part.attr == "T" else ("expected .T (the transpose) as the only attribute", "")
    if isinstance(part, (ast.Name, ast.List)):
        return None
    return f"not allowed in a formula: {type(part).__name__.lower()}", ""


def _fault_of_power(part: ast.BinOp) -> tuple[str, str] | None:
    exponent = part.right.operand if isinstance(part.right, ast.UnaryOp) else part.right
    if isinstance(part.op, ast.Pow) and isinstance(exponent, ast.Constant):
        small = isinstance(exponent.value, (int, float)) and abs(exponent.value) <= _EXPONENT
        return None if small else (f"expected an exponent of at most {_EXPONENT:g}", "")
    return None


def _fault_of_call(part: ast.Call) -> tuple[str, str] | None:
    name = part.func.id  # type: ignore[attr-defined]
    if name not in FUNCTIONS:
        return None  # said by name, with the nearest one
    least, most = FUNCTIONS[name][1:]
    wanted = f"{least}" if least == most else f"{least} or {most}"
    return None if least <= len(part.args) <= most else (f"expected {wanted} argument(s) for {name}", "")


def _inputs(steps: tuple[tuple[str, ast.expr], ...], text: str) -> tuple[str, ...]:
    """Return the names that need a value, in order of appearance; functions need their brackets."""
    known: set[str] = set()
    found: dict[str, None] = {}
    for name, tree in steps:
        functions = {id(part.func) for part in ast.walk(tree) if isinstance(part, ast.Call)}
        names = [part for part in ast.walk(tree) if isinstance(part, ast.Name) and id(part) not in functions]
        for part in sorted(names, key=lambda n: n.col_offset):
            if part.id in FUNCTIONS:
                raise _at(text, _column(part, text), f"{part.id} is a function", f"write {part.id}(...)")
            if part.id not in known:
                found[part.id] = None
        if name in FUNCTIONS or name in found or (name and name in known):
            raise ArgumentError("expression", "a new name for each part", repr(name))
        known.add(name)
    return tuple(found)


def value_of(name: str, text: str) -> Tensor:
    """Return the tensor of a value given as text: ``2``, ``-1.5e3``, ``1/3``, ``[[1, 2], [3, 4]]``.

    Raises ``ArgumentError`` naming it.
    """
    formula = parse(text)
    unknown = [n for n in formula.inputs if n not in CONSTANTS]
    if unknown or len(formula.steps) > 1 or formula.inner:
        raise ArgumentError(f"value of {name}", "numbers", text[:80])
    return _Computer({}).compute(formula)


def compute(formula: Formula, values: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the result of a formula and every intermediate value by name; unnamed ones get letters: s, t, u, ...

    Raises ``ArgumentError`` for a missing or superfluous value, and what the operations raise.
    """
    needed = [name for name in formula.inputs if name in values or name not in CONSTANTS]
    missing = [name for name in needed if name not in values]
    if missing:
        hint = " ".join(f"{name}=1" for name in missing)
        raise ArgumentError(
            "expression", f"a value for {', '.join(needed)}", f"none for {', '.join(missing)}", hint=f"add {hint}"
        )
    extra = [name for name in values if name not in formula.inputs]
    if extra:
        near = difflib.get_close_matches(extra[0], formula.inputs, n=1)
        hint = f"did you mean {near[0]!r}?" if near else ""
        raise ArgumentError("expression", f"values for {', '.join(needed) or 'no name'}", extra[0], hint=hint)
    computer = _Computer(values)
    result = computer.compute(formula)
    return result, computer.named(formula)


@dataclass
class _Computer:
    """Computes trees with tensors and remembers what came out where."""

    values: Mapping[str, Tensor]
    steps: dict[str, Any] = field(default_factory=dict)
    results: list[Tensor] = field(default_factory=list)

    def compute(self, formula: Formula) -> Tensor:
        """Return the value of the last part."""
        out: Any = None
        for name, tree in formula.steps:
            out = self.value(tree)
            if name:
                self.steps[name] = out
        return out if isinstance(out, Tensor) else OPS["tensor"](out, dtype=float64)

    def value(self, node: ast.expr) -> Any:
        """Return the tensor of a tree; plain numbers stay numbers."""
        if isinstance(node, ast.Constant):
            return float(node.value)  # type: ignore[arg-type]
        if isinstance(node, ast.Name):
            return self._name(node.id)
        if isinstance(node, ast.UnaryOp):
            inner = self.value(node.operand)
            return inner if isinstance(node.op, ast.UAdd) else self._kept(-inner)
        if isinstance(node, ast.BinOp):
            return self._binary(node)
        if isinstance(node, ast.Call):
            function = FUNCTIONS[node.func.id][0]  # type: ignore[attr-defined]
            return self._kept(function(*[_tensor(self.value(a)) for a in node.args]))
        if isinstance(node, ast.Attribute):
            return self._kept(METHODS["t"](_tensor(self.value(node.value))))
        return self._array(node)

    def _name(self, name: str) -> Any:
        for known in (self.steps, self.values, CONSTANTS):
            if name in known:
                return known[name]
        raise UnknownNameError("expression", name, self.values)

    def _binary(self, node: ast.BinOp) -> Any:
        left, right = self.value(node.left), self.value(node.right)
        if not isinstance(left, Tensor):
            left = _tensor(left) if not isinstance(right, Tensor) or isinstance(node.op, ast.MatMult) else left
        if isinstance(left, Tensor):
            return self._kept(METHODS[_BINARY[type(node.op)]](left, right))
        reflected = "__r" + _BINARY[type(node.op)][2:]
        return self._kept(METHODS[reflected](right, left))

    def _array(self, node: ast.expr) -> Tensor:
        numbers = _numbers(node)
        try:
            return OPS["tensor"](numbers, dtype=float64)
        except (TypeError, ValueError):
            raise ArgumentError("expression", "rows of one length", str(numbers)[:80]) from None

    def _kept(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            self.results.append(value)
        return value

    def named(self, formula: Formula) -> dict[str, Tensor]:
        """Return {name: tensor} of the intermediate values that carry a gradient, the result last (z, or its name).

        Where nobody named a part, the parts get letters.
        """
        out = {name: t for name, t in self.steps.items() if isinstance(t, Tensor) and t._node is not None}
        known = {id(t) for t in (*out.values(), *self.values.values())}
        result = formula.steps[-1][0]
        rest = [t for t in self.results[:-1] if t._node is not None and id(t) not in known]
        taken = {*formula.inputs, *self.steps}
        letters = [c for c in "stuvwpqrhgfmk" if c not in taken]
        if len(rest) <= len(letters) and not formula.inner:
            out.update(zip(letters, rest))
        if not result and self.results:
            out[next(c for c in "zyEL" if c not in taken)] = self.results[-1]
        return out


def _tensor(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else OPS["tensor"](value, dtype=float64)


def _numbers(node: ast.expr) -> Any:
    """Return nested lists of numbers."""
    if isinstance(node, ast.List):
        return [_numbers(part) for part in node.elts]
    sign = 1.0
    while isinstance(node, ast.UnaryOp):
        sign, node = (-sign if isinstance(node.op, ast.USub) else sign), node.operand
    if isinstance(node, ast.Constant):
        return sign * float(node.value)  # type: ignore[arg-type]
    raise ArgumentError("expression", "numbers inside [...]", ast.unparse(node)[:80])
