"""Models and schedules drawn from a seed: the same world can be built twice, once to run eagerly, once compiled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import gyaku as gy
from gyaku import nn, optim
from gyaku.core.tensor import new_tensor

COUNT = 200


class Residual(nn.Module):
    """x + f(x)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, width)

    def forward(self, x: Any) -> Any:
        return x + self.inner(x).tanh()


class Joined(nn.Module):
    """Two branches side by side."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(width, 3), nn.Linear(width, width)

    def forward(self, x: Any) -> Any:
        return gy.cat([self.a(x).relu(), self.b(x), x[:, :2]], 1)


class Rows(nn.Module):
    """Rows of a table, one after the other."""

    def __init__(self, words: int, width: int, **options: Any) -> None:
        super().__init__()
        self.table = nn.Embedding(words, width, **options)

    def forward(self, x: Any) -> Any:
        return self.table(x).flatten(1)


@dataclass
class World:
    """One model with its optimizer, and a step that may be compiled."""

    model: Any
    optimizer: Any
    step: Callable[..., Any]
    batches: list[tuple[Any, ...]]
    before: Callable[[int], None]
    text: str
    dtype: str = "float32"
    parts: list[str] = field(default_factory=list)

    def arrays(self) -> dict[str, np.ndarray]:
        """Copies of all that a step may change."""
        found = {name: t._array.copy() for name, t in self.model.state_dict().items()}
        if self.optimizer is not None:
            for i, state in self.optimizer.state_dict()["state"].items():
                for name, t in state.items():
                    found[f"{name} of {i}"] = t._array.copy()
        for name, p in self.model.named_parameters():
            if p._grad is not None:
                found[f"gradient of {name}"] = p._grad._array.copy()
        return found


def activations(rng: Any) -> list[Any]:
    return [
        nn.ReLU(),
        nn.Sigmoid(),
        nn.Tanh(),
        nn.LeakyReLU(0.1),
        nn.ELU(0.7),
        nn.SELU(),
        nn.SiLU(),
        nn.GELU(),
        nn.GELU("tanh"),
        nn.Softplus(1.5),
        nn.Hardtanh(-0.8, 0.9),
        nn.PReLU(),
        nn.LogSigmoid(),
        nn.Softmax(1),
        nn.LogSoftmax(1),
    ]


def optimizers(rng: Any) -> list[Callable[[Any], Any]]:
    return [
        lambda p: optim.SGD(p, lr=0.05),
        lambda p: optim.SGD(p, lr=0.05, momentum=0.9),
        lambda p: optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-2),
        lambda p: optim.SGD(p, lr=0.05, momentum=0.8, dampening=0.3, maximize=True),
        lambda p: optim.Adagrad(p, lr=0.02, lr_decay=0.1, initial_accumulator_value=0.1),
        lambda p: optim.RMSprop(p, lr=0.01),
        lambda p: optim.RMSprop(p, lr=0.01, momentum=0.5, centered=True),
        lambda p: optim.Adam(p, lr=0.01),
        lambda p: optim.Adam(p, lr=0.01, amsgrad=True, weight_decay=0.1),
        lambda p: optim.Adam(p, lr=0.01, eps_mode="inside", eps=1e-4),
        lambda p: optim.Adam(p, lr=0.01, eps_mode="rewritten"),
        lambda p: optim.AdamW(p, lr=0.01),
        lambda p: optim.NAdam(p, lr=0.01),
        lambda p: optim.RAdam(p, lr=0.02, betas=(0.8, 0.7)),
        lambda p: optim.Adadelta(p, lr=0.9),
        lambda p: optim.Adam(p, lr=0.01, l2=1e-3, l1=1e-3),
        lambda p: optim.SGD(p, lr=0.05, l1_proximal=0.01),
    ]


# (name, loss, what targets: classes, ignored (some are to be ignored), probabilities, bits, signs, reals)
def losses(rng: Any, k: int) -> list[tuple[Any, str]]:
    weight = gy.tensor(rng.uniform(0.5, 2, k).astype(np.float32))
    log_softmax = nn.LogSoftmax(1)
    nll, wnll = nn.NLLLoss(), nn.NLLLoss(weight)
    kl = nn.KLDivLoss(reduction="batchmean")
    bce = nn.BCELoss()
    return [
        (nn.CrossEntropyLoss(), "classes"),
        (nn.CrossEntropyLoss(reduction="sum"), "classes"),
        (nn.CrossEntropyLoss(weight), "classes"),
        (nn.CrossEntropyLoss(ignore_index=-1), "ignored"),
        (nn.CrossEntropyLoss(label_smoothing=0.1), "classes"),
        (nn.CrossEntropyLoss(weight, ignore_index=1, label_smoothing=0.2), "classes"),
        (nn.CrossEntropyLoss(), "probabilities"),
        (lambda y, t: nll(log_softmax(y), t), "classes"),
        (lambda y, t: wnll(log_softmax(y), t), "classes"),
        (nn.MultiMarginLoss(), "classes"),
        (nn.MultiMarginLoss(p=2), "classes"),
        (nn.MultiClassHingeLoss(), "classes"),
        (lambda y, t: kl(log_softmax(y), t), "probabilities"),
        (nn.BCEWithLogitsLoss(), "bits"),
        (nn.BCEWithLogitsLoss(pos_weight=weight), "bits"),
        (lambda y, t: bce(y.sigmoid(), t), "bits"),
        (nn.MSELoss(), "reals"),
        (nn.MSELoss(reduction="sum"), "reals"),
        (nn.L1Loss(), "reals"),
        (nn.SmoothL1Loss(beta=0.5), "reals"),
        (nn.HuberLoss(delta=0.7), "reals"),
        (nn.HingeEmbeddingLoss(), "signs"),
        (lambda y, t: ((y - t) ** 2).mean() + 0.01 * y.abs().sum(), "reals"),
    ]


def targets(rng: Any, kind: str, n: int, k: int, dtype: Any) -> np.ndarray:
    if kind in ("classes", "ignored"):
        t = rng.integers(0, k, n)
        if kind == "ignored":
            t[: n // 2] = -1
        return t
    if kind == "probabilities":
        p = rng.uniform(0.1, 1, (n, k))
        return (p / p.sum(1, keepdims=True)).astype(dtype)
    if kind == "bits":
        return rng.integers(0, 2, (n, k)).astype(dtype)
    if kind == "signs":
        return (2 * rng.integers(0, 2, (n, k)) - 1).astype(dtype)
    return rng.normal(size=(n, k)).astype(dtype)


def hidden(rng: Any, width: int, acts: list[Any]) -> tuple[list[Any], int]:
    """A layer or two behind a Linear of ``width`` units; returns them and the width that comes out."""
    layers: list[Any] = []
    kind = rng.integers(0, 7)
    if kind == 1:
        layers.append(nn.BatchNorm1d(width, momentum=[0.1, 0.3, None][rng.integers(0, 3)]))
    elif kind == 2:
        layers.append(nn.LayerNorm(width))
    elif kind == 3 and width % 2 == 0:
        layers.append(nn.GroupNorm(2, width))
    elif kind == 4:
        layers.append(Residual(width))
    elif kind == 5:
        layers.append(Joined(width))
        width += 5
    layers.append(acts[rng.integers(0, len(acts))])
    if rng.random() < 0.35:
        own = gy.Generator(int(rng.integers(0, 100))) if rng.random() < 0.5 else None
        scaling = ["inverted", "lecture"][rng.integers(0, 2)]
        layers.append(nn.Dropout(float(rng.choice([0.1, 0.5, 0.9])), scaling=scaling, generator=own))
    return layers, width


def build(seed: int, steps: int = 4) -> World:
    """Return the world number ``seed``."""
    rng = np.random.default_rng(seed)
    gy.manual_seed(seed)
    dtype = "float64" if seed % 4 == 3 else "float32"
    n, k, width = int(rng.integers(2, 20)), int(rng.integers(2, 7)), int(rng.integers(3, 18))
    layers: list[Any] = []
    if rng.random() < 0.15:
        words, per = int(rng.integers(4, 9)), int(rng.integers(1, 4))
        options = [{}, {"padding_idx": 1}, {"scale_grad_by_freq": True}][rng.integers(0, 3)]
        layers.append(Rows(words, width, **options))
        inputs, size = [rng.integers(0, words, (n, per)) for _ in range(steps)], per * width
    else:
        inputs, size = [rng.normal(size=(n, width)).astype(dtype) for _ in range(steps)], width
    acts = activations(rng)
    for depth in range(int(rng.integers(1, 4))):
        units = int(rng.integers(2, 24))
        layers.append(nn.Linear(size, units, bias=bool(rng.random() < 0.85)))
        more, size = hidden(rng, units, [acts[(seed + depth) % len(acts)]])
        layers += more
    layers.append(nn.Linear(size, k))
    model = nn.Sequential(*layers)
    choices = losses(rng, k)
    loss, kind = choices[seed % len(choices)]
    makers = optimizers(rng)
    which = (seed // 2) % len(makers)
    model.to(dtype)
    params: Any = model.parameters()
    if rng.random() < 0.2:
        weights = [p for p in model.parameters() if p.ndim > 1]
        rest = [p for p in model.parameters() if p.ndim <= 1]
        params = [{"params": weights, "lr": 0.003}, {"params": rest}]
    optimizer = makers[which](params)
    clip = [None, None, None, "norm", "value", "inf", "one"][rng.integers(0, 7)]
    penalty = [None, None, None, "l1", "l2"][rng.integers(0, 5)]
    batches = [(gy.tensor(x), new_tensor(targets(rng, kind, n, k, dtype))) for x in inputs]
    training, scheduled = bool(rng.random() < 0.9), rng.random() < 0.3
    scheduler = optim.lr_scheduler.ExponentialLR(optimizer, 0.9) if scheduled else None
    model.train(training)

    def step(x: Any, t: Any) -> Any:
        optimizer.zero_grad()
        y = model(x)
        e = loss(y, t)
        if penalty == "l1":
            e = e + nn.penalty.l1(model, 1e-3)
        elif penalty == "l2":
            e = e + nn.penalty.l2(model, 1e-3)
        e.backward()
        if clip == "value":
            nn.utils.clip_grad_value_(model.parameters(), 0.05)
        elif clip is not None:
            order = {"norm": 2.0, "inf": float("inf"), "one": 1.0}[clip]
            nn.utils.clip_grad_norm_(model.parameters(), 0.5, order)
        optimizer.step()
        return e, y

    def before(i: int) -> None:
        if scheduler is not None and i:
            scheduler.step()

    parts = [type(m).__name__ for m in model.modules()]
    text = f"{seed}: {dtype} {'-'.join(parts[1:])} {kind} {type(optimizer).__name__} clip={clip} penalty={penalty}"
    return World(model, optimizer, step, batches, before, text, dtype, parts)
