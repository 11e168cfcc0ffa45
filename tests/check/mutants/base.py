"""Wrong backwards by editing right ones: a mutant is a right class, a kind of mistake, and an edit of its text.

Every mutant is written to a file of its own and imported from there, as a student's file would be.
"""

from __future__ import annotations

import inspect
import itertools
import linecache
import sys
import types
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Shape = tuple[int, ...]
Maker = Callable[[Any, np.random.Generator, Shape], tuple[Any, tuple[Any, ...]]]


class Family(NamedTuple):
    """Layers that are made and called alike: ``make(cls, rng, dims)`` gives the object and the inputs of forward."""

    make: Maker
    dims: tuple[Shape, ...]
    modes: bool = False
    interface: str = "lecture"


class Right(NamedTuple):
    """A right class, under its name."""

    cls: Any
    layer: str  # as the table of results names it
    family: Family

    @property
    def name(self) -> str:
        return self.cls.__name__


class Mutant(NamedTuple):
    """One wrong class. ``causes`` are the keys of ``gyaku.check.causes`` that name the mistake; the first one best."""

    right: str
    kind: str
    edits: tuple[tuple[str, str], ...]
    causes: tuple[str, ...]
    held: bool = False

    @property
    def id(self) -> str:
        return f"{self.right}: {self.kind}"


def mutant(right: str, kind: str, causes: str, *edits: tuple[str, str]) -> Mutant:
    """Return a mutant; ``causes`` are keys apart by blanks, each edit (old, new) must fit exactly once."""
    return Mutant(right, kind, edits, tuple(causes.split()))


# --- making classes ---------------------------------------------------------------------------------------------------

_COUNT = itertools.count()


def source_of(cls: Any) -> str:
    """Return the text of a class, with the imports it needs above it."""
    home = sys.modules[cls.__module__]
    text = inspect.getsource(home)
    start = text.index("\nclass ")
    needed = _functions_it_calls(cls, home) if "Module" in cls.__name__ else ""
    return text[:start] + "\n\n" + needed + inspect.getsource(cls)


def _functions_it_calls(cls: Any, home: Any) -> str:
    body = inspect.getsource(cls)
    used = [v for n, v in vars(home).items() if n.endswith("Function") and n != "Function" and f"{n}.apply" in body]
    return "".join(inspect.getsource(v) + "\n\n" for v in used)


def wrong_source(m: Mutant, rights: dict[str, Right]) -> str:
    """Return the text of the mutant's file."""
    text = source_of(rights[m.right].cls)
    for old, new in m.edits:
        if text.count(old) != 1:
            raise ValueError(f"{m.id}: {old!r} stands {text.count(old)} times in {m.right}")
        text = text.replace(old, new)
    return text


def load(text: str, name: str) -> Any:
    """Return the class ``name`` of a file that holds ``text`` (in memory; ``inspect`` sees the text)."""
    place = f"<student {next(_COUNT)}>"
    module = types.ModuleType(f"student_{name}_{next(_COUNT)}")
    module.__file__ = place
    linecache.cache[place] = (len(text), None, text.splitlines(keepends=True), place)
    sys.modules[module.__name__] = module
    exec(compile(text, place, "exec"), module.__dict__)  # noqa: S102  our own text
    return getattr(module, name)


# --- how layers are made and called -----------------------------------------------------------------------------------


def _affine(cls: Any, rng: Any, d: Shape) -> Any:
    N, K, L = d
    return cls(rng.normal(size=(K, L)), rng.normal(size=L)), (rng.normal(size=(N, K)),)


def _linear(cls: Any, rng: Any, d: Shape) -> Any:
    N, K, L = d
    return cls(rng.normal(size=(L, K)), rng.normal(size=L)), (rng.normal(size=(N, K)),)


def _affine_any(cls: Any, rng: Any, d: Shape) -> Any:
    N, C, H, L = d
    return cls(rng.normal(size=(C * H, L)), rng.normal(size=L)), (rng.normal(size=(N, C, H)),)


def _plain(cls: Any, rng: Any, d: Shape) -> Any:
    x = rng.normal(size=d)
    return cls(), (x + 0.05 * np.sign(x),)


def _regression(cls: Any, rng: Any, d: Shape) -> Any:
    return cls(), (rng.normal(size=d), rng.normal(size=d))


def _binary(cls: Any, rng: Any, d: Shape) -> Any:
    return cls(), (rng.normal(size=d), rng.integers(0, 2, d).astype(float))


def _one_hot(cls: Any, rng: Any, d: Shape) -> Any:
    return cls(), (rng.normal(size=d), np.eye(d[1])[rng.integers(0, d[1], d[0])])


def _numbers(cls: Any, rng: Any, d: Shape) -> Any:
    return cls(), (rng.normal(size=d), rng.integers(0, d[1], d[0]))


def _norm(cls: Any, rng: Any, d: Shape) -> Any:
    return cls(rng.uniform(0.5, 2, d[1]), rng.normal(size=d[1])), (2 * rng.normal(size=d) + 1,)


def _standardize(cls: Any, rng: Any, d: Shape) -> Any:
    return cls(), (2 * rng.normal(size=d) + 1,)


def _penalty(cls: Any, rng: Any, d: Shape) -> Any:
    return cls(rng.normal(size=(d[1], 3))), (rng.normal(size=d),)


def _affine_loss(cls: Any, rng: Any, d: Shape) -> Any:
    N, K, L = d
    layer = cls(rng.normal(size=(K, L)), rng.normal(size=L))
    return layer, (rng.normal(size=(N, K)), rng.normal(size=(N, L)))


def _skip(cls: Any, rng: Any, d: Shape) -> Any:
    N, K, H = d
    arrays = [rng.normal(size=s) for s in ((K, H), H, (H, K), K)]
    return cls(*arrays), (rng.normal(size=(N, K)),)


def _skip_one(cls: Any, rng: Any, d: Shape) -> Any:
    N, K = d
    return cls(rng.normal(size=(K, K)), rng.normal(size=K)), (rng.normal(size=(N, K)),)


def _two_layer(target: Callable[[Any, int, int], Any]) -> Maker:
    def make(cls: Any, rng: Any, d: Shape) -> Any:
        N, K, H, L = d
        arrays = [rng.normal(size=s) for s in ((K, H), H, (H, L), L)]
        return cls(*arrays), (rng.normal(size=(N, K)), target(rng, N, L))

    return make


def _embedding(cls: Any, rng: Any, d: Shape) -> Any:
    N, V, D = d
    return cls(rng.normal(size=(V, D))), (rng.integers(0, V, N),)


def _prelu(cls: Any, rng: Any, d: Shape) -> Any:
    return cls(np.array([0.2])), (_plain(lambda: None, rng, d)[1][0],)


def _tensors(*parts: int) -> Maker:
    """A Function: arrays of shapes chosen by ``parts``, positions in dims."""

    def make(cls: Any, rng: Any, d: Shape) -> Any:
        N, K, L = d
        shapes = {0: (N, K), 1: (K, L), 2: (L,), 3: (N, K), 4: (K,), 5: (K,)}
        arrays = [rng.normal(size=shapes[p]) for p in parts]
        return cls, tuple(arrays)

    return make


def _function_one_hot(cls: Any, rng: Any, d: Shape) -> Any:
    return cls, (rng.normal(size=d), np.eye(d[1])[rng.integers(0, d[1], d[0])])


def _module(cls: Any, rng: Any, d: Shape) -> Any:
    import gyaku as gy

    gy.manual_seed(int(rng.integers(1000)))
    return cls(*d[1:]).double(), (rng.normal(size=d[:2]),)


_ROWS: tuple[Shape, ...] = ((4, 3, 2), (3, 3, 3), (2, 4, 2))
_PLAIN: tuple[Shape, ...] = ((5, 4), (3, 3), (2, 3, 2))
_PAIRS: tuple[Shape, ...] = ((5, 3), (3, 3), (2, 4))
_LOSS: tuple[Shape, ...] = ((5, 3), (3, 3), (4, 1))
_NETS: tuple[Shape, ...] = ((5, 3, 4, 2), (3, 3, 3, 3))
FAMILIES: dict[str, Family] = {
    "affine": Family(_affine, _ROWS),
    "linear": Family(_linear, _ROWS),
    "affine_any": Family(_affine_any, ((3, 2, 3, 2), (2, 2, 2, 4))),
    "plain": Family(_plain, _PLAIN),
    "rows": Family(_plain, _PAIRS),
    "regression": Family(_regression, _LOSS),
    "binary": Family(_binary, _LOSS),
    "one_hot": Family(_one_hot, _PAIRS),
    "numbers": Family(_numbers, _PAIRS),
    "norm": Family(_norm, ((6, 3), (4, 4))),
    "norm_modes": Family(_norm, ((6, 3), (4, 4)), modes=True),
    "standardize": Family(_standardize, ((6, 3), (4, 4))),
    "dropout": Family(_plain, ((6, 5), (4, 4)), modes=True),
    "penalty": Family(_penalty, ((3, 4), (3, 3))),
    "affine_loss": Family(_affine_loss, _ROWS),
    "skip": Family(_skip, ((4, 3, 5), (3, 3, 3))),
    "skip_one": Family(_skip_one, ((4, 3), (3, 3))),
    "net_regression": Family(_two_layer(lambda rng, N, L: rng.normal(size=(N, L))), _NETS),
    "net_classes": Family(_two_layer(lambda rng, N, L: np.eye(L)[rng.integers(0, L, N)]), _NETS),
    "net_binary": Family(
        _two_layer(lambda rng, N, L: rng.integers(0, 2, (N, L)).astype(float)), ((5, 3, 4, 1), (4, 4, 4, 1))
    ),
    "embedding": Family(_embedding, ((6, 4, 3), (5, 3, 3))),
    "prelu": Family(_prelu, _PAIRS),
    "deep": Family(_plain, ((4, 3, 2), (3, 3, 3))),
    "f_affine": Family(_tensors(0, 1, 2), _ROWS, interface="function"),
    "f_one": Family(_tensors(0), _ROWS, interface="function"),
    "f_two": Family(_tensors(0, 3), _ROWS, interface="function"),
    "f_norm": Family(_tensors(0, 4, 5), ((6, 3, 1), (4, 4, 1)), interface="function"),
    "f_one_hot": Family(_function_one_hot, _PAIRS, interface="function"),
    "module": Family(_module, ((5, 3, 4), (3, 3, 3)), modes=True, interface="module"),
    "module_one": Family(_module, ((6, 3), (4, 4)), modes=True, interface="module"),
}

# class -> (layer in the table, family)
PLACES: dict[str, tuple[str, str]] = {
    **dict.fromkeys(("Affine", "AffineEinsum", "AffineLoop", "AffineBuffers"), ("Affine", "affine")),
    "AffineAnyShape": ("Affine", "affine_any"),
    "Linear": ("Affine", "linear"),
    **dict.fromkeys(("Sigmoid", "SigmoidOfX", "SigmoidTanh"), ("Sigmoid", "plain")),
    **dict.fromkeys(("ReLU", "ReLUMaximum", "ReLUWhere"), ("ReLU", "plain")),
    **dict.fromkeys(("Tanh", "TanhOfX", "TanhExp"), ("Tanh", "plain")),
    **dict.fromkeys(("LeakyReLU", "LeakyReLUFactor"), ("LeakyReLU", "plain")),
    **dict.fromkeys(("ELU", "Swish", "Softplus"), ("other activations", "plain")),
    **dict.fromkeys(("Softmax", "SoftmaxJacobian", "LogSoftmax"), ("Softmax", "rows")),
    **dict.fromkeys(
        ("RegressionLoss", "RegressionLossKeepsDifference", "MeanSquaredError", "HuberLoss"),
        ("RegressionLoss", "regression"),
    ),
    **dict.fromkeys(
        ("SigmoidWithLoss", "SigmoidWithLossStable", "SigmoidWithLossSteps"), ("SigmoidWithLoss", "binary")
    ),
    **dict.fromkeys(("SoftmaxWithLoss", "SoftmaxWithLossLog"), ("SoftmaxWithLoss", "one_hot")),
    "SoftmaxWithLossNumbers": ("SoftmaxWithLoss", "numbers"),
    "HingeLoss": ("hinge loss", "numbers"),
    "BatchNorm": ("BatchNorm", "norm_modes"),
    **dict.fromkeys(("BatchNormSteps", "BatchNormCompact"), ("BatchNorm", "norm")),
    "Standardize": ("BatchNorm", "standardize"),
    "LayerNorm": ("LayerNorm", "norm"),
    **dict.fromkeys(("Dropout", "DropoutInverted", "DropoutGenerator"), ("Dropout", "dropout")),
    "L2Penalty": ("penalties", "penalty"),
    **dict.fromkeys(("AffineL2", "AffineL1"), ("penalties", "affine_loss")),
    "SkipBlock": ("skip block", "skip"),
    "SkipTanh": ("skip block", "skip_one"),
    "TwoLayerRegression": ("two-layer network", "net_regression"),
    "TwoLayerClasses": ("two-layer network", "net_classes"),
    "TwoLayerBinary": ("two-layer network", "net_binary"),
    **dict.fromkeys(("Embedding", "EmbeddingLoop"), ("Embedding", "embedding")),
    "Scale": ("Scale", "norm"),
    "PReLU": ("LeakyReLU", "prelu"),
    **dict.fromkeys(("Normalize", "Center"), ("rows and columns", "standardize")),
    **dict.fromkeys(("MeanPool", "Flatten"), ("rows and columns", "deep")),
    "Identity": ("rows and columns", "plain"),
    "AffineFunction": ("Function", "f_affine"),
    **dict.fromkeys(
        ("SigmoidFunction", "ReLUFunction", "TanhFunction", "CubeFunction", "SoftmaxFunction"), ("Function", "f_one")
    ),
    **dict.fromkeys(("MulFunction", "MSEFunction"), ("Function", "f_two")),
    "CrossEntropyFunction": ("Function", "f_one_hot"),
    "BatchNormFunction": ("Function", "f_norm"),
    **dict.fromkeys(("AffineModule", "SkipModule", "TwoLayerModule", "GatedModule"), ("Module", "module")),
    **dict.fromkeys(("BatchNormModule", "AttentionModule"), ("Module", "module_one")),
}
