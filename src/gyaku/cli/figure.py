"""``gyaku figure``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from gyaku.base.errors import DataError
from gyaku.base.text import LANGUAGES, Phrases, language
from gyaku.cli.options import json_option
from gyaku.cli.terminal import answer_json, table, tell, tell_error

if TYPE_CHECKING:
    from gyaku.figures.jobs import Progress

_EXAMPLES = """
\b
Examples:
  gyaku figure --list
  gyaku figure momentum
  gyaku figure momentum optimizers_contours --lang both --out slides
  gyaku figure --all --quick
"""
_WORDS = {
    "name": ("name", "名前"),
    "rows": ("lecture rows", "講義"),
    "title": ("what it shows", "内容"),
    "held": ("holds:         {text}", "成り立つ　　：{text}"),
    "failed": ("does not hold: {text}", "成り立たない：{text}"),
    "files": ("pictures, numbers and claims ({time}): {path}.*", "図・数値・主張（{time}）: {path}.*"),
    "line": ("{name}: {held} of {all} claims held, {time}", "{name}: 主張 {all} 件中 {held} 件が成立、{time}"),
    "seconds": ("{seconds:.1f} s", "{seconds:.1f} 秒"),
    "before": ("done before", "作成済み"),
    "page": ("gallery: {path}", "一覧ページ: {path}"),
    "again": ("interrupted; the same command goes on", "中断しました。同じコマンドで続きから再開します"),
}  # fmt: skip


def _remember_language(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    ctx.meta["lang"] = None if value == "both" else value
    return value


class Task(NamedTuple):
    """What is asked for, the same for every figure."""

    level: str
    seed: int
    workers: int
    folder: Path
    languages: tuple[str, ...]


@click.command(epilog=_EXAMPLES)
@click.argument("names", metavar="NAME...", nargs=-1)
@click.option("--list", "listed", is_flag=True, help="List all figures.")
@click.option("--all", "everything", is_flag=True, help="Make all that are not yet made, and a page that shows them.")
@click.option("--quick", is_flag=True, help="Seconds: fewer seeds, shorter training.")
@click.option("--full", is_flag=True, help="The real thing: more seeds, longer training.")
@click.option("--out", default="figures", show_default=True, help="Folder of the pictures, numbers and claims.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of all random numbers.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes at a time.  [the cores; --quick: 1]")
@json_option
@click.option(
    "--lang", type=click.Choice([*LANGUAGES, "both"]), callback=_remember_language, is_eager=True,
    help="Language of the pictures (else GYAKU_LANG, else the locale).",
)  # fmt: skip
@click.pass_context
def figure(
    ctx: click.Context, names: tuple[str, ...], listed: bool, everything: bool, quick: bool, full: bool, out: str,
    seed: int, workers: int | None, as_json: bool, lang: str | None,
) -> None:  # fmt: skip
    """Reproduce figures and experiments of the lectures: NAME.LANG.svg/pdf/png, NAME.csv and NAME.json.

    Each states what it claims and whether the numbers bear it out; a claim that does not hold is shown as such.
    """
    languages = LANGUAGES if lang == "both" else (language(lang),)
    say = Phrases(_WORDS, languages[0])
    if listed and not (names or everything):
        _list(say, as_json)
        return
    if listed + everything + bool(names) != 1:
        raise click.UsageError("Give NAME, or --all, or --list to see the names.", ctx)
    if quick and full:
        raise click.UsageError("Give --quick or --full, not both.", ctx)
    level = "quick" if quick else "full" if full else "default"
    cores = 1 if level == "quick" else os.cpu_count() or 1
    task = Task(level, seed, workers or cores, _folder(out), languages)
    _check(names)
    try:
        answer = _make(names, everything, task, say, as_json)
    except KeyboardInterrupt:
        tell(say("again"))
        raise click.Abort from None
    if as_json:
        answer_json(answer)
    if answer["failed"]:
        ctx.exit(1)


def _list(say: Phrases, as_json: bool) -> None:
    from gyaku.figures import find, names

    found = [find(name) for name in names()]
    if as_json:
        answer_json([{"name": e.name, "rows": e.rows, "title": dict(zip(LANGUAGES, e.title))} for e in found])
        return
    rows = [[e.name, ", ".join(e.rows), e.title[LANGUAGES.index(say.lang)]] for e in found]
    click.echo(table([[say("name"), say("rows"), say("title")], *rows]))


def _folder(out: str) -> Path:
    """Return the folder; refuse, before any work is done, one that cannot be written."""
    folder = Path(out)
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not there.is_dir():
        raise DataError("--out", "a folder", f"the file {there}")
    if not out or not os.access(there, os.W_OK):
        raise DataError("--out", "a folder that can be written", repr(out))
    return folder


def _check(names: Sequence[str]) -> None:
    """Raise for a name that does not exist, and for a missing package, before any work is done."""
    from gyaku.figures import find
    from gyaku.figures.style import drawing

    for name in names:
        find(name)
    with drawing():
        pass


def _make(names: Sequence[str], everything: bool, task: Task, say: Phrases, as_json: bool) -> dict[str, Any]:
    """Make the figures one after another; with ``everything`` those not made before, and their page."""
    from gyaku.figures import names as catalogue
    from gyaku.figures.output import file_names, finished, write_gallery

    answer: dict[str, Any] = {"folder": str(task.folder), "page": None, "figures": [], "failed": []}
    wanted = catalogue() if everything else names
    for i, name in enumerate(wanted, 1):
        before = finished(task.folder, name, task.level, task.seed, task.languages) if everything else None
        try:
            found = before or _one(name, task, f"{name} {i}/{len(wanted)}", quiet=as_json)
        except Exception as error:
            if not everything:
                raise
            tell(f"{name}:")
            tell_error(error, say.lang)
            answer["failed"].append(name)
            continue
        answer["figures"].append({**found, "files": file_names(name, task.languages)})
        if not as_json:
            click.echo(_short(found, before is not None, say) if everything else _told(found, task, say))
        if everything:  # after each, so that a stopped run leaves a page of what is done
            answer["page"] = str(write_gallery(task.folder, answer["figures"], task.languages))
    if answer["page"] and not as_json:
        click.echo(say("page", path=answer["page"]))
    return answer


def _one(name: str, task: Task, title: str, *, quiet: bool) -> dict[str, Any]:
    """Make one figure with a bar over its jobs and return its summary."""
    from gyaku.figures import make
    from gyaku.figures.jobs import Runner
    from gyaku.figures.output import summary, write

    with Bar(title, quiet) as bar:
        runner = Runner(
            name, seed=task.seed, workers=task.workers, store=task.folder / ".jobs" / name, progress=bar.show
        )
        outcome = make(name, task.level, runner=runner)
    write(outcome, task.folder, task.languages)
    return summary(outcome)


class Bar:
    """A progress bar on stderr while someone looks at it."""

    def __init__(self, title: str, quiet: bool) -> None:
        self.title = title
        self.bar: Any = None
        self.quiet = quiet or sys.stderr is None or not sys.stderr.isatty()

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()

    @property
    def show(self) -> Progress | None:
        """What a ``Runner`` tells its progress to."""
        return None if self.quiet else self._show

    def _show(self, done: int, total: int) -> None:
        from tqdm import tqdm

        if self.bar is None:
            self.bar = tqdm(desc=self.title, leave=False)
        self.bar.total, self.bar.n = total, done
        self.bar.refresh()


def _told(found: dict[str, Any], task: Task, say: Phrases) -> str:
    """Return title, reading, claims and files as text."""
    lang = say.lang
    lines = [found["title"][lang], found["reading"][lang]]
    lines += [say("held" if c["held"] else "failed", text=c[lang]) for c in found["claims"]]
    path = task.folder / found["name"]
    return "\n".join([*lines, say("files", time=say("seconds", seconds=found["seconds"]), path=path)])


def _short(found: dict[str, Any], before: bool, say: Phrases) -> str:
    """Return one line, and one more for each claim that does not hold."""
    claims = found["claims"]
    time = say("before") if before else say("seconds", seconds=found["seconds"])
    first = say("line", name=found["name"], held=sum(c["held"] for c in claims), all=len(claims), time=time)
    return "\n".join([first, *("  " + say("failed", text=c[say.lang]) for c in claims if not c["held"])])
