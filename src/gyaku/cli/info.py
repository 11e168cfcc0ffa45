"""``gyaku info``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gyaku.base.text import Phrases
from gyaku.cli.info_pretrain import pretraining, show_pretraining
from gyaku.cli.options import json_option, lang_option
from gyaku.cli.terminal import answer_json, table, tell
from gyaku.cli.words import words

_EXAMPLES = """
\b
Examples:
  gyaku info runs/digits
  gyaku info runs/*
"""


@click.command(epilog=_EXAMPLES)
@click.argument("runs", metavar="RUN...", nargs=-1, required=True)
@json_option
@lang_option
def info(runs: tuple[str, ...], as_json: bool, lang: str | None) -> None:
    """Show one run, or compare several in a table."""
    if len(runs) == 1 and (alone := pretraining(runs[0])) is not None:
        show_pretraining(alone, as_json, lang)
        return
    others = [run for run in runs if pretraining(run) is not None] if len(runs) > 1 else []
    trained = [run for run in runs if run not in others]
    found = [read_run(run) for run in trained or runs]
    say = words(lang)
    for run in others:
        tell(say("note", text=say("left_out", run=run)))
    if as_json:
        answer_json(found if len(found) > 1 else found[0])
        return
    click.echo(_one(found[0], say) if len(found) == 1 else _several(found, say))


def read_run(run: str) -> dict[str, Any]:
    """Return a run's card with its results (null while there are none) and its last logged row."""
    from gyaku.base.files import read_jsonl
    from gyaku.train.run import METRICS, read_card, read_results

    folder = Path(run) if Path(run).is_dir() else Path(run).parent if Path(run).is_file() else Path(run)
    card = read_card(folder)
    log = folder / METRICS
    rows = read_jsonl(log).rows if log.is_file() else []
    return {
        "folder": str(folder), **card, "results": read_results(folder),
        "last": rows[-1] if rows and isinstance(rows[-1].get("epoch"), int) else None,
    }  # fmt: skip


def _figure(run: dict[str, Any], part: str, model: str | None = None) -> str:
    """Return the figure of a part as text, of the network or of a baseline; from the log while training goes on."""
    results = run["results"]
    if results is None:
        last = run["last"] or {}
        names = [f"{part}_{name}" for name in ("iou", "accuracy", "rmse")]
        value = None if model else next((last[name] for name in names if name in last), None)
        return f"{value:.4f}" if isinstance(value, (int, float)) else "-"
    parts = results["baselines"][model] if model else results["parts"]
    return f"{parts[part][results['metric']]:.4f}" if part in parts else "-"


def _epochs(run: dict[str, Any]) -> str:
    done = run["last"]["epoch"] if run["last"] else 0
    return f"{done}/{run['config'].get('epochs')}"


def _one(run: dict[str, Any], say: Phrases) -> str:
    from gyaku.models import in_words

    metric = run["results"]["metric"] if run["results"] else ""
    sizes, machine = run["data"]["sizes"], run["machine"]
    status = f"{run['status']}: {run['message']}" if run["message"] else run["status"]
    rows = [
        [say("run"), run["folder"]],
        [say("status"), status],
        [say("data"), f"{run['data']['name']} ({', '.join(f'{say(p)} {n}' for p, n in sizes.items())})"],
        [say("net"), in_words(run["model"]["architecture"])],
        [say("parameters"), str(run["model"]["parameters"])],
        [say("seed"), str(run["seed"])],
        [say("epochs"), _epochs(run)],
        [say("seconds"), f"{run['wall_seconds']:.1f}"],
        *[[f"{say(part)} {metric}".strip(), _figure(run, part)] for part in ("train", "dev", "test")],
        [f"{say('test')} {metric} ({say('linear')})".replace("  ", " "), _figure(run, "test", "linear")],
        ["python / numpy / gyaku", f"{machine['python']} / {machine['numpy']} / {machine['gyaku']}"],
        ["BLAS", f"{machine['blas']}, {machine['threads']} threads"],
    ]
    return table(rows)


def _several(runs: list[dict[str, Any]], say: Phrases) -> str:
    from gyaku.models import in_words

    head = [say(key) for key in ("run", "status", "data", "net", "seed", "epochs", "train", "dev", "test", "linear")]
    rows = [
        [
            run["folder"], run["status"], run["data"]["name"], in_words(run["model"]["architecture"]),
            str(run["seed"]), _epochs(run), *(_figure(run, part) for part in ("train", "dev", "test")),
            _figure(run, "test", "linear"),
        ]
        for run in runs
    ]  # fmt: skip
    return table([head, *rows])
