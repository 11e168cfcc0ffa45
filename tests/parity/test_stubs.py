"""Built-in functions show no signature, but PyTorch ships stubs: their names, order and defaults, against ours."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import gyaku as gy

torch = pytest.importorskip("torch", reason="PyTorch is not installed; `make parity` installs it")
pytestmark = pytest.mark.parity

# Where numbers lie and how they are stored; `out=` (we offer none); graph-only dimension names.
TECHNICAL = set(
    "out out_dtype dtype device layout pin_memory requires_grad memory_format names generator non_blocking "
    "output_size implicit reduce".split()
)
DIFFERENT = {
    "swapaxes": "our second name of transpose, with transpose's argument names",
    "uniform_": "PyTorch's ends are called from (a word of Python's) and to",
    "set_num_threads": "PyTorch's takes its argument by position only",
    "requires_grad_": "PyTorch's stub says mode, its documentation requires_grad, as we do",
    "to": "takes a device, a type of numbers or a tensor, told apart by what they are",
    "expand": "sizes are given one by one or as one list, as PyTorch takes them",
    "view": "sizes are given one by one or as one list, as PyTorch takes them",
}
# Arguments whose default PyTorch's stub gives for an outdated overload.
OUTDATED = {"unbiased", "correction", "dims", "steps"}


class Call(NamedTuple):
    """One way to call a function: names in order, those by keyword, defaults that are written out."""

    names: list[str]
    keywords: list[str]
    defaults: dict[str, Any]


def stub(file: str, cls: str | None = None) -> dict[str, list[Call]]:
    """Return the overloads of each function of a stub file, or of each method of a class in it."""
    path = Path(torch.__file__).parent / "_C" / file
    body: Any = ast.parse(path.read_text(encoding="utf-8")).body
    if cls:
        body = next(n for n in body if isinstance(n, ast.ClassDef) and n.name == cls).body
    found: dict[str, list[Call]] = {}
    for node in body:
        if isinstance(node, ast.FunctionDef):
            found.setdefault(node.name, []).append(call_of(node, drop_self=cls is not None))
    return found


def call_of(node: ast.FunctionDef, drop_self: bool) -> Call:
    a = node.args
    given = [*zip((a.posonlyargs + a.args)[::-1], a.defaults[::-1]), *zip(a.kwonlyargs, a.kw_defaults)]
    names = [p.arg for p in (a.posonlyargs + a.args)[drop_self:]]
    defaults = {p.arg: value.value for p, value in given if isinstance(value, ast.Constant)}
    return Call(["input" if n == "self" else n for n in names], [p.arg for p in a.kwonlyargs], defaults)


FUNCTIONS, METHODS = stub("_VariableFunctions.pyi"), stub("__init__.pyi", "TensorBase")
SHARED = [
    pytest.param(list(inspect.signature(getattr(ours, name)).parameters.values())[first:], calls, id=f"{room}.{name}")
    for room, ours, first, table in (("gyaku", gy, 0, FUNCTIONS), ("Tensor", gy.Tensor, 1, METHODS))
    for name, calls in sorted(table.items())
    if not name.startswith("_") and inspect.isroutine(getattr(ours, name, None)) and name not in DIFFERENT
]


def takes(parameters: list[inspect.Parameter], call: Call) -> bool:
    """Whether our function can be called this way, by position and by name, with these defaults."""
    defaults = {p.name: p.default for p in parameters}
    wanted, keywords = ([n for n in names if n not in TECHNICAL] for names in (call.names, call.keywords))
    by_place = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    if wanted and wanted[-1] not in by_place and any(p.kind is p.VAR_POSITIONAL for p in parameters):
        keywords.append(wanted.pop())  # flip(x, 0, 1), flip(x, (0, 1)) and flip(x, dims=(0, 1))
    return (
        by_place[: len(wanted)] == wanted
        and set(keywords) <= set(defaults)
        and all(defaults.get(n, value) == value for n, value in call.defaults.items() if n not in TECHNICAL | OUTDATED)
    )


@pytest.mark.parametrize(("parameters", "calls"), SHARED)
def test_one_of_pytorchs_ways_to_call_it_is_ours(parameters: list[inspect.Parameter], calls: list[Call]) -> None:
    assert any(takes(parameters, call) for call in calls), calls


def test_methods_are_functions_and_functions_methods_where_pytorch_has_both() -> None:
    def names(of: Any) -> set[str]:
        return {n for n in dir(of) if not n.startswith("_") and callable(getattr(of, n))}

    methods, functions = names(gy.Tensor), names(gy)
    assert (methods & names(torch)) - functions == set()
    assert (functions & names(torch.Tensor)) - methods == set()
