"""Module: parameters, buffers and modules by name, as in PyTorch, with what goes wrong said clearly."""

from __future__ import annotations

import copy
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from gyaku.base.errors import GraphError, GyakuError, MissingMethodError, UnknownNameError
from gyaku.core.backward import clear_grad
from gyaku.core.guard import raised_within, refusal
from gyaku.core.hooks import RemovableHandle
from gyaku.core.mode import state
from gyaku.core.op import context_of_call
from gyaku.core.tensor import Parameter, Tensor
from gyaku.nn.hooks import checked_name, refuse, run_hooked
from gyaku.nn.state import IncompatibleKeys, collect_state, load_state

_ref = weakref.ref


class _Path:
    """The dotted path of a module; a user's own attribute ``path`` may take its place."""

    def __get__(self, module: Any, owner: Any = None) -> Any:
        if module is None:
            return self
        names, seen = [], {id(module)}
        while "_parent" in module.__dict__:
            parent, name = module.__dict__["_parent"]
            above = parent()
            if above is None or above._modules.get(name) is not module or id(above) in seen:
                break
            names.append(name)
            seen.add(id(above))
            module = above
        return ".".join(reversed(names))


class Module:
    """Base of all layers and models: assign parameters and modules in ``__init__``, compute in ``forward``.

    Call ``super().__init__()`` first. Calling the module runs its hooks and ``forward``.

    >>> class Twice(Module):
    ...     def forward(self, x):
    ...         return 2 * x
    >>> Twice()(3)
    6
    """

    training: bool
    _hooked = False  # set on an instance when a hook is registered, so that a call without hooks costs one lookup

    def __init__(self) -> None:
        d = self.__dict__
        d["training"] = True
        for name in ("_parameters", "_buffers", "_modules"):
            d[name] = {}
        d["_non_persistent"] = set()
        d["_forward_pre_hooks"], d["_forward_hooks"], d["_backward_hooks"] = [], [], []

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output; every subclass says how."""
        raise MissingMethodError(type(self).__name__, "a method forward", "none", hint="write def forward(self, x)")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        before = state.module
        state.module = _ref(self)
        try:
            if self._hooked:
                return run_hooked(self, args, kwargs)
            return self.forward(*args, **kwargs)
        except GyakuError as error:
            error.context = error.context or context_of_call()
            raise
        except (TypeError, AttributeError) as error:
            if raised_within(error):
                raise refusal(self.forward, type(self).__name__, args, kwargs, error) from error
            raise
        finally:
            state.module = before

    # -- attributes ------------------------------------------------------------------------------------------------
    # Registered values also stand in __dict__, so that reading one costs no more than any attribute.
    def __setattr__(self, name: str, value: Any) -> None:
        d = self.__dict__
        if isinstance(value, Parameter):
            self.register_parameter(name, value)
        elif isinstance(value, Module):
            self.add_module(name, value)
        elif "_parameters" not in d:
            d[name] = value  # before super().__init__(): plain values may come
        elif name in d["_parameters"] or name in d["_modules"] or name in d["_buffers"]:
            self._replace(name, value)
        else:
            object.__setattr__(self, name, value)
            if isinstance(value, (list, tuple, dict)):
                self._warn_unregistered(name, value)

    def _replace(self, name: str, value: Any) -> None:
        """Assign to a registered name: None anywhere, a tensor to a buffer."""
        for kind, wanted in (("_parameters", "Parameter"), ("_modules", "Module"), ("_buffers", "Tensor")):
            registered = self.__dict__[kind]
            if name in registered:
                if value is not None and not (kind == "_buffers" and isinstance(value, Tensor)):
                    raise refuse(self, f"a {wanted} or None for {name!r}", type(value).__name__)
                registered[name] = self.__dict__[name] = value

    def __getattr__(self, name: str) -> Any:  # reached only when the name is not there
        if "_parameters" not in self.__dict__ and not name.startswith("__"):
            raise GraphError(
                type(self).__name__,
                "super().__init__() before anything else",
                f"a use of {name!r} without it",
                hint="call super().__init__() first in __init__",
            )
        raise UnknownNameError(type(self).__name__, name, [k for k in self.__dict__ if k[0] != "_"], what="attribute")

    def __delattr__(self, name: str) -> None:
        for kind in ("_parameters", "_buffers", "_modules"):
            self.__dict__.get(kind, {}).pop(name, None)
        self.__dict__.get("_non_persistent", set()).discard(name)
        object.__delattr__(self, name)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Enter a parameter under ``name`` (None keeps the name without one)."""
        checked_name(self, name)
        if param is not None and not isinstance(param, Parameter):
            raise refuse(self, f"a Parameter or None for {name!r}", type(param).__name__, "nn.Parameter(...)")
        self._enter("_parameters", name, param)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Enter a tensor that is state but not trained; ``persistent=False`` keeps it out of ``state_dict``."""
        checked_name(self, name)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise refuse(self, f"a Tensor or None for {name!r}", type(tensor).__name__)
        self._enter("_buffers", name, tensor)
        (self._non_persistent.discard if persistent else self._non_persistent.add)(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Enter a module under ``name``."""
        checked_name(self, name)
        if module is not None and not isinstance(module, Module):
            raise refuse(self, f"a Module or None for {name!r}", type(module).__name__)
        self._enter("_modules", name, module)
        if module is not None:
            module.__dict__["_parent"] = (_ref(self), name)

    register_module = add_module

    def _enter(self, kind: str, name: str, value: Any) -> None:
        for other in ("_parameters", "_buffers", "_modules"):
            if other != kind:
                self.__dict__[other].pop(name, None)
        self.__dict__[kind][name] = self.__dict__[name] = value

    path = _Path()  # the dotted path inside the outermost model ("encoder.0"), or "" for that model itself

    def __deepcopy__(self, memo: dict[int, Any]) -> Module:
        twin = object.__new__(type(self))
        memo[id(self)] = twin
        for key, value in self.__dict__.items():
            if key != "_parent":
                twin.__dict__[key] = copy.deepcopy(value, memo)
        for name, child in twin.__dict__.get("_modules", {}).items():
            if child is not None:
                child.__dict__["_parent"] = (_ref(twin), name)
        return twin

    # -- walking ---------------------------------------------------------------------------------------------------
    def named_modules(
        self, memo: set[Any] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """Yield (dotted path, module) of this module and all below, each once."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, child in self._modules.items():
            if child is not None:
                yield from child.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """Yield this module and all below, each once."""
        return (m for _, m in self.named_modules(remove_duplicate=remove_duplicate))

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yield (name, module) directly below, each once."""
        seen = set()
        for name, child in self._modules.items():
            if child is not None and child not in seen:
                seen.add(child)
                yield name, child

    def children(self) -> Iterator[Module]:
        """Yield the modules directly below, each once."""
        return (m for _, m in self.named_children())

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Yield (dotted name, parameter) in order of registration; a shared parameter once, under its first name."""
        self._warn_all_unregistered()
        return self._members("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Yield the parameters, a shared one once: what an optimizer takes."""
        return (p for _, p in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield (dotted name, buffer)."""
        return self._members("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Yield the buffers."""
        return (b for _, b in self.named_buffers(recurse=recurse))

    def _members(self, kind: str, prefix: str, recurse: bool, once: bool) -> Iterator[tuple[str, Any]]:
        seen = set()
        found = self.named_modules(None, prefix, once) if recurse else iter([(prefix, self)])
        for path, module in found:
            for name, value in module.__dict__[kind].items():
                if value is not None and not (once and value in seen):
                    seen.add(value)
                    yield f"{path}.{name}" if path else name, value

    def get_submodule(self, target: str) -> Module:
        """Return the module at a dotted path; "" is this one."""
        module = self
        for name in target.split(".") if target else ():
            found = module._modules.get(name)
            if found is None:
                raise UnknownNameError(f"{type(module).__name__}.get_submodule", name, module._modules, what="module")
            module = found
        return module

    def get_parameter(self, target: str) -> Parameter:
        """Return the parameter at a dotted path."""
        return self._get("_parameters", target, "parameter")

    def get_buffer(self, target: str) -> Tensor:
        """Return the buffer at a dotted path."""
        return self._get("_buffers", target, "buffer")

    def _get(self, kind: str, target: str, what: str) -> Any:
        path, _, name = target.rpartition(".")
        owner = self.get_submodule(path)
        if owner.__dict__[kind].get(name) is None:
            raise UnknownNameError(f"{type(owner).__name__}.get_{what}", name, owner.__dict__[kind], what=what)
        return owner.__dict__[kind][name]

    # -- modes and moves -------------------------------------------------------------------------------------------
    def train(self, mode: bool = True) -> Module:
        """Put this module and all below into training mode (dropout drops, batch norm uses the batch)."""
        if not isinstance(mode, bool):
            raise refuse(self, "train(mode) with True or False", repr(mode))
        for module in self.modules():
            module.__dict__["training"] = mode
        return self

    def eval(self) -> Module:
        """Put this module and all below into prediction mode."""
        return self.train(False)

    def apply(self, fn: Callable[[Module], Any]) -> Module:
        """Call ``fn`` on every module below, children first, and on this one."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def to(self, *args: Any, **kwargs: Any) -> Module:
        """Move parameters and buffers, in place, to a device and/or (floating ones) to a floating dtype."""
        from gyaku.core.tensor import _parse_to

        where, kind = _parse_to(*args, **kwargs)
        if kind is not None and not kind.is_floating_point:
            raise refuse(self, "to(...) with a floating dtype", repr(kind))
        return self._apply(lambda t: t.to(where, kind if t.is_floating_point() else None))

    def cpu(self) -> Module:
        """Move to the CPU."""
        return self.to("cpu")

    def cuda(self, device: int | None = None) -> Module:
        """Move to a GPU (the default one unless ``device`` says which)."""
        return self._apply(lambda t: t.cuda(device))

    def float(self) -> Module:
        """Make floating parameters and buffers float32."""
        return self.to("float32")

    def double(self) -> Module:
        """Make floating parameters and buffers float64."""
        return self.to("float64")

    def half(self) -> Module:
        """Make floating parameters and buffers float16."""
        return self.to("float16")

    def _apply(self, fn: Callable[[Tensor], Tensor]) -> Module:
        for module in self.modules():
            for p in module._parameters.values():
                if p is not None:
                    p.data = fn(p.data)
                    if p._grad is not None:
                        p._grad = fn(p._grad.detach())
            for name, b in module._buffers.items():
                if b is not None:
                    module._buffers[name] = module.__dict__[name] = fn(b)
        return self

    def requires_grad_(self, requires_grad: bool = True) -> Module:
        """Let all parameters want gradients, or freeze them."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters (or make them zero)."""
        for _, p in self._members("_parameters", "", True, True):
            if set_to_none or p._grad is None:
                p._grad = None
            else:
                clear_grad(p)

    # -- saving ----------------------------------------------------------------------------------------------------
    def state_dict(self, *, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> dict[str, Tensor]:
        """Return {dotted name: tensor} of parameters and persistent buffers; the tensors share the model's memory."""
        return collect_state(self, {} if destination is None else destination, prefix, keep_vars)

    def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> IncompatibleKeys:
        """Copy tensors into the parameters and buffers of the same names, all or nothing.

        Raises one error that lists every missing, unexpected and misshaped entry; with ``strict=False`` missing and
        unexpected names are only returned. ``assign`` takes the tensors themselves instead of copying.
        """
        return load_state(self, state_dict, strict, assign)

    # -- hooks -----------------------------------------------------------------------------------------------------
    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args)`` before ``forward``; what it returns (unless None) replaces the arguments."""
        return self._hook(self._forward_pre_hooks, (hook, with_kwargs), prepend)

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args, output)`` after ``forward``; what it returns (unless None) replaces the output."""
        return self._hook(self._forward_hooks, (hook, with_kwargs), prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_input, grad_output)`` when the gradients by the inputs are known.

        Both are tuples; what it returns (unless None) replaces ``grad_input``.
        """
        return self._hook(self._backward_hooks, (hook, False), prepend)

    def _hook(self, hooks: list[Any], entry: tuple[Any, bool], prepend: bool) -> RemovableHandle:
        if not callable(entry[0]):
            raise refuse(self, "a callable hook", type(entry[0]).__name__)
        hooks.insert(0 if prepend else len(hooks), entry)
        self.__dict__["_hooked"] = True
        return RemovableHandle(hooks, entry)

    # -- layers that would be overlooked ---------------------------------------------------------------------------
    def _warn_unregistered(self, name: str, value: Any) -> None:
        """Warn once when a plain list, tuple or dict holds modules or parameters that nobody has registered."""
        told = self.__dict__.setdefault("_told", set())
        inside = list(value.values() if isinstance(value, dict) else value)
        hidden = [m for m in inside if isinstance(m, (Module, Parameter))]
        if name in told or not hidden:
            return
        known = {id(m) for m in self.modules()} | {id(p) for _, p in self._members("_parameters", "", True, True)}
        lost = [m for m in hidden if id(m) not in known]
        if lost:
            told.add(name)
            kind = "Module" if isinstance(lost[0], Module) else "Parameter"
            remedy = f"nn.{kind}{'Dict' if isinstance(value, dict) else 'List'}"
            warnings.warn(
                f"{type(self).__name__}: expected registered {kind.lower()}s, got {len(lost)} in the plain "
                f"{type(value).__name__} {name!r}, which no optimizer will see. "
                f"Hint: self.{name} = {remedy}(...).",
                UserWarning,
                stacklevel=4,
            )

    def _warn_all_unregistered(self) -> None:
        for module in self.modules():
            for name, value in module.__dict__.items():
                if name[0] != "_" and type(value) in (list, tuple, dict) and value:
                    module._warn_unregistered(name, value)

    # -- text ------------------------------------------------------------------------------------------------------
    def extra_repr(self) -> str:
        """Return the settings shown in parentheses."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr().split("\n") if self.extra_repr() else []
        lines = [f"({name}): " + repr(m).replace("\n", "\n  ") for name, m in self._modules.items()]
        head = f"{type(self).__name__}("
        if not lines and len(extra) <= 1:
            return head + "".join(extra) + ")"
        return head + "\n  " + "\n  ".join(extra + lines) + "\n)"

    def __dir__(self) -> list[str]:
        return sorted(set(object.__dir__(self)))
