"""What is checked, behind one face: the lectures' classes, loss layers, ``autograd.Function``, Modules, functions.

A subject makes fresh copies of itself, runs forward on given arrays, and runs backward for a given ``dout``.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from gyaku.autograd.function import Context, Function
from gyaku.base.errors import DtypeError
from gyaku.check.chance import sources_of
from gyaku.core.mode import no_grad
from gyaku.core.tensor import Tensor, new_tensor
from gyaku.nn import Module

Array = Any
Arrays = dict[str, Any]
TARGETS = {"t", "target", "targets", "label", "labels", "teacher", "y_true", "true", "answer", "answers", "tgt"}
MODES = ("train", "train_flg", "train_flag", "training", "is_train", "is_training")
BUFFERS = ("running_", "moving_", "mean", "var")


class Subject:
    """Base: ``inputs`` names the arguments of forward, ``targets`` those of them that take no gradient."""

    title: str
    inputs: tuple[str, ...]
    targets: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()  # targets for which backward gives a gradient all the same
    parameters: tuple[str, ...] = ()
    modes: tuple[str, ...] = ("train",)
    takes_dout = True
    walks = False  # the walk of autograd gives the gradients
    backward_source: Callable[..., Any] | None = None  # the student's function, where there is one to read
    sources: list[Any]

    def fresh(self) -> Any:
        """Return a copy that nothing has run on."""
        raise NotImplementedError

    def values(self) -> Arrays:
        """Return the parameters' values."""
        raise NotImplementedError

    def forward(self, layer: Any, arrays: Arrays, mode: str) -> Any:
        """Return the output of ``layer`` at the arrays (parameters are written into it)."""
        raise NotImplementedError

    def backward(self, layer: Any, dout: Any, rule: Any = None) -> Any:
        """Return gradients by name; ``rule`` may stand for the student's own backward."""
        raise NotImplementedError

    def live(self, layer: Any) -> Arrays:
        """Return the parameters as they lie in ``layer`` now."""
        return {}

    def kept(self, layer: Any) -> Arrays:
        """Return the arrays and numbers that forward left on ``layer``."""
        return {k: v for k, v in own(layer).items() if isinstance(v, (np.ndarray, np.generic, float, int))}


class LayerSubject(Subject):
    """An object with ``forward(x)`` and ``backward(dout)``, which leaves gradients of ``W`` in ``dW`` (or the like)."""

    def __init__(self, layer: Any) -> None:
        self.layer = _with_arrays(as_float64(copy.deepcopy(layer)))
        self.title = type(layer).__name__
        self.inputs, self.mode_argument = _arguments(layer.forward)
        self.targets = tuple([n for n in self.inputs[1:] if n in TARGETS])
        self.takes_dout = bool(inspect.signature(layer.backward).parameters)
        self.flag = next((n for n in MODES if isinstance(own(layer).get(n), bool)), "")
        self.modes = ("train", "eval") if self.mode_argument or self.flag else ("train",)
        self.places = dict(_parameters(self.layer))
        self.parameters = tuple(self.places)
        self.sources = sources_of(layer)
        self.backward_source = getattr(type(layer), "backward", None)

    def fresh(self) -> Any:
        """Return a copy that nothing has run on."""
        return copied(self.layer)

    def values(self) -> Arrays:
        """Return the parameters' values."""
        return {name: get(self.layer).copy() for name, get in self.places.items()}

    def live(self, layer: Any) -> Arrays:
        """Return the parameters as they lie in ``layer`` now."""
        return {name: get(layer) for name, get in self.places.items()}

    def forward(self, layer: Any, arrays: Arrays, mode: str) -> Any:
        for name, get in self.places.items():
            place = get(layer)
            if place.shape == arrays[name].shape:
                place[...] = arrays[name]
            else:
                replace(layer, place, arrays[name].copy())
        given = [arrays[name] for name in self.inputs]
        if self.flag and not self.mode_argument:
            setattr(layer, self.flag, mode == "train")
        extra = {self.mode_argument: mode == "train"} if self.mode_argument else {}
        return layer.forward(*given, **extra)

    def backward(self, layer: Any, dout: Any, rule: Any = None) -> Any:
        run = layer.backward if rule is None else rule.__get__(layer)
        answer = run() if not self.takes_dout else run(*dout) if isinstance(dout, tuple) else run(dout)
        wanted = [n for n in self.inputs if n not in self.targets]
        apart = isinstance(answer, tuple) or (isinstance(answer, list) and len(wanted) > 1)
        several = answer if apart else (answer,)
        names = self.inputs if len(several) == len(self.inputs) else wanted
        found = dict(zip(names, [*several, *[None] * len(wanted)]))
        return {**found, **{name: gradient_beside(layer, name) for name in self.parameters}}


class FunctionSubject(Subject):
    """A class derived from ``gyaku.autograd.Function``; its two methods are called as the walk would call them."""

    def __init__(self, function: type[Function]) -> None:
        self.function, self.title = function, function.__name__
        self.with_context = function.setup_context is Function.setup_context
        names = list(inspect.signature(function.forward).parameters)
        self.inputs = tuple(names[1:] if self.with_context else names)
        self.targets = tuple([n for n in self.inputs[1:] if n in TARGETS])
        self.sources = sources_of(function)
        self.backward_source = function.backward

    def fresh(self) -> Any:
        """Return a copy that nothing has run on."""
        return Context((True,) * len(self.inputs))

    def values(self) -> Arrays:
        """Return the parameters' values."""
        return {}

    def kept(self, layer: Any) -> Arrays:
        """Return the arrays and numbers that forward left."""
        return {}

    def forward(self, layer: Any, arrays: Arrays, mode: str) -> Any:
        given = [_as_tensor(arrays[name]) for name in self.inputs]
        with no_grad():
            if self.with_context:
                answer = self.function.forward(layer, *given)
            else:
                answer = self.function.forward(*given)
                self.function.setup_context(layer, tuple(given), answer)
        return raw(answer)

    def backward(self, layer: Any, dout: Any, rule: Any = None) -> Any:
        layer._saved = layer._keep
        run = rule or self.function.backward
        with no_grad():
            answer = run(layer, *starts_of(dout))
        several = answer if isinstance(answer, tuple) else (answer,)
        found = [raw(g) for g in (*several, *[None] * len(self.inputs))]
        return {n: g for n, g in zip(self.inputs, found) if g is not None or n not in self.targets}


class ModuleSubject(Subject):
    """An ``nn.Module``: the walk of autograd gives its gradients."""

    walks = True

    def __init__(self, module: Module) -> None:
        self.layer, self.title = copy.deepcopy(module).double(), type(module).__name__
        self.inputs, _ = _arguments(module.forward)
        self.targets = tuple([n for n in self.inputs[1:] if n in TARGETS])
        self.parameters = tuple([n for n, p in self.layer.named_parameters() if p.requires_grad])
        self.modes = ("train", "eval")
        self.sources = sources_of(module)
        self.function = _only_function(module)
        self.backward_source = self.function and self.function.backward

    def fresh(self) -> Any:
        """Return a copy that nothing has run on."""
        return copied(self.layer)

    def values(self) -> Arrays:
        """Return the parameters' values."""
        return {n: p._array.copy() for n, p in self.layer.named_parameters() if n in self.parameters}

    def live(self, layer: Any) -> Arrays:
        """Return the parameters as they lie in ``layer`` now."""
        return {n: p._array for n, p in layer.named_parameters() if n in self.parameters}

    def forward(self, layer: Any, arrays: Arrays, mode: str) -> Any:
        layer.train(mode == "train")
        for name, parameter in layer.named_parameters():
            if name in self.parameters:
                parameter._array = arrays[name].copy()
        self.given = {name: _as_tensor(arrays[name]) for name in self.inputs}
        for name, t in self.given.items():
            if t._array.dtype.kind == "f" and name not in self.targets:
                t.requires_grad_()
        self.answer = layer(*self.given.values())
        return raw(self.answer)

    def backward(self, layer: Any, dout: Any, rule: Any = None) -> Any:
        named = dict(layer.named_parameters())
        wanted = {n: t for n, t in self.given.items() if t.requires_grad}
        wanted.update({n: named[n] for n in self.parameters})
        if rule is None or self.function is None:
            return walked(self.answer, wanted, dout)
        right = self.function.__dict__["backward"]
        self.function.backward = staticmethod(rule)  # type: ignore[method-assign]
        try:
            return walked(self.answer, wanted, dout)
        finally:
            self.function.backward = right  # type: ignore[method-assign]


class CallSubject(Subject):
    """A function of tensors, or of arrays with ``grad`` beside it that returns the gradients."""

    def __init__(self, f: Callable[..., Any], names: tuple[str, ...], grad: Callable[..., Any] | None = None) -> None:
        self.f, self.grad, self.inputs = f, grad, names
        self.title = getattr(f, "__name__", type(f).__name__)
        self.takes_dout = self.walks = grad is None
        self.sources = []

    def fresh(self) -> Any:
        """Return a copy that nothing has run on."""
        return None

    def values(self) -> Arrays:
        """Return the parameters' values."""
        return {}

    def kept(self, layer: Any) -> Arrays:
        """Return the arrays and numbers that forward left."""
        return {}

    def forward(self, layer: Any, arrays: Arrays, mode: str) -> Any:
        self.arrays = [arrays[n] for n in self.inputs]
        if self.grad is not None:
            return self.f(*self.arrays)
        self.given = [_as_tensor(a) for a in self.arrays]
        for t in self.given:
            if t._array.dtype.kind == "f":
                t.requires_grad_()
        self.answer = self.f(*self.given)
        return raw(self.answer)

    def backward(self, layer: Any, dout: Any, rule: Any = None) -> Any:
        wanted = [(n, a) for n, a in zip(self.inputs, self.arrays) if np.asarray(a).dtype.kind == "f"]
        if self.grad is not None:
            answer = self.grad(*self.arrays)
            if isinstance(answer, dict):
                return {n: answer.get(n) for n, _ in wanted}
            several = answer if isinstance(answer, (tuple, list)) else (answer,)
            return {n: g for (n, _), g in zip(wanted, [*several, *[None] * len(wanted)])}
        leaves = {n: t for n, t in zip(self.inputs, self.given) if t.requires_grad}
        return walked(self.answer, leaves, dout)


def own(layer: Any) -> dict[str, Any]:
    """Return an object's attributes (none, where it has ``__slots__``)."""
    return getattr(layer, "__dict__", {})


_ATOMS = {bool, int, float, str, type(None)}


def copied(layer: Any) -> Any:
    """Return what ``copy.deepcopy`` returns, faster for a plain object with arrays (this is done before every forward).

    An array that lies in several places of the object does so in the copy.
    """
    kind = type(layer)
    if type(own(layer)) is not dict or not own(layer) or hasattr(kind, "__deepcopy__") or hasattr(kind, "__slots__"):
        return copy.deepcopy(layer)
    new, memo = object.__new__(kind), {}  # type: tuple[Any, dict[int, Any]]
    for key, value in own(layer).items():
        if type(value) is np.ndarray and id(value) not in memo:
            memo[id(value)] = value.copy()
        new.__dict__[key] = value if type(value) in _ATOMS else copy.deepcopy(value, memo)
    return new


def subject_of(layer: Any) -> Subject:
    """Return the face of an object, or of a ``Function`` class. Raises ``DtypeError`` for what is no layer."""
    needed = ("forward",) if isinstance(layer, Module) else ("forward", "backward")
    if not all(callable(getattr(layer, name, None)) for name in needed):
        raise DtypeError("check", f"a layer with {' and '.join(needed)}", type(layer).__name__)
    if isinstance(layer, type) and issubclass(layer, Function):
        return FunctionSubject(layer)
    return ModuleSubject(layer) if isinstance(layer, Module) else LayerSubject(layer)


def _only_function(module: Module) -> type[Function] | None:
    """Return the student's ``Function`` that the forward of a module applies, when there is one."""
    found = []
    for part in module.modules():
        forward = type(part).forward
        beside, names = getattr(forward, "__globals__", {}), getattr(getattr(forward, "__code__", None), "co_names", ())
        found += [beside[n] for n in names if isinstance(beside.get(n), type) and issubclass(beside[n], Function)]
    return found[0] if len(set(found)) == 1 and "backward" in found[0].__dict__ else None


def raw(answer: Any) -> Any:
    """Return the array of a tensor, the arrays of a tuple of them; anything else as it is."""
    if isinstance(answer, tuple):
        return tuple([raw(a) for a in answer])
    return answer._array if isinstance(answer, Tensor) else answer


def starts_of(dout: Any) -> list[Tensor]:
    """Return upstream gradients as tensors, one for each output."""
    return [new_tensor(np.array(d)) for d in (dout if isinstance(dout, tuple) else (dout,))]


def walked(answer: Any, wanted: dict[str, Tensor], dout: Any) -> Arrays:
    """Return the gradients that the walk of autograd gives; None where it does not come by."""
    from gyaku.autograd import grad

    pairs = [(y, d) for y, d in zip(answer if isinstance(answer, tuple) else (answer,), starts_of(dout))]
    pairs = [(y, d) for y, d in pairs if isinstance(y, Tensor) and y.requires_grad]
    if not pairs:
        return dict.fromkeys(wanted)
    ys, starts = zip(*pairs)
    found = grad(list(ys), list(wanted.values()), list(starts), allow_unused=True)
    return {n: None if g is None else g._array for n, g in zip(wanted, found)}


def _as_tensor(a: Any) -> Tensor:
    return a if isinstance(a, Tensor) else new_tensor(np.array(a))


def _arguments(forward: Any) -> tuple[tuple[str, ...], str]:
    """Return the names of forward's inputs, and of its switch between training and prediction."""
    parameters = inspect.signature(forward).parameters.values()
    mode = next((p.name for p in parameters if p.name in MODES or isinstance(p.default, bool)), "")
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [
        p.name
        for p in parameters
        if p.kind in kinds and p.name != mode and (p.default is p.empty or (p.default is None and p.name in TARGETS))
    ]
    return tuple(needed), mode


def as_float64(layer: Any) -> Any:
    """Let the arrays of an object be float64, so that differences can be trusted; shared arrays stay shared."""
    seen: dict[int, Any] = {}

    def wide(value: Any) -> Any:
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            return seen.setdefault(id(value), np.array(value, dtype=np.float64))
        return value

    for key, value in own(layer).items():
        if isinstance(value, list):
            value[:] = [wide(v) for v in value]
        elif isinstance(value, dict):
            value.update({k: wide(v) for k, v in value.items()})
        else:
            setattr(layer, key, wide(value))
    return layer


def replace(layer: Any, old: Array, new: Array) -> None:
    """Put an array of another shape in the place of ``old``, wherever the object holds it."""
    for key, value in list(own(layer).items()):
        if value is old:
            setattr(layer, key, new)
        elif isinstance(value, list):
            value[:] = [new if v is old else v for v in value]
        elif isinstance(value, dict):
            value.update({k: new for k, v in value.items() if v is old})


def _parameters(layer: Any) -> list[tuple[str, Callable[[Any], Array]]]:
    """Return name and getter of each array that the layer learns.

    These are what its ``params`` names or holds; else arrays given to the constructor under the same name, and arrays
    with a gradient beside them.
    """
    named = getattr(layer, "params", None)
    if isinstance(named, tuple) and all(isinstance(n, str) for n in named):
        return [(n, _attribute(n)) for n in named]
    if isinstance(named, dict) and named:
        return [(n, _item("params", n)) for n in named]
    given = set(inspect.signature(type(layer).__init__).parameters)
    attributes, written = own(layer), _set_by_backward(layer)
    found = []
    for name, value in attributes.items():
        if not (isinstance(value, np.ndarray) and value.dtype.kind == "f") or name.startswith(BUFFERS):
            continue
        if name in given or any(c in attributes or c in written for c in _beside(name)):
            found.append((name, _attribute(name)))
    if not found and isinstance(named, list):
        return [(f"params[{i}]", _item("params", i)) for i in range(len(named))]
    return [(n, get) for n, get in found if not any(n in _beside(other) for other, _ in found)]


def _set_by_backward(layer: Any) -> set[str]:
    """Return the names that the code of backward mentions: a gradient may first be set there."""
    code = getattr(getattr(type(layer), "backward", None), "__code__", None)
    return set() if code is None else set(code.co_names)


def _with_arrays(layer: Any) -> Any:
    """Let plain numbers that backward gives a gradient (``alpha`` beside ``dalpha``) be arrays without axes."""
    written = _set_by_backward(layer)
    for name, value in own(layer).items():
        if type(value) is float and any(c in written for c in _beside(name)):
            setattr(layer, name, np.array(value))
    return layer


def _attribute(name: str) -> Callable[[Any], Array]:
    return lambda layer: getattr(layer, name)


def _item(holder: str, key: Any) -> Callable[[Any], Array]:
    return lambda layer: getattr(layer, holder)[key]


def _beside(name: str) -> tuple[str, ...]:
    return (f"d{name}", f"d_{name}", f"grad_{name}", f"{name}_grad", f"g{name}", f"dL_d{name}", f"dE_d{name}")


def gradient_beside(layer: Any, name: str) -> Any:
    """Return the gradient that backward left for a parameter: ``dW``, ``grads["W"]``, ``grads[0]``; else None."""
    attributes = own(layer)
    for candidate in _beside(name):
        if candidate in attributes:
            return attributes[candidate]
    grads = getattr(layer, "grads", None)
    if isinstance(grads, dict):
        return grads.get(name)
    named = getattr(layer, "params", None)
    if isinstance(grads, (list, tuple)) and isinstance(named, (list, tuple)):
        place = next((i for i, p in enumerate(named) if p is attributes.get(name)), None)
        place = int(name[7:-1]) if name.startswith("params[") else place
        return grads[place] if place is not None and place < len(grads) else None
    return getattr(layer, f"d{name}", None)
