"""From what the user gives to the cases that are checked: constructor arguments, inputs, shapes and batch sizes."""

from __future__ import annotations

import contextlib
import inspect
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from gyaku.autograd.function import Function
from gyaku.base.errors import ArgumentError, DtypeError
from gyaku.check.case import Case
from gyaku.check.chance import fixed_chance
from gyaku.check.subjects import TARGETS, LayerSubject, Subject, subject_of

Array = Any
Arrays = dict[str, Any]
SIZES = ((3, 4, 5), (4, 3, 2), (2, 5, 3))  # N, K, L: all different, so that a missing transpose shows
_LARGE, _ROWS = 200, 6  # of an input with more elements, so many rows are checked
_IN = {"K", "D", "dim", "features", "num_features", "n_features", "in_features", "input_size", "in_size", "n_in",
       "in_dim", "input_dim", "fan_in", "size", "input_features", "units"}  # fmt: skip
_OUT = {"L", "out_features", "output_size", "out_size", "n_out", "out_dim", "output_dim", "fan_out", "output_features"}
_SHARED = {"W", "w", "weight", "weights", "bias", "gamma", "beta", "W1", "W2", "b1", "b2"}
_HIDDEN = {"H", "hidden", "hidden_size", "n_hidden", "hidden_dim"}
_NUMBERS = {"p": 0.3, "dropout_ratio": 0.3, "ratio": 0.3, "rate": 0.3, "eps": 1e-7, "epsilon": 1e-7, "momentum": 0.9,
            "slope": 0.1, "alpha": 0.1, "negative_slope": 0.1}  # fmt: skip


def made(layer: Any, sizes: tuple[int, int, int], draw: Any, *, filters: bool = False) -> Any:
    """Return an object of a class, with arguments guessed from their names; anything else comes back as it is.

    With ``filters``, W is that of a convolution: (L, K, 3, 3).
    Raises ``ArgumentError`` for an argument without default whose meaning the name does not tell.
    """
    if not isinstance(layer, type) or issubclass(layer, Function):
        return layer() if inspect.isfunction(layer) else layer
    _, K, L = sizes
    arguments = {}
    for p in inspect.signature(layer).parameters.values():
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) or p.default is not p.empty:
            continue
        arguments[p.name] = _argument(layer.__name__, p.name, K, L, draw)
        if filters and p.name in ("W", "w", "weight", "weights"):
            arguments[p.name] = draw.normal(size=(L, K, 3, 3))
    with fixed_chance(0, []):  # a constructor draws its weights
        return layer(**arguments)


def _argument(title: str, name: str, K: int, L: int, draw: Any) -> Any:
    if name in _IN or name in _OUT or name in _HIDDEN:
        return K if name in _IN else L if name in _OUT else 6
    if name in _NUMBERS:
        return _NUMBERS[name]
    shapes = {"W": (K, L), "weight": (K, L), "weights": (K, L), "w": (K, L), "b": (L,), "bias": (L,), "gamma": (K,),
              "beta": (K,), "W1": (K, 6), "b1": (6,), "W2": (6, L), "b2": (L,), "a": (1,)}  # fmt: skip
    if name in shapes:
        low = 0.5 if name == "gamma" else None
        return draw.normal(size=shapes[name]) if low is None else draw.uniform(low, 2, shapes[name])
    raise ArgumentError(
        f"check {title}",
        "an object, or a class whose arguments are known by name (W, b, gamma, beta, in_features, ...)",
        f"the argument {name!r}",
        hint=f"give an object: check.layer({title}(...), x)",
    )


def first_inputs(
    subject: Subject, shape: tuple[int, ...] | None, sizes: tuple[int, int, int], draw: Any
) -> list[Array]:
    """Return inputs for a subject whose user gave none: x of the shape that fits, and targets."""
    N, K, L = sizes
    x = draw.normal(size=shape or (N, K))
    found = [x]
    for name in subject.inputs[1:]:
        shapes = {"W": (x.shape[-1], L), "w": (x.shape[-1], L), "weight": (x.shape[-1], L), "b": (L,), "bias": (L,),
                  "gamma": x.shape[-1:], "beta": x.shape[-1:]}  # fmt: skip
        if name in subject.targets:
            found.append(_one_hot(x, draw))
        else:
            found.append(draw.normal(size=shapes.get(name, x.shape)) + (2 if name == "gamma" else 0))
    return found


def _columns(subject: Subject, K: int) -> int:
    """Return the columns of x that fit the parameters of a layer: the rows of W, the length of γ."""
    first = next(iter(subject.values().values()), None)
    if first is None or not isinstance(subject, LayerSubject) or not first.ndim or first.shape == (1,):
        return K
    return int(first.shape[0])


def _one_hot(x: Array, draw: Any) -> Array:
    """Return targets that suit regression, two classes and several: rows with one 1 (any 0 and 1 for one column)."""
    if x.ndim < 2 or x.shape[-1] == 1:
        return draw.randint(0, 2, x.shape).astype(float)
    return np.eye(x.shape[-1])[draw.randint(0, x.shape[-1], x.shape[:-1])]


def cases_of_class(layer: Any, shape: tuple[int, ...] | None, seed: int) -> list[Case]:
    """Return cases for a class: several sizes, batches down to one row, both modes."""
    found: list[Case] = []
    sizes = [(shape[0], shape[-1], 5), (max(2, shape[0] + 1), shape[-1], 3)] if shape else list(SIZES)
    for i, size in enumerate(sizes):
        found += _cases_of_size(layer, shape, size, seed, i)
    return found


def _cases_of_size(
    layer: Any, shape: tuple[int, ...] | None, size: tuple[int, int, int], seed: int, i: int
) -> list[Case]:
    """Return the cases of the first input that forward takes, of those that the sizes suggest.

    Raises ``ArgumentError`` when none is given and none that was tried fits.
    """
    N, K, _ = size
    draw = np.random.RandomState(seed + i)
    subject = subject_of(made(layer, size, draw))
    if shape:
        return _cases_of_shape(subject, (N, *shape[1:]), size, seed, i, draw)
    first = _cases_of_shape(subject, (N, _columns(subject, K)), size, seed, i, draw)
    if not _unfit(first[0].failed):
        return first
    for other, own in _other_shapes(layer, subject, size, draw):
        several = _cases_of_shape(other, own, size, seed, i, draw)
        if several[0].failed is None:
            return several
    if isinstance(layer, type) and _asks_for_sizes(layer, subject):
        raise ArgumentError(
            f"check {subject.title}", "an input that forward takes", f"{first[0].failed} (shapes were guessed)",
            hint="give the shape of x, batch first: --input-shape 8,5, or check.layer(layer, (8, 5))",
        )  # fmt: skip
    return first


def _cases_of_shape(
    subject: Subject, shape: tuple[int, ...], size: tuple[int, int, int], seed: int, i: int, draw: Any
) -> list[Case]:
    """Return the cases of one shape of x, with targets and signs that forward takes."""
    given = first_inputs(subject, shape, size, draw)
    several = cases_of(subject, given, seed + 10 * i, extras=i == 0)
    if several[0].failed and subject.targets:  # the target has the shape of the output, not of x
        outputs = list(subject.values().values())[-1:]
        columns = outputs[0].shape[-1] if outputs and outputs[0].ndim else 1
        given = [_one_hot(np.zeros((len(given[0]), columns)), draw) if n in subject.targets else a
                 for n, a in zip(subject.inputs, given)]  # fmt: skip
        several = cases_of(subject, given, seed + 10 * i, extras=i == 0)
    if isinstance(several[0].failed, IndexError) and subject.targets:  # the target is the number of a class
        x = given[0]
        given = [draw.randint(0, x.shape[-1], len(x)) if n in subject.targets else a
                 for n, a in zip(subject.inputs, given)]  # fmt: skip
        several = cases_of(subject, given, seed + 10 * i, extras=i == 0)
    if several[0].failed is None and not np.isfinite(several[0].y).all():  # log, sqrt: positive numbers only
        given[0] = np.abs(given[0]) + 0.5
        several = cases_of(subject, given, seed + 10 * i, extras=False)
    return several


def _unfit(error: Exception | None) -> bool:
    """Whether forward stopped as it does for an input of a wrong shape."""
    return isinstance(error, (ValueError, IndexError))


def _other_shapes(
    layer: Any, subject: Subject, size: tuple[int, int, int], draw: Any
) -> Iterator[tuple[Subject, tuple[int, ...]]]:
    """Yield subjects with further shapes of x: other columns, images, sequences."""
    N, K, _ = size
    values = list(subject.values().values())
    for columns in dict.fromkeys(n for a in values for n in a.shape[::-1]):
        yield subject, (N, columns)
    channels = next((a.shape[1] for a in values if a.ndim == 4), K)
    yield subject, (N, channels, 4, 6)
    yield subject, (N, 2, K)
    if isinstance(layer, type) and not issubclass(layer, Function):
        yield subject_of(made(layer, size, draw, filters=True)), (N, K, 4, 6)


def _asks_for_sizes(layer: type, subject: Subject) -> bool:
    """Whether the layer has sizes of its own that a guessed input may not fit: parameters, or numbers as defaults."""
    given = inspect.signature(layer).parameters.values() if not issubclass(layer, Function) else ()
    return bool(subject.values()) or any(type(p.default) is int for p in given)


def cases_of(subject: Subject, inputs: list[Array], seed: int = 0, extras: bool = True) -> list[Case]:
    """Return cases for given inputs: these, then other batch sizes with other numbers; each in every mode."""
    if len(inputs) != len(subject.inputs):
        raise ArgumentError(
            f"check {subject.title}",
            f"{len(subject.inputs)} inputs ({', '.join(subject.inputs)})",
            str(len(inputs)),
            hint=f"check.layer(layer, {', '.join(subject.inputs)})",
        )
    given = dict(zip(subject.inputs, [_array(subject, n, a) for n, a in zip(subject.inputs, inputs)]))
    x = given[subject.inputs[0]]
    if not x.size:
        raise ArgumentError(f"check {subject.title}", "an input with elements", f"the shape {x.shape}")
    if x.size > _LARGE and x.ndim > 1 and len(x) > _ROWS:
        given = {n: a[:_ROWS] if len(a) == len(x) and n not in _SHARED else a for n, a in given.items()}
    draw = np.random.RandomState(seed)
    first = {**given, **_alive(subject.values(), draw)}
    subject.asked = _asked(subject, first, seed)
    found = [Case(subject, first, mode, seed) for mode in subject.modes]
    if not extras:
        return found
    for rows in _batches(given[subject.inputs[0]]):
        for mode in subject.modes:
            case = _with_rows(subject, given, rows, mode, seed + rows, found[0], draw)
            found += [case] if case else []
    return found


def _asked(subject: Subject, arrays: Arrays, seed: int) -> tuple[str, ...]:
    """Return the targets for which backward gives a gradient: what is returned must be right."""
    floats = [n for n in subject.targets if arrays[n].dtype.kind == "f"]
    gradients = Case(subject, arrays, seed=seed).first.gradients if floats else {}
    return tuple([n for n in floats if gradients.get(n) is not None])


def _array(subject: Subject, name: str, a: Any) -> Array:
    array = a.numpy() if hasattr(a, "numpy") else np.asarray(a)
    if array.dtype.kind not in "fiub":
        raise DtypeError(f"check {subject.title}", f"numbers in {name}", str(array.dtype))
    return np.array(array, dtype=np.float64) if array.dtype.kind == "f" else np.array(array)


def _alive(parameters: Arrays, draw: Any) -> Arrays:
    """Return parameters of which none is constant: γ = 1 would hide a missing γ."""
    return {k: a + draw.uniform(-0.3, 0.5, a.shape) if a.size and np.ptp(a) == 0 else a for k, a in parameters.items()}


def _batches(x: Array) -> list[int]:
    if x.ndim == 0:
        return []
    return [n for n in (1, 5 if len(x) != 5 else 4) if n != len(x)]


def _with_rows(subject: Subject, given: Arrays, rows: int, mode: str, seed: int, first: Case, draw: Any) -> Case | None:
    """Return a case with another batch size and other numbers; None where this layer takes no such batch."""
    parameters = {k: a * draw.uniform(0.7, 1.4, a.shape) for k, a in _alive(subject.values(), draw).items()}
    x = given[subject.inputs[0]]
    same = [
        n for n in subject.inputs if n not in _SHARED and given[n].shape[:1] == x.shape[:1] and _rowlike(n, given, x)
    ]
    for moving in (same, subject.inputs[:1]):
        arrays = {**given, **{n: _rows(given[n], rows, subject, n, draw) for n in moving}, **parameters}
        with contextlib.suppress(Exception), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            case = Case(subject, arrays, mode, seed)
            if case.failed is None and np.isfinite(case.y).all() and _fits_batch(case, rows, first):
                return case
    return None


def twin(c: Case) -> Case | None:
    """Return the case with other numbers in arrays of the same shapes; None where forward refuses them."""
    draw = np.random.RandomState(c.seed + 77)
    other = _with_rows(c.subject, c.arrays, c.batch, c.mode, c.seed + 77, c, draw) if c.x.ndim else None
    if other is None or np.array_equal(other.x, c.x):
        arrays = {n: a * draw.uniform(0.7, 1.4, a.shape) if n in c.names else a for n, a in c.arrays.items()}
        other = Case(c.subject, arrays, c.mode, c.seed + 77)
    return other if other.failed is None and other.shape == c.shape and np.isfinite(other.y).all() else None


def _rowlike(name: str, given: Arrays, x: Array) -> bool:
    return given[name].ndim == x.ndim or given[name].dtype.kind != "f" or name in TARGETS


def _fits_batch(case: Case, rows: int, first: Case) -> bool:
    """Whether the output has followed the batch, as the first case's did."""
    if not first.shape:
        return case.shape == ()
    followed = first.shape[0] == first.batch
    return case.shape[1:] == first.shape[1:] and (case.shape[0] == rows or not followed)


def _rows(a: Array, rows: int, subject: Subject, name: str, draw: Any) -> Array:
    """Return other rows like those of ``a``."""
    picked = a[draw.randint(0, len(a), rows)]
    if a.dtype.kind != "f" or name in subject.targets and set(np.unique(a)) <= {0.0, 1.0}:
        return picked
    return draw.normal(size=picked.shape) * (a.std() or 1.0) + a.mean()


def squared(case: Case) -> Case | None:
    """Return the case with all sizes equal, where forgotten transposes run through and show their numbers."""
    subject = case.subject
    arrays = {}
    m = max(3, case.batch)
    draw = np.random.RandomState(case.seed)
    for k, v in case.arrays.items():
        shape = (m,) * v.ndim
        targets = k in subject.targets
        arrays[k] = _one_hot(np.zeros(shape), draw) if targets and v.shape == case.x.shape else draw.normal(size=shape)
        if v.dtype.kind != "f":
            return None
    found = Case(subject, arrays, case.mode, case.seed)
    return found if found.failed is None else None
