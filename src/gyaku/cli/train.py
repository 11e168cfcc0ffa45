"""``gyaku train``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from gyaku.base.errors import ArgumentError, DataError, DivergedError
from gyaku.base.text import Phrases, language
from gyaku.cli.options import Numbers, Size, json_option, lang_option
from gyaku.cli.terminal import answer_json, tell
from gyaku.cli.words import words

_EXAMPLES = """
\b
Examples:
  gyaku train digits
  gyaku train mnist --hidden 512,256 --epochs 40 --seed 1
  gyaku train mnist --model lenet
  gyaku train scenes --model unet
  gyaku train sales.csv --target price --name sales
  gyaku train digits --plain
  gyaku train digits --seeds 8
  gyaku train --resume runs/digits
"""
# Settings of a run as options: (names, click's arguments). Defaults live in Config; an option not given is None.
SETTINGS: list[tuple[tuple[str, ...], dict[str, Any]]] = [
    (("--target",), {"metavar": "COLUMN", "help": "Column to predict (tables)."}),
    (("--task",), {"metavar": "TASK", "help": "regression, binary, multiclass or segmentation; else from the target."}),
    (("--categories",), {"metavar": "COLUMNS", "help": "Columns of numbers that are codes, separated by commas."}),
    (("--encoding",), {"help": "Encoding of a CSV file; else UTF-8, then cp932."}),
    (("--delimiter",), {"help": "Delimiter of a CSV file; else from its name and header."}),
    (("--folder",), {"help": "Folder with the files of mnist or fashion-mnist."}),
    (("--size",), {"type": Size(), "help": "Resize a folder of images to height x width."}),
    (("--limit",), {"type": int, "help": "Use so many rows, drawn at random; make so many scenes."}),
    (("--dev",), {"type": float, "help": "Share of rows for development.  [0.1]"}),
    (("--test",), {"type": float, "help": "Share of rows for the final test.  [0.2]"}),
    (("--time",), {"metavar": "COLUMN", "help": "Test on the last rows by this column."}),
    (("--group",), {"metavar": "COLUMN", "help": "Keep rows of one group in one part."}),
    (("--plain",), {"is_flag": True, "default": None, "help": "The lecture's net: sigmoid, small weights, SGD."}),
    (("--model",), {"help": "mlp, lenet, resnet8, resnet20, ..., plain20, ... (no skips), unet (masks), mymnistnet."}),
    (("--width",), {"type": int, "help": "Channels of the first level of resnet and unet.  [16]"}),
    (("--depth",), {"type": int, "help": "How often unet halves the image.  [3]"}),
    (("--block",), {"help": "Blocks of resnet: basic or bottleneck.  [basic]"}),
    (("--skips/--no-skips",), {"default": None, "help": "Leave out the skips of resnet or unet, to compare."}),
    (("--init-from",), {"metavar": "RUN", "help": "Begin with the hidden layers (and the scaling) of another run."}),
    (("--hidden",), {"type": Numbers(), "help": "Units of the hidden layers; none for a linear model.  [256,128]"}),
    (("--activation",), {"help": "relu, leaky_relu, elu, selu, gelu, silu, softplus, sigmoid, tanh, identity."}),
    (("--norm",), {"help": "none, batch or layer."}),
    (("--dropout",), {"type": float, "help": "Probability of a zero while training."}),
    (("--init",), {"help": "he, glorot, lecun, small or pytorch."}),
    (("--optimizer",), {"help": "sgd, momentum, nesterov, adagrad, rmsprop, adam, adamw, nadam, radam, adadelta."}),
    (("--lr",), {"type": float, "help": "Learning rate."}),
    (("--momentum",), {"type": float, "help": "For sgd, momentum, nesterov and rmsprop."}),
    (("--schedule",), {"help": "constant, cosine, onecycle, step, exponential or plateau."}),
    (("--weight-decay",), {"type": float, "help": "Decay of weights (not biases) a step."}),
    (("--l1",), {"type": float, "help": "L1 penalty on weights, the lecture's alpha."}),
    (("--l2",), {"type": float, "help": "L2 penalty on weights, the lecture's alpha."}),
    (("--label-smoothing",), {"type": float, "help": "Mix the targets with equal probabilities."}),
    (("--clip",), {"type": float, "help": "Largest norm of all gradients together."}),
    (("--balanced/--unbalanced",), {"default": None, "help": "Weigh classes so that rare ones count as much."}),
    (("--augment/--no-augment",), {"default": None, "help": "Shift images at random.  [from 16 x 16 pixels on]"}),
    (("--shift",), {"type": int, "help": "Largest shift in pixels.  [2]"}),
    (("--flip/--no-flip",), {"default": None, "help": "Mirror half of the images, left to right.  [fashion-mnist]"}),
    (("--rotate",), {"type": float, "help": "Largest turn in degrees."}),
    (("--zoom",), {"type": float, "help": "Largest change of size, as a share (0.1)."}),
    (("--cutout",), {"type": int, "help": "Cover a square of so many pixels."}),
    (("--epochs",), {"type": int, "help": "Times through the training part.  [about 4000 steps]"}),
    (("--batch",), {"type": int, "help": "Samples a step.  [32 to 128]"}),
    (("--patience",), {"type": int, "help": "Stop after so many epochs without progress on dev."}),
    (("--seed",), {"type": int, "help": "Of split, weights, order, dropout.  [0]"}),
    (("--device",), {"help": "cpu or cuda.  [cpu]"}),
    (("--threads",), {"type": int, "help": "Threads of matrix products and of machine code."}),
    (("--compile/--no-compile",), {"default": None, "help": "Train by machine code.  [from 200 steps on]"}),
]  # fmt: skip


def _settings(command: Callable[..., Any]) -> Callable[..., Any]:
    for names, arguments in reversed(SETTINGS):
        command = click.option(*names, **arguments)(command)
    return command


@click.command(epilog=_EXAMPLES)
@click.argument("data", required=False)
@_settings
@click.option("--config", type=click.Path(), help="TOML file of settings by these names; options given here win.")
@click.option("--name", help="Name of the run folder.  [that of the data]")
@click.option("--out", default="runs", show_default=True, help="Folder of the run folders.")
@click.option("--seeds", type=int, help="Train so many seeds side by side, from --seed on; the mean and its interval.")
@click.option("--resume", metavar="RUN", help="Go on with an interrupted run, to the same bits.")
@click.option("--force", is_flag=True, help="Replace the run of that name.")
@click.option("--no-doctor", is_flag=True, help="Do not let the doctor look on (a few percent of the time).")
@click.option("--quiet", is_flag=True, help="No progress, no messages but errors.")
@json_option
@lang_option
def train(
    data: str | None, config: str | None, name: str | None, out: str, seeds: int | None, resume: str | None,
    force: bool, no_doctor: bool, quiet: bool, as_json: bool, lang: str | None, **settings: Any,
) -> None:  # fmt: skip
    """Train a network on DATA and write runs/NAME with model, metrics and report.

    DATA: digits, mnist, fashion-mnist, scenes (digits on a ground, a class for every pixel), xor, moons, circles,
    spirals, curve, a CSV, TSV, Parquet or NPZ file, a folder of IDX files, a folder of images in one subfolder a class,
    or a folder with the subfolders images and masks (segmentation; classes.txt names the classes).
    """
    say = words(lang)
    given = {key: value for key, value in settings.items() if value is not None}
    if resume is not None:
        others = {"DATA": data, "--config": config, "--name": name, "--force": force or None, "--seeds": seeds}
        _refuse_with_resume({**given, **others})
        folder = first = Path(resume)
        chosen = _config_to_resume(folder, say, lang)
        if chosen is None:
            return
    else:
        chosen = config_from(data, config, given)
        if seeds is not None:
            _train_seeds(chosen, seeds, Path(out), name, force, quiet, as_json, lang)
            return
        stem = name or Path(os.path.abspath(chosen.data)).stem or "run"  # a loop of links is for the reader to refuse
        folder, first = run_folder(stem, Path(out), named=name is not None, force=force)
    _train(chosen, folder, first, resume is not None, not no_doctor, quiet, as_json, lang, say)


def _refuse_with_resume(others: dict[str, Any]) -> None:
    for name, value in others.items():
        if value is not None:
            shown = name if name.startswith("--") or name == "DATA" else f"--{name.replace('_', '-')}"
            raise ArgumentError("--resume", "no other settings: the run keeps its own", shown, hint="leave it out")


def _config_to_resume(folder: Path, say: Phrases, lang: str | None) -> Any:
    from gyaku.report import write_report
    from gyaku.train.run import REPORT, config_of, read_card

    card = read_card(folder)
    if card["status"] == "finished":
        if not (folder / REPORT).is_file():  # the process died between the results and the report
            write_report(folder, language(lang))
        tell(say("finished_before", run=folder))
        return None
    return config_of(card)


def _train_seeds(
    config: Any, seeds: int, out: Path, name: str | None, force: bool, quiet: bool, as_json: bool, lang: str | None
) -> None:
    from gyaku.cli.several import group_folder, train_seeds

    if force:
        raise ArgumentError("--seeds", "a new folder", "--force", hint="choose another --name")
    folder = group_folder(config, out, name, "seeds")
    summary = train_seeds(config, seeds, folder, command=command_line(), quiet=quiet, lang=lang)
    if as_json:
        answer_json(summary)


def config_from(data: str | None, file: str | None, given: dict[str, Any], where: str = "gyaku train") -> Any:
    """Return the settings of DATA, a TOML file and options; options win."""
    from gyaku.train.config import Config, read_config

    settings = read_config(Path(file)) if file is not None else {}
    if data is not None:
        settings["data"] = data
    if not settings.get("data"):
        hint = f"{where} digits; {where} --help lists the rest"
        raise ArgumentError(where, "DATA: a name, a file or a folder", "nothing", hint=hint)
    if "categories" in given:
        given["categories"] = tuple(part.strip() for part in given["categories"].split(","))
    return Config.from_mapping(settings | given, where)


def run_folder(stem: str, out: Path, *, named: bool, force: bool) -> tuple[Path, Path]:
    """Return the run folder, a new name beside an existing run unless one was named; and the folder it would be."""
    if Path(stem).name != stem or stem in (".", ".."):
        raise ArgumentError("--name", "a name without folders", repr(stem), hint="give the folder with --out")
    first = out / stem
    if force or not (first.exists() and any(first.iterdir() if first.is_dir() else [first])):
        _clear(first)
        return first, first
    if named:
        raise DataError(f"run {first}", "a new name", "a run that exists", hint="choose another --name, or --force")
    return next(path for i in range(2, 10**6) if not (path := out / f"{stem}-{i}").exists()), first


def _clear(folder: Path) -> None:
    """Check that a folder may be replaced: only a run (or nothing, or an empty folder) is."""
    from gyaku.train.run import CARD, FILES

    if not folder.exists():
        return
    names = {path.name for path in folder.iterdir()} - {".lock"} if folder.is_dir() else set()
    others = sorted(names - set(FILES))
    if not folder.is_dir() or others or (names and CARD not in names):
        got = f"{others[0]!r} in it" if others else "another file or folder"
        raise DataError(f"run {folder}", "a run of gyaku to replace", got, hint="choose another --name")


def _train(
    config: Any, folder: Path, first: Path, resume: bool, examined: bool, quiet: bool, as_json: bool, lang: str | None,
    say: Phrases,
) -> None:  # fmt: skip
    from gyaku.train.progress import Progress
    from gyaku.train.run import train_run

    progress = Progress(language(lang))
    doctor = _doctor(language(lang)) if examined else None

    def note(text: str) -> None:
        if not quiet:
            tell(say("note", text=text))

    def report(path: Path) -> None:
        from gyaku.report import write_report

        if doctor is not None:
            from gyaku.doctor.runs import write_verdict

            write_verdict(path, doctor.verdict)
        write_report(path, language(lang))

    watchers = () if doctor is None else (doctor,)
    try:
        done = train_run(
            config, folder, command=command_line(), resume=resume, say=note, report=report,
            callbacks=watchers if quiet else (*watchers, _Announce(say, folder, first), progress),
        )  # fmt: skip
    except KeyboardInterrupt:
        progress.close()
        saved = (folder / "checkpoint.safetensors").exists()
        tell(say("resume", run=folder) if saved else say("interrupted"))
        raise click.exceptions.Exit(1) from None
    except DivergedError:
        progress.close()
        if doctor is not None:
            tell(str(doctor.verdict))
        raise
    finally:
        progress.close()
    if as_json:
        answer_json({"run": str(folder), **done.results})
    if not quiet:
        if doctor is not None:
            tell(str(doctor.verdict))
        _sum_up(done, say)


def _doctor(lang: str) -> Any:
    from gyaku.doctor import Doctor

    return Doctor(every=50, lang=lang)


def command_line() -> str:
    """Return the command as it was typed."""
    import shlex

    return shlex.join(["gyaku", *sys.argv[1:]])


class _Announce:
    """Says what is about to be trained on what."""

    def __init__(self, say: Phrases, folder: Path, first: Path) -> None:
        self.say, self.folder, self.first = say, folder, first

    def on_fit_start(self, loop: Any) -> None:
        """Say it once the data is there and the network is built; a mistake before needs no talk of folders."""
        from gyaku.models import in_words

        if self.folder != self.first:
            tell(self.say("other_name", first=self.first, run=self.folder))
        tell(self.say("network", text=in_words(loop.model.architecture()), parameters=loop.model.parameter_count))


def _sum_up(done: Any, say: Phrases) -> None:
    from gyaku.train.modelfile import MODEL_FILE
    from gyaku.train.run import REPORT

    results, seconds = done.results, sum(done.history.seconds)
    tell(say("best", best=results["best_epoch"], epochs=results["epochs"], seconds=seconds))
    for part in ("dev", "test"):
        if part in results["parts"]:
            tell(_line(results, part, say))
    last = "test" if "test" in results["parts"] else "dev"
    worse = _not_better_than(results, last) if last in results["parts"] else None
    if worse:
        tell(say("note", text=say(worse, part=say(last))))
    tell(say("model", path=done.folder / MODEL_FILE, run=done.folder))
    tell(say("report", path=done.folder / REPORT))


def _line(results: dict[str, Any], part: str, say: Phrases) -> str:
    metric, figures, baselines = results["metric"], results["parts"][part], results["baselines"]
    constant = next(value for key, value in baselines.items() if key != "linear")[part][metric]
    values = {"value": figures[metric], "linear": baselines["linear"][part][metric], "constant": constant}
    return say(metric, part=say(part), r2=figures.get("r2", 0.0), pixels=figures.get("accuracy", 0.0), **values)


def _not_better_than(results: dict[str, Any], part: str) -> str | None:
    """Return the simpler way that does as well: ``"not_better"`` (linear), ``"not_better_constant"``, or ``None``."""
    metric, baselines = results["metric"], results["baselines"]
    sign = -1 if metric == "rmse" else 1
    mine = sign * results["parts"][part][metric]
    others = {"linear": "not_better", "majority": "not_better_constant", "mean": "not_better_constant"}
    found = [others[key] for key, value in baselines.items() if mine <= sign * value[part][metric]]
    return max(found, key=len, default=None)  # the constant, if both
