"""``gyaku figure``: what it lists, makes, refuses and goes on with."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gyaku import figures
from gyaku.base.errors import ArgumentError
from gyaku.cli import cli
from gyaku.cli.figure import Bar
from gyaku.figures import Claim, experiment, momentum, standardising
from gyaku.figures.style import canvas

pytest.importorskip("threadpoolctl")  # here, not inside a test: its import sets an environment variable
pytest.importorskip("matplotlib_fontja")


def run(*arguments: object, lang: str = "en") -> Result:
    result = CliRunner().invoke(cli, ["figure", *map(str, arguments)], env={"GYAKU_LANG": lang})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def refused(*arguments: object) -> str:
    """Return the one message of a command that must fail."""
    result = run(*arguments)
    assert result.exit_code == 2 and result.stdout == "" and "Traceback" not in result.stderr, result.output
    return result.stderr


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """As if there were two figures only."""
    monkeypatch.setattr(experiment, "CATALOGUE", ("momentum", "standardising"))
    return "momentum", "standardising"


def test_the_list() -> None:
    lines = run("--list").output.splitlines()
    assert len(lines) == 1 + len(figures.names()) and "Momentum against gradient descent" in "\n".join(lines)
    assert "モメンタムと勾配降下法" in run("--list", lang="ja").output
    listed = json.loads(run("--list", "--json").stdout)
    assert [each["name"] for each in listed] == list(figures.names()) and listed[0]["title"]["ja"]


def test_one_figure(tmp_path: Path) -> None:
    result = run("momentum", "--quick", "--out", tmp_path)
    assert result.exit_code == 0 and "holds:         sgd: after 30 steps at (5.7988868, 0.00123794)" in result.output
    assert "Gradient descent creeps along the floor" in result.output
    names = {"momentum.en.svg", "momentum.en.pdf", "momentum.en.png", "momentum.csv", "momentum.json"}
    assert {p.name for p in tmp_path.iterdir()} == names


def test_several_as_json_in_both_languages(tmp_path: Path) -> None:
    result = run("momentum", "standardising", "--quick", "--seed", 7, "--lang", "both", "--out", tmp_path, "--json")
    answer = json.loads(result.stdout)
    assert result.exit_code == 0 and answer["page"] is None and answer["failed"] == []
    assert [(f["name"], f["seed"], f["level"], f["held"]) for f in answer["figures"]] == [
        ("momentum", 7, "quick", True), ("standardising", 7, "quick", True),
    ]  # fmt: skip
    assert all((tmp_path / file).exists() for f in answer["figures"] for file in f["files"])
    assert len(answer["figures"][0]["files"]) == 8


def test_what_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Hint: did you mean 'momentum'?" in refused("momentm", "--out", tmp_path)
    assert "Give NAME, or --all" in refused() and "Give NAME, or --all" in refused("momentum", "--all")
    assert "--seed" in refused("momentum", "--seed", -1) and "--workers" in refused("momentum", "--workers", 0)
    (tmp_path / "file").write_text("")
    assert "--out: expected a folder, got the file" in refused("momentum", "--out", tmp_path / "file")
    assert "--out: expected a folder, got the file" in refused("momentum", "--out", tmp_path / "file" / "in" / "it")
    assert "--out: expected a folder that can be written, got ''" in refused("momentum", "--out", "")
    assert "Give NAME, or --all" in refused("momentum", "--list") and "Give NAME" in refused("--all", "--list")
    assert "Give --quick or --full, not both" in refused("momentum", "--quick", "--full", "--out", tmp_path)
    monkeypatch.setitem(sys.modules, "matplotlib_fontja", None)
    assert "pip install 'gyaku[plots]'" in refused("momentum", "--out", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_claim_that_does_not_hold_is_shown_and_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(momentum, "draw", lambda data, say: canvas()[0])
    monkeypatch.setattr(momentum, "claims", lambda data: [Claim(False, "water burns", "水は燃える")])
    result = run("momentum", "--out", tmp_path)
    assert result.exit_code == 0 and "does not hold: water burns" in result.output
    assert "成り立たない：水は燃える" in run("momentum", "--out", tmp_path, lang="ja").output
    assert json.loads(run("momentum", "--out", tmp_path, "--json").stdout)["figures"][0]["held"] is False


def test_all_makes_a_page_and_does_nothing_twice(
    two: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run("--all", "--quick", "--out", tmp_path)
    assert first.exit_code == 0 and "momentum: 3 of 3 claims held" in first.output
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "7 of their 7 claims held" in page and all(f"{name}.en.png" in page for name in two)
    monkeypatch.setattr(momentum, "measure", lambda level, run: pytest.fail("made twice"))
    assert "claims held, done before" in run("--all", "--quick", "--out", tmp_path).output
    assert json.loads(run("--all", "--quick", "--out", tmp_path, "--json").stdout)["page"].endswith("index.html")


def test_one_broken_figure_does_not_stop_the_others(
    two: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(level: str, run: Any) -> dict[str, Any]:
        raise ArgumentError("momentum", "good weather", "rain")

    monkeypatch.setattr(momentum, "measure", broken)
    result = run("--all", "--quick", "--out", tmp_path, "--json")
    answer = json.loads(result.stdout)
    assert result.exit_code == 1 and answer["failed"] == ["momentum"] and "good weather" in result.stderr
    assert [each["name"] for each in answer["figures"]] == ["standardising"]


def test_an_interrupted_all_keeps_what_is_done(
    two: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(level: str, run: Any) -> dict[str, Any]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(standardising, "measure", stop)
        result = run("--all", "--quick", "--out", tmp_path)
    assert result.exit_code == 1 and "interrupted; the same command goes on" in result.stderr
    assert "momentum.en.png" in (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "momentum: 3 of 3 claims held, done before" in run("--all", "--quick", "--out", tmp_path).output


def test_the_bar_is_for_terminals(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with Bar("momentum 1/2", quiet=False) as bar:
        assert bar.show is None  # nobody looks at a captured stream
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with Bar("momentum 1/2", quiet=False) as bar:
        assert bar.show is not None
        bar.show(1, 4)
        bar.show(2, 4)
    assert "momentum 1/2" in capsys.readouterr().err and Bar("x", quiet=True).show is None


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_ends_the_workers_and_keeps_their_results(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gyaku", "figure", "vanishing", "--full", "--workers", "2", "--out", str(tmp_path)]
    environment = {**os.environ, "GYAKU_LANG": "en"}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, start_new_session=True)
    try:
        end = time.monotonic() + 60
        while not list(tmp_path.glob(".jobs/vanishing/*")):
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to everybody
        message = process.communicate(timeout=30)[1]
        assert process.returncode == 1 and message.splitlines()[0] == b"interrupted; the same command goes on"
        assert b"Traceback" not in message and gone(process.pid)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def gone(group: int) -> bool:
    """Whether no process of a group is left, soon."""
    for _ in range(200):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False
