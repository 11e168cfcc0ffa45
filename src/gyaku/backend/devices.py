"""Devices by PyTorch's names, and the moves of arrays between them. The only place that imports CuPy."""

from __future__ import annotations

import importlib.util
from types import ModuleType
from typing import Any

import numpy as np

from gyaku.base.errors import ArgumentError, DeviceError, MissingPackageError


class device:
    """Where arrays live: ``device("cpu")``, ``device("cuda")`` (the default GPU) or ``device("cuda:1")``.

    >>> device("cuda", 1), device("cpu") == "cpu"
    (device(type='cuda', index=1), True)
    """

    __slots__ = ("type", "index")

    type: str
    index: int | None

    def __init__(self, type: str | device, index: int | None = None) -> None:
        if isinstance(type, device):
            other = type
            type, index = other.type, other.index if index is None else index
        name, _, number = str(type).partition(":")
        if name not in ("cpu", "cuda") or (number and not number.isdigit()):
            raise ArgumentError("device", "'cpu', 'cuda' or 'cuda:N'", repr(type))
        self.type, self.index = name, int(number) if number else index

    def __repr__(self) -> str:
        return f"device(type={self.type!r}" + (")" if self.index is None else f", index={self.index})")

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            other = device(other)
        return isinstance(other, device) and (self.type, self.index or 0) == (other.type, other.index or 0)

    def __hash__(self) -> int:
        return hash((self.type, self.index or 0))


CPU = device("cpu")


def cuda_device_count() -> int:
    """Return how many GPUs CuPy sees; 0 without it; never raises."""
    if importlib.util.find_spec("cupy") is None:
        return 0
    try:
        return int(_cupy().cuda.runtime.getDeviceCount())
    except Exception:  # any driver trouble means: none
        return 0


def cuda_is_available() -> bool:
    """Return whether CuPy is installed and sees a GPU; never raises."""
    return cuda_device_count() > 0


def cuda_synchronize() -> None:
    """Wait until the GPU has finished what was asked of it."""
    _cupy().cuda.runtime.deviceSynchronize()


def _cupy() -> ModuleType:
    try:
        import cupy
    except ImportError as error:
        raise MissingPackageError("device('cuda')", "cupy", "cuda") from error
    from gyaku.backend import namespace

    namespace.enter_cupy(cupy)
    return cupy


def device_of(array: Any) -> device:
    """Return the device an array lies on (a tracer of the compiler counts as the CPU)."""
    if type(array).__module__.partition(".")[0] == "cupy":
        return device("cuda", array.device.id)
    return CPU


def move(array: Any, to: device) -> Any:
    """Return ``array`` on device ``to``; the same object when it is there already.

    Raises ``DeviceError`` when CuPy is there but no GPU answers, ``MissingPackageError`` when CuPy is not.
    """
    here = device_of(array)
    if here == to or (here.type == to.type and to.index is None):
        return array
    if to.type == "cpu":
        return array.get()
    cupy = _cupy()
    try:
        with cupy.cuda.Device(to.index):
            return cupy.asarray(np.asarray(array) if here.type == "cpu" else array)
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise DeviceError("device('cuda')", "a GPU that answers", str(error)) from error
