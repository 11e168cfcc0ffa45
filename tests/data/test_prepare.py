"""Splits, the kind of task, what is fitted on train only, and what is refused or noted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyaku.backend.random import Generator
from gyaku.base.errors import ArgumentError, DataError, UnknownNameError
from gyaku.data import Source, from_arrays, load, prepare
from gyaku.data.split import Split, split_groups, split_random, split_stratified, split_time
from gyaku.data.target import decide


def table(target: str | None = "t", **columns: Any) -> Source:
    return Source("made", "memory", "0" * 64, table={k: column(v) for k, v in columns.items()}, target=target)


def column(values: Any) -> np.ndarray:
    array = np.asarray(values)
    return array.astype(object) if array.dtype.kind in "UO" else array


def assert_whole(split: Split, n: int) -> None:
    np.testing.assert_array_equal(np.sort(np.concatenate(split)), np.arange(n))
    assert all((np.diff(part) > 0).all() for part in split)


SHARES = st.sampled_from([(0.1, 0.2), (0.0, 0.2), (0.1, 0.0), (0.25, 0.25), (0.0, 0.0), (0.3, 0.6)])


# ------------------------------------------------------------------------------------------- splits
@given(n=st.integers(12, 300), shares=SHARES, seed=st.integers(0, 99))
def test_row_2_7_random_split_is_whole_and_of_the_asked_sizes(n: int, shares: tuple[float, float], seed: int) -> None:
    split = split_random(n, *shares, Generator(seed))
    assert_whole(split, n)
    assert len(split.dev) == round(n * shares[0]) and len(split.test) == round(n * shares[1])


@given(
    counts=st.lists(st.integers(1, 60), min_size=2, max_size=6), shares=SHARES, seed=st.integers(0, 99)
)  # fmt: skip
def test_stratified_split_keeps_the_shares_of_every_class(
    counts: list[int], shares: tuple[float, float], seed: int
) -> None:
    t = Generator(seed).permutation(sum(counts)) % sum(counts)
    t = np.repeat(np.arange(len(counts)), counts)[t]
    if len(t) < 12:
        return
    split = split_stratified(t, *shares, Generator(seed))
    assert_whole(split, len(t))
    assert len(split.dev) == round(len(t) * shares[0]) and len(split.test) == round(len(t) * shares[1])
    # Test is the beginning of an order that is true to one row, dev the difference of two beginnings; and the last row
    # of every class stays in train, which moves the shares a little more.
    near = 2 + len(counts) * sum(shares)
    for part, share in ((split.dev, shares[0]), (split.test, shares[1])):
        for k, count in enumerate(counts):
            assert abs((t[part] == k).sum() - count * share) <= near
    if sum(shares) < 0.6:
        assert len(np.unique(t[split.train])) == len(counts), "every class is in train"


def test_stratified_split_is_within_one_row_on_balanced_classes() -> None:
    t = np.arange(1000) % 10
    split = split_stratified(t, 0.1, 0.2, Generator(1))
    for part, each in ((split.dev, 10), (split.test, 20), (split.train, 70)):
        assert np.abs(np.bincount(t[part], minlength=10) - each).max() <= 1


def test_a_single_row_of_a_class_goes_to_train() -> None:
    t = np.array([0] * 50 + [1])
    assert all(50 in split_stratified(t, 0.4, 0.5, Generator(seed)).train for seed in range(20))


@given(n=st.integers(12, 60), shares=SHARES, seed=st.integers(0, 99))
def test_time_split_puts_the_last_rows_into_test(n: int, shares: tuple[float, float], seed: int) -> None:
    when = Generator(seed).permutation(n)
    split = split_time(when, *shares, "when")
    assert_whole(split, n)
    ends = [when[part] for part in split if len(part)]
    assert all(a.max() < b.min() for a, b in zip(ends, ends[1:], strict=False))


@pytest.mark.parametrize(
    "dates",
    [
        [f"2026-01-{d:02d}" for d in range(1, 21)],
        [f"2026/1/{d}" for d in range(1, 21)],
        [f"2026年1月{d}日" for d in range(1, 21)],
        [f"2026.1.1 {d}:30" for d in range(1, 21)],
        [f"2026-01-01T09:{d:02d}:59.5Z" for d in range(1, 21)],
        [str(float(d)) + "" for d in range(1, 21)],
    ],
)
def test_dates_are_put_in_order_whatever_their_form(dates: list[str]) -> None:
    order = Generator(0).permutation(20)
    when: Any = np.array(dates, dtype=object)[order]
    if dates[0] == "1.0":
        when = when.astype(float)
    assert sorted(order[split_time(when, 0.0, 0.25, "when").test].tolist()) == [15, 16, 17, 18, 19]


def test_time_and_group_are_no_features() -> None:
    source = table(x=np.arange(40), day=np.arange(40), who=np.arange(40) // 4, t=np.arange(40) % 2)
    assert prepare(source, time="day").feature_names == ("x", "who")
    assert prepare(source, group="who").feature_names == ("x", "day")
    assert prepare(source, time="day").rows_test.tolist() == list(range(32, 40))


def test_a_date_that_is_none_is_named() -> None:
    when = np.array(["2026-01-01"] * 9 + ["2026-13-01"], dtype=object)
    with pytest.raises(DataError, match="column 'when': expected numbers or dates.*got '2026-13-01' in row 10"):
        split_time(when, 0.1, 0.1, "column 'when'")
    with pytest.raises(DataError, match="got 'soon' in row 1"):
        prepare(table(x=np.arange(10), when=["soon"] * 10, t=np.arange(10) % 2), time="when")


@given(sizes=st.lists(st.integers(1, 20), min_size=3, max_size=12), shares=SHARES, seed=st.integers(0, 99))
def test_no_group_is_torn_apart(sizes: list[int], shares: tuple[float, float], seed: int) -> None:
    group = np.repeat(np.arange(len(sizes)), sizes)[Generator(seed).permutation(sum(sizes))]
    if sum(sizes) < 12:
        return
    split = split_groups(group, *shares, Generator(seed), "group")
    assert_whole(split, len(group))
    seen = [set(group[part].tolist()) for part in split]
    assert not (seen[0] & seen[1] or seen[0] & seen[2] or seen[1] & seen[2])
    assert seen[0] and bool(seen[1]) == (shares[0] > 0) and bool(seen[2]) == (shares[1] > 0)


def test_many_small_groups_come_near_to_the_shares() -> None:
    split = split_groups(np.arange(1000) // 5, 0.1, 0.2, Generator(0), "group")
    assert abs(len(split.dev) - 100) <= 5 and abs(len(split.test) - 200) <= 5


def test_split_misuse() -> None:
    source = table(x=np.arange(20), g=["a"] * 10 + ["b"] * 10, t=np.arange(20) % 2)
    with pytest.raises(DataError, match="column 'g': expected at least 3 groups, got 2"):
        prepare(source, group="g")
    assert prepare(source, group="g", dev=0.0).sizes == {"train": 10, "dev": 0, "test": 10}
    with pytest.raises(ArgumentError, match="time or group, got both"):
        prepare(source, group="g", time="x")
    with pytest.raises(UnknownNameError, match=r"prepare \(group\)"):
        prepare(source, group="h")
    with pytest.raises(ArgumentError, match="beside the target, got 't'"):
        prepare(source, time="t")
    for shares in ({"dev": -0.1}, {"test": 1.0}, {"dev": 0.5, "test": 0.5}, {"test": float("nan")}):
        with pytest.raises(ArgumentError, match="shares dev >= 0"):
            prepare(source, **shares)
    with pytest.raises(DataError, match="split: expected more than 2 rows, got 2"):
        prepare(table(x=[1, 2], t=[0, 1]))
    with pytest.raises(ArgumentError, match="tables only, got 'x' for images"):
        prepare(load("digits"), time="x")
    with pytest.raises(ArgumentError, match="limit >= 1"):
        prepare(source, limit=0)


def test_the_seed_decides() -> None:
    source = load("moons")
    a, b, c = prepare(source, seed=1), prepare(source, seed=1), prepare(source, seed=2)
    np.testing.assert_array_equal(a.x_train, b.x_train)
    assert not np.array_equal(a.rows_test, c.rows_test)


def test_limit_draws_rows_by_the_shares_of_the_classes() -> None:
    source = from_arrays(np.arange(1000.0), np.arange(1000) % 4 // 3)
    data = prepare(source, limit=100)
    assert sum(data.sizes.values()) == 100
    rows = np.concatenate([data.rows_train, data.rows_dev, data.rows_test])
    assert abs((rows % 4 == 3).sum() - 25) <= 1, "by the shares of the classes"
    rare = from_arrays(np.arange(1000.0), np.array([0] * 999 + [1]))
    assert 999 in prepare(rare, limit=50).rows_train, "no class is lost"
    assert len(set(rows.tolist())) == 100
    with_test = from_arrays(np.arange(50.0), np.arange(50) % 2, x_test=np.arange(9.0), t_test=np.arange(9) % 2)
    assert prepare(with_test, limit=20).sizes == {"train": 18, "dev": 2, "test": 9}


def test_an_official_test_part_is_kept() -> None:
    source = from_arrays(np.arange(40.0), np.arange(40) % 2, x_test=np.arange(5.0), t_test=np.array([1, 0, 1, 1, 0]))
    data = prepare(source)
    assert data.official_test and data.sizes == {"train": 36, "dev": 4, "test": 5}
    assert data.rows_test.tolist() == [0, 1, 2, 3, 4] and data.t_test.tolist() == [1, 0, 1, 1, 0]


# ------------------------------------------------------------------------------------------- the kind of task
@pytest.mark.parametrize(
    ("values", "kind", "labels"),
    [
        (np.linspace(0, 1, 50), "regression", ()),
        (np.arange(50), "regression", ()),
        (np.arange(50) % 21, "regression", ()),
        (np.arange(99) % 20, "regression", ()),
        (np.arange(999) % 21, "regression", ()),
        (np.arange(100) % 20, "multiclass", tuple(str(i) for i in range(20))),
        (np.array([0.0, 1.0] * 5), "binary", ("0", "1")),
        (np.array([-1, 1]), "binary", ("-1", "1")),
        (np.array([10, 9, 2] * 5), "multiclass", ("2", "9", "10")),
        (np.array([0.5, 1.0] * 5), "regression", ()),
        (column(["no", "yes"]), "binary", ("no", "yes")),
        (column(["東", "西", "南"] * 2), "multiclass", ("南", "東", "西")),
        (column(["01", "02", "10"]), "multiclass", ("01", "02", "10")),
        (column(["True", "False"]), "binary", ("False", "True")),
    ],
)
def test_row_2_6_the_task_follows_from_the_target(values: np.ndarray, kind: str, labels: tuple[str, ...]) -> None:
    assert decide(values, None, "t") == (kind, labels)


def test_task_overrides() -> None:
    x = np.arange(30)
    assert prepare(table(x=x, t=x % 3), task="regression").kind == "regression"
    assert prepare(table(x=x, t=x), task="multiclass").n_classes == 30
    assert prepare(table(x=x, t=x % 2), task="multiclass").kind == "multiclass"
    assert prepare(table(x=x, t=column([f"{i}.5" for i in range(30)])), task="regression").t_train.dtype == np.float32
    with pytest.raises(UnknownNameError, match="did you mean 'regression'"):
        prepare(table(x=x, t=x), task="regresion")
    with pytest.raises(DataError, match="two classes for a binary task, got 3"):
        prepare(table(x=x, t=x % 3), task="binary")
    with pytest.raises(DataError, match="numbers for a regression, got 'a' in row 1"):
        prepare(table(x=x, t=["a", "b"] * 15), task="regression")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0.5] * 29 + [np.nan], "target 't': expected a value in every row, got nothing in row 30. Hint: fill it"),
        ([0.5] * 2 + [np.inf] + [1.5] * 27, "got inf in row 3"),
        (["a", None] + ["b"] * 28, "got nothing in row 2"),
        (["a"] * 30, "at least two classes, got 'a' in every row"),
        ([3] * 30, "at least two classes, got '3' in every row"),
        ([0.5] * 30, "values that differ, got 0.5 in every row"),
        (["1.5"] * 20 + ["n.a."] + ["2"] * 9, "numbers, as in most rows, got 'n.a.' in row 21"),
        ([f"name {i}" for i in range(30)], "classes that repeat, got 30 different texts in 30 rows"),
    ],
)
def test_targets_that_are_refused(values: Any, message: str) -> None:
    task = "regression" if values == [0.5] * 30 else None
    with pytest.raises(DataError) as caught:
        prepare(
            table(x=np.arange(30), t=np.array(values, dtype=object if isinstance(values[0], str) else None)), task=task
        )
    assert message in str(caught.value)


def test_a_table_needs_a_target() -> None:
    source = table(target=None, x=np.arange(30), price=np.linspace(0, 1, 30))
    with pytest.raises(DataError, match=r"a target, one of x, price, got none. Hint: name the column to predict"):
        prepare(source)
    with pytest.raises(UnknownNameError, match="did you mean 'price'"):
        prepare(source, target="prise")
    assert prepare(source, target="price").kind == "regression"


# ------------------------------------------------------------------------------------------- fitted on train only
def test_every_figure_comes_from_train_only() -> None:
    """Changing dev and test rows, whatever they hold, changes nothing that was fitted."""
    n = 60
    x = np.linspace(0.0, 1.0, n)
    gaps = np.where(np.arange(n) % 7 == 0, np.nan, x)
    colour = np.array(["red", "green", None] * 20, dtype=object)
    t = np.sin(x)
    first = prepare(table(x=x, g=gaps, c=colour, t=t))
    others = np.concatenate([first.rows_dev, first.rows_test])
    x, gaps, colour, t = x.copy(), gaps.copy(), colour.copy(), t.copy()
    x[others], gaps[others], colour[others], t[others] = 1e6, np.nan, "blue", -1e6
    second = prepare(table(x=x, g=gaps, c=colour, t=t))
    assert first.recipe == second.recipe
    np.testing.assert_array_equal(first.x_train, second.x_train)
    np.testing.assert_array_equal(first.t_train, second.t_train)
    assert any("'blue'" in note for note in second.warnings)


def test_train_is_standardised_and_missing_cells_take_the_median() -> None:
    x = np.array([1.0, 2.0, np.nan, 10.0, 3.0, 4.0, np.nan, 5.0])
    data = prepare(table(x=x, t=np.linspace(0, 1, 8)), dev=0.0, test=0.0)
    filled = np.where(np.isnan(x), 3.5, x)
    expected = np.stack([(filled - filled.mean()) / filled.std(), np.isnan(x)], axis=1)
    np.testing.assert_allclose(data.x_train, expected, rtol=1e-6)
    np.testing.assert_allclose(data.t_train.mean(), 0.0, atol=1e-6)
    np.testing.assert_allclose(data.t_train.std(), 1.0, rtol=1e-6)
    assert data.feature_names == ("x", "x (missing)")
    raw = prepare(table(x=x, t=np.linspace(0, 1, 8)), dev=0.0, test=0.0, standardize=False)
    np.testing.assert_allclose(raw.x_train[:, 0], filled)
    np.testing.assert_allclose(raw.t_train[:, 0], np.linspace(0, 1, 8), rtol=1e-6)


def test_types_and_shapes() -> None:
    data = prepare(load("moons", n=50))
    assert data.x_train.dtype == np.float32 and data.t_train.dtype == np.int64 and data.t_train.shape == (35,)
    data = prepare(load("curve", n=50), dev=0.0)
    assert data.t_train.dtype == np.float32 and data.t_train.shape == (40, 1)
    assert data.x_dev.shape == (0, 1) and data.t_dev.shape == (0, 1) and data.n_classes == 0
    data = prepare(load("digits"))
    assert data.x_train.shape == (1258, 1, 8, 8) and data.x_train.dtype == np.float32 and data.image_shape == (1, 8, 8)
    assert abs(data.x_train.mean()) < 1e-5 and abs(data.x_train.std() - 1.0) < 1e-5
    assert data.label_names == tuple("0123456789") and data.input_shape == (1, 8, 8)


def test_images_with_real_labels_are_a_regression() -> None:
    x = np.random.RandomState(0).rand(20, 4, 4)
    data = prepare(from_arrays(x, np.linspace(0.0, 1.0, 20)))
    assert data.kind == "regression" and data.t_train.shape == (14, 1) and data.recipe.image is not None
    x[3, 0, 0] = np.nan
    with pytest.raises(DataError, match="finite pixels, got NaN or infinity in image 4"):
        prepare(from_arrays(x, np.arange(20) % 2))


# ------------------------------------------------------------------------------------------- notes and refusals
def test_notes() -> None:
    n = 60
    t = column(["a"] * 29 + ["b"] * 29 + ["rare"] * 2)
    source = table(
        x=np.arange(n) // 2, one=np.full(n, 7.0), same=["k"] * n, empty=np.full(n, np.nan),
        void=np.full(n, None, dtype=object), name=[f"n{i}" for i in range(n)], t=t,
    )  # fmt: skip
    data = prepare(source)
    text = "\n".join(data.warnings)
    assert "column 'one' is constant in the training rows (7)" in text
    assert "column 'same' is constant in the training rows (k)" in text
    assert "column 'empty' is empty in the training rows: left out" in text
    assert "column 'void' is empty in the training rows: left out" in text
    assert "column 'name' has 42 different texts in 42 training rows: left out" in text
    assert "classes with fewer than 5 training rows: 'rare' (" in text
    assert "test rows have the same features as a training row" in text
    assert data.feature_names == ("x", "one", "same=k") and np.isfinite(data.x_train).all()


def test_a_wrong_cell_in_a_column_of_numbers() -> None:
    cells = [str(i) for i in range(30)]
    cells[16] = "1O"
    with pytest.raises(DataError) as caught:
        prepare(table(age=cells, t=np.arange(30) % 2))
    assert str(caught.value) == (
        "column 'age': expected a number, as in 29 other rows, got '1O' in row 17. "
        "Hint: mend the cell or leave it empty; if these are codes, say categories=['age']."
    )
    assert prepare(table(age=cells, t=np.arange(30) % 2), categories=["age"]).recipe.columns[0].kind == "category"


def test_how_many_texts_among_numbers_are_wrong_cells() -> None:
    t = np.arange(40) % 2
    many = ["?" if i % 4 == 0 else str(i) for i in range(40)]
    with pytest.raises(DataError, match="a number, as in 30 other rows, got '[?]' in row 1"):
        prepare(table(age=many, t=t))
    few = ["5+" if i % 4 == 0 else str(i % 5) for i in range(40)]
    assert prepare(table(rooms=few, t=t)).recipe.columns[0].kind == "category"


def test_infinite_cells_and_hopeless_tables() -> None:
    x = np.arange(30.0)
    x[4] = -np.inf
    with pytest.raises(DataError, match="column 'x': expected finite numbers, got -inf in row 5"):
        prepare(table(x=x, t=np.arange(30) % 2))
    with pytest.raises(DataError, match="at least one usable column beside the target"):
        prepare(table(x=np.full(30, np.nan), t=np.arange(30) % 2))
    with pytest.raises(DataError, match="float64 can hold"):
        prepare(table(x=np.array([1e308, -1e308] * 15), t=np.arange(30) % 2))


def test_numbers_as_codes() -> None:
    data = prepare(table(zip=np.array([100, 200, 300] * 10), x=np.arange(30), t=np.arange(30) % 2), categories=["zip"])
    assert data.feature_names == ("zip=100", "zip=200", "zip=300", "x")
    with pytest.raises(UnknownNameError, match=r"prepare \(categories\)"):
        prepare(table(x=np.arange(30), t=np.arange(30) % 2), categories=["zap"])
