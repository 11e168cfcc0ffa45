"""``gyaku info`` of a run of ``gyaku pretrain``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gyaku.cli.pretrain_words import pretrain_words
from gyaku.cli.terminal import answer_json, table


def pretraining(run: str) -> dict[str, Any] | None:
    """Return card, results and last row of a pre-training; None when the folder's card is none of one.

    Raises ``DataError`` naming a damaged file.
    """
    from gyaku.base.files import read_jsonl
    from gyaku.train.pretrain import read_pretrain_card
    from gyaku.train.run import CARD, METRICS, PRETRAIN_FORMAT, RESULTS, read_json

    folder = Path(run) if Path(run).is_dir() else Path(run).parent
    if not (folder / CARD).is_file() or read_json(folder / CARD).get("format") != PRETRAIN_FORMAT:
        return None
    card = read_pretrain_card(folder)
    log, results = folder / METRICS, folder / RESULTS
    rows = read_jsonl(log).rows if log.is_file() else []
    return {
        "folder": str(folder), **card, "results": read_json(results) if results.is_file() else None,
        "last": rows[-1] if rows else None,
    }  # fmt: skip


def show_pretraining(run: dict[str, Any], as_json: bool, lang: str | None) -> None:
    """Print what is known of a pre-training."""
    if as_json:
        answer_json(run)
        return
    say = pretrain_words(lang)
    status = f"{run['status']}: {run['message']}" if run["message"] else run["status"]
    sizes, model, results = run["data"]["sizes"], run["model"], run["results"]
    rows = [
        [say("run"), run["folder"]],
        [say("status"), status],
        [say("data"), f"{run['data']['name']} ({', '.join(f'{say(p)} {n}' for p, n in sizes.items())})"],
        [say("kind"), f"{say(model['kind'])} {model['text']}"],
        [say("parameters"), str(model["parameters"])],
        [say("seed"), str(run["seed"])],
        [say("epochs"), str((run["last"] or {}).get("epoch", 0))],
        [say("seconds"), f"{run['wall_seconds']:.1f}"],
    ]
    if results is not None:
        rows += [[say("part_error", part=say(p)), f"{v['error']:.5f}"] for p, v in results["parts"].items()]
        rows += [[say("next"), f"gyaku train {run['config'].get('data')} --init-from {run['folder']}"]]
    click.echo(table(rows))
