"""Write what the registry knows: the type stubs of the front door and of the tensor, and the table of operations.

    python tools/make_docs.py            write them
    python tools/make_docs.py --check    write nothing; exit status 1 if one is out of date

Operations enter functions and tensor methods at import, which no editor or type checker can see; the stubs say it.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gyaku
from gyaku.backend import dtypes
from gyaku.core.op import FUNCTIONS, METHODS
from gyaku.core.tensor import Tensor

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "gyaku"
HEAD = "# Made by tools/make_docs.py from the registry of operations; do not edit.\n"
# (__iadd__ takes fewer arguments than __add__, which is the function gyaku.add.)
STUB = HEAD + '# mypy: disable-error-code="misc"\n'
# Names that mean a type, except inside the class (a method or property) and at the front door (a type of numbers).
HIDDEN = ("float", "bool", "int", "dtype", "device")
SHOWN = [
    *(f"from builtins import {n} as _{n}" for n in HIDDEN[:3]),
    "from gyaku.backend.dtypes import dtype as _dtype",
    "from gyaku.backend.devices import device as _device",
]

Function = Callable[..., Any]


def main(arguments: list[str]) -> int:
    """Write or check the three files; return the exit status."""
    wanted = {
        SOURCE / "core" / "tensor.pyi": tensor_stub(),
        SOURCE / "__init__.pyi": front_stub(),
        ROOT / "docs" / "operations.md": operations_page(),
    }
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--check" in arguments:
        for path in stale:
            print(f"{path.relative_to(ROOT)}: out of date. Hint: python tools/make_docs.py")
        return 1 if stale else 0
    for path in stale:
        path.write_text(wanted[path], encoding="utf-8")
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


# --- the tensor ---


def tensor_stub() -> str:
    """Return ``core/tensor.pyi``: signatures of ``core/tensor.py``, and in the class every method of the registry."""
    tree = ast.parse((SOURCE / "core" / "tensor.py").read_text(encoding="utf-8"))
    imports = [n for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom))]
    body = [s for n in tree.body if (s := skeleton(n)) is not None]
    cls = next(n for n in body if isinstance(n, ast.ClassDef) and n.name == "Tensor")
    own = {n.name for n in cls.body if isinstance(n, ast.FunctionDef)}
    methods = {name: f for name, f in all_methods().items() if name not in own}
    cls.body += [method_stub(name, f) for name, f in sorted(methods.items())]
    unhide(cls)
    lines = [ast.unparse(n) for n in imports] + sorted(needed_imports(methods.values()))
    return STUB + "\n".join([*lines, *SHOWN, "", *map(ast.unparse, body)]) + "\n"


def all_methods() -> dict[str, Function]:
    """Return the methods of the registry, and those that ``core.backward`` gives the class."""
    return {**METHODS, "backward": Tensor.__dict__["backward"]}


def skeleton(node: ast.stmt) -> ast.stmt | None:
    """Return a function, class or annotated name without its body; None for what a stub leaves out."""
    if isinstance(node, ast.ClassDef):
        node.body = [s for n in node.body if (s := skeleton(n)) is not None] or [ast.Expr(ast.Constant(...))]
        return node
    if isinstance(node, ast.FunctionDef):
        return None if node.name == "__getattr__" else without_body(node)  # a typo is an error to a type checker
    if isinstance(node, ast.AnnAssign):
        return ast.AnnAssign(node.target, node.annotation, None, node.simple)
    if (
        isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and not node.targets[0].id.startswith("__s")
    ):
        return ast.AnnAssign(node.targets[0], ast.Name("Any"), None, 1)
    return None


def without_body(node: ast.FunctionDef) -> ast.FunctionDef:
    node.body = [ast.Expr(ast.Constant(...))]
    node.args.defaults = [ast.Constant(...) for _ in node.args.defaults]
    node.args.kw_defaults = [d and ast.Constant(...) for d in node.args.kw_defaults]
    node.returns = node.returns or ast.Name("Any")
    return node


def method_stub(name: str, function: Function) -> ast.FunctionDef:
    """Return the signature of a function as that of the method ``name``: its first argument becomes ``self``."""
    node = without_body(definition(function))
    node.name, node.decorator_list = name, []
    first = (node.args.posonlyargs + node.args.args)[0]
    first.arg, first.annotation = "self", None
    if name in ("__eq__", "__ne__"):
        node.args.args[1].annotation = ast.Name("object")
    return ast.fix_missing_locations(node)


def definition(function: Function) -> ast.FunctionDef:
    """Return the syntax of a function's signature; what was made by a factory gets its signature from Python."""
    parameters = list(inspect.signature(function).parameters.values())
    parts, kinds = [plain(p) for p in parameters], [p.kind for p in parameters]
    if inspect.Parameter.KEYWORD_ONLY in kinds and inspect.Parameter.VAR_POSITIONAL not in kinds:
        parts.insert(kinds.index(inspect.Parameter.KEYWORD_ONLY), "*")
    returns = function.__annotations__.get("return", "Any")
    node = ast.parse(f"def made({', '.join(parts)}) -> {returns}: ...").body[0]
    assert isinstance(node, ast.FunctionDef)
    return node


def plain(p: inspect.Parameter) -> str:
    star = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}.get(p.kind, "")
    kind = p.annotation if isinstance(p.annotation, str) else "Any"
    return f"{star}{p.name}: {kind}" + ("" if p.default is inspect.Parameter.empty else " = ...")


def unhide(tree: ast.AST) -> None:
    """Say ``_float`` for the type ``float``, where that name means something else."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in HIDDEN:
            node.id = f"_{node.id}"


def needed_imports(functions: Any) -> Iterator[str]:
    """Yield an import for each name of the package that an annotation uses."""
    lines = set()
    for function in functions:
        for name in names_of(function):
            value = inspect.unwrap(function).__globals__.get(name)
            module = getattr(value, "__module__", None)
            if name not in ("Any", "Tensor", "dtype", "device", "Callable") and module and not hasattr(builtins, name):
                lines.add(f"from {module} import {name}")
    yield from lines


def names_of(function: Function) -> set[str]:
    kinds = [a for a in function.__annotations__.values() if isinstance(a, str)]
    return {n.id for kind in kinds for n in ast.walk(ast.parse(kind)) if isinstance(n, ast.Name)}


# --- the front door ---

# Rooms that can be called; a type checker sees the function.
CALLED = {"doctor": ("gyaku.doctor.examine", "examine"), "explain": ("gyaku.explain.build", "explain")}


def front_stub() -> str:
    """Return ``__init__.pyi``: every name that ``import gyaku`` offers, with where it comes from."""
    tree = ast.parse((SOURCE / "__init__.py").read_text(encoding="utf-8"))
    lines = ["from typing import Any", *SHOWN, ""]
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module not in ("__future__", "typing"):
            lines += [f"from {node.module} import {a.name} as {a.name}" for a in node.names if not a.asname]
    lines += [f"from {room} import {name} as {name}" for name, room in sorted(gyaku._LAZY.items())]
    lines += [f"from {module} import {name} as {room}" for room, (module, name) in CALLED.items()]
    lines += [f"from gyaku import {room} as {room}" for room in rooms()]
    functions = sorted(FUNCTIONS.items(), key=lambda item: (item[1].__module__, item[0]))
    written = [(name, f) for name, f in functions if hasattr(sys.modules[f.__module__], f.__name__)]
    lines += [f"from {f.__module__} import {f.__name__} as {name}" for name, f in written]
    lines += ["", *(function_stub(name, f) for name, f in functions if (name, f) not in written)]
    lines += [*(f"{name}: dtype" for name in [*dtypes.ALL, *dtypes.ALIASES]), "__version__: str"]
    return HEAD + "\n".join(lines) + "\n"


def function_stub(name: str, function: Function) -> str:
    """Return the signature of a function that a factory made, so that no module has it by name."""
    node = without_body(definition(function))
    node.name = name
    unhide(node)
    return ast.unparse(ast.fix_missing_locations(node))


def rooms() -> list[str]:
    return sorted(n for n in set(gyaku._ROOMS) - set(CALLED) if (SOURCE / n).is_dir() or (SOURCE / f"{n}.py").exists())


# --- the page ---


def operations_page() -> str:
    """Return ``docs/operations.md``: a table for each file of the rule book."""
    text = "# Operations\n\nMade by `tools/make_docs.py` from the registry. `x` stands for a tensor.\n"
    modules = sorted({f.__module__ for f in [*FUNCTIONS.values(), *METHODS.values()]})
    for module in modules:
        rows = [row for row in table_rows() if row[0] == module]
        purpose = (sys.modules[module].__doc__ or "").split("\n")[0]
        text += f"\n## {module.rpartition('.')[2]}\n\n{purpose}\n\n"
        text += "| function | tensor method | what it gives |\n|---|---|---|\n"
        text += "".join(f"| {function} | {methods} | {what} |\n" for _, function, methods, what in rows)
    return text


def table_rows() -> list[tuple[str, str, str, str]]:
    """Return (module, function, methods, first line of its docstring) for each function of the registry."""
    tops = {id(f): name for name, f in FUNCTIONS.items()}
    found = {id(f): f for f in [*FUNCTIONS.values(), *METHODS.values()]}
    rows = []
    for key, function in found.items():
        methods = ", ".join(f"`x.{name}`" for name, f in METHODS.items() if f is function)
        what = (inspect.getdoc(function) or "").split("\n")[0].replace("|", "\\|")
        top = f"`gyaku.{tops[key]}`" if key in tops else ""
        rows.append((function.__module__, top, methods, what))
    return sorted(rows, key=lambda row: (row[0], row[1] or "~", row[2]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
