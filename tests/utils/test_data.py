"""Data sets, samplers and the loader."""

from __future__ import annotations

import threading
import time
from collections import namedtuple
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gyaku as gy
from gyaku.backend.random import Generator
from gyaku.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    random_split,
)


def numbered(n: int = 10) -> TensorDataset:
    x = gy.arange(2 * n, dtype=gy.float32).reshape(n, 2)
    return TensorDataset(x, gy.arange(n))


class Squares(Dataset):
    """One sample at a time; remembers who asked for what."""

    def __init__(self, n: int = 10) -> None:
        self.n, self.asked = n, []  # type: ignore[var-annotated]

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int) -> tuple[float, int]:
        if not 0 <= i < self.n:
            raise IndexError(i)
        self.asked.append((i, threading.current_thread().name))
        return float(i * i), i


class Stream(IterableDataset):
    def __iter__(self) -> Iterator[int]:
        return iter(range(7))


def labels(loader: DataLoader) -> list[list[int]]:
    return [t.tolist() for _, t in loader]


@given(n=st.integers(0, 30), batch=st.integers(1, 12), drop=st.booleans(), shuffle=st.booleans())
def test_every_sample_once_an_epoch_in_batches_of_the_size(n: int, batch: int, drop: bool, shuffle: bool) -> None:
    data = TensorDataset(gy.zeros(n, 3), gy.arange(n))
    loader = DataLoader(data, batch, shuffle, drop_last=drop, generator=Generator(n))
    got = labels(loader)
    assert len(got) == len(loader) == (n // batch if drop else -(-n // batch))
    assert all(len(b) == batch for b in got[: n // batch])
    flat = sorted(i for b in got for i in b)
    assert flat == list(range(n)) if not drop else len(set(flat)) == len(flat) == n - n % batch


def test_tensors_are_sliced_not_collated(monkeypatch: pytest.MonkeyPatch) -> None:
    data = numbered()

    def refuse(*_: Any) -> None:
        raise AssertionError("collated")

    monkeypatch.setattr("gyaku.utils.data.default_collate", refuse)
    monkeypatch.setattr("gyaku.utils.data.stack", refuse)
    for source in (data, Subset(data, [5, 3, 1]), Subset(Subset(data, range(2, 8)), [0, 1])):
        batch = next(iter(DataLoader(source, 4)))
        assert type(batch) is tuple and batch[0].dtype == gy.float32
    assert batch[1].tolist() == [2, 3]


def test_a_batch_is_a_copy() -> None:
    data = numbered()
    x, _ = next(iter(DataLoader(data, 4)))
    x.zero_()
    assert data.tensors[0][1].tolist() == [2.0, 3.0]


def test_epoch_is_a_function_of_the_generator_s_state() -> None:
    generator = Generator(3)
    loader = DataLoader(numbered(20), 6, shuffle=True, generator=generator)
    first = labels(loader)
    state = generator.get_state()
    second = labels(loader)
    assert first != second and first != [list(range(i, min(i + 6, 20))) for i in range(0, 20, 6)]
    generator.set_state(state)
    assert labels(loader) == second
    assert labels(DataLoader(numbered(20), 6, shuffle=True, generator=Generator(3))) == first


def test_default_generator_is_used_and_only_when_shuffling() -> None:
    before = gy.get_rng_state()
    try:
        gy.manual_seed(1)
        a = labels(DataLoader(numbered(), 3, shuffle=True))
        gy.manual_seed(1)
        assert labels(DataLoader(numbered(), 3, shuffle=True)) == a
        state = gy.get_rng_state()
        labels(DataLoader(numbered(), 3))
        assert gy.get_rng_state() == state
    finally:
        gy.set_rng_state(before)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_threads_keep_the_order(workers: int) -> None:
    class Slow(Squares):
        def __getitem__(self, i: int) -> tuple[float, int]:
            time.sleep(0.002 * (i % 3))
            return super().__getitem__(i)

    data = Slow(17)
    loader = DataLoader(data, 2, shuffle=True, num_workers=workers, generator=Generator(5))
    got = labels(loader)
    assert got == labels(DataLoader(Squares(17), 2, shuffle=True, generator=Generator(5)))
    assert all(("gyaku-loader" in name) == (workers > 0) for _, name in data.asked)


def test_threads_end_when_the_loop_is_left() -> None:
    batches = iter(DataLoader(Squares(1000), 1, num_workers=2))
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert not [t for t in threading.enumerate() if t.name.startswith("gyaku-loader")]


def test_an_error_in_a_worker_comes_out_as_it_is() -> None:
    class Bad(Squares):
        def __getitem__(self, i: int) -> tuple[float, int]:
            if i == 5:
                raise KeyError("sample 5")
            return super().__getitem__(i)

    with pytest.raises(KeyError, match="sample 5"):
        list(DataLoader(Bad(), 2, num_workers=2))


def test_default_collate() -> None:
    Point = namedtuple("Point", "x y")
    x, i = default_collate([(0.5, 1), (1.5, 2)])
    assert (x.dtype, i.dtype) == (gy.float64, gy.int64) and x.tolist() == [0.5, 1.5]
    assert default_collate([gy.zeros(2), gy.ones(2)]).tolist() == [[0, 0], [1, 1]]
    assert default_collate([np.float32(1), np.float32(2)]).dtype == gy.float32
    assert default_collate(["a", "b"]) == ["a", "b"]
    assert default_collate([{"a": [1, 2]}, {"a": [3, 4]}])["a"][1].tolist() == [2, 4]
    assert default_collate([Point(1, 2), Point(3, 4)]).y.tolist() == [2, 4]
    with pytest.raises(TypeError, match=r"default_collate: expected tensors, .* got object. Hint: pass collate_fn=."):
        default_collate([object()])


def test_collate_fn_gets_the_samples() -> None:
    assert list(DataLoader(numbered(3), 2, collate_fn=len)) == [2, 1]
    assert list(DataLoader(Squares(3), 2, collate_fn=lambda b: [i for _, i in b])) == [[0, 1], [2]]


def test_without_batches_samples_come_alone() -> None:
    loader = DataLoader(Squares(3), batch_size=None)
    assert list(loader) == [(0.0, 0), (1.0, 1), (4.0, 2)] and len(loader) == 3

    class Arrays(Squares):
        def __getitem__(self, i: int) -> Any:
            return {"x": np.ones(2), "i": i}

    assert next(iter(DataLoader(Arrays(), None)))["x"].dtype == gy.float64


def test_streams() -> None:
    assert [b.tolist() for b in DataLoader(Stream(), 3)] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [b.tolist() for b in DataLoader(Stream(), 3, drop_last=True, num_workers=2)] == [[0, 1, 2], [3, 4, 5]]
    assert list(DataLoader(Stream(), None)) == list(range(7))


def test_own_order() -> None:
    data = numbered(6)
    assert labels(DataLoader(data, 2, sampler=[4, 2, 0])) == [[4, 2], [0]]
    assert labels(DataLoader(data, batch_sampler=[[1], [5, 0, 3]])) == [[1], [5, 0, 3]]
    assert labels(DataLoader(data, 4, sampler=SubsetRandomSampler([1, 5], Generator(0)))) in ([[1, 5]], [[5, 1]])
    assert list(BatchSampler(SequentialSampler(data), 4)) == [[0, 1, 2, 3], [4, 5]]
    assert len(BatchSampler(SequentialSampler(data), 4, drop_last=True)) == 1


def test_random_sampler() -> None:
    assert sorted(RandomSampler(range(5), generator=Generator(1))) == [0, 1, 2, 3, 4]
    long = list(RandomSampler(range(3), num_samples=8, generator=Generator(1)))
    assert sorted(long[:3]) == sorted(long[3:6]) == [0, 1, 2] and len(long) == 8
    drawn = list(RandomSampler(range(3), replacement=True, num_samples=3000, generator=Generator(1)))
    assert np.abs(np.bincount(drawn, minlength=3) / 3000 - 1 / 3).max() < 0.03


def test_weighted_sampler() -> None:
    weights = [0.0, 1.0, 3.0, 0.0]
    drawn = list(WeightedRandomSampler(weights, 4000, generator=Generator(2)))
    share = np.bincount(drawn, minlength=4) / 4000
    assert share[0] == share[3] == 0 and share[2] == pytest.approx(0.75, abs=0.02)
    assert sorted(WeightedRandomSampler(gy.tensor(weights), 2, replacement=False, generator=Generator(2))) == [1, 2]
    first = [next(iter(WeightedRandomSampler([1.0, 3.0], 1, False, Generator(s)))) for s in range(1000)]
    assert np.mean(first) == pytest.approx(0.75, abs=0.04)


def test_subset_and_concat() -> None:
    both = numbered(3) + Subset(Squares(5), [4, 2])
    assert len(both) == 5 and both[1][1].item() == 1 and both[3] == (16.0, 4) and both[-1] == (4.0, 2)
    with pytest.raises(IndexError, match=r"ConcatDataset: expected a number within -5..4, got 5"):
        both[5]
    assert len(both + both) == 10
    x, t = Subset(numbered(), [7, 8, 9])[[0, 2]]
    assert t.tolist() == [7, 9] and x.shape == (2, 2)
    assert labels(DataLoader(ConcatDataset([Squares(2), Squares(1)]), 2)) == [[0, 1], [0]]


def test_random_split() -> None:
    parts = random_split(range(10), [0.5, 0.25, 0.25], Generator(4))
    assert [len(p) for p in parts] == [6, 2, 2]  # PyTorch too gives what is left over to the first
    assert sorted(i for p in parts for i in p.indices) == list(range(10))
    assert [p.indices for p in random_split(range(10), [0.5, 0.25, 0.25], Generator(4))] == [p.indices for p in parts]
    assert [len(p) for p in random_split(range(10), [7, 3])] == [7, 3]
    with pytest.raises(ValueError, match=r"random_split: expected lengths that sum to 10, or fractions"):
        random_split(range(10), [7, 2])


def test_a_subclass_that_indexes_its_own_way_is_asked_sample_by_sample() -> None:
    class Doubled(TensorDataset):
        def __getitem__(self, i: Any) -> Any:
            return tuple(2 * t for t in super().__getitem__(i))

    data = Doubled(gy.ones(3, 2))
    (x,) = next(iter(DataLoader(data, 3)))
    assert x.tolist() == [[2, 2]] * 3


MISUSES: list[tuple[Any, type[Exception], str]] = [
    (
        lambda: TensorDataset(gy.zeros(3), gy.zeros(4)),
        ValueError,
        "TensorDataset: expected tensors of one length, got (3,), (4,).",
    ),
    (
        lambda: TensorDataset(np.zeros(3)),
        TypeError,
        "TensorDataset: expected tensors, got ndarray. Hint: gyaku.as_tensor(...).",
    ),
    (lambda: DataLoader(numbered(), 0), ValueError, "DataLoader: expected batch_size, a whole number >= 1, got 0."),
    (lambda: DataLoader(numbered(), 2.5), ValueError, "DataLoader: expected batch_size, a whole number >= 1, got 2.5."),
    (
        lambda: DataLoader(numbered(), num_workers=-1),
        ValueError,
        "DataLoader: expected num_workers, a whole number >= 0, got -1.",
    ),
    (
        lambda: DataLoader(numbered(), shuffle=True, sampler=[1]),
        ValueError,
        "DataLoader: expected either shuffle or sampler, got both.",
    ),
    (
        lambda: DataLoader(Stream(), shuffle=True),
        ValueError,
        "DataLoader: expected no shuffle and no sampler with an IterableDataset, got one. "
        "Hint: shuffle inside its __iter__.",
    ),
    (
        lambda: DataLoader(3),
        TypeError,
        "DataLoader: expected a data set with __getitem__ and __len__, or an IterableDataset, got int. "
        "Hint: TensorDataset(x, t).",
    ),
    (
        lambda: DataLoader(numbered(), 2, batch_sampler=[[1]]),
        ValueError,
        "DataLoader: expected batch_sampler alone, got also batch_size, shuffle, sampler or drop_last.",
    ),
    (
        lambda: DataLoader(numbered(), None, drop_last=True),
        ValueError,
        "DataLoader: expected drop_last only with a batch_size, got batch_size=None.",
    ),
    (
        lambda: WeightedRandomSampler([1.0, -1.0], 1),
        ValueError,
        "WeightedRandomSampler: expected a list of weights, each finite and >= 0, got [1.0, -1.0].",
    ),
    (
        lambda: WeightedRandomSampler([1.0, 0.0], 2, replacement=False),
        ValueError,
        "WeightedRandomSampler: expected at least 2 weights above 0, got 1.",
    ),
    (
        lambda: ConcatDataset([Stream()]),
        TypeError,
        "ConcatDataset: expected data sets with numbered samples, got an IterableDataset.",
    ),
    (
        lambda: default_collate([gy.zeros(2), gy.zeros(3)]),
        ValueError,
        "default_collate: expected samples of one shape, got (2,) and (3,). Hint: pass collate_fn= to pad them.",
    ),
]


@pytest.mark.parametrize(("build", "kind", "message"), MISUSES, ids=[m[2][:45] for m in MISUSES])
def test_misuse_gives_one_clear_message(build: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as caught:
        build()
    assert str(caught.value) == message
