"""Reading the record of a loss: what was applied to the output, and what made it. Gyaku's and PyTorch's alike."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# Operations that pass values on as they are, or nearly: looked through when asking what made a tensor.
_PLAIN = {
    "Reshape", "View", "UnsafeView", "Flatten", "Permute", "Transpose", "T", "Expand", "Clone", "Contiguous", "Slice",
    "Squeeze", "Unsqueeze", "ToCopy", "Cast", "Dropout", "NativeDropout", "Mul", "MaxPool2DWithIndices", "Select",
    "Index", "Alias",
}  # fmt: skip
SQUASHING = ("Softmax", "Sigmoid", "Tanh", "Relu")


def kind_of(node: Any) -> str:
    """Return the operation of a node without its decorations: ``SoftmaxBackward0`` -> ``Softmax``."""
    name = node.name() if callable(node.name) else node.name
    return re.sub(r"(Safe)?Backward\d*$", "", name)


def parents(node: Any) -> list[Any]:
    """Return the nodes that a node's inputs came from, in order; None for constants."""
    return [p for p, _ in node.next_functions]


def is_leaf(node: Any) -> bool:
    """Whether a node is the end of the graph at a parameter."""
    return getattr(node, "is_leaf", False) or kind_of(node) == "torch::autograd::AccumulateGrad"


def below(node: Any, limit: int = 4000) -> Iterator[Any]:
    """Yield a node and everything it was computed from, nearest first."""
    queue, seen = [node], {node}
    for found in queue:
        yield found
        if is_leaf(found) or len(queue) > limit:
            continue
        for p in parents(found):
            if p is not None and p not in seen:
                seen.add(p)
                queue.append(p)


def maker(node: Any) -> Any:
    """Return the first node on the way back along first inputs that does more than pass values on; None at the end."""
    while node is not None and not is_leaf(node):
        if hasattr(node, "index") and hasattr(node, "parents"):  # one output of an operation with several
            node = node.parents[0]
        if kind_of(node) not in _PLAIN:
            return node
        node = next((p for p in parents(node) if p is not None), None)
    return None


def activation_before(following: Any, y: Any) -> str:
    """Return the activation between a layer's output ``y`` and the next layer's input (``Relu``, ...); '' for none."""
    node, own = following.grad_fn, y.grad_fn
    for found in below(node, 40) if node is not None else ():
        if found is own:
            return ""
        if kind_of(found) in ("Relu", "Sigmoid", "Tanh", "LeakyRelu", "Elu", "Gelu", "Silu", "Softplus"):
            return kind_of(found)
    return ""


def shape_of(node: Any) -> tuple[int, ...]:
    """Return the shape of what a node gave; () where it is not known."""
    shape = getattr(node, "shape", None)
    if shape is None:
        meta = getattr(node, "_input_metadata", None)
        shape = tuple(meta[0].shape) if meta else ()
    return tuple(shape) if all(isinstance(n, int) for n in shape) else ()


def module_path(node: Any) -> str:
    """Return the dotted path of the module at work when a node was made (Gyaku's nodes know it)."""
    reference = getattr(node, "module", None)
    module = reference() if reference is not None else None
    return getattr(module, "path", "") if module is not None else ""


@dataclass(frozen=True)
class Pairing:
    """How a loss takes the output.

    ``loss`` is the operation that expects a certain output (``CrossEntropy``, ``BceLogits``, ``Bce``, ``Nll``, ``Mse``;
    "" unknown), ``given`` what made its input, ``where`` the module path of that, ``pairs`` whether some value has the
    shape (N, N) of all pairs of samples; ``low`` and ``high`` are those of the output.
    """

    loss: str
    given: str
    where: str
    pairs: bool
    output: tuple[int, ...]
    target: tuple[int, ...]
    low: float
    high: float


_LOSSES = {
    "CrossEntropy": "CrossEntropy", "CrossEntropyProbabilities": "CrossEntropy", "LogSoftmax": "CrossEntropy",
    "BceWithLogits": "BceLogits", "BinaryCrossEntropyWithLogits": "BceLogits", "Bce": "Bce",
    "BinaryCrossEntropy": "Bce", "Nll": "Nll", "NllLoss": "Nll", "Mse": "Mse", "MseLoss": "Mse",
}  # fmt: skip


def pairing(loss: Any, output: Any, target: Any) -> Pairing:
    """Read from the record of ``loss`` what it does to ``output``."""
    import numpy as np

    from gyaku.doctor.library import array_of

    y, root = array_of(output).astype(np.float64), loss.grad_fn
    n = len(y) if y.ndim else 0
    pairs, name, taken = False, "", None
    for node in below(root) if root is not None else ():
        shape = shape_of(node)
        pairs = pairs or (n > 1 and shape == (n, n) and tuple(y.shape) in ((n, 1), (n,)))
        kind = _LOSSES.get(kind_of(node), "")
        if node is output.grad_fn and kind != "CrossEntropy":
            break
        if kind and not name:
            name, taken = kind, next((p for p in parents(node) if p is not None), None)
        elif kind == "CrossEntropy" and name == "Nll" and taken is not None and maker(taken) is node:
            name, taken = kind, next((p for p in parents(node) if p is not None), None)
            break
    made = maker(taken) if taken is not None else maker(output.grad_fn) if output.grad_fn is not None else None
    given = kind_of(made) if made is not None else ""
    shapes = tuple(y.shape), tuple(target.shape)
    low, high = (float(y.min()), float(y.max())) if y.size else (0.0, 0.0)
    return Pairing(name, given, module_path(made) if made is not None else "", pairs, *shapes, low, high)
