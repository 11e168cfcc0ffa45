"""Hooks of tensors: what registering one returns, and the one of ``retain_grad``."""

from __future__ import annotations

import weakref
from typing import Any


class RemovableHandle:
    """What registering a hook returns; ``remove()`` takes the hook away again (also as a context manager)."""

    def __init__(self, hooks: list[Any], hook: Any) -> None:
        self.hooks, self.hook = hooks, hook

    def remove(self) -> None:
        """Take the hook away; a second call does nothing."""
        for i, hook in enumerate(self.hooks):
            if hook is self.hook:
                del self.hooks[i]
                break
        self.hooks = []

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


class RetainGrad:
    """The hook of ``retain_grad``: adds each gradient to ``.grad`` of a result, which it knows weakly."""

    def __init__(self, tensor: Any) -> None:
        self.tensor = weakref.ref(tensor)

    def __call__(self, g: Any) -> None:
        """Keep a copy: the array itself travels on to the parents."""
        tensor = self.tensor()
        if tensor is not None:
            tensor._grad = g.clone() if tensor._grad is None else tensor._grad + g
