"""Many networks at once: trained side by side on all cores, each with one thread and the bits of its own training.

Machine code runs without the interpreter's lock, so threads of Python train in parallel; whatever is not machine code
(tracing, training by definition by run) takes turns.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

from gyaku.backend.seats import seat
from gyaku.backend.threads import cores
from gyaku.base.errors import ArgumentError, DivergedError
from gyaku.train.config import Config
from gyaku.train.history import History
from gyaku.train.interrupt import Interrupt
from gyaku.train.machine import can_limit_threads, limited_threads
from gyaku.train.run import Done, train_run
from gyaku.train.training import fit

Result = TypeVar("Result")
_SHARED = ("threads", "interrupt", "quiet")  # decided here
_PATIENCE = 0.05  # seconds to wait before looking for a core again


def fit_many(
    models: Sequence[Any],
    data: Any,
    *,
    each: Sequence[Mapping[str, Any]] | None = None,
    workers: int | None = None,
    **options: Any,
) -> list[History]:
    """Train networks side by side on one data set and return their histories, in order.

    Parameters
        each: what differs, one mapping of options of ``fit`` for each model (``{"seed": 3, "lr": 0.01}``).
        workers: how many train at the same time; None: one for each core, fewer beside other trainings.
        options: options of ``fit`` for all of them.

    Each ends with the bits that ``fit(model, data, threads=1, ...)`` gives it alone, whatever ``workers`` is. Networks
    of one shape share their machine code. Raises what ``fit`` raises for the first that fails; the others are stopped.

    >>> import gyaku as gy, numpy as np
    >>> x = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], dtype=np.float32)
    >>> models = [gy.models.MLP(2, [8], 1, activation="tanh", seed=seed) for seed in range(3)]
    >>> each = [{"seed": seed} for seed in range(3)]
    >>> histories = gy.train.fit_many(models, (x, np.array([0, 1, 1, 0])), each=each, epochs=20, lr=0.05, batch_size=4)
    >>> [len(history) for history in histories]
    [20, 20, 20]
    """
    each = [{} for _ in models] if each is None else each
    if len(each) != len(models):
        raise ArgumentError("fit_many", f"each with one mapping a model ({len(models)})", f"{len(each)}")
    for name in {*options, *(key for one in each for key in one)} & set(_SHARED):
        raise ArgumentError("fit_many", "other options: each network has one thread and no bar", name)

    def job(model: Any, own: Mapping[str, Any]) -> Callable[[Interrupt], History]:
        return lambda interrupt: fit(model, data, threads=1, interrupt=interrupt, **{**options, **own})

    return side_by_side([job(model, own) for model, own in zip(models, each, strict=True)], workers)


def train_many(
    configs: Sequence[Config],
    folders: Sequence[Path],
    *,
    workers: int | None = None,
    diverged: bool = False,
    options: Callable[[int], Mapping[str, Any]] = lambda _: {},
) -> list[Done | DivergedError]:
    """Train runs side by side, each into its folder, and return what they gave, in order.

    ``options(k)`` are those of ``train_run`` for run k. With ``diverged`` a run that diverges gives its error as its
    result and leaves the others alone; without, it is raised.
    """

    def job(k: int) -> Callable[[Interrupt], Done | DivergedError]:
        config = Config.from_mapping({**configs[k].to_json(), "threads": 1})

        def run(interrupt: Interrupt) -> Done | DivergedError:
            try:
                return train_run(config, folders[k], interrupt=interrupt, **options(k))
            except DivergedError as error:
                if not diverged:
                    raise
                return error

        return run

    return side_by_side([job(k) for k in range(len(configs))], workers)


def side_by_side(jobs: Sequence[Callable[[Interrupt], Result]], workers: int | None = None) -> list[Result]:
    """Return the results of jobs that run on threads, ``workers`` at a time, matrix products on one thread each.

    None is one for each core, fewer at a time while other processes train, too.
    Ctrl-C is passed on: every job that trains saves its checkpoint and ends, and ``KeyboardInterrupt`` is raised. The
    first error ends the others, too, and is raised.
    """
    if workers is not None and workers < 1:
        raise ArgumentError("workers", "at least 1", str(workers))
    limited = limited_threads(1) if can_limit_threads() else nullcontext()
    shared = Shared() if workers is None else Interrupt()  # a number that was asked for is kept: nobody waits
    with limited, shared as interrupt, ThreadPoolExecutor(workers or cores(), "gyaku-train") as pool:
        futures = [pool.submit(_begun, job, interrupt) for job in jobs]
        failed = _finished(futures, interrupt)
    if failed is not None:
        raise failed
    return [future.result() for future in futures]


def _begun(job: Callable[[Interrupt], Result], interrupt: Interrupt) -> Result:
    """Run a job whose turn has come, unless all are to stop."""
    if interrupt.asked:
        raise KeyboardInterrupt
    return job(interrupt)


def _finished(futures: Sequence[Future[Any]], interrupt: Interrupt) -> BaseException | None:
    """Wait for all and return the first error, or the user's wish to stop."""
    pending, failed = set(futures), None
    while pending:
        done, pending = wait(pending, timeout=0.1, return_when=FIRST_COMPLETED)
        errors = [e for future in done if not future.cancelled() and (e := future.exception()) is not None]
        failed = failed or next(iter(errors), None)
        if failed is not None or interrupt.asked:
            interrupt.asked = True
            for future in pending:
                future.cancel()
    if failed is None and any(future.cancelled() for future in futures):
        return KeyboardInterrupt()
    return failed


class Shared(Interrupt):
    """One wish to stop for all loops, of which only as many train at a time as there are cores for them.

    They come in the order in which they asked.
    """

    def __init__(self) -> None:
        super().__init__()
        self.training, self.waiting, self.moved = 0, deque[object](), threading.Condition()

    @contextmanager
    def core(self) -> Iterator[None]:
        """Wait for a core, and hold it inside the block."""
        self._take()
        try:
            yield
        finally:
            with self.moved:
                self.training -= 1
                self.moved.notify_all()

    def _take(self) -> None:
        me = object()
        with self.moved:
            self.waiting.append(me)
            while self.waiting[0] is not me or self.training >= seat.share(self.training + len(self.waiting)):
                self.moved.wait(_PATIENCE)
            self.waiting.popleft()
            self.training += 1
            self.moved.notify_all()


class Together:
    """Hands the events of several loops to one callback, one at a time, with the numbers of all of them."""

    def __init__(self, callback: Any, count: int) -> None:
        self.callback, self.count = callback, count
        self.lock, self.open = threading.Lock(), False

    def on_fit_start(self, loop: Any) -> None:
        """Open the bar with the first network, for as many steps as all of them take."""
        with self.lock:
            if not self.open:
                self.callback.begin(loop.epochs * loop.batches * self.count, loop.step)
                self.open = True

    def on_steps_end(self, loop: Any) -> None:
        """Move the bar."""
        with self.lock:
            self.callback.on_steps_end(loop)

    def on_compile(self, loop: Any) -> None:
        """Say that something is being compiled."""
        with self.lock:
            self.callback.on_compile(loop)
