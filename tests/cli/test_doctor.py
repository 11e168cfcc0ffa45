"""``gyaku doctor`` and the doctor in ``gyaku train``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gyaku.cli import cli

QUICK = ("--epochs", "3", "--limit", "300", "--threads", "1", "--quiet")


def call(*words: Any) -> Any:
    return CliRunner().invoke(cli, [str(w) for w in words], env={"GYAKU_LANG": "en"})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs")
    done = call("train", "digits", "--plain", "--hidden", "24,24,24,24,24,24", "--out", out, *QUICK)
    assert done.exit_code == 0, done.output
    return out / "digits"


def test_train_writes_the_verdict_and_metrics_do_not_change(run: Path, tmp_path: Path) -> None:
    found = json.loads((run / "doctor.json").read_text(encoding="utf-8"))
    assert not found["healthy"] and "勾配消失" in (run / "doctor.json").read_text(encoding="utf-8")
    done = call("train", "digits", "--plain", "--hidden", "24,24,24,24,24,24", "--out", tmp_path, "--no-doctor", *QUICK)
    assert done.exit_code == 0 and not (tmp_path / "digits" / "doctor.json").exists()
    for name in ("metrics.jsonl", "stats.jsonl", "model.safetensors"):
        assert (tmp_path / "digits" / name).read_bytes() == (run / name).read_bytes()
    assert 'id="verdict"' not in (tmp_path / "digits" / "report.html").read_text(encoding="utf-8")


def test_the_verdict_in_words_as_json_and_as_a_status(run: Path) -> None:
    done = call("doctor", run, "--steps", 60)
    assert (
        done.exit_code == 0 and done.stdout.startswith("VERDICT: ") and "vanishing gradients [affine1]" in done.stdout
    )
    assert 'id="verdict"' in (run / "report.html").read_text(encoding="utf-8")
    answer = json.loads(call("doctor", run, "--steps", 60, "--json", "--no-proof").stdout)
    assert answer["run"] == str(run) and "vanishing" in [f["key"] for f in answer["findings"]]
    assert all(f["proof"] is None for f in answer["findings"])
    assert call("doctor", run, "--steps", 60, "--strict").exit_code == 1
    assert "診断" in call("doctor", run, "--steps", 60, "--lang", "ja").stdout


@pytest.mark.parametrize("words", [("nowhere",), (".", "--steps", "0")])
def test_what_is_wrong_is_said_in_one_message(words: tuple[str, ...]) -> None:
    done = call("doctor", *words)
    assert done.exit_code == 2 and "expected" in done.stderr and "Traceback" not in done.stderr and not done.stdout


def test_a_training_that_breaks_off_is_explained(tmp_path: Path) -> None:
    done = call(
        "train", "curve", "--optimizer", "sgd", "--lr", "1000", "--out", tmp_path, "--epochs", "5", "--threads", "1"
    )
    assert done.exit_code == 1 and "VERDICT: learning rate too high" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("log", ["metrics.jsonl", "stats.jsonl"])
@pytest.mark.parametrize("row", ["{}", '{"step": 1, "train_loss": null, "layers": null}', '{"layers": "a"}'])
def test_logs_with_other_rows_are_refused(run: Path, tmp_path: Path, log: str, row: str) -> None:
    copy = shutil.copytree(run, tmp_path / "copy")
    (copy / log).write_text(f"{row}\n")
    done = call("doctor", copy, "--no-proof")
    assert done.exit_code == 2 and "the logs of a run" in done.stderr
