"""``gyaku pretrain``."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from gyaku.base.errors import ArgumentError
from gyaku.base.text import Phrases, language
from gyaku.cli.options import Numbers, Size, json_option, lang_option
from gyaku.cli.pretrain_words import pretrain_words
from gyaku.cli.terminal import answer_json, tell
from gyaku.cli.train import command_line, run_folder
from gyaku.cli.words import words

_EXAMPLES = """
\b
Examples:
  gyaku pretrain rbm digits
  gyaku pretrain dbm mnist --hidden 500,250 --name mnist-dbm
  gyaku pretrain sae digits --corruption masking --tied
  gyaku train digits --init-from runs/digits-rbm
"""
# Settings as options: (names, click's arguments). Defaults live in PretrainConfig; an option not given is None.
SETTINGS: list[tuple[tuple[str, ...], dict[str, Any]]] = [
    (("--target",), {"metavar": "COLUMN", "help": "Column that is no input (tables): the later target."}),
    (("--task",), {"metavar": "TASK", "help": "regression, binary or multiclass; else decided from the target."}),
    (("--encoding",), {"help": "Encoding of a CSV file; else UTF-8, then cp932."}),
    (("--delimiter",), {"help": "Delimiter of a CSV file; else from its name and header."}),
    (("--folder",), {"help": "Folder with the files of mnist or fashion-mnist."}),
    (("--size",), {"type": Size(), "help": "Resize a folder of images to height x width."}),
    (("--limit",), {"type": int, "help": "Use so many rows, drawn at random."}),
    (("--dev",), {"type": float, "help": "Share of rows for development.  [0.1]"}),
    (("--test",), {"type": float, "help": "Share of rows for the final test.  [0.2]"}),
    (("--visible",), {"help": "bernoulli (values in [0, 1]) or gaussian (any values, standardised).  [bernoulli]"}),
    (("--hidden",), {"type": Numbers(), "help": "Units of the hidden layers.  [256, deep models 256,128]"}),
    (("--epochs",), {"type": int, "help": "Times through the training part, each layer.  [about 4000 steps]"}),
    (("--batch",), {"type": int, "help": "Samples a step.  [20 or 100]"}),
    (("--lr",), {"type": float, "help": "Learning rate.  [0.05; sae 0.002]"}),
    (("--rule",), {"help": "rbm, dbn: cd, pcd or pt (parallel tempering).  [rbm pcd, dbn cd]"}),
    (("--k",), {"type": int, "help": "Gibbs steps an update (dbm: sweeps of the joint training).  [1; dbm 5]"}),
    (("--momentum",), {"type": float, "help": "rbm, dbn, dbm.  [0.5]"}),
    (("--weight-decay",), {"type": float, "help": "rbm, dbn, dbm: decay of weights.  [0.0002]"}),
    (("--joint",), {"type": int, "help": "Epochs for all layers together: dbm mean field, dbn up-down.  [30; 0]"}),
    (("--joint-lr",), {"type": float, "help": "Learning rate of these.  [0.01]"}),
    (("--activation",), {"help": "sae: sigmoid, tanh, relu, ...  [sigmoid]"}),
    (("--tied/--untied",), {"default": None, "help": "sae: the decoder uses the encoder's weights.  [untied]"}),
    (("--corruption",), {"help": "sae: none, masking, gaussian or salt_and_pepper (denoising).  [none]"}),
    (("--noise",), {"type": float, "help": "sae: share of damaged values, or deviation.  [0.3]"}),
    (("--penalty",), {"help": "sae: none, kl or l1 on the code (sparse).  [none]"}),
    (("--target-activation",), {"type": float, "help": "sae, kl: wanted mean activation.  [0.05]"}),
    (("--strength",), {"type": float, "help": "sae: weight of the penalty.  [1]"}),
    (("--seed",), {"type": int, "help": "Of split, weights, order, draws.  [0]"}),
    (("--threads",), {"type": int, "help": "Threads of matrix products and of machine code."}),
]  # fmt: skip


def _settings(command: Callable[..., Any]) -> Callable[..., Any]:
    for names, arguments in reversed(SETTINGS):
        command = click.option(*names, **arguments)(command)
    return command


@click.command(epilog=_EXAMPLES)
@click.argument("model")
@click.argument("data", required=False)
@_settings
@click.option("--config", type=click.Path(), help="TOML file of settings by these names; options given here win.")
@click.option("--name", help="Name of the run folder.  [data-model]")
@click.option("--out", default="runs", show_default=True, help="Folder of the run folders.")
@click.option("--resume", metavar="RUN", hidden=True)
@click.option("--force", is_flag=True, help="Replace the run of that name.")
@click.option("--quiet", is_flag=True, help="No progress, no messages but errors.")
@json_option
@lang_option
def pretrain(
    model: str, data: str | None, config: str | None, name: str | None, out: str, resume: str | None, force: bool,
    quiet: bool, as_json: bool, lang: str | None, **settings: Any,
) -> None:  # fmt: skip
    """Train layers without labels on DATA; gyaku train --init-from goes on from them.

    MODEL: rbm (restricted Boltzmann machine), dbn (deep belief network), dbm (deep Boltzmann machine) or sae (stacked
    autoencoder). DATA as in gyaku train. Writes runs/NAME with model, metrics and report.
    """
    if resume is not None:
        hint = "start it again with --force; train more layers or epochs in one go"
        raise ArgumentError("--resume", "a run of gyaku train: a pre-training is not resumed", resume, hint=hint)
    chosen = _config(model, data, config, {key: value for key, value in settings.items() if value is not None})
    stem = name or f"{Path(os.path.abspath(chosen.data)).stem or 'run'}-{chosen.model}"
    folder, first = run_folder(stem, Path(out), named=name is not None, force=force)
    _pretrain(chosen, folder, first, quiet, as_json, lang)


def _config(model: str, data: str | None, file: str | None, given: dict[str, Any]) -> Any:
    from gyaku.train.config import read_config
    from gyaku.train.pretrain_config import PretrainConfig

    settings = {} if file is None else read_config(Path(file), PretrainConfig)
    settings |= {"model": model} | ({"data": data} if data is not None else {}) | given
    if not settings.get("data"):
        hint = "gyaku pretrain rbm digits; gyaku pretrain --help lists the rest"
        raise ArgumentError("gyaku pretrain", "DATA: a name, a file or a folder", "nothing", hint=hint)
    return PretrainConfig.from_mapping(settings, "gyaku pretrain")


def _pretrain(config: Any, folder: Path, first: Path, quiet: bool, as_json: bool, lang: str | None) -> None:
    from gyaku.train.pretrain import Watcher, pretrain_run

    say, own = words(lang), pretrain_words(lang)
    looking = _Looking(own, say, folder, first, language(lang))
    watcher = Watcher() if quiet else Watcher(looking.begin, looking.steps, looking.row, looking.examine)

    def report(path: Path) -> None:
        from gyaku.report import write_pretrain_report

        write_pretrain_report(path, language(lang))

    try:
        done = pretrain_run(
            config, folder, command=command_line(), watcher=watcher, report=report,
            say=lambda text: None if quiet else tell(say("note", text=text)),
        )  # fmt: skip
    except KeyboardInterrupt:
        looking.close()
        tell(own("interrupted", run=folder))
        raise click.exceptions.Exit(1) from None
    finally:
        looking.close()
    if as_json:
        answer_json({"run": str(folder), **done.results})
    if not quiet:
        _sum_up(done, own)


class _Looking:
    """Says what is about to be trained, and moves the bar."""

    def __init__(self, own: Phrases, say: Phrases, folder: Path, first: Path, lang: str) -> None:
        from gyaku.train.progress import Progress

        self.own, self.say, self.folder, self.first = own, say, folder, first
        self.progress = Progress(lang)

    def begin(self, total: int, card: dict[str, Any]) -> None:
        """Say it once everything is known to be right."""
        if self.folder != self.first:
            tell(self.say("other_name", first=self.first, run=self.folder))
        model, data = card["model"], card["data"]
        tell(self.own("on", model=self.own(model["kind"]), text=model["text"], name=data["name"], **data["sizes"]))
        self.progress.begin(total, 0)

    def steps(self, n: int) -> None:
        """Move the bar."""
        if self.progress.bar is not None:
            self.progress.bar.advance(n)

    def row(self, row: dict[str, Any]) -> None:
        """Show the epoch's error."""
        if self.progress.bar is not None:
            self.progress.bar.say(
                self.own("row", stage=stage(row["stage"], self.own), epoch=row["stage_epoch"], error=row["error"])
            )

    def examine(self) -> None:
        """Say why nothing moves."""
        if self.progress.bar is not None:
            self.progress.bar.say(self.own("examining"))

    def close(self) -> None:
        """Take the bar away."""
        self.progress.close()


def stage(name: str, own: Phrases) -> str:
    """Return a stage of the training in words."""
    return own("joint") if name == "joint" else own("layer", n=name.removeprefix("layer"))


def _sum_up(done: Any, own: Phrases) -> None:
    from gyaku.train.modelfile import MODEL_FILE
    from gyaku.train.run import REPORT

    results = done.results
    tell(own("trained", epochs=results["epochs"], seconds=results["seconds"]["train"]))
    for part, figures in results["parts"].items():
        if part != "train":
            tell(own("error", part=own(part), value=figures["error"], baselines=baselines(results, part, own)))
    likelihood = results["likelihood"]
    if likelihood is not None:
        for part, value in likelihood["parts"].items():
            tell(own(likelihood["kind"], part=own(part), value=value, error=likelihood["error"]))
    tell(own("model", path=done.folder / MODEL_FILE, run=done.folder))
    tell(own("report", path=done.folder / REPORT))


def baselines(results: dict[str, Any], part: str, own: Phrases) -> str:
    """Return the errors of what needs no training, in words."""
    found = results["baselines"]
    return ", ".join(own(name, value=values[part], code=results["code"]) for name, values in found.items())
