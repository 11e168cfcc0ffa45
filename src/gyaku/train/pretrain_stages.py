"""How each kind of model is pre-trained: the settings handed to it, and its rows told in one form."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gyaku.data.corrupt import corruption
from gyaku.energy import DBM, DBN
from gyaku.models import StackedAutoencoder
from gyaku.train.autoencoder import fit_layers
from gyaku.train.events import Callback
from gyaku.train.interrupt import Interrupt
from gyaku.train.loop import Loop
from gyaku.train.pretrain_config import PretrainConfig
from gyaku.train.pretrain_examine import STEPS, binary
from gyaku.train.pretrained import Pretrained

Row = dict[str, Any]
_BOUNDS = 10  # times the bound of a DBM is estimated on the way
_BOUND_ROWS = 1000


class Teller:
    """What a training tells as it goes: a row an epoch to ``on_row``, steps to ``on_steps``, Ctrl-C to ``interrupt``.

    Rows have ``epoch`` (from 1, over all stages), ``stage`` (``layer1``, ..., ``joint``), ``stage_epoch``, ``lr``,
    ``error`` (mean squared error of one value, on the training part as it was trained), ``dev_error`` (of the dev part,
    where it is measured), ``pseudo_likelihood`` (an RBM's, nats a sample) and ``bound`` (a DBM's, nats a sample).
    """

    def __init__(self, interrupt: Interrupt, on_row: Callable[[Row], Any], on_steps: Callable[[int], Any]) -> None:
        self.interrupt, self.on_row, self.on_steps = interrupt, on_row, on_steps
        self.rows: list[Row] = []

    def tell(self, stage: str, stage_epoch: int, lr: float, error: float, **figures: float | None) -> None:
        """Add the row of an epoch."""
        row: Row = {"epoch": len(self.rows) + 1, "stage": stage, "stage_epoch": stage_epoch, "lr": lr, "error": error}
        row |= {"dev_error": None, "pseudo_likelihood": None, "bound": None} | figures
        self.rows.append(row)
        self.on_row(row)

    def steps(self, n: int) -> None:
        """Count batches; the place where Ctrl-C is heard."""
        self.on_steps(n)
        if self.interrupt.asked:
            raise KeyboardInterrupt


class _Telling(Callback):
    """Tells the epochs of ``fit`` as those of one layer."""

    def __init__(self, teller: Teller) -> None:
        self.teller, self.stage = teller, ""

    def begin(self, layer: int) -> None:
        """Note which layer comes."""
        self.stage = f"layer{layer + 1}"

    def on_steps_end(self, loop: Loop) -> None:
        """Move the bar; ``fit`` hears Ctrl-C itself."""
        self.teller.on_steps(len(loop.losses))

    def on_epoch_end(self, loop: Loop) -> None:
        """Tell the epoch."""
        row = loop.history.rows[-1]
        dev = row.get("dev_rmse")
        error = row["train_rmse"] ** 2
        self.teller.tell(self.stage, loop.epoch, row["lr"], error, dev_error=None if dev is None else dev**2)


def total_steps(config: PretrainConfig, n: int) -> int:
    """Return the number of batches of all stages, and of the annealing that judges them."""
    assert config.epochs and config.batch and config.hidden
    judging = STEPS if config.model in ("dbm", "rbm") else 0
    return math.ceil(n / config.batch) * (config.epochs * len(config.hidden) + (config.joint or 0)) + judging


def train_model(config: PretrainConfig, data: Any, teller: Teller) -> Pretrained:
    """Train the model of a complete configuration on the training part of a ``Prepared``."""
    train = {"sae": _train_sae, "dbm": _train_dbm}.get(config.model, _train_dbn)
    return Pretrained(config.model, train(config, data, teller), data.recipe)


def _train_sae(c: Any, data: Any, teller: Teller) -> StackedAutoencoder:
    output = "sigmoid" if c.visible == "bernoulli" else "identity"
    model = StackedAutoencoder(
        list(data.input_shape), c.hidden, activation=c.activation, tied=bool(c.tied), output=output, seed=c.seed
    )
    telling = _Telling(teller)
    fit_layers(
        model, data.x_train, dev=data.x_dev if len(data.x_dev) else None, corruption=corruption(c.corruption, c.noise),
        begin=telling.begin, sparsity=c.penalty, target=c.target_activation, strength=c.strength, epochs=c.epochs,
        lr=c.lr, batch_size=c.batch, seed=c.seed, callbacks=[telling], interrupt=teller.interrupt, threads=c.threads,
    )  # fmt: skip
    return model


def _train_dbn(c: Any, data: Any, teller: Teller) -> DBN:
    x, dev = _rows(data.x_train), _rows(data.x_dev)
    model = DBN(x.shape[1], list(c.hidden), units=c.visible, seed=c.seed)
    single = len(c.hidden) == 1
    model.fit(
        x, epochs=c.epochs, batch_size=c.batch, lr=c.lr, rule=c.rule, k=c.k, momentum=c.momentum,
        weight_decay=c.weight_decay, seed=c.seed, on_batch=teller.steps,
        on_epoch=lambda row: teller.tell(
            row["stage"], row["epoch"], row["lr"], row["reconstruction_error"],
            pseudo_likelihood=row["pseudo_likelihood"], dev_error=_error(model, dev) if single else None,
        ),
    )  # fmt: skip
    if c.joint:
        model.refine(
            x, epochs=c.joint, batch_size=c.batch, lr=c.joint_lr, k=max(c.k or 1, 5), seed=c.seed,
            on_batch=teller.steps,
            on_epoch=lambda row: teller.tell(
                row["stage"], row["epoch"], row["lr"], row["reconstruction_error"], dev_error=_error(model, dev)
            ),
        )  # fmt: skip
    return model


def _rows(x: Any) -> Any:
    return x.reshape(len(x), -1)


def _train_dbm(c: Any, data: Any, teller: Teller) -> DBM:
    x, dev = _rows(data.x_train), _rows(data.x_dev)
    model = DBM(x.shape[1], list(c.hidden), seed=c.seed)
    shared = {
        "batch_size": c.batch, "momentum": c.momentum, "weight_decay": c.weight_decay, "seed": c.seed,
        "on_batch": teller.steps,
    }  # fmt: skip
    model.pretrain(
        x, epochs=c.epochs, lr=c.lr, k=1, **shared,
        on_epoch=lambda row: teller.tell(row["stage"], row["epoch"], row["lr"], row["reconstruction_error"]),
    )  # fmt: skip
    if c.joint:
        due = {round(e) for e in np.linspace(1, c.joint, min(_BOUNDS, c.joint))}
        model.fit(
            x, epochs=c.joint, lr=c.joint_lr, k=c.k, chains=100, **shared,
            on_epoch=lambda row: teller.tell(
                row["stage"], row["epoch"], row["lr"], row["reconstruction_error"], dev_error=_error(model, dev),
                bound=_bound(model, x, c.seed) if row["epoch"] in due else None,
            ),
        )  # fmt: skip
    return model


def _error(model: Any, x: Any) -> float | None:
    return float(np.square(model.reconstruct(x) - x).mean()) if len(x) else None


def _bound(model: DBM, x: Any, seed: int) -> float:
    """Return the mean lower bound of log p(v), by a short annealing: a curve to look at, not the final figure."""
    log_z = model.annealed_log_partition(chains=100, steps=1000, seed=seed).log_z
    return float(model.bound(binary(x[:_BOUND_ROWS], seed), log_z).mean())
