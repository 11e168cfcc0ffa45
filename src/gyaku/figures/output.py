"""What an experiment leaves on disk: pictures, numbers, its reading and its claims; and the gallery of all."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import inspect
import io
import itertools
import json
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gyaku.base import look
from gyaku.base.files import make_folder, write_bytes_atomic, write_text_atomic
from gyaku.figures.experiment import Experiment, Outcome, find
from gyaku.figures.jobs import digest

FORMATS = ("svg", "pdf", "png")
_STAMPS: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}
_LARGEST = 20_000  # cells of an array in the CSV: larger ones are pictures


def write(outcome: Outcome, folder: Path, languages: Sequence[str]) -> list[Path]:
    """Write ``NAME.LANG.{svg,pdf,png}``, ``NAME.csv`` and ``NAME.json`` into ``folder`` and return the paths.

    The JSON is written last: it stands for the whole.
    """
    make_folder(folder)
    name = outcome.experiment.name
    for lang in languages:
        for kind, content in rendered(outcome.draw(lang)).items():
            write_bytes_atomic(folder / f"{name}.{lang}.{kind}", content)
    write_text_atomic(folder / f"{name}.csv", table(outcome.data))
    write_text_atomic(folder / f"{name}.json", json.dumps(summary(outcome), ensure_ascii=False, indent=1) + "\n")
    return [folder / file for file in file_names(name, languages)]


def file_names(name: str, languages: Sequence[str]) -> list[str]:
    """Return the names of the files of one experiment."""
    return [*(f"{name}.{lang}.{kind}" for lang in languages for kind in FORMATS), f"{name}.csv", f"{name}.json"]


def rendered(figure: Any, formats: Sequence[str] = FORMATS) -> dict[str, bytes]:
    """Return the picture in each format; equal numbers give equal bytes (no dates inside)."""
    from gyaku.figures.style import drawing

    found = {}
    with drawing(), _quiet_fonts():
        engine = figure.get_layout_engine()
        engine.execute(figure)
        figure.set_layout_engine("none")  # laid out once, the same in every format
        for kind in formats:
            buffer = io.BytesIO()
            figure.savefig(buffer, format=kind, metadata=_STAMPS[kind])
            found[kind] = buffer.getvalue()
        figure.set_layout_engine(engine)
    return found


@contextlib.contextmanager
def _quiet_fonts() -> Iterator[None]:
    """Keep fontTools' remarks on the dates inside font files (it cuts fonts down for the PDF) to itself."""
    logger = logging.getLogger("fontTools")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def summary(outcome: Outcome) -> dict[str, Any]:
    """Return what a program may read of an outcome: claims with both languages, level, seed, seconds."""
    e = outcome.experiment
    return {
        "name": e.name,
        "rows": list(e.rows),
        "title": {"en": e.title[0], "ja": e.title[1]},
        "reading": {"en": e.reading[0], "ja": e.reading[1]},
        "level": outcome.level,
        "seed": outcome.seed,
        "seconds": round(outcome.seconds, 2),
        "held": outcome.held,
        "claims": [{"held": bool(c.held), "en": c.en, "ja": c.ja} for c in outcome.claims],
        "digest": _digest(e),
    }


def table(data: dict[str, Any]) -> str:
    """Return the numbers as CSV, one column for each series: the longest axis of an array goes down the rows.

    Other axes number the columns, ``path[0]`` and ``path[1]`` for the two columns of ``path``; a single number stands
    in the first row. Arrays of more than 20,000 cells (pictures) are left out.
    """
    columns = [column for name, value in _flat("", data) for column in _columns(name, np.asarray(value))]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([name for name, _ in columns])
    writer.writerows(itertools.zip_longest(*(cells for _, cells in columns), fillvalue=""))
    return buffer.getvalue()


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the leaves of nested dicts and lists with their names."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(f"{prefix}.{key}" if prefix else str(key), inner)
    elif isinstance(value, (list, tuple)) and any(isinstance(v, (dict, list, tuple, np.ndarray)) for v in value):
        for i, inner in enumerate(value):
            yield from _flat(f"{prefix}[{i}]", inner)
    else:
        yield prefix, value


def _columns(name: str, array: Any) -> Iterator[tuple[str, list[Any]]]:
    """Yield (name, cells) of one array's columns."""
    if array.size > _LARGEST:
        return
    if array.ndim == 0:
        yield name, [array.item()]
        return
    down = np.moveaxis(array, int(np.argmax(array.shape)), 0)
    for index in np.ndindex(down.shape[1:]):
        yield name + (str(list(index)) if index else ""), down[(slice(None), *index)].tolist()


def finished(folder: Path, name: str, level: str, seed: int, languages: Sequence[str]) -> dict[str, Any] | None:
    """Return the summary of an experiment that ``folder`` holds in this form and from this code, else None."""
    try:
        found = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    wanted = {"level": level, "seed": seed, "digest": _digest(find(name))}
    files = [folder / file for file in file_names(name, languages)]
    same = isinstance(found, dict) and all(found.get(key) == value for key, value in wanted.items())
    return found if same and all(file.exists() for file in files) else None


def _digest(experiment: Experiment) -> str:
    """Return a hash of what the files depend on beside level and seed: code, style, folder of data."""
    style = Path(__file__).with_name("style.py").read_text(encoding="utf-8")
    parts = (digest(inspect.getfile(experiment.load())), style, os.environ.get("GYAKU_DATA", ""))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def write_gallery(folder: Path, summaries: Sequence[dict[str, Any]], languages: Sequence[str]) -> Path:
    """Write ``index.html``, every picture with its reading and its claims, and the same page in a second language.

    Pictures are files beside it. Returns the path of the first page.
    """
    pages = {lang: "index.html" if i == 0 else f"index.{lang}.html" for i, lang in enumerate(languages)}
    for lang, page in pages.items():
        others = {other: file for other, file in pages.items() if other != lang}
        write_text_atomic(folder / page, _gallery(summaries, lang, others))
    return folder / "index.html"


def _gallery(summaries: Sequence[dict[str, Any]], lang: str, others: dict[str, str]) -> str:
    import jinja2

    env = jinja2.Environment(
        loader=jinja2.PackageLoader("gyaku.figures", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    claims = [claim for s in summaries for claim in s["claims"]]
    return env.get_template("gallery.html").render(
        summaries=summaries,
        lang=lang,
        others=others,
        palette=look.LIGHT,
        dark=look.DARK,
        fonts=look.CSS_FONTS,
        claims=len(claims),
        held=sum(claim["held"] for claim in claims),
        quick=any(s["level"] == "quick" for s in summaries),
    )
