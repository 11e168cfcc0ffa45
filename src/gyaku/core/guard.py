"""The last word on arguments that do not fit: one sentence in the grammar instead of an error from the inside."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

from gyaku.base.errors import ArgumentError, DtypeError, GyakuError

Function = TypeVar("Function", bound=Callable[..., Any])

# Called in every step of a training, where a second call would cost 0.1 us (``apply`` refuses what does not fit), or
# warning the caller by depth (kl_div).
QUICK = frozenset(
    "add sub mul div neg pow matmul exp log sqrt square abs sum mean tanh sigmoid relu silu gelu softplus elu "
    "leaky_relu softmax log_softmax linear reshape view flatten transpose t getitem setitem clone mse_loss kl_div "
    "__iadd__ __isub__ __imul__ add_ sub_ mul_ div_ zero_ copy_".split()
)


def guarded(function: Function) -> Function:
    """Return ``function`` with what goes wrong inside about its arguments said as one sentence.

    Raises ``DtypeError`` for arguments of a wrong kind, ``ArgumentError`` for wrong values. Functions in ``QUICK`` are
    returned as they are.
    """
    if function.__name__ in QUICK:
        return function

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except GyakuError:
            raise
        except (TypeError, AttributeError, ValueError, IndexError, OverflowError, KeyError) as error:
            raise refusal(function, function.__name__, args, kwargs, error) from error

    return cast(Function, call)


def raised_within(error: BaseException) -> bool:
    """Return whether only this package's code ran between the handler and the place of the error."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith("gyaku."):
        trace = trace.tb_next
    return trace is None


def refusal(function: Any, name: str, args: Any, kwargs: Any, error: Exception) -> GyakuError:
    """Return the error that says what ``function``, known to the user as ``name``, takes and what it was given."""
    from gyaku.core.op import context_of_call

    kind = DtypeError if isinstance(error, (TypeError, AttributeError)) else ArgumentError
    given = [_shown(a) for a in args] + [f"{k}={_shown(v)}" for k, v in kwargs.items()]
    takes = ", ".join(p for p in inspect.signature(function).parameters if p[0] != "_")
    hint = "wrap arrays and lists: gyaku.tensor(...)" if any(isinstance(a, list) or _is_array(a) for a in args) else ""
    got = ", ".join(given) or "none"
    return kind(name, f"arguments that fit {name}({takes})", f"({got})", hint=hint, context=context_of_call())


def _is_array(value: Any) -> bool:
    return type(value).__module__ == "numpy"


def _shown(value: Any) -> str:
    """Return a value in a few words."""
    if hasattr(value, "shape"):
        return f"{type(value).__name__} of shape {tuple(value.shape)}"
    text = repr(value)
    return text if len(text) <= 30 and "\n" not in text else type(value).__name__
