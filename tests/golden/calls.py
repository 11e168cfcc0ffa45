"""Calls that read the same for PyTorch and for Gyaku: ``call(T, *inputs)`` with either package as ``T``.

``record.py`` writes down what PyTorch gives, ``test_golden.py`` compares without it, ``tests/parity`` compares live.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from op_case import Input, away, exactly, mask, positive, real, spread, whole

Call = tuple[Any, ...]  # (function of T and tensors, *inputs)


def of(name: str, *args: Any, **kwargs: Any) -> Any:
    """Return a call of ``T.name(x, *args, **kwargs)``, with the tensors first."""
    return lambda T, *x: getattr(T, name)(*x, *args, **kwargs)


def method(name: str, *args: Any, **kwargs: Any) -> Any:
    """Return a call of ``x.name(*args, **kwargs)``."""
    return lambda T, x, *more: getattr(x, name)(*more, *args, **kwargs)


def functional(name: str, *args: Any, **kwargs: Any) -> Any:
    """Return a call of ``T.nn.functional.name(x, *args, **kwargs)``."""
    return lambda T, *x: getattr(T.nn.functional, name)(*x, *args, **kwargs)


def _elementwise() -> dict[str, Call]:
    calls: dict[str, Call] = {}
    for names, domain in (
        ("exp expm1 sin cos tanh sigmoid erf neg square", real),
        ("log log1p sqrt rsqrt reciprocal log2 log10", positive),
        ("abs relu sign reciprocal", away),
        ("floor ceil round", spread),
    ):
        for name in names.split():
            calls[f"{name}"] = (of(name), domain(3, 4))
            calls[f"x.{name}"] = (method(name), domain(5))
    for name in ("isnan", "isfinite", "isinf"):
        calls[name] = (of(name), exactly([1.0, np.nan, np.inf, -np.inf, 0.0]))
    return calls


def _binary() -> dict[str, Call]:
    calls: dict[str, Call] = {}
    for name in "add sub mul div maximum minimum".split():
        for a, b in (
            ((3, 4), (3, 4)),
            ((3, 4), (4,)),
            ((3, 1), (1, 4)),
            ((2, 3), ()),
            ((), (2, 3)),
            ((2, 1, 3), (4, 1)),
        ):
            calls[f"{name} {a} {b}"] = (of(name), spread(*a), away(*b))
    for name in "eq ne lt le gt ge".split():
        calls[name] = (of(name), whole(3, 3, 4), whole(3, 3, 4))
    return calls | {
        "add alpha": (of("add", alpha=2.5), real(2, 3), real(2, 3)),
        "sub alpha": (of("sub", alpha=3), real(2, 3), real(2, 3)),
        "x + 1": (lambda T, x: x + 1, real(3)),
        "1 + x": (lambda T, x: 1 + x, real(3)),
        "x - 1": (lambda T, x: x - 1, real(3)),
        "1 - x": (lambda T, x: 1 - x, real(3)),
        "x * 2": (lambda T, x: x * 2, real(3)),
        "2.5 * x": (lambda T, x: 2.5 * x, real(3)),
        "x / 4": (lambda T, x: x / 4, real(3)),
        "1 / x": (lambda T, x: 1 / x, away(3)),
        "-x": (lambda T, x: -x, real(3)),
        "abs(x)": (lambda T, x: abs(x), away(3)),
        "x // y": (lambda T, x, y: x.detach() // y.detach(), spread(4), away(4)),
        "x % y": (lambda T, x, y: x % y, spread(4), positive(4)),
        "x ** 2": (lambda T, x: x**2, real(4)),
        "x ** 3": (lambda T, x: x**3, real(4)),
        "x ** 0.5": (lambda T, x: x**0.5, positive(4)),
        "x ** -1": (lambda T, x: x**-1, away(4)),
        "x ** 0": (lambda T, x: x**0, real(4)),
        "x ** 1": (lambda T, x: x**1, real(4)),
        "2 ** x": (lambda T, x: 2**x, real(4)),
        "x ** y": (lambda T, x, y: x**y, positive(3, 4), real(4)),
        "pow": (of("pow", 3), real(2, 3)),
        "maximum tie": (of("maximum"), exactly([1.0, 2.0, 3.0]), exactly([1.0, 5.0, 0.0])),
        "minimum tie": (of("minimum"), exactly([1.0, 2.0, 3.0]), exactly([1.0, 5.0, 0.0])),
        "abs at 0": (of("abs"), exactly([0.0, -1.0])),
        "relu at 0": (of("relu"), exactly([0.0, -1.0, 2.0])),
        "sqrt of integers": (of("sqrt"), exactly([1, 4, 9])),
        "int / int": (of("div"), exactly([1, 4]), exactly([2, 8])),
        "int + float": (lambda T, x, i: x + i, real(3), whole(5, 3)),
        "bool + int": (lambda T, m, i: m + i, mask(3), whole(5, 3)),
        "bool * float": (lambda T, m, x: m * x, mask(3), real(3)),
        "int * 1.5": (lambda T, i: i * 1.5, whole(5, 3)),
        "int ** 2": (lambda T, i: i**2, whole(5, 4)),
        "int // 2": (lambda T, i: i // 2, exactly([-3, 3, 4])),
        "int % 3": (lambda T, i: i % 3, exactly([-4, 3, 5])),
        "not": (lambda T, m: ~m, mask(4)),
        "and": (lambda T, m, n: m & n, mask(4), mask(4)),
        "or": (lambda T, m, n: m | n, mask(4), exactly([True, False, True, False])),
        "clamp": (of("clamp", -0.5, 0.5), spread(3, 4)),
        "clamp min": (of("clamp", min=-0.4), spread(3, 4)),
        "clamp max": (of("clamp", max=0.4), spread(3, 4)),
        "clamp at its ends": (of("clamp", -1.0, 1.0), exactly([-1.0, 0.0, 1.0])),
        "heaviside": (lambda T, x: T.heaviside(x, T.tensor(0.5, dtype=x.dtype)).detach(), exactly([-1.0, 0.0, 2.0])),
        "where": (lambda T, m, a, b: T.where(m, a, b), mask(3, 4), real(3, 4), real(4)),
        "where number": (lambda T, m, a: T.where(m, a, 0.0), mask(3, 4), real(3, 4)),
        "masked_fill": (lambda T, x, m: x.masked_fill(m, -1.5), real(3, 4), mask(3, 4)),
        "type_as": (lambda T, x, i: i.type_as(x), real(2), whole(4, 2)),
    }


ALONG = "sum mean prod max min amax amin var std argmax argmin logsumexp"
REDUCTIONS: dict[str, Call] = {
    **{f"{n}": (of(n), spread(3, 4)) for n in "sum mean prod max min amax amin var std argmax argmin".split()},
    **{
        f"{n} dim {d}": (of(n, d), spread(2, 3, 4))
        for n in (ALONG + " cumsum softmax log_softmax sort").split()
        for d in (0, -1)
    },
    **{f"{n} keepdim": (of(n, 1, keepdim=True), spread(2, 3, 4)) for n in ALONG.split()},
    **{f"{n} two dims": (of(n, (0, 2)), spread(2, 3, 4)) for n in "sum mean amax amin var std logsumexp".split()},
    "var correction": (of("var", dim=1, correction=0), real(3, 4)),
    "std unbiased": (method("std", 1, unbiased=False), real(3, 4)),
    "any": (of("any"), mask(3, 4)),
    "all": (of("all"), mask(3, 4)),
    "any dim": (of("any", 1), mask(3, 4)),
    "all dim": (of("all", 0, keepdim=True), mask(3, 4)),
    "sum of bool": (of("sum"), mask(3, 4)),
    "sum of int": (of("sum", 0), whole(9, 3, 4)),
    "sum dtype": (lambda T, i: i.sum(dtype=T.float64), whole(9, 3)),
    "prod with a zero": (of("prod", 0), exactly([[1.0, 0.0], [2.0, 3.0]])),
    "prod with two zeros": (of("prod"), exactly([0.0, 0.0, 2.0])),
    "cumsum of int": (of("cumsum", 0), whole(9, 4)),
    "amax tie": (of("amax", 0), exactly([2.0, 1.0, 2.0])),
    "max tie": (method("max"), exactly([2.0, 1.0, 2.0])),
    "max dim tie": (lambda T, x: x.max(0)[0], exactly([2.0, 1.0, 2.0])),
    "amin tie": (of("amin"), exactly([1.0, 1.0, 2.0])),
    "norm": (method("norm"), real(3, 4)),
    "norm 1": (method("norm", 1), away(3, 4)),
    "norm 3": (method("norm", 3), away(3, 4)),
    "norm inf": (method("norm", float("inf")), spread(3, 4)),
    "norm dim": (of("norm", 2, 1), real(3, 4)),
    "norm keepdim": (of("norm", dim=1, keepdim=True), real(3, 4)),
    "norm of zeros": (of("norm"), exactly([0.0, 0.0])),
    "topk": (of("topk", 2), spread(3, 5)),
    "topk smallest": (of("topk", 2, largest=False), spread(3, 5)),
    "topk dim": (of("topk", 2, 0), spread(3, 5)),
    "sort descending": (of("sort", descending=True), spread(3, 5)),
    "logsumexp large": (of("logsumexp", 0), exactly([1000.0, 1000.0])),
    "softmax large": (of("softmax", 0), exactly([1000.0, 0.0])),
    "logsumexp -inf": (lambda T, x: T.logsumexp(x, 0).detach(), exactly([-np.inf, -np.inf])),
    "log_softmax large": (of("log_softmax", 0), exactly([1000.0, 0.0])),
    "argmax of bool": (lambda T, x: (x > 0).long().argmax(), spread(5)),
}

SHAPES: dict[str, Call] = {
    "view": (method("view", 2, 6), real(3, 4)),
    "view -1": (method("view", -1), real(3, 4)),
    "reshape": (of("reshape", (6, 2)), real(3, 4)),
    "reshape -1": (method("reshape", 3, -1), real(3, 2, 2)),
    "flatten": (of("flatten"), real(2, 3, 2)),
    "flatten 1": (of("flatten", 1), real(2, 3, 2)),
    "flatten 0 1": (method("flatten", 0, 1), real(2, 3, 2)),
    "unflatten": (method("unflatten", 1, (2, 3)), real(2, 6)),
    "squeeze": (of("squeeze"), real(1, 3, 1)),
    "squeeze dim": (of("squeeze", 0), real(1, 3, 1)),
    "squeeze no-op": (of("squeeze", 1), real(1, 3, 1)),
    "unsqueeze": (of("unsqueeze", 1), real(2, 3)),
    "unsqueeze -1": (method("unsqueeze", -1), real(2, 3)),
    "transpose": (of("transpose", 0, 2), real(2, 3, 4)),
    "permute": (method("permute", 2, 0, 1), real(2, 3, 4)),
    "permute tuple": (of("permute", (1, 0, 2)), real(2, 3, 4)),
    "T": (lambda T, x: x.T, real(2, 3)),
    "mT": (lambda T, x: x.mT, real(2, 3, 4)),
    "expand": (method("expand", 3, 4), real(1, 4)),
    "expand -1": (method("expand", 2, -1, 4), real(3, 1)),
    "expand_as": (lambda T, x, y: x.expand_as(y), real(1, 3), real(2, 3)),
    "repeat": (method("repeat", 2, 3), real(2, 2)),
    "repeat more": (method("repeat", 2, 1, 2), real(2, 2)),
    "contiguous": (lambda T, x: x.T.contiguous(), real(2, 3)),
    "cat": (lambda T, a, b: T.cat([a, b]), real(2, 3), real(1, 3)),
    "cat 1": (lambda T, a, b: T.cat((a, b), dim=1), real(2, 3), real(2, 2)),
    "cat -1": (lambda T, a: T.cat([a, a, 2 * a], -1), real(2, 3)),
    "stack": (lambda T, a, b: T.stack([a, b]), real(2, 3), real(2, 3)),
    "stack 1": (lambda T, a, b: T.stack((a, b), 1), real(2, 3), real(2, 3)),
    "split": (of("split", 2), real(5, 3)),
    "split sizes": (of("split", [1, 4], dim=0), real(5, 3)),
    "split dim": (method("split", 2, 1), real(2, 3)),
    "chunk": (of("chunk", 3), real(7)),
    "chunk dim": (method("chunk", 2, 1), real(2, 5)),
    "tril": (of("tril"), real(3, 4)),
    "tril 1": (of("tril", 1), real(3, 4)),
    "triu": (of("triu"), real(4, 3)),
    "triu -1": (method("triu", -1), real(4, 3)),
    "tril batch": (of("tril"), real(2, 3, 3)),
    "meshgrid": (lambda T, a, b: T.meshgrid(a, b, indexing="ij"), real(2), real(3)),
    "meshgrid xy": (lambda T, a, b: T.meshgrid(a, b, indexing="xy"), real(2), real(3)),
    "clone": (method("clone"), real(2, 2)),
    "float": (method("float"), whole(5, 3)),
    "long": (lambda T, x: x.detach().long(), real(4)),
    "bool": (lambda T, x: x.detach().bool(), exactly([0.0, 2.0])),
    "double": (method("double"), real(3)),
    "int()": (method("int"), whole(5, 3)),
    "pad": (functional("pad", (1, 2)), real(2, 3)),
    "pad 2": (functional("pad", (1, 0, 2, 1), value=1.5), real(2, 3)),
    "one_hot": (functional("one_hot", 4), whole(4, 5)),
    "one_hot inferred": (functional("one_hot"), exactly([0, 2, 1])),
}

INDEXING: dict[str, Call] = {
    "x[1]": (lambda T, x: x[1], real(3, 4)),
    "x[-1]": (lambda T, x: x[-1], real(3, 4)),
    "x[1, 2]": (lambda T, x: x[1, 2], real(3, 4)),
    "x[1:]": (lambda T, x: x[1:], real(3, 4)),
    "x[:, 1::2]": (lambda T, x: x[:, 1::2], real(3, 5)),
    "x[..., 0]": (lambda T, x: x[..., 0], real(2, 3, 4)),
    "x[None]": (lambda T, x: x[None], real(3)),
    "x[:, None, 1]": (lambda T, x: x[:, None, 1], real(3, 4)),
    "x[[0, 2, 0]]": (lambda T, x: x[[0, 2, 0]], real(3, 4)),
    "x[[0, 1], [2, 2]]": (lambda T, x: x[[0, 1], [2, 2]], real(3, 4)),
    "x[:, [1, 1]]": (lambda T, x: x[:, [1, 1]], real(3, 4)),
    "x[i]": (lambda T, x, i: x[i], real(4, 3), whole(4, 6)),
    "x[i, :]": (lambda T, x, i: x[i, :], real(4, 3), whole(4, 2, 2)),
    "x[0, :, i]": (lambda T, x, i: x[0, :, i], real(2, 3, 4), whole(4, 5)),
    "x[i, j]": (lambda T, x, i, j: x[i, j], real(4, 4), whole(4, 3), whole(4, 3)),
    "x[i[:, None], j]": (lambda T, x, i, j: x[i[:, None], j], real(4, 4), whole(4, 3), whole(4, 2)),
    "x[arange, t]": (lambda T, x, t: x[T.arange(5), t], real(5, 3), whole(3, 5)),
    "x[m]": (lambda T, x, m: x[m], real(3, 4), mask(3, 4)),
    "x[m rows]": (lambda T, x, m: x[m], real(5, 2), mask(5)),
    "x[:, m]": (lambda T, x, m: x[:, m], real(2, 5), mask(5)),
    "x[x > 0]": (lambda T, x: x[x > 0], spread(3, 4)),
    "x[i, 1:]": (lambda T, x, i: x[i, 1:], real(4, 3), whole(4, 3)),
    "x[1:, i, 0]": (lambda T, x, i: x[1:, i, 0], real(3, 4, 2), whole(4, 3)),
    "x[i, None, j]": (lambda T, x, i, j: x[i, None, j], real(4, 4), whole(4, 3), whole(4, 3)),
    "x[()]": (lambda T, x: x[()], real(3)),
    "gather": (lambda T, x, i: T.gather(x, 1, i), real(3, 4), whole(4, 3, 6)),
    "gather 0": (lambda T, x, i: x.gather(0, i), real(3, 4), whole(3, 2, 4)),
    "gather fewer": (lambda T, x, i: T.gather(x, 1, i), real(3, 4), whole(4, 2, 2)),
    "scatter_add": (lambda T, x, i, s: T.scatter_add(x, 1, i, s), real(3, 5), whole(5, 3, 4), real(3, 4)),
    "scatter_add fewer": (lambda T, x, i, s: T.scatter_add(x, 0, i, s), real(3, 5), whole(3, 2, 4), real(2, 4)),
    "take_along_dim": (lambda T, x, i: T.take_along_dim(x, i, 1), real(3, 4), whole(4, 3, 2)),
    "take_along_dim broadcast": (lambda T, x, i: T.take_along_dim(x, i, 1), real(3, 4), whole(4, 1, 2)),
    "index_select": (lambda T, x, i: T.index_select(x, 1, i), real(3, 4), whole(4, 6)),
    "embedding": (lambda T, i, w: T.nn.functional.embedding(i, w), whole(5, 2, 3), real(5, 4)),
    "embedding padding": (lambda T, i, w: T.nn.functional.embedding(i, w, padding_idx=1), whole(3, 2, 3), real(3, 4)),
}

LINEAR: dict[str, Call] = {
    **{
        f"matmul {a} {b}": (of("matmul"), real(*a), real(*b))
        for a, b in (
            ((3, 4), (4, 2)),
            ((4,), (4,)),
            ((4,), (4, 2)),
            ((3, 4), (4,)),
            ((2, 3, 4), (4, 5)),
            ((2, 3, 4), (2, 4, 5)),
            ((3, 4), (2, 4, 5)),
            ((4,), (2, 4, 5)),
            ((2, 3, 4), (4,)),
            ((2, 1, 3, 4), (5, 4, 2)),
        )
    },
    "bmm": (of("bmm"), real(2, 3, 4), real(2, 4, 5)),
    "mm": (of("mm"), real(3, 4), real(4, 2)),
    "outer": (of("outer"), real(3), real(4)),
    "dot": (of("dot"), real(4), real(4)),
    "x @ y": (lambda T, x, y: x @ y, real(2, 3), real(3, 2)),
    "linear": (functional("linear"), real(5, 3), real(2, 3), real(2)),
    "linear no bias": (functional("linear"), real(5, 3), real(2, 3)),
    "linear 3d": (functional("linear"), real(2, 5, 3), real(4, 3), real(4)),
    "linear 1d": (functional("linear"), real(3), real(4, 3), real(4)),
    "bilinear": (functional("bilinear"), real(5, 3), real(5, 2), real(4, 3, 2), real(4)),
    **{
        f"einsum {e}": (lambda T, *x, e=e: T.einsum(e, *x), *[real(*s) for s in shapes])
        for e, shapes in {
            "ij,jk->ik": ((2, 3), (3, 4)),
            "ij,jk": ((2, 3), (3, 4)),
            "ij->ji": ((2, 3),),
            "ij->": ((2, 3),),
            "ij->i": ((2, 3),),
            "ii->i": ((3, 3),),
            "ii": ((3, 3),),
            "bij,bjk->bik": ((2, 3, 4), (2, 4, 2)),
            "i,j->ij": ((2,), (3,)),
            "...ij,...jk->...ik": ((2, 3, 4), (4, 5)),
            "bhqd,bhkd->bhqk": ((2, 2, 3, 4), (2, 2, 5, 4)),
            "ij,jk,kl->il": ((2, 3), (3, 4), (4, 2)),
        }.items()
    },
}

ACTIVATIONS: dict[str, Call] = {
    **{
        n: (functional(n), away(3, 4))
        for n in "relu leaky_relu elu selu silu gelu softplus sigmoid tanh hardtanh".split()
    },
    "leaky_relu 0.2": (functional("leaky_relu", 0.2), away(3, 4)),
    "elu 0.5": (functional("elu", 0.5), away(3, 4)),
    "gelu tanh": (functional("gelu", approximate="tanh"), real(3, 4)),
    "softplus beta": (functional("softplus", 2.0), real(3, 4)),
    "softplus threshold": (functional("softplus", 1, 20), exactly([-50.0, 0.0, 19.0, 25.0])),
    "hardtanh": (functional("hardtanh", -0.5, 1.5), spread(3, 4)),
    "prelu": (functional("prelu"), away(3, 4), exactly([0.25])),
    "prelu channels": (functional("prelu"), away(3, 4), positive(4)),
    "prelu 3d": (functional("prelu"), away(3, 2, 4), positive(2)),
    "logsigmoid": (functional("logsigmoid"), real(3, 4)),
    "softmax": (functional("softmax", -1), real(3, 4)),
    "log_softmax": (functional("log_softmax", dim=0), real(3, 4)),
    "sigmoid far": (of("sigmoid"), exactly([-800.0, 0.0, 800.0])),
    "silu far": (functional("silu"), exactly([-800.0, 0.0, 800.0])),
    "leaky_relu at 0": (functional("leaky_relu"), exactly([0.0])),
    "elu at 0": (functional("elu"), exactly([0.0])),
    "hardtanh at 1": (functional("hardtanh"), exactly([-1.0, 1.0])),
    "selu at 0": (functional("selu"), exactly([0.0])),
    "prelu at 0": (functional("prelu"), exactly([0.0, -1.0]), exactly([0.25])),
    "layer_norm": (functional("layer_norm", (4,)), real(3, 4)),
    "layer_norm affine": (
        lambda T, x, w, b: T.nn.functional.layer_norm(x, (3, 4), w, b),
        real(2, 3, 4),
        real(3, 4),
        real(3, 4),
    ),
    "group_norm": (lambda T, x, w, b: T.nn.functional.group_norm(x, 2, w, b), real(3, 4, 5), real(4), real(4)),
    "batch_norm train": (
        lambda T, x, w, b: T.nn.functional.batch_norm(x, None, None, w, b, training=True),
        real(6, 3),
        real(3),
        real(3),
    ),
    "batch_norm eval": (
        lambda T, x, w, b: T.nn.functional.batch_norm(
            x, T.tensor([0.1, 0.2, 0.3], dtype=x.dtype), T.tensor([1.0, 2.0, 0.5], dtype=x.dtype), w, b
        ),
        real(6, 3),
        real(3),
        real(3),
    ),
    "batch_norm 2d": (
        lambda T, x, w: T.nn.functional.batch_norm(x, None, None, w, training=True),
        real(2, 3, 2, 2),
        real(3),
    ),
    "dropout eval": (functional("dropout", 0.5, training=False), real(3, 4)),
    "dropout 0": (functional("dropout", 0.0), real(3, 4)),
}

CREATION: dict[str, Call] = {
    "zeros": (lambda T: T.zeros(2, 3),),
    "ones": (lambda T: T.ones((2, 3), dtype=T.int64),),
    "full": (lambda T: T.full((2,), 7),),
    "full float": (lambda T: T.full((2,), 7.0),),
    "arange": (lambda T: T.arange(5),),
    "arange float": (lambda T: T.arange(0, 1, 0.25),),
    "arange back": (lambda T: T.arange(5, 0, -2),),
    "linspace": (lambda T: T.linspace(0, 1, 5),),
    "eye": (lambda T: T.eye(3),),
    "eye 2 3": (lambda T: T.eye(2, 3),),
    "tensor": (lambda T: T.tensor([[1, 2], [3, 4]]),),
    "tensor float": (lambda T: T.tensor([1.0, 2]),),
    "tensor bool": (lambda T: T.tensor([True, False]),),
    "tensor dtype": (lambda T: T.tensor([1, 2], dtype=T.float64),),
    "tensor number": (lambda T: T.tensor(3.5),),
    "zeros_like": (lambda T, x: T.zeros_like(x), real(2)),
    "ones_like": (lambda T, x: T.ones_like(x), whole(3, 2)),
    "full_like": (lambda T, x: T.full_like(x, 2.0), real(2)),
    "zeros scalar": (lambda T: T.zeros(()),),
    "zeros empty": (lambda T: T.zeros(0, 3),),
}

GROUPS: dict[str, dict[str, Call]] = {
    "elementwise": _elementwise(),
    "binary": _binary(),
    "reductions": REDUCTIONS,
    "shapes": SHAPES,
    "indexing": INDEXING,
    "linear": LINEAR,
    "activations": ACTIVATIONS,
    "creation": CREATION,
}


def arrays_of(call: Call, dtype: Any = np.float64) -> list[np.ndarray]:
    """Return the inputs of a call."""
    rng = np.random.default_rng(2026)
    return [i.array(rng, dtype) if isinstance(i, Input) else np.asarray(i) for i in call[1:]]


def outcome(T: Any, call: Call, dtype: Any = np.float64) -> dict[str, np.ndarray]:
    """Return outputs ``y0``, ``y1``, ... and gradients ``g0``, ... (of outputs weighted by fixed numbers) of a call."""
    leaves = [T.tensor(a, requires_grad=True) if a.dtype.kind == "f" else T.tensor(a) for a in arrays_of(call, dtype)]
    result = call[0](T, *leaves)
    outs = list(result) if isinstance(result, (tuple, list)) else [result]
    found = {f"y{i}": np.array(y.detach().numpy()) for i, y in enumerate(outs)}
    total = None
    for i, y in enumerate(outs):
        if y.requires_grad:
            n = int(np.prod(y.shape, dtype=int))
            w = T.tensor(np.cos(np.arange(n) + 0.5 * i).reshape(tuple(y.shape)).astype(found[f"y{i}"].dtype))
            total = (y * w).sum() if total is None else total + (y * w).sum()
    if total is not None and total.requires_grad:
        total.backward()
    found |= {
        f"g{i}": np.array(t.grad.detach().numpy())
        for i, t in enumerate(leaves)
        if t.requires_grad and t.grad is not None
    }
    return found
