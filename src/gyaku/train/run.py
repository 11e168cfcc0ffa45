"""A whole run: data in; network, logs, results and report out, in one folder (``docs/architecture.md``, "A run")."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gyaku.backend.devices import device
from gyaku.backend.random import Generator
from gyaku.base.errors import DataError, GyakuError
from gyaku.base.files import append_line, lock_folder, read_bounded, save_arrays, write_text_atomic
from gyaku.train import segmentation
from gyaku.train.baseline import constant_baseline
from gyaku.train.compiled import TOO_FEW
from gyaku.train.config import Config
from gyaku.train.events import Callback
from gyaku.train.examine import examine_parts, importance, most_wrong, picture_arrays
from gyaku.train.history import History, line_of, text_of
from gyaku.train.initial import noted, read_initial
from gyaku.train.interrupt import Interrupt
from gyaku.train.loop import Loop
from gyaku.train.machine import describe_machine, differences, limited_threads
from gyaku.train.modelfile import MODEL_FILE, save_model
from gyaku.train.networks import augmentation, make_network
from gyaku.train.objective import judged_by
from gyaku.train.outputs import rows_at_a_time
from gyaku.train.probe import Probe
from gyaku.train.records import CARD_FORM, check_form, check_results
from gyaku.train.training import fit

FORMAT, VERSION = "gyaku-run", 1
PRETRAIN_FORMAT = "gyaku-pretrain"  # what pretrain.py writes
CARD, METRICS, TIMING, STATS = "run.json", "metrics.jsonl", "timing.jsonl", "stats.jsonl"
RESULTS, ARRAYS, CHECKPOINT, REPORT = "results.json", "arrays.safetensors", "checkpoint.safetensors", "report.html"
VERDICT = "doctor.json"  # written by whoever lets the doctor look
FILES = (CARD, METRICS, TIMING, STATS, RESULTS, ARRAYS, CHECKPOINT, MODEL_FILE, REPORT, VERDICT)
_PROBE = 256
_LINEAR_STEPS = 600
_FILTER_STEPS = 200  # of the few weights that see every pixel


@dataclass(frozen=True, eq=False)
class Done:
    """What a run gave: its folder, the history, ``results`` as in results.json, and notes for the user."""

    folder: Path
    history: History
    results: dict[str, Any]
    notes: tuple[str, ...]


class RunLog(Callback):
    """Writes metrics.jsonl, timing.jsonl and stats.jsonl; a resumed run writes them anew up to where it goes on."""

    def __init__(self, folder: Path, probe: Probe, begin: Callable[[History], None]) -> None:
        self.folder, self.probe, self.begin = folder, probe, begin

    def _rows(self, loop: Loop) -> dict[str, list[dict[str, Any]]]:
        seconds = [{"epoch": i, "seconds": s} for i, s in enumerate(loop.history.seconds, start=1)]
        return {METRICS: loop.history.rows, TIMING: seconds, STATS: self.probe.rows}

    def on_fit_start(self, loop: Loop) -> None:
        """Everything fits together: begin to write, first what is known so far."""
        self.begin(loop.history)
        for name, rows in self._rows(loop).items():
            write_text_atomic(self.folder / name, text_of(rows))

    def on_epoch_end(self, loop: Loop) -> None:
        """Add the epoch's row to every log."""
        for name, rows in self._rows(loop).items():
            append_line(self.folder / name, line_of(rows[-1]))


def prepare_data(config: Config) -> Any:
    """Load, split and scale the data of a configuration. Raises what the readers refuse."""
    from gyaku.data import load, prepare

    given = {name: getattr(config, name) for name in ("encoding", "delimiter", "folder", "size")}
    given = {name: value for name, value in given.items() if value is not None}
    if Path(config.data).suffix.lower() in (".csv", ".tsv", ".txt"):
        given["text"] = config.categories  # codes such as 007 stay as they are written
    if config.data == "scenes" and config.limit is not None:
        given["n"] = config.limit  # as many as are asked for, also more than usual
    source = load(config.data, target=config.target, **given)
    initial = None if config.init_from is None else read_initial(config.init_from)
    data = prepare(
        source, task=config.task, dev=config.dev, test=config.test, seed=config.seed, time=config.time,
        group=config.group, limit=config.limit, categories=config.categories,
        scaling=None if initial is None else initial.recipe,
    )  # fmt: skip
    return data if config.init_from is None else noted(data, config)


def build_model(config: Config, data: Any) -> Any:
    """Return the network of a complete configuration for a ``Prepared``, on its device."""
    model = make_network(config, data)
    if config.init_from is not None:
        read_initial(config.init_from).begin(model)
    return model.to(device(config.device))


def train_run(
    config: Config,
    folder: str | Path,
    *,
    command: str = "",
    callbacks: tuple[Any, ...] = (),
    resume: bool = False,
    say: Callable[[str], None] = lambda _: None,
    report: Callable[[Path], Any] | None = None,
    interrupt: Interrupt | None = None,
) -> Done:
    """Train what ``config`` describes and write the run folder; with ``resume`` go on with the run in ``folder``.

    ``say`` is told the notes for the user; ``report(folder)`` is called last. One process at a time: a second is
    refused by the folder's lock. A failed run keeps its files and its card says why. ``interrupt`` is that of a caller
    who trains several at once (``train_many``).

    Raises what data, model or training refuse; ``KeyboardInterrupt`` after Ctrl-C, with a checkpoint saved.
    """
    folder = Path(folder)
    data = prepare_data(config)
    config = config.completed(data)
    with limited_threads(config.blas_threads(data)):
        run = _Run(
            config, data, folder, command, say, resume, interrupt
        )  # what is wrong is refused before anything is written
        with folder_if_used(folder), lock_folder(folder), run.recorded():
            return run.train(callbacks, resume, report)


def read_card(folder: str | Path) -> dict[str, Any]:
    """Return the run card. Raises ``DataError`` when the folder is no run."""
    path = Path(folder) / CARD
    if not path.is_file():
        raise DataError(f"run {folder}", f"a run folder with {CARD}", "none", hint="gyaku train makes one")
    card = read_json(path)
    if card.get("format") == PRETRAIN_FORMAT:
        hint = f"gyaku info {folder} alone shows it; gyaku train DATA --init-from {folder} goes on from it"
        raise DataError(f"run {folder}", "a run of gyaku train", "one of gyaku pretrain", hint=hint)
    if card.get("format") != FORMAT or card.get("version") != VERSION:
        raise DataError(f"read {path}", f"{FORMAT} version {VERSION}", "another file")
    check_form(card, CARD_FORM, f"read {path}")
    return card


def read_results(folder: str | Path) -> dict[str, Any] | None:
    """Return the results of a run, ``None`` while there are none. Raises ``DataError`` naming the file."""
    path = Path(folder) / RESULTS
    if not path.is_file():
        return None
    results = read_json(path)
    check_results(results, f"read {path}")
    return results


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file. Raises ``DataError`` naming the file."""
    try:
        value = json.loads(read_bounded(path, 2**28))
    except (ValueError, RecursionError) as error:
        if isinstance(error, GyakuError):
            raise
        raise DataError(f"read {path}", "JSON", "other text") from error
    if not isinstance(value, dict):
        raise DataError(f"read {path}", "a JSON object", type(value).__name__)
    return value


def config_of(card: dict[str, Any]) -> Config:
    """Return the configuration of a run card."""
    return Config.from_mapping(card["config"], f"{CARD}, config")


class _Run:
    """One run while it is written."""

    def __init__(
        self, config: Config, data: Any, folder: Path, command: str, say: Callable[[str], None],
        resume: bool, interrupt: Interrupt | None = None,
    ) -> None:  # fmt: skip
        self.interrupt = interrupt
        self.config, self.data, self.folder, self.say = config, data, folder, say
        self.started = time.perf_counter()
        self.model = build_model(self.config, data)
        self.machine = describe_machine(self.config.device)
        self.notes: list[str] = list(data.warnings)
        self.card = self._continued() if resume else self._new_card(command)
        self.resume, self.begun, self.history = resume, False, History()
        self.before = float(self.card.get("wall_seconds") or 0.0)

    def _new_card(self, command: str) -> dict[str, Any]:
        return {
            "format": FORMAT, "version": VERSION, "name": self.folder.name, "command": command,
            "config": self.config.to_json(), "seed": self.config.seed, "status": "running", "message": "",
            "started": now(), "finished": None, "wall_seconds": 0.0, "data": data_card(self.data),
            "model": {
                "text": str(self.model), "architecture": self.model.architecture(),
                "parameters": self.model.parameter_count,
            },
            "machine": self.machine,
        }  # fmt: skip

    def _continued(self) -> dict[str, Any]:
        card = read_card(self.folder)
        if card["data"]["digest"] != self.data.digest:
            got = "another content (its SHA-256 differs)"
            raise DataError(f"resume {self.folder}", f"the data it was started on ({self.data.origin})", got)
        changed = differences(card["machine"], self.machine)
        if changed:
            self.notes.append(f"resumed under other conditions, so the last bits may differ: {'; '.join(changed)}")
        return card | {"status": "running", "message": "", "finished": None}

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Keep the card true however the block ends."""
        try:
            yield
        except KeyboardInterrupt:
            self._ended("interrupted", "interrupted by the user")
            raise
        except Exception as error:
            self._ended("failed", str(error))
            raise
        self._write_card("finished")

    def begin(self, history: History) -> None:
        """Write the card; a new run removes what an old one left."""
        self.history = history
        if not self.resume:
            for name in FILES:
                (self.folder / name).unlink(missing_ok=True)
        self._write_card("running")
        self.begun = True

    def _ended(self, status: str, message: str) -> None:
        if self.begun:
            self._write_card(status, message)

    def _write_card(self, status: str, message: str = "") -> None:
        seconds = self.before + time.perf_counter() - self.started
        ended = None if status == "running" else now()
        self.card |= {"status": status, "message": message, "finished": ended, "wall_seconds": round(seconds, 3)}
        self.card["compiled"] = {"traces": self.history.traces, "by_run": self.history.by_run}
        write_json(self.folder / CARD, self.card)

    def train(self, callbacks: tuple[Any, ...], resume: bool, report: Callable[[Path], Any] | None) -> Done:
        """Train, examine, and write everything."""
        for note in self.notes:
            self.say(note)
        started = time.perf_counter()
        probe = self._probe()
        history = self._fit(
            self.model, [probe, RunLog(self.folder, probe, self.begin), *callbacks], self.folder / CHECKPOINT, resume
        )
        trained = sum(history.seconds)
        if history.by_run not in ("", TOO_FEW) and self.config.compile is not False:
            self.notes.append(f"trained by run, not by machine code: {history.by_run}")
            self.say(self.notes[-1])
        save_model(self.folder / MODEL_FILE, self.model, self.data.recipe)
        started = time.perf_counter()
        results = self._results(history, probe)
        results["seconds"] = {"train": trained, "examine": time.perf_counter() - started}
        write_json(self.folder / RESULTS, results)
        self._write_card("finished")
        if report is not None:
            report(self.folder)
        return Done(self.folder, history, results, tuple(self.notes))

    def _probe(self) -> Probe:
        few = rows_at_a_time(self.model, self.data.x_train)
        rows = Generator(self.config.seed).split("probe").permutation(len(self.data.x_train))[: min(_PROBE, few)]
        return Probe(self.data.x_train[rows], self.data.t_train[rows])

    def _fit(self, model: Any, callbacks: list[Any], checkpoint: Path | None, resume: bool) -> History:
        c = self.config
        assert c.epochs is not None and c.batch is not None and c.label_smoothing is not None
        return fit(
            model, self.data, optimizer=c.optimizer, lr=c.lr, momentum=c.momentum, weight_decay=c.weight_decay,
            l1=c.l1, l2=c.l2, schedule=c.schedule, epochs=c.epochs, batch_size=c.batch, seed=c.seed,
            augment=augmentation(c, self.data), label_smoothing=c.label_smoothing,
            class_weight="balanced" if c.balanced else None, clip_norm=c.clip,
            patience=c.patience, callbacks=callbacks, checkpoint=checkpoint, resume=resume, compile=c.compile,
            threads=c.threads, interrupt=self.interrupt,
        )  # fmt: skip

    def _results(self, history: History, probe: Probe) -> dict[str, Any]:
        name, constant = constant_baseline(self.data)
        wrong, places = most_wrong(self.model, self.data)
        arrays = picture_arrays(self.model, self.data, places, probe.histograms)
        if self.data.kind == "segmentation":
            wrong, pictures = segmentation.picture_arrays(self.model, self.data)
            arrays |= pictures
        save_arrays(self.folder / ARRAYS, arrays)
        return {
            "task": self.data.kind,
            "metric": judged_by(self.data.kind),
            "best_epoch": history.best_epoch,
            "epochs": len(history),
            "stopped": history.stopped,
            "parts": examine_parts(self.model, self.data),
            "baselines": {name: constant, "linear": self._linear()},
            "wrong": wrong,
            "importance": importance(self.model, self.data, self.config.seed),
        }

    def _linear(self) -> dict[str, Any]:
        """Return the results of a linear model on the same data, batches and epochs, by a recipe that suits it.

        The settings of the network (a rate that it needs or that the user tries) must not spoil the comparison.
        """
        from gyaku.models import MLP

        c = self.config
        assert c.epochs is not None and c.batch is not None
        inputs, outputs = list(self.data.input_shape), self.data.recipe.n_outputs
        if self.data.kind == "segmentation":
            linear: Any = segmentation.linear_filter(inputs[0], outputs, c.seed)
            epochs = -(-_FILTER_STEPS * c.batch // len(self.data.x_train))
        else:
            linear = MLP(inputs, (), outputs, init="small", seed=c.seed)
            epochs = min(200, max(c.epochs, -(-_LINEAR_STEPS * c.batch // len(self.data.x_train))))
        linear = linear.to(device(c.device))
        fit(
            linear, self.data, optimizer="adam", lr=0.02, schedule="cosine", epochs=epochs, batch_size=c.batch,
            seed=c.seed, augment=augmentation(c, self.data), class_weight="balanced" if c.balanced else None,
            compile=c.compile, threads=c.threads, interrupt=self.interrupt,
        )  # fmt: skip
        return {part: _short(figures) for part, figures in examine_parts(linear, self.data).items()}


def _short(figures: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in figures.items() if key not in ("confusion", "per_class", "pixels")}


@contextmanager
def folder_if_used(folder: Path) -> Iterator[None]:
    """Take away the folders that were made for a run that then wrote nothing."""
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        yield
    finally:
        for path in new:
            with suppress(OSError):  # not empty: it was used
                path.rmdir()


def data_card(data: Any) -> dict[str, Any]:
    """Return what a run card says about the data."""
    recipe = data.recipe
    return {
        "name": data.name, "origin": data.origin, "digest": data.digest, "sizes": data.sizes, "task": data.kind,
        "target": recipe.target, "label_names": list(data.label_names), "feature_names": list(data.feature_names),
        "input_shape": list(data.input_shape), "image_shape": list(data.image_shape) if data.image_shape else None,
        "official_test": data.official_test, "warnings": list(data.warnings),
    }  # fmt: skip


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write an object as indented JSON in UTF-8, atomically."""
    write_text_atomic(path, json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def now() -> str:
    """Return the time as in a run card (ISO 8601)."""
    return datetime.now(UTC).astimezone().isoformat(timespec="seconds")
