"""Running a module of ours once to measure it, and putting everything back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from gyaku.autograd import grad
from gyaku.backend.random import get_rng_state, set_rng_state
from gyaku.core.mode import enable_grad, observe, state
from gyaku.core.tensor import Tensor
from gyaku.explain.summary import Row
from gyaku.explain.summary_flops import flops_of

Totals = tuple[int, int, int, int]


def run(model: Any, inputs: tuple[Any, ...], loss: Callable[[Any], Any] | None) -> tuple[list[Row], Totals]:
    """Return the rows of a model, and (parameters, frozen ones, their bytes, bytes of gradients)."""
    rows = {id(module): _row(path, module) for path, module in model.named_modules()}
    watch = _Watch(rows)
    with _untouched(model), enable_grad(), _hooked(model, watch), observe(watch):
        y = model(*inputs)
        watch.over = True  # the loss is no layer
        total = None if loss is None else loss(y)
    _statistics(watch, total)
    watch.count_kept([p._array for p in model.parameters()])
    parameters = list(model.parameters())
    wanted = [p for p in parameters if p.requires_grad]
    return list(rows.values()), (
        sum(p.numel() for p in parameters),
        sum(p.numel() for p in parameters if not p.requires_grad),
        sum(p._array.nbytes for p in parameters),
        sum(p._array.nbytes for p in wanted),
    )


def _row(path: str, module: Any) -> Row:
    own = [p for p in module._parameters.values() if p is not None]
    return Row(
        path, type(module).__name__, depth=path.count(".") + 1 if path else 0, parameters=sum(p.numel() for p in own),
        frozen=sum(p.numel() for p in own if not p.requires_grad),
    )  # fmt: skip


def _tensors(value: Any) -> list[Tensor]:
    """Return the tensors in a value: itself, or in a tuple, list or dictionary."""
    if isinstance(value, Tensor):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, (tuple, list)) else ()
    return [t for part in parts for t in _tensors(part)]


class _Watch:
    """Sees every module and every operation go by."""

    def __init__(self, rows: dict[int, Row]) -> None:
        self.rows = rows
        self.over = False
        self.outputs: list[tuple[Row, Tensor]] = []
        self.nodes: list[tuple[Row, Any]] = []
        self.made: dict[int, Any] = {}

    def after_module(self, module: Any, args: Any, output: Any) -> None:
        """Note shapes and output of a module's call."""
        row = self.rows.get(id(module))
        if row is None:
            return
        row.calls += 1
        tensors = _tensors(output)
        if row.calls == 1:
            row.inputs = tuple(tuple(t.shape) for t in _tensors(args))
            row.output = tuple(tuple(t.shape) for t in tensors)
        if tensors:
            self.outputs.append((row, tensors[0]))

    def after_forward(self, op: Any, inputs: list[Any], output: Any, node: Any) -> None:
        """Count the work of an operation and keep its record until the memory is counted."""
        module = state.module() if state.module is not None else None
        row = self.rows.get(id(module))
        if row is None or self.over:
            return
        row.flops += flops_of(op, inputs, output)
        if node is not None:
            self.nodes.append((row, node))

    def failed_forward(self, op: Any, inputs: list[Any], error: BaseException) -> None:
        """Nothing to note."""

    def after_backward(self, node: Any, gy: Any, gxs: Any) -> None:
        """Nothing to note."""

    def count_kept(self, parameters: list[Any]) -> None:
        """Add up the bytes that records keep: each array once (a view is its base), parameters not."""
        seen = {id(_base(p)) for p in parameters}
        for row, node in self.nodes:
            for array in node.saved or ():
                if isinstance(array, np.ndarray) and id(_base(array)) not in seen:
                    seen.add(id(_base(array)))
                    row.kept += array.nbytes


def _base(array: Any) -> Any:
    while isinstance(getattr(array, "base", None), np.ndarray):
        array = array.base
    return array


def _statistics(watch: _Watch, loss: Any) -> None:
    """Fill in means and deviations of outputs and, with a loss, of deltas; of several calls the last counts."""
    for row, t in watch.outputs:
        if t._array.dtype.kind == "f" and t._array.size:
            row.mean, row.std = float(t._array.mean()), float(t._array.std())
    live = [(row, t) for row, t in watch.outputs if t._node is not None]
    if loss is None or loss._node is None or not live:
        return
    deltas = grad(loss, [t for _, t in live], retain_graph=True, allow_unused=True)
    for (row, _), delta in zip(live, deltas):
        if delta is not None and delta._array.size:
            row.delta_mean, row.delta_std = float(delta._array.mean()), float(delta._array.std())


@contextlib.contextmanager
def _hooked(model: Any, watch: _Watch) -> Iterator[None]:
    """Let ``watch`` see the calls of all modules, and leave no trace of it."""
    modules = list(model.modules())
    marks = [(m, m.__dict__.get("_hooked")) for m in modules]
    handles = [m.register_forward_hook(watch.after_module) for m in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for module, mark in marks:
            if mark is None:
                module.__dict__.pop("_hooked", None)


@contextlib.contextmanager
def _untouched(model: Any) -> Iterator[None]:
    """Let modules write to copies of their buffers, and put the state of the random numbers back."""
    held = [(m, name, t) for m in model.modules() for name, t in m._buffers.items() if t is not None]
    seed = get_rng_state()
    twins: dict[int, Tensor] = {}
    try:
        for module, name, t in held:
            _enter(module, name, twins.setdefault(id(t), t.clone().detach()))
        yield
    finally:
        for module, name, t in held:
            _enter(module, name, t)
        set_rng_state(seed)


def _enter(module: Any, name: str, tensor: Tensor) -> None:
    module._buffers[name] = module.__dict__[name] = tensor
