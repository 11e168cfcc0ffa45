"""The stubs and the table of operations say what the registry says."""

from __future__ import annotations

import ast
import pkgutil
import subprocess
import sys
from pathlib import Path

import gyaku.ops
from gyaku.core.op import METHODS

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "tools" / "make_docs.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_what_is_generated_is_up_to_date() -> None:
    done = run("--check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_stub_knows_every_method_once_and_no_catch_all() -> None:
    tree = ast.parse((ROOT / "src" / "gyaku" / "core" / "tensor.pyi").read_text(encoding="utf-8"))
    cls = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "Tensor")
    names = [n.name for n in cls.body if isinstance(n, ast.FunctionDef) and not n.decorator_list]
    assert set(METHODS) | {"backward", "detach"} <= set(names) and "__getattr__" not in names
    assert len(names) == len(set(names))


def test_every_file_of_the_rule_book_is_listed() -> None:
    assert sorted(m.name for m in pkgutil.iter_modules(gyaku.ops.__path__)) == gyaku.ops.__all__
