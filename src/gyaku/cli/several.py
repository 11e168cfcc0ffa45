"""Several runs from one command: side by side into one folder, summed up as mean and 95% interval."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from gyaku.base.errors import ArgumentError, DataError
from gyaku.base.files import write_text_atomic
from gyaku.base.text import Phrases, language
from gyaku.cli.terminal import tell, without_nan
from gyaku.cli.words import words

SUMMARY = "summary.json"


def mean_and_interval(values: Sequence[float]) -> tuple[float, float | None]:
    """Return the mean, and half of its 95% interval by Student's t (None for one value).

    >>> mean, half = mean_and_interval([1.0, 2.0, 3.0])
    >>> round(mean, 3), round(half, 3)
    (2.0, 2.484)
    """
    from gyaku.figures.statistics import interval

    low, high = interval(values)
    return float(np.mean(values)), float(high - low) / 2 if len(values) > 1 else None


def shown(values: Sequence[float]) -> str:
    """Return ``0.9870 ± 0.0031``."""
    mean, half = mean_and_interval(values)
    return f"{mean:.4f}" if half is None else f"{mean:.4f} ± {half:.4f}"


def group_folder(config: Any, out: Path, name: str | None, kind: str) -> Path:
    """Return a new folder for several runs: ``out/name``, or ``out/DATA-kind`` with a number where it exists."""
    if name is not None:
        if Path(name).name != name or name in (".", ".."):
            raise ArgumentError("--name", "a name without folders", repr(name), hint="give the folder with --out")
        if (out / name).exists():
            raise DataError(f"run {out / name}", "a new name", "a folder that exists", hint="choose another --name")
        return out / name
    stem = f"{Path(os.path.abspath(config.data)).stem or 'run'}-{kind}"
    names = (stem if i == 1 else f"{stem}-{i}" for i in range(1, 10**6))
    return next(out / found for found in names if not (out / found).exists())


def train_several(
    configs: Sequence[Any], folders: Sequence[Path], *, command: str, quiet: bool, lang: str | None, diverged: bool
) -> list[Any]:
    """Train runs side by side with one progress bar; after Ctrl-C say how to go on."""
    from gyaku.train.many import Together, train_many
    from gyaku.train.progress import Progress

    progress, said, say = Progress(language(lang)), set(), words(lang)
    watchers = () if quiet else (Together(progress, len(configs)),)

    def note(text: str) -> None:
        if not quiet and text not in said:
            said.add(text)
            tell(say("note", text=text))

    def options(k: int) -> Mapping[str, Any]:
        return {"command": command, "callbacks": watchers, "say": note}

    try:
        return train_many(configs, folders, diverged=diverged, options=options)
    except KeyboardInterrupt:
        progress.close()
        saved = [folder for folder in folders if (folder / "checkpoint.safetensors").exists()]
        for folder in saved:
            tell(say("resume", run=folder))
        if not saved:
            tell(say("interrupted"))
        raise click.exceptions.Exit(1) from None
    finally:
        progress.close()


def summary_of(results: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return {part: {metric or loss: mean, interval, values}} of several runs of one kind."""
    metric = results[0]["metric"]
    parts: dict[str, dict[str, Any]] = {}
    for part in results[0]["parts"]:
        parts[part] = {}
        for name in (metric, "loss"):
            values = [float(r["parts"][part][name]) for r in results]
            mean, half = mean_and_interval(values)
            parts[part][name] = {"mean": mean, "interval": half, "values": values}
    return parts


def best_of(results: Sequence[dict[str, Any]], part: str) -> int:
    """Return the number of the run that is best on a part."""
    metric = results[0]["metric"]
    values = [r["parts"][part][metric] for r in results]
    return int(np.argmin(values) if metric == "rmse" else np.argmax(values))


def write_summary(folder: Path, summary: dict[str, Any]) -> Path:
    """Write ``summary.json`` and return its path."""
    path = folder / SUMMARY
    write_text_atomic(path, json.dumps(without_nan(summary), ensure_ascii=False, indent=1) + "\n")
    return path


def train_seeds(
    config: Any, count: int, folder: Path, *, command: str, quiet: bool, lang: str | None
) -> dict[str, Any]:
    """Train one configuration with several seeds, write the summary and the best run's report; return the summary."""
    from dataclasses import replace

    from gyaku.report import write_report

    if count < 1:
        raise ArgumentError("--seeds", "at least 1", str(count))
    seeds = list(range(config.seed, config.seed + count))
    folders = [folder / f"seed-{seed}" for seed in seeds]
    configs = [replace(config, seed=seed) for seed in seeds]
    done = train_several(configs, folders, command=command, quiet=quiet, lang=lang, diverged=False)
    results = [d.results for d in done]
    part = "dev" if "dev" in results[0]["parts"] else "train"
    best = best_of(results, part)
    summary = {
        "run": str(folder), "seeds": seeds, "metric": results[0]["metric"], "parts": summary_of(results),
        "best_seed": seeds[best], "chosen_by": part, "report": str(write_report(folders[best], language(lang))),
    }  # fmt: skip
    write_summary(folder, summary)
    if not quiet:
        _tell_seeds(summary, folder, words(lang))
    return summary


def _tell_seeds(summary: dict[str, Any], folder: Path, say: Phrases) -> None:
    metric = summary["metric"]
    for part, figures in summary["parts"].items():
        value = shown(figures[metric]["values"])
        tell(say("several", part=say(part), metric=say(f"name_{metric}"), value=value, n=len(summary["seeds"])))
    tell(say("best_seed", seed=summary["best_seed"], part=say(summary["chosen_by"])))
    tell(say("report", path=summary["report"]))
    tell(say("summary", path=folder / SUMMARY))
