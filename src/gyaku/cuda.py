"""PyTorch's ``torch.cuda``, as far as it makes sense here: is there a GPU, and how many."""

from __future__ import annotations

from gyaku.backend.devices import cuda_device_count, cuda_is_available, cuda_synchronize

__all__ = ["device_count", "is_available", "synchronize"]


def is_available() -> bool:
    """Return whether CuPy is installed and sees a GPU; never raises."""
    return cuda_is_available()


def device_count() -> int:
    """Return the number of GPUs; 0 without CuPy."""
    return cuda_device_count()


def synchronize() -> None:
    """Wait until the GPU has finished what was asked of it."""
    cuda_synchronize()
