"""What all energy models refuse alike: chains, clamps, starts and settings that cannot be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gyaku.base.errors import ArgumentError, DtypeError, ShapeError
from gyaku.energy import DBM, DBN, RBM, BoltzmannMachine

MACHINES: dict[str, Any] = {
    "RBM": lambda: RBM(6, 4),
    "DBN": lambda: DBN(6, [4, 3]),
    "DBM": lambda: DBM(6, [4, 3]),
    "BoltzmannMachine": lambda: BoltzmannMachine(6, 2),
}
ALL = np.ones(6, bool)


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"n": 0}, ArgumentError, "n >= 1"),
        ({"n": 2.5}, ArgumentError, "n >= 1"),
        ({"steps": 0}, ArgumentError, "steps >= 1"),
        ({"steps": 2.5}, ArgumentError, "steps >= 1"),
        ({"clamp": (ALL[:5], np.ones(5))}, ShapeError, "clamp"),
        ({"clamp": (ALL, np.ones(5))}, ShapeError, "clamp"),
        ({"clamp": (ALL, np.full(6, np.nan))}, ArgumentError, "finite values"),
        ({"clamp": (ALL, np.full(6, 3.0))}, ArgumentError, r"\[0, 1\]"),
    ],
)
def test_chains_that_cannot_be_are_refused_in_words(
    name: str, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=f"{name}.sample: .*{words}"):
        MACHINES[name]().sample(**{"n": 2, "steps": 2, **options})


@pytest.mark.parametrize("name", MACHINES)
def test_values_of_units_that_are_not_held_do_not_matter(name: str) -> None:
    mask, values = np.arange(6) < 3, np.where(np.arange(6) < 3, 1.0, np.nan)
    shown = MACHINES[name]().sample(5, steps=2, clamp=(mask, values))
    assert (shown[:, :3] == 1).all() and np.isfinite(shown).all()


@pytest.mark.parametrize("name", ["RBM", "DBN", "DBM"])
def test_chains_begin_from_one_row_or_one_each(name: str) -> None:
    machine = MACHINES[name]()
    assert machine.sample(3, steps=1, start=np.zeros(6)).shape == (3, 6)
    with pytest.raises(ShapeError, match=f"{name}.sample: expected start of 1 or 3 rows, got 2 rows"):
        machine.sample(3, steps=1, start=np.zeros((2, 6)))


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize(
    ("option", "value"),
    [("epochs", -1), ("epochs", 1.5), ("batch_size", 2.5), ("k", 1.5), ("k", True), ("weight_decay", -1.0),
     ("weight_decay", np.nan), ("momentum", 1.0), ("lr", np.inf)],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused_and_nothing_changes(name: str, option: str, value: Any) -> None:
    machine = MACHINES[name]()
    before = [np.copy(w) for w in machine.W]
    with pytest.raises(ArgumentError, match=option):
        machine.fit(np.eye(6), **{"epochs": 1, option: value})
    assert all((w == b).all() for w, b in zip(machine.W, before, strict=True))


def test_whole_numbers_of_numpy_are_taken() -> None:
    assert len(RBM(6, 4).fit(np.eye(6), epochs=np.int64(2), batch_size=np.int32(3), k=np.int64(1))) == 2


@pytest.mark.parametrize("rule", ["cd", "pcd"])
def test_both_trainers_measure_the_error_before_they_move(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One update: the row's error is that of the first weights, whichever function makes the update."""
    x = np.random.default_rng(0).random((20, 6)).round()
    machine = RBM(6, 4, dtype=np.float64)
    machine.b[:] = machine.visible.first_biases(x)
    expected = machine.reconstruction_error(x)
    monkeypatch.setattr("gyaku.energy.rbm_train.can_step", lambda *_: False)
    row = machine.fit(x, epochs=1, batch_size=20, lr=0.5, rule=rule)[0]
    assert row["reconstruction_error"] == pytest.approx(expected, rel=1e-12)
    assert machine.reconstruction_error(x) != pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("dtype", [int, np.float16, "complex64", "no such", None])
def test_machines_are_of_single_or_double_precision(dtype: Any) -> None:
    for make in (
        lambda: RBM(6, 4, dtype=dtype),
        lambda: DBN(6, [4], dtype=dtype),
        lambda: DBM(6, [4], dtype=dtype),
        lambda: BoltzmannMachine(6, dtype=dtype),
    ):
        with pytest.raises(DtypeError, match="float32 or float64"):
            make()
    assert RBM(6, 4, dtype="float64").W.dtype == RBM(6, 4, dtype=np.dtype(np.float64)).W.dtype == np.float64
