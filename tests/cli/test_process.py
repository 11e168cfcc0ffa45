"""The command as a process of its own: encodings, Ctrl-C, two at once, progress, ``python -m gyaku``."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

LONG = ("train", "digits", "--limit", "400", "--hidden", "64", "--epochs", "100000", "--threads", "1")
posix_only = pytest.mark.skipif(os.name != "posix", reason="signals and terminals of POSIX")


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "OPENBLAS_NUM_THREADS": "1", "GYAKU_LANG": "en", **more}


def gyaku(*arguments: object, cwd: Path, **more: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "gyaku", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment(**more), capture_output=True, timeout=100)


@contextlib.contextmanager
def started(*arguments: object, cwd: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A command that runs meanwhile; what happens in the test, it ends with the block."""
    command = [sys.executable, "-m", "gyaku", *map(str, arguments)]
    with subprocess.Popen(command, cwd=cwd, env=environment(), stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_until(true: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 50
    while not true():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.02)


def interrupt(process: subprocess.Popen[bytes]) -> bytes:
    process.send_signal(signal.SIGINT)
    return process.communicate(timeout=50)[1]


@posix_only
def test_ctrl_c_saves_a_checkpoint_and_says_how_to_go_on(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "digits"

    def rows() -> int:
        return len((run / "metrics.jsonl").read_text().splitlines())

    with started(*LONG, cwd=tmp_path) as process:
        wait_until((run / "checkpoint.safetensors").is_file, process)
        said = interrupt(process)
    assert process.returncode == 1
    assert b"Go on with: gyaku train --resume runs/digits" in said and b"Traceback" not in said
    assert json.loads((run / "run.json").read_text())["status"] == "interrupted"
    before = rows()
    with started("train", "--resume", "runs/digits", cwd=tmp_path) as process:
        wait_until(lambda: rows() > before + 2, process)
        interrupt(process)
    epochs = [json.loads(line)["epoch"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert epochs == list(range(1, len(epochs) + 1))


@posix_only
def test_a_second_process_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    from gyaku.base.files import lock_folder

    quick = ("train", "moons", "--limit", "60", "--epochs", "2", "--hidden", "4", "--name", "x")
    with lock_folder(tmp_path / "runs" / "x"):
        second = gyaku(*quick, "--force", cwd=tmp_path)
    assert second.returncode == 2 and b"expected nobody else writing here, got process" in second.stderr
    assert not (tmp_path / "runs" / "x" / "run.json").exists()


@pytest.mark.parametrize("encoding", ["ascii", "cp932", "utf-8"])
def test_no_encoding_of_the_terminal_makes_it_fail(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "値,級\n" + "".join(f"{i % 7},{'ä漢'[i % 2]}\n" for i in range(60)), encoding="utf-8"
    )
    more = {"PYTHONIOENCODING": encoding, "LC_ALL": "C", "GYAKU_LANG": "ja"}
    settings = ("--target", "級", "--epochs", "2", "--hidden", "4", "--threads", "1")
    trained = gyaku("train", "t.csv", *settings, "--name", "実験", cwd=tmp_path, **more)
    assert trained.returncode == 0, trained.stderr
    answered = gyaku("predict", "runs/実験", "t.csv", cwd=tmp_path, **more)
    assert answered.returncode == 0 and len(answered.stdout.splitlines()) == 61
    refused = gyaku("train", "t.csv", "--target", "级", cwd=tmp_path, **more)
    assert refused.returncode == 2 and b"Traceback" not in refused.stderr


@posix_only
def test_a_terminal_sees_progress_and_a_pipe_does_not(tmp_path: Path) -> None:
    import pty

    quick = ("train", "moons", "--limit", "60", "--epochs", "3", "--hidden", "4", "--threads", "1")
    assert b"epoch 3/3" not in gyaku(*quick, cwd=tmp_path).stderr
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "gyaku", *quick]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment(COLUMNS="120", TERM="xterm"), stderr=slave)
    os.close(slave)
    seen = b""
    try:
        while chunk := os.read(master, 65536):
            seen += chunk
    except OSError:  # Linux's way to say that the other side is closed
        pass
    os.close(master)
    assert process.wait(60) == 0 and b"3/3" in seen


@posix_only
def test_a_full_disk_is_loud_and_leaves_the_old_checkpoint_whole(tmp_path: Path) -> None:
    quick = ("train", "moons", "--limit", "60", "--epochs", "30", "--hidden", "4", "--threads", "1", "--quiet")
    limited = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (25000, 25000)); import gyaku.cli as c; c.main()"
    )
    command = [sys.executable, "-c", limited, *quick]
    full = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, timeout=60)
    assert full.returncode == 1 and b"Traceback" not in full.stderr
    assert full.stderr.startswith(b"error: write runs/moons/") and len(full.stderr.splitlines()) == 1
    run = tmp_path / "runs" / "moons"
    assert not [path.name for path in run.iterdir() if "tmp" in path.name]
    assert json.loads((run / "run.json").read_text())["status"] == "failed"
    assert gyaku("train", "--resume", run, "--quiet", cwd=tmp_path).returncode == 0
    assert gyaku(*quick, "--name", "whole", cwd=tmp_path).returncode == 0
    for name in ("metrics.jsonl", "model.safetensors"):
        assert (run / name).read_bytes() == (tmp_path / "runs" / "whole" / name).read_bytes()


@posix_only
@pytest.mark.parametrize("model", ["dbm", "sae"])
def test_ctrl_c_ends_a_pre_training_and_leaves_no_half_model(tmp_path: Path, model: str) -> None:
    run = tmp_path / "runs" / f"digits-{model}"
    log = run / "metrics.jsonl"
    words = ("pretrain", model, "digits", "--limit", "400", "--hidden", "32,16", "--epochs", "100000", "--threads", "1")
    with started(*words, cwd=tmp_path) as process:
        wait_until(lambda: log.exists() and len(log.read_text().splitlines()) > 2, process)
        told = interrupt(process)
        assert process.returncode == 1
    assert b"interrupted; a pre-training is not resumed" in told and b"Traceback" not in told
    card = json.loads((run / "run.json").read_text())
    assert card["status"] == "interrupted" and sorted(p.name for p in run.iterdir()) == ["metrics.jsonl", "run.json"]
    again = gyaku("train", "digits", "--init-from", run, cwd=tmp_path)
    assert again.returncode == 2 and b"a run that was interrupted has no model" in again.stderr
    assert not (tmp_path / "runs" / "digits").exists()
