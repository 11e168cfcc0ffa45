"""``gyaku sweep``: settings side by side, compared on the development part."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from gyaku.base.errors import ArgumentError, DivergedError
from gyaku.base.text import Phrases
from gyaku.cli.options import json_option, lang_option
from gyaku.cli.several import SUMMARY, group_folder, shown, summary_of, train_several, write_summary
from gyaku.cli.terminal import answer_json, table, tell
from gyaku.cli.train import SETTINGS, command_line, config_from
from gyaku.cli.words import words

_EXAMPLES = """
\b
Examples:
  gyaku sweep digits --lr 0.001,0.003,0.01 --seeds 3
  gyaku sweep sales.csv --target price --hidden 64/128,64/none --dropout 0,0.2
"""
# Settings of which a sweep may try several: values separated by commas, of --hidden by /.
_SWEPT: dict[str, Callable[[str], Any]] = {
    "lr": float, "momentum": float, "weight_decay": float, "l1": float, "l2": float, "label_smoothing": float,
    "clip": float, "dropout": float, "batch": int, "epochs": int, "activation": str, "norm": str, "init": str,
    "optimizer": str, "schedule": str, "model": str, "width": int, "rotate": float, "zoom": float,
}  # fmt: skip
_MOST = 1000


class _Several(click.ParamType):
    """Values separated by commas."""

    name = "VALUE,..."

    def __init__(self, kind: Callable[[str], Any]) -> None:
        self.kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a tuple of values, each once."""
        try:
            return tuple(dict.fromkeys(self.kind(part.strip()) for part in value.split(",")))
        except ValueError:
            self.fail(f"expected values such as 0.001,0.01, got {value!r}.", param, ctx)


class _Layers(click.ParamType):
    """Hidden layers separated by slashes: ``64/128,64/none``."""

    name = "N,N/N/..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a tuple of tuples of units."""
        try:
            split = (part.strip() for part in value.split("/"))
            return tuple(() if part == "none" else tuple(int(n) for n in part.split(",")) for part in split)
        except ValueError:
            self.fail(f"expected layers such as 64/128,64/none, got {value!r}.", param, ctx)


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    for names, arguments in reversed(SETTINGS):
        name = names[0].removeprefix("--").replace("-", "_")
        if name in _SWEPT:
            help_text = f"{arguments['help'].split('  [')[0].removesuffix('.')}; several separated by commas."
            arguments = {"type": _Several(_SWEPT[name]), "help": help_text}
        elif name == "hidden":
            arguments = {"type": _Layers(), "help": "Units of the hidden layers; several separated by /."}
        command = click.option(*names, **arguments)(command)
    return command


@click.command(epilog=_EXAMPLES)
@click.argument("data", required=False)
@_options
@click.option("--seeds", type=int, default=1, show_default=True, help="Seeds for every combination, from --seed on.")
@click.option("--config", type=click.Path(), help="TOML file of settings by these names; options given here win.")
@click.option("--name", help="Name of the folder.  [that of the data, and -sweep]")
@click.option("--out", default="runs", show_default=True, help="Folder of the run folders.")
@click.option("--quiet", is_flag=True, help="No progress, no messages but errors and the table.")
@json_option
@lang_option
def sweep(
    data: str | None, seeds: int, config: str | None, name: str | None, out: str, quiet: bool, as_json: bool,
    lang: str | None, **settings: Any,
) -> None:  # fmt: skip
    """Train DATA with every combination of settings, side by side, and compare them on the development part.

    The best is chosen on dev; its test figures are shown for it alone. Every run is a folder as gyaku train writes it,
    without report.
    """
    given = {key: value for key, value in settings.items() if value is not None}
    swept = {key: given.pop(key) for key in [*given] if key in _SWEPT or key == "hidden"}
    configs, combinations = _grid(data, config, given, swept, seeds)
    folder = group_folder(configs[0], Path(out), name, "sweep")
    folders = [folder / f"run-{k:03d}" for k in range(1, len(configs) + 1)]
    done = train_several(configs, folders, command=command_line(), quiet=quiet, lang=lang, diverged=True)
    varied = [key for key, values in swept.items() if len(values) > 1]
    summary = _summed_up(done, combinations, seeds, folders, varied)
    summary["run"] = str(folder)
    write_summary(folder, summary)
    if as_json:
        answer_json(summary)
    else:
        _show(summary, varied, words(lang))
        tell(words(lang)("summary", path=folder / SUMMARY))


def _grid(
    data: str | None, file: str | None, given: dict[str, Any], swept: dict[str, tuple[Any, ...]], seeds: int
) -> tuple[list[Any], list[dict[str, Any]]]:
    """Return the configurations, those of one combination in a row, and the combinations."""
    if seeds < 1:
        raise ArgumentError("--seeds", "at least 1", str(seeds))
    combinations = [dict(zip(swept, values, strict=True)) for values in itertools.product(*swept.values())]
    if len(combinations) * seeds > _MOST:
        raise ArgumentError("gyaku sweep", f"at most {_MOST} runs", str(len(combinations) * seeds))
    first = int(given.get("seed", 0))
    plans = [(c, seed) for c in combinations for seed in range(first, first + seeds)]
    configs = [config_from(data, file, {**given, **c, "seed": seed}, "gyaku sweep") for c, seed in plans]
    if configs[0].dev == 0:
        raise ArgumentError("gyaku sweep", "a dev part to compare on", "dev = 0")
    return configs, combinations


def _summed_up(
    done: list[Any], combinations: list[dict[str, Any]], seeds: int, folders: list[Path], varied: list[str]
) -> dict[str, Any]:
    """Return the rows, best first; combinations of which a run diverged come last."""
    rows: list[dict[str, Any]] = []
    for k, settings in enumerate(combinations):
        mine = slice(k * seeds, (k + 1) * seeds)
        good = [d.results for d in done[mine] if not isinstance(d, DivergedError)]
        row = {"settings": settings, "runs": [str(f) for f in folders[mine]], "diverged": seeds - len(good)}
        rows.append(row | {"parts": summary_of(good) if good else {}})
        metric = good[0]["metric"] if good else None
        row_metric = metric or "accuracy"
        rows[-1]["metric"] = row_metric
    if all(row["diverged"] for row in rows):
        raise next(d for d in done if isinstance(d, DivergedError))
    metric = next(row["metric"] for row in rows if row["parts"])
    rows.sort(key=lambda row: _rank(row, metric))
    best = rows[0]
    return {"metric": metric, "varied": varied, "rows": rows, "chosen": best["settings"], "chosen_by": "dev"}


def _rank(row: dict[str, Any], metric: str) -> tuple[Any, ...]:
    """Return the order of a row: nothing diverged, better on dev, lower loss there."""
    if not row["parts"]:
        return row["diverged"], float("inf"), float("inf")
    dev = row["parts"]["dev"]
    sign = 1.0 if metric == "rmse" else -1.0
    return row["diverged"], sign * dev[metric]["mean"], dev["loss"]["mean"]


def _show(summary: dict[str, Any], varied: list[str], say: Phrases) -> None:
    metric, dev = summary["metric"], say("dev")
    lines = [[*(key.replace("_", "-") for key in varied), f"{dev} {say(f'name_{metric}')}", f"{dev} {say('loss')}"]]
    for row in summary["rows"]:
        figures = row["parts"].get("dev")
        if row["diverged"] or figures is None:
            cells = [say("diverged", n=row["diverged"]), ""]
        else:
            cells = [shown(figures[name]["values"]) for name in (metric, "loss")]
        lines.append([*(_text(row["settings"][key]) for key in varied), *cells])
    click.echo(table(lines))
    best = summary["rows"][0]
    tell(say("chosen", text=", ".join(f"{k.replace('_', '-')} {_text(best['settings'][k])}" for k in varied) or "-"))
    if "test" in best["parts"]:
        value = shown(best["parts"]["test"][metric]["values"])
        n = len(best["parts"]["test"][metric]["values"])
        tell(say("several", part=say("test"), metric=say(f"name_{metric}"), value=value, n=n))


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
