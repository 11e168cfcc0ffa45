"""A Boltzmann machine in one safetensors file: its arrays and a description. Loading it runs no code."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np

from gyaku.base.errors import ArgumentError, DataError
from gyaku.base.files import load_arrays, save_arrays
from gyaku.energy.boltzmann import BoltzmannMachine
from gyaku.energy.class_rbm import ClassRBM
from gyaku.energy.rbm import RBM
from gyaku.energy.units import KINDS, Softmax
from gyaku.energy.values import is_size

KEY = "gyaku.energy"
Machine = RBM | BoltzmannMachine


def save_machine(path: str | os.PathLike[str], machine: Machine) -> None:
    """Write an ``RBM``, ``ClassRBM`` or ``BoltzmannMachine``, whole or not at all; the same machine, the same bytes.

    Raises ``ArgumentError`` for units that a description cannot say, such as several softmax groups.
    """
    if not isinstance(machine, Machine):
        raise ArgumentError("save_machine", "an RBM, ClassRBM or BoltzmannMachine", type(machine).__name__)
    head = json.dumps(_described(machine), separators=(",", ":"))
    arrays = {"W": machine.W, "b": machine.b, **({"c": machine.c} if isinstance(machine, RBM) else {})}
    save_arrays(path, arrays, {KEY: head})


def _described(machine: Machine) -> dict[str, Any]:
    if isinstance(machine, BoltzmannMachine):
        return {"kind": "boltzmann", "sizes": [machine.n_visible, machine.n_hidden], "units": []}
    sides = (machine.visible, machine.hidden)
    if isinstance(machine, ClassRBM):
        sizes = [machine.n_features, machine.n_classes, machine.hidden.size]
        return {"kind": "class_rbm", "sizes": sizes, "units": [machine.visible.parts[0].kind]}
    if any(s.kind not in KINDS or (isinstance(s, Softmax) and s.groups > 1) for s in sides):
        raise ArgumentError("save_machine", "sides of one kind and one softmax group", repr(machine))
    return {"kind": "rbm", "sizes": [s.size for s in sides], "units": [s.kind for s in sides]}


def load_machine(path: str | os.PathLike[str]) -> Machine:
    """Return what ``save_machine`` wrote, in its dtype. Raises ``DataError`` for any other or damaged file."""
    arrays, metadata = load_arrays(path)
    where = f"load_machine {os.fspath(path)}"
    try:
        head = json.loads(metadata.get(KEY, "null"))
    except (ValueError, RecursionError) as error:
        raise DataError(where, "a description in JSON", "other text") from error
    if not _is_description(head):
        raise DataError(where, "a machine that save_machine wrote", str(head)[:80])
    _check_arrays(head, arrays, where)
    machine = _built(head, arrays["W"].dtype)
    for name, a in arrays.items():
        getattr(machine, name)[...] = a
    return machine


_KINDS = {"rbm": (2, 2), "class_rbm": (3, 1), "boltzmann": (2, 0)}  # numbers of sizes and of kinds of units


def _is_description(head: Any) -> bool:
    if not isinstance(head, dict) or set(head) != {"kind", "sizes", "units"} or str(head["kind"]) not in _KINDS:
        return False
    sizes, kinds = head["sizes"], head["units"]
    if not isinstance(sizes, list) or not isinstance(kinds, list) or not all(isinstance(k, str) for k in kinds):
        return False
    whole = all(
        is_size(n) or (n == 0 and type(n) is int and head["kind"] == "boltzmann" and i) for i, n in enumerate(sizes)
    )
    known = all(k in KINDS for k in kinds) and (head["kind"] != "class_rbm" or "softmax" not in kinds)
    classes = head["kind"] != "class_rbm" or (len(sizes) == 3 and sizes[1] != 1)
    return whole and known and classes and (len(sizes), len(kinds)) == _KINDS[str(head["kind"])]


def _check_arrays(head: dict[str, Any], arrays: dict[str, Any], where: str) -> None:
    """Refuse arrays that do not bear the description out, before a machine of its size is made."""
    visible, hidden = sum(head["sizes"][:-1]), head["sizes"][-1]
    n = visible + hidden
    general = head["kind"] == "boltzmann"
    wanted = {"W": (n, n), "b": (n,)} if general else {"W": (visible, hidden), "b": (visible,), "c": (hidden,)}
    got = {name: a.shape for name, a in arrays.items()}
    if got != wanted:
        raise DataError(where, f"arrays of shapes {wanted}", str(got))
    if len({a.dtype for a in arrays.values()}) > 1 or arrays["W"].dtype not in (np.float32, np.float64):
        raise DataError(
            where, "arrays all of float32 or all of float64", str({k: str(a.dtype) for k, a in arrays.items()})
        )
    if not all(np.isfinite(a).all() for a in arrays.values()):
        raise DataError(where, "finite parameters", "NaN or inf")
    if general and ((arrays["W"] != arrays["W"].T).any() or arrays["W"].diagonal().any()):
        raise DataError(where, "W symmetric with zeros on its diagonal", "another matrix")


def _built(head: dict[str, Any], dtype: Any) -> Machine:
    sizes, kinds = head["sizes"], head["units"]
    if head["kind"] == "boltzmann":
        return BoltzmannMachine(*sizes, dtype=dtype)
    if head["kind"] == "class_rbm":
        return ClassRBM(*sizes, visible=kinds[0], dtype=dtype)
    return RBM(*sizes, visible=kinds[0], hidden=kinds[1], dtype=dtype)
