"""The work of one operation: FLOPs of its forward pass, a multiply-add counted as 2.

| operation | FLOPs |
|---|---|
| matrix product (..., N, K) @ (..., K, L) | 2 K for each element of the result |
| linear with bias | 2 K for each element, and 1 for the bias |
| convolution | 2 K for each element of the result (K = C/groups x elements of a kernel), and 1 for the bias |
| transposed convolution | 2 K for each element of its input, and 1 for the bias of each of the result |
| pooling | 1 for each element of each window |
| einsum | 2 for each combination of its letters (1 with a single operand) |
| sums, means, extremes | 1 for each element of the input |
| variance, deviation, norm | 3 for each element of the input |
| softmax, log-softmax, cross-entropy | 5 for each element (maximum, difference, exponential, sum, quotient) |
| batch, layer and group norm | 7 for each element |
| views, copies, casts, indexing | 0 |
| everything else (one function of each element) | 1 for each element of the result |
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

_FREE = set(
    "cast move reshape permute expand clone contiguous slice index index_add gather spread concatenate stack split "
    "unbind tile flip windows roll tril triu diagonal diagflat embedding tap sort argmax argmin".split()
)
_PER_INPUT = {
    **dict.fromkeys("sum mean prod amax amin any all count_nonzero max_along min_along".split(), 1),
    **dict.fromkeys(("var", "std", "norm"), 3), **dict.fromkeys(("softmax", "log_softmax", "logsumexp"), 5),
    **dict.fromkeys(("cross_entropy", "cross_entropy_probabilities"), 5),
    **dict.fromkeys(("batch_norm", "batch_norm_fixed", "layer_norm", "group_norm"), 7),
    **dict.fromkeys(("mse", "l1"), 3),
}  # fmt: skip


def flops_of(op: Any, inputs: list[Any], output: Any) -> int:
    """Return the FLOPs of one call, by the table above."""
    out = output[0] if isinstance(output, tuple) else output
    size = math.prod(np.shape(out))
    if op.name in _FREE or op.view:
        return 0
    if op.name == "linear":
        return size * (2 * inputs[0].shape[-1] + (len(inputs) > 2 and inputs[2] is not None))
    if op.name in _OF_PICTURES:
        return _OF_PICTURES[op.name](op, inputs, size)
    if op.name == "matmul":
        return 2 * size * int(inputs[0].shape[-1])
    if op.name == "einsum":
        return _of_einsum(op, inputs)
    if op.name == "bilinear":
        return 2 * size * int(inputs[0].shape[-1]) * int(inputs[1].shape[-1])
    if op.name in _PER_INPUT:
        return _PER_INPUT[op.name] * math.prod(np.shape(inputs[0]))
    return size


def _of_conv(op: Any, inputs: list[Any], size: int) -> int:
    return size * (2 * math.prod(inputs[1].shape[1:]) + _biased(inputs))


def _of_conv_input(op: Any, inputs: list[Any], size: int) -> int:
    return 2 * math.prod(inputs[0].shape) * math.prod(inputs[1].shape[1:]) + size * _biased(inputs)


def _of_conv_weight(op: Any, inputs: list[Any], size: int) -> int:
    return 2 * size * int(inputs[1].shape[0]) * math.prod(inputs[1].shape[2:])


def _biased(inputs: list[Any]) -> bool:
    return len(inputs) > 2 and inputs[2] is not None


_OF_PICTURES = {
    "conv": _of_conv, "conv_input": _of_conv_input, "conv_weight": _of_conv_weight,
    "max_pool": lambda op, inputs, size: size * math.prod(op.kernel),
    "sum_pool": lambda op, inputs, size: size * math.prod(op.kernel),
    "fold": lambda op, inputs, size: math.prod(inputs[0].shape),
}  # fmt: skip


def _of_einsum(op: Any, inputs: list[Any]) -> int:
    terms = op.equation.split("->")[0].split(",")
    sizes = {letter: n for term, x in zip(terms, inputs) for letter, n in zip(term, x.shape)}
    return math.prod(sizes.values()) * (2 if len(inputs) > 1 else 1)
