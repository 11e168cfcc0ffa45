"""The loop: epochs, batches, events, the best weights, checkpoints. ``fit`` in ``gyaku.train`` is its front."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyaku.backend.devices import CPU
from gyaku.backend.random import Generator, default_generator
from gyaku.backend.seats import seat
from gyaku.base.errors import ArgumentError, DivergedError
from gyaku.core.mode import no_grad
from gyaku.core.tensor import new_tensor
from gyaku.train import metrics
from gyaku.train.batches import Batches
from gyaku.train.checkpoint import arrays_of, load_checkpoint, save_checkpoint, tensors_of
from gyaku.train.compiled import CALL, CompiledStep, Fallback, told, turn
from gyaku.train.events import sees_batches
from gyaku.train.history import History
from gyaku.train.interrupt import Interrupt
from gyaku.train.machine import blas_threads
from gyaku.train.objective import Objective
from gyaku.train.outputs import outputs_of
from gyaku.train.schedule import Schedule

Array = NDArray[Any]
_SAVE = 1.0  # seconds of training that a kill may cost where epochs are shorter: writing a file takes 10 ms


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
        compile: bool | None = None,
        threads: int | None = None,
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
        self.compile, self.threads, self.compiling = compile, threads, False
        self.watchers = [c for c in self.callbacks if sees_batches(c)]
        self.sees_each = any(not hasattr(c, "next_batch") for c in self.watchers)
        self.history = History()
        self.epoch, self.batch, self.step, self.loss = 1, 0, 0, float("nan")
        self.losses: list[float] = []  # of the batches of the last call
        self.sums = [0.0, 0.0, 0.0]  # loss, score and samples of this epoch so far
        self.best: tuple[float, float] | None = None
        self.best_weights: dict[str, Array] = {}
        self.reason, self.blas, self.lasts = "", 0, dict[str, float]()

    @property
    def lr(self) -> float:
        """The learning rate in use (of the first group of parameters)."""
        return float(self.optimizer.param_groups[0]["lr"])

    def stop(self, reason: str = "callback") -> None:
        """End training after this epoch; ``reason`` goes to ``history.stopped``."""
        self.reason = self.reason or reason

    def run(self, *, resume: bool, interrupt: Interrupt | None = None) -> History:
        """Train to the end, restore the best weights and return the history.

        ``interrupt`` is that of the caller, who trains several networks at once.
        """
        mine = default_generator.get_state()
        if resume and self.path is not None and self.path.is_file():
            load_checkpoint(self, self.path)
        self.compiled, self.saved = self._compiled_step(), -math.inf
        try:
            with np.errstate(all="ignore"), self._listen(interrupt) as self.interrupt, told(self._compiling):
                self._emit("on_fit_start")
                while not self.reason:
                    self._epoch()
                self._finish()
        finally:
            with turn:
                default_generator.set_state(mine)
        return self.history

    @staticmethod
    def _listen(interrupt: Interrupt | None) -> Any:
        return Interrupt() if interrupt is None else nullcontext(interrupt)

    def _compiled_step(self) -> CompiledStep | None:
        try:
            return CompiledStep(self, self.threads)
        except Fallback as reason:
            self.history.by_run = str(reason)
            return None

    def _compiling(self, busy: bool) -> None:
        self.compiling = busy
        self._emit("on_compile")

    def _emit(self, event: str) -> None:
        for callback in self.callbacks:
            method = getattr(callback, event, None)
            if method is not None:
                method(self)

    def _epoch(self) -> None:
        self.started = time.perf_counter()
        if self.batch == 0:
            self._emit("on_epoch_start")
        self.model.train()
        self.kept = 0.0
        while self.batch < self.batches:
            self._advance()
            if self.batch < self.batches:
                self._maybe_save()
        self._end_epoch()

    def _advance(self) -> None:
        """Train on the next batch, or on as many as may go into one call of machine code."""
        before = self.batch
        if self.compiled is None:
            with turn:
                self._batch()
        else:
            try:
                self._call(self.compiled)
            except Fallback as reason:
                self._fall_back(str(reason))
        if self.batch > before:
            self._emit("on_steps_end")

    @contextmanager
    def _seated(self, what: str) -> Iterator[None]:
        """Let other processes know of NumPy's threads, while work goes on that takes about as long as the last time."""
        if self.blas == 0:
            self.blas = max(1, blas_threads()) if self.data.on == CPU else 1
        with seat.taken(self.blas, self.lasts.get(what)):
            began = time.perf_counter()
            yield
            self.lasts[what] = time.perf_counter() - began

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
        with self._seated("batch"):
            self._train(x, t)
        self._emit("on_batch_end")
        self.batch += 1

    def _train(self, x: Any, t: Any) -> None:
        """Train on one batch, define-by-run."""
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
        score = self.objective.score(y.detach().cpu()._array, t.cpu()._array)
        self._count([self.loss], [score], len(x))

    def _count(self, losses: list[float], scores: list[float], n: int) -> None:
        """Add what batches of ``n`` samples gave, one after the other: the sums do not depend on the calls."""
        for loss, score in zip(losses, scores, strict=True):
            self.sums = [a + b for a, b in zip(self.sums, (loss * n, score, n), strict=True)]
        self.step += len(losses)
        self.losses, self.loss = losses, losses[-1]

    # -- machine code -------------------------------------------------------------------------------------------------
    def _call(self, compiled: CompiledStep) -> None:
        """Train on as many batches as 0.1 s take, but no further than to one that a callback wants to see."""
        self._keep()
        unseen = min([self._next_seen(c) - self.batch for c in self.watchers], default=self.batches)
        if unseen <= 0:
            self._emit("on_batch_start")
        losses, scores = self._steps(compiled, 1 if unseen <= 0 else min(unseen, compiled.count(self.batch)))
        good = int(np.isfinite(losses).argmin()) if not np.isfinite(losses).all() else len(losses)
        if good < len(losses):
            raise self._diverged_after(compiled, good, float(losses[good]), losses[:good], scores[:good])
        self._count(losses.tolist(), scores.tolist(), self.data.size_of(self.batch))
        self.history.traces = compiled.traces
        if compiled.reason:
            self._fall_back(compiled.reason)
        if unseen <= 0:
            self._emit("on_batch_end")
        self.batch += len(losses)

    def _fall_back(self, reason: str) -> None:
        """Train by run from now on, and say why."""
        self.compiled, self.history.by_run = None, reason
        warnings.warn(f"fit: trained by run, not by machine code: {reason}", stacklevel=6)

    def _next_seen(self, callback: Any) -> int:
        return int(callback.next_batch(self)) if hasattr(callback, "next_batch") else self.batch

    def _steps(self, compiled: CompiledStep, steps: int) -> tuple[Array, Array]:
        """Run some batches of one size from the present one on, and move the schedule along."""
        groups, many = self.optimizer.param_groups, self.schedule.each_batch and steps > 1
        if not many:
            found = self._run(compiled, steps, {})
            for _ in range(steps):
                self.schedule.after_batch()
            return found
        moved = self.schedule.moved(steps, self.optimizer)
        behind = {(i, name): groups[i][name] for i, name in moved}
        for (i, name), values in moved.items():
            groups[i][name] = tuple(values[0].tolist()) if values.ndim > 1 else float(values[0])
        found = self._run(compiled, steps, moved)
        for (i, name), value in behind.items():
            groups[i][name] = value
        return found

    def _run(self, compiled: CompiledStep, steps: int, hyper: dict[tuple[int, str], Array]) -> tuple[Array, Array]:
        with self.interrupt.core():
            return compiled.run(self.epoch, self.batch, steps, hyper)

    def _keep(self) -> None:
        """Keep the state from time to time, so that a step that diverges can be gone back to."""
        now = time.perf_counter()
        if now - self.kept < CALL:
            return
        parts = (self.model, self.optimizer, self.schedule)
        self.held = self.batch, [arrays_of(part.state_dict()) for part in parts]
        self.kept = now

    def _diverged_after(
        self, compiled: CompiledStep, good: int, loss: float, losses: Array, scores: Array
    ) -> DivergedError:
        """Go back to the state before the step that diverged, ``good`` steps behind the present one."""
        bad, size = self.batch + good, self.data.size_of(self.batch)
        first, states = self.held
        for part, held in zip((self.model, self.optimizer, self.schedule), states, strict=True):
            part.load_state_dict(tensors_of(held))
        self.batch = first
        while self.batch < bad:
            steps = min(bad - self.batch, compiled.data.alike(self.batch))
            self._steps(compiled, steps)
            self.batch += steps
        if good:
            self._count(losses.tolist(), scores.tolist(), size)
            self._emit("on_steps_end")
        self.loss = loss
        return self._diverged(self.data.take(self.epoch, self.batch)[0])

    def _end_epoch(self) -> None:
        self.optimizer.zero_grad()
        self.history.rows.append(self._row())
        self._watch()
        self.history.seconds.append(time.perf_counter() - self.started)
        self._emit("on_epoch_end")
        self.epoch, self.batch, self.sums = self.epoch + 1, 0, [0.0, 0.0, 0.0]
        if self.epoch > self.epochs:
            self.stop("epochs")
        since = time.perf_counter() - self.saved
        if self.reason or self.interrupt.asked or since > min(_SAVE, self.interval):
            self._save()
        if self.interrupt.asked and not self.reason:
            raise KeyboardInterrupt

    def _row(self) -> dict[str, Any]:
        metric, (loss, score, n) = self.objective.metric, self.sums
        row: dict[str, Any] = {"epoch": self.epoch, "step": self.step, "lr": self.lr}
        row |= {"train_loss": loss / n, f"train_{metric}": self.objective.figure(score, int(n))}
        if self.dev is not None:
            with self._seated("dev"):
                found = evaluate(self.model, *self.dev, self.objective)
            row |= {f"dev_{name}": value for name, value in found.items()}
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


def evaluate(model: Any, x: Array, t: Array, objective: Objective) -> dict[str, float]:
    """Return the mean loss and the figures of a part (accuracy, rmse, iou) by name, in eval mode."""
    if objective.task == "segmentation":
        from gyaku.train.segmentation import tally

        confusion, loss = tally(model, x, t, objective)
        return {"loss": loss, "accuracy": metrics.hit_rate(confusion), "iou": metrics.mean_iou(confusion)}
    y = outputs_of(model, x)
    with np.errstate(all="ignore"), no_grad():
        loss = float(objective.loss(new_tensor(y), new_tensor(t)).item())
    return {"loss": loss, objective.metric: objective.figure(objective.score(y, t), len(t))}


def root_generator(seed: int) -> Generator:
    """Return the generator from which a run's streams are split."""
    return Generator(seed).split("train")
