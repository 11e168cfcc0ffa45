"""The rule book: every operation, each derivative written once.

Importing a module enters its operations, functions and tensor methods into the registry.
"""

from gyaku.ops import (
    activation,
    arithmetic,
    choose,
    compare,
    conv,
    creation,
    cumulative,
    dims,
    draw,
    dropout,
    elementwise,
    extremes,
    index,
    join,
    linalg,
    linear,
    loss,
    loss_classes,
    namespace,
    norm,
    reduce,
    shape,
    sort,
    trigonometry,
)

from gyaku.ops import inplace  # isort: skip  (makes x.exp_() and the like of the functions above)

__all__ = [
    "activation",
    "arithmetic",
    "choose",
    "compare",
    "conv",
    "creation",
    "cumulative",
    "dims",
    "draw",
    "dropout",
    "elementwise",
    "extremes",
    "index",
    "inplace",
    "join",
    "linalg",
    "linear",
    "loss",
    "loss_classes",
    "namespace",
    "norm",
    "reduce",
    "shape",
    "sort",
    "trigonometry",
]
