"""Scenes of digits, and folders of images with masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gyaku.base.errors import ArgumentError, DataError, GyakuError
from gyaku.base.png import class_colours, painted, png
from gyaku.data import Recipe, describe, load, prepare, read_pairs, scenes
from gyaku.data.scenes import SCENE_CLASSES, Glyphs, load_scenes


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.delenv("GYAKU_DATA", raising=False)


def bars():
    """Return glyphs that are full rectangles, labels 3 and 7."""
    images = np.zeros((2, 8, 8), dtype=np.uint8)
    images[:, 1:7, 2:6] = 200
    return Glyphs(images, np.array([3, 7]), 200.0, "bars")


def test_a_scene_is_a_function_of_seed_and_number():
    x, masks = scenes(6, bars(), size=(48, 40), seed=5)
    again = scenes(3, bars(), size=(48, 40), seed=5)
    assert x.shape == (6, 1, 48, 40) and masks.shape == (6, 48, 40)
    assert x.dtype == masks.dtype == np.uint8
    assert (x[:3] == again[0]).all() and (masks[:3] == again[1]).all()
    assert (scenes(3, bars(), size=(48, 40), seed=6)[0] != again[0]).any()
    assert len({image.tobytes() for image in x}) == 6
    assert set(np.unique(masks)) == {0, 4, 8}  # 1 + digit


def test_ink_and_ground_differ_in_brightness_where_the_mask_says_digit():
    x, masks = scenes(20, bars(), seed=1)
    for image, mask in zip(x[:, 0] / 255.0, masks, strict=True):
        for digit in set(np.unique(mask)) - {0}:
            spot = mask == digit
            around = np.pad(spot, 2)[2:-2, 2:-2]
            near = np.zeros_like(spot)
            for shift in (-3, 3):
                near |= np.roll(around, shift, 0) | np.roll(around, shift, 1)
            assert abs(image[spot].mean() - image[near & (mask == 0)].mean()) > 0.1


def test_scenes_from_embedded_digits_need_nothing_else(offline):
    source = load("scenes", n=10, size=(32, 32))
    assert source.images.shape == (10, 1, 32, 32) and len(source.test) == 2
    assert source.label_names == SCENE_CLASSES and "embedded" in source.origin
    assert any("GYAKU_DATA" in note for note in source.notes)
    again = load("scenes", n=10, size=(32, 32))
    assert again.digest == source.digest != load("scenes", n=10, size=(32, 32), seed=1).digest


def test_scenes_use_the_four_files_of_mnist_where_they_are(tmp_path, monkeypatch):
    from gyaku.data import write_idx

    box = np.zeros((4, 28, 28), dtype=np.uint8)
    box[:, 4:24, 8:20] = 255
    for part, labels in (("train", [1, 1, 1, 1]), ("t10k", [2, 2, 2, 2])):
        write_idx(tmp_path / f"{part}-images-idx3-ubyte", box)
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte", np.array(labels, dtype=np.uint8))
    source = load_scenes(n=5, folder=tmp_path)
    assert set(np.unique(source.masks)) == {0, 2} and set(np.unique(source.test.masks)) == {0, 3}
    monkeypatch.setenv("GYAKU_DATA", str(tmp_path))
    assert load_scenes(n=5).digest == source.digest


@pytest.mark.parametrize(("n", "size"), [(0, (64, 64)), (3, (15, 64))])
def test_scenes_refuse_what_cannot_be(n, size):
    with pytest.raises(ArgumentError, match="sides of at least 16"):
        scenes(n, bars(), size=size)


def test_scenes_are_prepared_with_a_class_for_every_pixel(offline):
    data = prepare(load("scenes", n=20, size=(32, 32)))
    assert data.kind == "segmentation" and data.n_classes == 11 and data.official_test
    assert data.t_train.shape == (len(data.x_train), 32, 32) and data.t_train.dtype == np.int64
    assert data.sizes == {"train": 18, "dev": 2, "test": 4} and data.recipe.n_outputs == 11
    recipe = Recipe.from_json(data.recipe.to_json())
    assert recipe == data.recipe
    logits = np.zeros((1, 11, 32, 32))
    logits[0, 4, 3, 5] = 1.0
    masks = recipe.decode(logits).masks
    assert masks.sum() == 4 and masks[0, 3, 5] == 4
    with pytest.raises(GyakuError, match="masks"):
        recipe.encode(np.zeros((1, 31, 32), np.uint8))
    with pytest.raises(DataError, match=r"classes 0\.\.10"):
        recipe.encode(np.full((1, 32, 32), 11))


def test_tasks_and_masks_must_agree(offline):
    with pytest.raises(ArgumentError, match="segmentation"):
        prepare(load("scenes", n=20, size=(32, 32)), task="multiclass")
    with pytest.raises(ArgumentError, match="masks"):
        prepare(load("digits"), task="segmentation")


def save(path: Path, values, mode: str | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(values, dtype=np.uint8))
    if mode == "P":
        image.putpalette([c for colour in class_colours(256) for c in colour])
    (image.convert(mode) if mode and mode != "P" else image).save(path)


def pairs(folder: Path, n: int = 6, values=(0, 255)) -> Path:
    for i in range(n):
        mask = np.full((6, 8), values[0])
        mask[1:4, i % 4 : i % 4 + 3] = values[1 + i % (len(values) - 1)]
        save(folder / "images" / f"{i}.png", np.where(mask == values[0], 40, 200))
        save(folder / "masks" / f"{i}.png", mask)
    return folder


def test_a_folder_of_images_and_masks_is_read(tmp_path):
    source = load(pairs(tmp_path / "set"))
    assert source.images.shape == (6, 1, 6, 8) and source.label_names == ("ground", "object")
    assert (source.masks[0][1:4, 0:3] == 1).all() and source.masks[0].sum() == 9
    assert source.row_names[:2] == ("0.png", "1.png") and len(source.digest) == 64
    facts = describe(source)
    assert facts["classes"] == {"ground": 6 * 48 - 54, "object": 54} and facts["counted"] == "pixels"
    assert prepare(source).kind == "segmentation"


def test_values_palettes_and_names_of_classes(tmp_path):
    folder = pairs(tmp_path, values=(0, 3, 9))
    assert load(folder).label_names == ("0", "3", "9")
    assert set(np.unique(load(folder).masks)) == {0, 1, 2}
    (folder / "classes.txt").write_text("0 ground\n3 cat\n9 dog\n12 cow\n", encoding="utf-8")
    named = load(folder)
    assert named.label_names == ("ground", "cat", "dog", "cow") and set(np.unique(named.masks)) == {0, 1, 2}
    (folder / "classes.txt").write_text("ground\ncat\ndog\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"values 0, 1, 2, got 3 in row 2, column 1"):
        load(folder)
    palette = tmp_path / "p"
    save(palette / "images" / "a.png", np.zeros((4, 4)))
    save(palette / "masks" / "a.png", [[0, 1, 2, 0]] * 4, "P")
    assert load(palette).masks[0, 0].tolist() == [0, 1, 2, 0]


def test_train_and_test_folders_share_their_classes(tmp_path):
    pairs(tmp_path / "train", values=(0, 3, 9))
    pairs(tmp_path / "test", 2, values=(0, 9))
    source = load(tmp_path)
    assert source.label_names == ("0", "3", "9") == source.test.label_names
    assert set(np.unique(source.test.masks)) == {0, 2}


def test_resizing_keeps_classes_exact(tmp_path):
    source = load(pairs(tmp_path, values=(0, 3, 9)), size=(12, 16))
    assert source.images.shape == (6, 1, 12, 16) and set(np.unique(source.masks)) == {0, 1, 2}


def _lonely(folder):
    (folder / "masks" / "3.png").unlink()


def _spare(folder):
    (folder / "images" / "3.png").unlink()


def _jpeg(folder):
    Image.open(folder / "masks" / "3.png").save(folder / "masks" / "3.jpg")
    (folder / "masks" / "3.png").unlink()


def _colours(folder):
    save(folder / "masks" / "3.png", np.zeros((6, 8, 3)))


def _small(folder):
    save(folder / "masks" / "3.png", np.zeros((5, 8)))


def _broken(folder):
    (folder / "masks" / "3.png").write_bytes((folder / "masks" / "3.png").read_bytes()[:40])


def _one(folder):
    for path in (folder / "masks").iterdir():
        save(path, np.zeros((6, 8)))


def _twice(folder):
    (folder / "classes.txt").write_text("a\na\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (_lonely, r"masks/3\.png for images/3\.png"),
        (_spare, r"an image for masks/3\.png"),
        (_jpeg, r"3\.jpg.*save masks as PNG"),
        (_colours, r"masks/3\.png.*colours \(mode RGB\)"),
        (_small, r"\(6, 8\), the size of 3\.png, got \(5, 8\)"),
        (_broken, r"masks/3\.png.*a whole image"),
        (_one, "at least two classes"),
        (_twice, r"classes\.txt.*'a' twice"),
    ],
)
def test_a_damaged_folder_is_refused_with_the_name_of_the_file(tmp_path, harm, message):
    harm(pairs(tmp_path))
    with pytest.raises(DataError, match=message):
        read_pairs(tmp_path)


def test_png_files_are_read_back_by_others(tmp_path):
    classes = np.arange(12, dtype=np.uint8).reshape(3, 4)
    (tmp_path / "p.png").write_bytes(png(classes, class_colours(12)))
    with Image.open(tmp_path / "p.png") as image:
        assert image.mode == "P" and (np.array(image) == classes).all()
        assert (np.array(image.convert("RGB")) == painted(classes, 12)).all()
    assert len(set(class_colours(256))) == 256
