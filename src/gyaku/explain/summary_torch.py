"""Running a module of PyTorch's once to measure it, and putting everything back. Imported only for such a module."""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable, Iterator
from typing import Any

from gyaku.explain.summary import Row

Totals = tuple[int, int, int, int]
_NORMS = ("BatchNorm", "LayerNorm", "GroupNorm", "InstanceNorm")


def run(model: Any, inputs: tuple[Any, ...], loss: Callable[[Any], Any] | None) -> tuple[list[Row], Totals]:
    """Return the rows of a model, and (parameters, frozen ones, their bytes, bytes of gradients)."""
    torch: Any = sys.modules["torch"]
    rows = {id(module): _row(path, module) for path, module in model.named_modules()}
    watch = _Watch(torch, rows, {p.untyped_storage().data_ptr() for p in model.parameters()})
    with _untouched(torch, model), torch.enable_grad(), _hooked(model, watch):
        with torch.autograd.graph.saved_tensors_hooks(watch.kept, lambda packed: packed):
            y = model(*inputs)
        total = None if loss is None else loss(y)
        _statistics(torch, watch, total)
    parameters = list(model.parameters())
    frozen = [p for p in parameters if not p.requires_grad]
    return list(rows.values()), (
        sum(p.numel() for p in parameters),
        sum(p.numel() for p in frozen),
        sum(p.numel() * p.element_size() for p in parameters),
        sum(p.numel() * p.element_size() for p in parameters if p.requires_grad),
    )


def _row(path: str, module: Any) -> Row:
    own = list(module.parameters(recurse=False))
    return Row(
        path, type(module).__name__, depth=path.count(".") + 1 if path else 0, parameters=sum(p.numel() for p in own),
        frozen=sum(p.numel() for p in own if not p.requires_grad),
    )  # fmt: skip


class _Watch:
    """Sees the modules' calls, and the tensors that autograd keeps while the innermost one runs."""

    def __init__(self, torch: Any, rows: dict[int, Row], seen: set[int]) -> None:
        self.torch, self.rows, self.seen = torch, rows, seen
        self.open: list[Row] = []
        self.outputs: list[tuple[Row, Any]] = []

    def before(self, module: Any, args: Any) -> None:
        """Note that a module begins."""
        self.open.append(self.rows[id(module)])

    def after(self, module: Any, args: Any, output: Any) -> None:
        """Note shapes, work and output of a module's call."""
        row = self.open.pop()
        row.calls += 1
        given, made = self._tensors(args), self._tensors(output)
        if row.calls == 1:
            row.inputs, row.output = tuple(tuple(t.shape) for t in given), tuple(tuple(t.shape) for t in made)
        if made:
            row.flops += flops_of(module, given, made[0])
            self.outputs.append((row, made[0]))

    def kept(self, tensor: Any) -> Any:
        """Count a tensor that autograd keeps: each memory once, parameters not."""
        place = tensor.untyped_storage().data_ptr()
        if self.open and place not in self.seen:
            self.seen.add(place)
            self.open[-1].kept += tensor.numel() * tensor.element_size()
        return tensor

    def _tensors(self, value: Any) -> list[Any]:
        if isinstance(value, self.torch.Tensor):
            return [value]
        parts = value.values() if isinstance(value, dict) else value if isinstance(value, (tuple, list)) else ()
        return [t for part in parts for t in self._tensors(part)]


def flops_of(module: Any, inputs: list[Any], output: Any) -> int:
    """Return the FLOPs of a layer's forward pass by its kind, a multiply-add counted as 2; 0 for containers.

    Work that a model's own ``forward`` does between its layers is not seen.
    """
    kind, size = type(module).__name__, output.numel()
    bias = 1 if getattr(module, "bias", None) is not None else 0
    if any(True for _ in module.children()) or kind in ("Flatten", "Identity", "Embedding", "Unflatten"):
        return 0
    if kind == "Linear":
        return int(size * (2 * module.in_features + bias))
    if kind.startswith("ConvTranspose"):
        return int(2 * inputs[0].numel() * module.out_channels // module.groups * math.prod(module.kernel_size))
    if kind.startswith("Conv"):
        return int(size * (2 * module.in_channels // module.groups * math.prod(module.kernel_size) + bias))
    if kind.startswith(_NORMS):
        return int(7 * size)
    if kind in ("Softmax", "LogSoftmax"):
        return int(5 * size)
    if "Pool" in kind:
        return int(inputs[0].numel())
    return int(size)


def _statistics(torch: Any, watch: _Watch, loss: Any) -> None:
    """Fill in means and deviations of outputs and, with a loss, of deltas."""
    for row, t in watch.outputs:
        if t.is_floating_point() and t.numel():
            row.mean, row.std = float(t.detach().mean()), float(t.detach().std(unbiased=False))
    live = [(row, t) for row, t in watch.outputs if t.requires_grad]
    if loss is None or not loss.requires_grad or not live:
        return
    deltas = torch.autograd.grad(loss, [t for _, t in live], allow_unused=True)
    for (row, _), delta in zip(live, deltas, strict=True):
        if delta is not None and delta.numel():
            row.delta_mean, row.delta_std = float(delta.mean()), float(delta.std(unbiased=False))


@contextlib.contextmanager
def _hooked(model: Any, watch: _Watch) -> Iterator[None]:
    handles = [h for m in model.modules() for h in (m.register_forward_pre_hook(watch.before),
                                                    m.register_forward_hook(watch.after))]  # fmt: skip
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextlib.contextmanager
def _untouched(torch: Any, model: Any) -> Iterator[None]:
    """Let modules write to copies of their buffers, and put the state of the random numbers back."""
    held = [(m, name, t) for m in model.modules() for name, t in m._buffers.items() if t is not None]
    twins: dict[int, Any] = {}
    with torch.random.fork_rng(devices=[t.device for t in model.parameters() if t.is_cuda][:1]):
        try:
            for module, name, t in held:
                module._buffers[name] = twins.setdefault(id(t), t.clone())
            yield
        finally:
            for module, name, t in held:
                module._buffers[name] = t
