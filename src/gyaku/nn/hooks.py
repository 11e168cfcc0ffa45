"""What happens around ``forward`` when hooks are registered, and what may be registered under which name."""

from __future__ import annotations

from typing import Any

from gyaku.base.errors import ArgumentError, DtypeError
from gyaku.core.op import Op, apply, register
from gyaku.core.tensor import Tensor, new_tensor


@register
class Tap(Op):
    """y = x for several tensors at once; backward hands all their gradients to ``report``, which may replace them."""

    report: Any

    def forward(self, xp: Any, *x: Any) -> Any:
        return x if len(x) > 1 else x[0]

    def backward(self, xp: Any, saved: Any, gy: Any, needs: Any) -> Any:
        return self.report(gy if isinstance(gy, tuple) else (gy,))


def refuse(module: Any, expected: str, got: str, hint: str = "") -> DtypeError:
    """Return the error of a wrong kind of value given to a module."""
    return DtypeError(type(module).__name__, expected, got, hint=hint)


def checked_name(module: Any, name: Any) -> None:
    """Refuse a name that is no string, has a dot, is empty, or already means something else."""
    if "_parameters" not in module.__dict__:
        module.__getattr__("_parameters")  # says that super().__init__() was forgotten
    if not isinstance(name, str):
        raise refuse(module, "a name (str)", type(name).__name__)
    if not name or "." in name:
        raise ArgumentError(type(module).__name__, "a name without dots, not empty", repr(name))
    if hasattr(type(module), name):
        raise ArgumentError(type(module).__name__, "a name that is free", f"{name!r}, which the class has")


def run_hooked(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run pre-hooks, ``forward`` (between taps, when there are backward hooks) and forward hooks."""
    for hook, with_kwargs in list(module._forward_pre_hooks):
        answer = hook(module, args, kwargs) if with_kwargs else hook(module, args)
        if with_kwargs and answer is not None:
            args, kwargs = answer
        elif answer is not None:
            args = answer if isinstance(answer, tuple) else (answer,)
    output = backward_hooked(module, args, kwargs) if module._backward_hooks else module.forward(*args, **kwargs)
    for hook, with_kwargs in list(module._forward_hooks):
        answer = hook(module, args, kwargs, output) if with_kwargs else hook(module, args, output)
        output = output if answer is None else answer
    return output


def backward_hooked(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run ``forward`` with its tensor arguments and results passed through taps that call the backward hooks."""
    seen: dict[str, Any] = {}
    live = [i for i, a in enumerate(args) if isinstance(a, Tensor) and a.requires_grad]

    def inward(grads: tuple[Any, ...]) -> tuple[Any, ...]:
        given: list[Any] = [None] * len(args)
        for i, g in zip(live, grads, strict=True):
            given[i] = _shown(g)
        answer = _call_hooks(module, tuple(given), seen["out"])
        return tuple([_like(answer[i], g) for i, g in zip(live, grads, strict=True)])

    def outward(grads: tuple[Any, ...]) -> tuple[Any, ...]:
        seen["out"] = tuple([_shown(g) for g in grads])
        if not live:
            _call_hooks(module, (None,) * len(args), seen["out"])
        return grads

    inner = list(args)
    for i, t in zip(live, _tapped([args[i] for i in live], inward), strict=True):
        inner[i] = t
    output = module.forward(*inner, **kwargs)
    if isinstance(output, Tensor):
        return _tapped([output], outward)[0]
    if isinstance(output, (tuple, list)) and all(isinstance(t, Tensor) for t in output):
        return type(output)(_tapped(list(output), outward))
    return output


def _call_hooks(module: Any, grad_input: tuple[Any, ...], grad_output: tuple[Any, ...]) -> tuple[Any, ...]:
    for hook, _ in list(module._backward_hooks):
        answer = hook(module, grad_input, grad_output)
        if answer is not None:
            grad_input = answer if isinstance(answer, tuple) else (answer,)
    return grad_input


def _tapped(tensors: list[Tensor], report: Any) -> list[Tensor]:
    if not tensors:
        return []
    out = apply(Tap(report, view=len(tensors) == 1), *tensors)  # one tensor is passed on as itself: a view
    return list(out) if isinstance(out, tuple) else [out]


def _shown(g: Any) -> Tensor:
    return g if isinstance(g, Tensor) else new_tensor(g)


def _like(answer: Any, g: Any) -> Any:
    """Return a hook's answer in the form of the gradient it replaces (array or tensor)."""
    if answer is None:
        return None
    return answer if isinstance(g, Tensor) else answer._array
