"""Checkpoints: everything a run needs to go on with the same bits, in one safetensors file written atomically."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gyaku.base.errors import DataError
from gyaku.base.files import load_tree, save_tree
from gyaku.core.tensor import Tensor, new_tensor
from gyaku.train.history import rows_of, text_of

if TYPE_CHECKING:
    from gyaku.train.loop import Loop

FORMAT, VERSION = "gyaku-checkpoint", 1


def arrays_of(tree: Any) -> Any:
    """Return nested dicts and lists with every tensor as a NumPy copy, on the CPU."""
    if isinstance(tree, Tensor):
        return np.array(tree.detach().cpu()._array)
    if isinstance(tree, dict):
        return {key: arrays_of(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [arrays_of(value) for value in tree]
    return tree.item() if isinstance(tree, np.generic) else tree


def tensors_of(tree: Any) -> Any:
    """Return nested dicts and lists with every array as a tensor."""
    if isinstance(tree, np.ndarray):
        return new_tensor(tree)
    if isinstance(tree, dict):
        return {key: tensors_of(value) for key, value in tree.items()}
    return [tensors_of(value) for value in tree] if isinstance(tree, list) else tree


def _fingerprint(loop: Loop) -> dict[str, Any]:
    """Return what must be equal for a checkpoint to belong to a loop."""
    shapes = [f"{name} {tuple(p.shape)} {p.dtype}" for name, p in loop.model.named_parameters()]
    return {
        "parameters": "; ".join(shapes),
        "optimizer": type(loop.optimizer).__name__,
        "epochs": loop.epochs,
        "samples": loop.data.n,
        "batch_size": loop.data.size,
        "seed": loop.data.root.seed,
        "callbacks": [type(c).__name__ for c in loop.callbacks if hasattr(c, "state_dict")],
    }


def save_checkpoint(loop: Loop, path: Path) -> None:
    """Write the whole state of a running loop; the old file stays until the new one is complete."""
    history = loop.history
    tree = {
        "format": FORMAT,
        "version": VERSION,
        "fingerprint": _fingerprint(loop),
        "model": loop.model.state_dict(),
        "optimizer": loop.optimizer.state_dict(),
        "schedule": loop.schedule.state_dict(),
        "callbacks": [c.state_dict() for c in loop.callbacks if hasattr(c, "state_dict")],
        "best_weights": loop.best_weights,
        "best": loop.best,
        "best_epoch": history.best_epoch,
        "position": [loop.epoch, loop.batch, loop.step],
        "sums": loop.sums,
        "reason": loop.reason,
        "rows": text_of(history.rows),
        "seconds": history.seconds,
    }
    save_tree(path, arrays_of(tree))


def load_checkpoint(loop: Loop, path: Path) -> None:
    """Put a loop into the state that ``save_checkpoint`` wrote.

    Raises ``DataError`` naming the file when it is no checkpoint, or one of another model, data or setting.
    """
    tree, where = load_tree(path), f"resume {path}"
    if not isinstance(tree, dict) or tree.get("format") != FORMAT or tree.get("version") != VERSION:
        raise DataError(where, f"a checkpoint ({FORMAT} version {VERSION})", "another file")
    for key, value in _fingerprint(loop).items():
        saved = tree["fingerprint"].get(key)
        if saved != value:
            hint = "resume with the settings of the run, or start a new one"
            raise DataError(where, f"{key} {_short(saved)}, as in the checkpoint", _short(value), hint=hint)
    try:
        _restore(loop, tree)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DataError(where, "a complete checkpoint", str(error)) from error


def _restore(loop: Loop, tree: dict[str, Any]) -> None:
    loop.model.load_state_dict(tensors_of(tree["model"]))
    loop.optimizer.load_state_dict(tensors_of(tree["optimizer"]))
    loop.schedule.load_state_dict(tensors_of(tree["schedule"]))
    keepers = [c for c in loop.callbacks if hasattr(c, "state_dict")]
    for callback, state in zip(keepers, tree["callbacks"], strict=True):
        callback.load_state_dict(state)
    loop.best_weights, best = tree["best_weights"], tree["best"]
    loop.best = None if best is None else (best[0], best[1])
    loop.epoch, loop.batch, loop.step = tree["position"]
    loop.sums, loop.reason = list(tree["sums"]), tree["reason"]
    loop.history.rows, loop.history.seconds = rows_of(tree["rows"]), tree["seconds"]
    loop.history.best_epoch = tree["best_epoch"]


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
