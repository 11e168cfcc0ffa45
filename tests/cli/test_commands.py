"""The command: what it writes, what it answers, how it refuses."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import gyaku as gy
from gyaku.cli import cli
from gyaku.cli.terminal import table, width
from gyaku.data import load
from gyaku.train import load_model
from gyaku.train.run import FILES

QUICK = ("--epochs", "3", "--hidden", "8", "--threads", "1")


def run(*arguments: object, lang: str = "en") -> Result:
    result = CliRunner().invoke(cli, [str(a) for a in arguments], env={"GYAKU_LANG": lang})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def refused(*arguments: object, status: int = 2) -> str:
    """Return the one message of a command that must fail."""
    result = run(*arguments)
    assert result.exit_code == status, result.output
    assert result.stdout == "" and "Traceback" not in result.stderr
    return result.stderr


def people(folder: Path, encoding: str = "utf-8", n: int = 80) -> Path:
    """Write a table with Japanese columns: numbers with gaps, categories, a class and a value to predict."""
    g = gy.Generator(2)
    size, points, city = g.normal((n,)), g.normal((n,)), g.integers(0, 3, (n,))
    rows = [["身長", "都市", "点数", "価格", "判定"]]
    for i in range(n):
        value = 2 * size[i] + city[i]
        gap = "" if i % 9 == 4 else f"{points[i]:.3f}"
        rows.append(
            [f"{size[i]:.4f}", "東京 大阪 京都".split()[city[i]], gap, f"{1000 * value:.1f}", "合否"[int(value > 1)]]
        )
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    (folder / f"{encoding}.csv").write_bytes(text.getvalue().encode(encoding))
    return folder / f"{encoding}.csv"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on the digits, made once."""
    folder = tmp_path_factory.mktemp("runs")
    result = run("train", "digits", "--limit", "300", "--out", folder, *QUICK)
    assert result.exit_code == 0, result.output
    return folder / "digits"


def test_train_writes_the_whole_run_folder_and_says_where_to_look(tmp_path: Path) -> None:
    result = run("train", "digits", "--limit", "300", "--out", tmp_path, *QUICK)
    assert result.exit_code == 0 and result.stdout == ""
    folder = tmp_path / "digits"
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    lines = result.stderr.splitlines()
    assert lines[0] == "network: 64-8-10 relu, batch norm, dropout 0.2, 626 parameters"
    assert "test accuracy 0." in lines[-3] and "linear model" in lines[-3] or "note" in lines[-3]
    assert lines[-1].endswith("report.html") and "gyaku predict" in lines[-2]
    assert len((folder / "metrics.jsonl").read_text().splitlines()) == 3
    card = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert card["status"] == "finished" and card["config"]["epochs"] == 3 and card["machine"]["threads"] == 1
    assert sum(card["data"]["sizes"].values()) == 300


def test_an_existing_run_is_never_overwritten_silently(tmp_path: Path) -> None:
    first = run("train", "moons", "--limit", "60", "--out", tmp_path, *QUICK, "--quiet")
    before = (tmp_path / "moons" / "model.safetensors").read_bytes()
    second = run("train", "moons", "--limit", "60", "--out", tmp_path, *QUICK, "--seed", "1")
    assert first.exit_code == second.exit_code == 0 and first.stderr == ""
    assert "moons exists already; this run goes to" in second.stderr
    assert (tmp_path / "moons-2" / "report.html").is_file()
    assert "a run that exists" in refused("train", "moons", "--name", "moons", "--out", tmp_path)
    assert (tmp_path / "moons" / "model.safetensors").read_bytes() == before
    forced = run(
        "train", "moons", "--limit", "60", "--out", tmp_path, *QUICK, "--name", "moons", "--force", "--seed", "1"
    )
    assert forced.exit_code == 0
    assert (tmp_path / "moons" / "model.safetensors").read_bytes() != before


def test_force_removes_nothing_that_is_not_a_run(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    message = refused("train", "moons", "--name", "mine", "--out", tmp_path, "--force")
    assert "expected a run of gyaku to replace, got 'thesis.txt' in it" in message
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("encoding", ["cp932", "utf-8", "utf-8-sig"])
def test_a_japanese_table_end_to_end(encoding: str, tmp_path: Path) -> None:
    file = people(tmp_path, encoding)
    for target in ("判定", "価格"):
        result = run("train", file, "--target", target, "--name", target, "--out", tmp_path, *QUICK, lang="ja")
        assert result.exit_code == 0, result.output
        assert "レポート:" in result.stderr
    answered = run("predict", tmp_path / "判定", people(tmp_path, "utf-8"), "--json")
    found = json.loads(answered.stdout)
    assert found["target"] == "判定" and set(found["labels"]) <= {"合", "否"} and len(found["labels"]) == 80
    np.testing.assert_allclose(np.sum(found["probabilities"], axis=1), 1.0)
    values = json.loads(run("predict", tmp_path / "価格", file, "--json").stdout)["values"]
    assert np.abs(values).max() > 100  # in the target's own units
    results = json.loads((tmp_path / "価格" / "results.json").read_text(encoding="utf-8"))
    assert {row["column"] for row in results["importance"]} == {"身長", "都市", "点数", "判定"}


def test_predict_gives_what_the_model_gives_in_the_process(tmp_path: Path) -> None:
    file = people(tmp_path)
    assert run("train", file, "--target", "判定", "--out", tmp_path, "--name", "r", *QUICK, "--quiet").exit_code == 0
    lines = file.read_text(encoding="utf-8").splitlines()
    order = [3, 1, 0, 2]  # other columns order, without the target
    moved = "\n".join(",".join(line.split(",")[i] for i in order) for line in lines)
    (tmp_path / "moved.csv").write_text(moved, encoding="utf-8")
    result = run("predict", tmp_path / "r", tmp_path / "moved.csv", "--out", tmp_path / "a.csv")
    assert result.exit_code == 0 and "80 rows predicted" in result.stderr and result.stdout == ""
    with open(tmp_path / "a.csv", encoding="utf-8", newline="") as answers:
        head, *rows = list(csv.reader(answers))
    expected = load_model(tmp_path / "r").predict(load(file))
    assert head == ["判定", "p(合)", "p(否)"]
    assert [row[0] for row in rows] == expected.labels.tolist()
    np.testing.assert_allclose([[float(p) for p in row[1:]] for row in rows], expected.probabilities, atol=1e-6)


def test_predict_is_clear_about_columns_and_categories(tmp_path: Path) -> None:
    file = people(tmp_path)
    assert run("train", file, "--target", "価格", "--out", tmp_path, "--name", "r", *QUICK, "--quiet").exit_code == 0
    text = file.read_text(encoding="utf-8")
    (tmp_path / "city.csv").write_text(text.replace("東京", "札幌"), encoding="utf-8")
    (tmp_path / "column.csv").write_text(text.replace("都市", "都巿", 1), encoding="utf-8")
    (tmp_path / "word.csv").write_text(text.replace("\n", "\nabc", 1), encoding="utf-8")
    unknown = refused("predict", tmp_path / "r", tmp_path / "city.csv", "--out", tmp_path / "a.csv")
    assert "column '都市': expected one of 京都, 大阪, 東京, got '札幌' in row" in unknown
    assert not (tmp_path / "a.csv").exists()
    assert "expected the column '都市'" in refused("predict", tmp_path / "r", tmp_path / "column.csv")
    assert "column '身長': expected a number" in refused("predict", tmp_path / "r", tmp_path / "word.csv")
    gentle = run("predict", tmp_path / "r", tmp_path / "city.csv", "--on-unknown", "ignore")
    assert gentle.exit_code == 0 and len(gentle.stdout.splitlines()) == 81


def test_info_without_a_run_asks_for_one() -> None:
    assert "Missing argument 'RUN...'" in refused("info")


def test_predict_on_images_and_info_and_data(trained: Path) -> None:
    result = run("predict", trained / "model.safetensors", "digits")
    assert result.stdout.startswith("label,p(0),p(1)") and "accuracy on the 1797 labelled rows: 0." in result.stderr
    one = run("info", trained).stdout
    assert "finished" in one and "64-8-10 relu" in one and "626" in one
    several = run("info", trained, trained).stdout.splitlines()
    assert len(several) == 3 and several[0].split()[:3] == ["run", "status", "data"] and several[1] == several[2]
    found = json.loads(run("info", trained, "--json").stdout)
    assert found["status"] == "finished" and found["results"]["parts"]["test"]["n"] == 60
    assert "images of 1 x 8 x 8" in run("data", "digits").stdout
    assert json.loads(run("data", "digits", "--json").stdout)["rows"] == 1797


def test_data_describes_a_table(tmp_path: Path) -> None:
    shown = run("data", people(tmp_path, "cp932"), "--target", "判定", lang="ja").stdout
    assert "80 行" in shown and "3 種類: " in shown and "クラス: 合 (" in shown and "cp932" in shown


def test_json_of_training_is_one_object_on_stdout(tmp_path: Path) -> None:
    result = run("train", "curve", "--limit", "60", "--out", tmp_path, *QUICK, "--json", "--quiet")
    found: dict[str, Any] = json.loads(result.stdout)
    assert found["task"] == "regression" and found["parts"]["test"]["rmse"] > 0 and result.stderr == ""


def test_a_config_file_and_flags_that_win(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('data = "moons"\nhidden = [4]\nepochs = 2\nlimit = 60\nseed = 5\n')
    result = run("train", "--config", tmp_path / "c.toml", "--out", tmp_path, "--seed", "7", "--quiet")
    assert result.exit_code == 0, result.output
    config = json.loads((tmp_path / "moons" / "run.json").read_text())["config"]
    assert (config["hidden"], config["epochs"], config["seed"]) == ([4], 2, 7)


def test_resume_of_a_finished_run_says_so_and_takes_no_other_settings(trained: Path) -> None:
    before = {path.name: path.read_bytes() for path in trained.iterdir()}
    result = run("train", "--resume", trained)
    assert result.exit_code == 0 and "already finished" in result.stderr
    assert {path.name: path.read_bytes() for path in trained.iterdir()} == before
    assert "expected no other settings: the run keeps its own, got --lr" in refused(
        "train", "--resume", trained, "--lr", 1
    )
    assert "got DATA" in refused("train", "digits", "--resume", trained)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train"], "expected DATA: a name, a file or a folder, got nothing"),
        (["train", "digitz"], "did you mean 'digits'?"),
        (["train", "no/such.csv"], "expected a file or folder, got none of that name"),
        (["train", "digits", "--optimizer", "adamm"], "did you mean 'adam'?"),
        (["train", "digits", "--lr", "-1"], "lr: expected > 0, got -1.0"),
        (["train", "digits", "--lr", "x"], "'x' is not a valid float"),
        (["train", "digits", "--hidden", "3,x"], "expected whole numbers such as 100,100"),
        (["train", "digits", "--hiden", "3"], "No such option '--hiden'"),
        (["train", "digits", "--momentum", "0.5"], "momentum: expected an optimizer that has it, got adamw"),
        (["train", "digits", "--target", "x"], "no target column: images carry labels"),
        (["train", "moons", "--augment"], "augment: expected images, got a table"),
        (["train", "curve", "--balanced"], "balanced: expected classes, got a regression"),
        (["train", "moons", "--dev", "0", "--patience", "3"], "patience: expected a dev part, got dev = 0"),
        (["train", "digits", "--device", "tpu"], "device: expected 'cpu', 'cuda' or 'cuda:N', got 'tpu'"),
        (["train", "digits", "--dev", "0.6", "--test", "0.5"], "split"),
        (["train", "digits", "--name", "../x"], "--name: expected a name without folders"),
        (["train", "--resume", "nowhere"], "expected a run folder with run.json, got none"),
        (["trian"], "Did you mean 'train'?"),
        (["predict", "nowhere", "digits"], "no such file or folder"),
        (["info", "nowhere"], "expected a run folder with run.json"),
        (["data", "nowhere.csv"], "expected a file or folder, got none of that name"),
        (["train", "digits", "--config", "nowhere.toml"], "no such file or folder"),
    ],
)
def test_bad_input_gives_one_message_status_2_and_no_files(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in " ".join(refused(*arguments).split())
    assert list(tmp_path.iterdir()) == []


def test_a_diverged_run_is_a_failure_that_keeps_its_files(tmp_path: Path) -> None:
    message = refused(
        "train", "digits", "--out", tmp_path, *QUICK, "--lr", "1e12", "--optimizer", "sgd", "--norm", "none", status=1
    )
    assert "expected a finite loss" in message and "lower the learning rate" in message
    card = json.loads((tmp_path / "digits" / "run.json").read_text())
    assert card["status"] == "failed" and "finite loss" in card["message"]
    assert "failed" in run("info", tmp_path / "digits").stdout


@pytest.mark.parametrize("command", [(), ("train",), ("predict",), ("info",), ("data",)])
def test_help_has_an_example(command: tuple[str, ...]) -> None:
    result = run(*command, "--help")
    assert result.exit_code == 0 and "gyaku train digits" in result.stdout or f"gyaku {command[0]} " in result.stdout


def test_tables_align_japanese() -> None:
    assert table([["列", "x"], ["ab", "y"]]) == "列  x\nab  y"
    assert width("列a") == 3
