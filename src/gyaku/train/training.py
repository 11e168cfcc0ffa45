"""``fit``: train a model on arrays, with sensible defaults and everything under control."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gyaku.base.errors import ArgumentError, ShapeError
from gyaku.train.batches import Augment, Batches, as_arrays
from gyaku.train.events import checked_callbacks
from gyaku.train.history import History
from gyaku.train.interrupt import Interrupt
from gyaku.train.loop import Loop, root_generator
from gyaku.train.objective import Objective, task_of, warn_of_wrong_pair
from gyaku.train.outputs import device_of_model, outputs_of
from gyaku.train.progress import Progress
from gyaku.train.schedule import make_optimizer


def fit(
    model: Any,
    data: Any,
    *,
    dev: Any = None,
    loss: Callable[..., Any] | Objective | None = None,
    optimizer: Any = "adam",
    lr: float | None = None,
    momentum: float | None = None,
    weight_decay: float | None = None,
    l1: float = 0.0,
    l2: float = 0.0,
    schedule: Any = "constant",
    epochs: int = 20,
    batch_size: int = 64,
    seed: int = 0,
    augment: Augment | None = None,
    label_smoothing: float = 0.0,
    class_weight: Any = None,
    clip_norm: float | None = None,
    patience: int | None = None,
    callbacks: Sequence[Any] = (),
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_seconds: float = 60.0,
    resume: bool = False,
    quiet: bool = True,
    compile: bool | None = None,
    threads: int | None = None,
    interrupt: Interrupt | None = None,
) -> History:
    """Train ``model`` and return its history; the model ends in eval mode with its best weights.

    Parameters
        data: (x, t) arrays or tensors, or a ``Prepared`` (which brings its dev part). Classes are whole numbers (N,),
            classes of pixels (N, H, W), values are floats (N, L).
        dev: (x, t) of the development part. With it, the weights of the best epoch are restored at the end (accuracy
            or mean IoU, of equals the lower loss; or rmse), and ``patience`` ends training after so many epochs without
            progress.
        loss: ``loss(y, t) -> scalar tensor``, or an ``Objective``; without it, chosen from the target
            (``lectures.md`` 2.6).
        optimizer: a name (``sgd``, ``momentum``, ``nesterov``, ``adagrad``, ``rmsprop``, ``adam``, ``adamw``, ...), to
            which ``lr``, ``momentum``, ``weight_decay``, ``l1`` and ``l2`` (weights only) belong, or an optimizer.
        schedule: ``constant``, ``cosine``, ``onecycle``, ``step``, ``exponential``, ``plateau``; or an ``lr_scheduler``
            of that optimizer, which steps once an epoch.
        augment: ``f(x, generator) -> x`` on every training batch (``gyaku.data.augment``).
        class_weight: (K,) weights, or ``"balanced"``.
        clip_norm: largest norm of all gradients together.
        callbacks: objects with the methods of ``Callback``; checked now.
        checkpoint: a file written after every epoch (of short ones: every second) and every ``checkpoint_seconds``;
            with ``resume=True`` training goes on from it and ends with the bits it would have had.
        quiet: False shows progress, in a terminal or a notebook.
        compile: run stretches of an epoch as machine code: the same order, rows and masks as define-by-run, other last
            bits. None (the default): where it pays, that is from 200 steps on; True: always; False: never. Where it
            cannot be had (a GPU, no llvmlite, an operation or a Python ``if`` on values that cannot be traced),
            training is define-by-run, and ``history.by_run`` says why (a warning, too, where your code is the reason).
        threads: threads of the machine code; None: as many as pay for themselves, fewer beside other trainings.
        interrupt: that of a caller who trains several networks at once (``fit_many``).

    Raises ``DivergedError`` when the loss is not finite, naming epoch, step and the first operation; ``ShapeError``,
    ``DtypeError``, ``ArgumentError`` or ``UnknownNameError`` for what does not fit, before training starts.

    >>> import gyaku as gy, numpy as np
    >>> x = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], dtype=np.float32)
    >>> model = gy.models.MLP(2, [8], 1, activation="tanh", seed=1)
    >>> history = gy.train.fit(model, (x, np.array([0, 1, 1, 0])), epochs=200, lr=0.05, batch_size=4)
    >>> history["train_accuracy"][-1]
    1.0
    """
    train, dev = _parts(data, dev)
    weights = _class_weight(class_weight, train[1])
    shape = outputs_of(model, train[0][:1]).shape
    n_outputs = shape[1] if len(shape) == 4 else shape[-1]
    task = task_of(train[1], n_outputs)
    _check_pixels(train[1], task, shape)
    _check_labels(train[1], task, n_outputs, loss)
    if isinstance(loss, Objective):
        objective = loss
    else:
        objective = Objective(task, label_smoothing=label_smoothing, class_weight=weights, loss=loss)
    warn_of_wrong_pair(model, objective)
    if isinstance(optimizer, str):
        options = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "l1": l1, "l2": l2}
        optimizer = make_optimizer(optimizer, model, **options)  # type: ignore[arg-type]
    elif lr is not None or momentum is not None or weight_decay is not None or l1 or l2:
        raise ArgumentError("fit", "lr, momentum, weight_decay, l1 and l2 with an optimizer's name", "an optimizer")
    batches = Batches(train[0], train[1], batch_size, root_generator(seed), augment=augment, on=device_of_model(model))
    loop = Loop(
        model, optimizer, objective, batches, dev=dev, schedule=schedule, epochs=epochs, clip_norm=clip_norm,
        patience=patience, callbacks=[*checked_callbacks(callbacks), *([] if quiet else [Progress()])],
        checkpoint=None if checkpoint is None else Path(checkpoint), checkpoint_seconds=checkpoint_seconds,
        compile=compile, threads=threads,
    )  # fmt: skip
    return loop.run(resume=resume, interrupt=interrupt)


def _parts(data: Any, dev: Any) -> tuple[Any, Any]:
    from gyaku.data import Prepared

    if isinstance(data, Prepared):
        dev = (data.x_dev, data.t_dev) if dev is None and len(data.x_dev) else dev
        data = (data.x_train, data.t_train)
    return as_arrays(data, "fit"), None if dev is None else as_arrays(dev, "fit (dev)")


def _class_weight(choice: Any, t: Any) -> Any:
    if not isinstance(choice, str):
        return choice
    if choice != "balanced":
        raise ArgumentError("fit", "class_weight 'balanced' or an array (K,)", repr(choice))
    from gyaku.data import class_weights

    return class_weights(t.ravel(), int(t.max()) + 1)


def _check_pixels(t: Any, task: str, shape: tuple[int, ...]) -> None:
    if task == "segmentation" and (len(shape) != 4 or shape[2:] != t.shape[1:]):
        expected = f"outputs (N, K, {t.shape[1]}, {t.shape[2]}), scores of every pixel of t"
        raise ShapeError("fit", expected, f"(N, {', '.join(map(str, shape[1:]))})", hint="gy.models.UNet")


def _check_labels(t: Any, task: str, n_outputs: int, loss: Any) -> None:
    if task == "regression" or loss is not None:
        return
    known = 2 if task == "binary" else n_outputs
    bad = (t < 0) | (t >= known)
    if bad.any():
        row = int(np.argwhere(bad)[0][0])
        hint = f"the output layer has {n_outputs} unit(s)"
        raise ArgumentError("fit", f"classes in 0..{known - 1}", f"{int(t[bad][0])} in row {row}", hint=hint)


def predict(model: Any, x: Any, *, task: str | None = None) -> Any:
    """Return probabilities (N, K), for two classes too, or values (N,) for ``task="regression"``, as float64.

    Without ``task`` a model with one output unit is taken as ``binary``, any other as ``multiclass``; outputs
    (N, K, H, W) as ``segmentation``, whose probabilities have that shape.
    """
    y = outputs_of(model, _inputs(x))
    chosen = task or ("segmentation" if y.ndim == 4 else "binary" if y.shape[-1] == 1 else "multiclass")
    return Objective(chosen).probabilities(y)


def _inputs(x: Any) -> Any:
    return as_arrays((x, np.zeros(len(x), dtype=np.int64)), "predict")[0]
