"""Losses, layers, optimizers and schedules, written so that they read the same for PyTorch and for Gyaku."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from golden.calls import Call, functional
from op_case import exactly, inside, real, unit, whole

SIGNS = exactly([1.0, -1.0, 1.0, -1.0, 1.0])


def loss(cls: str, **options: Any) -> Any:
    """Return a call of ``T.nn.cls(**options)(x, t, ...)``; arrays among the options become tensors."""

    def call(T: Any, *x: Any) -> Any:
        made = {
            k: T.tensor(v.astype(str(x[0].dtype).split(".")[1])) if isinstance(v, np.ndarray) else v
            for k, v in options.items()
        }
        return getattr(T.nn, cls)(**made)(*x)

    return call


def _constant(call: Any, *places: int) -> Any:
    """Return ``call`` with some inputs detached: targets that carry no gradient."""
    return lambda T, *x: call(T, *[v.detach() if i in places else v for i, v in enumerate(x)])


W3 = np.array([0.5, 1.0, 2.5])
REDUCED = ("mean", "sum", "none")


def _losses() -> dict[str, Call]:
    calls: dict[str, Call] = {}
    for r in REDUCED:
        calls |= {
            f"{k} {r}": v
            for k, v in {
                "MSELoss": (loss("MSELoss", reduction=r), real(5, 3), real(5, 3)),
                "L1Loss": (loss("L1Loss", reduction=r), real(5, 3), real(5, 3)),
                "SmoothL1Loss": (loss("SmoothL1Loss", reduction=r), real(5, 3), real(5, 3)),
                "SmoothL1Loss beta": (loss("SmoothL1Loss", reduction=r, beta=0.3), real(5, 3), real(5, 3)),
                "HuberLoss": (loss("HuberLoss", reduction=r, delta=0.7), real(5, 3), real(5, 3)),
                "CrossEntropyLoss": (loss("CrossEntropyLoss", reduction=r), real(5, 3), whole(3, 5)),
                "CrossEntropyLoss weight": (loss("CrossEntropyLoss", reduction=r, weight=W3), real(5, 3), whole(3, 5)),
                "CrossEntropyLoss ignore": (
                    loss("CrossEntropyLoss", reduction=r),
                    real(5, 3),
                    exactly([0, -100, 2, 1, -100]),
                ),
                "CrossEntropyLoss ignore weight": (
                    loss("CrossEntropyLoss", reduction=r, weight=W3, ignore_index=1),
                    real(5, 3),
                    whole(3, 5),
                ),
                "CrossEntropyLoss smooth": (
                    loss("CrossEntropyLoss", reduction=r, label_smoothing=0.1),
                    real(5, 3),
                    whole(3, 5),
                ),
                "CrossEntropyLoss smooth weight": (
                    loss("CrossEntropyLoss", reduction=r, label_smoothing=0.2, weight=W3),
                    real(5, 3),
                    whole(3, 5),
                ),
                "CrossEntropyLoss smooth ignore": (
                    loss("CrossEntropyLoss", reduction=r, label_smoothing=0.2, weight=W3),
                    real(5, 3),
                    exactly([0, -100, 2, 1, -100]),
                ),
                "CrossEntropyLoss probabilities": (loss("CrossEntropyLoss", reduction=r), real(5, 3), inside(5, 3)),
                "CrossEntropyLoss probabilities weight": (
                    loss("CrossEntropyLoss", reduction=r, weight=W3, label_smoothing=0.1),
                    real(5, 3),
                    inside(5, 3),
                ),
                "CrossEntropyLoss pixels": (
                    loss("CrossEntropyLoss", reduction=r, weight=W3),
                    real(2, 3, 4),
                    whole(3, 2, 4),
                ),
                "CrossEntropyLoss one": (loss("CrossEntropyLoss", reduction=r), real(3), exactly(2)),
                "NLLLoss": (loss("NLLLoss", reduction=r), real(5, 3), whole(3, 5)),
                "NLLLoss weight ignore": (
                    loss("NLLLoss", reduction=r, weight=W3, ignore_index=0),
                    real(5, 3),
                    whole(3, 5),
                ),
                "BCELoss": (loss("BCELoss", reduction=r), inside(5, 2), inside(5, 2)),
                "BCELoss weight": (
                    loss("BCELoss", reduction=r, weight=np.array([1.0, 3.0])),
                    inside(5, 2),
                    inside(5, 2),
                ),
                "BCEWithLogitsLoss": (loss("BCEWithLogitsLoss", reduction=r), real(5, 2), inside(5, 2)),
                "BCEWithLogitsLoss pos_weight": (
                    loss("BCEWithLogitsLoss", reduction=r, pos_weight=np.array([2.0, 0.5])),
                    real(5, 2),
                    inside(5, 2),
                ),
                "BCEWithLogitsLoss both weights": (
                    loss(
                        "BCEWithLogitsLoss", reduction=r, weight=np.array([1.0, 3.0]), pos_weight=np.array([2.0, 0.5])
                    ),
                    real(5, 2),
                    inside(5, 2),
                ),
                "MultiMarginLoss": (loss("MultiMarginLoss", reduction=r), real(5, 3), whole(3, 5)),
                "MultiMarginLoss options": (
                    loss("MultiMarginLoss", reduction=r, p=2, margin=0.7, weight=W3),
                    real(5, 3),
                    whole(3, 5),
                ),
                "HingeEmbeddingLoss": (_constant(loss("HingeEmbeddingLoss", reduction=r), 1), unit(5), SIGNS),
                "HingeEmbeddingLoss margin": (
                    _constant(loss("HingeEmbeddingLoss", reduction=r, margin=0.4), 1),
                    unit(5),
                    SIGNS,
                ),
                "KLDivLoss": (loss("KLDivLoss", reduction=r), real(5, 3), inside(5, 3)),
                "KLDivLoss log": (loss("KLDivLoss", reduction=r, log_target=True), real(5, 3), real(5, 3)),
            }.items()
        }
    calls |= {
        "KLDivLoss batchmean": (loss("KLDivLoss", reduction="batchmean"), real(5, 3), inside(5, 3)),
        "BCEWithLogitsLoss far": (loss("BCEWithLogitsLoss"), exactly([-800.0, 800.0, 0.0]), exactly([0.0, 1.0, 1.0])),
        "BCELoss ends": (_constant(loss("BCELoss"), 0, 1), exactly([0.0, 1.0, 0.0]), exactly([0.0, 1.0, 1.0])),
        "CrossEntropyLoss far": (loss("CrossEntropyLoss"), exactly([[1000.0, 0.0, -1000.0]]), exactly([2])),
        "KLDivLoss zero target": (_constant(loss("KLDivLoss", reduction="sum"), 1), real(3), exactly([0.0, 0.5, 0.5])),
        "L1Loss at 0": (loss("L1Loss"), exactly([1.0, 2.0]), exactly([1.0, 3.0])),
    }
    targets: dict[str, tuple[Any, ...]] = {
        "mse_loss": (real(4), real(4)),
        "l1_loss": (real(4), real(4)),
        "smooth_l1_loss": (real(4), real(4)),
        "huber_loss": (real(4), real(4)),
        "cross_entropy": (real(4, 3), whole(3, 4)),
        "nll_loss": (real(4, 3), whole(3, 4)),
        "binary_cross_entropy": (inside(4), inside(4)),
        "binary_cross_entropy_with_logits": (real(4), inside(4)),
        "multi_margin_loss": (real(4, 3), whole(3, 4)),
        "hinge_embedding_loss": (unit(5), whole(2, 5)),
        "kl_div": (real(4, 3), inside(4, 3)),
    }
    for name, inputs in targets.items():
        if name != "hinge_embedding_loss":
            calls[f"F.{name}"] = (functional(name, reduction="sum"), *inputs)
    return calls


LOSSES: dict[str, Call] = _losses()

# -- layers: built by ``make(nn)``, filled with fixed numbers ---------------------------------------------------------
Layer = tuple[Any, ...]
LAYERS: dict[str, Layer] = {
    "Linear": (lambda nn: nn.Linear(4, 3), real(5, 4)),
    "Linear no bias": (lambda nn: nn.Linear(4, 3, bias=False), real(2, 5, 4)),
    "Bilinear": (lambda nn: nn.Bilinear(3, 2, 4), real(5, 3), real(5, 2)),
    "Identity": (lambda nn: nn.Identity(), real(5, 4)),
    "Flatten": (lambda nn: nn.Flatten(), real(2, 3, 2)),
    "Unflatten": (lambda nn: nn.Unflatten(1, (2, 3)), real(2, 6)),
    "Embedding": (lambda nn: nn.Embedding(5, 3), whole(5, 2, 4)),
    "Embedding padding": (lambda nn: nn.Embedding(5, 3, padding_idx=0), whole(5, 2, 4)),
    "BatchNorm1d": (lambda nn: nn.BatchNorm1d(4), real(6, 4)),
    "BatchNorm1d 3d": (lambda nn: nn.BatchNorm1d(4), real(3, 4, 2)),
    "BatchNorm1d plain": (lambda nn: nn.BatchNorm1d(4, eps=1e-3, momentum=0.3, affine=False), real(6, 4)),
    "BatchNorm1d no statistics": (lambda nn: nn.BatchNorm1d(4, track_running_stats=False), real(6, 4)),
    "BatchNorm1d cumulative": (lambda nn: nn.BatchNorm1d(4, momentum=None), real(6, 4)),
    "BatchNorm2d": (lambda nn: nn.BatchNorm2d(3), real(2, 3, 2, 2)),
    "LayerNorm": (lambda nn: nn.LayerNorm(4), real(5, 4)),
    "LayerNorm 2": (lambda nn: nn.LayerNorm((3, 4), eps=1e-3), real(2, 3, 4)),
    "LayerNorm plain": (lambda nn: nn.LayerNorm(4, elementwise_affine=False), real(5, 4)),
    "GroupNorm": (lambda nn: nn.GroupNorm(2, 4), real(3, 4, 5)),
    "GroupNorm plain": (lambda nn: nn.GroupNorm(4, 4, affine=False), real(3, 4, 5)),
    "PReLU": (lambda nn: nn.PReLU(), real(5, 4)),
    "PReLU 4": (lambda nn: nn.PReLU(4, 0.1), real(5, 4)),
    **{
        n: (lambda nn, n=n: getattr(nn, n)(), real(5, 4))
        for n in "ReLU LeakyReLU ELU SELU GELU SiLU Softplus Sigmoid Tanh Hardtanh".split()
    },
    "Softmax": (lambda nn: nn.Softmax(1), real(5, 4)),
    "LogSoftmax": (lambda nn: nn.LogSoftmax(dim=-1), real(5, 4)),
    "LeakyReLU 0.3": (lambda nn: nn.LeakyReLU(0.3), real(5, 4)),
    "ELU 2": (lambda nn: nn.ELU(2.0), real(5, 4)),
    "GELU tanh": (lambda nn: nn.GELU(approximate="tanh"), real(5, 4)),
    "Softplus 3": (lambda nn: nn.Softplus(3, 10), real(5, 4)),
    "Dropout 0": (lambda nn: nn.Dropout(0.0), real(5, 4)),
    "Dropout2d 0": (lambda nn: nn.Dropout2d(0.0), real(2, 3, 2, 2)),
    "Sequential": (
        lambda nn: nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3), nn.LogSoftmax(1)),
        real(7, 4),
    ),
}


def fill(T: Any, module: Any, dtype: Any) -> Any:
    """Give every parameter of ``module`` fixed numbers of the right type, and return it."""
    module = module.to(getattr(T, np.dtype(dtype).name))
    with T.no_grad():
        for k, (_, p) in enumerate(module.named_parameters()):
            n = int(np.prod(p.shape, dtype=int))
            p.copy_(T.tensor((0.6 * np.cos(np.arange(n) * 1.7 + k)).reshape(tuple(p.shape)).astype(dtype)))
    return module


def layer_outcome(T: Any, layer: Layer, dtype: Any = np.float64) -> dict[str, np.ndarray]:
    """Return output, gradients and buffers after one step of training, then the output in eval mode."""
    module = fill(T, layer[0](T.nn), dtype)
    rng = np.random.default_rng(2026)
    arrays = [i.array(rng, dtype) for i in layer[1:]]
    xs = [T.tensor(a, requires_grad=True) if a.dtype.kind == "f" else T.tensor(a) for a in arrays]
    y = module(*xs)
    w = T.tensor(np.cos(np.arange(int(np.prod(y.shape)))).reshape(tuple(y.shape)).astype(dtype))
    (y * w).sum().backward()
    found = {"train": y, **{f"gx{i}": x.grad for i, x in enumerate(xs) if x.grad is not None}}
    found |= {f"grad {n}": p.grad for n, p in module.named_parameters()}
    found |= {f"state {n}": v for n, v in module.state_dict().items()}
    module.eval()
    found["eval"] = module(*xs)
    return {k: np.array(v.detach().numpy()) for k, v in found.items()}


# -- optimizers: 100 steps on one small network. Centred RMSprop divides by a difference of two nearly equal means, so
# it gets a large eps: with a small one the hundredth step depends on the last bit of the first.
OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "SGD": ("SGD", {"lr": 0.1}),
    "SGD momentum": ("SGD", {"lr": 0.05, "momentum": 0.9}),
    "SGD dampening": ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.3}),
    "SGD nesterov": ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    "SGD weight_decay": ("SGD", {"lr": 0.1, "weight_decay": 0.01}),
    "SGD all": ("SGD", {"lr": 0.05, "momentum": 0.8, "nesterov": True, "weight_decay": 0.02}),
    "SGD maximize": ("SGD", {"lr": 0.001, "maximize": True}),
    "Adagrad": ("Adagrad", {"lr": 0.1}),
    "Adagrad options": (
        "Adagrad",
        {"lr": 0.1, "lr_decay": 0.01, "weight_decay": 0.01, "initial_accumulator_value": 0.2, "eps": 1e-6},
    ),
    "RMSprop": ("RMSprop", {"lr": 0.01}),
    "RMSprop centered": ("RMSprop", {"lr": 0.01, "centered": True, "eps": 1e-2}),
    "RMSprop momentum": ("RMSprop", {"lr": 0.005, "momentum": 0.8, "weight_decay": 0.01, "eps": 1e-5}),
    "Adam": ("Adam", {"lr": 0.02}),
    "Adam amsgrad": ("Adam", {"lr": 0.02, "amsgrad": True}),
    "Adam weight_decay": ("Adam", {"lr": 0.02, "weight_decay": 0.05, "betas": (0.8, 0.95), "eps": 1e-5}),
    "AdamW": ("AdamW", {"lr": 0.02}),
    "AdamW options": ("AdamW", {"lr": 0.02, "weight_decay": 0.1, "amsgrad": True, "betas": (0.7, 0.9)}),
    "NAdam": ("NAdam", {"lr": 0.02}),
    "NAdam options": ("NAdam", {"lr": 0.02, "weight_decay": 0.02, "momentum_decay": 0.01}),
    "NAdam decoupled": ("NAdam", {"lr": 0.02, "weight_decay": 0.02, "decoupled_weight_decay": True}),
    "RAdam": ("RAdam", {"lr": 0.02}),
    "RAdam options": ("RAdam", {"lr": 0.02, "weight_decay": 0.02, "betas": (0.8, 0.99)}),
    "RAdam decoupled": ("RAdam", {"lr": 0.02, "weight_decay": 0.02, "decoupled_weight_decay": True}),
    "Adadelta": ("Adadelta", {}),
    "Adadelta options": ("Adadelta", {"lr": 0.5, "rho": 0.8, "eps": 1e-5, "weight_decay": 0.01}),
}


def _problem(T: Any, dtype: Any) -> tuple[Any, Any, Callable[[int], Any]]:
    """Return two parameters and an objective whose pull changes with the step.

    So no gradient ever vanishes: an adaptive rule would divide rounding errors by rounding errors.
    """

    def number(shape: tuple[int, ...], k: float) -> np.ndarray:
        return np.cos(np.arange(int(np.prod(shape))) * 1.3 + k).reshape(shape).astype(dtype)

    W, b = (T.tensor(number(s, k), requires_grad=True) for s, k in (((4, 3), 0.0), ((3,), 1.0)))
    x, t = T.tensor(number((8, 4), 2.0)), T.tensor(number((8, 3), 3.0))
    c = T.tensor(number((4, 3), 4.0))
    return W, b, lambda step: ((T.tanh(x @ W + b) - t) ** 2).mean() + (W * c).sum() * float(np.cos(0.3 * step)) * 0.2


def optimizer_outcome(
    T: Any, name: str, options: dict[str, Any], dtype: Any = np.float64, steps: int = 100
) -> dict[str, np.ndarray]:
    """Return the parameters after 1, 10 and all steps, two parameter groups with different rates."""
    W, b, objective = _problem(T, dtype)
    groups: Any = [{"params": [W]}, {"params": [b], "lr": 0.5 * options.get("lr", 1.0)}]
    optimizer = getattr(T.optim, name)(groups, **options)
    found = {}
    for step in range(1, steps + 1):
        optimizer.zero_grad()
        objective(step).backward()
        optimizer.step()
        if step in (1, 10, steps):
            found |= {f"W{step}": np.array(W.detach().numpy()), f"b{step}": np.array(b.detach().numpy())}
    return found


# -- schedules: the learning rates of 200 epochs -----------------------------------------------------------------------
METRIC = [1 / (1 + 0.3 * k) if k < 40 else 0.1 + 0.01 * ((k * 7) % 5) for k in range(200)]
SCHEDULES: dict[str, Callable[[Any, Any], Any]] = {
    "StepLR": lambda S, o: S.StepLR(o, 30),
    "StepLR gamma": lambda S, o: S.StepLR(o, step_size=7, gamma=0.5),
    "MultiStepLR": lambda S, o: S.MultiStepLR(o, [10, 50, 50, 120], gamma=0.3),
    "ExponentialLR": lambda S, o: S.ExponentialLR(o, 0.97),
    "LinearLR": lambda S, o: S.LinearLR(o),
    "LinearLR options": lambda S, o: S.LinearLR(o, start_factor=0.1, end_factor=0.8, total_iters=37),
    "CosineAnnealingLR": lambda S, o: S.CosineAnnealingLR(o, 50),
    "CosineAnnealingLR eta_min": lambda S, o: S.CosineAnnealingLR(o, T_max=200, eta_min=0.01),
    "CosineAnnealingWarmRestarts": lambda S, o: S.CosineAnnealingWarmRestarts(o, 20),
    "CosineAnnealingWarmRestarts 2": lambda S, o: S.CosineAnnealingWarmRestarts(o, T_0=10, T_mult=2, eta_min=0.001),
    "OneCycleLR": lambda S, o: S.OneCycleLR(o, max_lr=0.5, total_steps=200),
    "OneCycleLR linear": lambda S, o: S.OneCycleLR(
        o, max_lr=[0.5, 0.2], epochs=20, steps_per_epoch=10, anneal_strategy="linear", pct_start=0.4
    ),
    "OneCycleLR three": lambda S, o: S.OneCycleLR(
        o, max_lr=0.5, total_steps=200, three_phase=True, div_factor=10.0, final_div_factor=100.0
    ),
    "ReduceLROnPlateau": lambda S, o: S.ReduceLROnPlateau(o),
    "ReduceLROnPlateau options": lambda S, o: S.ReduceLROnPlateau(
        o, factor=0.5, patience=3, threshold=0.01, threshold_mode="abs", cooldown=5, min_lr=0.002
    ),
    "ReduceLROnPlateau max": lambda S, o: S.ReduceLROnPlateau(o, mode="max", patience=20),
    "LambdaLR": lambda S, o: S.LambdaLR(o, lambda e: 1 / (1 + e)),
    "LambdaLR two": lambda S, o: S.LambdaLR(o, [lambda e: 0.95**e, lambda e: 1.0]),
    "SequentialLR": lambda S, o: S.SequentialLR(
        o, [S.LinearLR(o, 0.1, total_iters=10), S.CosineAnnealingLR(o, 100), S.StepLR(o, 20)], milestones=[10, 110]
    ),
}


def schedule_outcome(T: Any, make: Callable[[Any, Any], Any], epochs: int = 200) -> dict[str, np.ndarray]:
    """Return the learning rates of two groups, and the momentum that OneCycleLR moves."""
    p, q = (T.tensor([1.0], requires_grad=True) for _ in range(2))
    p.grad, q.grad = T.zeros_like(p), T.zeros_like(q)
    optimizer = T.optim.SGD([{"params": [p]}, {"params": [q], "lr": 0.02}], lr=0.1, momentum=0.9)
    schedule = make(T.optim.lr_scheduler, optimizer)
    rates = []
    for epoch in range(epochs - 1):
        rates.append([v for g in optimizer.param_groups for v in (g["lr"], g["momentum"])])
        optimizer.step()
        schedule.step(METRIC[epoch]) if type(schedule).__name__ == "ReduceLROnPlateau" else schedule.step()
    return {"rates": np.array(rates, dtype=np.float64)}
