"""What is easily overlooked between two calls: each change gives what eager code gives, never the result of before."""

from __future__ import annotations

import array
import collections
import contextvars
import functools
import re
import sys
import threading
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import gyaku as gy
from gyaku import nn, optim

Changing = tuple[Callable[[Any], Any], Callable[[], Any]]  # a function, and what changes the world under it


class Box:
    def __init__(self) -> None:
        self.value = 1.0


def of_class(value: Any, read: Any, change: Any) -> Changing:
    kind = type("Layer", (nn.Module,), {"held": value, "forward": lambda self, x: (x * read(self.held)).sum()})
    layer = kind()
    return (lambda x: layer(x)), lambda: change(kind.held)


def reading(holder: Any, read: Any, change: Any) -> Changing:
    return (lambda x: (x * read(holder)).sum()), lambda: change(holder)


def attribute_of_function() -> Changing:
    def f(x: Any) -> Any:
        return (x * f.factor).sum()  # type: ignore[attr-defined]

    f.factor = 1.0  # type: ignore[attr-defined]
    return f, lambda: setattr(f, "factor", 5.0)


def import_inside() -> Changing:
    def f(x: Any) -> Any:
        from watched_settings import FACTOR  # type: ignore[import-not-found]

        return (x * FACTOR).sum()

    return f, lambda: setattr(sys.modules["watched_settings"], "FACTOR", 5.0)


def module_in_module() -> Changing:
    def f(x: Any) -> Any:
        import watched_package  # type: ignore[import-not-found]

        return (x * watched_package.settings.FACTOR).sum()

    return f, lambda: setattr(sys.modules["watched_settings"], "FACTOR", 5.0)


def one_slot() -> Changing:
    class One:
        __slots__ = "value"

    one = One()
    one.value = 1.0
    return (lambda x: (x * one.value).sum()), lambda: setattr(one, "value", 5.0)


def private_slot() -> Changing:
    class Private:
        __slots__ = ("__value",)

        def __init__(self) -> None:
            self.put(1.0)

        def put(self, value: float) -> None:
            self.__value = value

        def get(self) -> float:
            return self.__value

    private = Private()
    return (lambda x: (x * private.get()).sum()), lambda: private.put(5.0)


def special_method() -> Changing:
    factors = [1.0]

    class Table:
        def __getitem__(self, i: int) -> float:
            return factors[i]

    table = Table()
    return (lambda x: (x * table[0]).sum()), lambda: factors.__setitem__(0, 5.0)


def replaced_special_method() -> Changing:
    class Table:
        def __getitem__(self, i: int) -> float:
            return 1.0

    table = Table()
    return (lambda x: (x * table[0]).sum()), lambda: setattr(Table, "__getitem__", lambda self, i: 5.0)


def list_with_attribute() -> Changing:
    class Numbers(list[float]):
        factor = 1.0

    numbers = Numbers([2.0])
    numbers.factor = 1.0
    return (lambda x: (x * numbers.factor).sum()), lambda: setattr(numbers, "factor", 5.0)


def method_of_dictionary() -> Changing:
    values = {"a": 1.0}
    get = values.get
    return (lambda x: (x * (get("a") or 0.0)).sum()), lambda: values.update(a=5.0)


def cached() -> Changing:
    values = [1.0]

    @functools.lru_cache
    def read() -> list[float]:
        return values

    return (lambda x: (x * read()[0]).sum()), lambda: values.__setitem__(0, 5.0)


def variable() -> Changing:
    v = contextvars.ContextVar("v", default=1.0)
    return reading(v, lambda v: v.get(), lambda v: v.set(5.0))


def local() -> Changing:
    v = threading.local()
    v.value = 1.0
    return reading(v, lambda v: v.value, lambda v: setattr(v, "value", 5.0))


def betas_in_a_list() -> Changing:
    p, betas = nn.Parameter(gy.ones(3)), [0.9, 0.999]
    o = optim.Adam([p], lr=0.1)
    o.param_groups[0]["betas"] = betas
    return _step(p, o), lambda: betas.__setitem__(0, 0.1)


def rate_in_a_tensor() -> Changing:
    p, lr = nn.Parameter(gy.ones(3)), gy.tensor(0.1)
    o = optim.SGD([p], lr=0.1)
    o.param_groups[0]["lr"] = lr
    return _step(p, o), lambda: lr._array.fill(0.4)


def _step(p: Any, o: Any) -> Any:
    def step(x: Any) -> Any:
        o.zero_grad()
        loss = ((p - 3 * x) ** 2).sum()
        loss.backward()
        o.step()
        return loss

    return step


def first(values: Any) -> Any:
    return values[0]


def put(values: Any) -> None:
    values[0] = 5.0


CASES: dict[str, Callable[[], Changing]] = {
    "list of a class": lambda: of_class([1.0], first, put),
    "object of a class": lambda: of_class(Box(), lambda b: b.value, lambda b: setattr(b, "value", 5.0)),
    "array of a class": lambda: of_class(np.ones(3), lambda a: float(a[0]), put),
    "array of Python": lambda: reading(array.array("d", [1.0]), first, put),
    "bytes": lambda: reading(bytearray([1]), first, lambda b: b.__setitem__(0, 5)),
    "dictionary of the user": lambda: reading(collections.UserDict(a=1.0), lambda d: d["a"], lambda d: d.update(a=5.0)),
    "chain": lambda: reading(collections.ChainMap({"a": 1.0}), lambda d: d["a"], lambda d: d.update(a=5.0)),
    **{f.__name__: f for f in (
        attribute_of_function, import_inside, module_in_module, one_slot, private_slot, special_method,
        replaced_special_method, list_with_attribute, method_of_dictionary, cached, variable, local, betas_in_a_list,
        rate_in_a_tensor,
    )},
}  # fmt: skip


@pytest.fixture(autouse=True)
def modules(monkeypatch: Any) -> Iterator[None]:
    settings, package = types.ModuleType("watched_settings"), types.ModuleType("watched_package")
    package.settings = settings  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "watched_settings", settings)
    monkeypatch.setitem(sys.modules, "watched_package", package)
    yield


@pytest.mark.parametrize("runner", ["interpret", "cpu"])
@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore:compile.*runs eagerly")
def test_a_change_that_is_easily_overlooked_is_seen(name: str, runner: str) -> None:
    if runner == "cpu":
        pytest.importorskip("llvmlite")
    found = []
    for compiled in (True, False):
        sys.modules["watched_settings"].FACTOR = 1.0  # type: ignore[attr-defined]
        function, change = CASES[name]()
        call = gy.compile(function, runner=runner) if compiled else function
        values = [call(gy.ones(2, 3)).item() for _ in range(5)]
        change()
        found.append(values + [call(gy.ones(2, 3)).item() for _ in range(3)])
    assert found[0] == pytest.approx(found[1], rel=1e-5) and len({round(v, 3) for v in found[1]}) > 1


@pytest.mark.filterwarnings("ignore:.*expected few kinds")
def test_objects_that_died_leave_no_address_in_a_key() -> None:
    box, opaque = Box(), types.SimpleNamespace(item=None)
    call = gy.compile(lambda x: (x * float(box.value)).sum(), runner="interpret")
    other = gy.compile(lambda x: (x * len(opaque.item.pattern)).sum(), runner="interpret")
    for k in range(1, 30):
        box.value = np.float32(k)  # type: ignore[assignment]
        assert call(gy.ones(2, 3)).item() == 6.0 * k
        opaque.item = None
        re.purge()
        opaque.item = re.compile("a" * k)
        assert other(gy.ones(2, 3)).item() == 6.0 * k
