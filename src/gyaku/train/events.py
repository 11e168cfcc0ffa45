"""The events of a training run, and callbacks: validated when attached, not when they would first fire."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from gyaku.base.errors import ArgumentError, DtypeError, UnknownNameError

if TYPE_CHECKING:
    from gyaku.train.loop import Loop

EVENTS = (
    "on_fit_start",
    "on_epoch_start",
    "on_batch_start",
    "on_batch_end",
    "on_steps_end",
    "on_compile",
    "on_epoch_end",
    "on_fit_end",
)


class Callback:
    """Base of callbacks: override the events you want; each is called with the running ``Loop``.

    The loop shows ``model``, ``optimizer``, ``history``, ``epoch`` and ``epochs`` (from 1), ``batch`` and ``batches``
    (from 0, of this epoch), ``step``, ``lr`` and ``loss`` (of the last batch), and ``stop(reason)``. A callback that
    keeps numbers between epochs offers ``state_dict`` and ``load_state_dict``, so that a resumed run goes on exactly.

    Machine code runs many batches in one call. A callback with ``on_batch_start`` or ``on_batch_end`` sees every batch,
    which makes calls of one batch each; one that wants only some says which comes next: ``next_batch(loop)`` returns a
    number from ``loop.batch`` on (``loop.batches``: no more of this epoch), and batches before it may go by unseen.
    ``on_steps_end`` costs nothing: it has ``loop.losses``, one number for each batch of the call.

    >>> class Say(Callback):
    ...     def on_epoch_end(self, loop):
    ...         print(loop.epoch)
    """

    def on_fit_start(self, loop: Loop) -> None:
        """Before the first batch, also of a resumed run (``loop.step`` says where it goes on)."""

    def on_epoch_start(self, loop: Loop) -> None:
        """Before the first batch of an epoch; a resume in the middle of an epoch does not repeat it."""

    def on_batch_start(self, loop: Loop) -> None:
        """Before a batch."""

    def on_batch_end(self, loop: Loop) -> None:
        """After the optimizer's step."""

    def on_steps_end(self, loop: Loop) -> None:
        """After a call of machine code, or a batch without it; ``loop.losses`` are the losses of its batches."""

    def on_compile(self, loop: Loop) -> None:
        """When the step is being compiled (``loop.compiling``), and again when that is done."""

    def on_epoch_end(self, loop: Loop) -> None:
        """After the epoch's row was added to ``loop.history`` and before the checkpoint."""

    def on_fit_end(self, loop: Loop) -> None:
        """After the best weights were restored."""


def sees_batches(callback: Any) -> bool:
    """Return whether a callback has something of its own to do at a batch."""
    for name in ("on_batch_start", "on_batch_end"):
        method = getattr(callback, name, None)
        if method is not None and getattr(method, "__func__", None) is not getattr(Callback, name):
            return True
    return False


def checked_callbacks(callbacks: Sequence[Any]) -> tuple[Any, ...]:
    """Return the callbacks when every one can be called; any object with ``on_...`` methods will do.

    Raises ``UnknownNameError`` ("did you mean") for an event that does not exist, ``DtypeError`` for a class instead of
    an object or for a method that does not take the loop, ``ArgumentError`` for an object without any event.
    """
    if not isinstance(callbacks, Sequence):
        raise DtypeError("callbacks", "a list of callbacks", type(callbacks).__name__, hint="put it in a list")
    for callback in callbacks:
        _check(callback)
    return tuple(callbacks)


def _check(callback: Any) -> None:
    name = callback.__name__ if isinstance(callback, type) else type(callback).__name__
    where = f"callback {name}"
    if isinstance(callback, type):
        raise DtypeError(where, "an object", "its class", hint=f"{name}()")
    methods = [attribute for attribute in dir(callback) if attribute.startswith("on_")]
    if not methods:
        raise ArgumentError(where, f"at least one of the methods {', '.join(EVENTS)}", "none")
    for method in methods:
        if method not in EVENTS:
            raise UnknownNameError(where, method, EVENTS, what="event")
        _check_signature(getattr(callback, method), f"{where}.{method}")
    if callable(getattr(callback, "state_dict", None)) != callable(getattr(callback, "load_state_dict", None)):
        raise ArgumentError(where, "state_dict and load_state_dict", "one of them")


def _check_signature(method: Callable[..., Any], where: str) -> None:
    if not callable(method):
        raise DtypeError(where, "a method", type(method).__name__)
    try:
        inspect.signature(method).bind(None)
    except TypeError as error:
        shown = f"{method.__name__}{inspect.signature(method)}"
        raise DtypeError(where, "a method that takes the loop: (self, loop)", shown) from error
    except ValueError:  # a builtin without a signature
        return
