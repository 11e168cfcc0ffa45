"""Data sets, samplers and the loader under PyTorch's names.

Tensors in memory are sliced by an array of row numbers, never collated sample by sample. The order of an epoch is one
permutation from the loader's generator (the default one unless given): a function of the generator's state, so a
run that restores that state sees the same batches.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyaku.backend.random import Generator, default_generator
from gyaku.base.errors import ArgumentError, DtypeError, PositionError, ShapeError
from gyaku.core.tensor import Tensor, new_tensor
from gyaku.ops.join import stack

Indices = NDArray[np.int64]


class Dataset:
    """A data set with numbered samples: a subclass gives ``__getitem__`` and ``__len__``. ``a + b`` joins two."""

    def __getitem__(self, index: Any) -> Any:
        """Return sample ``index``."""
        raise NotImplementedError

    def __add__(self, other: Dataset) -> ConcatDataset:
        return ConcatDataset([self, other])

    def _rows(self, indices: Indices) -> tuple[Tensor, ...] | None:
        """Return a whole batch by slicing, or None when samples must be fetched one by one."""
        return None


class IterableDataset(Dataset):
    """A data set that can only be run through: a subclass gives ``__iter__``."""

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError


class TensorDataset(Dataset):
    """Tensors of one length: sample i is ``(x[i], t[i], ...)``. Raises ``ShapeError`` when the lengths differ."""

    def __init__(self, *tensors: Tensor) -> None:
        for t in tensors:
            if not isinstance(t, Tensor):
                raise DtypeError("TensorDataset", "tensors", type(t).__name__, hint="gyaku.as_tensor(...)")
        lengths = [t.shape[0] if t.ndim else -1 for t in tensors]
        if not tensors or len(set(lengths)) > 1 or -1 in lengths:
            got = ", ".join(str(tuple(t.shape)) for t in tensors) or "none"
            raise ShapeError("TensorDataset", "tensors of one length", got)
        self.tensors = tensors

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        """Return the rows ``index`` (a number, a slice or row numbers) of each tensor."""
        return tuple(t[index] for t in self.tensors)

    def _rows(self, indices: Indices) -> tuple[Tensor, ...]:
        return tuple([_taken(t, indices) for t in self.tensors])


class Subset(Dataset):
    """The samples ``indices`` of another data set."""

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset, self.indices = dataset, indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: Any) -> Any:
        """Return sample number ``indices[index]``."""
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def _rows(self, indices: Indices) -> tuple[Tensor, ...] | None:
        return _batch_of(self.dataset, np.asarray(self.indices)[indices])


class ConcatDataset(Dataset):
    """Several data sets one after the other."""

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ArgumentError("ConcatDataset", "at least one data set", "none")
        if any(isinstance(d, IterableDataset) for d in self.datasets):
            raise DtypeError("ConcatDataset", "data sets with numbered samples", "an IterableDataset")
        self.cumulative_sizes = list(itertools.accumulate(len(d) for d in self.datasets))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int) -> Any:
        """Return sample ``index``, counted through all data sets (negative from the end)."""
        if not -len(self) <= index < len(self):
            raise PositionError("ConcatDataset", f"a number within {-len(self)}..{len(self) - 1}", str(index))
        index = index % len(self)
        which = bisect_right(self.cumulative_sizes, index)
        return self.datasets[which][index - (self.cumulative_sizes[which - 1] if which else 0)]


def random_split(dataset: Any, lengths: Sequence[float], generator: Generator | None = None) -> list[Subset]:
    """Split a data set at random into parts of ``lengths`` samples, or fractions that sum to 1.

    What rounding down leaves over goes one by one to the first parts.
    """
    n = len(dataset)
    sizes = [int(s) for s in lengths]
    if all(0 <= f <= 1 for f in lengths) and math.isclose(sum(lengths), 1):
        sizes = [math.floor(n * f) for f in lengths]
        for i in range(n - sum(sizes)):
            sizes[i % len(sizes)] += 1
    if sum(sizes) != n or min(sizes, default=0) < 0 or any(s != int(s) for s in lengths if s > 1):
        raise ArgumentError("random_split", f"lengths that sum to {n}, or fractions that sum to 1", str(list(lengths)))
    order = (generator or default_generator).permutation(n)
    ends = list(itertools.accumulate(sizes))
    return [Subset(dataset, order[end - size : end].tolist()) for size, end in zip(sizes, ends)]


class Sampler:
    """Says the order of samples: a subclass gives ``__iter__`` over sample numbers, and ``__len__``."""

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError


class _DrawnSampler(Sampler):
    """A sampler that draws the whole order at once."""

    num_samples: int

    def draw(self) -> Indices:
        """Return the sample numbers of one epoch."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[int]:
        return iter(self.draw().tolist())

    def __len__(self) -> int:
        return self.num_samples


class SequentialSampler(_DrawnSampler):
    """0, 1, 2, ..."""

    def __init__(self, data_source: Any) -> None:
        self.num_samples = len(data_source)

    def draw(self) -> Indices:
        """Return 0..n-1."""
        return np.arange(self.num_samples)


class RandomSampler(_DrawnSampler):
    """A permutation (or as many as ``num_samples`` needs), or ``num_samples`` draws with replacement."""

    def __init__(
        self,
        data_source: Any,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:
        self.n, self.replacement, self.generator = len(data_source), replacement, generator
        self.num_samples = self.n if num_samples is None else _at_least("RandomSampler", "num_samples", num_samples, 1)

    def draw(self) -> Indices:
        """Return the sample numbers of one epoch."""
        generator = self.generator or default_generator
        if self.replacement:
            return generator.integers(0, self.n, (self.num_samples,))
        rounds = -(-self.num_samples // self.n) if self.n else 0
        order = [generator.permutation(self.n) for _ in range(rounds)]
        return np.concatenate(order)[: self.num_samples] if order else np.arange(0)


class SubsetRandomSampler(_DrawnSampler):
    """The given sample numbers in random order."""

    def __init__(self, indices: Sequence[int], generator: Generator | None = None) -> None:
        self.indices, self.generator = np.asarray(indices), generator
        self.num_samples = len(indices)

    def draw(self) -> Indices:
        """Return the numbers permuted."""
        return self.indices[(self.generator or default_generator).permutation(self.num_samples)]


class WeightedRandomSampler(_DrawnSampler):
    """Draws sample i with probability proportional to ``weights[i]``, with or without replacement.

    Without replacement: the smallest of exponential times E_i / w_i (Efraimidis and Spirakis 2006).
    """

    def __init__(
        self, weights: Any, num_samples: int, replacement: bool = True, generator: Generator | None = None
    ) -> None:
        array = weights._array if isinstance(weights, Tensor) else np.asarray(weights)
        self.weights = array.astype(np.float64)
        if self.weights.ndim != 1 or not (np.isfinite(self.weights) & (self.weights >= 0)).all():
            raise ArgumentError("WeightedRandomSampler", "a list of weights, each finite and >= 0", str(weights)[:60])
        self.num_samples = _at_least("WeightedRandomSampler", "num_samples", num_samples, 1)
        self.replacement, self.generator = replacement, generator
        needed, positive = 1 if replacement else num_samples, int((self.weights > 0).sum())
        if positive < needed:
            raise ArgumentError("WeightedRandomSampler", f"at least {needed} weights above 0", str(positive))

    def draw(self) -> Indices:
        """Return ``num_samples`` sample numbers."""
        generator = self.generator or default_generator
        if self.replacement:
            edges = np.cumsum(self.weights)
            places = generator.uniform((self.num_samples,)) * edges[-1]
            return np.searchsorted(edges, places, side="right")
        with np.errstate(divide="ignore"):
            times = -np.log1p(-generator.uniform((len(self.weights),))) / self.weights
        times[self.weights == 0] = np.inf
        return np.argsort(times, kind="stable")[: self.num_samples]


class BatchSampler(Sampler):
    """Groups the numbers of another sampler into lists of ``batch_size``."""

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool = False) -> None:
        self.sampler, self.drop_last = sampler, drop_last
        self.batch_size = _at_least("BatchSampler", "batch_size", batch_size, 1)

    def __iter__(self) -> Iterator[list[int]]:
        return (list(b) for b in _chunks(self.sampler, self.batch_size, self.drop_last))

    def __len__(self) -> int:
        n = len(self.sampler)  # type: ignore[arg-type]
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)


def default_collate(batch: Sequence[Any]) -> Any:
    """Join samples into a batch: tensors, arrays and numbers are stacked, text listed, dictionaries and tuples by part.

    Python floats become float64, as in PyTorch. Raises ``ShapeError`` for samples of different shapes.
    """
    first = batch[0]
    if isinstance(first, Tensor):
        _check_shapes(batch)
        return stack(list(batch))
    if isinstance(first, (np.ndarray, np.generic, float, int)):
        _check_shapes([np.asarray(b) for b in batch])
        return Tensor(np.stack([np.asarray(b) for b in batch]))
    if isinstance(first, (str, bytes)):
        return list(batch)
    if isinstance(first, Mapping):
        return {key: default_collate([b[key] for b in batch]) for key in first}
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*(default_collate(part) for part in zip(*batch, strict=True)))
    if isinstance(first, (tuple, list)):
        return type(first)(default_collate(part) for part in zip(*batch, strict=True))
    raise DtypeError(
        "default_collate",
        "tensors, arrays, numbers, text, dictionaries or tuples",
        type(first).__name__,
        hint="pass collate_fn=",
    )


def default_convert(data: Any) -> Any:
    """Return a sample with its arrays as tensors, for a loader without batches."""
    if isinstance(data, (np.ndarray, np.generic)):
        return Tensor(np.asarray(data))
    if isinstance(data, Mapping):
        return {key: default_convert(value) for key, value in data.items()}
    return type(data)(map(default_convert, data)) if type(data) in (tuple, list) else data


class DataLoader:
    """Runs through a data set in batches; each ``for`` is an epoch.

    ``batch_size`` samples a batch (None: single samples), ``shuffle`` from ``generator`` (the default one if None), or
    the order of ``sampler`` or ``batch_sampler``; ``drop_last`` leaves out a last batch that is short. ``collate_fn``
    joins samples, but tensors of a ``TensorDataset`` (or a ``Subset`` of one) are sliced unless it is given: the batch
    is then a tuple of tensors. ``num_workers`` > 0 fetches ahead in that many threads, in the same order; an
    ``IterableDataset`` is always read in the calling thread. PyTorch's other options are accepted without meaning here.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[int] | None = None,
        batch_sampler: Iterable[Sequence[int]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Any = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        self.dataset, self.drop_last, self.generator = dataset, drop_last, generator
        self.batch_size = None if batch_size is None else _at_least("DataLoader", "batch_size", batch_size, 1)
        self.num_workers = _at_least("DataLoader", "num_workers", num_workers, 0)
        self.prefetch_factor = (
            2 if prefetch_factor is None else _at_least("DataLoader", "prefetch_factor", prefetch_factor, 1)
        )
        self.collate_fn, self._iterable = collate_fn, isinstance(dataset, IterableDataset)
        _check_loader(dataset, self._iterable, batch_size, shuffle, sampler, batch_sampler, drop_last)
        if self._iterable:
            self.sampler: Any = None
        elif sampler is not None:
            self.sampler = sampler
        else:
            self.sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
        self.batch_sampler = batch_sampler
        if batch_sampler is None and self.batch_size is not None and not self._iterable:
            self.batch_sampler = BatchSampler(self.sampler, self.batch_size, drop_last)

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        if not self._iterable:
            return len(self.sampler if self.batch_sampler is None else self.batch_sampler)  # type: ignore[arg-type]
        n = len(self.dataset)
        return n if self.batch_size is None else n // self.batch_size if self.drop_last else -(-n // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        if self._iterable:
            return self._stream()
        jobs: Iterator[Any] = iter(self.sampler) if self.batch_sampler is None else self._index_batches()
        fetch = self._single if self.batch_sampler is None else self._batch
        if self.num_workers == 0:
            return map(fetch, jobs)
        return _ahead(fetch, jobs, self.num_workers, self.prefetch_factor)

    def _index_batches(self) -> Iterator[Any]:
        own = type(self.batch_sampler) is BatchSampler and isinstance(self.sampler, _DrawnSampler)
        if not own or self.batch_size is None:
            return iter(self.batch_sampler)  # type: ignore[arg-type]
        order = self.sampler.draw()
        end = len(order) - len(order) % self.batch_size if self.drop_last else len(order)
        return (order[i : i + self.batch_size] for i in range(0, end, self.batch_size))

    def _batch(self, indices: Any) -> Any:
        if self.collate_fn is None:
            sliced = _batch_of(self.dataset, np.asarray(indices))
            if sliced is not None:
                return sliced
        numbers = indices.tolist() if isinstance(indices, np.ndarray) else indices
        return (self.collate_fn or default_collate)([self.dataset[i] for i in numbers])

    def _single(self, index: int) -> Any:
        return (self.collate_fn or default_convert)(self.dataset[index])

    def _stream(self) -> Iterator[Any]:
        if self.batch_size is None:
            return map(self.collate_fn or default_convert, iter(self.dataset))
        return map(self.collate_fn or default_collate, _chunks(self.dataset, self.batch_size, self.drop_last))


def _batch_of(dataset: Any, indices: Indices) -> tuple[Tensor, ...] | None:
    """Return a batch by slicing where the data set's class allows it and has not changed how it is indexed."""
    for kind in (TensorDataset, Subset):
        if isinstance(dataset, kind) and type(dataset).__getitem__ is kind.__getitem__:
            return dataset._rows(indices)
    return None


def _taken(t: Tensor, indices: Indices) -> Tensor:
    plain = type(t._array) is np.ndarray and t._node is None
    return new_tensor(t._array.take(indices, axis=0)) if plain else t[indices]


def _chunks(items: Iterable[Any], size: int, drop_last: bool) -> Iterator[list[Any]]:
    source = iter(items)
    while chunk := list(itertools.islice(source, size)):
        if len(chunk) == size or not drop_last:
            yield chunk


def _ahead(fetch: Callable[[Any], Any], jobs: Iterator[Any], workers: int, prefetch: int) -> Iterator[Any]:
    """Yield ``fetch(job)`` in order, while threads work on the next ``workers * prefetch`` jobs."""
    pool = ThreadPoolExecutor(workers, thread_name_prefix="gyaku-loader")
    try:
        waiting = deque(pool.submit(fetch, job) for job in itertools.islice(jobs, workers * prefetch))
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(fetch, job) for job in itertools.islice(jobs, 1))
            yield result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _check_shapes(batch: Sequence[Any]) -> None:
    for b in batch:
        if b.shape != batch[0].shape:
            raise ShapeError(
                "default_collate",
                "samples of one shape",
                f"{tuple(batch[0].shape)} and {tuple(b.shape)}",
                hint="pass collate_fn= to pad them",
            )


def _check_loader(
    dataset: Any, iterable: bool, batch_size: Any, shuffle: Any, sampler: Any, batch_sampler: Any, drop_last: bool
) -> None:
    if not iterable and not (hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")):
        raise DtypeError(
            "DataLoader",
            "a data set with __getitem__ and __len__, or an IterableDataset",
            type(dataset).__name__,
            hint="TensorDataset(x, t)",
        )
    if iterable and (shuffle or sampler is not None or batch_sampler is not None):
        raise ArgumentError(
            "DataLoader", "no shuffle and no sampler with an IterableDataset", "one", hint="shuffle inside its __iter__"
        )
    if shuffle and sampler is not None:
        raise ArgumentError("DataLoader", "either shuffle or sampler", "both")
    if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
        raise ArgumentError("DataLoader", "batch_sampler alone", "also batch_size, shuffle, sampler or drop_last")
    if batch_size is None and drop_last:
        raise ArgumentError("DataLoader", "drop_last only with a batch_size", "batch_size=None")


def _at_least(where: str, what: str, value: Any, low: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < low:
        raise ArgumentError(where, f"{what}, a whole number >= {low}", repr(value))
    return int(value)
