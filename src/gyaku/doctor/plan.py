"""The training that is examined, as one value: a remedy is another value, made from it by ``replace``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gyaku.backend.random import Generator
from gyaku.base.errors import ArgumentError, DtypeError, ShapeError
from gyaku.doctor.library import Array, array_of, copied, criterion, library_of, make_optimizer, tensor_of

Pair = tuple[Array, Array]
_ROWS = 8192  # rows of a loader that the tests of the data look at
_CHANGED = Callable[[Any], None]


@dataclass(frozen=True, eq=False)
class Plan:
    """A training: model in its first state, data, loss, optimizer and loop; ``steps`` long.

    ``changes`` are done to each copy of the model before it is trained; ``lr_factor`` and ``decay`` multiply what the
    optimizer's groups say.
    """

    lib: Any
    model: Any
    x: Array
    t: Array
    dev: Pair | None
    test: Pair | None
    loss: Callable[[Any, Any], Any] | None
    make: Callable[[Any], tuple[Any, Any]]  # model -> (copy, optimizer of its parameters)
    batch_size: int
    shuffle: bool
    clip_norm: float | None
    steps: int
    step: Callable[..., Any] | None
    validate: Callable[..., Any] | None
    seed: int
    loader: Any = None
    lr_factor: float = 1.0
    decay: float = 1.0
    changes: tuple[_CHANGED, ...] = field(default=())

    def fresh(self) -> tuple[Any, Any]:
        """Return a copy of the model with the changes, and its optimizer."""
        model, optimizer = self.make(self.model)
        for change in self.changes:
            change(model)
        for group in optimizer.param_groups:
            group["lr"] = group["lr"] * self.lr_factor
            for name in ("weight_decay", "l1", "l2"):
                if group.get(name):
                    group[name] = group[name] * self.decay
        return model, optimizer

    def batches(self) -> Iterator[tuple[Any, Any]]:
        """Yield (x, t) tensors for ever, epoch after epoch; the same ones for the same seed."""
        epoch = 0
        while True:
            epoch += 1
            if self.loader is not None:
                yield from ((self.tensor(x), self.tensor(t)) for x, t in self.loader)
                continue
            rows = Generator(self.seed).split(f"doctor/{epoch}").permutation(len(self.x))
            rows = rows if self.shuffle else np.arange(len(self.x))
            for i in range(0, len(rows), self.batch_size):
                part = rows[i : i + self.batch_size]
                if len(part) > 1 or 1 in (len(rows), self.batch_size):  # batch norm would refuse one left-over sample
                    yield self.tensor(self.x[part]), self.tensor(self.t[part])

    def tensor(self, value: Any) -> Any:
        """Return a tensor of the model's library; one that is given passes through."""
        return value if hasattr(value, "detach") else tensor_of(self.lib, np.asarray(value), self.model)

    @property
    def classes(self) -> bool:
        """Whether the answers are classes: whole numbers, or floats that are 0 or 1."""
        return self.t.dtype.kind != "f" or bool(np.isin(self.t, (0.0, 1.0)).all())

    @property
    def labels(self) -> Array | None:
        """The class of each training row (N,), or None for values."""
        return labels_of(self.t) if self.classes else None

    def objective(self, outputs: int) -> Callable[[Any, Any], Any]:
        """Return the loss in use, or the one that belongs to the target."""
        return self.loss or criterion(self.lib, self.t, outputs)

    def as_arrays(self) -> Plan:
        """Return the plan with its loader laid out as arrays."""
        return replace(self, loader=None)

    def mapped(self, rows: Callable[[Pair], Pair]) -> Plan:
        """Return the plan with every part (x, t) changed by ``rows``, as arrays."""
        x, t = rows((self.x, self.t))
        dev, test = (None if part is None else rows(part) for part in (self.dev, self.test))
        return replace(self, x=x, t=t, dev=dev, test=test, loader=None)


def units_of(shape: Sequence[int]) -> int:
    """Return the units of an output layer from the shape of its outputs: (N, L), or (N, L, H, W) for pixels."""
    return int(shape[1] if len(shape) == 4 else shape[-1]) if len(shape) > 1 else 1


def labels_of(t: Array) -> Array:
    """Return classes (N,) from classes, one-hot rows or columns of zeros and ones; of pixels, all in a row."""
    if t.ndim == 2 and t.shape[1] > 1:
        return np.asarray(t.argmax(axis=1))
    return np.asarray(t.reshape(-1).astype(np.int64))


def make_plan(
    model: Any, data: Any, *, dev: Any, test: Any, loss: Any, optimizer: Any, lr: float | None, momentum: float | None,
    weight_decay: float | None, l1: float, l2: float, batch_size: int, steps: int, shuffle: bool,
    clip_norm: float | None, step: Any, validate: Any, seed: int,
) -> Plan:  # fmt: skip
    """Return the plan of ``gyaku.doctor``'s arguments. Raises what does not fit, before anything is trained."""
    lib = library_of(model)
    pair, loader, dev, test = _data(data, dev, test)
    if steps < 1 or batch_size < 1:
        raise ArgumentError("doctor", "steps >= 1 and batch_size >= 1", f"{steps} and {batch_size}")
    if loader is not None:
        first = next(iter(loader), None)
        if first is None:
            raise ArgumentError(
                "doctor", "a loader that begins anew each time", "one that is spent", hint="list(loader)"
            )
        batch_size = len(first[1])
    options = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "l1": l1, "l2": l2}
    return Plan(
        lib=lib, model=copied(model)[0], x=pair[0], t=pair[1], dev=dev, test=test, loss=loss,
        make=_maker(lib, model, optimizer, options), batch_size=batch_size, shuffle=shuffle, clip_norm=clip_norm,
        steps=steps, step=step, validate=validate, seed=seed, loader=loader,
    )  # fmt: skip


def _maker(lib: Any, model: Any, optimizer: Any, options: dict[str, Any]) -> Callable[[Any], tuple[Any, Any]]:
    if isinstance(optimizer, str):

        def by_name(m: Any) -> tuple[Any, Any]:
            twin = copied(m)[0]
            return twin, make_optimizer(lib, optimizer, twin, options)

        return by_name
    if any(options.values()):
        raise ArgumentError("doctor", "lr, momentum, weight_decay, l1 and l2 with an optimizer's name", "an optimizer")
    if hasattr(optimizer, "param_groups"):
        mode = model.training
        first = copied(model, optimizer)  # the state in which they came, not the one they may be in later
        first[0].train(mode) if mode != first[0].training else None
        return lambda _: copied(*first)
    if callable(optimizer):

        def by_function(m: Any) -> tuple[Any, Any]:
            twin = copied(m)[0]
            return twin, optimizer(list(twin.parameters()))

        return by_function
    raise DtypeError("doctor", "an optimizer, its name, or a function of the parameters", type(optimizer).__name__)


def _data(data: Any, dev: Any, test: Any) -> tuple[Pair, Any, Pair | None, Pair | None]:
    """Return training arrays, the loader they came from (or None), dev and test."""
    if hasattr(data, "x_train"):
        dev = (data.x_dev, data.t_dev) if dev is None and len(data.x_dev) else dev
        test = (data.x_test, data.t_test) if test is None and len(data.x_test) else test
        data = (data.x_train, data.t_train)
    pair, loader = (_pair(data), None) if isinstance(data, (tuple, list)) and len(data) == 2 else _gathered(data)
    return pair, loader, None if dev is None else _any_pair(dev), None if test is None else _any_pair(test)


def _any_pair(data: Any) -> Pair:
    return _pair(data) if isinstance(data, (tuple, list)) and len(data) == 2 else _gathered(data)[0]


def _gathered(loader: Any) -> tuple[Pair, Any]:
    """Return the rows of a loader's first pass, at most ``_ROWS``, in its order."""
    parts: list[Pair] = []
    try:
        for x, t in loader:
            parts.append((array_of(x), array_of(t)))
            if sum(len(t) for _, t in parts) >= _ROWS:
                break
    except (TypeError, ValueError) as error:
        raise DtypeError("doctor", "data (x, t), or a loader of (x, t) batches", type(loader).__name__) from error
    if not parts:
        raise ShapeError("doctor", "at least one batch", "none")
    return _pair((np.concatenate([x for x, _ in parts]), np.concatenate([t for _, t in parts]))), loader


def _pair(data: Any) -> Pair:
    x, t = (array_of(v) for v in data)
    if x.ndim < 1 or t.ndim < 1 or len(x) != len(t) or not len(x):
        raise ShapeError("doctor", "x (N, ...) and t with the same N >= 1", f"{x.shape} and {t.shape}")
    x = x.astype(np.float32) if x.dtype == np.float64 or x.dtype.kind == "b" else x
    t = t.astype(np.float32) if t.dtype == np.float64 else t.astype(np.int64) if t.dtype.kind in "bu" else t
    return x, t
