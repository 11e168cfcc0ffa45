"""Small changes of a backward, each with the mistake that it undoes; ``repair`` tries which one makes all right.

An edit is a row: a function that looks at one expression of the source and yields (cause, what to put there, weight);
a lighter edit is tried before a heavier one.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

Change = tuple[str, ast.expr, int]


@dataclass
class Scope:
    """What an edit may use: expressions for arrays and numbers by name, with their values where known."""

    atoms: dict[str, Any]  # text -> value (None for a local variable)
    parameters: tuple[str, ...]
    dout: str
    target: str
    scalar: bool  # y is one number (a loss)
    batch: int

    def count(self) -> Iterator[str]:
        """Yield texts for N, the rows of the batch."""
        if not self.scalar:
            yield f"{self.dout}.shape[0]"
        for text, value in self.atoms.items():
            if isinstance(value, np.ndarray) and value.ndim and value.shape[0] == self.batch:
                yield f"{text}.shape[0]"
                return
            if isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value == self.batch:
                yield text
                return


def parsed(text: str) -> ast.expr:
    """Return the expression that ``text`` writes."""
    return ast.parse(text, mode="eval").body


def text_of(node: ast.AST) -> str:
    """Return the source of a node."""
    return ast.unparse(node)


def built(form: str, **parts: ast.expr) -> ast.expr:
    """Return the expression ``form`` with expressions in the place of its names.

    >>> text_of(built("E.sum(axis=0)", E=parsed("a * b")))
    '(a * b).sum(axis=0)'
    """

    class Fill(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            return copy.deepcopy(parts[node.id]) if node.id in parts else node

    return Fill().visit(parsed(form))


def changes(node: ast.expr, scope: Scope, whole: bool, operand: bool) -> Iterator[Change]:
    """Yield all edits of one expression. ``whole``: the value of a statement; ``operand``: of a matrix product."""
    for rows in _BY_KIND.get(type(node), ()):
        yield from rows(node, scope)
    if operand:
        yield from _transposes(node)
    if whole or isinstance(node, (ast.BinOp, ast.Call)):
        yield from _around(node, scope)
    if isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load):
        yield from _around_atom(node, scope)
        yield from _exchanged(node, scope, operand)
    if whole:
        yield from _whole(node, scope)


# --- transposes, signs, factors ---------------------------------------------------------------------------------------


def _transposes(node: ast.expr) -> Iterator[Change]:
    if isinstance(node, ast.Attribute) and node.attr == "T":
        yield "missing_transpose", node.value, 1
    else:
        yield "missing_transpose", built("E.T", E=node), 1


def _binary(node: ast.BinOp, scope: Scope) -> Iterator[Change]:
    left, right, op = node.left, node.right, node.op
    if isinstance(op, ast.MatMult):
        yield "missing_transpose", built("(A @ B).T", A=left, B=right), 2
        yield "wrong_order", built("B @ A", A=left, B=right), 3
        return
    if isinstance(op, (ast.Mult, ast.Div)):
        yield removed_factor(right, scope), left, 2
        if isinstance(op, ast.Mult):
            yield removed_factor(left, scope), right, 2
            yield exchanged_factor(right, scope), built("A / B", A=left, B=right), 2
        else:
            yield exchanged_factor(right, scope), built("A * B", A=left, B=right), 2
    if isinstance(op, ast.Sub):
        yield "sign", built("A + B", A=left, B=right), 1
        yield "sign", built("B - A", A=left, B=right), 1
        yield removed_term(right, scope), left, 2
    if isinstance(op, ast.Add):
        yield "sign", built("A - B", A=left, B=right), 1
        yield "sign", built("B - A", A=left, B=right), 1
        yield removed_term(right, scope), left, 2
        yield removed_term(left, scope), right, 2


def removed_factor(node: ast.expr, scope: Scope) -> str:
    """Name the mistake of a factor too many."""
    text = text_of(node)
    if isinstance(node, ast.Constant) and node.value in (2, 0.5, 4):
        return "missing_factor_two" if node.value == 0.5 else "extra_factor_two"
    if isinstance(node, ast.Constant) or text.startswith("-"):
        return "constant_factor"
    if _mentions(text, "norm("):
        return "clipped"
    if _mentions(text, "len(", "shape", "size", "self.N", "batch", "count"):
        return "extra_one_over_n"
    return _factor_cause(text, scope, "extra_activation_derivative")


def exchanged_factor(node: ast.expr, scope: Scope) -> str:
    """Name the mistake of multiplying in the place of dividing, or the reverse."""
    text = text_of(node)
    if isinstance(node, ast.Constant):
        return "constant_factor"
    if _mentions(text, "len(", "shape", "size", "self.N", "batch", "count"):
        return "missing_one_over_n"
    return _factor_cause(text, scope, "wrong_local_derivative")


def _factor_cause(text: str, scope: Scope, other: str) -> str:
    if _mentions(text, "gamma"):
        return "bn_gamma_missing"
    if _mentions(text, "sigma", "std", "var", "sqrt"):
        return "bn_sigma_missing"
    if _mentions(text, "self.p", "ratio", "rate", "keep"):
        return "dropout_scale"
    if text == scope.dout:
        return "upstream_not_linear"
    return other


def removed_term(node: ast.expr, scope: Scope) -> str:
    """Name the mistake of a term too many."""
    text = text_of(node)
    if any(p in text for p in scope.parameters):
        return "extra_penalty"
    return "added_constant" if isinstance(node, ast.Constant) else "wrong_local_derivative"


def _mentions(text: str, *words: str) -> bool:
    return any(w in text for w in words)


def _unary(node: ast.UnaryOp, scope: Scope) -> Iterator[Change]:
    if isinstance(node.op, ast.USub):
        yield "sign", node.operand, 1
    if isinstance(node.op, (ast.Invert, ast.Not)):
        yield "mask_inverted", node.operand, 1


# --- around an expression: what was left out --------------------------------------------------------------------------


def _around(node: ast.expr, scope: Scope) -> Iterator[Change]:
    if _mentions(text_of(node), "len(", ".size") or text_of(node).endswith((".shape", ".shape[0]", ".shape[1]")):
        return  # a size is no gradient
    yield "sign", built("-E", E=node), 2
    yield "missing_batch_sum", built("E.sum(axis=0)", E=node), 3
    for n in scope.count():
        yield "missing_one_over_n", built(f"E / {n}", E=node), 3
        yield "extra_one_over_n", built(f"E * {n}", E=node), 3
    yield "missing_factor_two", built("E * 2", E=node), 3
    yield "extra_factor_two", built("E * 0.5", E=node), 3
    yield "path_missing", built(f"E + {scope.dout}", E=node), 4
    yield from _means(node, scope)
    yield from _factors(node, scope)


def _means(node: ast.expr, scope: Scope) -> Iterator[Change]:
    for axis in ("axis=0", "axis=1, keepdims=True"):
        yield "bn_mean_path_missing", built(f"E - E.mean({axis})", E=node), 4
        yield "bn_mean_path_missing", built(f"E - {scope.dout}.mean({axis})", E=node), 4


def _factors(node: ast.expr, scope: Scope) -> Iterator[Change]:
    """Yield a factor put in: a mask, the derivative of an activation, γ, σ, a dropout scale, dout."""
    inside = text_of(node)
    for text, value in scope.atoms.items():
        if text == inside:
            continue
        array = value is None or isinstance(value, np.ndarray)
        if isinstance(value, np.ndarray) and value.dtype == bool:
            yield "mask_not_applied", built(f"E * {text}", E=node), 4
            yield "mask_not_applied", built(f"E * ~{text}", E=node), 4
        elif array:
            yield "mask_not_applied", built(f"E * ({text} > 0)", E=node), 4
            yield "activation_derivative_missing", built(f"E * ({text} * (1 - {text}))", E=node), 4
            yield "activation_derivative_missing", built(f"E * (1 - {text} ** 2)", E=node), 4
            yield "extra_activation_derivative", built(f"E / ({text} * (1 - {text}))", E=node), 5
            yield "extra_activation_derivative", built(f"E / (1 - {text} ** 2)", E=node), 5
        if array:
            two = isinstance(value, np.ndarray) and len(np.unique(value)) == 2
            named = (
                "mask_not_applied" if two or "mask" in text else _factor_cause(text, scope, "wrong_local_derivative")
            )
            named = "upstream_ignored" if text == scope.dout else named
            yield named, built(f"E * {text}", E=node), 5
            yield named, built(f"E / {text}", E=node), 5
        elif isinstance(value, float) and 0 < value < 1:
            for form in ("E * (1 - {})", "E / (1 - {})"):
                yield "dropout_scale", built(form.format(text), E=node), 4


def _around_atom(node: ast.expr, scope: Scope) -> Iterator[Change]:
    text = text_of(node)
    if text not in scope.atoms:
        return
    if scope.target:
        yield "target_ignored", built(f"E - {scope.target}", E=node), 3
    value = scope.atoms[text]
    if isinstance(value, np.ndarray) and value.dtype == bool:
        yield "mask_inverted", built("~E", E=node), 2
    elif isinstance(value, np.ndarray) and set(np.unique(value)) <= {0.0, 1.0}:
        yield "target_wrong" if text == scope.target else "mask_inverted", built("1 - E", E=node), 3
    yield "wrong_local_derivative", built("E ** 2", E=node), 5
    if text.split(".")[-1] in scope.parameters:
        yield "wrong_local_derivative", built("np.sign(E)", E=node), 5
    if text in (scope.dout,):
        yield from _factors(node, scope)


def _exchanged(node: ast.expr, scope: Scope, operand: bool) -> Iterator[Change]:
    """Yield another array in the place of this one."""
    text = text_of(node)
    if text not in scope.atoms:
        return
    for other in scope.atoms:
        if other != text:
            yield exchanged_cause(text, other, scope, operand), parsed(other), 4


def exchanged_cause(text: str, other: str, scope: Scope, operand: bool) -> str:
    """Name the mistake of writing ``text`` where ``other`` belongs."""
    if any(_mentions(t, "xn", "hat", "norm", "xc") for t in (text, other)) and not operand:
        return "bn_not_normalised"
    if all(_mentions(t, "sigma", "std", "var") for t in (text, other)):
        return "bn_sigma_missing"
    if scope.target and scope.target in (text, other):
        return "target_wrong"
    if operand or other in scope.parameters or _mentions(text, *scope.parameters):
        return "wrong_array"
    if text == scope.dout:
        return "mask_of_upstream"
    if scope.atoms[text] is None or scope.atoms[other] is None:
        return "wrong_array"
    return "derivative_at_wrong_value"


def _whole(node: ast.expr, scope: Scope) -> Iterator[Change]:
    """Yield terms put beside the value of a statement."""
    for text, value in scope.atoms.items():
        if value is None and text != scope.dout and text != text_of(node):
            yield "path_missing", built(f"E + {text}", E=node), 5


# --- calls, comparisons, numbers, places ------------------------------------------------------------------------------

_DROPS = {  # a call that should not be there, by the mistake
    "clipped": "clip minimum maximum",
    "upstream_not_linear": "sign abs absolute",
    "wrong_dtype": "round rint astype float32 float16 int half float",
    "wrong_order": "roll flip flipud fliplr sort",
    "not_finite": "nan_to_num",
    "wrong_local_derivative": "sqrt square",
    "upstream_reduced": "mean sum max",
}
_DROPPED = {name: cause for cause, names in _DROPS.items() for name in names.split()}


def _call(node: ast.Call, scope: Scope) -> Iterator[Change]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    method = isinstance(node.func, ast.Attribute) and text_of(node.func.value) not in ("np", "numpy", "gy", "torch")
    first = (
        node.func.value if method and isinstance(node.func, ast.Attribute) else (node.args[0] if node.args else None)
    )
    if name in _DROPPED and first is not None:
        yield _DROPPED[name], first, 2
    if name == "where" and len(node.args) == 3:
        a, b, c = node.args
        yield "mask_inverted", built("W(A, C, B)", W=node.func, A=a, B=b, C=c), 1
        yield "mask_not_applied", built("W(A, B, 0)", W=node.func, A=a, B=b), 2
        yield "mask_not_applied", built("W(A, 0, C)", W=node.func, A=a, C=c), 2
    if name in ("sum", "mean"):
        yield from _reductions(node, name)
    if name == "reshape" and first is not None:
        yield "wrong_order", built("E.T", E=first), 2
        yield "missing_transpose", built("E.T.reshape(R)", E=first, R=parsed("-1")), 5


def _reductions(node: ast.Call, name: str) -> Iterator[Change]:
    other = copy.deepcopy(node)
    if isinstance(other.func, ast.Attribute):
        other.func.attr = "mean" if name == "sum" else "sum"
        yield "missing_one_over_n" if name == "sum" else "mean_instead_of_sum", other, 1
    method = isinstance(node.func, ast.Attribute) and text_of(node.func.value) not in ("np", "numpy", "gy")
    kept = [k for k in node.keywords if k.arg not in ("axis", "dim")]
    for axis in (0, 1, -1):
        moved = ast.Call(node.func, [*node.args[: 0 if method else 1], ast.Constant(axis)], kept)
        yield "wrong_axis", moved, 2
        if len(kept) < 1:
            yield "wrong_axis", ast.Call(moved.func, moved.args, [ast.keyword("keepdims", ast.Constant(True))]), 2


_OPPOSITE = {ast.Gt: ast.LtE, ast.LtE: ast.Gt, ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq}


def _compare(node: ast.Compare, scope: Scope) -> Iterator[Change]:
    if len(node.ops) != 1:
        return
    kind = _OPPOSITE.get(type(node.ops[0]))
    if kind is not None:
        yield "mask_inverted", ast.Compare(node.left, [kind()], node.comparators), 1
    yield "wrong_threshold", ast.Compare(node.left, node.ops, [ast.Constant(0)]), 2
    for text in scope.atoms:
        left = text_of(node.left)
        inner = scope.atoms.get(left, 0) is None and left.startswith("d")  # the gradient of an inner value
        cause = "mask_of_upstream" if left == scope.dout or inner else "wrong_threshold"
        yield cause, ast.Compare(parsed(text), node.ops, node.comparators), 3
        yield cause, ast.Compare(parsed(text), node.ops, [ast.Constant(0)]), 4


def _number(node: ast.Constant, scope: Scope) -> Iterator[Change]:
    v = node.value
    if isinstance(v, bool) or not isinstance(v, (int, float)):
        return
    if 0 < abs(v) < 1e-3:
        for w in (0.0, 1e-8, 1e-7, 1e-6, 1e-5, 1e-12):
            yield "eps_mismatch", ast.Constant(w), 3
        return
    for w in (0, 1, 2, 3, 4, -1, 0.5, v * 2, v / 2, v + 1, v - 1):
        if w != v:
            cause = "extra_factor_two" if v and w == v / 2 else "missing_factor_two" if v and w == v * 2 else ""
            yield cause or "wrong_local_derivative", ast.Constant(w), 4
    for text, value in scope.atoms.items():
        if isinstance(value, float):
            yield "wrong_slope", parsed(text), 4


def _subscript(node: ast.Subscript, scope: Scope) -> Iterator[Change]:
    if not isinstance(node.ctx, ast.Load):
        return
    index = text_of(node.slice)
    if index.lstrip("-").isdigit():
        yield "missing_batch_sum", built("E.sum(axis=0)", E=node.value), 1
        yield "one_sample_only", node.value, 2
    else:
        yield "wrong_order" if "::" in index else "one_sample_only", node.value, 1
        if ":" in index:
            yield "wrong_order", node.value, 2


def _power(node: ast.BinOp, scope: Scope) -> Iterator[Change]:
    if isinstance(node.op, ast.Pow):
        yield "wrong_local_derivative", node.left, 2


_BY_KIND: dict[type, tuple[Callable[[Any, Scope], Iterator[Change]], ...]] = {
    ast.BinOp: (_binary, _power),
    ast.UnaryOp: (_unary,),
    ast.Call: (_call,),
    ast.Compare: (_compare,),
    ast.Constant: (_number,),
    ast.Subscript: (_subscript,),
}
