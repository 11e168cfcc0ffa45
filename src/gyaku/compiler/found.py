"""What a function touches, found from the function itself: tensors, modules, optimizers, generators, plain values.

The walk goes through closure cells, the globals that the code names, defaults, ``__self__``, containers and the
attributes of objects. It gives a key (equal keys: the same program fits) and a list of what to watch: as long as each
watched container holds the very same objects, the key is the same.
"""

from __future__ import annotations

import argparse
import array
import collections
import contextvars
import functools
import operator
import sys
import threading
import types
from collections import deque
from typing import Any, NamedTuple

import numpy as np

from gyaku.backend.random import Generator, default_generator
from gyaku.compiler.names import Same, is_users, names_of, slots_of
from gyaku.compiler.watch import Watch
from gyaku.core.mode import state
from gyaku.core.node import Leaf, inside
from gyaku.core.tensor import Tensor, new_tensor
from gyaku.nn.module import Module
from gyaku.optim.optimizer import Optimizer

_PLAIN = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis), range)
_SKIPPED = frozenset({"_parent", "_told", "_non_persistent"})
_FIXED = ("initial_accumulator_value", "initial_lr")
_DIGEST = 4096  # bytes of a NumPy array that are compared at every call
_MOST = 50_000  # objects

# the standard library's objects that only hold values
_HOLDERS: tuple[type, ...] = (types.SimpleNamespace, argparse.Namespace, threading.local)
_HOLDERS += (collections.UserDict, collections.UserList, collections.ChainMap)
_UNSEEN = (array.array, bytearray, memoryview, contextvars.ContextVar)  # they change where nothing can be watched
_MADE = frozenset(  # methods that make, copy and show objects: what a step computes does not call them
    "__init__ __new__ __post_init__ __del__ __repr__ __str__ __set_name__ __init_subclass__ __reduce__ __reduce_ex__ "
    "__getstate__ __setstate__ __copy__ __deepcopy__".split()
)
_RANDOM = ("numpy.random._generator", "numpy.random.mtrand", "numpy.random.bit_generator")
_CLOCKS = ("random", "time", "datetime", "secrets")


class Count(NamedTuple):
    """A counter of one parameter: its optimizer, number of the group, name, and the 0-d tensor that holds it."""

    optimizer: Optimizer
    group: int
    name: str
    parameter: Tensor
    tensor: Tensor

    @property
    def value(self) -> float:
        """What it is now."""
        return float(self.tensor._array)


class Names(dict[str, Any]):
    """The globals that a function names; others may come and go."""


class Found:
    """The result of a walk from ``roots``."""

    def __init__(self, *roots: Any) -> None:
        self.key: list[Any] = []
        self.tensors: list[Tensor] = []
        self.names: list[str] = []
        self.generators: list[Generator] = [default_generator]
        self.optimizers: list[Optimizer] = []
        self.counts: list[Count] = []
        self.shared: list[tuple[Any, list[Tensor]]] = []  # (0-d array, the counters that live in it)
        self.fresh: list[tuple[dict[str, Any], str, Tensor]] = []  # slots made by this walk
        self.refusal = ""  # why this cannot be compiled
        self.watch = Watch()
        self.digests: list[tuple[Any, bytes]] = []
        self.mutable: list[tuple[Any, Any, str]] = []  # (container, copy of it, what it is called)
        self._seen: dict[int, int] = {}
        self._index: dict[int, int] = {}
        self._held: list[Any] = []
        self._attributes: set[str] = set()
        self._files: set[Any] = set()
        self._methods: list[tuple[str | None, Any]] = []
        self._slot_names: dict[int, tuple[str, int]] = {}
        for root in roots:
            self._visit(root, "")
        self._visit_methods()
        for k, (slot, owner) in self._slot_names.items():
            self.names[k] = f"{slot} of {self.names[owner]}"
        self.watch.see()
        slots = self._slot_names.keys()
        self._floating = [t for k, t in enumerate(self.tensors) if k not in slots and t._array.dtype.kind == "f"]
        self._nodes = [t._node for t in self._floating]
        self._leaves = [n for n in self._nodes if isinstance(n, Leaf)]
        self._hooks = [(_copied(n.hooks), _copied(n.after)) for n in self._leaves]

    # -- watching ---------------------------------------------------------------------------------------------------
    def unchanged(self) -> bool:
        """Return whether every watched place holds the very same objects as when the walk saw it."""
        if not self.watch.unchanged():
            return False
        if not all(map(operator.is_, map(_node_of, self._floating), self._nodes)):
            return False
        if not all(t._array is a for a, tensors in self.shared for t in tensors):
            return False
        if [(n.hooks, n.after) for n in self._leaves] != self._hooks:
            return False
        return all(a.tobytes() == digest for a, digest in self.digests)

    def nodes(self) -> list[tuple[Tensor, str]]:
        """Return the attributes that say which tensors want a gradient."""
        return [(t, "_node") for t in self._floating]

    def hooks(self) -> list[tuple[Leaf, list[Any]]]:
        """Return the leaves of these tensors, with their lists of hooks."""
        return [(n, [hooks for hooks in (n.hooks, n.after) if hooks is not None]) for n in self._leaves]

    def forget(self, kept: set[int]) -> None:
        """Take away the slots this walk made, but for those in ``kept`` (by identity of their tensors)."""
        for own, name, t in self.fresh:
            if id(t) not in kept and own.get(name) is t:
                del own[name]
        self.fresh = [entry for entry in self.fresh if id(entry[2]) in kept]
        self.watch.see()

    def index(self, t: Any) -> int | None:
        """Return the number of a tensor, or None."""
        return self._index.get(id(t))

    # -- the walk ---------------------------------------------------------------------------------------------------
    def _visit(self, value: Any, name: str) -> None:
        kind = type(value)
        if kind in _PLAIN:
            self.key.append((kind, repr(value) if kind is float else value))
            return
        if isinstance(value, (np.number, np.bool_)):
            self.key.append((kind, value.tobytes()))
            return
        number = self._seen.get(id(value))
        if number is not None:
            self.key.append(("seen", number))
            return
        self._seen[id(value)] = len(self._seen)
        self._held.append(value)
        if len(self._seen) > _MOST:
            self.refusal = self.refusal or "the function reaches more objects than can be watched"
            return
        visit = self._visitor(value)
        visit(value, name)
        if isinstance(value, (list, dict, set, deque)) and is_users(kind):  # a container with methods and attributes
            self._object(value, name)

    def _visitor(self, value: Any) -> Any:
        kind = type(value)
        for types_, visit in self._KINDS:
            if isinstance(value, types_):
                return functools.partial(visit, self)
        ours = (kind.__module__ or "").partition(".")[0] == "gyaku"
        if is_users(kind) or (ours and hasattr(value, "__dict__")) or isinstance(value, _HOLDERS):
            return self._object
        return self._opaque

    def _opaque(self, value: Any, name: str) -> None:
        """Take an object for what it is; refuse one whose every use gives something else."""
        self.key.append(Same(value))
        owner = getattr(value, "__self__", value)
        inner = getattr(value, "__wrapped__", owner)  # of a cached function; of a method of a list, the list
        if inner is not value and not isinstance(inner, types.ModuleType):
            self._visit(inner, name)
        if hasattr(type(value), "__next__") or type(owner).__module__ in ("random", *_RANDOM):
            self.refusal = (
                self.refusal or f"the function uses {name or type(value).__name__}, which differs at each use"
            )
        if isinstance(value, _UNSEEN):
            self.refusal = self.refusal or f"the function uses {name or 'an object'}, a {type(value).__name__}"

    def tensor(self, t: Tensor, name: str = "") -> int:
        """Enter a tensor and return its number."""
        k = self._index.get(id(t))
        if k is None:
            k = self._index[id(t)] = len(self.tensors)
            self.tensors.append(t)
            self.names.append(name)
            self._seen.setdefault(id(t), len(self._seen))
            self._held.append(t)
        return k

    def _tensor(self, t: Tensor, name: str) -> None:
        self.tensor(t, name)
        a = t._array
        self.key.append(("tensor", type(a), a.shape, a.dtype, t._node is not None))
        for hooks in (t._node.hooks, t._node.after) if isinstance(t._node, Leaf) else ():
            if hooks:
                self._visit(hooks, f"hooks of {name}")
        if type(a) is not np.ndarray:
            self.refusal = self.refusal or "a tensor that is not on the CPU"
        if t._node is not None and not t._node.is_leaf:
            self.refusal = self.refusal or f"the function reads {name or 'a tensor'}, which is part of a graph"

    def _array(self, a: Any, name: str) -> None:
        if a.nbytes > _DIGEST or a.dtype == object:
            self.refusal = self.refusal or (
                f"the function reads the NumPy array {name or '(unnamed)'}; pass it as an argument, or make a tensor"
            )
            return
        self.digests.append((a, a.tobytes()))
        self.key.append(("array", a.shape, a.dtype, a.tobytes()))

    def _generator(self, g: Generator, name: str) -> None:
        if not any(g is known for known in self.generators):
            self.generators.append(g)
        self.key.append(("generator", next(i for i, k in enumerate(self.generators) if k is g)))

    def _list(self, items: Any, name: str) -> None:
        self.key.append((type(items), len(items)))
        if not isinstance(items, tuple):
            self.watch.sequence(items)
            self._mutable(items, name)
        for i, item in enumerate(items):
            self._visit(item, f"{name}[{i}]")

    def _dict(self, items: Any, name: str) -> None:
        keys = list(items)
        self.key.append((type(items), tuple([k if type(k) in _PLAIN else self._mark(k) for k in keys])))
        self.watch.dictionary(items)
        self._mutable(items, name)
        for k in keys:
            self._visit(items[k], f"{name}[{k!r}]" if type(k) in _PLAIN else name)

    def _mark(self, key: Any) -> Any:
        """Return what stands for a dictionary's key that is an object: tensors by number."""
        self._held.append(key)
        return ("tensor", self.tensor(key)) if isinstance(key, Tensor) else Same(key)

    def _mutable(self, container: Any, name: str) -> None:
        self.mutable.append((container, container.copy(), name))

    def _function(self, f: Any, name: str) -> None:
        code = f.__code__
        self.key.append(code)
        self._attributes.update(names_of(code)[1])
        for word, cell in zip(code.co_freevars, f.__closure__ or (), strict=True):
            try:
                content = cell.cell_contents
            except ValueError:
                continue
            self.watch.attributes(cell, "cell_contents")
            self.mutable.append((cell, content, word))
            self._visit(content, word)
        self._visit(f.__defaults__, f"{f.__name__}()")
        if f.__kwdefaults__:
            self._dict(f.__kwdefaults__, f"{f.__name__}()")
        if not inside[code.co_filename]:
            if f.__dict__:
                self._dict(f.__dict__, f.__name__)
            self.watch.attributes(f, "__code__", "__defaults__", "__kwdefaults__")
            self._names(f.__globals__, code)

    def _names(self, space: dict[str, Any], code: Any) -> None:
        """Visit the globals that a function's code names, and of modules of the user's the attributes it names."""
        loaded, attributes, imported = names_of(code)
        names = tuple([n for n in loaded if n in space])
        if names:
            self.watch.items(space, names)
            self.mutable.append((space, Names({n: space[n] for n in names}), "the globals"))
        package = space.get("__package__") or ""
        for n in imported:
            module = sys.modules.get(n) or sys.modules.get(f"{package}.{n}".rstrip("."))
            if module is not None:
                self._module_file(module, attributes)
        for n in names:
            value = space[n]
            self.key.append(n)
            if isinstance(value, types.ModuleType):
                self._module_file(value, attributes)
            else:
                self._visit(value, n)

    def _module_file(self, module: types.ModuleType, attributes: tuple[str, ...]) -> None:
        root = module.__name__.partition(".")[0]
        if root in _CLOCKS or (root == "numpy" and "random" in attributes):
            self.refusal = self.refusal or f"the function uses the module {root}: time and chance differ at each use"
        if root in ("numpy", "gyaku") or root in sys.stdlib_module_names:
            return
        space, mark = vars(module), (module.__name__, attributes)
        if mark in self._files:
            return
        self._files.add(mark)
        names = tuple([n for n in attributes if n in space])
        if names:
            self.watch.items(space, names)
        for n in names:
            if isinstance(space[n], types.ModuleType):
                self._module_file(space[n], attributes)
            else:
                self._visit(space[n], f"{module.__name__}.{n}")

    def _method(self, m: Any, name: str) -> None:
        self._visit(m.__self__, name)
        self._visit(m.__func__, name)

    def _partial(self, p: Any, name: str) -> None:
        for part in (p.func, p.args, p.keywords):
            self._visit(part, name)

    def _class(self, kind: type, name: str) -> None:
        """Visit a class of the user's: its attributes, and later the methods that some code names."""
        self.key.append(Same(kind))
        others = [base for base in kind.__mro__ if not is_users(base)]
        for base in kind.__mro__ if is_users(kind) else ():
            if base in others or issubclass(base, BaseException):
                continue
            space = vars(base)
            self.watch.dictionary(space)
            for n, value in list(space.items()):
                value = getattr(value, "__func__", getattr(value, "fget", value))
                if isinstance(value, types.FunctionType):
                    special = n[:2] == n[-2:] == "__" and n not in _MADE
                    called = special or (n[:2] != "__" and any(hasattr(o, n) for o in others))
                    self._methods.append((None if called else n, value))
                elif n[:2] != "__" and (type(value) in _PLAIN or isinstance(value, Tensor)):
                    self._visit(value, n)
                elif n[:2] != "__" and n[:5] != "_abc_":
                    self._methods.append((n, value))

    def _visit_methods(self) -> None:
        """Visit the methods and attributes of classes that the code visited so far names, until it names no more."""
        while True:
            wanted = [m for m in self._methods if m[0] is None or m[0] in self._attributes]
            if not wanted:
                return
            self._methods = [m for m in self._methods if m[0] is not None and m[0] not in self._attributes]
            for n, value in wanted:
                self._visit(value, n or value.__name__)

    def _object(self, value: Any, name: str) -> None:
        self._visit(type(value), name)
        space = getattr(value, "__dict__", None)
        if space is not None:
            self.watch.dictionary(space)
            self.watch.attributes(value, "__dict__", "__class__")
            self._mutable(space, name)
            self.key.append(tuple(space))
            for n, v in list(space.items()):
                self._visit(v, f"{name}.{n}" if name else n)
        for base in type(value).__mro__:
            for n in slots_of(base) if is_users(base) else ():
                if hasattr(value, n) and n[:2] != "__":
                    self.watch.attributes(value, n)
                    self._visit(getattr(value, n), f"{name}.{n}")

    def _nn_module(self, m: Module, name: str) -> None:
        self._visit(type(m), name)
        space = m.__dict__
        self.watch.dictionary(space)
        self.watch.attributes(m, "__dict__", "__class__")
        self._mutable(space, name)
        self.key.append(tuple(space))
        for n, v in list(space.items()):
            if n in ("_parameters", "_buffers", "_modules"):
                self._mutable(v, name)
                if v:
                    self.watch.dictionary(v)
                self.key.append(tuple(v))
                for own in v.values() if n != "_modules" else ():
                    self._visit(own, name)
            elif isinstance(v, Tensor):
                self._visit(v, n)
                self.names[self.tensor(v)] = f"{m.path}.{n}" if m.path else n
            elif n not in _SKIPPED and not (n[0] == "_" and n.endswith("_hooks") and not v):
                self._visit(v, f"{name}.{n}" if name else n)

    # -- optimizers -------------------------------------------------------------------------------------------------
    def _optimizer(self, o: Optimizer, name: str) -> None:
        """Visit an optimizer: parameters, hyper-parameters (their kind, not their value), what it remembers."""
        self._visit(type(o), name)
        self.optimizers.append(o)
        self.refusal = self.refusal or o.untraceable
        o._dissolve()
        for d in (o.__dict__, o._plans, o._state):
            self.watch.dictionary(d)
        self.watch.sequence(o.param_groups)
        self.watch.attributes(o, "__dict__", "__class__")
        for n, v in o.__dict__.items():
            if n not in ("param_groups", "_state", "_plans", "_warned", "defaults"):
                self._visit(v, f"{name}.{n}")
        for i, group in enumerate(o.param_groups):
            for k, v in group.items():
                if isinstance(v, (Tensor, np.ndarray)):
                    self.refusal = self.refusal or f"the hyper-parameter {k!r} is an array; a number can be followed"
                    return
                if isinstance(v, list) and k != "params":
                    self.watch.sequence(v)
            self.key.append(tuple([(k, hyper_key(k, v)) for k, v in group.items() if k != "params"]))
            self._visit(group["params"], f"{name}.params{i or ''}")
            if type(o).rule is not None:
                self._slots(o, i, group)
        if type(o).rule is None:
            self._dict(o._state, f"{name}.state")

    def _slots(self, o: Optimizer, i: int, group: dict[str, Any]) -> None:
        """Make what the rule remembers exist."""
        slots = o.slots(group)
        for p in group["params"]:
            own = o._state[p]
            for slot, fill in slots.items():
                a, t = p._array, own.get(slot)
                if t is None:
                    t = own[slot] = new_tensor(np.full(a.shape, fill, a.dtype))
                    self.fresh.append((own, slot, t))
                elif t._array.dtype != a.dtype:
                    t._array = t._array.astype(a.dtype)
                if t.shape != p.shape:
                    self.refusal = "the optimizer remembers another shape of a parameter"
                self._visit(t, slot)
                self._slot_names[self.tensor(t)] = (slot, self.tensor(p))
            for counter, start in o.counters.items():
                self._count(o, i, p, counter, start)
            self.watch.dictionary(own)

    def _count(self, o: Optimizer, i: int, p: Tensor, name: str, start: float) -> None:
        own = o._state[p]
        t = own.get(name)
        if not isinstance(t, Tensor) or t._array.dtype != np.float64:
            t = new_tensor(np.array(start if t is None else float(t), dtype=np.float64))
            if name not in own:
                self.fresh.append((own, name, t))
            own[name] = t
        self.counts.append(Count(o, i, name, p, t))

    def share(self, classes: list[list[int]]) -> list[Any]:
        """Let the counters of each class live in one array (apart from all others), and return these arrays."""
        found = []
        for members in classes:
            tensors = [self.counts[k].tensor for k in members]
            mine, array = {id(t) for t in tensors}, tensors[0]._array
            if any(c.tensor._array is array for c in self.counts if id(c.tensor) not in mine):
                array = array.copy()
            for t in tensors:
                t._array = array
            self.shared.append((array, tensors))
            found.append(array)
        return found

    def equal(self, classes: list[list[int]]) -> bool:
        """Return whether the counters of each class are equal now."""
        return all(len({self.counts[k].value for k in members}) == 1 for members in classes)

    _KINDS: tuple[tuple[Any, Any], ...] = (
        (Tensor, _tensor),
        (Module, _nn_module),
        (Optimizer, _optimizer),
        (Generator, _generator),
        (np.ndarray, _array),
        (types.FunctionType, _function),
        (types.MethodType, _method),
        (functools.partial, _partial),
        ((list, tuple, set, frozenset, deque), _list),
        (dict, _dict),
        (type, _class),
    )


def _copied(hooks: Any) -> Any:
    return None if hooks is None else list(hooks)


_node_of = operator.attrgetter("_node")


def hyper_key(name: str, value: Any) -> Any:
    """Return what of a hyper-parameter the program depends on: flags by value; numbers vary."""
    if isinstance(value, (tuple, list)):
        return tuple([hyper_key(name, v) for v in value])
    if is_dynamic(name, value):
        return "number"
    return (type(value), value.item() if isinstance(value, (np.generic, Tensor)) else value)


def is_dynamic(name: str, value: Any) -> bool:
    """Return whether a hyper-parameter may change without another program."""
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    return number and name not in _FIXED


def mode_key() -> tuple[Any, ...]:
    """Return what of this thread's modes a program depends on."""
    from gyaku.backend.dtypes import get_default_dtype

    return state.grad, get_default_dtype()
