"""What people call the values: names given by hand, variables of the calling code, parameters of modules."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from gyaku.base.errors import DtypeError
from gyaku.core.tensor import Tensor
from gyaku.explain.read import Graph

TensorType = TypeVar("TensorType")
_GIVEN: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()  # node -> name


def name(tensor: TensorType, text: str) -> TensorType:
    """Call a value ``text`` in every explanation, and return the tensor itself: ``h = name(x @ w, "h")``.

    Raises ``DtypeError`` for anything but a tensor in a graph.
    """
    if not isinstance(tensor, Tensor) or tensor._node is None:
        raise DtypeError("explain.name", "a tensor that requires grad", type(tensor).__name__)
    _GIVEN[tensor._node] = str(text)
    return tensor


class Names:
    """Names of values, by node or (constants) by array; the first that is entered for a value stays."""

    def __init__(self) -> None:
        self.nodes: dict[Any, str] = {}
        self.arrays: dict[int, str] = {}
        self.tensors: list[Tensor] = []

    def enter(self, text: str, tensor: Any) -> None:
        """Enter a name for a tensor; anything else is passed over."""
        if isinstance(tensor, Tensor):
            self.tensors.append(tensor)
            if tensor._node is not None:
                self.nodes.setdefault(tensor._node, text)
            self.arrays.setdefault(id(tensor._array), text)

    def of(self, vertex: Any) -> str:
        """Return the name of a vertex, "" when it has none."""
        if vertex.kind == "constant":
            return self.arrays.get(id(vertex.constant), "")
        return self.nodes.get(vertex.node, "")


def names_for(graph: Graph, given: Mapping[str, Any] | None, model: Any, scope: Mapping[str, Any]) -> Names:
    """Return the names of a graph's values: ``given`` first, then ``name()``, parameters, variables in ``scope``."""
    names = Names()
    for text, tensor in (given or {}).items():
        if not isinstance(tensor, Tensor):
            raise DtypeError("explain", f"names: a tensor for {text!r}", type(tensor).__name__)
        names.enter(text, tensor)
    for node, text in list(_GIVEN.items()):
        if node in graph.by_node:
            names.nodes.setdefault(node, text)
    graph.models = list(_models(graph, model))
    for root in graph.models:
        for path, module in root.named_modules():
            for own, parameter in (*module._parameters.items(), *module._buffers.items()):
                names.enter(f"{path}.{own}" if path else own, parameter)
    for text, tensor in variables(scope):
        names.enter(text, tensor)
    return names


def _models(graph: Graph, model: Any) -> Iterator[Any]:
    """Yield ``model`` and the outermost modules at work in the graph, each once."""
    working = {id(m): m for m in (v.module for v in graph.vertices) if m is not None}
    roots = [*([] if model is None else [model]), *(chain_of(m)[0] for m in working.values())]
    return iter({id(root): root for root in roots}.values())


def chain_of(module: Any) -> list[Any]:
    """Return the modules from the outermost one down to ``module``."""
    chain = [module]
    while "_parent" in chain[-1].__dict__:
        parent, name = chain[-1].__dict__["_parent"]
        above = parent()
        if above is None or above._modules.get(name) is not chain[-1] or any(above is m for m in chain):
            break
        chain.append(above)
    return chain[::-1]


def variables(scope: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the tensors among variables, and those in dictionaries by their keys (``params["W1"]`` is W1)."""
    for text, value in list(scope.items()):
        if text.startswith("_"):
            continue
        if isinstance(value, Tensor):
            yield text, value
        elif type(value) is dict:
            yield from [(k, v) for k, v in value.items() if isinstance(k, str) and isinstance(v, Tensor)]
