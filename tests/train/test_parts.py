"""The parts of training by themselves: figures, objectives, batches, probe, model files, settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gyaku as gy
from gyaku.base.errors import DataError
from gyaku.base.files import load_arrays, save_arrays
from gyaku.data import load, prepare
from gyaku.models import ACTIVATIONS, INITS, MLP, NORMS
from gyaku.train import Config, Objective, Probe, fit, load_model, metrics, read_config, save_model, task_of
from gyaku.train.batches import Batches
from gyaku.train.examine import importance, most_wrong
from gyaku.train.modelfile import KEY
from gyaku.train.probe import look_through

# --- figures ---


def test_confusion_precision_recall_and_f1_by_hand() -> None:
    true, predicted = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 0, 1])
    confusion = metrics.confusion_matrix(predicted, true, 3)
    assert confusion.tolist() == [[2, 1, 0], [1, 1, 0], [0, 1, 0]]
    rows = metrics.per_class(confusion, "abc")
    assert rows[0] == {"label": "a", "precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3, "n": 3}
    assert rows[2] == {"label": "c", "precision": 0.0, "recall": 0.0, "f1": 0.0, "n": 1}


def test_regression_figures_by_hand() -> None:
    found = metrics.regression(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 6.0]))
    assert found["mae"] == 1.0 and found["rmse"] == pytest.approx(3**0.5) and found["r2"] == pytest.approx(1 - 9 / 14)


def test_probabilities_and_loss_of_the_three_tasks() -> None:
    logits = np.array([[0.0, np.log(3.0)]])
    np.testing.assert_allclose(Objective("multiclass").probabilities(logits), [[0.25, 0.75]])
    np.testing.assert_allclose(Objective("binary").probabilities(logits[:, 1:]), [[0.25, 0.75]])
    assert Objective("regression").probabilities(np.array([[2.0], [3.0]])).tolist() == [2.0, 3.0]
    t = gy.tensor([1])
    for task, y in (("multiclass", logits), ("binary", logits[:, 1:])):
        assert Objective(task).loss(gy.tensor(y), t).item() == pytest.approx(-np.log(0.75))
        smooth = Objective(task, label_smoothing=0.2).loss(gy.tensor(y), t).item()
        assert smooth == pytest.approx(-0.9 * np.log(0.75) - 0.1 * np.log(0.25))
    heavy = Objective("binary", class_weight=[1.0, 3.0]).loss(gy.tensor(logits[:, 1:]), t).item()
    assert heavy == pytest.approx(-3.0 * np.log(0.75))


def test_the_task_follows_from_the_target() -> None:
    assert task_of(np.array([0, 1]), 1) == "binary"
    assert task_of(np.array([0, 1]), 2) == "multiclass"
    assert task_of(np.array([[0.5]])) == "regression"


# --- batches ---


def test_every_row_comes_once_an_epoch_and_another_epoch_has_another_order() -> None:
    x = np.arange(23, dtype=np.float32)[:, None]
    batches = Batches(x, x[:, 0].astype(np.int64), 5, gy.Generator(1), augment=None, on=gy.device("cpu"))
    epochs = [np.concatenate([batches.take(e, b)[0].numpy()[:, 0] for b in range(batches.count)]) for e in (1, 2, 1)]
    assert sorted(epochs[0]) == list(range(23))
    assert epochs[0].tolist() == epochs[2].tolist() != epochs[1].tolist()


def test_a_last_batch_of_one_joins_the_one_before() -> None:
    x = np.zeros((11, 1), dtype=np.float32)
    batches = Batches(x, np.zeros(11, dtype=np.int64), 5, gy.Generator(1), augment=None, on=gy.device("cpu"))
    assert [len(batches.take(1, b)[0]) for b in range(batches.count)] == [5, 6]


# --- the probe ---


def test_the_probe_sees_values_deltas_and_dead_units() -> None:
    model = MLP(2, [2], 2)
    with gy.no_grad():
        model.affine1.weight.copy_(gy.tensor([[1.0, 0.0], [-1.0, 0.0]]))
        model.output.weight.copy_(gy.tensor([[1.0, 0.0], [0.0, 1.0]]))
    x, t = np.array([[1.0, 0.0], [3.0, 0.0]], dtype=np.float32), np.array([0, 1])
    first, last = look_through(model, x, t, Objective("multiclass"))
    assert first.values.tolist() == [[1.0, 0.0], [3.0, 0.0]] and first.activation == "ReLU"
    p = np.exp([1.0, 3.0]) / (1 + np.exp([1.0, 3.0]))
    np.testing.assert_allclose(last.delta, [[p[0] - 1, 1 - p[0]], [p[1], -p[1]]], rtol=1e-5)  # softmax minus target
    np.testing.assert_allclose(first.delta, [[p[0] - 1, 0.0], [p[1], 0.0]], rtol=1e-5)
    probe = Probe(x, t)
    fit(model, (x, t), epochs=2, lr=0.0, optimizer="sgd", callbacks=(probe,))
    row = probe.rows[0]["layers"][0]
    assert [r["epoch"] for r in probe.rows] == [0, 1, 2]
    assert row["dead"] == 0.5 and row["saturated"] is None and row["weight_norm"] == pytest.approx(2**0.5)
    assert probe.rows[2]["layers"][0]["update_ratio"] == 0.0
    assert all(p.grad is None for p in model.parameters())


# --- the network and its file ---


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_network_round_trips_through_its_description(norm: str, activation: str) -> None:
    model = MLP((1, 2, 3), [4, 3], 2, activation=activation, norm=norm, dropout=0.25)
    twin = MLP.from_architecture(json.loads(json.dumps(model.architecture())))
    twin.load_state_dict(model.state_dict())
    x = gy.Generator(0).normal((5, 1, 2, 3)).astype(np.float32)
    assert twin.eval()(gy.tensor(x)).tolist() == model.eval()(gy.tensor(x)).tolist()
    assert str(twin) == str(model)


@pytest.mark.parametrize(
    ("init", "deviation"), [("he", (2 / 400) ** 0.5), ("glorot", (2 / 700) ** 0.5), ("lecun", 0.05), ("small", 0.01)]
)
def test_initial_weights_have_the_deviation_of_their_rule(init: str, deviation: float) -> None:
    weight = np.asarray(MLP(400, [300], 2, init=init).affine1.weight.tolist())
    assert weight.std() == pytest.approx(deviation, rel=0.02)
    assert MLP(400, [300], 2, init=init).affine1.weight.tolist() == weight.tolist()
    assert set(INITS) == {"he", "glorot", "lecun", "small", "pytorch"}


def digits_model(folder: Path) -> tuple[Any, Any, Path]:
    data = prepare(load("digits"), limit=200)
    model = MLP(list(data.input_shape), [12], 10, norm="batch")
    fit(model, data, epochs=2)
    save_model(folder / "m.safetensors", model, data.recipe)
    return model, data, folder / "m.safetensors"


def test_a_model_file_predicts_as_the_model_in_memory(tmp_path: Path) -> None:
    model, data, file = digits_model(tmp_path)
    trained = load_model(file)
    source = load("digits")
    expected = gy.train.predict(model, data.recipe.transform(source))
    assert (trained.probabilities(source) == expected).all()
    assert trained.predict(source).labels[:5].tolist() == [str(i) for i in expected[:5].argmax(axis=1)]


def test_a_model_file_that_lies_is_refused(tmp_path: Path) -> None:
    _, _, file = digits_model(tmp_path)
    arrays, metadata = load_arrays(file)
    head = json.loads(metadata[KEY])

    def refused(message: str, change: Any = None, **other: Any) -> None:
        description = json.loads(metadata[KEY])
        if change:
            change(description)
        save_arrays(tmp_path / "bad.safetensors", other.get("arrays", arrays), {KEY: json.dumps(description)})
        with pytest.raises(DataError, match=message):
            load_model(tmp_path / "bad.safetensors")

    refused("expected a model written by gyaku train", lambda d: d.update(format="other"))
    refused("expected gyaku-model version 1, got version 9", lambda d: d.update(version=9))
    refused(r"affine1\.weight of shape \(2000000, 64\)", lambda d: d["architecture"].update(hidden=[2000000]))
    refused(r"architecture\.dropout: expected a float", lambda d: d["architecture"].update(dropout="x"))
    refused("architecture.*did you mean 'relu'", lambda d: d["architecture"].update(activation="relo"))
    refused(r"recipe\.task", lambda d: d["recipe"].update(task="dance"))
    refused("missing 'output.bias'", arrays={k: v for k, v in arrays.items() if k != "output.bias"})
    assert head["version"] == 1
    save_arrays(tmp_path / "weights.safetensors", arrays)
    with pytest.raises(DataError, match="bare weights are read with"):
        load_model(tmp_path / "weights.safetensors")


# --- after training ---


def test_the_most_wrong_come_first_and_importance_finds_the_column() -> None:
    g = gy.Generator(5)
    x = g.normal((300, 2))
    data = prepare(gy.data.from_arrays(x, (x[:, 1] > 0).astype(int)))
    model = MLP(2, [8], 1)
    fit(model, data, epochs=10, lr=0.02)
    ranked = importance(model, data, seed=0)
    assert ranked[0]["column"] == "x2" and ranked[0]["mean"] > 0.2 > abs(ranked[1]["mean"])
    rows, places = most_wrong(MLP(2, [8], 1), data)
    surest = [row["true_probability"] for row in rows]
    assert surest == sorted(surest) and len(rows) == len(places) <= 24
    assert all(row["true"] != row["predicted"] for row in rows)


# --- settings ---


def test_a_toml_file_gives_settings_and_dashes_are_underscores(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text('data = "digits"\nhidden = [10, 10]\nweight-decay = 0\nplain = true\n', encoding="utf-8")
    assert read_config(file) == {"data": "digits", "hidden": (10, 10), "weight_decay": 0.0, "plain": True}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed = 1\nhiden = [3]\n", r"line 2: expected a known setting .*did you mean 'hidden'\?"),
        ("[model]\nhidden = [3]\n", r"line 1: model: expected a text"),
        ('lr = "fast"\n', r"line 1: lr: expected a number, got 'fast'"),
        ("lr = 0\n", r"line 1: lr: expected > 0, got 0\.0"),
        ("dropout = 1.5\n", r"line 1: dropout: expected >= 0 and < 1, got 1\.5"),
        ("epochs = 2.5\n", r"line 1: epochs: expected a whole number, got 2\.5"),
        ("plain = 1\n", r"line 1: plain: expected true or false, got 1"),
        ("hidden = [3, 0]\n", r"line 1: hidden: expected units in 1\.\.16777215, got \[3, 0\]"),
        ("hidden = 100\n", r"line 1: hidden: expected a list of whole numbers, got 100"),
        ("\n\nlr = nan\n", r"line 3: lr: expected > 0 and finite, got nan"),
        ("optimizer = 'sdg'\n", r"line 1: optimizer: expected a known optimizer .*did you mean 'sgd'"),
        ("a = [1\n", r"expected TOML in UTF-8, got "),
    ],
)
def test_a_wrong_setting_is_named_with_its_line(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(Exception, match=message):
        read_config(file)


def test_completed_settings_complete_to_themselves() -> None:
    data = prepare(load("digits"), limit=300)
    for config in (Config(data="digits"), Config(data="digits", plain=True), Config(data="digits", optimizer="sgd")):
        complete = config.completed(data)
        assert complete.completed(data) == complete
        assert Config.from_mapping(complete.to_json()) == complete
    assert Config(optimizer="sgd").completed(data).lr == 0.1
