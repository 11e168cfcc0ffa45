"""The work of an experiment, cut into jobs: spread over processes, and remembered so that a stopped run continues."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import inspect
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any

from gyaku.backend.threads import get_num_threads, set_num_threads
from gyaku.base.errors import ArgumentError, DataError, MissingPackageError
from gyaku.base.files import load_tree, make_folder, save_tree
from gyaku.base.tree import flatten, rebuild

Progress = Callable[[int, int], None]
Job = Callable[..., Any]

_LOOKS = ("__init__", "experiment", "output", "style")  # modules of this room that no job calls
_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


class Runner:
    """Runs ``function(**kwargs)`` for a list of kwargs and returns the results in order.

    ``seed`` is the experiment's seed, from which its jobs derive theirs. ``workers`` > 1 uses that many processes; a
    job always has one BLAS thread, so that the bits do not depend on ``workers``. ``store`` is a folder of finished
    results, one file a job, named by a hash of the library's and the function's source and of the arguments: what is
    found there is not computed again, and changed code computes anew. Functions must be top-level ones of a module
    (those of ``__main__`` run here and are not remembered), arguments JSON values, results trees of arrays and JSON
    values; tuples come back as lists.
    """

    def __init__(
        self, name: str, *, seed: int = 0, workers: int = 1, store: Path | None = None, progress: Progress | None = None
    ) -> None:
        if workers < 1:
            raise ArgumentError("figure", "at least 1 worker", str(workers))
        self.name, self.seed, self.workers, self.store, self.progress = name, seed, workers, store, progress

    def __call__(self, function: Job, arguments: Sequence[dict[str, Any]]) -> list[Any]:
        """Return ``[function(**a) for a in arguments]``, remembered and in parallel as far as set up."""
        found = {i: old for i, a in enumerate(arguments) if (old := self._remembered(function, a)) is not None}
        self._tell(len(found), len(arguments))
        waiting = [i for i in range(len(arguments)) if i not in found]
        for i, result in self._results(function, arguments, waiting):
            found[i] = {"result": plain(result)}
            self._remember(function, arguments[i], found[i])
            self._tell(len(found), len(arguments))
        return [found[i]["result"] for i in range(len(arguments))]

    def _results(
        self, function: Job, arguments: Sequence[dict[str, Any]], waiting: list[int]
    ) -> Iterator[tuple[int, Any]]:
        """Yield the index and result of each waiting job as it ends."""
        if self.workers == 1 or len(waiting) < 2 or function.__module__ == "__main__":
            for i in waiting:
                with _one_thread():
                    result = function(**arguments[i])
                yield i, result
            return
        with _workers(min(self.workers, len(waiting))) as pool:
            with _importable(), _deaf_to_interrupts():
                futures = {pool.submit(function, **arguments[i]): i for i in waiting}
            for future in as_completed(futures):
                yield futures[future], future.result()

    def _tell(self, done: int, total: int) -> None:
        if self.progress is not None:
            self.progress(done, total)

    def _path(self, function: Job, kwargs: dict[str, Any]) -> Path | None:
        if self.store is None or function.__module__ == "__main__":
            return None
        key = json.dumps([digest(inspect.getfile(function)), function.__qualname__, kwargs], sort_keys=True)
        return self.store / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.safetensors"

    def _remembered(self, function: Job, kwargs: dict[str, Any]) -> dict[str, Any] | None:
        path = self._path(function, kwargs)
        if path is None or not path.exists():
            return None
        try:
            found = load_tree(path)
        except DataError:  # damaged: compute it again
            return None
        return found if "result" in found else None

    def _remember(self, function: Job, kwargs: dict[str, Any], result: dict[str, Any]) -> None:
        path = self._path(function, kwargs)
        if path is not None:
            make_folder(path.parent)
            save_tree(path, result)


def plain(result: Any) -> Any:
    """Return a result as it comes back from disk, so that remembered and fresh ones are alike."""
    arrays, structure = flatten(result, "the result of a job")
    return rebuild(structure, arrays, "the result of a job")


@functools.cache
def digest(path: str) -> str:
    """Return a hash of a source file and of everything in the library that computes."""
    from gyaku.figures.experiment import CATALOGUE

    package = Path(__file__).resolve().parents[1]
    rooms = [p for p in sorted(package.iterdir()) if p.is_dir() and p.name not in {"figures", "report", "cli"}]
    files = [file for room in rooms for file in sorted(room.rglob("*.py"))]
    shared = [file for file in sorted((package / "figures").glob("*.py")) if file.stem not in {*CATALOGUE, *_LOOKS}]
    total = hashlib.sha256()
    for file in [*files, *shared, Path(path)]:
        total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


@contextlib.contextmanager
def _workers(count: int) -> Iterator[ProcessPoolExecutor]:
    """Open a pool of new processes; an error or Ctrl-C here ends them at once instead of waiting for their jobs."""
    before = set(active_children())
    pool = ProcessPoolExecutor(count, get_context("spawn"), _quiet_worker)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in set(active_children()) - before:
            child.terminate()
        raise
    finally:
        pool.shutdown()


@contextlib.contextmanager
def _importable() -> Iterator[None]:
    """Let processes start here with one BLAS thread each, and without running the user's script once more."""
    main = vars(sys.modules["__main__"])
    hidden: dict[str, Any] = {name: main[name] for name in ("__file__", "__spec__") if name in main}
    main.update(dict.fromkeys(hidden))
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        main.update(hidden)
        for name, text in before.items():
            os.environ.pop(name) if text is None else os.environ.update({name: text})


@contextlib.contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Let processes that start here ignore Ctrl-C from their first line on: it is the parent's to answer."""
    if threading.current_thread() is not threading.main_thread():  # which alone may set what signals do
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Use one BLAS thread inside the block, where threadpoolctl is there to say so."""
    try:
        before = get_num_threads()
        set_num_threads(1)
    except MissingPackageError:
        yield
        return
    try:
        yield
    finally:
        set_num_threads(before)


def _quiet_worker() -> None:
    """Let Ctrl-C be the parent's to answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
