"""What newcomers met: messages that misled, places that cannot hold an answer, folders touched by other hands."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cli.test_commands import QUICK, refused, run
from gyaku.cli.train import _not_better_than

SMALL = ("--limit", "60", *QUICK)


@pytest.mark.parametrize("shares", [("--test", "0"), ("--test", "0", "--dev", "0")])
def test_a_run_without_a_test_part_ends_with_its_report(shares: tuple[str, ...], tmp_path: Path) -> None:
    result = run("train", "moons", "--out", tmp_path, *SMALL, *shares)
    assert result.exit_code == 0, result.output
    assert "No test part was kept" in (tmp_path / "moons" / "report.html").read_text(encoding="utf-8")


def test_a_mistake_talks_of_no_folder(tmp_path: Path) -> None:
    assert run("train", "moons", "--out", tmp_path, *SMALL, "--quiet").exit_code == 0
    assert "exists already" not in refused("train", "moons", "--out", tmp_path, "--target", "no such")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["moons"]


def test_a_loop_of_links_is_bad_input(tmp_path: Path) -> None:
    os.symlink(tmp_path / "loop.csv", tmp_path / "loop.csv")
    assert "loop.csv" in refused("train", tmp_path / "loop.csv", "--target", "y", "--out", tmp_path / "runs")


def test_predict_refuses_a_place_that_cannot_hold_the_answers(tmp_path: Path) -> None:
    message = refused("predict", "nowhere", "digits", "--out", tmp_path)
    assert "--out: expected the name of a file, got the folder" in message
    message = refused("predict", "nowhere", "digits", "--out", tmp_path / "no" / "a.csv")
    assert "--out: expected a file in a folder that exists" in message


def test_the_verdict_names_the_simplest_way_that_does_as_well() -> None:
    def results(metric: str, mine: float, linear: float, constant: float) -> dict[str, object]:
        name = "mean" if metric == "rmse" else "majority"
        figures = {"linear": {"test": {metric: linear}}, name: {"test": {metric: constant}}}
        return {"metric": metric, "parts": {"test": {metric: mine}}, "baselines": figures}

    assert _not_better_than(results("accuracy", 0.95, 0.62, 0.98), "test") == "not_better_constant"
    assert _not_better_than(results("accuracy", 0.95, 0.95, 0.5), "test") == "not_better"
    assert _not_better_than(results("accuracy", 0.95, 0.9, 0.5), "test") is None
    assert _not_better_than(results("rmse", 2.0, 1.0, 3.0), "test") == "not_better"
    assert _not_better_than(results("rmse", 4.0, 5.0, 3.0), "test") == "not_better_constant"
