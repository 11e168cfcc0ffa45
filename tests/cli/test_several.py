"""Several runs from one command: seeds, sweeps, their table and what is chosen."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gyaku.cli import cli
from gyaku.cli.several import mean_and_interval

QUICK = ("--limit", "80", "--epochs", "3", "--no-compile")


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(cli, [str(a) for a in arguments], env={"GYAKU_LANG": "en"})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_seeds_give_a_folder_each_and_the_mean_with_its_interval(tmp_path: Path) -> None:
    result = run("train", "moons", "--seeds", 3, "--seed", 5, "--hidden", 4, "--out", tmp_path, *QUICK)
    assert result.exit_code == 0, result.output
    folder = tmp_path / "moons-seeds"
    summary: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert summary["seeds"] == [5, 6, 7]
    values = []
    for seed in (5, 6, 7):
        found = json.loads((folder / f"seed-{seed}" / "results.json").read_text(encoding="utf-8"))
        values.append(found["parts"]["test"]["accuracy"])
        assert json.loads((folder / f"seed-{seed}" / "run.json").read_text())["seed"] == seed
    test = summary["parts"]["test"]["accuracy"]
    assert test["values"] == values and test["mean"] == pytest.approx(sum(values) / 3)
    assert re.search(r"test accuracy 0\.\d{4} ± 0\.\d{4}   \(3 seeds, 95% interval\)", result.stderr)
    best = summary["best_seed"]
    dev = summary["parts"]["dev"]["accuracy"]["values"]
    assert dev[best - 5] == max(dev) and f"that of seed {best}, the best on dev" in result.stderr
    assert [p.parent.name for p in folder.glob("*/report.html")] == [f"seed-{best}"]
    alone = run("train", "moons", "--seed", 6, "--hidden", 4, "--out", tmp_path, "--threads", 1, "--no-doctor", *QUICK)
    assert alone.exit_code == 0
    for name in ("metrics.jsonl", "model.safetensors"):
        assert (tmp_path / "moons" / name).read_bytes() == (folder / "seed-6" / name).read_bytes()


def test_a_sweep_compares_on_dev_and_shows_the_test_of_the_chosen(tmp_path: Path) -> None:
    sweep = ("sweep", "moons", "--lr", "0.0001,0.05,1e30", "--hidden", "8/none", "--norm", "none", "--out", tmp_path)
    result = run(*sweep, "--seeds", 2, *QUICK)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["lr", "hidden", "dev", "accuracy", "dev", "loss"] and len(lines) == 7
    assert {line.split()[0] for line in lines[5:]} == {"1e+30"} and "diverged (" in lines[6]
    summary: dict[str, Any] = json.loads((tmp_path / "moons-sweep" / "summary.json").read_text(encoding="utf-8"))
    scores = [r["parts"]["dev"]["accuracy"]["mean"] for r in summary["rows"] if not r["diverged"]]
    assert scores == sorted(scores, reverse=True) and len(scores) == 4
    assert summary["chosen"] == summary["rows"][0]["settings"] and summary["chosen"]["lr"] == 0.05
    assert "chosen on dev: lr 0.05" in result.stderr and "test accuracy" in result.stderr
    assert len(list((tmp_path / "moons-sweep").glob("run-*/run.json"))) == 12


def test_a_sweep_of_values_prefers_the_smaller_error_and_answers_in_json(tmp_path: Path) -> None:
    result = run(
        "sweep", "curve", "--lr", "0.00001,0.01", "--hidden", 8, "--out", tmp_path, "--json", "--quiet", *QUICK
    )
    found: dict[str, Any] = json.loads(result.stdout)
    assert result.stderr == "" and found["metric"] == "rmse"
    small, large = (row["parts"]["dev"]["rmse"] for row in found["rows"])
    assert small["mean"] < large["mean"] and small["interval"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sweep"], "gyaku sweep: expected DATA: a name, a file or a folder, got nothing"),
        (["sweep", "moons", "--lr", "0.1,x"], "expected values such as 0.001,0.01, got '0.1,x'"),
        (["sweep", "moons", "--hidden", "8;4"], "expected layers such as 64/128,64/none"),
        (["sweep", "moons", "--optimizer", "adam,sdg"], "did you mean 'sgd'?"),
        (["sweep", "moons", "--seeds", "0"], "--seeds: expected at least 1, got 0"),
        (["sweep", "moons", "--dev", "0"], "expected a dev part to compare on, got dev = 0"),
        (["train", "moons", "--seeds", "0"], "--seeds: expected at least 1, got 0"),
        (["train", "moons", "--seeds", "2", "--force"], "--seeds: expected a new folder, got --force"),
        (["train", "moons", "--seeds", "2", "--name", "a/b"], "--name: expected a name without folders"),
        (["train", "--resume", "x", "--seeds", "2"], "the run keeps its own, got --seeds"),
    ],
)
def test_bad_input_gives_one_message_and_no_files(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code == 2 and message in " ".join(result.stderr.split()) and result.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_the_interval_by_hand() -> None:
    assert mean_and_interval([1.0, 2.0, 3.0]) == pytest.approx((2.0, 4.303 / 3**0.5))
    assert mean_and_interval([4.0]) == (4.0, None)
