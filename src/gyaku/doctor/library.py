"""Networks of Gyaku and of PyTorch through the same eyes: both answer to PyTorch's names, so one code serves both."""

from __future__ import annotations

import contextlib
import copy
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyaku.base.errors import ArgumentError, DtypeError

Array = NDArray[Any]
_NOISY = ("Dropout", "BatchNorm")  # modules that work otherwise in training than in evaluation


def library_of(model: Any) -> Any:
    """Return the package whose ``nn.Module`` a model is: ``gyaku`` or ``torch``. Raises ``DtypeError`` for others."""
    import gyaku

    if isinstance(model, gyaku.nn.Module):
        return gyaku
    torch: Any = sys.modules.get("torch")  # no model of it exists before somebody else imported it
    if torch is not None and isinstance(model, torch.nn.Module):
        return torch
    raise DtypeError("doctor", "an nn.Module of gyaku or torch", type(model).__name__)


def array_of(t: Any) -> Array:
    """Return the numbers of a tensor or array, on the CPU, without marking Gyaku's memory as foreign."""
    if hasattr(t, "_array"):
        found = t._array if type(t._array) is np.ndarray else t.detach().cpu()._array
    elif hasattr(t, "detach"):
        found = t.detach().cpu().numpy()
    else:
        found = np.asarray(t)
    return np.asarray(found)


def tensor_of(lib: Any, array: Array, model: Any) -> Any:
    """Return a fresh tensor of ``lib`` with the numbers of ``array``, where the model's parameters lie."""
    first = next(iter(model.parameters()), None)
    made = lib.tensor(np.ascontiguousarray(array))
    return made if first is None else made.to(first.device)


@contextlib.contextmanager
def seeded(lib: Any, seed: int) -> Iterator[None]:
    """Draw from ``seed`` inside the block and put the package's stream back behind it."""
    before = lib.get_rng_state()
    lib.manual_seed(seed)
    try:
        yield
    finally:
        lib.set_rng_state(before)


def copied(model: Any, optimizer: Any = None) -> tuple[Any, Any]:
    """Return copies of a model and of an optimizer of its parameters: nothing of the caller's is trained."""
    model.zero_grad()
    return copy.deepcopy((model, optimizer))


def noisy_modules(model: Any) -> list[tuple[str, Any]]:
    """Return (path, module) of every dropout (that drops) and batch norm."""
    return [(name, m) for name, m in model.named_modules() if is_dropout(m) or is_batch_norm(m)]


def is_dropout(module: Any) -> bool:
    """Whether a module drops units in training."""
    return _NOISY[0] in type(module).__name__ and bool(getattr(module, "p", 0.0))


def is_batch_norm(module: Any) -> bool:
    """Whether a module standardises over the batch."""
    return _NOISY[1] in type(module).__name__


def weight_layers(model: Any) -> list[tuple[str, Any]]:
    """Return (path, module) of the modules that own a weight with two or more dimensions (embeddings apart)."""
    return [
        (name, m)
        for name, m in model.named_modules()
        if getattr(getattr(m, "weight", None), "ndim", 0) >= 2 and type(m).__name__ != "Embedding"
    ]


@contextlib.contextmanager
def for_looking(model: Any) -> Iterator[None]:
    """Let the network work as in training, but draw and remember nothing: batch norm by the batch, no dropout."""
    modes = [(m, m.training) for m in model.modules()]
    norms = [(m, m.track_running_stats) for m in model.modules() if is_batch_norm(m)]
    for m, _ in modes:
        m.training = is_batch_norm(m)
    for m, _ in norms:
        m.track_running_stats = False
    try:
        yield
    finally:
        for m, mode in modes:
            m.training = mode
        for m, tracked in norms:
            m.track_running_stats = tracked


def criterion(lib: Any, t: Array, outputs: int) -> Callable[[Any, Any], Any]:
    """Return the mean loss that belongs to a target, of outputs and targets (``lectures.md`` 2.6)."""
    F = lib.nn.functional
    if t.dtype.kind == "f":
        return lambda y, t: F.mse_loss(y, t)
    if outputs > 1:
        return lambda y, t: F.cross_entropy(y, t)
    return lambda y, t: F.binary_cross_entropy_with_logits(y, t.to(y.dtype).reshape(y.shape))


def make_optimizer(lib: Any, name: str, model: Any, options: dict[str, Any]) -> Any:
    """Return the optimizer of that name: by ``fit``'s rules for Gyaku, by the same names for PyTorch."""
    from gyaku.train.schedule import CLASSES, OPTIMIZERS
    from gyaku.train.schedule import make_optimizer as of_gyaku

    if lib.__name__ == "gyaku":
        return of_gyaku(name, model, **options)
    if name not in OPTIMIZERS or options.get("l1"):
        raise ArgumentError("doctor", f"one of {', '.join(OPTIMIZERS)} without l1 for a torch model", repr(name))
    given = {"lr": options.get("lr") or OPTIMIZERS[name][0]}
    given["weight_decay"] = (options.get("weight_decay") or 0.0) + 2.0 * (options.get("l2") or 0.0)
    if OPTIMIZERS[name][1]:
        given["momentum"] = options.get("momentum") or (0.9 if name in ("momentum", "nesterov") else 0.0)
    if name == "nesterov":
        given["nesterov"] = True
    return getattr(lib.optim, CLASSES[name])(model.parameters(), **given)
