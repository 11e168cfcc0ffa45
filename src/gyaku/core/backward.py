"""The backward walk: iterative, deterministic, newest operation first; it checks what every rule returns."""

from __future__ import annotations

import operator
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from gyaku.backend.namespace import NAMESPACES
from gyaku.base.errors import DtypeError, GraphError, GyakuError, ShapeError
from gyaku.core.hooks import RetainGrad
from gyaku.core.mode import enable_grad, no_grad, state
from gyaku.core.node import Leaf, Node, Pick
from gyaku.core.tensor import Tensor, new_tensor, write, wrote

_by_age = operator.attrgetter("id")
_getrefcount = sys.getrefcount
_new = object.__new__
_ndarray = np.ndarray


def backward(
    self: Tensor, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False, inputs: Any = None
) -> None:
    """Run backward from here: every leaf that requires_grad gets d(self)/d(leaf) added to its ``.grad``.

    ``gradient`` is the gradient arriving here and must be given unless this is a scalar. The graph is spent
    afterwards unless ``retain_graph`` (or ``create_graph``, which makes the gradients differentiable). With ``inputs``
    only those get their gradient.
    Raises ``GraphError`` when there is no graph, it is spent, or a saved value was overwritten.
    """
    node = self._node
    if node is None or create_graph or inputs is not None:
        run_backward([self], [gradient], create_graph if retain_graph is None else retain_graph, create_graph, inputs)
    else:
        walk([node], {node: _seed(self, gradient, False)}, bool(retain_graph), False, None, True)


Tensor.backward = backward  # type: ignore[method-assign]


def run_backward(
    roots: Sequence[Tensor], gradients: Sequence[Any], retain: bool, create_graph: bool, inputs: Any = None
) -> None:
    """Walk back from ``roots`` and add what arrives at each leaf to its ``.grad`` (only ``inputs``, when given)."""
    targets = None
    if inputs is not None:
        targets = {_node_of_input(t): None for t in ([inputs] if isinstance(inputs, Tensor) else inputs)}
    nodes, grads = _start(roots, gradients, create_graph)
    if create_graph:
        with enable_grad():
            walk(nodes, grads, retain, True, targets, True)
    else:
        walk(nodes, grads, retain, False, targets, True)


def gradients_of(
    outputs: Sequence[Tensor], inputs: Sequence[Tensor], gradients: Sequence[Any], retain: bool, create_graph: bool
) -> list[Any]:
    """Return what arrives at each of ``inputs`` (arrays, or tensors with ``create_graph``; None where nothing does)."""
    targets: dict[Any, Any] = {_node_of_input(t): None for t in inputs}
    nodes, grads = _start(outputs, gradients, create_graph)
    with enable_grad() if create_graph else no_grad():
        walk(nodes, grads, retain, create_graph, targets, False)
    return [targets[t._node] for t in inputs]


def _node_of_input(t: Tensor) -> Any:
    if not isinstance(t, Tensor) or t._node is None:
        raise GraphError("backward", "inputs that require grad", "one that does not", hint="call .requires_grad_()")
    return t._node


def _start(roots: Sequence[Tensor], gradients: Sequence[Any], create_graph: bool) -> tuple[list[Any], dict[Any, Any]]:
    """Return the nodes of ``roots``, and {node: the gradient that starts there}."""
    nodes, grads = [], {}  # type: tuple[list[Any], dict[Any, Any]]
    for t, g in zip(roots, gradients, strict=True):
        node = t._node
        if node is None:
            raise GraphError(
                "backward",
                "a tensor that requires grad",
                "one without a graph",
                hint="create its inputs with requires_grad=True, outside gyaku.no_grad()",
            )
        start = _seed(t, g, create_graph)
        grads[node] = grads[node] + start if node in grads else start
        nodes.append(node)
    return nodes, grads


def _seed(t: Tensor, g: Any, create_graph: bool) -> Any:
    y = t._array
    if g is None:
        if y.size != 1:
            raise GraphError(
                "backward",
                "a scalar, or the gradient arriving here as an argument",
                f"a tensor of shape {t.shape}",
                hint="reduce it (E.sum().backward()) or pass gradient=; the derivative of an array by an "
                "array would be a fourth-order array",
            )
        seed = NAMESPACES[type(y)].ones(y.shape, dtype=y.dtype)
        return new_tensor(seed) if create_graph else seed
    if not isinstance(g, Tensor):
        g = _given(g, y.dtype)
    if g._array.shape != y.shape:
        raise ShapeError("backward", f"a gradient of shape {t.shape}", str(g.shape))
    return g if create_graph else g._array


def _given(g: Any, kind: Any) -> Tensor:
    """Return the arriving gradient, given as numbers, as a tensor."""
    try:
        return new_tensor(np.asarray(g, dtype=kind))
    except (TypeError, ValueError) as error:
        raise DtypeError("backward", "a tensor as gradient", type(g).__name__) from error


def walk(
    roots: list[Any], grads: dict[Any, Any], retain: bool, create_graph: bool, targets: Any, accumulate: bool
) -> None:
    """Send ``grads`` back through the graph below ``roots``.

    Nodes run in order of age, youngest first: a topological order. Each rule's gradients are checked for number,
    shape and dtype and added up at the parents. Arrays are let go as soon as they are used.
    """
    take, look = grads.pop, grads.get
    for node in _reachable(roots):
        kind = type(node)
        if kind is Leaf:
            continue
        gy = take(node, None)
        if gy is None:
            continue
        if node.hooks:
            gy = _hooked(node, gy, create_graph)
        if targets is not None and node in targets:
            targets[node] = gy
        if kind is Pick:
            slots = grads.setdefault(node.parents[0], [None] * len(node.parents[0].shape))
            before = slots[node.index]  # a second Pick of one output comes from a recorded backward
            slots[node.index] = gy if before is None else before + gy
            continue
        gxs = _run_rule(node, gy, create_graph)
        if not retain:
            node.saved = node.consts = None
            node.cells = ()
        gy = None
        for p, gx in zip(node.parents, gxs):
            if p is None or gx is None:
                continue
            if gx.shape != p.shape:
                gx = _unbroadcast(node, gx, p.shape)
            if gx.dtype is not p.dtype and gx.dtype != p.dtype:
                gx = _cast(gx, p.dtype)
            before = look(p)
            grads[p] = gx if before is None else before + gx
        gxs = gx = before = None  # let go, so that what only a leaf will hold is handed over without a copy
    while grads:  # what is left has arrived at leaves
        leaf, gy = grads.popitem()
        if leaf.hooks:
            gy = _hooked(leaf, gy, create_graph)
        if targets is not None:
            if leaf not in targets:
                continue
            targets[leaf] = gy
        if not accumulate:
            continue
        tensor = leaf.tensor()
        if type(gy) is _ndarray and tensor is not None and tensor._grad is None and not leaf.after:
            if _getrefcount(gy) > _OWN or gy.base is not None:  # somebody else holds it: the gradient is a copy
                gy = gy.copy()
            grad = tensor._grad = _new(Tensor)
            grad._array = gy
            grad._cell = [0]
            grad._node = grad._grad = grad._extra = None
        else:
            _deposit(leaf, gy, create_graph)


def _reachable(roots: list[Any]) -> list[Any]:
    """Return the nodes below ``roots``, youngest first; leaves only where they are roots."""
    nodes = roots if len(roots) == 1 else list(dict.fromkeys(roots))
    seen = None
    for node in nodes:  # grows while it is read
        for p in node.parents:
            if p is not None and type(p) is not Leaf:
                if seen is None:
                    seen = set(nodes)
                if p not in seen:
                    seen.add(p)
                    nodes.append(p)
    if len(nodes) > 1:
        nodes.sort(key=_by_age, reverse=True)
    return nodes


def _run_rule(node: Node, gy: Any, create_graph: bool) -> Any:
    """Return the gradients by each parent, after making sure that what was saved is still what it was."""
    saved, parents = node.saved, node.parents
    if saved is None:
        raise _spent(node)
    for cell in node.cells:
        if cell[0] > node.id:
            raise _overwritten(node)
    if create_graph:
        saved = _saved_tensors(node)
    if type(gy) is list:
        xp = NAMESPACES[type(next(g for g in gy if g is not None))]
        fill = node.op.materializes
        gy = tuple([xp.zeros(node.shape[k], node.dtype[k]) if g is None and fill else g for k, g in enumerate(gy)])
    else:
        xp = NAMESPACES[type(gy)]
    try:
        gxs = node.op.backward(xp, saved, gy, parents)
    except GyakuError as error:
        error.context = error.context or _context(node)
        raise
    if type(gxs) is not tuple:
        gxs = (gxs,)
    if len(gxs) != len(parents):
        raise GraphError(
            f"{node.op.name} (backward)", f"{len(parents)} gradients", str(len(gxs)), context=_context(node)
        )
    if state.observers:
        for observer in state.observers:
            observer.after_backward(node, gy, gxs)
    return gxs


def _cast(gx: Any, dtype: Any) -> Any:
    if isinstance(gx, Tensor):
        return gx if gx._array.dtype == dtype else gx.to(dtype)
    return NAMESPACES[type(gx)].astype(gx, dtype)


def _unbroadcast(node: Any, gx: Any, shape: tuple[int, ...]) -> Any:
    """Sum ``gx`` over the axes along which an input of ``shape`` was broadcast."""
    extra = len(gx.shape) - len(shape)
    tail = gx.shape[extra:] if extra >= 0 else None
    if tail is None or any(s not in (g, 1) for s, g in zip(shape, tail)):
        raise ShapeError(
            f"{node.op.name} (backward)", f"a gradient of shape {shape}", str(gx.shape), context=_context(node)
        )
    xp = NAMESPACES[type(gx)]
    axes = tuple(range(extra)) + tuple(i + extra for i, s in enumerate(shape) if s == 1 and tail[i] != 1)
    return xp.reshape(xp.sum(gx, axis=axes), shape)


def _saved_tensors(node: Node) -> tuple[Any, ...]:
    """Return ``saved`` as tensors that belong to the graph, so that the rule's result can be differentiated again."""
    out: list[Any] = []
    cells = iter(node.cells)  # one for each saved array, so that a later write is noticed in the second walk too
    for (kind, i), value in zip(node.op._codes, node.saved or ()):
        if kind == "s" or type(value) not in NAMESPACES or isinstance(value, np.generic):
            out.append(value)
        elif kind == "x":
            out.append(new_tensor(value, node.parents[i], next(cells)))
        else:
            several = type(node.shape) is tuple and node.shape and type(node.shape[0]) is tuple
            parent = Pick(node, i, value.shape, value.dtype) if several else node
            out.append(new_tensor(value, parent, next(cells)))
    return tuple(out)


def _hooked(node: Any, gy: Any, create_graph: bool) -> Any:
    """Run the hooks of a node on its gradient; a hook may replace it.

    Recording is off for them unless the walk itself is recorded. ``retain_grad`` looks last, at what goes on.
    """
    with enable_grad() if create_graph else no_grad():
        for hook in sorted(node.hooks, key=_looks_last):
            given = gy if create_graph else new_tensor(np.asarray(gy) if isinstance(gy, np.generic) else gy)
            answer = hook(given)
            if answer is not None:
                _check_answer(node, answer)
                gy = answer if create_graph else answer._array
    return gy


def _looks_last(hook: Any) -> bool:
    return isinstance(hook, RetainGrad)


def _check_answer(node: Any, answer: Any) -> None:
    """Refuse what a hook returned unless it can stand for the gradient it was given."""
    if not isinstance(answer, Tensor):
        raise DtypeError("hook", "a tensor or None", type(answer).__name__, hint="return the new gradient, or nothing")
    if answer.shape != node.shape:
        raise ShapeError("hook", f"a gradient of shape {node.shape}", str(answer.shape))
    if answer._array.dtype != node.dtype:
        raise DtypeError("hook", f"a gradient of dtype {node.dtype}", str(answer._array.dtype), hint="use .to(g.dtype)")


def _deposit(leaf: Leaf, gy: Any, create_graph: bool) -> None:
    """Add a gradient to the ``.grad`` of a leaf: the cases that ``walk`` does not settle itself."""
    tensor = leaf.tensor()
    if tensor is None:
        return
    before = tensor._grad
    if before is None:
        tensor._grad = gy.clone() if create_graph else new_tensor(_as_own(gy))
    elif create_graph:
        tensor._grad = before + gy
    elif before._node is None and before._array.flags.writeable:
        before._array += gy
        wrote(before)
    else:
        tensor._grad = new_tensor(before._array + gy)
    if leaf.after:
        with no_grad():
            for hook in list(leaf.after):
                hook(tensor)


def clear_grad(t: Tensor) -> None:
    """Fill the gradient of ``t`` with zeros: in its own memory, unless that belongs to a graph or cannot be written."""
    g = t._grad
    if g is not None and g._node is None and g._array.flags.writeable:
        write(g, 0)
    elif g is not None:
        t._grad = new_tensor(NAMESPACES[type(g._array)].zeros_like(g._array))


def _as_own(gy: Any) -> Any:
    return np.array(gy) if isinstance(gy, np.generic) else NAMESPACES[type(gy)].copy(gy)


def _own_references() -> int:
    """Return the reference count of an array that one local name, and nothing else, holds."""
    gy = np.empty(1)
    return _getrefcount(gy)


_OWN = _own_references()  # differs between Python versions, so it is measured


def _context(node: Any) -> str:
    module = node.module() if getattr(node, "module", None) is not None else None
    path = getattr(module, "path", "") if module is not None else ""
    return ", ".join(part for part in (f"layer {path!r}" if path else "", f"made at {node.where}") if part)


def _spent(node: Node) -> GraphError:
    return GraphError(
        "backward",
        "a graph that still holds its values",
        "one that is spent: backward has run through it",
        hint="pass retain_graph=True to the first backward, or compute the result again",
        context=_context(node),
    )


def _overwritten(node: Node) -> GraphError:
    return GraphError(
        f"{node.op.name} (backward)",
        "the value of the forward pass",
        "a value that was overwritten in place after it",
        hint="write to a copy (.clone()), or run backward before the update",
        context=_context(node),
    )
