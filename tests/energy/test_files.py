"""A machine comes back from its file as it was, and a file that is something else is refused in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gyaku.base.errors import ArgumentError, DataError
from gyaku.base.files import load_arrays, save_arrays
from gyaku.energy import DBM, DBN, RBM, BoltzmannMachine, ClassRBM, load_machine, save_machine
from gyaku.energy.files import KEY
from gyaku.energy.units import Softmax

MACHINES = [
    RBM(6, 4, seed=3),
    RBM(6, 4, visible="gaussian", hidden="softmax", dtype=np.float64, seed=1),
    ClassRBM(5, 3, 4, dtype=np.float64, seed=2),
    ClassRBM(5, 3, 4, visible="gaussian"),
    BoltzmannMachine(4, 2, seed=1),
    BoltzmannMachine(4, dtype=np.float32),
]


@pytest.mark.parametrize("machine", MACHINES, ids=repr)
def test_a_machine_comes_back(machine: Any, tmp_path: Path) -> None:
    file = tmp_path / "m.safetensors"
    machine.b[:] = np.arange(len(machine.b)) / 7
    save_machine(file, machine)
    again = load_machine(file)
    rows = np.eye(4 if isinstance(machine, BoltzmannMachine) else len(machine.b))
    assert type(again) is type(machine) and again.W.dtype == machine.W.dtype
    assert (again.free_energy(rows) == machine.free_energy(rows)).all()
    before = file.read_bytes()
    save_machine(file, again)
    assert file.read_bytes() == before


def rewritten(file: Path, change: dict[str, Any], arrays: dict[str, Any]) -> None:
    kept, metadata = load_arrays(file)
    head = json.loads(metadata[KEY]) | change
    save_arrays(file, {n: a for n, a in {**kept, **arrays}.items() if a is not None}, {KEY: json.dumps(head)})


@pytest.mark.parametrize(
    ("change", "arrays", "words"),
    [
        ({"kind": "other"}, {}, "that save_machine wrote"),
        ({"kind": []}, {}, "that save_machine wrote"),
        ({"sizes": [6, 2**20]}, {}, "arrays of shapes"),
        ({"sizes": [6, -4]}, {}, "that save_machine wrote"),
        ({"sizes": [6, True]}, {}, "that save_machine wrote"),
        ({"kind": "class_rbm", "sizes": [5, 1, 4], "units": ["bernoulli"]}, {}, "that save_machine wrote"),
        ({"units": ["bernoulli", "magic"]}, {}, "that save_machine wrote"),
        ({"units": ["bernoulli", {}]}, {}, "that save_machine wrote"),
        ({}, {"c": None}, "arrays of shapes"),
        ({}, {"b": np.zeros(6)}, "all of float32"),
        ({}, {"b": np.full(6, np.nan, np.float32)}, "finite parameters"),
        ({"kind": "boltzmann", "sizes": [4, 0], "units": []},
         {"W": np.ones((4, 4), np.float32), "b": np.zeros(4, np.float32), "c": None}, "symmetric"),
    ],
)  # fmt: skip
def test_another_file_is_refused(change: Any, arrays: Any, words: str, tmp_path: Path) -> None:
    file = tmp_path / "m.safetensors"
    save_machine(file, RBM(6, 4))
    rewritten(file, change, arrays)
    with pytest.raises(DataError, match=words):
        load_machine(file)


def test_bare_weights_and_units_without_words_are_refused(tmp_path: Path) -> None:
    save_arrays(tmp_path / "w.safetensors", {"W": np.zeros((2, 2))}, {})
    with pytest.raises(DataError, match="that save_machine wrote"):
        load_machine(tmp_path / "w.safetensors")
    with pytest.raises(ArgumentError, match="one softmax group"):
        save_machine(tmp_path / "m.safetensors", RBM(6, 4, hidden=Softmax(4, groups=2)))
    assert not (tmp_path / "m.safetensors").exists()


@pytest.mark.parametrize("machine", [DBM(5, [3, 2]), DBN(5, [3, 2]), None])
def test_machines_of_several_layers_are_refused_in_words(machine: Any, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="save_machine: expected an RBM"):
        save_machine(tmp_path / "file", machine)
    assert not list(tmp_path.iterdir())
