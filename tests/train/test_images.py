"""Convolutions and segmentation in the training path: settings, logs, results, model files, resume, masks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cli.test_commands import refused, run
from gyaku import models
from gyaku.backend.devices import CPU
from gyaku.backend.random import Generator
from gyaku.base.errors import ArgumentError, DtypeError, ShapeError, UnknownNameError
from gyaku.base.files import load_arrays
from gyaku.data import augment, load, prepare
from gyaku.doctor.runs import examine_run
from gyaku.train import Config, fit, load_model, predict, train_run
from gyaku.train.batches import Batches
from gyaku.train.metrics import intersection_over_union, mean_iou
from gyaku.train.run import prepare_data

LENET: dict[str, Any] = {"data": "digits", "model": "lenet", "limit": 120, "epochs": 2}
SCENES: dict[str, Any] = {
    "data": "scenes", "limit": 24, "size": (32, 32), "width": 2, "depth": 2, "epochs": 3, "batch": 8,
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def offline():
    patch = pytest.MonkeyPatch()
    patch.delenv("GYAKU_DATA", raising=False)
    yield
    patch.undo()


@pytest.fixture(scope="module")
def lenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a small convolutional network on the embedded digits."""
    folder = tmp_path_factory.mktemp("lenet") / "run"
    train_run(Config(**LENET), folder)
    return folder


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a small U-Net on scenes, from the command."""
    out = tmp_path_factory.mktemp("scenes")
    options = ("--limit", "24", "--size", "32x32", "--width", "2", "--depth", "2", "--epochs", "3", "--batch", "8")
    result = run("train", "scenes", "--out", out, *options)
    assert result.exit_code == 0, result.output
    assert "unet, 2-4-8 channels, batch norm" in result.output and "mean IoU" in result.output
    return out / "scenes"


def test_layers_of_convolutions_are_counted_by_channels(lenet: Path) -> None:
    row = json.loads((lenet / "stats.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    units = {layer["name"]: (layer["kind"], layer["units"]) for layer in row["layers"]}
    assert units["conv1"] == ("Conv2d", 16) and units["conv2"] == ("Conv2d", 32) and units["affine"] == ("Linear", 128)
    arrays, _ = load_arrays(lenet / "arrays.safetensors")
    assert arrays["first_weights"].shape == (16, 1, 3, 3)
    assert arrays["sample/conv2/value"].shape == arrays["sample/conv2/delta"].shape == (32, 4, 4)
    assert examine_run(lenet, steps=5, proof=False).seen["rerun"]


def test_the_doctor_reads_a_segmentation(scenes: Path) -> None:
    verdict = examine_run(scenes, steps=5, proof=False)
    assert verdict.seen["rerun"] and not {"imbalance", "label_noise"} & {f.key for f in verdict.findings}


def test_a_sweep_compares_models(tmp_path: Path) -> None:
    options = ("--model", "mlp,lenet", "--limit", "100", "--epochs", "1", "--name", "s")
    result = run("sweep", "digits", "--out", tmp_path, *options)
    assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / "s" / "summary.json").read_text(encoding="utf-8"))["rows"]
    assert sorted(row["settings"]["model"] for row in rows) == ["lenet", "mlp"]


def test_dead_channels_are_those_that_are_zero_everywhere() -> None:
    from gyaku.train.probe import dead_share

    values = np.ones((3, 4, 2, 2))
    values[:, 1] = 0.0
    values[0, 2] = 0.0
    values[:, 3, 0] = 0.0
    assert dead_share(values) == 0.25 and dead_share(values[:, :, 0, 0]) == 0.5


def test_a_model_file_brings_its_network_back(lenet: Path) -> None:
    trained = load_model(lenet)
    assert isinstance(trained.model, models.LeNet) and trained.model.architecture()["dense"] == 128
    data = prepare_data(Config(**LENET))
    right = (predict(trained.model, data.x_test).argmax(axis=1) == data.t_test).mean()
    results = json.loads((lenet / "results.json").read_text(encoding="utf-8"))
    assert right == results["parts"]["test"]["accuracy"]
    answer = run("info", lenet)
    assert "lenet, 16-32 channels" in answer.output
    answer = run("predict", lenet, "digits", "--json")
    assert len(json.loads(answer.stdout)["labels"]) == 1797


def test_a_resumed_run_ends_with_the_same_bits(lenet: Path, tmp_path: Path) -> None:
    class Save:
        def on_epoch_start(self, loop: Any) -> None:
            if loop.epoch == 2:
                loop._save()
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_run(Config(**LENET), tmp_path / "run", callbacks=(Save(),))
    train_run(Config(**LENET), tmp_path / "run", resume=True)
    whole, again = (load_arrays(folder / "model.safetensors")[0] for folder in (lenet, tmp_path / "run"))
    assert all((whole[name] == again[name]).all() for name in whole)


def test_scenes_are_judged_by_intersection_over_union(scenes: Path) -> None:
    results = json.loads((scenes / "results.json").read_text(encoding="utf-8"))
    assert results["task"] == "segmentation" and results["metric"] == "iou"
    test = results["parts"]["test"]
    confusion = np.array(test["confusion"])
    assert confusion.sum() == test["pixels"] == 4 * 32 * 32 and test["n"] == 4
    assert test["iou"] == pytest.approx(mean_iou(confusion))
    assert [row["label"] for row in test["per_class"]][:2] == ["ground", "0"]
    assert set(results["baselines"]) == {"majority", "linear"}
    ground = np.array(confusion.sum(axis=1))[0] / confusion.sum()
    assert results["baselines"]["majority"]["test"]["accuracy"] == pytest.approx(ground)
    rows = [json.loads(line) for line in (scenes / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert set(rows[0]) >= {"train_loss", "train_accuracy", "dev_loss", "dev_accuracy", "dev_iou"}
    assert results["best_epoch"] == 1 + max(range(3), key=lambda i: (rows[i]["dev_iou"], -rows[i]["dev_loss"]))
    arrays, _ = load_arrays(scenes / "arrays.safetensors")
    assert arrays["segments/true"].shape == arrays["segments/predicted"].shape == (4, 32, 32)


def test_intersection_over_union_by_hand() -> None:
    confusion = np.array([[6, 2, 0], [1, 3, 0], [0, 0, 0]])
    found = intersection_over_union(confusion)
    assert found[:2].tolist() == [6 / 9, 3 / 6] and np.isnan(found[2])
    assert mean_iou(confusion) == pytest.approx((6 / 9 + 3 / 6) / 2)


@pytest.mark.parametrize(("lang", "words"), [("en", "Pictures, pixel by pixel"), ("ja", "画素ごとの結果")])
def test_the_report_shows_input_truth_answer_and_errors(scenes: Path, lenet: Path, lang: str, words: str) -> None:
    from gyaku.report import write_report

    page = write_report(scenes, lang).read_text(encoding="utf-8")
    assert words in page and page.count('<div class="four">') == 4 and "IoU" in page
    assert page.count("background:#") >= 11
    page = write_report(lenet, lang).read_text(encoding="utf-8")
    assert page.count('class="wide"') == 2 and words not in page


def test_predict_writes_masks_in_the_size_of_the_pictures_and_over_nothing(scenes: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name, size in (("a", (50, 40)), ("b", (32, 32))):
        pixels = Generator(1).integers(0, 256, size).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "in" / f"{name}.png")
    result = run("predict", scenes, tmp_path / "in", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    with Image.open(tmp_path / "out" / "a.png") as mask:
        assert mask.mode == "P" and mask.size == (40, 50) and np.array(mask).max() < 11
    before = (tmp_path / "out" / "a.png").read_bytes()
    assert "a.png" in refused("predict", scenes, tmp_path / "in", "--out", tmp_path / "out")
    assert (tmp_path / "out" / "a.png").read_bytes() == before
    assert "--out FOLDER" in refused("predict", scenes, tmp_path / "in")
    (tmp_path / "file").write_text("x", encoding="utf-8")
    assert "a folder for the masks" in refused("predict", scenes, tmp_path / "in", "--out", tmp_path / "file")
    counts = json.loads(run("predict", scenes, tmp_path / "in", "--json").stdout)
    assert [sum(p["pixels"].values()) for p in counts["pictures"]] == [1024, 1024]


def test_a_folder_of_images_and_masks_is_trained_and_scored(tmp_path: Path) -> None:
    for i in range(12):
        mask = np.zeros((16, 16), dtype=np.uint8)
        mask[4 : 8 + i % 4, 3 : 9 + i % 5] = 255
        for kind, values in (("images", np.where(mask, 220, 30 + i)), ("masks", mask)):
            (tmp_path / "set" / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(values.astype(np.uint8)).save(tmp_path / "set" / kind / f"{i}.png")
    options = ("--epochs", "20", "--batch", "4", "--width", "2", "--depth", "1", "--no-augment", "--lr", "0.05")
    result = run("train", tmp_path / "set", "--out", tmp_path, "--name", "r", *options)
    assert result.exit_code == 0, result.output
    results = json.loads((tmp_path / "r" / "results.json").read_text(encoding="utf-8"))
    assert results["parts"]["test"]["iou"] > 0.9 > results["baselines"]["majority"]["test"]["iou"]
    result = run("predict", tmp_path / "r", tmp_path / "set", "--out", tmp_path / "out")
    assert "on the 12 pictures with masks" in result.output and len(list((tmp_path / "out").iterdir())) == 12


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "resnet9"}, "6n\\+2"),
        ({"model": "lenett"}, "did you mean 'lenet'"),
        ({"model": "resnet8", "block": "bottle"}, "did you mean 'bottleneck'"),
        ({"data": "moons", "model": "lenet"}, "convolutions want images"),
        ({"model": "unet"}, "one answer a sample"),
        ({"data": "scenes", "limit": 10, "size": (32, 32), "model": "lenet"}, "answers every pixel"),
        ({"data": "scenes", "limit": 10, "size": (32, 32), "depth": 6}, "at least 64 x 64"),
        ({"model": "resnet8", "hidden": (3,)}, "a model that has it .mlp, lenet."),
        ({"model": "plain8", "skips": True}, "resnet8"),
        ({"model": "lenet", "hidden": (3, 4)}, "one number"),
        ({"model": "lenet", "norm": "layer"}, "none or batch"),
        ({"model": "lenet", "plain": True}, "the lecture's net"),
        ({"model": "mymnistnet"}, "1, 28, 28"),
        ({"augment": False, "flip": True}, "augmentation"),
    ],
)
def test_settings_that_do_not_go_together_are_refused_in_words(settings: dict[str, Any], message: str) -> None:
    with pytest.raises((ArgumentError, UnknownNameError), match=message):
        config = Config(**({"data": "digits", "limit": 60} | settings))
        config.completed(prepare_data(config))


def test_defaults_follow_from_the_model() -> None:
    data = prepare(load("digits"))
    config = Config(data="digits", model="plain8").completed(data)
    assert (config.skips, config.width, config.norm, config.schedule) == (False, 16, None, "onecycle")
    assert Config(data="digits").completed(data).model == "mlp"
    big = Config(data="digits", model="resnet8", rotate=10.0, zoom=0.1).completed(data)
    assert big.augment and not big.flip


def _segments(n: int = 12) -> tuple[np.ndarray, np.ndarray]:
    t = np.zeros((n, 8, 8), dtype=np.int64)
    t[:, 2:6, 2:5] = 1
    return (t[:, None] + 0.1 * Generator(0).normal((n, 1, 8, 8))).astype(np.float32), t


def test_augmented_batches_are_the_same_by_run_and_in_one_call() -> None:
    x, t = _segments()
    change = augment.compose(augment.shift(1), augment.rotate(20.0), augment.flip(), augment.cutout(2))
    batches = Batches(x, t, 4, Generator(3), augment=change, on=CPU)
    many_x, many_t, rows = batches.take_many(2, 0, 3)
    for step in range(3):
        one_x, one_t = batches.take(2, step)
        np.testing.assert_array_equal(one_x.numpy(), many_x[rows[step]])
        np.testing.assert_array_equal(one_t.numpy(), many_t[rows[step]])
    assert not np.array_equal(many_t, t[batches.order(2)])


@pytest.mark.parametrize("name", ["unet", "resnet8", "lenet"])
def test_machine_code_trains_as_definition_by_run_does(name: str) -> None:
    x, t = _segments(18)
    labels = t[:, 3, 3] * (np.arange(18) % 2)
    make = {
        "unet": lambda: (models.UNet((1, 8, 8), 2, depth=2, width=2, seed=1), t),
        "resnet8": lambda: (models.ResNet((1, 8, 8), 2, depth=8, width=2, seed=1), labels),
        "lenet": lambda: (models.LeNet((1, 8, 8), 2, dense=4, seed=1), labels),
    }[name]
    found = []
    for compile in (False, True):
        model, target = make()
        options: dict[str, Any] = {"augment": augment.shift(1), "optimizer": "sgd", "lr": 0.05, "clip_norm": 1.0}
        history = fit(model, (x, target), epochs=2, batch_size=6, compile=compile, **options)
        assert (history.by_run == "") == compile, history.by_run
        found.append((history["train_loss"], history["train_accuracy"], model))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-3)
    np.testing.assert_allclose(found[0][1], found[1][1], atol=0.02)


def test_fit_takes_classes_of_pixels_and_says_what_does_not_fit() -> None:
    x, t = _segments()
    model = models.UNet((1, 8, 8), 2, depth=1, width=4)
    history = fit(model, (x, t), dev=(x, t), epochs=25, batch_size=4, lr=0.03, class_weight="balanced")
    assert history["dev_iou"][-1] > 0.8 and predict(model, x).shape == (12, 2, 8, 8)
    with pytest.raises(ShapeError, match="outputs .N, K, 8, 8."):
        fit(models.LeNet((1, 8, 8), 2), (x, t))
    with pytest.raises(ArgumentError, match=r"classes in 0\.\.1, got 2 in row 3"):
        wrong = t.copy()
        wrong[3, 1, 1] = 2
        fit(model, (x, wrong))
    with pytest.raises(DtypeError, match="Augmentation"):
        fit(model, (x, t), augment=lambda x, generator: x)
