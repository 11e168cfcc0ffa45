"""What is switched on in this thread: recording, observers, the module at work."""

from __future__ import annotations

import contextlib
import functools
import inspect
import threading
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, cast

Function = TypeVar("Function", bound=Callable[..., Any])


class Observer(Protocol):
    """Sees each operation go by: pictures, timing, NaN traps and statistics are observers. All methods must exist.

    ``inputs`` and ``outputs`` are raw arrays (or numbers), ``node`` is the record, or None when nothing is recorded.
    """

    def after_forward(self, op: Any, inputs: list[Any], output: Any, node: Any) -> None:
        """Called after an operation gave its output."""

    def failed_forward(self, op: Any, inputs: list[Any], error: BaseException) -> None:
        """Called when an operation refused its inputs."""

    def after_backward(self, node: Any, gy: Any, gxs: tuple[Any, ...]) -> None:
        """Called after a node passed the gradient ``gy`` on as ``gxs`` (None where no gradient is wanted)."""


class _State(threading.local):
    grad: bool = True
    observers: tuple[Observer, ...] = ()
    recording: bool = True  # grad is on and nobody observes: what the fast path asks
    module: Any = None  # weak reference to the innermost nn.Module whose forward runs


state = _State()


def _set(grad: bool, observers: tuple[Observer, ...]) -> None:
    state.grad, state.observers, state.recording = grad, observers, grad and not observers


class _GradMode:
    """A context manager and decorator that records (or does not) inside; one object may be entered again and again."""

    def __init__(self, value: bool) -> None:
        self.value = value
        self.before: list[bool] = []

    def __enter__(self) -> _GradMode:
        self.before.append(state.grad)
        _set(self.value, state.observers)
        return self

    def __exit__(self, *_: object) -> None:
        _set(self.before.pop(), state.observers)

    def __call__(self, function: Function) -> Function:
        """Decorate ``function``: each call runs inside its own block (of a generator: each step between two yields)."""
        value = self.value
        if inspect.isgeneratorfunction(function):
            return cast(Function, functools.wraps(function)(lambda *a, **k: _stepped(value, function(*a, **k))))

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with _GradMode(value):
                return function(*args, **kwargs)

        return cast(Function, wrapped)


def _stepped(value: bool, inner: Any) -> Any:
    """Run the generator ``inner`` with recording on or off, while what consumes it keeps its own mode."""
    step, given = inner.send, None
    try:
        while True:
            try:
                with _GradMode(value):
                    out = step(given)
            except StopIteration as end:
                return end.value
            try:
                step, given = inner.send, (yield out)
            except GeneratorExit:
                raise
            except BaseException as error:
                step, given = inner.throw, error
    finally:
        with _GradMode(value):
            inner.close()


class no_grad(_GradMode):
    """Record nothing inside: results need no gradient (``with no_grad():``, ``@no_grad()`` or ``@no_grad``)."""

    mode = False

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        made = object.__new__(cls)
        if function is None:
            return made
        made.__init__()  # type: ignore[misc]  # a decorator without brackets: give back the decorated function
        return made(function)

    def __init__(self, function: None = None) -> None:
        super().__init__(self.mode)


class enable_grad(no_grad):
    """Record inside, also within ``no_grad``."""

    mode = True


class inference_mode(_GradMode):
    """PyTorch's name for ``no_grad`` in prediction code; ``inference_mode(False)`` changes nothing."""

    def __init__(self, mode: bool = True) -> None:
        super().__init__(state.grad and not mode)


class set_grad_enabled(_GradMode):
    """Switch recording on or off: at once, and until the end of the block when used with ``with``."""

    def __init__(self, mode: bool) -> None:
        super().__init__(bool(mode))
        self.first = state.grad
        _set(self.value, state.observers)

    def __enter__(self) -> _GradMode:
        self.before.append(self.first)
        _set(self.value, state.observers)
        return self

    def __call__(self, function: Function) -> Function:
        """Decorate ``function``; the construction itself then changes nothing outside."""
        _set(self.first, state.observers)
        return super().__call__(function)


def is_grad_enabled() -> bool:
    """Return whether operations are recorded now."""
    return state.grad


@contextlib.contextmanager
def observe(*observers: Observer) -> Any:
    """Let ``observers`` see every operation of this thread inside the block."""
    before = state.observers
    _set(state.grad, before + observers)
    try:
        yield observers
    finally:
        _set(state.grad, before)
