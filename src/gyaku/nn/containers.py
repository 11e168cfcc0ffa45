"""Modules that hold modules or parameters in order or by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gyaku.base.errors import DtypeError, PositionError, UnknownNameError
from gyaku.core.tensor import Parameter, Tensor
from gyaku.nn.module import Module


class Sequential(Module):
    """Modules run one after the other: ``Sequential(Linear(2, 3), ReLU())``, or an ordered dict of names.

    Slicing gives a Sequential of the same modules.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__()
        named = args[0].items() if len(args) == 1 and isinstance(args[0], Mapping) else enumerate(args)
        for name, module in named:
            if not isinstance(module, Module):
                hint = "use Sequential(*layers)" if isinstance(module, (list, tuple)) else ""
                raise DtypeError("Sequential", f"modules, number {name} too", type(module).__name__, hint=hint)
            self.add_module(str(name), module)

    def forward(self, input: Any) -> Any:
        """Run the modules in order."""
        for module in self._modules.values():
            input = module(input)
        return input

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)(dict(list(self._modules.items())[index]))
        return self._modules[_key(self, index)]

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, _key(self, index), module)

    def __delitem__(self, index: int | slice) -> None:
        names = list(self._modules)
        for name in names[index] if isinstance(index, slice) else [_key(self, index)]:
            delattr(self, name)
        _renumber(self, list(self._modules.values()))

    def append(self, module: Module) -> Sequential:
        """Add a module at the end and return self."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Sequential:
        """Add modules at the end and return self."""
        for module in modules:
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Sequential:
        """Add a module before number ``index`` and return self."""
        order = list(self._modules.values())
        order.insert(index, module)
        _renumber(self, order)
        return self


class ModuleList(Module):
    """A list whose modules are registered: an optimizer sees their parameters. It has no ``forward``."""

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        self.extend(modules or ())

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    def __contains__(self, module: Module) -> bool:
        return module in self._modules.values()

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)(list(self._modules.values())[index])
        return self._modules[_key(self, index)]

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, _key(self, index), module)

    def __delitem__(self, index: int | slice) -> None:
        order = list(self._modules.values())
        _key(self, index) if isinstance(index, int) else None
        del order[index]
        _renumber(self, order)

    def append(self, module: Module) -> ModuleList:
        """Add a module at the end and return self."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> ModuleList:
        """Add modules at the end and return self."""
        for module in modules:
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> None:
        """Add a module before number ``index``."""
        order = list(self._modules.values())
        order.insert(index, module)
        _renumber(self, order)

    def pop(self, index: int = -1) -> Module:
        """Remove a module and return it."""
        module = self[index]
        del self[index]
        return module

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return type(self)([*self, *other])


class ModuleDict(Module):
    """A dict whose modules are registered; the keys are names."""

    def __init__(self, modules: Any = None) -> None:
        super().__init__()
        self.update(modules or {})

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: str) -> bool:
        return key in self._modules

    def __getitem__(self, key: str) -> Module:
        if key not in self._modules:
            raise UnknownNameError("ModuleDict", key, self._modules, what="key")
        return self._modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        delattr(self, key)

    def update(self, modules: Any) -> None:
        """Add or replace modules from a dict or pairs."""
        for key, module in modules.items() if isinstance(modules, Mapping) else modules:
            self.add_module(key, module)

    def keys(self) -> Iterable[str]:
        """Return the names."""
        return self._modules.keys()

    def values(self) -> Iterable[Module]:
        """Return the modules."""
        return self._modules.values()

    def items(self) -> Iterable[tuple[str, Module]]:
        """Return (name, module) pairs."""
        return self._modules.items()

    def pop(self, key: str) -> Module:
        """Remove a module and return it."""
        module = self[key]
        del self[key]
        return module

    def clear(self) -> None:
        """Remove all modules."""
        for key in list(self._modules):
            delattr(self, key)


class ParameterList(Module):
    """A list whose parameters are registered (plain tensors become parameters)."""

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        super().__init__()
        self.extend(values or ())

    def __len__(self) -> int:
        return len(self._parameters)

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self._parameters.values())

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)(list(self._parameters.values())[index])
        return self._parameters[_key(self, index)]

    def __setitem__(self, index: int, value: Any) -> None:
        self.register_parameter(_key(self, index), _parameter(value))

    def append(self, value: Any) -> ParameterList:
        """Add a parameter at the end and return self."""
        self.register_parameter(str(len(self)), _parameter(value))
        return self

    def extend(self, values: Iterable[Any]) -> ParameterList:
        """Add parameters at the end and return self."""
        for value in values:
            self.append(value)
        return self

    def extra_repr(self) -> str:
        """Return one line for each parameter."""
        return "\n".join(f"({k}): Parameter of shape {tuple(p.shape)}" for k, p in self._parameters.items())


def _parameter(value: Any) -> Parameter:
    if isinstance(value, Parameter):
        return value
    if not isinstance(value, Tensor):
        raise DtypeError("ParameterList", "parameters or tensors", type(value).__name__)
    return Parameter(value)


def _key(container: Any, index: int) -> str:
    """Return the name of number ``index`` (negative from the end)."""
    names = list(container._parameters if isinstance(container, ParameterList) else container._modules)
    place = index.__index__()
    if not -len(names) <= place < len(names):
        raise PositionError(type(container).__name__, f"an index within {-len(names)}..{len(names) - 1}", str(index))
    return str(names[place])


def _renumber(container: Module, order: list[Module]) -> None:
    """Register ``order`` under 0, 1, 2, ..."""
    for name in list(container._modules):
        delattr(container, name)
    for i, module in enumerate(order):
        container.add_module(str(i), module)
