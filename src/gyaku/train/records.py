"""The form of a run's JSON files, checked before anything relies on it: other hands may have edited them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gyaku.base.errors import DataError

Form = Mapping[str, Any]
_NUMBER = (int, float)
_WORDS = {str: "a text", int: "a whole number", list: "a list", dict: "an object", _NUMBER: "a number"}

CARD_FORM: Form = {
    "name": str, "command": str, "config": dict, "seed": int, "status": str, "message": str, "wall_seconds": _NUMBER,
    "data": {"name": str, "origin": str, "digest": str, "sizes": dict, "task": str},
    "model": {
        "text": str, "parameters": int,
        "architecture": {"kind": str, "inputs": list, "outputs": int},
    },
    "machine": {"python": str, "numpy": str, "gyaku": str, "blas": str, "threads": int},
}  # fmt: skip
_RESULTS_FORM: Form = {"metric": str, "parts": dict, "baselines": {"linear": dict}}


def check_form(found: Any, form: Form, where: str) -> None:
    """Raise ``DataError`` naming the first entry of ``form`` that ``found`` lacks or has in another kind.

    >>> check_form({"seed": 1, "data": {"name": "digits"}}, {"seed": int, "data": {"name": str}}, "read run.json")
    """
    if not isinstance(found, dict):
        raise DataError(where, "an object", type(found).__name__)
    for key, kind in form.items():
        if key not in found:
            raise DataError(where, f"the entry {key!r}", "none")
        if isinstance(kind, Mapping):
            check_form(found[key], kind, f"{where}, {key}")
        elif not isinstance(found[key], kind):
            raise DataError(f"{where}, {key}", _WORDS[kind], type(found[key]).__name__)


def check_results(results: Any, where: str) -> None:
    """Raise ``DataError`` for results without the metric of every part and of the linear model."""
    check_form(results, _RESULTS_FORM, where)
    metric = results["metric"]
    for name, parts in (("parts", results["parts"]), *results["baselines"].items()):
        check_form(parts, dict.fromkeys(results["parts"], {metric: _NUMBER}), f"{where}, {name}")
