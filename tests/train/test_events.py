"""Callbacks: called in order, refused when attached."""

from __future__ import annotations

import signal
from typing import Any

import numpy as np
import pytest

from gyaku.data import from_arrays, prepare
from gyaku.models import MLP
from gyaku.train import EVENTS, Callback, fit
from gyaku.train.examine import importance
from gyaku.train.interrupt import Interrupt

DATA = (np.zeros((5, 2), dtype=np.float32), np.array([0, 1, 0, 1, 0]))


def run(*callbacks: Any, **options: Any) -> Any:
    return fit(MLP(2, [3], 2), DATA, callbacks=callbacks, batch_size=2, **{"epochs": 2, **options})


def test_the_events_come_in_order_with_the_loops_numbers() -> None:
    seen: list[tuple[str, int, int]] = []

    class Every(Callback):
        pass

    for event in EVENTS:
        setattr(Every, event, lambda self, loop, event=event: seen.append((event, loop.epoch, loop.batch)))
    run(Every())
    first = [("on_batch_start", 1, 0), ("on_batch_end", 1, 0), ("on_steps_end", 1, 1)]
    batch = [*first, ("on_batch_start", 1, 1), ("on_batch_end", 1, 1), ("on_steps_end", 1, 2)]
    assert seen[:8] == [("on_fit_start", 1, 0), ("on_epoch_start", 1, 0), *batch]
    assert seen[8][0] == "on_epoch_end"
    assert [event for event, _, _ in seen].count("on_batch_end") == 4  # the fifth sample joins the second batch
    assert seen[-1][0] == "on_fit_end"


def test_a_callback_can_stop_training() -> None:
    class Stop:
        def on_epoch_end(self, loop: Any) -> None:
            loop.stop("enough")

    history = run(Stop(), epochs=9)
    assert len(history) == 1 and history.stopped == "enough"


class Misspelt:
    def on_epoch_ends(self, loop: Any) -> None:
        raise AssertionError("never called")


class WrongSignature:
    def on_epoch_end(self) -> None:
        raise AssertionError("never called")


class TooMany:
    def on_batch_end(self, loop: Any, loss: Any) -> None:
        raise AssertionError("never called")


class NoMethod:
    on_epoch_end = 3


class Nothing:
    pass


class HalfAState(Callback):
    def state_dict(self) -> dict[str, Any]:
        return {}


@pytest.mark.parametrize(
    ("callback", "message"),
    [
        (
            Misspelt(),
            r"callback Misspelt: expected a known event .*got 'on_epoch_ends'\. Hint: did you mean 'on_epoch_end'\?",
        ),
        (WrongSignature(), r"callback WrongSignature\.on_epoch_end: expected a method that takes the loop"),
        (TooMany(), r"callback TooMany\.on_batch_end: expected a method that takes the loop.*loss"),
        (NoMethod(), r"callback NoMethod\.on_epoch_end: expected a method, got int"),
        (Nothing(), r"callback Nothing: expected at least one of the methods on_fit_start"),
        (Callback, r"callback Callback: expected an object, got its class\. Hint: Callback\(\)"),
        (HalfAState(), r"callback HalfAState: expected state_dict and load_state_dict, got one of them"),
    ],
)
def test_a_callback_that_could_not_be_called_is_refused_at_attachment(callback: Any, message: str) -> None:
    with pytest.raises(Exception, match=message):
        run(callback)


def test_callbacks_are_a_list() -> None:
    with pytest.raises(TypeError, match="callbacks: expected a list of callbacks"):
        fit(MLP(2, [3], 2), DATA, callbacks=Callback())  # type: ignore[arg-type]


def test_a_scheduler_that_ends_the_job_is_heard_as_ctrl_c_is() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Interrupt() as interrupt:
        signal.raise_signal(signal.SIGTERM)
        assert interrupt.asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_importance_of_very_many_columns_measures_the_heaviest(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).normal(size=(600, 40))
    data = prepare(from_arrays(x, (x[:, 33] > 0).astype(int)))
    model = MLP(40, (), 1, init="small", seed=0)
    fit(model, data, epochs=20, lr=0.1)
    assert len(importance(model, data, seed=0)) == 40
    monkeypatch.setattr("gyaku.train.examine._BUDGET", 0)
    found = importance(model, data, seed=0)
    assert len(found) == 20 and found[0]["column"] == "x34"
