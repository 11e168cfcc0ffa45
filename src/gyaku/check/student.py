"""Running a student's file: ``python -m gyaku.check.student`` is the process in which it runs, and where it is checked.

A process of its own: what the file prints, exits, breaks or never finishes stays there. It may do what its owner may
do, as if it were started with ``python FILE.py``; it is not a sandbox.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from gyaku.autograd.function import Function
from gyaku.base.errors import ArgumentError, DataError, GyakuError, UnknownNameError
from gyaku.base.files import write_text_atomic
from gyaku.nn import Module


def imported(path: Path) -> ModuleType:
    """Run a file as a module named like it, from its own folder's point of view.

    Raises ``DataError`` when it is no Python file, or ends with an error (told with its line).
    """
    if path.suffix != ".py" or not path.is_file():
        raise DataError(str(path), "a Python file", "none" if not path.exists() else "another kind of file")
    sys.path.insert(0, str(path.resolve().parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise DataError(str(path), "a Python file", "one that Python cannot load")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:  # whatever a student's file may raise
        raise DataError(str(path), "a file that runs", _told(error, path)) from error
    return module


def _told(error: BaseException, path: Path) -> str:
    """Return kind, message and line of an error in the file."""
    line = getattr(error, "lineno", None)
    for frame in traceback.extract_tb(error.__traceback__):
        if Path(frame.filename).name == path.name:
            line = frame.lineno
    last = traceback.format_exception_only(error)[-1].strip()  # also of an error that cannot say what it is
    return last + (f" (line {line})" if line else "")


def chosen(module: ModuleType, names: list[str]) -> list[tuple[str, Any]]:
    """Return the layers to check: those named, else all classes of the file that have forward and backward.

    Raises ``UnknownNameError`` for a name that the file lacks, ``ArgumentError`` when nothing can be checked.
    """
    own = {k: v for k, v in vars(module).items() if not k.startswith("_") and not inspect.ismodule(v)}
    for name in names:
        if name not in own:
            raise UnknownNameError(str(module.__file__), name, own, what="layer")
    found = [(n, own[n]) for n in names] or [
        (k, v) for k, v in own.items() if inspect.isclass(v) and v.__module__ == module.__name__ and _is_layer(v)
    ]
    if not found:
        raise ArgumentError(str(module.__file__), "a class with forward and backward", "none")
    return found


def _is_layer(kind: type) -> bool:
    if issubclass(kind, (Module, Function)):
        return kind.forward not in (Module.forward, Function.forward)
    return callable(getattr(kind, "forward", None)) and callable(getattr(kind, "backward", None))


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Return the verdicts on the layers of a file, or one error, as plain values."""
    from gyaku.check import layer

    path = Path(request["file"])
    try:
        module = imported(path)
        found, curve = [], None
        for name, kind in chosen(module, request["names"]):
            shape = request["shape"]
            try:
                result = layer(kind, *([tuple(shape)] if shape else []), seed=request["seed"])
            except ArgumentError as error:  # the others are checked all the same
                if request["names"]:
                    raise
                found.append({"name": name, "title": name, "ok": None, "text": str(error)})
                continue
            found.append({**result.as_dict(request["lang"]), "name": name})
            if request["curve"] and curve is None:
                c = result.curve(next((f.name for f in result.findings if f.place is not None), None))
                curve = {**c._asdict(), **{k: getattr(c, k).tolist() for k in ("h", "forward", "central")}}
    except GyakuError as error:
        return {"error": str(error)}
    except Exception as error:  # a constructor, say, may raise anything
        return {"error": f"{request['file']}: expected a layer that can be made and run, got {_told(error, path)}"}
    return {"results": found, "curve": curve}


if __name__ == "__main__":
    write_text_atomic(sys.argv[2], json.dumps(answer(json.loads(sys.argv[1]))))
