"""A whole pre-training: data in; model, logs, pictures and report out, in one folder like that of ``train_run``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gyaku.base.errors import ArgumentError, DataError
from gyaku.base.files import append_line, lock_folder, save_arrays, write_text_atomic
from gyaku.train.history import line_of
from gyaku.train.interrupt import Interrupt
from gyaku.train.machine import describe_machine, limited_threads
from gyaku.train.modelfile import MODEL_FILE
from gyaku.train.pretrain_config import PretrainConfig
from gyaku.train.pretrain_examine import examine, pictures
from gyaku.train.pretrain_stages import Row, Teller, total_steps, train_model
from gyaku.train.pretrained import Pretrained, save_pretrained
from gyaku.train.records import check_form
from gyaku.train.run import (
    ARRAYS,
    CARD,
    FILES,
    METRICS,
    PRETRAIN_FORMAT,
    RESULTS,
    data_card,
    folder_if_used,
    now,
    read_json,
    write_json,
)

VERSION = 1
_FORM: dict[str, Any] = {
    "name": str, "command": str, "config": dict, "seed": int, "status": str, "message": str,
    "wall_seconds": (int, float), "data": {"name": str, "origin": str, "digest": str, "sizes": dict},
    "model": {"kind": str, "text": str, "widths": list, "parameters": int},
    "machine": {"python": str, "numpy": str, "gyaku": str, "blas": str, "threads": int},
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class PretrainDone:
    """What a pre-training gave: its folder, the model, the rows of its log, and ``results`` as in results.json."""

    folder: Path
    model: Pretrained
    rows: list[Row]
    results: dict[str, Any]


@dataclass(frozen=True)
class Watcher:
    """Who looks on: ``begin(total steps, card)``, ``steps(n)``, ``row(row)`` and ``ended(results)`` are called."""

    begin: Callable[[int, dict[str, Any]], Any] = lambda total, card: None
    steps: Callable[[int], Any] = lambda n: None
    row: Callable[[Row], Any] = lambda row: None
    examine: Callable[[], Any] = lambda: None


def pretrain_run(
    config: PretrainConfig,
    folder: str | Path,
    *,
    command: str = "",
    watcher: Watcher | None = None,
    say: Callable[[str], None] = lambda _: None,
    report: Callable[[Path], Any] | None = None,
) -> PretrainDone:
    """Pre-train what ``config`` describes and write the run folder.

    ``say`` is told the notes for the user; ``report(folder)`` is called last. Nothing is written before data and
    settings are known to be right; the model file appears whole at the end, or not at all. Raises what data, model or
    training refuse; ``KeyboardInterrupt`` after Ctrl-C.
    """
    folder = Path(folder)
    data = prepare_unlabelled(config)
    config = config.completed(data)
    with limited_threads(config.blas_threads(data)):
        run = _Run(config, data, folder, command, watcher or Watcher())
        with folder_if_used(folder), lock_folder(folder), run.recorded():
            for note in data.warnings:
                say(note)
            return run.train(report)


def prepare_unlabelled(config: PretrainConfig) -> Any:
    """Load and split the data; values are in [0, 1] for Bernoulli units, else standardised.

    Split and seed are those of ``gyaku train``, so what is test there was never seen here. Raises ``DataError`` for
    categories, and for values outside [0, 1].
    """
    from gyaku.data import load, prepare

    given = {name: getattr(config, name) for name in ("encoding", "delimiter", "folder", "size")}
    source = load(config.data, target=config.target, **{k: v for k, v in given.items() if v is not None})
    data = prepare(
        source, task=config.task, dev=config.dev, test=config.test, seed=config.seed, limit=config.limit,
        standardize=config.visible == "gaussian",
    )  # fmt: skip
    where = f"pretrain {config.data}"
    if data.kind == "segmentation":
        raise DataError(
            where, "classes or values as the later target", "masks", hint="layers are for networks of type mlp"
        )
    texts = [column.name for column in data.recipe.columns if column.kind == "category"]
    if texts:
        hint = "leave such columns out of the file"
        raise DataError(where, "columns of numbers", f"categories in {', '.join(texts[:5])}", hint=hint)
    if config.visible == "bernoulli":
        for x in (data.x_train, data.x_dev, data.x_test):
            if len(x) and (x.min() < 0.0 or x.max() > 1.0):
                got = f"{x.min():g} to {x.max():g}"
                hint = "--visible gaussian takes any values, standardised" if config.model != "dbm" else "scale them"
                raise DataError(where, "values in [0, 1] for Bernoulli units", got, hint=hint)
    return data


def read_pretrain_card(folder: str | Path) -> dict[str, Any]:
    """Return the card of a pre-training. Raises ``DataError`` when the folder is none."""
    path = Path(folder) / CARD
    if not path.is_file():
        raise DataError(f"run {folder}", f"a run folder with {CARD}", "none", hint="gyaku pretrain makes one")
    card = read_json(path)
    if card.get("format") != PRETRAIN_FORMAT or card.get("version") != VERSION:
        raise DataError(f"read {path}", f"{PRETRAIN_FORMAT} version {VERSION}", "another file")
    check_form(card, _FORM, f"read {path}")
    return card


class _Run:
    """One pre-training while it is written."""

    def __init__(self, config: PretrainConfig, data: Any, folder: Path, command: str, watcher: Watcher) -> None:
        self.config, self.data, self.folder, self.watcher = config, data, folder, watcher
        self.started, self.begun = time.perf_counter(), False
        assert config.hidden is not None
        widths = [int(np.prod(data.input_shape)), *config.hidden]
        if len(data.x_train) < 2:
            raise ArgumentError("pretrain", "at least two training samples", str(len(data.x_train)))
        self.card: dict[str, Any] = {
            "format": PRETRAIN_FORMAT, "version": VERSION, "name": folder.name, "command": command,
            "config": config.to_json(), "seed": config.seed, "status": "running", "message": "", "started": now(),
            "finished": None, "wall_seconds": 0.0, "data": data_card(data),
            "model": {"kind": config.model, "text": "-".join(map(str, widths)), "widths": widths, "parameters": 0},
            "machine": describe_machine(),
        }  # fmt: skip

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Keep the card true however the block ends."""
        try:
            yield
        except KeyboardInterrupt:
            self._write_card("interrupted", "interrupted by the user")
            raise
        except Exception as error:
            self._write_card("failed", str(error))
            raise

    def _write_card(self, status: str, message: str = "") -> None:
        if not self.begun:
            return
        seconds = round(time.perf_counter() - self.started, 3)
        ended = None if status == "running" else now()
        self.card |= {"status": status, "message": message, "finished": ended, "wall_seconds": seconds}
        write_json(self.folder / CARD, self.card)

    def _begin(self) -> None:
        for name in FILES:
            (self.folder / name).unlink(missing_ok=True)
        self.begun = True
        self._write_card("running")
        write_text_atomic(self.folder / METRICS, "")
        self.watcher.begin(total_steps(self.config, len(self.data.x_train)), self.card)

    def _row(self, row: Row) -> None:
        append_line(self.folder / METRICS, line_of(row))
        self.watcher.row(row)

    def train(self, report: Callable[[Path], Any] | None) -> PretrainDone:
        """Train, examine, and write everything."""
        self._begin()
        started = time.perf_counter()
        with Interrupt() as interrupt:
            teller = Teller(interrupt, self._row, self.watcher.steps)
            found = train_model(self.config, self.data, teller)
            trained = time.perf_counter() - started
            self.watcher.examine()
            started = time.perf_counter()
            results = examine(found, self.data, self.config.seed, teller.steps)
            arrays = pictures(found, self.data, self.config)
            if interrupt.asked:
                raise KeyboardInterrupt
        results["epochs"] = len(teller.rows)
        results["seconds"] = {"train": trained, "examine": time.perf_counter() - started}
        save_pretrained(self.folder / MODEL_FILE, found)
        save_arrays(self.folder / ARRAYS, arrays)
        write_json(self.folder / RESULTS, results)
        self.card["model"]["parameters"] = sum(a.size for a in found.arrays().values())
        self._write_card("finished")
        if report is not None:
            report(self.folder)
        return PretrainDone(self.folder, found, teller.rows, results)
