"""PyTorch's forms: eager with three kinds of Adam, compiled in parts, and the whole step compiled as one function."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.compiled.workloads import (
    BETA1,
    BETA2,
    EPS,
    MOMENTUM,
    NORM_EPS,
    NORM_MOMENTUM,
    Workload,
    batches,
    data,
    member_orders,
    orders,
    weights,
)

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
Form = Callable[[np.random.Generator], np.ndarray]


def forget() -> None:
    """Forget what was compiled for the workload before."""
    torch._dynamo.reset()


def network(w: Workload, member: int = 0) -> nn.Sequential:
    """Return the workload's network with its initial values."""
    layers: list[nn.Module] = []
    for i, ((k, l), (W, b)) in enumerate(zip(w.layers, weights(w, member), strict=True)):
        affine = nn.Linear(k, l)
        affine.weight.data, affine.bias.data = torch.from_numpy(W), torch.from_numpy(b)
        layers.append(affine)
        if i < len(w.layers) - 1:
            layers += [nn.BatchNorm1d(l)] if w.norm else []
            layers.append(nn.ReLU())
            layers += [nn.Dropout(w.dropout)] if w.dropout else []
    return nn.Sequential(*layers)


def optimizer(w: Workload, parameters: Any, **how: bool) -> torch.optim.Optimizer:
    """Return the workload's optimizer, run the way ``how`` says."""
    if w.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=w.lr, momentum=MOMENTUM, **how)
    return torch.optim.Adam(parameters, lr=w.lr, **how)


def criterion(w: Workload) -> Callable[..., Any]:
    """Return the loss, a mean over the batch."""
    return F.mse_loss if w.loss == "mse" else F.cross_entropy


def looped(w: Workload, step: Callable[[Any, Any], Any]) -> Form:
    """Return a form that calls ``step(x, t)`` for each batch."""
    if w.called:
        ready = [(torch.from_numpy(x), torch.from_numpy(t)) for x, t in batches(w)]
        return lambda rng: torch.stack([step(x, t) for x, t in ready]).numpy()
    x, t = (torch.from_numpy(a) for a in data(w))

    def run(rng: np.random.Generator) -> np.ndarray:
        losses = []
        for order in torch.from_numpy(orders(w, rng)):
            for rows in order:
                losses.append(step(x[rows], t[rows]))
        return torch.stack(losses).numpy()

    return run


def stepper(w: Workload, how: dict[str, bool], member: int = 0, compiled: bool = False) -> Callable[[Any, Any], Any]:
    """Return the ordinary training step; compiled: network and loss as one function, the optimizer as another."""
    model, loss_of = network(w, member), criterion(w)
    rule = optimizer(w, model.parameters(), **how)

    def forward(x: Any, t: Any) -> Any:
        return loss_of(model(x), t)

    if compiled:
        forward = torch.compile(forward, dynamic=False)
    update = torch.compile(rule.step) if compiled and not how.get("fused") else rule.step

    def step(x: Any, t: Any) -> Any:
        rule.zero_grad()
        loss = forward(x, t)
        loss.backward()
        update()
        return loss.detach()

    return step


# --- the whole step as one compiled function -------------------------------------------------------------------------
def _normed(a: Any, gain: Any, shift: Any) -> tuple[Any, Any, Any]:
    mean, var = a.mean(0), a.var(0, correction=0)
    return (a - mean) * torch.rsqrt(var + NORM_EPS) * gain + shift, mean.detach(), var.detach()


def _loss(w: Workload, p: list[Any], x: Any, t: Any) -> tuple[Any, list[Any]]:
    p, seen = list(p), []
    for i in range(len(w.layers)):
        x = F.linear(x, p.pop(0), p.pop(0))
        if i < len(w.layers) - 1:
            if w.norm:
                x, mean, var = _normed(x, p.pop(0), p.pop(0))
                seen += [mean, var]
            x = F.relu(x)
            x = F.dropout(x, w.dropout) if w.dropout else x
    return criterion(w)(x, t), seen


def _arrays(w: Workload, member: int) -> tuple[list[Any], list[Any]]:
    p, running = [], []
    for i, (W, b) in enumerate(weights(w, member)):
        p += [torch.from_numpy(W), torch.from_numpy(b)]
        if w.norm and i < len(w.layers) - 1:
            p += [torch.ones(len(b)), torch.zeros(len(b))]
            running += [torch.zeros(len(b)), torch.ones(len(b))]
    return p, running


def _adam(w: Workload, p: list[Any], g: list[Any], m: list[Any], v: list[Any], count: Any) -> None:
    count.add_(1)
    first, second = w.lr / (1 - BETA1**count), torch.rsqrt(1 - BETA2**count)
    for pi, gi, mi, vi in zip(p, g, m, v, strict=True):
        mi.mul_(BETA1).add_(gi, alpha=1 - BETA1)
        vi.mul_(BETA2).addcmul_(gi, gi, value=1 - BETA2)
        pi.sub_(first * mi / (vi.sqrt() * second + EPS))


def _sgd(w: Workload, p: list[Any], g: list[Any], m: list[Any]) -> None:
    for pi, gi, mi in zip(p, g, m, strict=True):
        mi.mul_(MOMENTUM).add_(gi)
        pi.sub_(mi, alpha=w.lr)


def whole_steps(w: Workload, members: range = range(1)) -> list[Callable[[Any, Any], Any]]:
    """Return each member's step, all by one compiled function: forward, backward, update and running averages."""

    def step(p: list[Any], running: list[Any], m: list[Any], v: list[Any], count: Any, x: Any, t: Any) -> Any:
        graded = torch.func.grad_and_value(lambda p: _loss(w, p, x, t), has_aux=True)
        g, (loss, seen) = graded(p)
        for k, (buffer, now) in enumerate(zip(running, seen, strict=True)):
            unbiased = now * (len(x) / (len(x) - 1)) if k % 2 else now
            buffer.lerp_(unbiased, NORM_MOMENTUM)
        if w.optimizer == "adam":
            _adam(w, p, g, m, v, count)
        else:
            _sgd(w, p, g, m)
        return loss

    compiled = torch.compile(step, fullgraph=True, dynamic=False)

    def of(member: int) -> Callable[[Any, Any], Any]:
        p, running = _arrays(w, member)
        m, v, count = [torch.zeros_like(q) for q in p], [torch.zeros_like(q) for q in p], torch.zeros(())

        def call(x: Any, t: Any) -> Any:
            with torch.no_grad():
                return compiled(p, running, m, v, count, x, t)

        return call

    return [of(member) for member in members]


# --- many networks side by side --------------------------------------------------------------------------------------
def _stacked(w: Workload) -> list[Any]:
    members = [[a for pair in weights(w, k) for a in pair] for k in range(w.members)]
    return [torch.from_numpy(np.stack(arrays)).requires_grad_() for arrays in zip(*members, strict=True)]


def batched(w: Workload, compiled: bool) -> Form:
    """Return all members in batched products (bmm), with one fused Adam over the stacked arrays."""
    p, (x, t) = _stacked(w), (torch.from_numpy(a) for a in data(w))
    rule = torch.optim.Adam(p, lr=w.lr, fused=True)

    def forward(x: Any, t: Any) -> Any:
        for i in range(len(w.layers)):
            x = torch.baddbmm(p[2 * i + 1][:, None], x, p[2 * i].mT)
            x = x if i == len(w.layers) - 1 else F.relu(x)
        each = F.cross_entropy(x.flatten(0, 1), t.flatten(), reduction="none").view(w.members, w.batch).mean(1)
        return each.sum(), each.detach()

    forward = torch.compile(forward, dynamic=False) if compiled else forward

    def run(rng: np.random.Generator) -> np.ndarray:
        losses = []
        for rows in torch.from_numpy(member_orders(w, rng, w.members)).unbind(1):
            rule.zero_grad()
            loss, each = forward(x[rows], t[rows])
            loss.backward()
            rule.step()
            losses.append(each)
        return torch.stack(losses).numpy()

    return run


def vmapped(w: Workload) -> Form:
    """Return all members through torch.func.vmap of the gradient, with one fused Adam over the stacked arrays."""
    p, (x, t) = _stacked(w), (torch.from_numpy(a) for a in data(w))
    rule = torch.optim.Adam(p, lr=w.lr, fused=True)
    graded = torch.func.vmap(torch.func.grad_and_value(lambda p, x, t: _loss(w, p, x, t)[0]))

    def run(rng: np.random.Generator) -> np.ndarray:
        losses = []
        for rows in torch.from_numpy(member_orders(w, rng, w.members)).unbind(1):
            grads, each = graded([q.detach() for q in p], x[rows], t[rows])
            for q, g in zip(p, grads, strict=True):
                q.grad = g
            rule.step()
            losses.append(each)
        return torch.stack(losses).numpy()

    return run


def one_by_one(w: Workload, first: int, last: int, compiled: bool) -> Form:
    """Return members ``first`` to ``last`` trained one after another: the work of one process among several."""
    x, t = (torch.from_numpy(a) for a in data(w))
    own = range(first, last)
    steps = whole_steps(w, own) if compiled else [stepper(w, {"fused": True}, k) for k in own]

    def run(rng: np.random.Generator) -> np.ndarray:
        order = torch.from_numpy(member_orders(w, rng, w.members)[first:last])
        return np.stack([[step(x[rows], t[rows]).item() for rows in own] for step, own in zip(steps, order)], axis=1)

    return run


def _compiled(make: Callable[[], Form]) -> Callable[[], Form]:
    def checked() -> Form:
        if shutil.which("g++") is None:
            raise FileNotFoundError("torch.compile wants g++, which is not installed here")
        return make()

    return checked


def forms(w: Workload) -> dict[str, Callable[[], Form]]:
    """Return every form by name, each to be made when it is asked for."""
    if w.members > 1:
        return {
            "bmm, fused Adam": lambda: batched(w, False),
            "vmap, fused Adam": lambda: vmapped(w),
            "bmm compiled, fused Adam": _compiled(lambda: batched(w, True)),
        }
    return {
        "eager": lambda: looped(w, stepper(w, {})),
        "eager, foreach": lambda: looped(w, stepper(w, {"foreach": True})),
        "eager, fused": lambda: looped(w, stepper(w, {"fused": True})),
        "compile, fused update": _compiled(lambda: looped(w, stepper(w, {"fused": True}, compiled=True))),
        "compile, whole step": _compiled(lambda: looped(w, whole_steps(w)[0])),
    }


def share(w: Workload, first: int, last: int) -> dict[str, Callable[[], Form]]:
    """Return the forms of one process that trains some of the members."""
    return {
        "one by one, fused Adam": lambda: one_by_one(w, first, last, False),
        "one by one, compiled whole step": _compiled(lambda: one_by_one(w, first, last, True)),
    }
