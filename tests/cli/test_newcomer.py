"""What newcomers met: messages that misled, places that cannot hold an answer, folders touched by other hands."""

from __future__ import annotations

import json
import os
import shutil
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


def test_predict_refuses_a_place_that_cannot_hold_the_answers(finished: Path, tmp_path: Path) -> None:
    message = refused("predict", finished, "moons", "--out", tmp_path)
    assert "--out: expected the name of a file, got the folder" in message
    message = refused("predict", finished, "moons", "--out", tmp_path / "no" / "a.csv")
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


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on the moons, made once."""
    folder = tmp_path_factory.mktemp("runs")
    assert run("train", "moons", "--out", folder, *SMALL, "--quiet").exit_code == 0
    return folder / "moons"


def edited(source: Path, folder: Path, name: str, path: str, value: object) -> Path:
    """Copy a run and set (or with ``...`` remove) one entry of one of its JSON files."""
    shutil.copytree(source, folder)
    found = json.loads((folder / name).read_text(encoding="utf-8"))
    *way, last = path.split(".")
    inner = found
    for key in way:
        inner = inner[key]
    inner[last] = value
    if value is ...:
        del inner[last]
    (folder / name).write_text(json.dumps(found), encoding="utf-8")
    return folder


@pytest.mark.parametrize("value", [..., "x", 3, None])
@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("run.json", "config"), ("run.json", "data"), ("run.json", "data.sizes"), ("run.json", "model.architecture"),
        ("run.json", "machine"), ("results.json", "parts"), ("results.json", "parts.test"),
        ("results.json", "parts.test.accuracy"), ("results.json", "baselines"), ("results.json", "baselines.linear"),
    ],
)  # fmt: skip
def test_an_edited_run_is_refused_by_name(name: str, path: str, value: object, finished: Path, tmp_path: Path) -> None:
    folder = edited(finished, tmp_path / "run", name, path, value)
    if (path, value) == ("parts.test.accuracy", 3):
        return  # a number is a number
    if (path, value) == ("parts.test", ...):  # as after --test 0
        assert run("info", folder).exit_code == 0
        return
    assert name in refused("info", folder)
    if name == "run.json":
        assert name in refused("train", "--resume", folder)


def test_a_finished_run_without_its_report_gets_it(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "run")
    (tmp_path / "run" / "report.html").unlink()
    assert run("train", "--resume", tmp_path / "run").exit_code == 0
    assert (tmp_path / "run" / "report.html").is_file()


def test_a_network_that_no_memory_holds_is_refused(tmp_path: Path) -> None:
    message = refused("train", "moons", "--hidden", "9999999,9999999", "--out", tmp_path)
    assert "hidden: expected a network that fits into" in message and not list(tmp_path.iterdir())


def test_numbers_with_commas_are_named(tmp_path: Path) -> None:
    rows = "".join(f'"{i},5",{i % 2}\n' for i in range(60))
    (tmp_path / "c.csv").write_text(f"a,y\n{rows}", encoding="utf-8")
    assert "numbers with commas?" in refused("train", tmp_path / "c.csv", "--target", "y", "--out", tmp_path)
