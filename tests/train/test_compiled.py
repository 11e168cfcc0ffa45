"""Training by machine code: the rows, masks and rates of define-by-run, the same bits every time, the same errors."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import gyaku as gy
from gyaku import nn, optim
from gyaku.backend.seats import seat
from gyaku.base.errors import ArgumentError, DivergedError
from gyaku.models import MLP
from gyaku.train import Callback, Config, History, Probe, fit, fit_many, many, train_run
from gyaku.train.compiled import TOO_FEW
from gyaku.train.schedule import OPTIMIZERS

pytest.importorskip("llvmlite")


def clouds(n: int = 75, classes: int = 3) -> tuple[Any, Any]:
    g, t = gy.Generator(0), np.arange(n) % classes
    return (g.normal((n, 2)) + 2.0 * np.stack([np.cos(t), np.sin(t)], axis=1)).astype(np.float32), t


# Not batch norm: the gradient of a bias in front of it is rounding alone, which Adam makes to steps of full size.
def network(**options: Any) -> Any:
    return MLP(2, [6, 5], 3, **{"norm": "layer", "dropout": 0.3, **options})


def both(make: Any = network, data: Any = None, **options: Any) -> tuple[Any, History, Any, History]:
    """Train twins compiled and by run."""
    found: list[Any] = []
    for compile in (True, False):
        model = make()
        found += [
            model,
            fit(model, data or clouds(), **{"epochs": 3, "batch_size": 16, "lr": 0.01, **options}, compile=compile),
        ]
    return found[0], found[1], found[2], found[3]


def close(a: History, b: History, tolerance: float = 1e-4) -> None:
    assert a.by_run == "" and a.traces in (1, 2) and b.by_run == "it was asked for" and b.traces == 0
    for mine, wanted in zip(a.rows, b.rows, strict=True):
        assert mine.keys() == wanted.keys()
        assert (mine["step"], mine["lr"]) == (wanted["step"], wanted["lr"])
        for name in mine:
            assert mine[name] == pytest.approx(wanted[name], rel=tolerance, abs=1e-6), name


@pytest.mark.parametrize("name", ["momentum", "adamw", "nadam", "rmsprop"])
def test_losses_and_scores_are_those_of_define_by_run(name: str) -> None:
    norm = "batch" if name == "momentum" else "layer"
    close(*both(lambda: network(norm=norm), optimizer=name, dev=clouds(40), weight_decay=0.01)[1::2])


@pytest.mark.parametrize("schedule", ["cosine", "onecycle", "step", "plateau"])
def test_the_rate_moves_as_it_does_by_run(schedule: str) -> None:
    compiled, mine, eager, wanted = both(schedule=schedule, dev=clouds(40))
    close(mine, wanted)
    for a, b in zip(compiled.parameters(), eager.parameters(), strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"clip_norm": 0.1, "l1": 1e-3, "l2": 1e-3},
        {"label_smoothing": 0.2, "class_weight": np.array([0.5, 1.0, 2.0])},
        {"augment": lambda x, generator: x + 0.1 * generator.normal(x.shape, np.float32)},
        {"loss": nn.MultiMarginLoss()},
    ],
    ids=["penalties", "classes", "augmented", "own loss"],
)
def test_what_goes_into_the_loss_goes_into_the_program(options: dict[str, Any]) -> None:
    close(*both(**options)[1::2])


def test_two_classes_and_values() -> None:
    x, t = clouds(classes=2)
    two = {"class_weight": np.array([1.0, 3.0]), "label_smoothing": 0.1}
    close(*both(lambda: MLP(2, [6], 1), (x, t), **two)[1::2])
    close(*both(lambda: MLP(2, [6], 2, activation="tanh"), (x, x[:, ::-1] * 2.0))[1::2])


@pytest.mark.parametrize("schedule", ["cosine", "onecycle"])
def test_two_trainings_have_the_same_bits_however_the_calls_are_cut(schedule: str) -> None:
    class Every(Callback):
        seen = 0

        def on_batch_end(self, loop: Any) -> None:
            assert all(p.grad is not None for p in loop.model.parameters())
            self.seen += 1

    every = Every()
    runs = [(network(), callbacks) for callbacks in ((), (), (every,), (Probe(*clouds(8)),))]
    rows = [
        fit(m, clouds(), epochs=4, batch_size=16, schedule=schedule, callbacks=c, compile=True).rows for m, c in runs
    ]
    assert rows[0] == rows[1] == rows[2] == rows[3] and every.seen == 20
    for model, _ in runs[1:]:
        for a, b in zip(runs[0][0].state_dict().values(), model.state_dict().values(), strict=True):
            assert a.tolist() == b.tolist()


def test_losses_of_all_batches_reach_callbacks_that_let_batches_go_by() -> None:
    class Losses(Callback):
        def __init__(self) -> None:
            self.losses: list[float] = []
            self.calls = 0

        def on_steps_end(self, loop: Any) -> None:
            self.losses += loop.losses
            self.calls += 1

    compiled, eager = Losses(), Losses()
    for seer, compile in ((compiled, True), (eager, False)):
        fit(network(), clouds(), epochs=6, batch_size=8, callbacks=(seer,), compile=compile)
    np.testing.assert_allclose(compiled.losses, eager.losses, rtol=1e-4)
    assert eager.calls == len(eager.losses) == 60 > 2 * compiled.calls


def test_a_loss_that_is_not_finite_gives_the_error_and_the_weights_of_define_by_run() -> None:
    def diverge(compile: bool) -> tuple[str, list[Any]]:
        model = MLP(2, [8], 1, seed=1)
        data = clouds()[0], np.full((75, 1), 1e12, dtype=np.float32)
        with pytest.raises(DivergedError) as caught:
            fit(model, data, optimizer="sgd", lr=0.02, schedule="cosine", epochs=9, batch_size=8, compile=compile)
        return str(caught.value), [p.detach().numpy() for p in model.parameters()]

    mine, wanted = diverge(True), diverge(False)
    assert mine[0] == wanted[0] and "first seen in" in mine[0] and "step 1:" not in mine[0]
    for a, b in zip(mine[1], wanted[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-2)


def test_what_cannot_be_traced_is_trained_by_run_and_the_reason_is_kept() -> None:
    class Asks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(2, 3)

        def forward(self, x: Any) -> Any:
            y = self.inner(x)
            return y * 0.5 if y.sum() > 0 else y

    def make() -> Any:
        gy.manual_seed(3)
        return Asks()

    with pytest.warns(UserWarning, match=r"fit: trained by run, not by machine code: .*test_compiled\.py") as said:
        found = both(make)
    assert len(said) == 1
    assert "test_compiled.py" in found[1].by_run and found[1].traces == 0
    assert found[1].rows == found[3].rows
    assert fit(network(), clouds(), epochs=1).by_run == TOO_FEW
    assert fit(network(), clouds(30), batch_size=2, epochs=14).by_run == ""  # 210 steps


def test_an_optimizer_of_the_user_keeps_its_groups() -> None:
    def train(compile: bool) -> History:
        model = MLP(2, [6], 3, seed=2)
        weights, biases = ([p for p in model.parameters() if (p.ndim > 1) is big] for big in (True, False))
        optimizer = optim.Adam([{"params": weights, "lr": 0.01}, {"params": biases, "lr": 0.002}])
        return fit(model, clouds(), optimizer=optimizer, schedule="cosine", epochs=3, batch_size=16, compile=compile)

    close(train(True), train(False))


def test_ctrl_c_is_heard_within_a_second_in_the_middle_of_an_epoch(tmp_path: Path) -> None:
    g = gy.Generator(0)
    x, t = g.normal((40000, 20)).astype(np.float32), np.arange(40000) % 3
    asked: list[float] = []

    def ask() -> None:
        asked.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    class Begin:
        calls = 0

        def on_steps_end(self, loop: Any) -> None:
            self.calls += 1
            if self.calls == 4:
                threading.Timer(0.05, ask).start()

    with pytest.raises(KeyboardInterrupt):
        fit(
            MLP(20, [64, 64], 3), (x, t), epochs=10000, batch_size=4, callbacks=(Begin(),), compile=True,
            checkpoint=tmp_path / "c",
        )  # fmt: skip
    assert time.perf_counter() - asked[0] < 1.5 and (tmp_path / "c").is_file()


def test_compiling_is_announced_once_and_not_when_the_code_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    class Note(Callback):
        def __init__(self) -> None:
            self.seen: list[bool] = []

        def on_compile(self, loop: Any) -> None:
            self.seen.append(loop.compiling)

    monkeypatch.setattr("gyaku.compiler.cache.load", lambda key: None)
    monkeypatch.setattr("gyaku.compiler.cache.save", lambda key, code: None)
    notes = [Note(), Note()]
    for note in notes:
        fit(MLP(2, [11], 3), clouds(64), epochs=2, batch_size=16, callbacks=(note,), compile=True)
    assert [note.seen for note in notes] == [[True, False], []]


def test_the_card_says_what_ran_and_a_missing_package_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(name: str, **options: Any) -> tuple[dict[str, Any], list[str]]:
        notes: list[str] = []
        config = Config(data="moons", limit=80, hidden=(4,), batch=8, **options)
        train_run(config, tmp_path / name, say=notes.append)
        card = json.loads((tmp_path / name / "run.json").read_text(encoding="utf-8"))
        return card["compiled"], notes

    assert run("compiled", epochs=2, compile=True) == ({"traces": 1, "by_run": ""}, [])
    assert run("asked", epochs=2, compile=False) == ({"traces": 0, "by_run": "it was asked for"}, [])
    assert run("short", epochs=2)[0]["by_run"] == TOO_FEW
    monkeypatch.setattr("gyaku.train.compiled.importlib.util.find_spec", lambda name: None)
    card, notes = run("missing", epochs=2, compile=True)
    assert card["traces"] == 0 and "pip install 'gyaku[compile]'" in card["by_run"]
    assert notes == [f"trained by run, not by machine code: {card['by_run']}"]


# --- many at once ---


def test_many_networks_have_the_bits_of_each_alone() -> None:
    options: dict[str, Any] = {"epochs": 4, "batch_size": 16, "schedule": "cosine", "compile": True, "dev": clouds(40)}
    each = [{"seed": 1, "lr": 0.01}, {"seed": 2, "lr": 0.03}, {"seed": 3, "lr": 0.01}]
    models = [network(seed=k) for k in range(3)]
    histories = fit_many(models, clouds(), each=each, workers=3, **options)
    for k, (model, own) in enumerate(zip(models, each, strict=True)):
        alone = network(seed=k)
        assert fit(alone, clouds(), threads=1, **{**options, **own}).rows == histories[k].rows
        for a, b in zip(alone.state_dict().values(), model.state_dict().values(), strict=True):
            assert a.tolist() == b.tolist()
    assert len({str(history.rows) for history in histories}) == 3


def test_many_take_turns_where_there_is_no_machine_code() -> None:
    each = [{"seed": seed} for seed in range(3)]
    histories = fit_many([network() for _ in each], clouds(), each=each, epochs=3, workers=3, compile=False)
    for own, history in zip(each, histories, strict=True):
        assert fit(network(), clouds(), epochs=3, compile=False, seed=own["seed"]).rows == history.rows


class Given:
    """Seats that give what a test says."""

    def __init__(self, share: int) -> None:
        self.given, self.wanted = share, 0

    def share(self, threads: int) -> int:
        self.wanted = max(self.wanted, threads)
        return self.given


def order_of_turns(jobs: int, turns: int, workers: int | None = None) -> tuple[list[int], int]:
    """Return which job had each turn, and how many had one at the same time at most."""
    inside, most, order, ready = list[int](), 0, list[int](), threading.Barrier(jobs)

    def job(k: int) -> Any:
        def run(shared: Any) -> int:
            nonlocal most
            ready.wait()
            for _ in range(turns):
                with shared.core():
                    order.append(k)
                    inside.append(k)
                    most = max(most, len(inside))
                    time.sleep(0.01)
                    inside.remove(k)
            return k

        return run

    assert many.side_by_side([job(k) for k in range(jobs)], workers) == list(range(jobs))
    return order, most


@pytest.mark.parametrize("share", [1, 2, 3])
def test_only_as_many_train_at_a_time_as_there_are_cores_for_them_in_turns(share: int, monkeypatch: Any) -> None:
    seat = Given(share)
    monkeypatch.setattr(many, "seat", seat)
    monkeypatch.setattr(many, "cores", lambda: 5)
    order, most = order_of_turns(5, 8)
    assert most == share and seat.wanted == 5
    for k in range(5):
        waits = np.diff([i for i, who in enumerate(order) if who == k])
        assert waits.max() <= 8  # nobody waits much longer than for the others' turns


def test_a_number_of_workers_that_was_asked_for_is_kept(monkeypatch: Any) -> None:
    monkeypatch.setattr(many, "seat", Given(1))
    assert order_of_turns(4, 4, workers=4)[1] == 4


def test_many_networks_on_one_core_have_the_same_bits(monkeypatch: Any) -> None:
    monkeypatch.setattr(many, "seat", Given(1))
    each = [{"seed": seed} for seed in range(3)]
    options: dict[str, Any] = {"epochs": 10, "batch_size": 4, "compile": True}
    monkeypatch.setattr(many, "cores", lambda: 3)
    histories = fit_many([network() for _ in each], clouds(), each=each, **options)
    for own, history in zip(each, histories, strict=True):
        assert fit(network(), clouds(), seed=own["seed"], threads=1, **options).rows == history.rows


def test_callbacks_may_wait_for_one_another_on_one_core(monkeypatch: Any) -> None:
    class Meet:
        def __init__(self) -> None:
            self.barrier, self.met = threading.Barrier(2), 0

        def on_batch_end(self, loop: Any) -> None:
            if self.barrier.wait(timeout=30) == 0:
                self.met += 1
            self.wanted = loop.epochs * loop.batches

    monkeypatch.setattr(many, "seat", Given(1))
    monkeypatch.setattr(many, "cores", lambda: 2)
    meet = Meet()
    fit_many([network(), network()], clouds(), epochs=2, batch_size=25, compile=True, callbacks=(meet,))
    assert meet.met == meet.wanted


@pytest.mark.parametrize("compile", [False, True])
def test_callbacks_have_no_seat(compile: bool) -> None:
    class Look:
        seen: ClassVar[list[Any]] = []

        def on_batch_end(self, loop: Any) -> None:
            self.seen.append(dict(seat._busy))

    fit(network(), clouds(), epochs=2, compile=compile, callbacks=(Look(),))
    assert Look.seen and all(busy == {} for busy in Look.seen)


def test_ctrl_c_ends_many_with_a_checkpoint_each(tmp_path: Path) -> None:
    class Begin:
        calls = 0

        def on_epoch_end(self, loop: Any) -> None:
            self.calls += 1
            if self.calls == 9:
                os.kill(os.getpid(), signal.SIGINT)

    begin = Begin()
    each = [{"checkpoint": tmp_path / str(k), "callbacks": (begin,)} for k in range(3)]
    with pytest.raises(KeyboardInterrupt):
        fit_many([network() for _ in each], clouds(), each=each, epochs=10**6, batch_size=16, workers=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1"]  # the third had not begun
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_first_error_ends_all_and_is_raised() -> None:
    each: list[dict[str, Any]] = [{"lr": 0.01}, {"optimizer": "adamm"}, {"lr": 0.01}]
    with pytest.raises(Exception, match="did you mean 'adam'"):
        fit_many([network() for _ in each], clouds(), each=each, epochs=10**6, batch_size=5)
    with pytest.raises(ArgumentError, match=r"each with one mapping a model \(1\), got 2"):
        fit_many([network()], clouds(), each=[{}, {}])
    with pytest.raises(ArgumentError, match="each network has one thread and no bar, got quiet"):
        fit_many([network()], clouds(), quiet=False)
    assert set(OPTIMIZERS) >= {"adam", "sgd"}
