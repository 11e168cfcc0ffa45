"""A run killed at any moment and resumed ends with the bits of one that was never stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gyaku.train import Config, train_run
from gyaku.train.run import CHECKPOINT, METRICS, MODEL_FILE, STATS

posix_only = pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX's")
EQUAL = (MODEL_FILE, METRICS, STATS, "arrays.safetensors", "results.json")
SETTINGS = {
    "data": "moons", "limit": 60, "epochs": 4, "batch": 8, "hidden": (6, 5), "norm": "batch", "dropout": 0.3,
    "optimizer": "adamw", "schedule": "onecycle", "clip": 1.0, "patience": 9, "threads": 1,
    "compile": True,
}  # fmt: skip

# Kills itself when an event has come so often; what a run writes until then is all a resume has.
KILLED = """
import os, signal, sys
from gyaku.train import Config, train_run

folder, event, count, how, settings = sys.argv[1:]

class Killer:
    seen = 0

    def _count(self, loop):
        Killer.seen += 1
        if Killer.seen == int(count):
            os.kill(os.getpid(), signal.SIGKILL)

setattr(Killer, event, Killer._count)
import gyaku.train.loop as loop
before = loop.Loop.run
def run(self, **options):
    self.interval = 0.0  # a checkpoint after every batch
    return before(self, **options)
loop.Loop.run = run
train_run(Config(**eval(settings)), folder, callbacks=(Killer(),), resume=how == "resume")
"""


def killed(folder: Path, event: str, count: int, *, resume: bool = False) -> int:
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    arguments = [str(folder), event, str(count), "resume" if resume else "new", repr(SETTINGS)]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], env=environment, capture_output=True, text=True)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reference") / "run"
    train_run(Config(**SETTINGS), folder)  # type: ignore[arg-type]
    return folder


def same(folder: Path, reference: Path) -> None:
    for name in EQUAL:
        mine, wanted = (folder / name).read_bytes(), (reference / name).read_bytes()
        if name == "results.json":  # the times differ
            mine, wanted = mine.partition(b'"seconds"')[0], wanted.partition(b'"seconds"')[0]
        assert mine == wanted, f"{name} differs"


@posix_only
@pytest.mark.parametrize(
    ("event", "count"),
    [("on_batch_start", 1), ("on_batch_end", 3), ("on_batch_end", 6), ("on_batch_start", 12), ("on_epoch_end", 2),
     ("on_epoch_start", 3), ("on_fit_end", 1)],
)  # fmt: skip
def test_killed_at_any_moment_and_resumed(event: str, count: int, reference: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert killed(folder, event, count) == -signal.SIGKILL
    train_run(Config(**SETTINGS), folder, resume=True)  # type: ignore[arg-type]
    same(folder, reference)


@posix_only
def test_a_resume_goes_on_and_does_not_begin_anew(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert killed(folder, "on_batch_end", 6) == -signal.SIGKILL

    class Look:
        def on_fit_start(self, loop: Any) -> None:
            self.at = loop.epoch, loop.batch, loop.step

    look = Look()
    train_run(Config(**SETTINGS), folder, resume=True, callbacks=(look,))  # type: ignore[arg-type]
    assert look.at == (1, 5, 5)  # 42 training samples, 6 batches an epoch; the kill came before the sixth save


@posix_only
def test_killed_again_and_again(reference: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert killed(folder, "on_batch_end", 4) == -signal.SIGKILL
    assert killed(folder, "on_batch_end", 9, resume=True) == -signal.SIGKILL
    assert killed(folder, "on_epoch_end", 9, resume=True) == 0
    same(folder, reference)


def test_the_seed_decides_whatever_python_hashes(reference: Path, tmp_path: Path) -> None:
    script = (
        "import sys; from gyaku.train import Config, train_run; train_run(Config(**eval(sys.argv[2])), sys.argv[1])"
    )
    folders = [tmp_path / seed for seed in ("0", "1", "777")]
    for folder in folders:
        environment = {**os.environ, "PYTHONHASHSEED": folder.name, "OPENBLAS_NUM_THREADS": "1"}
        subprocess.run([sys.executable, "-c", script, str(folder), repr(SETTINGS)], env=environment, check=True)
    for folder in folders:
        same(folder, reference)


def test_another_seed_gives_other_bytes(reference: Path, tmp_path: Path) -> None:
    train_run(Config(**{**SETTINGS, "seed": 1}), tmp_path / "run")  # type: ignore[arg-type]
    assert (tmp_path / "run" / METRICS).read_bytes() != (reference / METRICS).read_bytes()


def test_a_checkpoint_of_another_setting_is_refused(reference: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("run.json", CHECKPOINT):
        (folder / name).write_bytes((reference / name).read_bytes())
    with pytest.raises(ValueError, match=r"resume .*: expected batch_size 8, as in the checkpoint, got 16"):
        train_run(Config(**{**SETTINGS, "batch": 16}), folder, resume=True)  # type: ignore[arg-type]


def test_a_torn_checkpoint_is_refused_and_kept(reference: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "run.json").write_bytes((reference / "run.json").read_bytes())
    torn = (reference / CHECKPOINT).read_bytes()[:-100]
    (folder / CHECKPOINT).write_bytes(torn)
    with pytest.raises(ValueError, match=r"load .*checkpoint\.safetensors"):
        train_run(Config(**SETTINGS), folder, resume=True)  # type: ignore[arg-type]
    assert (folder / CHECKPOINT).read_bytes() == torn
