"""``gyaku data``."""

from __future__ import annotations

from typing import Any

import click

from gyaku.base.text import Phrases
from gyaku.cli.options import Size, json_option, lang_option
from gyaku.cli.terminal import answer_json, table
from gyaku.cli.words import words

_EXAMPLES = """
\b
Examples:
  gyaku data digits
  gyaku data sales.csv --target price
"""


@click.command(epilog=_EXAMPLES)
@click.argument("data")
@click.option("--target", metavar="COLUMN", help="Column to predict (tables): shows its classes.")
@click.option("--encoding", help="Encoding of a CSV file; else UTF-8, then cp932.")
@click.option("--delimiter", help="Delimiter of a CSV file; else from its name and header.")
@click.option("--folder", help="Folder with the files of mnist or fashion-mnist.")
@click.option("--size", type=Size(), help="Resize a folder of images to height x width.")
@json_option
@lang_option
def data(
    data: str, target: str | None, encoding: str | None, delimiter: str | None, folder: str | None,
    size: tuple[int, int] | None, as_json: bool, lang: str | None,
) -> None:  # fmt: skip
    """Describe DATA: columns or images, classes, missing values, and how it was read."""
    from gyaku.data import describe, load

    options: dict[str, Any] = {"encoding": encoding, "delimiter": delimiter, "folder": folder, "size": size}
    source = load(data, target=target, **{key: value for key, value in options.items() if value is not None})
    facts = describe(source)
    if as_json:
        answer_json(facts)
    else:
        click.echo(describe_facts(facts, words(lang)))


def describe_facts(facts: dict[str, Any], say: Phrases) -> str:
    """Return what ``describe`` found as text."""
    rows = say("rows", n=facts["rows"])
    if facts["test_rows"]:
        rows += ", " + say("and_test", n=facts["test_rows"])
    lines = [f"{facts['name']}  ({facts['origin']})", f"SHA-256 {facts['digest']}", rows]
    if facts["kind"] == "images":
        low, high = facts["range"]
        lines.append(say("images", shape=" x ".join(map(str, facts["shape"])), low=low, high=high))
    else:
        lines += ["", _columns(facts["columns"], say), ""]
    if "classes" in facts:
        unit = f" {say('pixels')}" if facts.get("counted") == "pixels" else ""
        lines.append(say("classes", text=", ".join(f"{label} ({n}{unit})" for label, n in facts["classes"].items())))
    return "\n".join([*lines, *(say("note", text=note) for note in facts["notes"])]).rstrip()


def _columns(columns: list[dict[str, Any]], say: Phrases) -> str:
    head = [say("column"), say("type"), say("missing"), say("values")]
    return table([head, *([c["name"], c["type"], str(c["missing"]), _values(c, say)] for c in columns)])


def _values(column: dict[str, Any], say: Phrases) -> str:
    distinct = say("distinct", n=column["distinct"])
    if "common" in column:
        common = list(column["common"].items())[:5]
        return f"{distinct}: " + ", ".join(f"{text} ({n})" for text, n in common)
    if "min" in column:
        return f"{column['min']:g} .. {column['max']:g}, {distinct}"
    return distinct
