"""The loop: epochs, batches, events, the best weights, checkpoints. ``fit`` in ``gyaku.train`` is its front."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyaku.backend.random import Generator, default_generator
from gyaku.base.errors import ArgumentError, DivergedError
from gyaku.core.mode import no_grad
from gyaku.core.tensor import new_tensor
from gyaku.train.batches import Batches
from gyaku.train.checkpoint import arrays_of, load_checkpoint, save_checkpoint
from gyaku.train.history import History
from gyaku.train.interrupt import Interrupt
from gyaku.train.objective import Objective
from gyaku.train.schedule import Schedule

Array = NDArray[Any]
_EVALUATE = 2048  # rows at a time


class Loop:
    """One training run, as callbacks see it (``Callback`` says which attributes).

    Nothing random is drawn from a state that lives on: the order of an epoch, its augmentation and its dropout follow
    from (seed, epoch, batch). So a loop that continues from a checkpoint ends with the same bits.
    """

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        objective: Objective,
        batches: Batches,
        *,
        dev: tuple[Array, Array] | None,
        schedule: Any,
        epochs: int,
        clip_norm: float | None,
        patience: int | None,
        callbacks: Sequence[Any],
        checkpoint: Path | None,
        checkpoint_seconds: float,
    ) -> None:
        if epochs < 1:
            raise ArgumentError("fit", "epochs >= 1", str(epochs))
        if patience is not None and (patience < 1 or dev is None):
            raise ArgumentError("fit", "patience >= 1 and a dev part", f"patience={patience}", hint="give dev=(x, t)")
        if clip_norm is not None and not clip_norm > 0:
            raise ArgumentError("fit", "clip_norm > 0", str(clip_norm))
        self.model, self.optimizer, self.objective, self.data = model, optimizer, objective, batches
        self.dev, self.epochs, self.clip_norm, self.patience = dev, epochs, clip_norm, patience
        self.batches = batches.count
        self.schedule = Schedule(schedule, optimizer, epochs, self.batches)
        self.callbacks = tuple(callbacks)
        self.path, self.interval = checkpoint, checkpoint_seconds
        self.history = History()
        self.epoch, self.batch, self.step, self.loss = 1, 0, 0, float("nan")
        self.sums = [0.0, 0.0, 0.0]  # loss, score and samples of this epoch so far
        self.best: tuple[float, float] | None = None
        self.best_weights: dict[str, Array] = {}
        self.reason = ""

    @property
    def lr(self) -> float:
        """The learning rate in use (of the first group of parameters)."""
        return float(self.optimizer.param_groups[0]["lr"])

    def stop(self, reason: str = "callback") -> None:
        """End training after this epoch; ``reason`` goes to ``history.stopped``."""
        self.reason = self.reason or reason

    def run(self, *, resume: bool) -> History:
        """Train to the end, restore the best weights and return the history."""
        mine = default_generator.get_state()
        if resume and self.path is not None and self.path.is_file():
            load_checkpoint(self, self.path)
        try:
            with np.errstate(all="ignore"), Interrupt() as self.interrupt:
                self._emit("on_fit_start")
                while not self.reason:
                    self._epoch()
                self._finish()
        finally:
            default_generator.set_state(mine)
        return self.history

    def _emit(self, event: str) -> None:
        for callback in self.callbacks:
            method = getattr(callback, event, None)
            if method is not None:
                method(self)

    def _epoch(self) -> None:
        self.started = self.saved = time.perf_counter()
        if self.batch == 0:
            self._emit("on_epoch_start")
        self.model.train()
        while self.batch < self.batches:
            self._batch()
            self.batch += 1
            if self.batch < self.batches:
                self._maybe_save()
        self._end_epoch()

    def _maybe_save(self) -> None:
        """Save in the middle of an epoch: when asked to stop, and from time to time."""
        due = time.perf_counter() - self.saved > self.interval
        if due or self.interrupt.asked:
            self._save()
        if self.interrupt.asked:
            raise KeyboardInterrupt

    def _batch(self) -> None:
        default_generator.set_state(self.data.root.split(f"layers/{self.epoch}/{self.batch}").get_state())
        x, t = self.data.take(self.epoch, self.batch)
        self._emit("on_batch_start")
        self.optimizer.zero_grad()
        y = self.model(x)
        loss = self.objective.loss(y, t)
        self.loss = loss.item()
        if not np.isfinite(self.loss):
            raise self._diverged(x)
        loss.backward()
        if self.clip_norm is not None:
            from gyaku.nn.utils import clip_grad_norm_

            clip_grad_norm_(self.model.parameters(), self.clip_norm)
        self.optimizer.step()
        self.schedule.after_batch()
        self.step += 1
        n = len(x)
        score = self.objective.score(y.detach().cpu()._array, t.cpu()._array)
        for i, value in enumerate((self.loss * n, score, n)):
            self.sums[i] += value
        self._emit("on_batch_end")

    def _end_epoch(self) -> None:
        self.optimizer.zero_grad()
        self.history.rows.append(self._row())
        self._watch()
        self.history.seconds.append(time.perf_counter() - self.started)
        self._emit("on_epoch_end")
        self.epoch, self.batch, self.sums = self.epoch + 1, 0, [0.0, 0.0, 0.0]
        if self.epoch > self.epochs:
            self.stop("epochs")
        self._save()
        if self.interrupt.asked and not self.reason:
            raise KeyboardInterrupt

    def _row(self) -> dict[str, Any]:
        metric, (loss, score, n) = self.objective.metric, self.sums
        row: dict[str, Any] = {"epoch": self.epoch, "step": self.step, "lr": self.lr}
        row |= {"train_loss": loss / n, f"train_{metric}": self.objective.figure(score, int(n))}
        if self.dev is not None:
            loss, figure = evaluate(self.model, *self.dev, self.objective)
            row |= {"dev_loss": loss, f"dev_{metric}": figure}
        self.schedule.after_epoch(row.get("dev_loss", row["train_loss"]))
        return row

    def _watch(self) -> None:
        """Keep the best weights by the dev part, and stop when it has not improved for ``patience`` epochs."""
        if self.dev is None:
            self.history.best_epoch = self.epoch
            return
        found = self.objective.better(self.history.rows[-1], "dev")
        if self.best is None or found > self.best:
            self.best, self.history.best_epoch = found, self.epoch
            self.best_weights = arrays_of(self.model.state_dict())
        elif self.patience is not None and self.epoch - self.history.best_epoch >= self.patience:
            self.stop("patience")

    def _save(self) -> None:
        if self.path is not None:
            save_checkpoint(self, self.path)
        self.saved = time.perf_counter()

    def _finish(self) -> None:
        if self.best_weights:
            self.model.load_state_dict({name: new_tensor(a.copy()) for name, a in self.best_weights.items()})
        self.model.eval()
        self.history.stopped = self.reason
        self._emit("on_fit_end")

    def _diverged(self, x: Any) -> DivergedError:
        from gyaku.train.trap import first_not_finite

        default_generator.set_state(self.data.root.split(f"layers/{self.epoch}/{self.batch}").get_state())
        culprit = first_not_finite(self.model, x)
        where = f"training, epoch {self.epoch}, step {self.step + 1}"
        hint = f"lower the learning rate (now {self.lr:g}), or clip the gradients (clip_norm=1, --clip 1)"
        return DivergedError(where, "a finite loss", f"{self.loss} (first seen in {culprit})", hint=hint)


@no_grad()
def outputs_of(model: Any, x: Array, *, on: Any = None) -> Array:
    """Return the raw outputs of ``model`` for all rows of ``x``, in eval mode; the mode is put back."""
    was_training = model.training
    model.eval()
    target = device_of_model(model) if on is None else on
    parts = [model(new_tensor(x[i : i + _EVALUATE]).to(target)).cpu()._array for i in range(0, len(x), _EVALUATE)]
    model.train(was_training)
    return np.concatenate(parts)


def device_of_model(model: Any) -> Any:
    """Return the device of the first parameter (the CPU for a model without any)."""
    from gyaku.backend.devices import CPU

    return next((p.device for p in model.parameters()), CPU)


def evaluate(model: Any, x: Array, t: Array, objective: Objective) -> tuple[float, float]:
    """Return mean loss and figure (accuracy or rmse) of a part, in eval mode."""
    y = outputs_of(model, x)
    with np.errstate(all="ignore"), no_grad():
        loss = objective.loss(new_tensor(y), new_tensor(t)).item()
    return float(loss), objective.figure(objective.score(y, t), len(t))


def root_generator(seed: int) -> Generator:
    """Return the generator from which a run's streams are split."""
    return Generator(seed).split("train")
