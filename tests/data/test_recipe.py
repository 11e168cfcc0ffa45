"""Recipes: the same scaling in prediction as in training, by column name; JSON that is strict; answers."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyaku.base.errors import ArgumentError, DataError, ShapeError
from gyaku.data import Recipe, Source, from_arrays, load, prepare

N = 40
TABLE: dict[str, np.ndarray] = {
    "年齢": np.where(np.arange(N) % 9 == 0, np.nan, np.arange(N) * 1.5),
    "都市": np.array(["東京", "大阪", None, "福岡"] * 10, dtype=object),
    "size": np.arange(N) % 7,
    "code": np.array(["01", "1"] * 20, dtype=object),
}
CLASSES = np.array(["はい", "いいえ"] * 20, dtype=object)


def source(target: Any = CLASSES, **changed: Any) -> Source:
    return Source("made", "memory", "0" * 64, table={**TABLE, **changed, "t": target}, target="t")


BINARY = prepare(source(), dev=0.0, test=0.0).recipe
REGRESSION = prepare(source(np.linspace(-3.0, 8.0, N)), dev=0.0, test=0.0).recipe
MANY = prepare(source(np.arange(N) % 3), dev=0.0, test=0.0).recipe
IMAGES = prepare(load("digits")).recipe


@pytest.mark.parametrize("recipe", [BINARY, REGRESSION, MANY, IMAGES])
def test_json_round_trip_is_exact(recipe: Recipe) -> None:
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe


def test_prediction_sees_what_training_saw() -> None:
    data = prepare(source())
    x = data.recipe.transform(source())
    for rows, part in ((data.rows_train, data.x_train), (data.rows_dev, data.x_dev), (data.rows_test, data.x_test)):
        np.testing.assert_array_equal(x[rows], part)
    np.testing.assert_array_equal(data.recipe.encode(CLASSES)[data.rows_test], data.t_test)
    digits = load("digits")
    shown = prepare(digits)
    assert digits.images is not None
    for raw in (digits, digits.images, digits.images[:, 0]):
        np.testing.assert_array_equal(shown.recipe.transform(raw)[shown.rows_dev], shown.x_dev)


def test_columns_by_name_in_any_order_extra_ones_ignored() -> None:
    shuffled = {"extra": np.zeros(N), **dict(reversed(TABLE.items()))}
    np.testing.assert_array_equal(BINARY.transform(shuffled), BINARY.transform(TABLE))
    lists = {name: values.tolist() for name, values in TABLE.items()}
    np.testing.assert_array_equal(BINARY.transform(lists), BINARY.transform(TABLE))


def test_features_and_groups() -> None:
    names = (
        "年齢",
        "年齢 (missing)",
        "都市=大阪",
        "都市=東京",
        "都市=福岡",
        "都市 (missing)",
        "size",
        "code=01",
        "code=1",
    )
    assert BINARY.feature_names == names and BINARY.input_shape == (9,) and BINARY.text_columns == ("都市", "code")
    assert BINARY.groups() == {"年齢": slice(0, 2), "都市": slice(2, 6), "size": slice(6, 7), "code": slice(7, 9)}
    x = BINARY.transform(TABLE)
    assert x[2, 2:6].tolist() == [1.0, 0.0, 0.0, 1.0], "a missing category: the most frequent one, and the indicator"
    assert x.dtype == np.float32 and x.flags.c_contiguous


def changed(**columns: Any) -> dict[str, np.ndarray]:
    return {**TABLE, **columns}


def cells(name: str, row: int, value: Any) -> np.ndarray:
    values = TABLE[name].astype(object)
    values[row] = value
    return values


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"都市": cells("都市", 5, "札幌")},
            "column '都市': expected one of 大阪, 東京, 福岡, got '札幌' in row 6. Hint: mend",
        ),
        ({"年齢": cells("年齢", 3, "abc")}, "column '年齢': expected a number, as in training, got 'abc' in row 4"),
        ({"size": cells("size", 3, "1_0")}, "column 'size': expected a number, as in training, got '1_0' in row 4"),
        ({"size": np.where(np.arange(N) == 7, np.nan, 1.0)}, "column 'size': expected a number in every row, as in"),
        (
            {"size": np.where(np.arange(N) == 7, np.inf, 1.0)},
            "column 'size': expected finite numbers, got inf in row 8",
        ),
        ({"年齢": np.where(np.arange(N) == 7, -np.inf, 1.0)}, "got -inf in row 8"),
        ({"size": np.where(np.arange(N) == 7, 1e300, 1.0)}, "numbers that float32 can hold, got 1e+300 in row 8"),
        (
            {"code": cells("code", 0, None)},
            "column 'code': expected a category in every row, as in training, got nothing",
        ),
        ({"code": cells("code", 0, 1.0)}, ""),
    ],
)
def test_cells_that_are_refused_by_column_row_and_value(columns: dict[str, Any], message: str) -> None:
    if not message:
        BINARY.transform(changed(**columns))
        return
    with pytest.raises(DataError) as caught:
        BINARY.transform(changed(**columns))
    assert message in str(caught.value)


def test_a_missing_column_is_named_with_its_neighbour() -> None:
    renamed = {("Size" if name == "size" else name): values for name, values in TABLE.items()}
    with pytest.raises(DataError, match="transform: expected the column 'size', got .* Hint: the table has 'Size'"):
        BINARY.transform(renamed)


def test_on_unknown_ignore() -> None:
    x = BINARY.transform(changed(都市=cells("都市", 0, "札幌"), code=cells("code", 0, None)), on_unknown="ignore")
    assert x[0, 2:6].tolist() == [0.0] * 4 and x[0, 7:].tolist() == [1.0, 0.0]
    gaps = BINARY.transform(changed(size=np.where(np.arange(N) == 7, np.nan, TABLE["size"])), on_unknown="ignore")
    filled = BINARY.transform(changed(size=np.where(np.arange(N) == 7, 3, TABLE["size"])))
    np.testing.assert_array_equal(gaps, filled)
    with pytest.raises(ArgumentError, match="'error' or 'ignore', got 'skip'"):
        BINARY.transform(TABLE, on_unknown="skip")
    with pytest.raises(DataError, match="got inf in row 1"):
        BINARY.transform(changed(size=np.full(N, np.inf)), on_unknown="ignore")


def test_tables_for_images_and_images_for_tables() -> None:
    with pytest.raises(DataError, match="transform: expected images, got a table"):
        IMAGES.transform(source())
    with pytest.raises(DataError, match="transform: expected images"):
        IMAGES.transform(TABLE)
    with pytest.raises(DataError, match="a table with named columns, got images"):
        BINARY.transform(load("digits"))
    with pytest.raises(DataError, match=r"shape \(N, 1, 8, 8\), got \(2, 1, 9, 9\). Hint: resize to 8 x 8 pixels"):
        IMAGES.transform(np.zeros((2, 1, 9, 9)))
    with pytest.raises(DataError, match="images"):
        IMAGES.transform(np.zeros((2, 9)))


def test_black_and_white_after_scaling() -> None:
    assert IMAGES.image is not None
    x = IMAGES.transform(np.stack([np.zeros((1, 8, 8)), np.full((1, 8, 8), 16.0)]))
    np.testing.assert_allclose(x[0], IMAGES.black, rtol=1e-6)
    np.testing.assert_allclose(x[1], (1.0 - IMAGES.image.mean) / IMAGES.image.std, rtol=1e-6)
    byte_source = from_arrays(np.full((1, 8, 8), 255, dtype=np.uint8))
    np.testing.assert_allclose(IMAGES.transform(byte_source), x[1:], rtol=1e-6)


def test_decode_classes() -> None:
    answers = BINARY.decode(np.array([[0.2], [0.9]]))
    assert answers.labels is not None and answers.labels.tolist() == ["いいえ", "はい"] and answers.values is None
    np.testing.assert_allclose(answers.probabilities, [[0.8, 0.2], [0.1, 0.9]])
    for same in (np.array([0.2, 0.9]), np.array([[0.8, 0.2], [0.1, 0.9]])):
        np.testing.assert_allclose(BINARY.decode(same).probabilities, answers.probabilities)
    many = MANY.decode(np.array([[0.1, 0.2, 0.7]], dtype=np.float32))
    assert many.labels is not None and many.labels.tolist() == ["2"] and MANY.n_outputs == 3
    for bad in (np.zeros((2, 3, 1)), np.zeros((2, 2)), np.zeros(3)):
        with pytest.raises(ShapeError, match=r"decode: expected probabilities of shape \(N, 3\)"):
            MANY.decode(bad)


def test_decode_undoes_the_scaling_of_the_target() -> None:
    t = np.linspace(-3.0, 8.0, N)
    scaled = REGRESSION.encode(t)
    assert scaled.shape == (N, 1) and scaled.dtype == np.float32
    values = REGRESSION.decode(scaled).values
    assert values is not None
    np.testing.assert_allclose(values, t, rtol=1e-5, atol=1e-5)
    with pytest.raises(ShapeError, match=r"outputs of shape \(N,\) or \(N, 1\)"):
        REGRESSION.decode(np.zeros((3, 2)))


def test_encode_refuses_labels_it_does_not_know() -> None:
    with pytest.raises(DataError, match="target 't': expected one of the classes いいえ, はい, got 'もし' in row 2"):
        BINARY.encode(np.array(["はい", "もし"]))
    with pytest.raises(DataError, match="got nothing in row 1"):
        REGRESSION.encode(np.array([np.nan]))
    with pytest.raises(DataError, match="expected numbers, got text"):
        REGRESSION.encode(np.array(["x"]))


# ------------------------------------------------------------------------------------------- strict JSON
GOOD = BINARY.to_json()


def with_change(path: list[Any], value: Any) -> Any:
    data: Any = copy.deepcopy(GOOD)
    place = data
    for key in path[:-1]:
        place = place[key]
    if value is KeyError:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return data


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["task"], KeyError, "recipe: expected the entry 'task', got none"),
        (["tusk"], 1, "got 'tusk'"),
        (["format"], "other", "recipe: expected gyaku-recipe version 1, got 'other' version 1"),
        (["version"], 2, "got 'gyaku-recipe' version 2. Hint: use the gyaku that wrote it"),
        (["version"], True, "recipe.version: expected a whole number, got True"),
        (["task"], "dance", "recipe.task: expected one of regression, binary, multiclass, segmentation, got 'dance'"),
        (["task"], "regression", "recipe.labels: expected labels that fit regression, got 2"),
        (["labels"], ["a", "a"], "recipe.labels: expected entries that differ, got 'a' twice"),
        (["labels"], ["a", 1], "recipe.labels[1]: expected a text, got 1"),
        (["labels"], "ab", "recipe.labels: expected a list, got 'ab'"),
        (["target_mean"], float("nan"), "recipe.target_mean: expected a finite number, got nan"),
        (["target_scale"], 0, "recipe.target_scale: expected a number above 0, got 0.0"),
        (["target_scale"], 10**400, "recipe.target_scale: expected a finite number, got a huge int"),
        (["columns"], [], "recipe: expected either columns or an image, got both or neither"),
        (["columns"], GOOD["columns"] * 2, "recipe.columns: expected entries that differ, got '年齢' twice"),
        (["columns", 0], 3, "recipe.columns[0].kind: expected 'number' or 'category', got None"),
        (["columns", 0, "kind"], "text", "recipe.columns[0].kind: expected 'number' or 'category', got 'text'"),
        (["columns", 0, "indicator"], 1, "recipe.columns[0].indicator: expected true or false, got 1"),
        (["columns", 0, "scale"], -1.0, "recipe.columns[0].scale: expected a number above 0"),
        (["columns", 1, "fill"], "?", "recipe.columns[1].fill: expected one of the categories, got '?'"),
        (["columns", 1, "categories"], [["x"]], "recipe.columns[1].categories[0]: expected a text, got a list"),
        (["image"], {"shape": [1, 8, 8], "white": 1, "mean": 0, "std": 1}, "either columns or an image"),
        (["image"], {"shape": [1, 8], "white": 1, "mean": 0, "std": 1}, "recipe.image.shape: expected [C, H, W]"),
        (["image"], {"shape": [1, 8, 2**40], "white": 1, "mean": 0, "std": 1}, "recipe.image.shape"),
        (["image"], {"shape": [1, 8, 8], "white": 0, "mean": 0, "std": 1}, "recipe.image.white"),
        (["image"], [], "recipe.image: expected an object, got list"),
    ],
)
def test_json_that_was_not_written_by_us_is_refused_with_its_place(path: list[Any], value: Any, message: str) -> None:
    with pytest.raises(DataError) as caught:
        Recipe.from_json(with_change(path, value))
    assert message in str(caught.value)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=6,
)
PLACES = [[key] for key in GOOD] + [["columns", i, key] for i, c in enumerate(GOOD["columns"]) for key in c]


@given(value=JSON, place=st.sampled_from(PLACES), whole=st.booleans())
def test_no_json_does_anything_but_load_or_be_refused(value: Any, place: list[Any], whole: bool) -> None:
    try:
        recipe = Recipe.from_json(value if whole else with_change(place, value))
        assert Recipe.from_json(recipe.to_json()) == recipe
    except DataError as error:
        assert str(error).startswith("recipe")
