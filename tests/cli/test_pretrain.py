"""``gyaku pretrain`` and ``gyaku train --init-from``: what they write, carry over, refuse."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.cli.test_commands import people, refused, run

from gyaku.data import load, prepare
from gyaku.train import load_model, load_pretrained
from gyaku.train.initial import read_initial
from gyaku.train.pretrain_config import MODELS

QUICK = ("--limit", "200", "--epochs", "2", "--threads", "1")
DEEP = {"rbm": "6", "dbn": "6,4", "dbm": "6,4", "sae": "6,4"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pre-training of each kind, made once."""
    folder = tmp_path_factory.mktemp("runs")
    for model in MODELS:
        more = ("--joint", "2") if model in ("dbm", "dbn") else ()
        result = run("pretrain", model, "digits", "--out", folder, "--hidden", DEEP[model], *more, *QUICK)
        assert result.exit_code == 0 and result.stdout == "", result.output
    return folder


@pytest.mark.parametrize("model", MODELS)
def test_a_folder_holds_model_log_results_and_report(runs: Path, model: str) -> None:
    folder = runs / f"digits-{model}"
    names = ["arrays.safetensors", "metrics.jsonl", "model.safetensors", "report.html", "results.json", "run.json"]
    assert sorted(p.name for p in folder.iterdir()) == names
    card = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert card["status"] == "finished" and card["model"]["kind"] == model and card["config"]["hidden"]
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    layers = len(card["config"]["hidden"])
    joint = 2 if model in ("dbm", "dbn") else 0
    assert [row["epoch"] for row in rows] == list(range(1, 2 * layers + joint + 1))
    assert [row["stage"] for row in rows] == sorted(row["stage"] for row in rows if row["stage"] != "joint") + (
        ["joint"] * joint
    )
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert set(results["parts"]) == {"train", "dev", "test"} and results["baselines"]["mean"]["test"] > 0
    assert (results["likelihood"] is not None) == (model in ("rbm", "dbm"))
    assert [row["name"] for row in results["deltas"]] == [f"affine{i + 1}" for i in range(layers)] + ["output"]
    found = load_pretrained(folder)
    x = prepare(load("digits"), standardize=False, limit=200).x_test
    assert float(np.square(found.reconstruct(x) - x).mean()) == pytest.approx(results["parts"]["test"]["error"])


def test_the_same_command_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        run("pretrain", "dbm", "digits", "--hidden", "5,3", "--joint", "1", "--name", name, "--out", tmp_path, *QUICK)
    for file in ("model.safetensors", "metrics.jsonl", "arrays.safetensors"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


@pytest.mark.parametrize("model", MODELS)
def test_training_begins_with_the_layers_and_their_scaling(runs: Path, model: str, tmp_path: Path) -> None:
    source = runs / f"digits-{model}"
    result = run(
        "train", "digits", "--init-from", source, "--epochs", "1", "--lr", "1e-12", "--out", tmp_path, "--no-doctor",
        "--limit", "200", "--threads", "1", "--json", "--quiet",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    trained, before = load_model(tmp_path / "digits"), read_initial(source)
    state = trained.model.state_dict()
    for name, array in before.arrays.items():
        np.testing.assert_allclose(state[name].numpy(), array, atol=1e-6)
    assert trained.recipe.image == load_pretrained(source).recipe.image and trained.recipe.image.std == 1.0
    d = trained.model.architecture()
    assert ",".join(map(str, d["hidden"])) == DEEP[model] and (d["activation"], d["norm"]) == ("sigmoid", "none")
    assert "split otherwise" not in result.stderr


def test_training_begins_with_the_layers_of_another_training_too(tmp_path: Path) -> None:
    quick = ("--limit", "200", "--epochs", "2", "--threads", "1", "--no-doctor", "--quiet", "--out", tmp_path)
    assert run("train", "digits", "--hidden", "7", "--name", "a", *quick).exit_code == 0
    second = run(
        "train", "digits", "--init-from", tmp_path / "a", "--name", "b", "--seed", "3", "--lr", "1e-12", *quick
    )
    assert second.exit_code == 0, second.output
    a, b = (load_model(tmp_path / name).model for name in "ab")
    np.testing.assert_allclose(a.affine1.weight.detach().numpy(), b.affine1.weight.detach().numpy(), atol=1e-6)
    assert b.architecture() == a.architecture() and a.architecture()["norm"] == "batch"
    assert not np.allclose(a.output.weight.detach().numpy(), b.output.weight.detach().numpy())


def test_rows_that_were_seen_without_labels_are_said(runs: Path, tmp_path: Path) -> None:
    result = run(
        "train", "digits", "--init-from", runs / "digits-rbm", "--epochs", "1", "--seed", "5", "--limit", "100",
        "--out", tmp_path, "--no-doctor",
    )  # fmt: skip
    assert result.exit_code == 0 and "the run of --init-from was split otherwise" in result.stderr


def test_a_run_from_layers_resumes_to_the_same_bits(runs: Path, tmp_path: Path) -> None:
    quick = ("--init-from", runs / "digits-sae", "--limit", "200", "--epochs", "3", "--no-doctor", "--out", tmp_path)
    assert run("train", "digits", *quick, "--name", "a").exit_code == 0
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    card = json.loads((tmp_path / "b" / "run.json").read_text(encoding="utf-8"))
    (tmp_path / "b" / "run.json").write_text(json.dumps(card | {"status": "interrupted"}), encoding="utf-8")
    assert run("train", "--resume", tmp_path / "b").exit_code == 0
    assert (tmp_path / "a" / "model.safetensors").read_bytes() == (tmp_path / "b" / "model.safetensors").read_bytes()


def test_what_is_left_out_stands_in_a_toml_file_and_in_json(tmp_path: Path) -> None:
    file = tmp_path / "layers.toml"
    file.write_text('hidden = [5]\nepochs = 1\nlimit = 120\nrule = "cd"\nweight-decay = 0.001\n')
    result = run("pretrain", "rbm", "digits", "--config", file, "--out", tmp_path, "--name", "x", "--json", "--quiet")
    assert result.exit_code == 0 and result.stderr == ""
    answer = json.loads(result.stdout)
    assert answer["kind"] == "rbm" and answer["run"] == str(tmp_path / "x")
    config = json.loads((tmp_path / "x" / "run.json").read_text())["config"]
    assert (config["rule"], config["weight_decay"], config["hidden"]) == ("cd", 0.001, [5])
    file.write_text("hiden = [5]\n")
    assert "did you mean 'hidden'" in refused("pretrain", "rbm", "digits", "--config", file)


def test_info_shows_it_and_predict_and_resume_say_what_it_is(runs: Path) -> None:
    folder = runs / "digits-dbm"
    shown = run("info", folder)
    assert shown.exit_code == 0 and "deep Boltzmann machine 64-6-4" in shown.stdout
    assert f"gyaku train digits --init-from {folder}" in shown.stdout
    assert "深層ボルツマンマシン" in run("info", folder, lang="ja").stdout
    assert json.loads(run("info", folder, "--json").stdout)["model"]["kind"] == "dbm"
    assert f"gyaku info {folder} alone shows it" in refused("info", folder, folder)
    assert "got a pre-trained dbm. Hint: " in refused("predict", folder, "digits")
    assert "expected a run of gyaku train, got one of gyaku pretrain" in refused("train", "--resume", folder)
    assert "a pre-training is not resumed" in refused("pretrain", "dbm", "digits", "--resume", folder)
    assert "got one of gyaku pretrain" in refused("info", folder, folder)


def test_an_existing_run_is_never_overwritten_silently(tmp_path: Path) -> None:
    quick = ("pretrain", "rbm", "digits", "--hidden", "4", "--out", tmp_path, "--limit", "120", "--epochs", "1")
    assert run(*quick).exit_code == 0
    again = run(*quick)
    assert again.exit_code == 0 and "digits-rbm-2" in again.stderr
    assert "got a run that exists" in refused(*quick, "--name", "digits-rbm")
    assert run(*quick, "--name", "digits-rbm", "--force").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rbn", "digits"), "did you mean 'rbm'"),
        (("rbm",), "DATA: a name, a file or a folder, got nothing"),
        (("rbm", "digits", "--hidden", "5,4"), "one hidden layer for an rbm"),
        (("rbm", "digits", "--hidden", "none"), "at least one layer"),
        (("rbm", "digits", "--tied"), "one of the models sae, got rbm"),
        (("sae", "digits", "--rule", "cd"), "one of the models rbm, dbn, got sae"),
        (("dbm", "digits", "--visible", "gaussian"), "bernoulli units for a dbm"),
        (("rbm", "digits", "--rule", "cdd"), "did you mean 'cd'"),
        (("sae", "digits", "--corruption", "mask"), "did you mean 'masking'"),
        (("rbm", "digits", "--lr", "0"), "lr: expected > 0"),
        (("rbm", "moons"), "values in [0, 1] for Bernoulli units"),
        (("sae", "moons"), "--visible gaussian takes any values"),
        (("rbm", "digits", "--limit", "1"), "expected"),
        (("rbm", "nothing-here"), "nothing-here"),
    ],
)
def test_bad_input_gives_one_message_and_no_folder(
    arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in refused("pretrain", *arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_table_is_taken_as_numbers_standardised_and_categories_are_refused(tmp_path: Path) -> None:
    table = people(tmp_path)
    said = refused("pretrain", "rbm", table, "--target", "価格", "--visible", "gaussian", "--out", tmp_path / "runs")
    assert "expected columns of numbers, got categories in 都市" in said and not (tmp_path / "runs").exists()
    numbers = tmp_path / "numbers.csv"
    rows = [line.split(",") for line in table.read_text(encoding="utf-8").splitlines()]
    numbers.write_text("\n".join(f"{r[0]},{r[3]},{r[4]}" for r in rows), encoding="utf-8")
    common = ("--out", tmp_path, "--epochs", "2", "--quiet")
    for model in ("rbm", "sae"):
        given = (numbers, "--target", "判定", "--visible", "gaussian", "--hidden", "3", "--name", model)
        assert run("pretrain", model, *given, *common).exit_code == 0
        tuned = ("--init-from", tmp_path / model, "--name", f"t-{model}", "--no-doctor")
        assert run("train", numbers, "--target", "判定", *tuned, *common).exit_code == 0
    said = refused("train", numbers, "--target", "価格", "--init-from", tmp_path / "rbm", *common)
    assert "a target that is none of the inputs, got '価格'" in said


def test_info_of_all_runs_leaves_out_pretraining_and_says_so(runs: Path, tmp_path: Path) -> None:
    quick = ("--limit", "60", "--epochs", "1", "--no-doctor", "--quiet", "--out", tmp_path)
    assert run("train", "digits", "--name", "a", *quick).exit_code == 0
    assert run("train", "digits", "--name", "b", *quick).exit_code == 0
    shown = run("info", runs / "digits-dbm", tmp_path / "a", tmp_path / "b")
    assert shown.exit_code == 0 and str(tmp_path / "b") in shown.stdout and "digits-dbm" not in shown.stdout
    assert f"left out {runs / 'digits-dbm'}, a pre-training" in shown.stderr


def test_layers_that_do_not_fit_are_refused_in_words(runs: Path, tmp_path: Path) -> None:
    common = ("--out", tmp_path / "new", "--quiet")
    from_dbm = ("--init-from", runs / "digits-dbm", *common)
    assert "hidden: expected 6,4, as in --init-from" in refused("train", "digits", "--hidden", "9", *from_dbm)
    assert "activation: expected sigmoid" in refused("train", "digits", "--activation", "relu", *from_dbm)
    assert "expected images, got table" in refused("train", "moons", *from_dbm)
    said = refused("train", "digits", "--model", "lenet", *from_dbm)
    assert "model: expected mlp, as in --init-from" in said and "got lenet. Hint: leave --model out" in said
    np.savez(tmp_path / "small.npz", x=np.zeros((40, 4, 4), np.uint8), t=np.arange(40) % 2)
    said = refused("train", tmp_path / "small.npz", *from_dbm)
    assert "images of 1x8x8 (channels, height, width), got 1x4x4. Hint: resize them to 8x8" in said
    assert "a run folder with model.safetensors, got none" in refused(
        "train", "digits", "--init-from", tmp_path, *common
    )
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("damage", ["cut", "text", "nan", "shape"])
def test_a_damaged_model_file_is_named(runs: Path, damage: str, tmp_path: Path) -> None:
    from gyaku.base.files import load_arrays, save_arrays

    folder = tmp_path / "run"
    shutil.copytree(runs / "digits-dbm", folder)
    file = folder / "model.safetensors"
    arrays, metadata = load_arrays(file)
    changes: dict[str, Any] = {"nan": arrays["W1"] * np.float32("nan"), "shape": arrays["W1"][:5]}
    if damage in changes:
        save_arrays(file, arrays | {"W1": changes[damage]}, metadata)
    else:
        file.write_bytes(file.read_bytes()[:-7] if damage == "cut" else b"hello")
    said = refused("train", "digits", "--init-from", folder, "--out", tmp_path / "new")
    assert "model.safetensors" in said and not (tmp_path / "new").exists()


def test_weights_that_run_away_end_the_run_with_the_remedy(tmp_path: Path) -> None:
    said = run("pretrain", "rbm", "digits", "--lr", "500", "--out", tmp_path, *QUICK)
    assert said.exit_code == 1 and "lower the learning rate" in said.stderr and "Traceback" not in said.stderr
    card = json.loads((tmp_path / "digits-rbm" / "run.json").read_text())
    assert card["status"] == "failed" and not (tmp_path / "digits-rbm" / "model.safetensors").exists()
    shown = run("info", tmp_path / "digits-rbm")
    assert shown.exit_code == 0 and "failed" in shown.stdout
