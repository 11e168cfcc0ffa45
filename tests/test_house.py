"""The rules of the house that a machine can hold: who imports whom, what may never appear, how long things get."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import gyaku

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "gyaku"

# From the ground up; a room imports only rooms of the lines above its own. (docs/architecture.md)
LEVELS = (
    ("base",),
    ("backend",),
    ("core",),
    ("ops",),
    ("nn", "optim", "data"),
    ("layers",),
    ("autograd", "cuda", "io", "utils"),  # names of PyTorch's, at the top: gyaku.save is io.save
    ("compiler",),
    ("models",),
    ("energy",),
    ("estimators",),
    ("explain", "check"),
    ("train",),
    ("doctor",),
    ("figures",),
    ("report",),
    ("cli",),
)
LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
DOORS = {"__init__", "__main__"}  # the top package brings the rooms together

# Every package that is not NumPy or the standard library, and the rooms that may ask for it.
PACKAGES = {
    "click": {"cli"},
    "cupy": {"backend"},
    "jinja2": {"figures", "report"},
    "llvmlite": {"compiler"},
    "matplotlib": {"figures", "report", "explain"},
    "matplotlib_fontja": {"figures", "report", "explain"},
    "pandas": {"data", "train"},
    "PIL": {"data", "report"},
    "pooch": {"data"},
    "pyarrow": {"data"},
    "rich": {"train", "cli"},
    "safetensors": {"base"},
    "sklearn": {"estimators"},
    "threadpoolctl": {"backend", "train"},
    "tqdm": {"data", "train", "cli"},
}
RUNS_CODE = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "runpy", "code"}
ONE_SYSTEM_ONLY = {"fcntl", "grp", "msvcrt", "pwd", "resource", "termios", "winreg"}


class Import(NamedTuple):
    """``module`` as it is asked for at ``place`` (file:line) of a room."""

    place: str
    room: str
    module: str


def room_of(path: Path) -> str:
    first = path.relative_to(SOURCE).parts[0]
    return first.removesuffix(".py")


def imports_of(path: Path, tree: ast.AST) -> Iterator[Import]:
    """Every import of a file, wherever it stands, with relative ones resolved, and names given to ``require``."""
    package = ["gyaku", *path.relative_to(SOURCE).parts[:-1]]
    for node in ast.walk(tree):
        for module in modules_of(node, package):
            yield Import(f"{path.relative_to(ROOT)}:{node.lineno}", room_of(path), module)  # type: ignore[attr-defined]


def modules_of(node: ast.AST, package: list[str]) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = package[: len(package) - node.level + 1] if node.level else []
        start = ".".join(base + ([node.module] if node.module else []))
        return [f"{start}.{alias.name}" for alias in node.names] if start == "gyaku" else [start]
    if isinstance(node, ast.Call) and called(node) in {"require", "import_module", "__import__"} and node.args:
        name = node.args[0]
        return [name.value] if isinstance(name, ast.Constant) and isinstance(name.value, str) else []
    return []


def called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def wrong_direction(found: Import) -> str:
    """What is wrong with an import of a part of Gyaku; empty when nothing is."""
    parts = found.module.split(".")
    if parts[0] != "gyaku" or found.room in DOORS:
        return ""
    if found.room not in LEVEL:
        return f"{found.place}: the room {found.room!r} has no level yet"
    wanted = parts[1] if len(parts) > 1 else ""
    if wanted not in LEVEL:  # `import gyaku` itself, or a name that the top package exports
        return "" if LEVEL[found.room] > LEVEL["layers"] else f"{found.place}: imports the top package"
    if wanted != found.room and LEVEL[wanted] >= LEVEL[found.room]:
        return f"{found.place}: {found.room} imports {found.module}, which is not below it"
    return ""


def wrong_package(found: Import) -> str:
    """What is wrong with an import of somebody else's package; empty when nothing is."""
    top = found.module.split(".")[0]
    if top in {"gyaku", "numpy"} or top in sys.stdlib_module_names - RUNS_CODE - ONE_SYSTEM_ONLY:
        return ""
    if top in ONE_SYSTEM_ONLY:
        return "" if found.place.startswith("src/gyaku/base/files.py") else f"{found.place}: {top} exists on one system"
    if top in RUNS_CODE:
        return f"{found.place}: {top} can run code from a file"
    return "" if found.room in PACKAGES.get(top, ()) else f"{found.place}: {found.room} may not import {top}"


def wrong_call(path: Path, node: ast.AST) -> str:
    """What is wrong with a call: eval and exec in any form, and ``np.load`` that could open a pickle."""
    if not isinstance(node, ast.Call):
        return ""
    place = f"{path.relative_to(ROOT)}:{node.lineno}"
    if isinstance(node.func, ast.Name) and node.func.id in {"eval", "exec", "compile", "__import__"}:
        return f"{place}: {node.func.id}()"
    if isinstance(node.func, ast.Attribute) and ast.unparse(node.func) in {"np.load", "numpy.load"}:
        safe = any(k.arg == "allow_pickle" and getattr(k.value, "value", None) is False for k in node.keywords)
        return "" if safe else f"{place}: np.load without allow_pickle=False"
    return ""


def sources() -> list[tuple[Path, ast.Module]]:
    paths = sorted(SOURCE.rglob("*.py"))
    return [(path, ast.parse(path.read_text(encoding="utf-8"))) for path in paths]


@pytest.fixture(scope="module")
def imports() -> list[Import]:
    return [found for path, tree in sources() for found in imports_of(path, tree)]


def test_rooms_import_only_rooms_below(imports: list[Import]) -> None:
    assert len(imports) > 50
    assert [fault for found in imports if (fault := wrong_direction(found))] == []


def test_packages_are_asked_for_only_in_their_rooms(imports: list[Import]) -> None:
    assert [fault for found in imports if (fault := wrong_package(found))] == []


def test_no_level_is_for_a_room_that_does_not_exist() -> None:
    rooms = {room_of(path) for path in SOURCE.rglob("*.py")} - DOORS
    assert rooms == set(LEVEL)


@pytest.mark.parametrize(
    ("code", "room"),
    [
        ("from gyaku.nn import Linear", "core"),
        ("from gyaku import nn", "ops"),
        ("import gyaku as gy", "core"),
        ("from gyaku.optim import SGD", "nn"),
        ("def f():\n    from gyaku.train import fit", "layers"),
        ("from ..train import fit", "layers"),
        ("from .. import train", "layers"),
        ("import importlib\nimportlib.import_module('gyaku.cli')", "report"),
        ("import gyaku.base", "attic"),
    ],
)
def test_the_direction_test_sees_a_wrong_import(code: str, room: str) -> None:
    found = imports_of(SOURCE / room / "file.py", ast.parse(code))
    assert any(wrong_direction(each) for each in found)


@pytest.mark.parametrize(
    "code", ["from ..base import errors", "from .x import y", "import gyaku.ops.loss", "from gyaku import core"]
)
def test_the_direction_test_allows_what_is_right(code: str) -> None:
    assert not any(wrong_direction(each) for each in imports_of(SOURCE / "nn" / "file.py", ast.parse(code)))


@pytest.mark.parametrize("code", ["import pickle", "import pandas", "import fcntl", "import torch", "require('cupy')"])
def test_the_package_test_sees_a_wrong_import(code: str) -> None:
    assert any(wrong_package(each) for each in imports_of(SOURCE / "nn" / "file.py", ast.parse(code)))


def test_a_missing_package_names_an_extra_that_exists() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    calls = [
        node
        for _, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and called(node) == "require"
    ]
    named = {
        k.value.value for node in calls for k in node.keywords if k.arg == "extra" and isinstance(k.value, ast.Constant)
    }
    assert len(calls) > 5 and named <= set(extras)


def test_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == gyaku.__version__ and f"## {gyaku.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_no_file_can_run_code_from_outside() -> None:
    assert [fault for path, tree in sources() for node in ast.walk(tree) if (fault := wrong_call(path, node))] == []


@pytest.mark.parametrize("code", ["eval(x)", "exec(x)", "compile(x)", "np.load(f)", "np.load(f, allow_pickle=True)"])
def test_the_call_test_sees_a_wrong_call(code: str) -> None:
    assert any(wrong_call(SOURCE / "nn" / "file.py", node) for node in ast.walk(ast.parse(code)))


def test_import_gyaku_needs_numpy_only_and_prints_nothing() -> None:
    def loaded(names: str) -> set[str]:
        code = f"import sys, {names}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
        done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and done.stderr == "" and done.stdout.count("\n") == 1, done.stderr
        return set(done.stdout.split())

    assert loaded("numpy, gyaku") - loaded("numpy") - set(sys.stdlib_module_names) == {"gyaku"}


def test_import_gyaku_starts_no_thread_and_opens_no_file() -> None:
    code = "import numpy, sys, os, threading, gyaku; print(threading.active_count(), len(os.listdir('/proc/self/fd')))"
    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc")
    counts = {
        subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60).stdout
        for text in (code, code.replace(", gyaku", ""))
    }
    assert len(counts) == 1


def test_files_are_short() -> None:
    lengths = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("\n") for path, _ in sources()}
    assert {path: length for path, length in lengths.items() if length > 500} == {}


def test_functions_are_short() -> None:
    lengths = sorted(
        length(node) for _, tree in sources() for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)
    )
    assert lengths[len(lengths) // 2] <= 6 and lengths[int(len(lengths) * 0.9)] <= 25


def length(node: ast.FunctionDef) -> int:
    """Lines of a function without its docstring."""
    first = node.body[0]
    doc = (first.end_lineno or 0) - first.lineno + 1 if ast.get_docstring(node, clean=False) is not None else 0
    return (node.end_lineno or 0) - node.lineno + 1 - doc


def test_everything_public_is_documented_and_annotated() -> None:
    faults = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path, tree in sources()
        for node in public(tree)
        if not documented(node) or (isinstance(node, ast.FunctionDef) and not annotated(node))
    ]
    assert faults == []


def public(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    """Public functions, classes and methods; functions inside functions and magic methods apart."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public(node)


def documented(node: ast.FunctionDef | ast.ClassDef) -> bool:
    """Whether it has a docstring, or something else speaks for it: its class (the formulas of an op), its property."""
    spoken_for = node.name in {"forward", "backward", "expected", "hint"} or any(
        "setter" in ast.unparse(d) for d in node.decorator_list
    )
    return spoken_for or ast.get_docstring(node) is not None


def annotated(node: ast.FunctionDef) -> bool:
    arguments = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
    return node.returns is not None and all(a.annotation for a in arguments if a.arg not in {"self", "cls"})
