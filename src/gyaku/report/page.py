"""The page: sections put into the template, written in one piece."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from gyaku.base import look
from gyaku.base.files import write_text_atomic
from gyaku.base.text import Phrases
from gyaku.models import in_words
from gyaku.report import sections, segments
from gyaku.report.axes import number, percent
from gyaku.report.phrases import TABLE
from gyaku.report.reading import Run, read_run
from gyaku.report.verdict import verdict_section


def write_report(folder: str | Path, lang: str | None = None) -> Path:
    """Write ``report.html`` of a run folder and return its path.

    The file asks nobody for anything, needs no JavaScript, and follows the reader's light or dark setting. ``lang`` is
    ``"en"`` or ``"ja"`` (else ``GYAKU_LANG``, else the locale). An unfinished run gives the part that exists.
    Raises ``DataError`` naming the file that is missing or damaged.
    """
    run = read_run(Path(folder))
    target = Path(folder) / "report.html"
    write_text_atomic(target, render(run, Phrases(TABLE, lang)))
    return target


def render(run: Run, say: Phrases) -> str:
    """Return the HTML of a run."""
    return environment().get_template("template.html").render(**_content(run, say))


def environment() -> Any:
    """Return Jinja's environment for the templates of this room."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("gyaku.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )


def _content(run: Run, say: Phrases) -> dict[str, Any]:
    finished = bool(run.results)
    content: dict[str, Any] = {
        "say": say,
        "run": run,
        "finished": finished,
        "lang": say.lang,
        "number": number,
        "percent": percent,
        "light": dataclasses.asdict(look.LIGHT),
        "dark": dataclasses.asdict(look.DARK),
        "fonts": look.CSS_FONTS,
        "labels": [str(x) for x in run.card["data"].get("label_names") or []],
        "headline": sections.headline(run, say),
        "tiles": sections.tiles(run, say),
        "verdict": verdict_section(run.folder, say),
        "network": in_words(run.card["model"]["architecture"]),
        "about": sections.about(run, say),
        "curves": sections.curves(run, say),
        "inside": sections.inside(run, say),
        "histograms": sections.layer_histograms(run, say),
        "weights": sections.weight_pictures(run),
        "sample": sections.sample_strips(run, say),
        "card": sections.card(run, say),
        "config": json.dumps(run.card.get("config", {}), ensure_ascii=False, indent=1),
        "metric_names": list(run.metrics[0]) if run.metrics else [],
    }
    if finished:
        content["table"] = sections.result_table(run, say)
        content["importance"] = sections.importance(run, say)
        content["wrong"] = sections.wrong_samples(run) if run.classifies and not run.segments else []
        content["segments"] = segments.samples(run) if run.segments else []
        content["legend"] = segments.legend(run) if run.segments else []
        content["iou"] = segments.iou_chart(run, say) if run.segments else ""
        content["confusion"] = sections.confusion(run) if run.classifies else []
        content["scatter"] = [] if run.classifies else sections.regression_charts(run, say)
    return content
