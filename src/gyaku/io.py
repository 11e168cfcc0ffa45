"""``save`` and ``load``: nested dicts and lists of tensors, as safetensors and JSON; loading never runs code."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from gyaku.base.errors import DataError, DtypeError
from gyaku.base.files import load_tree, save_tree
from gyaku.core.tensor import Tensor, new_tensor

_PICKLE = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")  # a zip with pickles inside, a bare one


def save(obj: Any, f: str | os.PathLike[str]) -> None:
    """Write nested dicts and lists of tensors, numbers and strings to the file ``f``, whole or not at all.

    Tensors keep type and shape (not ``requires_grad``); a flat dict, such as a ``state_dict``, is a file that every
    safetensors reader opens. Raises ``DtypeError`` naming the path of anything else, ``DataError`` when the disk
    refuses.
    """
    path = _path("save", f)
    try:
        tree = _arrays(obj)
    except RecursionError:
        got = "deeper ones, or one that holds itself"
        raise DtypeError("save", "dicts and lists that end after some levels", got) from None
    save_tree(path, tree)


def load(f: str | os.PathLike[str], map_location: Any = None, *, weights_only: bool = True) -> Any:
    """Return what ``save`` wrote to the file ``f``, its tensors on the device ``map_location`` (the CPU unless given).

    Raises ``DataError`` for a damaged file, and for pickles (PyTorch's ``.pt``), which could run code.
    """
    path = _path("load", f)
    _refuse_pickle(path)
    return _tensors(load_tree(path), map_location)


def _path(where: str, f: Any) -> Any:
    if not isinstance(f, (str, os.PathLike)):
        raise DtypeError(where, "the name of a file", type(f).__name__)
    if "\0" in os.fsdecode(f):
        raise DataError(where, "a name without the character 0", repr(f))
    return f


def _arrays(obj: Any) -> Any:
    if isinstance(obj, Tensor):
        return obj.detach().cpu()._array
    if isinstance(obj, dict):
        return {key: _arrays(value) for key, value in obj.items()}
    return [_arrays(value) for value in obj] if isinstance(obj, (list, tuple)) else obj


def _tensors(tree: Any, device: Any) -> Any:
    if isinstance(tree, np.ndarray):
        t = new_tensor(tree)
        return t if device is None else t.to(device)
    if isinstance(tree, dict):
        return {key: _tensors(value, device) for key, value in tree.items()}
    return [_tensors(value, device) for value in tree] if isinstance(tree, list) else tree


def _refuse_pickle(path: Any) -> None:
    try:
        with open(path, "rb") as file:
            start = file.read(4)
    except OSError:
        return  # load_tree says what is wrong
    if start.startswith(_PICKLE):
        raise DataError(
            f"load {os.fspath(path)}",
            "a safetensors file",
            "a pickle (PyTorch's .pt), which could run code",
            hint="save it in PyTorch with safetensors.torch.save_file(model.state_dict(), path)",
        )
